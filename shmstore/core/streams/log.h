/* The log of one partition of streams: in which order its events came, and how all that belongs to one of them changes as
 * one.
 *
 * A log has R tickets and a few more slots. A slot holds one event. `order` says which slot has ticket t, at t mod R. A
 * slot goes
 *
 *     FREE --claim--> CLAIMED --publish--> PUBLISHED --discard--> FREE, or CLAIMED (by whoever appended one event)
 *
 * and its word bears the ticket that it had last, so that no word of a slot comes back.
 *
 *  1. Claim: a CAS of the word from FREE to CLAIMED, which names the owner. Only the owner writes a claimed slot, and
 *     nobody else reads it before it is announced. What an append of one event discards becomes its appender's: who appends
 *     again need not look for a slot. What a batch discards is free: of those who wait, each holds one slot at most.
 *  2. A log is changed by one change at a time. It is announced by a CAS of `change`, which names the ticket that the log's
 *     tail has after it, what is to be done, and the slot; and then finished, by whoever comes first. Nobody waits: a
 *     process that died, or stands still, in the middle of its own change is overtaken by those who come after.
 *  3. Whoever announces has finished the change before. So all that it has read of the log and its streams since is so
 *     still, or its CAS fails: versions, ids and expectations are decided by the one that succeeds.
 *  4. Every step of a change is one CAS from a value that was read before the change was seen to be announced still. All
 *     these words grow, or bear a ticket: none has the same value twice, so a step that somebody else has made already,
 *     even long ago, fails. The one exception is the link from a slot to the next of its chain: it leads to the slot itself
 *     until it is set, and is set only while the slot's word is the one from before.
 *  5. APPEND, of one event or a batch, at the tail. For each, in the order of their tickets: discard what has its place in
 *     `order` [8], put its slot there, make it the first of the chain of its id, and make it PUBLISHED. Then make it the
 *     newest of its stream (of a deletion: say that the stream is deleted), and move the tail.
 *  6. KEEP, of an event that would be discarded soon: its stream has a reserve. What would be discarded before it, is first:
 *     the chain of its id ends with it [9]. It gets the ticket at the tail, and becomes the first of the chain of its id. It
 *     keeps its slot, version and position. So what is kept comes to lie together, and leaves room for batches.
 *  7. TAKE, of the event that would be discarded next and is in no reserve: discard it, and free its slot. The ticket at
 *     the tail has no event. So an appender that finds no free slot gets one, while others hold slots that they do not use;
 *     where they hold too many, it is told so.
 *  8. Discard: raise `lost` of its stream beyond its version, and in the same swap count those that it passes and that
 *     nobody could read any more; then change its slot's word from PUBLISHED. In this order: whoever finds the word changed
 *     knows that the rest is done. A batch tells the last of its losses first: mostly that is all of them at once.
 *  9. A chain of ids leads from newer tickets to older ones. A link bears the ticket of the slot that it leads to: where
 *     the slot has another one by now, it was discarded, or kept, and all behind it as well.
 * 10. What the dead had claimed is freed after the change that is announced has been finished: they can announce no other.
 *
 * Which access pairs with which (its label is function:what), and what the pair buys:
 *
 *   log_announce:change     log_tidy:change       what is announced, and all that its appender wrote and knew
 *   finish:tail             is_announced:fence    (after log_tidy:tail) the streams, chains and order after a change, for
 *                                                 whoever decides the next
 *   put:slot, chain:slot,   is_announced:fence    what one helper has done, for another that finds it done and goes on
 *   finish_keep:word, finish_keep:slot
 *   append_one:publish      slots_read:word, read_leads:word    the event of a PUBLISHED slot
 *   finish_append:newest    seek_start:versions, seek_start:slot    that the newest is published
 *   finish:tail             streams_tail:tail     that all below the tail have their places
 *   discard:slot            slots_read:word, read_leads:word    that a loss is told, for whoever finds its slot given up
 *   tell_loss:tell          streams_state:lost, streams_state:expired    that there are as many versions as are lost
 *   slots_fill:fence        slots_read:fence, read_leads:fence, tell:fence, chain:fence    (through what is read) whoever has
 *                                                 read what the next owner wrote finds that the word has changed
 *   free_slot:word, discard:slot    claim:word, slots_claim:word    a slot is written after all that its last owner wrote
 */
#ifndef SHMSTORE_LOG_H
#define SHMSTORE_LOG_H

#include "core/base/layout.h"
#include "core/ring/ring.h" /* liveness, what an owner is, and where a ticket lives */

enum slot_state { SLOT_FREE, SLOT_CLAIMED, SLOT_PUBLISHED };
enum change_what { CHANGE_NONE, CHANGE_APPEND, CHANGE_KEEP, CHANGE_TAKE };
enum { NO_SLOT = MAX_LOG_SLOTS };

/* What a slot holds. */
enum event_kind { EVENT, SOFT_DELETION, HARD_DELETION };

#define TICKET_BITS 40
#define TICKET_MASK ((UINT64_C(1) << TICKET_BITS) - 1)
#define STREAM_CLOSED UINT64_MAX /* instead of a number of versions: deleted for ever */

/* This process's view of the log of one partition. */
struct log_view {
    const struct geometry *geometry;
    struct log *log;
    unsigned char *slots;   /* order, ids and slots of this partition */
    unsigned char *events;  /* its slots alone, */
    uint64_t event_bytes;   /* each of so many bytes */
    struct stream *streams; /* of all partitions */
};

