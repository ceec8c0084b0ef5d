/* A metrics segment whose bytes anybody may have changed: whatever they are, each operation ends soon, and inside the segment. */
#define _GNU_SOURCE
#include "harness.h"

#include "core/metrics/cells.h"
#include "core/metrics/changes.h"
#include "core/metrics/check_nodes.h"
#include "core/metrics/contents.h"
#include "core/metrics/exemplars.h"

#include <stdio.h>
#include <time.h>

enum {
    SERIES = 40,
    TEXT_BYTES = 512,
    OWNER = 1,
    ITS_EXEMPLARS = 4,
    MOST_SECONDS = 10 /* under a slow sanitizer, too */
};

static struct geometry geometry;
static struct nodes nodes;

static bool is_dead(void *context, uint32_t owner) {
    (void)context;
    return owner % 3 == 0;
}

static struct node_wish wish_of(uint32_t number, char text[TEXT_BYTES]) {
    const int length = snprintf(text, TEXT_BYTES, "%*u", 3 + (int)(number % 4 * 130), number);
    return (struct node_wish){{NO_FAMILY, NO_PLACE, text, (uint32_t)length}, (uint32_t)length, 1 + number % 5, 0};
}

static void insert(uint32_t number) {
    char text[TEXT_BYTES];
    const struct node_wish wish = wish_of(number, text);
    struct node_at at;
    bool inserted;
    if (nodes_insert(&nodes, OWNER, &wish, &at, &inserted) == NODES_OK) expect(at.index < geometry.node_count);
}

static void begin(void) {
    const struct options options = {.capacity = 1, .exemplars = ITS_EXEMPLARS, .processes = 4, .kind = SEGMENT_METRICS};
    struct refusal why;
    if (layout_plan(&options, NULL, &geometry, &why) != PLAN_OK) fail("refused: %s", why.text);
    if (!nodes.memory) nodes.memory = aligned_alloc(4096, geometry.total_bytes);
    if (!nodes.memory) fail("no memory");
    memset(nodes.memory, 0, geometry.total_bytes);
    nodes = (struct nodes){&geometry, nodes.memory, {is_dead, NULL}};
    for (uint32_t number = 0; number < SERIES; number++) insert(number);
}

static void take_violation(void *context, const char *text) {
    (void)context;
    expect(strlen(text) < 160);
}

/* All that looks at a node that was found. */
static void look_at(struct node_at at) {
    char text[TEXT_BYTES];
    const uint32_t cells = node_cells(load_relaxed(&nodes_at(&nodes, at.index)->sizes));
    const struct exemplar_values exemplar = {1, 2, 3, "abc"};
    struct exemplar_values kept;
    nodes_text(&nodes, at, text, sizeof text);
    for (uint32_t number = 0; number < cells; number = 2 * number + 1) {
        struct cell_value value;
        struct wide *cell = nodes_cell(&nodes, at, number);
        const struct cell_at shared = {&nodes_at(&nodes, at.index)->word, at.word, cell};
        if (cell && cell_read(cell, &value)) cell_add(&shared, 1, 1);
        exemplar_put(&nodes, OWNER, at, number, &exemplar);
        if (exemplar_get(&nodes, at, number, &kept)) expect(kept.length <= EXEMPLAR_TEXT_BYTES);
    }
}

static void work_on(void) {
    struct timespec before, after;
    char text[TEXT_BYTES];
    struct node_at at;
    clock_gettime(CLOCK_MONOTONIC, &before);
    check_nodes(&nodes, take_violation, NULL);
    for (uint32_t number = 0; number < SERIES; number++) {
        const struct node_wish wish = wish_of(number, text);
        if (nodes_find(&nodes, &wish.key, &at) != NODES_OK) continue;
        look_at(at);
        if (number % 3 == 0) nodes_remove(&nodes, at);
    }
    for (uint32_t index = 0; nodes_next(&nodes, &index, &at);) look_at(at);
    for (uint32_t number = 0; number < 2 * SERIES; number++) insert(number);
    nodes_help(&nodes);
    for (uint32_t owner = 0; owner < 4; owner++) {
        nodes_sweep(&nodes, owner);
        exemplars_sweep(&nodes, owner);
    }
    exemplars_count(&nodes);
    nodes_room(&nodes);
    check_nodes(&nodes, take_violation, NULL);
    clock_gettime(CLOCK_MONOTONIC, &after);
    expect(after.tv_sec - before.tv_sec < MOST_SECONDS);
}

