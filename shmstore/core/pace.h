/* Pacing: two processes in hot loops on one partition alternate in bursts instead of fighting for every append.
 *
 * Each append of one takes the partition's cache lines from the other, and then costs several times more (measured on two
 * cores: 235 ns an append in total instead of 65; paced, 97). So whoever finds that another has appended since its own last
 * append, a moment ago, lets it go on alone for a moment. Then the other finds the same. No part of the protocol depends on
 * this; nobody waits for anything, the moment has a fixed length; and who appends seldomer than every HOT_NS never gives way. */
#ifndef SHMSTORE_PACE_H
#define SHMSTORE_PACE_H

#include <time.h>

#include "ring.h"

enum {
    HOT_NS = 1000, /* two appends of one process within this time are a hot loop */
    WAY_NS = 2000  /* about 30 appends of the other process */
};

static inline int64_t pace_clock_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* `left` is the tail that this process's last append to the partition left, `at_ns` when it last appended to any. */
static inline void pace_give_way(const struct ring *ring, uint32_t partition, uint64_t left, const atomic_u64 *at_ns,
                                 int64_t now_ns) {
    if (__builtin_expect(load_relaxed(&ring_partition(ring, partition)->tail) == left, 1)) return;
    if ((uint64_t)now_ns - load_relaxed(at_ns) >= HOT_NS) return;
    for (int64_t end = pace_clock_ns() + WAY_NS; pace_clock_ns() < end;) /* a pause lasts 3 to 50 ns: time, not turns */
        for (int i = 0; i < 4; i++) cpu_relax();
}

#endif
