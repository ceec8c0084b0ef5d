/* Tables out: columns that Python describes become the structs of the Arrow C data interface, in capsules.
 *
 * A column is a tuple (name, format, flags, metadata, length, null_count, buffers, dictionary): metadata in Arrow's own
 * encoding or None, each buffer an object with the buffer protocol or None, the dictionary such a column or None. Values
 * are not copied: the structs hold the buffers until they are released, which may happen on any thread. */
#include "binding/tables/tables.h" /* Python.h first */

#include "binding/tables/arrow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct column {
    const char *name, *format, *metadata;
    Py_ssize_t metadata_bytes;
    long long flags, length, null_count;
    PyObject *buffers, *dictionary; /* borrowed; the dictionary is NULL for None */
};

static int parse_column(PyObject *tuple, struct column *column) {
    if (!PyArg_ParseTuple(tuple, "ssLz#LLO!O;a column has eight parts", &column->name, &column->format, &column->flags,
                          &column->metadata, &column->metadata_bytes, &column->length, &column->null_count,
                          &PyTuple_Type, &column->buffers, &column->dictionary))
        return -1;
    if (column->dictionary == Py_None) column->dictionary = NULL;
    return 0;
}

/* ---- schemas: no Python objects ---------------------------------------------------------------------------------- */

static void drop_schema(struct ArrowSchema *schema) {
    if (schema && schema->release) schema->release(schema);
    free(schema);
}

static void release_schema(struct ArrowSchema *schema) {
    for (int64_t i = 0; i < schema->n_children; i++) drop_schema(schema->children[i]);
    drop_schema(schema->dictionary);
    free(schema->children);
    free((void *)(uintptr_t)schema->format);
    free((void *)(uintptr_t)schema->name);
    free((void *)(uintptr_t)schema->metadata);
    schema->release = NULL;
}

static char *copied(const char *text, size_t bytes) {
    char *copy = malloc(bytes);
    return copy ? memcpy(copy, text, bytes) : NULL;
}

static int fill_schema(struct ArrowSchema *schema, PyObject *tuple) {
    struct column column;
    *schema = (struct ArrowSchema){.release = release_schema};
    if (parse_column(tuple, &column)) return -1;
    schema->flags = column.flags;
    schema->format = copied(column.format, strlen(column.format) + 1);
    schema->name = copied(column.name, strlen(column.name) + 1);
    if (column.metadata) schema->metadata = copied(column.metadata, (size_t)column.metadata_bytes);
    if (column.dictionary) schema->dictionary = calloc(1, sizeof *schema);
    if (schema->format && schema->name && (schema->metadata || !column.metadata) &&
        (schema->dictionary || !column.dictionary))
        return column.dictionary ? fill_schema(schema->dictionary, column.dictionary) : 0;
    PyErr_NoMemory();
    return -1;
}

/* The schema of a whole table: a struct of its columns. On failure it is released, and an exception is set. */
static int fill_table_schema(struct ArrowSchema *schema, PyObject *columns /* a list */) {
    const Py_ssize_t count = PyList_Size(columns);
    *schema = (struct ArrowSchema){.release = release_schema};
    schema->format = copied("+s", 3);
    schema->name = copied("", 1);
    schema->children = calloc((size_t)count + 1, sizeof *schema->children);
    int failed = !schema->format || !schema->name || !schema->children;
    for (Py_ssize_t i = 0; !failed && i < count; i++) {
        struct ArrowSchema *child = schema->children[i] = calloc(1, sizeof *child);
        schema->n_children = i + 1;
        failed = !child || fill_schema(child, PyList_GetItem(columns, i));
    }
    if (!failed) return 0;
    if (!PyErr_Occurred()) PyErr_NoMemory();
    schema->release(schema);
    return -1;
}

/* ---- arrays: each holds its own buffers, as a consumer may move it out of its parent ------------------------------ */

struct held {
    Py_ssize_t count;
    Py_buffer *views;
    const void *pointers[]; /* what ArrowArray.buffers points to */
};

static void drop_array(struct ArrowArray *array) {
    if (array && array->release) array->release(array);
    free(array);
}

static void release_array(struct ArrowArray *array) {
    for (int64_t i = 0; i < array->n_children; i++) drop_array(array->children[i]);
    drop_array(array->dictionary);
    free(array->children);
    struct held *held = array->private_data;
    if (held && held->count && Py_IsInitialized()) { /* after the interpreter's end nobody else holds them either */
        PyGILState_STATE gil = PyGILState_Ensure();
        for (Py_ssize_t i = 0; i < held->count; i++)
            if (held->views[i].obj) PyBuffer_Release(&held->views[i]);
        PyGILState_Release(gil);
    }
    if (held) free(held->views);
    free(held);
    array->release = NULL;
}

static struct held *hold(Py_ssize_t buffers) {
    struct held *held = calloc(1, sizeof *held + (size_t)buffers * sizeof *held->pointers);
    if (held) held->views = calloc((size_t)buffers + 1, sizeof *held->views);
    if (held && held->views) return held;
    free(held);
    PyErr_NoMemory();
    return NULL;
}

static int fill_array(struct ArrowArray *array, PyObject *tuple) {
    struct column column;
    *array = (struct ArrowArray){.release = release_array};
    if (parse_column(tuple, &column)) return -1;
    Py_ssize_t count = PyTuple_Size(column.buffers);
    struct held *held = hold(count);
    if (!held) return -1;
    array->private_data = held;
    array->length = column.length;
    array->null_count = column.null_count;
    array->n_buffers = count;
    array->buffers = held->pointers;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *buffer = PyTuple_GetItem(column.buffers, i);
        held->count = i + 1;
        if (buffer == Py_None) continue;
        if (PyObject_GetBuffer(buffer, &held->views[i], PyBUF_SIMPLE)) return -1;
        held->pointers[i] = held->views[i].buf;
    }
    if (!column.dictionary) return 0;
    array->dictionary = calloc(1, sizeof *array);
    if (array->dictionary) return fill_array(array->dictionary, column.dictionary);
    PyErr_NoMemory();
    return -1;
}

