/* The Store type: what is set on it, and the methods that Python sees. */
#include "binding/appending/append.h"
#include "binding/store/guard.h"
#include "binding/questions/questions.h"
#include "binding/reading/read.h"
#include "binding/store/upkeep.h"
#include "binding/values/encode.h"

#include "core/base/buffer.h"
#include "core/waiting/wait.h"
#include "core/waiting/watch.h"

#include <string.h>
#include <structmember.h>

/* ---- record types and callbacks ----------------------------------------------------------------------------------- */

/* Returns the old reference; dropping it may run other code, which must find all members set. */
static PyObject *exchange(PyObject **member, PyObject *value) {
    PyObject *old = *member;
    *member = value && value != Py_None ? Py_NewRef(value) : NULL;
    return old;
}

static PyObject *store_set_record_type(PyObject *self, PyObject *arguments, PyObject *keywords) {
    static char *const known[] = {"record_type", "make", "values_of", "defaults", NULL};
    Store *store = (Store *)self;
    PyObject *type, *make = NULL, *values_of = NULL, *defaults = NULL;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|OOO:set_record_type", (char **)(uintptr_t)known, &type,
                                     &make, &values_of, &defaults))
        return NULL;
    if (defaults && defaults != Py_None &&
        (!PyTuple_Check(defaults) ||
         PyTuple_Size(defaults) != (Py_ssize_t)store->handle.geometry.options.field_count)) {
        PyErr_SetString(PyExc_TypeError, "expected a tuple with a default, or Ellipsis, for each field");
        return NULL;
    }
    if (make && make != Py_None) type = Py_None;
    if (type != Py_None && (!PyType_Check(type) || !PyType_IsSubtype((PyTypeObject *)type, &PyTuple_Type))) {
        PyErr_Format(PyExc_TypeError, "expected a subclass of tuple or None, found %R", type);
        return NULL;
    }
    PyObject *offset = type == Py_None ? NULL : PyObject_GetAttrString(type, "__dictoffset__");
    const bool is_leaf = offset && PyLong_AsLong(offset) == 0;
    Py_XDECREF(offset);
    if (PyErr_Occurred()) return NULL;
    store->is_leaf = is_leaf;
    PyObject *const old[] = {exchange(&store->record_type, type), exchange(&store->make, make),
                             exchange(&store->values_of, values_of), exchange(&store->defaults, defaults),
                             exchange(&store->call_names, NULL)}; /* other fields may be left out now */
    for (size_t i = 0; i < sizeof old / sizeof *old; i++) Py_XDECREF(old[i]);
    Py_RETURN_NONE;
}

static PyObject *store_set_on_discarded(PyObject *self, PyObject *callback) {
    Py_XDECREF(exchange(&((Store *)self)->on_discarded, callback));
    Py_RETURN_NONE;
}

static PyObject *store_set_on_capacity_reached(PyObject *self, PyObject *callback) {
    Py_XDECREF(exchange(&((Store *)self)->on_capacity_reached, callback));
    Py_RETURN_NONE;
}

/* ---- what Python sees --------------------------------------------------------------------------------------------- */

/* The last function that is at work on the store leaves the process table: mostly this one. */
static PyObject *store_close(PyObject *self, PyObject *unused) {
    (void)unused;
    Store *store = (Store *)self;
    if (store->closed) Py_RETURN_NONE;
    store->closed = true;
    if (store->handle.ring.writable)
        wait_wake(&store->handle.board->news); /* waiters of other threads look, and leave */
    Py_RETURN_NONE;
}

static PyObject *store_get_closed(PyObject *self, void *unused) {
    (void)unused;
    return PyBool_FromLong(((Store *)self)->closed);
}

static PyObject *store_get_lapped(PyObject *self, void *unused) {
    (void)unused;
    Store *store = (Store *)self;
    if (check_open(store)) return NULL;
    return PyLong_FromUnsignedLongLong(load_relaxed(&store->handle.board->lapped));
}

static PyObject *store_get_unlinked(PyObject *self, void *unused) {
    (void)unused;
    Store *store = (Store *)self;
    if (check_open(store)) return NULL;
    return PyBool_FromLong(handle_is_unlinked(&store->handle));
}

/* What only a store of records has. */
#define RECORD_METHODS(METHOD)                                                                                         \
    METHOD("set_record_type", store_set_record_type, KEYWORDS,                                                         \
           "set_record_type($self, record_type, make=None, values_of=None, defaults=None)\n--\n\nWhat rows become.")   \
    METHOD("set_on_discarded", store_set_on_discarded, O,                                                              \
           "set_on_discarded($self, callback)\n--\n\nWhat is called with each record that a newer one replaces; "      \
           "None: nothing.")                                                                                           \
    METHOD("set_on_capacity_reached", store_set_on_capacity_reached, O,                                                \
           "set_on_capacity_reached($self, callback)\n--\n\nWhat is called when a partition has become full; None: "   \
           "nothing.")                                                                                                 \
    APPENDING_METHODS(METHOD)                                                                                          \
    KEY_METHODS(METHOD) READING_METHODS(METHOD) QUESTION_METHODS(METHOD) RECORD_UPKEEP_METHODS(METHOD)

/* What a segment of any kind has. */
#define SEGMENT_METHODS(METHOD)                                                                                        \
    UPKEEP_METHODS(METHOD)                                                                                             \
    METHOD("close", store_close, NOARGS,                                                                               \
           "close($self)\n--\n\nLeave the process table and release the buffer. Idempotent.")

#define STORE_METHODS(METHOD)                                                                                          \
    RECORD_METHODS(METHOD) METRICS_UPKEEP_METHODS(METHOD) STREAMS_UPKEEP_METHODS(METHOD) SEGMENT_METHODS(METHOD)

#define STORE_PROPERTIES(PROPERTY)                                                                                     \
    PROPERTY("closed", store_get_closed, "Was `close` called?")                                                        \
    PROPERTY("lapped", store_get_lapped, "Tickets that readers have lost to newer records.")                           \
    PROPERTY("unlinked", store_get_unlinked, "Was the name removed?")

#define STORE_OF(self) ((Store *)(self))
#define GUARD_KIND(name, kind, function, how)                                                                          \
    GUARD_AFTER(if (kind_of(store) != kind) return refuse_kind(store, name, kind), function, how)
#define GUARD_RECORD_METHOD(name, function, how, doc) GUARD_KIND(name, SEGMENT_EVENTS, function, how)
#define GUARD_METRICS_METHOD(name, function, how, doc) GUARD_KIND(name, SEGMENT_METRICS, function, how)
#define GUARD_STREAMS_METHOD(name, function, how, doc) GUARD_KIND(name, SEGMENT_STREAMS, function, how)
RECORD_METHODS(GUARD_RECORD_METHOD)
METRICS_UPKEEP_METHODS(GUARD_METRICS_METHOD)
STREAMS_UPKEEP_METHODS(GUARD_STREAMS_METHOD)
SEGMENT_METHODS(GUARD_METHOD)
STORE_PROPERTIES(GUARD_PROPERTY)

static PyMethodDef store_methods[] = METHOD_TABLE(STORE_METHODS);
static PyGetSetDef store_properties[] = PROPERTY_TABLE(STORE_PROPERTIES);

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
