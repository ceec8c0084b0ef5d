/* Groups: find the cell of each record, then tally column by column; see group.h. */
#include "core/questions/tallies/group.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/vector.h"

enum {
    FIRST_CELLS = 64,
    FEW_CELLS = 32,
    WAYS = 4,
    MOST_DENSE = 4096,
    LONG_RUN = 16, /* records of one cell in a row, from which on it pays to tally them at once */
};

/* ---- cells -------------------------------------------------------------------------------------------------------- */

static bool grow(struct groups *groups);
static uint32_t cell_of(struct groups *groups, int64_t pane, uint64_t value, const unsigned char *text);

bool groups_begin(struct groups *groups, const struct geometry *geometry, int field, uint32_t keys, struct panes panes,
                  const struct tallies *asked) {
    memset(groups, 0, sizeof *groups);
    groups->geometry = geometry;
    groups->field = field;
    groups->panes = panes;
    groups->asked = *asked;
    groups->dense =
        field != NO_FIELD && geometry->fields[field].kind == KIND_KEY && !panes_given(&panes) && keys <= MOST_DENSE;
    return grow(groups) && groups_add_keys(groups, keys);
}

bool groups_add_keys(struct groups *groups, uint32_t keys) {
    for (uint32_t id = groups->cell_count; groups->dense && id < keys; id++)
        if (!cell_of(groups, 0, id, NULL)) return false;
    return true;
}

void groups_end(struct groups *groups) {
    free(groups->cells);
    free(groups->tallies);
    free(groups->buckets);
    free(groups->texts);
}

static bool is_text(const struct groups *groups) {
    return groups->field != NO_FIELD && !field_has_summary(&groups->geometry->fields[groups->field]);
}

static uint64_t mix(uint64_t hash, uint64_t word) {
    unsigned __int128 product = (unsigned __int128)(hash ^ word) * UINT64_C(0x9fb21c651e98df25);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_of(const struct groups *groups, int64_t pane, uint64_t value, const unsigned char *text) {
    uint64_t hash = mix(UINT64_C(0x2545f4914f6cdd1d), (uint64_t)pane);
    if (!text) return mix(hash, value);
    for (uint32_t i = 0; i < groups->geometry->fields[groups->field].bytes; i += 8) {
        uint64_t word;
        memcpy(&word, text + i, 8);
        hash = mix(hash, word);
    }
    return hash;
}

/* Double the room for cells and buckets. */
static bool grow(struct groups *groups) {
    uint32_t room = groups->cell_room ? 2 * groups->cell_room : FIRST_CELLS;
    if (room > UINT32_MAX / 4) return false;
    struct cell *cells = realloc(groups->cells, room * sizeof *cells);
    if (cells) groups->cells = cells;
    struct tally *tallies = realloc(groups->tallies, ((uint64_t)room * groups->asked.count + 1) * sizeof *tallies);
    if (tallies) groups->tallies = tallies;
    uint32_t *buckets = calloc(2 * room, sizeof *buckets);
    if (!cells || !tallies || !buckets) {
        free(buckets);
        return false;
    }
    free(groups->buckets);
    groups->buckets = buckets;
    groups->bucket_count = 2 * room;
    groups->cell_room = room;
    for (uint32_t i = 0; i < groups->cell_count; i++) {
        const struct cell *cell = &groups->cells[i];
        const unsigned char *text = is_text(groups) ? groups->texts + cell->value : NULL;
        uint64_t at = hash_of(groups, cell->pane, cell->value, text);
        while (buckets[at & (groups->bucket_count - 1)]) at++;
        buckets[at & (groups->bucket_count - 1)] = i + 1;
    }
    return true;
}

static bool keep_text(struct groups *groups, const unsigned char *text, uint64_t *value) {
    uint32_t bytes = groups->geometry->fields[groups->field].bytes;
    if (groups->text_bytes + bytes > groups->text_room) {
        uint64_t room = 2 * groups->text_room + bytes;
        unsigned char *texts = realloc(groups->texts, room);
        if (!texts) return false;
        groups->texts = texts;
        groups->text_room = room;
    }
    memcpy(groups->texts + groups->text_bytes, text, bytes);
    *value = groups->text_bytes;
    groups->text_bytes += bytes;
    return true;
}

/* Find or make a cell. Returns its number + 1; 0: no memory. */
static uint32_t cell_of(struct groups *groups, int64_t pane, uint64_t value, const unsigned char *text) {
    if (groups->cell_count == groups->cell_room && !grow(groups)) return 0;
    uint64_t at = hash_of(groups, pane, value, text);
    for (;; at++) {
        uint32_t number = groups->buckets[at & (groups->bucket_count - 1)];
        if (!number) break;
        const struct cell *cell = &groups->cells[number - 1];
        if (cell->pane == pane &&
            (text ? !memcmp(groups->texts + cell->value, text, groups->geometry->fields[groups->field].bytes)
                  : cell->value == value))
            return number;
    }
    if (text && !keep_text(groups, text, &value)) return 0;
    uint32_t number = ++groups->cell_count;
    groups->cells[number - 1] = (struct cell){pane, value, 0};
    tally_begin(groups->tallies + (uint64_t)(number - 1) * groups->asked.count, &groups->asked);
    groups->buckets[at & (groups->bucket_count - 1)] = number;
    return number;
}

/* ---- records: where they belong ----------------------------------------------------------------------------------- */

static int64_t floor_divide(int64_t a, int64_t b) { return a / b - (a % b < 0); }

struct pane {
    int64_t number, first, last; /* times in it */
};

static struct pane pane_between_edges(const struct panes *panes, int64_t time) {
    uint32_t low = 0, high = panes->edge_count; /* the first edge after the time is one of [low, high] */
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (panes->edges[middle] <= time) low = middle + 1;
        else high = middle;
    }
    return (struct pane){(int64_t)low - 1, low ? panes->edges[low - 1] : INT64_MIN,
                         low < panes->edge_count ? panes->edges[low] - 1 : INT64_MAX};
}

