/* The series of the metrics world, and what the others and the victim do to them. */
#ifndef SHMSTORE_TESTS_SERIES_H
#define SHMSTORE_TESTS_SERIES_H

#include "operation.h"

enum { ONE_PART = 13, TWO_PARTS = 25 /* cells that it takes besides a node */ };

/* Of a user: a series and its cells. */
struct found {
    struct node_at at;
    struct cell_at cell, dead; /* the first two; of a histogram the second and third */
};

/* Find, or insert, the series that an update is about; of the user's own place where each process has one. */
struct found have_series(const struct handle *who, enum update update);
/* One update by the victim, with this number, or by the others. */
bool make_update(const struct handle *who, const struct found *found, enum update update, uint64_t number);
/* What numbers the others and the victim give. */
uint64_t number_of_others(uint64_t count);
uint64_t number_of_victim(uint64_t count);

/* The series with parts, of as many cells as the account says: inserted, found; its last cell raised if it is there. */
bool insert_long(const struct world *world, const struct handle *who, struct node_at *at, bool *inserted);
bool find_long(const struct handle *who, struct node_at *at);
void raise_long(struct world *world, const struct handle *who);

/* Some more series, which stay until they are removed. */
void insert_more(struct world *world);
void remove_more(struct world *world);
/* Insert until the table is full, remove all that again; returns how many there were. */
uint32_t fill_table(struct world *world);
/* Nothing is claimed any more: whatever is not of a live series is room for another. */
void check_room(struct world *world);

#endif
