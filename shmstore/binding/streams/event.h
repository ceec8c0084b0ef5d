/* An event as Python holds it: a private copy, whose JSON is decoded when it is first asked for. */
#ifndef SHMSTORE_BINDING_STREAMS_EVENT_H
#define SHMSTORE_BINDING_STREAMS_EVENT_H

#include "binding/module.h"

#include "core/streams/streams.h"

/* What data and metadata were, in the flags of an event: two bits each. */
enum payload { PAYLOAD_NONE, PAYLOAD_BYTES, PAYLOAD_TEXT, PAYLOAD_JSON };
enum { METADATA_SHIFT = 2, PAYLOAD_MASK = 3 };

/* Makes the events of one stream, one after another. */
struct event_maker {
    struct module_state *state;
    PyObject *stream; /* its name */
    uint32_t log, logs;
    PyObject *type; /* of the event before, whose bytes these are: most have the same; NULL: none yet */
    char type_text[MAX_EVENT_TYPE_BYTES];
    uint32_t type_bytes;
};

/* The Event of what streams_read has copied. NULL with an exception. */
PyObject *make_event(struct event_maker *maker, const struct event_facts *facts, const char *text, size_t bytes);

extern PyType_Spec event_spec;

#endif
