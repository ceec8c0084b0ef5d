/* Putting the parts of a metrics segment together; see metrics.h. */
#include "core/metrics/metrics.h"

static void sweep(const void *context, uint32_t owner) {
    const struct metrics *metrics = context;
    nodes_sweep(&metrics->nodes, owner);
    exemplars_sweep(&metrics->nodes, owner);
}

void metrics_on(struct metrics *metrics, struct handle *handle) {
    *metrics = (struct metrics){
        .handle = handle,
        .nodes = {&handle->geometry, handle->ring.memory, handle->ring.liveness},
    };
    handle->processes.claims = (struct claims){sweep, metrics};
}
