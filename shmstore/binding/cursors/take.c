/* Handing records over: what is copied ahead is made into Python objects, and only then passed. */
#include "binding/cursors/cursor.h"
#include "binding/values/decode.h"

#include <string.h>

enum { AHEAD_ROWS = 256 }; /* copied at once for single steps: no partition is kept waiting for longer */

/* ---- making ------------------------------------------------------------------------------------------------------- */

static PyObject *make_next(void *context) {
    const Cursor *cursor = context;
    return decode_row(cursor->store, cursor->columns, cursor->row, cursor->plain);
}

/* Make the next held row into a record. */
static enum made make_record(Cursor *cursor, bool plain, PyObject **record) {
    cursor->plain = plain;
    *record = make_next(cursor);
    return *record ? MADE : make_again(make_next, cursor);
}

/* The place of a partition that has no pending ticket, or whose next ticket is the next row. */
static void move_place(struct follow *follow, const Cursor *cursor) {
    const bool holds = cursor->held.follow == follow && cursor->row < cursor->held.count;
    follow->next = holds ? cursor->held.first + cursor->row : load_relaxed(&follow->ahead);
}

/* The next row cannot be made: its ticket is a gap, unless there is no memory to say so. The exception stays set. */
static void pass_refused(Cursor *cursor) {
    const struct stretch *held = &cursor->held;
    const uint64_t ticket = held->first + cursor->row;
    const bool damaged = PyErr_ExceptionMatches(cursor->store->state->errors[ERROR_DAMAGED_SEGMENT]);
    if (!gap_list_report(&cursor->gaps, held->follow->partition, ticket, ticket + 1,
                         damaged ? GAP_DAMAGED : GAP_REFUSED))
        return;
    cursor->row++;
    move_place(held->follow, cursor);
}

/* ---- what a failed read had made ---------------------------------------------------------------------------------- */

/* The first `count` records that were made before are handed over. */
static void hand_over(Cursor *cursor, uint64_t count) {
    size_t done = 0;
    while (count && done < cursor->run_count) {
        struct stretch *run = &cursor->runs[done];
        const uint64_t part = count < run->count ? count : run->count;
        run->first += part;
        run->count -= part;
        run->follow->next = run->first;
        count -= part;
        if (!run->count) done++;
    }
    memmove(cursor->runs, cursor->runs + done, (cursor->run_count - done) * sizeof *cursor->runs);
    cursor->run_count -= done;
}

/* Everything but the held rows has been handed over. */
static void hand_over_all(Cursor *cursor) {
    cursor->run_count = 0;
    for (uint32_t i = 0; i < cursor->count; i++) move_place(&cursor->follows[i], cursor);
}

static int make_room_for_run(Cursor *cursor) {
    if (cursor->run_count < cursor->run_room) return 0;
    const size_t room = cursor->run_room ? 2 * cursor->run_room : 8;
    struct stretch *runs = PyMem_Realloc(cursor->runs, room * sizeof *runs);
    if (!runs) {
        PyErr_NoMemory();
        return -1;
    }
    cursor->runs = runs;
    cursor->run_room = room;
    return 0;
}

/* A list of the records that a failed read had made, at most `limit`. If it is all of them, their tickets stay in
 * `runs`. */
static PyObject *take_made(Cursor *cursor, Py_ssize_t limit) {
    if (!cursor->made) return PyList_New(0);
    const Py_ssize_t last = PyList_Size(cursor->made),
                     end = last - cursor->made_row > limit ? cursor->made_row + limit : last;
    PyObject *records = PyList_GetSlice(cursor->made, cursor->made_row, end);
    if (!records) return NULL;
    if (end == last) {
        cursor->made_row = 0;
        Py_CLEAR(cursor->made);
    } else {
        hand_over(cursor, (uint64_t)(end - cursor->made_row));
        cursor->made_row = end;
    }
    return records;
}

/* ---- read --------------------------------------------------------------------------------------------------------- */

