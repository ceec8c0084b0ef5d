/* Appending one staged record: where it goes, its new keys, and who is told. */
#include "binding/appending/append.h"
#include "binding/appending/batch.h"
#include "binding/values/decode.h"

/* The usual case of check_appendable. */
static inline bool is_appendable(Store *store) { return !store->closed && handle_takes_appends(&store->handle); }

int check_appendable(Store *store) {
    if (check_open(store)) return -1;
    if (!store->handle.ring.writable) {
        raise_error(store->state, ERROR_READ_ONLY_STORE,
                    "the store was attached for reading only; attach without read_only to append or change it");
        return -1;
    }
    if (load_relaxed(&store->handle.board->news) & NEWS_UNLINKED) {
        raise_error(store->state, ERROR_STORE_UNLINKED,
                    "the store's name was removed, so nobody could attach to see what you write; create or open the "
                    "store again");
        return -1;
    }
    return processes_owner(&store->handle.processes) ? 0 : ensure_entered(store);
}

int partition_argument(Store *store, PyObject *partition, int64_t *wish) {
    *wish = BY_RULE;
    if (!partition || partition == Py_None) return 0;
    PyObject *index = PyBool_Check(partition) ? NULL : PyNumber_Index(partition);
    long long number = index ? PyLong_AsLongLong(index) : -1;
    Py_XDECREF(index);
    *wish = number;
    if (number >= 0 && number < (long long)store->handle.geometry.options.partitions) return 0;
    PyObject *cause;
    if (PyErr_Occurred()) {
        if (!take_error(&cause)) return -1;
        Py_DECREF(cause);
    }
    PyObject *text = shown(store->state, partition);
    if (text)
        raise_error(store->state, ERROR_INVALID_OPTION, "partition is %U; this store has partitions 0 to %u", text,
                    store->handle.geometry.options.partitions - 1);
    Py_XDECREF(text);
    return -1;
}

int check_wish(Store *store, int64_t wish) {
    if (wish >= 0 || handle_has_rule(&store->handle)) return 0;
    raise_error(store->state, ERROR_INVALID_OPTION,
                "this store was created with partition_by='explicit': say partition=0 to %u",
                store->handle.geometry.options.partitions - 1);
    return -1;
}

PyObject *raise_append(Store *store, enum append_status status, uint32_t partition, Py_ssize_t done) {
    if (status == APPEND_BLOCKED)
        return raise_error(
            store->state, ERROR_PARTITION_STALLED,
            "%zd records were appended; then every slot of partition %u was held by a live process that does "
            "not go on (stopped?): see 'shmstore-inspect processes', resume or end it, or create the store "
            "with a larger capacity",
            done, partition);
    if (status == APPEND_DAMAGED)
        return raise_error(
            store->state, ERROR_DAMAGED_SEGMENT,
            "%zd records were appended; the slot words of partition %u contradict its tail: the segment was "
            "overwritten from outside; run 'shmstore-inspect check'",
            done, partition);
    if (status == APPEND_NOT_ENTERED)
        return raise_error(store->state, ERROR_STORE_CLOSED,
                           "%zd records were appended; then this process had no place in the process table, as after a "
                           "fork in the middle of the call; append the rest anew",
                           done);
    return raise_error(
        store->state, ERROR_DAMAGED_SEGMENT,
        "others took this process for dead while it wrote a record to partition %u: the segment was overwritten "
        "from outside, or its locks are not kept by this system; run 'shmstore-inspect check'",
        partition);
}

/* The result of a callback is ignored. Its error cannot undo an append, so it goes to the interpreter's hook for unraisable
 * errors. Anything but an Exception, as after Ctrl-C or sys.exit, is passed on. */
static int end_callback(PyObject *callback, PyObject *result) {
    Py_XDECREF(result);
    if (!result && !PyErr_ExceptionMatches(PyExc_Exception)) return -1;
    if (!result) PyErr_WriteUnraisable(callback);
    return 0;
}

int call_back(Store *store, const struct appended *appended, const unsigned char *discarded) {
    int failed = 0;
    if (appended->discarded && discarded && store->on_discarded) {
        PyObject *callback = Py_NewRef(store->on_discarded), *record = decode_staged(store, discarded);
        failed = end_callback(callback, record ? PyObject_CallFunctionObjArgs(callback, record, NULL) : NULL);
        Py_XDECREF(record);
        Py_DECREF(callback);
    }
    if (!failed && appended->reached_capacity && store->on_capacity_reached) {
        PyObject *callback = Py_NewRef(store->on_capacity_reached);
        failed = end_callback(callback, PyObject_CallNoArgs(callback));
        Py_DECREF(callback);
    }
    return failed;
}

static PyObject *position_of(const Store *store, uint64_t ticket, uint32_t partition) {
    uint64_t position = ticket * store->handle.geometry.options.partitions + partition;
    return position <= LONG_MAX ? PyLong_FromLong((long)position) : PyLong_FromUnsignedLongLong(position);
}

/* Append when a callback may have to be called. */
static PyObject *append_and_call_back(Store *store, const unsigned char *record, int64_t wish, int64_t now) {
    struct appended appended;
    uint32_t partition;
    unsigned char *discarded = store->on_discarded ? PyMem_Malloc(store->handle.geometry.record_bytes) : NULL;
    if (store->on_discarded && !discarded) return PyErr_NoMemory();
    enum append_status status = handle_append(&store->handle, record, wish, now, discarded, &partition, &appended);
    int failed = status != APPEND_DONE;
    if (failed) raise_append(store, status, partition, 0);
    else failed = call_back(store, &appended, discarded);
    PyMem_Free(discarded);
    return failed ? NULL : position_of(store, appended.ticket, partition);
}

/* Enter the new keys of a record, all of whose other values are known to fit. */
static int enter_keys(Store *store, PyObject *new_keys, unsigned char *record) {
    const struct geometry *g = &store->handle.geometry;
    struct staged batch = {.count = 1};
    for (uint32_t i = 0; i < g->options.field_count; i++)
        if (g->fields[i].kind == KIND_KEY) batch.made[i] = record + g->fields[i].offset;
    return enter_new_keys(store, new_keys, &batch) || (!is_appendable(store) && check_appendable(store)) ? -1 : 0;
}

/* Nothing between the last look and the append runs other code. */
PyObject *append_staged(Store *store, unsigned char *record, PyObject *new_keys, int64_t wish, int64_t now) {
    struct handle *handle = &store->handle;
    if (!store->closed) handle_look_for_name(handle, now);
    if (!is_appendable(store) && check_appendable(store)) return NULL;
    if (check_wish(store, wish) || (new_keys && enter_keys(store, new_keys, record))) return NULL;
    if (store->on_discarded || store->on_capacity_reached) return append_and_call_back(store, record, wish, now);
    struct appended appended;
    uint32_t partition;
    enum append_status status = handle_append(handle, record, wish, now, NULL, &partition, &appended);
    if (status != APPEND_DONE) return raise_append(store, status, partition, 0);
    return position_of(store, appended.ticket, partition);
}
