/* Python values to staged bytes, with errors that name the field, what was found and what fits. */
#include "binding.h"

#include <stdarg.h>
#include <string.h>

PyObject *raise_field(Store *store, enum error error, uint32_t field, Py_ssize_t row, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    PyObject *text = PyUnicode_FromFormatV(format, arguments);
    va_end(arguments);
    if (!text) return NULL;
    PyObject *name = PyTuple_GetItem(store->names, (Py_ssize_t)field);
    PyObject *message = row < 0 ? PyUnicode_FromFormat("field '%U': %U", name, text)
                                : PyUnicode_FromFormat("field '%U' of record %zd: %U; nothing of the batch was written",
                                                       name, row, text);
    Py_DECREF(text);
    if (!message) return NULL;
    PyObject *exception = PyObject_CallFunctionObjArgs(store->state->errors[error], name, message, NULL);
    Py_DECREF(message);
    if (!exception) return NULL;
    PyErr_SetObject(store->state->errors[error], exception);
    Py_DECREF(exception);
    return NULL;
}

int field_index(Store *store, PyObject *name) {
    uint32_t count = store->geometry.options.field_count;
    for (uint32_t i = 0; i < count; i++) /* call sites pass interned names: mostly the same object */
        if (PyTuple_GetItem(store->names, (Py_ssize_t)i) == name) return (int)i;
    for (uint32_t i = 0; i < count; i++)
        if (PyUnicode_Check(name) && !PyUnicode_Compare(PyTuple_GetItem(store->names, (Py_ssize_t)i), name))
            return (int)i;
    return -1;
}

static int wrong_type(Store *store, uint32_t field, PyObject *value, Py_ssize_t row, const char *expected) {
    PyObject *type = PyType_GetName(Py_TYPE(value));
    if (type) {
        raise_field(store, ERROR_FIELD_TYPE, field, row, "expected %s, found %R of type %U", expected, value, type);
        Py_DECREF(type);
    }
    return -1;
}

/* ---- numbers ------------------------------------------------------------------------------------------------------ */

static const struct {
    int64_t least;
    uint64_t most;
    const char *expected;
} ranges[KIND_END] = {
    [KIND_INT8] = {INT8_MIN, INT8_MAX, "an int from -128 to 127"},
    [KIND_INT16] = {INT16_MIN, INT16_MAX, "an int from -32768 to 32767"},
    [KIND_INT32] = {INT32_MIN, INT32_MAX, "an int from -2**31 to 2**31 - 1"},
    [KIND_INT64] = {INT64_MIN, INT64_MAX, "an int from -2**63 to 2**63 - 1"},
    [KIND_UINT8] = {0, UINT8_MAX, "an int from 0 to 255"},
    [KIND_UINT16] = {0, UINT16_MAX, "an int from 0 to 65535"},
    [KIND_UINT32] = {0, UINT32_MAX, "an int from 0 to 2**32 - 1"},
    [KIND_UINT64] = {0, UINT64_MAX, "an int from 0 to 2**64 - 1"},
    [KIND_TIMESTAMP] = {INT64_MIN, INT64_MAX, "nanoseconds since 1970 as an int, or a datetime with a zone"},
};

static int out_of_range(Store *store, uint32_t field, PyObject *value, Py_ssize_t row, const char *expected) {
    PyErr_Clear();
    raise_field(store, ERROR_FIELD, field, row, "expected %s, found %R", expected, value);
    return -1;
}

static int encode_int(Store *store, uint32_t field, PyObject *value, unsigned char *to, Py_ssize_t row) {
    uint32_t kind = store->geometry.fields[field].kind;
    if (!PyLong_Check(value)) {
        PyObject *integer = PyNumber_Index(value); /* NumPy's integers and their like */
        if (!integer) {
            PyErr_Clear();
            return wrong_type(store, field, value, row, ranges[kind].expected);
        }
        int result = encode_int(store, field, integer, to, row);
        Py_DECREF(integer);
        return result;
    }
    if (kind == KIND_UINT64) {
        uint64_t wide = PyLong_AsUnsignedLongLong(value);
        if (wide == UINT64_MAX && PyErr_Occurred())
            return out_of_range(store, field, value, row, ranges[kind].expected);
        memcpy(to, &wide, 8);
        return 0;
    }
    int64_t number = PyLong_AsLongLong(value);
    if ((number == -1 && PyErr_Occurred()) || number < ranges[kind].least ||
        (number > 0 && (uint64_t)number > ranges[kind].most))
        return out_of_range(store, field, value, row, ranges[kind].expected);
    memcpy(to, &number, store->geometry.fields[field].bytes); /* little end first: checked at compile time below */
    return 0;
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "integers are narrowed by copying their first bytes");

