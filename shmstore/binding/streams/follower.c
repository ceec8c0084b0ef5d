/* The Follower type: handing over what was read ahead, waiting for more, and its places. See follower.h. */
#include "binding/cursors/following.h"
#include "binding/streams/follower.h"

#include <stdlib.h>

enum { AHEAD = 256 /* events that are read at once for single steps */ };

/* ---- making --------------------------------------------------------------------------------------------------------- */

static bool has_pending(const void *follower) { return follower_has_pending(follower); }

static int take_places(Follower *follower, PyObject *places, bool fresh) {
    const uint32_t count = follower->stream ? 1 : follower->streams->store->handle.geometry.options.logs;
    const Py_ssize_t given = PyList_Size(places);
    if (given != (Py_ssize_t)count) {
        if (given >= 0) PyErr_Format(PyExc_ValueError, "expected %u places, found %zd", count, given);
        return -1;
    }
    if (!(follower->places = calloc(count, sizeof *follower->places))) {
        PyErr_NoMemory();
        return -1;
    }
    follower->count = count;
    for (uint32_t i = 0; i < count; i++) {
        const unsigned long long next = PyLong_AsUnsignedLongLong(PyList_GetItem(places, (Py_ssize_t)i));
        if (PyErr_Occurred()) return -1;
        follower->places[i].next = next;
        follower->places[i].fresh = fresh;
        store_relaxed(&follower->places[i].ahead, next);
        if (!follower->stream) follower->places[i].end = streams_tail(&follower->streams->store->streams, i);
    }
    return 0;
}

PyObject *streams_follower(PyObject *self, PyObject *arguments, PyObject *keywords) {
    static char *const known[] = {"stream", "places", "missed",    "stops", "bounded",
                                  "fresh",  "limit",  "timeout_s", NULL};
    Streams *streams = (Streams *)self;
    PyObject *stream, *places, *missed;
    int stops, bounded, fresh;
    unsigned long long limit;
    double timeout_s;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OO$OpppKd:follower", (char **)(uintptr_t)known, &stream,
                                     &places, &missed, &stops, &bounded, &fresh, &limit, &timeout_s) ||
        check_open(streams->store))
        return NULL;
    if (stream != Py_None && !PyObject_TypeCheck(stream, streams->state->types[TYPE_STREAM]))
        return PyErr_Format(PyExc_TypeError, "expected a Stream or None, found %R", stream);
    Follower *follower = (Follower *)PyType_GenericAlloc(streams->state->types[TYPE_FOLLOWER], 0);
    if (!follower) return NULL;
    follower->streams = (Streams *)Py_NewRef(self);
    follower->missed = Py_NewRef(missed);
    if (stream != Py_None) follower->stream = (Stream *)Py_NewRef(stream);
    store_relaxed(&follower->number, UNKNOWN);
    waiter_open(&follower->waiter, streams->store, follower, follower_look, has_pending);
    follower->stops = stops;
    follower->bounded = bounded;
    follower->left = limit;
    follower->timeout_ns = waiter_timeout_ns(timeout_s);
    if (check_open(streams->store) || take_places(follower, places, fresh)) Py_CLEAR(follower);
    return (PyObject *)follower;
}

