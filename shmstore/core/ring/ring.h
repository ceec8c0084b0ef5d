/* The ring: how many processes append to one partition, and how anyone reads it.
 *
 * Every partition is a ring of N slots. A slot has a slot word, `lap | owner | state` in 64 bits, and a payload.
 * Ticket t lives in slot t mod N during lap t div N + 1; a word of lap 0 was never used. Laps count modulo 2^40 and are
 * compared by their signed distance. Only words that are WRITING or STALLED bear an owner.
 *
 *   state      meaning                                               what may follow
 *   EMPTY      never used                                            WRITING
 *   WRITING    claimed; its owner is writing the payload             PUBLISHED, VOID (owner dead), STALLED
 *   PUBLISHED  the record is readable                                WRITING of the next lap
 *   STALLED    a live owner of an older lap still holds the slot;    STALLED of a later lap, SKIPPED, ABANDONED (owner
 *              the word's own ticket has no record                     dead)
 *   SKIPPED    released after STALLED; its ticket has no record      WRITING of the next lap
 *   ABANDONED  the same, released for an owner that died; the        WRITING of the next lap
 *              owner's own older ticket has no record either
 *   VOID       its owner died writing; its ticket has no record      WRITING of the next lap
 *   PREPARED   of another format: damage, wherever it is met         nothing
 *
 * Invariant. The tail passes ticket t only after the word of slot t mod N bears the lap of t or a later one. So every
 * ticket below the tail is decided or names its owner; at no instant does a ticket that was taken belong to nobody.
 *
 * Append (claim first, then move the tail):
 *  1. Load the tail: ticket t, its slot, its lap L. Load the slot word.
 *  2. The word's lap is L or later: somebody claimed or skipped t. Help: count it if it was skipped [10], move the tail from
 *     t to t + 1; go to 1.
 *  3. The word is held (WRITING, STALLED) for an older lap. Look again for a moment. If the kernel says that its owner
 *     is dead, settle it (VOID, ABANDONED) and go to 1. If the owner lives, mark the word STALLED with lap L: ticket t is
 *     skipped, visibly. Go to 1. A slot is never taken from a live owner: it could still write into it. After a lap of such
 *     slots (and at least LEAST_ROUNDS) the append gives up: BLOCKED, nothing was written.
 *  4. Otherwise claim: CAS the word to WRITING(L, me). Whoever wins owns the payload: the record it replaces is the one that
 *     FIFO discards, and the winner alone may copy it out. Whoever loses leaves the winner its cache lines for a moment, longer
 *     each time (backoff), and goes to 1. Whoever has lost MOST_TRIES rounds has found bytes that no protocol leaves: DAMAGED,
 *     nothing was written.
 *  5. Move the tail from t to t + 1, unless somebody helped. Write the payload. CAS the word to PUBLISHED(L).
 *  6. The CAS of 5 fails when the slot became STALLED(L'): N newer tickets have gone by and the record counts as appended,
 *     and discarded. Release the slot: SKIPPED(L'). When the word is no longer this owner's at all, others took it for dead
 *     and settled it (its byte lock was lost): REVOKED, and the ticket counts as voided.
 *
 * Read ticket t below the tail, not below the floor:
 *  7. Load the word; PUBLISHED(L) -> copy the payload -> load the tail: at most t + N (nobody writes into slot t mod N for
 *     t + N before the tail has passed t + N), or the word again: equal -> the copy is whole. Where somebody has seen the word
 *     before, the tail alone proves it (ring_copy_published).
 *  8. Later lap -> lapped. WRITING(L): owner dead -> settle it and report voided (without the right to write: if the word is
 *     still the same); owner alive -> in flight: a cursor stops there, a snapshot leaves it out. STALLED(L), SKIPPED(L),
 *     ABANDONED(L) -> skipped. VOID(L) -> voided. An older lap, a state or an owner that no protocol leaves -> DAMAGED.
 *     What lies below the floor was cleared, whatever became of it since; the floor only rises, and moves no word.
 *
 * Repair (processes/process.c calls it for an owner that is dead, holding the dead place's byte lock):
 *  9. For every slot word of that owner: WRITING -> VOID, STALLED -> ABANDONED, by CAS of the exact word, announced before
 *     [12]. Anyone may do the same for one slot (settle). Repeating it changes nothing, so a repairer may die, and two may
 *     repair.
 *
 * Counting. Loss is counted once whoever dies between a step and its count, because the count comes first and names its
 * ticket: a ledger word is `low 31 bits of the ticket | 1 | count (32 bits)`, and it changes by one CAS. Two things bound
 * how exact that is: a ticket is taken for counted if the one counted before it was exactly a multiple of 2^31 tickets ago,
 * and counts are modulo 2^32, so that what is told of one partition is exact while it has lost fewer than 2^32 tickets of a
 * kind.
 * 10. Before the tail is moved past a skipped ticket t: unless the skip ledger names t, and while the tail is still t, CAS
 *     it to name t with the count + 1.
 * 11. Before a VOID or ABANDONED word is claimed over for ticket t: the same with the void ledger. So each ticket whose
 *     writer died is in the ledger, or still shown by a slot.
 * 12. A slot shows a voided ticket only until it is claimed over, N tickets after the one that its word bears. Before the CAS
 *     to VOID or ABANDONED `voids_until` is raised beyond that ticket: once the tail has reached it, nobody need look for them.
 *     After a death between the two, whoever counts looks for a lap in vain. (ring_totals)
 *
 * Which access pairs with which (its label is function:what), and what the pair buys:
 *
 *   release side            acquire side             what is then seen
 *   claim_next:move,        claim_next:tail,         the word of every ticket below the tail: decided, or with its owner
 *     help:move               report_unreadable:tail   (the invariant)
 *   ring_append:publish     read_run:before          the payload of a PUBLISHED word (read_run:words)
 *   claim_next:claim        help:fence               what the claimer did before its claim, as interning the record's key: whoever
 *                             (then scan_range:tail)   acquires the tail from the helper sees it as from the claimer
 *   ring_append:publish     claim_next:claim         the record that the claim replaces, for the one who discards it
 *   claim_next:claim        pass_held:fence,         the place of the owner in a word: whoever is seen to hold a
 *                             explain:word             slot has entered, so another generation there means it is over
 *   ring_append:fence       read_run:after           (fences, through store_payload:unit and copy_column:unit) a reader that
 *                                                      copied a newer unit finds, at read_run:tail or read_run:again, that
 *                                                      its slot was claimed over
 *   ring_append:fence       ring_copy_published:after  (the same, without a look at words) a reader that copied a newer unit
 *                                                      finds, at ring_copy_published:tail, that the tail has passed
 *   scan_block:seal         scan_block:sealed        (threads of one process) the words of a block that another has seen
 *   help:move               claim_next:tail          the decision about a held slot (pass_held:mark, ring_settle:settle),
 *                                                      which the helper has read
 *   release_stalled:release claim_next:claim         the late payload, before the next claim writes its own
 *   ring_settle:settle      claim_next:claim         the same for the payload of a dead owner
 *   ledger_count:count      ledger_count:ledger      that a ticket is counted, before the tail is found moved past it
 *   ledger_count:count      try_totals:ledgers       a tail that has come to the ticket that the ledger names
 *   claim_next:move         try_totals:tail          the words that are counted (holds_any:words, try_totals:words)
 *   ring_settle:settle      try_totals:fence         what was announced (raise_bound:raise) before a word was settled, and
 *                                                      counted before it was claimed over, at try_totals:again
 *   holds_any:decided       holds_any:fence          (threads of one process) the same, for whoever trusts the memo
 */
