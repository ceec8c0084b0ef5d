/* The Streams type: what all streams of a store have in common, and their names. */
#include "binding/streams/follower.h"

#include <string.h>
#include <structmember.h>

/* ---- names ---------------------------------------------------------------------------------------------------------- */

/* A stream of this type, which is Stream or on top of it. */
static PyObject *streams_stream(PyObject *self, PyObject *arguments) {
    Streams *streams = (Streams *)self;
    PyObject *type, *name;
    Py_ssize_t bytes;
    if (!PyArg_ParseTuple(arguments, "OO:stream", &type, &name)) return NULL;
    if (!PyType_Check(type) || !PyType_IsSubtype((PyTypeObject *)type, streams->state->types[TYPE_STREAM]))
        return PyErr_Format(PyExc_TypeError, "expected a type on top of Stream, found %R", type);
    const char *text = PyUnicode_Check(name) ? PyUnicode_AsUTF8AndSize(name, &bytes) : NULL;
    if (!text && !drop_error()) return NULL;
    if (!text || bytes < 1 || bytes > MAX_STREAM_NAME_BYTES) {
        PyObject *found = shown(streams->state, name);
        PyObject *taken = text ? PyUnicode_FromFormat(", found %zd", bytes) : PyUnicode_FromString("");
        if (found && taken)
            raise_error(streams->state, ERROR_INVALID_NAME,
                        "%U is not the name of a stream; expected a str that takes 1 to %d bytes of UTF-8%U", found,
                        MAX_STREAM_NAME_BYTES, taken);
        Py_XDECREF(taken);
        Py_XDECREF(found);
        return NULL;
    }
    Stream *stream = (Stream *)PyType_GenericAlloc((PyTypeObject *)type, 0);
    if (!stream) return NULL;
    stream->streams = (Streams *)Py_NewRef(self);
    stream->name = Py_NewRef(name);
    stream->text = text;
    stream->bytes = (size_t)bytes;
    stream->number = UNKNOWN;
    return (PyObject *)stream;
}

static PyObject *streams_names(PyObject *self, PyObject *argument) {
    const Store *store = ((Streams *)self)->store;
    const struct streams *core = &store->streams;
    char text[MAX_STREAM_NAME_BYTES];
    Py_ssize_t bytes;
    const char *prefix = PyUnicode_AsUTF8AndSize(argument, &bytes);
    if (!prefix || check_open((Store *)store)) return NULL;
    PyObject *list = PyList_New(0);
    for (uint32_t number = 0; list && number < table_count(&store->handle.table); number++) {
        if (!streams_exists(core, number)) continue;
        const int64_t length = table_cell_text(&store->handle.table, number, text);
        if (length < bytes || memcmp(text, prefix, (size_t)bytes)) continue;
        PyObject *name = PyUnicode_DecodeUTF8(text, (Py_ssize_t)length, "replace");
        if (!name || PyList_Append(list, name)) Py_CLEAR(list);
        Py_XDECREF(name);
    }
    return list;
}

PyObject *streams_name_of(Streams *streams, uint32_t number) {
    PyObject *texts = streams->texts, *name = NULL;
    char text[MAX_STREAM_NAME_BYTES];
    bool failed = false;
    BEGIN_EXCLUSIVE(texts);
    while (!failed && PyList_Size(texts) <= (Py_ssize_t)number) failed = PyList_Append(texts, Py_None) < 0;
    if (!failed) name = Py_NewRef(PyList_GetItem(texts, (Py_ssize_t)number));
    END_EXCLUSIVE();
    if (failed || name != Py_None) return name;
    Py_DECREF(name);
    const int64_t bytes = table_cell_text(&streams->store->handle.table, number, text);
    name = PyUnicode_DecodeUTF8(text, bytes < 0 ? 0 : (Py_ssize_t)bytes, "replace");
    if (name && bytes > 0) PyList_SetItem(texts, (Py_ssize_t)number, Py_NewRef(name));
    return name;
}

/* (the oldest ticket that has its slot, the next one) of each partition. */
static PyObject *streams_tickets(PyObject *self, PyObject *unused) {
    (void)unused;
    const Store *store = ((Streams *)self)->store;
    const struct streams *core = &store->streams;
    const uint32_t logs = store->handle.geometry.options.logs;
    if (check_open((Store *)store)) return NULL;
    PyObject *list = PyList_New((Py_ssize_t)logs);
    for (uint32_t log = 0; list && log < logs; log++) {
        const uint64_t tail = streams_tail(core, log);
        PyObject *pair = Py_BuildValue("(KK)", (number)follow_oldest(core, tail), (number)tail);
        if (!pair) Py_CLEAR(list);
        else PyList_SetItem(list, (Py_ssize_t)log, pair);
    }
    return list;
}

