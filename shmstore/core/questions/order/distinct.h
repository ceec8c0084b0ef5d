/* How many different values a stream has that can be gone over several times: exact, in constant memory.
 *
 * Values are hashed, and a pass keeps the hashes of one slice of their range, [from, to], in a table. The first slice
 * is everything. When the table is full, the upper half of the slice is dropped from it, for later passes. At the end
 * of a pass the values held are counted, and the next slice begins where this one ended, as wide as the table will
 * probably hold: hashes are spread evenly. So every pass counts its slice, and the passes are about as many as the
 * values fill tables.
 *
 * Numbers are hashed one to one, so their count is exact. -0.0 and 0.0 are one value, and so are all NaN. Texts and
 * bytes are taken for equal when two different 64-bit hashes of each are: among n values that nobody has chosen for it,
 * any two are confused with a probability of about n^2 / 2^129, which is 1e-21 for a thousand million.
 *
 * When the records change between passes, the count is a sum of slices, each true at the time of its pass. */
#ifndef SHMSTORE_DISTINCT_H
#define SHMSTORE_DISTINCT_H

#include "core/questions/order/ordered_words.h"

enum { DISTINCT_WORDS = 120 << 10 };

struct distinct {
    uint64_t from, to; /* hashes that this pass counts */
    uint64_t counted;  /* values below `from`: the answer, at the end */
    uint64_t held;     /* values in the table */
    uint32_t words;    /* of a value in the table: 1 number, 2 text or bytes */
    bool zero;         /* the value with hash 0, which in the table means an empty place, was met in this pass */
    uint64_t table[DISTINCT_WORDS];
};

_Static_assert(sizeof(struct distinct) <= 1 << 20, "memory is constant: at most 1 MiB");

void distinct_begin(struct distinct *d);

/* Add a batch to the current pass. */
void distinct_add(struct distinct *d, enum lane lane, const union lanes *values, const uint8_t *mask /* NULL: all */,
                  uint32_t rows);

/* The same for a column of text or bytes, all passes: each value in `bytes` bytes, a multiple of 8, with its length in
 * the last two. */
void distinct_add_bytes(struct distinct *d, const unsigned char *column, uint32_t bytes,
                        const uint8_t *mask /* NULL: all */, uint32_t rows);

/* PASS_DONE: `counted` is the answer. */
enum pass distinct_end_pass(struct distinct *d);

/* Two hashes of a text or bytes; the first is never 0. */
struct value_hash {
    uint64_t first, second;
};
struct value_hash hash_bytes(const unsigned char *value, uint32_t bytes);

#endif
