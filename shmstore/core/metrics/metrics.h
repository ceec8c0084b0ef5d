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

#endif
