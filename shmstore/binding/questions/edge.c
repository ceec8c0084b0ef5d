/* The first and the last: the value that a field has in the earliest or latest record, of all or of each group. */
#include "binding/questions/cells.h"
#include "binding/values/decode.h"

#include "core/questions/tallies/first_last.h"

static enum told hear_edges(void *context, const struct batch *batch, const struct found *found) {
    return told_of(edges_add(context, batch, found));
}

static bool renew_edges(void *context, uint32_t keys) {
    struct edges *edges = context;
    return groups_add_keys(&edges->groups, keys);
}

struct edge_values {
    Store *store;
    const struct edges *edges;
};
static PyObject *make_edge(const struct groups *groups, uint32_t cell, void *context) {
    (void)groups;
    const struct edge_values *values = context;
    return decode_value(values->store, values->edges->field, edges_value(values->edges, cell));
}

/* The value of each group, or of all together: a list of one, or of none. */
static PyObject *values_column(Store *store, const struct edges *edges) {
    return cells_column(&edges->groups, make_edge, &(struct edge_values){store, edges});
}

static PyObject *value_of_all(Store *store, const struct edges *edges) {
    PyObject *values = values_column(store, edges);
    PyObject *value = values && PyList_Size(values) ? PyList_GetItem(values, 0) : Py_None;
    PyObject *result = values ? Py_NewRef(value) : NULL;
    Py_XDECREF(values);
    return result;
}

static PyObject *values_of_groups(Store *store, const struct edges *edges) {
    PyObject *labels = labels_column(store, &edges->groups);
    return labelled(labels, labels ? values_column(store, edges) : NULL);
}

static PyObject *find_edges(struct source *source, PyObject *field, bool latest, int by) {
    Store *store = source->store;
    struct edges edges = {.latest = latest};
    struct run run;
    uint32_t keys;
    if (field_argument(store, field, &edges.field)) return NULL;
    source->needs = field_bit(by) | field_bit((int)edges.field) | field_bit(store->handle.geometry.time_field);
    if (run_begin(&run, source)) return NULL;
    PyObject *result = NULL;
    if (!count_keys(&run, &keys)) {
        if (!groups_begin(&edges.groups, &store->handle.geometry, by, keys, (struct panes){0},
                          &(struct tallies){.count = 0}))
            PyErr_NoMemory();
        else if (!run_pass(&run, &(struct listener){hear_edges, &edges, NULL, renew_edges}))
            result = by == NO_FIELD ? value_of_all(store, &edges) : values_of_groups(store, &edges);
        edges_end(&edges);
    }
    run_end(&run);
    return result;
}

PyObject *ask_edge(PyObject *self, PyObject *arguments, PyObject *keywords) {
    static char *const known[] = {"program", "field", "latest", "partitions", "ends", "summaries", NULL};
    struct source source = source_of(self);
    PyObject *field;
    int latest;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OOp|$OOp:edge", (char **)(uintptr_t)known, &source.program,
                                     &field, &latest, &source.partitions, &source.ends, &source.summaries))
        return NULL;
    return find_edges(&source, field, latest != 0, NO_FIELD);
}

PyObject *ask_group_edges(PyObject *self, PyObject *arguments, PyObject *keywords) {
    static char *const known[] = {"program", "field", "latest", "by", "partitions", "ends", "summaries", NULL};
    struct source source = source_of(self);
    PyObject *field, *by;
    int latest;
    uint32_t group;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OOpO|$OOp:group_edges", (char **)(uintptr_t)known,
                                     &source.program, &field, &latest, &by, &source.partitions, &source.ends,
                                     &source.summaries) ||
        field_argument(source.store, by, &group))
        return NULL;
    return find_edges(&source, field, latest != 0, (int)group);
}
