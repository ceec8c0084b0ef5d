/* Exact quantiles of a stream that can be gone over several times, in constant memory.
 *
 * The first pass keeps an even sample. If that is everything, it is the only pass. Otherwise the sample says between
 * which two values each wanted rank lies, most likely. Every further pass counts what lies below and within these
 * ranges, and keeps what lies within. If that is more than there is room for, it is counted in buckets instead, and the
 * bucket of the rank is the next range. Two passes for a million numbers; each more narrows a range to a thousandth, or
 * better. (After J. I. Munro and M. S. Paterson, Selection and sorting with limited storage, 1980; the sample is that
 * of R. W. Floyd and R. L. Rivest, Expected time bounds for selection, 1975.)
 *
 * The records may change between passes. So each pass computes the ranks anew from the count of that pass, and a rank
 * that is no longer in its range is looked for in the gap between ranges where it must be. A quantile is settled by one
 * pass alone. After QUANTILE_PASSES what is not settled is taken as a bound of its range. */
#ifndef SHMSTORE_QUANTILE_H
#define SHMSTORE_QUANTILE_H

#include "core/questions/order/ordered_words.h"

enum {
    MAX_QUANTILES = 16,
    QUANTILE_RANGES = 2 * MAX_QUANTILES,
    QUANTILE_VALUES = 31 << 10, /* kept in a pass, and as many buckets */
    QUANTILE_PASSES = 32,
};

/* A quantile lies between two neighbours of the sorted numbers: low + fraction * (high - low). */
struct quantile {
    bool any; /* false: there are no numbers, and nothing below means anything */
    enum lane lane;
    union number low, high;
    double fraction; /* 0 <= fraction < 1 */
};

/* Is it just one of the numbers, `low`? */
bool quantile_is_low(const struct quantile *quantile);

/* The quantile as a double, rounded as NumPy rounds its linear method. */
double quantile_real(const struct quantile *quantile);

/* Which two ranks, from 0, of `count` > 0 sorted numbers the quantile q (0..1) lies between, and where. */
struct quantile_ranks {
    uint64_t low, high;
    double fraction;
};
struct quantile_ranks quantile_ranks(double q, uint64_t count);

struct quantile_range {
    uint64_t from, to;      /* ordered words, inclusive */
    uint64_t below, within; /* numbers of this pass */
    uint32_t shift;         /* a bucket is 2^shift wide */
};

struct quantiles {
    double wanted[MAX_QUANTILES];
    struct quantile results[MAX_QUANTILES];
    bool settled[MAX_QUANTILES];
    uint32_t wanted_count, range_count, buckets /* of each range, and one more */, passes /* that have ended */;
    enum lane lane;
    uint64_t total;                /* numbers of this pass */
    uint64_t stride, next, random; /* sample: one of each `stride` numbers; when the next is due; for which of them */
    uint64_t held;                 /* of `values` */
    bool spilled;                  /* some values of this pass were counted in `counts` */
    struct quantile_range ranges[QUANTILE_RANGES]; /* ascending, with gaps */
    uint64_t values[QUANTILE_VALUES];
    uint64_t counts[QUANTILE_VALUES];
};

_Static_assert(sizeof(struct quantiles) <= 512 << 10, "memory is constant, and fits into a second-level cache");

/* Begin with `count` <= MAX_QUANTILES quantiles, each from 0 to 1. */
void quantiles_begin(struct quantiles *q, const double *wanted, uint32_t count);

/* Add a batch to the current pass, always of the same lane; NaN is left aside. */
void quantiles_add(struct quantiles *q, enum lane lane, const union lanes *values, const uint8_t *mask /* NULL: all */,
                   uint32_t rows);

/* PASS_DONE: `results` hold. */
enum pass quantiles_end_pass(struct quantiles *q);

#endif
