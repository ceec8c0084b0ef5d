/* A scrape: all nodes are found and sorted by what they are of, then each metric puts its lines. See exposition.h. */
#include "core/metrics/exposition.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/buffer.h"
#include "core/metrics/changes.h"
#include "core/metrics/scrape.h"

/* ---- the series of one metric ------------------------------------------------------------------------------------ */

/* Is the first bound below zero? Then the sum may fall, which a counter must not, and is not shown. */
static bool may_fall(const struct declaration *declaration) {
    const struct slice first = declaration->items[0];
    return first.length && *first.text == '-' && !(first.length == 4 && !memcmp(first.text, "-0.0", 4));
}

static void put_histogram(struct scrape *scrape) {
    const struct declaration *declaration = &scrape->declaration;
    const struct series *series = &scrape->series;
    uint64_t count = 0;
    double sum = 0;
    for (uint32_t i = 0; i < declaration->item_count; i++) {
        count += series->cells[i].bits;
        sum += series->cells[i].number;
        scrape_put(scrape, BUCKET, series->labels, (struct label){SLICE("le"), declaration->items[i]}, (double)count,
                   i);
    }
    scrape_put(scrape, COUNT, series->labels, NO_LABEL, (double)count, NO_EXEMPLAR);
    if (!may_fall(declaration)) scrape_put(scrape, SUM, series->labels, NO_LABEL, sum, NO_EXEMPLAR);
}

static void put_enum(struct scrape *scrape) {
    const struct declaration *declaration = &scrape->declaration;
    const struct series *series = &scrape->series;
    char text[MOST_CONTENT_BYTES];
    struct label label = {{text, declaration->sample.length}, SLICE("")};
    memcpy(text, declaration->sample.text, label.name.length);
    for (uint32_t i = 0; i < label.name.length; i++)
        if (text[i] == ':') text[i] = '_'; /* which a label's name may not have */
    for (uint32_t i = 0; i < declaration->item_count; i++) {
        label.text = declaration->items[i];
        scrape_put(scrape, PLAIN, series->labels, label, series->cells[0].number == i, NO_EXEMPLAR);
    }
}

static void put_series(struct scrape *scrape) {
    const struct series *series = &scrape->series;
    const struct slice labels = series->labels;
    const struct cell_value first = series->cells[0];
    switch (scrape->declaration.type) {
    case METRIC_COUNTER: scrape_put(scrape, TOTAL, labels, NO_LABEL, first.number, 0); break;
    case METRIC_HISTOGRAM: put_histogram(scrape); break;
    case METRIC_SUMMARY:
        scrape_put(scrape, COUNT, labels, NO_LABEL, (double)first.bits, NO_EXEMPLAR);
        scrape_put(scrape, SUM, labels, NO_LABEL, first.number, NO_EXEMPLAR);
        break;
    case METRIC_INFO: scrape_put(scrape, INFO, labels, NO_LABEL, 1, NO_EXEMPLAR); break;
    case METRIC_ENUM: put_enum(scrape); break;
    default: scrape_put(scrape, PLAIN, labels, NO_LABEL, first.number, NO_EXEMPLAR);
    }
    if (scrape->declaration.created && !scrape->wish->no_created)
        scrape_put(scrape, CREATED, labels, NO_LABEL, seconds_of((int64_t)series->since), NO_EXEMPLAR);
}

/* ---- metrics ----------------------------------------------------------------------------------------------------- */

/* In text 0.0.4 what was created when is a gauge of its own, with the same help. */
static void put_created(struct scrape *scrape) {
    const struct declaration *declaration = &scrape->declaration;
    struct slice help = declaration->text_lines, name = declaration->sample;
    const char *end = help.length ? memchr(help.text, '\n', help.length) : NULL;
    const struct slice begin = SLICE("# HELP ");
    lines_put(&scrape->lines, begin);
    lines_put(&scrape->lines, name);
    lines_put(&scrape->lines, SLICE("_created"));
    if (end && end - help.text > begin.length && !memcmp(help.text, begin.text, begin.length)) {
        const char *text = memchr(help.text + begin.length, ' ', (size_t)(end - help.text) - begin.length);
        if (text) lines_put(&scrape->lines, (struct slice){text, (uint32_t)(end - text)});
    }
    lines_put(&scrape->lines, SLICE("\n# TYPE "));
    lines_put(&scrape->lines, name);
    lines_put(&scrape->lines, SLICE("_created gauge\n"));
    lines_put(&scrape->lines, (struct slice){scrape->created.text, (uint32_t)scrape->created.length});
}

