/* What an append, a read and a check answer: discarded records, fills, the ends of a read, and damage. */
#include "harness.h"

/* ---- what an append tells ---------------------------------------------------------------------------------------- */

CASE(capacity_is_reached_once_a_fill) {
    for_each(capacity, SMALL_CAPACITIES) {
        struct store *store = make_store((struct wish){.capacity = capacity});
        uint32_t writer = join(store, 0);
        struct appended out;
        for (uint64_t fill = 0; fill < 3; fill++) {
            for (uint64_t i = 0; i < 3 * capacity; i++) {
                expect_equal(try_append(store, writer, &out), APPEND_DONE);
                expect_equal(out.reached_capacity, i + 1 == capacity);
            }
            ring_raise_floor(&store->handle.ring, 0, tail_of(store));
        }
        free_store(store);
    }
}

CASE(a_voided_or_skipped_slot_discards_nothing) { /* try_append holds each discarded record against what was appended */
    struct store *store = make_store((struct wish){.capacity = 3});
    uint32_t writer = join(store, 0), slow = join(store, 1), mortal = join(store, 2);
    struct appended out;
    abandon(store, mortal, "tail moved");
    die(store, mortal);
    struct stopping *stalled = stall(store, slow, "tail moved");
    append(store, writer);
    expect_equal(try_append(store, writer, &out), APPEND_DONE);
    expect(out.ticket == 3 && !out.discarded); /* 0 was voided */
    append_many(store, writer, 2);
    expect_equal(wake(stalled), APPEND_DONE);
    expect_equal(try_append(store, writer, &out), APPEND_DONE);
    expect(out.ticket == 7 && !out.discarded); /* 4 was skipped */
}

CASE(a_discarded_record_need_not_be_asked_for) {
    struct store *store = make_store((struct wish){.capacity = 1});
    uint32_t writer = join(store, 0);
    unsigned char record[STAGED_BYTES];
    struct appended out;
    stage(&store->handle.geometry, 1, 2, record);
    for (int i = 0; i < 2; i++) {
        expect_equal(ring_append(&store->handle.ring, 0, writer, record, NULL, &out), APPEND_DONE);
        expect_equal(out.discarded, i == 1);
    }
}

/* ---- how a read ends --------------------------------------------------------------------------------------------- */

CASE(a_read_stops_when_there_is_no_room_and_goes_on_later) {
    for_each(layout, BOTH_LAYOUTS) {
        struct store *store = make_store((struct wish){.capacity = 7, .layout = layout});
        append_many(store, join(store, 0), 5);
        struct destination to = make_destination(&store->handle.geometry, 2);
        uint64_t next = 0, writer, sequence;
        for (uint64_t got = 0; got < 5; got += to.row) {
            to.row = 0;
            expect_equal(ring_read(&store->handle.ring, 0, &next, 5, true, &to, NULL), got == 4 ? READ_END : READ_FULL);
            expect_equal(to.row, got == 4 ? 1 : 2);
            for (uint64_t row = 0; row < to.row; row++) {
                expect_whole(&store->handle.geometry, &to, row, &writer, &sequence);
                expect_equal(sequence, got + row);
            }
        }
    }
}

CASE(long_runs_are_read_across_the_end_of_a_lap) {
    for_each(layout, BOTH_LAYOUTS) {
        struct store *store = make_store((struct wish){.capacity = 3001, .layout = layout});
        append_many(store, join(store, 0), 4500);
        expect_sound(store); /* reads all tickets, more than one run, and holds each against what was appended */
        free_store(store);
    }
}

static bool refuse_gap(void *context, uint32_t partition, uint64_t first, uint64_t end, enum gap_reason reason) {
    (void)partition, (void)end, (void)reason;
    *(uint64_t *)context = first;
    return false;
}

CASE(a_read_stops_before_a_gap_that_is_not_taken) {
    struct store *store = make_store((struct wish){.capacity = 3});
    uint32_t writer = join(store, 0), mortal = join(store, 1);
    append_many(store, writer, 3);
    abandon(store, mortal, "tail moved");
    die(store, mortal);
    append(store, writer);
    struct destination to = make_destination(&store->handle.geometry, 7);
    uint64_t next = 0, refused = 99;
    const struct gap_sink sink = {refuse_gap, &refused};
    expect_equal(ring_read(&store->handle.ring, 0, &next, 5, true, &to, &sink), READ_FULL);
    expect_equal(next, 0); /* 0 and 1 were lapped */
    expect_equal(refused, 0);
    next = 2;
    expect_equal(ring_read(&store->handle.ring, 0, &next, 5, true, &to, &sink), READ_FULL);
    expect_equal(next, 3); /* 3 was voided */
    expect_equal(refused, 3);
    expect_equal(to.row, 1);
}

/* ---- damage ------------------------------------------------------------------------------------------------------ */

static void set_word(struct store *store, uint64_t slot, uint64_t word) {
    store_relaxed(ring_word(&store->handle.ring, 0, slot), word);
}

CASE(a_word_that_breaks_the_invariant_is_told_and_never_looped_on) {
    struct store *store = make_store((struct wish){.capacity = 3});
    uint32_t writer = join(store, 0);
    append_many(store, writer, 4);
    const uint64_t damaged[] = {
        0,                                /* empty below the tail */
        word_for(store, 0, 0, PUBLISHED), /* a lap behind */
        word_for(store, 3, 5, PUBLISHED), /* published, yet held */
        word_for(store, 3, 0, PREPARED),  /* a state of another format */
        word_for(store, 3, 0, EMPTY),     /* a lap, and empty */
    };
    for_each(word, damaged) {
        struct destination to = make_destination(&store->handle.geometry, 7);
        uint64_t next = 3;
        set_word(store, 0, word);
        expect_equal(ring_read(&store->handle.ring, 0, &next, 4, false, &to, &no_gaps), READ_DAMAGED);
        expect_equal(next, 3);
        expect(violations_of(store) > 0);
        free_destination(&store->handle.geometry, &to);
    }
}

CASE(check_store_finds_claims_of_nobody) {
    struct store *store = make_store((struct wish){.processes = 4});
    uint32_t writer = join(store, 0), gone = join(store, 1);
    append(store, writer);
    repair(store, gone); /* its place is free */
    const uint32_t nobody[] = {4, gone, writer + (1 << 12)};
    for_each(owner, nobody) {
        set_word(store, 0, word_for(store, 0, owner, WRITING));
        expect_equal(violations_of(store), 1);
    }
}

CASE(an_append_gives_up_on_a_partition_that_contradicts_its_tail) {
    if (effort < 100) return; /* millions of tries are too slow under a sanitizer */
    struct store *store = make_store((struct wish){.capacity = 1});
    uint32_t writer = join(store, 0);
    struct appended out;
    set_word(store, 0, slot_word(UINT64_C(1) << 30, 0, PUBLISHED));
    expect_equal(try_append(store, writer, &out), APPEND_DAMAGED);
}