/* The word of a slot, and what it is made of. */
static inline uint64_t slot_bears(uint64_t ticket, uint32_t owner, enum slot_state state) {
    return (ticket & TICKET_MASK) << 24 | (uint64_t)owner << 3 | (uint64_t)state;
}
static inline enum slot_state slot_state(uint64_t word) { return (enum slot_state)(word & 7); }
static inline uint32_t slot_owner(uint64_t word) { return (uint32_t)(word >> 3) & OWNER_MASK; }
static inline bool slot_has(uint64_t word, uint64_t ticket) { return word == slot_bears(ticket, 0, SLOT_PUBLISHED); }

/* A place of `order`: ticket (40 bits) | 1 | slot (23 bits); 0: nothing yet. */
#define TICKET_LINK (UINT64_C(1) << 23)
static inline uint64_t ticket_link(uint64_t ticket, uint32_t slot) {
    return (ticket & TICKET_MASK) << 24 | TICKET_LINK | slot;
}
static inline uint32_t linked_slot(uint64_t link) { return (uint32_t)(link & (TICKET_LINK - 1)); }
static inline bool links_ticket(uint64_t link, uint64_t ticket) {
    return link >> 23 == ((ticket & TICKET_MASK) << 1 | 1);
}

/* A link of a chain: ticket (35 bits) | 1 | nothing is behind it (1 bit) | 5 bits of the hash | slot (22 bits). So most ids
 * that are not there are told without a look at a slot. */
enum { CHAIN_TICKET_SHIFT = 29 };
#define CHAIN_LINK (UINT64_C(1) << 28)
#define CHAIN_END (UINT64_C(1) << 27)
static inline uint64_t chain_link(uint64_t ticket, uint64_t hash, uint32_t slot) {
    return ticket << CHAIN_TICKET_SHIFT | CHAIN_LINK | hash >> 59 << 22 | slot;
}
static inline uint32_t chain_slot(uint64_t link) { return (uint32_t)link & MAX_LOG_SLOTS; }
static inline bool chain_has_hash(uint64_t link, uint64_t hash) { return (link >> 22 & 31) == hash >> 59; }

/* How many tickets before `ticket` a link was made; both count modulo 2^35. */
static inline uint64_t chain_age(uint64_t link, uint64_t ticket) {
    return (ticket - (link >> CHAIN_TICKET_SHIFT)) & UINT64_MAX >> CHAIN_TICKET_SHIFT;
}

static inline uint64_t change_word_of(uint64_t tail, enum change_what what, uint32_t slot) {
    return (tail & TICKET_MASK) << 24 | (uint64_t)what << 22 | slot;
}
static inline uint64_t change_tail(uint64_t change) { return change >> 24; }
static inline enum change_what change_what_of(uint64_t change) { return (enum change_what)(change >> 22 & 3); }
static inline uint32_t change_slot(uint64_t change) { return (uint32_t)change & MAX_LOG_SLOTS; }

static inline uint64_t event_origin(uint32_t stream, enum event_kind kind, size_t type, size_t id, uint32_t flags) {
    return (uint64_t)stream << 32 | (uint64_t)kind << 24 | (uint64_t)type << 16 | (uint64_t)id << 8 | flags;
}
static inline uint32_t origin_stream(uint64_t origin) { return (uint32_t)(origin >> 32); }
static inline enum event_kind origin_kind(uint64_t origin) { return (enum event_kind)(origin >> 24 & 0xff); }
static inline uint32_t origin_type_bytes(uint64_t origin) { return (uint32_t)(origin >> 16) & 0xff; }
static inline uint32_t origin_id_bytes(uint64_t origin) { return (uint32_t)(origin >> 8) & 0xff; }
static inline uint32_t origin_flags(uint64_t origin) { return (uint32_t)origin & 0xff; }

static inline struct event_slot *log_slot(const struct log_view *log, uint32_t slot) {
    return (struct event_slot *)(void *)(log->events + slot * log->event_bytes);
}
static inline atomic_u64 *log_order(const struct log_view *log, uint64_t ticket) {
    return (atomic_u64 *)(void *)log->slots + ring_where(log->geometry, ticket).slot;
}
static inline atomic_u64 *log_chain(const struct log_view *log, uint64_t hash) {
    return (atomic_u64 *)(void *)(log->slots + log->geometry->ids_base) + (hash & (log->geometry->id_buckets - 1));
}

/* A moment at which no change is unfinished, as whoever wants to announce the next one saw it. */
struct log_moment {
    uint64_t change, tail;
};

/* [3] Finish what is announced; what is read from now on is of this moment if log_is_at says so afterwards. False: damage. */
bool log_tidy(const struct log_view *log, struct log_moment *moment);

/* Has nothing been announced since? Asked after what was read. */
bool log_is_at(const struct log_view *log, struct log_moment moment);

/* [3] Announce a change of `tickets` tickets and finish it; false when another was announced since `moment`. */
bool log_announce(const struct log_view *log, struct log_moment moment, enum change_what what, uint32_t slot,
                  uint32_t tickets);

/* Does its stream have the event of this slot in reserve? Of what can still be read, the newest events. */
bool log_is_reserved(const struct log_view *log, uint32_t slot, uint64_t now_ns);

#endif
