/* Appending to a stream, deleting it, and what is kept of it. */
#include "binding/appending/append.h"
#include "binding/streams/stream.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

/* About 10 ms in all: the kernel adds some 50 µs to each nap. */
enum { MOST_NAPS = 128, NAP_NS = 10 * 1000 };

/* ---- the name ------------------------------------------------------------------------------------------------------- */

bool stream_find(Stream *stream) {
    Store *store = stream->streams->store;
    uint32_t number;
    if (stream->number != UNKNOWN) return true;
    const enum table_status status = store->handle.ring.writable
                                         ? table_know(&store->handle.table, stream->text, stream->bytes, &number)
                                         : table_find(&store->handle.table, stream->text, stream->bytes, &number);
    if (status == TABLE_OK) stream->number = number;
    return status == TABLE_OK;
}

/* Enter the name in the table. False: there is no room. */
static bool enter_name(Stream *stream) {
    uint32_t number;
    if (stream_find(stream)) return true;
    if (table_intern(&stream->streams->store->handle.table, stream->text, stream->bytes, &number) != TABLE_OK)
        return false;
    stream->number = number;
    return true;
}

static PyObject *raise_full(const Stream *stream) {
    return raise_error(stream->streams->state, ERROR_STREAM_TABLE_FULL,
                       "there is no room for stream %R: the store was created for %u streams, and all names are taken, "
                       "those of deleted streams too; known streams go on working; create the store with a larger "
                       "streams=",
                       stream->name, stream->streams->store->handle.geometry.options.streams);
}

/* ---- what came of it ------------------------------------------------------------------------------------------------ */

static PyObject *raise_status(const Stream *stream, enum stream_status status, uint32_t count) {
    struct module_state *state = stream->streams->state;
    const struct geometry *g = &stream->streams->store->handle.geometry;
    switch (status) {
    case STREAM_DELETED:
        return raise_error(state, ERROR_STREAM_DELETED,
                           "stream %R was deleted for ever; append to a stream of another name", stream->name);
    case STREAM_TOO_MANY:
        return raise_error(state, ERROR_INVALID_EVENT,
                           "%u events at once are more than a partition keeps, which are %llu: append fewer, or create "
                           "the store with a larger capacity, or fewer partitions",
                           count, (number)g->slots);
    case STREAM_STALLED:
        return raise_error(
            state, ERROR_PARTITION_STALLED,
            "other processes hold so many slots of the partition of stream %R for what they append that %u "
            "are not left; nothing was appended: append again, or fewer events at once",
            stream->name, count ? count : 1);
    case STREAM_NO_MEMORY: return PyErr_NoMemory();
    case STREAM_NOT_ENTERED:
        return raise_error(state, ERROR_STORE_CLOSED,
                           "this process has no place in the process table, as after a fork in the middle of the call; "
                           "append anew");
    default:
        return raise_error(state, ERROR_DAMAGED_SEGMENT,
                           "the log of stream %R is damaged: the segment was overwritten from outside; run "
                           "'shmstore-inspect check'",
                           stream->name);
    }
}

/* Can it be appended to now? No other code runs between this and what follows. */
static int make_ready(Store *store, int64_t now) {
    if (!store->closed) handle_look_for_name(&store->handle, now);
    return store->closed || !handle_takes_appends(&store->handle) ? check_appendable(store) : 0;
}

/* A change of a stream, all of whose parts are known to fit. Without events: a deletion. */
struct change {
    const struct event_wish *events;
    uint32_t count;
    bool for_ever;
    PyObject *given; /* what was expected, and as the core has it; NULL: anything */
    uint64_t expected;
};

/* The stream has so many versions; 0 too when there never was one. */
static PyObject *raise_conflict(const Stream *stream, const struct change *change, uint64_t versions) {
    const long long actual = (long long)versions - 1;
    const char *done = change->count ? "appended" : "deleted", *again = change->count ? "append" : "delete";
    PyObject *found = !versions ? PyUnicode_FromString("does not exist, so it is at version -1")
                      : change->expected == EXPECT_EXISTS ? PyUnicode_FromFormat("was deleted at version %lld", actual)
                                                          : PyUnicode_FromFormat("is at version %lld", actual);
    PyObject *text = found
                         ? PyUnicode_FromFormat("stream %R %U, expected %S; nothing was %s: read what has come since, "
                                                "decide again, and %s with expected_version=%lld",
                                                stream->name, found, change->given, done, again, actual)
                         : NULL;
    Py_XDECREF(found);
    return text ? raise_error_of(stream->streams->state, ERROR_WRONG_EXPECTED_VERSION,
                                 Py_BuildValue("(OOLN)", stream->name, change->given, actual, text))
                : NULL;
}

