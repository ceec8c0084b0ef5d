/* Every state of a slot and of a partition, built by hand, one by one: no threads of its own, no chance. */
#include "harness.h"

/* ---- plain life -------------------------------------------------------------------------------------------------- */

CASE(an_empty_partition_has_nothing_to_read) {
    struct store *store = make_store((struct wish){0});
    expect_tickets(store, "");
    expect_sound(store);
}

CASE(the_newest_records_are_kept_for_every_capacity_and_layout) {
    for_each(layout, BOTH_LAYOUTS) for_each(capacity, SMALL_CAPACITIES) {
        struct store *store = make_store((struct wish){.capacity = capacity, .layout = layout});
        uint32_t writer = join(store, 0);
        char expected[64] = "";
        for (uint64_t ticket = 0; ticket < 4 * capacity + 2; ticket++) {
            expect_equal(append(store, writer), ticket);
            expected[ticket] = 'r';
            if (ticket >= capacity) expected[ticket - capacity] = 'l';
            expect_tickets(store, expected);
            expect_sound(store);
        }
        free_store(store);
    }
}

CASE(partitions_do_not_touch_each_other) {
    for_each(layout, BOTH_LAYOUTS) {
        struct store *store = make_store((struct wish){.capacity = 7, .partitions = 3, .layout = layout});
        uint32_t writer = join(store, 0);
        append_many(store, writer, 2);
        unsigned char record[STAGED_BYTES];
        struct appended out;
        stage(&store->handle.geometry, 77, 0, record);
        for (uint64_t i = 0; i < 10; i++)
            for (uint32_t partition = 1; partition < 3; partition++) {
                expect_equal(ring_append(&store->handle.ring, partition, writer, record, NULL, &out), APPEND_DONE);
                expect_equal(out.ticket, i);
            }
        expect_tickets(store, "rr");
        expect_sound(store);
        free_store(store);
    }
}

/* ---- in flight, dead, stalled ------------------------------------------------------------------------------------ */

CASE(a_live_writer_is_in_flight_and_a_cursor_stops_there) {
    struct store *store = make_store((struct wish){0});
    uint32_t writer = join(store, 0), slow = join(store, 1);
    append_many(store, writer, 2);
    struct stopping *stalled = stall(store, slow, "tail moved");
    append_many(store, writer, 2);
    expect_tickets(store, "rrirr");
    expect_equal(totals_of(store).in_flight, 1);
    expect_sound(store);

    struct destination to = make_destination(&store->handle.geometry, 7);
    uint64_t next = 0;
    expect_equal(ring_read(&store->handle.ring, 0, &next, 5, true, &to, NULL), READ_HELD);
    expect_equal(next, 2);
    expect_equal(to.row, 2);
    expect_equal(wake(stalled), APPEND_DONE);
    expect_equal(ring_read(&store->handle.ring, 0, &next, 5, true, &to, NULL), READ_END);
    expect_equal(to.row, 5);
    expect_tickets(store, "rrrrr");
    expect_sound(store);
}

CASE(a_reader_settles_the_claim_of_a_dead_writer) {
    struct store *store = make_store((struct wish){0});
    uint32_t writer = join(store, 0), mortal = join(store, 1);
    abandon(store, mortal, "payload written");
    append(store, writer);
    die(store, mortal);
    struct destination to = make_destination(&store->handle.geometry, 7);
    uint64_t next = 0;
    expect_equal(ring_read(&store->handle.ring, 0, &next, 2, true, &to, &no_gaps), READ_END);
    expect_equal(to.row, 1);
    expect_equal(word_of(store, 0), word_for(store, 0, 0, VOID));
    expect_equal(repair(store, mortal), 0);
    expect_tickets(store, "vr");
    expect_sound(store);
}

