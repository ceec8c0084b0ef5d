/* futex and membarrier; the rule is in wait.h. */
#define _GNU_SOURCE
#include "wait.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

bool wait_register(void) { return !syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0); }

void wait_announce(atomic_u32 *news, bool registered) {
    or_acq_rel(news, NEWS_WAITERS); /* wait_announce:flag */
    if (registered) syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0);
}

int wait_sleep(atomic_u32 *news, int64_t timeout_ns) {
    struct timespec timeout = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
    uint32_t seen = load_relaxed(news);
    if (!(seen & NEWS_WAITERS)) return 0;
    long result = syscall(SYS_futex, news, FUTEX_WAIT, seen, timeout_ns < 0 ? NULL : &timeout, NULL, 0);
    return result && errno == EINTR ? -EINTR : 0;
}

void wait_wake(atomic_u32 *news) {
    int clear = FUTEX_OP(FUTEX_OP_ANDN, NEWS_WAITERS, FUTEX_OP_CMP_EQ, 0);
    if (syscall(SYS_futex, news, FUTEX_WAKE_OP, INT_MAX, (void *)0, news, clear) < 0) {
        and_acq_rel(news, ~(uint32_t)NEWS_WAITERS);
        syscall(SYS_futex, news, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    }
}
