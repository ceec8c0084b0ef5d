/* The Store type: opening mapped bytes, the state it tells, and the processes it knows. */
#include "binding/appending/append.h"
#include "binding/guard.h"
#include "binding/questions/questions.h"
#include "binding/reading/cursor.h"
#include "binding/reading/read.h"
#include "binding/upkeep.h"
#include "binding/values/decode.h"
#include "binding/values/refuse.h"

#include "core/base/buffer.h"
#include "core/store/watch.h"

#include <errno.h>
#include <string.h>
#include <structmember.h>
#include <unistd.h>

/* ---- life --------------------------------------------------------------------------------------------------------- */

int check_open(Store *store) {
    if (!store->closed) return 0;
    raise_error(store->state, ERROR_STORE_CLOSED, "the store was closed in this process; attach to it again");
    return -1;
}

uint32_t begin_life(Store *store) {
    if (store->pins) store->inherited = true;
    store->pins = 0;
    store->life++;
    store_relaxed(&store->processes.own->life, store->life);
    return store->life;
}

static void release_store(Store *store) {
    store->mapped = false;
    processes_close(&store->processes);
    PyBuffer_Release(&store->view);
}

void leave_store(Store *store) {
    if (store->left) return;
    store->left = true;
    if (store->watch) watch_close(store->watch);
    processes_unlock_coordinator(&store->processes);
    processes_leave(&store->processes);
    buffer_give_back();
    /* Without the GIL, a thread may have found the store open a moment ago and be reading: the bytes go with the object. */
    if (!FREE_THREADED && !store->inherited) release_store(store);
}

/* The last function out leaves: mostly this one. */
static PyObject *store_close(PyObject *self, PyObject *unused) {
    (void)unused;
    Store *store = (Store *)self;
    if (store->closed) Py_RETURN_NONE;
    store->closed = true;
    if (store->writable) wait_wake(&store->board->news); /* waiters of other threads look, and leave */
    Py_RETURN_NONE;
}

int check_writable(Store *store) {
    if (check_open(store)) return -1;
    if (store->writable) return 0;
    raise_error(store->state, ERROR_READ_ONLY_STORE,
                "the store was attached for reading only; attach without read_only to change it");
    return -1;
}

static void read_name(struct identity *identity, const char *name) {
    size_t length = strlen(name);
    memset(identity->name, 0, sizeof identity->name);
    memcpy(identity->name, name, length < sizeof identity->name - 1 ? length : sizeof identity->name - 1);
}

int ensure_entered(Store *store) {
    struct identity identity = {.entered_ns = (uint64_t)now_ns()};
    unsigned long long pid, start_time, pid_namespace;
    const char *name;
    if (!store->describe) { /* the collector has begun to take it apart */
        raise_error(store->state, ERROR_STORE_CLOSED, "the store is being collected; attach to it again");
        return -1;
    }
    if (processes_join(&store->processes)) return 0;
    PyObject *described = NULL;
    for (pid_t asked = 0; asked != getpid();) { /* whoever forks meanwhile is another afterwards */
        asked = getpid();
        Py_XDECREF(described);
        described = PyObject_CallNoArgs(store->describe);
        if (!described) return -1;
    }
    int parsed = PyArg_ParseTuple(described, "KKKs;describe() returns (pid, start time, pid namespace, name)", &pid,
                                  &start_time, &pid_namespace, &name);
    if (parsed) {
        identity.pid = pid;
        identity.start_time = start_time;
        identity.pid_namespace = pid_namespace;
        read_name(&identity, name);
    }
    Py_DECREF(described);
    if (!parsed || check_open(store)) return -1;
    switch (processes_join_or_enter(&store->processes, &identity)) {
    case ENTER_OK: return 0;
    case ENTER_FULL:
        raise_error(
            store->state, ERROR_PROCESS_TABLE_FULL,
            "all %u places of the process table are taken by live processes; end one, attach read-only, or create "
            "the store with a larger processes=",
            store->geometry.options.processes);
        return -1;
    default: raise_system_error(store->state, "entering the process table"); return -1;
    }
}

bool is_unlinked(Store *store) {
    if (load_relaxed(&store->board->news) & NEWS_UNLINKED || load_relaxed(&store->nameless)) return true;
    if (!processes_lost_name(&store->processes)) return false;
    store_relaxed(&store->nameless, 1);
    if (store->writable) { /* tell all */
        or_acq_rel(&store->board->news, NEWS_UNLINKED);
        wait_wake(&store->board->news);
    }
    return true;
}

