/* The history ring: one sample of the totals a second, for an hour, inside the segment.
 *
 * Only the holder of the coordinator's lock writes; anyone reads. A sample is valid when its number is the one looked for
 * before and after its fields were copied (a sequence lock of one writer). A coordinator killed in the middle leaves a
 * sample whose number is 0; its successor goes on with the next.
 * Pairs: history_write:number with history_read:number, and history_write:next with history_next:next (the values: either
 * would do, for a reader asks for both); history_write:fence with history_read:fence (a reader that
 * copied a newer value finds the number changed, at history_read:again). */
#ifndef SHMSTORE_HISTORY_H
#define SHMSTORE_HISTORY_H

#include "core/ring/ring.h"

struct sample_values {
    uint64_t number, time_ns, appended, discarded, skipped, voided, lapped, length, processes;
};

/* Number and write one sample; the number is returned in it. */
void history_write(const struct ring *ring, struct sample_values *values);

/* Read one sample by its number; false when it is not there (any more). */
bool history_read(const struct ring *ring, uint64_t number, struct sample_values *values);

/* The number that the next sample will bear. */
uint64_t history_next(const struct ring *ring);

#endif
