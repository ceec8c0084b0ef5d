/* Tables in: a table of Arrow's, as a stream or as one array, is taken whole, checked, and appended. */
#include "binding/appending/append.h"
#include "binding/appending/batch.h"
#include "binding/tables/arrow_in.h"
#include "binding/values/refuse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct table_in {
    struct ArrowSchema schema;
    struct ArrowArray *chunks;
    size_t count, room;
    int64_t rows;
    PyObject *pandas; /* of a frame of pandas': the names of columns whose missing values are NaN; else NULL */
};

static void release_table(struct table_in *in) {
    for (size_t i = 0; i < in->count; i++)
        if (in->chunks[i].release) in->chunks[i].release(&in->chunks[i]);
    free(in->chunks);
    if (in->schema.release) in->schema.release(&in->schema);
}

static bool add_chunk(struct table_in *in, const struct ArrowArray *array) {
    if (in->count == in->room) {
        size_t room = in->room ? 2 * in->room : 8;
        struct ArrowArray *chunks = realloc(in->chunks, room * sizeof *chunks);
        if (!chunks) return false;
        in->chunks = chunks;
        in->room = room;
    }
    in->chunks[in->count++] = *array;
    in->rows += array->length;
    return true;
}

/* ---- from capsules ----------------------------------------------------------------------------------------------- */

/* Take what a stream has. The producer may need the GIL, here or in threads of its own, so nobody holds it here. */
static int drain(Store *store, struct ArrowArrayStream *stream, struct table_in *in) {
    int status = 0;
    bool room = true;
    Py_BEGIN_ALLOW_THREADS;
    status = stream->get_schema(stream, &in->schema);
    while (!status) {
        struct ArrowArray array = {.release = NULL};
        status = stream->get_next(stream, &array);
        if (status || !array.release) break;
        room = add_chunk(in, &array);
        if (room) continue;
        array.release(&array);
        break;
    }
    Py_END_ALLOW_THREADS;
    if (!status && room) return 0;
    const char *reason = status ? stream->get_last_error(stream) : NULL;
    if (!room || status == ENOMEM) PyErr_NoMemory();
    else if (!PyErr_Occurred())
        raise_record(store, "the Arrow stream failed, so nothing was written: %s", reason ? reason : strerror(status));
    return -1;
}

/* What a capsule of this name holds, or NULL with an exception. */
static void *pointer_of(Store *store, PyObject *capsule, const char *name) {
    if (PyCapsule_IsValid(capsule, name)) return PyCapsule_GetPointer(capsule, name);
    PyObject *text = shown(store->state, capsule);
    if (text) raise_record(store, "expected a capsule of Arrow's named '%s', found %U", name, text);
    Py_XDECREF(text);
    return NULL;
}

static int take_stream(Store *store, PyObject *capsule, struct table_in *in) {
    struct ArrowArrayStream *given = pointer_of(store, capsule, "arrow_array_stream");
    if (!given) return -1;
    struct ArrowArrayStream stream = *given;
    given->release = NULL; /* it is ours now */
    if (!stream.release) return raise_record(store, "the Arrow stream was used up before; take a new one");
    int failed = drain(store, &stream, in);
    stream.release(&stream);
    return failed;
}

static int take_array(Store *store, PyObject *capsules, struct table_in *in) {
    if (PyTuple_Size(capsules) != 2)
        return raise_record(store, "expected the two capsules arrow_schema and arrow_array, found %zd",
                            PyTuple_Size(capsules));
    struct ArrowSchema *schema = pointer_of(store, PyTuple_GetItem(capsules, 0), "arrow_schema");
    struct ArrowArray *array = schema ? pointer_of(store, PyTuple_GetItem(capsules, 1), "arrow_array") : NULL;
    if (!array) return -1;
    if (!schema->release || !array->release)
        return raise_record(store, "the Arrow array was used up before; take a new one");
    in->schema = *schema;
    schema->release = NULL;
    if (!add_chunk(in, array)) {
        PyErr_NoMemory();
        return -1;
    }
    array->release = NULL;
    return 0;
}

/* ---- to fields --------------------------------------------------------------------------------------------------- */

static int check_table(Store *store, const struct table_in *in) {
    if (strcmp(in->schema.format, "+s"))
        return raise_record(store, "expected a table of Arrow's, found a single column of type '%s'; give it a name",
                            in->schema.format);
    int64_t row = 0;
    for (size_t i = 0; i < in->count; i++) {
        const struct ArrowArray *chunk = &in->chunks[i];
        const uint8_t *present = chunk->null_count && chunk->n_buffers ? chunk->buffers[0] : NULL;
        for (int64_t at = chunk->offset; present && at < chunk->offset + chunk->length; at++)
            if (!(present[at / 8] >> at % 8 & 1))
                return raise_record(store, "record %lld is missing as a whole (null); nothing of the batch was written",
                                    (long long)(row + at - chunk->offset));
        row += chunk->length;
    }
    for (int64_t i = 0; i < in->schema.n_children; i++) {
        const char *text = in->schema.children[i]->name ? in->schema.children[i]->name : "";
        PyObject *name = PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
        if (!name) return -1;
        bool passed_over = in->pandas && !strncmp(text, "__index_level_", 14); /* a frame's index without a name */
        int known = field_index(store, name) >= 0 || passed_over ? 0 : raise_unknown_field(store, name);
        Py_DECREF(name);
        if (known < 0) return -1;
    }
    return 0;
}

