/* What the parts of a scrape share: see exposition.h. */
#ifndef SHMSTORE_SCRAPE_H
#define SHMSTORE_SCRAPE_H

#include "core/metrics/cells.h"
#include "core/metrics/exposition.h"
#include "core/metrics/lines.h"

/* What a sample is called beyond the name of its metric. */
enum suffix { PLAIN, TOTAL, CREATED, BUCKET, COUNT, SUM, INFO, SUFFIX_END };

/* A copy of one series, whole, of a moment when it was there. */
struct series {
    struct node_at at;
    uint32_t place; /* whose it is, or NO_PLACE */
    uint64_t since;
    struct slice labels; /* in `text` */
    struct cell_value cells[MOST_CELLS];
    struct own_values own; /* instead of the cells: what a process has for itself */
    char text[MOST_CONTENT_BYTES];
};

/* What the kernel said of the process that had this mark in a place. */
struct living {
    uint64_t mark; /* 0: not asked yet */
    bool is_alive;
};

struct scrape {
    const struct nodes *nodes;
    const struct exposition_wish *wish;
    struct lines lines;
    struct lines created; /* of text 0.0.4, where they follow the other samples of their metric */
    uint32_t metrics, series_count, left_out;
    uint32_t nodes_used;
    uint32_t wanted;       /* a bit for each suffix, of this metric */
    struct living *living; /* one a place, once somebody is asked about */
    struct declaration declaration;
    struct series series;
    char declared[MOST_CONTENT_BYTES]; /* where the declaration lies */
};

/* A node of a family, as it was found. Sorted, families stand together. */
static inline uint64_t found_of(uint32_t family, uint32_t index) { return (uint64_t)family << 24 | index; }
static inline uint32_t found_family(uint64_t found) { return (uint32_t)(found >> 24); }
static inline uint32_t found_index(uint64_t found) { return (uint32_t)found & 0xffffff; }

/* Copy a series of this family; false: it is not there, or damaged. */
bool scrape_read(struct scrape *scrape, uint32_t family, uint32_t index);

/* Is the process that had this mark in a place alive? The kernel is asked once. */
bool scrape_is_alive(struct scrape *scrape, uint32_t place, uint64_t mark);

enum { NO_EXEMPLAR = -1 };
#define NO_LABEL ((struct label){SLICE(""), SLICE("")})

/* Find out which samples of the metric are wanted. */
void scrape_find_wanted(struct scrape *scrape);

/* Put a line of the metric's, if it is wanted; in OpenMetrics with the exemplar of a cell of the series that was read last. */
void scrape_put(struct scrape *scrape, enum suffix suffix, struct slice labels, struct label last, double value,
                int64_t exemplar);

/* Put the lines of a gauge that each process has for itself. */
void scrape_own_gauges(struct scrape *scrape, uint32_t family, const uint64_t *found, uint32_t count);

#endif
