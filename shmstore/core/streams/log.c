/* Announcing changes and finishing them; numbers in brackets are the sentences of log.h. */
#define _GNU_SOURCE
#include "core/streams/log.h"

#include "core/base/point.h"

#include <time.h>

/* Whoever has found so many changes unfinished, or lost to others, has found
 * bytes that no protocol leaves. */
enum { MOST_ROUNDS = 1 << 24 };

/* Is this change still the one that is announced? Asked after what a step goes
 * by was read, and before it is made [4]. */
static bool is_announced(const struct log_view *log, uint64_t change) {
    fence_acquire(); /* is_announced:fence */
    /* Whoever announced a later one has seen this one finished, and so has whoever finds it. */
    return load_acquire(&log->log->change) == change; /* is_announced:change */
}

/* ---- discarding [8]
 * -----------------------------------------------------------------------------------------------
 */

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

bool log_has_expired(const struct stream *stream, uint64_t version, uint64_t newest, uint64_t time_ns, uint64_t now) {
    const uint64_t deleted = load_relaxed(&stream->deleted), most = load_relaxed(&stream->most_events),
                   lifetime = load_relaxed(&stream->most_ns);
    return version < load_relaxed(&stream->truncated) || version + 1 < deleted || (most && version + most < newest) ||
           (lifetime && time_ns + lifetime < now);
}

/* A ledger word is `low 31 bits of the ticket | 1 | count (32 bits)`, as those
 * of ring.h. */
static bool ledger_names(uint64_t ledger, uint64_t ticket) { return ledger >> 32 == (uint32_t)(ticket << 1 | 1); }

/* Count an event that nobody could read any more by the time it is overwritten.
 * Whoever finds the word of its slot changed finds it counted, if it was; where
 * two look at different times, and only one of them finds it expired, either is
 * right. */
static void count_expired(struct stream *stream, const atomic_u64 *word, uint64_t ticket) {
    uint64_t ledger = load_acquire(&stream->expired); /* count_expired:ledger, before the word */
    while (!ledger_names(ledger, ticket) && slot_has(load_acquire(word), ticket)) { /* count_expired:word */
        const uint64_t counted = (ticket << 1 | 1) << 32 | (uint32_t)(ledger + 1);
        if (cas_acq_rel(&stream->expired, &ledger, counted)) return; /* count_expired:count */
    }
}

/* Raise a word that never falls. */
static void raise(atomic_u64 *word, uint64_t to) {
    uint64_t seen = load_relaxed(word);
    while (seen < to && !cas_acq_rel(word, &seen, to)) {} /* raise:word */
}

/* Discard the event that has `ticket`. Its slot becomes claimed by `owner`, or
 * free for owner 0. For as long as the event is there its change is unfinished:
 * that is asked, for the slot of what is discarded may be written before another
 * change is announced. */
static bool discard(const struct log_view *log, uint32_t index, uint64_t ticket, uint32_t owner) {
    struct event_slot *slot = log_slot(log, index);
    uint64_t word = load_acquire(&slot->word); /* discard:word */
    if (!slot_has(word, ticket)) return true;
    const uint64_t origin = load_relaxed(&slot->origin), version = load_relaxed(&slot->version),
                   time_ns = load_relaxed(&slot->time_ns);
    fence_acquire();                                    /* discard:fence */
    if (load_relaxed(&slot->word) != word) return true; /* discard:again, else its new owner may have written these */
    if (origin_stream(origin) >= log->geometry->cell_count) return false; /* damage */
    if (origin_kind(origin) == EVENT) {
        struct stream *stream = log->streams + origin_stream(origin);
        const bool timed = load_relaxed(&stream->most_ns);
        if (log_has_expired(stream, version, load_relaxed(&stream->newest.low), time_ns, timed ? now_ns() : 0))
            count_expired(stream, &slot->word, ticket);
        POINT("expired counted");
        raise(&stream->lost, version + 1); /* discard:lost */
    }
    POINT("loss told");
    const uint64_t left = slot_bears(ticket, owner, owner ? SLOT_CLAIMED : SLOT_FREE);
    if (cas_acq_rel(&slot->word, &word, left) && !owner) add_relaxed(&log->log->freed, 1); /* discard:slot */
    POINT("discarded");
    return true;
}

/* ---- finishing
 * ------------------------------------------------------------------------------------------------------
 */

/* Put a slot where `ticket` is looked for, after what was there is discarded. True: what was read of the slot before is of this
 * change. (A later one may have discarded the slot already, and not yet put another there.) */
static bool put(const struct log_view *log, uint64_t change, uint64_t ticket, uint32_t index, uint32_t owner) {
    atomic_u64 *order = log_order(log, ticket);
    uint64_t seen = load_acquire(order); /* put:order */
    if (links_ticket(seen, ticket)) return is_announced(log, change);
    if (seen && linked_slot(seen) < log->geometry->log_slots &&
        !discard(log, linked_slot(seen), ticket - log->geometry->slots, owner))
        return false;
    if (!is_announced(log, change)) return false;
    cas_acq_rel(order, &seen, ticket_link(ticket, index)); /* put:slot */
    POINT("put");
    return true;
}

