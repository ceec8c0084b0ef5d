/* Columns in: append_many of a mapping from names of fields to buffers or sequences of values. */
#include "binding/appending/append.h"
#include "binding/appending/batch.h"
#include "binding/values/refuse.h"

#include <string.h>

/* The column of one field: a buffer of just its format is used as it is, anything else is translated value by value. */
struct column {
    Py_buffer view;
    unsigned char *translated;
    int64_t now; /* a timestamp left out: one value for all */
};

static bool format_fits(const char *format, uint32_t kind) {
    static const char *const formats[KIND_END] = {
        [KIND_INT8] = "b",   [KIND_INT16] = "h",      [KIND_INT32] = "i",   [KIND_INT64] = "ql",  [KIND_UINT8] = "B",
        [KIND_UINT16] = "H", [KIND_UINT32] = "I",     [KIND_UINT64] = "QL", [KIND_FLOAT32] = "f", [KIND_FLOAT64] = "d",
        [KIND_BOOL] = "?",   [KIND_TIMESTAMP] = "ql", [KIND_KEY] = "I"};
    bool standard = *format == '<' || *format == '='; /* there 'l' has 4 bytes */
    if (standard || *format == '@') format++;
    return formats[kind] && *format && !format[1] && strchr(formats[kind], *format) &&
           !(standard && (*format == 'l' || *format == 'L'));
}

static int check_key_ids(Store *store, uint32_t field, const struct staged *batch) {
    uint32_t count = table_count(&store->handle.table), known = load_acquire(&store->keys_read);
    for (Py_ssize_t row = 0; row < batch->count; row++) {
        uint32_t id;
        memcpy(&id, batch->base[field] + (size_t)row * batch->stride[field], 4);
        if (id < known || table_names(&store->handle.table, id)) continue;
        raise_field(store, ERROR_FIELD, field, row,
                    "%u is not a key id; this store has ids below %u%s: take them from store.key(text)", id, count,
                    id < count ? ", and this one has no text" : "");
        return -1;
    }
    return 0;
}

/* Room for the values of a column as they are staged. */
static unsigned char *make_column(Store *store, uint32_t field, Py_ssize_t count, struct column *column,
                                  struct staged *batch) {
    size_t bytes = store->handle.geometry.fields[field].bytes;
    column->translated = PyMem_Malloc((size_t)count * bytes + 1);
    if (!column->translated) PyErr_NoMemory();
    batch->base[field] = batch->made[field] = column->translated;
    batch->stride[field] = bytes;
    batch->count = count;
    return column->translated;
}

/* The values of a column as a list. Text is refused as a column, although it can be iterated; so are mappings and sets. */
static PyObject *list_column(Store *store, uint32_t field, PyObject *values) {
    bool refused = PyUnicode_Check(values) || PyDict_Check(values) || PyAnySet_Check(values);
    PyObject *iterator = refused ? NULL : PyObject_GetIter(values), *list = iterator ? PySequence_List(iterator) : NULL;
    if (!iterator) {
        if (!refused) refuse_raised(store, field, values, -1, "a column, a sequence of values");
        else wrong_type(store, field, values, -1, "a column, a sequence of values");
    }
    Py_XDECREF(iterator);
    return list;
}

static int translate_column(Store *store, uint32_t field, PyObject *values, struct column *column,
                            struct staging *staging, struct staged *batch) {
    PyObject *list = list_column(store, field, values);
    if (!list) return -1;
    Py_ssize_t count = PyList_Size(list);
    size_t bytes = store->handle.geometry.fields[field].bytes;
    unsigned char *to = make_column(store, field, count, column, batch);
    int failed = to ? 0 : -1;
    for (Py_ssize_t row = 0; !failed && row < count; row++, to += bytes) {
        staging->row = row;
        failed = encode_value(store, field, PyList_GetItem(list, row), to, staging);
    }
    Py_DECREF(list);
    return failed;
}

/* Whether an attribute of an object equals this text. */
static bool is_text(PyObject *object, const char *attribute, const char *text) {
    PyObject *found = PyObject_GetAttrString(object, attribute);
    bool same = found && PyUnicode_Check(found) && !PyUnicode_CompareWithASCIIString(found, text);
    if (!found) drop_error();
    Py_XDECREF(found);
    return same;
}

