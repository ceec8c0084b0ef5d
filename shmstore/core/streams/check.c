/* Looks at every place of the order, every slot, chain and stream of each log; see check.h. */
#include "core/streams/check.h"

#include "core/streams/chains.h"

#include <stdarg.h>
#include <stdio.h>

enum { MOST_REPORTED = 20, LOOKS = 8 };

struct checking {
    void (*violation)(void *context, const char *text);
    void *context;
    uint64_t count;
    const struct streams *streams;
    struct log_view log;
    uint32_t number; /* of the log */
    struct log_moment moment;
    uint64_t
        unfinished; /* tickets of the change that is announced: what has them, or gives way to them, is on its way */
    uint64_t left;  /* steps along links, so that damage ends */
};

typedef unsigned long long number;

__attribute__((format(printf, 2, 3))) static void violation(struct checking *c, const char *format, ...) {
    if (c->count++ >= MOST_REPORTED) return;
    char text[240];
    va_list arguments;
    va_start(arguments, format);
    const int length = snprintf(text, sizeof text, "log %u: ", c->number);
    vsnprintf(text + length, sizeof text - (size_t)length, format, arguments);
    va_end(arguments);
    c->violation(c->context, text);
}

/* How long before the tail a ticket was handed out (1: the newest), as far as 40 bits tell. */
static uint64_t ticket_age(const struct checking *c, uint64_t ticket) {
    return (c->moment.tail - ticket) & TICKET_MASK;
}

/* Is whatever has this ticket as it must be at rest? */
static bool is_settled(const struct checking *c, uint64_t ticket) {
    const uint64_t age = ticket_age(c, ticket), slots = c->log.geometry->slots;
    return age >= 1 && age + c->unfinished <= slots;
}

/* ---- the log, its order and its slots ---------------------------------------------------------------------------- */

static const char *fault_of_change(struct checking *c) {
    c->moment = (struct log_moment){load_acquire(&c->log.log->change), load_acquire(&c->log.log->tail)};
    c->unfinished = (change_tail(c->moment.change) - c->moment.tail) & TICKET_MASK;
    const enum change_what what = change_what_of(c->moment.change);
    if (c->unfinished > c->log.geometry->slots) return "announces a change of another tail";
    if (c->unfinished && what != CHANGE_TAKE && change_slot(c->moment.change) >= c->log.geometry->log_slots)
        return "announces a slot that does not exist";
    if (c->unfinished && what == CHANGE_NONE) return "announces nothing";
    return NULL;
}

/* Has a ticket an event still? */
static bool has_event(const struct checking *c, uint64_t ticket) {
    const uint32_t slot = linked_slot(load_acquire(log_order(&c->log, ticket)));
    return slot < c->log.geometry->log_slots && slot_has(load_acquire(&log_slot(&c->log, slot)->word), ticket);
}

/* Was what had this ticket, and all before it, discarded for an event behind it that was kept [6]? The one before is asked,
 * and answers for those before it; beyond tickets that never had an event. */
static bool gave_way(struct checking *c, uint64_t ticket) {
    const uint64_t slots = c->log.geometry->slots, tail = c->moment.tail, oldest = tail > slots ? tail - slots : 0;
    for (; ticket > oldest && c->left; c->left--) {
        if (has_event(c, --ticket)) return false;
        if (linked_slot(load_acquire(log_order(&c->log, ticket))) != NO_SLOT) return true;
    }
    return true;
}

/* Of the last ticket that had a place of the order. */
static const char *fault_of_order(struct checking *c, uint64_t place) {
    const uint64_t slots = c->log.geometry->slots, tail = c->moment.tail;
    const uint64_t ticket = tail - 1 - (tail - 1 - place) % slots, link = load_acquire(log_order(&c->log, place));
    if (tail <= place) return !link || c->unfinished ? NULL : "has an event before its first ticket";
    if (!is_settled(c, ticket)) return NULL;
    if (!links_ticket(link, ticket)) return "is not of the last ticket that it had";
    if (linked_slot(link) == NO_SLOT) return NULL;
    if (linked_slot(link) >= c->log.geometry->log_slots) return "leads to a slot that does not exist";
    return has_event(c, ticket) || gave_way(c, ticket) ? NULL : "leads to a slot that has another ticket";
}

static const char *fault_of_claim(const struct checking *c, uint32_t owner) {
    const struct ring *ring = &c->streams->handle->ring;
    const uint32_t index = owner_place(owner);
    if (index >= c->log.geometry->options.processes) return "is claimed by a place that does not exist";
    const uint64_t place = load_acquire(&processes_place(ring, index)->word);
    if (place_state(place) == PLACE_FREE || place_owner(index, place) != owner)
        return "is claimed by a process that has left its place";
    return NULL;
}

