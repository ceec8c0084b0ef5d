/* The Metrics object: private memory, or a segment; declarations and series by name. */
#include "binding/metrics/refuse.h"
#include "binding/metrics/write.h"

#include <string.h>
#include <sys/mman.h>

/* ---- private memory ------------------------------------------------------------------------------------------------ */

enum {
    PRIVATE_SERIES = 1 << 16, /* memory that nobody has touched costs nothing */
    PRIVATE_EXEMPLARS = 1 << 12,
    PRIVATE_OWNER = 1 << PLACE_BITS,
};

static bool never_dead(void *context, uint32_t owner) {
    (void)context;
    (void)owner;
    return false;
}

static int open_private(Metrics *metrics) {
    const struct options options = {
        .capacity = PRIVATE_SERIES, .exemplars = PRIVATE_EXEMPLARS, .processes = 1, .kind = SEGMENT_METRICS};
    struct geometry geometry;
    struct refusal why;
    if (layout_plan(&options, NULL, &geometry, &why) != PLAN_OK) {
        PyErr_SetString(PyExc_SystemError, why.text);
        return -1;
    }
    void *memory =
        mmap(NULL, geometry.total_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        PyErr_NoMemory();
        return -1;
    }
    layout_format(memory, &geometry, NULL, (const uint8_t[16]){0}, now_ns());
    const struct opening opening = {
        .fd = NO_FILE, .writable = true, .has_threads = FREE_THREADED, .liveness = {never_dead, NULL}};
    if (handle_open(&metrics->own.handle, memory, geometry.total_bytes, &opening, &why) != OPEN_OK) {
        munmap(memory, geometry.total_bytes);
        PyErr_NoMemory();
        return -1;
    }
    metrics->own.memory = memory;
    metrics->own.bytes = geometry.total_bytes;
    metrics->metrics = &metrics->own.metrics;
    metrics_on(metrics->metrics, &metrics->own.handle);
    return 0;
}

struct cell_value inherited_cell(const Metrics *metrics, struct node_at at, const struct wide *cell) {
    const uint32_t count = metrics->own.inherited_nodes;
    const size_t offset = (size_t)((const unsigned char *)cell - (const unsigned char *)nodes_at(nodes_of(metrics), 0));
    struct node node;
    struct halves halves;
    if (at.index >= count || offset >= count * sizeof node) return (struct cell_value){0, 0};
    memcpy(&node, metrics->own.inherited + at.index * sizeof node, sizeof node);
    if (load_relaxed(&node.word) != at.word) return (struct cell_value){0, 0};
    if (load_relaxed(&node.since) != load_relaxed(&nodes_at(nodes_of(metrics), at.index)->since))
        return (struct cell_value){0, 0}; /* the child began it again */
    memcpy(&halves, metrics->own.inherited + offset, sizeof halves);
    return (struct cell_value){halves.low & CELL_MASK, number_of(halves.high)};
}

static PyObject *metrics_inherit(PyObject *self, PyObject *unused) {
    (void)unused;
    Metrics *metrics = (Metrics *)self;
    if (metrics->store) Py_RETURN_NONE;
    const size_t count = (size_t)load_relaxed(&room_of(metrics)->used), bytes = count * sizeof(struct node);
    unsigned char *copy = PyMem_Malloc(bytes ? bytes : 1);
    if (!copy) return PyErr_NoMemory();
    memcpy(copy, (void *)nodes_at(nodes_of(metrics), 0), bytes);
    PyMem_Free(metrics->own.inherited);
    metrics->own.inherited = copy;
    metrics->own.inherited_nodes = (uint32_t)count;
    Py_RETURN_NONE;
}

/* ---- nodes --------------------------------------------------------------------------------------------------------- */

