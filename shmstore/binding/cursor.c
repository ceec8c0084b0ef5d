/* Cursor: the next ticket of each followed partition, reading from there, and waiting for more. */
#include "guard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    SCRATCH_BYTES = 128 << 10, /* read at once: small enough to stay in cache until it is decoded */
    POLL_NS = 2000000          /* a store attached for reading cannot announce a waiter: it looks every 2 ms */
};

struct follow {
    uint32_t partition;
    uint64_t next;
};

typedef struct {
    PyObject_HEAD Store *store;
    uint32_t count, turn; /* whose turn it is to be read first */
    struct follow *follows;
    struct gap_list gaps;
    unsigned char *scratch;
    uint64_t scratch_rows;
    atomic_u32 interrupted;
} Cursor;

/* ---- making ------------------------------------------------------------------------------------------------------- */

static int fill_cursor(Cursor *cursor, PyObject *tickets) {
    uint32_t partitions = cursor->store->geometry.options.partitions;
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
        uint64_t tail = load_acquire(&ring_partition(&cursor->store->ring, partition)->tail);
        if (ticket > tail) {
            raise_error(cursor->store->state, ERROR_INVALID_OPTION,
                        "ticket %llu of partition %u was not handed out yet; the next one is %llu", ticket, partition,
                        (unsigned long long)tail);
            return -1;
        }
        cursor->follows[i] = (struct follow){partition, ticket};
    }
    cursor->count = (uint32_t)count;
    uint64_t rows = SCRATCH_BYTES / cursor->store->geometry.record_bytes;
    cursor->scratch_rows = rows < 1 ? 1 : rows;
    cursor->scratch = malloc(cursor->scratch_rows * cursor->store->geometry.record_bytes + CACHE_LINE * MAX_FIELDS);
    if (!cursor->scratch) PyErr_NoMemory();
    return cursor->scratch ? 0 : -1;
}

PyObject *Store_cursor(PyObject *self, PyObject *tickets) {
    Store *store = (Store *)self;
    if (check_open(store)) return NULL;
    PyObject *list = PySequence_List(tickets);
    if (!list) return NULL;
    Cursor *cursor = (Cursor *)PyType_GenericAlloc(store->state->cursor_type, 0);
    if (cursor) {
        cursor->store = (Store *)Py_NewRef(self);
        if (check_open(store) || fill_cursor(cursor, list)) Py_CLEAR(cursor);
    }
    Py_DECREF(list);
    return (PyObject *)cursor;
}

