/* Appending to streams, and deleting them; see streams.h, and for numbers in brackets log.h. */
#include "core/base/point.h"
#include "core/streams/chains.h"
#include "core/streams/seek.h"
#include "core/streams/streams.h"

#include <stdlib.h>

/* Whoever has tried so often has found bytes that no protocol leaves. */
enum { MOST_TRIES = 1 << 24, FEW = 16 };

/* One append on its way. */
struct attempt {
    const struct log_view *log;
    struct streams *streams;
    struct stream *stream;
    uint32_t number; /* of the stream */
    const struct event_wish *events;
    uint32_t count;
    enum event_kind kind;
    uint64_t expected, now_ns;
    uint64_t *versions;
    uint32_t *claimed;  /* a slot for each event; NULL: none yet */
    uint32_t *replaced; /* of the slots that get the tickets, those that had an event */
    uint32_t kept;      /* events of streams with a reserve that were kept so far */
    uint64_t known;     /* versions below are of events that were known before it took a slot or kept an event */
    /* at one moment: */
    struct log_moment moment;
    uint64_t newest;     /* number of versions */
    uint64_t before;     /* slot of the newest + 1 */
    uint32_t new_events; /* those whose ids are not there yet */
};

enum decision { GO_ON, AGAIN, REFUSED };

/* ---- what the processor is told of before it is needed ------------------------------------------------------------------ */

enum { AHEAD = 12 };

/* The first lines of a slot that is written soon. (Always inlined: gcc takes a call that only fetches for one of no effect.) */
__attribute__((always_inline)) static inline void fetch_slot(const struct log_view *log, uint32_t slot,
                                                             int first_line) {
    const char *at = (const char *)log_slot(log, slot);
    for (int line = first_line; line < 4; line++) __builtin_prefetch(at + line * CACHE_LINE, 1);
}

/* The event that gives way to a ticket. */
static void fetch_replaced(const struct log_view *log, uint64_t ticket) {
    const uint64_t seen = load_relaxed(log_order(log, ticket));
    if (seen && linked_slot(seen) < log->geometry->log_slots) __builtin_prefetch(log_slot(log, linked_slot(seen)), 1);
}

/* ---- deciding [3] ------------------------------------------------------------------------------------------------ */

static bool is_as_expected(const struct attempt *a, uint64_t deleted) {
    const bool exists = a->newest && deleted != a->newest + 1;
    switch (a->expected) {
    case EXPECT_ANY: return true;
    case EXPECT_NO_STREAM: return !exists;
    case EXPECT_EXISTS: return exists;
    default: return a->newest == a->expected + 1;
    }
}

static bool is_known(const struct attempt *a, uint32_t i) {
    const struct piece *id = &a->events[i].pieces[1];
    const uint64_t hash =
        a->claimed ? load_relaxed(&log_slot(a->log, a->claimed[i])->id_hash) : chains_hash(a->number, id);
    return chains_find(a->log, a->moment.tail, a->number, id, hash, &a->versions[i]);
}

/* Which of the events are there already, and is the stream as expected? */
static enum decision decide(struct attempt *a, enum stream_status *status) {
    a->newest = load_acquire(&a->stream->newest.low);
    a->before = load_acquire(&a->stream->newest.high);
    const uint64_t deleted = load_acquire(&a->stream->deleted);
    a->new_events = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        const bool has_id = a->events[i].pieces[1].count;
        if (a->known && a->versions[i] < a->known) continue;
        if (!has_id || !is_known(a, i)) a->versions[i] = a->newest + a->new_events++;
    }
    *status = STREAM_DONE;
    if (deleted == STREAM_CLOSED) *status = a->kind == EVENT ? STREAM_DELETED : STREAM_DONE;
    else if (!a->new_events) return log_is_at(a->log, a->moment) ? REFUSED : AGAIN; /* all done before: not refused */
    else if (!is_as_expected(a, deleted)) *status = STREAM_CONFLICT;
    else if (a->kind == EVENT || a->kind == HARD_DELETION || (a->newest && deleted != a->newest + 1)) return GO_ON;
    a->new_events = 0;
    return log_is_at(a->log, a->moment) ? REFUSED : AGAIN;
}

/* ---- making way [6, 7] ------------------------------------------------------------------------------------------- */

/* The slot of the event that gives way to a ticket; NO_SLOT: none does. */
static uint32_t gives_way(const struct log_view *log, uint64_t ticket) {
    const uint64_t seen = load_acquire(log_order(log, ticket));
    const uint32_t slot = seen ? linked_slot(seen) : NO_SLOT;
    if (slot >= log->geometry->log_slots) return NO_SLOT;
    return slot_has(load_acquire(&log_slot(log, slot)->word), ticket - log->geometry->slots) ? slot : NO_SLOT;
}

