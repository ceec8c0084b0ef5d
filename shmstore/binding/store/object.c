/* The Store object: made of mapped bytes, seen by the collector, freed. */
#include "binding/store/store.h"

#include "core/waiting/watch.h"

#define UNUSABLE "this segment cannot be used: %s"

static int open_bytes(Store *store, int fd, const char *path, bool writable) {
    struct refusal why;
    const struct opening opening = {.fd = fd, .path = path, .writable = writable, .has_threads = FREE_THREADED};
    switch (handle_open(&store->handle, store->view.buf, (uint64_t)store->view.len, &opening, &why)) {
    case OPEN_OK:
        if (has_metrics(store)) metrics_on(&store->metrics, &store->handle);
        store->mapped = !has_streams(store) || streams_on(&store->streams, &store->handle);
        if (store->mapped) return 0;
        handle_close(&store->handle);
        PyErr_NoMemory();
        break;
    case OPEN_FOREIGN: raise_error(store->state, ERROR_NOT_A_STORE, UNUSABLE, why.text); break;
    case OPEN_OTHER_ABI: raise_error(store->state, ERROR_ABI_MISMATCH, UNUSABLE, why.text); break;
    case OPEN_DAMAGED: raise_error(store->state, ERROR_DAMAGED_SEGMENT, UNUSABLE, why.text); break;
    case OPEN_READ_ONLY: raise_error(store->state, ERROR_ABI_MISMATCH, "%s", why.text); break;
    case OPEN_NO_MEMORY: PyErr_NoMemory(); break;
    case OPEN_FAILED: raise_system_error(store->state, "attaching"); break;
    }
    return -1;
}

static bool has_gaps(const struct geometry *g) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < g->options.field_count; i++) bytes += g->fields[i].bytes;
    return bytes != g->record_bytes;
}

static int make_names(Store *store) {
    uint32_t count = store->handle.geometry.options.field_count;
    store->names = PyTuple_New((Py_ssize_t)count);
    for (uint32_t i = 0; store->names && i < count; i++) {
        PyObject *name = PyUnicode_InternFromString(store->handle.header.fields[i].name);
        if (!name) return -1;
        PyTuple_SetItem(store->names, (Py_ssize_t)i, name);
    }
    store->key_ids = PyDict_New();
    store->key_texts = PyList_New(0);
    return store->names && store->key_ids && store->key_texts ? 0 : -1;
}

PyObject *store_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    static char *const known[] = {"buffer", "fd", "path", "writable", "describe", NULL};
    PyObject *buffer, *describe;
    const char *path;
    int fd, writable;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O$ispO:Store", (char **)(uintptr_t)known, &buffer, &fd,
                                     &path, &writable, &describe))
        return NULL;
    Store *store = (Store *)PyType_GenericAlloc(type, 0);
    if (!store) return NULL;
    store->module = Py_XNewRef(PyType_GetModule(type));
    store->state = store->module ? PyModule_GetState(store->module) : NULL;
    store->closed = true; /* until everything is in place */
    store->describe = Py_NewRef(describe);
    if (!store->state || PyObject_GetBuffer(buffer, &store->view, writable ? PyBUF_WRITABLE : PyBUF_SIMPLE))
        goto failed;
    if (open_bytes(store, fd, path, writable)) {
        PyBuffer_Release(&store->view);
        goto failed;
    }
    store->closed = false;
    store->has_gaps = has_gaps(&store->handle.geometry);
    if (make_names(store) || (writable && ensure_entered(store))) goto failed;
    return (PyObject *)store;
failed:
    Py_DECREF(store);
    return NULL;
}

int store_traverse(PyObject *self, visitproc visit, void *arg) {
    Store *store = (Store *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(store->module);
    Py_VISIT(store->describe);
    Py_VISIT(store->names);
    Py_VISIT(store->record_type);
    Py_VISIT(store->make);
    Py_VISIT(store->values_of);
    Py_VISIT(store->defaults);
    Py_VISIT(store->on_discarded);
    Py_VISIT(store->on_capacity_reached);
    Py_VISIT(store->key_ids);
    Py_VISIT(store->key_texts);
    return 0;
}

int store_clear(PyObject *self) {
    Store *store = (Store *)self;
    Py_CLEAR(store->describe);
    Py_CLEAR(store->record_type);
    Py_CLEAR(store->make);
    Py_CLEAR(store->values_of);
    Py_CLEAR(store->defaults);
    Py_CLEAR(store->on_discarded);
    Py_CLEAR(store->on_capacity_reached);
    return 0;
}

void store_dealloc(PyObject *self) {
    Store *store = (Store *)self;
    PyObject_GC_UnTrack(self);
    if (store->weak_references) PyObject_ClearWeakRefs(self);
    if (!store->closed) leave_store(store);
    if (store->mapped) release_store(store);
    store_clear(self);
    for (int i = 0; i < RECENT_KEYS; i++) Py_XDECREF(store->recent_keys[i].text);
    PyMem_Free(store->watch);
    PyMem_Free((void *)store->sealed);
    Py_XDECREF(store->call_names);
    Py_XDECREF(store->names);
    Py_XDECREF(store->key_ids);
    Py_XDECREF(store->key_texts);
    Py_XDECREF(store->module);
    free_object(self);
}
