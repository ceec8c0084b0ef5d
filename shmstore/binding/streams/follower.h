/* What reads on in one stream, or in all streams of a store: its places, what it has read and not handed over, and waiting.
 *
 * A place moves when an event is handed over. What is read ahead, to be handed over one by one, stays before it. */
#ifndef SHMSTORE_BINDING_STREAMS_FOLLOWER_H
#define SHMSTORE_BINDING_STREAMS_FOLLOWER_H

#include "binding/store/waiter.h"
#include "binding/streams/event.h"
#include "binding/streams/stream.h"

#include "core/streams/follow.h"

/* In a stream, or in a partition of all: versions in the one case, tickets in the other. */
struct place_in {
    uint64_t next;    /* all before was handed over, or is passed by */
    atomic_u64 ahead; /* all before was read; also loaded by the thread of watch.h */
    uint64_t end;     /* where the reading in progress ends; of a bounded follower, where all ends */
    bool fresh;       /* it begins with what is there: what is gone before it first looks is not missed */
};

/* What was read, or is missing. */
struct item {
    PyObject *event; /* NULL: [first, next) is missing */
    uint32_t place;
    uint64_t first, next; /* where the place is behind it */
};

/* The next event of a partition, copied, while those of others are older. */
struct candidate {
    bool is_there;
    struct follow_place at;
    struct event_facts facts;
    char *text;
};

typedef struct {
    PyObject_HEAD Streams *streams;
    Stream *stream; /* NULL: all of them */
    atomic_u32 number;
    PyObject *missed; /* called (place, first, next) for what is missing: None, what stands for it, or it raises */
    bool stops;       /* that it raises is to be expected */
    bool bounded;     /* it ends where the tails were when it was made */
    bool busy;        /* in the middle of a read, perhaps in Python code */
    uint64_t left;    /* events, until its limit */
    int64_t timeout_ns;
    uint32_t count;
    struct place_in *places;
    struct candidate *candidates; /* one a partition, of all */
    char *texts;                  /* theirs */
    struct item *items;           /* from `at` on, not handed over yet */
    size_t at, filled, room;
    struct waiter waiter;
} Follower;

extern PyType_Spec follower_spec;

PyObject *streams_follower(PyObject *self, PyObject *arguments, PyObject *keywords);

static inline bool follower_has_pending(const Follower *follower) { return follower->at < follower->filled; }

/* ---- fill.c ---- */

/* Read up to `most` events ahead, behind what is pending. -1 with an exception, unless something is pending. */
int follower_fill(Follower *follower, uint64_t most);

/* Is there anything behind what was read? */
enum news follower_look(const void *follower);

#endif
