/* The parts of a table that cannot be handed out as they lie: text at a stride, truth in bytes, and whole rows. */
#include "binding/reading/columns.h"
#include "binding/tables/tables.h"
#include "binding/values/decode.h"

#include "core/base/utf8.h"

#include <stdlib.h>
#include <string.h>

/* ---- keys -------------------------------------------------------------------------------------------------------- */

static uint32_t largest_id(const uint32_t *ids, uint64_t rows) {
    uint32_t largest = 0;
    for (uint64_t row = 0; row < rows; row++) largest = ids[row] > largest ? ids[row] : largest;
    return largest;
}

PyObject *Columns_dictionary(PyObject *self, PyObject *argument) {
    Columns *columns = (Columns *)self;
    Store *store = columns->store;
    uint32_t field;
    if (field_argument(store, argument, &field)) return NULL;
    if (store->handle.geometry.fields[field].kind != KIND_KEY)
        return PyErr_Format(PyExc_TypeError, "field %u is not a Key", field);
    const uint32_t *ids = (const uint32_t *)(const void *)columns->base[field];
    if (columns->rows && largest_id(ids, columns->rows) >= load_acquire(&store->keys_read))
        for (uint64_t row = 0; row < columns->rows; row++) { /* an id without a text is an error, as everywhere */
            PyObject *text = key_text(store, ids[row]);
            if (!text) return NULL;
            Py_DECREF(text);
        }
    return PyList_GetSlice(store->key_texts, 0, PyList_Size(store->key_texts));
}

/* ---- text -------------------------------------------------------------------------------------------------------- */

static size_t stored_length(const struct field *field, const unsigned char *from) {
    uint16_t length;
    memcpy(&length, from + field->bytes - 2, 2);
    return length < field->size ? length : field->size;
}

/* Write where each value ends and the values themselves, one after the other. Returns whether each is UTF-8. */
static bool pour(const struct field *field, const unsigned char *from, uint64_t rows, void *offsets, bool wide,
                 unsigned char *data) {
    uint64_t at = 0;
    bool ascii = true, valid = true;
    for (uint64_t row = 0; row <= rows; row++, from += field->bytes) {
        if (wide) ((int64_t *)offsets)[row] = (int64_t)at;
        else ((int32_t *)offsets)[row] = (int32_t)at;
        if (row == rows) break;
        size_t length = stored_length(field, from);
        memcpy(data + at, from, length);
        ascii = ascii && is_ascii(data + at, length);
        valid = valid && (ascii || is_utf8(data + at, length));
        at += length;
    }
    return valid;
}

PyObject *Columns_ragged(PyObject *self, PyObject *argument) {
    Columns *columns = (Columns *)self;
    uint32_t index;
    if (field_argument(columns->store, argument, &index)) return NULL;
    const struct field *field = &columns->store->handle.geometry.fields[index];
    if (field->kind != KIND_TEXT && field->kind != KIND_BYTES)
        return PyErr_Format(PyExc_TypeError, "field %u holds neither Text nor Bytes", index);
    const unsigned char *from = columns->base[index];
    uint64_t total = 0;
    for (uint64_t row = 0; row < columns->rows; row++) total += stored_length(field, from + row * field->bytes);
    bool wide = total > INT32_MAX, valid = false;
    PyObject *offsets = PyByteArray_FromStringAndSize(NULL, (Py_ssize_t)((columns->rows + 1) * (wide ? 8 : 4)));
    PyObject *data = PyByteArray_FromStringAndSize(NULL, (Py_ssize_t)total), *result = NULL;
    if (offsets && data) {
        void *ends = PyByteArray_AsString(offsets), *bytes = PyByteArray_AsString(data);
        Py_BEGIN_ALLOW_THREADS;
        valid = pour(field, from, columns->rows, ends, wide, bytes);
        Py_END_ALLOW_THREADS;
        result = valid || field->kind == KIND_BYTES ? PyTuple_Pack(2, offsets, data) : Py_NewRef(Py_None);
    }
    Py_XDECREF(offsets);
    Py_XDECREF(data);
    return result;
}

/* ---- truth ------------------------------------------------------------------------------------------------------- */

PyObject *core_pack_bits(PyObject *module, PyObject *object) {
    (void)module;
    Py_buffer view;
    if (PyObject_GetBuffer(object, &view, PyBUF_SIMPLE)) return NULL;
    PyObject *packed = PyByteArray_FromStringAndSize(NULL, (view.len + 7) / 8);
    if (packed) {
        const unsigned char *from = view.buf;
        unsigned char *to = (unsigned char *)PyByteArray_AsString(packed);
        memset(to, 0, (size_t)(view.len + 7) / 8);
        for (Py_ssize_t i = 0; i < view.len; i++) to[i / 8] |= (unsigned char)((from[i] != 0) << i % 8);
    }
    PyBuffer_Release(&view);
    return packed;
}

/* ---- whole rows -------------------------------------------------------------------------------------------------- */

enum { BLOCK_ROWS = 512 }; /* few enough to stay in the nearest cache while column after column is added */

