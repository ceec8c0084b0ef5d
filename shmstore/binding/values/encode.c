/* Python values to staged bytes, with errors that name the field, what was found and what fits. */
#include "binding/values/encode.h"
#include "binding/values/refuse.h"

#include <string.h>

int field_index(Store *store, PyObject *name) {
    uint32_t count = store->handle.geometry.options.field_count;
    for (uint32_t i = 0; i < count; i++) /* call sites pass interned names: mostly the same object */
        if (PyTuple_GetItem(store->names, (Py_ssize_t)i) == name) return (int)i;
    for (uint32_t i = 0; i < count; i++)
        if (PyUnicode_Check(name) && !PyUnicode_Compare(PyTuple_GetItem(store->names, (Py_ssize_t)i), name))
            return (int)i;
    return -1;
}

/* ---- numbers ------------------------------------------------------------------------------------------------------ */

static const char *const expected_ints[KIND_END] = {
    [KIND_INT8] = "an int from -128 to 127",
    [KIND_INT16] = "an int from -32768 to 32767",
    [KIND_INT32] = "an int from -2**31 to 2**31 - 1",
    [KIND_INT64] = "an int from -2**63 to 2**63 - 1",
    [KIND_UINT8] = "an int from 0 to 255",
    [KIND_UINT16] = "an int from 0 to 65535",
    [KIND_UINT32] = "an int from 0 to 2**32 - 1",
    [KIND_UINT64] = "an int from 0 to 2**64 - 1",
    [KIND_TIMESTAMP] = "nanoseconds since 1970 as an int, or a datetime with a zone",
};

static int out_of_range(Store *store, uint32_t field, PyObject *value, Py_ssize_t row, const char *expected) {
    PyErr_Clear();
    PyObject *text = shown(store->state, value);
    if (text) raise_field(store, ERROR_FIELD, field, row, "expected %s, found %U", expected, text);
    Py_XDECREF(text);
    return -1;
}

static int encode_int(Store *store, uint32_t field, PyObject *value, unsigned char *to, Py_ssize_t row) {
    uint32_t kind = store->handle.geometry.fields[field].kind;
    if (!PyLong_Check(value)) {
        if (check_foreign(store, field, value, row, "iu", expected_ints[kind])) return -1;
        PyObject *integer = PyNumber_Index(value); /* NumPy's integers and their like */
        if (!integer) return refuse_raised(store, field, value, row, expected_ints[kind]);
        int result = encode_int(store, field, integer, to, row);
        Py_DECREF(integer);
        return result;
    }
    if (kind == KIND_UINT64) {
        uint64_t wide = PyLong_AsUnsignedLongLong(value);
        if (wide == UINT64_MAX && PyErr_Occurred()) return out_of_range(store, field, value, row, expected_ints[kind]);
        memcpy(to, &wide, 8);
        return 0;
    }
    int64_t number = PyLong_AsLongLong(value);
    if ((number == -1 && PyErr_Occurred()) || number < kind_ranges[kind].least ||
        (number > 0 && (uint64_t)number > kind_ranges[kind].most))
        return out_of_range(store, field, value, row, expected_ints[kind]);
    memcpy(to, &number,
           store->handle.geometry.fields[field].bytes); /* little end first: checked at compile time below */
    return 0;
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "integers are narrowed by copying their first bytes");