uint32_t owner_of(const Metrics *metrics) {
    if (!metrics->store) return PRIVATE_OWNER;
    const struct processes *processes = &metrics->store->handle.processes;
    if (check_writable(metrics->store) || (!processes_owner(processes) && ensure_entered(metrics->store))) return 0;
    if (check_open(metrics->store)) return 0; /* entering runs Python code */
    return processes_owner(processes) & OWNER_MASK;
}

static uint32_t bytes_of(const struct node_wish *wish) {
    return wish->text_bytes + wish->cells * (uint32_t)sizeof(struct wide);
}

/* Find or insert a node; where there was no room lately, the whole table is not looked through again. */
static enum node_status find_or_insert(Metrics *metrics, uint32_t owner, const struct node_wish *wish,
                                       struct node_at *at, bool *inserted) {
    struct changes *changes = room_of(metrics);
    if (metrics->last.is_full && metrics->last.freed == load_relaxed(&changes->freed) &&
        metrics->last.bytes <= bytes_of(wish)) {
        const enum node_status status = nodes_find(nodes_of(metrics), &wish->key, at);
        *inserted = false;
        if (status != NODES_MISSING) return status;
        add_relaxed(&changes->refused, 1);
        return NODES_FULL;
    }
    const enum node_status status = nodes_insert(nodes_of(metrics), owner, wish, at, inserted);
    metrics->last.is_full = status == NODES_FULL;
    if (metrics->last.is_full) {
        metrics->last.freed = load_relaxed(&changes->freed);
        metrics->last.bytes = bytes_of(wish);
    }
    return status;
}

enum node_status insert_node(Metrics *metrics, uint32_t owner, const struct node_wish *wish, struct node_at *at,
                             bool *inserted) {
    if (nodes_bytes(wish) > nodes_most_bytes()) return refuse_too_long(metrics, wish);
    switch (find_or_insert(metrics, owner, wish, at, inserted)) {
    case NODES_OK: return NODES_OK;
    case NODES_DAMAGED:
        raise_error(metrics->state, ERROR_DAMAGED_SEGMENT, "the table of series is damaged: its chains lead nowhere");
        return NODES_DAMAGED;
    default: return refuse_full(metrics, wish);
    }
}

void remove_family(const Metrics *metrics, uint32_t family) {
    const struct nodes *nodes = nodes_of(metrics);
    struct node_at at;
    for (uint32_t index = 0; nodes_next(nodes, &index, &at);)
        if ((load_relaxed(&nodes_at(nodes, at.index)->identity) & MAX_NODES) == family) nodes_remove(nodes, at);
}

/* ---- what Python asks ---------------------------------------------------------------------------------------------- */

static PyObject *text_object(const struct nodes *nodes, struct node_at at) {
    const uint32_t bytes = node_text_bytes(load_relaxed(&nodes_at(nodes, at.index)->sizes));
    char *text = PyMem_Malloc(bytes ? bytes : 1);
    PyObject *object = NULL;
    if (!text) return PyErr_NoMemory();
    const int64_t found = nodes_text(nodes, at, text, bytes);
    if (found == (int64_t)bytes) object = PyBytes_FromStringAndSize(text, bytes);
    else if (!PyErr_Occurred()) object = Py_NewRef(Py_None); /* it was removed meanwhile */
    PyMem_Free(text);
    return object;
}

