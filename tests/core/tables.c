/* The key table and the history ring: whole or not there, for ever the same, whoever dies on the way. */
#include "harness.h"

#include "core/store/history.h"

#include <stdio.h>

/* ---- keys -------------------------------------------------------------------------------------------------------- */

static uint32_t intern(struct table *table, const char *text) {
    uint32_t id = UINT32_MAX;
    expect_equal(table_intern(table, text, strlen(text), &id), TABLE_OK);
    return id;
}

static void expect_key(const struct table *table, uint32_t id, const char *text) {
    char found[MAX_KEY_BYTES + 1] = "";
    uint32_t found_id = UINT32_MAX;
    expect_equal(table_find(table, text, strlen(text), &found_id), TABLE_OK);
    expect_equal(found_id, id);
    int64_t length = table_text(table, id, found);
    expect_equal(length, strlen(text));
    found[length] = 0;
    expect(!strcmp(found, text));
}

CASE(a_key_has_one_id_for_ever) {
    struct store *store = make_store((struct wish){.keys = 300});
    char text[17];
    for (int round = 0; round < 2; round++)
        for (uint32_t i = 0; i < 300; i++) {
            snprintf(text, sizeof text, "%.*s%u", (int)(i % 13), "a long key of", i);
            expect_equal(intern(&store->handle.table, text), i);
            expect_key(&store->handle.table, i, text);
        }
    expect_equal(table_count(&store->handle.table), 300);
    expect_sound(store);
}

CASE(any_text_of_any_length_is_a_key) {
    struct store *store = make_store((struct wish){.keys = 40});
    const char bytes[16] = {0, 1, -1, 'x', 0, 0, 'y', 127, -128, 0};
    char found[16];
    for (uint32_t length = 0; length <= 16; length++) { /* also those that are the beginning of another */
        uint32_t id = 99;
        expect_equal(table_intern(&store->handle.table, bytes, length, &id), TABLE_OK);
        expect_equal(id, length);
        expect_equal(table_text(&store->handle.table, id, found), length);
        expect(!memcmp(found, bytes, length));
    }
    expect_sound(store);
}

CASE(a_full_table_refuses_new_keys_and_keeps_the_old) {
    struct store *store = make_store((struct wish){.keys = 2});
    uint32_t id;
    expect_equal(table_find(&store->handle.table, "a", 1, &id), TABLE_MISSING);
    intern(&store->handle.table, "a");
    intern(&store->handle.table, "b");
    expect_equal(table_intern(&store->handle.table, "c", 1, &id), TABLE_FULL);
    expect_equal(table_find(&store->handle.table, "c", 1, &id), TABLE_MISSING);
    expect_equal(intern(&store->handle.table, "a"), 0);
    expect_key(&store->handle.table, 1, "b");
    expect_equal(table_text(&store->handle.table, 2, (char[16]){0}), NO_TEXT);
    expect_sound(store);
}

/* One process that interns a text; it may stop or die on the way. */
struct interning {
    struct table table;
    const char *text;
    uint32_t id;
    atomic_u32 spare_cell;
};

static struct interning *make_interning(const struct store *store, const char *text) {
    struct interning *interning = calloc(1, sizeof *interning);
    if (!interning) fail("no memory");
    interning->table = (struct table){&store->handle.geometry, store->handle.ring.memory, &interning->spare_cell};
    interning->text = text;
    return interning;
}

static void intern_once(void *argument) {
    struct interning *interning = argument;
    interning->id = intern(&interning->table, interning->text);
}

CASE(whoever_loses_the_race_for_a_key_uses_its_cell_for_the_next) {
    static const char *const points[] = {"key reserved", "key written"};
    for_each(point, points) {
        struct store *store = make_store((struct wish){.keys = 4});
        struct interning *loser = make_interning(store, "same");
        struct stalled *stalled = start(intern_once, loser, point);
        expect_equal(intern(&store->handle.table, "same"), 1);
        expect_equal(table_text(&store->handle.table, 0, (char[16]){0}), NO_TEXT); /* a cell of nobody's key yet */
        finish(stalled);
        expect_equal(loser->id, 1);
        expect_equal(table_text(&store->handle.table, 0, (char[16]){0}), NO_TEXT);
        expect_equal(intern(&store->handle.table, "third"), 2);
        expect_equal(intern(&loser->table, "other"), 0);
        expect_key(&store->handle.table, 0, "other");
        expect_key(&store->handle.table, 1, "same");
        expect_equal(table_count(&store->handle.table), 3);
        expect_sound(store);
        free_store(store);
    }
}

CASE(whoever_keeps_no_spare_cell_leaves_a_lost_one_behind) {
    struct store *store = make_store((struct wish){.keys = 4});
    struct interning *loser = make_interning(store, "same");
    loser->table.spare = NULL;
    struct stalled *stalled = start(intern_once, loser, "key written");
    expect_equal(intern(&store->handle.table, "same"), 1);
    finish(stalled);
    expect_equal(intern(&loser->table, "other"), 2);
    expect_equal(table_text(&store->handle.table, 0, (char[16]){0}), NO_TEXT);
    expect_sound(store);
}