/* Make a change, unless it is refused as `status` says. 0, or -1 with an exception. */
static int try_once(Stream *stream, const struct change *change, uint64_t *versions, enum stream_status *status,
                    struct stream_answer *answer) {
    Store *store = stream->streams->store;
    const int64_t now = now_ns();
    bool has_room = true;
    *status = STREAM_DONE;
    if (make_ready(store, now)) return -1;
    BEGIN_EXCLUSIVE(store);
    bool known = stream_find(stream);
    if (!known) { /* nothing is entered for what would be refused, or does nothing */
        const bool makes = change->count || change->for_ever;
        if (change->expected < EXPECT_EXISTS || change->expected == EXPECT_EXISTS) *status = STREAM_CONFLICT;
        else if (makes) known = has_room = enter_name(stream);
    }
    if (known && change->count)
        *status = streams_append(core_of(stream), stream->number, change->events, change->count, change->expected,
                                 (uint64_t)now, versions, answer);
    else if (known)
        *status =
            streams_delete(core_of(stream), stream->number, change->for_ever, change->expected, (uint64_t)now, answer);
    END_EXCLUSIVE();
    if (!has_room) raise_full(stream);
    return has_room ? 0 : -1;
}

/* Slots that others hold are mostly of batches on their way, which are done soon. Not all wait equally long, or they would
 * come back together. */
static void nap(uint32_t naps) {
    const long nap_ns = NAP_NS * (1 + ((long)getpid() + naps) % 4);
    Py_BEGIN_ALLOW_THREADS
    nanosleep(&(struct timespec){.tv_nsec = nap_ns}, NULL);
    Py_END_ALLOW_THREADS
}

static int run(Stream *stream, const struct change *change, uint64_t *versions) {
    if (change->count == 1 && change->events->pieces[1].count && stream->number != UNKNOWN &&
        !stream->streams->store->closed)
        streams_fetch_id(core_of(stream), stream->number, &change->events->pieces[1]);
    struct stream_answer answer = {0};
    enum stream_status status;
    for (uint32_t naps = 0;; naps++) {
        if (try_once(stream, change, versions, &status, &answer)) return -1;
        if (status != STREAM_STALLED || naps == MOST_NAPS) break;
        nap(naps);
    }
    if (status == STREAM_CONFLICT) raise_conflict(stream, change, answer.versions);
    else if (status != STREAM_DONE) raise_status(stream, status, change->count);
    return status == STREAM_DONE ? 0 : -1;
}

/* ---- appending ------------------------------------------------------------------------------------------------------ */

PyObject *stream_append(PyObject *self, PyObject *const *values, Py_ssize_t count, PyObject *names) {
    Stream *stream = (Stream *)self;
    struct given given;
    struct held held = {0};
    struct event_wish wish;
    struct change change = {.events = &wish, .count = 1};
    uint64_t version = 0;
    if (take_event(stream->streams->state, &given, &change.given, values, count, names) ||
        take_expected(stream, change.given, &change.expected))
        return NULL;
    const int failed = make_wish(stream->streams, &given, &wish, &held) || run(stream, &change, &version);
    let_go(&held);
    return failed ? NULL : PyLong_FromUnsignedLongLong(version);
}

/* What an item of a batch gives: a NewEvent's parts, or data alone. */
static void take_item(const Streams *streams, PyObject *item, struct given *given) {
    *given = (struct given){.data = item};
    if (!PyObject_TypeCheck(item, (PyTypeObject *)streams->new_event)) return;
    *given = (struct given){PyTuple_GetItem(item, 0), PyTuple_GetItem(item, 1), PyTuple_GetItem(item, 2),
                            PyTuple_GetItem(item, 3)};
}

/* No id comes twice. `ids`: a set of those before. */
static int note_id(const Streams *streams, PyObject *ids, const struct piece *id) {
    if (!id->count) return 0;
    PyObject *text = PyUnicode_DecodeUTF8(id->bytes, (Py_ssize_t)id->count, "strict");
    const int known = text ? PySet_Contains(ids, text) : -1;
    if (known == 1)
        raise_error(streams->state, ERROR_INVALID_EVENT,
                    "two events have the event_id %R; an id is appended once: leave one of them out", text);
    const int failed = known || PySet_Add(ids, text);
    Py_XDECREF(text);
    return failed ? -1 : 0;
}

static PyObject *list_of(const uint64_t *versions, Py_ssize_t count) {
    PyObject *list = PyList_New(count);
    for (Py_ssize_t i = 0; list && i < count; i++) {
        PyObject *version = PyLong_FromUnsignedLongLong(versions[i]);
        if (!version) Py_CLEAR(list);
        else PyList_SetItem(list, i, version);
    }
    return list;
}

