/* The least and the greatest of lanes; see bounds.h. */
#include "core/questions/batches/bounds.h"

#include <math.h>

#include "core/base/vector.h"

void bounds_begin(enum lane lane, union number *low, union number *high) {
    switch (lane) {
    case LANE_INT: low->i = INT64_MAX, high->i = INT64_MIN; break;
    case LANE_UINT: low->u = UINT64_MAX, high->u = 0; break;
    case LANE_FLOAT: low->f = INFINITY, high->f = -INFINITY; break;
    }
}

/* Compares so that NaN is neither less nor more. */
#define DEFINE_BOUNDS(name, type, member)                                                                              \
    VECTORISED static void name(union number *low, union number *high, const union lanes *values, uint32_t rows) {     \
        type lows[LANES], highs[LANES];                                                                                \
        for (int lane = 0; lane < LANES; lane++) lows[lane] = low->member, highs[lane] = high->member;                 \
        uint32_t row = 0;                                                                                              \
        for (; row + LANES <= rows; row += LANES)                                                                      \
            for (uint32_t lane = 0; lane < LANES; lane++) {                                                            \
                type value = values->member[row + lane];                                                               \
                lows[lane] = value < lows[lane] ? value : lows[lane];                                                  \
                highs[lane] = value > highs[lane] ? value : highs[lane];                                               \
            }                                                                                                          \
        for (; row < rows; row++) {                                                                                    \
            if (values->member[row] < lows[0]) lows[0] = values->member[row];                                          \
            if (values->member[row] > highs[0]) highs[0] = values->member[row];                                        \
        }                                                                                                              \
        for (int lane = 0; lane < LANES; lane++) {                                                                     \
            if (lows[lane] < low->member) low->member = lows[lane];                                                    \
            if (highs[lane] > high->member) high->member = highs[lane];                                                \
        }                                                                                                              \
    }

enum { LANES = 8 };
DEFINE_BOUNDS(int_bounds, int64_t, i)
DEFINE_BOUNDS(uint_bounds, uint64_t, u)
DEFINE_BOUNDS(real_bounds, double, f)

void bounds_add(enum lane lane, union number *low, union number *high, const union lanes *values, uint32_t rows) {
    switch (lane) {
    case LANE_INT: int_bounds(low, high, values, rows); break;
    case LANE_UINT: uint_bounds(low, high, values, rows); break;
    case LANE_FLOAT: real_bounds(low, high, values, rows); break;
    }
}
