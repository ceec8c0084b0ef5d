/* Putting the parts of a metrics segment together; see metrics.h. */
#include "core/metrics/metrics.h"

#include "core/metrics/changes.h"
#include "core/metrics/contents.h"

static void sweep(void *context, uint32_t owner) {
    const struct metrics *metrics = context;
    nodes_sweep(&metrics->nodes, owner);
    exemplars_sweep(&metrics->nodes, owner);
}

void metrics_on(struct metrics *metrics, struct handle *handle) {
    *metrics = (struct metrics){
        .handle = handle,
        .nodes = {&handle->geometry, handle->ring.memory, handle->ring.liveness},
    };
    handle->processes.claims = (struct claims){.sweep = sweep, .context = metrics};
}

void metrics_count(const struct metrics *metrics, struct metrics_room *room) {
    const struct nodes *nodes = &metrics->nodes;
    const struct changes *changes = changes_of(nodes);
    *room = (struct metrics_room){.nodes = nodes->geometry->node_count,
                                  .refused = load_relaxed(&changes->refused),
                                  .too_long = load_relaxed(&changes->too_long),
                                  .placeless = load_relaxed(&changes->placeless)};
    const uint64_t claimed_once = load_relaxed(&changes->used);
    for (uint32_t index = 0; index < room->nodes && index < claimed_once; index++) {
        const struct node *node = nodes_at(nodes, index);
        const enum node_state state = node_state(load_relaxed(&node->word));
        room->used += state != NODE_FREE;
        if (state != NODE_LIVE) continue;
        if (family_of(load_relaxed(&node->identity)) == NO_FAMILY) room->declarations++;
        else room->series++;
    }
    room->exemplars = exemplars_count(nodes);
}
