/* What the files of the cursor share: its places, and what it has copied or made and not handed over yet.
 *
 * A place moves when its record is handed over. What a cursor copies ahead, to make records of it one by one, stays before
 * its place; so does what a read had made when it failed, which the next read hands over first. */
#ifndef SHMSTORE_CURSOR_H
#define SHMSTORE_CURSOR_H

#include "binding/store/guard.h"
#include "binding/store/waiter.h"
#include "binding/reading/gaps.h"

struct follow {
    uint32_t partition;
    uint64_t next;    /* its place: every ticket before was handed over, or lies in a gap */
    uint64_t end;     /* where the read in progress ends */
    atomic_u64 ahead; /* every ticket before was copied, or lies in a gap; also read by the thread of watch.h */
};

/* Consecutive tickets of a partition. */
struct stretch {
    struct follow *follow;
    uint64_t first, count;
};

typedef struct {
    PyObject_HEAD Store *store;
    uint32_t count, turn; /* whose turn it is to be read first */
    struct follow *follows;
    struct gap_list gaps;
    bool busy;  /* a read is in progress, perhaps in Python code */
    bool plain; /* it makes plain tuples */

    unsigned char *scratch; /* the copied records: held.count rows, of which `row` are made */
    uint64_t scratch_rows, row;
    unsigned char *columns[MAX_FIELDS];
    struct stretch held;

    PyObject *made; /* records of a read that failed, from `made_row` on; or NULL */
    Py_ssize_t made_row;
    struct stretch *runs; /* which tickets they are, in their order */
    size_t run_count, run_room;

    int64_t looked_ns, since_ns; /* the last look; when `came` began to be counted */
    uint64_t came;
    bool streams, caught_up;

    struct waiter waiter;
} Cursor;

extern PyType_Spec cursor_spec;

int check_cursor(Cursor *cursor); /* 0 when it and its store are open, else -1 with StoreClosed */
enum news cursor_look(const void *cursor);
bool cursor_has_pending(const Cursor *cursor);
/* Tell whoever polls the descriptor how things stand now. */
void cursor_settle(Cursor *cursor);
/* 1 for news, 0 for none in time or when the cursor was closed, -1 with an exception. */
int cursor_await(Cursor *cursor, int64_t timeout_ns);

/* ---- ahead.c ---- */
enum filled { FILLED, FILLED_NOT, FILL_DAMAGED, FILL_NO_MEMORY };

/* While records stream in, wait a moment so that a few gather. */
void cursor_let_gather(const Cursor *cursor);
/* `came` records were found by a look that did, or did not, find the end of all partitions. */
void cursor_note_look(Cursor *cursor, uint64_t came, bool caught_up);
/* A read ends at the tails of when it began, so that it does not chase writers. */
void cursor_note_ends(Cursor *cursor);
/* Copy from the next partition that has something, each in its turn; `idle` counts those that have no more. */
enum filled cursor_fill(Cursor *cursor, uint64_t most, uint32_t *idle);
/* Pass over a slot that is damaged. Returns -1 with an exception that says so. */
int cursor_pass_damaged(Cursor *cursor);

/* ---- take.c ---- */
PyObject *cursor_read(PyObject *self, PyObject *limit);
PyObject *cursor_read_plain(PyObject *self, PyObject *limit);
/* The next record; NULL with an exception, or without one when there is none now. */
PyObject *cursor_take(Cursor *cursor);
/* Copy ahead if nothing is pending. 1 when a record is pending, 0 when there is none now, -1 with an exception. */
int cursor_prepare(Cursor *cursor);

/* ---- iterate.c ---- */
PyObject *cursor_next(PyObject *self);
PyObject *cursor_following(PyObject *self, PyObject *later);

#endif
