/* Appending: one staged record, and the methods of a store that append. */
#ifndef SHMSTORE_BINDING_APPENDING_APPEND_H
#define SHMSTORE_BINDING_APPENDING_APPEND_H

#include "binding/store/guard.h"
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

#define APPENDING_METHODS(METHOD)                                                                                      \
    METHOD(                                                                                                            \
        "append", Store_append, FASTCALL_KEYWORDS,                                                                     \
        "append($self, record=None, /, *, partition=None, **fields)\n--\n\nAppend one record, given by its fields or " \
        "as a record; a Timestamp left out is now. Returns its position.")                                             \
    METHOD("appender", Store_appender, KEYWORDS,                                                                       \
           "appender($self, names, partition=None)\n--\n\nA fast callable that takes exactly these fields.")           \
    METHOD("append_rows", Store_append_rows, KEYWORDS,                                                                 \
           "append_rows($self, rows, partition=None)\n--\n\nAppend records; all are checked first.")                   \
    METHOD("append_columns", Store_append_columns, KEYWORDS,                                                           \
           "append_columns($self, columns, partition=None)\n--\n\n"                                                    \
           "Append columns of equal length; all are checked first.")                                                   \
    METHOD("append_arrow", Store_append_arrow, KEYWORDS,                                                               \
           "append_arrow($self, capsules, partition=None)\n--\n\nAppend a table of Arrow's; all is checked first.")
APPENDING_METHODS(DECLARE_METHOD)
extern PyType_Spec appender_spec;

/* Memory for one staged record: the caller's stack, or the heap for large ones. Gaps between fields are zeroed, because the
 * core copies them too, and other memory of this process must not get into the segment. */
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
