/* Columns: records copied out of a store into private contiguous arrays, and the gaps among them. */
#include "binding/questions/questions.h"
#include "binding/reading/columns.h"
#include "binding/reading/read.h"
#include "binding/store/guard.h"
#include "binding/tables/tables.h"
#include "binding/values/decode.h"

#include "core/base/buffer.h"
#include "core/base/nontemporal.h"
#include "core/questions/scan.h"

#include <stdlib.h>
#include <string.h>

#define STREAM_BYTES ((size_t)16 << 20) /* a larger copy does not fit into the caches beside its source */

/* ---- memory ------------------------------------------------------------------------------------------------------- */

Columns *new_columns(Store *store, uint64_t room) {
    const struct geometry *g = &store->handle.geometry;
    Columns *columns = (Columns *)PyType_GenericAlloc(store->state->types[TYPE_COLUMNS], 0);
    if (!columns) return NULL;
    columns->store = (Store *)Py_NewRef((PyObject *)store);
    size_t offsets[MAX_FIELDS], bytes = 0;
    for (uint32_t i = 0; i < g->options.field_count; i++) {
        offsets[i] = bytes;
        bytes += (room * g->fields[i].bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    }
    columns->memory = buffer_take(&bytes);
    columns->bytes = bytes;
    if (!columns->memory) {
        Py_DECREF(columns);
        PyErr_NoMemory();
        return NULL;
    }
    for (uint32_t i = 0; i < g->options.field_count; i++) columns->base[i] = columns->memory + offsets[i];
    return columns;
}

static void columns_dealloc(PyObject *self) {
    Columns *columns = (Columns *)self;
    PyObject_GC_UnTrack(self);
    buffer_give(columns->memory, columns->bytes);
    free(columns->gaps.gaps);
    Py_XDECREF((PyObject *)columns->store);
    free_object(self);
}

static int columns_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT((PyObject *)((Columns *)self)->store);
    return 0;
}

/* ---- snapshot ----------------------------------------------------------------------------------------------------- */

void move_row(const struct geometry *g, unsigned char *const *to_base, uint64_t to, unsigned char *const *from_base,
              uint64_t from) {
    for (uint32_t i = 0; i < g->options.field_count; i++) {
        size_t bytes = g->fields[i].bytes;
        memcpy(to_base[i] + to * bytes, from_base[i] + from * bytes, bytes);
    }
}

enum copy_status { COPY_DONE, COPY_NO_MEMORY, COPY_DAMAGED, COPY_OVERFLOW };

struct copy {
    Columns *columns;
    const struct program *program; /* NULL: every record is wanted */
    bool summaries;                /* with a program: summaries may show that nothing in a block matches */
    bool streams;                  /* see nontemporal.h */
    void *scratch;
};

/* Keep the matching ones of rows [first, end). Returns the new end, or UINT64_MAX when integer arithmetic left 64 bits. */
static uint64_t keep_matching(const struct copy *copy, uint64_t first, uint64_t end) {
    const struct geometry *g = &copy->columns->store->handle.geometry;
    unsigned char *const *base = copy->columns->base;
    struct batch batch = {.rows = (uint32_t)(end - first)};
    struct found found;
    for (uint32_t i = 0; i < g->options.field_count; i++) batch.columns[i] = base[i] + first * g->fields[i].bytes;
    if (program_run(copy->program, g, &batch, NULL, copy->scratch, &found) != PROGRAM_OK) return UINT64_MAX;
    if (!found.mask || found.matched == batch.rows) return end;
    uint64_t kept = first;
    for (uint64_t row = first; row < end; row++) {
        if (!found.mask[row - first]) continue;
        if (kept != row) move_row(g, base, kept, base, row);
        kept++;
    }
    return kept;
}

/* Copy one range, up to `room` rows in all. range->next moves past what was looked at. */
static enum copy_status copy_range(struct copy *copy, struct range *range, uint64_t room) {
    Columns *columns = copy->columns;
    const struct ring *ring = &columns->store->handle.ring;
    const struct gap_sink sink = {gap_list_report, &columns->gaps};
    struct destination to = {.streams = copy->streams};
    memcpy(to.columns, columns->base, sizeof to.columns);
    while (range->next < range->end && columns->rows < room) {
        uint64_t end = copy->summaries ? scan_pass_over(ring, copy->program, range) : range->end;
        to.row = columns->rows;
        to.room = copy->program && room - to.row > BATCH_ROWS ? to.row + BATCH_ROWS : room;
        uint64_t before = range->next;
        enum read_status status = ring_read(ring, range->partition, &range->next, end, false, &to, &sink);
        if (status == READ_DAMAGED) return COPY_DAMAGED;
        if (range->next == before && before < end) return COPY_NO_MEMORY; /* for the list of gaps */
        columns->rows = copy->program ? keep_matching(copy, columns->rows, to.row) : to.row;
        if (columns->rows == UINT64_MAX) return COPY_OVERFLOW;
    }
    if (copy->streams) stream_end();
    return COPY_DONE;
}

