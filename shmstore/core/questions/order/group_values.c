/* Gathering, sorting and asking pairs of group and value. */
#include "core/questions/order/group_values.h"

#include "core/questions/order/distinct.h"
#include "core/questions/order/sort.h"

#include <stdlib.h>

enum { FIRST_ROOM = 4 * BATCH_ROWS };

void pairs_begin(struct pairs *p) { *p = (struct pairs){.items = NULL}; }

void pairs_free(struct pairs *p) {
    free(p->items);
    pairs_begin(p);
}

/* Make room for a batch. */
static bool grow(struct pairs *p) {
    if (p->room - p->count >= BATCH_ROWS) return true;
    const size_t room = p->room ? 2 * p->room : FIRST_ROOM;
    void *items = room <= SIZE_MAX / sizeof *p->items ? realloc(p->items, room * sizeof *p->items) : NULL;
    if (!items) return false;
    p->items = items;
    p->room = room;
    return true;
}

static uint64_t upper_word(uint32_t cell, uint32_t rest) { return (uint64_t)cell << 32 | rest; }

enum pairs_status pairs_add(struct pairs *p, const uint32_t *cells, enum lane lane, const union lanes *values,
                            const uint8_t *mask, uint32_t rows) {
    uint64_t words[BATCH_ROWS];
    if (!grow(p)) return PAIRS_NO_MEMORY;
    p->lane = lane;
    ordered_words(lane, values, rows, words);
    for (uint32_t r = 0; r < rows; r++) {
        p->items[p->count][0] = words[r];
        p->items[p->count][1] = upper_word(cells[r], 0);
        p->count += !mask || mask[r];
    }
    return PAIRS_OK;
}

enum pairs_status pairs_add_bytes(struct pairs *p, const uint32_t *cells, const unsigned char *column, uint32_t bytes,
                                  const uint8_t *mask, uint32_t rows) {
    if (!grow(p)) return PAIRS_NO_MEMORY;
    for (uint32_t r = 0; r < rows; r++) {
        if (mask && !mask[r]) continue;
        const struct value_hash hash = hash_bytes(column + (size_t)r * bytes, bytes);
        p->items[p->count][0] = hash.first;
        p->items[p->count++][1] = upper_word(cells[r], (uint32_t)hash.second);
    }
    return PAIRS_OK;
}

enum pairs_status pairs_sort(struct pairs *p) {
    if (!p->count) return PAIRS_OK;
    void *spare = malloc(p->count * sizeof *p->items);
    if (!spare) return PAIRS_NO_MEMORY;
    sort_pairs(p->items, spare, p->count);
    free(spare);
    return PAIRS_OK;
}

/* The first pair from `from` on, and before `end`, that is at least this one; else `end`. */
static size_t lower_bound(const struct pairs *p, size_t from, size_t end, uint64_t upper, uint64_t lower) {
    while (from < end) {
        const size_t middle = from + (end - from) / 2;
        const uint64_t *item = p->items[middle];
        if (item[1] < upper || (item[1] == upper && item[0] < lower)) from = middle + 1;
        else end = middle;
    }
    return from;
}

struct pairs_span pairs_of(const struct pairs *p, uint32_t cell) {
    const size_t first = lower_bound(p, 0, p->count, upper_word(cell, 0), 0);
    const size_t end = cell == UINT32_MAX ? p->count : lower_bound(p, first, p->count, upper_word(cell + 1, 0), 0);
    return (struct pairs_span){first, end - first};
}

struct quantile pairs_quantile(const struct pairs *p, struct pairs_span span, double q) {
    const uint64_t(*items)[2] = (const uint64_t(*)[2])p->items + span.first;
    size_t numbers = span.count;
    if (numbers && p->lane == LANE_FLOAT)
        numbers = lower_bound(p, span.first, span.first + numbers, items[0][1], ORDERED_NAN) - span.first;
    if (!numbers) return (struct quantile){.any = false};
    const struct quantile_ranks ranks = quantile_ranks(q, numbers);
    return (struct quantile){true, p->lane, ordered_number(p->lane, items[ranks.low][0]),
                             ordered_number(p->lane, items[ranks.high][0]), ranks.fraction};
}

uint64_t pairs_distinct(const struct pairs *p, struct pairs_span span) {
    const uint64_t(*items)[2] = (const uint64_t(*)[2])p->items + span.first;
    uint64_t distinct = span.count > 0;
    for (size_t i = 1; i < span.count; i++)
        distinct += (items[i][0] != items[i - 1][0]) | (items[i][1] != items[i - 1][1]);
    return distinct;
}
