/* The module's state, its errors and its named tuples. */
#ifndef SHMSTORE_BINDING_MODULE_H
#define SHMSTORE_BINDING_MODULE_H

#include "binding/python.h"

#include "core/base/layout.h"

enum error {
    ERROR_INVALID_NAME,
    ERROR_INVALID_SCHEMA,
    ERROR_INVALID_OPTION,
    ERROR_INVALID_CAPACITY,
    ERROR_INVALID_CALL,
    ERROR_NOT_A_STORE,
    ERROR_WRONG_KIND,
    ERROR_ABI_MISMATCH,
    ERROR_DAMAGED_SEGMENT,
    ERROR_FIELD,
    ERROR_FIELD_TYPE,
    ERROR_KEY_TABLE_FULL,
    ERROR_PROCESS_TABLE_FULL,
    ERROR_SERIES_TABLE_FULL,
    ERROR_STREAM_TABLE_FULL,
    ERROR_WRONG_EXPECTED_VERSION,
    ERROR_STREAM_DELETED,
    ERROR_INVALID_EVENT,
    ERROR_EVENT_TOO_LARGE,
    ERROR_PARTITION_STALLED,
    ERROR_READ_ONLY_STORE,
    ERROR_STORE_CLOSED,
    ERROR_STORE_UNLINKED,
    ERROR_TOO_MANY_FILES,
    ERROR_SYSTEM_REFUSED,
    ERROR_ACCESS_DENIED,
    ERROR_NOT_PICKLABLE,
    ERROR_COUNT
};

enum shape {
    SHAPE_FIELD_SPEC,
    SHAPE_PLAN,
    SHAPE_HEADER,
    SHAPE_TOTALS,
    SHAPE_PLACE,
    SHAPE_SAMPLE,
    SHAPE_REAPED,
    SHAPE_GAP,
    SHAPE_METRICS_ROOM,
    SHAPE_STREAMS_ROOM,
    SHAPE_STREAM_STATE,
    SHAPE_RETENTION,
    SHAPE_TALLY,
    SHAPE_TALLIED,
    SHAPE_TALLY_COLUMNS,
    SHAPE_GROUP_TALLIES,
    SHAPE_WINDOW_TALLIES,
    SHAPE_COUNT
};

enum type {
    TYPE_STORE,
    TYPE_COLUMNS,
    TYPE_CURSOR,
    TYPE_PROGRAM,
    TYPE_MAPPING,
    TYPE_METRICS,
    TYPE_SERIES,
    TYPE_COUNTER,
    TYPE_GAUGE,
    TYPE_HISTOGRAM,
    TYPE_SUMMARY,
    TYPE_STREAMS,
    TYPE_STREAM,
    TYPE_FOLLOWER,
    TYPE_EVENT,
    TYPE_COLUMN,
    TYPE_APPENDER,
    TYPE_ROWS,
    TYPE_FOLLOWING,
    TYPE_PACKED,
    TYPE_COUNT,
    LAST_PUBLIC_TYPE = TYPE_EVENT /* those behind it are met as results only: the module does not name them */
};

enum { APPEND_ARGUMENTS = 5 }; /* of an append to a stream */

struct module_state {
    PyObject *errors[ERROR_COUNT];        /* classes of shmstore.errors */
    PyObject *shapes[SHAPE_COUNT];        /* named tuples */
    PyObject *datetime_type, *unix_epoch; /* datetime.datetime and its 1970-01-01 in UTC */
    PyObject *shown, *near, *moment_ns;   /* of shmstore.arguments */
    PyObject *json_loads, *json_scan;     /* NULL before they are needed */
    PyObject *append_names[APPEND_ARGUMENTS];
    PyTypeObject *types[TYPE_COUNT];
};

extern PyModuleDef shmstore_module;
extern PyType_Spec store_spec, mapping_spec;

/* Called once, when the module is made. 0, or -1 with an exception. */
int add_constants(PyObject *module);
int add_shapes(PyObject *module, struct module_state *state);
int load_errors(struct module_state *state);

PyObject *raise_error(struct module_state *state, enum error error, const char *format, ...);
/* One that is made of several values, which it says itself. Takes the reference to the tuple of them, which may be NULL. */
PyObject *raise_error_of(struct module_state *state, enum error error, PyObject *values);
/* The error of a system call that `what` needed, from errno. */
PyObject *raise_system_error(struct module_state *state, const char *what);
/* Clear an error that other code raised, so that the caller can raise its own. Returns false, and keeps the error, when
 * it is not an Exception: what Ctrl-C or sys.exit began is passed on. */
bool drop_error(void);

/* Take over an error that other code raised. Returns false, and keeps the error, when it is not an Exception or is a
 * MemoryError. */
bool take_error(PyObject **cause);
void raise_from(PyObject *cause); /* make this the cause of the error that is set; takes the reference */

/* A value as a message shows it, whatever its repr() does: a new str, or NULL with an exception. */
PyObject *shown(struct module_state *state, PyObject *value);

/* An object of a subclass of tuple, made without calling the subclass. Both functions take over the reference to the
 * tuple of values, which may be NULL with an exception set. */
PyObject *new_tuple(PyTypeObject *type, PyObject *values);
PyObject *new_shape(struct module_state *state, enum shape shape, PyObject *values);
PyObject *header_object(struct module_state *state, const struct header *header, const struct geometry *geometry,
                        bool unlinked);
PyObject *plan_object(struct module_state *state, const struct geometry *geometry);

/* What the kinds of segment are called. */
extern const char *const kind_names[SEGMENT_KIND_END];

/* The end of every tp_dealloc. */
static inline void free_object(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

/* Flags of types whose objects are only met as results; with _GC those may be in a cycle. */
#define RESULT_FLAGS (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE)
#define RESULT_FLAGS_GC (RESULT_FLAGS | Py_TPFLAGS_HAVE_GC)

/* Refuses, and says what to send instead. */
PyObject *refuse_pickling(PyObject *self, PyObject *unused);
/* Row of the methods of each type whose objects live in this process alone. */
#define NOT_PICKLED                                                                                                    \
    { "__reduce__", refuse_pickling, METH_NOARGS, "__reduce__($self)\n--\n\nRefused; says what to send instead." }

#endif