/* The values of a whole table. On failure the array is released, and an exception is set. */
static int fill_table(struct ArrowArray *array, PyObject *columns /* a list */, int64_t rows) {
    const Py_ssize_t count = PyList_Size(columns);
    *array = (struct ArrowArray){.length = rows, .n_buffers = 1, .release = release_array};
    struct held *held = hold(1); /* one buffer, the bitmap of missing rows: NULL, as no row is missing */
    array->private_data = held;
    if (held) array->buffers = held->pointers;
    array->children = calloc((size_t)count + 1, sizeof *array->children);
    int failed = !held || !array->children;
    for (Py_ssize_t i = 0; !failed && i < count; i++) {
        struct ArrowArray *child = array->children[i] = calloc(1, sizeof *child);
        array->n_children = i + 1;
        failed = !child || fill_array(child, PyList_GetItem(columns, i));
    }
    if (!failed) return 0;
    if (!PyErr_Occurred()) PyErr_NoMemory();
    array->release(array);
    return -1;
}

/* ---- streams: one array, made when it is asked for --------------------------------------------------------------- */

struct source {
    PyObject *columns; /* a list */
    int64_t rows;
    bool given;
};

/* A consumer calls from a thread that may not hold the GIL, and wants an error as a number. */
static int refusal_of(int failed) {
    if (!failed) return 0;
    int reason = PyErr_ExceptionMatches(PyExc_MemoryError) ? ENOMEM : EINVAL;
    PyErr_Clear();
    return reason;
}

static int stream_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out) {
    const struct source *source = stream->private_data;
    PyGILState_STATE gil = PyGILState_Ensure();
    int reason = refusal_of(fill_table_schema(out, source->columns));
    PyGILState_Release(gil);
    return reason;
}

static int stream_next(struct ArrowArrayStream *stream, struct ArrowArray *out) {
    struct source *source = stream->private_data;
    *out = (struct ArrowArray){.release = NULL}; /* the end of the stream */
    if (source->given) return 0;
    PyGILState_STATE gil = PyGILState_Ensure();
    int reason = refusal_of(fill_table(out, source->columns, source->rows));
    PyGILState_Release(gil);
    source->given = !reason;
    return reason;
}

static const char *stream_error(struct ArrowArrayStream *stream) {
    (void)stream;
    return "the columns of the table could not be made into Arrow arrays";
}

static void stream_release(struct ArrowArrayStream *stream) {
    struct source *source = stream->private_data;
    if (Py_IsInitialized()) {
        PyGILState_STATE gil = PyGILState_Ensure();
        Py_DECREF(source->columns);
        PyGILState_Release(gil);
    }
    free(source);
    stream->release = NULL;
}

/* ---- capsules ---------------------------------------------------------------------------------------------------- */

static void close_schema(PyObject *capsule) { drop_schema(PyCapsule_GetPointer(capsule, "arrow_schema")); }
static void close_array(PyObject *capsule) { drop_array(PyCapsule_GetPointer(capsule, "arrow_array")); }
static void close_stream(PyObject *capsule) {
    struct ArrowArrayStream *stream = PyCapsule_GetPointer(capsule, "arrow_array_stream");
    if (stream->release) stream->release(stream);
    free(stream);
}

PyObject *core_arrow_schema(PyObject *module, PyObject *columns) {
    (void)module;
    PyObject *list = PySequence_List(columns), *capsule = NULL;
    if (!list) return NULL;
    struct ArrowSchema *schema = calloc(1, sizeof *schema);
    if (!schema) PyErr_NoMemory();
    else if (!fill_table_schema(schema, list)) capsule = PyCapsule_New(schema, "arrow_schema", close_schema);
    if (!capsule) drop_schema(schema);
    Py_DECREF(list);
    return capsule;
}

PyObject *core_arrow_array(PyObject *module, PyObject *arguments) {
    (void)module;
    PyObject *columns, *capsule = NULL;
    long long rows;
    if (!PyArg_ParseTuple(arguments, "OL:arrow_array", &columns, &rows)) return NULL;
    PyObject *list = PySequence_List(columns);
    if (!list) return NULL;
    struct ArrowArray *array = calloc(1, sizeof *array);
    if (!array) PyErr_NoMemory();
    else if (!fill_table(array, list, rows)) capsule = PyCapsule_New(array, "arrow_array", close_array);
    if (!capsule) drop_array(array);
    Py_DECREF(list);
    return capsule;
}

PyObject *core_arrow_stream(PyObject *module, PyObject *arguments) {
    (void)module;
    PyObject *columns;
    long long rows;
    if (!PyArg_ParseTuple(arguments, "OL:arrow_stream", &columns, &rows)) return NULL;
    struct ArrowArrayStream *stream = calloc(1, sizeof *stream);
    struct source *source = calloc(1, sizeof *source);
    PyObject *list = PySequence_List(columns), *capsule = NULL;
    if (stream && source && list) {
        *source = (struct source){.columns = Py_NewRef(list), .rows = rows};
        *stream =
            (struct ArrowArrayStream){stream_schema, stream_next, stream_error, stream_release, .private_data = source};
        capsule = PyCapsule_New(stream, "arrow_array_stream", close_stream);
        if (!capsule) stream_release(stream);
    } else {
        free(source);
        if (list) PyErr_NoMemory();
    }
    if (!capsule) free(stream);
    Py_XDECREF(list);
    return capsule;
}