/* Make a slot the first of the chain of its id, for as long as its word is the one it has before its change [9]. */
static void chain(const struct log_view *log, uint32_t index, uint64_t word, uint64_t ticket) {
    struct event_slot *slot = log_slot(log, index);
    const uint64_t hash = load_relaxed(&slot->id_hash);
    atomic_u64 *first = log_chain(log, hash);
    uint64_t was =
        load_acquire(first); /* chain:first, before the word: a later event of the chain shows that it has changed */
    uint64_t next = load_relaxed(&slot->id_next), link = chain_link(ticket, hash, index);
    if ((was & ~CHAIN_END) == link || load_acquire(&slot->word) != word) return; /* chain:word */
    if (next != was) cas_acq_rel(&slot->id_next, &next, was);                    /* chain:next */
    POINT("chain led on");
    if (!was || chain_age(was, ticket) > log->geometry->slots) link |= CHAIN_END;
    cas_acq_rel(first, &was, link); /* chain:slot */
    POINT("chained");
}

/* One event of an APPEND. */
static bool append_one(const struct log_view *log, uint64_t change, uint64_t ticket, uint32_t index) {
    struct event_slot *slot = log_slot(log, index);
    uint64_t word = load_acquire(&slot->word); /* append_one:word */
    if (slot_has(word, ticket)) return true;
    if (!put(log, change, ticket, index, slot_owner(word))) return false;
    if (origin_id_bytes(load_relaxed(&slot->origin))) chain(log, index, word, ticket);
    if (!is_announced(log, change)) return false;
    cas_acq_rel(&slot->word, &word, slot_bears(ticket, 0, SLOT_PUBLISHED)); /* append_one:publish */
    POINT("published");
    return true;
}

/* [5] */
static bool finish_append(const struct log_view *log, uint64_t change, uint64_t tail, uint64_t count) {
    struct event_slot *slot = log_slot(log, change_slot(change));
    const uint64_t origin = load_relaxed(&slot->origin), version = load_relaxed(&slot->version),
                   before = load_relaxed(&slot->links) >> 32;
    if (!is_announced(log, change) || origin_stream(origin) >= log->geometry->cell_count) return false;
    uint64_t next = change_slot(change) + UINT64_C(1), last = 0;
    for (uint64_t i = 0; i < count; i++) {
        if (!next || next > log->geometry->log_slots) return false; /* not of this change any more */
        last = next;
        next = load_relaxed(&log_slot(log, (uint32_t)last - 1)->batch);
        if (!append_one(log, change, tail + i, (uint32_t)last - 1)) return false;
    }
    struct stream *stream = log->streams + origin_stream(origin);
    if (!is_announced(log, change)) return false;
    if (origin_kind(origin) != EVENT)
        raise(&stream->deleted, origin_kind(origin) == SOFT_DELETION ? version + 1 : STREAM_CLOSED);
    else
        cas_acq_rel_wide(&stream->newest, (struct halves){version, before}, /* finish_append:newest */
                         (struct halves){version + count, last});
    POINT("made newest");
    return true;
}

/* [6] */
static bool finish_keep(const struct log_view *log, uint64_t change, uint64_t ticket) {
    const uint32_t index = change_slot(change);
    struct event_slot *slot = log_slot(log, index);
    atomic_u64 *order = log_order(log, ticket);
    uint64_t seen = load_acquire(order), word = slot_bears(ticket - log->geometry->slots, 0, SLOT_PUBLISHED);
    if (links_ticket(seen, ticket)) return true; /* finish_keep:order */
    if (load_acquire(&slot->word) == word && origin_id_bytes(load_relaxed(&slot->origin)))
        chain(log, index, word, ticket);
    if (!is_announced(log, change)) return false;
    cas_acq_rel(&slot->word, &word, slot_bears(ticket, 0, SLOT_PUBLISHED)); /* finish_keep:word */
    POINT("kept");
    cas_acq_rel(order, &seen, ticket_link(ticket, index)); /* finish_keep:slot */
    return true;
}

/* False: it can never be finished, and is announced still. That is damage. */
static bool finish(const struct log_view *log, uint64_t change, uint64_t tail) {
    const uint64_t tickets = (change_tail(change) - tail) & TICKET_MASK;
    const enum change_what what = change_what_of(change);
    bool done = false;
    if (tickets > log->geometry->slots) return !is_announced(log, change);
    if (what == CHANGE_TAKE) done = put(log, change, tail, NO_SLOT, 0);
    else if (change_slot(change) >= log->geometry->log_slots) return !is_announced(log, change);
    else if (what == CHANGE_APPEND) done = finish_append(log, change, tail, tickets);
    else if (what == CHANGE_KEEP) done = finish_keep(log, change, tail);
    if (done) cas_acq_rel(&log->log->tail, &tail, tail + tickets); /* finish:tail */
    POINT("finished");
    return done || !is_announced(log, change);
}

/* ---- announcing
 * -----------------------------------------------------------------------------------------------------
 */

bool log_tidy(const struct log_view *log, struct log_moment *moment) {
    for (int rounds = 0; rounds < MOST_ROUNDS; rounds++) {
        const uint64_t change = load_acquire(&log->log->change); /* log_tidy:change */
        const uint64_t tail = load_acquire(&log->log->tail);     /* log_tidy:tail */
        if (!is_announced(log, change)) continue;                /* else the tail is that before it, or that after it */
        *moment = (struct log_moment){change, tail};
        if (change_tail(change) == (tail & TICKET_MASK)) return true;
        if (!finish(log, change, tail)) return false;
    }
    return false;
}

bool log_is_at(const struct log_view *log, struct log_moment moment) { return is_announced(log, moment.change); }

bool log_announce(const struct log_view *log, struct log_moment moment, enum change_what what, uint32_t slot,
                  uint32_t tickets) {
    uint64_t seen = moment.change;
    const uint64_t change = change_word_of(moment.tail + tickets, what, slot);
    if (!cas_acq_rel(&log->log->change, &seen, change)) return false; /* log_announce:change */
    POINT("announced");
    finish(log, change, moment.tail);
    return true;
}