/* Do reserves leave room for the new events? Else the oldest give way after all. */
static bool have_room(const struct attempt *a) {
    uint32_t room = 0;
    for (uint64_t i = 0; i < a->log->geometry->slots && room < a->new_events; i++) {
        const uint32_t slot = gives_way(a->log, a->moment.tail + i);
        room += slot == NO_SLOT || !log_is_reserved(a->log, slot, a->now_ns);
    }
    return room == a->new_events;
}

/* See what has the places of the tickets that come next. What a stream has in reserve is kept. */
static enum decision make_way(struct attempt *a) {
    bool keeps = a->kept < a->log->geometry->slots;
    for (uint32_t i = 0; i < a->new_events; i++) {
        const uint32_t slot = a->replaced[i] = gives_way(a->log, a->moment.tail + i);
        if (!keeps || slot == NO_SLOT || !log_is_reserved(a->log, slot, a->now_ns)) continue;
        if (!a->kept && !have_room(a)) {
            keeps = false;
            continue;
        }
        if (log_announce(a->log, a->moment, CHANGE_KEEP, slot, 1)) {
            a->kept++;
            a->known = a->newest; /* what gave way to it may have had these ids */
        }
        return AGAIN;
    }
    return GO_ON;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

/* What does not depend on the moment. */
static void fill(const struct attempt *a, uint32_t i) {
    const struct event_wish *event = &a->events[i];
    const struct piece *pieces = event->pieces;
    struct event_slot *slot = log_slot(a->log, a->claimed[i]);
    const uint64_t hash = pieces[1].count ? chains_hash(a->number, &pieces[1]) : 0;
    if (hash && a->count > 1) __builtin_prefetch((const void *)log_chain(a->log, hash), 1);
    slots_fill(slot, pieces);
    store_relaxed(&slot->origin, event_origin(a->number, a->kind, pieces[0].count, pieces[1].count, event->flags));
    store_relaxed(&slot->sizes, (uint64_t)pieces[3].count << 32 | pieces[2].count);
    store_relaxed(&slot->id_hash, hash);
}

/* The rest, for this moment. Returns the slot of the first new event. */
static uint32_t write(const struct attempt *a) {
    struct landmark before = seek_landmark(a->log, a->number, a->before, a->newest);
    uint64_t time_ns = before.time_ns > a->now_ns ? before.time_ns : a->now_ns, ticket = a->moment.tail;
    uint32_t first = NO_SLOT;
    struct event_slot *last = NULL;
    for (uint32_t i = 0; i < a->count; i++) {
        if (a->versions[i] < a->newest) continue; /* it is there already */
        struct event_slot *slot = log_slot(a->log, a->claimed[i]);
        store_relaxed(&slot->version, a->versions[i]);
        seek_link(a->log, a->number, a->newest, &before, a->claimed[i]);
        if (!last) store_relaxed(&slot->links, (load_relaxed(&slot->links) & 0xffffffff) | a->before << 32);
        store_relaxed(&slot->time_ns, time_ns);
        store_relaxed(&slot->position, ticket);
        store_relaxed(&slot->id_next, chain_link(ticket, load_relaxed(&slot->id_hash), a->claimed[i]));
        store_relaxed(&slot->batch, 0);
        if (last) store_relaxed(&last->batch, a->claimed[i] + UINT64_C(1));
        else first = a->claimed[i];
        last = slot;
        ticket++;
    }
    return first;
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static enum stream_status attempt(struct attempt *a, struct stream_answer *answer) {
    enum stream_status status;
    for (int tries = 0; tries < MOST_TRIES; tries++) {
        if (!log_tidy(a->log, &a->moment)) break;
        enum decision decision = decide(a, &status);
        if (decision == GO_ON) decision = make_way(a);
        if (decision == AGAIN) continue;
        *answer = (struct stream_answer){a->newest, decision == GO_ON ? a->new_events : 0, a->moment.tail};
        if (decision == REFUSED) return status;
        const uint32_t first = write(a);
        POINT("before announcing");
        if (log_announce(a->log, a->moment, CHANGE_APPEND, first, a->new_events)) return STREAM_DONE;
    }
    return STREAM_DAMAGED;
}

/* Is it refused as things are now? Then no event gives way to it. And which ids are known: the events that give way to it may
 * have them. */
static bool is_refused(struct attempt *a, enum stream_status *status, struct stream_answer *answer) {
    enum decision decision;
    do {
        if (!log_tidy(a->log, &a->moment)) return false;
        decision = decide(a, status);
    } while (!log_is_at(a->log, a->moment));
    a->known = a->newest;
    *answer = (struct stream_answer){.versions = a->newest, .position = a->moment.tail};
    return decision == REFUSED;
}

/* What was claimed and not used, and what the append discarded, are for the next. */
static void give_back(const struct attempt *a, struct spares *spares, uint32_t owner, uint32_t appended) {
    if (appended == 1 && a->replaced[0] != NO_SLOT) slots_give_back(a->log, spares, owner, a->replaced[0]);
    if (appended > 1) slots_remember(spares, a->replaced, appended);
    for (uint32_t i = 0; i < a->count; i++)
        if (!appended || a->versions[i] < a->newest) slots_give_back(a->log, spares, owner, a->claimed[i]);
}

static bool reap_all(const struct handle *handle) {
    uint64_t pid, voided, released;
    bool any = false;
    for (uint32_t index = 0; handle_reap(handle, &index, &pid, &voided, &released); index++) any = true;
    return any;
}

static enum stream_status run(struct streams *streams, struct attempt *a, struct stream_answer *answer) {
    struct handle *handle = streams->handle;
    const uint32_t owner = processes_owner(&handle->processes) & OWNER_MASK,
                   number = streams_log_of(streams, a->number);
    const struct log_view log = streams_log(streams, number);
    const uint64_t tail = load_relaxed(&log.log->tail); /* or near it */
    struct spares *spares = &streams->spares[number];
    uint32_t few[2 * FEW], *slots = few;
    if (!owner) return STREAM_NOT_ENTERED;
    if (a->count > log.geometry->slots) return STREAM_TOO_MANY;
    a->log = &log;
    a->stream = streams_at(streams, a->number);
    *answer = (struct stream_answer){0};
    enum stream_status status;
    if (!slots_are_free(&log, spares, owner, a->count) && is_refused(a, &status, answer)) {
        slots_keep_one(&log, spares, owner);
        return status;
    }
    if (a->count > FEW && !(slots = malloc(2 * (size_t)a->count * sizeof *slots))) {
        slots_keep_one(&log, spares, owner);
        return STREAM_NO_MEMORY;
    }
    a->claimed = slots;
    a->replaced = slots + a->count;
    enum slot_status claimed = slots_claim(&log, spares, owner, a->count, a->now_ns, a->claimed);
    if (claimed == SLOTS_HELD && reap_all(handle)) /* by the dead? */
        claimed = slots_claim(&log, spares, owner, a->count, a->now_ns, a->claimed);
    switch (claimed) {
    case SLOTS_OK:
        for (uint32_t i = 0; i < a->count; i++) {
            if (i + AHEAD < a->count) fetch_slot(&log, a->claimed[i + AHEAD], 0);
            if (a->count > 1) fetch_replaced(&log, tail + i);
            fill(a, i);
        }
        status = attempt(a, answer);
        give_back(a, spares, owner, answer->appended);
        if (answer->appended == 1) { /* what the next append needs first */
            if (a->replaced[0] != NO_SLOT) fetch_slot(&log, a->replaced[0], 1);
            fetch_replaced(&log, a->moment.tail + 1);
        }
        if (answer->appended) handle_count(handle, answer->appended, (int64_t)a->now_ns);
        break;
    case SLOTS_NO_MEMORY: status = STREAM_NO_MEMORY; break;
    case SLOTS_HELD: status = STREAM_STALLED; break;
    case SLOTS_DAMAGED: status = STREAM_DAMAGED; break;
    }
    if (slots != few) free(slots);
    return status;
}

void streams_fetch_id(const struct streams *streams, uint32_t stream, const struct piece *id) {
    const struct log_view log = streams_log(streams, streams_log_of(streams, stream));
    __builtin_prefetch((const void *)log_chain(&log, chains_hash(stream, id)), 1);
}

enum stream_status streams_append(struct streams *streams, uint32_t stream, const struct event_wish *events,
                                  uint32_t count, uint64_t expected, uint64_t now_ns, uint64_t *versions,
                                  struct stream_answer *answer) {
    struct attempt a = {.number = stream,
                        .events = events,
                        .count = count,
                        .kind = EVENT,
                        .expected = expected,
                        .now_ns = now_ns,
                        .versions = versions};
    return run(streams, &a, answer);
}

enum stream_status streams_delete(struct streams *streams, uint32_t stream, bool for_ever, uint64_t expected,
                                  uint64_t now_ns, struct stream_answer *answer) {
    static const struct event_wish nothing = {.flags = 0};
    uint64_t version;
    struct attempt a = {.number = stream,
                        .events = &nothing,
                        .count = 1,
                        .kind = for_ever ? HARD_DELETION : SOFT_DELETION,
                        .expected = expected,
                        .now_ns = now_ns,
                        .versions = &version};
    return run(streams, &a, answer);
}
