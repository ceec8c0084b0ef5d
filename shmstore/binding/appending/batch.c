/* Appending many records: everything is staged and checked first, then appended without the GIL. */
#include "binding/appending/append.h"
#include "binding/appending/batch.h"
#include "binding/values/refuse.h"

#include <string.h>

enum {
    WAKE_RECORDS =
        256 /* a batch wakes readers each time: otherwise a long one may lap a reader that sleeps until its end */
};

struct outcome {
    enum append_status status;
    uint32_t partition; /* where it failed */
    Py_ssize_t done;
};

static void gather(const struct geometry *g, const struct staged *batch, Py_ssize_t row, unsigned char *record) {
    for (uint32_t i = 0; i < g->options.field_count; i++) {
        const unsigned char *from = batch->base[i] + (size_t)row * batch->stride[i];
        switch (g->fields[i].bytes) { /* constant sizes become single moves */
        case 8: memcpy(record + g->fields[i].offset, from, 8); break;
        case 4: memcpy(record + g->fields[i].offset, from, 4); break;
        case 2: memcpy(record + g->fields[i].offset, from, 2); break;
        case 1: record[g->fields[i].offset] = *from; break;
        default: memcpy(record + g->fields[i].offset, from, g->fields[i].bytes);
        }
    }
}

/* Append the records of a batch from `first` on, until the end or until a callback is due. Needs no GIL. */
static struct outcome append_some(Store *store, const struct staged *batch, Py_ssize_t first, int64_t wish, int64_t now,
                                  unsigned char *record, unsigned char *discarded, struct appended *appended) {
    struct outcome outcome = {APPEND_DONE, 0, first};
    struct handle *handle = &store->handle;
    bool hot = handle_is_hot(handle, now);
    while (outcome.done < batch->count) {
        gather(&handle->geometry, batch, outcome.done, record);
        outcome.partition = handle_choose(handle, record, wish, hot);
        outcome.status = handle_append_to(handle, outcome.partition, record, discarded, appended);
        hot = true;
        if (outcome.status != APPEND_DONE) break;
        if (!(outcome.done++ % WAKE_RECORDS)) wait_notify(&handle->board->news);
        if ((appended->discarded && discarded) || (appended->reached_capacity && store->on_capacity_reached)) break;
    }
    return outcome;
}

PyObject *append_all(Store *store, struct staging *staging, const struct staged *batch, int64_t wish, int64_t now) {
    if (check_wish(store, wish)) return NULL;
    size_t bytes = store->handle.geometry.record_bytes;
    unsigned char *memory = PyMem_Calloc(2, bytes); /* gaps between fields are zero: see stage */
    if (!memory) return PyErr_NoMemory();
    struct outcome outcome = {APPEND_DONE, 0, 0};
    if (!store->closed) handle_look_for_name(&store->handle, now);
    int failed = check_appendable(store) ||
                 (staging->new_keys && (enter_new_keys(store, staging->new_keys, batch) || check_appendable(store)));
    while (!failed && outcome.done < batch->count) {
        Py_ssize_t before = outcome.done;
        struct appended appended = {0, false, false};
        unsigned char *discarded = store->on_discarded ? memory + bytes : NULL;
        add_relaxed(&store->handle.processes.own->appending, 1); /* see leave_at_end */
        Py_BEGIN_ALLOW_THREADS;
        outcome = append_some(store, batch, before, wish, now, memory, discarded, &appended);
        wait_notify(&store->handle.board->news); /* readers need not wait for the GIL as well */
        add_acq_rel(&store->handle.processes.own->appending, UINT32_MAX);
        Py_END_ALLOW_THREADS;
        /* With the GIL, because other threads count in the same place, and where there is a GIL they do not use locked
         * adds. */
        handle_count(&store->handle, (uint64_t)(outcome.done - before), now);
        if (outcome.status != APPEND_DONE) break;
        failed = call_back(store, &appended, discarded);
        /* A callback may have closed the store, or forked: its child has no place yet. */
        if (!failed && outcome.done < batch->count) failed = check_appendable(store);
    }
    PyMem_Free(memory);
    if (outcome.status != APPEND_DONE) return raise_append(store, outcome.status, outcome.partition, outcome.done);
    return failed ? NULL : PyLong_FromSsize_t(batch->count);
}

/* ---- rows --------------------------------------------------------------------------------------------------------- */

static PyObject *refuse_rows(Store *store, PyObject *rows) {
    PyObject *cause, *text = NULL;
    if (!take_error(&cause)) return NULL;
    Py_DECREF(cause);
    if ((text = shown(store->state, rows)))
        raise_record(store, "expected records, a mapping of columns or a table of Arrow's, found %U", text);
    Py_XDECREF(text);
    return NULL;
}

PyObject *Store_append_rows(PyObject *self, PyObject *arguments, PyObject *keywords) {
    static char *const known[] = {"rows", "partition", NULL};
    Store *store = (Store *)self;
    PyObject *rows, *partition = NULL;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|O:append_rows", (char **)(uintptr_t)known, &rows,
                                     &partition))
        return NULL;
    int64_t wish;
    if (partition_argument(store, partition, &wish) || check_appendable(store)) return NULL;

    const struct geometry *g = &store->handle.geometry;
    PyObject *iterator = PyObject_GetIter(rows), *result = NULL, *row;
    if (!iterator) return refuse_rows(store, rows);
    unsigned char *staged = NULL;
    struct staging staging = {0, NULL};
    Py_ssize_t count = 0, room = 0;
    while ((row = PyIter_Next(iterator))) {
        if (count == room) {
            Py_ssize_t larger = room ? 2 * room : 256;
            unsigned char *moved = PyMem_Realloc(staged, (size_t)larger * g->record_bytes);
            if (!moved) {
                PyErr_NoMemory();
                Py_DECREF(row);
                goto done;
            }
            staged = moved;
            room = larger;
        }
        staging.row = count;
        int failed = stage_record(store, row, staged + (size_t)count * g->record_bytes, &staging);
        Py_DECREF(row);
        if (failed) goto done;
        count++;
    }
    if (PyErr_Occurred()) goto done;
    struct staged batch = {.count = count};
    for (uint32_t i = 0; i < g->options.field_count; i++) {
        batch.base[i] = batch.made[i] = staged + g->fields[i].offset;
        batch.stride[i] = g->record_bytes;
    }
    result = append_all(store, &staging, &batch, wish, now_ns());
done:
    Py_XDECREF(staging.new_keys);
    PyMem_Free(staged);
    Py_DECREF(iterator);
    return result;
}