static PyObject *metrics_declare(PyObject *self, PyObject *arguments) {
    Metrics *metrics = (Metrics *)self;
    Py_buffer text;
    Py_ssize_t key_bytes;
    struct node_at at;
    bool inserted;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(arguments, "y*n:declare", &text, &key_bytes)) return NULL;
    if (key_bytes < 0 || key_bytes > text.len) {
        PyErr_Format(PyExc_ValueError, "a key of %zd bytes in a text of %zd", key_bytes, text.len);
        PyBuffer_Release(&text);
        return NULL;
    }
    const struct node_wish wish = {
        {NO_FAMILY, NO_PLACE, text.buf, (uint32_t)key_bytes}, (uint32_t)text.len, 1, (uint64_t)now_ns()};
    const uint32_t owner = owner_of(metrics);
    enum node_status status = owner ? insert_node(metrics, owner, &wish, &at, &inserted) : NODES_DAMAGED;
    if (status == NODES_OK && !inserted &&
        !metrics->store) { /* of a metric that is being deallocated: it takes its own along */
        remove_family(metrics, at.index);
        nodes_remove(nodes_of(metrics), at);
        status = insert_node(metrics, owner, &wish, &at, &inserted);
    }
    if (status == NODES_FULL || status == NODES_TOO_LONG) result = Py_NewRef(Py_None);
    else if (status == NODES_OK) {
        PyObject *found = text_object(nodes_of(metrics), at);
        result = found ? Py_BuildValue("(IN)", at.index, found) : NULL;
    }
    PyBuffer_Release(&text);
    return result;
}

static PyObject *metrics_find(PyObject *self, PyObject *argument) {
    Metrics *metrics = (Metrics *)self;
    const struct nodes *nodes = nodes_of(metrics);
    char *text;
    Py_ssize_t bytes;
    struct node_at at;
    if (PyBytes_AsStringAndSize(argument, &text, &bytes) || check_metrics(metrics)) return NULL;
    const struct node_key key = {NO_FAMILY, NO_PLACE, text, (uint32_t)bytes};
    if (bytes > UINT16_MAX || nodes_find(nodes, &key, &at) != NODES_OK) Py_RETURN_NONE;
    PyObject *found = text_object(nodes, at);
    if (!found || found == Py_None) return found;
    return Py_BuildValue("(IKN)", at.index, (number)at.word, found);
}

/* One series as (node, its word, its place or None, when it began, text, cells). */
static PyObject *series_object(const struct nodes *nodes, struct node_at at) {
    const struct node *node = nodes_at(nodes, at.index);
    const uint32_t cells = node_cells(load_relaxed(&node->sizes));
    const uint32_t place = (uint32_t)(load_relaxed(&node->identity) >> 24) & 0xffff;
    const uint64_t since = load_relaxed(&node->since);
    PyObject *text = text_object(nodes, at), *values = NULL, *where = NULL;
    if (!text || text == Py_None) return text;
    values = PyList_New(0);
    where = place == NO_PLACE ? Py_NewRef(Py_None) : PyLong_FromUnsignedLong(place);
    for (uint32_t i = 0; values && i < cells; i++) {
        const struct wide *cell = nodes_cell(nodes, at, i);
        struct cell_value value = {0, 0};
        PyObject *pair = NULL;
        if (cell && cell_read(cell, &value)) pair = Py_BuildValue("(Kd)", (number)value.bits, value.number);
        else if (!PyErr_Occurred()) pair = Py_NewRef(Py_None);
        if (!pair || PyList_Append(values, pair)) Py_CLEAR(values);
        Py_XDECREF(pair);
    }
    if (values && where)
        return Py_BuildValue("(IKNKNN)", at.index, (number)at.word, where, (number)since, text, values);
    Py_XDECREF(values);
    Py_XDECREF(where);
    Py_DECREF(text);
    return NULL;
}

static PyObject *metrics_series(PyObject *self, PyObject *argument) {
    Metrics *metrics = (Metrics *)self;
    const struct nodes *nodes = nodes_of(metrics);
    const unsigned long family = argument == Py_None ? NO_FAMILY : PyLong_AsUnsignedLong(argument);
    if ((family == (unsigned long)-1 && PyErr_Occurred()) || check_metrics(metrics)) return NULL;
    PyObject *list = PyList_New(0);
    struct node_at at;
    for (uint32_t index = 0; list && nodes_next(nodes, &index, &at);) {
        if ((load_relaxed(&nodes_at(nodes, at.index)->identity) & MAX_NODES) != family) continue;
        PyObject *series = series_object(nodes, at);
        if (!series || (series != Py_None && nodes_is(nodes, at) && PyList_Append(list, series))) Py_CLEAR(list);
        Py_XDECREF(series);
    }
    return list;
}

