/* Streams, one process at a time: versions, expectations, ids, batches, deletions, and what gives way to what. */
#include "streams_world.h"

enum { STREAM = 1, OTHER = 2, USER = 1 };

static struct doing doing_of(struct world *world, const struct wanted *events, uint32_t count, uint64_t expected) {
    return (struct doing){
        .world = world, .user = USER, .stream = STREAM, .count = count, .events = events, .expected = expected};
}

static enum stream_status try_event(struct world *world, uint64_t seed, uint64_t expected) {
    const struct wanted wanted = {seed, NO_ID};
    struct doing doing = doing_of(world, &wanted, 1, expected);
    do_it(&doing);
    return doing.status;
}

static enum stream_status delete (struct world *world, bool for_ever, uint64_t expected) {
    struct doing doing = doing_of(world, NULL, 0, expected); doing.for_ever = for_ever; do_it(&doing);
    return doing.status;
}

static uint64_t seed_of(uint32_t stream, uint64_t version) { return version * 10 + stream; }

/* ---- versions ---------------------------------------------------------------------------------------------------- */

CASE(versions_count_from_0_and_the_newest_are_read_back) {
    static const struct shape shapes[] = {{1, 1, 4, 0}, {2, 1, 4, 0}, {3, 2, 4, 0}, {7, 3, 4, 0}, {200, 2, 4, 0}};
    for_each(shape, shapes) {
        struct world *world = make_world(shape);
        uint64_t versions[4] = {0};
        for (uint64_t i = 0; i < 4 * shape.capacity + 30; i++) {
            const uint32_t stream = (uint32_t)random_number(4), user = (uint32_t)random_number(USERS);
            expect_equal(add_event(world, user, stream, seed_of(stream, versions[stream])), versions[stream]);
            versions[stream]++;
            if (i % (1 + shape.capacity / 5) == 0) expect_sound_streams(world);
            for (uint32_t s = 0; s < 4; s++) {
                struct event_seen seen;
                const struct stream_state state = state_of(world, s, 0);
                expect_equal(state.versions, versions[s]);
                expect(state.exists == (versions[s] > 0) && state.discarded == state.lost);
                if (state.first < versions[s]) {
                    const uint64_t version = state.first + random_number(versions[s] - state.first);
                    expect_equal(look(world, s, version, &seen), FIND_OK);
                    expect_equal(seen.seed, seed_of(s, version));
                }
                if (state.lost) expect_equal(look(world, s, random_number(state.lost), &seen), FIND_LOST);
            }
        }
        free_world(world);
    }
}

CASE(an_append_is_made_if_its_stream_is_as_expected) {
    struct world *world = make_world((struct shape){.capacity = 20});
    expect_equal(try_event(world, 1, EXPECT_EXISTS), STREAM_CONFLICT);
    expect_equal(try_event(world, 1, 0), STREAM_CONFLICT);
    expect_equal(try_event(world, 1, EXPECT_NO_STREAM), STREAM_DONE);
    expect_equal(try_event(world, 2, EXPECT_NO_STREAM), STREAM_CONFLICT);
    expect_equal(try_event(world, 2, 1), STREAM_CONFLICT);
    expect_equal(try_event(world, 2, 0), STREAM_DONE);
    expect_equal(try_event(world, 3, 0), STREAM_CONFLICT);
    expect_equal(try_event(world, 3, EXPECT_EXISTS), STREAM_DONE);
    expect_equal(try_event(world, 4, 2), STREAM_DONE);
    expect_equal(state_of(world, STREAM, 0).versions, 4);
    const struct wanted wanted = {9, NO_ID};
    struct doing doing = doing_of(world, &wanted, 1, 7);
    do_it(&doing);
    expect(doing.status == STREAM_CONFLICT && doing.answer.versions == 4 && !doing.answer.appended);
    expect_sound_streams(world);
    free_world(world);
}

/* ---- ids --------------------------------------------------------------------------------------------------------- */

CASE(an_id_is_appended_once_for_as_long_as_its_event_has_its_slot) {
    static const uint64_t capacities[] = {1, 2, 7, 50};
    for_each(capacity, capacities) {
        struct world *world = make_world((struct shape){.capacity = capacity});
        uint64_t appended[4][40], tickets = 0;
        memset(appended, 0xff, sizeof appended);
        for (uint64_t i = 0; i < 20 * capacity + 200; i++) {
            const uint32_t stream = (uint32_t)random_number(4);
            const uint64_t id = 1 + random_number(39), versions = state_of(world, stream, 0).versions;
            const bool known = appended[stream][id] != UINT64_MAX && appended[stream][id] + capacity >= tickets;
            const uint64_t version = add_with_id(world, (uint32_t)random_number(USERS), stream, i, id);
            expect(known == (version < versions));
            struct event_seen seen;
            if (look(world, stream, version, &seen) == FIND_OK) expect_equal(seen.id, id);
            if (known) continue;
            expect_equal(version, versions);
            appended[stream][id] = tickets++;
        }
        expect_sound_streams(world);
        free_world(world);
    }
}