static struct pane pane_of(const struct panes *panes, int64_t time) {
    if (panes->edge_count) return pane_between_edges(panes, time);
    const int64_t number = floor_divide(time, panes->length_ns);
    const __int128 first = (__int128)number * panes->length_ns, last = first + panes->length_ns - 1;
    return (struct pane){number, first < INT64_MIN ? INT64_MIN : (int64_t)first,
                         last > INT64_MAX ? INT64_MAX : (int64_t)last};
}

static bool find_cells(struct groups *groups, const struct batch *batch, struct placed *placed) {
    const struct geometry *g = groups->geometry;
    const struct field *field = groups->field == NO_FIELD ? NULL : &g->fields[groups->field];
    const bool texts = is_text(groups);
    const int64_t *times =
        panes_given(&groups->panes) ? (const int64_t *)(const void *)batch->columns[g->time_field] : NULL;
    union lanes room;
    const union lanes *values =
        field && !texts ? column_lanes(field->kind, batch->columns[groups->field], batch->rows, &room) : NULL;
    struct pane pane = {0, 0, times ? -1 : 0};
    for (uint32_t n = 0; n < placed->count; n++) {
        const uint32_t row = placed_row(placed, n);
        if (times && (times[row] < pane.first || times[row] > pane.last)) /* mostly the pane of the time before */
            pane = pane_of(&groups->panes, times[row]);
        uint64_t value = values ? values->u[row] : 0;
        uint32_t slot = (uint32_t)(value ^ (uint64_t)pane.number * 31) % RECENT_CELLS,
                 number = groups->recent[slot].cell;
        if (texts || !number || groups->recent[slot].value != value || groups->recent[slot].pane != pane.number) {
            const unsigned char *text = texts ? batch->columns[groups->field] + (size_t)row * field->bytes : NULL;
            number = cell_of(groups, pane.number, value, text);
            if (!number) return false;
            groups->recent[slot].pane = pane.number;
            groups->recent[slot].value = value;
            groups->recent[slot].cell = number;
        }
        placed->numbers[n] = number - 1;
    }
    placed->cells = placed->numbers;
    return true;
}

VECTORISED static uint32_t greatest(const uint32_t *numbers, uint32_t count) {
    uint32_t most = 0;
    for (uint32_t n = 0; n < count; n++) most = numbers[n] > most ? numbers[n] : most;
    return most;
}

/* How often the number changes, and once more. */
VECTORISED static uint32_t count_runs(const uint32_t *numbers, uint32_t count) {
    uint32_t runs = 1;
    for (uint32_t n = 1; n < count; n++) runs += numbers[n] != numbers[n - 1];
    return runs;
}

