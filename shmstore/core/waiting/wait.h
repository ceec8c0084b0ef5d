/* Waiting for news without polling, and never missing any.
 *
 * The news word is a futex: two flags and a count of wake-ups. NEWS_WAITERS: somebody sleeps. NEWS_UNLINKED: the name was
 * removed.
 * 1. A waiter sets NEWS_WAITERS and keeps the word as it then is, issues a barrier that every attached process takes part in
 *    (membarrier), looks at the partitions once more, and sleeps only while the word is the one it kept.
 * 2. An appender publishes and then loads the word: with nobody waiting, that load is all it pays. Either it sees the flag,
 *    or the waiter's look sees the record.
 * 3. To wake is to clear the flag and raise the count by one CAS, then to wake every sleeper. The count is what keeps a
 *    waiter from sleeping on a flag that another waiter has set since.
 * 4. A writer that dies between publishing and waking wakes nobody. So nobody sleeps longer than WAIT_LONGEST_NS before it
 *    looks again, or than WAIT_NAP_NS where there is no membarrier, or a live writer holds the slot that would be read next. */
#ifndef SHMSTORE_WAIT_H
#define SHMSTORE_WAIT_H

#include "core/base/layout.h"

#define WAIT_LONGEST_NS INT64_C(1000000000)
#define WAIT_NAP_NS INT64_C(50000000)
#define WAIT_REFUSED_NS INT64_C(2000000)

/* Announce this process as one that barriers must reach. Returns whether waiters may rely on it. */
bool wait_register(void);

/* [1] Set the flag and issue the barrier. Returns the word to sleep on, if a look then finds no news. */
uint32_t wait_announce(atomic_u32 *news, bool registered);

enum news { NEWS_NONE, NEWS_HELD /* not until a live writer goes on */, NEWS_SOME };

/* [1] Sleep until news may have come, at most `limit_ns` (< 0: no limit): announce, look, and only then sleep. */
void wait_for_news(atomic_u32 *news, bool registered, enum news (*look)(const void *context), const void *context,
                   int64_t limit_ns);

/* Sleep while the word is `kept`, until woken, a signal, or the timeout. */
void wait_sleep(atomic_u32 *news, uint32_t kept, int64_t timeout_ns);

/* [3] Wake every waiter. */
void wait_wake(atomic_u32 *news);

/* After publishing: wake whoever waits. */
static inline void wait_notify(atomic_u32 *news) {
    if (__builtin_expect(load_relaxed(news) & NEWS_WAITERS, 0)) wait_wake(news); /* wait_notify:flag */
}

#endif
