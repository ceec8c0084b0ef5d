/* Making a series ready for updates: finding or making its cells, and bringing along what it has counted elsewhere. */
#include "binding/metrics/refuse.h"
#include "binding/metrics/series.h"

#include <unistd.h>

static uint32_t cells_of(const Metrics *metrics, const Series *root) {
    return is_own(metrics, root->mode) ? 2 : root->cell_count;
}

bool set_value(const Series *series, double value, uint64_t time_us) {
    if (series->owner && series->root->mode == GAUGE_LIVEMOSTRECENT) {
        const struct cell_at when = cell_of(series, 1);
        return cell_set(&series->cell, value, series->mark) && cell_set(&when, 0, time_us);
    }
    if (series->owner) return cell_set(&series->cell, value, series->mark);
    /* Where all are one process's, the latest is what was set last, whatever the clock says. */
    return series->metrics->store ? cell_set_latest(&series->cell, value, time_us)
                                  : cell_set(&series->cell, value, time_us);
}

/* ---- binding ------------------------------------------------------------------------------------------------------- */

/* Is a metric declared where it is? There may have been no room, or whoever declared it first gave it up. */
static bool is_declared(const Series *root) {
    const struct node_at at = {root->family, root->declared};
    return root->family != NO_FAMILY && (!root->home->store || nodes_is(nodes_of(root->home), at));
}

/* Declare a metric again; others may have declared another of its name meanwhile, so that is left to Python. 0, or -1. */
static int declare_again(Series *root) {
    PyObject *may = PyObject_CallMethod((PyObject *)root, "_declare_again", NULL);
    if (may == Py_False) count_refusal(root->home, false, false);
    Py_XDECREF(may);
    return may ? 0 : -1;
}

static bool is_too_long(const Series *root) {
    return root->declaration && (uint64_t)PyBytes_Size(root->declaration) > nodes_most_bytes();
}

/* Point a series at the cells of its node; false: the node was removed meanwhile. */
static bool point_at(Series *series, struct node_at at, uint32_t cell_count) {
    const struct nodes *nodes = nodes_of(series->metrics);
    struct wide *first = nodes_cell(nodes, at, 0);
    for (uint32_t i = 1; i < cell_count; i++)
        if (!(series->cells[i] = nodes_cell(nodes, at, i))) return false;
    if (!first) return false;
    series->at = at;
    series->cell = (struct cell_at){&nodes_at(nodes, at.index)->word, at.word, first};
    return true;
}

/* Take over what this process has for itself. */
static bool take_own(Series *series, uint32_t owner) {
    const struct handle *handle = series->metrics->metrics->handle;
    const struct cell_at second = cell_of(series, 1);
    series->mark = mark_of(load_relaxed(&processes_place(&handle->ring, owner_place(owner))->word) >> 8);
    if (!own_take(&series->cell, &second, series->mark, (uint64_t)getpid(), gauge_fold(series->root->mode)))
        return false;
    series->owner = owner | OWNER_ENTERED;
    return true;
}

/* Find or insert the node of a series in the home of its metric. */
static enum node_status bind_once(Series *series, uint32_t owner, uint64_t since) {
    Series *root = series->root;
    Metrics *home = root->home;
    char *text;
    Py_ssize_t bytes;
    struct node_at at;
    bool inserted;
    const bool own = is_own(home, root->mode);
    const uint32_t cell_count = cells_of(home, root);
    if (PyBytes_AsStringAndSize(series->text, &text, &bytes)) return NODES_DAMAGED;
    const struct node_wish wish = {
        {root->family, own ? owner_place(owner) : NO_PLACE, text, (uint32_t)bytes}, (uint32_t)bytes, cell_count, since};
    const enum node_status status = insert_node(home, owner, &wish, &at, &inserted);
    if (status != NODES_OK) return status;
    series->owner = 0;
    if (!point_at(series, at, cell_count) || (own && !take_own(series, owner))) {
        series->cell.cell = NULL;
        return NODES_MISSING;
    }
    series->standing = BOUND;
    return NODES_OK;
}

/* Where a metric is, and the owner that this process is there; which may take Python code, that moves it. NULL with an exception. */
static Metrics *take_home(const Series *root, uint32_t *owner) {
    for (;;) {
        Metrics *home = (Metrics *)Py_NewRef((PyObject *)root->home);
        *owner = owner_of(home);
        if (*owner && home == root->home) return home;
        Py_DECREF((PyObject *)home);
        if (!*owner) return NULL;
    }
}

/* There is no home for want of a place in the process table: count the series as refused, warn once, and forget the exception;
 * false where that, or another exception, is to be raised. */
