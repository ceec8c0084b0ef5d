/* Counting, adding up and comparing: the answers about numbers, of all records that match, of groups, and of windows. */
#include "binding/questions/cells.h"
#include "binding/values/decode.h"

#include "core/questions/batches/bounds.h"
#include "core/questions/tallies/first_last.h"

/* ---- numbers as objects ------------------------------------------------------------------------------------------- */

/* An integer of 128 bits: (high << 64) + low. */
static PyObject *wide_object(__int128 value) {
    if (value >= INT64_MIN && value <= INT64_MAX) return PyLong_FromLongLong((long long)value);
    PyObject *high = PyLong_FromLongLong((long long)(value >> 64)), *bits = PyLong_FromLong(64), *result = NULL,
             *low = PyLong_FromUnsignedLongLong((unsigned long long)value);
    PyObject *shifted = high && bits && low ? PyNumber_Lshift(high, bits) : NULL;
    if (shifted) result = PyNumber_Add(shifted, low);
    Py_XDECREF(high);
    Py_XDECREF(bits);
    Py_XDECREF(low);
    Py_XDECREF(shifted);
    return result;
}

enum { ANSWERS = 4 }; /* of a value: sum, low, high, squares; None for what was not asked, or is of no value */

static PyObject *answer_object(const struct tally *tally, enum lane lane, unsigned what, int answer) {
    bool empty = bounds_are_empty(lane, tally->low, tally->high);
    switch (answer) {
    case 0:
        if (!(what & TALLY_SUM)) break;
        return lane == LANE_FLOAT ? PyFloat_FromDouble(real_sum_value(&tally->sum.real))
                                  : wide_object(tally->sum.integer.total);
    case 1:
        if (what & TALLY_BOUNDS && !empty) return number_object(lane, tally->low);
        break;
    case 2:
        if (what & TALLY_BOUNDS && !empty) return number_object(lane, tally->high);
        break;
    default:
        if (what & TALLY_MOMENTS && tally->counted) return PyFloat_FromDouble(tally->squares);
    }
    return Py_NewRef(Py_None);
}

/* ---- what is asked ------------------------------------------------------------------------------------------------ */

static int read_asked(PyObject *what, const struct program *program, struct tallies *asked) {
    asked->count = program->value_count;
    if (PySequence_Size(what) != (Py_ssize_t)asked->count) {
        if (!PyErr_Occurred()) PyErr_Format(PyExc_ValueError, "expected %u flags, one a value", asked->count);
        return -1;
    }
    for (uint32_t i = 0; i < asked->count; i++) {
        PyObject *flags = PySequence_GetItem(what, (Py_ssize_t)i);
        asked->values[i].what = flags ? (unsigned)PyLong_AsUnsignedLong(flags) : 0;
        asked->values[i].lane = program->values[i].lane;
        asked->values[i].field = program->values[i].field;
        Py_XDECREF(flags);
        if (PyErr_Occurred()) return -1;
    }
    return 0;
}

/* ---- all records together ----------------------------------------------------------------------------------------- */

struct total {
    struct tallies asked;
    struct tally tally[MAX_VALUES];
    uint64_t count;
};

static enum told hear_total(void *context, const struct batch *batch, const struct found *found) {
    struct total *total = context;
    tally_batch(total->tally, &total->asked, found, batch->rows);
    total->count += found->matched;
    return TOLD_OK;
}

static bool take_total(void *context, const struct block *block) {
    struct total *total = context;
    if (!tally_answers(&total->asked, block)) return false;
    tally_block(total->tally, &total->asked, block);
    total->count += block->records;
    return true;
}

static PyObject *tally_all(struct run *run, const struct tallies *asked) {
    struct total total = {.asked = *asked};
    tally_begin(total.tally, asked);
    if (run_pass(run, &(struct listener){hear_total, &total, take_total, NULL})) return NULL;
    PyObject *values = PyList_New(0);
    for (uint32_t i = 0; values && i < asked->count; i++) {
        PyObject *answers = PyTuple_New(ANSWERS);
        for (int answer = 0; answers && answer < ANSWERS; answer++) {
            PyObject *object = answer_object(&total.tally[i], asked->values[i].lane, asked->values[i].what, answer);
            if (!object || PyTuple_SetItem(answers, answer, object)) Py_CLEAR(answers);
        }
        if (!answers || PyList_Append(values, answers)) Py_CLEAR(values);
        Py_XDECREF(answers);
    }
    return values ? Py_BuildValue("(KN)", (number)total.count, values) : NULL;
}

/* ---- groups and windows ------------------------------------------------------------------------------------------- */

static enum told hear_groups(void *context, const struct batch *batch, const struct found *found) {
    return told_of(groups_add(context, batch, found));
}

static bool take_groups(void *context, const struct block *block) {
    bool taken;
    return groups_add_block(context, block, &taken) == GROUPS_OK && taken; /* without memory: its records will tell */
}

