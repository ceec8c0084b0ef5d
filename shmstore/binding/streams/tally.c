/* Counting the events of a stream by their types, without making any. */
#include "binding/streams/stream.h"

#include <string.h>

/* The types that were come upon last; when there are more, all are added to the dict, and it begins anew. */
enum { KNOWN = 16 };

struct counted {
    char text[MAX_EVENT_TYPE_BYTES];
    uint32_t bytes;
    uint64_t events;
};

struct tally {
    PyObject *counts; /* dict of type, a str or None, to int */
    uint32_t known;
    struct counted types[KNOWN];
};

static int add(PyObject *counts, const struct counted *counted) {
    PyObject *type =
        counted->bytes ? PyUnicode_DecodeUTF8(counted->text, counted->bytes, "replace") : Py_NewRef(Py_None);
    PyObject *before = type ? PyDict_GetItemWithError(counts, type) : NULL, *now = NULL;
    if (type && !PyErr_Occurred()) {
        const number earlier = before ? PyLong_AsUnsignedLongLong(before) : 0;
        if (!PyErr_Occurred()) now = PyLong_FromUnsignedLongLong(earlier + counted->events);
    }
    const int status = now ? PyDict_SetItem(counts, type, now) : -1;
    Py_XDECREF(now);
    Py_XDECREF(type);
    return status;
}

static int add_all(struct tally *tally) {
    for (uint32_t i = 0; i < tally->known; i++)
        if (add(tally->counts, &tally->types[i])) return -1;
    tally->known = 0;
    return 0;
}

static int count_one(struct tally *tally, const char *text, uint32_t bytes) {
    for (uint32_t i = 0; i < tally->known; i++) {
        struct counted *type = &tally->types[i];
        if (type->bytes != bytes || memcmp(type->text, text, bytes)) continue;
        type->events++;
        return 0;
    }
    if (tally->known == KNOWN && add_all(tally)) return -1;
    struct counted *type = &tally->types[tally->known++];
    memcpy(type->text, text, bytes);
    type->bytes = bytes;
    type->events = 1;
    return 0;
}

/* Count those in these slots, up to the first that was overwritten meanwhile. How many, or -1 with an exception. */
static int64_t count_slots(Stream *stream, uint64_t first, uint32_t count, const uint32_t *slots, struct tally *tally) {
    char text[MAX_EVENT_TYPE_BYTES];
    for (uint32_t i = 0; i < count; i++) {
        struct event_facts facts;
        const enum find_status status =
            streams_read(core_of(stream), stream->number, first + i, slots[i], &facts, text, sizeof text);
        if (status == FIND_LOST) return i;
        const uint32_t bytes = origin_type_bytes(facts.origin);
        if (status != FIND_OK || bytes > sizeof text) {
            stream_raise_damaged(stream, first + i);
            return -1;
        }
        if (count_one(tally, text, bytes)) return -1;
    }
    return count;
}

static PyObject *count_block(Stream *stream, uint64_t first, uint32_t count, uint32_t *slots, struct tally *tally) {
    struct stream_state state;
    for (;;) {
        if (stream_look(stream, &state)) return NULL;
        if (first < state.first || first >= state.versions || !count)
            return PyLong_FromUnsignedLongLong(first < state.first ? state.first : first);
        if (count > state.versions - first) count = (uint32_t)(state.versions - first);
        const enum find_status status = streams_find(core_of(stream), stream->number, first, count, slots);
        if (status == FIND_LOST) continue;
        if (status != FIND_OK) return stream_raise_damaged(stream, first);
        const int64_t counted = count_slots(stream, first, count, slots, tally);
        if (counted < 0 || add_all(tally)) return NULL;
        if (counted) return PyLong_FromUnsignedLongLong(first + (uint64_t)counted);
    }
}

PyObject *stream_tally(PyObject *self, PyObject *arguments) {
    enum { MOST = 1 << 16 };
    Stream *stream = (Stream *)self;
    number first;
    unsigned count;
    struct tally tally = {.known = 0};
    if (!PyArg_ParseTuple(arguments, "KIO!:tally", &first, &count, &PyDict_Type, &tally.counts) ||
        check_open(stream->streams->store))
        return NULL;
    if (count > MOST) count = MOST;
    uint32_t *slots = PyMem_Malloc((count + 1) * sizeof *slots);
    PyObject *result = slots ? count_block(stream, first, count, slots, &tally) : PyErr_NoMemory();
    PyMem_Free(slots);
    return result;
}