/* The object whose buffer is a column: the values themselves, if their bytes say everything; a view as integers of
 * NumPy's times in nanoseconds, which have no buffer; NULL for others. A subclass of NumPy's arrays may hide a mask or a
 * unit. */
static PyObject *bytes_of_column(PyObject *values, uint32_t kind, bool *is_times) {
    *is_times = false;
    PyObject *dtype = PyObject_GetAttrString(values, "dtype"), *bytes = NULL;
    if (!dtype) return drop_error() ? Py_NewRef(values) : NULL;
    if (is_text((PyObject *)Py_TYPE(values), "__module__", "numpy")) {
        *is_times = kind == KIND_TIMESTAMP && is_text(dtype, "str", "<M8[ns]");
        bytes = *is_times ? PyObject_CallMethod(values, "view", "s", "i8") : Py_NewRef(values);
    }
    Py_DECREF(dtype);
    if (!PyErr_Occurred() || drop_error()) return bytes;
    Py_XDECREF(bytes);
    return NULL;
}

/* Use the values in a buffer where they lie, or copy them if not all bytes are valid values. The owner of the buffer may
 * change it at any time, so it is the copy that is checked. */
static int take_buffer(Store *store, uint32_t field, bool is_times, struct column *column, struct staged *batch) {
    const Py_buffer *view = &column->view;
    uint32_t kind = store->handle.geometry.fields[field].kind;
    batch->base[field] = view->buf;
    batch->stride[field] = (size_t)view->strides[0];
    batch->count = view->shape[0];
    if (kind != KIND_KEY && kind != KIND_BOOL && !is_times) return 0;
    size_t bytes = store->handle.geometry.fields[field].bytes, stride = batch->stride[field];
    const unsigned char *from = view->buf;
    unsigned char *to = make_column(store, field, view->shape[0], column, batch);
    for (Py_ssize_t row = 0; to && row < batch->count; row++, from += stride, to += bytes) {
        int64_t time = 0;
        memcpy(to, from, bytes);
        if (is_times) memcpy(&time, to, 8);
        else if (kind == KIND_BOOL) *to = *to != 0;
        if (time != INT64_MIN) continue;
        raise_field(store, ERROR_FIELD, field, row, "its time is missing (NaT); fill it in");
        return -1;
    }
    if (!to) return -1;
    return kind == KIND_KEY ? check_key_ids(store, field, batch) : 0;
}

static int take_column(Store *store, uint32_t field, PyObject *values, struct column *column, struct staging *staging,
                       struct staged *batch) {
    uint32_t kind = store->handle.geometry.fields[field].kind;
    bool is_times, fits = false;
    PyObject *bytes = bytes_of_column(values, kind, &is_times);
    if (bytes && PyObject_CheckBuffer(bytes) &&
        PyObject_GetBuffer(bytes, &column->view, PyBUF_STRIDED_RO | PyBUF_FORMAT)) {
        column->view.obj = NULL; /* not every exporter that refuses says that there is nothing to release */
    } else if (bytes && PyObject_CheckBuffer(bytes)) {
        const Py_buffer *view = &column->view;
        /* An exporter that gives neither shape nor strides when asked for them holds one value, as NumPy's times do. */
        fits = view->ndim == 1 && view->shape && view->strides && view->strides[0] >= 0 &&
               view->itemsize == (Py_ssize_t)store->handle.geometry.fields[field].bytes &&
               format_fits(view->format ? view->format : "B", kind);
        if (!fits) PyBuffer_Release(&column->view);
    }
    Py_XDECREF(bytes);
    if (!drop_error()) return -1;
    return fits ? take_buffer(store, field, is_times, column, batch)
                : translate_column(store, field, values, column, staging, batch);
}

int raise_missing_column(Store *store, uint32_t field) {
    raise_field(store, ERROR_FIELD_TYPE, field, -1,
                "its column is missing; only that of a Timestamp, or of what is declared with a default, may be left "
                "out");
    return -1;
}

