/* The node table of a metrics segment: inserted once, found by all, removed whole, whoever stops or dies on the way. */
#include "metrics_world.h"

#include "core/metrics/changes.h"
#include "core/metrics/check_nodes.h"

#include <pthread.h>
#include <stdio.h>

enum { TEXT_BYTES = 600 };

static void tell(void *context, const char *text) {
    (void)context;
    fprintf(stderr, "%s\n", text);
}

/* Nothing is broken, and all nodes but those of `live` series are free. */
static void expect_sound_nodes(const struct world *world, uint32_t live_nodes) {
    expect_equal(check_nodes(&world->nodes, tell, NULL), 0);
    expect_equal(nodes_room(&world->nodes), world->geometry.node_count - live_nodes);
}

static bool is_there(const struct world *world, const char *text) {
    const struct node_key key = key_of(text);
    struct node_at at;
    const enum node_status status = nodes_find(&world->nodes, &key, &at);
    expect(status == NODES_OK || status == NODES_MISSING);
    return status == NODES_OK;
}

static bool remove_text(const struct world *world, const char *text) {
    const struct node_key key = key_of(text);
    struct node_at at;
    return nodes_find(&world->nodes, &key, &at) == NODES_OK && nodes_remove(&world->nodes, at);
}

static void expect_text(const struct world *world, struct node_at at, const char *text) {
    char found[TEXT_BYTES];
    expect_equal(nodes_text(&world->nodes, at, found, sizeof found), strlen(text));
    expect(!memcmp(found, text, strlen(text)));
}

/* ---- alone ------------------------------------------------------------------------------------------------------- */

CASE(what_was_inserted_is_found_and_has_its_text_and_cells) {
    struct world *world = make_world(100, 0);
    char text[TEXT_BYTES];
    uint32_t live = 0;
    for (uint32_t i = 0; i < 60; i++) {
        const uint32_t length = i * 9 % (TEXT_BYTES - 20), cells = 1 + i % 17;
        snprintf(text, sizeof text, "%u%*s", i, (int)length, "x");
        struct node_at at = insert(world, 1, text, cells), again = insert(world, 2, text, cells);
        expect(at.index == again.index && at.word == again.word);
        expect_text(world, at, text);
        const uint64_t bytes = strlen(text) + 16 * (cells - 1);
        live += 1 + (uint32_t)(bytes ? (bytes - 1) / 192 : 0);
        for (uint32_t number = 0; number < cells; number++) {
            struct wide *cell = nodes_cell(&world->nodes, at, number);
            expect(cell && !load_relaxed(&cell->high) && !((uintptr_t)cell % 16));
            store_relaxed(&cell->high, i * 100 + number);
        }
        expect(!nodes_cell(&world->nodes, at, cells));
    }
    for (uint32_t i = 0; i < 60; i++) {
        snprintf(text, sizeof text, "%u%*s", i, (int)(i * 9 % (TEXT_BYTES - 20)), "x");
        struct node_at at = insert(world, 1, text, 1 + i % 17);
        for (uint32_t number = 0; number < 1 + i % 17; number++)
            expect_equal(load_relaxed(&nodes_cell(&world->nodes, at, number)->high), i * 100 + number);
    }
    expect_sound_nodes(world, live);
    free_world(world);
}

CASE(keys_differ_by_family_place_and_text) {
    struct world *world = make_world(100, 0);
    const struct node_wish base = {{3, 2, "text", 4}, 4, 1, 0};
    struct node_wish wishes[] = {base, base, base, base, base};
    wishes[1].key.family = 4;
    wishes[2].key.place = 1;
    wishes[3].key.length = 3; /* the rest is no part of the key */
    wishes[4].key.text = "texT";
    for (uint32_t i = 0; i < 5; i++) {
        struct node_at at;
        bool inserted;
        expect_equal(nodes_insert(&world->nodes, 1, &wishes[i], &at, &inserted), NODES_OK);
        expect(inserted);
    }
    expect_sound_nodes(world, 5);
    free_world(world);
}

