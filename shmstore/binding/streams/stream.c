/* The Stream type: one stream by its name, its state, and reading it. */
#include "binding/streams/event.h"
#include "binding/streams/stream.h"

#include <structmember.h>

/* ---- reading -------------------------------------------------------------------------------------------------------- */

static void state_of(Stream *stream, struct stream_state *state) {
    *state = (struct stream_state){0};
    if (stream_find(stream)) streams_state(core_of(stream), stream->number, (uint64_t)now_ns(), state);
}

int stream_look(Stream *stream, struct stream_state *state) {
    state_of(stream, state);
    if (!state->closed) return 0;
    raise_error(stream->streams->state, ERROR_STREAM_DELETED,
                "stream %R was deleted for ever; nothing of it can be read", stream->name);
    return -1;
}

static PyObject *stream_get_state(PyObject *self, PyObject *unused) {
    (void)unused;
    Stream *stream = (Stream *)self;
    struct stream_state state;
    if (check_open(stream->streams->store)) return NULL;
    state_of(stream, &state);
    return new_shape(stream->streams->state, SHAPE_STREAM_STATE,
                     Py_BuildValue("(KKKKNN)", (number)state.versions, (number)state.first, (number)state.lost,
                                   (number)state.discarded, PyBool_FromLong(state.exists),
                                   PyBool_FromLong(state.closed)));
}

static PyObject *stream_get_version(PyObject *self, void *unused) {
    (void)unused;
    Stream *stream = (Stream *)self;
    if (check_open(stream->streams->store)) return NULL;
    if (!stream_find(stream)) return PyLong_FromLong(-1);
    return PyLong_FromLongLong((long long)load_acquire(&streams_at(core_of(stream), stream->number)->newest.low) - 1);
}

static PyObject *stream_get_slots(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromUnsignedLongLong(((Stream *)self)->streams->store->handle.geometry.slots);
}

static PyObject *stream_retention(PyObject *self, PyObject *unused) {
    (void)unused;
    Stream *stream = (Stream *)self;
    if (check_open(stream->streams->store)) return NULL;
    const struct stream none = {.most_events = 0};
    const struct stream *shared = stream_find(stream) ? streams_at(core_of(stream), stream->number) : &none;
    return new_shape(stream->streams->state, SHAPE_RETENTION,
                     Py_BuildValue("(KKK)", (number)load_relaxed(&shared->most_events),
                                   (number)load_relaxed(&shared->most_ns), (number)load_relaxed(&shared->reserve)));
}

static PyObject *stream_find_time(PyObject *self, PyObject *argument) {
    Stream *stream = (Stream *)self;
    struct stream_state state;
    const unsigned long long time_ns = PyLong_AsUnsignedLongLong(argument);
    if (PyErr_Occurred() || check_open(stream->streams->store)) return NULL;
    state_of(stream, &state);
    if (state.first < state.versions)
        state.first = streams_find_time(core_of(stream), stream->number, state.first, state.versions, time_ns);
    return PyLong_FromUnsignedLongLong(state.first);
}

PyObject *stream_raise_damaged(const Stream *stream, uint64_t version) {
    return raise_error(stream->streams->state, ERROR_DAMAGED_SEGMENT,
                       "event %llu of stream %R is not where it must be: the segment was overwritten from outside; run "
                       "'shmstore-inspect check'",
                       (number)version, stream->name);
}

/* Copy the events in these slots, up to the first that was overwritten meanwhile. */
static PyObject *copy_events(Stream *stream, uint64_t first, uint32_t count, const uint32_t *slots, char *text,
                             size_t room) {
    const struct streams *core = core_of(stream);
    struct event_maker maker = {.state = stream->streams->state,
                                .stream = stream->name,
                                .log = streams_log_of(core, stream->number),
                                .logs = core->handle->geometry.options.logs};
    const struct log_view log = streams_log(core, maker.log);
    PyObject *list = PyList_New(0);
    for (uint32_t i = 0; list && i < count; i++) {
        struct event_facts facts;
        const enum find_status status = streams_read(core, stream->number, first + i, slots[i], &facts, text, room);
        if (status == FIND_LOST) break;
        PyObject *event = status == FIND_OK ? make_event(&maker, &facts, text, slots_text_bytes(&log, &facts))
                                            : stream_raise_damaged(stream, first + i);
        if (!event || PyList_Append(list, event)) Py_CLEAR(list);
        Py_XDECREF(event);
    }
    Py_XDECREF(maker.type);
    return list;
}

