/* What the files of the binding share: module state, the Store object, and the translators between values and bytes.
 *
 * The binding only translates: Python values to staged records and back, statuses to exceptions. It decides nothing about
 * shared bytes. A staged record is a private copy of one record: field i at geometry.fields[i].offset. */
#ifndef SHMSTORE_BINDING_H
#define SHMSTORE_BINDING_H

#include <pyconfig.h>
#ifndef Py_GIL_DISABLED /* free-threaded builds have no limited API */
#define Py_LIMITED_API 0x030B0000
#endif
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "core/store/check.h"
#include "core/store/history.h"
#include "core/ring/pace.h"
#include "core/store/process.h"
#include "core/ring/ring.h"
#include "core/store/keys.h"
#include "core/ring/turn.h"
#include "core/store/wait.h"

/* One thread at a time: what the GIL gives for nothing. */
#ifdef Py_GIL_DISABLED
#define FREE_THREADED 1
#define BEGIN_EXCLUSIVE(object) Py_BEGIN_CRITICAL_SECTION(object)
#define END_EXCLUSIVE() Py_END_CRITICAL_SECTION()
#else
#define FREE_THREADED 0
#define BEGIN_EXCLUSIVE(object) ((void)(object))
#define END_EXCLUSIVE() ((void)0)
#endif

enum error {
    ERROR_INVALID_SCHEMA,
    ERROR_INVALID_OPTION,
    ERROR_INVALID_CAPACITY,
    ERROR_NOT_A_STORE,
    ERROR_ABI_MISMATCH,
    ERROR_DAMAGED_SEGMENT,
    ERROR_FIELD,
    ERROR_FIELD_TYPE,
    ERROR_KEY_TABLE_FULL,
    ERROR_PROCESS_TABLE_FULL,
    ERROR_PARTITION_STALLED,
    ERROR_READ_ONLY_STORE,
    ERROR_STORE_CLOSED,
    ERROR_STORE_UNLINKED,
    ERROR_TOO_MANY_FILES,
    ERROR_SYSTEM_REFUSED,
    ERROR_ACCESS_DENIED,
    ERROR_NOT_PICKLABLE,
    ERROR_COUNT
};

enum shape {
    SHAPE_FIELD_SPEC,
    SHAPE_PLAN,
    SHAPE_HEADER,
    SHAPE_TOTALS,
    SHAPE_PLACE,
    SHAPE_SAMPLE,
    SHAPE_REAPED,
    SHAPE_GAP,
    SHAPE_COUNT
};

typedef unsigned long long number; /* what the format unit K takes */

struct module_state {
    PyObject *errors[ERROR_COUNT]; /* classes of shmstore.errors */
    PyObject *shapes[SHAPE_COUNT]; /* named tuples */
    PyObject *datetime_type, *unix_epoch; /* datetime.datetime and its 1970-01-01 in UTC */
    PyObject *shown, *near, *moment_ns;   /* of shmstore.shown and shmstore.moments */
    PyTypeObject *store_type, *columns_type, *column_type, *cursor_type, *appender_type, *rows_type, *packed_type,
        *following_type, *program_type, *mapping_type;
};

enum { RECENT_KEYS = 64 };