/* ---- aimed ------------------------------------------------------------------------------------------------------- */

/* A node that is in a chain, and has another behind it. */
static struct node *chained_node(void) {
    for (uint32_t index = 0; index < geometry.node_count; index++) {
        struct node *node = nodes_at(&nodes, index);
        if (node_state(load_relaxed(&node->word)) == NODE_LIVE && linked(load_relaxed(&node->link))) return node;
    }
    fail("no chain has two nodes");
}

static uint32_t index_of(const struct node *node) { return (uint32_t)(node - nodes_at(&nodes, 0)); }

CASE(a_chain_in_a_circle_ends) {
    for (int behind = 0; behind < 2; behind++) {
        begin();
        struct node *node = chained_node();
        struct node *next = nodes_at(&nodes, linked(load_relaxed(&node->link)) - 1);
        store_relaxed(behind ? &next->link : &node->link, index_of(node) + 1);
        work_on();
    }
}

CASE(a_link_beyond_the_table_is_not_followed) {
    begin();
    store_relaxed(&chained_node()->link, 0xffffff);
    work_on();
}

CASE(parts_in_a_circle_end) {
    begin();
    for (uint32_t index = 0; index < geometry.node_count; index++) {
        struct node *node = nodes_at(&nodes, index);
        if (node_state(load_relaxed(&node->word)) == NODE_PART) store_relaxed(&node->more, index + 1);
    }
    work_on();
}

CASE(all_nodes_of_any_state_size_and_identity_harm_nothing) {
    static const uint64_t sizes[] = {0, UINT64_MAX, 0xffff, UINT64_C(0xffffff) << 16, UINT64_C(0xffff) << 40 | 1};
    for (uint64_t state = 0; state < 8; state++) for_each(size, sizes) {
            begin();
            for (uint32_t index = 0; index < geometry.node_count; index++) {
                struct node *node = nodes_at(&nodes, index);
                store_relaxed(&node->word,
                              node_word(index, index % 5 ? index % 7 : 0x1fffffff, (enum node_state)state));
                store_relaxed(&node->sizes, size);
                store_relaxed(&node->link, (index + 1) % geometry.node_count + 1);
                store_relaxed(&node->more, index % geometry.node_count + 1);
            }
            work_on();
        }
}

CASE(a_change_of_nonsense_is_brought_to_an_end) {
    for (uint64_t what = 0; what < 16; what++)
        for (uint64_t node = 0; node < 60; node++) {
            begin();
            store_relaxed(&changes_of(&nodes)->change, UINT64_MAX << 28 | what << 24 | (node == 59 ? 0xffffff : node));
            store_relaxed(&changes_of(&nodes)->hint, UINT64_MAX);
            store_relaxed(&changes_of(&nodes)->used, node % 2 ? UINT64_MAX : 0);
            work_on();
        }
}

/* ---- at random --------------------------------------------------------------------------------------------------- */

static void change_something(void) {
    static const uint64_t edges[] = {0, 1, 2, 5, 7, UINT32_MAX, UINT64_MAX, UINT64_C(1) << 24, UINT64_C(1) << 40};
    const uint64_t first = geometry.changes_offset, bytes = geometry.total_bytes - first;
    const uint32_t used = SERIES * 2;
    uint64_t at = first + random_number(bytes / 8) * 8;
    uint64_t value = edges[random_number(sizeof edges / sizeof *edges)] + random_number(3) - 1, old;
    if (random_number(4)) at = geometry.nodes_offset + random_number(used) * sizeof(struct node) + random_number(8) * 8;
    else if (random_number(2)) at = first + random_number((geometry.nodes_offset - first) / 8) * 8;
    else if (random_number(2))
        at = geometry.exemplars_offset + random_number(ITS_EXEMPLARS) * sizeof(struct exemplar) + random_number(8) * 8;
    memcpy(&old, nodes.memory + at, 8);
    if (random_number(2)) value = random_number(used) + 1;
    if (random_number(3) == 0) value ^= old;
    if (random_number(4) == 0) value = random_number(UINT64_MAX);
    memcpy(nodes.memory + at, &value, 8);
}

CASE(no_change_of_any_bytes_of_metrics_leads_outside_the_segment_or_round_for_ever) {
    for (uint64_t i = 0; i < 2 * effort; i++) {
        begin();
        for (uint64_t changes = 1 + random_number(30); changes; changes--) change_something();
        work_on();
    }
}