CASE(a_reader_that_may_not_write_reports_the_dead_and_changes_no_byte) {
    struct store *store = make_store((struct wish){0});
    uint32_t writer = join(store, 0), mortal = join(store, 1);
    abandon(store, mortal, "claimed");
    append(store, writer);
    die(store, mortal);
    unsigned char *before = malloc(store->handle.geometry.total_bytes);
    memcpy(before, store->handle.ring.memory, store->handle.geometry.total_bytes);
    expect_tickets(store, "vr");
    expect(!memcmp(before, store->handle.ring.memory, store->handle.geometry.total_bytes));
}

CASE(the_next_lap_settles_the_claim_of_a_dead_writer_and_counts_it_once) {
    for_each(capacity, SMALL_CAPACITIES) {
        struct store *store = make_store((struct wish){.capacity = capacity});
        uint32_t writer = join(store, 0), mortal = join(store, 1);
        abandon(store, mortal, "tail moved");
        die(store, mortal);
        append_many(store, writer, capacity - 1);
        expect_equal(totals_of(store).in_flight, 1);
        for (uint64_t i = 0; i < 3 * capacity; i++) {
            expect_equal(append(store, writer), capacity + i); /* its slot was taken over: no ticket was skipped */
            expect_equal(totals_of(store).voided, 1);
            expect_sound(store);
        }
        free_store(store);
    }
}

CASE(a_voided_ticket_is_counted_once_in_its_slot_and_in_the_ledger) {
    struct store *store = make_store((struct wish){.capacity = 3});
    uint32_t writer = join(store, 0), mortal = join(store, 1);
    append(store, writer);
    abandon(store, mortal, "tail moved");
    die(store, mortal);
    expect_equal(repair(store, mortal), 1);
    expect_equal(repair(store, mortal), 0);
    for (int i = 0; i < 8; i++) {
        expect_equal(totals_of(store).voided, 1);
        expect_sound(store);
        append(store, writer);
    }
    expect_equal((uint32_t)ring_partition(&store->handle.ring, 0)->void_ledger, 1);
    /* ticket 4 takes the slot of the voided one */
    expect_equal(ring_partition(&store->handle.ring, 0)->voids_until, 5);
}

CASE(a_stalled_writer_keeps_its_slot_and_costs_one_ticket_a_lap) {
    struct store *store = make_store((struct wish){.capacity = 3});
    uint32_t writer = join(store, 0), slow = join(store, 1);
    struct stopping *stalled = stall(store, slow, "tail moved");
    append_many(store, writer, 2);
    expect_tickets(store, "irr");
    expect_equal(append(store, writer), 4);
    expect_tickets(store, "llrsr");
    expect_equal(word_of(store, 3), word_for(store, 3, slow, STALLED));
    expect_sound(store);
    append(store, writer);
    expect_equal(append(store, writer), 7);
    expect_tickets(store, "lllllrsr");
    expect_equal(word_of(store, 6), word_for(store, 6, slow, STALLED));
    expect_equal(totals_of(store).skipped, 2);
    expect_sound(store);
    expect_equal(wake(stalled), APPEND_DONE); /* its record was overtaken: appended, and discarded at once */
    expect_equal(word_of(store, 6), word_for(store, 6, 0, SKIPPED));
    expect_tickets(store, "lllllrsr");
    expect_sound(store);
    append_many(store, writer, 2);
    expect_equal(word_of(store, 9), published(store, 9));
    expect_equal(totals_of(store).skipped, 2);
    expect_sound(store);
}

CASE(a_stalled_writer_that_dies_is_released_by_repair) {
    struct store *store = make_store((struct wish){.capacity = 2});
    uint32_t writer = join(store, 0), slow = join(store, 1);
    abandon(store, slow, "payload written");
    append_many(store, writer, 2);
    expect_tickets(store, "llsr");
    die(store, slow);
    expect_sound(store);
    expect_equal(repair(store, slow), 1);
    expect_equal(word_of(store, 2), word_for(store, 2, 0, ABANDONED));
    for (int i = 0; i < 5; i++) {
        expect_equal(totals_of(store).skipped, 1); /* ticket 2 */
        expect_equal(totals_of(store).voided, 1);  /* ticket 0 */
        append(store, writer);
        expect_sound(store);
    }
    expect_sound(store);
}

