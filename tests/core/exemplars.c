/* Exemplars: never of two observations, never of a series that is gone, and whoever stops or dies costs no more than one. */
#include "metrics_world.h"

#include "core/metrics/exemplars.h"

#include <pthread.h>
#include <stdio.h>

enum { WRITERS = 3 };

static const char *const points[] = {"exemplar marked", "exemplar written"};

/* All fields follow from a number, and so does the length of the text. */
static struct exemplar_values exemplar_of(uint64_t number) {
    struct exemplar_values values = {(double)number, (int64_t)number * 3, (uint32_t)(number % EXEMPLAR_TEXT_BYTES), ""};
    for (uint32_t i = 0; i < values.length; i++) values.text[i] = (char)('a' + (number + i) % 26);
    return values;
}

static bool put(struct world *world, uint32_t owner, struct node_at at, uint32_t cell, uint64_t number) {
    const struct exemplar_values values = exemplar_of(number);
    return exemplar_put(&world->nodes, owner, at, cell, &values);
}

/* The number of the exemplar that is there, whole; 0: none. */
static uint64_t got(const struct world *world, struct node_at at, uint32_t cell) {
    struct exemplar_values values;
    if (!exemplar_get(&world->nodes, at, cell, &values)) return 0;
    const uint64_t number = (uint64_t)values.value;
    const struct exemplar_values expected = exemplar_of(number);
    expect(values.time_ns == expected.time_ns && values.length == expected.length);
    expect(!memcmp(values.text, expected.text, values.length));
    return number;
}

CASE(the_newest_exemplar_of_a_cell_is_there) {
    struct world *world = make_world(10, 1000);
    const struct node_at at = insert(world, 1, "series", 20);
    expect_equal(got(world, at, 3), 0);
    for (uint64_t number = 1; number < 2 * EXEMPLAR_TEXT_BYTES; number++) {
        expect(put(world, 1, at, 3, number));
        expect_equal(got(world, at, 3), number);
    }
    expect(put(world, 1, at, 4, 7));
    expect_equal(got(world, at, 4), 7);
    free_world(world);
}

CASE(cells_that_share_a_slot_replace_each_others_exemplars) {
    struct world *world = make_world(10, 1);
    const struct node_at at = insert(world, 1, "series", 20), other = insert(world, 1, "other", 20);
    expect(put(world, 1, at, 3, 5) && put(world, 1, at, 4, 6));
    expect_equal(got(world, at, 3), 0);
    expect_equal(got(world, at, 4), 6);
    expect(put(world, 1, other, 4, 7));
    expect_equal(got(world, at, 4), 0);
    expect_equal(got(world, other, 4), 7);
    free_world(world);
}

CASE(a_segment_without_room_for_exemplars_drops_them) {
    struct world *world = make_world(10, 0);
    const struct node_at at = insert(world, 1, "series", 1);
    expect(!put(world, 1, at, 0, 5));
    expect_equal(got(world, at, 0), 0);
    exemplars_sweep(&world->nodes, 1);
    free_world(world);
}

CASE(of_a_removed_series_no_exemplar_is_shown) {
    struct world *world = make_world(1, 1);
    const struct node_at at = insert(world, 1, "series", 1);
    expect(put(world, 1, at, 0, 5) && nodes_remove(&world->nodes, at));
    struct node_at later = at;
    for (uint32_t i = 0; i < world->geometry.node_count; i++) {
        char text[24];
        snprintf(text, sizeof text, "later %u", i);
        later = insert(world, 1, text, 1);
        if (later.index == at.index) break;
    }
    expect_equal(later.index, at.index);
    expect_equal(got(world, later, 0), 0);
    expect(put(world, 1, at, 0, 6)); /* by someone who does not know yet */
    expect_equal(got(world, later, 0), 0);
    expect(put(world, 1, later, 0, 7));
    expect_equal(got(world, later, 0), 7);
    free_world(world);
}

/* ---- stopped, and dead, on the way ------------------------------------------------------------------------------- */

struct putting {
    struct world *world;
    struct node_at at;
    uint64_t number;
    bool done;
};

static void put_once(void *argument) {
    struct putting *putting = argument;
    putting->done = put(putting->world, 2, putting->at, 0, putting->number);
}

