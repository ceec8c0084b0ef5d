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
    PyObject *index = PyBool_Check(partition) ? NULL : PyNumber_Index(partition);
    long long number = index ? PyLong_AsLongLong(index) : -1;
    Py_XDECREF(index);
    if (number >= 0 && number < (long long)store->geometry.options.partitions) return number;
    PyObject *cause;
    if (PyErr_Occurred()) {
        if (!take_error(&cause)) return -2;
        Py_DECREF(cause);
    }
    PyObject *text = shown(store->state, partition);
    if (text)
        raise_error(store->state, ERROR_INVALID_OPTION, "partition is %U; this store has partitions 0 to %u", text,
                    store->geometry.options.partitions - 1);
    Py_XDECREF(text);
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

/* Enter the new keys of a record, of which all else is known to fit. */
static int enter_keys(Store *store, PyObject *new_keys, unsigned char *record, int64_t forced) {
    const struct geometry *g = &store->geometry;
    if (forced < 0 && g->options.rule == RULE_EXPLICIT) return choose_partition(store, NULL, -1, false) < 0 ? -1 : 0;
    struct staged batch = {.count = 1};
    for (uint32_t i = 0; i < g->options.field_count; i++)
        if (g->fields[i].kind == KIND_KEY) batch.made[i] = record + g->fields[i].offset;
    return enter_new_keys(store, new_keys, &batch) || (!is_appendable(store) && check_appendable(store)) ? -1 : 0;
}

/* Append a staged record whose fields are complete. `now` is the time of the append, read once by the caller. Nothing
 * between the last look and the append runs other code. */
static inline PyObject *append_staged(Store *store, unsigned char *record, PyObject *new_keys, int64_t forced,
                                      int64_t now) {
    if (!is_appendable(store) && check_appendable(store)) return NULL;
    if (new_keys && enter_keys(store, new_keys, record, forced)) return NULL;
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

/* What a field's declaration says for a record that leaves it out: a value, or what makes one; NULL for nothing. */
static PyObject *default_of(const Store *store, uint32_t field) {
    PyObject *item = store->defaults ? PyTuple_GetItem(store->defaults, (Py_ssize_t)field) : NULL;
    return item == Py_Ellipsis ? NULL : item;
}

int put_default(Store *store, uint32_t field, unsigned char *to, struct staging *staging) {
    PyObject *item = default_of(store, field);
    PyObject *value = PyCallable_Check(item) ? PyObject_CallNoArgs(item) : Py_NewRef(item);
    int failed = value ? encode_value(store, field, value, to, staging) : -1;
    Py_XDECREF(value);
    return failed;
}

enum left_out left_out(const Store *store, uint32_t field) {
    if (default_of(store, field)) return LEFT_DEFAULT;
    return store->geometry.fields[field].kind == KIND_TIMESTAMP ? LEFT_NOW : LEFT_REFUSED;
}

static void put_time(const Store *store, unsigned char *record, int64_t now) {
    for (uint32_t i = 0; i < store->geometry.options.field_count; i++)
        if (store->geometry.fields[i].kind == KIND_TIMESTAMP)
            memcpy(record + store->geometry.fields[i].offset, &now, 8);
}

/* ---- append ------------------------------------------------------------------------------------------------------- */

enum { PARTITION_KEYWORD = 255 };

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
        if (!given[i] && left_out(store, i) == LEFT_REFUSED) {
            raise_field(store, ERROR_FIELD_TYPE, i, -1,
                        "it is missing; only a Timestamp, or what is declared with a default, may be left out");
            return -1;
        }
    return 0;
}

static int stage_defaults(Store *store, const unsigned char *fields, Py_ssize_t count, unsigned char *record,
                          struct staging *staging) {
    bool given[PARTITION_KEYWORD + 1] = {false};
    for (Py_ssize_t i = 0; i < count; i++) given[fields[i]] = true;
    for (uint32_t i = 0; i < store->geometry.options.field_count; i++)
        if (!given[i] && default_of(store, i) &&
            put_default(store, i, record + store->geometry.fields[i].offset, staging))
            return -1;
    return 0;
}

static int stage_keywords(Store *store, PyObject *const *values, PyObject *names, unsigned char *record,
                          struct staging *staging, int64_t *partition) {
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
        } else if (encode_value(store, fields[i], values[i], record + store->geometry.fields[fields[i]].offset,
                                staging)) {
            return -1;
        }
    }
    return store->defaults ? stage_defaults(store, fields, count, record, staging) : 0;
}

int stage_record(Store *store, PyObject *given, unsigned char *record, struct staging *staging) {
    const uint32_t count = store->geometry.options.field_count;
    PyObject *values = NULL;
    bool by_position = PyTuple_CheckExact(given) || (PyObject *)Py_TYPE(given) == store->record_type ||
                       (PyTuple_Check(given) && !store->values_of); /* other tuples may have names for their values */
    if (by_position && PyTuple_Size(given) == (Py_ssize_t)count) {
        values = Py_NewRef(given);
    } else if (store->values_of) {
        values = PyObject_CallFunctionObjArgs(store->values_of, given, NULL);
        if (!values) return -1;
    }
    if (!values || !PyTuple_Check(values) || PyTuple_Size(values) != (Py_ssize_t)count) {
        PyObject *text = shown(store->state, given);
        if (text) raise_record(store, "expected a record: a tuple of %u values, found %U", count, text);
        Py_XDECREF(text);
        Py_XDECREF(values);
        return -1;
    }
    for (uint32_t i = 0; i < count; i++)
        if (encode_value(store, i, PyTuple_GetItem(values, (Py_ssize_t)i), record + store->geometry.fields[i].offset,
                         staging)) {
            Py_DECREF(values);
            return -1;
        }
    Py_DECREF(values);
    return 0;
}

