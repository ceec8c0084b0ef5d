/* Radix sort, the least digit first: a stable counting sort by each byte, except bytes that are the same in all. */
#include "core/questions/order/sort.h"

#include <string.h>

enum { DIGITS = 8 /* of a word */, VALUES = 256 };

static inline __attribute__((always_inline)) void sort(uint64_t *items, uint64_t *spare, size_t count, size_t width) {
    size_t starts[2 * DIGITS][VALUES] = {{0}};
    uint64_t *from = items, *to = spare;
    for (size_t i = 0; i < count * width; i += width)
        for (size_t digit = 0; digit < width * DIGITS; digit++)
            starts[digit][items[i + digit / DIGITS] >> digit % DIGITS * 8 & (VALUES - 1)]++;
    for (size_t digit = 0; count && digit < width * DIGITS; digit++) {
        const size_t word = digit / DIGITS, shift = digit % DIGITS * 8;
        size_t start = 0, *start_of = starts[digit];
        if (start_of[items[word] >> shift & (VALUES - 1)] == count) continue; /* any item will do */
        for (size_t value = 0; value < VALUES; value++) {
            const size_t here = start_of[value];
            start_of[value] = start;
            start += here;
        }
        for (size_t i = 0; i < count * width; i += width) {
            const size_t at = start_of[from[i + word] >> shift & (VALUES - 1)]++;
            for (size_t k = 0; k < width; k++) to[at * width + k] = from[i + k];
        }
        uint64_t *const sorted = to;
        to = from;
        from = sorted;
    }
    if (count && from != items) memcpy(items, from, count * width * sizeof *items);
}

void sort_words(uint64_t *words, uint64_t *spare, size_t count) { sort(words, spare, count, 1); }

void sort_pairs(uint64_t (*pairs)[2], uint64_t (*spare)[2], size_t count) { sort(*pairs, *spare, count, 2); }
