/* Scrapes beside those who update, insert and remove, and of what was damaged. */
#define _GNU_SOURCE /* for strtok_r */
#include "declared.h"

#include "core/base/utf8.h"
#include "core/metrics/changes.h"

#include <pthread.h>

enum { SERIES = 200 };

/* ---- at the same time -------------------------------------------------------------------------------------------- */

enum { CHURNERS = 2, LABELS = 5 };

/* Two counters and a histogram; a series of a counter holds what its labels say, or not yet. */
struct busy {
    struct world *world;
    uint32_t counters[2], histogram;
    _Atomic bool is_over;
    _Atomic uint64_t observed;
};

static double amount_of(uint32_t metric, uint32_t label) { return metric * 100 + label + 1; }

/* Insert, add to, and remove series of two metrics, which take each other's nodes. */
static void *churn(void *argument) {
    struct busy *busy = argument;
    char labels[300];
    seed_thread((uint64_t)(uintptr_t)&labels);
    while (!load_acquire(&busy->is_over)) {
        const uint32_t metric = (uint32_t)random_number(2), label = (uint32_t)random_number(LABELS);
        snprintf(labels, sizeof labels, "k=\"%u\",long=\"%*s\"", label, (int)(40 * label), "");
        const struct node_at at = series(busy->world, busy->counters[metric], NO_PLACE, labels, 1);
        const struct cell_at cell = {&nodes_at(&busy->world->nodes, at.index)->word, at.word,
                                     nodes_cell(&busy->world->nodes, at, 0)};
        if (cell.cell) cell_set(&cell, amount_of(metric, label), 0);
        if (random_number(2)) nodes_remove(&busy->world->nodes, at);
    }
    return NULL;
}

static void *observe(void *argument) {
    struct busy *busy = argument;
    const struct node_at at = series(busy->world, busy->histogram, NO_PLACE, "", 3);
    for (uint32_t i = 0; !load_acquire(&busy->is_over); i++) {
        add(busy->world, at, i % 3, i % 3, 1);
        add_relaxed(&busy->observed, 1);
    }
    return NULL;
}

/* Every line is a whole one of a series that there can be; says the histogram's count. */
static double expect_sound_lines(char *text) {
    double bucket = -1, count = -1, sum = -1;
    for (char *line; (line = strtok_r(text, "\n", &text));) {
        uint32_t metric, label;
        double value;
        if (*line == '#') continue;
        char *at = strrchr(line, ' ');
        expect(at && sscanf(at, "%lf", &value) == 1);
        if (sscanf(line, "c%u_total{k=\"%u\"", &metric, &label) == 2)
            expect((value == 0 || value == amount_of(metric, label)) && at - line == 23 + 40 * label);
        else if (!strncmp(line, "h_bucket{le=\"+Inf\"}", 19)) bucket = value;
        else if (!strncmp(line, "h_count ", 8)) count = value;
        else if (!strncmp(line, "h_sum ", 6)) sum = value;
        else expect(strstr(line, "_created ") || strstr(line, "_created{") || !strncmp(line, "h_bucket{", 9));
    }
    expect(count == bucket && sum >= 0 && sum <= 2 * count);
    return count;
}