CASE(a_stalled_writer_that_dies_is_released_by_the_next_lap) {
    struct store *store = make_store((struct wish){.capacity = 2});
    uint32_t writer = join(store, 0), slow = join(store, 1);
    abandon(store, slow, "payload written");
    append_many(store, writer, 2);
    die(store, slow);
    expect_equal(append(store, writer), 4);
    expect_equal(word_of(store, 4), published(store, 4));
    expect_equal(totals_of(store).skipped, 1);
    expect_equal(totals_of(store).voided, 1);
    expect_sound(store);
}

CASE(threads_of_one_process_may_hold_several_slots) {
    struct store *store = make_store((struct wish){.capacity = 7});
    uint32_t both = join(store, 0);
    struct stopping *first = stall(store, both, "tail moved"), *second = stall(store, both, "payload written");
    append(store, both);
    expect_tickets(store, "iir");
    expect_equal(wake(second), APPEND_DONE);
    expect_tickets(store, "irr");
    struct stopping *third = stall(store, both, "tail moved");
    die(store, both);
    expect_equal(repair(store, both), 2);
    expect_tickets(store, "vrrv");
    expect_equal(wake(first), APPEND_REVOKED); /* not dead after all: it learns that it lost its slot */
    expect_equal(wake(third), APPEND_REVOKED);
    expect_tickets(store, "vrrv");
}

CASE(an_appender_that_saw_an_old_tail_helps_and_claims_the_next_ticket) {
    struct store *store = make_store((struct wish){.capacity = 3});
    uint32_t writer = join(store, 0), slow = join(store, 1);
    for (uint64_t ahead = 1; ahead < 9; ahead++) {
        struct stopping *late = stall(store, slow, "before claim");
        append_many(store, writer, ahead);
        uint64_t tail = tail_of(store);
        expect_equal(wake(late), APPEND_DONE);
        expect_equal(tail_of(store), tail + 1);
        expect_equal(word_of(store, tail), published(store, tail));
        expect_sound(store);
    }
}

/* ---- everything held --------------------------------------------------------------------------------------------- */

CASE(a_partition_whose_every_slot_is_held_refuses_the_append) {
    for_each(capacity, SMALL_CAPACITIES) {
        struct store *store = make_store((struct wish){.capacity = capacity});
        uint32_t writer = join(store, 0), slow = join(store, 1);
        struct stopping *held[7];
        struct appended out;
        for (uint64_t i = 0; i < capacity; i++) held[i] = stall(store, slow, i % 2 ? "payload written" : "tail moved");
        expect_equal(totals_of(store).in_flight, capacity);
        expect_equal(try_append(store, writer, &out), APPEND_BLOCKED);
        expect_equal(totals_of(store).length, 0);
        expect_equal(totals_of(store).skipped, tail_of(store) - capacity); /* each refused ticket is counted */
        expect_sound(store);
        for (uint64_t i = 0; i < capacity; i++) expect_equal(wake(held[i]), APPEND_DONE);
        expect_sound(store);
        append_many(store, writer, 2 * capacity);
        expect_equal(totals_of(store).length, capacity);
        expect_sound(store);
        free_store(store);
    }
}

CASE(a_blocked_partition_works_again_when_the_holders_die) {
    struct store *store = make_store((struct wish){.capacity = 2});
    uint32_t writer = join(store, 0), slow = join(store, 1);
    struct appended out;
    abandon(store, slow, "tail moved");
    abandon(store, slow, "payload written");
    expect_equal(try_append(store, writer, &out), APPEND_BLOCKED);
    die(store, slow);
    append_many(store, writer, 3);
    expect_sound(store);
}

