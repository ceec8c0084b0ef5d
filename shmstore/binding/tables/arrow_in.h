/* What the two files that take in Arrow's tables share: one column of one chunk. */
#ifndef SHMSTORE_BINDING_ARROW_IN_H
#define SHMSTORE_BINDING_ARROW_IN_H

#include "binding/values/encode.h" /* Python.h first */

#include "binding/tables/arrow.h"

struct chunk {
    const struct ArrowSchema *schema; /* of the column */
    const struct ArrowArray *array;
    int64_t first, rows; /* in the array, its own offset included */
    int64_t number;      /* of the first row in the whole table */
    bool nan;            /* a missing value becomes NaN */
    struct staging *staging;
};

/* 0 when a field takes columns of this type, else -1 with an exception. */
int arrow_check_type(Store *store, uint32_t field, const struct ArrowSchema *schema);

/* The values where they lie, if they are laid out as staged ones and none is missing; else NULL. */
const unsigned char *arrow_ready(const Store *store, uint32_t field, const struct chunk *chunk);

/* Check the values and write them as they are staged, one after the other. Returns 0, or -1 with an exception. */
int arrow_stage(Store *store, uint32_t field, const struct chunk *chunk, unsigned char *to);

#endif
