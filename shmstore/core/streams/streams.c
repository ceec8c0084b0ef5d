/* Streams on a handle: their state, reading them, and what belongs to all; see streams.h. */
#include "core/streams/streams.h"

#include <stdlib.h>

enum { MOST_LOOKS = 1 << 16 };

struct log_view streams_log(const struct streams *streams, uint32_t number) {
    const struct handle *handle = streams->handle;
    const struct geometry *g = &handle->geometry;
    unsigned char *memory = handle->ring.memory;
    return (struct log_view){
        .geometry = g,
        .log = (struct log *)(void *)(memory + g->logs_offset) + number,
        .slots = memory + g->log_slots_offset + number * g->partition_bytes,
        .events = memory + g->log_slots_offset + number * g->partition_bytes + g->events_base,
        .event_bytes = g->event_bytes,
        .streams = (struct stream *)(void *)(memory + g->streams_offset),
    };
}

static void sweep(void *context, uint32_t owner) {
    const struct streams *streams = context;
    for (uint32_t number = 0; number < streams->handle->geometry.options.logs; number++) {
        const struct log_view log = streams_log(streams, number);
        slots_sweep(&log, owner);
    }
}

static void leave(void *context) { streams_leave(context); }

bool streams_on(struct streams *streams, struct handle *handle) {
    *streams = (struct streams){handle, calloc(handle->geometry.options.logs, sizeof *streams->spares)};
    if (!streams->spares) return false;
    handle->processes.claims = (struct claims){.sweep = sweep, .leave = leave, .context = streams};
    return true;
}

void streams_leave(struct streams *streams) {
    const uint32_t owner = processes_owner(&streams->handle->processes) & OWNER_MASK;
    for (uint32_t number = 0; streams->spares && number < streams->handle->geometry.options.logs; number++) {
        const struct log_view log = streams_log(streams, number);
        slots_leave(&log, &streams->spares[number], owner);
    }
    free(streams->spares);
    streams->spares = NULL;
}

void streams_truncate(const struct streams *streams, uint32_t number, uint64_t before) {
    struct stream *stream = streams_at(streams, number);
    const uint64_t versions = load_acquire(&stream->newest.low), to = before < versions ? before : versions;
    uint64_t seen = load_relaxed(&stream->truncated);
    while (seen < to && !cas_acq_rel(&stream->truncated, &seen, to)) {} /* streams_truncate:raise */
}

bool streams_exists(const struct streams *streams, uint32_t number) {
    const struct stream *stream = streams_at(streams, number);
    const uint64_t versions = load_acquire(&stream->newest.low), deleted = load_acquire(&stream->deleted);
    return versions && deleted != STREAM_CLOSED && deleted != versions + 1;
}

void streams_count(const struct streams *streams, struct streams_room *room) {
    const struct geometry *g = &streams->handle->geometry;
    *room = (struct streams_room){.names = table_count(&streams->handle->table)};
    for (uint32_t number = 0; number < room->names; number++) room->streams += streams_exists(streams, number);
    for (uint32_t number = 0; number < g->options.logs; number++) {
        const uint64_t tail = streams_tail(streams, number);
        room->tickets += tail;
        room->events += tail < g->slots ? tail : g->slots;
    }
}

static uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

void streams_state(const struct streams *streams, uint32_t number, uint64_t now_ns, struct stream_state *state) {
    const struct stream *stream = streams_at(streams, number);
    uint64_t lost, expired;
    do {                                            /* both halves of one moment: the first never has a value twice */
        lost = load_acquire(&stream->lost.low);     /* streams_state:lost */
        expired = load_acquire(&stream->lost.high); /* streams_state:expired */
    } while (load_relaxed(&stream->lost.low) != lost);
    const uint64_t versions = load_acquire(&stream->newest.low), deleted = load_acquire(&stream->deleted),
                   most = load_relaxed(&stream->most_events), lifetime = load_relaxed(&stream->most_ns);
    uint64_t first = larger(lost, load_relaxed(&stream->truncated));
    *state = (struct stream_state){.versions = versions,
                                   .lost = lost,
                                   .discarded = lost - expired,
                                   .exists = versions && deleted != STREAM_CLOSED && deleted != versions + 1,
                                   .closed = deleted == STREAM_CLOSED};
    if (state->closed) first = versions;
    else if (deleted) first = larger(first, deleted - 1);
    if (most && versions > most) first = larger(first, versions - most);
    if (first > versions) first = versions; /* appended since */
    if (lifetime && now_ns > lifetime) first = streams_find_time(streams, number, first, versions, now_ns - lifetime);
    state->first = first;
}

enum find_status streams_read(const struct streams *streams, uint32_t number, uint64_t version, uint32_t slot,
                              struct event_facts *facts, void *text, size_t room) {
    const struct log_view log = streams_log(streams, streams_log_of(streams, number));
    for (int looks = 0; looks < MOST_LOOKS; looks++) {
        const bool whole = slots_read(&log, slot, facts, text, room);
        if (whole && origin_stream(facts->origin) == number && facts->version == version &&
            origin_kind(facts->origin) == EVENT)
            return FIND_OK;
        if (version < load_acquire(&streams_at(streams, number)->lost.low)) return FIND_LOST; /* streams_read:lost */
        if (whole) break; /* else it was kept meanwhile */
    }
    return FIND_DAMAGED;
}

enum ticket_status streams_read_ticket(const struct streams *streams, uint32_t number, uint64_t ticket,
                                       struct event_facts *facts, void *text, size_t room) {
    const struct log_view log = streams_log(streams, number);
    if (ticket >= streams_tail(streams, number)) return TICKET_NOT_YET;
    /* Below the tail all is done, so what is not as it was then gives way to the next ticket of this place, or has. */
    const uint64_t link = load_acquire(log_order(&log, ticket)); /* streams_read_ticket:order */
    if (!links_ticket(link, ticket)) return TICKET_LAPPED;
    if (linked_slot(link) >= log.geometry->log_slots) return TICKET_NONE;
    if (!slots_read(&log, linked_slot(link), facts, text, room) || !slot_has(facts->word, ticket)) return TICKET_LAPPED;
    return facts->position == ticket ? TICKET_EVENT : TICKET_NONE; /* kept ones were told of at their own */
}

uint64_t streams_tail(const struct streams *streams, uint32_t number) {
    return load_acquire(&streams_log(streams, number).log->tail); /* streams_tail:tail */
}
