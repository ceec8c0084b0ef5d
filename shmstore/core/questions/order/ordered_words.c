/* Mapping a batch of numbers to ordered words. */
#include "core/questions/order/ordered_words.h"

#include "core/base/vector.h"

VECTORISED static void ints(const int64_t *values, uint32_t rows, uint64_t *words) {
    for (uint32_t r = 0; r < rows; r++) words[r] = ordered_int(values[r]);
}

VECTORISED static void floats(const double *values, uint32_t rows, uint64_t *words) {
    for (uint32_t r = 0; r < rows; r++) words[r] = ordered_float(values[r]);
}

void ordered_words(enum lane lane, const union lanes *values, uint32_t rows, uint64_t words[BATCH_ROWS]) {
    switch (lane) {
    case LANE_INT: ints(values->i, rows, words); break;
    case LANE_UINT: memcpy(words, values->u, rows * sizeof *words); break;
    case LANE_FLOAT: floats(values->f, rows, words); break;
    }
}

VECTORISED static uint32_t count_nan(const uint64_t *words, uint32_t rows) {
    uint32_t count = 0;
    for (uint32_t r = 0; r < rows; r++) count += words[r] == ORDERED_NAN;
    return count;
}

uint32_t ordered_numbers(enum lane lane, const union lanes *values, const uint8_t *mask, uint32_t rows,
                         uint64_t words[BATCH_ROWS]) {
    uint8_t all[BATCH_ROWS];
    uint32_t kept = 0;
    ordered_words(lane, values, rows, words);
    const bool nan = lane == LANE_FLOAT && count_nan(words, rows);
    if (!mask && !nan) return rows;
    if (!mask) mask = memset(all, 1, rows);
    for (uint32_t r = 0; r < rows; r++) {
        const uint64_t word = words[r];
        words[kept] = word;
        kept += mask[r] & !(nan & (word == ORDERED_NAN));
    }
    return kept;
}
