/* Waiting for news of a store, for whatever reads on: by sleeping, and by a descriptor. See wait.h and watch.h. */
#ifndef SHMSTORE_BINDING_WAITER_H
#define SHMSTORE_BINDING_WAITER_H

#include "binding/store/store.h"

#include "core/waiting/watch.h"

struct waiter {
    Store *store; /* the owner keeps it alive */
    const void *owner;
    enum news (*look)(const void *owner);   /* into the shared bytes; called by any thread, without the GIL */
    bool (*has_pending)(const void *owner); /* has it something that was read, and not handed over? */
    atomic_u32 closed;
    struct watched watched;
};

/* Neither the waiter nor its owner may move. */
void waiter_open(struct waiter *waiter, Store *store, const void *owner, enum news (*look)(const void *),
                 bool (*has_pending)(const void *));

/* Sleep until there is news, with the GIL released: 1 for news, 0 for none in time (< 0: no limit) or when it was closed, -1
 * with an exception: StoreClosed, StoreUnlinked, or what a signal handler raised. */
int waiter_await(struct waiter *waiter, int64_t timeout_ns);

/* A descriptor that is readable while there is news. NULL with an exception. */
PyObject *waiter_fileno(struct waiter *waiter);

/* After a read: tell whoever polls the descriptor how things stand now. */
void waiter_settle(struct waiter *waiter);

/* End every wait, in whatever thread. Idempotent. */
void waiter_close(struct waiter *waiter);

/* Before the owner is freed. */
void waiter_drop(struct waiter *waiter);

int64_t monotonic_ns(void);

/* Nanoseconds of a timeout in seconds, in which less than 0 and very much mean no limit. */
static inline int64_t waiter_timeout_ns(double seconds) {
    return seconds < 0 || seconds > 9e9 ? -1 : (int64_t)(seconds * 1e9);
}

#endif
