/* What a snapshot or a question is about, and the methods of a store that copy records. */
#ifndef SHMSTORE_BINDING_READING_READ_H
#define SHMSTORE_BINDING_READING_READ_H

#include "binding/store/guard.h"

struct range;
/* The records of some ranges of tickets that match a Program (None or NULL: all of them). */
PyObject *columns_read(Store *store, struct range *ranges, uint32_t range_count, PyObject *program, bool summaries);

/* A list of ranges of the readable tickets of some partitions (None or NULL: all), up to the ticket that `ends` has for
 * each partition (None or NULL: to the tail). Freed by PyMem_Free; NULL with an exception. */
struct range *list_ranges(Store *store, PyObject *partitions, PyObject *ends, uint32_t *count);

#define READING_METHODS(METHOD)                                                                                        \
    METHOD("snapshot", Store_snapshot, KEYWORDS,                                                                       \
           "snapshot($self, partitions=None, program=None, ends=None, summaries=True)\n--\n\n"                         \
           "Copy what is readable now.")                                                                               \
    METHOD("read", Store_read, VARARGS,                                                                                \
           "read($self, partition, first, end, program, summaries)\n--\n\nCopy a range of tickets.")                   \
    METHOD("ranges", Store_ranges, NOARGS,                                                                             \
           "ranges($self)\n--\n\nThe oldest readable ticket and the tail, by partition.")                              \
    METHOD("read_at", Store_read_at, VARARGS,                                                                          \
           "read_at($self, partition, ticket)\n--\n\nThe record of a ticket, or None.")                                \
    METHOD("cursor", Store_cursor, O, "cursor($self, tickets)\n--\n\nFollow these (partition, ticket) pairs.")
READING_METHODS(DECLARE_METHOD)

#endif
