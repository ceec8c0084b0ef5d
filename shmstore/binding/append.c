/* Appending one record: append(**fields), append(record), and the appender. */
#include "guard.h"

#include <string.h>

enum { STACK_WORDS = 64 }; /* records up to 512 bytes are staged on the stack */

/* ---- one staged record --------------------------------------------------------------------------------------------- */

/* The usual case of check_appendable. */
static inline bool is_appendable(Store *store) {
    /* Who has an owner is attached for writing. */
    return !store->closed && processes_owner(&store->processes) && !(load_relaxed(&store->board->news) & NEWS_UNLINKED);
}

int check_appendable(Store *store) {
    if (check_open(store)) return -1;
    if (!store->writable) {
        raise_error(store->state, ERROR_READ_ONLY_STORE,
                    "the store was attached for reading only; attach without read_only to append");
        return -1;
    }
    if (load_relaxed(&store->board->news) & NEWS_UNLINKED) {
        raise_error(
            store->state, ERROR_STORE_UNLINKED,
            "the store's name was removed, so nobody could attach to see this record; create or open the store again");
        return -1;
    }
    return processes_owner(&store->processes) ? 0 : ensure_entered(store);
}

int64_t partition_argument(Store *store, PyObject *partition) {
    if (!partition || partition == Py_None) return -1;
    long long number = PyLong_AsLongLong(partition);
    if (number == -1 && PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_OverflowError)) return -2;
    PyErr_Clear();
    if (number >= 0 && number < (long long)store->geometry.options.partitions) return number;
    raise_error(store->state, ERROR_INVALID_OPTION, "partition %R does not exist; this store has partitions 0 to %u",
                partition, store->geometry.options.partitions - 1);
    return -2;
}

static int64_t by_rule(Store *store, const unsigned char *record) {
    const struct geometry *g = &store->geometry;
    uint32_t count = g->options.partitions;
    if (g->options.rule == RULE_PROCESS) return (processes_owner(&store->processes) & 0xfff) % count;
    if (g->options.rule == RULE_KEY) {
        uint32_t id;
        memcpy(&id, record + g->fields[g->key_field].offset, 4);
        return id < count ? id : id % count;
    }
    raise_error(store->state, ERROR_INVALID_OPTION,
                "this store was created with partition_by='explicit': say partition=0 to %u", count - 1);
    return -1;
}

int64_t choose_partition(Store *store, const unsigned char *record, int64_t forced, bool is_hot) {
    const struct ring *ring = &store->ring;
    if (forced < 0 && store->geometry.options.rule == RULE_TURN) {
        if (!turn_is_free(ring, &store->turn) && is_hot) pace_give_way(&store->gave_way_ns);
        return turn_take(ring, &store->turn); /* of the places that are free after the pause */
    }
    int64_t partition = forced >= 0 ? forced : by_rule(store, record);
    if (partition >= 0)
        pace(ring, (uint32_t)partition, load_relaxed(&store->tails_left[partition]), is_hot, &store->gave_way_ns);
    return partition;
}

PyObject *raise_append(Store *store, enum append_status status, uint32_t partition, Py_ssize_t done) {
    if (status == APPEND_BLOCKED)
        return raise_error(
            store->state, ERROR_PARTITION_STALLED,
            "%zd records were appended; then every slot of partition %u was held by a live process that does "
            "not go on (stopped?): see 'shmstore-inspect processes', resume or end it, or create the store "
            "with a larger capacity",
            done, partition);
    if (status == APPEND_DAMAGED)
        return raise_error(
            store->state, ERROR_DAMAGED_SEGMENT,
            "%zd records were appended; the slot words of partition %u contradict its tail: the segment was "
            "overwritten from outside; run 'shmstore-inspect check'",
            done, partition);
    return raise_error(
        store->state, ERROR_DAMAGED_SEGMENT,
        "others took this process for dead while it wrote a record to partition %u: its lock on the segment "
        "was lost; has something closed file descriptors of this process?",
        partition);
}

/* The result of a callback is nothing; its error cannot undo an append, so it goes to the interpreter's hook for errors that
 * nobody can catch. What is no Exception, as of Ctrl-C or sys.exit, is passed on. */
static int end_callback(PyObject *callback, PyObject *result) {
    Py_XDECREF(result);
    if (!result && !PyErr_ExceptionMatches(PyExc_Exception)) return -1;
    if (!result) PyErr_WriteUnraisable(callback);
    return 0;
}

