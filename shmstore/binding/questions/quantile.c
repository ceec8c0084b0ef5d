/* Quantiles: exact, in several passes, or, for groups, from all values sorted.
 *
 * Several passes answer only when all of them met the same tickets. When some were discarded meanwhile, the question begins
 * anew, with all values that are there then. */
#include "binding/questions/gathered.h"

#include "core/questions/order/quantile.h"

/* ---- of all records together -------------------------------------------------------------------------------------- */

static enum told hear_quantiles(void *context, const struct batch *batch, const struct found *found) {
    struct quantiles *quantiles = context;
    quantiles_add(quantiles, quantiles->lane, found->values[0], found->mask, batch->rows);
    return TOLD_OK;
}

/* Answer from all values that are there now. 0, or -1 with an exception. */
static int gather_quantiles(struct run *run, struct quantiles *quantiles) {
    struct gathered gathered;
    gathered_numbers(&gathered, run);
    const int failed = gather_all(run, &gathered);
    for (uint32_t i = 0; !failed && i < quantiles->wanted_count; i++)
        quantiles->results[i] = pairs_quantile(&gathered.pairs, gathered_span(&gathered), quantiles->wanted[i]);
    gathered_free(&gathered);
    return failed;
}

static PyObject *quantile_object(const struct quantile *quantile) {
    if (!quantile->any) return Py_NewRef(Py_None);
    if (quantile_is_low(quantile)) return number_object(quantile->lane, quantile->low);
    return PyFloat_FromDouble(quantile_real(quantile));
}

static PyObject *quantiles_of_all(struct run *run, const double *wanted, uint32_t count) {
    struct quantiles *quantiles = PyMem_Malloc(sizeof *quantiles);
    if (!quantiles) return PyErr_NoMemory();
    quantiles_begin(quantiles, wanted, count);
    quantiles->lane = run->program->values[0].lane;
    PyObject *list = NULL;
    enum pass pass;
    do {
        if (run_pass(run, &(struct listener){hear_quantiles, quantiles, NULL, NULL})) goto done;
        pass = quantiles_end_pass(quantiles);
        if (run_has_lost(run, pass == PASS_DONE && quantiles->passes == 1 ? TOLERABLE_PART : 0)) {
            if (gather_quantiles(run, quantiles)) goto done;
            pass = PASS_DONE;
        }
    } while (pass == PASS_AGAIN);
    list = PyList_New((Py_ssize_t)count);
    for (uint32_t i = 0; list && i < count; i++) {
        PyObject *object = quantile_object(&quantiles->results[i]);
        if (!object || PyList_SetItem(list, (Py_ssize_t)i, object)) Py_CLEAR(list);
    }
done:
    PyMem_Free(quantiles);
    return list;
}

/* ---- of groups ---------------------------------------------------------------------------------------------------- */

struct cell_quantile {
    const struct gathered *gathered;
    double wanted;
};
static PyObject *make_quantile(const struct groups *groups, uint32_t cell, void *context) {
    (void)groups;
    const struct cell_quantile *of = context;
    const struct pairs *pairs = &of->gathered->pairs;
    const struct quantile quantile = pairs_quantile(pairs, pairs_of(pairs, cell), of->wanted);
    return quantile_object(&quantile);
}

static PyObject *quantiles_of_groups(struct run *run, uint32_t by, const double *wanted, uint32_t count) {
    struct gathered gathered;
    gathered_numbers(&gathered, run);
    PyObject *labels = NULL, *columns = NULL;
    if (!gather_groups(run, &gathered, by)) labels = labels_column(run->store, &gathered.groups);
    if (labels) columns = PyList_New(0);
    for (uint32_t i = 0; columns && i < count; i++) {
        PyObject *column = cells_column(&gathered.groups, make_quantile, &(struct cell_quantile){&gathered, wanted[i]});
        if (!column || PyList_Append(columns, column)) Py_CLEAR(columns);
        Py_XDECREF(column);
    }
    gathered_free(&gathered);
    return labelled(labels, columns);
}

/* ---- methods ------------------------------------------------------------------------------------------------------ */

static int read_wanted(PyObject *list, double *wanted, uint32_t *count) {
    Py_ssize_t size = PySequence_Size(list);
    if (size < 1 || size > MAX_QUANTILES) {
        if (!PyErr_Occurred())
            PyErr_Format(PyExc_ValueError, "1 to %d quantiles at once, not %zd", MAX_QUANTILES, size);
        return -1;
    }
    for (Py_ssize_t i = 0; i < size; i++) {
        PyObject *object = PySequence_GetItem(list, i);
        wanted[i] = object ? PyFloat_AsDouble(object) : 0;
        Py_XDECREF(object);
        if (PyErr_Occurred()) return -1;
        if (!(wanted[i] >= 0 && wanted[i] <= 1)) {
            PyErr_SetString(PyExc_ValueError, "a quantile lies between 0 and 1");
            return -1;
        }
    }
    *count = (uint32_t)size;
    return 0;
}

/* Whether the question is about one number. */
static bool has_one_value(const struct run *run) {
    if (run->program->value_count == 1) return true;
    PyErr_SetString(PyExc_ValueError, "expected a program of one value");
    return false;
}

PyObject *ask_quantiles(PyObject *self, PyObject *arguments, PyObject *keywords) {
    static char *const known[] = {"program", "wanted", "partitions", "ends", "summaries", NULL};
    struct source source = source_of(self);
    PyObject *list;
    double wanted[MAX_QUANTILES];
    uint32_t count;
    struct run run;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OO|$OOp:quantiles", (char **)(uintptr_t)known,
                                     &source.program, &list, &source.partitions, &source.ends, &source.summaries) ||
        read_wanted(list, wanted, &count) || run_begin(&run, &source))
        return NULL;
    PyObject *result = has_one_value(&run) ? quantiles_of_all(&run, wanted, count) : NULL;
    run_end(&run);
    return result;
}

PyObject *ask_group_quantiles(PyObject *self, PyObject *arguments, PyObject *keywords) {
    static char *const known[] = {"program", "wanted", "by", "partitions", "ends", "summaries", NULL};
    struct source source = source_of(self);
    PyObject *list, *by;
    double wanted[MAX_QUANTILES];
    uint32_t count, group;
    struct run run;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OOO|$OOp:group_quantiles", (char **)(uintptr_t)known,
                                     &source.program, &list, &by, &source.partitions, &source.ends,
                                     &source.summaries) ||
        read_wanted(list, wanted, &count) || field_argument(source.store, by, &group))
        return NULL;
    source.needs = field_bit((int)group);
    if (run_begin(&run, &source)) return NULL;
    PyObject *result = has_one_value(&run) ? quantiles_of_groups(&run, group, wanted, count) : NULL;
    run_end(&run);
    return result;
}
