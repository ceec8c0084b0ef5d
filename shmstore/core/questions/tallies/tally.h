/* Tallies: what is asked of some numbers of the records that match: their count, sum, least and greatest value, variance. */
#ifndef SHMSTORE_TALLY_H
#define SHMSTORE_TALLY_H

#include "core/questions/programs/program.h"
#include "core/questions/batches/summary.h"

/* What to tally of a value; any of them together. */
enum { TALLY_SUM = 1, TALLY_BOUNDS = 2, TALLY_MOMENTS = 4 };

/* What became of one value over the records of one group. NaN is left out of low and high, and makes the rest NaN. */
struct tally {
    union {
        struct int_sum integer;
        struct real_sum real;
    } sum;
    union number low, high; /* low > high: no value */
    /* Of `counted` values: how far their mean lies from the first of them, and the sum of squared distances from the mean.
     * From the first, so that large numbers lose nothing of their small differences. */
    union number origin;
    double mean, squares;
    uint64_t counted;
};

/* A block that matches as a whole: what is known of it. */
struct block {
    uint64_t records;
    const struct facts *facts; /* one a field */
};

/* Which values of a program are tallied, and how. */
struct tallies {
    uint32_t count;
    struct {
        enum lane lane;
        int field; /* NO_FIELD: worked out */
        unsigned what;
    } values[MAX_VALUES];
};

/* A tally of nothing, one for each value. */
void tally_begin(struct tally *tally, const struct tallies *asked);

/* Add what was found in a batch of `rows` records. `tally` has one for each value. */
void tally_batch(struct tally *tally, const struct tallies *asked, const struct found *found, uint32_t rows);

/* Add one record: that row of the values' lanes. */
void tally_row(struct tally *tally, const struct tallies *asked, const union lanes *const *values, uint32_t row);

/* Can the facts of a block answer? Then add them. */
bool tally_answers(const struct tallies *asked, const struct block *block);
void tally_block(struct tally *tally, const struct tallies *asked, const struct block *block);

void tally_merge(struct tally *tally, const struct tallies *asked, const struct tally *other);

#endif
