/* Cursor: its places in the followed partitions, and waiting for more. */
#include "binding/cursors/cursor.h"
#include "binding/reading/read.h"

#include <stdlib.h>
#include <string.h>

enum { SCRATCH_BYTES = 128 << 10 /* copied at once: small enough to stay in cache until records are made of it */ };

/* ---- making ------------------------------------------------------------------------------------------------------- */

static int fill_cursor(Cursor *cursor, PyObject *tickets) {
    uint32_t partitions = cursor->store->handle.geometry.options.partitions;
    Py_ssize_t count = PyList_Size(tickets);
    cursor->follows = calloc((size_t)count + 1, sizeof *cursor->follows);
    if (!cursor->follows) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        unsigned int partition;
        unsigned long long ticket;
        PyObject *pair = PySequence_Tuple(PyList_GetItem(tickets, i));
        int parsed =
            pair && PyArg_ParseTuple(pair, "IK;a cursor follows (partition, ticket) pairs", &partition, &ticket);
        Py_XDECREF(pair);
        if (!parsed) return -1;
        if (partition >= partitions) {
            raise_error(cursor->store->state, ERROR_INVALID_OPTION,
                        "partition %u does not exist; this store has partitions 0 to %u", partition, partitions - 1);
            return -1;
        }
        uint64_t tail = load_acquire(&ring_partition(&cursor->store->handle.ring, partition)->tail);
        if (ticket > tail) {
            raise_error(cursor->store->state, ERROR_INVALID_OPTION,
                        "ticket %llu of partition %u was not handed out yet; the next one is %llu", ticket, partition,
                        (unsigned long long)tail);
            return -1;
        }
        cursor->follows[i] = (struct follow){.partition = partition, .next = ticket};
        store_relaxed(&cursor->follows[i].ahead, ticket);
    }
    cursor->count = (uint32_t)count;
    uint64_t rows = SCRATCH_BYTES / cursor->store->handle.geometry.record_bytes;
    cursor->scratch_rows = rows < 1 ? 1 : rows;
    cursor->scratch =
        malloc(cursor->scratch_rows * cursor->store->handle.geometry.record_bytes + CACHE_LINE * MAX_FIELDS);
    if (!cursor->scratch) {
        PyErr_NoMemory();
        return -1;
    }
    unsigned char *at = cursor->scratch;
    for (uint32_t i = 0; i < cursor->store->handle.geometry.options.field_count; i++) {
        cursor->columns[i] = at;
        at += (cursor->scratch_rows * cursor->store->handle.geometry.fields[i].bytes + 7) / 8 * 8;
    }
    return 0;
}

static bool has_pending(const void *cursor) { return cursor_has_pending(cursor); }

PyObject *Store_cursor(PyObject *self, PyObject *tickets) {
    Store *store = (Store *)self;
    if (check_open(store)) return NULL;
    PyObject *list = PySequence_List(tickets);
    if (!list) return NULL;
    Cursor *cursor = (Cursor *)PyType_GenericAlloc(store->state->types[TYPE_CURSOR], 0);
    if (cursor) {
        cursor->store = (Store *)Py_NewRef(self);
        waiter_open(&cursor->waiter, store, cursor, cursor_look, has_pending);
        if (check_open(store) || fill_cursor(cursor, list)) Py_CLEAR(cursor);
    }
    Py_DECREF(list);
    return (PyObject *)cursor;
}

static void cursor_dealloc(PyObject *self) {
    Cursor *cursor = (Cursor *)self;
    PyObject_GC_UnTrack(self);
    waiter_drop(&cursor->waiter);
    Py_XDECREF(cursor->made);
    PyMem_Free(cursor->runs);
    free(cursor->follows);
    free(cursor->gaps.gaps);
    free(cursor->scratch);
    Py_XDECREF((PyObject *)cursor->store);
    free_object(self);
}

static int cursor_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT((PyObject *)((Cursor *)self)->store);
    Py_VISIT(((Cursor *)self)->made);
    return 0;
}

static int cursor_clear(PyObject *self) {
    Cursor *cursor = (Cursor *)self;
    cursor->made_row = 0;
    Py_CLEAR(cursor->made);
    return 0;
}

