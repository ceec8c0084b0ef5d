/* A series as Python holds it: its cells at hand, so that an update is one look and one compare-and-swap.
 *
 * A metric is a root; a metric with labels has children, one a series, and no cells itself. Whatever moves, be it the metric
 * into a segment, this process by a fork, or the series out of the table, shows when an update begins: then make_ready finds,
 * or makes, the cells anew. A child whose series was removed is detached: its updates do nothing, as labels() gives another.
 *
 * No Python code runs between the look whether the cells are at hand and the update, so nothing is closed in between. */
#ifndef SHMSTORE_BINDING_SERIES_H
#define SHMSTORE_BINDING_SERIES_H

#include "binding/metrics/metrics.h"

#include "core/metrics/declaration.h"

enum standing { UNBOUND, BOUND, REFUSED /* there was no room */, DETACHED /* it was removed */ };

/* A child that labels() gave not long ago, found by the addresses of its label values, as calls in a program pass the same. */
enum { RECENT_CHILDREN = 8 };
struct recent_child {
    PyObject *values; /* tuple; NULL: there is none */
    PyObject *child;
};

typedef struct Series {
    PyObject_HEAD struct Series *root; /* its metric; of that itself, uncounted; NULL: it is no series yet */

    /* Of a root: what is the same for all of its children. */
    Metrics *home;         /* where its series are, or are to be; NULL before it is declared */
    PyObject *declaration; /* bytes, the key first */
    uint32_t key_bytes;
    uint32_t family;      /* NO_FAMILY: there was no room to declare it */
    uint64_t declared;    /* the word of its node */
    enum gauge_mode mode; /* of what is set as a whole, as states are, MOSTRECENT; of what is added to, NOT_A_GAUGE */
    uint32_t cell_count, bound_count;
    double *bounds; /* of the buckets of a histogram */
    Py_ssize_t label_count;
    PyObject *children;          /* dict: label values -> child */
    struct recent_child *recent; /* RECENT_CHILDREN, where there are labels */

    /* Of a series. */
    PyObject *values; /* of its labels: tuple, or NULL */
    PyObject *text;   /* bytes: its key; NULL: it has none, as a metric with labels */
    Metrics *metrics; /* where it is bound, or was refused */
    enum standing standing;
    bool silent; /* a function says its value */
    struct node_at at;
    struct cell_at cell; /* the first; its cell is NULL unless it is BOUND */
    struct wide **cells; /* all, when there are more */
    uint32_t owner;      /* of what each process has for itself: who took it; else 0 */
    uint64_t mark;       /* the same, as cells bear it */
    uint64_t freed;      /* how much was freed when it was refused */
    bool is_too_long;    /* why it was */
} Series;

/* Does each process have these for itself? In private memory there is one process. */
static inline bool is_own(const Metrics *metrics, enum gauge_mode mode) {
    return metrics->store && mode != NOT_A_GAUGE && mode != GAUGE_MOSTRECENT;
}

/* Can the series be updated at once? */
static inline bool at_hand(const Series *series) {
    const Store *store = series->metrics ? series->metrics->store : NULL;
    return series->cell.cell &&
           (!store ||
            (!store->closed && (!series->owner || series->owner == processes_owner(&store->handle.processes))));
}

/* Make it so. 1: try again; 0: it counts into nothing; -1: an exception. */
int make_ready(Series *series);

static inline struct cell_at cell_of(const Series *series, uint32_t number) {
    struct cell_at at = series->cell;
    if (number) at.cell = series->cells[number];
    return at;
}

static inline uint64_t now_us(void) { return (uint64_t)now_ns() / 1000; }

/* Set the value of a series that was made ready: false when it was removed meanwhile. */
bool set_value(const Series *series, double value, uint64_t time_us);

/* Where a series was before it moved. */
struct earlier {
    Metrics *metrics;
    struct node_at at;
    struct cell_at cell;
    struct wide **cells;
};

/* Take what this process has counted there away, and add it to the series as it is bound now. */
void bring_along(Series *series, const struct earlier *earlier);

extern PyType_Spec series_spec, counter_spec, gauge_spec, histogram_spec, summary_spec;

#endif