static int encode_float(Store *store, uint32_t field, PyObject *value, unsigned char *to, Py_ssize_t row) {
    double number = PyFloat_AsDouble(value);
    if (number == -1.0 && PyErr_Occurred()) {
        if (PyErr_ExceptionMatches(PyExc_OverflowError))
            return out_of_range(store, field, value, row, "a number that fits a float");
        if (!PyErr_ExceptionMatches(PyExc_TypeError)) return -1;
        PyErr_Clear();
        return wrong_type(store, field, value, row, "a float");
    }
    if (store->geometry.fields[field].kind == KIND_FLOAT64) {
        memcpy(to, &number, 8);
        return 0;
    }
    float narrow = (float)number;
    if (__builtin_isinf(narrow) && !__builtin_isinf(number))
        return out_of_range(store, field, value, row, "a number that fits a 32-bit float");
    memcpy(to, &narrow, 4);
    return 0;
}

static int encode_bool(Store *store, uint32_t field, PyObject *value, unsigned char *to, Py_ssize_t row) {
    if (value != Py_True && value != Py_False) {
        PyObject *type = PyType_GetName(Py_TYPE(value));
        if (!type) return -1;
        bool numpy =
            !PyUnicode_CompareWithASCIIString(type, "bool_") || !PyUnicode_CompareWithASCIIString(type, "bool");
        Py_DECREF(type);
        if (!numpy) return wrong_type(store, field, value, row, "True or False");
    }
    int truth = PyObject_IsTrue(value);
    if (truth < 0) return -1;
    *to = (unsigned char)truth;
    return 0;
}

static int encode_timestamp(Store *store, uint32_t field, PyObject *value, unsigned char *to, Py_ssize_t row) {
    if (value == Py_None) {
        int64_t now = now_ns();
        memcpy(to, &now, 8);
        return 0;
    }
    int is_datetime = PyObject_IsInstance(value, store->state->datetime_type);
    if (is_datetime < 0) return -1;
    if (!is_datetime) return encode_int(store, field, value, to, row);
    PyObject *since = PyNumber_Subtract(value, store->state->unix_epoch);
    if (!since) {
        if (!PyErr_ExceptionMatches(PyExc_TypeError)) return -1;
        PyErr_Clear();
        raise_field(store, ERROR_FIELD, field, row,
                    "%R has no zone, so it names no instant; add one, such as tzinfo=timezone.utc", value);
        return -1;
    }
    int64_t parts[3] = {0, 0, 0};
    const char *const names[3] = {"days", "seconds", "microseconds"};
    for (int i = 0; i < 3; i++) {
        PyObject *part = PyObject_GetAttrString(since, names[i]);
        parts[i] = part ? PyLong_AsLongLong(part) : -1;
        Py_XDECREF(part);
    }
    Py_DECREF(since);
    if (PyErr_Occurred()) return -1;
    int64_t ns;
    if (__builtin_mul_overflow(parts[0] * 86400 + parts[1], INT64_C(1000000000), &ns) ||
        __builtin_add_overflow(ns, parts[2] * 1000, &ns))
        return out_of_range(store, field, value, row, "a datetime from 1677-09-21 to 2262-04-11");
    memcpy(to, &ns, 8);
    return 0;
}

/* ---- text, bytes, keys -------------------------------------------------------------------------------------------- */

int put_bytes(Store *store, uint32_t field, const char *bytes, Py_ssize_t length, unsigned char *to, Py_ssize_t row) {
    const struct field *f = &store->geometry.fields[field];
    if (length > (Py_ssize_t)f->size) {
        raise_field(store, ERROR_FIELD, field, row,
                    "expected at most %u bytes%s, found %zd; shorten it or declare a larger size", f->size,
                    f->kind == KIND_TEXT ? " of UTF-8" : "", length);
        return -1;
    }
    uint16_t stored = (uint16_t)length;
    memcpy(to, bytes, (size_t)length);
    memset(to + length, 0, f->bytes - (size_t)length);
    memcpy(to + f->bytes - 2, &stored, 2);
    return 0;
}

static const char *utf8(Store *store, uint32_t field, PyObject *value, Py_ssize_t *length, Py_ssize_t row) {
    const char *bytes = PyUnicode_AsUTF8AndSize(value, length);
    if (!bytes && PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
        PyErr_Clear();
        raise_field(store, ERROR_FIELD, field, row, "%R cannot be encoded as UTF-8", value);
    }
    return bytes;
}

static int encode_text(Store *store, uint32_t field, PyObject *value, unsigned char *to, Py_ssize_t row) {
    Py_ssize_t length;
    if (!PyUnicode_Check(value)) return wrong_type(store, field, value, row, "a str");
    const char *bytes = utf8(store, field, value, &length, row);
    return bytes ? put_bytes(store, field, bytes, length, to, row) : -1;
}