static PyObject *metrics_remove(PyObject *self, PyObject *arguments) {
    Metrics *metrics = (Metrics *)self;
    unsigned index;
    number word;
    if (!PyArg_ParseTuple(arguments, "IK:remove", &index, &word)) return NULL;
    if (metrics->store && check_writable(metrics->store)) return NULL;
    if (index >= nodes_of(metrics)->geometry->node_count)
        return PyErr_Format(PyExc_IndexError, "node %u of %u", index, nodes_of(metrics)->geometry->node_count);
    return PyBool_FromLong(nodes_remove(nodes_of(metrics), (struct node_at){index, word}));
}

static bool remove_text(const struct nodes *nodes, const struct node_key *key) {
    struct node_at at;
    return nodes_find(nodes, key, &at) == NODES_OK && nodes_remove(nodes, at);
}

static int check_removal(const Metrics *metrics) { return metrics->store ? check_writable(metrics->store) : 0; }

static PyObject *metrics_remove_text(PyObject *self, PyObject *arguments) {
    Metrics *metrics = (Metrics *)self;
    const struct nodes *nodes = nodes_of(metrics);
    unsigned family;
    Py_buffer text;
    int own;
    unsigned long removed = 0;
    if (!PyArg_ParseTuple(arguments, "Iy*p:remove_text", &family, &text, &own)) return NULL;
    struct node_key key = {family, NO_PLACE, text.buf, (uint32_t)text.len};
    const bool may = !check_removal(metrics) && text.len <= UINT16_MAX;
    if (may && !own) removed = remove_text(nodes, &key);
    if (may && own)
        for (key.place = 0; key.place < nodes->geometry->options.processes; key.place++)
            removed += remove_text(nodes, &key);
    PyBuffer_Release(&text);
    return PyErr_Occurred() ? NULL : PyLong_FromUnsignedLong(removed);
}

static PyObject *metrics_remove_all(PyObject *self, PyObject *argument) {
    Metrics *metrics = (Metrics *)self;
    const unsigned long family = PyLong_AsUnsignedLong(argument);
    if ((family == (unsigned long)-1 && PyErr_Occurred()) || check_removal(metrics)) return NULL;
    if (family >= NO_FAMILY) return PyErr_Format(PyExc_IndexError, "declaration %lu of %d", family, NO_FAMILY);
    remove_family(metrics, (uint32_t)family);
    Py_RETURN_NONE;
}

static PyObject *metrics_counts(PyObject *self, PyObject *unused) {
    (void)unused;
    Metrics *metrics = (Metrics *)self;
    if (check_metrics(metrics)) return NULL;
    const struct changes *changes = room_of(metrics);
    return Py_BuildValue("(IIKK)", nodes_of(metrics)->geometry->node_count, nodes_room(nodes_of(metrics)),
                         (number)load_relaxed(&changes->refused), (number)load_relaxed(&changes->freed));
}

/* ---- the type ------------------------------------------------------------------------------------------------------ */

static int use_store(Metrics *metrics, PyObject *object) {
    if (Py_TYPE(object) != metrics->state->types[TYPE_STORE] || !has_metrics((Store *)object)) {
        PyErr_Format(PyExc_TypeError, "expected the Store of a metrics segment, found %R", object);
        return -1;
    }
    metrics->store = (Store *)Py_NewRef(object);
    metrics->metrics = &metrics->store->metrics;
    return check_open(metrics->store);
}

