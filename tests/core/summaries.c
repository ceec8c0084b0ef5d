/* Whole blocks and their summaries, as questions of several processes meet them: no threads, no chance. */
#include "scanning.h"

enum { BLOCK = LEAST_BLOCK_SLOTS };

static uint64_t summary_bytes(const struct store *store) {
    return store->handle.geometry.slots_offset - store->handle.geometry.summaries_offset;
}
static unsigned char *summaries_of(const struct store *store) {
    return store->handle.ring.memory + store->handle.geometry.summaries_offset;
}

/* ---- whole blocks ------------------------------------------------------------------------------------------------ */

CASE(summaries_tell_what_the_records_do_at_every_length) {
    const uint64_t capacities[] = {1, 2, 3, 7, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 88};
    for_each(layout, BOTH_LAYOUTS) for_each(capacity, capacities) {
        struct store *store = make_store((struct wish){.capacity = capacity, .layout = layout});
        struct asker asker = make_asker(store, true);
        uint32_t writer = join(store, 0);
        for (uint64_t tail = 0; tail < 3 * capacity + 2; tail += 1 + random_number(capacity / 4 + 1)) {
            append_many(store, writer, tail - tail_of(store));
            expect_agreement(&asker, tail < capacity ? tail : capacity);
        }
        free_asker(&asker);
        free_store(store);
    }
}

CASE(a_third_question_reads_only_what_no_whole_block_covers) {
    struct store *store = make_store((struct wish){.capacity = 3 * BLOCK + 88});
    uint64_t slots = store->handle.geometry.slots;
    uint32_t writer = join(store, 0);
    const struct {
        uint64_t tail, read;
    } stages[] = {{2 * BLOCK, 0}, {slots - 1, 87}, {slots + 7, BLOCK}, {2 * slots - 10, 88}};
    for_each(stage, stages) {
        struct asker asker = make_asker(store, true), other = make_asker(store, true);
        append_many(store, writer, stage.tail - tail_of(store));
        ask(&asker);
        ask(&asker);
        uint64_t count = stage.tail < slots ? stage.tail : slots;
        expect_equal(ask(&asker).count, count);
        expect_equal(asker.read, stage.read);
        expect_equal(ask(&other).count, count);
        expect_equal(other.read, stage.read);
    }
}

CASE(a_block_with_a_hole_is_never_whole) {
    const uint64_t holes[] = {0, 1, BLOCK - 1, BLOCK, 2 * BLOCK - 1, 2 * BLOCK};
    for_each(hole, holes) for (int fate = 0; fate < 3; fate++) {
        struct store *store = make_store((struct wish){.capacity = 2 * BLOCK + 88});
        struct asker asker = make_asker(store, true), counter = make_asker(store, true);
        uint64_t count = store->handle.geometry.slots - 1;
        uint32_t writer = join(store, 0), slow = join(store, 1);
        counter.needs = 0; /* what asks for no field meets no summary either */
        append_many(store, writer, hole);
        struct stopping *held = fate ? NULL : stall(store, slow, "tail moved");
        if (fate) abandon(store, slow, "payload written");
        append_many(store, writer, count - hole);
        if (fate == 1) {
            die(store, slow);   /* void */
        } else if (fate == 2) { /* a lap on, its slot is skipped, and then released */
            append_many(store, writer, store->handle.geometry.slots - 1);
            die(store, slow);
            repair(store, slow);
        }
        expect_agreement(&asker, count);
        for (int times = 0; times < 3; times++) expect_equal(ask(&counter).count, count);
        if (held) {
            expect_equal(wake(held), APPEND_DONE);
            expect_agreement(&asker, count + 1);
            for (int times = 0; times < 3; times++) expect_equal(ask(&counter).count, count + 1);
        }
        free_asker(&asker);
        free_asker(&counter);
        free_store(store);
    }
}

CASE(questions_hold_where_laps_cross_2_to_the_40) {
    for_each(layout, BOTH_LAYOUTS) {
        struct store *store = make_store((struct wish){.capacity = BLOCK + 44, .layout = layout});
        struct asker asker = make_asker(store, true);
        uint32_t writer = join(store, 0);
        start_at(store, ((UINT64_C(1) << LAP_BITS) - 2) * store->handle.geometry.slots);
        for (uint64_t length = 0; length < 4 * store->handle.geometry.slots; length += 50) {
            expect_agreement(&asker, length < store->handle.geometry.slots ? length : store->handle.geometry.slots);
            append_many(store, writer, 50);
        }
        free_store(store);
    }
}

