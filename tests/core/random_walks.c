/* Random walks: writers stop at random points of the core and go on, die, are repaired or replaced, in any order.
 *
 * Only one thread moves at a time, so every step is a state that a schedule can lead to, and each must be sound. */
#include "harness.h"

enum { WRITERS = 5, MOST_TICKETS = REMEMBERED - 40000 };

static const char *const POINTS[] = {"before claim", "claimed",      "tail moved", "payload written",
                                     "skip marked",  "skip counted", "late",       "settle begun"};
static const char *any_point(void) { return POINTS[random_number(sizeof POINTS / sizeof *POINTS)]; }

struct writer {
    uint32_t place, owner;
    enum { FREE, IDLE, STOPPED, DEAD } is;
    struct stopping *append;
    struct sweeping sweeping;
    struct stalled *sweep; /* of a repairer that has stopped on the way, or NULL */
};

static void step(struct store *store, struct writer *writer) {
    switch (writer->is) {
    case FREE:
        writer->owner = join(store, writer->place);
        writer->is = IDLE;
        break;
    case IDLE:
        writer->append = start_append(store, writer->owner, any_point());
        writer->is = STOPPED;
        break;
    case STOPPED:
        if (is_stopped(writer->append) && !random_number(4)) {
            die(store, writer->owner);
            writer->is = DEAD; /* its thread stays where it is */
        } else if (!stops_again(writer->append, any_point())) {
            wake(writer->append);
            writer->is = IDLE;
        }
        break;
    case DEAD:
        switch (random_number(4)) {
        case 0:
            repair(store, writer->owner);
            writer->is = FREE;
            break;
        case 1:
            writer->owner = join(store, writer->place);
            writer->is = IDLE;
            break;
        case 2:
            if (writer->sweep) break;
            writer->sweeping = (struct sweeping){.store = store, .owner = writer->owner};
            writer->sweep = start(sweep, &writer->sweeping, random_number(2) ? "sweep" : "settle begun");
            break;
        default: follow(store);
        }
        break;
    }
}

/* Let a repairer go on that has been standing still, perhaps long after others have done its work. */
static void finish_sweep(struct writer *writer) {
    if (writer->sweep) finish(writer->sweep);
    writer->sweep = NULL;
}

/* An append to a partition of which every slot is held fails only after a while. */
static bool is_blocked(const struct store *store) {
    uint64_t held = 0;
    for (uint64_t slot = 0; slot < store->handle.geometry.slots; slot++) held += word_held(word_at(store, slot));
    return held == store->handle.geometry.slots;
}

static void walk(uint64_t capacity, uint32_t layout, uint64_t first, uint64_t steps) {
    struct store *store = make_store((struct wish){.capacity = capacity, .layout = layout});
    struct writer writers[WRITERS] = {{0}};
    if (first) start_at(store, first);
    for (uint32_t i = 0; i < WRITERS; i++) writers[i].place = i;
    uint32_t steady = join(store, WRITERS);
    for (uint64_t i = 0; i < steps && tail_of(store) - store->first < MOST_TICKETS; i++) {
        struct writer *writer = &writers[random_number(WRITERS)];
        struct appended out;
        uint64_t tail = tail_of(store), back = random_number(capacity + 1);
        if (!random_number(20) && back <= tail) ring_raise_floor(&store->handle.ring, 0, tail - back);
        else if (!random_number(10)) finish_sweep(writer);
        else if (random_number(3) && writer->is != IDLE) step(store, writer);
        else if (is_blocked(store) && random_number(30)) continue;
        else if (random_number(2)) step(store, writer);
        else try_append(store, steady, &out);
        expect_sound(store);
    }
    /* Whoever is left ends, one way or the other, perhaps blocked by the others; then the ring is as good as new. */
    for (uint32_t i = 0; i < WRITERS; i++) {
        if (writers[i].is == STOPPED) expect(wake(writers[i].append) <= APPEND_BLOCKED);
        finish_sweep(&writers[i]);
        if (writers[i].is == DEAD) repair(store, writers[i].owner);
        expect_sound(store);
    }
    append_many(store, steady, 2 * capacity);
    expect_equal(totals_of(store).length, capacity);
    expect_sound(store);
    free_store(store);
}

CASE(every_state_on_a_random_walk_is_sound) {
    for_each(layout, BOTH_LAYOUTS) for_each(capacity, SMALL_CAPACITIES) for (uint64_t i = 0; i < 4; i++)
        walk(capacity, layout, 0, 4 * effort);
}

CASE(every_state_on_a_random_walk_across_a_limit_is_sound) {
    for_each(layout, BOTH_LAYOUTS) for_each(capacity, SMALL_CAPACITIES) {
        const uint64_t limits[] = {((UINT64_C(1) << LAP_BITS) - 1) * capacity, UINT64_C(1) << 31, UINT64_C(1) << 32};
        for_each(limit, limits) walk(capacity, layout, limit - 3 * capacity - random_number(10), 2 * effort);
    }
}