CASE(a_full_table_refuses_and_room_is_given_back) {
    struct world *world = make_world(1, 0);
    const uint32_t count = world->geometry.node_count;
    char text[16], *long_text = calloc(1, 500);
    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < count; i++) {
            snprintf(text, sizeof text, "%u", i);
            insert(world, 1, text, 1);
        }
        struct node_wish wish = wish_of("more", 1);
        struct node_at at;
        bool inserted;
        expect_equal(nodes_insert(&world->nodes, 1, &wish, &at, &inserted), NODES_FULL);
        expect(is_there(world, "0") && !is_there(world, "more"));
        expect(remove_text(world, "5") && !remove_text(world, "5") && !is_there(world, "5"));
        memset(long_text, 'l', 499); /* takes three nodes, and there is one */
        wish = wish_of(long_text, 1);
        expect_equal(nodes_insert(&world->nodes, 1, &wish, &at, &inserted), NODES_FULL);
        insert(world, 1, "more", 1);
        expect_sound_nodes(world, count);
        expect(remove_text(world, "more"));
        for (uint32_t i = 0; i < count; i++) {
            snprintf(text, sizeof text, "%u", i);
            expect_equal(remove_text(world, text), i != 5);
        }
        expect_sound_nodes(world, 0);
    }
    free(long_text);
    free_world(world);
}

CASE(what_was_removed_is_not_there_for_those_who_had_found_it) {
    struct world *world = make_world(10, 0);
    struct node_at at = insert(world, 1, "gone", 3);
    struct cell_at cell = {&nodes_at(&world->nodes, at.index)->word, at.word, nodes_cell(&world->nodes, at, 2)};
    expect(cell_add(&cell, 2, 1));
    expect(nodes_remove(&world->nodes, at) && !nodes_remove(&world->nodes, at));
    char text[8];
    expect(!nodes_is(&world->nodes, at) && !nodes_cell(&world->nodes, at, 2));
    expect_equal(nodes_text(&world->nodes, at, text, 8), -1);
    expect(!cell_add(&cell, 2, 1));
    store_relaxed(&((struct changes *)(void *)(world->nodes.memory + world->geometry.changes_offset))->hint, at.index);
    struct node_at later = insert(world, 1, "new", 3);
    expect_equal(later.index, at.index);
    expect(!cell_add(&cell, 2, 1) && !nodes_remove(&world->nodes, at));
    expect_equal(load_relaxed(&nodes_cell(&world->nodes, later, 2)->high), 0);
    expect_sound_nodes(world, 1);
    free_world(world);
}

/* ---- stopped, and dead, on the way ------------------------------------------------------------------------------- */

struct doing {
    struct world *world;
    uint32_t owner;
    const char *text;
    bool removes;
};

static char long_text[TEXT_BYTES]; /* takes several nodes */

static void do_it(void *argument) {
    const struct doing *doing = argument;
    if (doing->removes) remove_text(doing->world, doing->text);
    else insert(doing->world, doing->owner, doing->text, 2);
}

static const char *const points[] = {"node claimed", "part claimed",      "node filled", "change announced",
                                     "change found", "insertion decided", "node linked", "node to be linked",
                                     "node removed", "node unlinked",     "part freed"};

/* One more of the same chain before and behind what is inserted and removed, so that links are at work. */
static struct world *make_busy_world(bool removes) {
    struct world *world = make_world(1, 0); /* 8 chains */
    char text[16];
    memset(long_text, 'l', sizeof long_text - 1);
    for (int i = 0; i < 20; i++) {
        snprintf(text, sizeof text, "before %d", i);
        insert(world, 1, text, 1);
    }
    if (removes) insert(world, 1, long_text, 2);
    for (int i = 0; i < 20; i++) {
        snprintf(text, sizeof text, "after %d", i);
        insert(world, 1, text, 1);
    }
    return world;
}

