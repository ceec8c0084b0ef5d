/* How many slots an append needs, beside reserves, batches of others, and those who hold slots that they do not use. */
#define _GNU_SOURCE
#include "streams_world.h"

#include <time.h>

enum { STREAM = 1, OTHER = 2, USER = 1, MOST_AT_ONCE = 16 };

/* As many events at once as `count` says; with ids from `first_id` on, unless that is NO_ID. */
static struct doing add_batch(struct world *world, uint32_t user, uint32_t stream, uint32_t count, uint64_t first_id,
                              uint64_t expected) {
    struct wanted wanted[MOST_AT_ONCE] = {{0, NO_ID}};
    struct doing doing = {
        .world = world, .user = user, .stream = stream, .count = count, .events = wanted, .expected = expected};
    for (uint32_t i = 0; i < count; i++) wanted[i] = (struct wanted){i, first_id ? first_id + i : NO_ID};
    do_it(&doing);
    doing.events = NULL;
    return doing;
}

static uint64_t next_ticket(const struct world *world) { return streams_tail(&world->users[0].streams, 0); }

CASE(a_batch_beside_a_reserve_overwrites_about_as_many_events_as_it_has) {
    enum { CAPACITY = 64, RESERVE = 8, FIRST_ID = 1000 };
    struct world *world = make_world((struct shape){.capacity = CAPACITY});
    uint64_t others = 0;
    store_relaxed(&stream_of(world, STREAM)->reserve, RESERVE);
    for (uint64_t i = 0; i < CAPACITY; i++)
        if (i % 8 == 7) add_with_id(world, USER, STREAM, i / 8, 1 + i / 8);
        else add_with_id(world, USER, OTHER, others, FIRST_ID + others), others++;
    for (int round = 0; round < 100; round++) {
        const uint64_t lost = state_of(world, OTHER, 0).lost, tail = next_ticket(world);
        const uint32_t count = 1 + (uint32_t)random_number(MOST_AT_ONCE);
        const struct doing done =
            add_batch(world, (uint32_t)random_number(USERS), OTHER, count, FIRST_ID + others, EXPECT_ANY);
        expect(done.status == STREAM_DONE && done.answer.appended == count);
        others += count;
        expect(state_of(world, OTHER, 0).lost <= lost + count + RESERVE &&
               next_ticket(world) <= tail + count + RESERVE);
        expect(!state_of(world, STREAM, 0).lost && others - state_of(world, OTHER, 0).lost >= CAPACITY - 2 * RESERVE);
        expect_sound_streams(world);
        for (uint64_t i = 0; i < RESERVE; i++) expect_equal(add_with_id(world, USER, STREAM, i, 1 + i), i);
        for (uint64_t i = state_of(world, OTHER, 0).lost; i < others; i++)
            expect_equal(add_with_id(world, USER, OTHER, 0, FIRST_ID + i), i);
    }
    free_world(world);
}

CASE(where_reserves_leave_no_room_the_oldest_events_give_way_at_once) {
    struct world *world = make_world((struct shape){.capacity = 7});
    uint64_t versions = 0;
    store_relaxed(&stream_of(world, STREAM)->reserve, 1000);
    for (uint32_t i = 0; i < 100; i++) {
        const uint32_t count = 1 + (uint32_t)random_number(7);
        expect_equal(add_batch(world, USER, STREAM, count, NO_ID, EXPECT_ANY).status, STREAM_DONE);
        versions += count;
        expect_equal(next_ticket(world), versions);
        expect_sound_streams(world);
    }
    add_event(world, USER, OTHER, 0);
    expect_equal(add_batch(world, USER, OTHER, 3, NO_ID, EXPECT_ANY).status, STREAM_DONE);
    expect_equal(next_ticket(world), versions + 4);
    expect_sound_streams(world);
    free_world(world);
}

CASE(what_was_kept_gives_way_to_nothing_when_its_old_place_is_come_upon) {
    struct world *world = make_world((struct shape){.capacity = 7});
    const struct log_view log = streams_log(&world->users[0].streams, 0);
    struct log_moment moment;
    store_relaxed(&stream_of(world, STREAM)->reserve, 1);
    add_event(world, USER, OTHER, 0);
    add_event(world, USER, STREAM, 0);
    for (uint64_t i = 1; i < 6; i++) add_event(world, USER, OTHER, i);
    expect(log_tidy(&log, &moment));
    expect(log_announce(&log, moment, CHANGE_KEEP, linked_slot(load_relaxed(log_order(&log, moment.tail + 1))), 1));
    expect_sound_streams(world);
    hold_slots(world, log.geometry->log_slots - 6);
    add_event(world, 3, OTHER, 6); /* by taking a slot */
    expect_equal(state_of(world, OTHER, 0).lost, 3);
    expect_sound_streams(world);
    free_world(world);
}

