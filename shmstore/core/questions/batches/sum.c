/* Sums over lanes; see sum.h. */
#include "core/questions/batches/sum.h"

#include <math.h>
#include <string.h>

#include "core/base/vector.h"

enum { WIDTH = 4 }; /* lanes of a vector: wider ones are slow where the processor has none */
typedef double reals __attribute__((vector_size(8 * WIDTH)));

/* Four sums of vectors: so many independent additions hide how long each takes. */
#define TWO_SUM(n)                                                                                                     \
    do {                                                                                                               \
        reals value, next, part;                                                                                       \
        memcpy(&value, values + row + (n)*WIDTH, sizeof value);                                                        \
        next = high##n + value;                                                                                        \
        part = next - high##n;                                                                                         \
        low##n += (high##n - (next - part)) + (value - part);                                                          \
        high##n = next;                                                                                                \
    } while (0)

VECTORISED static void add_reals(struct real_sum *sum, const double *values, uint32_t rows) {
    reals high0 = {0}, high1 = {0}, high2 = {0}, high3 = {0}, low0 = {0}, low1 = {0}, low2 = {0}, low3 = {0};
    uint32_t row = 0;
    for (; row + 4 * WIDTH <= rows; row += 4 * WIDTH) {
        TWO_SUM(0);
        TWO_SUM(1);
        TWO_SUM(2);
        TWO_SUM(3);
    }
    for (uint32_t lane = 0; lane < WIDTH; lane++) {
        real_sum_merge(sum, &(struct real_sum){high0[lane], low0[lane]});
        real_sum_merge(sum, &(struct real_sum){high1[lane], low1[lane]});
        real_sum_merge(sum, &(struct real_sum){high2[lane], low2[lane]});
        real_sum_merge(sum, &(struct real_sum){high3[lane], low3[lane]});
    }
    for (; row < rows; row++) real_sum_one(sum, values[row]);
}

void real_sum_add(struct real_sum *sum, const double *values, uint32_t rows) {
    const struct real_sum before = *sum;
    add_reals(sum, values, rows);
    if (isfinite(sum->high)) return;
    *sum = before; /* a lane may overflow where values in their order do not */
    for (uint32_t row = 0; row < rows; row++) real_sum_one(sum, values[row]);
}

void real_sum_merge(struct real_sum *sum, const struct real_sum *other) {
    real_sum_one(sum, other->high);
    sum->low += other->low;
}

double real_sum_value(const struct real_sum *sum) { return isfinite(sum->high) ? sum->high + sum->low : sum->high; }

/* Halves of 32 bits are summed apart: so they cannot overflow, and no carry is needed. */
VECTORISED static void add_integers(struct int_sum *sum, enum lane lane, const union lanes *values, uint32_t rows) {
    const uint64_t flip = lane == LANE_INT ? UINT64_C(1) << 63 : 0; /* counts from the least value: none is negative */
    uint64_t low = 0, high = 0;
    for (uint32_t row = 0; row < rows; row++) {
        uint64_t value = values->u[row] ^ flip;
        low += value & UINT32_MAX;
        high += value >> 32;
    }
    sum->total += (__int128)(((unsigned __int128)high << 32) + low) - (__int128)((unsigned __int128)flip * rows);
}

void int_sum_add(struct int_sum *sum, enum lane lane, const union lanes *values, uint32_t rows) {
    add_integers(sum, lane, values, rows);
}