CASE(what_was_done_before_is_no_conflict) {
    struct world *world = make_world((struct shape){.capacity = 20});
    const struct wanted wanted = {5, 77};
    struct doing doing = doing_of(world, &wanted, 1, EXPECT_NO_STREAM);
    for (int again = 0; again < 3; again++) {
        do_it(&doing);
        expect(doing.status == STREAM_DONE && doing.versions[0] == 0 && doing.answer.appended == !again);
        add_event(world, USER, STREAM, 6);
    }
    expect_sound_streams(world);
    free_world(world);
}

/* ---- batches ----------------------------------------------------------------------------------------------------- */

CASE(a_batch_gets_consecutive_versions_and_those_of_its_ids_that_are_there) {
    struct world *world = make_world((struct shape){.capacity = 12});
    const struct wanted first[] = {{1, 11}, {2, NO_ID}, {3, 13}}, second[] = {{4, 14}, {9, 13}, {5, 15}, {9, 11}};
    struct doing doing = doing_of(world, first, 3, EXPECT_NO_STREAM);
    do_it(&doing);
    expect(doing.status == STREAM_DONE && doing.answer.appended == 3);
    for (uint64_t i = 0; i < 3; i++) expect_equal(doing.versions[i], i);
    doing = doing_of(world, second, 4, 2);
    do_it(&doing);
    expect(doing.status == STREAM_DONE && doing.answer.appended == 2 && doing.answer.position == 3);
    expect(doing.versions[0] == 3 && doing.versions[1] == 2 && doing.versions[2] == 4 && doing.versions[3] == 0);
    do_it(&doing);
    expect(doing.status == STREAM_DONE && !doing.answer.appended && doing.versions[2] == 4);
    expect_sound_streams(world);
    struct event_seen seen;
    for (uint64_t version = 0; version < 5; version++) {
        expect_equal(look(world, STREAM, version, &seen), FIND_OK);
        expect_equal(seen.seed, version + 1);
    }
    free_world(world);
}

CASE(a_batch_may_fill_a_log_and_is_refused_beyond) {
    static const uint64_t capacities[] = {1, 3, 7, 15};
    for_each(capacity, capacities) {
        struct world *world = make_world((struct shape){.capacity = capacity});
        struct wanted events[16];
        for (uint64_t i = 0; i < 16; i++) events[i] = (struct wanted){100 + i, i % 2 ? i : NO_ID};
        struct doing doing = doing_of(world, events, (uint32_t)capacity + 1, EXPECT_ANY);
        do_it(&doing);
        expect_equal(doing.status, STREAM_TOO_MANY);
        for (uint64_t round = 0; round < 20; round++) {
            for (uint64_t i = 0; i < 16; i++)
                events[i] = (struct wanted){round * 100 + i, i % 2 ? round * 100 + i : NO_ID};
            doing = doing_of(world, events, 1 + (uint32_t)random_number(capacity), EXPECT_ANY);
            doing.user = (uint32_t)random_number(USERS);
            const uint64_t versions = state_of(world, STREAM, 0).versions;
            do_it(&doing);
            expect_equal(doing.status, STREAM_DONE);
            for (uint64_t i = 0; i < doing.count; i++) expect_equal(doing.versions[i], versions + i);
            expect_sound_streams(world);
        }
        free_world(world);
    }
}

/* ---- deletions, limits ------------------------------------------------------------------------------------------- */

