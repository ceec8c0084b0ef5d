/* Refusing a value: errors that name the field, what was found and what fits, whatever the value's own code does. */
#include "binding/values/refuse.h"

#include <stdarg.h>
#include <string.h>

/* ---- words -------------------------------------------------------------------------------------------------------- */

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

int raise_record(Store *store, const char *format, ...) {
    PyObject *class = store->state->errors[ERROR_FIELD_TYPE];
    va_list arguments;
    va_start(arguments, format);
    PyObject *message = PyUnicode_FromFormatV(format, arguments);
    va_end(arguments);
    PyObject *error = message ? PyObject_CallFunction(class, "sO", "", message) : NULL;
    if (error) PyErr_SetObject(class, error);
    Py_XDECREF(error);
    Py_XDECREF(message);
    return -1;
}

int raise_unknown_field(Store *store, PyObject *name) {
    PyObject *class = store->state->errors[ERROR_FIELD_TYPE], *text = shown(store->state, name);
    PyObject *hint = text ? PyObject_CallFunctionObjArgs(store->state->near, name, store->names, NULL) : NULL;
    PyObject *message =
        text && hint
            ? PyUnicode_FromFormat(PyObject_IsTrue(hint) ? "field %U is not in the schema (%U); its fields are %R"
                                                         : "field %U is not in the schema%U; its fields are %R",
                                   text, hint, store->names)
            : NULL;
    PyObject *error =
        message ? PyObject_CallFunctionObjArgs(class, PyUnicode_Check(name) ? name : text, message, NULL) : NULL;
    if (error) PyErr_SetObject(class, error);
    Py_XDECREF(error);
    Py_XDECREF(message);
    Py_XDECREF(hint);
    Py_XDECREF(text);
    return -1;
}

/* ---- values that fit no field ------------------------------------------------------------------------------------- */

const char *utf8_of(Store *store, uint32_t field, PyObject *value, Py_ssize_t *length, Py_ssize_t row) {
    const char *bytes = PyUnicode_AsUTF8AndSize(value, length);
    if (!bytes && PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
        PyErr_Clear();
        PyObject *text = shown(store->state, value);
        if (text) raise_field(store, ERROR_FIELD, field, row, "%U cannot be encoded as UTF-8", text);
        Py_XDECREF(text);
    }
    return bytes;
}

int wrong_type(Store *store, uint32_t field, PyObject *value, Py_ssize_t row, const char *expected) {
    PyObject *type = PyType_GetName(Py_TYPE(value)), *text = type ? shown(store->state, value) : NULL;
    if (text)
        raise_field(store, ERROR_FIELD_TYPE, field, row, "expected %s, found %U of type %U", expected, text, type);
    Py_XDECREF(text);
    Py_XDECREF(type);
    return -1;
}

/* Refuse a value whose own code raised an error, which is set. */
int refuse_raised(Store *store, uint32_t field, PyObject *value, Py_ssize_t row, const char *expected) {
    PyObject *cause;
    bool plain = PyErr_ExceptionMatches(PyExc_TypeError); /* it says no more than our own message */
    if (!take_error(&cause)) return -1;
    wrong_type(store, field, value, row, expected);
    if (!plain) raise_from(Py_NewRef(cause));
    Py_DECREF(cause);
    return -1;
}

/* Does a field take this value of another library? If it has a dtype, as NumPy's values have, the dtype's kind decides,
 * for such values would let a date or half a complex number pass for a number. A masked value is a missing one. */
int check_foreign(Store *store, uint32_t field, PyObject *value, Py_ssize_t row, const char *kinds,
                  const char *expected) {
    PyObject *dtype = PyObject_GetAttrString(value, "dtype"), *kind = NULL, *mask = NULL;
    int failed = 0, masked = 0;
    if (dtype) kind = PyObject_GetAttrString(dtype, "kind");
    Py_XDECREF(dtype);
    if (!kind) return drop_error() ? 0 : -1; /* it has no dtype: it turns itself into a number, or fails to */
    if (PyUnicode_Check(kind) && PyUnicode_GetLength(kind) == 1) {
        Py_UCS4 letter = PyUnicode_ReadChar(kind, 0);
        if (letter >= 0x80 || !strchr(kinds, (int)letter)) failed = wrong_type(store, field, value, row, expected);
    }
    Py_DECREF(kind);
    if (failed) return -1;
    mask = PyObject_GetAttrString(value, "mask");
    PyObject *any = mask ? PyObject_CallMethod(mask, "any", NULL) : NULL;
    if (any) masked = PyObject_IsTrue(any);
    Py_XDECREF(any);
    Py_XDECREF(mask);
    if ((!any || masked < 0) && !drop_error()) return -1;
    if (masked > 0) raise_field(store, ERROR_FIELD, field, row, "its value is masked, that is missing; fill it in");
    return masked > 0 ? -1 : 0;
}
