/* Worker-shared metrics on an open segment: declarations and series, their cells and exemplars.
 *
 * A metrics segment is opened by handle_open as any other; it has no partitions. This puts together what its other half works on,
 * and has what the dead had claimed there settled along with their places. */
#ifndef SHMSTORE_METRICS_H
#define SHMSTORE_METRICS_H

#include "core/metrics/cells.h"
#include "core/metrics/exemplars.h"
#include "core/store/store.h"

struct metrics {
    struct handle *handle;
    struct nodes nodes;
};

/* On an open handle of a metrics segment; neither may move. */
void metrics_on(struct metrics *metrics, struct handle *handle);

/* What the segment holds, and has room for. */
struct metrics_room {
    uint64_t nodes, used; /* in all, and those that are not free: also parts, and what is on its way */
    uint64_t declarations, series;
    uint64_t exemplars; /* that are kept now */
    uint64_t refused;   /* series, and updates of them, */
    uint64_t too_long;  /* of which so many were too long, */
    uint64_t placeless; /* and so many were of processes without a place */
};

/* Count it (best-effort). Only reads. */
void metrics_count(const struct metrics *metrics, struct metrics_room *room);

#endif
