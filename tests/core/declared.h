/* Metrics that tests declare and update, and what a scrape of them must be. */
#ifndef SHMSTORE_TESTS_DECLARED_H
#define SHMSTORE_TESTS_DECLARED_H

#include "metrics_world.h"

#include "core/metrics/exposition.h"
#include "core/processes/process.h"

#include <stdio.h>

#define BOUNDS "0.5 1.0 +Inf"

static inline char *pack_text(char *to, const char *text) {
    const uint32_t length = (uint32_t)strlen(text);
    memcpy(to, &length, sizeof length);
    memcpy(to + sizeof length, text, length);
    return to + sizeof length + length;
}

/* A declaration as declaration.h describes it, with items that are separated by spaces; returns its length. */
static inline uint32_t pack(char *to, const char *name, enum metric_type type, enum gauge_mode mode,
                            const char *items) {
    const char *const types[] = {"", "counter", "gauge", "histogram", "summary", "info", "stateset"};
    char lines[600], copy[200], *at = to + strlen(name);
    uint16_t count = 0;
    memcpy(to, name, strlen(name));
    char *fixed = at;
    memset(fixed, 0, 8);
    fixed[0] = DECLARATION_VERSION;
    fixed[1] = (char)type;
    fixed[2] = (char)mode;
    fixed[3] = DECLARED_CREATED;
    const char *total = type == METRIC_COUNTER ? "_total" : type == METRIC_INFO ? "_info" : "";
    const char *kind = type == METRIC_INFO || type == METRIC_ENUM ? "gauge" : types[type];
    snprintf(lines, sizeof lines, "# HELP %s%s Of %s.\n# TYPE %s%s %s\n", name, total, name, name, total, kind);
    at = pack_text(at + 8, lines);
    snprintf(lines, sizeof lines, "# HELP %s Of %s.\n# TYPE %s %s\n", name, name, name, types[type]);
    at = pack_text(pack_text(at, lines), name);
    snprintf(copy, sizeof copy, "%s", items);
    for (char *rest = copy, *item; (item = strtok_r(rest, " ", &rest)); count++) at = pack_text(at, item);
    memcpy(fixed + 4, &count, sizeof count);
    return (uint32_t)(pack_text(at, "{}") - to);
}

static inline struct node_at insert_node(const struct world *world, const struct node_key *key, uint32_t bytes,
                                         uint32_t cells, uint64_t since) {
    const struct node_wish wish = {*key, bytes, cells, since};
    struct node_at at;
    bool inserted;
    expect_equal(nodes_insert(&world->nodes, 1, &wish, &at, &inserted), NODES_OK);
    return at;
}

static inline uint32_t declare(const struct world *world, const char *name, enum metric_type type, enum gauge_mode mode,
                               const char *items) {
    char text[4096];
    const uint32_t bytes = pack(text, name, type, mode, items);
    const struct node_key key = {NO_FAMILY, NO_PLACE, text, (uint32_t)strlen(name)};
    return insert_node(world, &key, bytes, 1, 7).index;
}

static inline struct node_at series(const struct world *world, uint32_t family, uint32_t place, const char *labels,
                                    uint32_t cells) {
    const struct node_key key = {family, place, labels, (uint32_t)strlen(labels)};
    return insert_node(world, &key, key.length, cells, 1500000000);
}

static inline void add(const struct world *world, struct node_at at, uint32_t number, double amount, uint64_t count) {
    const struct cell_at cell = cell_of(world, at, number);
    expect(cell_add(&cell, amount, count));
}

static inline struct node_at counter(const struct world *world, uint32_t family, const char *labels, double value) {
    const struct node_at at = series(world, family, NO_PLACE, labels, 1);
    add(world, at, 0, value, 0);
    return at;
}

/* A process of this mark, in its place, sets a gauge of its own. */
static inline void set_own(const struct world *world, uint32_t family, uint32_t place, uint64_t mark,
                           const char *labels, enum gauge_mode mode, double value, uint64_t set_us) {
    const struct node_at at = series(world, family, place, labels, 2);
    const struct cell_at own = cell_of(world, at, 0), second = cell_of(world, at, 1);
    struct place *its = (struct place *)(void *)(world->nodes.memory + world->geometry.processes_offset) + place;
    store_release(&its->word, mark << 8 | PLACE_USED);
    expect(own_take(&own, &second, mark, 1000 + mark, gauge_fold(mode)));
    expect(cell_set(&own, value, mark));
    if (set_us) expect(cell_set(&second, 0, set_us));
}

static const struct exposition_wish as_text __attribute__((unused)) = {.format = TEXT_0_0_4};
static const struct exposition_wish as_openmetrics __attribute__((unused)) = {.format = OPENMETRICS_1_0_0};

static inline void expect_scrape_at(int line, const struct world *world, const struct exposition_wish *wish,
                                    const char *expected) {
    struct exposition exposition;
    expect(exposition_write(&world->nodes, wish, &exposition));
    exposition.text[exposition.length] = '\0';
    expect_text_at(__FILE__, line, exposition.text, expected);
    exposition_free(&exposition);
}
#define expect_scrape(world, wish, expected) expect_scrape_at(__LINE__, world, wish, expected)

#endif
