/* The pause of whoever gives way; see pace.h. */
#define _GNU_SOURCE
#include "core/ring/pace.h"

#include <time.h>

int64_t pace_clock_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void pace_give_way(const struct ring *ring, atomic_u64 *gave_way_ns) {
    const int64_t now = pace_clock_ns(), way = pace_way_ns(ring), end = now + way + (now & (JITTER_NS - 1));
    if (now - (int64_t)load_relaxed(gave_way_ns) < way) return;
    store_relaxed(gave_way_ns, (uint64_t)end);
    while (pace_clock_ns() < end) /* a pause lasts 3 to 50 ns: time, not turns */
        for (int i = 0; i < 4; i++) cpu_relax();
}