CASE(one_free_slot_is_enough) {
    struct store *store = make_store((struct wish){.capacity = 3});
    uint32_t writer = join(store, 0), slow = join(store, 1);
    abandon(store, slow, "tail moved");
    append(store, writer);
    abandon(store, slow, "tail moved");
    for (int i = 0; i < 5; i++) {
        expect_equal(append(store, writer) % 3, 1);
        expect_sound(store);
    }
}

/* ---- clearing ---------------------------------------------------------------------------------------------------- */

CASE(what_was_cleared_is_a_gap_of_its_own_and_discards_nothing) {
    struct store *store = make_store((struct wish){.capacity = 3});
    uint32_t writer = join(store, 0);
    append_many(store, writer, 4);
    ring_raise_floor(&store->handle.ring, 0, 3);
    expect_tickets(store, "cccr");
    expect_sound(store);
    append_many(store, writer, 2); /* try_append expects that no cleared record is handed out as discarded */
    expect_tickets(store, "cccrrr");
    append(store, writer);
    expect_tickets(store, "cccl"
                          "rrr");
    expect_sound(store);
}

struct clearing {
    struct store *store;
    uint32_t writer;
    char letters[16];
};

/* When told of what is in flight: two more records come, and all but what comes then is cleared. */
static bool clear_meanwhile(void *context, uint32_t partition, uint64_t first, uint64_t end, enum gap_reason reason) {
    struct clearing *clearing = context;
    (void)partition;
    memset(clearing->letters + first, " lvsci"[reason], end - first);
    if (reason == GAP_IN_FLIGHT) {
        append_many(clearing->store, clearing->writer, 2);
        ring_raise_floor(&clearing->store->handle.ring, 0, tail_of(clearing->store));
    }
    return true;
}

CASE(what_is_cleared_while_it_is_read_is_told_as_cleared) {
    struct store *store = make_store((struct wish){.capacity = 4});
    struct clearing clearing = {store, join(store, 0), {0}};
    append_many(store, clearing.writer, 4);
    struct stopping *slow = stall(store, join(store, 1), "tail moved"); /* ticket 4 */
    append_many(store, clearing.writer, 3);
    uint64_t next = 4, end = tail_of(store);
    struct destination to = make_destination(&store->handle.geometry, 8);
    memset(clearing.letters, 'r', 8);
    const struct gap_sink sink = {clear_meanwhile, &clearing};
    expect_equal(ring_read(&store->handle.ring, 0, &next, end, false, &to, &sink), READ_END);
    expect_text_at(__FILE__, __LINE__, clearing.letters, "rrrriccc"); /* 6 and 7 were never overwritten */
    expect_equal(wake(slow), APPEND_DONE);
}

CASE(the_floor_never_falls) {
    struct store *store = make_store((struct wish){0});
    append_many(store, join(store, 0), 5);
    ring_raise_floor(&store->handle.ring, 0, 4);
    ring_raise_floor(&store->handle.ring, 0, 2);
    expect_tickets(store, "ccccr");
    expect_equal(totals_of(store).oldest, 4);
}

CASE(a_cleared_claim_may_still_publish_die_or_stall) {
    struct store *store = make_store((struct wish){.capacity = 3});
    uint32_t writer = join(store, 0), slow = join(store, 1), mortal = join(store, 2);
    struct stopping *stalled = stall(store, slow, "tail moved");
    abandon(store, mortal, "tail moved");
    append(store, writer);
    ring_raise_floor(&store->handle.ring, 0, tail_of(store));
    expect_tickets(store, "ccc");
    expect_sound(store);
    die(store, mortal);
    append_many(store, writer, 2);
    expect_tickets(store, "cccsrr");
    expect_equal(totals_of(store).voided, 1);
    expect_sound(store);
    expect_equal(wake(stalled), APPEND_DONE);
    append_many(store, writer, 3);
    expect_sound(store);
}
