/* The search for the first free place; see turn.h. */
#include "core/ring/turn.h"

/* The first free place, however uneven the partitions are. */
static uint32_t look_at_all(const struct ring *ring, uint64_t *round) {
    uint32_t first = 0;
    *round = turn_tail(ring, 0);
    for (uint32_t i = 1; i < ring->geometry->options.partitions; i++) {
        uint64_t tail = turn_tail(ring, i);
        if ((int64_t)(tail - *round) >= 0) continue;
        *round = tail;
        first = i;
    }
    return first;
}

uint32_t turn_search(const struct ring *ring, uint32_t from, uint64_t *round) {
    const uint32_t count = ring->geometry->options.partitions;
    const uint64_t tail = turn_tail(ring, from);
    /* The place of `from` in round tail - 1 is taken, that in round tail is free: `count` places further on. */
    uint32_t taken = 0, free = count;
    while (free - taken > 1) {
        uint32_t middle = taken + (free - taken) / 2, wraps = from + middle >= count;
        uint64_t its_round = tail - 1 + wraps;
        bool is_taken = (int64_t)(turn_tail(ring, from + middle - wraps * count) - its_round) > 0;
        *(is_taken ? &taken : &free) = middle;
    }
    const uint32_t wraps = from + free >= count, found = from + free - wraps * count;
    *round = tail - 1 + wraps;
    return turn_tail(ring, found) == *round ? found : look_at_all(ring, round);
}