enum { NO_COLUMN = -1 };

/* The column of a field, or NO_COLUMN. Returns 0, or -1 with an exception. */
static int find_column(Store *store, uint32_t field, const struct ArrowSchema *schema, int64_t *column) {
    Py_ssize_t length;
    const char *name = PyUnicode_AsUTF8AndSize(PyTuple_GetItem(store->names, (Py_ssize_t)field), &length);
    *column = NO_COLUMN;
    for (int64_t i = 0; name && i < schema->n_children; i++) {
        if (!schema->children[i]->name || strcmp(schema->children[i]->name, name)) continue;
        if (*column != NO_COLUMN) {
            raise_field(store, ERROR_FIELD_TYPE, field, -1, "two columns have its name; give one");
            return -1;
        }
        *column = i;
    }
    return name ? 0 : -1;
}

/* The staged values of one field: where they lie, or in `*made`. */
static int stage_field(Store *store, uint32_t field, const struct table_in *in, int64_t column, struct staging *staging,
                       struct staged *batch) {
    const size_t bytes = store->handle.geometry.fields[field].bytes;
    struct chunk chunk = {.schema = in->schema.children[column], .staging = staging};
    unsigned char **made = &batch->made[field];
    int nan = in->pandas ? PySet_Contains(in->pandas, PyTuple_GetItem(store->names, (Py_ssize_t)field)) : 0;
    chunk.nan = nan == 1;
    if (nan < 0 || arrow_check_type(store, field, chunk.schema)) return -1;
    batch->stride[field] = bytes;
    if (in->count != 1) {
        *made = PyMem_Malloc((size_t)in->rows * bytes + 1);
        if (!*made) {
            PyErr_NoMemory();
            return -1;
        }
    }
    for (size_t i = 0; i < in->count; i++, chunk.number += chunk.rows) {
        chunk.array = in->chunks[i].children[column];
        chunk.first = in->chunks[i].offset + chunk.array->offset;
        chunk.rows = in->chunks[i].length;
        const unsigned char *ready = chunk.rows ? arrow_ready(store, field, &chunk) : NULL;
        if (ready && !*made) {
            batch->base[field] = ready;
            return 0;
        }
        if (!*made && !(*made = PyMem_Malloc((size_t)in->rows * bytes + 1))) {
            PyErr_NoMemory();
            return -1;
        }
        unsigned char *to = *made + (size_t)chunk.number * bytes;
        if (ready) memcpy(to, ready, (size_t)chunk.rows * bytes);
        else if (arrow_stage(store, field, &chunk, to)) return -1;
    }
    batch->base[field] = *made;
    return 0;
}

/* The column of a field that is left out: now, or what its declaration says. */
static int fill_field(Store *store, uint32_t field, const struct table_in *in, struct staging *staging,
                      struct staged *batch, const int64_t *now) {
    const size_t bytes = store->handle.geometry.fields[field].bytes;
    switch (left_out(store, field)) {
    case LEFT_NOW:
        batch->base[field] = (const unsigned char *)now;
        batch->stride[field] = 0;
        return 0;
    case LEFT_DEFAULT: break;
    default: return raise_missing_column(store, field);
    }
    unsigned char *to = PyMem_Malloc((size_t)in->rows * bytes + 1);
    batch->base[field] = batch->made[field] = to;
    batch->stride[field] = bytes;
    if (!to) PyErr_NoMemory();
    int failed = to ? 0 : -1;
    for (int64_t row = 0; !failed && row < in->rows; row++, to += bytes) {
        staging->row = (Py_ssize_t)row;
        failed = put_default(store, field, to, staging);
    }
    return failed;
}

static int stage_table(Store *store, const struct table_in *in, struct staging *staging, struct staged *batch,
                       const int64_t *now) {
    if (check_table(store, in)) return -1;
    for (uint32_t i = 0; i < store->handle.geometry.options.field_count; i++) {
        int64_t column;
        if (find_column(store, i, &in->schema, &column)) return -1;
        if (column == NO_COLUMN ? fill_field(store, i, in, staging, batch, now)
                                : stage_field(store, i, in, column, staging, batch))
            return -1;
    }
    batch->count = (Py_ssize_t)in->rows;
    return 0;
}

PyObject *Store_append_arrow(PyObject *self, PyObject *arguments, PyObject *keywords) {
    static char *const known[] = {"capsules", "partition", "pandas", NULL};
    Store *store = (Store *)self;
    PyObject *capsules, *partition = NULL, *pandas = NULL, *result = NULL;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|OO:append_arrow", (char **)(uintptr_t)known, &capsules,
                                     &partition, &pandas))
        return NULL;
    int64_t wish, now = now_ns();
    if (partition_argument(store, partition, &wish) || check_appendable(store)) return NULL;
    struct table_in in = {.rows = 0, .pandas = pandas == Py_None ? NULL : pandas};
    struct staging staging = {0, NULL};
    struct staged batch = {.count = 0};
    if (!(PyTuple_Check(capsules) ? take_array(store, capsules, &in) : take_stream(store, capsules, &in))) {
        if (!check_appendable(store) && !stage_table(store, &in, &staging, &batch, &now))
            result = append_all(store, &staging, &batch, wish, now);
    }
    Py_XDECREF(staging.new_keys);
    for (uint32_t i = 0; i < MAX_FIELDS; i++) PyMem_Free(batch.made[i]);
    release_table(&in);
    return result;
}
