/* A store that is open in this process: what the Store object holds, and whether it may be used. */
#ifndef SHMSTORE_BINDING_STORE_H
#define SHMSTORE_BINDING_STORE_H

#include "binding/module.h"

#include "core/metrics/metrics.h"
#include "core/store/store.h"
#include "core/streams/streams.h"

#include <time.h>

enum { RECENT_KEYS = 64 };

typedef struct {
    PyObject_HEAD struct module_state *state;
    PyObject *module; /* keeps the state alive */
    PyObject *weak_references;

    Py_buffer view; /* view.obj is NULL once released */
    struct handle handle;
    struct metrics metrics; /* of a metrics segment, see has_metrics */
    struct streams streams; /* of a streams segment */
    _Atomic bool closed;    /* also read by waiters that do not hold the GIL */
    bool mapped, left;      /* are the bytes there; has close done its work */
    bool inherited;         /* functions that a parent of this process began may still look at the bytes */
    uint32_t pins;          /* functions at work on the bytes, of this life: see guard.h */
    uint32_t life;          /* the number of the last */
    struct watch *watch;    /* NULL before the first cursor is polled: see watch.h */
    atomic_u64 *sealed;     /* one a block: see scan.h; NULL before the first question */

    PyObject *describe;
    PyObject *names;       /* tuple of field names, interned */
    bool has_gaps;         /* between the fields of a staged record, or behind them */
    PyObject *record_type; /* tuple subclass filled directly, or NULL */
    bool is_leaf;          /* records of record_type hold nothing but their values */
    PyObject *make;        /* called with the values, or NULL */
    PyObject *values_of;   /* turns other records into tuples of all fields, or NULL */
    PyObject *defaults;    /* tuple: the default of each field, or what makes it; Ellipsis: none */
    PyObject *on_discarded, *on_capacity_reached;

    PyObject *key_ids;    /* dict: text -> id */
    PyObject *key_texts;  /* list: id -> text, None where not read yet */
    atomic_u32 keys_read; /* every id below is in key_texts */
    struct {
        PyObject *text;
        uint32_t id;
    } recent_keys[RECENT_KEYS]; /* by the text object's address */

    PyObject
        *call_names; /* the keyword names of the last append(**fields): a call site passes the same tuple each time */
    unsigned char call_fields[MAX_FIELDS + 1]; /* one more for partition= */
} Store;

/* What the segment holds. Said also when it was closed. */
static inline enum segment_kind kind_of(const Store *store) { return store->handle.geometry.options.kind; }
static inline bool has_metrics(const Store *store) { return kind_of(store) == SEGMENT_METRICS; }
static inline bool has_streams(const Store *store) { return kind_of(store) == SEGMENT_STREAMS; }

/* WrongKind: the segment is not of the kind that a method is for. Returns NULL. */
PyObject *refuse_kind(const Store *store, const char *method, enum segment_kind wanted);

/* 0 when the store is open, else -1 with StoreClosed. */
int check_open(Store *store);
void release_store(Store *store); /* let go of the bytes */
void leave_store(Store *store);   /* what close does as soon as no function is at work */
/* Enter the process table if this process has no place. Returns 0, or -1 with an exception. */
int ensure_entered(Store *store);

/* 0 when the store is open and writable, else -1 with an exception. */
int check_writable(Store *store);

/* What the type does with an object. */
PyObject *store_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords);
int store_traverse(PyObject *self, visitproc visit, void *arg);
int store_clear(PyObject *self);
void store_dealloc(PyObject *self);

static inline int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

#endif
