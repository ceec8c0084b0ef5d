/* Cells: no update is lost or torn, none reaches a later series, and what the dead left is counted once. */
#include "metrics_world.h"

#include "core/metrics/changes.h"
#include "core/metrics/check_nodes.h"

#include <pthread.h>

enum { THREADS = 3, MANY_CELLS = 20, IN_A_PART = 15 };

static struct world *world_with_series(struct cell_at *cells, uint32_t count) {
    struct world *world = make_world(10, 0);
    const struct node_at at = insert(world, 1, "series", MANY_CELLS);
    for (uint32_t i = 0; i < count; i++) cells[i] = cell_of(world, at, i);
    return world;
}

/* ---- updates ----------------------------------------------------------------------------------------------------- */

struct adding {
    struct cell_at near, far;
};

static void *add_many(void *argument) {
    const struct adding *adding = argument;
    for (uint64_t i = 0; i < 500 * effort; i++) {
        expect(cell_add(&adding->near, 2, 1) && cell_add(&adding->far, 3, 1));
        const struct cell_value value = value_of(adding->near);
        expect(value.number == 2 * (double)value.bits);
    }
    return NULL;
}

CASE(additions_of_many_threads_are_all_there_and_never_half) {
    struct world *world = make_world(10, 0);
    const struct node_at at = insert(world, 1, "series", MANY_CELLS);
    const struct adding adding = {cell_of(world, at, 0), cell_of(world, at, IN_A_PART)};
    pthread_t threads[THREADS];
    for_each(thread, threads) if (pthread_create(&threads[thread_at], NULL, add_many, (void *)&adding))
        fail("no thread");
    for (uint32_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    const uint64_t count = THREADS * 500 * effort;
    expect_equal(value_of(adding.near).bits, count);
    expect(value_of(adding.far).number == 3 * (double)count);
    free_world(world);
}

struct setting {
    struct cell_at cell;
    uint64_t seed, latest;
};

/* Threads that do this to one cell, each with a setting of its own. */
static void run_many(void *(*does)(void *), struct cell_at cell, struct setting settings[THREADS]) {
    pthread_t threads[THREADS];
    for (uint32_t i = 0; i < THREADS; i++) {
        settings[i] = (struct setting){cell, i + 1, 0};
        if (pthread_create(&threads[i], NULL, does, &settings[i])) fail("no thread");
    }
    for (uint32_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

static void *set_many(void *argument) {
    struct setting *setting = argument;
    seed_thread(setting->seed);
    for (uint64_t i = 0; i < 300 * effort; i++) {
        const uint64_t time_us = 1 + random_number(UINT64_C(1) << 51);
        expect(cell_set_latest(&setting->cell, -(double)time_us, time_us));
        if (time_us > setting->latest) setting->latest = time_us;
        const struct cell_value value = value_of(setting->cell);
        expect(value.number == -(double)value.bits && value.bits >= setting->latest);
    }
    return NULL;
}

CASE(of_values_that_many_set_the_latest_stays) {
    struct cell_at cell;
    struct world *world = world_with_series(&cell, 1);
    struct setting settings[THREADS];
    uint64_t latest = 0;
    run_many(set_many, cell, settings);
    for (uint32_t i = 0; i < THREADS; i++)
        if (settings[i].latest > latest) latest = settings[i].latest;
    expect_equal(value_of(cell).bits, latest);
    expect(cell_set_latest(&cell, 1, latest - 1));
    expect(value_of(cell).number == -(double)latest);
    expect(cell_set_latest(&cell, 1, latest) && value_of(cell).number == 1);
    free_world(world);
}

CASE(a_count_that_overflows_leaves_the_tag_alone) {
    struct cell_at cell;
    struct world *world = world_with_series(&cell, 1);
    expect(cell_set(&cell, 1, CELL_MASK) && cell_add(&cell, 1, 2));
    expect_equal(value_of(cell).bits, 1);
    expect_equal(check_nodes(&world->nodes, NULL, NULL), 0);
    expect(cell_set(&cell, 1, UINT64_MAX));
    expect_equal(check_nodes(&world->nodes, NULL, NULL), 0);
    free_world(world);
}

/* ---- removed and used again --------------------------------------------------------------------------------------- */

static void expect_no_updates(struct cell_at cell) {
    expect(!cell_add(&cell, 1, 1) && !cell_set(&cell, 1, 1) && !cell_set_latest(&cell, 1, CELL_MASK));
}

/* Let the next claim begin to look at a node. */
static void look_first_at(const struct world *world, uint32_t index) {
    store_relaxed(&changes_of(&world->nodes)->hint, index);
}

static void expect_untouched(const struct world *world, struct node_at at) {
    for (uint32_t number = 0; number < MANY_CELLS; number++) {
        const struct cell_value value = value_of(cell_of(world, at, number));
        expect(!value.bits && value.number == 0);
    }
    expect_equal(check_nodes(&world->nodes, NULL, NULL), 0);
}

CASE(a_removed_series_takes_no_updates_nor_does_what_comes_after_it) {
    const uint32_t generations[] = {0, 1, 4094, 4095, 4096, UINT32_MAX - 1, UINT32_MAX};
    for_each(generation, generations) {
        struct world *world = make_world(10, 0);
        for (uint32_t i = 0; i < world->geometry.node_count; i++)
            store_relaxed(&nodes_at(&world->nodes, i)->word, node_word(generation, 0, NODE_FREE));
        const struct node_at at = insert(world, 1, "series", MANY_CELLS);
        struct cell_at cells[] = {cell_of(world, at, 0), cell_of(world, at, IN_A_PART)};
        struct halves before[2];
        for (int i = 0; i < 2; i++) {
            expect(cell_add(&cells[i], 1, 1) && cell_set(&cells[i], 0, 0));
            expect(cell_load(&cells[i], &before[i]));
        }
        expect(nodes_remove(&world->nodes, at));
        for (int i = 0; i < 2; i++) expect_no_updates(cells[i]);
        look_first_at(world, at.index);
        const struct node_at later = insert(world, 1, "another", MANY_CELLS);
        expect(later.index == at.index && cell_of(world, later, IN_A_PART).cell == cells[1].cell);
        for (int i = 0; i < 2; i++) {
            expect_no_updates(cells[i]);
            expect(!cell_swap(&cells[i], before[i], 1, 1)); /* one that stood still between the load and the swap */
        }
        expect_untouched(world, later);
        free_world(world);
    }
}

CASE(a_late_update_misses_a_part_that_is_now_another_nodes_of_the_same_generation) {
    struct world *world = make_world(10, 0);
    insert(world, 1, "first", 1);
    const struct node_at at = insert(world, 1, "series", MANY_CELLS);
    struct cell_at cell = cell_of(world, at, IN_A_PART);
    struct halves before;
    expect(cell_load(&cell, &before));
    expect(nodes_remove(&world->nodes, at));
    look_first_at(world, at.index);
    insert(world, 1, "second", 1);
    look_first_at(world, world->geometry.node_count - 1); /* the next one after the last is the part that was freed */
    const struct node_at later = insert(world, 1, "another", MANY_CELLS);
    expect(node_generation(later.word) == node_generation(at.word));
    expect(cell_of(world, later, IN_A_PART).cell == cell.cell);
    expect(!cell_swap(&cell, before, 1, 1));
    expect_untouched(world, later);
    free_world(world);
}

CASE(numbers_of_changes_wrap) {
    const uint64_t last = (UINT64_C(1) << 36) - 1;
    for (uint64_t before = 0; before < 12; before++) {
        struct world *world = make_world(100, 0);
        store_relaxed(&changes_of(&world->nodes)->change, (last - before) << 28);
        char text[2] = "a";
        for (; *text <= 'h'; ++*text) insert(world, 1, text, 1); /* some are the first of their chain */
        for (*text = 'a'; *text <= 'h'; *text = (char)(*text + 2)) {
            const struct node_key key = key_of(text);
            struct node_at at;
            expect_equal(nodes_find(&world->nodes, &key, &at), NODES_OK);
            expect(nodes_remove(&world->nodes, at));
        }
        for (*text = 'a'; *text <= 'h'; ++*text) {
            const struct node_key key = key_of(text);
            struct node_at at;
            expect_equal(nodes_find(&world->nodes, &key, &at), *text % 2 ? NODES_MISSING : NODES_OK);
        }
        expect_equal(check_nodes(&world->nodes, NULL, NULL), 0);
        expect_equal(nodes_room(&world->nodes), world->geometry.node_count - 4);
        free_world(world);
    }
}

/* ---- what the kernel counts, by whoever looks ---------------------------------------------------------------------- */

static void *raise_many(void *argument) {
    const struct setting *raising = argument;
    double last = 0;
    seed_thread(raising->seed);
    for (uint64_t count = 1; count <= 200 * effort; count += random_number(3)) {
        expect(cell_raise(&raising->cell, 7, count, 0.5));
        const struct cell_value value = value_of(raising->cell);
        expect(value.number == 0.5 * (double)(uint32_t)value.bits);
        expect(value.number >= last && value.number >= 0.5 * (double)count);
        last = value.number;
    }
    expect(cell_raise(&raising->cell, 7, 200 * effort, 0.5));
    return NULL;
}

CASE(a_count_that_many_bring_up_is_added_once) {
    struct cell_at cell;
    struct world *world = world_with_series(&cell, 1);
    struct setting raisings[THREADS];
    run_many(raise_many, cell, raisings);
    expect(value_of(cell).number == 0.5 * (double)(200 * effort));
    free_world(world);
}

CASE(a_count_that_is_late_is_known_already) {
    enum { last = (1 << 20) - 1 };
    static const uint32_t most = UINT32_MAX;
    static const struct {
        uint64_t incarnation, count;
        double number;
    } raisings[] = {
        {1 << 19, 3, 3},
        {1 << 19, 2, 3},
        {1 << 19, 3, 3},
        {(1 << 19) + 1, 4, 7},
        {1 << 19, 9, 7},
        {(1 << 19) + 1, 5, 8},
        {last, most, 8.0 + most},
        {last, UINT64_C(3) + most, 11.0 + most},
        {last, most, 11.0 + most},
        {last + 1, 1, 12.0 + most},
        {last, UINT64_C(9) + most, 12.0 + most},
        {last + 2, 0, 12.0 + most},
        {last + 2, 1, 13.0 + most},
    };
    struct cell_at cell;
    struct world *world = world_with_series(&cell, 1);
    for_each(raising, raisings) {
        expect(cell_raise(&cell, raising.incarnation, raising.count, 1));
        expect(value_of(cell).number == raising.number);
    }
    free_world(world);
}

/* ---- what each process has for itself ----------------------------------------------------------------------------- */

enum { FIRST = 1, SECOND, THIRD }; /* marks; the first and the second die */

struct taking {
    struct cell_at own, dead;
    uint64_t mark;
    enum fold fold;
    bool taken;
};

static void take(void *argument) {
    struct taking *taking = argument;
    taking->taken = own_take(&taking->own, &taking->dead, taking->mark, taking->mark * 100, taking->fold);
}

static const enum fold folds[] = {FOLD_NOTHING, FOLD_SUM, FOLD_LEAST, FOLD_GREATEST, FOLD_PID};
static const char *const points[] = {"dead folded", "own value absent", "pid written", "none"};

static bool keeps_values(enum fold fold) { return fold != FOLD_NOTHING && fold != FOLD_PID; }

static double both(enum fold fold, double a, double b) {
    return fold == FOLD_SUM ? a + b : fold == FOLD_LEAST ? (a < b ? a : b) : a > b ? a : b;
}

/* A series that the first holder left with 5, and beside it 2 of older ones. */
static struct world *world_of_the_dead(struct taking *taking, enum fold fold) {
    struct cell_at cells[2];
    struct world *world = world_with_series(cells, 2);
    *taking = (struct taking){.own = cells[0], .dead = cells[1], .mark = FIRST, .fold = fold};
    if (keeps_values(fold)) expect(cell_set(&cells[1], 2, 99));
    take(taking);
    expect(taking->taken && cell_set(&cells[0], 5, FIRST));
    taking->mark = SECOND;
    return world;
}

static struct own_values values_of(const struct taking *taking) {
    struct own_values values;
    expect(own_read(taking->own.cell, taking->dead.cell, taking->fold, &values));
    return values;
}

/* Read by anybody at any moment: what the dead left is there once. */
static void expect_once(const struct taking *taking) {
    const struct own_values values = values_of(taking);
    if (taking->fold == FOLD_PID && values.has_own) expect_equal(values.pid, values.mark * 100);
    if (!keeps_values(taking->fold)) {
        expect(!values.has_dead && (!values.has_own || values.own == (values.mark == FIRST ? 5 : 0)));
        return;
    }
    expect(values.has_dead);
    const bool counts = values.has_own && values.mark == FIRST;
    const double value = counts ? both(taking->fold, values.own, values.dead) : values.dead;
    expect(value == both(taking->fold, 5, 2));
    if (values.has_own && !counts) expect(values.own == 0);
}

static void expect_taken(struct taking *taking, uint64_t mark, double own) {
    const struct own_values values = values_of(taking);
    expect(values.has_own && values.own == own && values.mark == mark);
    if (keeps_values(taking->fold)) expect(values.dead == both(taking->fold, 5, 2));
    if (taking->fold == FOLD_PID) expect_equal(values.pid, mark * 100);
}

CASE(whoever_dies_while_it_takes_over_has_the_dead_counted_once) {
    for_each(fold, folds) for_each(point, points) {
        struct taking taking;
        struct world *world = world_of_the_dead(&taking, fold);
        expect_once(&taking);
        const bool left = leaves_at(point, 0, take, &taking);
        expect_once(&taking);
        taking.mark = THIRD;
        take(&taking);
        expect(taking.taken && cell_add(&taking.own, 7, 0));
        const struct own_values values = values_of(&taking);
        expect(values.has_own && values.own == 7 && values.mark == THIRD);
        /* The second had a value, 0, if it did not die before. */
        const double dead = left ? both(fold, 5, 2) : both(fold, both(fold, 5, 2), 0);
        if (keeps_values(fold)) expect(values.dead == dead);
        free_world(world);
    }
}

CASE(two_threads_of_a_process_take_over_together) {
    for_each(fold, folds) for_each(first, points) for_each(second, points) {
        struct taking taking, other;
        struct world *world = world_of_the_dead(&taking, fold);
        other = taking;
        struct stalled *a = start(take, &taking, first), *b = start(take, &other, second);
        expect_once(&taking);
        struct taking third = taking;
        take(&third);
        expect(third.taken && cell_add(&third.own, 7, 0));
        expect_taken(&third, SECOND, 7);
        finish(a);
        expect_taken(&third, SECOND, 7);
        finish(b);
        expect(taking.taken && other.taken);
        expect_taken(&third, SECOND, 7);
        free_world(world);
    }
}

CASE(whoever_takes_over_a_series_that_is_removed_leaves_the_next_one_alone) {
    for_each(fold, folds) for_each(point, points) {
        struct taking taking;
        struct world *world = world_of_the_dead(&taking, fold);
        struct stalled *stalled = start(take, &taking, point);
        const bool stopped = !has_returned(stalled);
        const struct node_key key = key_of("series");
        struct node_at at;
        expect_equal(nodes_find(&world->nodes, &key, &at), NODES_OK);
        expect(nodes_remove(&world->nodes, at));
        look_first_at(world, at.index);
        const struct node_at later = insert(world, 1, "another", MANY_CELLS);
        expect_equal(later.index, at.index);
        finish(stalled);
        expect(taking.taken == !stopped);
        expect_untouched(world, later);
        expect_equal(load_relaxed(&nodes_at(&world->nodes, later.index)->since), 7);
        free_world(world);
    }
}
