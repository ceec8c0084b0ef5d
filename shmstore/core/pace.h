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

/* This process's last append to one partition; private. */
struct pace {
    atomic_u64 tail; /* the tail that it left */
    atomic_u64 at_ns;
};

static inline int64_t pace_clock_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline void pace_give_way(const struct pace *pace, const struct ring *ring, uint32_t partition, int64_t now_ns) {
    if ((uint64_t)now_ns - load_relaxed(&pace->at_ns) >= HOT_NS) return;
    if (load_relaxed(&ring_partition(ring, partition)->tail) == load_relaxed(&pace->tail)) return;
    for (int64_t end = pace_clock_ns() + WAY_NS; pace_clock_ns() < end;) /* a pause lasts 3 to 50 ns: time, not turns */
        for (int i = 0; i < 4; i++) cpu_relax();
}

static inline void pace_note(struct pace *pace, uint64_t ticket, int64_t now_ns) {
    store_relaxed(&pace->tail, ticket + 1);
    store_relaxed(&pace->at_ns, (uint64_t)now_ns);
}

#endif
