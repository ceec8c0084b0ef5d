/* Streams used at the same time: every version once, every id once, no torn event, and all slots are there afterwards. */
#include "streams_world.h"

#include <pthread.h>

enum { WRITERS = 3, STREAMS = 3, CAPACITY = 6, IDS = 12, MOST = 1 << 17 };

struct busy {
    struct world *world;
    uint32_t user;
    uint64_t seeds;
};

/* Seed + 1 of each version, by whoever was told that it appended it; position + 1 of each id, newest. */
static _Atomic uint64_t account[STREAMS][MOST];
static _Atomic bool over;

static void note(uint32_t stream, uint64_t version, uint64_t seed) {
    if (version >= MOST) fail("more versions than the test has room for");
    const uint64_t before = exchange_acq_rel(&account[stream][version], seed + 1);
    if (before) fail("version %llu of stream %u was given twice", (unsigned long long)version, stream);
}

static uint64_t versions_of(const struct world *world, uint32_t stream) {
    return load_acquire(&stream_of(world, stream)->newest.low);
}

static void *write_events(void *argument) {
    struct busy *busy = argument;
    seed_thread(busy->user);
    for (uint64_t i = 0; i < 200 * effort; i++) {
        struct wanted events[CAPACITY];
        const uint64_t what = random_number(10);
        struct doing doing = {.world = busy->world,
                              .user = busy->user,
                              .stream = (uint32_t)random_number(STREAMS),
                              .count = what == 0   ? 2 + (uint32_t)random_number(CAPACITY - 1)
                                       : what == 1 ? 0
                                                   : 1,
                              .events = events,
                              .expected = EXPECT_ANY};
        const uint64_t versions = versions_of(busy->world, doing.stream);
        if (what > 6) doing.expected = versions ? versions - 1 : EXPECT_NO_STREAM;
        for (uint32_t k = 0; k < CAPACITY; k++) {
            const uint64_t id =
                what == 2 ? 1 + random_number(IDS) : NO_ID; /* only single events, so that none is twice */
            events[k] = (struct wanted){(uint64_t)busy->user << 40 | busy->seeds++, id};
        }
        do_it(&doing);
        expect(doing.status == STREAM_DONE || doing.status == STREAM_CONFLICT);
        if (doing.status == STREAM_CONFLICT || !doing.count) continue;
        if (what > 6) expect_equal(doing.versions[0], versions);
        if (!doing.answer.appended) continue; /* somebody has appended the id */
        expect_equal(doing.answer.appended, doing.count);
        for (uint32_t k = 0; k < doing.count; k++) {
            expect_equal(doing.versions[k], doing.versions[0] + k);
            note(doing.stream, doing.versions[k], events[k].seed);
        }
    }
    return NULL;
}

static void *read_events(void *argument) {
    const struct world *world = argument;
    uint64_t positions[STREAMS][IDS + 1] = {{0}}, versions_seen[STREAMS] = {0};
    seed_thread(99);
    while (!load_acquire(&over)) {
        const uint32_t stream = (uint32_t)random_number(STREAMS);
        const struct stream_state state = state_of(world, stream, 0);
        struct event_seen seen;
        expect(state.first <= state.versions && state.versions >= versions_seen[stream]);
        versions_seen[stream] = state.versions;
        if (state.first == state.versions) continue;
        const uint64_t version = state.first + random_number(state.versions - state.first);
        const enum find_status status = look(world, stream, version, &seen);
        expect(status == FIND_OK || status == FIND_LOST);
        if (status != FIND_OK) continue;
        const uint64_t noted = load_acquire(&account[stream][version]);
        if (noted) expect_equal(noted, seen.seed + 1);
        if (!seen.id) continue;
        uint64_t *position = &positions[stream][seen.id]; /* an id comes again when its event has given way */
        if (*position && seen.position > *position - 1) expect(seen.position > *position - 1 + CAPACITY);
        if (seen.position + 1 > *position) *position = seen.position + 1;
    }
    return NULL;
}

CASE(threads_that_append_to_the_same_streams_get_every_version_once) {
    struct world *world = make_world((struct shape){.capacity = CAPACITY, .streams = STREAMS});
    struct busy busy[WRITERS];
    pthread_t writers[WRITERS], reader;
    if (pthread_create(&reader, NULL, read_events, world)) fail("no thread");
    for (uint32_t i = 0; i < WRITERS; i++) {
        busy[i] = (struct busy){.world = world, .user = i + 1};
        if (pthread_create(&writers[i], NULL, write_events, &busy[i])) fail("no thread");
    }
    for (uint32_t i = 0; i < WRITERS; i++) pthread_join(writers[i], NULL);
    store_release(&over, true);
    pthread_join(reader, NULL);
    expect_sound_streams(world);
    for (uint32_t stream = 0; stream < STREAMS; stream++) {
        const struct stream_state state = state_of(world, stream, 0);
        for (uint64_t version = 0; version < state.versions; version++) {
            struct event_seen seen;
            const uint64_t noted = load_acquire(&account[stream][version]);
            expect(noted);
            if (version >= state.first)
                expect(look(world, stream, version, &seen) == FIND_OK && seen.seed + 1 == noted);
        }
        expect(!load_acquire(&account[stream][state.versions]));
    }
    free_world(world);
}