static bool goes_on_without_a_place(Metrics *metrics) {
    PyObject *full = metrics->state->errors[ERROR_PROCESS_TABLE_FULL], *type, *error, *trace;
    if (metrics->strict || !PyErr_ExceptionMatches(full)) return false;
    count_refusal(metrics, false, true);
    PyErr_Fetch(&type, &error, &trace);
    int raised = 0;
    if (!metrics->warned) {
        metrics->warned = true;
        raised = PyErr_WarnFormat(PyExc_RuntimeWarning, 2, "this process counts into nothing: %S", error);
    }
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(trace);
    return !raised;
}

/* Bind a series anew. 1, 0: refused, or -1. */
static int bind(Series *series) {
    Series *root = series->root;
    uint32_t owner;
    const Metrics *first = root->home;
    const uint64_t freed = load_relaxed(&room_of(first)->freed);
    if (!is_declared(root) && declare_again(root)) return root->home && goes_on_without_a_place(root->home) ? 0 : -1;
    Metrics *home = take_home(root, &owner);
    if (!home) return root->home && goes_on_without_a_place(root->home) ? 0 : -1;
    const uint32_t cell_count = cells_of(home, root);
    struct wide **cells = cell_count > 1 ? PyMem_Calloc(cell_count, sizeof *cells) : NULL;
    if (cell_count > 1 && !cells) {
        Py_DECREF((PyObject *)home);
        PyErr_NoMemory();
        return -1;
    }
    /* From here on no Python code runs until all is in place, or refused. */
    const struct earlier earlier = {series->metrics, series->at, series->cell, series->cells};
    const bool moves = series->standing == BOUND && earlier.metrics != home && !earlier.metrics->store;
    const uint64_t since =
        moves ? load_relaxed(&nodes_at(nodes_of(earlier.metrics), earlier.at.index)->since) : (uint64_t)now_ns();
    series->metrics = home;
    series->cells = cells;
    series->cell.cell = NULL;
    series->standing = REFUSED;
    series->freed = home == first ? freed : 0;
    enum node_status status = NODES_MISSING;
    if (root->family == NO_FAMILY) status = is_too_long(root) ? NODES_TOO_LONG : NODES_FULL;
    while (status == NODES_MISSING) status = bind_once(series, owner, since);
    series->is_too_long = status == NODES_TOO_LONG;
    if (status == NODES_OK && moves) bring_along(series, &earlier);
    PyMem_Free((void *)earlier.cells);
    Py_XDECREF((PyObject *)earlier.metrics);
    return status == NODES_OK ? 1 : status == NODES_FULL || status == NODES_TOO_LONG ? 0 : -1;
}

int make_ready(Series *series) {
    Series *root = series->root;
    if (!root || !series->text || !root->home) {
        PyObject *type = PyObject_GetAttrString((PyObject *)series, "_type");
        if (type) PyErr_Format(PyExc_ValueError, "%S metric is missing label values", type);
        Py_XDECREF(type);
        return -1;
    }
    if (check_metrics(root->home)) return -1;
    if (series->standing == BOUND && series != root && load_acquire(series->cell.word) != series->cell.live) {
        series->standing = DETACHED;
        series->cell.cell = NULL;
    }
    if (series->standing == DETACHED) return 0;
    if (series->standing == REFUSED && series->metrics == root->home && !root->home->strict &&
        series->freed == load_relaxed(&room_of(root->home)->freed)) {
        count_refusal(root->home, series->is_too_long, false); /* an update that is lost */
        return 0;
    }
    return bind(series);
}

/* ---- moving -------------------------------------------------------------------------------------------------------- */

/* Only this process has what is in private memory, and no other thread updates the series meanwhile. */
static void bring_cell(Series *series, uint32_t number, struct cell_value now, struct cell_value before) {
    const struct cell_at to = cell_of(series, number);
    if (series->root->mode == NOT_A_GAUGE) {
        if (now.bits != before.bits || now.number != before.number)
            cell_add(&to, now.number - before.number, now.bits - before.bits);
    } else if (now.bits != before.bits) set_value(series, now.number, now.bits); /* it was set: the bits are when */
    else if (series->owner && now.number != before.number) cell_add(&to, now.number - before.number, 0);
}

void bring_along(Series *series, const struct earlier *earlier) {
    const Metrics *from = earlier->metrics;
    const struct nodes *nodes = nodes_of(from), *to = nodes_of(series->metrics);
    for (uint32_t i = 0; i < series->root->cell_count; i++) {
        const struct wide *cell = i ? earlier->cells[i] : earlier->cell.cell;
        struct cell_value value;
        struct exemplar_values exemplar;
        if (cell_read(cell, &value)) bring_cell(series, i, value, inherited_cell(from, earlier->at, cell));
        if (exemplar_get(nodes, earlier->at, i, &exemplar))
            exemplar_put(to, owner_of(series->metrics), series->at, i, &exemplar);
    }
    nodes_remove(nodes, earlier->at);
}