/* append(record, partition=) */
static int stage_positional(Store *store, PyObject *const *values, PyObject *names, unsigned char *record,
                            struct staging *staging, int64_t *partition) {
    if (names && PyTuple_Size(names)) {
        if (PyTuple_Size(names) != 1 || PyUnicode_CompareWithASCIIString(PyTuple_GetItem(names, 0), "partition"))
            return raise_record(store, "append takes a record, or its fields by name; not both");
        *partition = partition_argument(store, values[1]);
        if (*partition == -2) return -1;
    }
    return stage_record(store, values[0], record, staging);
}

PyObject *Store_append(PyObject *self, PyObject *const *values, Py_ssize_t count, PyObject *names) {
    Store *store = (Store *)self;
    uint64_t stack[STACK_WORDS];
    int64_t partition = -1, now = now_ns();
    if (count > 1 || (!count && (!names || !PyTuple_Size(names)))) {
        raise_record(store, "append takes one record, or its fields by name; found %zd positional arguments", count);
        return NULL;
    }
    unsigned char *record = stage(store, stack);
    if (!record) return PyErr_NoMemory();
    struct staging staging = {-1, NULL};
    if (!count) put_time(store, record, now);
    int failed = count ? stage_positional(store, values, names, record, &staging, &partition)
                       : stage_keywords(store, values, names, record, &staging, &partition);
    PyObject *position = failed ? NULL : append_staged(store, record, staging.new_keys, partition, now);
    Py_XDECREF(staging.new_keys);
    unstage(record, stack);
    return position;
}

/* ---- appender ----------------------------------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD Store *store;
    int64_t partition;
    uint32_t count, least; /* values: all, and all but those at the end that may be left out */
    uint32_t time_count, default_count; /* fields that every call leaves out: now, or as declared */
    struct step {
        uint32_t field, kind, offset;
    } steps[MAX_FIELDS]; /* what is taken, in the order of the values */
    uint32_t times[MAX_FIELDS]; /* where the timestamps go that are left out */
    uint32_t defaults[MAX_FIELDS];
} Appender;

/* Give the fields that a call leaves out what they are then. */
static int stage_left_out(Appender *appender, Py_ssize_t count, unsigned char *record, int64_t now,
                          struct staging *staging) {
    Store *store = appender->store;
    for (uint32_t i = 0; i < appender->time_count; i++) memcpy(record + appender->times[i], &now, 8);
    for (uint32_t i = 0; i < appender->default_count; i++) {
        uint32_t field = appender->defaults[i];
        if (put_default(store, field, record + store->geometry.fields[field].offset, staging)) return -1;
    }
    for (uint32_t i = (uint32_t)count; i < appender->count; i++) {
        const struct step *step = &appender->steps[i];
        if (!default_of(store, step->field)) memcpy(record + step->offset, &now, 8);
        else if (put_default(store, step->field, record + step->offset, staging)) return -1;
    }
    return 0;
}

static PyObject *appender_call(PyObject *self, PyObject *const *values, Py_ssize_t count) {
    Appender *appender = (Appender *)self;
    Store *store = appender->store;
    if (count > (Py_ssize_t)appender->count || count < (Py_ssize_t)appender->least) {
        if (appender->least == appender->count)
            raise_record(store, "this appender takes %u values, found %zd", appender->count, count);
        else
            raise_record(store, "this appender takes %u to %u values, found %zd", appender->least, appender->count,
                         count);
        return NULL;
    }
    uint64_t stack[STACK_WORDS];
    unsigned char *record = stage(store, stack);
    if (!record) return PyErr_NoMemory();
    int64_t now = now_ns();
    struct staging staging = {-1, NULL};
    PyObject *position = NULL;
    uint32_t key;
    if (stage_left_out(appender, count, record, now, &staging)) goto done;
    for (Py_ssize_t i = 0; i < count; i++) {
        const struct step *step = &appender->steps[i];
        unsigned char *to = record + step->offset;
        if (step->kind == KIND_FLOAT64 && PyFloat_CheckExact(values[i])) { /* the most common fields, at once */
            double number = PyFloat_AsDouble(values[i]);
            memcpy(to, &number, 8);
        } else if (step->kind == KIND_KEY && recent_key(store, step->field, values[i], &key)) {
            memcpy(to, &key, 4);
        } else if (encode_value(store, step->field, values[i], to, &staging)) {
            goto done;
        }
    }
    position = append_staged(store, record, staging.new_keys, appender->partition, now);
done:
    Py_XDECREF(staging.new_keys);
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
        if (left_out(store, (uint32_t)field) == LEFT_REFUSED) appender->least = (uint32_t)i + 1;
    }
    appender->count = (uint32_t)count;
    for (uint32_t i = 0; i < store->geometry.options.field_count; i++) {
        if (given[i]) continue;
        switch (left_out(store, i)) {
        case LEFT_NOW: appender->times[appender->time_count++] = store->geometry.fields[i].offset; break;
        case LEFT_DEFAULT: appender->defaults[appender->default_count++] = i; break;
        default:
            raise_field(store, ERROR_FIELD_TYPE, i, -1,
                        "the appender must take it; only a Timestamp, or what is declared with a default, may be left "
                        "out");
            return -1;
        }
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