int check_cursor(Cursor *cursor) {
    if (load_relaxed(&cursor->waiter.closed)) {
        raise_error(cursor->store->state, ERROR_STORE_CLOSED,
                    "this cursor is closed; take a new one with store.cursor(start=cursor.positions)");
        return -1;
    }
    return check_open(cursor->store);
}

/* ---- places and gaps ----------------------------------------------------------------------------------------------- */

/* Leave the list empty. What was in it is the caller's, to be freed or put back. */
static struct gap_list take_gaps(struct gap_list *list) {
    const struct gap_list taken = *list;
    *list = (struct gap_list){.lost = taken.lost, .lapped = taken.lapped};
    return taken;
}

/* Put gaps back in front of those met since. When memory is too short to list all, the later ones are only counted. */
static void put_gaps_back(struct gap_list *list, struct gap_list taken) {
    const struct gap_list later = *list;
    *list = taken;
    for (size_t i = 0; i < later.count; i++) {
        const struct gap *gap = &later.gaps[i];
        gap_list_report(list, gap->partition, gap->first, gap->end, gap->reason);
    }
    list->lost = later.lost;
    list->lapped = later.lapped;
    free(later.gaps);
}

/* Making objects runs other code, which may read from this cursor and ask for its gaps. */
static PyObject *cursor_drain_gaps(PyObject *self, PyObject *unused) {
    (void)unused;
    Cursor *cursor = (Cursor *)self;
    struct gap_list taken;
    BEGIN_EXCLUSIVE(self);
    taken = take_gaps(&cursor->gaps);
    END_EXCLUSIVE();
    PyObject *gaps = gap_list_objects(cursor->store->state, &taken);
    if (gaps) {
        free(taken.gaps);
        return gaps;
    }
    BEGIN_EXCLUSIVE(self);
    put_gaps_back(&cursor->gaps, taken);
    END_EXCLUSIVE();
    return NULL;
}

static PyObject *cursor_positions(PyObject *self, PyObject *unused) {
    (void)unused;
    Cursor *cursor = (Cursor *)self;
    PyObject *list = PyList_New((Py_ssize_t)cursor->count);
    for (uint32_t i = 0; list && i < cursor->count; i++) {
        PyObject *pair =
            Py_BuildValue("(IK)", cursor->follows[i].partition, (unsigned long long)cursor->follows[i].next);
        if (!pair) Py_CLEAR(list);
        else PyList_SetItem(list, (Py_ssize_t)i, pair);
    }
    return list;
}

static PyObject *cursor_lag(PyObject *self, PyObject *unused) {
    (void)unused;
    Cursor *cursor = (Cursor *)self;
    if (check_open(cursor->store)) return NULL;
    uint64_t lag = 0;
    for (uint32_t i = 0; i < cursor->count; i++)
        lag += load_acquire(&ring_partition(&cursor->store->handle.ring, cursor->follows[i].partition)->tail) -
               cursor->follows[i].next;
    return PyLong_FromUnsignedLongLong(lag);
}

static PyObject *cursor_lost(PyObject *self, PyObject *unused) {
    (void)unused;
    return PyLong_FromUnsignedLongLong(((Cursor *)self)->gaps.lost);
}

/* ---- waiting ------------------------------------------------------------------------------------------------------ */

bool cursor_has_pending(const Cursor *cursor) { return cursor->made || cursor->row < cursor->held.count; }

enum news cursor_look(const void *context) {
    const Cursor *cursor = context;
    const struct ring *ring = &cursor->store->handle.ring;
    enum news news = NEWS_NONE;
    for (uint32_t i = 0; i < cursor->count; i++) {
        const uint32_t partition = cursor->follows[i].partition;
        const uint64_t tail = load_acquire(&ring_partition(ring, partition)->tail),
                       ahead = load_relaxed(&cursor->follows[i].ahead);
        if (ahead >= tail) continue;
        if (ahead < ring_oldest(ring, partition, tail)) return NEWS_SOME;
        struct where at = ring_where(ring->geometry, ahead);
        uint64_t word = load_acquire(ring_word(ring, partition, at.slot));
        if (word_lap(word) != at.lap || word_state(word) != WRITING ||
            ring->liveness.is_dead(ring->liveness.context, word_owner(word)))
            return NEWS_SOME;
        news = NEWS_HELD;
    }
    return news;
}

