/* The updates: incrementing, setting, observing. Each is a type of its own, on top of Series. */
#include "binding/metrics/series.h"

/* ---- arguments ----------------------------------------------------------------------------------------------------- */

/* The arguments of a call: a number, and an exemplar where one is taken. False, with an exception: it is called otherwise. */
static bool take_arguments(const char *called, const char *first, PyObject **amount, PyObject **exemplar,
                           PyObject *const *values, Py_ssize_t count, PyObject *names) {
    if (count == 1 && !names) { /* as most calls are */
        *amount = values[0];
        return true;
    }
    const Py_ssize_t named = names ? PyTuple_Size(names) : 0, most = exemplar ? 2 : 1;
    if (count > most) {
        PyErr_Format(PyExc_TypeError, "%s() takes at most %zd positional arguments but %zd were given", called, most,
                     count);
        return false;
    }
    if (count > 0) *amount = values[0];
    if (count > 1) *exemplar = values[1];
    for (Py_ssize_t i = 0; i < named; i++) {
        PyObject *name = PyTuple_GetItem(names, i), **to = NULL;
        if (!PyUnicode_CompareWithASCIIString(name, first)) to = amount;
        else if (exemplar && !PyUnicode_CompareWithASCIIString(name, "exemplar")) to = exemplar;
        if (!to || *to) {
            PyErr_Format(PyExc_TypeError,
                         to ? "%s() got multiple values for argument %R" : "%s() got an unexpected keyword argument %R",
                         called, name);
            return false;
        }
        *to = values[count + i];
    }
    if (exemplar && *exemplar == Py_None) *exemplar = NULL;
    return true;
}

static bool is_missing(PyObject *amount, const char *called, const char *first) {
    if (amount) return false;
    PyErr_Format(PyExc_TypeError, "%s() missing 1 required positional argument: '%s'", called, first);
    return true;
}

/* ---- exemplars ----------------------------------------------------------------------------------------------------- */

/* Its labels as they are written, or NULL with an exception. None: it has none. */
static PyObject *exemplar_text(PyObject *self, PyObject *exemplar) {
    PyObject *text = PyObject_CallMethod(self, "_exemplar_text", "O", exemplar);
    if (!text || text == Py_None || (PyBytes_Check(text) && PyBytes_Size(text) <= EXEMPLAR_TEXT_BYTES)) return text;
    Py_DECREF(text);
    PyErr_Format(PyExc_ValueError, "the labels of an exemplar take more than %d bytes", EXEMPLAR_TEXT_BYTES);
    return NULL;
}

/* The update is done. One that cannot be kept, as this process finds no place, is left out. */
static void leave_exemplar(Series *series, uint32_t cell, double value, PyObject *labels) {
    struct exemplar_values values = {.value = value, .time_ns = now_ns(), .length = (uint32_t)PyBytes_Size(labels)};
    memcpy(values.text, PyBytes_AsString(labels), values.length);
    const uint32_t owner = owner_of(series->metrics);
    if (owner && at_hand(series)) exemplar_put(nodes_of(series->metrics), owner, series->at, cell, &values);
    else if (!owner && PyErr_ExceptionMatches(series->metrics->state->errors[ERROR_PROCESS_TABLE_FULL])) PyErr_Clear();
}

/* ---- adding -------------------------------------------------------------------------------------------------------- */

/* Add to a cell, wherever the series is by now: 1; 0: it counts into nothing; -1. */
static int add(Series *series, uint32_t cell, double amount, uint64_t count) {
    int ready = 1;
    BEGIN_EXCLUSIVE(series);
    while (ready > 0) {
        if (at_hand(series)) {
            const struct cell_at at = cell_of(series, cell);
            if (cell_add(&at, amount, count)) break;
        }
        ready = make_ready(series);
    }
    END_EXCLUSIVE();
    return ready;
}

