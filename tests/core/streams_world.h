/* A segment of streams in plain memory, processes that use it, and events that say whose they are.
 *
 * All of an event follows from its seed, so that a torn or foreign one shows itself. */
#ifndef SHMSTORE_TESTS_STREAMS_WORLD_H
#define SHMSTORE_TESTS_STREAMS_WORLD_H

#include "harness.h"

#include "core/streams/check.h"
#include "core/streams/streams.h"

enum { USERS = 5, DATA_BYTES = 40, EVENT_TEXT_BYTES = MAX_EVENT_TYPE_BYTES + MAX_EVENT_ID_BYTES + DATA_BYTES + 8 };
enum { NO_ID = 0 };

struct user {
    struct handle handle;
    struct streams streams;
    uint32_t owner;
};

struct world {
    struct geometry geometry;
    unsigned char *memory;
    struct user users[USERS]; /* of place 0, 1, ... */
};

struct shape {
    uint64_t capacity; /* 7 */
    uint32_t logs, streams;
    uint64_t tickets; /* as if so many had been handed out, and given up */
};

struct world *make_world(struct shape shape);
void free_world(struct world *world);
static inline struct stream *stream_of(const struct world *world, uint32_t stream) {
    return streams_at(&world->users[0].streams, stream);
}

/* Whoever had this place is gone, another frees what it had claimed, and the place is taken anew. */
void replace(struct world *world, uint32_t user);

/* ---- events ------------------------------------------------------------------------------------------------------ */

struct wanted {
    uint64_t seed, id; /* NO_ID: it has none */
};

/* An append, or with count 0 a deletion, as one argument. */
struct doing {
    struct world *world;
    uint32_t user, stream, count;
    const struct wanted *events;
    uint64_t expected, now_ns;
    bool for_ever;
    /* what came of it: */
    enum stream_status status;
    uint64_t versions[16];
    struct stream_answer answer;
};
void do_it(void *doing);

/* These must succeed, and say the version. */
uint64_t add_event(struct world *world, uint32_t user, uint32_t stream, uint64_t seed);
uint64_t add_with_id(struct world *world, uint32_t user, uint32_t stream, uint64_t seed, uint64_t id);

/* Find and read one version: on FIND_OK it is whole, and its seed, id and time are told. */
struct event_seen {
    uint64_t seed, id, position, time_ns;
};
enum find_status look(const struct world *world, uint32_t stream, uint64_t version, struct event_seen *seen);
/* Expect that a copied event is whole. */
struct event_seen expect_whole_event(const struct world *world, const struct event_facts *facts,
                                     const unsigned char *text);

/* User 2 claims this many slots and does not use them. */
void hold_slots(const struct world *world, uint32_t count);

struct stream_state state_of(const struct world *world, uint32_t stream, uint64_t now_ns);

/* check_streams reports nothing, and each version from the first that can be read on is read. */
#define expect_sound_streams(world) expect_sound_streams_at(world, __FILE__, __LINE__)
void expect_sound_streams_at(const struct world *world, const char *file, int line);

#endif
