/* A metrics segment in plain memory, and what the kernel says of those who use it. */
#ifndef SHMSTORE_TESTS_METRICS_WORLD_H
#define SHMSTORE_TESTS_METRICS_WORLD_H

#include "harness.h"

#include "core/metrics/cells.h"

enum { OWNERS = 4 };

struct world {
    struct geometry geometry;
    struct nodes nodes;
    _Atomic bool dead[OWNERS];
};

static inline bool is_dead(void *context, uint32_t owner) {
    return load_acquire(&((struct world *)context)->dead[owner_place(owner)]);
}

static inline struct world *make_world(uint64_t series, uint32_t exemplars) {
    struct world *world = calloc(1, sizeof *world);
    const struct options options = {
        .capacity = series, .processes = OWNERS, .kind = SEGMENT_METRICS, .exemplars = exemplars};
    struct refusal why;
    if (!world) fail("no memory");
    if (layout_plan(&options, NULL, &world->geometry, &why) != PLAN_OK) fail("refused: %s", why.text);
    unsigned char *memory = aligned_alloc(4096, world->geometry.total_bytes);
    if (!memory) fail("no memory");
    memset(memory, 0, world->geometry.total_bytes);
    layout_format(memory, &world->geometry, NULL, (const uint8_t[16]){1}, 1);
    world->nodes = (struct nodes){&world->geometry, memory, {is_dead, world}};
    return world;
}

static inline void free_world(struct world *world) {
    free(world->nodes.memory);
    free(world);
}

static inline struct node_key key_of(const char *text) {
    return (struct node_key){NO_FAMILY, NO_PLACE, text, (uint32_t)strlen(text)};
}

static inline struct node_wish wish_of(const char *text, uint32_t cells) {
    return (struct node_wish){key_of(text), (uint32_t)strlen(text), cells, 7};
}

static inline struct node_at insert(const struct world *world, uint32_t owner, const char *text, uint32_t cells) {
    const struct node_wish wish = wish_of(text, cells);
    struct node_at at;
    bool inserted;
    expect_equal(nodes_insert(&world->nodes, owner, &wish, &at, &inserted), NODES_OK);
    return at;
}

/* A cell of a series that is there. */
static inline struct cell_at cell_of(const struct world *world, struct node_at at, uint32_t number) {
    struct wide *cell = nodes_cell(&world->nodes, at, number);
    if (!cell) fail("no cell %u", number);
    return (struct cell_at){&nodes_at(&world->nodes, at.index)->word, at.word, cell};
}

static inline struct cell_value value_of(struct cell_at at) {
    struct cell_value value;
    expect(cell_read(at.cell, &value));
    return value;
}

#endif
