/* The package's errors: finding their classes, raising them, and taking over those of other code. */
#include "binding/module.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

static const char *const error_names[ERROR_COUNT] = {
    "InvalidName",      "InvalidSchema",    "InvalidOption",   "InvalidCapacity",      "InvalidCall",    "NotAStore",
    "WrongKind",        "AbiMismatch",      "DamagedSegment",  "FieldError",           "FieldTypeError", "KeyTableFull",
    "ProcessTableFull", "SeriesTableFull",  "StreamTableFull", "WrongExpectedVersion", "StreamDeleted",  "InvalidEvent",
    "EventTooLarge",    "PartitionStalled", "ReadOnlyStore",   "StoreClosed",          "StoreUnlinked",  "TooManyFiles",
    "SystemRefused",    "AccessDenied",     "NotPicklable"};

int load_errors(struct module_state *state) {
    PyObject *errors = PyImport_ImportModule("shmstore.errors");
    for (int i = 0; errors && i < ERROR_COUNT; i++) {
        state->errors[i] = PyObject_GetAttrString(errors, error_names[i]);
        if (!state->errors[i]) Py_CLEAR(errors);
    }
    Py_XDECREF(errors);
    return errors ? 0 : -1;
}

PyObject *raise_error(struct module_state *state, enum error error, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    PyErr_FormatV(state->errors[error], format, arguments);
    va_end(arguments);
    return NULL;
}

PyObject *raise_error_of(struct module_state *state, enum error error, PyObject *values) {
    if (values) PyErr_SetObject(state->errors[error], values);
    Py_XDECREF(values);
    return NULL;
}

bool drop_error(void) {
    if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_Exception)) return false;
    PyErr_Clear();
    return true;
}

PyObject *raise_system_error(struct module_state *state, const char *what) {
    if (errno == ENOMEM) return PyErr_NoMemory();
    if (errno == EACCES || errno == EPERM)
        return raise_error(
            state, ERROR_ACCESS_DENIED,
            "uid %ld may not open the segment for writing, which %s needs; append once before rights are "
            "dropped, or create the store with another mode= or group=",
            (long)geteuid(), what);
    if (errno != EMFILE && errno != ENFILE)
        return raise_error(
            state, ERROR_SYSTEM_REFUSED,
            "%s failed: %s; a store needs /proc (of this process), byte locks of descriptors (Linux 3.15) and "
            "memory that a fork wipes (Linux 4.14); shmstore-inspect doctor says what is missing here",
            what, strerror(errno));
    return raise_error(state, ERROR_TOO_MANY_FILES,
                       "too many open files: %s needs one more; close some, or raise the limit (ulimit -n)", what);
}

bool take_error(PyObject **cause) {
    PyObject *type, *trace;
    if (!PyErr_ExceptionMatches(PyExc_Exception) || PyErr_ExceptionMatches(PyExc_MemoryError)) return false;
    PyErr_Fetch(&type, cause, &trace);
    PyErr_NormalizeException(&type, cause, &trace);
    if (trace) PyException_SetTraceback(*cause, trace);
    Py_XDECREF(type);
    Py_XDECREF(trace);
    return true;
}

void raise_from(PyObject *cause) {
    PyObject *type, *error, *trace;
    PyErr_Fetch(&type, &error, &trace);
    PyErr_NormalizeException(&type, &error, &trace);
    if (error) PyException_SetCause(error, cause);
    else Py_DECREF(cause);
    PyErr_Restore(type, error, trace);
}

PyObject *shown(struct module_state *state, PyObject *value) {
    return PyObject_CallFunctionObjArgs(state->shown, value, NULL);
}
