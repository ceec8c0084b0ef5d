/* Questions to a store that may be spoiled: all end, inside its bytes and their own memory. For fuzz_store.c. */
#ifndef SHMSTORE_TESTS_FUZZ_QUESTIONS_H
#define SHMSTORE_TESTS_FUZZ_QUESTIONS_H

#include "core/ring/ring.h"

/* Who asks: `marks` are one a block, 0 at first. */
struct inquirer {
    const struct ring *ring;
    const struct field_spec *fields;
    atomic_u64 *marks;
    uint32_t keys; /* below so many are key ids, as it was told */
};

/* Ask: `choice` says which records the question is about, and what it wants to know of them. */
void inquire(const struct inquirer *inquirer, uint8_t choice);

/* Write summaries with right checks, of one field in every block of a partition, whose words follow from `noise`. */
void forge_summary(const struct ring *ring, uint64_t noise);

#endif