CASE(a_writer_that_stands_still_costs_its_slot_the_exemplars_of_that_time) {
    for_each(point, points) {
        struct world *world = make_world(10, 1);
        const struct node_at at = insert(world, 1, "series", 20);
        expect(put(world, 1, at, 0, 5));
        struct putting putting = {world, at, 400, false};
        struct stalled *stalled = start(put_once, &putting, point);
        expect(!has_returned(stalled));
        expect_equal(got(world, at, 0), 0);
        expect(!put(world, 1, at, 0, 6) && !put(world, 2, at, 0, 6));
        exemplars_sweep(&world->nodes, 1); /* of another */
        expect(!put(world, 1, at, 0, 6));
        finish(stalled);
        expect(putting.done);
        expect_equal(got(world, at, 0), 400);
        expect(put(world, 1, at, 0, 6));
        expect_equal(got(world, at, 0), 6);
        free_world(world);
    }
}

CASE(what_a_dead_writer_had_marked_is_taken_over_or_given_up) {
    for_each(point, points) for (int is_swept = 0; is_swept < 2; is_swept++) {
        struct world *world = make_world(10, 1);
        const struct node_at at = insert(world, 1, "series", 20);
        expect(put(world, 1, at, 0, 5));
        struct putting putting = {world, at, 400, false};
        expect(leaves_at(point, 0, put_once, &putting));
        expect(!put(world, 1, at, 0, 6));
        if (is_swept) exemplars_sweep(&world->nodes, 2);
        else store_release(&world->dead[2], true);
        expect_equal(got(world, at, 0), 0);
        expect(put(world, 1, at, 0, 6));
        expect_equal(got(world, at, 0), 6);
        free_world(world);
    }
}

/* Two find a slot that the dead had marked: one of them takes it over. */
CASE(a_slot_that_was_given_up_has_one_writer) {
    struct world *world = make_world(10, 1);
    const struct node_at at = insert(world, 1, "series", 20);
    struct putting putting = {world, at, 400, false};
    expect(leaves_at("exemplar marked", 0, put_once, &putting));
    store_release(&world->dead[2], true);
    struct stalled *first =
        start(put_once, &putting, "exemplar marked"); /* of the same number as the dead: it takes over */
    expect(!has_returned(first));
    store_release(&world->dead[2], false);
    expect(!put(world, 1, at, 0, 6));
    finish(first);
    expect_equal(got(world, at, 0), 400);
    free_world(world);
}

CASE(numbers_of_writes_wrap) {
    struct world *world = make_world(10, 1);
    const struct node_at at = insert(world, 1, "series", 1);
    expect(put(world, 1, at, 0, 1));
    struct exemplar *slot = (struct exemplar *)(void *)(world->nodes.memory + world->geometry.exemplars_offset);
    store_relaxed(&slot->word, UINT64_C(0xfffffffe) << 32 | (load_relaxed(&slot->word) & 3));
    for (uint64_t number = 1; number < 5; number++) {
        expect(put(world, 1, at, 0, number));
        expect_equal(got(world, at, 0), number);
    }
    free_world(world);
}

/* ---- at the same time -------------------------------------------------------------------------------------------- */

struct writing {
    struct world *world;
    struct node_at at;
    uint32_t owner;
    uint64_t done;
};

static void *write_many(void *argument) {
    struct writing *writing = argument;
    seed_thread(writing->owner);
    for (uint64_t i = 0; i < 100 * effort; i++) {
        const uint32_t cell = (uint32_t)random_number(3);
        writing->done += put(writing->world, writing->owner, writing->at, cell, 1 + random_number(10000) * 3 + cell);
        const uint32_t looked = (uint32_t)random_number(3);
        const uint64_t number = got(writing->world, writing->at, looked);
        expect(!number || (number - 1) % 3 == looked);
    }
    return NULL;
}

CASE(exemplars_that_many_write_and_read_are_whole_and_of_their_cell) {
    struct world *world = make_world(10, 2);
    struct writing writing[WRITERS];
    pthread_t threads[WRITERS];
    const struct node_at at = insert(world, 1, "series", 3);
    for (uint32_t i = 0; i < WRITERS; i++) {
        writing[i] = (struct writing){world, at, i + 1, 0};
        if (pthread_create(&threads[i], NULL, write_many, &writing[i])) fail("no thread");
    }
    for (uint32_t i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
        expect(writing[i].done);
    }
    expect(put(world, 1, at, 0, 1));
    expect_equal(got(world, at, 0), 1);
    free_world(world);
}