#ifndef SHMSTORE_RING_H
#define SHMSTORE_RING_H

#include "core/base/layout.h"

enum state { EMPTY, WRITING, PUBLISHED, STALLED, SKIPPED, VOID, PREPARED, ABANDONED };

#define LAP_BITS 40
#define LAP_MASK ((UINT64_C(1) << LAP_BITS) - 1)
#define OWNER_BITS 21
#define OWNER_MASK ((UINT32_C(1) << OWNER_BITS) - 1)

/* What an owner is made of: a place of the process table, and the generation of its holder. */
#define PLACE_BITS 12
#define GENERATION_MASK (OWNER_MASK >> PLACE_BITS)
static inline uint32_t owner_from(uint32_t place, uint64_t generation) {
    return (uint32_t)(generation & GENERATION_MASK) << PLACE_BITS | place;
}
static inline uint32_t owner_place(uint32_t owner) { return owner & ((UINT32_C(1) << PLACE_BITS) - 1); }

static inline uint64_t slot_word(uint64_t lap, uint32_t owner, enum state state) {
    return (lap & LAP_MASK) << 24 | (uint64_t)owner << 3 | (uint64_t)state;
}
static inline uint64_t word_lap(uint64_t word) { return word >> 24; }
static inline uint32_t word_owner(uint64_t word) { return (uint32_t)(word >> 3) & OWNER_MASK; }
static inline enum state word_state(uint64_t word) { return (enum state)(word & 7); }
static inline bool word_held(uint64_t word) { return word_state(word) == WRITING || word_state(word) == STALLED; }

/* Signed distance of two laps: > 0 when `a` is later. */
static inline int64_t lap_distance(uint64_t a, uint64_t b) { return (int64_t)((a - b) << 24) >> 24; }

/* Is the owner of a claim gone for ever? Only the kernel may say so (process.c); tests bring their own. */
struct liveness {
    bool (*is_dead)(void *context, uint32_t owner);
    void *context;
};

struct ring {
    const struct geometry *geometry;
    unsigned char *memory;
    bool writable;
    struct liveness liveness;
};

struct appended {
    uint64_t ticket;
    bool discarded;        /* a record was overwritten, and copied out if asked for */
    bool reached_capacity; /* this ticket filled its partition */
};