int call_back(Store *store, const struct appended *appended, const unsigned char *discarded) {
    int failed = 0;
    if (appended->discarded && discarded && store->on_discarded) {
        PyObject *callback = Py_NewRef(store->on_discarded), *record = decode_staged(store, discarded);
        failed = end_callback(callback, record ? PyObject_CallFunctionObjArgs(callback, record, NULL) : NULL);
        Py_XDECREF(record);
        Py_DECREF(callback);
    }
    if (!failed && appended->reached_capacity && store->on_capacity_reached) {
        PyObject *callback = Py_NewRef(store->on_capacity_reached);
        failed = end_callback(callback, PyObject_CallNoArgs(callback));
        Py_DECREF(callback);
    }
    return failed;
}

static PyObject *position_of(const Store *store, uint64_t ticket, uint32_t partition) {
    uint64_t position = ticket * store->geometry.options.partitions + partition;
    return position <= LONG_MAX ? PyLong_FromLong((long)position) : PyLong_FromUnsignedLongLong(position);
}

/* The same when callbacks may be due. */
static PyObject *append_and_call_back(Store *store, const unsigned char *record, uint32_t partition, int64_t now) {
    struct appended appended;
    unsigned char *discarded = store->on_discarded ? PyMem_Malloc(store->geometry.record_bytes) : NULL;
    if (store->on_discarded && !discarded) return PyErr_NoMemory();
    enum append_status status = append_to(store, partition, record, discarded, &appended);
    int failed = status != APPEND_DONE;
    if (failed) {
        raise_append(store, status, partition, 0);
    } else {
        account(store, 1, now);
        failed = call_back(store, &appended, discarded);
    }
    PyMem_Free(discarded);
    return failed ? NULL : position_of(store, appended.ticket, partition);
}

/* Append a staged record whose fields are complete. `now` is the time of the append, read once by the caller. Nothing
 * between the first look and the append runs other code. */
static inline PyObject *append_staged(Store *store, const unsigned char *record, int64_t forced, int64_t now) {
    if (!is_appendable(store) && check_appendable(store)) return NULL;
    int64_t partition = choose_partition(store, record, forced, is_hot(store, now));
    if (partition < 0) return NULL;
    if (store->on_discarded || store->on_capacity_reached)
        return append_and_call_back(store, record, (uint32_t)partition, now);
    struct appended appended;
    enum append_status status = append_to(store, (uint32_t)partition, record, NULL, &appended);
    if (status != APPEND_DONE) return raise_append(store, status, (uint32_t)partition, 0);
    account(store, 1, now);
    return position_of(store, appended.ticket, (uint32_t)partition);
}

/* Memory for one staged record: the caller's stack, or the heap for large ones. */
static unsigned char *stage(Store *store, uint64_t *stack) {
    return store->geometry.record_bytes <= STACK_WORDS * 8 ? (unsigned char *)stack
                                                           : PyMem_Malloc(store->geometry.record_bytes);
}
static void unstage(unsigned char *record, uint64_t *stack) {
    if (record && record != (unsigned char *)stack) PyMem_Free(record);
}

static bool is_time(const Store *store, uint32_t field) { return store->geometry.fields[field].kind == KIND_TIMESTAMP; }

static void put_time(const Store *store, unsigned char *record, int64_t now) {
    for (uint32_t i = 0; i < store->geometry.options.field_count; i++)
        if (is_time(store, i)) memcpy(record + store->geometry.fields[i].offset, &now, 8);
}

/* ---- append ------------------------------------------------------------------------------------------------------- */

enum { PARTITION_KEYWORD = 255 };

int raise_unknown_field(Store *store, PyObject *name) {
    PyObject *class = store->state->errors[ERROR_FIELD_TYPE];
    PyObject *message = PyUnicode_FromFormat("field %R is not in the schema; its fields are %R", name, store->names);
    PyObject *error = message ? PyObject_CallFunctionObjArgs(class, name, message, NULL) : NULL;
    if (error) PyErr_SetObject(class, error);
    Py_XDECREF(message);
    Py_XDECREF(error);
    return -1;
}

/* Which field each keyword of a call means. */
static int map_keywords(Store *store, PyObject *names, unsigned char fields[MAX_FIELDS + 1]) {
    Py_ssize_t count = PyTuple_Size(names);
    bool given[MAX_FIELDS] = {false};
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *name = PyTuple_GetItem(names, i);
        int field = field_index(store, name);
        if (field < 0 && PyUnicode_CompareWithASCIIString(name, "partition")) return raise_unknown_field(store, name);
        fields[i] = field < 0 ? PARTITION_KEYWORD : (unsigned char)field;
        if (field >= 0) given[field] = true;
    }
    for (uint32_t i = 0; i < store->geometry.options.field_count; i++)
        if (!given[i] && !is_time(store, i)) {
            raise_field(store, ERROR_FIELD_TYPE, i, -1, "it is missing; only a Timestamp may be left out");
            return -1;
        }
    return 0;
}

