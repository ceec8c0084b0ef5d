/* Following streams: who waits is woken by an append, whenever it comes; and what comes next in the order of a log. */
#define _GNU_SOURCE
#include "streams_world.h"

#include "core/streams/follow.h"

#include <pthread.h>
#include <time.h>

enum { STREAM = 1, OTHER = 2, USER = 1, MISSED_MS = 700 /* nobody sleeps longer than 1000 without another look */ };

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- waiting ------------------------------------------------------------------------------------------------------- */

struct follower {
    struct world *world;
    uint64_t next;
    bool appends; /* somebody appends just after the look */
    _Atomic int looks;
};

static enum news look_for_versions(const void *context) {
    struct follower *follower = (struct follower *)(uintptr_t)context;
    const bool any = follow_has_versions(&follower->world->users[0].streams, STREAM, follower->next);
    follower->looks++;
    if (follower->appends) add_event(follower->world, USER, STREAM, 7);
    follower->appends = false;
    return any ? NEWS_SOME : NEWS_NONE;
}

static void wait_until_there_is_more(struct follower *follower) {
    atomic_u32 *news = &follower->world->users[0].handle.board->news;
    while (!follow_has_versions(&follower->world->users[0].streams, STREAM, follower->next))
        wait_for_news(news, true, look_for_versions, follower, -1);
}

CASE(an_append_between_the_look_and_the_sleep_is_not_slept_over) {
    struct world *world = make_world((struct shape){.capacity = 20});
    struct follower follower = {.world = world, .appends = true};
    expect(wait_register());
    const int64_t begun = now_ms();
    wait_until_there_is_more(&follower);
    expect(now_ms() - begun < MISSED_MS);
    free_world(world);
}

static void *wait_in_thread(void *argument) {
    wait_until_there_is_more(argument);
    return NULL;
}

/* An operation wakes a thread that sleeps. */
static void expect_to_wake(struct world *world, struct doing *doing) {
    struct follower follower = {.world = world, .next = state_of(world, STREAM, 0).versions};
    pthread_t thread;
    expect(!pthread_create(&thread, NULL, wait_in_thread, &follower));
    while (!follower.looks) nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL); /* it sleeps by now */
    const int64_t begun = now_ms();
    do_it(doing);
    expect_equal(doing->status, STREAM_DONE);
    pthread_join(thread, NULL);
    expect(now_ms() - begun < MISSED_MS);
}

CASE(an_append_wakes_whoever_waits_and_so_does_a_deletion_for_ever) {
    static const struct wanted wanted[] = {{1, NO_ID}, {2, NO_ID}};
    struct world *world = make_world((struct shape){.capacity = 20});
    struct doing doing = {.world = world, .user = USER, .stream = STREAM, .events = wanted, .expected = EXPECT_ANY};
    expect(wait_register());
    for (doing.count = 1; doing.count <= 2; doing.count++) expect_to_wake(world, &doing);
    doing.count = 0;
    doing.for_ever = true;
    expect_to_wake(world, &doing);
    free_world(world);
}

/* ---- what comes next ----------------------------------------------------------------------------------------------- */

struct reader {
    struct world *world;
    struct follow_place place;
    struct event_facts facts;
    unsigned char text[EVENT_TEXT_BYTES];
};

static enum follow_status go_on(struct reader *reader, uint64_t now_ns) {
    const struct streams *streams = &reader->world->users[0].streams;
    reader->place.end = streams_tail(streams, 0);
    return follow_next(streams, 0, now_ns, &reader->place, &reader->facts, reader->text, sizeof reader->text);
}

static void expect_next(struct reader *reader, uint32_t stream, uint64_t version) {
    expect_equal(go_on(reader, 0), FOLLOW_EVENT);
    expect_equal(origin_stream(reader->facts.origin), stream);
    expect_equal(reader->facts.version, version);
    expect_equal(reader->facts.position, reader->place.ticket);
    expect_whole_event(reader->world, &reader->facts, reader->text);
    reader->place.ticket++;
}

CASE(events_of_all_streams_come_in_their_order_and_deletions_are_passed) {
    struct world *world = make_world((struct shape){.capacity = 20});
    struct reader reader = {.world = world};
    struct doing deletion = {.world = world, .user = USER, .stream = OTHER, .expected = EXPECT_ANY};
    expect_equal(go_on(&reader, 0), FOLLOW_END);
    for (uint64_t i = 0; i < 3; i++) add_event(world, USER, STREAM, i);
    add_event(world, 0, OTHER, 7);
    expect_next(&reader, STREAM, 0);
    do_it(&deletion);
    add_event(world, 0, OTHER, 8);
    expect_next(&reader, STREAM, 1);
    expect_next(&reader, STREAM, 2);
    expect_next(&reader, OTHER, 1); /* the first was deleted before it was read */
    expect_equal(go_on(&reader, 0), FOLLOW_END);
    expect_equal(reader.place.ticket, 6);
    free_world(world);
}

CASE(what_nobody_may_read_any_more_is_passed_without_a_word) {
    struct world *world = make_world((struct shape){.capacity = 20});
    struct reader reader = {.world = world};
    struct doing deletion = {.world = world, .user = USER, .stream = OTHER, .expected = EXPECT_ANY, .for_ever = true};
    for (uint64_t i = 0; i < 5; i++) add_event(world, USER, STREAM, i);
    add_event(world, USER, OTHER, 9);
    streams_truncate(&world->users[0].streams, STREAM, 1);
    expect_next(&reader, STREAM, 1);
    store_relaxed(&stream_of(world, STREAM)->most_events, 2);
    expect_next(&reader, STREAM, 3);
    store_relaxed(&stream_of(world, STREAM)->most_ns, 1);
    do_it(&deletion);
    expect_equal(go_on(&reader, UINT64_MAX), FOLLOW_END);
    expect_equal(reader.place.ticket, 7);
    free_world(world);
}

CASE(whoever_is_overtaken_is_told_from_where_to_where_and_goes_on_behind_it) {
    struct world *world = make_world((struct shape){.capacity = 7});
    struct reader reader = {.world = world};
    for (uint64_t i = 0; i < 4; i++) add_event(world, USER, STREAM, i);
    expect_next(&reader, STREAM, 0);
    for (uint64_t i = 4; i < 30; i++) add_event(world, USER, STREAM, i);
    expect_equal(go_on(&reader, 0), FOLLOW_MISSED);
    expect_equal(reader.place.missed, 1);
    expect_equal(reader.place.ticket, 23);
    for (uint64_t i = 23; i < 30; i++) expect_next(&reader, STREAM, i);
    expect_equal(go_on(&reader, 0), FOLLOW_END);
    free_world(world);
}

CASE(an_event_that_a_reserve_keeps_comes_once) {
    struct world *world = make_world((struct shape){.capacity = 5});
    struct reader reader = {.world = world};
    store_relaxed(&stream_of(world, STREAM)->reserve, 1);
    add_event(world, USER, STREAM, 1);
    expect_next(&reader, STREAM, 0);
    for (uint64_t i = 0; i < 20; i++) {
        add_event(world, USER, OTHER, i);
        expect_next(&reader, OTHER, i);
    }
    expect_equal(go_on(&reader, 0), FOLLOW_END);
    free_world(world);
}