/* Is its id found, and found here? */
static const char *fault_of_id(const struct checking *c, const struct event_facts *facts, const unsigned char *text) {
    const struct piece id = {text + piece_room(origin_type_bytes(facts->origin)), origin_id_bytes(facts->origin)};
    const uint32_t stream = origin_stream(facts->origin);
    uint64_t version;
    if (!id.count || c->unfinished) return NULL; /* in the middle of a change a chain may end early */
    if (facts->id_hash != chains_hash(stream, &id)) return "has the hash of another id";
    if (!chains_find(&c->log, c->moment.tail, stream, &id, facts->id_hash, &version))
        return "has an id that is not found";
    return version == facts->version ? NULL : "has the id of another version";
}

static const char *fault_of_event(const struct checking *c, uint32_t slot, uint64_t word) {
    unsigned char text[MAX_EVENT_TYPE_BYTES + MAX_EVENT_ID_BYTES];
    const struct geometry *g = c->log.geometry;
    struct event_facts facts;
    if (!is_settled(c, word >> 24)) return ticket_age(c, word >> 24) <= g->slots || c->unfinished ? NULL : "is too old";
    if (!slots_read(&c->log, slot, &facts, text, sizeof text)) return "cannot be read";
    const uint32_t stream = origin_stream(facts.origin);
    const uint64_t link = load_acquire(log_order(&c->log, c->moment.tail - ticket_age(c, word >> 24)));
    if (!links_ticket(link, word >> 24) || linked_slot(link) != slot) return "is not where its ticket leads";
    if (stream >= g->cell_count || streams_log_of(c->streams, stream) != c->number)
        return "has an event of no stream here";
    if (origin_kind(facts.origin) > HARD_DELETION) return "has an event of no kind";
    if (origin_type_bytes(facts.origin) > MAX_EVENT_TYPE_BYTES || origin_id_bytes(facts.origin) > MAX_EVENT_ID_BYTES ||
        (facts.sizes >> 32) + (uint32_t)facts.sizes > g->options.data_bytes)
        return "has a larger event than there is room";
    if (ticket_age(c, facts.position) < ticket_age(c, word >> 24)) return "was appended after its ticket";
    const uint64_t versions = load_acquire(&c->log.streams[stream].newest.low);
    if (facts.version + (origin_kind(facts.origin) == EVENT) > versions) return "has a version beyond the newest";
    return fault_of_id(c, &facts, text);
}

static const char *fault_of_slot(struct checking *c, uint64_t slot) {
    const uint64_t word = load_acquire(&log_slot(&c->log, (uint32_t)slot)->word);
    switch (slot_state(word)) {
    case SLOT_FREE: return slot_owner(word) ? "is free, and names an owner" : NULL;
    case SLOT_CLAIMED: return fault_of_claim(c, slot_owner(word));
    case SLOT_PUBLISHED:
        return slot_owner(word) ? "is published, and names an owner" : fault_of_event(c, (uint32_t)slot, word);
    default: return "bears an unknown state";
    }
}

/* Does a chain lead to an event of another? */
static const char *fault_of_chain(struct checking *c, uint64_t number) {
    uint64_t link = load_acquire(log_chain(&c->log, number)), passed = 0;
    for (; link && c->left; c->left--) {
        const uint64_t age = chain_age(link, c->moment.tail);
        if (age <= passed || age > c->log.geometry->slots) return NULL;
        if (chain_slot(link) >= c->log.geometry->log_slots) return "leads to a slot that does not exist";
        const struct event_slot *slot = log_slot(&c->log, chain_slot(link));
        const uint64_t word = load_acquire(&slot->word);
        if (slot_state(word) != SLOT_PUBLISHED || chain_age(link, word >> 24)) return NULL;
        if ((load_relaxed(&slot->id_hash) & (c->log.geometry->id_buckets - 1)) != number)
            return "leads to an event of another";
        passed = age;
        link = load_relaxed(&slot->id_next);
    }
    return NULL;
}

/* ---- streams ----------------------------------------------------------------------------------------------------- */

static bool is_at(const struct checking *c, uint32_t stream, uint64_t version, uint64_t slot_plus_1,
                  struct event_facts *facts) {
    if (!slot_plus_1 || slot_plus_1 > c->log.geometry->log_slots) return false;
    return slots_read(&c->log, (uint32_t)slot_plus_1 - 1, facts, NULL, 0) && origin_stream(facts->origin) == stream &&
           origin_kind(facts->origin) == EVENT && facts->version == version;
}