static int stage_keywords(Store *store, PyObject *const *values, PyObject *names, unsigned char *record,
                          int64_t *partition) {
    unsigned char fields[MAX_FIELDS + 1];
    Py_ssize_t count = PyTuple_Size(names);
#ifdef Py_GIL_DISABLED
    if (map_keywords(store, names, fields)) return -1;
#else
    if (names == store->call_names) {
        memcpy(fields, store->call_fields, (size_t)count);
    } else {
        if (map_keywords(store, names, fields)) return -1;
        PyObject *old = store->call_names;
        memcpy(store->call_fields, fields, (size_t)count);
        store->call_names = Py_NewRef(names);
        Py_XDECREF(old);
    }
#endif
    for (Py_ssize_t i = 0; i < count; i++) {
        if (fields[i] == PARTITION_KEYWORD) {
            *partition = partition_argument(store, values[i]);
            if (*partition == -2) return -1;
        } else if (encode_value(store, fields[i], values[i], record + store->geometry.fields[fields[i]].offset, -1)) {
            return -1;
        }
    }
    return 0;
}

int stage_record(Store *store, PyObject *given, unsigned char *record, Py_ssize_t row) {
    const uint32_t count = store->geometry.options.field_count;
    PyObject *values = NULL;
    if (PyTuple_Check(given) && PyTuple_Size(given) == (Py_ssize_t)count) {
        values = Py_NewRef(given);
    } else if (store->values_of) {
        values = PyObject_CallFunctionObjArgs(store->values_of, given, NULL);
        if (!values) return -1;
    }
    if (!values || !PyTuple_Check(values) || PyTuple_Size(values) != (Py_ssize_t)count) {
        PyErr_Format(PyExc_TypeError, "expected a record: a tuple of %u values, found %R", count, given);
        Py_XDECREF(values);
        return -1;
    }
    for (uint32_t i = 0; i < count; i++)
        if (encode_value(store, i, PyTuple_GetItem(values, (Py_ssize_t)i), record + store->geometry.fields[i].offset,
                         row)) {
            Py_DECREF(values);
            return -1;
        }
    Py_DECREF(values);
    return 0;
}

/* append(record, partition=) */
static int stage_positional(Store *store, PyObject *const *values, PyObject *names, unsigned char *record,
                            int64_t *partition) {
    if (names && PyTuple_Size(names)) {
        if (PyTuple_Size(names) != 1 || PyUnicode_CompareWithASCIIString(PyTuple_GetItem(names, 0), "partition")) {
            PyErr_SetString(PyExc_TypeError, "append takes a record, or its fields by name; not both");
            return -1;
        }
        *partition = partition_argument(store, values[1]);
        if (*partition == -2) return -1;
    }
    return stage_record(store, values[0], record, -1);
}

PyObject *Store_append(PyObject *self, PyObject *const *values, Py_ssize_t count, PyObject *names) {
    Store *store = (Store *)self;
    uint64_t stack[STACK_WORDS];
    int64_t partition = -1, now = now_ns();
    if (count > 1 || (!count && (!names || !PyTuple_Size(names)))) {
        PyErr_Format(PyExc_TypeError, "append takes one record, or its fields by name; found %zd positional arguments",
                     count);
        return NULL;
    }
    unsigned char *record = stage(store, stack);
    if (!record) return PyErr_NoMemory();
    if (!count) put_time(store, record, now);
    int failed = count ? stage_positional(store, values, names, record, &partition)
                       : stage_keywords(store, values, names, record, &partition);
    PyObject *position = failed ? NULL : append_staged(store, record, partition, now);
    unstage(record, stack);
    return position;
}

/* ---- appender ----------------------------------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD Store *store;
    int64_t partition;
    uint32_t count, least, time_count; /* values: all, and all but the Timestamps at the end; timestamps left out */
    struct step {
        uint32_t field, kind, offset;
    } steps[MAX_FIELDS]; /* what is taken, in the order of the values */
    uint32_t times[MAX_FIELDS]; /* where the timestamps go that are left out */
} Appender;