/* The column of a field that is left out: now, or what its declaration says. */
static int fill_column(Store *store, uint32_t field, Py_ssize_t count, struct column *column, struct staging *staging,
                       struct staged *batch) {
    size_t bytes = store->handle.geometry.fields[field].bytes;
    if (left_out(store, field) == LEFT_NOW) {
        column->now = now_ns();
        batch->base[field] = (unsigned char *)&column->now;
        batch->stride[field] = 0;
        return 0;
    }
    unsigned char *to = make_column(store, field, count, column, batch);
    int failed = to ? 0 : -1;
    for (Py_ssize_t row = 0; !failed && row < count; row++, to += bytes) {
        staging->row = row;
        failed = put_default(store, field, to, staging);
    }
    return failed;
}

static int take_columns(Store *store, PyObject *mapping, struct column *columns, struct staging *staging,
                        struct staged *batch) {
    bool given[MAX_FIELDS] = {false};
    Py_ssize_t rows = -1, used = 0, first = -1;
    const struct geometry *g = &store->handle.geometry;
    for (uint32_t i = 0; i < g->options.field_count; i++) {
        PyObject *name = PyTuple_GetItem(store->names, (Py_ssize_t)i);
        PyObject *values = PyObject_GetItem(mapping, name);
        if (!values) {
            if (!PyErr_ExceptionMatches(PyExc_KeyError)) return -1;
            PyErr_Clear();
            if (left_out(store, i) == LEFT_REFUSED) return raise_missing_column(store, i);
            continue;
        }
        int failed = take_column(store, i, values, &columns[i], staging, batch);
        Py_DECREF(values);
        if (failed) return -1;
        given[i] = true;
        used++;
        if (rows >= 0 && batch->count != rows) {
            raise_field(store, ERROR_FIELD, i, -1, "its column has %zd values, but that of '%U' has %zd", batch->count,
                        PyTuple_GetItem(store->names, first), rows);
            return -1;
        }
        rows = batch->count;
        if (first < 0) first = (Py_ssize_t)i;
    }
    const Py_ssize_t size = PyMapping_Size(mapping);
    if (size < 0) return -1;
    if (size > used) { /* name the first that is not a field */
        PyObject *names = PyMapping_Keys(mapping);
        for (Py_ssize_t i = 0; names && i < PyList_Size(names); i++)
            if (field_index(store, PyList_GetItem(names, i)) < 0) {
                raise_unknown_field(store, PyList_GetItem(names, i));
                break;
            }
        Py_XDECREF(names);
        if (!PyErr_Occurred())
            raise_record(store, "%zd columns were given for %zd fields: one is named twice", size, used);
        return -1;
    }
    rows = rows < 0 ? 0 : rows;
    for (uint32_t i = 0; i < g->options.field_count; i++)
        if (!given[i] && fill_column(store, i, rows, &columns[i], staging, batch)) return -1;
    batch->count = rows;
    return 0;
}

PyObject *Store_append_columns(PyObject *self, PyObject *arguments, PyObject *keywords) {
    static char *const known[] = {"columns", "partition", NULL};
    Store *store = (Store *)self;
    PyObject *mapping, *partition = NULL;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|O:append_columns", (char **)(uintptr_t)known, &mapping,
                                     &partition))
        return NULL;
    int64_t wish;
    if (partition_argument(store, partition, &wish) || check_appendable(store)) return NULL;
    struct column *columns = PyMem_Calloc(MAX_FIELDS, sizeof *columns);
    if (!columns) return PyErr_NoMemory();
    struct staging staging = {0, NULL};
    struct staged batch = {.count = 0};
    PyObject *result = take_columns(store, mapping, columns, &staging, &batch)
                           ? NULL
                           : append_all(store, &staging, &batch, wish, now_ns());
    Py_XDECREF(staging.new_keys);
    for (uint32_t i = 0; i < MAX_FIELDS; i++) {
        if (columns[i].view.obj) PyBuffer_Release(&columns[i].view);
        PyMem_Free(columns[i].translated);
    }
    PyMem_Free(columns);
    return result;
}