typedef struct {
    PyObject_HEAD struct module_state *state;
    PyObject *module; /* keeps the state alive */
    PyObject *weak_references;

    Py_buffer view; /* view.obj is NULL once released */
    struct header header;
    struct geometry geometry;
    struct ring ring;
    struct table table;
    struct processes processes;
    struct board *board;
    bool writable, barriers;
    _Atomic bool closed; /* also read by waiters that do not hold the GIL */
    bool mapped, left;   /* are the bytes there; is what close does done */
    atomic_u64 looked_ns;   /* when an append last looked for the name */
    atomic_u32 nameless;    /* we saw it gone */
    bool inherited;      /* functions that a parent of this process began may still look at the bytes */
    uint32_t pins;       /* functions at work on the bytes, of this life: see guard.h */
    uint32_t life;       /* the number of the last */
    atomic_u64 turn;        /* see turn.h */
    atomic_u64 *tails_left; /* one a partition: see pace.h */
    atomic_u64 gave_way_ns, hot_ns; /* see pace.h; when it was last in a hot loop */
    struct watch *watch;    /* NULL before the first cursor is polled: see watch.h */
    atomic_u64 *decided;    /* one a partition: see ring_totals */
    atomic_u64 *sealed;     /* one a block: see scan.h; NULL before the first question */

    PyObject *describe;
    PyObject *names;       /* tuple of field names, interned */
    PyObject *record_type; /* tuple subclass filled directly, or NULL */
    bool is_leaf;          /* records of record_type hold nothing but their values */
    PyObject *make;        /* called with the values, or NULL */
    PyObject *values_of;   /* turns what is no tuple of all fields into one, or NULL */
    PyObject *defaults;    /* tuple: what stands for each field that is left out, or what makes it; Ellipsis: nothing */
    PyObject *on_discarded, *on_capacity_reached;

    PyObject *key_ids;   /* dict: text -> id */
    PyObject *key_texts; /* list: id -> text, None where not read yet */
    atomic_u32 keys_read; /* every id below is in key_texts */
    struct {
        PyObject *text;
        uint32_t id;
    } recent_keys[RECENT_KEYS]; /* by the text object's address */

    PyObject
        *call_names; /* the keyword names of the last append(**fields): a call site passes the same tuple each time */
    unsigned char call_fields[MAX_FIELDS + 1]; /* one more for partition= */
} Store;

/* ---- module.c ---- */
extern PyModuleDef shmstore_module;
PyObject *raise_error(struct module_state *state, enum error error, const char *format, ...);
/* The error of a system call that `what` needed, from errno. */
PyObject *raise_system_error(struct module_state *state, const char *what);
/* Drop the error of another's code, to be told in our own words. False, with the error kept, when it is no Exception: what
 * Ctrl-C or sys.exit began is passed on. */
bool drop_error(void);
PyObject *new_shape(struct module_state *state, enum shape shape, PyObject *values /* stolen tuple */);
PyObject *header_object(struct module_state *state, const struct header *header, const struct geometry *geometry,
                        bool unlinked);
PyObject *plan_object(struct module_state *state, const struct geometry *geometry);

/* ---- refuse.c ---- */
/* A value as a message shows it, whatever its repr() does: a new str, or NULL with an exception. */
PyObject *shown(struct module_state *state, PyObject *value);
/* `row`: which record of a batch an error is about; -1 for a single append. */
PyObject *refuse_pickling(PyObject *self, PyObject *unused);

/* Row of the methods of each type whose objects live in this process alone. */
#define NOT_PICKLED                                                                                                    \
    {"__reduce__", refuse_pickling, METH_NOARGS, "__reduce__($self)\n--\n\nRefused; says what to send instead."}
PyObject *raise_field(Store *store, enum error error, uint32_t field, Py_ssize_t row, const char *format, ...);
/* An error about a whole record or table, which names no field. Returns -1. */
int raise_record(Store *store, const char *format, ...);
int raise_unknown_field(Store *store, PyObject *name);
/* Take the error that is set, of other code; false, and it stays, when it is no Exception or says that memory is short. */
bool take_error(PyObject **cause);
void raise_from(PyObject *cause); /* make this the cause of the error that is set; takes the reference */
const char *utf8_of(Store *store, uint32_t field, PyObject *value, Py_ssize_t *length, Py_ssize_t row);
int wrong_type(Store *store, uint32_t field, PyObject *value, Py_ssize_t row, const char *expected);
/* Refuse a value whose own code raised the error that is set. Returns -1. */
int refuse_raised(Store *store, uint32_t field, PyObject *value, Py_ssize_t row, const char *expected);
/* 0, or -1 with an exception: of values that have a dtype, as NumPy's, its kind must be one of these letters. */
int check_foreign(Store *store, uint32_t field, PyObject *value, Py_ssize_t row, const char *kinds,
                  const char *expected);

