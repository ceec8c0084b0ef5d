/* What keeps a store in order: clearing, purging, entering and reaping, and the coordinator's role. */
#include "binding/upkeep.h"
#include "binding/appending/append.h"

#include <errno.h>
#include <string.h>

/* ---- clearing ----------------------------------------------------------------------------------------------------- */

PyObject *Store_clear_records(PyObject *self, PyObject *unused) {
    (void)unused;
    Store *store = (Store *)self;
    if (check_writable(store)) return NULL;
    for (uint32_t p = 0; p < store->geometry.options.partitions; p++)
        ring_raise_floor(&store->ring, p, load_acquire(&ring_partition(&store->ring, p)->tail));
    Py_RETURN_NONE;
}

/* One beyond the last record of a partition before the first that is not older than `before_ns`. What is still being written
 * between older ones is passed: it was begun before they were, and may belong to a process that is stopped for ever. */
static uint64_t first_kept(const struct ring *ring, uint32_t partition, int64_t before_ns, unsigned char *row) {
    const struct geometry *g = ring->geometry;
    uint64_t tail = load_acquire(&ring_partition(ring, partition)->tail), next = ring_oldest(ring, partition, tail), kept = next;
    while (next < tail) {
        struct destination to = {.room = 1};
        for (uint32_t i = 0; i < g->options.field_count; i++) to.columns[i] = row + g->fields[i].offset;
        if (ring_read(ring, partition, &next, next + 1, false, &to, &no_gaps) == READ_DAMAGED) break;
        if (!to.row) continue;
        int64_t time;
        memcpy(&time, row + g->fields[g->time_field].offset, 8);
        if (time >= before_ns) break;
        kept = next;
    }
    return kept;
}

PyObject *Store_purge(PyObject *self, PyObject *argument) {
    Store *store = (Store *)self;
    long long before_ns = PyLong_AsLongLong(argument);
    if ((before_ns == -1 && PyErr_Occurred()) || check_writable(store)) return NULL;
    if (store->geometry.time_field < 0)
        return raise_error(store->state, ERROR_INVALID_OPTION,
                           "this store has no Timestamp field, so nothing in it is older than anything");
    unsigned char *row = PyMem_Malloc(store->geometry.record_bytes);
    if (!row) return PyErr_NoMemory();
    uint64_t passed = 0;
    Py_BEGIN_ALLOW_THREADS;
    for (uint32_t p = 0; p < store->geometry.options.partitions; p++) {
        uint64_t oldest = ring_oldest(&store->ring, p, load_acquire(&ring_partition(&store->ring, p)->tail));
        uint64_t kept = first_kept(&store->ring, p, before_ns, row);
        if (kept <= oldest) continue;
        ring_raise_floor(&store->ring, p, kept);
        passed += kept - oldest;
    }
    Py_END_ALLOW_THREADS;
    PyMem_Free(row);
    return PyLong_FromUnsignedLongLong(passed);
}

/* ---- processes ---------------------------------------------------------------------------------------------------- */

PyObject *Store_enter(PyObject *self, PyObject *unused) {
    (void)unused;
    Store *store = (Store *)self;
    if (check_writable(store) || (!processes_owner(&store->processes) && ensure_entered(store))) return NULL;
    return PyLong_FromUnsignedLong(processes_owner(&store->processes) & 0xfff);
}

PyObject *Store_reap(PyObject *self, PyObject *unused) {
    (void)unused;
    Store *store = (Store *)self;
    if (check_writable(store)) return NULL;
    is_unlinked(store);
    PyObject *list = PyList_New(0);
    for (uint32_t index = 0; list && index < store->geometry.options.processes; index++) {
        uint64_t pid, voided, released;
        bool reaped;
        if ((load_relaxed(&processes_place(&store->ring, index)->word) & 0xff) == PLACE_FREE) continue;
        Py_BEGIN_ALLOW_THREADS;
        reaped = processes_reap(&store->processes, index, &pid, &voided, &released);
        if (reaped && (voided || released)) wait_notify(&store->board->news); /* a cursor may have stopped there */
        Py_END_ALLOW_THREADS;
        if (!reaped) continue;
        PyObject *what = new_shape(store->state, SHAPE_REAPED,
                                   Py_BuildValue("(IKKK)", index, (number)pid, (number)voided, (number)released));
        if (!what || PyList_Append(list, what)) Py_CLEAR(list);
        Py_XDECREF(what);
    }
    return list;
}

/* ---- coordinator and history -------------------------------------------------------------------------------------- */

PyObject *Store_lock_coordinator(PyObject *self, PyObject *unused) {
    (void)unused;
    Store *store = (Store *)self;
    if (check_writable(store)) return NULL;
    if (processes_is_coordinator(&store->processes))
        Py_RETURN_FALSE; /* this handle's own: held by another Coordinator of this process */
    if (processes_lock_coordinator(&store->processes)) Py_RETURN_TRUE;
    if (errno != EAGAIN) return raise_system_error(store->state, "becoming the coordinator");
    Py_RETURN_FALSE;
}

PyObject *Store_unlock_coordinator(PyObject *self, PyObject *unused) {
    (void)unused;
    processes_unlock_coordinator(&((Store *)self)->processes);
    Py_RETURN_NONE;
}

PyObject *Store_coordinator_alive(PyObject *self, PyObject *unused) {
    (void)unused;
    Store *store = (Store *)self;
    if (check_open(store)) return NULL;
    return PyBool_FromLong(processes_coordinator_alive(&store->processes));
}