static void cursor_dealloc(PyObject *self) {
    Cursor *cursor = (Cursor *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    free(cursor->follows);
    free(cursor->gaps.gaps);
    free(cursor->scratch);
    Py_XDECREF((PyObject *)cursor->store);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static int cursor_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT((PyObject *)((Cursor *)self)->store);
    return 0;
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

static uint64_t tail_of(const Cursor *cursor, uint32_t partition) {
    return load_acquire(&ring_partition(&cursor->store->ring, partition)->tail);
}

static void aim(const Cursor *cursor, struct destination *to, uint64_t room) {
    const struct geometry *g = &cursor->store->geometry;
    unsigned char *at = cursor->scratch;
    for (uint32_t i = 0; i < g->options.field_count; i++) {
        to->columns[i] = at;
        at += (cursor->scratch_rows * g->fields[i].bytes + 7) / 8 * 8;
    }
    to->row = 0;
    to->room = room;
    to->streams = false;
}

/* Read one partition into the scratch and add its records to `records`. Returns how many, or -1. */
static Py_ssize_t read_partition(Cursor *cursor, struct follow *follow, uint64_t most, bool plain, PyObject *records) {
    Store *store = cursor->store;
    struct destination to;
    aim(cursor, &to, most < cursor->scratch_rows ? most : cursor->scratch_rows);
    const struct gap_sink sink = {gap_list_report, &cursor->gaps};
    uint64_t lapped = cursor->gaps.lapped;
    enum read_status status =
        ring_read(&store->ring, follow->partition, &follow->next, tail_of(cursor, follow->partition), true, &to, &sink);
    if (cursor->gaps.lapped != lapped && store->writable) { /* seldom: let statistics know */
        lapped = cursor->gaps.lapped - lapped;
        add_relaxed(&store->board->lapped, lapped);
        uint32_t owner = processes_owner(&store->processes);
        if (owner) add_relaxed(&processes_place(&store->ring, owner & 0xfff)->lapped, lapped);
    }
    for (uint64_t row = 0; row < to.row; row++) {
        PyObject *record = decode_row(store, to.columns, row, plain);
        if (!record || PyList_Append(records, record)) {
            Py_XDECREF(record);
            return -1;
        }
        Py_DECREF(record);
    }
    if (status == READ_DAMAGED && !to.row) {
        raise_error(store->state, ERROR_DAMAGED_SEGMENT,
                    "slot word of ticket %llu of partition %u contradicts the tail: the segment was overwritten from "
                    "outside; run 'shmstore-inspect check'",
                    (unsigned long long)follow->next, follow->partition);
        return -1;
    }
    return (Py_ssize_t)to.row;
}

static PyObject *read_records(Cursor *cursor, Py_ssize_t limit, bool plain) {
    Store *store = cursor->store;
    if (check_open(store)) return NULL;
    if (store->geometry.key_field >= 0 && load_acquire(&store->keys_read) < table_count(&store->table) && load_keys(store))
        return NULL;
    PyObject *records = PyList_New(0);
    if (!records) return NULL;
    uint64_t left = limit > 0 ? (uint64_t)limit : 0;
    uint32_t idle = 0;
    while (left && idle < cursor->count && !store->closed) {
        struct follow *follow = &cursor->follows[cursor->turn++ % cursor->count];
        Py_ssize_t count = read_partition(cursor, follow, left, plain, records);
        if (count < 0) {
            Py_CLEAR(records);
            break;
        }
        left -= (uint64_t)count;
        /* What has come since is left for the next read: to go back for a record or two takes the writer's cache lines from it. */
        idle = (uint64_t)count == cursor->scratch_rows ? 0 : idle + 1;
    }
    return records;
}

static PyObject *cursor_read(PyObject *self, PyObject *arguments, PyObject *keywords) {
    static char *const known[] = {"limit", "plain", NULL};
    Py_ssize_t limit;
    int plain = 0;
    PyObject *records;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "n|$p:read", (char **)(uintptr_t)known, &limit, &plain))
        return NULL;
    BEGIN_EXCLUSIVE(self);
    records = read_records((Cursor *)self, limit, plain != 0);
    END_EXCLUSIVE();
    return records;
}

static PyObject *cursor_drain_gaps(PyObject *self, PyObject *unused) {
    (void)unused;
    Cursor *cursor = (Cursor *)self;
    PyObject *gaps = gap_list_objects(cursor->store->state, &cursor->gaps);
    if (gaps) cursor->gaps.count = 0;
    return gaps;
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
        lag += tail_of(cursor, cursor->follows[i].partition) - cursor->follows[i].next;
    return PyLong_FromUnsignedLongLong(lag);
}

static PyObject *cursor_lost(PyObject *self, PyObject *unused) {
    (void)unused;
    return PyLong_FromUnsignedLongLong(((Cursor *)self)->gaps.lost);
}

/* ---- waiting ------------------------------------------------------------------------------------------------------ */

enum news { NEWS_NONE, NEWS_HELD, NEWS_SOME };

/* Would a read return a record or a gap? NEWS_HELD: not until a live writer goes on. */
static enum news look(const Cursor *cursor) {
    const struct ring *ring = &cursor->store->ring;
    enum news news = NEWS_NONE;
    for (uint32_t i = 0; i < cursor->count; i++) {
        const struct follow *follow = &cursor->follows[i];
        uint64_t tail = tail_of(cursor, follow->partition);
        if (follow->next >= tail) continue;
        if (follow->next < ring_oldest(ring, follow->partition, tail)) return NEWS_SOME;
        struct where at = ring_where(ring->geometry, follow->next);
        uint64_t word = load_acquire(ring_word(ring, follow->partition, at.slot));
        if (word_lap(word) != at.lap || word_state(word) != WRITING ||
            ring->liveness.is_dead(ring->liveness.context, word_owner(word)))
            return NEWS_SOME;
        news = NEWS_HELD;
    }
    return news;
}

static int64_t monotonic_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Sleep until news may have come, at most `limit_ns` (< 0: no limit). Needs no GIL. */
static void sleep_for_news(Cursor *cursor, int64_t limit_ns) {
    Store *store = cursor->store;
    if (!store->writable) {
        int64_t nap = limit_ns >= 0 && limit_ns < POLL_NS ? limit_ns : POLL_NS;
        nanosleep(&(struct timespec){.tv_nsec = nap}, NULL);
        return;
    }
    uint32_t kept = wait_announce(&store->board->news, store->barriers);
    enum news news = look(cursor);
    if (news == NEWS_SOME || load_relaxed(&cursor->interrupted) || store->closed) return;
    /* A held slot may be decided by its owner's death, which wakes nobody. */
    bool nap = news == NEWS_HELD || !store->barriers;
    int64_t longest = nap ? WAIT_NAP_NS : WAIT_LONGEST_NS;
    wait_sleep(&store->board->news, kept, limit_ns >= 0 && limit_ns < longest ? limit_ns : longest);
}