/* Follow the links from the newest event to the oldest that is not lost. Jumps lead to what they say, unless that is lost. */
static const char *fault_of_links(struct checking *c, uint32_t number, uint64_t versions) {
    const struct stream *stream = c->log.streams + number;
    uint64_t at = load_acquire(&stream->newest.high), time_ns = UINT64_MAX;
    for (uint64_t version = versions; version > load_acquire(&stream->lost.low) && c->left; c->left--) {
        struct event_facts facts, far;
        if (!is_at(c, number, --version, at, &facts))
            return version < load_acquire(&stream->lost.low) ? NULL : "has a version that links do not lead to";
        if (facts.time_ns > time_ns) return "has an event that is newer than the next";
        if (facts.jump > version || facts.jump_of_jump > facts.jump) return "has a jump ahead";
        if (facts.jump >= load_acquire(&stream->lost.low) && facts.jump < version &&
            !is_at(c, number, facts.jump, facts.links & UINT32_MAX, &far) &&
            facts.jump >= load_acquire(&stream->lost.low))
            return "has a jump to somewhere else";
        time_ns = facts.time_ns;
        at = facts.links >> 32;
    }
    return NULL;
}

static const char *fault_of_stream(struct checking *c, uint64_t number) {
    const struct stream *stream = c->log.streams + number;
    const uint64_t lost = load_acquire(&stream->lost.low), truncated = load_relaxed(&stream->truncated);
    const uint64_t deleted = load_acquire(&stream->deleted), versions = load_acquire(&stream->newest.low);
    if (!versions && load_relaxed(&stream->newest.high)) return "has a newest event, and none";
    if (lost > versions) return "lost more versions than it had";
    if (truncated > versions) return "gave up more versions than it had";
    if (deleted != STREAM_CLOSED && deleted && deleted - 1 > versions)
        return "was deleted at a version that it had not";
    return fault_of_links(c, (uint32_t)number, versions);
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

/* Look at `count` things. Others may change the log meanwhile: then a look says nothing. */
static void look_at(struct checking *c, const char *what, uint64_t first, uint64_t count, uint64_t step,
                    const char *(*fault_of)(struct checking *c, uint64_t number)) {
    for (uint64_t at = first; at < count; at += step) {
        const char *fault = NULL;
        for (int look = 0; look < LOOKS; look++) {
            if (fault_of_change(c)) return;
            fault = fault_of(c, at);
            if (!fault ||
                (log_is_at(&c->log, c->moment) && load_acquire(&c->log.log->tail) == c->moment.tail && look > 1))
                break;
            fault = NULL;
        }
        if (fault) violation(c, "%s %llu %s (tail %llu)", what, (number)at, fault, (number)c->moment.tail);
    }
}

/* Has every version that is not lost one event? */
static void count_events(struct checking *c) {
    for (int look = 0; look < LOOKS; look++) {
        uint64_t events = 0, versions = 0;
        if (fault_of_change(c)) return;
        for (uint32_t slot = 0; slot < c->log.geometry->log_slots; slot++) {
            const struct event_slot *event = log_slot(&c->log, slot);
            const uint64_t origin = load_relaxed(&event->origin);
            if (slot_state(load_acquire(&event->word)) != SLOT_PUBLISHED || origin_kind(origin) != EVENT) continue;
            if (origin_stream(origin) < c->log.geometry->cell_count)
                events +=
                    load_relaxed(&event->version) >= load_acquire(&c->log.streams[origin_stream(origin)].lost.low);
        }
        for (uint64_t at = c->number; at < c->log.geometry->cell_count; at += c->log.geometry->options.logs)
            versions += load_acquire(&c->log.streams[at].newest.low) - load_acquire(&c->log.streams[at].lost.low);
        if (c->unfinished || !log_is_at(&c->log, c->moment)) continue;
        if (events != versions)
            violation(c, "%llu events of %llu versions are there", (number)events, (number)versions);
        return;
    }
}

uint64_t check_streams(const struct streams *streams, void (*tell)(void *context, const char *text), void *context) {
    const struct geometry *g = &streams->handle->geometry;
    struct checking c = {.violation = tell, .context = context, .streams = streams};
    for (; c.number < g->options.logs; c.number++) {
        c.log = streams_log(streams, c.number);
        c.left = (1 << 20) + 16 * (uint64_t)(g->log_slots + g->id_buckets);
        const char *fault = NULL;
        for (int look = 0; look < LOOKS; look++)
            if (!(fault = fault_of_change(&c))) break;
        if (fault) {
            violation(&c, "%s (change %llx, tail %llu)", fault, (number)c.moment.change, (number)c.moment.tail);
            continue;
        }
        look_at(&c, "place of the order", 0, g->slots, 1, fault_of_order);
        look_at(&c, "slot", 0, g->log_slots, 1, fault_of_slot);
        look_at(&c, "chain", 0, g->id_buckets, 1, fault_of_chain);
        look_at(&c, "stream", c.number, g->cell_count, g->options.logs, fault_of_stream);
        count_events(&c);
        if (!c.left) violation(&c, "links are long, or lead in circles: not every one was followed");
    }
    return c.count;
}
