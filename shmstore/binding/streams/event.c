/* The Event type: a private copy of one event. See event.h. */
#include "binding/streams/event.h"

#include <string.h>
#include <structmember.h>

typedef struct {
    PyObject_HEAD PyObject *stream, *type, *id; /* str; the last two may be None */
    PyObject *data, *metadata;                  /* of JSON, its text as bytes until it is asked for */
    bool packed_data, packed_metadata;          /* is it still that text? */
    unsigned long long version, position, time_ns;
} Event;

/* ---- made of what was read ------------------------------------------------------------------------------------------ */

/* Text that a damaged segment may hold. */
static PyObject *text_object(const char *text, size_t bytes) {
    return PyUnicode_DecodeUTF8(text, (Py_ssize_t)bytes, "replace");
}

static PyObject *optional_text(const char *text, size_t bytes) {
    return bytes ? text_object(text, bytes) : Py_NewRef(Py_None);
}

static PyObject *type_of(struct event_maker *maker, const char *text, size_t bytes) {
    if (maker->type && maker->type_bytes == bytes && !memcmp(maker->type_text, text, bytes))
        return Py_NewRef(maker->type);
    PyObject *type = optional_text(text, bytes);
    if (!type || bytes > sizeof maker->type_text) return type;
    memcpy(maker->type_text, text, bytes);
    maker->type_bytes = (uint32_t)bytes;
    Py_XDECREF(maker->type);
    maker->type = Py_NewRef(type);
    return type;
}

static PyObject *payload_object(enum payload payload, const char *text, size_t bytes) {
    switch (payload) {
    case PAYLOAD_TEXT: return text_object(text, bytes);
    case PAYLOAD_NONE: return Py_NewRef(Py_None);
    default: return PyBytes_FromStringAndSize(text, (Py_ssize_t)bytes);
    }
}

PyObject *make_event(struct event_maker *maker, const struct event_facts *facts, const char *text, size_t bytes) {
    const size_t sizes[PIECES] = {origin_type_bytes(facts->origin), origin_id_bytes(facts->origin),
                                  (size_t)(uint32_t)facts->sizes, (size_t)(facts->sizes >> 32)};
    const enum payload data = origin_flags(facts->origin) & PAYLOAD_MASK,
                       metadata = origin_flags(facts->origin) >> METADATA_SHIFT & PAYLOAD_MASK;
    const size_t total = piece_room(sizes[0]) + piece_room(sizes[1]) + piece_room(sizes[2]) + sizes[3];
    if (total != bytes)
        return raise_error(maker->state, ERROR_DAMAGED_SEGMENT,
                           "event %llu of stream %R is damaged: its parts take %zu bytes, and there are %zu; run "
                           "'shmstore-inspect check'",
                           (number)facts->version, maker->stream, total, bytes);
    Event *event = (Event *)PyType_GenericAlloc(maker->state->types[TYPE_EVENT], 0);
    if (!event) return NULL;
    PyObject_GC_UnTrack(event); /* it is in no cycle before its JSON is decoded */
    event->stream = Py_NewRef(maker->stream);
    event->version = facts->version;
    event->position = facts->position * maker->logs + maker->log;
    event->time_ns = facts->time_ns;
    event->type = type_of(maker, text, sizes[0]);
    event->id = optional_text(text += piece_room(sizes[0]), sizes[1]);
    event->metadata = payload_object(metadata, text += piece_room(sizes[1]), sizes[2]);
    event->data = payload_object(data, text + piece_room(sizes[2]), sizes[3]);
    event->packed_data = data == PAYLOAD_JSON;
    event->packed_metadata = metadata == PAYLOAD_JSON;
    if (!event->type || !event->id || !event->data || !event->metadata) Py_CLEAR(event);
    return (PyObject *)event;
}

/* ---- data and metadata ---------------------------------------------------------------------------------------------- */

/* Keep what decodes JSON: the whole way, and the scanner that it ends in. */
static int find_json(struct module_state *state) {
    PyObject *json = PyImport_ImportModule("json"), *loads = json ? PyObject_GetAttrString(json, "loads") : NULL;
    PyObject *decoder = loads ? PyObject_CallMethod(json, "JSONDecoder", NULL) : NULL;
    PyObject *scan = decoder ? PyObject_GetAttrString(decoder, "scan_once") : NULL;
    Py_XDECREF(decoder);
    Py_XDECREF(json);
    if (scan && !state->json_loads) { /* no other thread was faster */
        state->json_scan = Py_NewRef(scan);
        state->json_loads = Py_NewRef(loads);
    }
    const int status = scan ? 0 : -1;
    Py_XDECREF(loads);
    Py_XDECREF(scan);
    return status;
}