CASE(scrapes_beside_updates_and_removals_have_whole_lines_of_what_was_there) {
    struct busy busy = {.world = make_world(SERIES, 0)};
    pthread_t threads[CHURNERS + 1];
    busy.counters[0] = declare(busy.world, "c0", METRIC_COUNTER, NOT_A_GAUGE, "");
    busy.counters[1] = declare(busy.world, "c1", METRIC_COUNTER, NOT_A_GAUGE, "");
    busy.histogram = declare(busy.world, "h", METRIC_HISTOGRAM, NOT_A_GAUGE, BOUNDS);
    series(busy.world, busy.histogram, NO_PLACE, "", 3);
    for (int i = 0; i <= CHURNERS; i++) expect(!pthread_create(&threads[i], NULL, i ? churn : observe, &busy));
    double before = 0;
    for (uint64_t i = 0; i < 20 * effort; i++) {
        struct exposition exposition;
        const uint64_t least = load_acquire(&busy.observed);
        expect(exposition_write(&busy.world->nodes, i % 2 ? &as_text : &as_openmetrics, &exposition));
        exposition.text[exposition.length] = '\0';
        const double count = expect_sound_lines(exposition.text);
        expect(count >= before && count >= (double)least && !exposition.left_out);
        before = count;
        exposition_free(&exposition);
    }
    store_release(&busy.is_over, true);
    for (int i = 0; i <= CHURNERS; i++) pthread_join(threads[i], NULL);
    free_world(busy.world);
}

static void scrape(void *argument) {
    expect_scrape(argument, &as_text, "# HELP g Of g.\n# TYPE g gauge\ng{k=\"stays\"} 0.0\n");
}

CASE(a_series_that_is_used_again_while_it_is_read_is_not_printed) {
    struct world *world = make_world(SERIES, 0);
    const uint32_t family = declare(world, "g", METRIC_GAUGE, GAUGE_MOSTRECENT, "");
    const struct node_at at = series(world, family, NO_PLACE, "k=\"old\"", 1);
    series(world, family, NO_PLACE, "k=\"stays\"", 1);
    struct stalled *stalled = start(scrape, world, "cells read");
    expect(nodes_remove(&world->nodes, at));
    store_relaxed(&changes_of(&world->nodes)->hint, at.index);
    expect_equal(series(world, family, NO_PLACE, "k=\"new\"", 1).index, at.index);
    expect(!has_returned(stalled));
    finish(stalled);
    free_world(world);
}

/* ---- damage ------------------------------------------------------------------------------------------------------ */

/* Memory of just this size, so that a byte too many is found. */
static bool is_read(const char *text, uint32_t bytes, uint32_t key_bytes) {
    static struct declaration declaration;
    char *copy = malloc(bytes ? bytes : 1);
    if (!copy) fail("no memory");
    memcpy(copy, text, bytes);
    const bool is = declaration_read(copy, bytes, key_bytes, &declaration);
    uint64_t sum = 0;
    for (uint32_t i = 0; is && i < declaration.item_count; i++)
        for (uint32_t k = 0; k < declaration.items[i].length; k++) sum += (unsigned char)declaration.items[i].text[k];
    free(copy);
    return is && sum != 1;
}

CASE(a_declaration_is_read_whole_or_not_at_all) {
    char text[4096], broken[4096];
    const uint32_t bytes = pack(text, "latency", METRIC_HISTOGRAM, NOT_A_GAUGE, BOUNDS);
    expect(is_read(text, bytes, 7));
    for (uint32_t less = 0; less < bytes; less++) expect(!is_read(text, less, 7));
    for (uint32_t key = 0; key < bytes + 2; key++) expect(is_read(text, bytes, key) == (key == 7));
    for (uint64_t i = 0; i < 2000 * effort; i++) {
        memcpy(broken, text, bytes);
        for (uint64_t k = random_number(4); k < 4; k++) broken[random_number(bytes)] = (char)random_number(256);
        is_read(broken, bytes, 7);
    }
    const struct {
        uint32_t at;
        char byte;
    } faults[] = {{7, 2}, {8, 0}, {8, 2}, {8, 7}, {9, 1}, {11, 4}, {11, 2}, {19, 'x'}, {20, '\n'}, {30, (char)0xff}};
    for_each(fault, faults) {
        memcpy(broken, text, bytes);
        broken[fault.at] = fault.byte;
        expect(!is_read(broken, bytes, 7));
    }
    expect(!is_read(broken, pack(broken, "1st", METRIC_COUNTER, NOT_A_GAUGE, ""), 3)); /* not a name of samples */
    expect(!is_read(broken, pack(broken, "a b", METRIC_COUNTER, NOT_A_GAUGE, ""), 3));
    expect(!is_read(broken, pack(broken, "a", METRIC_COUNTER, NOT_A_GAUGE, "item"), 1));
    expect(!is_read(broken, pack(broken, "a", METRIC_ENUM, NOT_A_GAUGE, ""), 1));
    expect(!is_read(broken, pack(broken, "a", METRIC_HISTOGRAM, NOT_A_GAUGE, "+Inf 2.0"), 1));
    expect(!is_read(broken, pack(broken, "a", METRIC_GAUGE, NOT_A_GAUGE, ""), 1));
}

