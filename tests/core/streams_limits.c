/* What gives way to what in a log, links from event to event, tickets, and numbers that wrap. */
#include "streams_world.h"

#include "core/streams/seek.h"

enum { STREAM = 1, OTHER = 2, USER = 1 };

/* ---- giving way -------------------------------------------------------------------------------------------------- */

CASE(what_a_stream_has_in_reserve_is_not_overwritten_by_others) {
    static const uint64_t reserves[] = {1, 2, 5};
    for_each(reserve, reserves) {
        struct world *world = make_world((struct shape){.capacity = 7});
        store_relaxed(&stream_of(world, STREAM)->reserve, reserve);
        uint64_t versions = 0;
        for (uint64_t i = 0; i < 300; i++) {
            if (i < reserve || !random_number(9))
                expect_equal(add_with_id(world, USER, STREAM, versions, 1000 + versions), versions), versions++;
            else add_with_id(world, (uint32_t)random_number(USERS), OTHER, i, 5000 + i);
            const struct stream_state state = state_of(world, STREAM, 0);
            expect(state.versions == versions && versions - state.first >= (versions < reserve ? versions : reserve));
            expect_sound_streams(world);
            if (!versions) continue;
            struct event_seen seen;
            const uint64_t version = versions - 1 - random_number(versions < reserve ? versions : reserve);
            expect(look(world, STREAM, version, &seen) == FIND_OK && seen.seed == version);
            expect_equal(add_with_id(world, 0, STREAM, 77, 1000 + version), version); /* its id is remembered, too */
        }
        free_world(world);
    }
}

CASE(a_reserve_of_all_there_is_ends_where_there_is_no_room) {
    struct world *world = make_world((struct shape){.capacity = 7});
    store_relaxed(&stream_of(world, STREAM)->reserve, 1000);
    store_relaxed(&stream_of(world, OTHER)->reserve, 1000);
    for (uint64_t i = 0; i < 100; i++) {
        add_event(world, USER, random_number(2) ? STREAM : OTHER, i);
        expect_sound_streams(world);
    }
    const struct stream_state one = state_of(world, STREAM, 0), other = state_of(world, OTHER, 0);
    expect_equal(one.versions - one.first + other.versions - other.first, 7);
    free_world(world);
}

CASE(what_has_expired_is_in_no_reserve) {
    struct world *world = make_world((struct shape){.capacity = 7});
    store_relaxed(&stream_of(world, STREAM)->reserve, 5);
    for (uint64_t i = 0; i < 5; i++) add_event(world, USER, STREAM, i);
    streams_truncate(&world->users[0].streams, STREAM, 3);
    for (uint64_t i = 0; i < 50; i++) add_event(world, USER, OTHER, i);
    const struct stream_state state = state_of(world, STREAM, 0);
    expect(state.lost == 3 && state.first == 3 && !state.discarded);
    expect_sound_streams(world);
    free_world(world);
}

CASE(where_others_hold_all_slots_the_oldest_event_gives_way) {
    static const uint64_t capacities[] = {1, 2, 7};
    for_each(capacity, capacities) {
        struct world *world = make_world((struct shape){.capacity = capacity});
        const struct log_view log = streams_log(&world->users[0].streams, 0);
        const uint32_t others = log.geometry->log_slots - (uint32_t)capacity;
        uint32_t *slots = calloc(others, sizeof *slots);
        uint64_t appended = 0;
        if (!slots) fail("no memory");
        for (; appended < capacity; appended++) add_event(world, USER, STREAM, appended);
        expect_equal(slots_claim(&log, &world->users[2].streams.spares[0], world->users[2].owner, others, 0, slots),
                     SLOTS_OK);
        for (uint32_t user = 1; user < USERS; user++)
            for (uint64_t i = 0; i < 2 * capacity; i++)
                if (user != 2) expect_equal(add_event(world, user, STREAM, appended), appended), appended++;
        expect_sound_streams(world);
        const struct stream_state state = state_of(world, STREAM, 0);
        expect(state.versions == appended && state.discarded == state.lost);
        for (uint32_t i = 0; i < others; i++)
            slots_give_back(&log, &world->users[2].streams.spares[0], world->users[2].owner, slots[i]);
        expect_sound_streams(world);
        replace(world, 2);
        replace(world, 1);
        expect_sound_streams(world);
        free(slots);
        free_world(world);
    }
}