static PyObject *metrics_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    static char *const known[] = {"store", "strict", NULL};
    PyObject *store = Py_None;
    int strict = 0;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|O$p:Metrics", (char **)(uintptr_t)known, &store, &strict))
        return NULL;
    Metrics *metrics = (Metrics *)PyType_GenericAlloc(type, 0);
    if (!metrics) return NULL;
    metrics->module = Py_XNewRef(PyType_GetModule(type));
    metrics->state = metrics->module ? PyModule_GetState(metrics->module) : NULL;
    metrics->strict = strict;
    if (!metrics->state || (store == Py_None ? open_private(metrics) : use_store(metrics, store))) Py_CLEAR(metrics);
    return (PyObject *)metrics;
}

static int metrics_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((Metrics *)self)->module);
    Py_VISIT((PyObject *)((Metrics *)self)->store);
    return 0;
}

static void metrics_dealloc(PyObject *self) {
    Metrics *metrics = (Metrics *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (metrics->own.memory) {
        handle_close(&metrics->own.handle);
        munmap(metrics->own.memory, metrics->own.bytes);
    }
    PyMem_Free(metrics->own.inherited);
    Py_XDECREF((PyObject *)metrics->store);
    Py_XDECREF(metrics->module);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

/* Each function with the bytes kept mapped: see guard.h of the store. */
#define METRICS_METHODS(METHOD)                                                                                        \
    METHOD("declare", metrics_declare, VARARGS,                                                                        \
           "declare($self, text, key_bytes, /)\n--\n\nFind or insert a declaration: its number and its text, or None " \
           "when there is no room.")                                                                                   \
    METHOD("find", metrics_find, O,                                                                                    \
           "find($self, key, /)\n--\n\nThe declaration of a key as (node, word, text), or None.")                      \
    METHOD(                                                                                                            \
        "series", metrics_series, O,                                                                                   \
        "series($self, family, /)\n--\n\nEvery series of a declaration, as (node, word, place, since, text, cells). "  \
        "With None, every declaration.")                                                                               \
    METHOD("remove", metrics_remove, VARARGS,                                                                          \
           "remove($self, node, word, /)\n--\n\nRemove a series as it was found; False when it was removed already.")  \
    METHOD("remove_text", metrics_remove_text, VARARGS,                                                                \
           "remove_text($self, family, text, own, /)\n--\n\nRemove a series by its text; says how many there were.")   \
    METHOD("remove_all", metrics_remove_all, O,                                                                        \
           "remove_all($self, family, /)\n--\n\nRemove every series of a declaration.")                                \
    METHOD("inherit", metrics_inherit, NOARGS,                                                                         \
           "inherit($self)\n--\n\nIn a forked child: what private memory holds now is its parent's.")                  \
    METHOD("write", metrics_write, VARARGS,                                                                            \
           "write($self, openmetrics, taken, known, others, names, created, /)\n--\n\nAn exposition.")                 \
    METHOD("counts", metrics_counts, NOARGS,                                                                           \
           "counts($self)\n--\n\nNodes, free nodes, series refused, nodes ever freed.")

#define GUARD_METRICS(name, function, how, doc)                                                                        \
    static PyObject *guarded_##function PARAMETERS_##how {                                                             \
        const uint32_t life = pin_metrics((Metrics *)self);                                                            \
        PyObject *result = function ARGUMENTS_##how;                                                                   \
        unpin_metrics((Metrics *)self, life);                                                                          \
        return result;                                                                                                 \
    }
METRICS_METHODS(GUARD_METRICS)

static PyMethodDef metrics_methods[] = METHOD_TABLE(METRICS_METHODS);

PyType_Spec metrics_spec = {
    .name = "shmstore._core.Metrics",
    .basicsize = sizeof(Metrics),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = (PyType_Slot[]){{Py_tp_new, metrics_new},
                             {Py_tp_dealloc, metrics_dealloc},
                             {Py_tp_traverse, metrics_traverse},
                             {Py_tp_methods, metrics_methods},
                             {Py_tp_doc, "Where series live: private memory, or a segment; see _core.pyi."},
                             {0, NULL}},
};
