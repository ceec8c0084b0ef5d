/* Refusing a value: errors that name the field and the record. */
#ifndef SHMSTORE_BINDING_VALUES_REFUSE_H
#define SHMSTORE_BINDING_VALUES_REFUSE_H

#include "binding/store/store.h"

/* `row`: which record of a batch an error is about; -1 for a single append. */
PyObject *raise_field(Store *store, enum error error, uint32_t field, Py_ssize_t row, const char *format, ...);
/* An error about a whole record or table, which names no field. Returns -1. */
int raise_record(Store *store, const char *format, ...);
int raise_unknown_field(Store *store, PyObject *name);
const char *utf8_of(Store *store, uint32_t field, PyObject *value, Py_ssize_t *length, Py_ssize_t row);
int wrong_type(Store *store, uint32_t field, PyObject *value, Py_ssize_t row, const char *expected);
/* Refuse a value whose own code raised the error that is set. Returns -1. */
int refuse_raised(Store *store, uint32_t field, PyObject *value, Py_ssize_t row, const char *expected);
/* If a value has a dtype, as NumPy's values have, its kind must be one of these letters. 0, or -1 with an exception. */
int check_foreign(Store *store, uint32_t field, PyObject *value, Py_ssize_t row, const char *kinds,
                  const char *expected);

#endif
