/* What comes next, for whoever follows; see follow.h. */
#include "core/streams/follow.h"

bool follow_has_versions(const struct streams *streams, uint32_t number, uint64_t next) {
    const struct stream *stream = streams_at(streams, number);
    return load_acquire(&stream->newest.low) > next /* follow_has_versions:newest */ ||
           load_acquire(&stream->deleted) == STREAM_CLOSED;
}

bool follow_has_tickets(const struct streams *streams, uint32_t log, uint64_t next) {
    return streams_tail(streams, log) > next;
}

uint64_t follow_oldest(const struct streams *streams, uint64_t tail) {
    const uint64_t slots = streams->handle->geometry.slots;
    return tail > slots ? tail - slots : 0;
}

static bool can_be_read(const struct stream *stream, const struct event_facts *facts, uint64_t now_ns) {
    const uint64_t deleted = load_acquire(&stream->deleted), versions = load_acquire(&stream->newest.low),
                   most = load_relaxed(&stream->most_events), lifetime = load_relaxed(&stream->most_ns);
    if (deleted == STREAM_CLOSED || facts->version + 1 < deleted) return false;
    if (facts->version < load_relaxed(&stream->truncated)) return false;
    if (most && facts->version + most < versions) return false;
    return !lifetime || facts->time_ns + lifetime >= now_ns;
}

enum follow_status follow_next(const struct streams *streams, uint32_t log, uint64_t now_ns, struct follow_place *place,
                               struct event_facts *facts, void *text, size_t room) {
    bool lapped = false;
    while (place->ticket < place->end) {
        const enum ticket_status status = streams_read_ticket(streams, log, place->ticket, facts, text, room);
        if (status == TICKET_LAPPED) {
            const uint64_t oldest = follow_oldest(streams, streams_tail(streams, log)), next = place->ticket + 1;
            if (!lapped) place->missed = place->ticket;
            lapped = true;
            place->ticket = oldest > next ? oldest : next;
            continue;
        }
        if (lapped || status == TICKET_NOT_YET) break;
        if (status == TICKET_EVENT && origin_kind(facts->origin) == EVENT) {
            const uint32_t stream = origin_stream(facts->origin);
            if (stream >= streams->handle->geometry.cell_count) return FOLLOW_DAMAGED;
            if (can_be_read(streams_at(streams, stream), facts, now_ns)) return FOLLOW_EVENT;
        }
        place->ticket++;
    }
    if (place->ticket > place->end) place->ticket = place->end;
    return lapped ? FOLLOW_MISSED : FOLLOW_END;
}
