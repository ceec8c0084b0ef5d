/* What a snapshot or a question is about, and the methods of a store that copy records. */
#ifndef SHMSTORE_BINDING_READING_READ_H
#define SHMSTORE_BINDING_READING_READ_H

#include "binding/store/store.h"

struct range;
/* The records of some ranges of tickets for which a Program (None or NULL: any) says so. */
PyObject *columns_read(Store *store, struct range *ranges, uint32_t range_count, PyObject *program, bool summaries);

/* A list of ranges of the readable tickets, of some partitions (None or NULL: all), up to the tickets `ends` of each
 * partition (None or NULL: all). Freed by PyMem_Free; NULL with an exception. */
struct range *list_ranges(Store *store, PyObject *partitions, PyObject *ends, uint32_t *count);

/* ---- methods of a store ---- */
PyObject *Store_snapshot(PyObject *self, PyObject *arguments, PyObject *keywords);
PyObject *Store_read(PyObject *self, PyObject *arguments);
PyObject *Store_read_at(PyObject *self, PyObject *arguments);
PyObject *Store_ranges(PyObject *self, PyObject *unused);
PyObject *Store_cursor(PyObject *self, PyObject *tickets);

#endif
