/* futex and membarrier; the rule is in wait.h. */
#define _GNU_SOURCE
#include "core/waiting/wait.h"

#include "core/base/point.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

bool wait_register(void) { return !syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0); }

uint32_t wait_announce(atomic_u32 *news, bool registered) {
    uint32_t kept = or_acq_rel(news, NEWS_WAITERS) | NEWS_WAITERS; /* wait_announce:flag */
    if (registered) syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0);
    return kept;
}

void wait_sleep(atomic_u32 *news, uint32_t kept, int64_t timeout_ns) {
    struct timespec timeout = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
    POINT("going to sleep");
    if (syscall(SYS_futex, news, FUTEX_WAIT, kept, &timeout, NULL, 0) && errno != EAGAIN && errno != EINTR &&
        errno != ETIMEDOUT) /* a sandbox that forbids futexes: look again soon, but do not spin */
        nanosleep(timeout_ns < WAIT_REFUSED_NS ? &timeout : &(struct timespec){.tv_nsec = WAIT_REFUSED_NS}, NULL);
}

void wait_for_news(atomic_u32 *news, bool registered, enum news (*look)(const void *context), const void *context,
                   int64_t limit_ns) {
    const uint32_t kept = wait_announce(news, registered);
    const enum news found = look(context);
    if (found == NEWS_SOME) return;
    /* A held slot may be decided by its owner's death, which wakes nobody. */
    const int64_t longest = found == NEWS_HELD || !registered ? WAIT_NAP_NS : WAIT_LONGEST_NS;
    wait_sleep(news, kept, limit_ns >= 0 && limit_ns < longest ? limit_ns : longest);
}

void wait_wake(atomic_u32 *news) {
    uint32_t seen = load_relaxed(news);
    while (!cas_acq_rel_u32(news, &seen, (seen + NEWS_WAKE) & ~(uint32_t)NEWS_WAITERS)) {} /* wait_wake:count */
    POINT("waking");
    syscall(SYS_futex, news, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}
