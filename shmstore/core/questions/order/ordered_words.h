/* Numbers of every lane as 64-bit words that compare as the numbers do, so that sorting and selecting are one code.
 *
 * -0.0 and 0.0 are one word, and so are all NaN, which lie above every number. */
#ifndef SHMSTORE_ORDERED_H
#define SHMSTORE_ORDERED_H

#include "core/questions/batches/batch.h"

#include <string.h>

/* What the end of a pass over all records says. */
enum pass { PASS_DONE, PASS_AGAIN /* go over all records once more */ };

#define ORDERED_SIGN (UINT64_C(1) << 63)
#define ORDERED_NAN UINT64_MAX                              /* of LANE_FLOAT */
#define ORDERED_INFINITY UINT64_C(0xfff0000000000000)       /* of LANE_FLOAT */
#define ORDERED_MINUS_INFINITY UINT64_C(0x000fffffffffffff) /* of LANE_FLOAT */

static inline uint64_t ordered_int(int64_t value) { return (uint64_t)value ^ ORDERED_SIGN; }

/* NaN is told by its bits, without comparing doubles: so compilers make vectors of loops over this. */
static inline uint64_t ordered_float(double value) {
    const double one_zero = value + 0.0; /* -0.0 + 0.0 is 0.0 */
    uint64_t bits;
    memcpy(&bits, &one_zero, sizeof bits);
    const uint64_t is_nan = 0 - (uint64_t)((bits & ~ORDERED_SIGN) > (ORDERED_INFINITY ^ ORDERED_SIGN));
    bits ^= (0 - (bits >> 63)) | ORDERED_SIGN; /* negative numbers: the larger the bits, the smaller the number */
    return bits | (is_nan & ORDERED_NAN);
}

/* The number that a word stands for. */
static inline union number ordered_number(enum lane lane, uint64_t word) {
    union number number = {.u = word};
    if (lane == LANE_INT) number.u = word ^ ORDERED_SIGN;
    if (lane == LANE_FLOAT) number.u = word ^ (((word >> 63) - 1) | ORDERED_SIGN);
    return number;
}

/* The words of the first `rows` values. */
void ordered_words(enum lane lane, const union lanes *values, uint32_t rows, uint64_t words[BATCH_ROWS]);

/* The words of those of the first `rows` values that the mask (NULL: all) keeps and that are not NaN; how many. */
uint32_t ordered_numbers(enum lane lane, const union lanes *values, const uint8_t *mask, uint32_t rows,
                         uint64_t words[BATCH_ROWS]);

#endif
