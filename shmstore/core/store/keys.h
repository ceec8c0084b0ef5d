/* The key table: a lock-free, insert-only map from text to a small id and back.
 *
 * Open addressing. A bucket is one 64-bit word, `high hash bits | id + 1`, 0 when empty; a cell holds the text of one id.
 * 1. Look the text up: probe from its hash until an empty bucket.
 * 2. Reserve a cell: its number is the new id.
 * 3. Write length and bytes into the cell, then publish it by one CAS of the empty bucket (release). There is no half
 *    state: before the CAS nobody can find the cell, after it the cell never changes.
 * 4. The CAS lost to the same text: use that id, and keep the cell for the next new text of this process. Lost to another
 *    text: probe on.
 * 5. Mark the cell CELL_PUBLISHED, for whoever comes from the id to the text: an unmarked cell may be a spare that changes.
 *    Whoever finds a text in an unmarked cell marks it (its publisher may be dead), so an id that anyone has returned is
 *    marked.
 * Pairs: table_intern:publish with probe:bucket (the text of a published cell: write_cell:text, cell_equals:text);
 * mark_published:mark with table_text:cell (the same, from the id: table_text:text).
 * A process that dies between 2 and 3 loses one cell; the table has one spare for each place of the process table. One that
 * leaves its place leaves its spare there, for the next that enters it. */
#ifndef SHMSTORE_TABLE_H
#define SHMSTORE_TABLE_H

#include "core/base/layout.h"

struct table {
    const struct geometry *geometry;
    unsigned char *memory;
    atomic_u32
        *spare; /* a reserved, unpublished cell of this process alone, plus one, or 0; NULL: it never keeps one */
};

enum table_status { TABLE_OK, TABLE_MISSING, TABLE_FULL };

enum table_status table_find(const struct table *table, const char *text, size_t length, uint32_t *id);

/* The same for a caller that will pass the id on: marks what it finds [5]. */
enum table_status table_know(const struct table *table, const char *text, size_t length, uint32_t *id);

/* Find or insert. `length` is at most geometry->key_bytes. Calls of one process must not overlap. A forked child has a
 * `spare` that is not its parent's. */
enum table_status table_intern(struct table *table, const char *text, size_t length, uint32_t *id);

enum { NO_TEXT = -1 /* instead of a length */ };

/* Copy the text of an id into `text` (room for geometry->key_bytes). Returns its length, or NO_TEXT when no such key is readable. */
int64_t table_text(const struct table *table, uint32_t id, char *text);

/* The same for a cell that a published bucket names, marked or not. */
int64_t table_cell_text(const struct table *table, uint32_t id, char *text);

/* How many new keys there is room for (best-effort). */
uint32_t table_room(const struct table *table);

/* Does a key have this id? True of every id that anyone has returned. */
bool table_names(const struct table *table, uint32_t id);

/* How many ids have been handed out: every key's id is below. */
uint32_t table_count(const struct table *table);

#endif
