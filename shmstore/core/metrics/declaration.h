/* What is declared of a metric: which type it is, and the texts that an exposition prints as they are.
 *
 * A declaration is a node whose key is the metric's full name (of a counter without `_total`). Behind the key, in the same text,
 * little-endian:
 *
 *   version (1 byte, 1) | type (1) | mode of a gauge (1) | flags (1) | number of items (2) | 0 (2)
 *   then texts, each its length (4 bytes) and as much UTF-8:
 *     what stands above its samples in text 0.0.4, whole lines: # HELP, # TYPE
 *     the same for OpenMetrics: # HELP, # TYPE, # UNIT
 *     the name of its samples without any suffix, escaped to what both formats allow: [a-zA-Z_:][a-zA-Z0-9_:]*
 *     the items: of a histogram its bounds as printed, the last one +Inf; of an enum its states, escaped as label values
 *     JSON, for those who declare it again
 *
 * A series of it is a node whose family is the declaration's node and whose key is its label part as printed and escaped:
 * `method="GET",route="/x"`. It has these cells (cells.h):
 *
 *   counter, summary, info    one
 *   histogram                 one a bucket
 *   gauge, mostrecent         one: the latest value of all processes
 *   enum                      one: the number of the latest state
 *   gauge, any other mode     two, and a place in its key: what a process has for itself, and what is kept beside it, as
 *                             gauge_fold says; of livemostrecent, when it was set, in us since the Unix epoch */
#ifndef SHMSTORE_DECLARATION_H
#define SHMSTORE_DECLARATION_H

#include "core/base/utf8.h"
#include "core/metrics/cells.h"
#include "core/metrics/contents.h"

/* Text that lies elsewhere. */
struct slice {
    const char *text;
    uint32_t length;
};

enum metric_type {
    METRIC_COUNTER = 1,
    METRIC_GAUGE,
    METRIC_HISTOGRAM,
    METRIC_SUMMARY,
    METRIC_INFO,
    METRIC_ENUM,
    METRIC_TYPE_END
};

enum gauge_mode {
    NOT_A_GAUGE,
    GAUGE_ALL,
    GAUGE_LIVEALL,
    GAUGE_MIN,
    GAUGE_LIVEMIN,
    GAUGE_MAX,
    GAUGE_LIVEMAX,
    GAUGE_SUM,
    GAUGE_LIVESUM,
    GAUGE_MOSTRECENT,
    GAUGE_LIVEMOSTRECENT,
    GAUGE_MODE_END
};

enum {
    DECLARATION_VERSION = 1,
    DECLARED_CREATED = 1, /* a flag: of counters, histograms and summaries, when a series was made is printed as well */
    MOST_CONTENT_BYTES = (MOST_PARTS + 1) * REST_BYTES,
    MOST_CELLS = 1 + MOST_CONTENT_BYTES / (int)sizeof(struct wide),
};

/* Its texts lie in what it was read from. */
struct declaration {
    uint32_t index; /* of its node, where it was read from one */
    enum metric_type type;
    enum gauge_mode mode;
    bool created;
    struct slice name, text_lines, openmetrics_lines, sample, json;
    uint32_t item_count;
    struct slice items[MOST_CELLS];
};

/* Read a declaration from the text of its node. False: it is damaged, or of a later version. */
bool declaration_read(const char *text, uint32_t bytes, uint32_t key_bytes, struct declaration *declaration);

/* What is kept beside the own value of a process. */
enum fold gauge_fold(enum gauge_mode mode);

/* How many cells its series have. */
uint32_t declaration_cells(const struct declaration *declaration);

/* Has each process a series for itself? */
static inline bool declaration_is_own(const struct declaration *declaration) {
    return declaration->type == METRIC_GAUGE && declaration->mode != GAUGE_MOSTRECENT;
}

/* Can this stand in a line? UTF-8, and nothing ends the line. */
static inline bool slice_is_in_line(struct slice slice) {
    const unsigned char *bytes = (const unsigned char *)slice.text;
    return !memchr(bytes, '\n', slice.length) && (is_ascii(bytes, slice.length) || is_utf8(bytes, slice.length));
}

#endif
