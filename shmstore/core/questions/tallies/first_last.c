/* Edges, record by record; see first_last.h. */
#include "core/questions/tallies/first_last.h"

#include <stdlib.h>
#include <string.h>

void edges_end(struct edges *edges) {
    groups_end(&edges->groups);
    free(edges->times);
    free(edges->values);
}

static bool grow(struct edges *edges, size_t bytes) {
    if (edges->groups.cell_count > edges->room) {
        uint32_t room = edges->groups.cell_room;
        int64_t *times = realloc(edges->times, room * sizeof *times);
        if (times) edges->times = times;
        unsigned char *values = realloc(edges->values, room * bytes);
        if (values) edges->values = values;
        if (!times || !values) return false;
        edges->room = room;
    }
    for (; edges->met < edges->groups.cell_count; edges->met++)
        edges->times[edges->met] = edges->latest ? INT64_MIN : INT64_MAX;
    return true;
}

enum groups_status edges_add(struct edges *edges, const struct batch *batch, const struct found *found) {
    const struct geometry *g = edges->groups.geometry;
    const size_t bytes = g->fields[edges->field].bytes;
    const int64_t *times =
        g->time_field == NO_FIELD ? NULL : (const int64_t *)(const void *)batch->columns[g->time_field];
    struct placed placed;
    if (!found->matched) return GROUPS_OK;
    enum groups_status status = groups_place(&edges->groups, batch, found, &placed);
    if (status != GROUPS_OK) return status;
    if (!grow(edges, bytes)) return GROUPS_NO_MEMORY;
    for (uint32_t n = 0; n < placed.count; n++) {
        const uint32_t row = placed_row(&placed, n), cell = placed.cells[n];
        const bool any = edges->groups.cells[cell].count++ > 0;
        const int64_t time = times ? times[row] : 0;
        /* Of equal times the first that was read is the earliest, and the last one the latest. */
        if (any && !(edges->latest ? time >= edges->times[cell] : time < edges->times[cell])) continue;
        edges->times[cell] = time;
        memcpy(edges->values + cell * bytes, batch->columns[edges->field] + row * bytes, bytes);
    }
    return GROUPS_OK;
}