CASE(what_was_cleared_is_told_by_no_summary) {
    const uint64_t floors[] = {1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 87, 2 * BLOCK + 88};
    for_each(floor, floors) {
        struct store *store = make_store((struct wish){.capacity = 2 * BLOCK + 88});
        struct asker asker = make_asker(store, true);
        append_many(store, join(store, 0), store->handle.geometry.slots);
        expect_agreement(&asker, store->handle.geometry.slots); /* all is summarised */
        ring_raise_floor(&store->handle.ring, 0, floor);
        expect_agreement(&asker, store->handle.geometry.slots - floor);
        free_store(store);
    }
}

CASE(what_came_after_a_question_began_is_told_by_no_summary) {
    struct store *store = make_store((struct wish){.capacity = 2 * BLOCK});
    struct asker asker = make_asker(store, true), late = make_asker(store, true);
    uint32_t writer = join(store, 0);
    append_many(store, writer, BLOCK - 1);
    struct range before = scan_range(&store->handle.ring, 0);
    append_many(store, writer, 1);
    expect_agreement(&asker, BLOCK);
    expect_equal(ask_about(&late, before).count, BLOCK - 1);
}

/* 10 <= sequence and -128 <= i8: of the second, bounds say enough. */
static void require_some(struct program *program) {
    const struct step from_ten = {.operation = STEP_RANGE, .left = 1, .low.u = 10, .high.u = UINT64_MAX};
    const struct step any = {.operation = STEP_RANGE, .to = 1, .left = 2, .low.i = INT8_MIN, .high.i = INT8_MAX};
    expect(!program_step(program, from_ten) && !program_step(program, any));
    expect(!program_step(program, (struct step){.operation = STEP_AND, .left = 0, .right = 1}));
}

/* ---- overwritten meanwhile --------------------------------------------------------------------------------------- */

CASE(a_sealed_block_that_is_claimed_over_is_read_by_its_words) {
    for_each(layout, BOTH_LAYOUTS) for (uint64_t more = 0; more < 4; more++) {
        struct store *store = make_store((struct wish){.capacity = 2 * BLOCK, .layout = layout});
        struct asker asker = make_asker(store, false);
        uint32_t writer = join(store, 0), slow = join(store, 1);
        append_many(store, writer, 2 * BLOCK);
        struct range before = scan_range(&store->handle.ring, 0);
        ask(&asker); /* now every block is marked */
        append_many(store, writer, more);
        struct stopping *held = stall(store, slow, "payload written");
        expect_equal(ask_about(&asker, before).count, 2 * BLOCK - more - 1);
        expect_equal(wake(held), APPEND_DONE);
        expect_equal(ask_about(&asker, before).count, 2 * BLOCK - more - 1);
        free_store(store);
    }
}

CASE(a_mark_says_nothing_about_the_next_lap) {
    struct store *store = make_store((struct wish){.capacity = 2 * BLOCK});
    struct asker asker = make_asker(store, false);
    uint32_t writer = join(store, 0), slow = join(store, 1);
    append_many(store, writer, 2 * BLOCK);
    ask(&asker);
    stall(store, slow, "tail moved"); /* its slot still holds the record of the last lap */
    append_many(store, writer, BLOCK);
    expect_equal(ask(&asker).count, 2 * BLOCK - 1);
}

CASE(a_mark_is_of_blocks_that_were_seen_from_their_first_ticket) {
    struct store *store = make_store((struct wish){.capacity = 2 * BLOCK});
    struct asker asker = make_asker(store, false);
    uint32_t writer = join(store, 0), mortal = join(store, 1);
    abandon(store, mortal, "tail moved");
    append_many(store, writer, BLOCK);
    struct range before = scan_range(&store->handle.ring, 0);
    ring_raise_floor(&store->handle.ring, 0, 5);
    expect_equal(ask(&asker).count, BLOCK - 4);
    expect_equal(ask_about(&asker, before).count, BLOCK - 4); /* and not the claimed slot too */
}

CASE(what_one_range_began_the_next_does_not_go_on_with) {
    struct store *store = make_store((struct wish){.capacity = 2 * BLOCK});
    struct asker asker = make_asker(store, false);
    uint32_t writer = join(store, 0), slow = join(store, 1);
    append_many(store, writer, 7);
    stall(store, slow, "tail moved"); /* its slot holds no record */
    append_many(store, writer, BLOCK - 8);
    struct range parts[] = {{0, 0, 5}, {0, 10, BLOCK}};
    expect_equal(ask_about_all(&asker, parts, 2).count, BLOCK - 5);
    expect_equal(ask(&asker).count, BLOCK - 1);
}

CASE(a_full_ring_that_rests_is_marked_from_its_oldest_block_on) {
    for_each(layout, BOTH_LAYOUTS) {
        struct store *store = make_store((struct wish){.capacity = 2 * BLOCK, .layout = layout});
        struct asker asker = make_asker(store, true);
        append_many(store, join(store, 0), 3 * BLOCK);
        for (int times = 0; times < 2; times++) expect_equal(ask(&asker).count, 2 * BLOCK);
        expect_equal(ask(&asker).count, 2 * BLOCK);
        expect_equal(asker.read, 0); /* all is summarised */
        free_store(store);
    }
}