CASE(the_id_of_what_gave_way_to_a_kept_event_is_not_known_any_more) {
    struct world *world = make_world((struct shape){.capacity = 7});
    const struct log_view log = streams_log(&world->users[0].streams, 0);
    struct log_moment moment;
    for (uint64_t i = 0; i < 2; i++) add_with_id(world, USER, OTHER, i, 1 + i);
    add_event(world, USER, STREAM, 0);
    for (uint64_t i = 2; i < 6; i++) add_with_id(world, USER, OTHER, i, 1 + i);
    expect(log_tidy(&log, &moment));
    expect(log_announce(&log, moment, CHANGE_KEEP, linked_slot(load_relaxed(log_order(&log, moment.tail + 2))), 1));
    expect_equal(add_with_id(world, USER, OTHER, 2, 3), 2);
    expect_equal(add_with_id(world, USER, OTHER, 1, 2), 6);
    expect_sound_streams(world);
    free_world(world);
}

CASE(those_who_have_appended_batches_leave_room_for_all_that_is_kept) {
    struct world *world = make_world((struct shape){.capacity = MOST_AT_ONCE});
    uint64_t versions = 0;
    for (int round = 0; round < 10; round++)
        for (uint32_t user = 0; user < USERS; user++) {
            expect_equal(add_batch(world, user, STREAM, MOST_AT_ONCE, NO_ID, EXPECT_ANY).status, STREAM_DONE);
            versions += MOST_AT_ONCE;
            expect_equal(state_of(world, STREAM, 0).first, versions - MOST_AT_ONCE);
            expect_equal(next_ticket(world), versions);
        }
    expect_sound_streams(world);
    free_world(world);
}

CASE(those_who_have_repeated_batches_hold_one_slot_each) {
    struct world *world = make_world((struct shape){.capacity = MOST_AT_ONCE});
    const struct log_view log = streams_log(&world->users[0].streams, 0);
    for (uint32_t user = 0; user < USERS; user++) {
        uint32_t claimed = 0;
        const struct doing done = add_batch(world, user, STREAM, USERS, 1, EXPECT_ANY);
        expect(done.status == STREAM_DONE && done.answer.appended == (user ? 0 : USERS));
        for (uint32_t slot = 0; slot < log.geometry->log_slots; slot++)
            claimed += slot_state(load_relaxed(&log_slot(&log, slot)->word)) == SLOT_CLAIMED;
        expect_equal(claimed, user);
    }
    expect_sound_streams(world);
    free_world(world);
}

CASE(whoever_does_not_get_all_slots_gives_back_those_it_got) {
    struct world *world = make_world((struct shape){.capacity = 7});
    const struct log_view log = streams_log(&world->users[0].streams, 0);
    for (uint64_t i = 0; i < 3; i++) add_event(world, 3, STREAM, i);
    hold_slots(world, log.geometry->log_slots - 6);
    expect_equal(add_batch(world, USER, STREAM, 7, NO_ID, EXPECT_ANY).status, STREAM_STALLED);
    expect(state_of(world, STREAM, 0).versions == 3 && !state_of(world, STREAM, 0).lost);
    expect_equal(add_batch(world, 3, STREAM, 5, NO_ID, EXPECT_ANY).status, STREAM_DONE);
    expect_sound_streams(world);
    free_world(world);
}

CASE(a_batch_that_is_refused_overwrites_nothing) {
    struct world *world = make_world((struct shape){.capacity = MOST_AT_ONCE});
    const struct log_view log = streams_log(&world->users[0].streams, 0);
    for (uint64_t i = 0; i < MOST_AT_ONCE; i++) add_with_id(world, 3, STREAM, i, 1 + i);
    hold_slots(world, log.geometry->log_slots - MOST_AT_ONCE - 1);
    const struct doing wrong = add_batch(world, USER, STREAM, MOST_AT_ONCE, NO_ID, 5);
    expect(wrong.status == STREAM_CONFLICT && wrong.answer.versions == MOST_AT_ONCE);
    const struct doing again = add_batch(world, USER, STREAM, MOST_AT_ONCE, 1, 5);
    expect(again.status == STREAM_DONE && !again.answer.appended &&
           again.versions[MOST_AT_ONCE - 1] == MOST_AT_ONCE - 1);
    expect(!state_of(world, STREAM, 0).lost && next_ticket(world) == MOST_AT_ONCE);
    expect_sound_streams(world);
    free_world(world);
}

/* One event at this time. */
static void add_at(struct world *world, uint32_t stream, uint64_t now_ns) {
    const struct wanted wanted = {now_ns, NO_ID};
    struct doing doing = {.world = world,
                          .user = USER,
                          .stream = stream,
                          .count = 1,
                          .events = &wanted,
                          .expected = EXPECT_ANY,
                          .now_ns = now_ns};
    do_it(&doing);
    expect_equal(doing.status, STREAM_DONE);
}