/* Make held rows into records, up to `*left`. -1 with an exception. */
static int make_held(Cursor *cursor, bool plain, PyObject *records, uint64_t *left, bool *refused) {
    if (make_room_for_run(cursor)) return -1;
    const uint64_t first = cursor->row;
    enum made made = MADE;
    while (*left && cursor->row < cursor->held.count && made == MADE) {
        PyObject *record;
        made = make_record(cursor, plain, &record);
        if (made != MADE) break;
        if (PyList_Append(records, record)) made = MADE_NOT;
        Py_DECREF(record);
        if (made == MADE) {
            cursor->row++;
            --*left;
        }
    }
    if (cursor->row > first)
        cursor->runs[cursor->run_count++] =
            (struct stretch){cursor->held.follow, cursor->held.first + first, cursor->row - first};
    if (made == MADE) return 0;
    if (made == REFUSED) {
        *refused = true;
        if (PyList_Size(records)) { /* these first: it will be refused again */
            PyErr_Clear();
            return 0;
        }
        pass_refused(cursor);
    }
    return -1;
}

/* Add up to `left` records. -1 with an exception; what was made until then is in the list. */
static int read_into(Cursor *cursor, PyObject *records, uint64_t left, bool plain) {
    Store *store = cursor->store;
    uint32_t idle = 0;
    const uint64_t wanted = left;
    cursor_let_gather(cursor);
    cursor_note_ends(cursor);
    while (left && !store->closed) {
        bool refused = false;
        if (cursor->row < cursor->held.count) {
            if (make_held(cursor, plain, records, &left, &refused)) return -1;
            if (refused) return 0;
            continue;
        }
        switch (cursor_fill(cursor, left, &idle)) {
        case FILLED: break;
        case FILLED_NOT: cursor_note_look(cursor, wanted - left, true); return 0;
        case FILL_DAMAGED: return PyList_Size(records) ? 0 : cursor_pass_damaged(cursor);
        case FILL_NO_MEMORY: PyErr_NoMemory(); return -1;
        }
        if (store->handle.geometry.key_field >= 0 &&
            load_acquire(&store->keys_read) < table_count(&store->handle.table) && load_keys(store))
            return -1;
    }
    cursor_note_look(cursor, wanted - left, false);
    return 0;
}

static int check_idle(const Cursor *cursor) {
    if (!cursor->busy) return 0;
    raise_error(cursor->store->state, ERROR_INVALID_OPTION,
                "this cursor is in the middle of a read, of another thread or of the record class that now reads from "
                "it; take a cursor for each with store.cursor(start=cursor.positions)");
    return -1;
}

static int begin(Cursor *cursor) {
    if (check_cursor(cursor) || check_idle(cursor)) return -1;
    cursor->busy = true;
    return 0;
}

static void end(Cursor *cursor) {
    cursor->busy = false;
    if (!cursor->store->closed) cursor_settle(cursor);
}

static PyObject *read_records(Cursor *cursor, Py_ssize_t limit, bool plain) {
    if (limit < 0) limit = 0;
    if (begin(cursor)) return NULL;
    PyObject *records = take_made(cursor, limit);
    if (!records) {
        end(cursor);
        return NULL;
    }
    int failed = read_into(cursor, records, (uint64_t)(limit - PyList_Size(records)), plain);
    bool gone = false, resumed = false;
    if (!PyList_Size(records) && !cursor->made) {
        hand_over_all(cursor); /* gaps are passed */
    } else if (!cursor->made) {
        /* A signal's handler runs before they are handed over: if it raises, or if the read failed, they wait for the
         * next. */
        cursor->made = Py_NewRef(records);
        cursor->busy = false;
        failed = failed || PyErr_CheckSignals();
        resumed = cursor->busy; /* another thread has begun to read meanwhile, and goes on */
        gone = cursor->made != records || cursor->made_row || resumed; /* the handler, or a thread, has read */
        if (!failed && !gone) {
            Py_CLEAR(cursor->made);
            hand_over_all(cursor);
        }
    }
    if (!resumed) end(cursor);
    if (!failed && !gone) return records;
    Py_DECREF(records);
    return failed ? NULL : PyList_New(0);
}

