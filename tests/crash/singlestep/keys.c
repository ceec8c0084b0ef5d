/* Interning a new text, and losing the race for one. */
#include "operation.h"

#include <stdio.h>
#include <string.h>

enum { TEXTS = 4 };
static const char *const texts[TEXTS] = {"known", "new", "next", "last"};

static uint32_t intern(struct table *table, const char *text) {
    uint32_t id = UINT32_MAX;
    return table_intern(table, text, strlen(text), &id) == TABLE_OK ? id : UINT32_MAX;
}

static void begin_with_a_key(struct world *world) {
    begin_half_full(world);
    intern(&world->table, texts[0]);
}

static void intern_new(struct world *world) {
    uint32_t id = intern(&world->mine.table, texts[1]);
    store_release(&world->report->ids[0], id);
    end_with(world, id, id == UINT32_MAX);
}

/* The cell that the first has reserved in vain serves the second, and no other. */
static void intern_three(struct world *world) {
    intern_new(world);
    for (uint32_t i = 2; i < TEXTS; i++)
        store_release(&world->report->ids[i - 1], intern(&world->mine.table, texts[i]));
}

/* Takes the text from the victim as soon as it has reserved a cell for it. */
static bool outrun_interning(struct world *world) {
    return table_count(&world->table) > 1 && intern(&world->table, texts[1]) != UINT32_MAX;
}

static void intern_the_same(struct world *world) {
    for (uint32_t i = 1; i < TEXTS; i++) intern(&world->table, texts[i]);
}

static void verify_text(const struct world *world, uint32_t id, const char *text) {
    char found[MAX_KEY_BYTES];
    int64_t length = table_text(&world->table, id, found);
    if (length != (int64_t)strlen(text) || memcmp(found, text, (size_t)length))
        violation("key id %u does not read '%s'", id, text);
}

/* Every text has one id, and as many fit as were promised. */
static void verify_keys(struct world *world, bool ended) {
    uint32_t ids[KEYS + PLACES + 1], count = 0;
    for (; count < KEYS + PLACES; count++) {
        char text[16];
        snprintf(text, sizeof text, count < TEXTS ? texts[count] : "more %u", count);
        ids[count] = intern(&world->table, text);
        if (ids[count] == UINT32_MAX) break;
        verify_text(world, ids[count], text);
        for (uint32_t i = 0; i < count; i++)
            if (ids[i] == ids[count]) violation("two texts have the key id %u", ids[i]);
    }
    if (count < KEYS || count > KEYS + 1) /* who dies before it counts a key leaves room for one more */
        violation("the table holds %u keys, not %d", count, KEYS);
    for (uint32_t i = 0; ended && i < TEXTS - 1; i++) {
        uint32_t id = load_acquire(&world->report->ids[i]);
        if (id && id != ids[i + 1])
            violation("'%s' has the id %u, and the victim got %u", texts[i + 1], ids[i + 1], id);
    }
}

const struct operation key_operations[] = {
    {.name = "intern",
     .prepare = begin_with_a_key,
     .ready = be_attached,
     .run = intern_new,
     .meanwhile = intern_the_same,
     .verify = verify_keys},
    {.name = "intern-outrun",
     .prepare = begin_with_a_key,
     .ready = be_attached,
     .run = intern_three,
     .meddle = outrun_interning,
     .meanwhile = intern_the_same,
     .verify = verify_keys},
    {.name = NULL},
};
