/* What a store tells of itself: header, plan, totals, places, invariants, history. */
#include "binding/store/upkeep.h"

#include "core/metrics/check_nodes.h"
#include "core/store/check.h"
#include "core/store/history.h"
#include "core/streams/check.h"

#include <string.h>

/* ---- state -------------------------------------------------------------------------------------------------------- */

PyObject *Store_header(PyObject *self, PyObject *unused) {
    (void)unused;
    Store *store = (Store *)self;
    if (check_open(store)) return NULL;
    return header_object(store->state, &store->handle.header, &store->handle.geometry,
                         load_relaxed(&store->handle.board->news) & NEWS_UNLINKED);
}

PyObject *Store_plan(PyObject *self, PyObject *unused) {
    (void)unused;
    return plan_object(((Store *)self)->state, &((Store *)self)->handle.geometry);
}

PyObject *Store_totals(PyObject *self, PyObject *unused) {
    (void)unused;
    Store *store = (Store *)self;
    if (check_open(store)) return NULL;
    handle_is_unlinked(&store->handle); /* a good moment to look whether the name is still there */
    uint32_t count = store->handle.geometry.options.partitions;
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (uint32_t p = 0; list && p < count; p++) {
        struct totals t;
        handle_totals(&store->handle, p, &t);
        PyObject *totals = new_shape(store->state, SHAPE_TOTALS,
                                     Py_BuildValue("(KKKKKK)", (number)t.tail, (number)t.oldest, (number)t.length,
                                                   (number)t.skipped, (number)t.voided, (number)t.in_flight));
        if (!totals) Py_CLEAR(list);
        else PyList_SetItem(list, (Py_ssize_t)p, totals);
    }
    return list;
}

/* A place as it is in one incarnation, or None when it is free. */
static PyObject *place_object(Store *store, uint32_t index) {
    const struct place *place = processes_place(&store->handle.ring, index);
    for (int look = 0; look < 100; look++) {
        uint64_t word = load_acquire(&place->word), name[PROCESS_NAME_BYTES / 8];
        if (place_state(word) == PLACE_FREE) break;
        if (place_state(word) == PLACE_ENTERING) continue; /* its fields are the last holder's, or half written */
        number pid = load_relaxed(&place->pid), start = load_relaxed(&place->start_time),
               space = load_relaxed(&place->pid_namespace);
        number entered = load_relaxed(&place->entered_ns), appended = load_relaxed(&place->appended);
        number last = load_relaxed(&place->last_append_ns), lapped = load_relaxed(&place->lapped);
        for (size_t i = 0; i < PROCESS_NAME_BYTES / 8; i++) name[i] = load_relaxed(&place->name[i]);
        fence_acquire(); /* place_object:fence: the same incarnation before and after */
        if (load_relaxed(&place->word) != word) continue;
        const char *state = processes_is_locked(&store->handle.processes, index) ? "alive" : "dead";
        const char *text = (const char *)name;
        PyObject *decoded = PyUnicode_DecodeUTF8(text, (Py_ssize_t)strnlen(text, sizeof name), "replace");
        if (!decoded) return NULL;
        return new_shape(store->state, SHAPE_PLACE,
                         Py_BuildValue("(IKsKKKKNKKK)", index, (number)place_generation(word), state, pid, start, space,
                                       entered, decoded, appended, last, lapped));
    }
    return Py_NewRef(Py_None);
}

PyObject *Store_places(PyObject *self, PyObject *unused) {
    (void)unused;
    Store *store = (Store *)self;
    if (check_open(store)) return NULL;
    PyObject *list = PyList_New(0);
    for (uint32_t index = 0; list && index < store->handle.geometry.options.processes; index++) {
        PyObject *place = place_object(store, index);
        if (!place || (place != Py_None && PyList_Append(list, place))) Py_CLEAR(list);
        Py_XDECREF(place);
    }
    return list;
}