enum groups_status groups_place(struct groups *groups, const struct batch *batch, const struct found *found,
                                struct placed *placed) {
    placed->all = !found->mask || found->matched == batch->rows;
    placed->count = found->matched;
    if (!placed->all)
        for (uint32_t row = 0, n = 0; row < batch->rows; row++) { /* without a branch, as lanes_keep */
            placed->rows[n] = row;
            n += found->mask[row];
        }
    if (!groups->dense) return find_cells(groups, batch, placed) ? GROUPS_OK : GROUPS_NO_MEMORY;
    placed->cells = (const uint32_t *)(const void *)batch->columns[groups->field];
    if (!placed->all) {
        for (uint32_t n = 0; n < placed->count; n++) placed->numbers[n] = placed->cells[placed->rows[n]];
        placed->cells = placed->numbers;
    }
    return greatest(placed->cells, placed->count) < groups->cell_count ? GROUPS_OK : GROUPS_DAMAGED;
}

/* ---- records: tallied --------------------------------------------------------------------------------------------- */

/* Their cells and numbers, next to one another. */
struct matching {
    uint32_t count;
    const uint32_t *cells;
    const union lanes *values[MAX_VALUES];
};

/* Tally `count` records of one cell. */
static void tally_run(struct groups *groups, uint32_t cell, const struct matching *matching, uint32_t first,
                      uint32_t count) {
    struct found run = {.matched = count};
    for (uint32_t i = 0; i < groups->asked.count; i++)
        run.values[i] = (const union lanes *)(const void *)(matching->values[i]->u + first);
    tally_batch(groups->tallies + (size_t)cell * groups->asked.count, &groups->asked, &run, count);
    groups->cells[cell].count += count;
}

/* Count and sum floats in a few cells. Some plain sums a cell, so that additions to the same cell seldom wait for one
 * another; after each batch they are joined, and added in twice the precision. False, and nothing is added, when one of
 * them is not finite: the same values added in their order may be. */
static bool sum_few(struct groups *groups, const struct matching *matching) {
    typedef double sum_and_count __attribute__((vector_size(16))); /* one addition for both */
    sum_and_count ways[WAYS][FEW_CELLS];
    const uint32_t *cells = matching->cells, count = matching->count;
    const double *values = matching->values[0]->f;
    bool finite = true;
    for (uint32_t way = 0; way < WAYS; way++) memset(ways[way], 0, groups->cell_count * sizeof ways[way][0]);
    uint32_t n = 0;
    for (; n + WAYS <= count; n += WAYS)
        for (uint32_t way = 0; way < WAYS; way++) ways[way][cells[n + way]] += (sum_and_count){values[n + way], 1};
    for (; n < count; n++) ways[0][cells[n]] += (sum_and_count){values[n], 1};
    for (uint32_t cell = 0; cell < groups->cell_count; cell++) {
        for (uint32_t way = 1; way < WAYS; way++) ways[0][cell] += ways[way][cell];
        finite &= isfinite(ways[0][cell][0]) != 0;
    }
    for (uint32_t cell = 0; finite && cell < groups->cell_count; cell++) {
        real_sum_one(&groups->tallies[cell].sum.real, ways[0][cell][0]);
        groups->cells[cell].count += (uint64_t)ways[0][cell][1];
    }
    return finite;
}

/* Put the records of each cell next to one another, then tally them as runs. */
static void tally_sorted(struct groups *groups, struct matching *matching) {
    uint32_t ends[BATCH_ROWS / LONG_RUN + 1] = {0};
    union lanes sorted[MAX_VALUES];
    for (uint32_t n = 0; n < matching->count; n++) ends[matching->cells[n] + 1]++;
    for (uint32_t cell = 0; cell < groups->cell_count; cell++) ends[cell + 1] += ends[cell];
    for (uint32_t n = 0; n < matching->count; n++) {
        uint32_t to = ends[matching->cells[n]]++;
        for (uint32_t i = 0; i < groups->asked.count; i++) sorted[i].u[to] = matching->values[i]->u[n];
    }
    for (uint32_t i = 0; i < groups->asked.count; i++) matching->values[i] = &sorted[i];
    for (uint32_t cell = 0, first = 0; cell < groups->cell_count; first = ends[cell++])
        if (ends[cell] > first) tally_run(groups, cell, matching, first, ends[cell] - first);
}