CASE(of_what_a_batch_overwrites_that_is_no_loss_which_was_too_old) {
    const uint64_t hour_ns = UINT64_C(3600000000000);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const uint64_t now_ns = (uint64_t)now.tv_sec * UINT64_C(1000000000);
    for (uint64_t old = 0; old <= 7; old++) {
        struct world *world = make_world((struct shape){.capacity = 7});
        store_relaxed(&stream_of(world, STREAM)->most_ns, hour_ns);
        for (uint64_t i = 0; i < 7; i++) add_at(world, STREAM, i < old ? now_ns - 2 * hour_ns : now_ns);
        expect_equal(add_batch(world, USER, OTHER, 7, NO_ID, EXPECT_ANY).status, STREAM_DONE);
        expect_equal(state_of(world, STREAM, 0).lost, 7);
        expect_equal(state_of(world, STREAM, 0).discarded, 7 - old);
        expect_sound_streams(world);
        free_world(world);
    }
}

CASE(a_batch_tells_each_stream_what_it_has_overwritten) {
    for (uint64_t mine = 0; mine <= 7; mine++) {
        struct world *world = make_world((struct shape){.capacity = 7});
        for (uint64_t i = 0; i < 7; i++) add_event(world, USER, i * mine % 7 < mine ? STREAM : OTHER, i);
        const uint64_t others = state_of(world, OTHER, 0).versions;
        expect_equal(add_batch(world, USER, 0, 7, NO_ID, EXPECT_ANY).status, STREAM_DONE);
        expect_equal(state_of(world, STREAM, 0).lost, state_of(world, STREAM, 0).versions);
        expect_equal(state_of(world, OTHER, 0).lost, others);
        expect_sound_streams(world);
        free_world(world);
    }
}

CASE(a_batch_whose_slots_are_damaged_is_not_said_to_be_done) {
    struct world *world = make_world((struct shape){.capacity = 7});
    const struct log_view log = streams_log(&world->users[0].streams, 0);
    const struct spares *spares = &world->users[USER].streams.spares[0];
    for (uint64_t i = 0; i < 8; i++) add_event(world, USER, STREAM, i);
    expect_equal(spares->count, 1);
    store_relaxed(&log_slot(&log, spares->slots[0])->word, 7);
    expect_equal(add_batch(world, USER, STREAM, 3, NO_ID, EXPECT_ANY).status, STREAM_DAMAGED);
    free_world(world);
}

CASE(an_id_is_known_though_its_event_gives_way_to_whoever_repeats_it) {
    for (uint32_t count = 1; count <= 7; count += 3) {
        struct world *world = make_world((struct shape){.capacity = 7});
        const struct log_view log = streams_log(&world->users[0].streams, 0);
        for (uint64_t i = 0; i < 7; i++) add_with_id(world, 3, STREAM, i, 1 + i);
        hold_slots(world, log.geometry->log_slots - 7 - 1);
        struct wanted wanted[7] = {{0, 1}};
        struct doing doing = {
            .world = world, .user = USER, .stream = STREAM, .count = count, .events = wanted, .expected = EXPECT_ANY};
        for (uint32_t i = 1; i < count; i++) wanted[i] = (struct wanted){i, 100 + i};
        do_it(&doing);
        expect(doing.status == STREAM_DONE && doing.answer.appended == count - 1 && doing.versions[0] == 0);
        for (uint32_t i = 1; i < count; i++) expect_equal(doing.versions[i], 6 + i);
        expect_sound_streams(world);
        free_world(world);
    }
}

CASE(an_id_is_known_though_its_event_gives_way_to_one_that_whoever_repeats_it_keeps) {
    struct world *world = make_world((struct shape){.capacity = 7});
    const struct wanted wanted[] = {{0, 1}, {7, NO_ID}, {8, 102}};
    struct doing doing = {
        .world = world, .user = USER, .stream = OTHER, .count = 3, .events = wanted, .expected = EXPECT_ANY};
    store_relaxed(&stream_of(world, STREAM)->reserve, 1);
    add_with_id(world, USER, OTHER, 0, 1);
    add_event(world, USER, STREAM, 0);
    for (uint64_t i = 1; i < 6; i++) add_event(world, USER, OTHER, i);
    do_it(&doing);
    expect(doing.status == STREAM_DONE && doing.answer.appended == 2);
    expect(doing.versions[0] == 0 && doing.versions[1] == 6 && doing.versions[2] == 7);
    expect(!state_of(world, STREAM, 0).lost);
    expect_sound_streams(world);
    free_world(world);
}

