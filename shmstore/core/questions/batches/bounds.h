/* The least and the greatest of lanes, NaN aside. */
#ifndef SHMSTORE_BOUNDS_H
#define SHMSTORE_BOUNDS_H

#include "core/questions/batches/batch.h"

/* The bounds when there is no value: low > high. */
void bounds_begin(enum lane lane, union number *low, union number *high);

/* Widen them to those of `rows` lanes. */
void bounds_add(enum lane lane, union number *low, union number *high, const union lanes *values, uint32_t rows);

static inline bool bounds_are_empty(enum lane lane, union number low, union number high) {
    return lane == LANE_FLOAT ? !(low.f <= high.f) : lane == LANE_INT ? low.i > high.i : low.u > high.u;
}

#endif
