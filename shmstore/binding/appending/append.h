/* Appending: one staged record, many, and the methods of a store that do. */
#ifndef SHMSTORE_BINDING_APPENDING_APPEND_H
#define SHMSTORE_BINDING_APPENDING_APPEND_H

#include "binding/values/encode.h"

#include "core/ring/pace.h"
#include "core/store/wait.h"

/* Append a staged record whose fields are complete, but for the ids of new keys. `now` is the time of the append, read
 * once by the caller; `forced` is as for choose_partition. Returns the position. */
PyObject *append_staged(Store *store, unsigned char *record, PyObject *new_keys, int64_t forced, int64_t now);
/* Which partition a staged record goes to, now that others were given way; `forced` is -1 to go by the store's rule. Returns
 * -1 with an exception. */
int64_t choose_partition(Store *store, const unsigned char *record, int64_t forced, bool is_hot);
/* The partition argument of a call: an int in range, or -1 for None and NULL. Returns -2 with an exception. */
int64_t partition_argument(Store *store, PyObject *partition);
/* 0 when an append may begin (open, writable, linked, entered), else -1 with an exception. */
int check_appendable(Store *store);
/* Tell the callbacks, after the record is published. Returns 0, or -1 with an exception that is to be passed on. */
int call_back(Store *store, const struct appended *appended, const unsigned char *discarded);
PyObject *raise_append(Store *store, enum append_status status, uint32_t partition, Py_ssize_t done);

/* ---- methods of a store ---- */
PyObject *Store_append(PyObject *self, PyObject *const *values, Py_ssize_t count, PyObject *names);
PyObject *Store_appender(PyObject *self, PyObject *arguments, PyObject *keywords);
PyObject *Store_append_rows(PyObject *self, PyObject *arguments, PyObject *names);
PyObject *Store_append_columns(PyObject *self, PyObject *arguments, PyObject *names);
PyObject *Store_append_arrow(PyObject *self, PyObject *arguments, PyObject *names);
extern PyType_Spec appender_spec;

/* ---- inline: on every append ---- */
/* Is this handle in a hot loop? Once it was, a slow append, as those amid others are, does not end it. */
static inline bool is_hot(Store *store, int64_t now) {
    const struct place *place = processes_place(&store->ring, processes_owner(&store->processes) & 0xfff);
    if ((uint64_t)now - load_relaxed(&place->last_append_ns) >= HOT_NS)
        return (uint64_t)now - load_relaxed(&store->hot_ns) < HOT_FOR_NS;
    store_relaxed(&store->hot_ns, (uint64_t)now);
    return true;
}

static inline enum append_status append_to(Store *store, uint32_t partition, const unsigned char *record,
                                           unsigned char *discarded, struct appended *out) {
    uint32_t owner = processes_owner(&store->processes) & OWNER_MASK;
    enum append_status status = ring_append(&store->ring, partition, owner, record, discarded, out);
    if (status == APPEND_DONE) store_relaxed(&store->tails_left[partition], out->ticket + 1);
    return status;
}

/* Memory for one staged record: the caller's stack, or the heap for large ones. */
enum { STAGE_WORDS = 64 };
static inline unsigned char *stage(const Store *store, uint64_t *stack) {
    return store->geometry.record_bytes <= STAGE_WORDS * 8 ? (unsigned char *)stack
                                                           : PyMem_Malloc(store->geometry.record_bytes);
}
static inline void unstage(unsigned char *record, uint64_t *stack) {
    if (record && record != (unsigned char *)stack) PyMem_Free(record);
}

/* How often a handle that only appends looks whether its store still has a name. */
#define NAME_LOOK_NS UINT64_C(1000000000)

/* Before an append, so that the first one after a while is not lost with a store whose name is gone. */
static inline void look_for_name(Store *store, int64_t now) {
    if (__builtin_expect((uint64_t)now - load_relaxed(&store->looked_ns) <= NAME_LOOK_NS, 1)) return;
    store_relaxed(&store->looked_ns, (uint64_t)now);
    is_unlinked(store);
}

/* Count what this process appended, and wake readers. Needs no GIL. */
static inline void account(Store *store, uint64_t records, int64_t now) {
    struct place *place = processes_place(&store->ring, processes_owner(&store->processes) & 0xfff);
#ifdef Py_GIL_DISABLED
    add_relaxed(&place->appended, records);
#else /* only this process writes its place, and seldom two threads at once: an exact sum is not worth a locked add */
    store_relaxed(&place->appended, load_relaxed(&place->appended) + records);
#endif
    store_relaxed(&place->last_append_ns, (uint64_t)now);
    wait_notify(&store->board->news);
}

#endif
