/* A store's life in this process: opened, entered, closed, and left by the last function that is at work on it. */
#include "binding/store/guard.h"

#include "core/base/buffer.h"
#include "core/waiting/watch.h"

#include <string.h>
#include <unistd.h>

int check_open(Store *store) {
    if (!store->closed) return 0;
    raise_error(store->state, ERROR_STORE_CLOSED, "the store was closed in this process; attach to it again");
    return -1;
}

PyObject *refuse_kind(const Store *store, const char *method, enum segment_kind wanted) {
    static const struct {
        const char *is, *plural, *use;
    } kinds[SEGMENT_KIND_END] = {[SEGMENT_EVENTS] = {"is a store of records", "stores of records", "shmstore.attach"},
                                 [SEGMENT_METRICS] = {"holds metrics", "metrics", "shmstore.metrics"},
                                 [SEGMENT_STREAMS] = {"holds streams", "streams", "shmstore.attach_streams"}};
    const enum segment_kind found = kind_of(store);
    return raise_error(store->state, ERROR_WRONG_KIND,
                       "the segment %s, and '%s' is for %s; use %s, or the name of another segment", kinds[found].is,
                       method, kinds[wanted].plural, kinds[found].use);
}

uint32_t begin_life(Store *store) {
    if (store->pins) store->inherited = true;
    store->pins = 0;
    store->life++;
    store_relaxed(&store->handle.processes.own->life, store->life);
    return store->life;
}

void release_store(Store *store) {
    store->mapped = false;
    handle_close(&store->handle);
    PyBuffer_Release(&store->view);
}

void leave_store(Store *store) {
    if (store->left) return;
    store->left = true;
    if (store->watch) watch_close(store->watch);
    handle_leave(&store->handle);
    buffer_give_back();
    /* Without the GIL, a thread may have found the store open a moment ago and be reading: the bytes go with the object. */
    if (!FREE_THREADED && !store->inherited) release_store(store);
}

int check_writable(Store *store) {
    if (check_open(store)) return -1;
    if (store->handle.ring.writable) return 0;
    raise_error(store->state, ERROR_READ_ONLY_STORE,
                "the store was attached for reading only; attach without read_only to change it");
    return -1;
}

static void read_name(struct identity *identity, const char *name) {
    size_t length = strlen(name);
    memset(identity->name, 0, sizeof identity->name);
    memcpy(identity->name, name, length < sizeof identity->name - 1 ? length : sizeof identity->name - 1);
}

/* What the dead had for themselves - series of metrics, slots of streams - is settled by whoever frees their places: so they do not
 * add up where nobody else reaps. */
static void reap_all(Store *store) {
    uint64_t pid, voided, released;
    for (uint32_t index = 0; handle_reap(&store->handle, &index, &pid, &voided, &released);) index++;
}

int ensure_entered(Store *store) {
    struct identity identity = {.entered_ns = (uint64_t)now_ns()};
    unsigned long long pid, start_time, pid_namespace;
    const char *name;
    if (!store->describe) { /* the garbage collector has begun to clear the store */
        raise_error(store->state, ERROR_STORE_CLOSED, "the store is being collected; attach to it again");
        return -1;
    }
    if (processes_join(&store->handle.processes)) return 0;
    PyObject *described = NULL;
    for (pid_t asked = 0; asked != getpid();) { /* describe may fork, and the child is another process */
        asked = getpid();
        Py_XDECREF(described);
        described = PyObject_CallNoArgs(store->describe);
        if (!described) return -1;
    }
    int parsed = PyArg_ParseTuple(described, "KKKs;describe() returns (pid, start time, pid namespace, name)", &pid,
                                  &start_time, &pid_namespace, &name);
    if (parsed) {
        identity.pid = pid;
        identity.start_time = start_time;
        identity.pid_namespace = pid_namespace;
        read_name(&identity, name);
    }
    Py_DECREF(described);
    if (!parsed || check_open(store)) return -1;
    switch (processes_join_or_enter(&store->handle.processes, &identity)) {
    case ENTER_OK:
        if (store->handle.processes.claims.sweep) reap_all(store);
        return 0;
    case ENTER_FULL:
        raise_error(
            store->state, ERROR_PROCESS_TABLE_FULL,
            "all %u places of the process table are taken by live processes; end one, %s with a larger processes=",
            store->handle.geometry.options.processes,
            store->handle.geometry.options.kind == SEGMENT_METRICS
                ? "or remove the segment (shmstore-inspect rm) and configure the metrics"
                : "attach read-only, or create the store");
        return -1;
    default: raise_system_error(store->state, "entering the process table"); return -1;
    }
}