CASE(whoever_takes_a_slot_leaves_what_is_in_reserve) {
    struct world *world = make_world((struct shape){.capacity = 7});
    store_relaxed(&stream_of(world, STREAM)->reserve, 3);
    for (uint64_t i = 0; i < 3; i++) add_with_id(world, USER, STREAM, i, 100 + i);
    for (uint64_t i = 0; i < 4; i++) add_event(world, USER, OTHER, i);
    hold_slots(world, ROOM_SLOTS + USERS - 1);
    for (uint32_t user = 0; user < USERS; user++)
        for (uint64_t i = 0; user != 2 && i < 9; i++) add_event(world, user, OTHER, i);
    const struct stream_state state = state_of(world, STREAM, 0);
    expect(state.versions == 3 && state.first == 0 && !state.lost);
    for (uint64_t i = 0; i < 3; i++) expect_equal(add_with_id(world, 0, STREAM, i, 100 + i), i);
    expect_sound_streams(world);
    free_world(world);
}

CASE(nothing_is_discarded_for_an_append_that_others_leave_no_slots_for) {
    struct world *world = make_world((struct shape){.capacity = 7});
    struct wanted wanted[7] = {{0, NO_ID}};
    struct doing doing = {
        .world = world, .user = 0, .stream = STREAM, .count = 7, .events = wanted, .expected = EXPECT_ANY};
    for (uint64_t i = 0; i < 7; i++) add_event(world, USER, STREAM, i);
    hold_slots(world, ROOM_SLOTS + USERS);
    add_event(world, 3, STREAM, 7); /* takes one slot, and gets the one of what it overwrites */
    do_it(&doing);
    expect_equal(doing.status, STREAM_STALLED);
    expect_equal(state_of(world, STREAM, 0).lost, 2);
    doing.count = 6;
    do_it(&doing);
    expect(doing.status == STREAM_DONE && doing.versions[5] == 13);
    expect_sound_streams(world);
    free_world(world);
}

CASE(a_slot_that_was_given_back_is_claimed_before_any_event_gives_way) {
    struct world *world = make_world((struct shape){.capacity = 6});
    const struct log_view log = streams_log(&world->users[0].streams, 0);
    const struct wanted wanted[] = {{1, NO_ID}, {2, NO_ID}, {3, NO_ID}};
    struct doing doing = {
        .world = world, .user = USER, .stream = STREAM, .count = 3, .events = wanted, .expected = EXPECT_ANY};
    for (uint64_t i = 0; i < 6; i++) add_event(world, 3, STREAM, i);
    hold_slots(world, log.geometry->log_slots - 6);
    add_event(world, USER, STREAM, 6); /* it has looked for a free one in vain */
    slots_leave(&log, &world->users[2].streams.spares[0], world->users[2].owner);
    const uint64_t tail = load_relaxed(&log.log->tail);
    do_it(&doing);
    expect_equal(doing.status, STREAM_DONE);
    expect_equal(load_relaxed(&log.log->tail), tail + 3);
    free_world(world);
}

CASE(whoever_has_freed_slots_finds_them_without_a_search) {
    struct world *world = make_world((struct shape){.capacity = 64});
    const struct log_view log = streams_log(&world->users[0].streams, 0);
    const struct wanted wanted[8] = {{0, NO_ID}};
    struct doing doing = {
        .world = world, .user = USER, .stream = STREAM, .count = 8, .events = wanted, .expected = EXPECT_ANY};
    for (uint64_t i = 0; i < 100; i++) add_event(world, USER, STREAM, i);
    do_it(&doing);
    const uint64_t hint = load_relaxed(&log.log->hint);
    for (int round = 0; round < 20; round++) {
        do_it(&doing);
        expect_equal(doing.status, STREAM_DONE);
        expect_equal(load_relaxed(&log.log->hint), hint);
    }
    expect_sound_streams(world);
    free_world(world);
}

CASE(what_was_kept_and_then_lost_is_counted_once) {
    struct world *world = make_world((struct shape){.capacity = 4});
    const struct log_view log = streams_log(&world->users[0].streams, 0);
    struct log_moment moment;
    for (uint64_t i = 0; i < 2; i++) add_event(world, USER, STREAM, i);
    for (uint64_t i = 0; i < 2; i++) add_event(world, USER, OTHER, i);
    expect(log_tidy(&log, &moment));
    expect(log_announce(&log, moment, CHANGE_KEEP, linked_slot(load_relaxed(log_order(&log, moment.tail))), 1));
    add_event(world, USER, OTHER, 2); /* version 1 is lost, version 0 is behind it */
    struct stream_state state = state_of(world, STREAM, 0);
    expect(state.lost == 2 && state.discarded == 2);
    streams_truncate(&world->users[0].streams, STREAM, 2);
    for (uint64_t i = 0; i < 8; i++) add_event(world, USER, OTHER, i);
    state = state_of(world, STREAM, 0);
    expect(state.lost == 2 && state.discarded == 2);
    expect_sound_streams(world);
    free_world(world);
}

