/* The Series type: a metric, or one of its children, on shared cells; what Python's instruments are made of. */
#include "binding/metrics/series.h"

#include <string.h>

/* ---- a metric ------------------------------------------------------------------------------------------------------ */

static int take_bounds(Series *root, PyObject *sequence) {
    PyObject *list = PySequence_List(sequence);
    const Py_ssize_t count = list ? PyList_Size(list) : -1;
    double *bounds = count > 0 ? PyMem_Calloc((size_t)count, sizeof *bounds) : NULL;
    if (count > 0 && !bounds) PyErr_NoMemory();
    for (Py_ssize_t i = 0; bounds && i < count; i++) bounds[i] = PyFloat_AsDouble(PyList_GetItem(list, i));
    Py_XDECREF(list);
    if (PyErr_Occurred()) {
        PyMem_Free(bounds);
        return -1;
    }
    PyMem_Free(root->bounds);
    root->bounds = bounds;
    root->bound_count = (uint32_t)count;
    root->cell_count = count ? (uint32_t)count : 1;
    return 0;
}

static int make_children(Series *root) {
    PyObject *children = PyDict_New();
    struct recent_child *recent = children ? PyMem_Calloc(RECENT_CHILDREN, sizeof *recent) : NULL;
    if (recent) {
        root->children = children;
        root->recent = recent;
        return 0;
    }
    Py_XDECREF(children);
    if (!PyErr_Occurred()) PyErr_NoMemory();
    return -1;
}

static PyObject *series_declare(PyObject *self, PyObject *arguments) {
    Series *root = (Series *)self;
    struct module_state *state;
    PyObject *home, *declaration, *family, *bounds;
    Py_ssize_t key_bytes, labels;
    int mode;
    if (!PyArg_ParseTuple(arguments, "OSnOiOn:declare", &home, &declaration, &key_bytes, &family, &mode, &bounds,
                          &labels))
        return NULL;
    PyTypeObject *type = Py_TYPE(home);
    state = PyType_GetModuleState(type);
    if (!state || type != state->types[TYPE_METRICS]) {
        PyErr_Clear();
        return PyErr_Format(PyExc_TypeError, "expected Metrics, found %R", home);
    }
    if (((Metrics *)home)->store && check_writable(((Metrics *)home)->store)) return NULL;
    const unsigned long number = family == Py_None ? NO_FAMILY : PyLong_AsUnsignedLong(family);
    if (PyErr_Occurred()) return NULL;
    const struct nodes *nodes = nodes_of((Metrics *)home);
    if ((number != NO_FAMILY && number >= nodes->geometry->node_count) || mode < 0 || mode >= GAUGE_MODE_END ||
        labels < 0 || key_bytes < 0 || key_bytes > PyBytes_Size(declaration))
        return PyErr_Format(PyExc_ValueError, "no such declaration: %lu, mode %d", number, mode);
    if (labels && !root->children && make_children(root)) return NULL;
    if (!root->bounds && take_bounds(root, bounds)) return NULL;
    PyObject *before = (PyObject *)root->home, *declared_before = root->declaration;
    root->label_count = labels;
    root->mode = (enum gauge_mode)mode;
    root->declaration = Py_NewRef(declaration);
    root->key_bytes = (uint32_t)key_bytes;
    root->family = (uint32_t)number;
    root->declared = number == NO_FAMILY ? 0 : load_acquire(&nodes_at(nodes, root->family)->word);
    root->root = root;
    root->home = (Metrics *)Py_NewRef(home);
    Py_XDECREF(declared_before);
    Py_XDECREF(before);
    Py_RETURN_NONE;
}

static bool is_series(PyObject *object, const Series *of) {
    return of->home && PyObject_TypeCheck(object, of->home->state->types[TYPE_SERIES]);
}

/* ---- a series ------------------------------------------------------------------------------------------------------ */

static PyObject *series_become(PyObject *self, PyObject *arguments) {
    Series *series = (Series *)self;
    PyObject *of, *text, *values;
    if (!PyArg_ParseTuple(arguments, "OSO!:become", &of, &text, &PyTuple_Type, &values)) return NULL;
    PyTypeObject *type = Py_TYPE(self);
    Series *root = type == Py_TYPE(of) ? (Series *)of : NULL;
    if (!root || root->root != root || (series->root && series->root != root))
        return PyErr_Format(PyExc_TypeError, "expected a declared metric of its type, found %R", of);
    if (!series->root && root != series) series->root = (Series *)Py_NewRef(of);
    PyObject *text_before = series->text, *values_before = series->values;
    series->text = Py_NewRef(text);
    series->values = Py_NewRef(values);
    Py_XDECREF(text_before);
    Py_XDECREF(values_before);
    series->standing = UNBOUND;
    const int ready = make_ready(series);
    return ready < 0 ? NULL : PyBool_FromLong(ready);
}