static PyObject *appender_call(PyObject *self, PyObject *const *values, Py_ssize_t count) {
    Appender *appender = (Appender *)self;
    Store *store = appender->store;
    if (count > (Py_ssize_t)appender->count || count < (Py_ssize_t)appender->least) {
        if (appender->least == appender->count)
            PyErr_Format(PyExc_TypeError, "this appender takes %u values, found %zd", appender->count, count);
        else
            PyErr_Format(PyExc_TypeError, "this appender takes %u to %u values, found %zd", appender->least,
                         appender->count, count);
        return NULL;
    }
    uint64_t stack[STACK_WORDS];
    unsigned char *record = stage(store, stack);
    if (!record) return PyErr_NoMemory();
    int64_t now = now_ns();
    for (uint32_t i = 0; i < appender->time_count; i++) memcpy(record + appender->times[i], &now, 8);
    for (uint32_t i = (uint32_t)count; i < appender->count; i++) memcpy(record + appender->steps[i].offset, &now, 8);
    PyObject *position = NULL;
    uint32_t key;
    for (Py_ssize_t i = 0; i < count; i++) {
        const struct step *step = &appender->steps[i];
        unsigned char *to = record + step->offset;
        if (step->kind == KIND_FLOAT64 && PyFloat_CheckExact(values[i])) { /* the most common fields, at once */
            double number = PyFloat_AsDouble(values[i]);
            memcpy(to, &number, 8);
        } else if (step->kind == KIND_KEY && recent_key(store, step->field, values[i], &key)) {
            memcpy(to, &key, 4);
        } else if (encode_value(store, step->field, values[i], to, -1)) {
            goto done;
        }
    }
    position = append_staged(store, record, appender->partition, now);
done:
    unstage(record, stack);
    return position;
}

static Store *store_of_appender(PyObject *self) { return ((Appender *)self)->store; }
GUARD(store_of_appender, appender_call, FASTCALL)

static PyMethodDef appender_method[] = {METHOD_ROW(
    "append", appender_call, FASTCALL,
    "Append one record of the fields that the appender was made for, in their order. Returns its position.")};

static void appender_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_XDECREF((PyObject *)((Appender *)self)->store);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static int appender_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT((PyObject *)((Appender *)self)->store);
    return 0;
}

PyType_Spec appender_spec = {
    .name = "shmstore._core.Appender",
    .basicsize = sizeof(Appender),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = (PyType_Slot[]){{Py_tp_dealloc, appender_dealloc}, {Py_tp_traverse, appender_traverse}, {0, NULL}},
};

static int fill_appender(Appender *appender, Store *store, PyObject *names) {
    bool given[MAX_FIELDS] = {false};
    Py_ssize_t count = PySequence_Size(names);
    if (count < 0) return -1;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *name = PySequence_GetItem(names, i);
        if (!name) return -1;
        int field = field_index(store, name);
        if (field < 0) raise_unknown_field(store, name);
        else if (given[field]) raise_field(store, ERROR_FIELD_TYPE, (uint32_t)field, -1, "it is named twice");
        Py_DECREF(name);
        if (PyErr_Occurred()) return -1;
        given[field] = true;
        appender->steps[i] =
            (struct step){(uint32_t)field, store->geometry.fields[field].kind, store->geometry.fields[field].offset};
        if (!is_time(store, (uint32_t)field)) appender->least = (uint32_t)i + 1;
    }
    appender->count = (uint32_t)count;
    for (uint32_t i = 0; i < store->geometry.options.field_count; i++) {
        if (given[i]) continue;
        if (!is_time(store, i)) {
            raise_field(store, ERROR_FIELD_TYPE, i, -1, "the appender must take it; only a Timestamp may be left out");
            return -1;
        }
        appender->times[appender->time_count++] = store->geometry.fields[i].offset;
    }
    return 0;
}

PyObject *Store_appender(PyObject *self, PyObject *arguments, PyObject *keywords) {
    static char *const known[] = {"names", "partition", NULL};
    Store *store = (Store *)self;
    PyObject *names, *partition = NULL;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|O:appender", (char **)(uintptr_t)known, &names,
                                     &partition))
        return NULL;
    if (check_appendable(store)) return NULL;
    Appender *appender = (Appender *)PyType_GenericAlloc(store->state->appender_type, 0);
    if (!appender) return NULL;
    appender->store = (Store *)Py_NewRef(self);
    appender->partition = partition_argument(store, partition);
    PyObject *method = NULL;
    if (appender->partition != -2 && !fill_appender(appender, store, names))
        method = PyCFunction_NewEx(appender_method, (PyObject *)appender, NULL);
    Py_DECREF(appender);
    return method;
}