/* Returns 1 for news, 0 for none in time or interrupted, -1 with an exception. */
static int wait_for_news(Cursor *cursor, int64_t timeout_ns) {
    Store *store = cursor->store;
    int64_t deadline = timeout_ns < 0 ? -1 : monotonic_ns() + timeout_ns;
    for (;;) {
        if (check_open(store)) return -1;
        enum news news = look(cursor);
        if (news == NEWS_SOME) return 1;
        if (news == NEWS_NONE && load_relaxed(&store->board->news) & NEWS_UNLINKED && look(cursor) == NEWS_NONE) {
            raise_error(store->state, ERROR_STORE_UNLINKED,
                        "the store's name was removed and everything in it was read: nothing more will come");
            return -1;
        }
        if (load_relaxed(&cursor->interrupted)) {
            store_relaxed(&cursor->interrupted, 0);
            return 0;
        }
        int64_t left = deadline < 0 ? -1 : deadline - monotonic_ns();
        if (deadline >= 0 && left <= 0) return 0;
        Py_BEGIN_ALLOW_THREADS sleep_for_news(cursor, left);
        Py_END_ALLOW_THREADS if (PyErr_CheckSignals()) return -1;
    }
}

static PyObject *cursor_wait(PyObject *self, PyObject *argument) {
    Cursor *cursor = (Cursor *)self;
    double seconds = PyFloat_AsDouble(argument);
    if (seconds == -1.0 && PyErr_Occurred()) return NULL;
    if (check_open(cursor->store)) return NULL;
    int result = wait_for_news(cursor, seconds < 0 || seconds > 9e9 ? -1 : (int64_t)(seconds * 1e9));
    return result < 0 ? NULL : PyBool_FromLong(result);
}

static PyObject *cursor_interrupt(PyObject *self, PyObject *unused) {
    (void)unused;
    Cursor *cursor = (Cursor *)self;
    store_relaxed(&cursor->interrupted, 1);
    if (!cursor->store->closed && cursor->store->writable) wait_wake(&cursor->store->board->news);
    Py_RETURN_NONE;
}

#define CURSOR_METHODS(METHOD)                                                                                         \
    METHOD("read", cursor_read, KEYWORDS,                                                                              \
           "read($self, limit, *, plain=False)\n--\n\nUp to `limit` records; never blocks.")                           \
    METHOD("drain_gaps", cursor_drain_gaps, NOARGS,                                                                    \
           "drain_gaps($self)\n--\n\nGaps met since the last call, oldest first.")                                     \
    METHOD("positions", cursor_positions, NOARGS,                                                                      \
           "positions($self)\n--\n\n(partition, next ticket) of each followed partition.")                             \
    METHOD("lag", cursor_lag, NOARGS, "lag($self)\n--\n\nTickets handed out but not yet read (best-effort).")          \
    METHOD("lost", cursor_lost, NOARGS, "lost($self)\n--\n\nTickets in all gaps so far.")                              \
    METHOD("wait", cursor_wait, O,                                                                                     \
           "wait($self, timeout_s)\n--\n\n"                                                                            \
           "True when `read` would return something; False after the timeout or `interrupt`.")                         \
    METHOD("interrupt", cursor_interrupt, NOARGS,                                                                      \
           "interrupt($self)\n--\n\nMake a wait of another thread return False.")

static Store *store_of_cursor(PyObject *self) { return ((Cursor *)self)->store; }
#define GUARD_METHOD(name, function, how, doc) GUARD(store_of_cursor, function, how)
CURSOR_METHODS(GUARD_METHOD)

static PyMethodDef cursor_methods[] = {CURSOR_METHODS(METHOD_ROW){NULL, NULL, 0, NULL}};

PyType_Spec cursor_spec = {
    .name = "shmstore._core.Cursor",
    .basicsize = sizeof(Cursor),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = (PyType_Slot[]){{Py_tp_dealloc, cursor_dealloc},
                             {Py_tp_traverse, cursor_traverse},
                             {Py_tp_methods, cursor_methods},
                             {Py_tp_doc, "The next ticket of each followed partition. Made by Store.cursor."},
                             {0, NULL}},
};
