/* The named tuples that the core answers with: their names and fields, and how a header and a plan become one. */
#include "binding/module.h"

static const char *const shape_names[SHAPE_COUNT][2] = {
    {"FieldSpec", "name kind size"},
    {"Plan", "size slots capacity record_bytes regions"},
    {"Header", "abi store_id created_ns fields options size unlinked"},
    {"Totals", "tail oldest length skipped voided in_flight"},
    {"Place", "place generation state pid start_time pid_namespace entered_ns name appended last_append_ns lapped"},
    {"Sample", "number time_ns appended discarded skipped voided lapped length processes"},
    {"Reaped", "place pid voided released"},
    {"Gap", "partition first end reason"},
    {"MetricsRoom", "nodes used declarations series exemplars refused too_long placeless"},
    {"StreamsRoom", "names streams events tickets"},
    {"StreamState", "versions first lost discarded exists closed"},
    {"Retention", "events age_ns reserve"},
    {"Tally", "sum low high squares"},
    {"Tallied", "records tallies"},
    {"TallyColumns", "sums lows highs squares"},
    {"GroupTallies", "labels counts tallies"},
    {"WindowTallies", "labels panes counts tallies"}};

const char *const kind_names[SEGMENT_KIND_END] = {"events", "metrics", "streams"};

int add_shapes(PyObject *module, struct module_state *state) {
    PyObject *collections = PyImport_ImportModule("collections");
    PyObject *namedtuple = collections ? PyObject_GetAttrString(collections, "namedtuple") : NULL;
    PyObject *options = Py_BuildValue("{ss}", "module", "shmstore._core");
    for (int i = 0; namedtuple && options && i < SHAPE_COUNT; i++) {
        PyObject *arguments = Py_BuildValue("(ss)", shape_names[i][0], shape_names[i][1]);
        state->shapes[i] = arguments ? PyObject_Call(namedtuple, arguments, options) : NULL;
        Py_XDECREF(arguments);
        if (!state->shapes[i] || PyModule_AddObjectRef(module, shape_names[i][0], state->shapes[i]))
            Py_CLEAR(namedtuple);
    }
    Py_XDECREF(options);
    Py_XDECREF(collections);
    Py_XDECREF(namedtuple);
    return namedtuple && options ? 0 : -1;
}

PyObject *new_tuple(PyTypeObject *type, PyObject *values) {
    PyObject *arguments = values ? PyTuple_Pack(1, values) : NULL, *object = NULL;
    if (arguments) object = ((newfunc)PyType_GetSlot(&PyTuple_Type, Py_tp_new))(type, arguments, NULL);
    Py_XDECREF(arguments);
    Py_XDECREF(values);
    return object;
}

PyObject *new_shape(struct module_state *state, enum shape shape, PyObject *values) {
    return new_tuple((PyTypeObject *)state->shapes[shape], values);
}

static PyObject *fields_object(struct module_state *state, const struct field_spec *fields, uint32_t count) {
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (uint32_t i = 0; list && i < count; i++) {
        PyObject *field =
            new_shape(state, SHAPE_FIELD_SPEC, Py_BuildValue("(sII)", fields[i].name, fields[i].kind, fields[i].size));
        if (!field) Py_CLEAR(list);
        else PyList_SetItem(list, (Py_ssize_t)i, field);
    }
    return list;
}

static PyObject *options_object(const struct options *o) {
    const char *kind = kind_names[o->kind];
    if (o->kind == SEGMENT_METRICS)
        return Py_BuildValue("{sssKsIsI}", "kind", kind, "capacity", (number)o->capacity, "exemplars", o->exemplars,
                             "processes", o->processes);
    if (o->kind == SEGMENT_STREAMS)
        return Py_BuildValue("{sssKsIsIsIsI}", "kind", kind, "capacity", (number)o->capacity, "partitions", o->logs,
                             "data_bytes", o->data_bytes, "streams", o->streams, "processes", o->processes);
    return Py_BuildValue("{sssKsIsIsIsIsI}", "kind", kind, "capacity", (number)o->capacity, "partitions", o->partitions,
                         "layout", o->layout, "rule", o->rule, "keys", o->keys, "processes", o->processes);
}

PyObject *header_object(struct module_state *state, const struct header *h, const struct geometry *g, bool unlinked) {
    PyObject *options = options_object(&h->options);
    PyObject *fields = options ? fields_object(state, h->fields, h->options.field_count) : NULL;
    if (!fields) {
        Py_XDECREF(options);
        return NULL;
    }
    return new_shape(state, SHAPE_HEADER,
                     Py_BuildValue("((HH)y#LNNKN)", h->abi_major, h->abi_minor, h->store_id,
                                   (Py_ssize_t)sizeof h->store_id, (long long)h->created_ns, fields, options,
                                   (unsigned long long)g->total_bytes, PyBool_FromLong(unlinked)));
}

/* Where a region begins; the last of a list has no name. */
struct begin {
    const char *name;
    uint64_t first;
};

static PyObject *regions_object(const struct begin *begins) {
    PyObject *regions = PyList_New(0);
    for (; regions && begins->name; begins++) {
        PyObject *region =
            Py_BuildValue("(sKK)", begins->name, (number)begins->first, (number)(begins[1].first - begins->first));
        if (!region || PyList_Append(regions, region)) Py_CLEAR(regions);
        Py_XDECREF(region);
    }
    return regions;
}

PyObject *plan_object(struct module_state *state, const struct geometry *g) {
    const enum segment_kind kind = g->options.kind;
    const struct begin of_metrics[] = {{"header and board", 0},
                                       {"history", g->history_offset},
                                       {"processes", g->processes_offset},
                                       {"changes", g->changes_offset},
                                       {"chains", g->chains_offset},
                                       {"nodes", g->nodes_offset},
                                       {"exemplars", g->exemplars_offset},
                                       {NULL, g->total_bytes}};
    const struct begin of_events[] = {{"header and board", 0},
                                      {"history", g->history_offset},
                                      {"processes", g->processes_offset},
                                      {"key buckets", g->buckets_offset},
                                      {"key cells", g->cells_offset},
                                      {"partitions", g->partitions_offset},
                                      {"summaries", g->summaries_offset},
                                      {"slots", g->slots_offset},
                                      {NULL, g->total_bytes}};
    const struct begin of_streams[] = {{"header and board", 0},
                                       {"history", g->history_offset},
                                       {"processes", g->processes_offset},
                                       {"name buckets", g->name_buckets_offset},
                                       {"name cells", g->name_cells_offset},
                                       {"logs", g->logs_offset},
                                       {"streams", g->streams_offset},
                                       {"slots", g->log_slots_offset},
                                       {NULL, g->total_bytes}};
    const struct begin *const begins[] = {
        [SEGMENT_EVENTS] = of_events, [SEGMENT_METRICS] = of_metrics, [SEGMENT_STREAMS] = of_streams};
    PyObject *regions = regions_object(begins[kind]);
    uint64_t capacity = g->options.capacity, bytes = g->record_bytes;
    if (kind == SEGMENT_EVENTS) capacity = g->slots * g->options.partitions;
    if (kind == SEGMENT_STREAMS) capacity = g->slots * g->options.logs;
    if (kind == SEGMENT_STREAMS) bytes = g->event_bytes;
    if (!regions) return NULL;
    return new_shape(
        state, SHAPE_PLAN,
        Py_BuildValue("(KKKKN)", (number)g->total_bytes, (number)g->slots, (number)capacity, (number)bytes, regions));
}