typedef struct {
    PyObject_HEAD char *format;
    Py_ssize_t rows, row_bytes;
    unsigned char *memory;
} Packed;

struct part {
    Py_buffer view;
    const unsigned char *base;
    Py_ssize_t bytes, stride;
};

static void pack_column(const struct part *part, Py_ssize_t first, Py_ssize_t rows, unsigned char *to,
                        Py_ssize_t step) {
    const unsigned char *from = part->base + first * part->stride;
    for (Py_ssize_t row = 0; row < rows; row++, from += part->stride, to += step)
        switch (part->bytes) { /* constant sizes become single moves */
        case 8: memcpy(to, from, 8); break;
        case 4: memcpy(to, from, 4); break;
        case 1: *to = *from; break;
        default: memcpy(to, from, (size_t)part->bytes);
        }
}

static void pack(const struct part *parts, Py_ssize_t count, Packed *packed) {
    for (Py_ssize_t first = 0; first < packed->rows; first += BLOCK_ROWS) {
        Py_ssize_t rows = packed->rows - first < BLOCK_ROWS ? packed->rows - first : BLOCK_ROWS;
        unsigned char *to = packed->memory + first * packed->row_bytes;
        for (Py_ssize_t i = 0; i < count; to += parts[i++].bytes)
            pack_column(&parts[i], first, rows, to, packed->row_bytes);
    }
}

/* A part is (buffer, bytes of a value): values of just this size at the buffer's own stride, or bytes without gaps. */
static int take_part(PyObject *tuple, Py_ssize_t rows, struct part *part) {
    PyObject *buffer;
    if (!PyArg_ParseTuple(tuple, "On;a part is (buffer, bytes)", &buffer, &part->bytes) ||
        PyObject_GetBuffer(buffer, &part->view, PyBUF_STRIDED_RO))
        return -1;
    const Py_buffer *view = &part->view;
    bool strided = view->ndim == 1 && view->itemsize == part->bytes;
    part->base = view->buf;
    part->stride = strided ? view->strides[0] : part->bytes;
    if (part->bytes > 0 && (strided ? view->shape[0] : view->len / part->bytes) == rows) return 0;
    PyErr_Format(PyExc_ValueError, "expected %zd values of %zd bytes", rows, part->bytes);
    return -1;
}

PyObject *core_pack_rows(PyObject *module, PyObject *arguments) {
    struct module_state *state = PyModule_GetState(module);
    const char *format;
    Py_ssize_t rows, count = 0, taken = 0;
    PyObject *given, *view = NULL;
    if (!PyArg_ParseTuple(arguments, "snO:pack_rows", &format, &rows, &given)) return NULL;
    PyObject *list = PySequence_List(given);
    Packed *packed = list ? (Packed *)PyType_GenericAlloc(state->types[TYPE_PACKED], 0) : NULL;
    if (packed) count = PyList_Size(list);
    struct part *parts = packed ? PyMem_Calloc((size_t)count + 1, sizeof *parts) : NULL;
    while (parts && taken < count && !take_part(PyList_GetItem(list, taken), rows, &parts[taken]))
        packed->row_bytes += parts[taken++].bytes;
    if (parts && taken == count) {
        packed->rows = rows;
        packed->format = PyMem_Malloc(strlen(format) + 1);
        packed->memory = malloc((size_t)(rows * packed->row_bytes) + 1);
        if (packed->format && packed->memory) {
            strcpy(packed->format, format);
            Py_BEGIN_ALLOW_THREADS;
            pack(parts, count, packed);
            Py_END_ALLOW_THREADS;
            view = PyMemoryView_FromObject((PyObject *)packed);
        }
    }
    if (!view && !PyErr_Occurred()) PyErr_NoMemory();
    for (Py_ssize_t i = 0; parts && i <= taken && i < count; i++)
        if (parts[i].view.obj) PyBuffer_Release(&parts[i].view);
    PyMem_Free(parts);
    Py_XDECREF((PyObject *)packed);
    Py_XDECREF(list);
    return view;
}

static int packed_getbuffer(PyObject *self, Py_buffer *view, int flags) {
    Packed *packed = (Packed *)self;
    if (PyBuffer_FillInfo(view, self, packed->memory, packed->rows * packed->row_bytes, 1, flags)) return -1;
    view->itemsize = packed->row_bytes;
    if (flags & PyBUF_FORMAT) view->format = packed->format;
    if (flags & PyBUF_ND) view->shape = &packed->rows;
    if ((flags & PyBUF_STRIDES) == PyBUF_STRIDES) view->strides = &packed->row_bytes;
    return 0;
}

static void packed_dealloc(PyObject *self) {
    Packed *packed = (Packed *)self;
    PyMem_Free(packed->format);
    free(packed->memory);
    free_object(self);
}

PyType_Spec packed_spec = {
    .name = "shmstore._core.Packed",
    .basicsize = sizeof(Packed),
    .flags = RESULT_FLAGS,
    .slots = (PyType_Slot[]){{Py_tp_dealloc, packed_dealloc}, {Py_bf_getbuffer, packed_getbuffer}, {0, NULL}},
};
