/* Counting, adding up and comparing: the numbers of all records that match, of groups, and of windows. */
#include "binding/questions/cells.h"

#include "core/questions/batches/bounds.h"

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

/* The figures of a value, in the order of the named tuples. */
enum figure { FIGURE_SUM, FIGURE_LOW, FIGURE_HIGH, FIGURE_SQUARES, FIGURE_COUNT };

/* Without values, or when a figure was not asked for, a sum is 0 and all others are None. */
static PyObject *figure_object(const struct tally *tally, enum lane lane, unsigned what, enum figure figure) {
    const bool bounded = what & TALLY_BOUNDS && !bounds_are_empty(lane, tally->low, tally->high);
    switch (figure) {
    case FIGURE_SUM:
        if (!(what & TALLY_SUM)) return PyLong_FromLong(0);
        return lane == LANE_FLOAT ? PyFloat_FromDouble(real_sum_value(&tally->sum.real))
                                  : wide_object(tally->sum.integer.total);
    case FIGURE_LOW: return bounded ? number_object(lane, tally->low) : Py_NewRef(Py_None);
    case FIGURE_HIGH: return bounded ? number_object(lane, tally->high) : Py_NewRef(Py_None);
    default: return what & TALLY_MOMENTS && tally->counted ? PyFloat_FromDouble(tally->squares) : Py_NewRef(Py_None);
    }
}

/* One figure of one value: a number, or a column of numbers. */
typedef PyObject *figure_maker(void *context, uint32_t value, enum figure figure);

/* A list with a named tuple for each value that was asked about. */
static PyObject *list_tallies(struct module_state *state, enum shape shape, const struct tallies *asked,
                              figure_maker *make, void *context) {
    PyObject *list = PyList_New(0);
    for (uint32_t value = 0; list && value < asked->count; value++) {
        PyObject *figures = PyTuple_New(FIGURE_COUNT);
        for (int figure = 0; figures && figure < FIGURE_COUNT; figure++) {
            PyObject *object = make(context, value, (enum figure)figure);
            if (!object || PyTuple_SetItem(figures, figure, object)) Py_CLEAR(figures);
        }
        PyObject *tally = new_shape(state, shape, figures);
        if (!tally || PyList_Append(list, tally)) Py_CLEAR(list);
        Py_XDECREF(tally);
    }
    return list;
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

static PyObject *make_total(void *context, uint32_t value, enum figure figure) {
    const struct total *total = context;
    return figure_object(&total->tally[value], total->asked.values[value].lane, total->asked.values[value].what,
                         figure);
}

static PyObject *tally_all(struct run *run, const struct tallies *asked) {
    struct module_state *state = run->store->state;
    struct total total = {.asked = *asked};
    tally_begin(total.tally, asked);
    if (run_pass(run, &(struct listener){hear_total, &total, take_total, NULL})) return NULL;
    PyObject *tallies = list_tallies(state, SHAPE_TALLY, asked, make_total, &total);
    return tallies ? new_shape(state, SHAPE_TALLIED, Py_BuildValue("(KN)", (number)total.count, tallies)) : NULL;
}

/* ---- groups and windows ------------------------------------------------------------------------------------------- */

static enum told hear_groups(void *context, const struct batch *batch, const struct found *found) {
    return told_of(groups_add(context, batch, found));
}

static bool take_groups(void *context, const struct block *block) {
    bool taken;
    return groups_add_block(context, block, &taken) == GROUPS_OK &&
           taken; /* when memory is short, reading its records will raise */
}

static bool renew_groups(void *context, uint32_t keys) { return groups_add_keys(context, keys); }

static PyObject *make_pane(const struct groups *groups, uint32_t cell, void *context) {
    (void)context;
    return PyLong_FromLongLong(groups->cells[cell].pane);
}

static PyObject *make_count(const struct groups *groups, uint32_t cell, void *context) {
    (void)context;
    return PyLong_FromUnsignedLongLong(groups->cells[cell].count);
}

struct cell_figure {
    uint32_t value;
    enum figure figure;
};
static PyObject *make_cell_figure(const struct groups *groups, uint32_t cell, void *context) {
    const struct cell_figure *of = context;
    return figure_object(&groups->tallies[(size_t)cell * groups->asked.count + of->value],
                         groups->asked.values[of->value].lane, groups->asked.values[of->value].what, of->figure);
}

static PyObject *make_figures(void *context, uint32_t value, enum figure figure) {
    return cells_column(context, make_cell_figure, &(struct cell_figure){value, figure});
}

/* GroupTallies, or with panes WindowTallies. */
static PyObject *groups_object(Store *store, struct groups *groups) {
    const bool has_panes = panes_given(&groups->panes);
    PyObject *labels = groups->field == NO_FIELD ? Py_NewRef(Py_None) : labels_column(store, groups);
    PyObject *panes = labels && has_panes ? cells_column(groups, make_pane, NULL) : NULL;
    PyObject *counts = labels && (panes || !has_panes) ? cells_column(groups, make_count, NULL) : NULL;
    PyObject *tallies =
        counts ? list_tallies(store->state, SHAPE_TALLY_COLUMNS, &groups->asked, make_figures, groups) : NULL;
    if (tallies && has_panes)
        return new_shape(store->state, SHAPE_WINDOW_TALLIES, Py_BuildValue("(NNNN)", labels, panes, counts, tallies));
    if (tallies) return new_shape(store->state, SHAPE_GROUP_TALLIES, Py_BuildValue("(NNN)", labels, counts, tallies));
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

/* `times`: NULL for all records together. */
static PyObject *tally(const struct source *source, PyObject *what, int by, const struct times *times) {
    struct run run;
    struct tallies asked;
    PyObject *result = NULL;
    if (run_begin(&run, source)) return NULL;
    if (!read_asked(what, run.program, &asked))
        result = times ? tally_groups(&run, &asked, by, times) : tally_all(&run, &asked);
    run_end(&run);
    return result;
}

PyObject *ask_tally(PyObject *self, PyObject *arguments, PyObject *keywords) {
    static char *const known[] = {"program", "what", "partitions", "ends", "summaries", NULL};
    struct source source = source_of(self);
    PyObject *what;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OO|$OOp:tally", (char **)(uintptr_t)known, &source.program,
                                     &what, &source.partitions, &source.ends, &source.summaries))
        return NULL;
    return tally(&source, what, NO_FIELD, NULL);
}

