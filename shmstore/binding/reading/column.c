/* One field of Columns as a buffer: what `snapshot["value"]` is a memoryview of. It keeps its Columns alive. */
#include "binding/reading/columns.h"

#include <string.h>

typedef struct {
    PyObject_HEAD Columns *columns;
    uint32_t field;
    char format[16];
    Py_ssize_t shape, stride;
} Column;

static int column_getbuffer(PyObject *self, Py_buffer *view, int flags) {
    Column *column = (Column *)self;
    const struct field *field = &column->columns->store->handle.geometry.fields[column->field];
    bool text = field->kind == KIND_TEXT || field->kind == KIND_BYTES;
    if (flags & PyBUF_WRITABLE) {
        PyErr_SetString(PyExc_BufferError, "a snapshot is immutable; copy the column to change it");
        return -1;
    }
    if (text && (flags & PyBUF_STRIDES) != PyBUF_STRIDES) {
        PyErr_SetString(PyExc_BufferError, "a column of text lies at a stride; ask for strides");
        return -1;
    }
    *view = (Py_buffer){
        .buf = column->columns->base[column->field],
        .obj = Py_NewRef(self),
        .itemsize = text ? (Py_ssize_t)field->size : (Py_ssize_t)field->bytes,
        .readonly = 1,
        .ndim = 1,
        .format = flags & PyBUF_FORMAT ? column->format : NULL,
        .shape = flags & PyBUF_ND ? &column->shape : NULL,
        .strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? &column->stride : NULL,
    };
    view->len = column->shape * view->itemsize;
    return 0;
}

static void column_dealloc(PyObject *self) {
    PyObject_GC_UnTrack(self);
    Py_XDECREF((PyObject *)((Column *)self)->columns);
    free_object(self);
}

static int column_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT((PyObject *)((Column *)self)->columns);
    return 0;
}

PyType_Spec column_spec = {
    .name = "shmstore._core.Column",
    .basicsize = sizeof(Column),
    .flags = RESULT_FLAGS_GC,
    .slots = (PyType_Slot[]){{Py_tp_dealloc, column_dealloc},
                             {Py_tp_traverse, column_traverse},
                             {Py_bf_getbuffer, column_getbuffer},
                             {0, NULL}},
};

PyObject *Columns_column(PyObject *self, PyObject *argument) {
    static const char *const formats[KIND_END] = {
        [KIND_INT8] = "b",   [KIND_INT16] = "h",     [KIND_INT32] = "i",  [KIND_INT64] = "q",   [KIND_UINT8] = "B",
        [KIND_UINT16] = "H", [KIND_UINT32] = "I",    [KIND_UINT64] = "Q", [KIND_FLOAT32] = "f", [KIND_FLOAT64] = "d",
        [KIND_BOOL] = "?",   [KIND_TIMESTAMP] = "q", [KIND_KEY] = "I"};
    Columns *columns = (Columns *)self;
    uint32_t index;
    if (field_argument(columns->store, argument, &index)) return NULL;
    const struct field *field = &columns->store->handle.geometry.fields[index];
    Column *column = (Column *)PyType_GenericAlloc(columns->store->state->types[TYPE_COLUMN], 0);
    if (!column) return NULL;
    column->columns = (Columns *)Py_NewRef(self);
    column->field = index;
    if (formats[field->kind]) strcpy(column->format, formats[field->kind]);
    else PyOS_snprintf(column->format, sizeof column->format, "%us", field->size);
    column->shape = (Py_ssize_t)columns->rows;
    column->stride = (Py_ssize_t)field->bytes;
    PyObject *view = PyMemoryView_FromObject((PyObject *)column);
    Py_DECREF(column);
    return view;
}