CASE(whoever_loses_the_race_for_a_bucket_takes_the_next) {
    for (int i = 0; i < 50; i++) { /* 8 buckets: many of these meet */
        struct store *store = make_store((struct wish){.keys = 3, .processes = 1});
        char texts[3][16];
        for (int k = 0; k < 3; k++) snprintf(texts[k], sizeof texts[k], "%d.%d", i, k);
        struct stalled *one = start(intern_once, make_interning(store, texts[0]), "key written");
        struct stalled *two = start(intern_once, make_interning(store, texts[1]), "key written");
        expect_equal(intern(&store->handle.table, texts[2]), 2);
        finish(two);
        finish(one);
        for (uint32_t k = 0; k < 3; k++) expect_key(&store->handle.table, k, texts[k]);
        expect_sound(store);
        free_store(store);
    }
}

CASE(a_death_before_publishing_costs_one_cell_and_no_key) {
    static const char *const points[] = {"key reserved", "key written"};
    for_each(point, points) {
        struct store *store = make_store((struct wish){.keys = 4, .processes = 3});
        for (uint32_t death = 0; death < 3; death++) {
            expect(leaves_at(point, 0, intern_once, make_interning(store, "mine")));
            expect_equal(table_text(&store->handle.table, death, (char[16]){0}), NO_TEXT);
            expect_sound(store);
        }
        expect_equal(intern(&store->handle.table, "mine"), 3);
        expect_equal(intern(&store->handle.table, "a"), 4);
        expect_equal(intern(&store->handle.table, "b"), 5);
        expect_equal(intern(&store->handle.table, "c"), 6);
        expect_key(&store->handle.table, 3, "mine");
        expect_sound(store);
        free_store(store);
    }
}

CASE(a_death_after_publishing_leaves_a_key_like_any_other) {
    struct store *store = make_store((struct wish){.keys = 4});
    uint32_t id = 99;
    expect(leaves_at("key published", 0, intern_once, make_interning(store, "mine")));
    expect_sound(store);
    expect_equal(table_find(&store->handle.table, "mine", 4, &id), TABLE_OK);
    expect_equal(intern(&store->handle.table, "mine"), id);
    expect_key(&store->handle.table, id, "mine");
    expect_sound(store);
}

CASE(check_store_finds_a_damaged_key_table) {
    struct store *store = make_store((struct wish){.keys = 4});
    intern(&store->handle.table, "some key");
    void *first = store->handle.ring.memory + store->handle.geometry.buckets_offset;
    atomic_u64 *buckets = first, *used = buckets;
    while (!load_relaxed(used)) used++;
    uint64_t word = load_relaxed(used);
    const uint64_t damaged[] = {word ^ UINT64_C(1) << 40, word + 1, word | UINT32_MAX};
    for_each(wrong, damaged) {
        store_relaxed(used, wrong);
        expect(violations_of(store) > 0);
    }
    store_relaxed(used, word);
    expect_sound(store);
    atomic_u64 *cell = (atomic_u64 *)(void *)(store->handle.ring.memory + store->handle.geometry.cells_offset);
    store_relaxed(cell, UINT64_MAX);
    expect_equal(table_text(&store->handle.table, 0, (char[16]){0}), NO_TEXT);
    expect(violations_of(store) > 0);
}

/* ---- samples ----------------------------------------------------------------------------------------------------- */

static struct sample_values values_of(uint64_t n) {
    return (struct sample_values){n, mixed(n), n, n + 1, n + 2, n + 3, n + 4, n + 5, n + 6};
}

static void write_sample(void *argument) {
    struct store *store = argument;
    uint64_t number = history_next(&store->handle.ring);
    struct sample_values values = values_of(number);
    values.number = 0;
    history_write(&store->handle.ring, &values);
    expect_equal(values.number, number);
}

static bool has_sample(struct store *store, uint64_t number) {
    struct sample_values found;
    if (!history_read(&store->handle.ring, number, &found)) return false;
    const struct sample_values values = values_of(number);
    expect(!memcmp(&found, &values, sizeof found));
    return true;
}

CASE(the_samples_of_an_hour_are_kept) {
    struct store *store = make_store((struct wish){0});
    for (uint64_t number = 0; number < HISTORY_SAMPLES + 10; number++) {
        expect(!has_sample(store, number));
        write_sample(store);
        expect(has_sample(store, number));
    }
    expect_equal(history_next(&store->handle.ring), HISTORY_SAMPLES + 10);
    for (uint64_t number = 0; number < HISTORY_SAMPLES + 20; number++)
        expect_equal(has_sample(store, number), number >= 10 && number < HISTORY_SAMPLES + 10);
}

CASE(a_sample_that_was_never_written_is_not_there) {
    struct store *store = make_store((struct wish){0});
    const uint64_t numbers[] = {0, 1, HISTORY_SAMPLES, UINT64_MAX};
    for_each(number, numbers) expect(!has_sample(store, number));
}

CASE(a_sampler_that_dies_costs_the_oldest_sample_and_no_number) {
    for (uint64_t before = 0; before < 2; before++) {
        struct store *store = make_store((struct wish){0});
        for (uint64_t number = 0; number < before * HISTORY_SAMPLES + 5; number++) write_sample(store);
        uint64_t next = history_next(&store->handle.ring);
        for (int death = 0; death < 2; death++) {
            expect(leaves_at("sampling", 0, write_sample, store));
            expect(!has_sample(store, next));
            if (before) expect(!has_sample(store, next - HISTORY_SAMPLES));
            expect(has_sample(store, next - 1));
            expect_equal(history_next(&store->handle.ring), next);
        }
        write_sample(store);
        expect(has_sample(store, next));
        expect_sound(store);
    }
}
