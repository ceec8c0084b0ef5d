/* Iterating over the rows of Columns, one record at a time, without making a new tuple for each.
 *
 * A record that nobody but the iterator refers to any more is filled again, as zip does with its tuples. Two are kept, as a
 * loop's variable still holds the last one when the next is asked for. */
#include "binding/reading/columns.h"
#include "binding/values/decode.h"

enum { KEPT = 2 };

typedef struct {
    PyObject_HEAD Columns *columns; /* NULL: none yet */
    uint64_t next;
    bool plain;
    PyObject *kept[KEPT];

    PyTypeObject *columns_type; /* from here on: for rows of several pieces */
    PyObject *pieces, *accept;  /* an iterator over more columns, and what says which records are wanted; or NULL */
    uint64_t left;              /* how many records at most */
    bool busy;                  /* the next piece is being made */
} Rows;

PyObject *columns_iterate(Columns *columns, bool plain) {
    Rows *rows = (Rows *)PyType_GenericAlloc(columns->store->state->types[TYPE_ROWS], 0);
    if (!rows) return NULL;
    rows->columns = (Columns *)Py_NewRef((PyObject *)columns);
    rows->plain = plain;
    rows->left = UINT64_MAX;
    return (PyObject *)rows;
}

PyObject *core_rows(PyObject *module, PyObject *arguments) {
    struct module_state *state = PyModule_GetState(module);
    PyObject *pieces, *accept, *limit = Py_None;
    if (!PyArg_ParseTuple(arguments, "OO|O:rows", &pieces, &accept, &limit)) return NULL;
    const uint64_t left = limit == Py_None ? UINT64_MAX : PyLong_AsUnsignedLongLong(limit);
    if (PyErr_Occurred()) return NULL;
    Rows *rows = (Rows *)PyType_GenericAlloc(state->types[TYPE_ROWS], 0);
    if (!rows) return NULL;
    rows->columns_type = (PyTypeObject *)Py_NewRef((PyObject *)state->types[TYPE_COLUMNS]);
    rows->accept = accept == Py_None ? NULL : Py_NewRef(accept);
    rows->left = left;
    rows->pieces = PyObject_GetIter(pieces);
    if (!rows->pieces) Py_CLEAR(rows);
    return (PyObject *)rows;
}

/* Only tuples that hold nothing but values are filled again; and not from CPython 3.14 on, where tuples keep their hash. */
static bool refills(const Rows *rows) {
    const Store *store = rows->columns->store;
    return !FREE_THREADED && Py_Version < 0x030E0000 && (rows->plain || (store->is_leaf && !store->make));
}

/* The next row: 1 when it is there, 0 when there is no more, -1 with an exception. */
static int find_row(Rows *rows) {
    while (!rows->columns || rows->next >= rows->columns->rows) {
        if (!rows->pieces) return 0;
        if (rows->busy) {
            PyErr_SetString(PyExc_ValueError, "this iterator is in the middle of its next step already");
            return -1;
        }
        rows->busy = true;
        PyObject *piece = PyIter_Next(rows->pieces);
        rows->busy = false;
        if (!piece) return PyErr_Occurred() ? -1 : 0;
        if (!Py_IS_TYPE(piece, rows->columns_type)) {
            Py_DECREF(piece);
            PyErr_SetString(PyExc_TypeError, "a piece is Columns");
            return -1;
        }
        Columns *old = rows->columns;
        rows->columns = (Columns *)piece;
        rows->next = 0;
        Py_XDECREF((PyObject *)old);
    }
    return 1;
}

static PyObject *make_row(Rows *rows, const Columns *columns, uint64_t row) {
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

struct making {
    Rows *rows;
    Columns *columns;
    uint64_t row;
    bool wanted;
};

static PyObject *make_and_ask(void *context) {
    struct making *making = context;
    PyObject *record = make_row(making->rows, making->columns, making->row);
    if (!record || !making->rows->accept) return record;
    PyObject *answer = PyObject_CallFunctionObjArgs(making->rows->accept, record, NULL);
    const int wanted = answer ? PyObject_IsTrue(answer) : -1;
    Py_XDECREF(answer);
    if (wanted < 0) Py_CLEAR(record);
    making->wanted = wanted > 0;
    return record;
}

/* A failure in the middle loses nothing: a record that was not refused comes again, unless others were taken since. */
static PyObject *rows_next(PyObject *self) {
    Rows *rows = (Rows *)self;
    while (rows->left) {
        if (find_row(rows) <= 0) return NULL;
        struct making making = {rows, (Columns *)Py_NewRef((PyObject *)rows->columns), rows->next++, true};
        PyObject *record = make_and_ask(&making);
        if (!record && make_again(make_and_ask, &making) == MADE_NOT && rows->columns == making.columns &&
            rows->next == making.row + 1)
            rows->next--;
        Py_DECREF((PyObject *)making.columns);
        if (record && !making.wanted) {
            Py_DECREF(record);
            continue;
        }
        if (record) rows->left--;
        return record;
    }
    return NULL;
}

static Py_ssize_t rows_left(const Rows *rows) {
    const uint64_t there = rows->columns ? rows->columns->rows - rows->next : 0;
    return (Py_ssize_t)(rows->left < there ? rows->left : there);
}

static PyObject *rows_length_hint(PyObject *self, PyObject *unused) {
    (void)unused;
    return PyLong_FromSsize_t(rows_left((Rows *)self));
}

static PyObject *rows_get_row(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromLongLong((long long)((Rows *)self)->next - 1);
}

static int rows_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT((PyObject *)((Rows *)self)->columns);
    Py_VISIT(((Rows *)self)->pieces);
    Py_VISIT(((Rows *)self)->accept);
    return 0; /* what is kept holds values only */
}

static int rows_clear(PyObject *self) {
    Rows *rows = (Rows *)self;
    Py_CLEAR(rows->pieces);
    Py_CLEAR(rows->accept);
    return 0;
}

static void rows_dealloc(PyObject *self) {
    Rows *rows = (Rows *)self;
    PyObject_GC_UnTrack(self);
    rows_clear(self);
    for (int i = 0; i < KEPT; i++) Py_XDECREF(rows->kept[i]);
    Py_XDECREF((PyObject *)rows->columns);
    Py_XDECREF((PyObject *)rows->columns_type);
    free_object(self);
}

static PyMethodDef rows_methods[] = {
    {"__length_hint__", rows_length_hint, METH_NOARGS, "__length_hint__($self)\n--\n\nHow many rows are left."},
    NOT_PICKLED,
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef rows_properties[] = {
    {"row", rows_get_row, NULL, "Which row of its piece the last record is.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyType_Spec rows_spec = {
    .name = "shmstore._core.Rows",
    .basicsize = sizeof(Rows),
    .flags = RESULT_FLAGS_GC,
    .slots = (PyType_Slot[]){{Py_tp_dealloc, rows_dealloc},
                             {Py_tp_traverse, rows_traverse},
                             {Py_tp_clear, rows_clear},
                             {Py_tp_iter, PyObject_SelfIter},
                             {Py_tp_iternext, rows_next},
                             {Py_tp_getset, rows_properties},
                             {Py_tp_methods, rows_methods},
                             {0, NULL}},
};