static PyObject *read_block(Stream *stream, uint64_t first, uint32_t count, uint32_t *slots, char *text, size_t room) {
    struct stream_state state;
    for (;;) {
        if (stream_look(stream, &state)) return NULL;
        if (first < state.first) return PyLong_FromUnsignedLongLong(state.first);
        if (first >= state.versions || !count) return PyList_New(0);
        if (count > state.versions - first) count = (uint32_t)(state.versions - first);
        const enum find_status status = streams_find(core_of(stream), stream->number, first, count, slots);
        if (status == FIND_LOST) continue;
        if (status != FIND_OK) return stream_raise_damaged(stream, first);
        PyObject *list = copy_events(stream, first, count, slots, text, room);
        if (!list || PyList_Size(list)) return list;
        Py_DECREF(list);
    }
}

PyObject *stream_read(Stream *stream, uint64_t first, uint32_t count) {
    const size_t room = stream->streams->store->handle.geometry.event_bytes - sizeof(struct event_slot);
    uint32_t *slots = PyMem_Malloc((count + 1) * sizeof *slots);
    char *text = PyMem_Malloc(room);
    PyObject *result = slots && text ? read_block(stream, first, count, slots, text, room) : PyErr_NoMemory();
    PyMem_Free(slots);
    PyMem_Free(text);
    return result;
}

static PyObject *stream_block(PyObject *self, PyObject *arguments) {
    Stream *stream = (Stream *)self;
    number first;
    unsigned count;
    if (!PyArg_ParseTuple(arguments, "KI:block", &first, &count) || check_open(stream->streams->store)) return NULL;
    return stream_read(stream, first, count < MOST_AT_ONCE ? count : MOST_AT_ONCE);
}

/* ---- one stream ----------------------------------------------------------------------------------------------------- */

static PyObject *stream_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    (void)type;
    (void)arguments;
    (void)keywords;
    PyErr_SetString(PyExc_TypeError, "a stream is not made itself; take it from its store, as streams['orders']");
    return NULL;
}

static int stream_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT((PyObject *)((Stream *)self)->streams);
    return 0;
}

static void stream_dealloc(PyObject *self) {
    PyObject_GC_UnTrack(self);
    Py_XDECREF((PyObject *)((Stream *)self)->streams);
    Py_XDECREF(((Stream *)self)->name);
    free_object(self);
}

#define STREAM_METHODS(METHOD)                                                                                         \
    STREAM_WRITING_METHODS(METHOD)                                                                                     \
    STREAM_COUNTING_METHODS(METHOD)                                                                                    \
    METHOD("state", stream_get_state, NOARGS, "state($self)\n--\n\nHow the stream is now.")                            \
    METHOD("get_retention", stream_retention, NOARGS, "get_retention($self)\n--\n\nHow much of it is kept.")           \
    METHOD("find_time", stream_find_time, O,                                                                           \
           "find_time($self, time_ns, /)\n--\n\nThe first version that is not older.")                                 \
    METHOD("block", stream_block, VARARGS,                                                                             \
           "block($self, first, count, /)\n--\n\nEvents; or the first version that can be read.")

#define STREAM_PROPERTIES(PROPERTY)                                                                                    \
    PROPERTY("version", stream_get_version, "The version of its newest event; -1 when there is none.")                 \
    PROPERTY("slots", stream_get_slots, "How many events its partition keeps.")

#define STORE_OF(self) (((Stream *)(self))->streams->store)
STREAM_METHODS(GUARD_METHOD)
STREAM_PROPERTIES(GUARD_PROPERTY)
#undef STORE_OF

static PyMethodDef stream_methods[] = METHOD_TABLE(STREAM_METHODS);
static PyGetSetDef stream_properties[] = PROPERTY_TABLE(STREAM_PROPERTIES);
static PyMemberDef stream_members[] = {
    {"name", T_OBJECT_EX, offsetof(Stream, name), READONLY, "Its name."},
    {"streams", T_OBJECT_EX, offsetof(Stream, streams), READONLY, "All streams of its store."},
    {NULL, 0, 0, 0, NULL},
};

PyType_Spec stream_spec = {
    .name = "shmstore._core.Stream",
    .basicsize = sizeof(Stream),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = (PyType_Slot[]){{Py_tp_new, stream_new},
                             {Py_tp_dealloc, stream_dealloc},
                             {Py_tp_traverse, stream_traverse},
                             {Py_tp_methods, stream_methods},
                             {Py_tp_getset, stream_properties},
                             {Py_tp_members, stream_members},
                             {Py_tp_doc, "One stream; see _core.pyi."},
                             {0, NULL}},
};
