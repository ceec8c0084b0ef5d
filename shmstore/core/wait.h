/* Waiting for news without polling, and never missing any.
 *
 * The news word is a futex with two flags. NEWS_WAITERS: somebody sleeps. NEWS_UNLINKED: the name was removed.
 * A waiter sets NEWS_WAITERS, issues a barrier that every attached process takes part in (membarrier), looks at the
 * partitions once more, and sleeps while the word is unchanged. An appender publishes and then loads the word: with nobody
 * waiting that load is all it pays. Either the appender sees the flag, or the waiter's last look sees the record.
 * Waking clears the flag and wakes in one system call (FUTEX_WAKE_OP), so a process that dies waking has done both or
 * neither. Where membarrier is not to be had, a waiter sleeps at most WAIT_NAP_NS at a time. */
#ifndef SHMSTORE_WAIT_H
#define SHMSTORE_WAIT_H

#include "layout.h"

#define WAIT_NAP_NS INT64_C(50000000)

/* Announce this process as one that barriers must reach. Returns whether waiters may rely on it. */
bool wait_register(void);

/* Set the flag and issue the barrier. The caller then looks for news, and sleeps only when there is none. */
void wait_announce(atomic_u32 *news, bool registered);

/* Sleep until woken, the flag cleared, a signal, or the timeout; returns -EINTR for a signal, else 0. */
int wait_sleep(atomic_u32 *news, int64_t timeout_ns);

/* Clear the flag and wake every waiter. */
void wait_wake(atomic_u32 *news);

/* After publishing: wake whoever waits. */
static inline void wait_notify(atomic_u32 *news) {
    if (__builtin_expect(load_relaxed(news) & NEWS_WAITERS, 0)) wait_wake(news); /* wait_notify:flag */
}

#endif