int cursor_await(Cursor *cursor, int64_t timeout_ns) { return waiter_await(&cursor->waiter, timeout_ns); }

void cursor_settle(Cursor *cursor) { waiter_settle(&cursor->waiter); }

static PyObject *cursor_wait(PyObject *self, PyObject *argument) {
    double seconds = PyFloat_AsDouble(argument);
    if ((seconds == -1.0 && PyErr_Occurred()) || check_cursor((Cursor *)self)) return NULL;
    int result = cursor_await((Cursor *)self, waiter_timeout_ns(seconds));
    return result < 0 ? NULL : PyBool_FromLong(result);
}

static PyObject *cursor_fileno(PyObject *self, PyObject *unused) {
    (void)unused;
    return check_cursor((Cursor *)self) ? NULL : waiter_fileno(&((Cursor *)self)->waiter);
}

static PyObject *cursor_close(PyObject *self, PyObject *unused) {
    (void)unused;
    waiter_close(&((Cursor *)self)->waiter);
    Py_RETURN_NONE;
}

static PyObject *cursor_get_closed(PyObject *self, void *unused) {
    (void)unused;
    return PyBool_FromLong(load_relaxed(&((Cursor *)self)->waiter.closed) != 0);
}

#define CURSOR_METHODS(METHOD)                                                                                         \
    METHOD("read", cursor_read, O, "read($self, n)\n--\n\nUp to `n` records; never blocks.")                           \
    METHOD("read_plain", cursor_read_plain, O, "read_plain($self, n)\n--\n\nThe same as plain tuples.")                \
    METHOD("following", cursor_following, O,                                                                           \
           "following($self, later)\n--\n\nAn async iterator; `later()` is awaited when there is no record now.")      \
    METHOD("drain_gaps", cursor_drain_gaps, NOARGS,                                                                    \
           "drain_gaps($self)\n--\n\nGaps met since the last call, oldest first.")                                     \
    METHOD("positions", cursor_positions, NOARGS,                                                                      \
           "positions($self)\n--\n\n(partition, next ticket) of each followed partition.")                             \
    METHOD("lag", cursor_lag, NOARGS, "lag($self)\n--\n\nTickets handed out but not yet read (best-effort).")          \
    METHOD("lost", cursor_lost, NOARGS, "lost($self)\n--\n\nTickets in all gaps so far.")                              \
    METHOD(                                                                                                            \
        "wait", cursor_wait, O,                                                                                        \
        "wait($self, timeout_s)\n--\n\nTrue when `read` would return something; False after the timeout or `close`.")  \
    METHOD("fileno", cursor_fileno, NOARGS,                                                                            \
           "fileno($self)\n--\n\nA descriptor that is readable while `read` would return something or raise.")         \
    METHOD("close", cursor_close, NOARGS, "close($self)\n--\n\nEnd every use of it, in whatever thread. Idempotent.")
#define CURSOR_PROPERTIES(PROPERTY) PROPERTY("closed", cursor_get_closed, "Was `close` called?")

#define STORE_OF(self) (((Cursor *)(self))->store)
CURSOR_METHODS(GUARD_METHOD)
CURSOR_PROPERTIES(GUARD_PROPERTY)
GUARD(cursor_next, SLOT)

static PyMethodDef cursor_methods[] = METHOD_TABLE(CURSOR_METHODS);
static PyGetSetDef cursor_properties[] = PROPERTY_TABLE(CURSOR_PROPERTIES);

PyType_Spec cursor_spec = {
    .name = "shmstore._core.Cursor",
    .basicsize = sizeof(Cursor),
    .flags = RESULT_FLAGS_GC,
    .slots = (PyType_Slot[]){{Py_tp_dealloc, cursor_dealloc},
                             {Py_tp_traverse, cursor_traverse},
                             {Py_tp_clear, cursor_clear},
                             {Py_tp_iter, PyObject_SelfIter},
                             {Py_tp_iternext, guarded_cursor_next},
                             {Py_tp_getset, cursor_properties},
                             {Py_tp_methods, cursor_methods},
                             {Py_tp_doc, "The next ticket of each followed partition. Made by Store.cursor."},
                             {0, NULL}},
};