static void put_declaration(struct scrape *scrape) {
    const struct declaration *declaration = &scrape->declaration;
    const bool is_openmetrics = scrape->wish->format == OPENMETRICS_1_0_0;
    lines_put(&scrape->lines, is_openmetrics ? declaration->openmetrics_lines : declaration->text_lines);
}

enum { AHEAD = 4 };

static void prefetch(const struct node *node) {
    __builtin_prefetch(node);
    __builtin_prefetch(node->rest);
}

/* Put a metric whose declaration was read. */
static void put_metric(struct scrape *scrape, uint32_t family, const uint64_t *found, uint32_t count) {
    struct lines *lines = &scrape->lines;
    const size_t before = lines->length;
    scrape_find_wanted(scrape);
    if (!scrape->wanted) return;
    scrape->metrics++;
    scrape->created.length = 0;
    put_declaration(scrape);
    const size_t above = lines->length;
    if (declaration_is_own(&scrape->declaration)) scrape_own_gauges(scrape, family, found, count);
    else
        for (uint32_t i = 0; i < count; i++) {
            if (i + AHEAD < count) prefetch(nodes_at(scrape->nodes, found_index(found[i + AHEAD])));
            if (!scrape_read(scrape, family, found_index(found[i]))) continue;
            scrape->series_count++;
            put_series(scrape);
        }
    if (scrape->created.length) put_created(scrape);
    else if (scrape->wish->names && lines->length == above) lines->length = before; /* nothing of it was asked for */
}

/* Read the declaration of this node; false: it is not there, or not wanted, or damaged. */
static bool read_declaration(struct scrape *scrape, uint32_t index) {
    const struct nodes *nodes = scrape->nodes;
    struct node *node = nodes_at(nodes, index);
    const struct node_at at = {index, load_acquire(&node->word)};
    const uint64_t family = load_relaxed(&node->identity) & 0xffffff, sizes = load_relaxed(&node->sizes);
    if (node_state(at.word) != NODE_LIVE || family != NO_FAMILY) return false;
    const int64_t bytes = nodes_text(nodes, at, scrape->declared, sizeof scrape->declared);
    if (!nodes_is(nodes, at)) return false;
    const struct exposition_wish *wish = scrape->wish;
    if (bytes < 0 || bytes > (int64_t)sizeof scrape->declared ||
        !declaration_read(scrape->declared, (uint32_t)bytes, node_key_bytes(sizes), &scrape->declaration)) {
        scrape->left_out++;
        return false;
    }
    scrape->declaration.index = index;
    return !wish->takes || wish->takes(wish->context, &scrape->declaration);
}

/* ---- what the segment says of itself ----------------------------------------------------------------------------- */

static void put_own(struct scrape *scrape, enum metric_type type, const char *name, const char *help, double value) {
    const enum suffix suffix = type == METRIC_COUNTER ? TOTAL : PLAIN;
    const char *const kind = type == METRIC_COUNTER ? "counter" : "gauge";
    const char *const total = suffix == TOTAL && scrape->wish->format == TEXT_0_0_4 ? "_total" : "";
    char above[256];
    snprintf(above, sizeof above, "# HELP %s%s %s\n# TYPE %s%s %s\n", name, total, help, name, total, kind);
    scrape->declaration.sample = (struct slice){name, (uint32_t)strlen(name)};
    scrape_find_wanted(scrape);
    if (!(scrape->wanted >> suffix & 1)) return;
    lines_put(&scrape->lines, (struct slice){above, (uint32_t)strlen(above)});
    scrape_put(scrape, suffix, SLICE(""), NO_LABEL, value, NO_EXEMPLAR);
}

static void put_all_own(struct scrape *scrape) {
    const struct nodes *nodes = scrape->nodes;
    put_own(scrape, METRIC_COUNTER, "shmstore_metrics_series_refused",
            "Series, and updates of them, that were refused.", (double)load_relaxed(&changes_of(nodes)->refused));
    put_own(scrape, METRIC_GAUGE, "shmstore_metrics_nodes", "Nodes for declarations and series.",
            nodes->geometry->node_count);
    put_own(scrape, METRIC_GAUGE, "shmstore_metrics_nodes_used", "Nodes that declarations and series take.",
            scrape->nodes_used);
    put_own(scrape, METRIC_GAUGE, "shmstore_metrics_removed",
            "1 once the segment is removed: who attaches from then on counts into another one.",
            scrape->wish->is_removed);
}

/* ---- all --------------------------------------------------------------------------------------------------------- */