CASE(whoever_leaves_gives_back_what_it_had_claimed) {
    struct world *world = make_world((struct shape){.capacity = 7, .logs = 2});
    for (int round = 0; round < 5; round++)
        for (uint32_t user = 0; user < USERS; user++) {
            for (uint64_t i = 0; i < 20; i++) add_event(world, user, (uint32_t)random_number(4), i);
            streams_leave(&world->users[user].streams);
            expect(streams_on(&world->users[user].streams, &world->users[user].handle));
            for (uint32_t number = 0; number < 2; number++) {
                const struct log_view log = streams_log(&world->users[0].streams, number);
                for (uint32_t slot = 0; slot < log.geometry->log_slots; slot++)
                    expect(slot_owner(load_relaxed(&log_slot(&log, slot)->word)) != world->users[user].owner);
            }
            expect_sound_streams(world);
        }
    free_world(world);
}

/* ---- links ------------------------------------------------------------------------------------------------------- */

enum { MANY = 10000 };

/* Steps from the newest event to a version, as streams_find makes them. */
static uint32_t steps_to(const struct world *world, uint64_t version) {
    const struct streams *streams = &world->users[0].streams;
    const struct log_view log = streams_log(streams, streams_log_of(streams, STREAM));
    uint64_t slot = load_relaxed(&stream_of(world, STREAM)->newest.high);
    for (uint32_t steps = 0;; steps++) {
        struct event_facts facts;
        if (!slots_read(&log, (uint32_t)slot - 1, &facts, NULL, 0)) fail("no event after %u steps", steps);
        expect(facts.version >= version);
        if (facts.version == version) return steps;
        const bool jumps = facts.jump >= version && facts.jump < facts.version;
        slot = jumps ? facts.links & UINT32_MAX : facts.links >> 32;
    }
}

CASE(any_of_10000_versions_is_found_in_few_steps) {
    for (int batches = 0; batches < 2; batches++) {
        struct world *world = make_world((struct shape){.capacity = MANY + 100, .logs = 1});
        for (uint64_t version = 0; version < MANY;) {
            struct wanted events[16];
            const uint32_t count = batches ? 1 + (uint32_t)random_number(16) : 1;
            for (uint32_t i = 0; i < count; i++) events[i] = (struct wanted){version + i, NO_ID};
            struct doing doing = {
                .world = world, .stream = STREAM, .count = count, .events = events, .expected = EXPECT_ANY};
            do_it(&doing);
            expect(doing.status == STREAM_DONE && doing.versions[0] == version);
            version += count;
            if (version % 3 == 0) add_event(world, USER, 0, version);
            struct event_seen seen;
            const uint64_t back = version - 1 - random_number(version < MANY ? version : MANY);
            if (look(world, STREAM, back, &seen) == FIND_OK) expect_equal(seen.seed, back);
            else expect(back < state_of(world, STREAM, 0).first);
        }
        struct stream_state state = state_of(world, STREAM, 0);
        expect(state.first && state.first < MANY / 2);
        uint32_t most = 0;
        for (uint64_t version = state.first; version < state.versions; version++) {
            const uint32_t steps = steps_to(world, version);
            if (steps > most) most = steps;
        }
        expect(most <= 45); /* about three times the logarithm */
        expect_sound_streams(world);
        free_world(world);
    }
}

CASE(many_versions_are_found_at_once_or_the_first_of_them_is_lost) {
    struct world *world = make_world((struct shape){.capacity = 64});
    uint32_t slots[64];
    for (uint64_t version = 0; version < 300; version++) {
        add_event(world, USER, STREAM, version);
        const struct streams *streams = &world->users[0].streams;
        const struct stream_state state = state_of(world, STREAM, 0);
        const uint32_t count = 1 + (uint32_t)random_number(state.versions - state.first);
        const uint64_t first = state.first + random_number(state.versions - state.first - count + 1);
        expect_equal(streams_find(streams, STREAM, first, count, slots), FIND_OK);
        for (uint32_t i = 0; i < count; i++) {
            const struct log_view log = streams_log(streams, 0);
            expect_equal(load_relaxed(&log_slot(&log, slots[i])->version), first + i);
        }
        expect_equal(streams_find(streams, STREAM, state.versions - count + 1, count, slots), FIND_NOT_YET);
        if (state.first) expect_equal(streams_find(streams, STREAM, state.first - 1, count, slots), FIND_LOST);
    }
    free_world(world);
}

CASE(the_first_version_of_a_time_is_found) {
    struct world *world = make_world((struct shape){.capacity = 300});
    uint64_t times[1000];
    for (uint64_t version = 0; version < 1000; version++) {
        const struct wanted wanted = {version, NO_ID};
        struct doing doing = {.world = world, .stream = STREAM, .count = 1, .events = &wanted, .expected = EXPECT_ANY};
        times[version] = doing.now_ns = version ? times[version - 1] + random_number(3) : 5;
        do_it(&doing);
        if (version % 10) continue;
        const struct stream_state state = state_of(world, STREAM, 0);
        const uint64_t time = times[state.first] + random_number(times[version] - times[state.first] + 3);
        uint64_t expected = state.first;
        while (expected < state.versions && times[expected] < time) expected++;
        const struct streams *streams = &world->users[0].streams;
        expect_equal(streams_find_time(streams, STREAM, state.first, state.versions, time), expected);
    }
    free_world(world);
}

