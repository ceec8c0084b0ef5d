/* Announcing changes and finishing them; numbers in brackets are the sentences of log.h. */
#define _GNU_SOURCE
#include "core/streams/log.h"

#include "core/base/point.h"

#include <time.h>

/* Whoever has found so many changes unfinished, or lost to others, has found bytes that no protocol leaves. */
enum { MOST_ROUNDS = 1 << 24 };

/* Is this change still the one that is announced? Asked after what a step goes by was read, and before it is made [4]. */
static bool is_announced(const struct log_view *log, uint64_t change) {
    fence_acquire(); /* is_announced:fence */
    /* Whoever announced a later one has seen this one finished, and so has whoever finds it. */
    return load_acquire(&log->log->change) == change; /* is_announced:change */
}

/* ---- discarding [8] ---------------------------------------------------------------------------------------------- */

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* The first version that is neither truncated, nor deleted, nor beyond the number that its stream keeps. */
static uint64_t first_kept(const struct stream *stream, uint64_t newest) {
    const uint64_t deleted = load_relaxed(&stream->deleted), most = load_relaxed(&stream->most_events);
    uint64_t first = load_relaxed(&stream->truncated);
    if (deleted && deleted - 1 > first) first = deleted - 1;
    return most && newest > most && newest - most > first ? newest - most : first;
}

static bool is_too_old(const struct stream *stream, uint64_t time_ns, uint64_t now) {
    const uint64_t lifetime = load_relaxed(&stream->most_ns);
    return lifetime && time_ns + lifetime < now;
}

bool log_is_reserved(const struct log_view *log, uint32_t slot, uint64_t now) {
    const struct event_slot *event = log_slot(log, slot);
    const uint64_t origin = load_relaxed(&event->origin), version = load_relaxed(&event->version);
    if (origin_stream(origin) >= log->geometry->cell_count || origin_kind(origin) != EVENT) return false;
    const struct stream *stream = log->streams + origin_stream(origin);
    const uint64_t reserve = load_relaxed(&stream->reserve);
    if (__builtin_expect(!reserve, 1)) return false;
    const uint64_t newest = load_relaxed(&stream->newest.low);
    return version + reserve >= newest && version >= first_kept(stream, newest) &&
           !is_too_old(stream, load_relaxed(&event->time_ns), now);
}

/* Say that this version and those before it are lost, and how many of them nobody could read any more: in one swap, as
 * several may be about to say it. Some of those before may have been kept when this one was not. `at_once`: others before it
 * are about to be lost; not where they may be too old and this one is not. (Inlined: it is most of a discard.) */
__attribute__((always_inline)) static inline void tell_loss(struct stream *stream, uint64_t version, uint64_t time_ns,
                                                            bool at_once) {
    const bool timed = load_relaxed(&stream->most_ns);
    const bool too_old = timed && is_too_old(stream, time_ns, now_ns());
    uint64_t lost;
    if (at_once && timed && !too_old) return;
    while ((lost = load_acquire(&stream->lost.low)) <= version) { /* tell_loss:lost, before the other half */
        const uint64_t expired = load_relaxed(&stream->lost.high), end = version + 1;
        const uint64_t kept = too_old ? end : first_kept(stream, load_relaxed(&stream->newest.low));
        const uint64_t gone = kept <= lost ? 0 : (kept < end ? kept : end) - lost;
        if (cas_acq_rel_wide(&stream->lost, (struct halves){lost, expired}, /* tell_loss:tell */
                             (struct halves){end, expired + gone}))
            return;
    }
}

/* Raise a word that never falls. */
static void raise(atomic_u64 *word, uint64_t to) {
    uint64_t seen = load_relaxed(word);
    while (seen < to && !cas_acq_rel(word, &seen, to)) {} /* raise:word */
}

enum telling { TOLD, GONE, DAMAGE };

/* Tell the loss of the event that has `ticket` in this slot, if it still has. Then its change is unfinished: that is asked,
 * for the slot of what is discarded may be written before another change is announced. `word` is that of the slot. */
static inline enum telling tell(const struct log_view *log, uint32_t index, uint64_t ticket, uint64_t *word,
                                bool at_once) {
    struct event_slot *slot = log_slot(log, index);
    *word = load_acquire(&slot->word); /* tell:word */
    if (!slot_has(*word, ticket)) return GONE;
    const uint64_t origin = load_relaxed(&slot->origin), version = load_relaxed(&slot->version),
                   time_ns = load_relaxed(&slot->time_ns);
    fence_acquire();                                     /* tell:fence */
    if (load_relaxed(&slot->word) != *word) return GONE; /* tell:again, else its new owner may have written these */
    if (origin_stream(origin) >= log->geometry->cell_count) return DAMAGE;
    if (origin_kind(origin) == EVENT) tell_loss(log->streams + origin_stream(origin), version, time_ns, at_once);
    POINT("loss told");
    return TOLD;
}