PyObject *columns_read(Store *store, struct range *ranges, uint32_t range_count, PyObject *program, bool summaries) {
    uint64_t room = 0;
    for (uint32_t i = 0; i < range_count; i++)
        room += ranges[i].end > ranges[i].next ? ranges[i].end - ranges[i].next : 0;
    struct copy copy = {.program = NULL};
    if (program && program != Py_None) {
        copy.program = program_argument(store->state, program, &store->handle.geometry);
        if (!copy.program) return NULL;
        if (!copy.program->filters) copy.program = NULL;
        copy.summaries = copy.program && summaries;
    }
    void *memory = copy.program ? PyMem_Malloc(program_scratch_bytes(copy.program) + CACHE_LINE) : NULL;
    if (copy.program && !memory) return PyErr_NoMemory();
    copy.scratch = (void *)(((uintptr_t)memory + CACHE_LINE - 1) & ~(uintptr_t)(CACHE_LINE - 1));
    copy.streams = !copy.program && room >= STREAM_BYTES / store->handle.geometry.record_bytes;
    copy.columns = new_columns(store, room);
    enum copy_status status = COPY_DONE;
    if (copy.columns) {
        Py_BEGIN_ALLOW_THREADS;
        for (uint32_t i = 0; i < range_count && status == COPY_DONE; i++) status = copy_range(&copy, &ranges[i], room);
        Py_END_ALLOW_THREADS;
        if (status == COPY_DONE && load_keys(store)) Py_CLEAR(copy.columns);
    }
    PyMem_Free(memory);
    if (!copy.columns || status == COPY_DONE) return (PyObject *)copy.columns;
    Py_DECREF(copy.columns);
    if (status == COPY_NO_MEMORY) return PyErr_NoMemory();
    if (status == COPY_OVERFLOW) return raise_overflow(store->state, program);
    return raise_error(store->state, ERROR_DAMAGED_SEGMENT,
                       "a slot word contradicts its partition's tail: the segment was overwritten from outside; run "
                       "'shmstore-inspect check'");
}

/* ---- rows --------------------------------------------------------------------------------------------------------- */

static Py_ssize_t columns_length(PyObject *self) { return (Py_ssize_t)((Columns *)self)->rows; }

static PyObject *columns_item(PyObject *self, Py_ssize_t row) {
    Columns *columns = (Columns *)self;
    if (row >= 0 && (uint64_t)row < columns->rows)
        return decode_row(columns->store, columns->base, (uint64_t)row, false);
    return PyErr_Format(PyExc_IndexError, "row %zd of %llu", row, (unsigned long long)columns->rows);
}

/* A list of `count` objects, made while the cycle collector is off: it would look at all of them again and again. The list
 * is hidden until it is full, for making an object may run other code, and that may ask the collector for all lists. */
static PyObject *make_list(uint64_t count, PyObject *(*make)(void *context, uint64_t at), void *context) {
    int collecting = PyGC_Disable();
    PyObject *list = PyList_New((Py_ssize_t)count);
    if (list) PyObject_GC_UnTrack(list);
    for (uint64_t i = 0; list && i < count; i++) {
        PyObject *item = make(context, i);
        if (!item) Py_CLEAR(list);
        else PyList_SetItem(list, (Py_ssize_t)i, item);
    }
    if (list) PyObject_GC_Track(list);
    if (collecting) PyGC_Enable();
    return list;
}

struct row_maker {
    Columns *columns;
    uint64_t start;
    bool plain;
    uint32_t field;
};
static PyObject *make_row(void *context, uint64_t at) {
    const struct row_maker *maker = context;
    return decode_row(maker->columns->store, maker->columns->base, maker->start + at, maker->plain);
}
static PyObject *make_value(void *context, uint64_t at) {
    const struct row_maker *maker = context;
    Store *store = maker->columns->store;
    return decode_value(store, maker->field,
                        maker->columns->base[maker->field] + at * store->handle.geometry.fields[maker->field].bytes);
}

