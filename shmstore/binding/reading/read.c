/* Reading: which tickets are asked about, and their records as Columns or as one record. */
#include "binding/reading/read.h"
#include "binding/values/decode.h"
#include "binding/reading/columns.h"
#include "binding/appending/append.h"

#include "core/questions/scan.h"

/* A question ends where the tail was when it was asked. When the ring has moved on by an eighth since then, little or
 * nothing of that may be left, so the question is about what is there now. */
static bool has_moved_on(const struct geometry *g, uint64_t end, uint64_t tail) {
    return tail > g->slots && tail - end > g->slots / 8;
}

/* An argument that must name one partition. 0, or -1 with an exception. */
static int one_partition(Store *store, PyObject *argument, uint32_t *partition) {
    int64_t wish;
    if (partition_argument(store, argument, &wish)) return -1;
    *partition = (uint32_t)wish;
    if (wish != BY_RULE) return 0;
    PyErr_SetString(PyExc_TypeError, "expected the number of a partition, found None");
    return -1;
}

struct range *list_ranges(Store *store, PyObject *partitions, PyObject *ends, uint32_t *count) {
    PyObject *chosen = partitions && partitions != Py_None ? PySequence_List(partitions) : NULL;
    if (PyErr_Occurred()) return NULL;
    *count = chosen ? (uint32_t)PyList_Size(chosen) : store->handle.geometry.options.partitions;
    struct range *ranges = PyMem_Calloc((size_t)*count + 1, sizeof *ranges);
    if (!ranges) PyErr_NoMemory();
    for (uint32_t i = 0; ranges && i < *count && !PyErr_Occurred(); i++) {
        uint32_t partition = i;
        if (chosen && one_partition(store, PyList_GetItem(chosen, (Py_ssize_t)i), &partition)) break;
        ranges[i] = scan_range(&store->handle.ring, partition);
        if (!ends || ends == Py_None) continue;
        PyObject *end = PySequence_GetItem(ends, (Py_ssize_t)partition);
        unsigned long long ticket = end ? PyLong_AsUnsignedLongLong(end) : 0;
        Py_XDECREF(end);
        if (ticket < ranges[i].end && !has_moved_on(&store->handle.geometry, ticket, ranges[i].end))
            ranges[i].end = ticket;
    }
    Py_XDECREF(chosen);
    if (!PyErr_Occurred()) return ranges;
    PyMem_Free(ranges);
    return NULL;
}

PyObject *Store_snapshot(PyObject *self, PyObject *arguments, PyObject *keywords) {
    static char *const known[] = {"partitions", "program", "ends", "summaries", NULL};
    Store *store = (Store *)self;
    PyObject *partitions = NULL, *program = NULL, *ends = NULL;
    int summaries = 1;
    uint32_t count;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|OOOp:snapshot", (char **)(uintptr_t)known, &partitions,
                                     &program, &ends, &summaries) ||
        check_open(store))
        return NULL;
    struct range *ranges = list_ranges(store, partitions, ends, &count);
    PyObject *columns = ranges ? columns_read(store, ranges, count, program, summaries != 0) : NULL;
    PyMem_Free(ranges);
    return columns;
}

PyObject *Store_read(PyObject *self, PyObject *arguments) {
    Store *store = (Store *)self;
    unsigned long long first, end;
    PyObject *number, *program;
    uint32_t partition;
    int summaries;
    if (!PyArg_ParseTuple(arguments, "OKKOp:read", &number, &first, &end, &program, &summaries)) return NULL;
    if (one_partition(store, number, &partition) || check_open(store)) return NULL;
    struct range range = scan_range(&store->handle.ring, partition);
    if (first > range.next) range.next = first;
    if (end < range.end) range.end = end;
    return columns_read(store, &range, 1, program, summaries != 0);
}

PyObject *Store_ranges(PyObject *self, PyObject *unused) {
    (void)unused;
    Store *store = (Store *)self;
    if (check_open(store)) return NULL;
    PyObject *list = PyList_New(0);
    for (uint32_t i = 0; list && i < store->handle.geometry.options.partitions; i++) {
        struct range range = scan_range(&store->handle.ring, i);
        PyObject *pair = Py_BuildValue("(KK)", (number)range.next, (number)range.end);
        if (!pair || PyList_Append(list, pair)) Py_CLEAR(list);
        Py_XDECREF(pair);
    }
    return list;
}

PyObject *Store_read_at(PyObject *self, PyObject *arguments) {
    Store *store = (Store *)self;
    unsigned long long ticket;
    PyObject *number;
    uint32_t partition;
    if (!PyArg_ParseTuple(arguments, "OK:read_at", &number, &ticket)) return NULL;
    if (one_partition(store, number, &partition) || check_open(store)) return NULL;
    if (ticket >= load_acquire(&ring_partition(&store->handle.ring, partition)->tail)) Py_RETURN_NONE;
    unsigned char *record = PyMem_Malloc(store->handle.geometry.record_bytes);
    if (!record) return PyErr_NoMemory();
    struct destination to = {.room = 1};
    for (uint32_t i = 0; i < store->handle.geometry.options.field_count; i++)
        to.columns[i] = record + store->handle.geometry.fields[i].offset;
    uint64_t next = ticket;
    ring_read(&store->handle.ring, partition, &next, ticket + 1, false, &to, &no_gaps);
    PyObject *result = to.row ? decode_staged(store, record) : Py_NewRef(Py_None);
    PyMem_Free(record);
    return result;
}
