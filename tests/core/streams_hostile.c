/* A segment of streams whose bytes anybody may have changed: whatever they are, each operation ends soon, and inside it. */
#define _GNU_SOURCE
#include "streams_world.h"

#include <sys/time.h>
#include <time.h>

enum { STREAMS = 4, MOST_SECONDS = 10 /* under a slow sanitizer, too */ };

static void ignore(void *context, const char *text) {
    (void)context;
    expect(strlen(text) < 240);
}

static void work_on(struct world *world) {
    struct timespec before, after;
    const struct wanted events[] = {{random_number(1000), 1 + random_number(9)}, {random_number(1000), NO_ID}};
    clock_gettime(CLOCK_MONOTONIC, &before);
    for (uint32_t stream = 0; stream < STREAMS; stream++) {
        const struct streams *streams = &world->users[stream].streams;
        unsigned char text[EVENT_TEXT_BYTES];
        struct event_facts facts;
        uint32_t slots[8];
        struct doing doing = {.world = world,
                              .user = stream,
                              .stream = stream,
                              .count = (uint32_t)random_number(3),
                              .events = events,
                              .expected = EXPECT_ANY};
        do_it(&doing);
        expect(doing.status <= STREAM_DAMAGED);
        const struct stream_state state = state_of(world, stream, 1000);
        streams_truncate(streams, stream, random_number(3));
        if (streams_find(streams, stream, state.first, 3, slots) == FIND_OK)
            streams_read(streams, stream, state.first, slots[0], &facts, text, sizeof text);
        streams_find_time(streams, stream, state.first, state.versions, random_number(99));
        for (uint64_t ticket = 0; ticket < 40; ticket += 3)
            streams_read_ticket(streams, 0, streams_tail(streams, 0) - ticket, &facts, text, sizeof text);
    }
    const struct log_view log = streams_log(&world->users[0].streams, 0);
    slots_sweep(&log, world->users[4].owner);
    check_streams(&world->users[0].streams, ignore, NULL);
    clock_gettime(CLOCK_MONOTONIC, &after);
    expect(after.tv_sec - before.tv_sec < MOST_SECONDS);
}

static struct world *make_used_world(void) {
    struct world *world = make_world((struct shape){.capacity = 9, .streams = STREAMS});
    store_relaxed(&stream_of(world, 1)->reserve, 2);
    for (uint64_t i = 0; i < 40; i++)
        add_with_id(world, (uint32_t)random_number(USERS), (uint32_t)random_number(STREAMS), i, random_number(9));
    return world;
}

CASE(a_change_of_nonsense_harms_nothing_else_and_ends_soon) {
    static const uint64_t ahead[] = {0, 1, 2, 9, 10, 1000, TICKET_MASK};
    for (uint32_t what = 0; what < 4; what++) for_each(tickets, ahead) for (uint32_t slot = 0; slot < 90; slot += 4) {
            struct world *world = make_used_world();
            const struct log_view log = streams_log(&world->users[0].streams, 0);
            const uint64_t tail = load_relaxed(&log.log->tail) + tickets;
            store_relaxed(&log.log->change, change_word_of(tail, (enum change_what)what, slot > 80 ? NO_SLOT : slot));
            if (slot % 8) store_relaxed(&log_slot(&log, slot % 78)->batch, slot % 78 + 1); /* a circle */
            work_on(world);
            free_world(world);
        }
}

/* What goes round for ever is ended. */
static void limit_time(void) {
    const struct itimerval second = {.it_value = {.tv_sec = 1}};
    expect(!setitimer(ITIMER_VIRTUAL, &second, NULL));
}

CASE(a_link_that_leads_nowhere_earlier_ends_the_search_for_an_id) {
    struct world *world = make_world((struct shape){.streams = STREAMS});
    const struct streams *streams = &world->users[0].streams;
    const struct log_view log = streams_log(streams, 0);
    uint32_t slots[2];
    limit_time();
    for (uint64_t i = 0; i < 2; i++) add_with_id(world, 0, 1, i, 1 + i);
    expect_equal(streams_find(streams, 1, 0, 2, slots), FIND_OK);
    for (uint32_t i = 0; i < 2; i++) { /* from each chain to both, round and round */
        const uint64_t next = chain_link(!i, 0, slots[!i]);
        for (uint64_t chain = 0; chain < log.geometry->id_buckets; chain++) store_relaxed(log_chain(&log, chain), next);
        store_relaxed(&log_slot(&log, slots[i])->id_next, next);
    }
    expect_equal(add_with_id(world, 0, 1, 9, 9), 2);
    free_world(world);
}

CASE(a_jump_that_leads_nowhere_earlier_ends_the_search_for_a_time) {
    limit_time();
    for (uint64_t ahead = 0; ahead < 2; ahead++) {
        struct world *world = make_world((struct shape){.streams = STREAMS});
        const struct streams *streams = &world->users[0].streams;
        uint32_t slots[3];
        for (uint64_t i = 0; i < 3; i++) add_event(world, 0, 1, i);
        expect_equal(streams_find(streams, 1, 0, 3, slots), FIND_OK);
        const struct log_view log = streams_log(streams, 0);
        struct event_slot *slot = log_slot(&log, slots[1]);
        store_relaxed(&slot->jump, 1 + ahead);
        store_relaxed(&slot->links, (load_relaxed(&slot->links) & ~UINT64_C(0xffffffff)) | (slots[1 + ahead] + 1));
        expect_equal(streams_find_time(streams, 1, 0, 3, 0), 0);
        free_world(world);
    }
}

CASE(no_change_of_any_bytes_of_streams_leads_outside_the_segment_or_round_for_ever) {
    for (uint64_t i = 0; i < 3 * effort; i++) {
        struct world *world = make_used_world();
        const uint64_t first = world->geometry.logs_offset, bytes = world->geometry.total_bytes - first;
        for (uint64_t changes = 1 + random_number(40); changes; changes--) {
            const uint64_t at = first + random_number(bytes / 8) * 8;
            uint64_t value = random_number(2) ? random_number(UINT64_MAX) : random_number(100), old;
            memcpy(&old, world->memory + at, 8);
            if (random_number(2)) value = old ^ UINT64_C(1) << random_number(64);
            memcpy(world->memory + at, &value, 8);
            if (!random_number(10)) work_on(world);
        }
        work_on(world);
        free_world(world);
    }
}
