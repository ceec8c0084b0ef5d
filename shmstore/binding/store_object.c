/* The Store object: made of mapped bytes, seen by the collector, freed. */
#include "binding/store.h"

#include "core/store/wait.h"
#include "core/store/watch.h"

static int open_bytes(Store *store, int fd, const char *path) {
    struct refusal why;
    static const enum error errors[] = {[HEADER_FOREIGN] = ERROR_NOT_A_STORE,
                                        [HEADER_OTHER_ABI] = ERROR_ABI_MISMATCH,
                                        [HEADER_DAMAGED] = ERROR_DAMAGED_SEGMENT};
    enum header_status status =
        layout_open(store->view.buf, (uint64_t)store->view.len, &store->header, &store->geometry, &why);
    if (status != HEADER_OK) {
        raise_error(store->state, errors[status], "this segment cannot be used: %s", why.text);
        return -1;
    }
    if (store->writable && store->header.read_compatible) {
        raise_error(
            store->state, ERROR_ABI_MISMATCH,
            "the segment uses features %llx that this package may read but not write; attach read-only, or use the "
            "shmstore that made it",
            (unsigned long long)store->header.read_compatible);
        return -1;
    }
    store->ring = (struct ring){
        .geometry = &store->geometry,
        .memory = store->view.buf,
        .writable = store->writable,
        .liveness = {processes_is_dead, &store->processes},
    };
    store->tails_left = PyMem_Calloc(store->geometry.options.partitions, sizeof *store->tails_left);
    store->decided = PyMem_Calloc(store->geometry.options.partitions, sizeof *store->decided);
    if (!store->tails_left || !store->decided) {
        PyErr_NoMemory();
        return -1;
    }
    store->table = (struct table){.geometry = &store->geometry, .memory = store->view.buf};
    store->board = (struct board *)(void *)(store->ring.memory + store->geometry.board_offset);
    store->barriers = wait_register();
    if (!processes_open(&store->processes, &store->ring, fd, path)) {
        raise_system_error(store->state, "attaching");
        return -1;
    }
    store->table.spare = &store->processes.own->spare_cell;
    store->mapped = true;
    return 0;
}

static int make_names(Store *store) {
    uint32_t count = store->geometry.options.field_count;
    store->names = PyTuple_New((Py_ssize_t)count);
    for (uint32_t i = 0; store->names && i < count; i++) {
        PyObject *name = PyUnicode_InternFromString(store->header.fields[i].name);
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
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O$ispO:Store", (char **)(uintptr_t)known, &buffer, &fd, &path,
                                     &writable, &describe))
        return NULL;
    Store *store = (Store *)PyType_GenericAlloc(type, 0);
    if (!store) return NULL;
    store->module = Py_XNewRef(PyType_GetModule(type));
    store->state = store->module ? PyModule_GetState(store->module) : NULL;
    store->closed = true; /* until everything is in place */
    store->writable = writable != 0;
    store->describe = Py_NewRef(describe);
    if (!store->state || PyObject_GetBuffer(buffer, &store->view, writable ? PyBUF_WRITABLE : PyBUF_SIMPLE))
        goto failed;
    if (open_bytes(store, fd, path)) {
        PyBuffer_Release(&store->view);
        goto failed;
    }
    store->closed = false;
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
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (store->weak_references) PyObject_ClearWeakRefs(self);
    if (!store->closed) leave_store(store);
    if (store->mapped) release_store(store);
    store_clear(self);
    for (int i = 0; i < RECENT_KEYS; i++) Py_XDECREF(store->recent_keys[i].text);
    PyMem_Free((void *)store->tails_left);
    PyMem_Free((void *)store->decided);
    PyMem_Free(store->watch);
    PyMem_Free((void *)store->sealed);
    Py_XDECREF(store->call_names);
    Py_XDECREF(store->names);
    Py_XDECREF(store->key_ids);
    Py_XDECREF(store->key_texts);
    Py_XDECREF(store->module);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}
