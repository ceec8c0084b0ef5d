/* The steps of programs over text and bytes.
 *
 * Text is compared byte by byte: UTF-8 keeps the order of the characters. Fields are read as they are decoded: so many
 * bytes as their last two say, but no more than the field's size. */
#include "core/questions/programs/kernels.h"

#include <string.h>

struct text {
    const unsigned char *bytes;
    size_t length;
};

static struct text text_in_row(const struct text_column *column, uint32_t row) {
    const struct field *field = column->field;
    const unsigned char *bytes = column->values + (size_t)row * field->bytes;
    uint16_t length;
    memcpy(&length, bytes + field->bytes - 2, sizeof length);
    return (struct text){bytes, length < field->size ? length : field->size};
}

static struct text text_of_step(const struct step *step, uint32_t index) {
    const uint32_t *ends = step->data;
    const unsigned char *bytes = (const unsigned char *)(ends + step->count);
    uint32_t start = index ? ends[index - 1] : 0;
    return (struct text){bytes + start, ends[index] - start};
}

/* Below 0, 0 or above 0, as memcmp. */
static int compare_texts(struct text left, struct text right) {
    int order = memcmp(left.bytes, right.bytes, left.length < right.length ? left.length : right.length);
    return order ? order : (left.length > right.length) - (left.length < right.length);
}

static bool is_ordered(enum operation operation, struct text left, struct text right) {
    int order = compare_texts(left, right);
    return operation == STEP_TEXT_EQUAL ? !order : operation == STEP_TEXT_LESS ? order < 0 : order <= 0;
}

static uint64_t word_at(const unsigned char *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

/* Does the text begin with `prefix`, or is it equal? Eight bytes at a time, without a branch: a field's stored bytes are
 * whole words, and a prefix that fits the text leaves two of them for the length. */
static void match_prefix(const struct text_column *column, struct text prefix, bool equal, uint8_t *mask,
                         uint32_t rows) {
    const size_t whole = prefix.length / 8, rest = prefix.length % 8;
    const uint64_t last_bits = rest ? UINT64_MAX >> (64 - 8 * rest) : 0;
    uint64_t last = 0;
    memcpy(&last, prefix.bytes + 8 * whole, rest);
    if (prefix.length > column->field->size) {
        memset(mask, 0, rows);
        return;
    }
    for (uint32_t r = 0; r < rows; r++) {
        const struct text text = text_in_row(column, r);
        uint64_t difference = (word_at(text.bytes + 8 * whole) ^ last) & last_bits;
        for (size_t w = 0; w < whole; w++) difference |= word_at(text.bytes + 8 * w) ^ word_at(prefix.bytes + 8 * w);
        mask[r] = (difference == 0) & (equal ? text.length == prefix.length : text.length >= prefix.length);
    }
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first bytes of a word are its lowest bits");

static bool is_member(const struct step *step, struct text text) {
    uint32_t first = 0, end = step->count;
    while (first < end) {
        uint32_t middle = first + (end - first) / 2;
        int order = compare_texts(text_of_step(step, middle), text);
        if (!order) return true;
        if (order < 0) first = middle + 1;
        else end = middle;
    }
    return false;
}

void kernel_texts(const struct step *step, struct text_column left, struct text_column right, uint8_t *mask,
                  uint32_t rows) {
    enum operation operation = step->operation;
    if (operation == STEP_TEXT_MEMBER) {
        for (uint32_t r = 0; r < rows; r++) mask[r] = is_member(step, text_in_row(&left, r));
    } else if (!step->count) {
        for (uint32_t r = 0; r < rows; r++)
            mask[r] = is_ordered(operation, text_in_row(&left, r), text_in_row(&right, r));
    } else if (operation == STEP_TEXT_EQUAL || operation == STEP_TEXT_STARTS) {
        match_prefix(&left, text_of_step(step, 0), operation == STEP_TEXT_EQUAL, mask, rows);
    } else {
        const struct text constant = text_of_step(step, 0);
        for (uint32_t r = 0; r < rows; r++) mask[r] = is_ordered(operation, text_in_row(&left, r), constant);
    }
}

bool texts_ascend(const struct step *step) {
    const uint32_t *ends = step->data;
    uint64_t table_bytes = (uint64_t)step->count * sizeof *ends;
    if (step->data_bytes < table_bytes) return false;
    for (uint32_t i = 0, end = 0; i < step->count; end = ends[i++])
        if (ends[i] < end || ends[i] > step->data_bytes - table_bytes) return false;
    for (uint32_t i = 1; i < step->count; i++)
        if (compare_texts(text_of_step(step, i - 1), text_of_step(step, i)) >= 0) return false;
    return true;
}
