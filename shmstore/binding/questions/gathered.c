/* Gathering values: into pairs of a group and a value, which are sorted when all are there. */
#include "binding/questions/gathered.h"

void gathered_numbers(struct gathered *gathered, const struct run *run) {
    *gathered = (struct gathered){.lane = run->program->values[0].lane};
    pairs_begin(&gathered->pairs);
}

void gathered_field(struct gathered *gathered, const struct run *run, uint32_t index) {
    const struct field *field = &run->store->handle.geometry.fields[index];
    *gathered = (struct gathered){.index = index, .field = field, .lane = lane_of(field->kind)};
    pairs_begin(&gathered->pairs);
}

void gathered_free(struct gathered *gathered) {
    pairs_free(&gathered->pairs);
    groups_end(&gathered->groups);
}

/* The group of each record of a batch that matches. */
static enum told place_pairs(struct gathered *gathered, const struct batch *batch, const struct found *found,
                             uint32_t *cells) {
    struct placed placed;
    enum groups_status status = groups_place(&gathered->groups, batch, found, &placed);
    if (status != GROUPS_OK) return told_of(status);
    for (uint32_t n = 0; n < placed.count; n++) {
        gathered->groups.cells[placed.cells[n]].count++;
        cells[placed_row(&placed, n)] = placed.cells[n];
    }
    return TOLD_OK;
}

static enum told hear_pairs(void *context, const struct batch *batch, const struct found *found) {
    struct gathered *gathered = context;
    uint32_t cells[BATCH_ROWS];
    if (gathered->together) memset(cells, 0, batch->rows * sizeof *cells);
    else {
        const enum told told = place_pairs(gathered, batch, found, cells);
        if (told != TOLD_OK) return told;
    }
    const struct field *field = gathered->field;
    const unsigned char *column = field ? batch->columns[gathered->index] : NULL;
    union lanes room;
    const union lanes *values = !field               ? found->values[0]
                                : field->summary < 0 ? NULL
                                                     : column_lanes(field->kind, column, batch->rows, &room);
    enum pairs_status added =
        values ? pairs_add(&gathered->pairs, cells, gathered->lane, values, found->mask, batch->rows)
               : pairs_add_bytes(&gathered->pairs, cells, column, field->bytes, found->mask, batch->rows);
    return added == PAIRS_OK ? TOLD_OK : TOLD_NO_MEMORY;
}

static bool renew_pairs(void *context, uint32_t keys) {
    struct gathered *gathered = context;
    return gathered->together || groups_add_keys(&gathered->groups, keys);
}

/* Gather in one pass and sort. 0, or -1 with an exception. */
static int gather(struct run *run, struct gathered *gathered) {
    if (run_pass(run, &(struct listener){hear_pairs, gathered, NULL, renew_pairs})) return -1;
    enum pairs_status sorted;
    Py_BEGIN_ALLOW_THREADS;
    sorted = pairs_sort(&gathered->pairs);
    Py_END_ALLOW_THREADS;
    if (sorted == PAIRS_OK) return 0;
    PyErr_NoMemory();
    return -1;
}

int gather_all(struct run *run, struct gathered *gathered) {
    gathered->together = true;
    return run_renew(run) || gather(run, gathered) ? -1 : 0;
}

int gather_groups(struct run *run, struct gathered *gathered, uint32_t by) {
    uint32_t keys;
    if (count_keys(run, &keys)) return -1;
    if (groups_begin(&gathered->groups, &run->store->handle.geometry, (int)by, keys, (struct panes){0},
                     &(struct tallies){.count = 0}))
        return gather(run, gathered);
    PyErr_NoMemory();
    return -1;
}