static void add_violation(void *context, const char *text) {
    PyObject *line = PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
    if (!line || PyList_Append(context, line)) PyErr_Clear(); /* no memory: the count still tells */
    Py_XDECREF(line);
}

PyObject *Store_check(PyObject *self, PyObject *unused) {
    (void)unused;
    Store *store = (Store *)self;
    if (check_open(store)) return NULL;
    PyObject *violations = PyList_New(0);
    if (violations) {
        const struct check_report report = {add_violation, violations};
        check_store(&store->handle.ring, &store->handle.processes, &store->handle.table, &report);
        check_records(&store->handle.ring, &store->handle.table, &report);
        if (has_metrics(store)) check_nodes(&store->metrics.nodes, add_violation, violations);
        if (has_streams(store)) check_streams(&store->streams, add_violation, violations);
    }
    return violations;
}

PyObject *Store_metrics_room(PyObject *self, PyObject *unused) {
    (void)unused;
    Store *store = (Store *)self;
    if (check_open(store)) return NULL;
    struct metrics_room room;
    metrics_count(&store->metrics, &room);
    return new_shape(store->state, SHAPE_METRICS_ROOM,
                     Py_BuildValue("(KKKKKKKK)", (number)room.nodes, (number)room.used, (number)room.declarations,
                                   (number)room.series, (number)room.exemplars, (number)room.refused,
                                   (number)room.too_long, (number)room.placeless));
}

PyObject *Store_streams_room(PyObject *self, PyObject *unused) {
    (void)unused;
    Store *store = (Store *)self;
    if (check_open(store)) return NULL;
    struct streams_room room;
    streams_count(&store->streams, &room);
    return new_shape(
        store->state, SHAPE_STREAMS_ROOM,
        Py_BuildValue("(KKKK)", (number)room.names, (number)room.streams, (number)room.events, (number)room.tickets));
}

static PyObject *sample_object(Store *store, const struct sample_values *v) {
    return new_shape(store->state, SHAPE_SAMPLE,
                     Py_BuildValue("(KKKKKKKKK)", (number)v->number, (number)v->time_ns, (number)v->appended,
                                   (number)v->discarded, (number)v->skipped, (number)v->voided, (number)v->lapped,
                                   (number)v->length, (number)v->processes));
}

PyObject *Store_sample(PyObject *self, PyObject *argument) {
    Store *store = (Store *)self;
    long long time_ns = PyLong_AsLongLong(argument);
    if ((time_ns == -1 && PyErr_Occurred()) || check_writable(store)) return NULL;
    if (!processes_is_coordinator(&store->handle.processes)) {
        PyErr_SetString(PyExc_RuntimeError, "only the coordinator samples; call lock_coordinator first");
        return NULL;
    }
    struct sample_values values;
    handle_sample(&store->handle, time_ns, &values);
    return sample_object(store, &values);
}

PyObject *Store_history(PyObject *self, PyObject *const *arguments, Py_ssize_t given) {
    Store *store = (Store *)self;
    Py_ssize_t most = HISTORY_SAMPLES;
    if (given > 1) return PyErr_Format(PyExc_TypeError, "history takes at most 1 argument, found %zd", given);
    if (given) most = PyNumber_AsSsize_t(arguments[0], NULL);
    if ((most == -1 && PyErr_Occurred()) || check_open(store)) return NULL;
    if (most > HISTORY_SAMPLES) most = HISTORY_SAMPLES;
    if (most < 0) most = 0;
    uint64_t next = history_next(&store->handle.ring);
    PyObject *list = PyList_New(0);
    for (uint64_t n = next > (uint64_t)most ? next - (uint64_t)most : 0; list && n < next; n++) {
        struct sample_values values;
        if (!history_read(&store->handle.ring, n, &values)) continue;
        PyObject *sample = sample_object(store, &values);
        if (!sample || PyList_Append(list, sample)) Py_CLEAR(list);
        Py_XDECREF(sample);
    }
    return list;
}
