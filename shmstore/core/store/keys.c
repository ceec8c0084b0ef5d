/* Looking up, inserting and reading keys; numbers in brackets are the sentences of keys.h. */
#include "core/store/keys.h"

#include "core/base/point.h"

#include <string.h>

#define CELL_PUBLISHED (UINT64_C(1) << 63) /* in the first word of a cell, beside its length + 1 */

static struct board *board_of(const struct table *t) {
    return (struct board *)(void *)(t->memory + t->geometry->board_offset);
}
static atomic_u64 *bucket_of(const struct table *t, uint64_t index) {
    return (atomic_u64 *)(void *)(t->memory + t->geometry->buckets_offset) + index;
}
static atomic_u64 *cell_of(const struct table *t, uint32_t id) {
    return (atomic_u64 *)(void *)(t->memory + t->geometry->cells_offset + id * t->geometry->cell_bytes);
}

/* Does the cell of a published bucket hold this text? */
static bool cell_equals(const struct table *t, uint32_t id, const char *text, size_t length) {
    const atomic_u64 *cell = cell_of(t, id);
    if ((load_relaxed(cell) & ~CELL_PUBLISHED) != length + 1) return false;
    for (size_t at = 0; at < length; at += 8) {
        uint64_t word = load_relaxed(cell + 1 + at / 8); /* cell_equals:text */
        if (memcmp(&word, text + at, length - at < 8 ? length - at : 8)) return false;
    }
    return true;
}

static void write_cell(const struct table *t, uint32_t id, const char *text, size_t length) {
    atomic_u64 *cell = cell_of(t, id);
    for (size_t at = 0; at < length; at += 8) {
        uint64_t word = 0;
        memcpy(&word, text + at, length - at < 8 ? length - at : 8);
        store_relaxed(cell + 1 + at / 8, word); /* write_cell:text */
    }
    store_relaxed(cell, length + 1);
}

/* [5] */
static void mark_published(const struct table *t, uint32_t id, size_t length) {
    if (!(load_relaxed(cell_of(t, id)) & CELL_PUBLISHED))
        store_release(cell_of(t, id), (length + 1) | CELL_PUBLISHED); /* mark_published:mark */
}

/* [1] Probe for the text; stops at it (TABLE_OK) or at the empty bucket `*at` where it would go (TABLE_MISSING). */
static enum table_status probe(const struct table *t, const char *text, size_t length, uint64_t hash, uint64_t *at,
                               uint32_t *id) {
    const uint64_t count = t->geometry->bucket_count, tag = hash >> 32;
    for (uint64_t step = 0; step < count; step++, *at = (*at + 1) & (count - 1)) {
        uint64_t word = load_acquire(bucket_of(t, *at)); /* probe:bucket */
        if (!word) return TABLE_MISSING;
        uint32_t found = (uint32_t)word - 1;
        if (word >> 32 == tag && found < t->geometry->cell_count && cell_equals(t, found, text, length)) {
            *id = found;
            return TABLE_OK;
        }
    }
    return TABLE_FULL;
}

/* [2] Reserve a cell; false when the table is full. */
static bool reserve(struct table *t, uint32_t *id) {
    struct board *board = board_of(t);
    if (load_relaxed(&board->keys_published) >= t->geometry->options.keys) return false;
    uint32_t spare = t->spare ? load_relaxed(t->spare) : 0;
    if (spare && spare <= t->geometry->cell_count && !(load_relaxed(cell_of(t, spare - 1)) & CELL_PUBLISHED)) {
        *id = spare - 1;
        return true;
    }
    uint64_t reserved = load_relaxed(&board->keys_reserved);
    do
        if (reserved >= t->geometry->cell_count) return false;
    while (!cas_acq_rel(&board->keys_reserved, &reserved, reserved + 1)); /* reserve:cell */
    *id = (uint32_t)reserved;
    if (t->spare) store_relaxed(t->spare, *id + 1);
    return true;
}

enum table_status table_find(const struct table *t, const char *text, size_t length, uint32_t *id) {
    uint64_t hash = fnv1a(text, length), at = hash & (t->geometry->bucket_count - 1);
    return probe(t, text, length, hash, &at, id);
}

enum table_status table_know(const struct table *t, const char *text, size_t length, uint32_t *id) {
    enum table_status status = table_find(t, text, length, id);
    if (status == TABLE_OK) mark_published(t, *id, length);
    return status;
}

enum table_status table_intern(struct table *t, const char *text, size_t length, uint32_t *id) {
    uint64_t hash = fnv1a(text, length), at = hash & (t->geometry->bucket_count - 1);
    enum table_status status = probe(t, text, length, hash, &at, id);
    if (status == TABLE_OK) mark_published(t, *id, length);
    if (status != TABLE_MISSING) return status;
    uint32_t mine;
    if (!reserve(t, &mine)) { /* perhaps it was this very text that took the last cell */
        status = probe(t, text, length, hash, &at, id);
        if (status == TABLE_OK) mark_published(t, *id, length);
        return status == TABLE_MISSING ? TABLE_FULL : status;
    }
    POINT("key reserved");
    write_cell(t, mine, text, length);
    POINT("key written");
    do {
        uint64_t expected = 0;
        if (cas_release(bucket_of(t, at), &expected, hash >> 32 << 32 | (mine + 1))) { /* [3] table_intern:publish */
            POINT("key published");
            mark_published(t, mine, length);
            if (t->spare) store_relaxed(t->spare, 0);
            add_relaxed(&board_of(t)->keys_published, 1);
            *id = mine;
            return TABLE_OK;
        }
        status = probe(t, text, length, hash, &at, id); /* [4] */
    } while (status == TABLE_MISSING);
    if (status == TABLE_OK) mark_published(t, *id, length);
    return status;
}

int64_t table_cell_text(const struct table *t, uint32_t id, char *text) {
    if (id >= table_count(t)) return NO_TEXT;
    const atomic_u64 *cell = cell_of(t, id);
    uint64_t length = (load_acquire(cell) & ~CELL_PUBLISHED) - 1; /* table_text:cell */
    if (length > t->geometry->key_bytes) return NO_TEXT;          /* also never written: 0 - 1 */
    for (size_t at = 0; at < length; at += 8) {
        uint64_t word = load_relaxed(cell + 1 + at / 8); /* table_text:text */
        memcpy(text + at, &word, length - at < 8 ? length - at : 8);
    }
    return (int64_t)length;
}

int64_t table_text(const struct table *t, uint32_t id, char *text) {
    return table_names(t, id) ? table_cell_text(t, id, text) : NO_TEXT;
}

bool table_names(const struct table *t, uint32_t id) {
    return id < table_count(t) && load_acquire(cell_of(t, id)) & CELL_PUBLISHED;
}

uint32_t table_count(const struct table *t) {
    uint64_t reserved = load_acquire(&board_of(t)->keys_reserved);
    return (uint32_t)(reserved < t->geometry->cell_count ? reserved : t->geometry->cell_count);
}

uint32_t table_room(const struct table *t) {
    uint64_t published = load_relaxed(&board_of(t)->keys_published), keys = t->geometry->options.keys;
    uint64_t cells = t->geometry->cell_count - table_count(t) + (t->spare && load_relaxed(t->spare));
    uint64_t room = published < keys ? keys - published : 0;
    return (uint32_t)(room < cells ? room : cells);
}