CASE(a_summary_is_right_for_ever) {
    struct store *store = make_store((struct wish){.capacity = 3 * BLOCK});
    struct asker asker = make_asker(store, true);
    uint32_t writer = join(store, 0);
    append_many(store, writer, 2 * BLOCK);
    struct range before = scan_range(&store->handle.ring, 0);
    ask(&asker);
    struct answer then = ask(&asker);
    for (uint64_t tail = 2 * BLOCK; tail < 4 * BLOCK; tail += 64) { /* until it is partly overwritten */
        append_many(store, writer, 64);
        struct answer now = ask_about(&asker, before);
        expect_equal_answers(&now, &then);
        expect_equal(asker.read, 0);
    }
}

CASE(a_block_that_is_gone_before_it_is_read_ends_no_question) {
    for_each(layout, BOTH_LAYOUTS) for (uint64_t tail = 2 * BLOCK; tail < 6 * BLOCK; tail += 100) {
        struct store *store = make_store((struct wish){.capacity = 3 * BLOCK, .layout = layout});
        struct asker asker = make_asker(store, true), doubter = make_asker(store, false);
        uint32_t writer = join(store, 0);
        require_some(&asker.program);
        require_some(&doubter.program);
        asker.needs = doubter.needs = 1 << 1;
        append_many(store, writer, 2 * BLOCK);
        struct range before = scan_range(&store->handle.ring, 0);
        for (int times = 0; times < 2; times++) expect_equal(ask(&asker).count, 2 * BLOCK - 10);
        append_many(store, writer, tail - 2 * BLOCK);
        uint64_t oldest = tail < 3 * BLOCK ? 0 : tail - 3 * BLOCK, first = oldest > 10 ? oldest : 10;
        /* of the second block all match, as its summary tells; of the first it tells that some do */
        expect_equal(ask_about(&asker, before).count, BLOCK + (first < BLOCK ? BLOCK - first : 0));
        expect_equal(ask_about(&doubter, before).count, first < 2 * BLOCK ? 2 * BLOCK - first : 0);
        free_store(store);
    }
}

/* Fill the ring with noise, published up to a tail: quickly made, whatever its size. */
static void fill_with_noise(struct store *store, uint64_t tail) {
    uint64_t *part = (uint64_t *)(void *)ring_slots(&store->handle.ring, 0);
    for (uint64_t i = 0; i < store->handle.geometry.partition_bytes / 8; i++) part[i] = mixed(i);
    start_at(store, tail);
    store_relaxed(&ring_partition(&store->handle.ring, 0)->floor, 0);
}

static void append_noise(struct store *store, uint64_t count) {
    const unsigned char record[STAGED_BYTES] = {0};
    struct appended out;
    for (uint32_t writer = join(store, 0); count; count--)
        expect_equal(ring_append(&store->handle.ring, 0, writer, record, NULL, &out), APPEND_DONE);
}

CASE(a_block_of_several_batches_is_summarised_whole_or_not_at_all) {
    for_each(layout, BOTH_LAYOUTS) {
        struct store *store = make_store((struct wish){.capacity = 300000, .layout = layout});
        struct asker asker = make_asker(store, true), late = make_asker(store, true);
        struct asker doubter = make_asker(store, false);
        uint64_t slots = store->handle.geometry.slots;
        expect(store->handle.geometry.block_slots > BATCH_ROWS);
        fill_with_noise(store, slots);
        asker.is_noise = doubter.is_noise = late.is_noise = true;
        asker.needs = doubter.needs = late.needs = 1 << 5 | 1 << 10;
        struct range before = scan_range(&store->handle.ring, 0);
        struct answer expected = ask(&doubter);
        ask(&asker); /* now all is marked, and nothing summarised */
        append_noise(store, 10);
        struct answer found = ask_about(&asker, before);
        expect_equal(found.count, slots - 10);
        found = ask_about(&late, before); /* all but the first block is summarised */
        expect_equal(found.count, slots - 10);
        expect_equal(late.read, store->handle.geometry.block_slots - 10);
        expect_equal(expected.count, slots);
        expected = ask(&doubter);
        for (int times = 0; times < 3; times++) {
            found = ask(&asker);
            expect_equal_answers(&found, &expected);
        }
        free_store(store);
    }
}