static int open_bytes(Store *store, int fd, const char *path) {
    struct refusal why;
    static const enum error errors[] = {[HEADER_FOREIGN] = ERROR_NOT_A_STORE,
                                        [HEADER_OTHER_ABI] = ERROR_ABI_MISMATCH,
                                        [HEADER_DAMAGED] = ERROR_DAMAGED_SEGMENT};
    enum header_status status =
        layout_open(store->view.buf, (uint64_t)store->view.len, &store->header, &store->geometry, &why);
    if (status != HEADER_OK) {
        raise_error(store->state, errors[status], "this segment cannot be used: %s", why.text);
        return -1;
    }
    if (store->writable && store->header.read_compatible) {
        raise_error(
            store->state, ERROR_ABI_MISMATCH,
            "the segment uses features %llx that this package may read but not write; attach read-only, or use the "
            "shmstore that made it",
            (unsigned long long)store->header.read_compatible);
        return -1;
    }
    store->ring = (struct ring){
        .geometry = &store->geometry,
        .memory = store->view.buf,
        .writable = store->writable,
        .liveness = {processes_is_dead, &store->processes},
    };
    store->tails_left = PyMem_Calloc(store->geometry.options.partitions, sizeof *store->tails_left);
    store->decided = PyMem_Calloc(store->geometry.options.partitions, sizeof *store->decided);
    if (!store->tails_left || !store->decided) {
        PyErr_NoMemory();
        return -1;
    }
    store->table = (struct table){.geometry = &store->geometry, .memory = store->view.buf};
    store->board = (struct board *)(void *)(store->ring.memory + store->geometry.board_offset);
    store->barriers = wait_register();
    if (!processes_open(&store->processes, &store->ring, fd, path)) {
        raise_system_error(store->state, "attaching");
        return -1;
    }
    store->table.spare = &store->processes.own->spare_cell;
    store->mapped = true;
    return 0;
}

static int make_names(Store *store) {
    uint32_t count = store->geometry.options.field_count;
    store->names = PyTuple_New((Py_ssize_t)count);
    for (uint32_t i = 0; store->names && i < count; i++) {
        PyObject *name = PyUnicode_InternFromString(store->header.fields[i].name);
        if (!name) return -1;
        PyTuple_SetItem(store->names, (Py_ssize_t)i, name);
    }
    store->key_ids = PyDict_New();
    store->key_texts = PyList_New(0);
    return store->names && store->key_ids && store->key_texts ? 0 : -1;
}

static PyObject *store_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    static char *const known[] = {"buffer", "fd", "path", "writable", "describe", NULL};
    PyObject *buffer, *describe;
    const char *path;
    int fd, writable;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O$ispO:Store", (char **)(uintptr_t)known, &buffer, &fd, &path,
                                     &writable, &describe))
        return NULL;
    Store *store = (Store *)PyType_GenericAlloc(type, 0);
    if (!store) return NULL;
    store->module = Py_XNewRef(PyType_GetModule(type));
    store->state = store->module ? PyModule_GetState(store->module) : NULL;
    store->closed = true; /* until everything is in place */
    store->writable = writable != 0;
    store->describe = Py_NewRef(describe);
    if (!store->state || PyObject_GetBuffer(buffer, &store->view, writable ? PyBUF_WRITABLE : PyBUF_SIMPLE))
        goto failed;
    if (open_bytes(store, fd, path)) {
        PyBuffer_Release(&store->view);
        goto failed;
    }
    store->closed = false;
    if (make_names(store) || (writable && ensure_entered(store))) goto failed;
    return (PyObject *)store;
failed:
    Py_DECREF(store);
    return NULL;
}

