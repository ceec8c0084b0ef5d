/* Whoever dies, or stands still, at any point of a change of streams: it is made once or not at all, and all go on. */
#include "streams_world.h"

#include <pthread.h>

enum { STREAM = 1, OTHER = 2, VICTIM = 1, CAPACITY = 5, ROUNDS = 3 };
enum { ITS_ID = 900, ITS_SEED = 9000 };

static const char *const points[] = {"slot claimed", "before announcing", "announced", "loss told", "discarded",
                                     "put",          "chain led on",      "chained",   "published", "made newest",
                                     "kept",         "finished"};

enum append_kind { SINGLE, CONDITIONAL, BATCH, WHOLE, KEEPING, TAKING, DELETING, KINDS };

static const struct wanted ITS[CAPACITY] = {{ITS_SEED, ITS_ID},
                                            {ITS_SEED + 1, ITS_ID + 1},
                                            {ITS_SEED + 2, NO_ID},
                                            {ITS_SEED + 3, NO_ID},
                                            {ITS_SEED + 4, NO_ID}};

static uint64_t versions_of(const struct world *world, uint32_t stream) { return state_of(world, stream, 0).versions; }

static void work(struct world *world, uint64_t count) {
    static uint64_t seed = 1;
    for (uint64_t i = 0; i < count; i++, seed++) {
        const uint32_t user = seed % 2 ? 0 : 2;
        add_with_id(world, user, OTHER, seed, seed % 3 ? 100000 + seed : NO_ID);
    }
}

/* All slots that are free are claimed by somebody who does not use them: the next append takes one. */
static void hoard(struct world *world) {
    const struct log_view log = streams_log(&world->users[4].streams, 0);
    uint32_t slots[CAPACITY + USERS + ROOM_SLOTS], count = 0;
    for (uint32_t slot = 0; slot < log.geometry->log_slots; slot++)
        count += slot_state(load_relaxed(&log_slot(&log, slot)->word)) == SLOT_FREE;
    expect_equal(slots_claim(&log, &world->users[4].streams.spares[0], world->users[4].owner, count, 0, slots),
                 SLOTS_OK);
}

static struct world *make_busy_world(enum append_kind kind) {
    struct world *world = make_world((struct shape){.capacity = CAPACITY});
    store_relaxed(&stream_of(world, OTHER)->most_events, 3);
    work(world, 2 * CAPACITY);
    if (kind == KEEPING) {
        store_relaxed(&stream_of(world, STREAM)->reserve, 2);
        add_with_id(world, 0, STREAM, 1, 50);
        work(world, CAPACITY - 1); /* the next append keeps it */
    } else {
        add_event(world, 0, STREAM, 1);
    }
    if (kind == TAKING) hoard(world);
    return world;
}

static struct doing doing_of(struct world *world, enum append_kind kind) {
    return (struct doing){.world = world,
                          .user = VICTIM,
                          .stream = STREAM,
                          .count = kind == DELETING ? 0
                                   : kind == BATCH  ? 3
                                   : kind == WHOLE  ? CAPACITY
                                                    : 1,
                          .events = ITS,
                          .expected = kind == CONDITIONAL || kind == DELETING ? 0 : EXPECT_ANY};
}

/* Whoever claims next looks at the victim's slot first. */
static void aim_at_its_claim(const struct world *world) {
    const struct log_view log = streams_log(&world->users[0].streams, 0);
    for (uint32_t slot = 0; slot < log.geometry->log_slots; slot++)
        if (slot_owner(load_relaxed(&log_slot(&log, slot)->word)) == world->users[VICTIM].owner)
            store_relaxed(&log.log->hint, slot);
}

/* How many events of the victim's first seed can be read. */
static uint64_t count_its(const struct world *world, uint64_t seed) {
    const struct stream_state state = state_of(world, STREAM, 0);
    uint64_t count = 0;
    for (uint64_t version = state.first; version < state.versions; version++) {
        struct event_seen seen;
        if (look(world, STREAM, version, &seen) == FIND_OK) count += seen.seed == seed;
    }
    return count;
}

/* Whoever repeats an append that it does not know the end of has it once. */
static void expect_once(struct world *world, enum append_kind kind) {
    struct doing again = doing_of(world, kind);
    if (kind == DELETING) return;
    again.user = 3;
    again.expected = EXPECT_ANY;
    again.count = kind == BATCH ? 2 : 1; /* what has an id */
    do_it(&again);
    expect(again.status == STREAM_DONE);
    for (uint32_t i = 0; i < again.count; i++) expect_equal(count_its(world, ITS[i].seed), 1);
    if (kind == BATCH) expect(count_its(world, ITS[2].seed) <= 1);
}

