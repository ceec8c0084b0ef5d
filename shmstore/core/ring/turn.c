/* The walk to the first free place; see turn.h. */
#include "core/ring/turn.h"

enum { MOST_FETCHED = 16 }; /* tails that are on their way at once */

uint32_t turn_search(const struct ring *ring, uint32_t from, uint64_t *round) {
    const uint32_t count = ring->geometry->options.partitions;
    const uint64_t begun = *round;
    int64_t least = INT64_MAX;
    uint32_t found = from, fetched = 0;
    for (uint32_t i = 0; i < count && least > 0; i++) {
        /* Other processors have these lines: fetch several at once, but not many before the first steps have failed. */
        for (; fetched < count && fetched < 2 * i + 2 && fetched < i + MOST_FETCHED; fetched++)
            __builtin_prefetch(&ring_partition(ring, from + fetched - (from + fetched < count ? 0 : count))->tail);
        const uint32_t wraps = from + i >= count, partition = from + i - wraps * count;
        const uint64_t tail = turn_tail(ring, partition);
        /* How many rounds after the place that we are at is the first free one of its partition? */
        const int64_t rounds = (int64_t)((tail - begun - wraps) << TURN_PARTITION_BITS);
        if (rounds >= least) continue;
        least = rounds;
        found = partition;
        *round = tail;
    }
    return found;
}
