/* Numbers that wrap: every counter starts just below its limit and crosses it during ordinary and hard work. */
#include "harness.h"

#define LAPS (UINT64_C(1) << LAP_BITS)

/* Two laps of appends around a writer that stalls for a lap, one that dies, and a clearing; sound after each step. */
static void live_a_hard_life(struct store *store) {
    const uint64_t slots = store->handle.geometry.slots;
    uint32_t writer = join(store, 0), slow = join(store, 1), mortal = join(store, 2);
    for (int round = 0; round < 4; round++) {
        struct stopping *stalled = stall(store, slow, "payload written");
        expect_sound(store);
        for (uint64_t i = 0; slots > 1 && i < slots + 1; i++) {
            append(store, writer);
            expect_sound(store);
        }
        expect_equal(wake(stalled), APPEND_DONE);
        abandon(store, mortal, round % 2 ? "claimed" : "tail moved");
        expect_sound(store);
        die(store, mortal);
        if (round % 2) repair(store, mortal);
        expect_sound(store);
        for (uint64_t i = 0; i < slots + 1; i++) {
            append(store, writer);
            expect_sound(store);
        }
        if (round == 2) ring_raise_floor(&store->handle.ring, 0, tail_of(store) - slots / 2);
        mortal = join(store, 2);
    }
}

static void cross_at(uint64_t first, uint64_t limit, struct wish wish, uint32_t counted) {
    struct store *store = make_store(wish);
    start_at(store, first);
    if (counted) counted_before(store, counted);
    live_a_hard_life(store);
    expect(tail_of(store) > limit);
    free_store(store);
}

static void cross(uint64_t limit, uint32_t counted) {
    for_each(layout, BOTH_LAYOUTS) for_each(capacity, SMALL_CAPACITIES) {
        uint64_t ticket = limit == LAPS ? (LAPS - 1) * capacity : limit;
        for (uint64_t before = 1; before < 3 * capacity; before += capacity)
            cross_at(ticket - before, ticket, (struct wish){.capacity = capacity, .layout = layout}, counted);
    }
}

CASE(laps_cross_2_to_the_40) { cross(LAPS, 0); }
CASE(tickets_cross_2_to_the_31) { cross(UINT64_C(1) << 31, 0); } /* ledgers name a ticket by its low 31 bits */
CASE(tickets_cross_2_to_the_32) { cross(UINT64_C(1) << 32, 0); }
CASE(counts_of_loss_cross_2_to_the_32) { cross(UINT64_C(1) << 40, UINT32_MAX - 1); }

CASE(lap_0_after_the_limit_is_a_lap_like_any_other) {
    struct store *store = make_store((struct wish){.capacity = 3});
    uint32_t writer = join(store, 0), mortal = join(store, 1);
    start_at(store, (LAPS - 1) * 3 - 3);
    append_many(store, writer, 4);
    abandon(store, mortal, "tail moved");
    expect_equal(word_lap(word_at(store, 0)), 0);
    expect_equal(word_at(store, 1), slot_word(0, mortal, WRITING));
    append(store, writer);
    expect_tickets(store, "lllrir");
    die(store, mortal);
    repair(store, mortal);
    expect_equal(word_at(store, 1), slot_word(0, 0, VOID));
    append_many(store, writer, 2);
    expect_equal(word_at(store, 1), slot_word(1, 0, PUBLISHED));
    expect_tickets(store, "lllllrrr");
    expect_sound(store);
}

CASE(a_loss_at_the_limit_of_a_count_is_counted_once) {
    struct store *store = make_store((struct wish){.capacity = 3});
    uint32_t writer = join(store, 0), slow = join(store, 1), helper = join(store, 2);
    start_at(store, 3000);
    counted_before(store, UINT32_MAX);
    abandon(store, slow, "tail moved");
    append_many(store, writer, 2);
    abandon(store, helper, "skip counted"); /* the count is 0 now, and the tail not moved */
    append(store, writer);
    expect_equal((uint32_t)ring_partition(&store->handle.ring, 0)->skip_ledger, 0);
    expect_sound(store);
}

CASE(a_word_keeps_lap_owner_and_state_apart) {
    for (int i = 0; i < 1000; i++) {
        uint64_t lap = random_number(2) ? LAPS - 1 - random_number(2) : random_number(LAPS);
        uint32_t owner = (uint32_t)(random_number(2) ? OWNER_MASK - random_number(2) : random_number(OWNER_MASK));
        for (enum state state = EMPTY; state <= ABANDONED; state++) {
            uint64_t word = slot_word(lap, owner, state);
            expect(word_lap(word) == lap && word_owner(word) == owner && word_state(word) == state);
        }
    }
}

CASE(a_generation_that_wraps_is_another_owner_than_those_near_it) {
    struct store *store = make_store((struct wish){.capacity = 3});
    store_relaxed(&processes_place(&store->handle.ring, 5)->word, UINT64_C(509) << 8 | PLACE_FREE);
    uint32_t writer = join(store, 0), before = 0;
    for (uint32_t generation = 510; generation < 515; generation++) {
        uint32_t owner = join(store, 5);
        expect_equal(owner, (generation & 511) << 12 | 5);
        if (before) expect(store->handle.ring.liveness.is_dead(store, before));
        expect(!store->handle.ring.liveness.is_dead(store, owner));
        abandon(store, owner, "tail moved"); /* the next holder of the place voids it on entering */
        append_many(store, writer, 1);
        die(store, owner);
        expect_sound(store);
        before = owner;
    }
}