/* What the scanner makes of a whole text. NULL without an exception: let json.loads say what is wrong with it. */
static PyObject *scanned(struct module_state *state, PyObject *text) {
    PyObject *start = PyLong_FromLong(0), *value = NULL;
    PyObject *found = start ? PyObject_CallFunctionObjArgs(state->json_scan, text, start, NULL) : NULL;
    if (found && PyTuple_Check(found) && PyTuple_Size(found) == 2 &&
        PyLong_AsSsize_t(PyTuple_GetItem(found, 1)) == PyUnicode_GetLength(text))
        value = Py_NewRef(PyTuple_GetItem(found, 0));
    else if (PyErr_Occurred() &&
             (PyErr_ExceptionMatches(PyExc_StopIteration) || PyErr_ExceptionMatches(PyExc_ValueError)))
        PyErr_Clear();
    Py_XDECREF(found);
    Py_XDECREF(start);
    return value;
}

static PyObject *decoded(struct module_state *state, PyObject *packed) {
    if (!state->json_loads && find_json(state)) return NULL;
    PyObject *text = PyUnicode_FromEncodedObject(packed, "utf-8", "replace");
    PyObject *value = text ? scanned(state, text) : NULL;
    if (text && !value && !PyErr_Occurred()) value = PyObject_CallFunctionObjArgs(state->json_loads, text, NULL);
    Py_XDECREF(text);
    return value;
}

/* The value of data or metadata: always the same object. */
static PyObject *payload(Event *event, PyObject **member, bool *packed) {
    PyObject *found;
    BEGIN_EXCLUSIVE(event);
    if (*packed) {
        PyObject *text = Py_NewRef(*member), *value = decoded(PyType_GetModuleState(Py_TYPE((PyObject *)event)), text);
        if (value && *packed) { /* decoding may have run other code that asked as well */
            PyObject *old = *member;
            *member = Py_NewRef(value);
            *packed = false;
            if (!PyObject_GC_IsTracked((PyObject *)event)) PyObject_GC_Track(event);
            Py_DECREF(old);
        }
        Py_DECREF(text);
        found = value ? Py_NewRef(*member) : NULL;
        Py_XDECREF(value);
    } else found = Py_NewRef(*member);
    END_EXCLUSIVE();
    return found;
}

static PyObject *event_get_data(PyObject *self, void *unused) {
    (void)unused;
    return payload((Event *)self, &((Event *)self)->data, &((Event *)self)->packed_data);
}

static PyObject *event_get_metadata(PyObject *self, void *unused) {
    (void)unused;
    return payload((Event *)self, &((Event *)self)->metadata, &((Event *)self)->packed_metadata);
}

/* The text of JSON that nobody has asked for yet, as it was appended; else None. */
static PyObject *json_text(Event *event, PyObject *const *member, const bool *packed) {
    PyObject *text;
    BEGIN_EXCLUSIVE(event);
    text = *packed ? PyUnicode_FromEncodedObject(*member, "utf-8", "replace") : Py_NewRef(Py_None);
    END_EXCLUSIVE();
    return text;
}

static PyObject *event_get_data_json(PyObject *self, void *unused) {
    (void)unused;
    return json_text((Event *)self, &((Event *)self)->data, &((Event *)self)->packed_data);
}

static PyObject *event_get_metadata_json(PyObject *self, void *unused) {
    (void)unused;
    return json_text((Event *)self, &((Event *)self)->metadata, &((Event *)self)->packed_metadata);
}

/* ---- a value of its own --------------------------------------------------------------------------------------------- */

/* All that an event is, in the order in which Event() takes it. */
static PyObject *parts(PyObject *self) {
    Event *event = (Event *)self;
    PyObject *data = event_get_data(self, NULL), *metadata = data ? event_get_metadata(self, NULL) : NULL;
    if (metadata)
        return Py_BuildValue("(OKKOONNK)", event->stream, event->version, event->position, event->id, event->type, data,
                             metadata, event->time_ns);
    Py_XDECREF(data);
    return NULL;
}

static PyObject *event_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    static char *const known[] = {"stream", "version",  "position",  "event_id", "type",
                                  "data",   "metadata", "timestamp", NULL};
    PyObject *stream, *id, *kind, *data, *metadata;
    number version, position, time_ns;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "UKKOOOOK:Event", (char **)(uintptr_t)known, &stream,
                                     &version, &position, &id, &kind, &data, &metadata, &time_ns))
        return NULL;
    Event *event = (Event *)PyType_GenericAlloc(type, 0);
    if (!event) return NULL;
    event->stream = Py_NewRef(stream);
    event->id = Py_NewRef(id);
    event->type = Py_NewRef(kind);
    event->data = Py_NewRef(data);
    event->metadata = Py_NewRef(metadata);
    event->version = version;
    event->position = position;
    event->time_ns = time_ns;
    return (PyObject *)event;
}

static PyObject *event_reduce(PyObject *self, PyObject *unused) {
    (void)unused;
    PyObject *values = parts(self);
    return values ? Py_BuildValue("(ON)", Py_TYPE(self), values) : NULL;
}

