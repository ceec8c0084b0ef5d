/* From Python's values to an event: arguments of a call, data and metadata, ids, expected versions. */
#include "binding/streams/event.h"
#include "binding/streams/stream.h"

#include <string.h>

/* ---- arguments ------------------------------------------------------------------------------------------------------ */

enum { DATA, TYPE, EXPECTED, EVENT_ID, METADATA, ARGUMENTS = APPEND_ARGUMENTS };

int take_event(struct module_state *state, struct given *given, PyObject **expected, PyObject *const *values,
               Py_ssize_t count, PyObject *names) {
    PyObject *taken[ARGUMENTS] = {NULL};
    const Py_ssize_t named = names ? PyTuple_Size(names) : 0;
    if (count > 1) {
        raise_error(state, ERROR_INVALID_CALL,
                    "append() takes data by position, and all else by name; found %zd values", count);
        return -1;
    }
    if (count) taken[DATA] = values[0];
    for (Py_ssize_t i = 0; i < named; i++) {
        PyObject *name = PyTuple_GetItem(names, i);
        int at = 0;
        while (at < ARGUMENTS && name != state->append_names[at]) at++;
        if (at == ARGUMENTS) /* not interned, or unknown */
            for (at = 0; at < ARGUMENTS && PyUnicode_Compare(name, state->append_names[at]);) at++;
        if (at == ARGUMENTS || taken[at]) {
            raise_error(state, ERROR_INVALID_CALL,
                        at < ARGUMENTS ? "append() is given %R twice"
                                       : "append() takes no %R; it takes data, type, expected_version, event_id and "
                                         "metadata",
                        name);
            return -1;
        }
        taken[at] = values[count + i];
    }
    if (!taken[DATA]) {
        raise_error(state, ERROR_INVALID_CALL, "append() needs data: what the event holds; None for nothing");
        return -1;
    }
    *given = (struct given){taken[DATA], taken[TYPE], taken[EVENT_ID], taken[METADATA]};
    *expected = taken[EXPECTED];
    return 0;
}

int take_expected(const Stream *stream, PyObject *given, uint64_t *expected) {
    const Streams *streams = stream->streams;
    *expected = EXPECT_ANY;
    if (!given || given == streams->any) return 0;
    if (given == streams->no_stream) *expected = EXPECT_NO_STREAM;
    else if (given == streams->exists) *expected = EXPECT_EXISTS;
    if (*expected != EXPECT_ANY) return 0;
    PyObject *cause, *number = PyBool_Check(given) ? NULL : PyNumber_Index(given);
    long long version = number ? PyLong_AsLongLong(number) : -2;
    Py_XDECREF(number);
    if (version < 0 && PyErr_Occurred()) {
        if (!take_error(&cause)) return -1;
        Py_DECREF(cause);
        version = -2;
    }
    *expected = version == -1 ? EXPECT_NO_STREAM : (uint64_t)version; /* -1 is the version of no stream */
    if (version >= -1) return 0;
    PyObject *text = shown(streams->state, given);
    if (text)
        raise_error(streams->state, ERROR_INVALID_OPTION,
                    "expected_version is %U; expected a version of 0 or more, -1 (no stream), ANY, NO_STREAM or EXISTS",
                    text);
    Py_XDECREF(text);
    return -1;
}

/* ---- the parts of an event ------------------------------------------------------------------------------------------ */

static const char *const called[PIECES] = {"type", "event_id", "metadata", "data"};

/* An object whose bytes are a piece, until let_go. NULL where there is none. */
static PyObject *hold(struct held *held, PyObject *object) {
    if (object) held->objects[held->count++] = object;
    return object;
}

static bool is_given(const PyObject *value) { return value && value != Py_None; }

static int refuse_text(const Streams *streams, int part, PyObject *value) {
    PyObject *cause, *text;
    if (!take_error(&cause)) return -1;
    if ((text = shown(streams->state, value)))
        raise_error(streams->state, ERROR_INVALID_EVENT, "%s is %U, which UTF-8 cannot hold (a lone surrogate); %s",
                    called[part], text, part < 2 ? "write it in other characters" : "encode it, and append bytes");
    Py_XDECREF(text);
    raise_from(cause);
    return -1;
}

static int put_text(const Streams *streams, int part, PyObject *value, struct piece *piece) {
    Py_ssize_t count;
    piece->bytes = PyUnicode_AsUTF8AndSize(value, &count);
    if (!piece->bytes) return refuse_text(streams, part, value);
    piece->count = (size_t)count;
    return 0;
}

/* A type or an id: a str of so many bytes. */
static int put_label(const Streams *streams, int part, PyObject *value, struct piece *piece, struct held *held,
                     size_t most) {
    if (!PyUnicode_Check(value) && part == 1) {
        value = hold(held, PyObject_CallFunctionObjArgs(streams->id_text, value, NULL));
        if (!value) return -1;
    }
    if (!PyUnicode_Check(value)) {
        PyObject *text = shown(streams->state, value);
        if (text) raise_error(streams->state, ERROR_INVALID_EVENT, "%s is %U; expected a str", called[part], text);
        Py_XDECREF(text);
        return -1;
    }
    if (put_text(streams, part, value, piece)) return -1;
    if (piece->count && piece->count <= most) return 0;
    raise_error(streams->state, ERROR_INVALID_EVENT, "%s takes %zu bytes of UTF-8; expected 1 to %zu: %s", called[part],
                piece->count, most,
                piece->count ? "shorten it, or keep it in the metadata" : "leave it out, or give it a text");
    return -1;
}