PyObject *ask_group_tallies(PyObject *self, PyObject *arguments, PyObject *keywords) {
    static char *const known[] = {"program", "what", "by", "partitions", "ends", "summaries", NULL};
    struct source source = source_of(self);
    PyObject *what, *by;
    uint32_t group;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OOO|$OOp:group_tallies", (char **)(uintptr_t)known,
                                     &source.program, &what, &by, &source.partitions, &source.ends,
                                     &source.summaries) ||
        field_argument(source.store, by, &group))
        return NULL;
    source.needs = field_bit((int)group);
    return tally(&source, what, (int)group, &(struct times){.every_ns = 0});
}

/* Whether panes or windows of these lengths and edges can be made. */
static bool are_times(const Store *store, const struct times *times, Py_ssize_t edge_bytes) {
    const bool overlap = times->every_ns || times->period_ns;
    return store->handle.geometry.time_field >= 0 && times->panes.length_ns >= 0 && edge_bytes % 8 == 0 &&
           panes_given(&times->panes) &&
           (!overlap || (times->panes.length_ns && !edge_bytes && times->every_ns > 0 && times->period_ns > 0));
}

PyObject *ask_window_tallies(PyObject *self, PyObject *arguments, PyObject *keywords) {
    static char *const known[] = {"program", "what",       "by",   "pane_ns",   "every_ns", "period_ns",
                                  "edges",   "partitions", "ends", "summaries", NULL};
    struct source source = source_of(self);
    Store *store = source.store;
    struct times times = {.every_ns = 0};
    long long pane_ns = 0;
    Py_buffer edges = {.obj = NULL};
    PyObject *what, *by = Py_None, *result = NULL;
    uint32_t group = 0;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OO|$OLLLy*OOp:window_tallies", (char **)(uintptr_t)known,
                                     &source.program, &what, &by, &pane_ns, &times.every_ns, &times.period_ns, &edges,
                                     &source.partitions, &source.ends, &source.summaries))
        return NULL;
    times.panes = (struct panes){pane_ns, edges.buf, (uint32_t)(edges.len / 8)};
    if (!are_times(store, &times, edges.len)) {
        PyErr_SetString(PyExc_ValueError,
                        "windows of time need a Timestamp field, and positive lengths or int64 edges");
    } else if (by == Py_None || !field_argument(store, by, &group)) {
        const int field = by == Py_None ? NO_FIELD : (int)group;
        source.needs = field_bit(field) | field_bit(store->handle.geometry.time_field);
        result = tally(&source, what, field, &times);
    }
    if (edges.obj) PyBuffer_Release(&edges);
    return result;
}