CASE(whoever_dies_anywhere_leaves_its_append_made_once_or_not_at_all) {
    uint32_t reached = 0;
    for (int kind = 0; kind < KINDS; kind++)
        for_each(point, points) for (int passes = 0; passes < 3; passes++) for (int others = 0; others < 3; others++) {
            struct world *world = make_busy_world((enum append_kind)kind);
            struct doing doing = doing_of(world, (enum append_kind)kind);
            const bool died = leaves_at(point, passes, do_it, &doing);
            if (!died) expect_equal(doing.status, STREAM_DONE);
            reached += died;
            if (others == 1) add_event(world, 2, STREAM, 2); /* somebody else finishes it */
            if (others == 2) work(world, 1);
            aim_at_its_claim(world);
            replace(world, VICTIM);
            expect_sound_streams(world);
            expect_once(world, (enum append_kind)kind);
            work(world, 3 * CAPACITY);
            expect_sound_streams(world);
            replace(world, 4);
            for (uint32_t user = 0; user < USERS; user++) streams_leave(&world->users[user].streams);
            const struct log_view log = streams_log(&(struct streams){&world->users[0].handle, NULL}, 0);
            uint32_t free_slots = 0;
            for (uint32_t slot = 0; slot < log.geometry->log_slots; slot++)
                free_slots += slot_state(load_relaxed(&log_slot(&log, slot)->word)) == SLOT_FREE;
            expect(free_slots >= log.geometry->log_slots - CAPACITY); /* none is lost */
            for (uint32_t user = 0; user < USERS; user++)
                expect(streams_on(&world->users[user].streams, &world->users[user].handle));
            free_world(world);
        }
    expect(reached > 100);
}

CASE(whoever_stands_still_anywhere_in_an_append_is_overtaken_and_harms_nothing_later) {
    for (int kind = 0; kind < KINDS; kind++) for_each(point, points) for (int others = 0; others < 3; others++) {
            struct world *world = make_busy_world((enum append_kind)kind);
            const uint64_t before = versions_of(world, STREAM);
            struct doing doing = doing_of(world, (enum append_kind)kind);
            struct stalled *stalled = start(do_it, &doing, point);
            if (others) work(world, others == 1 ? 1 : ROUNDS * CAPACITY);
            expect_sound_streams(world);
            finish(stalled);
            expect(doing.status == STREAM_DONE && (kind == DELETING || doing.versions[0] == before));
            expect_equal(versions_of(world, STREAM), before + doing.count);
            expect_sound_streams(world);
            work(world, ROUNDS * CAPACITY);
            expect_sound_streams(world);
            free_world(world);
        }
}

CASE(two_who_stand_still_in_changes_of_the_same_stream_make_both_once) {
    for_each(first, points) for_each(second, points) {
        struct world *world = make_busy_world(SINGLE);
        const struct wanted others[] = {{7, ITS_ID}};
        struct doing one = doing_of(world, SINGLE), two = doing_of(world, SINGLE);
        two.user = 3;
        two.events = others; /* of the same id */
        struct stalled *a = start(do_it, &one, first), *b = start(do_it, &two, second);
        work(world, 1);
        finish(a);
        work(world, 1);
        finish(b);
        expect(one.status == STREAM_DONE && two.status == STREAM_DONE);
        expect_equal(one.versions[0], two.versions[0]);
        expect_equal(one.answer.appended + two.answer.appended, 1);
        expect_sound_streams(world);
        free_world(world);
    }
}

CASE(whoever_dies_while_it_gives_back_leaves_no_slot_behind) {
    struct world *world = make_busy_world(SINGLE);
    add_event(world, VICTIM, STREAM, 1);
    struct streams copy = world->users[VICTIM].streams;
    expect(leaves_at("slot freed", 0, (void (*)(void *))streams_leave, &copy));
    replace(world, VICTIM);
    expect_sound_streams(world);
    work(world, 20);
    expect_sound_streams(world);
    free_world(world);
}

CASE(whoever_dies_while_it_tells_a_loss_has_told_how_many_could_be_read) {
    for (uint32_t lost = 0; lost < CAPACITY; lost++) {
        struct world *world = make_world((struct shape){.capacity = CAPACITY});
        const struct streams *streams = &world->users[0].streams;
        for (uint64_t i = 0; i < CAPACITY; i++) add_event(world, 0, i < lost ? STREAM : OTHER, i);
        streams_truncate(streams, OTHER, CAPACITY);
        for (uint32_t i = 0; i < lost; i++) add_event(world, 2, STREAM, i);
        struct doing doing = doing_of(world, SINGLE);
        expect(leaves_at("loss told", 0, do_it, &doing));
        expect_equal(state_of(world, OTHER, 0).discarded, 0);
        replace(world, VICTIM);
        for (uint64_t i = 0; i < 2 * CAPACITY; i++) {
            add_event(world, 0, STREAM, i);
            expect_equal(state_of(world, OTHER, 0).discarded, 0);
            expect_equal(state_of(world, STREAM, 0).discarded, state_of(world, STREAM, 0).lost);
        }
        expect_equal(state_of(world, OTHER, 0).lost, CAPACITY - lost);
        free_world(world);
    }
}