static int store_traverse(PyObject *self, visitproc visit, void *arg) {
    Store *store = (Store *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(store->module);
    Py_VISIT(store->describe);
    Py_VISIT(store->names);
    Py_VISIT(store->record_type);
    Py_VISIT(store->make);
    Py_VISIT(store->values_of);
    Py_VISIT(store->defaults);
    Py_VISIT(store->on_discarded);
    Py_VISIT(store->on_capacity_reached);
    Py_VISIT(store->key_ids);
    Py_VISIT(store->key_texts);
    return 0;
}

static int store_clear(PyObject *self) {
    Store *store = (Store *)self;
    Py_CLEAR(store->describe);
    Py_CLEAR(store->record_type);
    Py_CLEAR(store->make);
    Py_CLEAR(store->values_of);
    Py_CLEAR(store->defaults);
    Py_CLEAR(store->on_discarded);
    Py_CLEAR(store->on_capacity_reached);
    return 0;
}

static void store_dealloc(PyObject *self) {
    Store *store = (Store *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (store->weak_references) PyObject_ClearWeakRefs(self);
    if (!store->closed) leave_store(store);
    if (store->mapped) release_store(store);
    store_clear(self);
    for (int i = 0; i < RECENT_KEYS; i++) Py_XDECREF(store->recent_keys[i].text);
    PyMem_Free((void *)store->tails_left);
    PyMem_Free((void *)store->decided);
    PyMem_Free(store->watch);
    PyMem_Free((void *)store->sealed);
    Py_XDECREF(store->call_names);
    Py_XDECREF(store->names);
    Py_XDECREF(store->key_ids);
    Py_XDECREF(store->key_texts);
    Py_XDECREF(store->module);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

/* ---- record types and callbacks ----------------------------------------------------------------------------------- */

static void set(PyObject **member, PyObject *value) {
    PyObject *old = *member;
    *member = value && value != Py_None ? Py_NewRef(value) : NULL;
    Py_XDECREF(old);
}

static PyObject *store_set_record_type(PyObject *self, PyObject *arguments, PyObject *keywords) {
    static char *const known[] = {"record_type", "make", "values_of", "defaults", NULL};
    Store *store = (Store *)self;
    PyObject *type, *make = NULL, *values_of = NULL, *defaults = NULL;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|OOO:set_record_type", (char **)(uintptr_t)known, &type,
                                     &make, &values_of, &defaults))
        return NULL;
    if (defaults && defaults != Py_None &&
        (!PyTuple_Check(defaults) || PyTuple_Size(defaults) != (Py_ssize_t)store->geometry.options.field_count)) {
        PyErr_SetString(PyExc_TypeError, "expected a tuple with a default, or Ellipsis, for each field");
        return NULL;
    }
    if (make && make != Py_None) type = Py_None;
    if (type != Py_None && (!PyType_Check(type) || !PyType_IsSubtype((PyTypeObject *)type, &PyTuple_Type))) {
        PyErr_Format(PyExc_TypeError, "expected a subclass of tuple or None, found %R", type);
        return NULL;
    }
    PyObject *offset = type == Py_None ? NULL : PyObject_GetAttrString(type, "__dictoffset__");
    store->is_leaf = offset && PyLong_AsLong(offset) == 0;
    Py_XDECREF(offset);
    if (PyErr_Occurred()) return NULL;
    set(&store->record_type, type);
    set(&store->make, make);
    set(&store->values_of, values_of);
    set(&store->defaults, defaults);
    Py_CLEAR(store->call_names); /* which fields a call may leave out is another question now */
    Py_RETURN_NONE;
}

static PyObject *store_set_on_discarded(PyObject *self, PyObject *callback) {
    set(&((Store *)self)->on_discarded, callback);
    Py_RETURN_NONE;
}

static PyObject *store_set_on_capacity_reached(PyObject *self, PyObject *callback) {
    set(&((Store *)self)->on_capacity_reached, callback);
    Py_RETURN_NONE;
}

/* ---- keys --------------------------------------------------------------------------------------------------------- */

static int check_keyed(Store *store) {
    if (check_open(store)) return -1;
    if (store->geometry.key_field >= 0) return 0;
    raise_error(store->state, ERROR_INVALID_OPTION, "this store has no keys: its schema has no field of kind Key");
    return -1;
}

static PyObject *store_key(PyObject *self, PyObject *text) {
    Store *store = (Store *)self;
    uint32_t id;
    if (check_keyed(store)) return NULL;
    uint32_t field = (uint32_t)store->geometry.key_field;
    for (uint32_t i = 0; i < store->geometry.options.field_count; i++) /* the key field that takes the longest keys */
        if (store->geometry.fields[i].kind == KIND_KEY && store->geometry.fields[i].size == store->geometry.key_bytes)
            field = i;
    if (!PyUnicode_Check(text)) {
        wrong_type(store, field, text, -1, "a str");
        return NULL;
    }
    return encode_key(store, field, text, &id, NULL) ? NULL : PyLong_FromUnsignedLong(id);
}

static PyObject *store_key_text(PyObject *self, PyObject *argument) {
    Store *store = (Store *)self;
    if (check_keyed(store)) return NULL;
    unsigned long id = PyLong_AsUnsignedLong(argument);
    if (id == (unsigned long)-1 && PyErr_Occurred()) return NULL;
    uint32_t count = table_count(&store->table);
    if (id >= count)
        return PyErr_Format(PyExc_IndexError, "%R is no key id; this store has ids below %u", argument, count);
    return key_text(store, (uint32_t)id);
}

static PyObject *store_keys(PyObject *self, PyObject *unused) {
    (void)unused;
    Store *store = (Store *)self;
    if (check_open(store) || load_keys(store)) return NULL;
    Py_ssize_t count = PyList_Size(store->key_texts);
    PyObject *list = PyList_New(count);
    for (Py_ssize_t i = 0; list && i < count; i++) {
        PyObject *text = PyList_GetItem(store->key_texts, i);
        PyList_SetItem(list, i, text == Py_None ? PyUnicode_FromString("") : Py_NewRef(text));
    }
    return list;
}

/* ---- properties --------------------------------------------------------------------------------------------------- */

static PyObject *store_get_closed(PyObject *self, void *unused) {
    (void)unused;
    return PyBool_FromLong(((Store *)self)->closed);
}

static PyObject *store_get_lapped(PyObject *self, void *unused) {
    (void)unused;
    Store *store = (Store *)self;
    if (check_open(store)) return NULL;
    return PyLong_FromUnsignedLongLong(load_relaxed(&store->board->lapped));
}

static PyObject *store_get_unlinked(PyObject *self, void *unused) {
    (void)unused;
    Store *store = (Store *)self;
    if (check_open(store)) return NULL;
    return PyBool_FromLong(is_unlinked(store));
}

#define STORE_METHODS(METHOD)                                                                                          \
    METHOD("set_record_type", store_set_record_type, KEYWORDS,                                                         \
           "set_record_type($self, record_type, make=None, values_of=None, defaults=None)\n--\n\nWhat rows become.")         \
    METHOD("append", Store_append, FASTCALL_KEYWORDS,                                                                  \
           "append($self, record=None, /, *, partition=None, **fields)\n--\n\nAppend one record, given by its fields or "    \
           "as a record; a Timestamp left out is now. Returns its position.")                                          \
    METHOD("appender", Store_appender, KEYWORDS,                                                                       \
           "appender($self, names, partition=None)\n--\n\nA fast callable that takes exactly these fields.")           \
    METHOD("append_rows", Store_append_rows, KEYWORDS,                                                                 \
           "append_rows($self, rows, partition=None)\n--\n\nAppend records; all are checked first.")                   \
    METHOD("append_columns", Store_append_columns, KEYWORDS,                                                           \
           "append_columns($self, columns, partition=None)\n--\n\n"                                                         \
           "Append columns of equal length; all are checked first.")                                                   \
    METHOD("append_arrow", Store_append_arrow, KEYWORDS,                                                               \
           "append_arrow($self, capsules, partition=None)\n--\n\nAppend a table of Arrow's; all is checked first.")    \
    METHOD("set_on_discarded", store_set_on_discarded, O, "set_on_discarded($self, callback)\n--\n\n")                 \
    METHOD("set_on_capacity_reached", store_set_on_capacity_reached, O,                                                \
           "set_on_capacity_reached($self, callback)\n--\n\n")                                                         \
    METHOD("key", store_key, O, "key($self, text)\n--\n\nThe id of a key, interning it when it is new.")               \
    METHOD("key_text", store_key_text, O, "key_text($self, key_id)\n--\n\n")                                           \
    METHOD("keys", store_keys, NOARGS, "keys($self)\n--\n\nEvery interned key; the index is its id.")                  \
    METHOD("snapshot", Store_snapshot, KEYWORDS,                                                                       \
           "snapshot($self, partitions=None, program=None, ends=None, summaries=True)\n--\n\n"                              \
           "Copy what is readable now.")                                                                               \
    METHOD("read", Store_read, VARARGS,                                                                                \
           "read($self, partition, first, end, program, summaries)\n--\n\nCopy a range of tickets.")                   \
    METHOD("ranges", Store_ranges, NOARGS,                                                                             \
           "ranges($self)\n--\n\nThe oldest readable ticket and the tail, by partition.")                              \
    METHOD("tally", Store_tally, KEYWORDS,                                                                             \
           "tally($self, program, what, **options)\n--\n\nCount, add up and compare numbers.")                         \
    METHOD("edge", Store_edge, KEYWORDS,                                                                               \
           "edge($self, program, field, latest, **options)\n--\n\nA field of the earliest or latest record.")          \
    METHOD("quantiles", Store_quantiles, KEYWORDS,                                                                     \
           "quantiles($self, program, wanted, **options)\n--\n\nQuantiles of a number.")                               \
    METHOD("distinct", Store_distinct, KEYWORDS,                                                                       \
           "distinct($self, program, field, **options)\n--\n\nHow many different values a field has.")                 \
    METHOD("cursor", Store_cursor, O, "cursor($self, tickets)\n--\n\nFollow these (partition, ticket) pairs.")         \
    METHOD("read_at", Store_read_at, VARARGS,                                                                          \
           "read_at($self, partition, ticket)\n--\n\nThe record of a ticket, or None.")                                \
    METHOD("clear", Store_clear_records, NOARGS,                                                                       \
           "clear($self)\n--\n\nMake every record handed out so far unreadable.")                                      \
    METHOD("purge", Store_purge, O,                                                                                    \
           "purge($self, before_ns)\n--\n\nMake the oldest records before this time unreadable.")                      \
    METHOD("header", Store_header, NOARGS, "header($self)\n--\n\n")                                                    \
    METHOD("plan", Store_plan, NOARGS, "plan($self)\n--\n\n")                                                          \
    METHOD("totals", Store_totals, NOARGS, "totals($self)\n--\n\nCounts, one tuple per partition.")                    \
    METHOD("places", Store_places, NOARGS, "places($self)\n--\n\nPlaces of the process table that are not free.")      \
    METHOD("check", Store_check, NOARGS, "check($self)\n--\n\nInvariants that do not hold, in words.")                 \
    METHOD("enter", Store_enter, NOARGS, "enter($self)\n--\n\nTake a place in the process table.")                     \
    METHOD("reap", Store_reap, NOARGS, "reap($self)\n--\n\nRepair every dead process and free its place.")             \
    METHOD("lock_coordinator", Store_lock_coordinator, NOARGS,                                                         \
           "lock_coordinator($self)\n--\n\nBecome the coordinator, if nobody is.")                                     \
    METHOD("unlock_coordinator", Store_unlock_coordinator, NOARGS,                                                     \
           "unlock_coordinator($self)\n--\n\nGive the role up.")                                                       \
    METHOD("coordinator_alive", Store_coordinator_alive, NOARGS, "coordinator_alive($self)\n--\n\n")                   \
    METHOD("sample", Store_sample, O, "sample($self, now_ns)\n--\n\nWrite one sample to the history ring.")            \
    METHOD("history", Store_history, FASTCALL,                                                                         \
           "history($self, count=3600, /)\n--\n\nThe newest samples, oldest first.")                                   \
    METHOD("close", store_close, NOARGS,                                                                               \
           "close($self)\n--\n\nLeave the process table and release the buffer. Idempotent.")

#define STORE_PROPERTIES(PROPERTY)                                                                                     \
    PROPERTY("closed", store_get_closed, "Was `close` called?")                                                        \
    PROPERTY("lapped", store_get_lapped, "Tickets that readers have lost to newer records.")                           \
    PROPERTY("unlinked", store_get_unlinked, "Was the name removed?")

static Store *itself(PyObject *self) { return (Store *)self; }
#define GUARD_METHOD(name, function, how, doc) GUARD(itself, function, how)
#define GUARD_PROPERTY(name, function, doc) GUARD(itself, function, GETTER)
STORE_METHODS(GUARD_METHOD)
STORE_PROPERTIES(GUARD_PROPERTY)

static PyMethodDef store_methods[] = {STORE_METHODS(METHOD_ROW) NOT_PICKLED, {NULL, NULL, 0, NULL}};
static PyGetSetDef store_properties[] = {STORE_PROPERTIES(PROPERTY_ROW){NULL, NULL, NULL, NULL, NULL}};

static PyMemberDef store_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Store, weak_references), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyType_Spec store_spec = {
    .name = "shmstore._core.Store",
    .basicsize = sizeof(Store),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = (PyType_Slot[]){{Py_tp_new, store_new},
                             {Py_tp_dealloc, store_dealloc},
                             {Py_tp_traverse, store_traverse},
                             {Py_tp_clear, store_clear},
                             {Py_tp_methods, store_methods},
                             {Py_tp_getset, store_properties},
                             {Py_tp_members, store_members},
                             {Py_tp_doc, "A store over mapped bytes; see _core.pyi."},
                             {0, NULL}},
};