static void tally_scattered(struct groups *groups, const struct matching *matching) {
    for (uint32_t n = 0; n < matching->count; n++) {
        uint32_t cell = matching->cells[n];
        groups->cells[cell].count++;
        tally_row(groups->tallies + (size_t)cell * groups->asked.count, &groups->asked, matching->values, n);
    }
}

enum groups_status groups_add(struct groups *groups, const struct batch *batch, const struct found *found) {
    struct placed placed;
    union lanes kept[MAX_VALUES];
    if (!found->matched) return GROUPS_OK;
    enum groups_status status = groups_place(groups, batch, found, &placed);
    if (status != GROUPS_OK) return status;
    struct matching matching = {.count = placed.count, .cells = placed.cells};
    for (uint32_t i = 0; i < groups->asked.count; i++) {
        matching.values[i] = found->values[i];
        if (placed.all) continue;
        lanes_keep(&kept[i], found->values[i], found->mask, batch->rows);
        matching.values[i] = &kept[i];
    }
    const uint32_t runs = count_runs(matching.cells, matching.count);
    if (runs * LONG_RUN <= matching.count || runs == 1) {
        for (uint32_t first = 0, end; first < matching.count; first = end) {
            for (end = first + 1; end < matching.count && matching.cells[end] == matching.cells[first];) end++;
            tally_run(groups, matching.cells[first], &matching, first, end - first);
        }
    } else if (groups->asked.count == 1 && groups->asked.values[0].lane == LANE_FLOAT &&
               groups->asked.values[0].what == TALLY_SUM && groups->cell_count <= FEW_CELLS &&
               sum_few(groups, &matching)) {
        return GROUPS_OK;
    } else if (groups->cell_count <= matching.count / LONG_RUN) {
        tally_sorted(groups, &matching);
    } else {
        tally_scattered(groups, &matching);
    }
    return GROUPS_OK;
}

/* ---- blocks and windows ------------------------------------------------------------------------------------------- */

enum groups_status groups_add_block(struct groups *groups, const struct block *block, bool *taken) {
    const struct geometry *g = groups->geometry;
    int64_t pane = 0;
    uint64_t value = 0;
    *taken = false;
    if (!tally_answers(&groups->asked, block)) return GROUPS_OK;
    if (panes_given(&groups->panes)) {
        const struct facts *time = &block->facts[g->time_field];
        if (!time->known) return GROUPS_OK;
        const struct pane lowest = pane_of(&groups->panes, time->low.i);
        if (time->high.i > lowest.last) return GROUPS_OK;
        pane = lowest.number;
    }
    if (groups->field != NO_FIELD) {
        const struct facts *facts = &block->facts[groups->field];
        if (!facts->known || facts->low.u != facts->high.u) return GROUPS_OK;
        value = facts->low.u;
    }
    uint32_t number = cell_of(groups, pane, value, NULL);
    if (!number) return GROUPS_NO_MEMORY;
    groups->cells[number - 1].count += block->records;
    tally_block(groups->tallies + (size_t)(number - 1) * groups->asked.count, &groups->asked, block);
    *taken = true;
    return GROUPS_OK;
}

bool groups_windows(struct groups *windows, const struct groups *from, uint32_t first_cell, uint32_t end_cell,
                    int64_t every_ns, int64_t period_ns) {
    for (uint32_t i = first_cell; i < end_cell; i++) {
        const struct cell *cell = &from->cells[i];
        const unsigned char *text = is_text(from) ? from->texts + cell->value : NULL;
        __int128 start = (__int128)cell->pane * from->panes.length_ns, after = start - period_ns;
        int64_t last = (int64_t)(start / every_ns - (start % every_ns < 0)),
                first = (int64_t)(after / every_ns - (after % every_ns < 0)) + 1;
        for (int64_t window = first; window <= last; window++) {
            uint32_t number = cell_of(windows, window, cell->value, text);
            if (!number) return false;
            windows->cells[number - 1].count += cell->count;
            tally_merge(windows->tallies + (size_t)(number - 1) * windows->asked.count, &windows->asked,
                        from->tallies + (size_t)i * from->asked.count);
        }
    }
    return true;
}
