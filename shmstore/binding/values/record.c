/* One record from Python: append(**fields) and append(record), and what stands for a field that is left out. */
#include "binding/appending/append.h"
#include "binding/values/refuse.h"

#include <string.h>

PyObject *default_of(const Store *store, uint32_t field) {
    PyObject *item = store->defaults ? PyTuple_GetItem(store->defaults, (Py_ssize_t)field) : NULL;
    return item == Py_Ellipsis ? NULL : item;
}

int put_default(Store *store, uint32_t field, unsigned char *to, struct staging *staging) {
    PyObject *item = Py_XNewRef(default_of(store, field)); /* the code that it runs may set other defaults */
    if (!item) {
        raise_field(store, ERROR_FIELD_TYPE, field, staging->row, "it was left out, and has no default any more");
        return -1;
    }
    PyObject *value = PyCallable_Check(item) ? PyObject_CallNoArgs(item) : Py_NewRef(item);
    int failed = value ? encode_value(store, field, value, to, staging) : -1;
    Py_XDECREF(value);
    Py_DECREF(item);
    return failed;
}

enum left_out left_out(const Store *store, uint32_t field) {
    if (default_of(store, field)) return LEFT_DEFAULT;
    return store->handle.geometry.fields[field].kind == KIND_TIMESTAMP ? LEFT_NOW : LEFT_REFUSED;
}

static void put_time(const Store *store, unsigned char *record, int64_t now) {
    for (uint32_t i = 0; i < store->handle.geometry.options.field_count; i++)
        if (store->handle.geometry.fields[i].kind == KIND_TIMESTAMP)
            memcpy(record + store->handle.geometry.fields[i].offset, &now, 8);
}

/* ---- append ------------------------------------------------------------------------------------------------------- */

enum { PARTITION_KEYWORD = 255 };

/* Which field each keyword of a call means. Keywords that a dict holds apart may still be the same text, by a str
 * subclass. */
static int map_keywords(Store *store, PyObject *names, unsigned char fields[MAX_FIELDS + 1]) {
    Py_ssize_t count = PyTuple_Size(names);
    bool given[PARTITION_KEYWORD + 1] = {false};
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *name = PyTuple_GetItem(names, i);
        int field = field_index(store, name);
        if (field < 0 && PyUnicode_CompareWithASCIIString(name, "partition")) return raise_unknown_field(store, name);
        const unsigned char meant = field < 0 ? PARTITION_KEYWORD : (unsigned char)field;
        if (given[meant]) {
            if (field < 0) return raise_record(store, "partition is named twice");
            raise_field(store, ERROR_FIELD_TYPE, (uint32_t)field, -1, "it is named twice");
            return -1;
        }
        fields[i] = meant;
        given[meant] = true;
    }
    for (uint32_t i = 0; i < store->handle.geometry.options.field_count; i++)
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
    for (uint32_t i = 0; i < store->handle.geometry.options.field_count; i++)
        if (!given[i] && left_out(store, i) != LEFT_NOW &&
            put_default(store, i, record + store->handle.geometry.fields[i].offset, staging))
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
            if (partition_argument(store, values[i], partition)) return -1;
        } else if (encode_value(store, fields[i], values[i], record + store->handle.geometry.fields[fields[i]].offset,
                                staging)) {
            return -1;
        }
    }
    /* Other code has run since the names were mapped, and may have set other defaults, or none. */
    const bool is_mapped = names == store->call_names;
    return store->defaults || !is_mapped ? stage_defaults(store, fields, count, record, staging) : 0;
}

int stage_record(Store *store, PyObject *given, unsigned char *record, struct staging *staging) {
    const uint32_t count = store->handle.geometry.options.field_count;
    PyObject *values = NULL;
    bool by_position = PyTuple_CheckExact(given) || (PyObject *)Py_TYPE(given) == store->record_type ||
                       (PyTuple_Check(given) && !store->values_of); /* other tuples may have names for their values */
    if (by_position && PyTuple_Size(given) == (Py_ssize_t)count) {
        values = Py_NewRef(given);
    } else if (store->values_of) {
        PyObject *values_of = Py_NewRef(store->values_of); /* it may set another */
        values = PyObject_CallFunctionObjArgs(values_of, given, NULL);
        Py_DECREF(values_of);
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
        if (encode_value(store, i, PyTuple_GetItem(values, (Py_ssize_t)i),
                         record + store->handle.geometry.fields[i].offset, staging)) {
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
        if (partition_argument(store, values[1], partition)) return -1;
    }
    return stage_record(store, values[0], record, staging);
}

PyObject *Store_append(PyObject *self, PyObject *const *values, Py_ssize_t count, PyObject *names) {
    Store *store = (Store *)self;
    uint64_t stack[STAGE_WORDS];
    int64_t partition = BY_RULE, now = now_ns();
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