static int encode_float(Store *store, uint32_t field, PyObject *value, unsigned char *to, Py_ssize_t row) {
    static const char fits[] = "a number that fits a float";
    bool plain = PyFloat_Check(value) || PyLong_Check(value);
    if (!plain && check_foreign(store, field, value, row, "fiub", "a float")) return -1;
    double number = PyFloat_AsDouble(value);
    if (number == -1.0 && PyErr_Occurred()) {
        if (PyErr_ExceptionMatches(PyExc_OverflowError)) return out_of_range(store, field, value, row, fits);
        return refuse_raised(store, field, value, row, "a float");
    }
    if (!plain && __builtin_isinf(number)) { /* a larger type's number may have become an infinity in silence */
        PyObject *infinity = PyFloat_FromDouble(number);
        int same = infinity ? PyObject_RichCompareBool(value, infinity, Py_EQ) : -1;
        Py_XDECREF(infinity);
        if (same < 0) return refuse_raised(store, field, value, row, fits);
        if (!same) return out_of_range(store, field, value, row, fits);
    }
    if (store->handle.geometry.fields[field].kind == KIND_FLOAT64) {
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
    static const char expected[] = "True or False";
    int truth = value == Py_True;
    if (!truth && value != Py_False) {
        PyObject *dtype = PyObject_GetAttrString(value, "dtype"); /* NumPy's bool */
        if (!dtype) return refuse_raised(store, field, value, row, expected);
        Py_DECREF(dtype);
        if (check_foreign(store, field, value, row, "b", expected)) return -1;
        truth = PyObject_IsTrue(value);
        if (truth < 0) return refuse_raised(store, field, value, row, expected);
    }
    *to = (unsigned char)truth;
    return 0;
}

/* A datetime of another library's making, or NumPy's. */
static int encode_moment(Store *store, uint32_t field, PyObject *value, unsigned char *to, Py_ssize_t row) {
    static const char expected[] = "a datetime from 1677-09-21 to 2262-04-11";
    PyObject *cause, *ns = PyObject_CallFunctionObjArgs(store->state->moment_ns, value, NULL);
    if (ns) {
        int64_t number = ns == Py_None ? 0 : PyLong_AsLongLong(ns);
        bool fits = !PyErr_Occurred(), none = ns == Py_None;
        Py_DECREF(ns);
        if (none) return encode_int(store, field, value, to, row);
        if (!fits) return out_of_range(store, field, value, row, expected);
        memcpy(to, &number, 8);
        return 0;
    }
    if (!take_error(&cause)) return -1;
    PyObject *why = PyObject_Str(cause), *text = why ? shown(store->state, value) : NULL;
    if (text) {
        raise_field(store, ERROR_FIELD, field, row, "%U %U", text, why);
        raise_from(Py_NewRef(cause));
    }
    Py_XDECREF(text);
    Py_XDECREF(why);
    Py_DECREF(cause);
    return -1;
}

static int encode_timestamp(Store *store, uint32_t field, PyObject *value, unsigned char *to, Py_ssize_t row) {
    if (value == Py_None) {
        int64_t now = now_ns();
        memcpy(to, &now, 8);
        return 0;
    }
    if (PyLong_Check(value)) return encode_int(store, field, value, to, row);
    if (Py_TYPE(value) != (PyTypeObject *)store->state->datetime_type)
        return encode_moment(store, field, value, to, row);
    PyObject *since = PyNumber_Subtract(value, store->state->unix_epoch);
    if (!since) /* without a zone, or with one that raises */
        return drop_error() ? encode_moment(store, field, value, to, row) : -1;
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
    const struct field *f = &store->handle.geometry.fields[field];
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

static int encode_text(Store *store, uint32_t field, PyObject *value, unsigned char *to, Py_ssize_t row) {
    Py_ssize_t length;
    if (!PyUnicode_Check(value)) return wrong_type(store, field, value, row, "a str");
    const char *bytes = utf8_of(store, field, value, &length, row);
    return bytes ? put_bytes(store, field, bytes, length, to, row) : -1;
}

static int encode_bytes(Store *store, uint32_t field, PyObject *value, unsigned char *to, Py_ssize_t row) {
    static const char expected[] = "bytes";
    Py_buffer view;
    if (PyUnicode_Check(value)) return wrong_type(store, field, value, row, expected); /* NumPy's text has a buffer */
    if (PyObject_GetBuffer(value, &view, PyBUF_ND)) return refuse_raised(store, field, value, row, expected);
    /* A number of NumPy's has a buffer too, and is not its bytes. */
    int result =
        PyBytes_Check(value) ? 0 : check_foreign(store, field, value, row, view.ndim ? "SVbiuf" : "SV", expected);
    if (!result) result = put_bytes(store, field, view.buf, view.len, to, row);
    PyBuffer_Release(&view);
    return result;
}

int encode_value(Store *store, uint32_t field, PyObject *value, unsigned char *to, struct staging *staging) {
    Py_ssize_t row = staging->row;
    switch (store->handle.geometry.fields[field].kind) {
    case KIND_FLOAT32:
    case KIND_FLOAT64: return encode_float(store, field, value, to, row);
    case KIND_KEY: return encode_key_value(store, field, value, to, staging);
    case KIND_TIMESTAMP: return encode_timestamp(store, field, value, to, row);
    case KIND_TEXT: return encode_text(store, field, value, to, row);
    case KIND_BYTES: return encode_bytes(store, field, value, to, row);
    case KIND_BOOL: return encode_bool(store, field, value, to, row);
    default: return encode_int(store, field, value, to, row);
    }
}
