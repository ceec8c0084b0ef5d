/* In turn: which partition comes next, so that all partitions together keep exactly the newest records.
 *
 * Ticket t of partition p is place t * partitions + p of one order; in turn, the places are taken one after the other, by
 * whatever processes. Each handle remembers the place after its own last one. While that is free, which the tail of its
 * partition tells, it is the next: so whoever appends alone looks at no other partition. When somebody has taken it, the
 * handle walks on to the first free place. A place that was taken stays taken, so the handle passes each place once; and
 * it walks no further than one round, for by then it has seen every partition, and takes the emptiest.
 *
 * Handles that choose at the same moment may choose the same partition. Then one of them has come too early by a round;
 * that place counts as taken, and everybody passes it when the others have come as far. Nothing adds up. Every handle
 * chooses a partition that was the emptiest when it looked, and only appends that were under way at that moment can go
 * there as well: so the fullest partition is ahead of the emptiest by at most one record for each append under way (and
 * by one more where threads share a handle: it passes the places that its other threads are about to take). What
 * `partition=` or skipped tickets have made uneven becomes even as well. */
#ifndef SHMSTORE_TURN_H
#define SHMSTORE_TURN_H

#include "core/ring/ring.h"

enum { TURN_PARTITION_BITS = 12 }; /* a place is kept as round << 12 | partition */
#define TURN_PARTITION_MASK ((UINT32_C(1) << TURN_PARTITION_BITS) - 1)
_Static_assert(MAX_PARTITIONS <= 1 << TURN_PARTITION_BITS, "a partition's number fits into its bits");

static inline uint64_t turn_tail(const struct ring *ring, uint32_t partition) {
    return load_relaxed(&ring_partition(ring, partition)->tail);
}

/* The partition of the first free place, and its `*round`, which is at first that of the place of `from` to begin with. */
uint32_t turn_search(const struct ring *ring, uint32_t from, uint64_t *round);

/* Is the place that comes next for this handle still free? `turn` belongs to the handle, 0 at first. */
static inline bool turn_is_free(const struct ring *ring, const atomic_u64 *turn) {
    const uint64_t place = load_relaxed(turn);
    uint64_t tail = turn_tail(ring, place & TURN_PARTITION_MASK);
    return (tail ^ place >> TURN_PARTITION_BITS) << TURN_PARTITION_BITS == 0;
}

/* Take the next place: returns its partition. */
static inline uint32_t turn_take(const struct ring *ring, atomic_u64 *turn) {
    uint64_t place = load_relaxed(turn), round = place >> TURN_PARTITION_BITS;
    uint32_t partition = (uint32_t)place & TURN_PARTITION_MASK;
    if (__builtin_expect(!turn_is_free(ring, turn), 0)) partition = turn_search(ring, partition, &round);
    bool wraps = partition + 1 == ring->geometry->options.partitions;
    store_relaxed(turn, (round + wraps) << TURN_PARTITION_BITS | (wraps ? 0 : partition + 1));
    return partition;
}

#endif
