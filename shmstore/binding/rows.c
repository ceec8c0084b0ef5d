/* Iterating over the rows of Columns, one record at a time, without making a new tuple for each.
 *
 * A record that nobody but the iterator refers to any more is filled again, as zip does with its tuples. Two are kept, as a
 * loop's variable still holds the last one when the next is asked for. */
#include "binding.h"

enum { KEPT = 2 };

typedef struct {
    PyObject_HEAD Columns *columns;
    uint64_t next;
    bool plain;
    PyObject *kept[KEPT];
} Rows;

PyObject *columns_iterate(Columns *columns, bool plain) {
    Rows *rows = (Rows *)PyType_GenericAlloc(columns->store->state->rows_type, 0);
    if (!rows) return NULL;
    rows->columns = (Columns *)Py_NewRef((PyObject *)columns);
    rows->plain = plain;
    return (PyObject *)rows;
}

/* Only tuples that hold nothing but values are filled again; and not from CPython 3.14 on, where tuples keep their hash. */
static bool refills(const Rows *rows) {
    const Store *store = rows->columns->store;
    return !FREE_THREADED && Py_Version < 0x030E0000 && (rows->plain || (store->is_leaf && !store->make));
}

static PyObject *rows_next(PyObject *self) {
    Rows *rows = (Rows *)self;
    const Columns *columns = rows->columns;
    if (rows->next >= columns->rows) return NULL;
    uint64_t row = rows->next++;
    if (!refills(rows)) return decode_row(columns->store, columns->base, row, rows->plain);
    PyObject **kept = &rows->kept[row % KEPT];
    if (*kept && Py_REFCNT(*kept) == 1) {
        if (fill_row(columns->store, columns->base, row, *kept)) return NULL;
    } else {
        PyObject *record = decode_row(columns->store, columns->base, row, rows->plain), *old = *kept;
        if (!record) return NULL;
        *kept = record;
        Py_XDECREF(old);
    }
    return Py_NewRef(*kept);
}

static Py_ssize_t rows_left(const Rows *rows) { return (Py_ssize_t)(rows->columns->rows - rows->next); }

static PyObject *rows_length_hint(PyObject *self, PyObject *unused) {
    (void)unused;
    return PyLong_FromSsize_t(rows_left((Rows *)self));
}

static int rows_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT((PyObject *)((Rows *)self)->columns);
    return 0; /* what is kept holds values only */
}

static void rows_dealloc(PyObject *self) {
    Rows *rows = (Rows *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    for (int i = 0; i < KEPT; i++) Py_XDECREF(rows->kept[i]);
    Py_XDECREF((PyObject *)rows->columns);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyMethodDef rows_methods[] = {
    {"__length_hint__", rows_length_hint, METH_NOARGS, "__length_hint__($self)\n--\n\nHow many rows are left."},
    NOT_PICKLED,
    {NULL, NULL, 0, NULL},
};

PyType_Spec rows_spec = {
    .name = "shmstore._core.Rows",
    .basicsize = sizeof(Rows),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = (PyType_Slot[]){{Py_tp_dealloc, rows_dealloc},
                             {Py_tp_traverse, rows_traverse},
                             {Py_tp_iter, PyObject_SelfIter},
                             {Py_tp_iternext, rows_next},
                             {Py_tp_methods, rows_methods},
                             {0, NULL}},
};