/* Others insert, remove and find, and find what they left. */
static void work_on(struct world *world, uint32_t owner, int round) {
    char text[32];
    for (int i = 0; i < 30; i++) {
        snprintf(text, sizeof text, "round %d %d", round, i);
        insert(world, owner, text, 1 + (uint32_t)i);
        expect(is_there(world, text));
    }
    for (int i = 0; i < 30; i++) {
        snprintf(text, sizeof text, "round %d %d", round, i);
        expect(remove_text(world, text) && !is_there(world, text));
    }
    for (int i = 0; i < 20; i++) {
        snprintf(text, sizeof text, "before %d", i);
        expect(is_there(world, text));
        snprintf(text, sizeof text, "after %d", i);
        expect(is_there(world, text));
    }
}

enum { LONG_NODES = 4 }; /* 599 bytes of text and a cell beside the first */

CASE(whoever_dies_anywhere_leaves_the_table_sound) {
    for (int removes = 0; removes < 2; removes++) for_each(point, points) for (int passes = 0; passes < 4; passes++) {
            struct world *world = make_busy_world(removes);
            struct doing doing = {world, 2, long_text, removes};
            bool left = leaves_at(point, passes, do_it, &doing);
            if (left) store_release(&world->dead[2], true);
            work_on(world, 1, 0);
            nodes_help(&world->nodes);
            nodes_sweep(&world->nodes, 2);
            uint32_t index = 0; /* a remover that died before it announced: whoever looks for room finds it */
            for (struct node_at at; removes && nodes_next(&world->nodes, &index, &at);)
                expect(nodes_is(&world->nodes, at));
            const bool there = is_there(world, long_text);
            if (!left) expect_equal(there, !removes);
            insert(world, 1, long_text, 2);
            expect(is_there(world, long_text));
            expect_equal(check_nodes(&world->nodes, tell, NULL), 0);
            /* Fill the table: all room is there. */
            char text[16];
            for (uint32_t i = 0; i < world->geometry.node_count - 40 - LONG_NODES; i++) {
                snprintf(text, sizeof text, "fill %u", i);
                insert(world, 1, text, 1);
            }
            expect_sound_nodes(world, world->geometry.node_count);
            free_world(world);
        }
}

CASE(whoever_stands_still_anywhere_holds_up_nobody_and_harms_nothing_later) {
    for (int removes = 0; removes < 2; removes++) for_each(point, points) for (int others = 0; others < 3; others++) {
            struct world *world = make_busy_world(removes);
            struct doing doing = {world, 2, long_text, removes};
            struct stalled *stalled = start(do_it, &doing, point);
            work_on(world, 1, 0);
            if (others == 1) insert(world, 1, long_text, 2);
            if (others == 2) {
                insert(world, 1, long_text, 2);
                remove_text(world, long_text);
                work_on(world, 3, 1);
            }
            nodes_sweep(&world->nodes, 1);
            finish(stalled);
            work_on(world, 1, 2);
            insert(world, 1, long_text, 2);
            expect_sound_nodes(world, 40 + LONG_NODES);
            expect(remove_text(world, long_text));
            expect_sound_nodes(world, 40);
            free_world(world);
        }
}

CASE(two_who_stand_still_in_the_same_change_do_it_once) {
    for (int removes = 0; removes < 2; removes++) for_each(first, points) for_each(second, points) {
            struct world *world = make_busy_world(removes);
            struct doing one = {world, 2, long_text, removes}, two = {world, 3, long_text, removes};
            struct stalled *a = start(do_it, &one, first), *b = start(do_it, &two, second);
            work_on(world, 1, 0);
            finish(a);
            work_on(world, 1, 1);
            finish(b);
            expect_equal(is_there(world, long_text), !removes);
            expect_sound_nodes(world, removes ? 40 : 40 + LONG_NODES);
            free_world(world);
        }
}

static struct node_at found(const struct world *world, const char *text) {
    const struct node_key key = key_of(text);
    struct node_at at;
    expect_equal(nodes_find(&world->nodes, &key, &at), NODES_OK);
    return at;
}