CASE(a_deleted_stream_has_no_events_and_goes_on_with_its_versions) {
    struct world *world = make_world((struct shape){.capacity = 20});
    expect_equal(delete (world, false, EXPECT_ANY), STREAM_DONE);
    expect_equal(state_of(world, STREAM, 0).versions, 0);
    for (uint64_t i = 0; i < 3; i++) add_event(world, USER, STREAM, i);
    expect_equal(delete (world, false, 1), STREAM_CONFLICT);
    expect_equal(delete (world, false, 2), STREAM_DONE);
    struct stream_state state = state_of(world, STREAM, 0);
    expect(!state.exists && !state.closed && state.versions == 3 && state.first == 3);
    expect_equal(try_event(world, 3, EXPECT_EXISTS), STREAM_CONFLICT);
    expect_equal(try_event(world, 3, EXPECT_NO_STREAM), STREAM_DONE);
    state = state_of(world, STREAM, 0);
    expect(state.exists && state.versions == 4 && state.first == 3);
    expect_sound_streams(world);
    expect_equal(delete (world, true, EXPECT_ANY), STREAM_DONE);
    state = state_of(world, STREAM, 0);
    expect(!state.exists && state.closed && state.first == state.versions);
    expect_equal(try_event(world, 5, EXPECT_ANY), STREAM_DELETED);
    expect_equal(delete (world, true, EXPECT_ANY), STREAM_DONE);
    expect_equal(delete (world, false, EXPECT_ANY), STREAM_DONE);
    expect_sound_streams(world);
    for (uint64_t i = 0; i < 50; i++) add_event(world, USER, OTHER, i);
    state = state_of(world, STREAM, 0);
    expect(state.closed && state.lost == 4 && !state.discarded);
    expect_sound_streams(world);
    free_world(world);
}

CASE(a_stream_that_is_deleted_for_ever_knows_no_id) {
    struct world *world = make_world((struct shape){.capacity = 20});
    const struct wanted wanted = {5, 77};
    struct doing doing = doing_of(world, &wanted, 1, EXPECT_ANY);
    do_it(&doing);
    expect_equal(delete (world, true, EXPECT_ANY), STREAM_DONE);
    do_it(&doing);
    expect_equal(doing.status, STREAM_DELETED);
    free_world(world);
}

CASE(to_delete_what_does_not_exist_overwrites_nothing) {
    struct world *world = make_world((struct shape){.capacity = 3});
    for (uint64_t i = 0; i < 2; i++) add_event(world, USER, OTHER, i);
    expect_equal(delete (world, false, EXPECT_ANY), STREAM_DONE);
    add_event(world, USER, STREAM, 0);
    expect_equal(delete (world, false, EXPECT_ANY), STREAM_DONE);
    expect_equal(state_of(world, OTHER, 0).lost, 1);
    for (int again = 0; again < 3; again++) expect_equal(delete (world, false, EXPECT_ANY), STREAM_DONE);
    expect_equal(state_of(world, OTHER, 0).lost, 1);
    expect_sound_streams(world);
    free_world(world);
}

CASE(what_was_given_up_or_is_beyond_a_limit_cannot_be_read_and_is_no_loss) {
    struct world *world = make_world((struct shape){.capacity = 20});
    for (uint64_t i = 0; i < 10; i++) add_event(world, USER, STREAM, i);
    const struct streams *streams = &world->users[USER].streams;
    streams_truncate(streams, STREAM, 4);
    streams_truncate(streams, STREAM, 2);
    expect_equal(state_of(world, STREAM, 0).first, 4);
    store_relaxed(&stream_of(world, STREAM)->most_events, 5);
    expect_equal(state_of(world, STREAM, 0).first, 5);
    for (uint64_t i = 0; i < 20; i++) add_event(world, USER, OTHER, i);
    struct stream_state state = state_of(world, STREAM, 0);
    expect(state.lost == 10 && state.discarded == 5 && state.first == 10);
    streams_truncate(streams, OTHER, 1000);
    expect(state_of(world, OTHER, 0).first == 20 && !state_of(world, OTHER, 0).lost);
    for (uint64_t i = 0; i < 20; i++) add_event(world, USER, STREAM, i);
    expect_equal(state_of(world, OTHER, 0).discarded, 0);
    expect_sound_streams(world);
    free_world(world);
}

CASE(what_is_older_than_its_lifetime_cannot_be_read) {
    struct world *world = make_world((struct shape){.capacity = 200});
    store_relaxed(&stream_of(world, STREAM)->most_ns, 100);
    for (uint64_t i = 0; i < 100; i++) {
        const struct wanted wanted = {i, NO_ID};
        struct doing doing = doing_of(world, &wanted, 1, EXPECT_ANY);
        doing.now_ns = 1000 + i * 10 - (i % 3) * 20; /* clocks go back; times do not */
        do_it(&doing);
    }
    expect_equal(state_of(world, STREAM, 1100).first, 0);
    uint64_t before = 0;
    for (uint64_t now = 1100; now < 2200; now += 7) {
        const uint64_t first = state_of(world, STREAM, now).first;
        struct event_seen seen;
        expect(first >= before && first <= 100);
        if (first < 100) expect(look(world, STREAM, first, &seen) == FIND_OK && seen.time_ns >= now - 100);
        if (first) expect(look(world, STREAM, first - 1, &seen) == FIND_OK && seen.time_ns < now - 100);
        before = first;
    }
    expect_equal(before, 100);
    expect_sound_streams(world);
    free_world(world);
}