static bool renew_groups(void *context, uint32_t keys) { return groups_add_keys(context, keys); }

static PyObject *make_pane(Store *store, const struct groups *groups, uint32_t cell, uint32_t value, int answer) {
    (void)store, (void)value, (void)answer;
    return PyLong_FromLongLong(groups->cells[cell].pane);
}
static PyObject *make_count(Store *store, const struct groups *groups, uint32_t cell, uint32_t value, int answer) {
    (void)store, (void)value, (void)answer;
    return PyLong_FromUnsignedLongLong(groups->cells[cell].count);
}
static PyObject *make_answer(Store *store, const struct groups *groups, uint32_t cell, uint32_t value, int answer) {
    (void)store;
    return answer_object(&groups->tallies[(size_t)cell * groups->asked.count + value], groups->asked.values[value].lane,
                         groups->asked.values[value].what, answer);
}

/* (labels or None, panes or None, counts, [(sums, lows, highs, squares) of each value]) */
static PyObject *groups_object(Store *store, const struct groups *groups) {
    PyObject *labels = groups->field < 0 ? Py_NewRef(Py_None) : labels_column(store, groups);
    PyObject *panes = !panes_given(&groups->panes) ? Py_NewRef(Py_None)
                      : labels                     ? cells_column(store, groups, 0, 0, make_pane)
                                                   : NULL;
    PyObject *counts = panes ? cells_column(store, groups, 0, 0, make_count) : NULL,
             *values = counts ? PyList_New(0) : NULL;
    for (uint32_t i = 0; values && i < groups->asked.count; i++) {
        PyObject *answers = PyTuple_New(ANSWERS);
        for (int answer = 0; answers && answer < ANSWERS; answer++) {
            PyObject *column = cells_column(store, groups, i, answer, make_answer);
            if (!column || PyTuple_SetItem(answers, answer, column)) Py_CLEAR(answers);
        }
        if (!answers || PyList_Append(values, answers)) Py_CLEAR(values);
        Py_XDECREF(answers);
    }
    if (values) return Py_BuildValue("(NNNN)", labels, panes, counts, values);
    Py_XDECREF(labels);
    Py_XDECREF(panes);
    Py_XDECREF(counts);
    return NULL;
}

enum { MOST_OVERLAPS = 1 << 30 }; /* panes in windows, some ten seconds' work */
enum { SLICE_WINDOWS = 1 << 17 }; /* tallied between two looks at signals */

struct times {
    struct panes panes;
    long long every_ns, period_ns;
};

/* Put the windows together, a few at a time, so that Ctrl-C is heard. 0, or -1 with an exception. */
static int make_windows(Store *store, struct groups *windows, const struct groups *panes, const struct times *times) {
    const int64_t overlap = times->period_ns / times->every_ns + 1;
    const uint32_t step = (uint32_t)(SLICE_WINDOWS / overlap) + 1;
    if (panes->cell_count > MOST_OVERLAPS / overlap) {
        raise_error(
            store->state, ERROR_INVALID_OPTION,
            "windows that overlap so often over so many times would take minutes; give a longer every, a shorter "
            "period, or ask about less with since and until");
        return -1;
    }
    bool done = true;
    for (uint32_t first = 0; done && first < panes->cell_count; first += step) {
        const uint32_t left = panes->cell_count - first, end = first + (left < step ? left : step);
        Py_BEGIN_ALLOW_THREADS;
        done = groups_windows(windows, panes, first, end, times->every_ns, times->period_ns);
        Py_END_ALLOW_THREADS;
        if (PyErr_CheckSignals()) return -1;
    }
    if (!done) PyErr_NoMemory();
    return done ? 0 : -1;
}

static PyObject *tally_groups(struct run *run, const struct tallies *asked, int by, const struct times *times) {
    const struct geometry *g = &run->store->handle.geometry;
    struct groups groups = {.cell_count = 0}, windows = {.cell_count = 0};
    uint32_t keys;
    if (count_keys(run, &keys)) return NULL;
    PyObject *result = NULL;
    if (!groups_begin(&groups, g, by, keys, times->panes, asked) ||
        (times->every_ns &&
         !groups_begin(&windows, g, by, keys, (struct panes){.length_ns = times->every_ns}, asked))) {
        PyErr_NoMemory();
    } else if (!run_pass(run, &(struct listener){hear_groups, &groups, take_groups, renew_groups})) {
        if (!times->every_ns) result = groups_object(run->store, &groups);
        else if (!make_windows(run->store, &windows, &groups, times)) result = groups_object(run->store, &windows);
    }
    groups_end(&groups);
    groups_end(&windows);
    return result;
}

/* ---- methods ------------------------------------------------------------------------------------------------------ */

static PyObject *tally_asked(const struct source *source, PyObject *what, int by, const struct times *times) {
    struct run run;
    struct tallies asked;
    if (run_begin(&run, source)) return NULL;
    PyObject *result = NULL;
    if (!read_asked(what, run.program, &asked))
        result =
            by < 0 && !panes_given(&times->panes) ? tally_all(&run, &asked) : tally_groups(&run, &asked, by, times);
    run_end(&run);
    return result;
}