/* Say which event of the batch it was. */
static void name_item(const Streams *streams, Py_ssize_t at) {
    PyObject *cause;
    if (!PyErr_ExceptionMatches(streams->state->errors[ERROR_INVALID_EVENT]) || !take_error(&cause)) return;
    raise_error(streams->state, ERROR_INVALID_EVENT, "event %zd of the batch: %S; nothing was appended", at, cause);
    raise_from(cause);
}

PyObject *stream_append_events(PyObject *self, PyObject *arguments) {
    Stream *stream = (Stream *)self;
    const Streams *streams = stream->streams;
    PyObject *events, *expected, *items = NULL, *ids = NULL, *result = NULL;
    struct change change = {.events = NULL};
    if (!PyArg_ParseTuple(arguments, "OO:append_events", &events, &expected) ||
        take_expected(stream, change.given = expected, &change.expected) || !(items = PySequence_Tuple(events)))
        return NULL;
    const Py_ssize_t count = PyTuple_Size(items);
    const uint64_t most = streams->store->handle.geometry.slots;
    if ((uint64_t)count > most) {
        Py_DECREF(items);
        return raise_status(stream, STREAM_TOO_MANY, (uint32_t)count);
    }
    struct held *held = PyMem_Malloc(((size_t)count + 1) * sizeof *held);
    struct event_wish *wishes = PyMem_Malloc(((size_t)count + 1) * sizeof *wishes);
    uint64_t *versions = PyMem_Malloc(((size_t)count + 1) * sizeof *versions);
    Py_ssize_t made = 0;
    int failed = !held || !wishes || !versions || !(ids = PySet_New(NULL));
    if (failed) PyErr_NoMemory();
    for (; !failed && made < count; made++) {
        struct given given;
        held[made].count = 0;
        take_item(streams, PyTuple_GetItem(items, made), &given);
        failed =
            make_wish(streams, &given, &wishes[made], &held[made]) || note_id(streams, ids, &wishes[made].pieces[1]);
        if (failed) name_item(streams, made);
    }
    change.events = wishes;
    change.count = (uint32_t)count;
    if (!failed && (count ? !run(stream, &change, versions) : !check_writable(streams->store)))
        result = list_of(versions, count);
    while (held && made) let_go(&held[--made]);
    PyMem_Free(held);
    PyMem_Free(wishes);
    PyMem_Free(versions);
    Py_XDECREF(ids);
    Py_DECREF(items);
    return result;
}

/* ---- deleting, and what is kept ------------------------------------------------------------------------------------- */

PyObject *stream_delete_events(PyObject *self, PyObject *arguments) {
    struct change change = {.events = NULL};
    int for_ever;
    if (!PyArg_ParseTuple(arguments, "pO:delete_events", &for_ever, &change.given) ||
        take_expected((Stream *)self, change.given, &change.expected))
        return NULL;
    change.for_ever = for_ever;
    return run((Stream *)self, &change, NULL) ? NULL : Py_NewRef(Py_None);
}

/* Of a stream that was deleted for ever there is nothing to keep. */
static PyObject *raise_deleted(const Stream *stream) {
    return raise_error(stream->streams->state, ERROR_STREAM_DELETED,
                       "stream %R was deleted for ever; nothing of it is kept", stream->name);
}

static bool is_deleted(const Stream *stream) {
    return load_acquire(&streams_at(core_of(stream), stream->number)->deleted) == STREAM_CLOSED;
}

PyObject *stream_truncate_before(PyObject *self, PyObject *argument) {
    Stream *stream = (Stream *)self;
    const unsigned long long before = PyLong_AsUnsignedLongLong(argument);
    if (PyErr_Occurred() || make_ready(stream->streams->store, now_ns())) return NULL;
    if (!stream_find(stream)) Py_RETURN_NONE;
    if (is_deleted(stream)) return raise_deleted(stream);
    streams_truncate(core_of(stream), stream->number, before);
    Py_RETURN_NONE;
}

PyObject *stream_set_retention(PyObject *self, PyObject *arguments) {
    Stream *stream = (Stream *)self;
    long long events, age_ns, reserve;
    bool has_room;
    if (!PyArg_ParseTuple(arguments, "LLL:set_retention", &events, &age_ns, &reserve) ||
        make_ready(stream->streams->store, now_ns()))
        return NULL;
    BEGIN_EXCLUSIVE(stream->streams->store);
    has_room = enter_name(stream);
    END_EXCLUSIVE();
    if (!has_room) return raise_full(stream);
    if (is_deleted(stream)) return raise_deleted(stream);
    struct stream *shared = streams_at(core_of(stream), stream->number);
    if (events >= 0) store_relaxed(&shared->most_events, (uint64_t)events);
    if (age_ns >= 0) store_relaxed(&shared->most_ns, (uint64_t)age_ns);
    if (reserve >= 0) store_relaxed(&shared->reserve, (uint64_t)reserve);
    Py_RETURN_NONE;
}