CASE(whoever_stands_still_in_a_change_that_is_over_takes_no_step_of_it) {
    for (int removes = 0; removes < 2; removes++)
        for (int passes = 0; passes < 2; passes++) {
            struct world *world = make_busy_world(removes);
            struct node_at at = {0};
            if (removes) at = found(world, long_text);
            struct doing doing = {world, 2, long_text, removes}, other = {world, 3, "another", removes};
            struct stalled *late = start(do_it, &doing, "change found");
            if (passes) move_on(late, "change found"); /* it is decided */
            nodes_help(&world->nodes);
            if (!removes) {
                at = found(world, long_text);
                remove_text(world, long_text);
            }
            store_relaxed(&changes_of(&world->nodes)->hint, at.index);
            if (removes) expect_equal(insert(world, 3, "another", 2).index, at.index);
            struct stalled *now = start(do_it, &other, removes ? "node removed" : "node filled");
            const uint64_t word = load_relaxed(&nodes_at(&world->nodes, at.index)->word);
            expect_equal(node_state(word), removes ? NODE_REMOVED : NODE_CLAIMED);
            finish(late); /* it goes on to insert again, or has nothing left to do */
            expect_equal(load_relaxed(&nodes_at(&world->nodes, at.index)->word), word);
            finish(now);
            expect_equal(check_nodes(&world->nodes, tell, NULL), 0);
            free_world(world);
        }
}

/* ---- at the same time -------------------------------------------------------------------------------------------- */

enum { KEYS = 6, THREADS = 3 };

struct busy {
    struct world *world;
    uint32_t owner;
    uint64_t added[KEYS]; /* to each key, as long as it was there */
};

/* Insert, update, find and remove the same few keys; a text says its key, and cells what was added while it was there. */
static void *be_busy(void *argument) {
    struct busy *busy = argument;
    char text[TEXT_BYTES], found[TEXT_BYTES];
    seed_thread(busy->owner);
    for (uint64_t i = 0; i < 30 * effort; i++) {
        const uint32_t key = (uint32_t)random_number(KEYS);
        snprintf(text, sizeof text, "%u%*s", key, (int)(key * 90), "x");
        struct node_at at = insert(busy->world, busy->owner, text, 2);
        const int64_t length = nodes_text(&busy->world->nodes, at, found, sizeof found);
        if (length >= 0) expect(length == (int64_t)strlen(text) && !memcmp(text, found, strlen(text)));
        struct wide *shared = nodes_cell(&busy->world->nodes, at, 1);
        struct cell_at cell = {&nodes_at(&busy->world->nodes, at.index)->word, at.word, shared};
        if (shared && cell_add(&cell, key + 1, 1)) busy->added[key]++;
        struct cell_value value;
        if (shared) expect(cell_read(shared, &value));
        if (shared && nodes_is(&busy->world->nodes, at)) expect(value.number == (double)value.bits * (key + 1));
        if (!random_number(3)) nodes_remove(&busy->world->nodes, at);
    }
    return NULL;
}

CASE(threads_that_insert_and_remove_the_same_keys_leave_each_once_or_not_at_all) {
    struct world *world = make_world(20, 0);
    struct busy busy[THREADS];
    pthread_t threads[THREADS];
    for (uint32_t i = 0; i < THREADS; i++) {
        busy[i] = (struct busy){.world = world, .owner = i + 1};
        if (pthread_create(&threads[i], NULL, be_busy, &busy[i])) fail("no thread");
    }
    for (uint32_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    expect_equal(check_nodes(&world->nodes, tell, NULL), 0);
    uint32_t index = 0, seen[KEYS] = {0};
    char text[TEXT_BYTES];
    for (struct node_at at; nodes_next(&world->nodes, &index, &at);) {
        expect(nodes_text(&world->nodes, at, text, sizeof text) > 0);
        expect_equal(seen[text[0] - '0']++, 0);
        expect(nodes_remove(&world->nodes, at));
    }
    expect_sound_nodes(world, 0);
    free_world(world);
}