static PyObject *added(Series *series, uint32_t cell, double amount, uint64_t count, PyObject *exemplar) {
    PyObject *labels = exemplar ? exemplar_text((PyObject *)series, exemplar) : NULL;
    if (exemplar && !labels) return NULL;
    const int ready = add(series, cell, amount, count);
    if (ready > 0 && labels && labels != Py_None) leave_exemplar(series, cell, amount, labels);
    Py_XDECREF(labels);
    return ready < 0 || PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

static PyObject *counter_inc(PyObject *self, PyObject *const *values, Py_ssize_t count, PyObject *names) {
    PyObject *given = NULL, *exemplar = NULL;
    if ((count || names) && !take_arguments("inc", "amount", &given, &exemplar, values, count, names)) return NULL;
    const double amount = given ? PyFloat_AsDouble(given) : 1;
    if (given && amount == -1 && PyErr_Occurred()) return NULL;
    if (amount < 0) {
        PyErr_SetString(PyExc_ValueError, "Counters can only be incremented by non-negative amounts.");
        return NULL;
    }
    if (exemplar) return added((Series *)self, 0, amount, 0, exemplar);
    return add((Series *)self, 0, amount, 0) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *counter_raise(PyObject *self, PyObject *arguments) {
    Series *series = (Series *)self;
    number incarnation, count;
    double unit;
    if (!PyArg_ParseTuple(arguments, "KKd:raise", &incarnation, &count, &unit)) return NULL;
    int ready = 1;
    BEGIN_EXCLUSIVE(self);
    while (ready > 0 && !(at_hand(series) && cell_raise(&series->cell, incarnation, count, unit)))
        ready = make_ready(series);
    END_EXCLUSIVE();
    return ready < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *gauge_add(PyObject *self, PyObject *const *values, Py_ssize_t count, PyObject *names,
                           const char *called, double sign) {
    Series *gauge = (Series *)self;
    PyObject *given = NULL;
    if ((count || names) && !take_arguments(called, "amount", &given, NULL, values, count, names)) return NULL;
    const double amount = given ? PyFloat_AsDouble(given) : 1;
    if (given && amount == -1 && PyErr_Occurred()) return NULL;
    const Series *root = gauge->root;
    if (root && (root->mode == GAUGE_MOSTRECENT || root->mode == GAUGE_LIVEMOSTRECENT))
        return PyErr_Format(PyExc_RuntimeError, "%s must not be used with the mostrecent mode", called);
    if (gauge->silent) Py_RETURN_NONE;
    return add(gauge, 0, sign * amount, 0) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *gauge_inc(PyObject *self, PyObject *const *values, Py_ssize_t count, PyObject *names) {
    return gauge_add(self, values, count, names, "inc", 1);
}

static PyObject *gauge_dec(PyObject *self, PyObject *const *values, Py_ssize_t count, PyObject *names) {
    return gauge_add(self, values, count, names, "dec", -1);
}

/* ---- setting ------------------------------------------------------------------------------------------------------- */

static PyObject *gauge_set(PyObject *self, PyObject *const *values, Py_ssize_t count, PyObject *names) {
    Series *gauge = (Series *)self;
    PyObject *given = NULL;
    if (!take_arguments("set", "value", &given, NULL, values, count, names) || is_missing(given, "set", "value"))
        return NULL;
    double value;
    if (PyUnicode_Check(given)) { /* as float() takes it */
        PyObject *number = PyFloat_FromString(given);
        value = number ? PyFloat_AsDouble(number) : -1;
        Py_XDECREF(number);
    } else value = PyFloat_AsDouble(given);
    if (value == -1 && PyErr_Occurred()) return NULL;
    if (gauge->silent) Py_RETURN_NONE;
    int ready = 1;
    BEGIN_EXCLUSIVE(self);
    while (ready > 0 && !(at_hand(gauge) && set_value(gauge, value, now_us()))) ready = make_ready(gauge);
    END_EXCLUSIVE();
    return ready < 0 ? NULL : Py_NewRef(Py_None);
}

/* ---- observing ----------------------------------------------------------------------------------------------------- */

/* What is no number at all is in no bucket: only the sum shows it. */
static uint32_t bucket_of(const Series *root, double amount, uint64_t *count) {
    uint32_t bucket = 0;
    *count = amount == amount;
    while (bucket + 1 < root->bound_count && !(amount <= root->bounds[bucket])) bucket++;
    return bucket;
}

static PyObject *histogram_observe(PyObject *self, PyObject *const *values, Py_ssize_t count, PyObject *names) {
    Series *histogram = (Series *)self;
    PyObject *given = NULL, *exemplar = NULL;
    uint64_t observations = 0;
    if (!take_arguments("observe", "amount", &given, &exemplar, values, count, names) ||
        is_missing(given, "observe", "amount"))
        return NULL;
    const double amount = PyFloat_AsDouble(given);
    if (amount == -1 && PyErr_Occurred()) return NULL;
    const uint32_t bucket = histogram->root ? bucket_of(histogram->root, amount, &observations) : 0;
    if (exemplar) return added(histogram, bucket, amount, observations, exemplar);
    return add(histogram, bucket, amount, observations) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *summary_observe(PyObject *self, PyObject *const *values, Py_ssize_t count, PyObject *names) {
    PyObject *given = NULL;
    if (!take_arguments("observe", "amount", &given, NULL, values, count, names) ||
        is_missing(given, "observe", "amount"))
        return NULL;
    const double amount = PyFloat_AsDouble(given);
    if (amount == -1 && PyErr_Occurred()) return NULL;
    return add((Series *)self, 0, amount, 1) < 0 ? NULL : Py_NewRef(Py_None);
}

/* ---- the types ----------------------------------------------------------------------------------------------------- */

#define UPDATE(name, function, doc)                                                                                    \
    { name, (PyCFunction)(void (*)(void))function, METH_FASTCALL | METH_KEYWORDS, name doc }

#define TYPE_OF_SERIES(type, methods)                                                                                  \
    PyType_Spec type##_spec = {                                                                                        \
        .name = "shmstore._core." methods,                                                                             \
        .basicsize = sizeof(Series),                                                                                   \
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,                                                             \
        .slots = (PyType_Slot[]){{Py_tp_methods, type##_methods},                                                      \
                                 {Py_tp_doc, "The updates of a " #type "; see _core.pyi."},                            \
                                 {0, NULL}},                                                                           \
    };

static PyMethodDef counter_methods[] = {
    UPDATE("inc", counter_inc, "($self, /, amount=1, exemplar=None)\n--\n\nIncrement by the given amount."),
    {"_raise", counter_raise, METH_VARARGS,
     "_raise($self, incarnation, count, unit, /)\n--\n\nBring it up to a count of an incarnation."},
    {NULL, NULL, 0, NULL},
};
static PyMethodDef gauge_methods[] = {
    UPDATE("inc", gauge_inc, "($self, /, amount=1)\n--\n\nIncrement by the given amount."),
    UPDATE("dec", gauge_dec, "($self, /, amount=1)\n--\n\nDecrement by the given amount."),
    UPDATE("set", gauge_set, "($self, /, value)\n--\n\nSet to the given value."),
    {NULL, NULL, 0, NULL},
};
static PyMethodDef histogram_methods[] = {
    UPDATE("observe", histogram_observe, "($self, /, amount, exemplar=None)\n--\n\nObserve the given amount."),
    {NULL, NULL, 0, NULL},
};
static PyMethodDef summary_methods[] = {
    UPDATE("observe", summary_observe, "($self, /, amount)\n--\n\nObserve the given amount."),
    {NULL, NULL, 0, NULL},
};

TYPE_OF_SERIES(counter, "Counter")
TYPE_OF_SERIES(gauge, "Gauge")
TYPE_OF_SERIES(histogram, "Histogram")
TYPE_OF_SERIES(summary, "Summary")