/* ---- mapping.c ---- */
extern PyType_Spec mapping_spec;

/* ---- encode.c ---- */
/* What a call is about to append, while it is checked. A key that the table does not have is entered when all else is
 * known to fit; until then its id is NEW_KEY and its number among the new ones. */
#define NEW_KEY (UINT32_C(1) << 30)
_Static_assert(NEW_KEY > (uint32_t)MAX_KEYS + MAX_PROCESSES, "no id of the table looks like a new key's");
struct staging {
    Py_ssize_t row;     /* of the batch, for errors; -1 for a single append */
    PyObject *new_keys; /* dict: text -> number, in the order met; NULL while there is none */
};
/* Translate one value into its place `to` (geometry.fields[field].bytes). Returns 0, or -1 with an exception. */
int encode_value(Store *store, uint32_t field, PyObject *value, unsigned char *to, struct staging *staging);
int put_bytes(Store *store, uint32_t field, const char *bytes, Py_ssize_t length, unsigned char *to, Py_ssize_t row);
/* Find a field by name; -1 without an exception when there is none. */
int field_index(Store *store, PyObject *name);

/* ---- keys.c ---- */
/* The id of a key. Without `staging` a new one is entered in the table at once. */
int encode_key(Store *store, uint32_t field, PyObject *text, uint32_t *id, struct staging *staging);
int encode_key_value(Store *store, uint32_t field, PyObject *value, unsigned char *to, struct staging *staging);

/* ---- decode.c ---- */
PyObject *decode_value(Store *store, uint32_t field, const unsigned char *from);
/* One row of columns (each at base[i] + row * fields[i].bytes) as the store's record type or as a plain tuple. */
PyObject *decode_row(Store *store, unsigned char *const *base, uint64_t row, bool plain);
/* Fill a tuple that only the caller refers to with the values of a row. Returns 0, or -1 with an exception. */
int fill_row(Store *store, unsigned char *const *base, uint64_t row, PyObject *values);
PyObject *decode_staged(Store *store, const unsigned char *record);
enum made { MADE, MADE_NOT /* this time */, REFUSED };
/* `make` has just failed. A signal handler may have raised, so it is asked a second time before it counts as refusing; the
 * exception that is set tells of the record only then. Never MADE. */
enum made make_again(PyObject *(*make)(void *context), void *context);
/* Read the texts of all keys interned so far into store->key_texts. */
int load_keys(Store *store);
PyObject *key_text(Store *store, uint32_t id); /* DamagedSegment when it has none */
PyObject *key_or_none(Store *store, uint32_t id); /* of a record: one that names no key costs no other */

/* ---- append.c ---- */
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

/* ---- record.c ---- */
PyObject *Store_append(PyObject *self, PyObject *const *values, Py_ssize_t count, PyObject *names);
/* Stage a record given as a tuple of all fields in order, or as anything that the schema's values_of makes one of. */
int stage_record(Store *store, PyObject *given, unsigned char *record, struct staging *staging);
/* What becomes of a field that a record leaves out: it is refused, it is now, or it is what its declaration says. */
enum left_out { LEFT_REFUSED, LEFT_NOW, LEFT_DEFAULT };
enum left_out left_out(const Store *store, uint32_t field);
/* What a field's declaration says for a record that leaves it out: a value, or what makes one; NULL for nothing. */
PyObject *default_of(const Store *store, uint32_t field);
int put_default(Store *store, uint32_t field, unsigned char *to, struct staging *staging);

/* ---- appender.c ---- */
PyObject *Store_appender(PyObject *self, PyObject *arguments, PyObject *keywords);
extern PyType_Spec appender_spec;