enum append_status {
    APPEND_DONE,
    APPEND_BLOCKED,     /* every slot of the partition is held by a stalled live owner; nothing was written */
    APPEND_DAMAGED,     /* the partition's words contradict its tail; nothing was written */
    APPEND_REVOKED,     /* others took this process for dead while it wrote: its byte lock was lost */
    APPEND_NOT_ENTERED, /* owner 0 is nobody; nothing was written */
};

/* Append one staged record. `discarded`, when not NULL, receives the staged form of the record it replaced. */
enum append_status ring_append(const struct ring *ring, uint32_t partition, uint32_t owner, const void *record,
                               void *discarded, struct appended *out);

enum gap_reason {
    GAP_LAPPED = 1,
    GAP_VOIDED,
    GAP_SKIPPED,
    GAP_CLEARED,
    GAP_IN_FLIGHT,
    GAP_REFUSED, /* these two no read reports, but its caller, when it cannot use what was copied, or cannot go on */
    GAP_DAMAGED
};

/* A reader's destination: one contiguous array per field, filled from `row` up to `room` rows. */
struct destination {
    unsigned char *columns[MAX_FIELDS]; /* NULL: the field is not wanted */
    uint64_t row, room;
    bool streams; /* large, and nobody looks at it soon: stream_end when all is copied */
};

/* Told of each range that a reader did not get; returns false when it cannot take more (the read then stops before it). */
struct gap_sink {
    bool (*report)(void *context, uint32_t partition, uint64_t first, uint64_t end, enum gap_reason reason);
    void *context;
};

extern const struct gap_sink no_gaps; /* for callers that do not want to know */

enum read_status {
    READ_END,     /* reached `end` */
    READ_FULL,    /* no room left, or the sink took no more */
    READ_HELD,    /* `*next` is in flight in a live process (only with stop_at_held) */
    READ_DAMAGED, /* `*next` breaks the invariant: the segment was damaged */
};

/* Copy the readable records of tickets [*next, end) in order; *next moves past all that was copied or reported. */
enum read_status ring_read(const struct ring *ring, uint32_t partition, uint64_t *next, uint64_t end, bool stop_at_held,
                           struct destination *to, const struct gap_sink *gaps);

/* Copy the records of tickets [ticket, ticket + count): consecutive slots of one lap, whose words the caller has once seen
 * PUBLISHED of that lap. False, and nothing is added, when some may have been claimed over since. */
bool ring_copy_published(const struct ring *ring, uint32_t partition, uint64_t ticket, uint64_t count,
                         struct destination *to);

/* Void or release every claim of a dead owner. Returns the counts through the pointers. */
void ring_sweep(const struct ring *ring, uint32_t owner, uint64_t *voided, uint64_t *released);

/* Raise the floor: tickets below it become unreadable. Never lowers it. */
void ring_raise_floor(const struct ring *ring, uint32_t partition, uint64_t ticket);

/* Counts of one partition, each true at some instant of the call. Appended so far = tail - skipped - voided - in_flight.
 * `decided` is the caller's, 0 at first: all tickets below it are known to be decided, so that they are not looked at again. */
struct totals {
    uint64_t tail, oldest, length, skipped, voided, in_flight;
};
void ring_totals(const struct ring *ring, uint32_t partition, atomic_u64 *decided, struct totals *out);

static inline struct partition *ring_partition(const struct ring *ring, uint32_t partition) {
    return (struct partition *)(ring->memory + ring->geometry->partitions_offset) + partition;
}

static inline unsigned char *ring_slots(const struct ring *ring, uint32_t partition) {
    return ring->memory + ring->geometry->slots_offset + partition * ring->geometry->partition_bytes;
}

static inline atomic_u64 *ring_word(const struct ring *ring, uint32_t partition, uint64_t slot) {
    const struct geometry *g = ring->geometry;
    return (atomic_u64 *)(void *)(ring_slots(ring, partition) + g->word_base + slot * g->word_stride);
}

struct where {
    uint64_t lap, slot;
};

/* Where a ticket lives. Division by a multiplication: floor(t * floor(2^64 / n) / 2^64) is t / n or one less. */
static inline struct where ring_where(const struct geometry *g, uint64_t ticket) {
    uint64_t quotient = (uint64_t)((unsigned __int128)ticket * g->reciprocal >> 64),
             slot = ticket - quotient * g->slots;
    if (slot >= g->slots) {
        quotient++;
        slot -= g->slots;
    }
    return (struct where){(quotient + 1) & LAP_MASK, slot};
}

/* The smallest ticket that may still be readable when the tail is `tail`. */
static inline uint64_t ring_oldest(const struct ring *ring, uint32_t partition, uint64_t tail) {
    uint64_t slots = ring->geometry->slots, oldest = tail > slots ? tail - slots : 0;
    uint64_t floor = load_acquire(&ring_partition(ring, partition)->floor);
    if (floor > tail) floor = tail;
    return floor > oldest ? floor : oldest;
}

/* Void (VOID) or release (ABANDONED) a held word of a dead owner; false when the word has changed meanwhile. */
bool ring_settle(const struct ring *ring, uint32_t partition, uint64_t slot, uint64_t word);

#endif