static PyObject *read_up_to(PyObject *self, PyObject *limit, bool plain) {
    const Py_ssize_t most = PyNumber_AsSsize_t(limit, PyExc_OverflowError);
    if (most == -1 && PyErr_Occurred()) return NULL;
    PyObject *records;
    BEGIN_EXCLUSIVE(self);
    records = read_records((Cursor *)self, most, plain);
    END_EXCLUSIVE();
    return records;
}

PyObject *cursor_read(PyObject *self, PyObject *limit) { return read_up_to(self, limit, false); }

PyObject *cursor_read_plain(PyObject *self, PyObject *limit) { return read_up_to(self, limit, true); }

/* ---- one by one --------------------------------------------------------------------------------------------------- */

/* What was copied ahead and cleared since is not handed over. */
static int pass_cleared(Cursor *cursor) {
    const struct stretch *held = &cursor->held;
    const uint64_t first = held->first + cursor->row, last = held->first + held->count,
                   floor = load_acquire(&ring_partition(&cursor->store->handle.ring, held->follow->partition)->floor);
    if (__builtin_expect(floor <= first, 1)) return 0;
    const uint64_t stop = floor < last ? floor : last;
    if (!gap_list_report(&cursor->gaps, held->follow->partition, first, stop, GAP_CLEARED)) {
        PyErr_NoMemory();
        return -1;
    }
    cursor->row += stop - first;
    move_place(held->follow, cursor);
    return 0;
}

int cursor_prepare(Cursor *cursor) {
    if (check_idle(cursor)) return -1;
    if (cursor->made) return 1;
    if (cursor->row < cursor->held.count && pass_cleared(cursor)) return -1;
    if (cursor->row < cursor->held.count) return 1;
    /* A caller in C that takes records one by one never returns to the interpreter, so signals and other threads get
     * their turn here. */
    if (PyErr_CheckSignals()) return -1;
    Py_BEGIN_ALLOW_THREADS;
    Py_END_ALLOW_THREADS;
    if (begin(cursor)) return -1;
    if (cursor_has_pending(cursor)) { /* they have read from this cursor, and left some */
        end(cursor);
        return 1;
    }
    uint32_t idle = 0;
    cursor_let_gather(cursor);
    cursor_note_ends(cursor);
    const enum filled filled = cursor_fill(cursor, AHEAD_ROWS, &idle);
    Store *store = cursor->store;
    int result = filled == FILLED;
    cursor_note_look(cursor, result ? cursor->held.count : 0,
                     !result || load_relaxed(&cursor->held.follow->ahead) >= cursor->held.follow->end);
    if (filled == FILL_DAMAGED) result = cursor_pass_damaged(cursor);
    if (filled == FILL_NO_MEMORY) {
        PyErr_NoMemory();
        result = -1;
    }
    if (filled == FILLED && store->handle.geometry.key_field >= 0 &&
        load_acquire(&store->keys_read) < table_count(&store->handle.table) && load_keys(store))
        result = -1;
    hand_over_all(cursor); /* gaps are passed */
    end(cursor);
    return result;
}

static PyObject *take_one_made(Cursor *cursor) {
    PyObject *made = cursor->made, *record = Py_NewRef(PyList_GetItem(made, cursor->made_row++));
    hand_over(cursor, 1);
    if (cursor->made_row < PyList_Size(made)) return record;
    cursor->made = NULL;
    cursor->made_row = 0;
    hand_over_all(cursor);
    if (cursor->row == cursor->held.count) cursor_settle(cursor);
    Py_DECREF(made); /* last, because freeing records may run other code */
    return record;
}

PyObject *cursor_take(Cursor *cursor) {
    if (check_cursor(cursor)) return NULL;
    const int ready = cursor_prepare(cursor);
    if (ready <= 0) return NULL;
    if (cursor->made) return take_one_made(cursor);
    if (check_idle(cursor)) return NULL;
    cursor->busy = true;
    PyObject *record = NULL;
    const enum made made = make_record(cursor, false, &record);
    if (made == REFUSED) pass_refused(cursor);
    if (made == MADE) {
        cursor->row++;
        move_place(cursor->held.follow, cursor);
    }
    cursor->busy = false;
    if (cursor->row == cursor->held.count && !cursor->store->closed) cursor_settle(cursor);
    return record;
}
