/* Writing an exposition: one call, without the GIL, for all series of all processes. */
#include "binding/metrics/write.h"

#include <stdlib.h>
#include <string.h>

#include "core/metrics/exposition.h"

#include <stdlib.h>
#include <string.h>

/* Which metrics are wanted: by the numbers of their declarations, in ascending order. */
struct selection {
    const uint32_t *taken, *known; /* of those that are not known, what the default registry of other processes has */
    size_t taken_count, known_count;
    bool others;
};

static int compare(const void *a, const void *b) {
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static bool is_among(uint32_t number, const uint32_t *numbers, size_t count) {
    return count && bsearch(&number, numbers, count, sizeof number, compare);
}

/* The JSON text of a declaration begins with its registry. */
static bool is_of_default_registry(const struct declaration *declaration) {
    const struct slice json = declaration->json, expected = {"{\"registry\":\"default\"", 21};
    return json.length > expected.length && !memcmp(json.text, expected.text, expected.length);
}

static bool takes(void *context, const struct declaration *declaration) {
    const struct selection *selection = context;
    if (is_among(declaration->index, selection->taken, selection->taken_count)) return true;
    return selection->others && !is_among(declaration->index, selection->known, selection->known_count) &&
           is_of_default_registry(declaration);
}

/* The names that are wanted as slices into a list of bytes; NULL with an exception, or because all are. */
static struct slice *name_slices(PyObject *names, uint32_t *count) {
    const Py_ssize_t length = PyList_Size(names);
    struct slice *slices = length < 0 ? NULL : PyMem_Calloc((size_t)length + 1, sizeof *slices);
    if (length >= 0 && !slices) PyErr_NoMemory();
    for (Py_ssize_t i = 0; slices && i < length; i++) {
        char *text;
        Py_ssize_t bytes;
        if (PyBytes_AsStringAndSize(PyList_GetItem(names, i), &text, &bytes)) {
            PyMem_Free(slices);
            return NULL;
        }
        slices[i] = (struct slice){text, (uint32_t)bytes};
    }
    *count = (uint32_t)length;
    return slices;
}

static PyObject *write_selected(const Metrics *metrics, const struct exposition_wish *wish) {
    struct exposition exposition;
    bool is_done;
    Py_BEGIN_ALLOW_THREADS;
    is_done = exposition_write(nodes_of(metrics), wish, &exposition);
    Py_END_ALLOW_THREADS;
    if (!is_done) return PyErr_NoMemory();
    PyObject *text = PyBytes_FromStringAndSize(exposition.text, (Py_ssize_t)exposition.length);
    exposition_free(&exposition);
    return text;
}

PyObject *metrics_write(PyObject *self, PyObject *arguments) {
    Metrics *metrics = (Metrics *)self;
    Py_buffer taken, known;
    PyObject *names, *list = NULL, *text = NULL;
    int openmetrics, others, created;
    if (!PyArg_ParseTuple(arguments, "py*y*pOp:write", &openmetrics, &taken, &known, &others, &names, &created))
        return NULL;
    struct selection selection = {taken.buf, known.buf, (size_t)taken.len / sizeof(uint32_t),
                                  (size_t)known.len / sizeof(uint32_t), others};
    struct exposition_wish wish = {.format = openmetrics ? OPENMETRICS_1_0_0 : TEXT_0_0_4,
                                   .takes = takes,
                                   .context = &selection,
                                   .own = others,
                                   .is_removed = metrics->store && !metrics->store->closed &&
                                                 handle_is_unlinked(&metrics->store->handle),
                                   .goes_on = true,
                                   .no_created = !created};
    if (names != Py_None) list = PySequence_List(names); /* of our own, so that it stays as it is */
    if (list) wish.names = name_slices(list, &wish.name_count);
    if (!PyErr_Occurred() && !check_metrics(metrics)) text = write_selected(metrics, &wish);
    PyMem_Free((void *)(uintptr_t)wish.names);
    Py_XDECREF(list);
    PyBuffer_Release(&taken);
    PyBuffer_Release(&known);
    return text;
}