static int follower_traverse(PyObject *self, visitproc visit, void *arg) {
    const Follower *follower = (Follower *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT((PyObject *)follower->streams);
    Py_VISIT((PyObject *)follower->stream);
    Py_VISIT(follower->missed);
    for (size_t i = follower->at; i < follower->filled; i++) Py_VISIT(follower->items[i].event);
    return 0;
}

static int follower_clear(PyObject *self) {
    Follower *follower = (Follower *)self;
    while (follower_has_pending(follower)) Py_XDECREF(follower->items[follower->at++].event);
    Py_CLEAR(follower->missed);
    return 0;
}

static void follower_dealloc(PyObject *self) {
    Follower *follower = (Follower *)self;
    PyObject_GC_UnTrack(self);
    waiter_drop(&follower->waiter);
    follower_clear(self);
    PyMem_Free(follower->items);
    free(follower->candidates);
    free(follower->texts);
    free(follower->places);
    Py_XDECREF((PyObject *)follower->stream);
    Py_XDECREF((PyObject *)follower->streams);
    free_object(self);
}

static int check_follower(const Follower *follower) {
    if (load_relaxed(&follower->waiter.closed)) {
        raise_error(follower->streams->state, ERROR_STORE_CLOSED,
                    "this follower is closed; follow anew from its position");
        return -1;
    }
    return check_open(follower->streams->store);
}

static int check_idle(const Follower *follower) {
    if (!follower->busy) return 0;
    raise_error(follower->streams->state, ERROR_INVALID_OPTION,
                "this follower is in the middle of a read, of another thread or of code that it runs; let each have a "
                "follower of its own");
    return -1;
}

/* ---- handing over --------------------------------------------------------------------------------------------------- */

/* Behind the item at `at`; behind the last one, all that has no event is passed as well. */
static void move_on(Follower *follower) {
    const struct item *item = &follower->items[follower->at++];
    follower->places[item->place].next = item->next;
    if (follower_has_pending(follower)) return;
    for (uint32_t i = 0; i < follower->count; i++) follower->places[i].next = load_relaxed(&follower->places[i].ahead);
    if (!follower->bounded) waiter_settle(&follower->waiter);
}

static PyObject *stand_in(Follower *follower, const struct item *item) {
    follower->busy = true;
    PyObject *found =
        PyObject_CallFunction(follower->missed, "IKK", item->place, (number)item->first, (number)item->next);
    follower->busy = false;
    return found;
}

/* The next pending item; NULL with an exception, or without one when there is none. */
static PyObject *take_pending(Follower *follower) {
    while (follower_has_pending(follower)) {
        struct item *item = &follower->items[follower->at];
        PyObject *found = item->event ? item->event : stand_in(follower, item);
        if (!found) return NULL;
        item->event = NULL;
        move_on(follower);
        if (found != Py_None) return found;
        Py_DECREF(found);
    }
    return NULL;
}

/* What is there now, up to `most`, is pending; or any, when so many are enough. */
static int prepare(Follower *follower, uint64_t most, bool any) {
    if (check_follower(follower) || check_idle(follower)) return -1;
    const uint64_t pending = follower->filled - follower->at;
    if (pending >= most || (any && pending)) return 0;
    const int failed = follower_fill(follower, most - pending);
    if (!follower_has_pending(follower)) { /* tickets without events are passed */
        for (uint32_t i = 0; i < follower->count; i++)
            follower->places[i].next = load_relaxed(&follower->places[i].ahead);
        if (!failed && !follower->bounded) waiter_settle(&follower->waiter);
    }
    return failed;
}

/* Make what stands for what is missing among the next items. It runs Python code, which may raise: nothing is handed over by
 * then. */
static int make_stand_ins(Follower *follower, Py_ssize_t most) {
    for (size_t at = follower->at; !follower->stops && at < follower->filled && most--; at++) {
        struct item *item = &follower->items[at];
        if (!item->event && !(item->event = stand_in(follower, item))) return -1;
    }
    return 0;
}

static PyObject *read_up_to(Follower *follower, Py_ssize_t most) {
    /* A signal's handler runs before events are handed over: if it raises, they wait for the next read. */
    if (prepare(follower, most > 0 ? (uint64_t)most : 0, false) || PyErr_CheckSignals() ||
        make_stand_ins(follower, most))
        return NULL;
    PyObject *list = PyList_New(0);
    bool ended = !list;
    while (!ended && PyList_Size(list) < most && follower_has_pending(follower)) {
        if (!follower->items[follower->at].event && follower->stops && PyList_Size(list)) break;
        PyObject *found = take_pending(follower);
        if (found ? PyList_Append(list, found) : PyErr_Occurred() != NULL) Py_CLEAR(list);
        ended = !found || !list;
        Py_XDECREF(found);
    }
    return list;
}

static PyObject *follower_read(PyObject *self, PyObject *argument) {
    const Py_ssize_t most = PyNumber_AsSsize_t(argument, PyExc_OverflowError);
    if (most == -1 && PyErr_Occurred()) return NULL;
    PyObject *list;
    BEGIN_EXCLUSIVE(self);
    list = read_up_to((Follower *)self, most);
    END_EXCLUSIVE();
    return list;
}

/* A caller in C never returns to the interpreter, so signals and other threads get their turn before a look. */
static int give_turn(const Follower *follower) {
    if (follower_has_pending(follower)) return 0;
    if (PyErr_CheckSignals()) return -1;
    Py_BEGIN_ALLOW_THREADS;
    Py_END_ALLOW_THREADS;
    return 0;
}

/* The next item that is there; NULL with an exception, or without one. */
static PyObject *take(Follower *follower) {
    return give_turn(follower) || prepare(follower, AHEAD, true) ? NULL : take_pending(follower);
}

static PyObject *follower_take(PyObject *self, PyObject *unused) {
    (void)unused;
    PyObject *found;
    BEGIN_EXCLUSIVE(self);
    found = take((Follower *)self);
    END_EXCLUSIVE();
    return found || PyErr_Occurred() ? found : Py_NewRef(Py_None);
}

/* ---- waiting -------------------------------------------------------------------------------------------------------- */

/* 1: something can be handed over; 0: nothing in time, or it was closed; -1 with an exception. */
static int await_events(Follower *follower, int64_t timeout_ns) {
    const int64_t deadline = timeout_ns < 0 ? -1 : monotonic_ns() + timeout_ns;
    for (;;) {
        int failed;
        BEGIN_EXCLUSIVE(follower);
        failed = prepare(follower, AHEAD, true);
        END_EXCLUSIVE();
        if (failed) return -1;
        if (follower_has_pending(follower)) return 1;
        const int64_t left = deadline < 0 ? -1 : deadline - monotonic_ns();
        const int came = waiter_await(&follower->waiter, deadline >= 0 && left < 0 ? 0 : left);
        if (came <= 0) return came;
        if (load_relaxed(&follower->waiter.closed)) return 0;
    }
}

static PyObject *follower_wait(PyObject *self, PyObject *argument) {
    const double seconds = PyFloat_AsDouble(argument);
    if (seconds == -1.0 && PyErr_Occurred()) return NULL;
    const int came = await_events((Follower *)self, waiter_timeout_ns(seconds));
    return came < 0 ? NULL : PyBool_FromLong(came);
}

static PyObject *follower_next(PyObject *self) {
    Follower *follower = (Follower *)self;
    PyObject *found = NULL;
    int came = 1;
    while (came > 0 && (follower->bounded || !load_relaxed(&follower->waiter.closed))) {
        BEGIN_EXCLUSIVE(self);
        found = take(follower);
        END_EXCLUSIVE();
        if (found || PyErr_Occurred() || follower->bounded) break;
        came = await_events(follower, follower->timeout_ns);
    }
    if (!found && !follower->bounded && PyErr_Occurred() && is_over(follower->streams->state))
        PyErr_Clear(); /* StopIteration */
    return found;
}

static int prepare_one(PyObject *self) {
    Follower *follower = (Follower *)self;
    if (load_relaxed(&follower->waiter.closed)) return 0;
    return give_turn(follower) || prepare(follower, AHEAD, true) ? -1 : follower_has_pending(follower);
}

static PyObject *take_one(PyObject *self) { return take((Follower *)self); }

static PyObject *follower_following(PyObject *self, PyObject *later) {
    static const struct async_source how = {prepare_one, take_one};
    return new_following(self, ((Follower *)self)->streams->store, &how, later);
}

static PyObject *follower_fileno(PyObject *self, PyObject *unused) {
    (void)unused;
    Follower *follower = (Follower *)self;
    int failed = check_follower(follower);
    BEGIN_EXCLUSIVE(self); /* whoever waits has begun, and is told what it misses from now on */
    if (!failed && follower->places[0].fresh && !follower->busy) failed = prepare(follower, AHEAD, true);
    END_EXCLUSIVE();
    return failed ? NULL : waiter_fileno(&follower->waiter);
}

static PyObject *follower_close(PyObject *self, PyObject *unused) {
    (void)unused;
    waiter_close(&((Follower *)self)->waiter);
    Py_RETURN_NONE;
}

/* ---- where it is ---------------------------------------------------------------------------------------------------- */

static PyObject *follower_places(PyObject *self, PyObject *unused) {
    (void)unused;
    const Follower *follower = (Follower *)self;
    PyObject *list = PyList_New((Py_ssize_t)follower->count);
    for (uint32_t i = 0; list && i < follower->count; i++) {
        PyObject *next = PyLong_FromUnsignedLongLong(follower->places[i].next);
        if (!next) Py_CLEAR(list);
        else PyList_SetItem(list, (Py_ssize_t)i, next);
    }
    return list;
}

static PyObject *follower_lag(PyObject *self, PyObject *unused) {
    (void)unused;
    const Follower *follower = (Follower *)self;
    const struct streams *core = &follower->streams->store->streams;
    uint64_t lag = 0;
    if (check_open(follower->streams->store)) return NULL;
    for (uint32_t i = 0; i < follower->count; i++) {
        uint64_t end = 0;
        if (!follower->stream) end = streams_tail(core, i);
        else if (stream_find(follower->stream))
            end = load_acquire(&streams_at(core, follower->stream->number)->newest.low);
        if (end > follower->places[i].next) lag += end - follower->places[i].next;
    }
    return PyLong_FromUnsignedLongLong(lag);
}

static PyObject *follower_get_closed(PyObject *self, void *unused) {
    (void)unused;
    return PyBool_FromLong(load_relaxed(&((Follower *)self)->waiter.closed) != 0);
}

/* ---- the type ------------------------------------------------------------------------------------------------------- */

#define FOLLOWER_METHODS(METHOD)                                                                                       \
    METHOD("read", follower_read, O, "read($self, n, /)\n--\n\nUp to `n` items; never blocks.")                        \
    METHOD("take", follower_take, NOARGS, "take($self)\n--\n\nThe next item; None when there is none now.")            \
    METHOD("following", follower_following, O,                                                                         \
           "following($self, later, /)\n--\n\nAn async iterator; `later()` is awaited when there is no item now.")     \
    METHOD("wait", follower_wait, O,                                                                                   \
           "wait($self, timeout_s, /)\n--\n\nTrue when there is an item; False after the timeout or `close`.")         \
    METHOD("fileno", follower_fileno, NOARGS,                                                                          \
           "fileno($self)\n--\n\nA descriptor that is readable while there may be an item.")                           \
    METHOD("places", follower_places, NOARGS,                                                                          \
           "places($self)\n--\n\nThe next version, or the next ticket of each partition.")                             \
    METHOD("lag", follower_lag, NOARGS, "lag($self)\n--\n\nVersions, or tickets, that it has not passed.")             \
    METHOD("close", follower_close, NOARGS, "close($self)\n--\n\nEnd every use of it, in whatever thread. Idempotent.")
#define FOLLOWER_PROPERTIES(PROPERTY) PROPERTY("closed", follower_get_closed, "Was `close` called?")

#define STORE_OF(self) (((Follower *)(self))->streams->store)
FOLLOWER_METHODS(GUARD_METHOD)
FOLLOWER_PROPERTIES(GUARD_PROPERTY)
GUARD(follower_next, SLOT)

static PyMethodDef follower_methods[] = METHOD_TABLE(FOLLOWER_METHODS);
static PyGetSetDef follower_properties[] = PROPERTY_TABLE(FOLLOWER_PROPERTIES);

PyType_Spec follower_spec = {
    .name = "shmstore._core.Follower",
    .basicsize = sizeof(Follower),
    .flags = RESULT_FLAGS_GC,
    .slots = (PyType_Slot[]){{Py_tp_dealloc, follower_dealloc},
                             {Py_tp_traverse, follower_traverse},
                             {Py_tp_clear, follower_clear},
                             {Py_tp_iter, PyObject_SelfIter},
                             {Py_tp_iternext, guarded_follower_next},
                             {Py_tp_methods, follower_methods},
                             {Py_tp_getset, follower_properties},
                             {Py_tp_doc, "What reads on in streams. Made by Streams.follower."},
                             {0, NULL}},
};
