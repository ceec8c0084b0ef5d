/* Distinct counts: exact, in several passes as for quantiles, or, for groups, from all values sorted. */
#include "binding/questions/gathered.h"

#include "core/questions/order/distinct.h"

/* ---- of all records together -------------------------------------------------------------------------------------- */

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

/* Count all values that are there now. */
static PyObject *gather_distinct(struct run *run, uint32_t field) {
    struct gathered gathered;
    gathered_field(&gathered, run, field);
    PyObject *count = NULL;
    if (!gather_all(run, &gathered))
        count = PyLong_FromUnsignedLongLong(pairs_distinct(&gathered.pairs, gathered_span(&gathered)));
    gathered_free(&gathered);
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

static PyObject *make_distinct(const struct groups *groups, uint32_t cell, void *context) {
    (void)groups;
    const struct gathered *gathered = context;
    return PyLong_FromUnsignedLongLong(pairs_distinct(&gathered->pairs, pairs_of(&gathered->pairs, cell)));
}

static PyObject *distinct_of_groups(struct run *run, uint32_t by, uint32_t field) {
    struct gathered gathered;
    gathered_field(&gathered, run, field);
    PyObject *labels = NULL, *counts = NULL;
    if (!gather_groups(run, &gathered, by)) labels = labels_column(run->store, &gathered.groups);
    if (labels) counts = cells_column(&gathered.groups, make_distinct, &gathered);
    gathered_free(&gathered);
    return labelled(labels, counts);
}

/* ---- methods ------------------------------------------------------------------------------------------------------ */

PyObject *ask_distinct(PyObject *self, PyObject *arguments, PyObject *keywords) {
    static char *const known[] = {"program", "field", "partitions", "ends", "summaries", NULL};
    struct source source = source_of(self);
    PyObject *name;
    uint32_t field;
    struct run run;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OO|$OOp:distinct", (char **)(uintptr_t)known,
                                     &source.program, &name, &source.partitions, &source.ends, &source.summaries) ||
        field_argument(source.store, name, &field))
        return NULL;
    source.needs = field_bit((int)field);
    if (run_begin(&run, &source)) return NULL;
    PyObject *result = distinct_of_all(&run, field);
    run_end(&run);
    return result;
}

PyObject *ask_group_distinct(PyObject *self, PyObject *arguments, PyObject *keywords) {
    static char *const known[] = {"program", "field", "by", "partitions", "ends", "summaries", NULL};
    struct source source = source_of(self);
    PyObject *name, *by;
    uint32_t field, group;
    struct run run;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OOO|$OOp:group_distinct", (char **)(uintptr_t)known,
                                     &source.program, &name, &by, &source.partitions, &source.ends,
                                     &source.summaries) ||
        field_argument(source.store, name, &field) || field_argument(source.store, by, &group))
        return NULL;
    source.needs = field_bit((int)group) | field_bit((int)field);
    if (run_begin(&run, &source)) return NULL;
    PyObject *result = distinct_of_groups(&run, group, field);
    run_end(&run);
    return result;
}
