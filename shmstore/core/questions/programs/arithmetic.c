/* The steps of programs that give lanes: fields widened to 64 bits, and arithmetic as Python has it. */
#include "core/questions/programs/kernels.h"
#include "core/base/vector.h"

#include <math.h>
#include <string.h>

__extension__ typedef __int128 wide; /* holds every number of either integer lane */
__extension__ typedef unsigned __int128 wide_magnitude;

INLINE void to_float(uint32_t kind, const union lanes *from, union lanes *to, uint32_t rows) {
    if (kind == KIND_UINT64) EACH_ROW to->f[r] = (double)from->u[r];
    else EACH_ROW to->f[r] = (double)from->i[r];
}

/* A sum of numbers of unlike sign never overflows; one of like sign has overflowed when its sign is the other. */
INLINE bool add_ints(const union lanes *left, const union lanes *right, union lanes *to, uint32_t rows) {
    uint64_t over = 0;
    EACH_ROW {
        uint64_t a = left->u[r], b = right->u[r], sum = a + b;
        over |= (a ^ sum) & (b ^ sum);
        to->u[r] = sum;
    }
    return over >> 63;
}

INLINE bool subtract_ints(const union lanes *left, const union lanes *right, union lanes *to, uint32_t rows) {
    uint64_t over = 0;
    EACH_ROW {
        uint64_t a = left->u[r], b = right->u[r], difference = a - b;
        over |= (a ^ b) & (a ^ difference);
        to->u[r] = difference;
    }
    return over >> 63;
}

/* Python's // and %: the quotient is rounded down, what is left has the divisor's sign. The divisor is not 0. */
static wide floor_quotient(wide a, wide b) { return a / b - (a % b && (a < 0) != (b < 0)); }
static wide floor_rest(wide a, wide b) { return a % b + (a % b && (a < 0) != (b < 0) ? b : 0); }

static bool combine(enum operation operation, wide a, wide b, wide *result) {
    switch (operation) {
    case STEP_ADD: *result = a + b; return false;
    case STEP_SUBTRACT: *result = a - b; return false;
    case STEP_MULTIPLY: return __builtin_mul_overflow(a, b, result);
    default: *result = !b ? 0 : operation == STEP_FLOOR ? floor_quotient(a, b) : floor_rest(a, b); return !b;
    }
}

static wide widened(uint32_t kind, uint64_t lane) { return kind == KIND_UINT64 ? (wide)lane : (wide)(int64_t)lane; }

/* Integers of any lanes to integers of any lane, one by one. */
static bool combine_ints(const struct step *step, const union lanes *left, const union lanes *right, union lanes *to,
                         uint32_t rows) {
    const wide least = step->lane == LANE_UINT ? 0 : INT64_MIN;
    const wide most = step->lane == LANE_UINT ? (wide)UINT64_MAX : INT64_MAX;
    bool over = false;
    for (uint32_t r = 0; r < rows; r++) {
        wide result;
        over |= combine(step->operation, widened(step->left_kind, left->u[r]), widened(step->right_kind, right->u[r]),
                        &result) ||
                result < least || result > most;
        to->u[r] = (uint64_t)result;
    }
    return over;
}

static bool multiply_ints(const union lanes *left, const union lanes *right, union lanes *to, uint32_t rows) {
    bool over = false;
    for (uint32_t r = 0; r < rows; r++) {
        int64_t a = left->i[r], b = right->i[r], product; /* gcc 12 mistakes a product that replaces its own factor */
        over |= __builtin_mul_overflow(a, b, &product);
        to->i[r] = product;
    }
    return over;
}

static bool divide_ints(enum operation operation, const union lanes *left, const union lanes *right, union lanes *to,
                        uint32_t rows) {
    bool over = false;
    for (uint32_t r = 0; r < rows; r++) {
        int64_t a = left->i[r], b = right->i[r];
        if (b == 0 || b == -1) { /* what the processor refuses: by 0, and the least number by -1 */
            over |= b == 0 || (operation == STEP_FLOOR && a == INT64_MIN);
            to->i[r] = operation == STEP_FLOOR && b ? (int64_t)(0 - (uint64_t)a) : 0;
            continue;
        }
        int64_t quotient = a / b, rest = a % b;
        bool beyond = rest && (rest < 0) != (b < 0);
        to->i[r] = operation == STEP_FLOOR ? quotient - beyond : rest + (beyond ? b : 0);
    }
    return over;
}