static PyObject *series_move(PyObject *self, PyObject *unused) {
    (void)unused;
    Series *series = (Series *)self;
    int ready = 0;
    BEGIN_EXCLUSIVE(self);
    if (series->text && series->root && series->metrics != series->root->home && series->standing != DETACHED)
        ready = make_ready(series);
    END_EXCLUSIVE();
    return ready < 0 ? NULL : PyBool_FromLong(ready);
}

/* The cells as they are, as (52 bits, number). */
static PyObject *series_read(PyObject *self, PyObject *unused) {
    (void)unused;
    Series *series = (Series *)self;
    const bool is_lost = series->standing == REFUSED; /* reading it is no update that needs room */
    if (!is_lost && !at_hand(series) && make_ready(series) < 0) return NULL;
    PyObject *list = PyList_New(0);
    for (uint32_t i = 0; list && at_hand(series) && i < series->root->cell_count; i++) {
        struct cell_value value = {0, 0};
        cell_read(cell_of(series, i).cell, &value);
        PyObject *pair = Py_BuildValue("(Kd)", (number)(series->owner ? 0 : value.bits), value.number);
        if (!pair || PyList_Append(list, pair)) Py_CLEAR(list);
        Py_XDECREF(pair);
    }
    return list;
}

static PyObject *series_put(PyObject *self, PyObject *argument) {
    Series *series = (Series *)self;
    const double value = PyFloat_AsDouble(argument);
    if (value == -1 && PyErr_Occurred()) return NULL;
    int ready = 1;
    BEGIN_EXCLUSIVE(self);
    while (ready > 0 && (!at_hand(series) || !set_value(series, value, now_us()))) ready = make_ready(series);
    END_EXCLUSIVE();
    return ready < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *series_restart(PyObject *self, PyObject *unused) {
    (void)unused;
    Series *series = (Series *)self;
    int ready = 1;
    BEGIN_EXCLUSIVE(self);
    while (ready > 0) {
        if (at_hand(series) && cell_set(&series->cell, 0, series->mark)) {
            if (!series->owner)
                store_relaxed(&nodes_at(nodes_of(series->metrics), series->at.index)->since, (uint64_t)now_ns());
            break;
        }
        ready = make_ready(series);
    }
    END_EXCLUSIVE();
    return ready < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *series_silence(PyObject *self, PyObject *unused) {
    (void)unused;
    ((Series *)self)->silent = true;
    Py_RETURN_NONE;
}

/* ---- children ------------------------------------------------------------------------------------------------------ */

/* Is the series of a child still there, so that labels() may give it? */
static bool is_current(const Series *child) {
    if (child->standing != BOUND || !child->metrics) return false;
    if (child->metrics->store && child->metrics->store->closed) return true; /* its updates will say so */
    return load_acquire(child->cell.word) == child->cell.live;
}

/* The child of these label values, if there is a current one: a new reference, or NULL. */
static PyObject *child_of(Series *root, PyObject *values) {
    PyObject *child = NULL;
    BEGIN_EXCLUSIVE(root->children);
    child = PyDict_GetItemWithError(root->children, values);
    if (child) child = is_series(child, root) && is_current((Series *)child) ? Py_NewRef(child) : NULL;
    END_EXCLUSIVE();
    return child;
}

static PyObject *label_values(PyObject *const *values, Py_ssize_t count) {
    for (Py_ssize_t i = 0; i < count; i++)
        if (!PyUnicode_CheckExact(values[i])) return NULL;
    PyObject *tuple = PyTuple_New(count);
    for (Py_ssize_t i = 0; tuple && i < count; i++) PyTuple_SetItem(tuple, i, Py_NewRef(values[i]));
    return tuple;
}

static PyObject *all_arguments(PyObject *const *values, Py_ssize_t count) {
    PyObject *tuple = PyTuple_New(count);
    for (Py_ssize_t i = 0; tuple && i < count; i++) PyTuple_SetItem(tuple, i, Py_NewRef(values[i]));
    return tuple;
}

static PyObject *labels_slowly(PyObject *self, PyObject *const *values, Py_ssize_t count, PyObject *names) {
    const Py_ssize_t named = names ? PyTuple_Size(names) : 0;
    PyObject *method = PyObject_GetAttrString(self, "_labels");
    PyObject *arguments = method ? all_arguments(values, count) : NULL;
    PyObject *keywords = arguments && named ? PyDict_New() : NULL, *child = NULL;
    for (Py_ssize_t i = 0; keywords && i < named; i++)
        if (PyDict_SetItem(keywords, PyTuple_GetItem(names, i), values[count + i])) Py_CLEAR(keywords);
    if (arguments && (keywords || !named)) child = PyObject_Call(method, arguments, keywords);
    Py_XDECREF(keywords);
    Py_XDECREF(arguments);
    Py_XDECREF(method);
    return child;
}

static struct recent_child *recent_at(Series *root, PyObject *const *values, Py_ssize_t count) {
    uintptr_t mixed = 0;
    for (Py_ssize_t i = 0; i < count; i++) mixed = mixed * 5 + ((uintptr_t)values[i] >> 4);
    return &root->recent[(mixed ^ mixed >> 7) % RECENT_CHILDREN];
}

static bool has_values(const struct recent_child *recent, PyObject *const *values, Py_ssize_t count) {
    if (!recent->values) return false;
    for (Py_ssize_t i = 0; i < count; i++)
        if (PyTuple_GetItem(recent->values, i) != values[i]) return false;
    return true;
}

/* The same child, if labels() gave it lately: a new reference, or NULL. */
static PyObject *recent_child(Series *root, PyObject *const *values, Py_ssize_t count) {
    PyObject *child = NULL;
    BEGIN_EXCLUSIVE(root);
    const struct recent_child *recent = recent_at(root, values, count);
    if (has_values(recent, values, count) && is_current((Series *)recent->child)) child = Py_NewRef(recent->child);
    END_EXCLUSIVE();
    return child;
}

static void remember(Series *root, PyObject *const *values, PyObject *key, PyObject *child) {
    struct recent_child before;
    BEGIN_EXCLUSIVE(root);
    struct recent_child *recent = recent_at(root, values, root->label_count);
    before = *recent;
    *recent = (struct recent_child){Py_NewRef(key), Py_NewRef(child)};
    END_EXCLUSIVE();
    Py_XDECREF(before.values);
    Py_XDECREF(before.child);
}

static PyObject *series_labels(PyObject *self, PyObject *const *values, Py_ssize_t count, PyObject *names) {
    Series *root = (Series *)self;
    if (!names && root->children && count == root->label_count) {
        PyObject *child = recent_child(root, values, count);
        if (child) return child;
        PyObject *key = label_values(values, count);
        child = key ? child_of(root, key) : NULL;
        if (child) remember(root, values, key, child);
        Py_XDECREF(key);
        if (child || PyErr_Occurred()) return child;
    }
    return labels_slowly(self, values, count, names);
}

static PyObject *series_child(PyObject *self, PyObject *values) {
    Series *root = (Series *)self;
    PyObject *child = root->children ? child_of(root, values) : NULL;
    return child || PyErr_Occurred() ? child : Py_NewRef(Py_None);
}

static PyObject *series_children(PyObject *self, void *unused) {
    (void)unused;
    PyObject *children = ((Series *)self)->children;
    return Py_NewRef(children ? children : Py_None);
}

static PyObject *series_is_current(PyObject *self, void *unused) {
    (void)unused;
    return PyBool_FromLong(is_current((Series *)self));
}

static PyObject *series_family(PyObject *self, void *unused) {
    (void)unused;
    const Series *root = ((Series *)self)->root;
    if (!root || root->family == NO_FAMILY) return Py_NewRef(Py_None);
    return PyLong_FromUnsignedLong(root->family);
}

static PyObject *series_values(PyObject *self, void *unused) {
    (void)unused;
    PyObject *values = ((Series *)self)->values;
    return values ? Py_NewRef(values) : PyTuple_New(0);
}

static PyObject *series_metric(PyObject *self, void *unused) {
    (void)unused;
    Series *root = ((Series *)self)->root;
    return Py_NewRef(root ? (PyObject *)root : self);
}

static PyObject *series_text(PyObject *self, void *unused) {
    (void)unused;
    PyObject *text = ((Series *)self)->text;
    return Py_NewRef(text ? text : Py_None);
}

/* ---- the type ------------------------------------------------------------------------------------------------------ */

static int series_traverse(PyObject *self, visitproc visit, void *arg) {
    Series *series = (Series *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT((PyObject *)series->home);
    Py_VISIT((PyObject *)series->metrics);
    Py_VISIT(series->children);
    for (int i = 0; series->recent && i < RECENT_CHILDREN; i++) {
        Py_VISIT(series->recent[i].values);
        Py_VISIT(series->recent[i].child);
    }
    if (series->root != series) Py_VISIT((PyObject *)series->root);
    return 0;
}

static int series_clear(PyObject *self) {
    Series *series = (Series *)self;
    Py_CLEAR(series->children);
    for (int i = 0; series->recent && i < RECENT_CHILDREN; i++) {
        Py_CLEAR(series->recent[i].values);
        Py_CLEAR(series->recent[i].child);
    }
    return 0;
}

static void series_dealloc(PyObject *self) {
    Series *series = (Series *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    series_clear(self);
    /* What nobody can reach any more leaves private memory; what is shared stays. */
    if (series->home && series->root == series && !series->home->store && series->family != NO_FAMILY) {
        const struct node_at at = {series->family, series->declared};
        if (nodes_is(nodes_of(series->home), at)) { /* else another metric has its name by now */
            remove_family(series->home, series->family);
            nodes_remove(nodes_of(series->home), at);
        }
    }
    if (series->root != series) Py_XDECREF((PyObject *)series->root);
    PyMem_Free(series->bounds);
    PyMem_Free(series->recent);
    PyMem_Free((void *)series->cells);
    Py_XDECREF(series->values);
    Py_XDECREF(series->text);
    Py_XDECREF(series->declaration);
    Py_XDECREF((PyObject *)series->metrics);
    Py_XDECREF((PyObject *)series->home);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyMethodDef series_methods[] = {
    {"labels", (PyCFunction)(void (*)(void))series_labels, METH_FASTCALL | METH_KEYWORDS,
     "labels($self, /, *labelvalues, **labelkwargs)\n--\n\nThe child for these label values."},
    {"_declare", series_declare, METH_VARARGS,
     "_declare($self, home, declaration, key_bytes, family, mode, bounds, labels, /)\n--\n\nWhere its series are."},
    {"_become", series_become, METH_VARARGS,
     "_become($self, metric, text, labelvalues, /)\n--\n\nBe this series of a metric; False when there is no room."},
    {"_move", series_move, METH_NOARGS, "_move($self)\n--\n\nFollow the metric to where it is now."},
    {"_read", series_read, METH_NOARGS, "_read($self)\n--\n\nIts cells, as (bits, number)."},
    {"_put", series_put, METH_O, "_put($self, value, /)\n--\n\nSet its value."},
    {"_restart", series_restart, METH_NOARGS, "_restart($self)\n--\n\nBegin again at zero."},
    {"_silence", series_silence, METH_NOARGS, "_silence($self)\n--\n\nLet only _put set its value from now on."},
    {"_child", series_child, METH_O, "_child($self, values, /)\n--\n\nThe current child of these values, or None."},
    NOT_PICKLED,
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef series_properties[] = {
    {"_children", series_children, NULL, "Children by label values, or None.", NULL},
    {"_is_current", series_is_current, NULL, "Is its series still there?", NULL},
    {"_family", series_family, NULL, "The number of its declaration, or None.", NULL},
    {"_text", series_text, NULL, "Its label part.", NULL},
    {"_labelvalues", series_values, NULL, "The values of its labels.", NULL},
    {"_metric", series_metric, NULL, "The metric that it is of, or itself.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyType_Spec series_spec = {
    .name = "shmstore._core.Series",
    .basicsize = sizeof(Series),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = (PyType_Slot[]){{Py_tp_dealloc, series_dealloc},
                             {Py_tp_traverse, series_traverse},
                             {Py_tp_clear, series_clear},
                             {Py_tp_methods, series_methods},
                             {Py_tp_getset, series_properties},
                             {Py_tp_doc, "A metric, or one of its series; see _core.pyi."},
                             {0, NULL}},
};