static PyObject *streams_counted(PyObject *self, PyObject *unused) {
    (void)unused;
    const Store *store = ((Streams *)self)->store;
    Py_ssize_t count = 0;
    if (check_open((Store *)store)) return NULL;
    for (uint32_t number = 0; number < table_count(&store->handle.table); number++)
        count += streams_exists(&store->streams, number);
    return PyLong_FromSsize_t(count);
}

/* ---- the type ------------------------------------------------------------------------------------------------------- */

static PyObject *streams_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    static char *const known[] = {"store", "encode", "id_text", "new_event", "expected", NULL};
    PyObject *store, *encode, *id_text, *new_event, *any, *no_stream, *exists;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O$OOO(OOO):Streams", (char **)(uintptr_t)known, &store,
                                     &encode, &id_text, &new_event, &any, &no_stream, &exists))
        return NULL;
    PyObject *module = PyType_GetModule(type);
    struct module_state *state = module ? PyModule_GetState(module) : NULL;
    if (!state) return NULL;
    if (Py_TYPE(store) != state->types[TYPE_STORE] || !has_streams((Store *)store))
        return PyErr_Format(PyExc_TypeError, "expected the Store of a streams segment, found %R", store);
    Streams *streams = (Streams *)PyType_GenericAlloc(type, 0);
    if (!streams) return NULL;
    streams->module = Py_NewRef(module);
    streams->state = state;
    streams->store = (Store *)Py_NewRef(store);
    streams->encode = Py_NewRef(encode);
    streams->id_text = Py_NewRef(id_text);
    streams->new_event = Py_NewRef(new_event);
    streams->any = Py_NewRef(any);
    streams->no_stream = Py_NewRef(no_stream);
    streams->exists = Py_NewRef(exists);
    streams->texts = PyList_New(0);
    if (!streams->texts) Py_CLEAR(streams);
    return (PyObject *)streams;
}

#define EACH_MEMBER(streams, DO)                                                                                       \
    DO((streams)->module);                                                                                             \
    DO((PyObject *)(streams)->store);                                                                                  \
    DO((streams)->encode);                                                                                             \
    DO((streams)->id_text);                                                                                            \
    DO((streams)->new_event);                                                                                          \
    DO((streams)->any);                                                                                                \
    DO((streams)->no_stream);                                                                                          \
    DO((streams)->exists);                                                                                             \
    DO((streams)->texts)

static int streams_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    EACH_MEMBER((Streams *)self, Py_VISIT);
    return 0;
}

static void streams_dealloc(PyObject *self) {
    PyObject_GC_UnTrack(self);
    EACH_MEMBER((Streams *)self, Py_XDECREF);
    free_object(self);
}

#define STREAMS_METHODS(METHOD)                                                                                        \
    METHOD("stream", streams_stream, VARARGS,                                                                          \
           "stream($self, type, name, /)\n--\n\nThe stream of this name, as an object of this type.")                  \
    METHOD("names", streams_names, O, "names($self, prefix, /)\n--\n\nThe names of all streams that begin with this.") \
    METHOD("count", streams_counted, NOARGS, "count($self)\n--\n\nHow many streams there are.")                        \
    METHOD("tickets", streams_tickets, NOARGS, "tickets($self)\n--\n\n(oldest, next) ticket of each partition.")       \
    METHOD(                                                                                                            \
        "follower", streams_follower, KEYWORDS,                                                                        \
        "follower($self, stream, places, *, missed, stops, bounded, fresh, limit, timeout_s)\n--\n\nWhat reads on.")

#define STORE_OF(self) (((Streams *)(self))->store)
STREAMS_METHODS(GUARD_METHOD)

static PyMethodDef streams_methods[] = METHOD_TABLE(STREAMS_METHODS);
static PyMemberDef streams_members[] = {
    {"store", T_OBJECT_EX, offsetof(Streams, store), READONLY, "The store that they are in."},
    {NULL, 0, 0, 0, NULL},
};

PyType_Spec streams_spec = {
    .name = "shmstore._core.Streams",
    .basicsize = sizeof(Streams),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = (PyType_Slot[]){{Py_tp_new, streams_new},
                             {Py_tp_dealloc, streams_dealloc},
                             {Py_tp_traverse, streams_traverse},
                             {Py_tp_methods, streams_methods},
                             {Py_tp_members, streams_members},
                             {Py_tp_doc, "The streams of a store; see _core.pyi."},
                             {0, NULL}},
};
