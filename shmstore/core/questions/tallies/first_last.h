/* Edges: the value that a field has in the earliest, or in the latest, record of each group. */
#ifndef SHMSTORE_EDGE_H
#define SHMSTORE_EDGE_H

#include "core/questions/tallies/group.h"

struct edges {
    struct groups groups; /* begun by the caller, with nothing to tally */
    uint32_t field;
    bool latest;

    uint32_t room;
    int64_t *times; /* of each cell's edge, so far; in a store without Timestamp the order of reading is that of time */
    unsigned char *values; /* field->bytes for each cell */
    uint32_t met;          /* cells that have an edge: all below */
};

void edges_end(struct edges *edges);

enum groups_status edges_add(struct edges *edges, const struct batch *batch, const struct found *found);

static inline const unsigned char *edges_value(const struct edges *edges, uint32_t cell) {
    return edges->values + (size_t)cell * edges->groups.geometry->fields[edges->field].bytes;
}

#endif
