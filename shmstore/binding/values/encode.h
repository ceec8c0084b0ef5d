/* From Python's values to staged ones. A staged record is a private copy of one record: field i at
 * geometry.fields[i].offset. */
#ifndef SHMSTORE_BINDING_VALUES_ENCODE_H
#define SHMSTORE_BINDING_VALUES_ENCODE_H

#include "binding/values/keys.h"

/* Translate one value into its place `to` (geometry.fields[field].bytes). Returns 0, or -1 with an exception. */
int encode_value(Store *store, uint32_t field, PyObject *value, unsigned char *to, struct staging *staging);
int put_bytes(Store *store, uint32_t field, const char *bytes, Py_ssize_t length, unsigned char *to, Py_ssize_t row);
/* Find a field by name; -1 without an exception when there is none. */
int field_index(Store *store, PyObject *name);

/* Stage a record given as a tuple of all fields in order, or as anything that the schema's values_of makes one of. */
int stage_record(Store *store, PyObject *given, unsigned char *record, struct staging *staging);
/* What stands for a field that a record leaves out: nothing (refused), the time of the append, or the declared default. */
enum left_out { LEFT_REFUSED, LEFT_NOW, LEFT_DEFAULT };
enum left_out left_out(const Store *store, uint32_t field);
/* The declared default of a field: a value, or what makes one; NULL when there is none. */
PyObject *default_of(const Store *store, uint32_t field);
int put_default(Store *store, uint32_t field, unsigned char *to, struct staging *staging);

#endif