enum { DIGIT_BITS = 12, BYTES_A_LINE = 64 /* beside the labels, as a first guess */, MOST_BYTES_A_NODE = 1024 };

/* Find all nodes, in their order. */
static uint32_t find_all(struct scrape *scrape, uint64_t *found, uint32_t room) {
    const struct nodes *nodes = scrape->nodes;
    uint32_t index = 0, count = 0;
    uint64_t bytes = 0;
    for (struct node_at at; count < room && nodes_next(nodes, &index, &at);) {
        const struct node *node = nodes_at(nodes, at.index);
        const uint64_t identity = load_relaxed(&node->identity), sizes = load_relaxed(&node->sizes);
        const uint64_t rest = node_cells(sizes) ? rest_bytes(sizes) : 0;
        scrape->nodes_used += 1 + (uint32_t)(rest ? (rest - 1) / REST_BYTES : 0);
        bytes += (uint64_t)node_cells(sizes) * (node_key_bytes(sizes) + BYTES_A_LINE);
        found[count++] = found_of(identity & 0xffffff, at.index);
    }
    const uint64_t most = (uint64_t)room * MOST_BYTES_A_NODE; /* whatever damaged sizes say */
    lines_reserve(&scrape->lines, bytes < most ? bytes : most);
    return count;
}

/* Sort by family, those of one family in the order in which they are; in two steps, so that they end where they began. */
static void sort(uint64_t *found, uint64_t *other, uint32_t count) {
    for (int shift = 24; shift < 48; shift += DIGIT_BITS) {
        uint32_t starts[1 << DIGIT_BITS] = {0}, start = 0;
        for (uint32_t i = 0; i < count; i++) starts[found[i] >> shift & ((1 << DIGIT_BITS) - 1)]++;
        for (uint32_t digit = 0; digit < 1 << DIGIT_BITS; digit++) {
            const uint32_t its = starts[digit];
            starts[digit] = start;
            start += its;
        }
        for (uint32_t i = 0; i < count; i++) other[starts[found[i] >> shift & ((1 << DIGIT_BITS) - 1)]++] = found[i];
        uint64_t *const sorted = other;
        other = found;
        found = sorted;
    }
}

/* Each declaration, which are the last ones, with its series. */
static void put_metrics(struct scrape *scrape, const uint64_t *found, uint32_t count) {
    uint32_t at = 0, first = count;
    while (first && found_family(found[first - 1]) == NO_FAMILY) first--;
    for (uint32_t i = first; i < count; i++) {
        const uint32_t family = found_index(found[i]);
        while (at < first && found_family(found[at]) < family) at++;
        const uint32_t begin = at;
        while (at < first && found_family(found[at]) == family) at++;
        if (read_declaration(scrape, family)) put_metric(scrape, family, found + begin, at - begin);
    }
}

bool exposition_write(const struct nodes *nodes, const struct exposition_wish *wish, struct exposition *exposition) {
    const uint64_t used = load_acquire(&changes_of(nodes)->used), most = nodes->geometry->node_count;
    const uint32_t room = (uint32_t)(used < most ? used : most);
    size_t found_bytes = 2 * room * sizeof(uint64_t);
    struct scrape *scrape = malloc(sizeof *scrape);
    uint64_t *found = buffer_take(&found_bytes);
    *exposition = (struct exposition){.text = NULL};
    bool is_done = scrape && found;
    if (is_done) {
        memset(scrape, 0, offsetof(struct scrape, declaration)); /* what follows is filled before it is read */
        scrape->nodes = nodes;
        scrape->wish = wish;
        const uint32_t count = find_all(scrape, found, room);
        sort(found, found + room, count);
        put_metrics(scrape, found, count);
        if (wish->own) put_all_own(scrape);
        if (wish->format == OPENMETRICS_1_0_0 && !wish->goes_on) lines_put(&scrape->lines, SLICE("# EOF\n"));
        lines_reserve(&scrape->lines, 1);
        is_done = !scrape->lines.has_failed && !scrape->created.has_failed;
        *exposition = (struct exposition){scrape->lines.text, scrape->lines.length, scrape->lines.room,
                                          scrape->metrics,    scrape->series_count, scrape->left_out};
        lines_free(&scrape->created);
        free(scrape->living);
    }
    buffer_give(found, found_bytes);
    free(scrape);
    if (!is_done) exposition_free(exposition);
    return is_done;
}

void exposition_free(struct exposition *exposition) {
    buffer_give(exposition->text, exposition->room);
    *exposition = (struct exposition){.text = NULL};
}