static PyObject *event_compare(PyObject *self, PyObject *other, int how) {
    if (Py_TYPE(self) != Py_TYPE(other) || (how != Py_EQ && how != Py_NE)) Py_RETURN_NOTIMPLEMENTED;
    PyObject *ours = parts(self), *theirs = ours ? parts(other) : NULL;
    PyObject *result = theirs ? PyObject_RichCompare(ours, theirs, how) : NULL;
    Py_XDECREF(ours);
    Py_XDECREF(theirs);
    return result;
}

static Py_hash_t event_hash(PyObject *self) {
    const Event *event = (Event *)self;
    PyObject *values = Py_BuildValue("(OKK)", event->stream, event->version, event->position);
    const Py_hash_t hash = values ? PyObject_Hash(values) : -1;
    Py_XDECREF(values);
    return hash;
}

static PyObject *event_repr(PyObject *self) {
    const Event *event = (Event *)self;
    struct module_state *state = PyType_GetModuleState(Py_TYPE(self));
    PyObject *data = event_get_data(self, NULL), *text = data ? shown(state, data) : NULL, *result = NULL;
    if (text && event->type == Py_None)
        result = PyUnicode_FromFormat("<Event %llu of %R: %U>", event->version, event->stream, text);
    else if (text)
        result = PyUnicode_FromFormat("<Event %llu of %R: %R, %U>", event->version, event->stream, event->type, text);
    Py_XDECREF(data);
    Py_XDECREF(text);
    return result;
}

/* ---- the type ------------------------------------------------------------------------------------------------------- */

static int event_traverse(PyObject *self, visitproc visit, void *arg) {
    Event *event = (Event *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(event->stream);
    Py_VISIT(event->type);
    Py_VISIT(event->id);
    Py_VISIT(event->data);
    Py_VISIT(event->metadata);
    return 0;
}

static int event_clear(PyObject *self) {
    Event *event = (Event *)self;
    PyObject *data = event->data, *metadata = event->metadata;
    event->data = Py_NewRef(Py_None);
    event->metadata = Py_NewRef(Py_None);
    event->packed_data = event->packed_metadata = false;
    Py_XDECREF(data);
    Py_XDECREF(metadata);
    return 0;
}

static void event_dealloc(PyObject *self) {
    Event *event = (Event *)self;
    PyObject_GC_UnTrack(self);
    Py_XDECREF(event->data);
    Py_XDECREF(event->metadata);
    Py_XDECREF(event->stream);
    Py_XDECREF(event->type);
    Py_XDECREF(event->id);
    free_object(self);
}

static PyMemberDef event_members[] = {
    {"stream", T_OBJECT_EX, offsetof(Event, stream), READONLY, "The name of its stream."},
    {"version", T_ULONGLONG, offsetof(Event, version), READONLY, "Its number in the stream, from 0."},
    {"position", T_ULONGLONG, offsetof(Event, position), READONLY, "Its place among all events of the store."},
    {"event_id", T_OBJECT_EX, offsetof(Event, id), READONLY,
     "What it is known by, a str; None when nothing was given."},
    {"type", T_OBJECT_EX, offsetof(Event, type), READONLY, "What it is, a str; None when nothing was given."},
    {"timestamp", T_ULONGLONG, offsetof(Event, time_ns), READONLY, "When it was appended, ns since the Unix epoch."},
    {NULL, 0, 0, 0, NULL},
};
static PyGetSetDef event_properties[] = {
    {"data", event_get_data, NULL, "What was appended.", NULL},
    {"metadata", event_get_metadata, NULL, "What was said of it; None when nothing was.", NULL},
    {"data_json", event_get_data_json, NULL,
     "The data as JSON, a str, to be passed on as it is; None where it is no JSON, or was asked for as `data`.", NULL},
    {"metadata_json", event_get_metadata_json, NULL, "The same of the metadata.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyMethodDef event_methods[] = {
    {"__reduce__", event_reduce, METH_NOARGS, "__reduce__($self)\n--\n\nAn event is pickled as a value."},
    {NULL, NULL, 0, NULL},
};

PyType_Spec event_spec = {
    .name = "shmstore.Event",
    .basicsize = sizeof(Event),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = (PyType_Slot[]){{Py_tp_new, event_new},
                             {Py_tp_dealloc, event_dealloc},
                             {Py_tp_traverse, event_traverse},
                             {Py_tp_clear, event_clear},
                             {Py_tp_members, event_members},
                             {Py_tp_getset, event_properties},
                             {Py_tp_methods, event_methods},
                             {Py_tp_repr, event_repr},
                             {Py_tp_hash, event_hash},
                             {Py_tp_richcompare, event_compare},
                             {Py_tp_doc, "One event of a stream: a private copy, which stays as it is."},
                             {0, NULL}},
};