static PyObject *tally(Store *store, Columns *columns, PyObject *arguments, PyObject *keywords) {
    static char *const known[] = {"program",  "what",      "partitions", "ends",      "by", "pane_ns",
                                  "every_ns", "period_ns", "edges",      "summaries", NULL};
    struct source source = {.store = store, .columns = columns, .summaries = 1};
    struct times times = {.every_ns = 0};
    long long pane_ns = 0;
    Py_buffer edges = {.obj = NULL};
    PyObject *what, *result = NULL;
    int by = -1;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OO|$OOiLLLy*p:tally", (char **)(uintptr_t)known,
                                     &source.program, &what, &source.partitions, &source.ends, &by, &pane_ns,
                                     &times.every_ns, &times.period_ns, &edges, &source.summaries))
        return NULL;
    times.panes = (struct panes){pane_ns, edges.buf, (uint32_t)(edges.len / 8)};
    const bool by_time = panes_given(&times.panes);
    if (pane_ns < 0 || edges.len % 8 || (by_time && store->handle.geometry.time_field < 0) || times.every_ns < 0 ||
        (times.every_ns && (!pane_ns || edges.len || times.period_ns < 1))) {
        PyErr_Format(PyExc_ValueError, "windows of time need a Timestamp field, and positive lengths or int64 edges");
    } else if ((by = group_field(store, by, true)) != -2) {
        source.needs = field_bit(by) | (by_time ? field_bit(store->handle.geometry.time_field) : 0);
        result = tally_asked(&source, what, by, &times);
    }
    if (edges.obj) PyBuffer_Release(&edges);
    return result;
}

PyObject *Store_tally(PyObject *self, PyObject *arguments, PyObject *keywords) {
    return tally((Store *)self, NULL, arguments, keywords);
}

PyObject *Columns_tally(PyObject *self, PyObject *arguments, PyObject *keywords) {
    return tally(((Columns *)self)->store, (Columns *)self, arguments, keywords);
}

/* ---- the first and the last --------------------------------------------------------------------------------------- */

static enum told hear_edges(void *context, const struct batch *batch, const struct found *found) {
    return told_of(edges_add(context, batch, found));
}

static bool renew_edges(void *context, uint32_t keys) {
    struct edges *edges = context;
    return groups_add_keys(&edges->groups, keys);
}

static PyObject *make_edge(Store *store, const struct groups *groups, uint32_t cell, uint32_t value, int answer) {
    (void)value, (void)answer;
    const struct edges *edges = (const struct edges *)(const void *)groups; /* its first member */
    return decode_value(store, edges->field, edges_value(edges, cell));
}

/* (labels or None, values): without groups at most one of each. */
static PyObject *edge(Store *store, Columns *columns, PyObject *arguments, PyObject *keywords) {
    static char *const known[] = {"program", "field", "latest", "partitions", "ends", "by", "summaries", NULL};
    struct source source = {.store = store, .columns = columns, .summaries = 1};
    struct edges edges = {.latest = false};
    int field, latest, by = -1;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "Oip|$OOip:edge", (char **)(uintptr_t)known, &source.program,
                                     &field, &latest, &source.partitions, &source.ends, &by, &source.summaries))
        return NULL;
    by = group_field(store, by, true);
    if (by == -2 || group_field(store, field, false) == -2) return NULL;
    source.needs = field_bit(by) | field_bit(field) | field_bit(store->handle.geometry.time_field);
    edges.field = (uint32_t)field;
    edges.latest = latest != 0;
    struct run run;
    uint32_t keys;
    if (run_begin(&run, &source)) return NULL;
    PyObject *labels = NULL, *values = NULL;
    if (!count_keys(&run, &keys)) {
        if (!groups_begin(&edges.groups, &store->handle.geometry, by, keys, (struct panes){0},
                          &(struct tallies){.count = 0}))
            PyErr_NoMemory();
        else if (!run_pass(&run, &(struct listener){hear_edges, &edges, NULL, renew_edges})) {
            labels = by < 0 ? Py_NewRef(Py_None) : labels_column(store, &edges.groups);
            values = labels ? cells_column(store, &edges.groups, 0, 0, make_edge) : NULL;
        }
        edges_end(&edges);
    }
    run_end(&run);
    if (values) return Py_BuildValue("(NN)", labels, values);
    Py_XDECREF(labels);
    return NULL;
}

PyObject *Store_edge(PyObject *self, PyObject *arguments, PyObject *keywords) {
    return edge((Store *)self, NULL, arguments, keywords);
}

PyObject *Columns_edge(PyObject *self, PyObject *arguments, PyObject *keywords) {
    return edge(((Columns *)self)->store, (Columns *)self, arguments, keywords);
}
