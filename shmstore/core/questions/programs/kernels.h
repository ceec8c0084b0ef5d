/* One step of a program over the rows of a batch: loops that compilers turn into vector instructions. */
#ifndef SHMSTORE_KERNELS_H
#define SHMSTORE_KERNELS_H

#include "core/questions/programs/program.h"

/* Columns of step->left_kind and step->right_kind, or masks, to lanes or a mask; `to` may be one of the operands if it
 * is of the same type. */
bool kernel_lanes(const struct step *step, const void *left, const void *right, union lanes *to,
                  uint32_t rows); /* true: the result of a row overflowed; what is in that row then means nothing */
void kernel_mask(const struct step *step, const void *left, const void *right, uint8_t *mask, uint32_t rows);

/* The steps over text and bytes: columns of the fields `left` and `right` (NULL: the step has texts of its own). */
struct text_column {
    const struct field *field;
    const unsigned char *values;
};
void kernel_texts(const struct step *step, struct text_column left, struct text_column right, uint8_t *mask,
                  uint32_t rows);

/* Do the texts of a step lie within its data, one above the other? */
bool texts_ascend(const struct step *step);

/* How many bytes of a mask are 1. */
uint32_t kernel_count(const uint8_t *mask, uint32_t rows);

/* How a number stands to another, exactly, whatever their lanes are: below, equal, above; or one is NaN. */
enum order { ORDER_BELOW = -1, ORDER_EQUAL, ORDER_ABOVE, ORDER_NONE };
enum order number_order(enum lane left_lane, union number left, enum lane right_lane, union number right);

/* The first place at which ascending numbers are not below `number`; `count` when there is none. */
uint32_t number_search(enum lane lane, const union number *ascending, uint32_t count, union number number);

/* ---- what steps are ---- */

static inline bool gives_lanes(enum operation operation) { return operation <= STEP_DIVIDE; }
static inline bool is_arithmetic(enum operation operation) { return operation >= STEP_ADD && operation <= STEP_DIVIDE; }
static inline bool is_comparison(enum operation operation) {
    return operation >= STEP_EQUAL && operation <= STEP_AT_MOST;
}
static inline bool is_of_texts(enum operation operation) {
    return operation >= STEP_TEXT_EQUAL && operation <= STEP_TEXT_MEMBER;
}
static inline bool is_of_masks(enum operation operation) { return operation >= STEP_AND && operation <= STEP_NOT; }
static inline bool has_left(enum operation operation) { return operation != STEP_CONSTANT && operation != STEP_FILL; }
static inline bool has_right(const struct step *step) {
    return is_arithmetic(step->operation) || is_comparison(step->operation) || step->operation == STEP_AND ||
           step->operation == STEP_OR || (is_of_texts(step->operation) && !step->count);
}

#endif