/* ---- batch.c ---- */
/* Where the values of many records lie: field i of record r at base[i] + r * stride[i], in staged form. */
struct staged {
    Py_ssize_t count;
    const unsigned char *base[MAX_FIELDS];
    size_t stride[MAX_FIELDS];
    unsigned char *made[MAX_FIELDS]; /* the same as base, where the bytes are this call's own; else NULL */
};
/* Enter the new keys of what was staged and put their ids in their places. Returns 0, or -1 with an exception. */
int enter_new_keys(Store *store, PyObject *new_keys, const struct staged *batch);
/* Append checked values; returns how many as an int. `forced` is as for choose_partition. */
PyObject *append_all(Store *store, struct staging *staging, const struct staged *batch, int64_t forced, int64_t now);
PyObject *Store_append_rows(PyObject *self, PyObject *arguments, PyObject *names);

/* ---- columns_in.c ---- */
int raise_missing_column(Store *store, uint32_t field);
PyObject *Store_append_columns(PyObject *self, PyObject *arguments, PyObject *names);

/* ---- store.c ---- */
extern PyType_Spec store_spec;
/* 0 when the store is open, else -1 with StoreClosed. */
int check_open(Store *store);
void leave_store(Store *store); /* what close does as soon as no function is at work */
/* Was the name removed, by `unlink` or by another program, which marks nothing? Then it is marked now. Needs no GIL. */
bool is_unlinked(Store *store);
/* Enter the process table if this process has no place. Returns 0, or -1 with an exception. */
int ensure_entered(Store *store);

/* 0 when the store is open and writable, else -1 with an exception. */
int check_writable(Store *store);

/* ---- state.c ---- */
PyObject *Store_header(PyObject *self, PyObject *unused);
PyObject *Store_plan(PyObject *self, PyObject *unused);
PyObject *Store_totals(PyObject *self, PyObject *unused);
PyObject *Store_places(PyObject *self, PyObject *unused);
PyObject *Store_check(PyObject *self, PyObject *unused);
PyObject *Store_sample(PyObject *self, PyObject *argument);
PyObject *Store_history(PyObject *self, PyObject *const *arguments, Py_ssize_t given);

/* ---- upkeep.c ---- */
PyObject *Store_clear_records(PyObject *self, PyObject *unused);
PyObject *Store_purge(PyObject *self, PyObject *argument);
PyObject *Store_enter(PyObject *self, PyObject *unused);
PyObject *Store_reap(PyObject *self, PyObject *unused);
PyObject *Store_lock_coordinator(PyObject *self, PyObject *unused);
PyObject *Store_unlock_coordinator(PyObject *self, PyObject *unused);
PyObject *Store_coordinator_alive(PyObject *self, PyObject *unused);

/* ---- columns.c ---- */
extern PyType_Spec columns_spec;
struct range;
/* The records of some ranges of tickets for which a Program (None or NULL: any) says so. */
PyObject *columns_read(Store *store, struct range *ranges, uint32_t range_count, PyObject *program, bool summaries);

/* A growing list of gaps; neighbours of the same reason are joined. */
struct gap {
    uint32_t partition;
    enum gap_reason reason;
    uint64_t first, end;
};
struct gap_list {
    struct gap *gaps;
    size_t count, room;
    uint64_t lost, lapped; /* tickets in all gaps so far; of them, those overwritten */
};
bool gap_list_report(void *list, uint32_t partition, uint64_t first, uint64_t end, enum gap_reason reason);
PyObject *gap_list_objects(struct module_state *state, const struct gap_list *list);

/* Records copied out of a store. */
typedef struct {
    PyObject_HEAD Store *store; /* for names, kinds and keys; its bytes may be gone */
    uint64_t rows;
    unsigned char *memory;
    size_t bytes;
    unsigned char *base[MAX_FIELDS];
    struct gap_list gaps;
} Columns;

Columns *new_columns(Store *store, uint64_t room);
void move_row(const struct geometry *g, unsigned char *const *to_base, uint64_t to, unsigned char *const *from_base,
              uint64_t from);
/* The field that an argument of a method means, or -1 with an exception. */
int field_argument(Columns *columns, PyObject *argument);

/* ---- column.c ---- */
extern PyType_Spec column_spec;
PyObject *Columns_column(PyObject *self, PyObject *field);

