/* Quantiles and distinct counts: exact answers that take several passes, or, for groups, all values sorted.
 *
 * Several passes answer only when all of them met the same tickets. When some were discarded meanwhile, the question begins
 * anew: all values that are there then are gathered in one pass, and sorted. */
#include "binding/questions/cells.h"

#include "core/questions/order/distinct.h"
#include "core/questions/order/group_values.h"

/* ---- all values gathered ------------------------------------------------------------------------------------------ */

struct gathered {
    struct groups groups;
    struct pairs pairs;
    bool together; /* all are in cell 0, and there are no groups */
    int field;     /* whose different values are counted; -1: quantiles of the program's numbers */
    const struct geometry *geometry;
    enum lane lane;
};

static void gather_begin(struct gathered *gathered, const struct run *run, int field, bool together) {
    *gathered = (struct gathered){.field = field, .geometry = &run->store->handle.geometry, .together = together};
    gathered->lane = field < 0 ? run->program->values[0].lane : lane_of(gathered->geometry->fields[field].kind);
    pairs_begin(&gathered->pairs);
}

/* The group of each record of a batch that matches. */
static enum told place_pairs(struct gathered *gathered, const struct batch *batch, const struct found *found,
                             uint32_t *cells) {
    struct placed placed;
    enum groups_status status = groups_place(&gathered->groups, batch, found, &placed);
    if (status != GROUPS_OK) return told_of(status);
    for (uint32_t n = 0; n < placed.count; n++) {
        gathered->groups.cells[placed.cells[n]].count++;
        cells[placed_row(&placed, n)] = placed.cells[n];
    }
    return TOLD_OK;
}

static enum told hear_pairs(void *context, const struct batch *batch, const struct found *found) {
    struct gathered *gathered = context;
    uint32_t cells[BATCH_ROWS];
    if (gathered->together) memset(cells, 0, batch->rows * sizeof *cells);
    else {
        const enum told told = place_pairs(gathered, batch, found, cells);
        if (told != TOLD_OK) return told;
    }
    const struct field *field = gathered->field < 0 ? NULL : &gathered->geometry->fields[gathered->field];
    const unsigned char *column = field ? batch->columns[gathered->field] : NULL;
    union lanes room;
    const union lanes *values = !field               ? found->values[0]
                                : field->summary < 0 ? NULL
                                                     : column_lanes(field->kind, column, batch->rows, &room);
    enum pairs_status added =
        values ? pairs_add(&gathered->pairs, cells, gathered->lane, values, found->mask, batch->rows)
               : pairs_add_bytes(&gathered->pairs, cells, column, field->bytes, found->mask, batch->rows);
    return added == PAIRS_OK ? TOLD_OK : TOLD_NO_MEMORY;
}

static bool renew_pairs(void *context, uint32_t keys) {
    struct gathered *gathered = context;
    return gathered->together || groups_add_keys(&gathered->groups, keys);
}

/* Gather in one pass and sort. 0, or -1 with an exception. */
static int gather(struct run *run, struct gathered *gathered) {
    if (run_pass(run, &(struct listener){hear_pairs, gathered, NULL, renew_pairs})) return -1;
    enum pairs_status sorted;
    Py_BEGIN_ALLOW_THREADS;
    sorted = pairs_sort(&gathered->pairs);
    Py_END_ALLOW_THREADS;
    if (sorted == PAIRS_OK) return 0;
    PyErr_NoMemory();
    return -1;
}

enum { TOLERABLE_PART = 8 }; /* one of so many records may be lost to an only pass */

/* ---- of all records together -------------------------------------------------------------------------------------- */

static enum told hear_quantiles(void *context, const struct batch *batch, const struct found *found) {
    struct quantiles *quantiles = context;
    quantiles_add(quantiles, quantiles->lane, found->values[0], found->mask, batch->rows);
    return TOLD_OK;
}

