/* Exemplars: what one observation was about, beside the cell that it was added to. Best-effort by their nature: the newest of
 * a cell replaces the older, and one that would have to wait for another is dropped.
 *
 * Each cell has one slot, by a hash of series and cell; cells that share a slot replace each other's. Its word is
 *
 *   number of writes (32 bits) | owner, while it is written (21 bits) | state (2 bits)
 *
 *  1. Write: CAS the word to the next number, MARKED, with the owner. If it is marked already, it is left alone, unless its
 *     owner is dead: then it is taken over. Only the winner writes the fields, and then makes the word WRITTEN. What the dead
 *     had marked is GIVEN_UP when they are swept.
 *  2. Read: the word, WRITTEN; the fields; the word again: equal.
 *  3. An exemplar bears the generation of its series: of one that was removed none is shown.
 *
 * Pairs: exemplar_put:published with exemplar_get:before (the fields); exemplar_put:fence with exemplar_get:after (through the
 * fields: whoever read a newer one finds that the word has changed). */
#ifndef SHMSTORE_EXEMPLARS_H
#define SHMSTORE_EXEMPLARS_H

#include "core/metrics/nodes.h"

/* `text` are its labels as the caller writes them: up to EXEMPLAR_TEXT_BYTES. */
struct exemplar_values {
    double value;
    int64_t time_ns;
    uint32_t length;
    char text[EXEMPLAR_TEXT_BYTES];
};

/* Leave an exemplar with a cell of a series. False: it was dropped, or the segment has no room for any. */
bool exemplar_put(const struct nodes *nodes, uint32_t owner, struct node_at at, uint32_t cell,
                  const struct exemplar_values *values);

/* The newest of a cell; false: there is none. */
bool exemplar_get(const struct nodes *nodes, struct node_at at, uint32_t cell, struct exemplar_values *values);

/* How many are kept (best-effort). */
uint32_t exemplars_count(const struct nodes *nodes);

/* Take away the marks of an owner that is gone. */
void exemplars_sweep(const struct nodes *nodes, uint32_t owner);

#endif