/* Discard the event that has `ticket`. Its slot becomes claimed by `owner`, or free for owner 0. False: damage. */
static bool discard(const struct log_view *log, uint32_t index, uint64_t ticket, uint32_t owner) {
    uint64_t word;
    const enum telling told = tell(log, index, ticket, &word, false);
    if (told != TOLD) return told == GONE;
    const uint64_t left = slot_bears(ticket, owner, owner ? SLOT_CLAIMED : SLOT_FREE);
    if (cas_acq_rel(&log_slot(log, index)->word, &word, left) && !owner) /* discard:slot */
        add_relaxed(&log->log->freed, 1);
    POINT("discarded");
    return true;
}

/* ---- finishing --------------------------------------------------------------------------------------------------- */

/* Put a slot where `ticket` is looked for, after what was there is discarded. True: what was read of the slot before is of
 * this change. (A later one may have discarded the slot already, and not yet put another there.) */
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
    fence_acquire(); /* chain:fence: and so does what its next owner has written */
    if ((was & ~CHAIN_END) == link || load_relaxed(&slot->word) != word) return; /* chain:word */
    if (next != was) cas_acq_rel(&slot->id_next, &next, was);                    /* chain:next */
    POINT("chain led on");
    if (!was || chain_age(was, ticket) > log->geometry->slots) link |= CHAIN_END;
    cas_acq_rel(first, &was, link); /* chain:slot */
    POINT("chained");
}

/* One event of an APPEND. Is it the only one? */
static bool append_one(const struct log_view *log, uint64_t change, uint64_t ticket, uint32_t index, bool is_alone) {
    struct event_slot *slot = log_slot(log, index);
    uint64_t word = load_acquire(&slot->word); /* append_one:word */
    if (slot_has(word, ticket)) return true;
    if (!put(log, change, ticket, index, is_alone ? slot_owner(word) : 0)) return false;
    if (origin_id_bytes(load_relaxed(&slot->origin))) chain(log, index, word, ticket);
    if (!is_announced(log, change)) return false;
    cas_acq_rel(&slot->word, &word, slot_bears(ticket, 0, SLOT_PUBLISHED)); /* append_one:publish */
    POINT("published");
    return true;
}

/* Tell the loss of what gives way to the last ticket of a batch: mostly all else that gives way comes before it in the same
 * stream. (Not inlined: appends of one event do not need it.) */
__attribute__((noinline)) static bool tell_last(const struct log_view *log, uint64_t ticket) {
    const uint64_t link = load_relaxed(log_order(log, ticket));
    uint64_t word;
    return !link || linked_slot(link) >= log->geometry->log_slots ||
           tell(log, linked_slot(link), ticket - log->geometry->slots, &word, true) != DAMAGE;
}

/* [5] */
static bool finish_append(const struct log_view *log, uint64_t change, uint64_t tail, uint64_t count) {
    struct event_slot *slot = log_slot(log, change_slot(change));
    const uint64_t origin = load_relaxed(&slot->origin), version = load_relaxed(&slot->version),
                   before = load_relaxed(&slot->links) >> 32;
    if (!is_announced(log, change) || origin_stream(origin) >= log->geometry->cell_count) return false;
    uint64_t next = change_slot(change) + UINT64_C(1), last = 0;
    if (count > 1 && !tell_last(log, tail + count - 1)) return false;
    for (uint64_t i = 0; i < count; i++) {
        if (!next || next > log->geometry->log_slots) return false; /* not of this change any more */
        last = next;
        next = load_relaxed(&log_slot(log, (uint32_t)last - 1)->batch);
        if (!append_one(log, change, tail + i, (uint32_t)last - 1, count == 1)) return false;
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

/* Discard what the next tickets would overwrite, `count` of them, from `ticket` on. */
static bool discard_next(const struct log_view *log, uint64_t ticket, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t link = load_relaxed(log_order(log, ticket + i));
        if (link && linked_slot(link) < log->geometry->log_slots &&
            !discard(log, linked_slot(link), ticket + i - log->geometry->slots, 0))
            return false;
    }
    return true;
}

/* [6] */
static bool finish_keep(const struct log_view *log, uint64_t change, uint64_t ticket) {
    const uint32_t index = change_slot(change);
    struct event_slot *slot = log_slot(log, index);
    atomic_u64 *order = log_order(log, ticket);
    uint64_t seen = load_acquire(order); /* finish_keep:order */
    if (links_ticket(seen, ticket)) return true;
    uint64_t word = load_relaxed(&slot->word);
    if (!slot_has(word, ticket)) {
        const uint64_t before = ((word >> 24) - (ticket - log->geometry->slots)) & TICKET_MASK,
                       origin = load_relaxed(&slot->origin);
        if (before >= log->geometry->slots || !slot_has(word, word >> 24))
            return false; /* not of this change any more */
        if (!discard_next(log, ticket, before)) return false;
        if (origin_id_bytes(origin)) chain(log, index, word, ticket);
        if (!is_announced(log, change)) return false;
        cas_acq_rel(&slot->word, &word, slot_bears(ticket, 0, SLOT_PUBLISHED)); /* finish_keep:word */
        POINT("kept");
    } else if (!is_announced(log, change)) return false;
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

/* ---- announcing -------------------------------------------------------------------------------------------------- */

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