CASE(what_cannot_be_read_is_left_out_and_the_rest_is_printed) {
    struct world *world = make_world(SERIES, 0);
    const struct node_key strange = {NO_FAMILY, NO_PLACE, "strange", 7};
    insert_node(world, &strange, 7, 1, 7);
    const uint32_t family = declare(world, "g", METRIC_GAUGE, GAUGE_MOSTRECENT, "");
    series(world, family, NO_PLACE, "k=\"\xff\"", 1);
    series(world, family, NO_PLACE, "k=\"\n\"", 1);
    series(world, family, NO_PLACE, "k=\"three\"", 3);
    series(world, family, NO_PLACE, "k=\"one\"", 1);
    series(world, declare(world, "own", METRIC_GAUGE, GAUGE_SUM, ""), OWNERS, "", 2);
    struct exposition exposition;
    expect(exposition_write(&world->nodes, &as_text, &exposition));
    exposition.text[exposition.length] = '\0';
    expect_text_at(__FILE__, __LINE__, exposition.text,
                   "# HELP g Of g.\n# TYPE g gauge\ng{k=\"one\"} 0.0\n# HELP own Of own.\n# TYPE own gauge\n");
    expect_equal(exposition.left_out, 5);
    expect_equal(exposition.metrics, 2);
    exposition_free(&exposition);
    free_world(world);
}

CASE(a_scrape_of_any_bytes_ends_and_reads_nothing_else) {
    struct world *world = make_world(SERIES, 0);
    const struct geometry *g = &world->geometry;
    const uint32_t histogram = declare(world, "h", METRIC_HISTOGRAM, NOT_A_GAUGE, BOUNDS);
    const uint32_t own = declare(world, "own", METRIC_GAUGE, GAUGE_LIVEMOSTRECENT, "");
    char labels[700];
    for (int i = 0; i < 60; i++) {
        snprintf(labels, sizeof labels, "k=\"%*d\"", i * 10 + 1, i);
        series(world, histogram, NO_PLACE, labels, 3);
        set_own(world, own, 1 + (uint32_t)i % 4, 3, labels, GAUGE_LIVEMOSTRECENT, i, 7);
    }
    unsigned char *sound = malloc(g->total_bytes);
    if (!sound) fail("no memory");
    memcpy(sound, world->nodes.memory, g->total_bytes);
    const uint64_t used = load_relaxed(&((struct changes *)(void *)(world->nodes.memory + g->changes_offset))->used);
    for (uint64_t i = 0; i < 10 * effort; i++) {
        memcpy(world->nodes.memory, sound, g->total_bytes);
        for (uint64_t k = 0; k <= i % 50; k++) {
            unsigned char *node = world->nodes.memory + g->nodes_offset + 256 * random_number(used);
            /* Now the first words, on which all depends, now anything. */
            node[random_number(3) ? 8 + random_number(40) : random_number(256)] = (unsigned char)random_number(256);
        }
        struct exposition exposition;
        expect(exposition_write(&world->nodes, i % 2 ? &as_text : &as_openmetrics, &exposition));
        expect(!exposition.length || exposition.text[exposition.length - 1] == '\n');
        expect(is_utf8((const unsigned char *)exposition.text, exposition.length));
        exposition_free(&exposition);
    }
    free(sound);
    free_world(world);
}
