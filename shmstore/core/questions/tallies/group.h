/* Groups: records that agree in a field, and lie in the same pane of time, are tallied together in a cell.
 *
 * A pane is the time from one multiple of a length since the Unix epoch to the next; or, where panes differ in length, as
 * days of a time zone do, the time from one edge to the next. Windows that overlap are put together from panes of one length
 * when all is tallied (Li et al., "No pane, no gain", SIGMOD Record 34(1), 2005). Cells are numbered as they are met. The memory
 * of groups grows with their number, and with nothing else. */
#ifndef SHMSTORE_GROUP_H
#define SHMSTORE_GROUP_H

#include "core/questions/tallies/tally.h"

struct panes {
    int64_t length_ns; /* 0: no panes, unless there are edges */
    const int64_t
        *edges; /* ascending: pane i begins at edges[i], the last one never ends, what lies before them is pane -1 */
    uint32_t edge_count; /* 0: panes are of one length */
};

static inline bool panes_given(const struct panes *panes) { return panes->length_ns || panes->edge_count; }

struct cell {
    int64_t pane;   /* its number; 0 without panes */
    uint64_t value; /* of the field: a number's lane, or where its text begins in `texts` */
    uint64_t count; /* records */
};

enum { RECENT_CELLS = 256 };

struct groups {
    const struct geometry *geometry;
    int field;          /* NO_FIELD: groups by time alone */
    struct panes panes; /* the edges are the caller's */
    struct tallies asked;
    bool dense; /* cells are numbered as the ids of a Key are, whether or not they are met */

    struct cell *cells;
    struct tally *tallies; /* asked.count for each cell */
    uint32_t cell_count, cell_room;
    uint32_t *buckets; /* open addressing: number of a cell + 1; 0: empty */
    uint32_t bucket_count;
    unsigned char *texts;
    uint64_t text_bytes, text_room;
    struct {
        int64_t pane;
        uint64_t value;
        uint32_t cell;      /* + 1 */
    } recent[RECENT_CELLS]; /* cells of numbers met lately */
};

/* `keys`: how many ids there are, when the field is a Key. False: no memory. */
bool groups_begin(struct groups *groups, const struct geometry *geometry, int field, uint32_t keys, struct panes panes,
                  const struct tallies *asked);
void groups_end(struct groups *groups);

/* There are more keys now; no record of them has been added yet. False: no memory. */
bool groups_add_keys(struct groups *groups, uint32_t keys);

enum groups_status { GROUPS_OK, GROUPS_NO_MEMORY, GROUPS_DAMAGED /* the id of a Key that nobody has */ };

/* The records of a batch that match, next to one another, and their cells. */
struct placed {
    uint32_t count;
    const uint32_t *cells;
    bool all; /* every record of the batch matches; else they are these rows of it */
    uint32_t rows[BATCH_ROWS], numbers[BATCH_ROWS];
};
static inline uint32_t placed_row(const struct placed *placed, uint32_t n) { return placed->all ? n : placed->rows[n]; }

enum groups_status groups_place(struct groups *groups, const struct batch *batch, const struct found *found,
                                struct placed *placed);

/* Tally what was found in a batch. */
enum groups_status groups_add(struct groups *groups, const struct batch *batch, const struct found *found);

/* Tally a block whose records are all of one cell. *taken: they are, and the facts could answer. */
enum groups_status groups_add_block(struct groups *groups, const struct block *block, bool *taken);

/* Put windows together from panes, those of the cells [first_cell, end_cell) of `from`: window w is [w * every_ns, w *
 * every_ns + period_ns); both are multiples of the length of from's panes. The panes of `windows`, of every_ns, are windows.
 * False: no memory. */
bool groups_windows(struct groups *windows, const struct groups *from, uint32_t first_cell, uint32_t end_cell,
                    int64_t every_ns, int64_t period_ns);

#endif
