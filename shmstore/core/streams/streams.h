/* Streams on an open segment: events in the order of their versions, appended under a condition, and once for each id.
 *
 * A stream is a name in the table of names; its number is that of the name's cell. It lies in one log (log.h): number mod
 * logs. Versions of a stream count from 0 and have no holes. What an append decides by - the newest version, whether the
 * stream is deleted, whether the id is there - is of the moment at which its change is announced, or the append tries
 * again.
 *
 * An id is remembered for as long as its event has its slot: at least for as long as it can be read. */
#ifndef SHMSTORE_STREAMS_H
#define SHMSTORE_STREAMS_H

#include "core/store/store.h"
#include "core/streams/slots.h"

/* Calls that append through one of these do not overlap. */
struct streams {
    struct handle *handle;
    struct spares *spares; /* one for each log */
};

/* On an open handle of a streams segment; neither may move. False: no memory.
 */
bool streams_on(struct streams *streams, struct handle *handle);

/* Give back what is claimed. A handle that leaves does so by itself. */
void streams_leave(struct streams *streams);

/* The log of a stream, and of a number. */
struct log_view streams_log(const struct streams *streams, uint32_t number);
static inline uint32_t streams_log_of(const struct streams *streams, uint32_t stream) {
    return stream % streams->handle->geometry.options.logs;
}

/* What an append expects of its stream: that its newest version is this one, or one of these. */
#define EXPECT_ANY UINT64_MAX
#define EXPECT_NO_STREAM (UINT64_MAX - 1) /* never appended to, or deleted */
#define EXPECT_EXISTS (UINT64_MAX - 2)

struct event_wish {
    struct piece pieces[PIECES]; /* an event without an id has an empty one */
    uint32_t flags;              /* 8 bits of the caller */
};

enum stream_status {
    STREAM_DONE,
    STREAM_CONFLICT, /* it is not as expected; nothing was appended */
    STREAM_DELETED,  /* for ever; nothing was appended */
    STREAM_TOO_MANY, /* more events than a log takes at once */
    STREAM_STALLED,  /* others hold so many slots that there are not as many left just now */
    STREAM_NOT_ENTERED,
    STREAM_NO_MEMORY,
    STREAM_DAMAGED,
};

struct stream_answer {
    uint64_t versions; /* that the stream had, on STREAM_CONFLICT */
    uint32_t appended; /* how many events were appended */
    uint64_t position; /* ticket of the first of them */
};

/* Append events, all or none, with consecutive versions. An event whose id the stream has already is not appended, and gets
 * the version that it has there. No two ids may be equal. `versions`: one for each event. `now_ns` is not later than an
 * event's time. */
enum stream_status streams_append(struct streams *streams, uint32_t stream, const struct event_wish *events,
                                  uint32_t count, uint64_t expected, uint64_t now_ns, uint64_t *versions,
                                  struct stream_answer *answer);

/* What an append of this id will look at first is fetched meanwhile. */
void streams_fetch_id(const struct streams *streams, uint32_t stream, const struct piece *id);

/* Delete a stream: its events cannot be read any more, and its versions go on with the next append; or for ever. */
enum stream_status streams_delete(struct streams *streams, uint32_t stream, bool for_ever, uint64_t expected,
                                  uint64_t now_ns, struct stream_answer *answer);

/* Give up the versions below. */
void streams_truncate(const struct streams *streams, uint32_t stream, uint64_t before);

/* How a stream is at some instant of the call. */
struct stream_state {
    uint64_t versions;   /* how many there ever were: the newest is one less */
    uint64_t first;      /* the first that can be read; `versions` when none can */
    uint64_t lost;       /* versions below were overwritten, and their ids with them */
    uint64_t discarded;  /* how many of those could still be read by then */
    bool exists, closed; /* it was appended to since it was last deleted; it was
                          deleted for ever */
};
void streams_state(const struct streams *streams, uint32_t stream, uint64_t now_ns, struct stream_state *state);

/* Is there a stream: was it appended to since it was last deleted? */
bool streams_exists(const struct streams *streams, uint32_t stream);

/* What a segment holds (best-effort). */
struct streams_room {
    uint64_t names, streams; /* names that are taken, and streams that exist */
    uint64_t events;         /* that have a slot */
    uint64_t tickets;        /* that were handed out, in all partitions */
};
void streams_count(const struct streams *streams, struct streams_room *room);

static inline struct stream *streams_at(const struct streams *streams, uint32_t stream) {
    const struct handle *handle = streams->handle;
    return (struct stream *)(void *)(handle->ring.memory + handle->geometry.streams_offset) + stream;
}

enum find_status { FIND_OK, FIND_LOST, FIND_NOT_YET, FIND_DAMAGED };

/* The slots of the versions [first, first + count). FIND_LOST: the first of them was overwritten. */
enum find_status streams_find(const struct streams *streams, uint32_t stream, uint64_t first, uint32_t count,
                              uint32_t *slots);

/* The first version of [first, versions) whose event is not older than `time_ns`; `versions` when there is none. */
uint64_t streams_find_time(const struct streams *streams, uint32_t stream, uint64_t first, uint64_t versions,
                           uint64_t time_ns);

/* Copy one event that streams_find has found. FIND_LOST: it was overwritten since. */
enum find_status streams_read(const struct streams *streams, uint32_t stream, uint64_t version, uint32_t slot,
                              struct event_facts *facts, void *text, size_t room);

/* What has a ticket: an event that was appended by it, none, or it was passed by since. */
enum ticket_status { TICKET_EVENT, TICKET_NONE, TICKET_LAPPED, TICKET_NOT_YET };
enum ticket_status streams_read_ticket(const struct streams *streams, uint32_t log, uint64_t ticket,
                                       struct event_facts *facts, void *text, size_t room);

/* The next ticket of a log; all below it are decided. */
uint64_t streams_tail(const struct streams *streams, uint32_t log);

#endif