/* ---- whose slots are free ---------------------------------------------------------------------------------------- */

/* All slots without an event, but so many, are held by others; the log has as many events as are said. */
static struct world *make_narrow_world(uint64_t events, uint32_t free_slots) {
    struct world *world = make_world((struct shape){.capacity = 6});
    const struct log_view log = streams_log(&world->users[0].streams, 0);
    for (uint64_t i = 0; i < events; i++) add_event(world, 0, STREAM, i);
    hold_slots(world, log.geometry->log_slots - (uint32_t)events - free_slots);
    return world;
}

static uint32_t count_claims(const struct world *world, uint32_t user) {
    const struct log_view log = streams_log(&world->users[0].streams, 0);
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < log.geometry->log_slots; slot++) {
        const uint64_t word = load_relaxed(&log_slot(&log, slot)->word);
        count += slot_state(word) == SLOT_CLAIMED && slot_owner(word) == world->users[user].owner;
    }
    return count;
}

CASE(whoever_found_no_free_slot_finds_the_only_one_that_was_freed_since) {
    struct world *world = make_narrow_world(6, 0);
    const struct log_view log = streams_log(&world->users[0].streams, 0);
    struct spares *spares = &world->users[2].streams.spares[0];
    add_event(world, USER, STREAM, 6); /* by taking a slot; it has one now */
    slots_give_back(&log, &(struct spares){.count = 1}, world->users[2].owner, spares->slots[--spares->count]);
    const uint64_t tail = next_ticket(world);
    expect_equal(add_batch(world, USER, STREAM, 2, NO_ID, EXPECT_ANY).status, STREAM_DONE);
    expect_equal(next_ticket(world), tail + 2);
    expect_sound_streams(world);
    free_world(world);
}

CASE(whoever_was_left_no_slots_finds_those_that_a_batch_of_others_left_free) {
    struct world *world = make_narrow_world(5, 4);
    const struct log_view log = streams_log(&world->users[0].streams, 0);
    expect(slots_are_free(&log, &world->users[3].streams.spares[0], world->users[3].owner, 4));
    expect_equal(add_batch(world, USER, STREAM, 6, NO_ID, EXPECT_ANY).status, STREAM_STALLED);
    expect_equal(add_batch(world, 3, STREAM, 4, NO_ID, EXPECT_ANY).status, STREAM_DONE);
    expect_equal(add_batch(world, USER, STREAM, 3, NO_ID, EXPECT_ANY).status, STREAM_DONE);
    expect_equal(next_ticket(world), 5 + 4 + 3);
    expect_sound_streams(world);
    free_world(world);
}

CASE(whoever_appends_a_batch_in_vain_holds_one_slot_at_most) {
    struct world *world = make_world((struct shape){.capacity = MOST_AT_ONCE});
    const struct log_view log = streams_log(&world->users[0].streams, 0);
    for (int again = 0; again < 3; again++) {
        expect_equal(add_batch(world, USER, STREAM, MOST_AT_ONCE, 1, EXPECT_ANY).answer.appended,
                     again ? 0 : MOST_AT_ONCE);
        expect(count_claims(world, USER) <= 1);
    }
    hold_slots(world, log.geometry->log_slots - MOST_AT_ONCE - 8); /* 8 are free, and one may be of USER */
    expect_equal(add_batch(world, USER, STREAM, MOST_AT_ONCE, NO_ID, 3).status, STREAM_CONFLICT);
    expect(count_claims(world, USER) <= 1);
    free_world(world);
}

CASE(where_all_is_in_reserve_whoever_takes_a_slot_gets_the_oldest) {
    struct world *world = make_narrow_world(6, 0);
    store_relaxed(&stream_of(world, STREAM)->reserve, 1000);
    add_event(world, USER, OTHER, 0);
    expect_equal(state_of(world, STREAM, 0).lost, 1);
    expect_sound_streams(world);
    free_world(world);
}

CASE(neither_a_deletion_nor_what_is_too_old_is_in_reserve) {
    struct world *world = make_world((struct shape){.capacity = 6});
    struct doing deletion = {.world = world, .user = USER, .stream = STREAM, .expected = EXPECT_ANY};
    store_relaxed(&stream_of(world, STREAM)->reserve, 5);
    add_event(world, USER, STREAM, 0);
    do_it(&deletion);
    for (uint64_t i = 0; i < 12; i++) add_at(world, OTHER, 1);
    expect_equal(next_ticket(world), 14);
    add_at(world, STREAM, 1000);
    store_relaxed(&stream_of(world, STREAM)->most_ns, 100);
    for (uint64_t i = 0; i < 12; i++) add_at(world, OTHER, 2000);
    expect_equal(next_ticket(world), 27);
    expect_sound_streams(world);
    free_world(world);
}
