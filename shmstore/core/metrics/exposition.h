/* One scrape: all metrics of a segment as text 0.0.4 or OpenMetrics 1.0.0, from one pass over the nodes.
 *
 * Metrics stand in the order of their declarations, their series in the order of their nodes; what each process has for itself
 * is put together, by the mode of the gauge. Every line is of values that were read while its series was there, each
 * value whole; lines are not all of one moment. Scraping writes no shared byte and holds up nobody. */
#ifndef SHMSTORE_EXPOSITION_H
#define SHMSTORE_EXPOSITION_H

#include "core/metrics/declaration.h"

enum exposition_format { TEXT_0_0_4, OPENMETRICS_1_0_0 };

struct exposition_wish {
    enum exposition_format format;
    const struct slice *names; /* of the samples that are wanted, in full; NULL: all */
    uint32_t name_count;
    bool (*takes)(void *context, const struct declaration *declaration); /* whether a metric is wanted; NULL: all are */
    void *context;
    bool own;        /* also what the segment says of itself, */
    bool is_removed; /* and then, that its name was removed */
    bool goes_on;    /* more will follow: "# EOF" is left to the caller */
    bool no_created; /* leave out when series began, whatever was declared */
};

struct exposition {
    char *text;
    size_t length, room;
    uint32_t metrics, series; /* that are in it, or would be had they lines */
    uint32_t left_out;        /* declarations and series that cannot be read: damage, or of a later version */
};

/* Returns false when there is no memory; else give it back by exposition_free. */
bool exposition_write(const struct nodes *nodes, const struct exposition_wish *wish, struct exposition *exposition);
void exposition_free(struct exposition *exposition);

#endif