/* Answer from all values that are there now. 0, or -1 with an exception. */
static int gather_quantiles(struct run *run, struct quantiles *quantiles) {
    struct gathered gathered;
    gather_begin(&gathered, run, -1, true);
    int failed = run_renew(run) || gather(run, &gathered);
    const struct pairs_span all = {0, gathered.pairs.count};
    for (uint32_t i = 0; !failed && i < quantiles->wanted_count; i++)
        quantiles->results[i] = pairs_quantile(&gathered.pairs, all, quantiles->wanted[i]);
    pairs_free(&gathered.pairs);
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

struct different {
    struct distinct distinct;
    const struct field *field;
    uint32_t index;
};

static enum told hear_distinct(void *context, const struct batch *batch, const struct found *found) {
    struct different *different = context;
    const struct field *field = different->field;
    const unsigned char *column = batch->columns[different->index];
    union lanes room;
    if (field->summary < 0) distinct_add_bytes(&different->distinct, column, field->bytes, found->mask, batch->rows);
    else
        distinct_add(&different->distinct, lane_of(field->kind), column_lanes(field->kind, column, batch->rows, &room),
                     found->mask, batch->rows);
    return TOLD_OK;
}

/* The count of all that are there now. */
static PyObject *gather_distinct(struct run *run, uint32_t field) {
    struct gathered gathered;
    gather_begin(&gathered, run, (int)field, true);
    PyObject *count = NULL;
    if (!run_renew(run) && !gather(run, &gathered))
        count =
            PyLong_FromUnsignedLongLong(pairs_distinct(&gathered.pairs, (struct pairs_span){0, gathered.pairs.count}));
    pairs_free(&gathered.pairs);
    return count;
}

static PyObject *distinct_of_all(struct run *run, uint32_t field) {
    struct different *different = PyMem_Malloc(sizeof *different);
    if (!different) return PyErr_NoMemory();
    distinct_begin(&different->distinct);
    different->field = &run->store->handle.geometry.fields[field];
    different->index = field;
    PyObject *count = NULL;
    enum pass pass;
    for (bool first = true;; first = false) {
        if (run_pass(run, &(struct listener){hear_distinct, different, NULL, NULL})) goto done;
        pass = distinct_end_pass(&different->distinct);
        if (run_has_lost(run, pass == PASS_DONE && first ? TOLERABLE_PART : 0)) {
            count = gather_distinct(run, field);
            goto done;
        }
        if (pass == PASS_DONE) break;
    }
    count = PyLong_FromUnsignedLongLong(different->distinct.counted);
done:
    PyMem_Free(different);
    return count;
}

/* ---- of groups ---------------------------------------------------------------------------------------------------- */

/* One column of the groups: a quantile of each, or (wanted < 0) how many different values it has. */
static PyObject *gathered_column(const struct gathered *gathered, double wanted) {
    PyObject *list = PyList_New(0);
    for (uint32_t cell = 0; list && cell < gathered->groups.cell_count; cell++) {
        if (!gathered->groups.cells[cell].count) continue;
        const struct pairs_span span = pairs_of(&gathered->pairs, cell);
        PyObject *object;
        if (wanted < 0) {
            object = PyLong_FromUnsignedLongLong(pairs_distinct(&gathered->pairs, span));
        } else {
            const struct quantile quantile = pairs_quantile(&gathered->pairs, span, wanted);
            object = quantile_object(&quantile);
        }
        if (!object || PyList_Append(list, object)) Py_CLEAR(list);
        Py_XDECREF(object);
    }
    return list;
}

/* (labels, [column of each wanted]) */
static PyObject *of_groups(struct run *run, int by, int field, const double *wanted, uint32_t count) {
    struct gathered gathered;
    uint32_t keys;
    if (count_keys(run, &keys)) return NULL;
    PyObject *labels = NULL, *columns = NULL;
    gather_begin(&gathered, run, field, false);
    if (!groups_begin(&gathered.groups, &run->store->handle.geometry, by, keys, (struct panes){0},
                      &(struct tallies){.count = 0})) {
        PyErr_NoMemory();
    } else if (!gather(run, &gathered)) {
        labels = labels_column(run->store, &gathered.groups);
        columns = labels ? PyList_New(0) : NULL;
        for (uint32_t i = 0; columns && i < count; i++) {
            PyObject *column = gathered_column(&gathered, wanted[i]);
            if (!column || PyList_Append(columns, column)) Py_CLEAR(columns);
            Py_XDECREF(column);
        }
    }
    pairs_free(&gathered.pairs);
    groups_end(&gathered.groups);
    if (columns) return Py_BuildValue("(NN)", labels, columns);
    Py_XDECREF(labels);
    return NULL;
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

static PyObject *quantiles(Store *store, Columns *columns, PyObject *arguments, PyObject *keywords) {
    static char *const known[] = {"program", "wanted", "partitions", "ends", "by", "summaries", NULL};
    struct source source = {.store = store, .columns = columns, .summaries = 1};
    PyObject *list, *result = NULL;
    double wanted[MAX_QUANTILES];
    uint32_t count;
    int by = -1;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OO|$OOip:quantiles", (char **)(uintptr_t)known,
                                     &source.program, &list, &source.partitions, &source.ends, &by,
                                     &source.summaries) ||
        read_wanted(list, wanted, &count) || (by = group_field(store, by, true)) == -2)
        return NULL;
    source.needs = field_bit(by);
    struct run run;
    if (run_begin(&run, &source)) return NULL;
    if (run.program->value_count != 1) PyErr_SetString(PyExc_ValueError, "expected a program of one value");
    else result = by < 0 ? quantiles_of_all(&run, wanted, count) : of_groups(&run, by, -1, wanted, count);
    run_end(&run);
    return result;
}

static PyObject *distinct(Store *store, Columns *columns, PyObject *arguments, PyObject *keywords) {
    static char *const known[] = {"program", "field", "partitions", "ends", "by", "summaries", NULL};
    struct source source = {.store = store, .columns = columns, .summaries = 1};
    PyObject *result = NULL;
    int field, by = -1;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "Oi|$OOip:distinct", (char **)(uintptr_t)known,
                                     &source.program, &field, &source.partitions, &source.ends, &by,
                                     &source.summaries) ||
        (field = group_field(store, field, false)) < 0 || (by = group_field(store, by, true)) == -2)
        return NULL;
    source.needs = field_bit(by) | field_bit(field);
    struct run run;
    if (run_begin(&run, &source)) return NULL;
    result = by < 0 ? distinct_of_all(&run, (uint32_t)field) : of_groups(&run, by, field, (double[]){-1}, 1);
    run_end(&run);
    return result;
}

PyObject *Store_quantiles(PyObject *self, PyObject *arguments, PyObject *keywords) {
    return quantiles((Store *)self, NULL, arguments, keywords);
}
PyObject *Columns_quantiles(PyObject *self, PyObject *arguments, PyObject *keywords) {
    return quantiles(((Columns *)self)->store, (Columns *)self, arguments, keywords);
}
PyObject *Store_distinct(PyObject *self, PyObject *arguments, PyObject *keywords) {
    return distinct((Store *)self, NULL, arguments, keywords);
}
PyObject *Columns_distinct(PyObject *self, PyObject *arguments, PyObject *keywords) {
    return distinct(((Columns *)self)->store, (Columns *)self, arguments, keywords);
}