/* ---- arrange.c ---- */
PyObject *Columns_take(PyObject *self, PyObject *rows);
PyObject *Columns_order_by(PyObject *self, PyObject *field);

/* A new Columns of the rows whose byte in `mask` is not 0. */
PyObject *Columns_keep(PyObject *self, PyObject *mask);

/* ---- program.c ---- */
extern PyType_Spec program_spec;
struct program;
/* The program of a Program that was compiled for these fields, or NULL with an exception. */
const struct program *program_argument(struct module_state *state, PyObject *object, const struct geometry *geometry);
/* The error of PROGRAM_OVERFLOW, which names what the Program was compiled from. */
PyObject *raise_overflow(struct module_state *state, PyObject *object);

/* ---- tabular.c ---- */
extern PyType_Spec packed_spec;
PyObject *Columns_dictionary(PyObject *self, PyObject *field);
PyObject *Columns_ragged(PyObject *self, PyObject *field);
PyObject *core_pack_bits(PyObject *module, PyObject *object);
PyObject *core_pack_rows(PyObject *module, PyObject *arguments);

/* ---- arrow.c ---- */
PyObject *core_arrow_schema(PyObject *module, PyObject *columns);
PyObject *core_arrow_array(PyObject *module, PyObject *arguments);
PyObject *core_arrow_stream(PyObject *module, PyObject *arguments);

/* ---- arrow_in.c ---- */
PyObject *Store_append_arrow(PyObject *self, PyObject *arguments, PyObject *names);

/* ---- read.c: what a question or a snapshot is about ---- */
/* A list of ranges of the readable tickets, of some partitions (None or NULL: all), up to the tickets `ends` of each
 * partition (None or NULL: all). Freed by PyMem_Free; NULL with an exception. */
struct range *list_ranges(Store *store, PyObject *partitions, PyObject *ends, uint32_t *count);
PyObject *Store_snapshot(PyObject *self, PyObject *arguments, PyObject *keywords);
PyObject *Store_read(PyObject *self, PyObject *arguments);
PyObject *Store_read_at(PyObject *self, PyObject *arguments);
PyObject *Store_ranges(PyObject *self, PyObject *unused);

/* ---- tally.c, order.c: questions ---- */
PyObject *Store_tally(PyObject *self, PyObject *arguments, PyObject *keywords);
PyObject *Columns_tally(PyObject *self, PyObject *arguments, PyObject *keywords);
PyObject *Store_edge(PyObject *self, PyObject *arguments, PyObject *keywords);
PyObject *Columns_edge(PyObject *self, PyObject *arguments, PyObject *keywords);
PyObject *Store_quantiles(PyObject *self, PyObject *arguments, PyObject *keywords);
PyObject *Columns_quantiles(PyObject *self, PyObject *arguments, PyObject *keywords);
PyObject *Store_distinct(PyObject *self, PyObject *arguments, PyObject *keywords);
PyObject *Columns_distinct(PyObject *self, PyObject *arguments, PyObject *keywords);

/* ---- rows.c ---- */
extern PyType_Spec rows_spec;
PyObject *columns_iterate(Columns *columns, bool plain);
PyObject *core_rows(PyObject *module, PyObject *arguments);

/* ---- cursor.c ---- */
extern PyType_Spec cursor_spec;
PyObject *Store_cursor(PyObject *self, PyObject *tickets);

/* ---- inline: on every append -------------------------------------------------------------------------------------- */

/* The id of a key that this process met lately: the very same text object is found by its address. */
static inline size_t recent_slot(const PyObject *text) {
    return ((uintptr_t)text >> 4 ^ (uintptr_t)text >> 10) % RECENT_KEYS;
}
static inline bool recent_key(const Store *store, uint32_t field, const PyObject *text, uint32_t *id) {
    size_t at = recent_slot(text);
    *id = store->recent_keys[at].id;
    return store->recent_keys[at].text == text && store->geometry.fields[field].size == store->geometry.key_bytes;
}

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

static inline int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
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