static int encode_bytes(Store *store, uint32_t field, PyObject *value, unsigned char *to, Py_ssize_t row) {
    Py_buffer view;
    if (PyObject_GetBuffer(value, &view, PyBUF_SIMPLE)) {
        PyErr_Clear();
        return wrong_type(store, field, value, row, "bytes");
    }
    int result = put_bytes(store, field, view.buf, view.len, to, row);
    PyBuffer_Release(&view);
    return result;
}

/* Remember a text's id in this process: in the dict, and by the object's address for the next time. */
static int remember_key(Store *store, PyObject *text, uint32_t id) {
    PyObject *number = PyLong_FromUnsignedLong(id);
    int result = number ? PyDict_SetItem(store->key_ids, text, number) : -1;
    Py_XDECREF(number);
    return result;
}

static int intern_key(Store *store, uint32_t field, PyObject *text, uint32_t *id, Py_ssize_t row) {
    Py_ssize_t length;
    const char *bytes = utf8(store, field, text, &length, row);
    if (!bytes) return -1;
    uint32_t most = store->geometry.fields[field].size;
    if (length > (Py_ssize_t)most) {
        raise_field(store, ERROR_FIELD, field, row,
                    "expected a key of at most %u bytes of UTF-8, found %zd; shorten it or declare Key[n]", most,
                    length);
        return -1;
    }
    PyObject *known = PyDict_GetItemWithError(store->key_ids, text);
    if (known) {
        *id = (uint32_t)PyLong_AsUnsignedLong(known);
        return 0;
    }
    if (PyErr_Occurred() || check_open(store)) return -1;
    enum table_status status;
    BEGIN_EXCLUSIVE(store); /* the table's spare cell belongs to one thread at a time */
    status = store->writable ? table_intern(&store->table, bytes, (size_t)length, id)
                             : table_find(&store->table, bytes, (size_t)length, id);
    END_EXCLUSIVE();
    if (status == TABLE_OK) return remember_key(store, text, *id);
    if (status == TABLE_MISSING)
        raise_error(
            store->state, ERROR_READ_ONLY_STORE,
            "key %R is not in this store, and a store attached for reading cannot add it; attach without read_only",
            text);
    else
        raise_error(store->state, ERROR_KEY_TABLE_FULL,
                    "the key table is full: %R would be one more than the %u keys it was created for; known keys go on "
                    "working; create the store with a larger keys=",
                    text, store->geometry.options.keys);
    return -1;
}

int encode_key(Store *store, uint32_t field, PyObject *text, uint32_t *id, Py_ssize_t row) {
    if (recent_key(store, field, text, id)) return 0;
    if (intern_key(store, field, text, id, row)) return -1;
#ifndef Py_GIL_DISABLED
    size_t at = recent_slot(text);
    PyObject *old = store->recent_keys[at].text;
    store->recent_keys[at].id = *id;
    store->recent_keys[at].text = Py_NewRef(text);
    Py_XDECREF(old);
#endif
    return 0;
}

static int encode_key_value(Store *store, uint32_t field, PyObject *value, unsigned char *to, Py_ssize_t row) {
    uint32_t id;
    if (PyUnicode_Check(value)) {
        if (encode_key(store, field, value, &id, row)) return -1;
    } else if (PyLong_Check(value) && !PyBool_Check(value)) {
        if (check_open(store)) return -1;
        uint32_t count = table_count(&store->table);
        uint64_t number = PyLong_AsUnsignedLongLong(value);
        if ((number == UINT64_MAX && PyErr_Occurred()) || number >= count) {
            PyErr_Clear();
            raise_field(store, ERROR_FIELD, field, row,
                        "%R is no key id; this store has ids below %u: take them from store.key(text)", value, count);
            return -1;
        }
        id = (uint32_t)number;
    } else {
        return wrong_type(store, field, value, row, "a str, or an id from store.key(text)");
    }
    memcpy(to, &id, 4);
    return 0;
}

int encode_value(Store *store, uint32_t field, PyObject *value, unsigned char *to, Py_ssize_t row) {
    switch (store->geometry.fields[field].kind) {
    case KIND_FLOAT32:
    case KIND_FLOAT64: return encode_float(store, field, value, to, row);
    case KIND_KEY: return encode_key_value(store, field, value, to, row);
    case KIND_TIMESTAMP: return encode_timestamp(store, field, value, to, row);
    case KIND_TEXT: return encode_text(store, field, value, to, row);
    case KIND_BYTES: return encode_bytes(store, field, value, to, row);
    case KIND_BOOL: return encode_bool(store, field, value, to, row);
    default: return encode_int(store, field, value, to, row);
    }
}
