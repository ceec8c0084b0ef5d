/* Appending in turn: exactly the newest are kept; and giving way to others that append as well. */
#define _GNU_SOURCE
#include "core/ring/pace.h"
#include "core/ring/turn.h"

#include "harness.h"

enum { HANDLES = 6, STEPS = 3000 };

static const uint32_t PARTITIONS[] = {1, 2, 3, 5, 8, 16, 64};

static uint64_t append_at(struct store *store, uint32_t owner, uint32_t partition) {
    unsigned char record[STAGED_BYTES];
    struct appended out;
    stage(&store->handle.geometry, owner, 0, record);
    expect_equal(ring_append(&store->handle.ring, partition, owner, record, NULL, &out), APPEND_DONE);
    return out.ticket;
}

/* By how many records the fullest partition is ahead of the emptiest. */
static uint64_t unevenness(const struct store *store) {
    uint64_t least = UINT64_MAX, most = 0;
    for (uint32_t i = 0; i < store->handle.geometry.options.partitions; i++) {
        uint64_t tail = turn_tail(&store->handle.ring, i);
        if (tail < least) least = tail;
        if (tail > most) most = tail;
    }
    return most - least;
}

static struct store *make(uint32_t partitions) {
    return make_store((struct wish){.capacity = 7 * partitions, .partitions = partitions});
}

/* Ticket t of partition p is then the record number t * partitions + p, and each partition keeps its newest. */
CASE(in_turn_one_after_the_other_each_record_takes_the_next_place_whoever_appends) {
    for_each(partitions, PARTITIONS) {
        struct store *store = make(partitions);
        uint32_t owner = join(store, 0);
        atomic_u64 turns[HANDLES] = {0};
        for (uint64_t number = 0; number < STEPS * effort / 100; number++) {
            atomic_u64 *turn = &turns[random_number(HANDLES)];
            if (!random_number(5)) store_relaxed(turn, 0); /* as somebody who has just attached */
            uint32_t partition = turn_take(&store->handle.ring, turn);
            expect_equal(append_at(store, owner, partition) * partitions + partition, number);
        }
        free_store(store);
    }
}

CASE(in_turn_whoever_chooses_at_the_same_moment_makes_partitions_uneven_by_no_more_than_one_each) {
    for_each(partitions, PARTITIONS) {
        struct store *store = make(partitions);
        uint32_t owner = join(store, 0);
        atomic_u64 turns[HANDLES] = {0};
        int64_t chosen[HANDLES];
        memset(chosen, -1, sizeof chosen);
        for (uint64_t step = 0; step < STEPS * effort / 100; step++) {
            uint64_t handle = random_number(HANDLES);
            if (chosen[handle] < 0) {
                chosen[handle] = turn_take(&store->handle.ring, &turns[handle]);
            } else {
                append_at(store, owner, (uint32_t)chosen[handle]);
                chosen[handle] = -1;
            }
            expect(unevenness(store) <= HANDLES);
        }
        for (uint32_t i = 0; i < HANDLES * partitions; i++)
            append_at(store, owner, turn_take(&store->handle.ring, &turns[0]));
        expect(unevenness(store) <= 1); /* nothing of it stays */
        free_store(store);
    }
}

CASE(in_turn_partitions_that_were_filled_unevenly_become_even) {
    for_each(partitions, PARTITIONS) {
        struct store *store = make(partitions);
        uint32_t owner = join(store, 0);
        atomic_u64 turn = 0;
        const uint32_t full = (uint32_t)random_number(partitions);
        for (int i = 0; i < 20; i++) append_at(store, owner, full);
        for (uint32_t i = 0; i < 20 * (partitions - 1); i++)
            append_at(store, owner, turn_take(&store->handle.ring, &turn));
        expect_equal(unevenness(store), 0);
        free_store(store);
    }
}

CASE(whoever_has_given_way_is_not_asked_again_for_as_long_by_any_partition) {
    struct store *store = make(16);
    uint32_t other = join(store, 0);
    atomic_u64 gave_way = 0;
    for (uint32_t i = 0; i < 16; i++) append_at(store, other, i);
    pace(&store->handle.ring, 0, 0, true, &gave_way);
    const uint64_t way = (uint64_t)pace_way_ns(&store->handle.ring);
    uint64_t last = load_relaxed(&gave_way); /* when the pause ended */
    expect(last && (uint64_t)pace_clock_ns() >= last);
    for (uint32_t i = 1; i < 16; i++) {
        pace(&store->handle.ring, i, 0, true, &gave_way);
        uint64_t end = load_relaxed(&gave_way);
        expect(end == last || end - last >= 2 * way); /* when the system stops us for longer */
        last = end;
    }
    while ((int64_t)((uint64_t)pace_clock_ns() - last) < (int64_t)way) {}
    pace(&store->handle.ring, 1, 1, true, &gave_way);  /* nobody else has appended */
    pace(&store->handle.ring, 1, 0, false, &gave_way); /* nothing of ours for a while */
    expect_equal(load_relaxed(&gave_way), last);
    pace(&store->handle.ring, 1, 0, true, &gave_way);
    expect(load_relaxed(&gave_way) > last);
    free_store(store);
}
