/* Gauges of which each process has its own value: read from all places, and put together as their mode says.
 *
 *   all, liveall      a line a process, with its pid; of two that had the same number, that of the living one
 *   min, max, sum     of all values, those of the dead included, whether they are folded already or not
 *   live...           of the values of living processes */
#include <stdio.h>
#include <stdlib.h>

#include "core/base/buffer.h"
#include "core/metrics/scrape.h"

/* What one place has of one gauge. */
struct own_gauge {
    union {
        size_t offset; /* of its labels, while they are read */
        const char *labels;
    };
    uint32_t length, place;
    bool is_alive;
    struct own_values values;
    uint64_t set_us; /* of livemostrecent */
};

static int compare_labels(const struct own_gauge *a, const struct own_gauge *b) {
    const int order = memcmp(a->labels, b->labels, a->length < b->length ? a->length : b->length);
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

/* By labels, then by pid, the living first. */
static int compare(const void *left, const void *right) {
    const struct own_gauge *a = left, *b = right;
    const int order = compare_labels(a, b);
    if (order) return order;
    if (a->values.pid != b->values.pid) return a->values.pid < b->values.pid ? -1 : 1;
    if (a->is_alive != b->is_alive) return a->is_alive ? -1 : 1;
    return (a->place > b->place) - (a->place < b->place);
}

static bool is_live(enum gauge_mode mode) {
    return mode == GAUGE_LIVEALL || mode == GAUGE_LIVEMIN || mode == GAUGE_LIVEMAX || mode == GAUGE_LIVESUM ||
           mode == GAUGE_LIVEMOSTRECENT;
}

/* Whether the kernel is to be asked: the others need it only to tell two of one number apart. */
static bool asks_who_lives(enum gauge_mode mode) { return is_live(mode) || mode == GAUGE_ALL; }

/* A value that grows by those of all places. */
struct combined {
    bool is_there;
    double value;
    uint64_t set_us;
};

static void combine(struct combined *all, enum gauge_mode mode, double value, uint64_t set_us) {
    const bool is_first = !all->is_there;
    all->is_there = true;
    if (mode == GAUGE_SUM || mode == GAUGE_LIVESUM) all->value += value;
    else if (mode == GAUGE_MIN || mode == GAUGE_LIVEMIN)
        all->value = is_first || value < all->value ? value : all->value;
    else if (mode == GAUGE_MAX || mode == GAUGE_LIVEMAX)
        all->value = is_first || value > all->value ? value : all->value;
    else if (is_first || set_us > all->set_us) *all = (struct combined){true, value, set_us};
}

static void put_all(struct scrape *scrape, const struct own_gauge *gauges, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        const struct own_gauge *gauge = &gauges[i];
        char pid[24];
        if (i && gauges[i - 1].values.pid == gauge->values.pid) continue;
        const struct slice text = {pid,
                                   (uint32_t)snprintf(pid, sizeof pid, "%llu", (unsigned long long)gauge->values.pid)};
        scrape_put(scrape, PLAIN, (struct slice){gauge->labels, gauge->length}, (struct label){SLICE("pid"), text},
                   gauge->values.own, NO_EXEMPLAR);
    }
}

static void put_combined(struct scrape *scrape, const struct own_gauge *gauges, uint32_t count) {
    const enum gauge_mode mode = scrape->declaration.mode;
    struct combined all = {.is_there = false};
    for (uint32_t i = 0; i < count; i++) {
        if (gauges[i].values.has_own) combine(&all, mode, gauges[i].values.own, gauges[i].set_us);
        if (gauges[i].values.has_dead) combine(&all, mode, gauges[i].values.dead, 0);
    }
    if (all.is_there)
        scrape_put(scrape, PLAIN, (struct slice){gauges->labels, gauges->length}, NO_LABEL, all.value, NO_EXEMPLAR);
}

/* Read what one place has; false: there is nothing that counts. */
static bool read_gauge(struct scrape *scrape, uint32_t family, uint32_t index, struct lines *texts,
                       struct own_gauge *gauge) {
    const enum gauge_mode mode = scrape->declaration.mode;
    const struct series *series = &scrape->series;
    if (!scrape_read(scrape, family, index)) return false;
    *gauge = (struct own_gauge){.offset = texts->length,
                                .length = series->labels.length,
                                .place = series->place,
                                .values = series->own,
                                .set_us = mode == GAUGE_LIVEMOSTRECENT ? series->cells[1].bits : 0};
    if (asks_who_lives(mode) && gauge->values.has_own)
        gauge->is_alive = scrape_is_alive(scrape, series->place, gauge->values.mark);
    if (is_live(mode) && !gauge->is_alive) return false;
    if (!gauge->values.has_own && !gauge->values.has_dead) return false;
    lines_put(texts, series->labels);
    return true;
}

void scrape_own_gauges(struct scrape *scrape, uint32_t family, const uint64_t *found, uint32_t count) {
    const bool has_lines = scrape->declaration.mode == GAUGE_ALL || scrape->declaration.mode == GAUGE_LIVEALL;
    struct lines texts = {.text = NULL};
    size_t bytes = count * sizeof(struct own_gauge);
    struct own_gauge *gauges = buffer_take(&bytes);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count && gauges; i++)
        kept += read_gauge(scrape, family, found_index(found[i]), &texts, &gauges[kept]);
    if (!gauges || !lines_reserve(&texts, 1)) scrape->lines.has_failed = true;
    else {
        for (uint32_t i = 0; i < kept; i++) gauges[i].labels = texts.text + gauges[i].offset;
        qsort(gauges, kept, sizeof *gauges, compare);
        for (uint32_t first = 0, end; first < kept; first = end) {
            for (end = first + 1; end < kept && !compare_labels(&gauges[first], &gauges[end]);) end++;
            (has_lines ? put_all : put_combined)(scrape, gauges + first, end - first);
        }
    }
    lines_free(&texts);
    buffer_give(gauges, bytes);
}
