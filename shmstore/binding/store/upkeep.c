/* What keeps a store in order: clearing, purging, entering and reaping, and the coordinator's role. */
#include "binding/store/upkeep.h"
#include "binding/appending/append.h"

#include <errno.h>

/* ---- clearing ----------------------------------------------------------------------------------------------------- */

PyObject *Store_clear_records(PyObject *self, PyObject *unused) {
    (void)unused;
    Store *store = (Store *)self;
    if (check_writable(store)) return NULL;
    handle_clear(&store->handle);
    Py_RETURN_NONE;
}

PyObject *Store_purge(PyObject *self, PyObject *argument) {
    Store *store = (Store *)self;
    long long before_ns = PyLong_AsLongLong(argument);
    if ((before_ns == -1 && PyErr_Occurred()) || check_writable(store)) return NULL;
    if (store->handle.geometry.time_field < 0)
        return raise_error(store->state, ERROR_INVALID_OPTION,
                           "this store has no Timestamp field, so nothing in it is older than anything");
    uint64_t passed = 0;
    bool done;
    Py_BEGIN_ALLOW_THREADS;
    done = handle_purge(&store->handle, before_ns, &passed);
    Py_END_ALLOW_THREADS;
    return done ? PyLong_FromUnsignedLongLong(passed) : PyErr_NoMemory();
}

/* ---- processes ---------------------------------------------------------------------------------------------------- */

PyObject *Store_enter(PyObject *self, PyObject *unused) {
    (void)unused;
    Store *store = (Store *)self;
    if (check_writable(store) || (!processes_owner(&store->handle.processes) && ensure_entered(store))) return NULL;
    return PyLong_FromUnsignedLong(owner_place(processes_owner(&store->handle.processes)));
}

PyObject *Store_reap(PyObject *self, PyObject *unused) {
    (void)unused;
    Store *store = (Store *)self;
    if (check_writable(store)) return NULL;
    handle_is_unlinked(&store->handle);
    PyObject *list = PyList_New(0);
    for (uint32_t index = 0; list; index++) {
        uint64_t pid, voided, released;
        bool reaped;
        Py_BEGIN_ALLOW_THREADS;
        reaped = handle_reap(&store->handle, &index, &pid, &voided, &released);
        Py_END_ALLOW_THREADS;
        if (!reaped) break;
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
    if (processes_is_coordinator(&store->handle.processes))
        Py_RETURN_FALSE; /* this handle's own: held by another Coordinator of this process */
    if (processes_lock_coordinator(&store->handle.processes)) Py_RETURN_TRUE;
    if (errno != EAGAIN) return raise_system_error(store->state, "becoming the coordinator");
    Py_RETURN_FALSE;
}

PyObject *Store_unlock_coordinator(PyObject *self, PyObject *unused) {
    (void)unused;
    processes_unlock_coordinator(&((Store *)self)->handle.processes);
    Py_RETURN_NONE;
}

PyObject *Store_coordinator_alive(PyObject *self, PyObject *unused) {
    (void)unused;
    Store *store = (Store *)self;
    if (check_open(store)) return NULL;
    return PyBool_FromLong(processes_coordinator_alive(&store->handle.processes));
}
