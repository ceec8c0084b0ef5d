/* Streams as Python holds them: what all of a store have in common, and one by its name.
 *
 * A stream is looked for in the table of names when it is first needed, and entered there when something is first appended
 * that nothing refuses: asking about a stream makes none. Calls that append take turns (BEGIN_EXCLUSIVE), and no Python code
 * runs between the last look whether the store is open and what is done with its bytes. */
#ifndef SHMSTORE_BINDING_STREAMS_STREAM_H
#define SHMSTORE_BINDING_STREAMS_STREAM_H

#include "binding/store/guard.h"

typedef struct {
    PyObject_HEAD PyObject *module; /* keeps the state alive */
    struct module_state *state;
    Store *store;
    PyObject *encode;                   /* (value, what it is called, has it a new event in it?) -> bytes of JSON */
    PyObject *id_text;                  /* turns an event_id that is no str into one */
    PyObject *new_event;                /* the tuple type of an event that is to be appended */
    PyObject *any, *no_stream, *exists; /* instead of an expected version */
    PyObject *texts;                    /* list: number of a stream -> its name, None where not read yet */
} Streams;

typedef struct {
    PyObject_HEAD Streams *streams; /* NULL before it was made */
    PyObject *name;                 /* str */
    const char *text;               /* the same in UTF-8 */
    size_t bytes;
    uint32_t number; /* UNKNOWN: not looked for, or not there yet */
} Stream;

enum { UNKNOWN = UINT32_MAX };

/* The name of a stream by its number, also of a damaged one: a new reference, or NULL with an exception. */
PyObject *streams_name_of(Streams *streams, uint32_t number);

static inline struct streams *core_of(const Stream *stream) { return &stream->streams->store->streams; }

/* Look for the stream: false when nobody has appended to it yet. */
bool stream_find(Stream *stream);

/* How the stream is now. 0, or -1 with an exception when it was deleted for ever, so that nothing of it can be read. */
int stream_look(Stream *stream, struct stream_state *state);

/* NULL: an event is not where it must be. */
PyObject *stream_raise_damaged(const Stream *stream, uint64_t version);

/* Up to `count` events from version `first` on, as a list; or, when the first cannot be read any more, the first version that
 * can, as an int. At most MOST_AT_ONCE. NULL with an exception: StreamDeleted, DamagedSegment. */
enum { MOST_AT_ONCE = 1 << 16 };
PyObject *stream_read(Stream *stream, uint64_t first, uint32_t count);

/* What is given for an event; NULL where nothing is. Borrowed. */
struct given {
    PyObject *data, *type, *event_id, *metadata;
};

/* What keeps the bytes of an event alive, beside what was given; none at first. */
struct held {
    int count;
    PyObject *objects[PIECES];
};

/* Check all of an event, and lay it out. It runs other code. 0, or -1 with an exception; either way let go of what is held. */
int make_wish(const Streams *streams, const struct given *given, struct event_wish *wish, struct held *held);
void let_go(struct held *held);

/* The arguments `data, type, expected_version, event_id, metadata` of a call, of which the first may come by position. */
int take_event(struct module_state *state, struct given *given, PyObject **expected, PyObject *const *values,
               Py_ssize_t count, PyObject *names);

/* What an append expects, as the core has it. */
int take_expected(const Stream *stream, PyObject *given, uint64_t *expected);

/* Each file's methods of a Stream. */
#define STREAM_WRITING_METHODS(METHOD)                                                                                 \
    METHOD("append", stream_append, FASTCALL_KEYWORDS,                                                                 \
           "append($self, data, *, type=None, expected_version=..., event_id=None, metadata=None)\n--\n\nAppend one "  \
           "event and return its version; help(Stream) says what each is.")                                            \
    METHOD("append_events", stream_append_events, VARARGS,                                                             \
           "append_events($self, events, expected_version, /)\n--\n\nAppend many, all or none; their versions.")       \
    METHOD("delete_events", stream_delete_events, VARARGS,                                                             \
           "delete_events($self, for_ever, expected_version, /)\n--\n\nDelete the stream.")                            \
    METHOD("truncate_before", stream_truncate_before, O,                                                               \
           "truncate_before($self, version, /)\n--\n\nGive up all versions below.")                                    \
    METHOD("set_retention", stream_set_retention, VARARGS,                                                             \
           "set_retention($self, events, age_ns, reserve, /)\n--\n\nHow much is kept; -1: as it is.")
#define STREAM_COUNTING_METHODS(METHOD)                                                                                \
    METHOD("tally", stream_tally, VARARGS,                                                                             \
           "tally($self, first, count, counts, /)\n--\n\nCount events by type; the version to go on with.")
STREAM_WRITING_METHODS(DECLARE_METHOD)
STREAM_COUNTING_METHODS(DECLARE_METHOD)

extern PyType_Spec streams_spec, stream_spec;

#endif
