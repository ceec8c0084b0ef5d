/* Pacing: processes in hot loops on the same partitions alternate in bursts instead of fighting for every append.
 *
 * Each append of one takes the partition's cache lines from the other, and then costs several times more. (Two processes on
 * two cores append 0.2 to 0.4 times as much together as one alone; paced, 0.6 to 0.8 times.) So whoever finds that another
 * has appended to the partition since its own last append, a moment ago, lets it go on alone for a moment. Whoever has given
 * way appends for as long without being asked again, whichever partitions it goes through: so bursts alternate, and a
 * partition more does not mean a pause more. No part of the protocol depends on this; nobody waits for anything, the moment
 * has a fixed length; and whoever appends seldomer than every HOT_NS, as those that answer each other do, never gives way. */
#ifndef SHMSTORE_PACE_H
#define SHMSTORE_PACE_H

#include "core/ring/ring.h"

enum {
    HOT_NS = 1000,      /* two appends of one process within this time are a hot loop, */
    HOT_FOR_NS = 20000, /* for so long */
    WAY_NS = 6000,     /* some 80 appends of the other process: what a change of turns costs is small against it; and */
    MORE_NS = 500,     /* for each partition, whose cache lines change hands then, */
    MOST_COUNTED = 16, /* up to so many */
    JITTER_NS = 4096,  /* a power of two */
};

int64_t pace_clock_ns(void);

/* How long to give way, at least. */
static inline int64_t pace_way_ns(const struct ring *ring) {
    uint32_t partitions = ring->geometry->options.partitions;
    return WAY_NS + MORE_NS * (int64_t)(partitions < MOST_COUNTED ? partitions : MOST_COUNTED);
}

/* Somebody else appends to the partition as well: let it go on, unless this handle gave way a moment ago. Pauses are of
 * different lengths: of two that pause at the same time, one goes on first, and from then on they alternate. */
__attribute__((cold)) void pace_give_way(const struct ring *ring, atomic_u64 *gave_way_ns);

/* Before an append. `left` is the tail that this handle's last append to the partition left; `is_hot`: the handle is in a hot
 * loop; `gave_way_ns` belongs to the handle, 0 at first. */
static inline void pace(const struct ring *ring, uint32_t partition, uint64_t left, bool is_hot,
                        atomic_u64 *gave_way_ns) {
    if (__builtin_expect(load_relaxed(&ring_partition(ring, partition)->tail) == left, 1) || !is_hot) return;
    pace_give_way(ring, gave_way_ns);
}

#endif
