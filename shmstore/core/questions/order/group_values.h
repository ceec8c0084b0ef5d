/* Values of groups: every matching record's group and value, gathered and sorted, to answer what needs all of them.
 *
 * Memory grows with the records gathered: 16 bytes each, twice that while they are sorted. A pair is one number of 128
 * bits, lower word first: the value as an ordered word, and above it the group, so one sort puts values in order within
 * groups. Of a text or bytes the lower 96 bits are its hash (see distinct.h): with n values in a group, some two are
 * confused with a probability of about n^2 / 2^97, which is 6e-18 for a million. */
#ifndef SHMSTORE_PAIRS_H
#define SHMSTORE_PAIRS_H

#include "core/questions/order/quantile.h"

enum pairs_status { PAIRS_OK, PAIRS_NO_MEMORY /* what was gathered before stays */ };

struct pairs {
    uint64_t (*items)[2];
    size_t count, room;
    enum lane lane;
};

void pairs_begin(struct pairs *p);
void pairs_free(struct pairs *p);

/* Gather a batch of numbers, always of the same lane; `cells` says the group of each record. */
enum pairs_status pairs_add(struct pairs *p, const uint32_t *cells, enum lane lane, const union lanes *values,
                            const uint8_t *mask /* NULL: all */, uint32_t rows);

/* The same for a column of text or bytes: see distinct_add_bytes. */
enum pairs_status pairs_add_bytes(struct pairs *p, const uint32_t *cells, const unsigned char *column, uint32_t bytes,
                                  const uint8_t *mask /* NULL: all */, uint32_t rows);

/* When all are gathered, and before the questions below. */
enum pairs_status pairs_sort(struct pairs *p);

/* Where the pairs of a group lie. */
struct pairs_span {
    size_t first, count;
};
struct pairs_span pairs_of(const struct pairs *p, uint32_t cell);

/* The quantile q (0..1) of a group's numbers; NaN is left aside. */
struct quantile pairs_quantile(const struct pairs *p, struct pairs_span span, double q);

/* How many different values a group has; all NaN are one. */
uint64_t pairs_distinct(const struct pairs *p, struct pairs_span span);

#endif
