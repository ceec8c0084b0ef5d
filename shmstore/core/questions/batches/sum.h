/* Sums that lose nothing: integers in 128 bits, floats in twice their precision.
 *
 * Floats are summed as high + low, where low gathers what each addition rounds away (Knuth's TwoSum; Ogita, Rump and Oishi,
 * "Accurate sum and dot product", SIAM J. Sci. Comput. 26(6), 2005: Sum2), in independent lanes that are summed likewise.
 * The result is as if worked out with 106 bits and rounded once: |error| <= 2^-53 |sum| + n^2 2^-105 sum|x|, whatever the
 * order of the values. A sum that is not finite is what plain addition gives: inf, -inf or nan. */
#ifndef SHMSTORE_SUM_H
#define SHMSTORE_SUM_H

#include "core/questions/batches/batch.h"

struct real_sum {
    double high, low;
};

struct int_sum {
    __int128 total;
};

/* Add one value. */
static inline void real_sum_one(struct real_sum *sum, double value) {
    double high = sum->high + value, part = high - sum->high;
    sum->low += (sum->high - (high - part)) + (value - part);
    sum->high = high;
}

/* Add `rows` lanes. */
void real_sum_add(struct real_sum *sum, const double *values, uint32_t rows);
void int_sum_add(struct int_sum *sum, enum lane lane, const union lanes *values, uint32_t rows);

void real_sum_merge(struct real_sum *sum, const struct real_sum *other);
static inline void int_sum_merge(struct int_sum *sum,
                                 const struct int_sum *other) { /* sums that are noise may overflow */
    sum->total = (__int128)((unsigned __int128)sum->total + (unsigned __int128)other->total);
}
double real_sum_value(const struct real_sum *sum);

#endif
