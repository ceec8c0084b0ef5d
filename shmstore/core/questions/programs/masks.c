/* The steps of programs that give masks from numbers, ids and other masks. */
#include "core/questions/programs/kernels.h"
#include "core/base/vector.h"

#include <math.h>
#include <string.h>

/* One unsigned comparison instead of two: what lies below `low` wraps to above the range. */
#define INT_RANGE(type)                                                                                                \
    do {                                                                                                               \
        const type *column = from, low = (type)step->low.u, span = (type)(step->high.u - step->low.u);                 \
        if (!span) EACH_ROW_TO_MASK mask[r] = column[r] == low;                                                        \
        else EACH_ROW_TO_MASK mask[r] = (type)(column[r] - low) <= span;                                               \
    } while (0)

#define FLOAT_RANGE(type)                                                                                              \
    do {                                                                                                               \
        const type *column = from, low = (type)step->low.f, high = (type)step->high.f;                                 \
        if (low == high) EACH_ROW_TO_MASK mask[r] = column[r] == low;                                                  \
        else if (high == (type)INFINITY) EACH_ROW_TO_MASK mask[r] = column[r] >= low;                                  \
        else if (low == -(type)INFINITY) EACH_ROW_TO_MASK mask[r] = column[r] <= high;                                 \
        else EACH_ROW_TO_MASK mask[r] = (column[r] >= low) & (column[r] <= high);                                      \
    } while (0)

INLINE void range(const struct step *step, const void *from, uint8_t *mask, uint32_t rows) {
    switch (step->left_kind) {
    case KIND_INT8:
    case KIND_UINT8: INT_RANGE(uint8_t); break;
    case KIND_INT16:
    case KIND_UINT16: INT_RANGE(uint16_t); break;
    case KIND_INT32:
    case KIND_UINT32:
    case KIND_KEY: INT_RANGE(uint32_t); break;
    case KIND_FLOAT32: FLOAT_RANGE(float); break;
    case KIND_FLOAT64: FLOAT_RANGE(double); break;
    case KIND_BOOL: {
        const uint8_t *column = from, if_false = step->low.i <= 0, if_true = step->high.i >= 1;
        EACH_ROW_TO_MASK mask[r] = column[r] ? if_true : if_false;
        break;
    }
    default: INT_RANGE(uint64_t);
    }
}

static bool is_member(const struct step *step, enum lane lane, union number number) {
    const union number *ascending = step->data;
    uint32_t at = number_search(lane, ascending, step->count, number);
    return at < step->count && (lane == LANE_FLOAT ? ascending[at].f == number.f : ascending[at].u == number.u);
}

enum { FEW = 32 }; /* compared one after the other */

INLINE void member(const struct step *step, const union lanes *from, uint8_t *mask, uint32_t rows) {
    const union number *numbers = step->data;
    if (step->count > FEW) {
        enum lane lane = lane_of(step->left_kind);
        for (uint32_t r = 0; r < rows; r++) mask[r] = is_member(step, lane, (union number){.u = from->u[r]});
        return;
    }
    memset(mask, 0, rows);
    for (uint32_t i = 0; i < step->count; i++) {
        const union number number = numbers[i];
        if (lane_of(step->left_kind) == LANE_FLOAT) EACH_ROW_TO_MASK mask[r] |= from->f[r] == number.f;
        else EACH_ROW_TO_MASK mask[r] |= from->u[r] == number.u;
    }
}

#define COMPARE(relation, member) EACH_ROW_TO_MASK mask[r] = left->member[r] relation right->member[r]

#define COMPARE_ALIKE(member)                                                                                          \
    do {                                                                                                               \
        if (step->operation == STEP_EQUAL) COMPARE(==, member);                                                        \
        else if (step->operation == STEP_LESS) COMPARE(<, member);                                                     \
        else COMPARE(<=, member);                                                                                      \
    } while (0)

static void compare_unlike(const struct step *step, const union lanes *left, const union lanes *right, uint8_t *mask,
                           uint32_t rows) {
    for (uint32_t r = 0; r < rows; r++) {
        enum order order = number_order(lane_of(step->left_kind), (union number){.u = left->u[r]},
                                        lane_of(step->right_kind), (union number){.u = right->u[r]});
        mask[r] = (order == ORDER_BELOW && step->operation != STEP_EQUAL) ||
                  (order == ORDER_EQUAL && step->operation != STEP_LESS);
    }
}

INLINE void compare(const struct step *step, const union lanes *left, const union lanes *right, uint8_t *mask,
                    uint32_t rows) {
    enum lane lane = lane_of(step->left_kind);
    if (lane != lane_of(step->right_kind)) compare_unlike(step, left, right, mask, rows);
    else if (lane == LANE_INT) COMPARE_ALIKE(i);
    else if (lane == LANE_UINT) COMPARE_ALIKE(u);
    else COMPARE_ALIKE(f);
}

INLINE void ids(const struct step *step, const uint32_t *from, uint8_t *mask, uint32_t rows) {
    const uint8_t *bits = step->data;
    for (uint32_t r = 0; r < rows; r++) mask[r] = from[r] < step->count ? bits[from[r] / 8] >> (from[r] % 8) & 1 : 0;
}

VECTORISED static void run_mask(const struct step *step, const void *left, const void *right, uint8_t *mask,
                                uint32_t rows) {
    const uint8_t *left_mask = left, *right_mask = right;
    switch (step->operation) {
    case STEP_RANGE: range(step, left, mask, rows); break;
    case STEP_MEMBER: member(step, left, mask, rows); break;
    case STEP_EQUAL:
    case STEP_LESS:
    case STEP_AT_MOST: compare(step, left, right, mask, rows); break;
    case STEP_IDS: ids(step, left, mask, rows); break;
    case STEP_AND: EACH_ROW mask[r] = left_mask[r] & right_mask[r]; break;
    case STEP_OR: EACH_ROW mask[r] = left_mask[r] | right_mask[r]; break;
    case STEP_NOT: EACH_ROW mask[r] = left_mask[r] ^ 1; break;
    default: memset(mask, step->low.i != 0, rows);
    }
}

void kernel_mask(const struct step *step, const void *left, const void *right, uint8_t *mask, uint32_t rows) {
    run_mask(step, left, right, mask, rows);
}

/* Eight bytes at a time; up to 255 sums of ones do not carry into the next byte. */
uint32_t kernel_count(const uint8_t *mask, uint32_t rows) {
    uint64_t sums = 0;
    uint32_t count = 0, words = rows / 8;
    for (uint32_t w = 0; w < words; w++) {
        uint64_t word;
        memcpy(&word, mask + 8 * w, 8);
        sums += word;
    }
    for (uint32_t r = 8 * words; r < rows; r++) count += mask[r];
    for (; sums; sums >>= 8) count += (uint32_t)(sums & 0xff);
    return count;
}
_Static_assert(BATCH_ROWS / 8 <= 255, "a byte counts the ones of a mask in every eighth row");