/* ---- tickets ----------------------------------------------------------------------------------------------------- */

CASE(each_ticket_has_the_event_that_was_appended_by_it_or_none) {
    struct world *world = make_world((struct shape){.capacity = 20});
    const struct streams *streams = &world->users[0].streams;
    enum { TICKETS = 2000 };
    static uint64_t seeds[TICKETS + 100];
    store_relaxed(&stream_of(world, STREAM)->reserve, 3);
    for (uint64_t tail = 0; tail < TICKETS; tail = streams_tail(streams, 0)) {
        const uint32_t stream = random_number(15) ? OTHER : STREAM;
        const struct wanted wanted[] = {{tail + 1, NO_ID}, {tail + 2, NO_ID}};
        struct doing doing = {.world = world,
                              .stream = stream,
                              .count = random_number(12) ? 1 + (uint32_t)random_number(2) : 0,
                              .events = wanted,
                              .expected = EXPECT_ANY};
        do_it(&doing);
        for (uint32_t i = 0; doing.count && i < doing.answer.appended; i++)
            seeds[doing.answer.position + i] = wanted[i].seed;
        for (uint64_t ticket = tail < 40 ? 0 : tail - 40; ticket < tail + 40; ticket++) {
            unsigned char text[EVENT_TEXT_BYTES];
            struct event_facts facts;
            const uint64_t now = streams_tail(streams, 0);
            switch (streams_read_ticket(streams, 0, ticket, &facts, text, sizeof text)) {
            case TICKET_LAPPED: expect(ticket + 20 < now); break;
            case TICKET_NOT_YET: expect(ticket >= now); break;
            case TICKET_NONE: expect(!seeds[ticket] && ticket < now); break;
            case TICKET_EVENT:
                if (origin_kind(facts.origin) == EVENT)
                    expect_equal(expect_whole_event(world, &facts, text).seed, seeds[ticket]);
                else expect(!seeds[ticket]);
            }
        }
    }
    expect_sound_streams(world);
    free_world(world);
}

/* ---- numbers that wrap ------------------------------------------------------------------------------------------- */

static const uint64_t LIMITS[] = {UINT64_C(1) << 31, UINT64_C(1) << 32, UINT64_C(1) << 35,
                                  UINT64_C(1) << 36, UINT64_C(1) << 40, UINT64_C(5) << 40};

CASE(tickets_of_40_bits_and_less_wrap_with_no_loss) {
    for_each(limit, LIMITS) for (uint64_t before = 1; before < 20; before += before < 4 ? 1 : 5) {
        struct world *world = make_world((struct shape){.capacity = 7, .tickets = limit - before});
        store_relaxed(&stream_of(world, STREAM)->reserve, 2);
        for (uint64_t i = 0; i < 60; i++) {
            const uint32_t user = (uint32_t)random_number(USERS);
            const uint64_t version = add_with_id(world, user, i % 9 ? OTHER : STREAM, i, i + 1);
            expect_equal(version, i % 9 ? i - 1 - i / 9 : i / 9);
            expect_equal(add_with_id(world, 0, i % 9 ? OTHER : STREAM, i, i + 1), version);
            expect_sound_streams(world);
            const struct stream_state one = state_of(world, STREAM, 0), other = state_of(world, OTHER, 0);
            expect(other.discarded == other.lost && one.discarded == one.lost);
            expect(one.versions - one.first >= (one.versions < 2 ? 1 : 2));
            expect(other.versions - other.first >= (other.versions < 4 ? other.versions : 4));
        }
        free_world(world);
    }
}

CASE(versions_have_64_bits) {
    static const uint64_t versions[] = {UINT32_MAX - UINT64_C(3), (UINT64_C(1) << 40) - 3, UINT64_MAX / 2};
    for_each(first, versions) {
        struct world *world = make_world((struct shape){.capacity = 7});
        struct stream *stream = stream_of(world, STREAM);
        store_relaxed(&stream->newest.low, first);
        store_relaxed(&stream->lost.low, first);
        for (uint64_t i = 0; i < 40; i++) {
            struct event_seen seen;
            expect_equal(add_with_id(world, USER, STREAM, i, i + 1), first + i);
            expect_equal(add_with_id(world, USER, STREAM, i, i + 1), first + i);
            expect(look(world, STREAM, first + i, &seen) == FIND_OK && seen.seed == i);
            expect_sound_streams(world);
        }
        expect_equal(state_of(world, STREAM, 0).first, first + 33);
        free_world(world);
    }
}