/* The float nearest to a / b: a quotient of 62 bits or more, its last bit set when something is left, rounds right. */
static double nearest_quotient(wide a, wide b) {
    uint64_t above = (uint64_t)(a < 0 ? -a : a), below = (uint64_t)(b < 0 ? -b : b);
    if (!above || !below) return (double)(int64_t)(a < 0 ? -1 : a > 0) / (double)(int64_t)(b < 0 ? -1 : b > 0);
    int shift = 62 + __builtin_clzll(above) - __builtin_clzll(below);
    if (shift < 0) shift = 0;
    wide_magnitude scaled = (wide_magnitude)above << shift;
    uint64_t quotient = (uint64_t)(scaled / below) | (scaled % below != 0), scale = (uint64_t)(1023 - shift) << 52;
    double power;
    memcpy(&power, &scale, sizeof power);
    return ((a < 0) != (b < 0) ? -1.0 : 1.0) * (double)quotient * power;
}

/* As CPython's float_divmod, except that a divisor 0 is no error. */
static double floor_floats(double a, double b, bool quotient_wanted) {
    if (b == 0) return quotient_wanted ? a / b : NAN;
    double rest = fmod(a, b), quotient = (a - rest) / b;
    if (rest == 0) {
        rest = copysign(0.0, b);
    } else if ((b < 0) != (rest < 0)) {
        rest += b;
        quotient -= 1.0;
    }
    if (!quotient_wanted) return rest;
    if (quotient == 0) return copysign(0.0, a / b);
    double floored = floor(quotient);
    return quotient - floored > 0.5 ? floored + 1.0 : floored;
}

static bool divide_exactly(const struct step *step, const union lanes *left, const union lanes *right, union lanes *to,
                           uint32_t rows) {
    for (uint32_t r = 0; r < rows; r++)
        to->f[r] = nearest_quotient(widened(step->left_kind, left->u[r]), widened(step->right_kind, right->u[r]));
    return false;
}

INLINE bool calculate_floats(enum operation operation, const union lanes *left, const union lanes *right,
                             union lanes *to, uint32_t rows) {
    switch (operation) {
    case STEP_ADD: EACH_ROW to->f[r] = left->f[r] + right->f[r]; break;
    case STEP_SUBTRACT: EACH_ROW to->f[r] = left->f[r] - right->f[r]; break;
    case STEP_MULTIPLY: EACH_ROW to->f[r] = left->f[r] * right->f[r]; break;
    case STEP_DIVIDE: EACH_ROW to->f[r] = left->f[r] / right->f[r]; break;
    default:
        for (uint32_t r = 0; r < rows; r++) to->f[r] = floor_floats(left->f[r], right->f[r], operation == STEP_FLOOR);
    }
    return false;
}

INLINE bool calculate(const struct step *step, const union lanes *left, const union lanes *right, union lanes *to,
                      uint32_t rows) {
    if (lane_of(step->left_kind) == LANE_FLOAT) return calculate_floats(step->operation, left, right, to, rows);
    if (step->operation == STEP_DIVIDE) return divide_exactly(step, left, right, to, rows);
    if (step->left_kind == KIND_UINT64 || step->right_kind == KIND_UINT64 || step->lane == LANE_UINT)
        return combine_ints(step, left, right, to, rows);
    switch (step->operation) {
    case STEP_ADD: return add_ints(left, right, to, rows);
    case STEP_SUBTRACT: return subtract_ints(left, right, to, rows);
    case STEP_MULTIPLY: return multiply_ints(left, right, to, rows);
    default: return divide_ints(step->operation, left, right, to, rows);
    }
}

/* ---- a step ------------------------------------------------------------------------------------------------------- */

VECTORISED static bool run_lanes(const struct step *step, const void *left, const void *right, union lanes *to,
                                 uint32_t rows) {
    const uint64_t constant = step->low.u;
    switch (step->operation) {
    case STEP_LOAD: {
        const union lanes *lanes = column_lanes(step->left_kind, left, rows, to);
        if (lanes != to) memmove(to, lanes, rows * sizeof *to->u);
        return false;
    }
    case STEP_CONSTANT: EACH_ROW to->u[r] = constant; return false;
    case STEP_FLOAT: to_float(step->left_kind, left, to, rows); return false;
    default: return calculate(step, left, right, to, rows);
    }
}

bool kernel_lanes(const struct step *step, const void *left, const void *right, union lanes *to, uint32_t rows) {
    return run_lanes(step, left, right, to, rows);
}
