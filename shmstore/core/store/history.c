/* Writing and reading samples; the rule is in history.h. */
#include "core/store/history.h"

#include "core/base/point.h"

static struct board *board_of(const struct ring *ring) {
    return (struct board *)(void *)(ring->memory + ring->geometry->board_offset);
}
static struct sample *sample_of(const struct ring *ring, uint64_t number) {
    return (struct sample *)(void *)(ring->memory + ring->geometry->history_offset) + number % HISTORY_SAMPLES;
}

uint64_t history_next(const struct ring *ring) {
    return load_acquire(&board_of(ring)->history_next);
} /* history_next:next */

void history_write(const struct ring *ring, struct sample_values *values) {
    values->number = history_next(ring);
    struct sample *sample = sample_of(ring, values->number);
    store_relaxed(&sample->number, 0); /* history_write:taken */
    fence_release();                   /* history_write:fence */
    POINT("sampling");
    const uint64_t *from = &values->time_ns;
    atomic_u64 *to = &sample->time_ns;
    for (int i = 0; i < 8; i++) store_relaxed(to + i, from[i]);       /* history_write:values */
    store_release(&sample->number, values->number + 1);               /* history_write:number */
    store_release(&board_of(ring)->history_next, values->number + 1); /* history_write:next */
}

bool history_read(const struct ring *ring, uint64_t number, struct sample_values *values) {
    struct sample *sample = sample_of(ring, number);
    if (number >= history_next(ring)) return false;
    if (load_acquire(&sample->number) != number + 1) return false; /* history_read:number */
    uint64_t *to = &values->time_ns;
    const atomic_u64 *from = &sample->time_ns;
    for (int i = 0; i < 8; i++) to[i] = load_relaxed(from + i); /* history_read:values */
    fence_acquire();                                            /* history_read:fence */
    values->number = number;
    return load_relaxed(&sample->number) == number + 1; /* history_read:again */
}
