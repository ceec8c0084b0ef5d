/* Appending: one staged record, many, and the methods of a store that do. */
#ifndef SHMSTORE_BINDING_APPENDING_APPEND_H
#define SHMSTORE_BINDING_APPENDING_APPEND_H

#include "binding/values/encode.h"

#include <string.h>

/* Append a staged record whose fields are complete, but for the ids of new keys. `now` is the time of the append, read
 * once by the caller; `wish` is a partition or BY_RULE. Returns the position. */
PyObject *append_staged(Store *store, unsigned char *record, PyObject *new_keys, int64_t wish, int64_t now);
/* 0 when the store's rule can choose a partition if none is wished for, else -1 with an exception. */
int check_wish(Store *store, int64_t wish);
/* The partition argument of a call: an int in range, or BY_RULE for None and NULL. 0, or -1 with an exception. */
int partition_argument(Store *store, PyObject *partition, int64_t *wish);
/* 0 when an append may begin (open, writable, linked, entered), else -1 with an exception. */
int check_appendable(Store *store);
/* Tell the callbacks, after the record is published. Returns 0, or -1 with an exception that is to be passed on. */
int call_back(Store *store, const struct appended *appended, const unsigned char *discarded);
PyObject *raise_append(Store *store, enum append_status status, uint32_t partition, Py_ssize_t done);

/* ---- methods of a store ---- */
PyObject *Store_append(PyObject *self, PyObject *const *values, Py_ssize_t count, PyObject *names);
PyObject *Store_appender(PyObject *self, PyObject *arguments, PyObject *keywords);
PyObject *Store_append_rows(PyObject *self, PyObject *arguments, PyObject *names);
PyObject *Store_append_columns(PyObject *self, PyObject *arguments, PyObject *names);
PyObject *Store_append_arrow(PyObject *self, PyObject *arguments, PyObject *names);
extern PyType_Spec appender_spec;

/* Memory for one staged record: the caller's stack, or the heap for large ones. Gaps between fields are zero, for the core copies
 * them as well, and what else this memory held is nobody's business. */
enum { STAGE_WORDS = 64 };
static inline unsigned char *stage(const Store *store, uint64_t *stack) {
    const uint64_t bytes = store->handle.geometry.record_bytes;
    unsigned char *record = bytes <= STAGE_WORDS * 8 ? (unsigned char *)stack : PyMem_Malloc(bytes);
    if (record && store->has_gaps) memset(record, 0, bytes);
    return record;
}
static inline void unstage(unsigned char *record, uint64_t *stack) {
    if (record && record != (unsigned char *)stack) PyMem_Free(record);
}

#endif
