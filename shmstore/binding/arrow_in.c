/* Tables in: a table of Arrow's, as a stream or as one array, is taken whole, checked, and appended. */
#include "arrow_in.h"

#include <stdlib.h>
#include <string.h>

struct table_in {
    struct ArrowSchema schema;
    struct ArrowArray *chunks;
    size_t count, room;
    int64_t rows;
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
static int drain(struct ArrowArrayStream *stream, struct table_in *in) {
    int status = 0;
    bool room = true;
    Py_BEGIN_ALLOW_THREADS status = stream->get_schema(stream, &in->schema);
    while (!status) {
        struct ArrowArray array = {.release = NULL};
        status = stream->get_next(stream, &array);
        if (status || !array.release) break;
        room = add_chunk(in, &array);
        if (room) continue;
        array.release(&array);
        break;
    }
    Py_END_ALLOW_THREADS if (!status && room) return 0;
    const char *reason = status ? stream->get_last_error(stream) : NULL;
    if (!room) PyErr_NoMemory();
    else if (!PyErr_Occurred())
        PyErr_Format(PyExc_OSError, "the Arrow stream failed, so nothing was written: %s",
                     reason ? reason : strerror(status));
    return -1;
}

static int take_stream(PyObject *capsule, struct table_in *in) {
    struct ArrowArrayStream *given = PyCapsule_GetPointer(capsule, "arrow_array_stream");
    if (!given) return -1;
    struct ArrowArrayStream stream = *given;
    given->release = NULL; /* it is ours now */
    if (!stream.release) {
        PyErr_SetString(PyExc_ValueError, "the Arrow stream was used up before; take a new one");
        return -1;
    }
    int failed = drain(&stream, in);
    stream.release(&stream);
    return failed;
}

static int take_array(PyObject *capsules, struct table_in *in) {
    PyObject *schema_capsule, *array_capsule;
    if (!PyArg_ParseTuple(capsules, "OO;expected the capsules arrow_schema and arrow_array", &schema_capsule,
                          &array_capsule))
        return -1;
    struct ArrowSchema *schema = PyCapsule_GetPointer(schema_capsule, "arrow_schema");
    struct ArrowArray *array = schema ? PyCapsule_GetPointer(array_capsule, "arrow_array") : NULL;
    if (!array) return -1;
    if (!schema->release || !array->release) {
        PyErr_SetString(PyExc_ValueError, "the Arrow array was used up before; take a new one");
        return -1;
    }
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

static int refuse_table(Store *store, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    PyObject *message = PyUnicode_FromFormatV(format, arguments), *class = store->state->errors[ERROR_FIELD_TYPE];
    va_end(arguments);
    PyObject *error = message ? PyObject_CallFunction(class, "sO", "", message) : NULL;
    if (error) PyErr_SetObject(class, error);
    Py_XDECREF(error);
    Py_XDECREF(message);
    return -1;
}

static int check_table(Store *store, const struct table_in *in) {
    if (strcmp(in->schema.format, "+s"))
        return refuse_table(store, "expected a table of Arrow's, found a single column of type '%s'; give it a name",
                            in->schema.format);
    int64_t row = 0;
    for (size_t i = 0; i < in->count; i++) {
        const struct ArrowArray *chunk = &in->chunks[i];
        const uint8_t *present = chunk->null_count && chunk->n_buffers ? chunk->buffers[0] : NULL;
        for (int64_t at = chunk->offset; present && at < chunk->offset + chunk->length; at++)
            if (!(present[at / 8] >> at % 8 & 1))
                return refuse_table(store, "record %lld is missing as a whole (null); nothing of the batch was written",
                                    (long long)(row + at - chunk->offset));
        row += chunk->length;
    }
    for (int64_t i = 0; i < in->schema.n_children; i++) {
        PyObject *name = PyUnicode_FromString(in->schema.children[i]->name ? in->schema.children[i]->name : "");
        if (!name) return -1;
        int known = field_index(store, name) >= 0 ? 0 : raise_unknown_field(store, name);
        Py_DECREF(name);
        if (known < 0) return -1;
    }
    return 0;
}

/* Which column is this field's: -1 for none, -2 with an exception for several. */
static int64_t column_of(Store *store, uint32_t field, const struct ArrowSchema *schema) {
    Py_ssize_t length;
    const char *name = PyUnicode_AsUTF8AndSize(PyTuple_GetItem(store->names, (Py_ssize_t)field), &length);
    int64_t found = -1;
    for (int64_t i = 0; name && i < schema->n_children; i++) {
        if (!schema->children[i]->name || strcmp(schema->children[i]->name, name)) continue;
        if (found >= 0) {
            raise_field(store, ERROR_FIELD_TYPE, field, -1, "two columns have its name; give one");
            return -2;
        }
        found = i;
    }
    return name ? found : -2;
}

/* The staged values of one field: where they lie, or in `*made`. */
static int stage_field(Store *store, uint32_t field, const struct table_in *in, int64_t column, struct staged *batch,
                       unsigned char **made) {
    const size_t bytes = store->geometry.fields[field].bytes;
    struct chunk chunk = {.schema = in->schema.children[column]};
    if (arrow_check_type(store, field, chunk.schema)) return -1;
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

static int stage_table(Store *store, const struct table_in *in, struct staged *batch, unsigned char **made,
                       const int64_t *now) {
    if (check_table(store, in)) return -1;
    for (uint32_t i = 0; i < store->geometry.options.field_count; i++) {
        int64_t column = column_of(store, i, &in->schema);
        if (column == -2) return -1;
        if (column >= 0) {
            if (stage_field(store, i, in, column, batch, &made[i])) return -1;
        } else if (store->geometry.fields[i].kind == KIND_TIMESTAMP) {
            batch->base[i] = (const unsigned char *)now;
            batch->stride[i] = 0;
        } else {
            raise_field(store, ERROR_FIELD_TYPE, i, -1, "its column is missing; only a Timestamp may be left out");
            return -1;
        }
    }
    batch->count = (Py_ssize_t)in->rows;
    return 0;
}

PyObject *Store_append_arrow(PyObject *self, PyObject *arguments, PyObject *keywords) {
    static char *const known[] = {"capsules", "partition", NULL};
    Store *store = (Store *)self;
    PyObject *capsules, *partition = NULL, *result = NULL;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|O:append_arrow", (char **)(uintptr_t)known, &capsules,
                                     &partition))
        return NULL;
    int64_t forced = partition_argument(store, partition), now = now_ns();
    if (forced == -2 || check_appendable(store)) return NULL;
    struct table_in in = {.rows = 0};
    struct staged batch = {.count = 0};
    unsigned char *made[MAX_FIELDS] = {NULL};
    if (!(PyTuple_Check(capsules) ? take_array(capsules, &in) : take_stream(capsules, &in))) {
        if (!check_appendable(store) && !stage_table(store, &in, &batch, made, &now))
            result = append_all(store, &batch, forced, now);
    }
    for (uint32_t i = 0; i < MAX_FIELDS; i++) PyMem_Free(made[i]);
    release_table(&in);
    return result;
}