CASE(whoever_summarises_the_same_records_writes_the_same_words) {
    struct store *store = make_store((struct wish){.capacity = 4 * BLOCK + 176});
    uint64_t bytes = summary_bytes(store), slots = store->handle.geometry.slots;
    unsigned char *first = malloc(bytes);
    append_many(store, join(store, 0), slots);
    for (uint64_t oldest = 0; oldest < BLOCK; oldest += 50) {
        struct asker asker = make_asker(store, true);
        memset(summaries_of(store), 0, bytes);
        for (int times = 0; times < 2; times++) ask_about(&asker, (struct range){0, oldest, slots});
        for (int times = 0; oldest && times < 2; times++) ask_about(&asker, (struct range){0, 0, BLOCK});
        if (!oldest) memcpy(first, summaries_of(store), bytes);
        expect(!memcmp(first, summaries_of(store), bytes));
        free_asker(&asker);
    }
}

/* ---- damage ------------------------------------------------------------------------------------------------------ */

static bool is_known(const struct store *store, uint32_t partition, uint64_t block, uint64_t lap, uint32_t field) {
    struct facts facts;
    summary_read(&store->handle.geometry, store->handle.ring.memory, partition, block, lap, field, &facts);
    return facts.known;
}

CASE(a_mixture_of_summaries_is_none) {
    struct store *store = make_store((struct wish){0});
    uint64_t *words = (uint64_t *)(void *)summaries_of(store), laps[3][5] = {{0}}; /* of none, of lap 1 and of lap 2 */
    for (uint64_t lap = 1; lap < 3; lap++) {
        struct facts facts = {.low.u = 10 * lap, .high.u = 10 * lap + 1};
        facts.sum.integer.total = (__int128)lap << 64 | lap;
        summary_write(&store->handle.geometry, store->handle.ring.memory, 0, 0, lap, 0, &facts);
        memcpy(laps[lap], words, sizeof laps[lap]);
        expect(is_known(store, 0, 0, lap, 0));
    }
    for (int mixture = 0; mixture < 3 * 3 * 3 * 3 * 3; mixture++) {
        int part = mixture, counts[3] = {0};
        for (int word = 0; word < 5; word++, part /= 3) {
            words[word] = laps[part % 3][word];
            counts[part % 3]++;
        }
        for (uint64_t lap = 0; lap < 3; lap++) expect_equal(is_known(store, 0, 0, lap, 0), lap && counts[lap] == 5);
    }
    for (int bit = 0; bit < 5 * 64; bit++) {
        memcpy(words, laps[1], sizeof laps[1]);
        words[bit / 64] ^= UINT64_C(1) << bit % 64;
        expect(!is_known(store, 0, 0, 1, 0));
    }
}

CASE(a_summary_is_of_its_lap_partition_block_and_field) {
    struct store *store = make_store((struct wish){.capacity = 4 * BLOCK, .partitions = 2});
    const struct geometry *g = &store->handle.geometry;
    struct facts facts = {.low.u = 1, .high.u = 2, .sum.integer.total = 3};
    summary_write(g, store->handle.ring.memory, 0, 0, 1, 0, &facts);
    const size_t size = sizeof(struct summary);
    for (uint64_t at = size; at + size <= summary_bytes(store); at += size)
        memcpy(summaries_of(store) + at, summaries_of(store), size);
    for (uint32_t partition = 0; partition < 2; partition++)
        for (uint64_t block = 0; block < g->block_count; block++)
            for (uint64_t lap = 0; lap < 3; lap++)
                for (uint32_t field = 0; field < 2; field++)
                    expect_equal(is_known(store, partition, block, lap, field),
                                 !partition && !block && lap == 1 && !field);
}

CASE(noise_in_the_summaries_changes_no_answer) {
    struct store *store = make_store((struct wish){.capacity = 2 * BLOCK + 88});
    struct asker asker = make_asker(store, true);
    uint32_t writer = join(store, 0);
    for (int round = 0; round < 20; round++) {
        append_many(store, writer, 1 + random_number(BLOCK));
        uint64_t slots = store->handle.geometry.slots, tail = tail_of(store), count = tail < slots ? tail : slots;
        expect_agreement(&asker, count);
        for (uint64_t at = random_number(40); at < summary_bytes(store); at += 1 + random_number(40))
            summaries_of(store)[at] = (unsigned char)random_number(256);
        expect_agreement(&asker, count);
    }
}

CASE(whoever_may_not_write_leaves_no_summary) {
    struct store *store = make_store((struct wish){.capacity = 2 * BLOCK});
    struct asker asker = make_asker(store, true);
    append_many(store, join(store, 0), 2 * BLOCK);
    unsigned char *before = malloc(store->handle.geometry.total_bytes);
    memcpy(before, store->handle.ring.memory, store->handle.geometry.total_bytes);
    store->handle.ring.writable = false;
    for (int times = 0; times < 3; times++) expect_equal(ask(&asker).count, 2 * BLOCK);
    expect(!memcmp(before, store->handle.ring.memory, store->handle.geometry.total_bytes));
}