static PyObject *columns_rows(PyObject *self, PyObject *arguments, PyObject *keywords) {
    static char *const known[] = {"start", "stop", "plain", NULL};
    Columns *columns = (Columns *)self;
    Py_ssize_t start = 0, stop = (Py_ssize_t)columns->rows;
    PyObject *last = NULL;
    int plain = 0;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|nO$p:rows", (char **)(uintptr_t)known, &start, &last,
                                     &plain))
        return NULL;
    if (last && last != Py_None) {
        stop = PyNumber_AsSsize_t(last, NULL);
        if (stop == -1 && PyErr_Occurred()) return NULL;
    }
    if (start < 0) start = 0;
    if (stop > (Py_ssize_t)columns->rows) stop = (Py_ssize_t)columns->rows;
    struct row_maker maker = {.columns = columns, .start = (uint64_t)start, .plain = plain != 0};
    return make_list(stop > start ? (uint64_t)(stop - start) : 0, make_row, &maker);
}

int field_argument(const Store *store, PyObject *argument, uint32_t *field) {
    const long number = PyLong_AsLong(argument);
    if (number == -1 && PyErr_Occurred()) return -1;
    *field = (uint32_t)number;
    if (number >= 0 && number < (long)store->handle.geometry.options.field_count) return 0;
    PyErr_Format(PyExc_IndexError, "field %ld of %u", number, store->handle.geometry.options.field_count);
    return -1;
}

static PyObject *columns_values(PyObject *self, PyObject *argument) {
    struct row_maker maker = {.columns = (Columns *)self};
    if (field_argument(maker.columns->store, argument, &maker.field)) return NULL;
    return make_list(maker.columns->rows, make_value, &maker);
}

static PyObject *columns_gaps(PyObject *self, PyObject *unused) {
    (void)unused;
    Columns *columns = (Columns *)self;
    return gap_list_objects(columns->store->state, &columns->gaps);
}

static PyObject *columns_keys(PyObject *self, PyObject *unused) {
    (void)unused;
    PyObject *texts = ((Columns *)self)->store->key_texts, *keys = PyList_New(0), *lost = PyUnicode_FromString("");
    for (Py_ssize_t id = 0; keys && lost && id < PyList_Size(texts); id++) {
        PyObject *text = PyList_GetItem(texts, id);
        if (PyList_Append(keys, text == Py_None ? lost : text)) Py_CLEAR(keys);
    }
    Py_XDECREF(lost);
    return keys;
}

static PyObject *columns_iter(PyObject *self) { return columns_iterate((Columns *)self, false); }

static PyObject *columns_iter_plain(PyObject *self, PyObject *unused) {
    (void)unused;
    return columns_iterate((Columns *)self, true);
}

static PyMethodDef columns_methods[] = {
    {"iter_plain", columns_iter_plain, METH_NOARGS, "iter_plain($self)\n--\n\nIterate over the rows as plain tuples."},
    {"rows", (PyCFunction)(void (*)(void))columns_rows, METH_VARARGS | METH_KEYWORDS,
     "rows($self, start=0, stop=None, *, plain=False)\n--\n\nRecords [start, stop) as the store's record type, or as "
     "plain tuples."},
    {"column", Columns_column, METH_O, "column($self, field)\n--\n\nA read-only memoryview of one field's array."},
    {"values", columns_values, METH_O, "values($self, field)\n--\n\nOne field as a list of Python values."},
    {"dictionary", Columns_dictionary, METH_O,
     "dictionary($self, field)\n--\n\nThe texts of all keys by id; None for a lost one."},
    {"ragged", Columns_ragged, METH_O,
     "ragged($self, field)\n--\n\nText or bytes as (offsets, data); None when a text is not UTF-8."},
    {"take", Columns_take, METH_O, "take($self, rows)\n--\n\nNew Columns of these rows, in this order."},
    {"keep", Columns_keep, METH_O, "keep($self, mask)\n--\n\nNew Columns of the rows whose byte in `mask` is not 0."},
    {"keys", columns_keys, METH_NOARGS, "keys($self)\n--\n\nEvery key that a row may name, by its id."},
    {"order_by", Columns_order_by, METH_O,
     "order_by($self, field)\n--\n\nNew Columns ordered by a numeric field; stable."},
    QUESTION_METHODS(FUNCTION_ROW){"gaps", columns_gaps, METH_NOARGS,
                                   "gaps($self)\n--\n\nTicket ranges that are not here, with the reason."},
    NOT_PICKLED,
    {NULL, NULL, 0, NULL},
};

PyType_Spec columns_spec = {
    .name = "shmstore._core.Columns",
    .basicsize = sizeof(Columns),
    .flags = RESULT_FLAGS_GC,
    .slots = (PyType_Slot[]){{Py_tp_dealloc, columns_dealloc},
                             {Py_tp_traverse, columns_traverse},
                             {Py_tp_methods, columns_methods},
                             {Py_tp_iter, columns_iter},
                             {Py_sq_length, columns_length},
                             {Py_sq_item, columns_item},
                             {Py_tp_doc,
                              "Records copied out of a store: one private contiguous array per field. Immutable."},
                             {0, NULL}},
};