enum { TOO_DEEP = 64 }; /* for whoever nests an event by mistake */

static bool has_event(const Streams *streams, PyObject *value, int depth, bool *ends);

/* Nothing is in it. (Most values are so, and are not asked for their flags.) */
static inline bool is_plain(PyObject *value) {
    const PyTypeObject *type = Py_TYPE(value);
    return type == &PyUnicode_Type || type == &PyLong_Type || type == &PyFloat_Type;
}

/* Is one of these a NewEvent, which JSON would have as a list of its parts, or has one in it? */
static bool have_event(const Streams *streams, PyObject *list, int depth, bool *ends) {
    const bool is_list = PyList_Check(list);
    const Py_ssize_t count = is_list ? PyList_Size(list) : PyTuple_Size(list);
    for (Py_ssize_t i = 0; i < count && !*ends; i++) {
        PyObject *value = is_list ? PyList_GetItem(list, i) : PyTuple_GetItem(list, i);
        if (!is_plain(value) && has_event(streams, value, depth, ends)) return true;
    }
    return false;
}

/* `ends`: it is nested so deep that it may contain itself; then it was looked for no further. Runs no other code. */
static bool has_event(const Streams *streams, PyObject *value, int depth, bool *ends) {
    PyObject *each;
    Py_ssize_t at = 0;
    const unsigned long kind = PyType_GetFlags(Py_TYPE(value));
    if (!(kind & (Py_TPFLAGS_DICT_SUBCLASS | Py_TPFLAGS_LIST_SUBCLASS | Py_TPFLAGS_TUPLE_SUBCLASS))) return false;
    if (PyObject_TypeCheck(value, (PyTypeObject *)streams->new_event)) return true;
    if ((*ends = depth == TOO_DEEP)) return false;
    if (!(kind & Py_TPFLAGS_DICT_SUBCLASS)) return have_event(streams, value, depth + 1, ends);
    while (!*ends && PyDict_Next(value, &at, NULL, &each))
        if (!is_plain(each) && has_event(streams, each, depth + 1, ends)) return true;
    return false;
}

/* Data or metadata, as what they are. */
static int put_payload(const Streams *streams, int part, PyObject *value, struct piece *piece, struct held *held,
                       enum payload *payload) {
    *payload = PAYLOAD_NONE;
    if (!is_given(value)) return 0;
    if (Py_TYPE(value) == &PyBytes_Type) {
        *payload = PAYLOAD_BYTES;
        piece->bytes = PyBytes_AsString(value);
        piece->count = (size_t)PyBytes_Size(value);
        return 0;
    }
    if (PyUnicode_Check(value)) {
        *payload = PAYLOAD_TEXT;
        return put_text(streams, part, value, piece);
    }
    *payload = PAYLOAD_BYTES;
    if (!PyBytes_Check(value)) {
        if (PyByteArray_Check(value) || PyMemoryView_Check(value)) value = hold(held, PyBytes_FromObject(value));
        else {
            bool ends = false;
            PyObject *name = streams->state->append_names[part == 2 ? METADATA : DATA];
            PyObject *holds_event = has_event(streams, value, 0, &ends) ? Py_True : Py_False;
            *payload = PAYLOAD_JSON;
            value = hold(held, PyObject_CallFunctionObjArgs(streams->encode, value, name, holds_event, NULL));
        }
        if (!value) return -1;
        if (!PyBytes_Check(value)) {
            PyErr_Format(PyExc_TypeError, "expected bytes of JSON, found %R", value);
            return -1;
        }
    }
    piece->bytes = PyBytes_AsString(value);
    piece->count = (size_t)PyBytes_Size(value);
    return 0;
}

int make_wish(const Streams *streams, const struct given *given, struct event_wish *wish, struct held *held) {
    enum payload data, metadata;
    const uint32_t most = streams->store->handle.geometry.options.data_bytes;
    struct piece *pieces = wish->pieces;
    *wish = (struct event_wish){.flags = 0};
    if ((is_given(given->type) && put_label(streams, 0, given->type, &pieces[0], held, MAX_EVENT_TYPE_BYTES)) ||
        (is_given(given->event_id) && put_label(streams, 1, given->event_id, &pieces[1], held, MAX_EVENT_ID_BYTES)) ||
        put_payload(streams, 2, given->metadata, &pieces[2], held, &metadata) ||
        put_payload(streams, 3, given->data, &pieces[3], held, &data))
        return -1;
    wish->flags = (uint32_t)data | (uint32_t)metadata << METADATA_SHIFT;
    const size_t size = pieces[2].count + pieces[3].count;
    if (size <= most) return 0;
    PyObject *text = PyUnicode_FromFormat("the data and metadata of an event take %zu bytes, and there is room for %u; "
                                          "append less at once, or create the store with a larger data_bytes=",
                                          size, most);
    if (text)
        raise_error_of(streams->state, ERROR_EVENT_TOO_LARGE, Py_BuildValue("(nIN)", (Py_ssize_t)size, most, text));
    return -1;
}

void let_go(struct held *held) {
    while (held->count) Py_DECREF(held->objects[--held->count]);
}
