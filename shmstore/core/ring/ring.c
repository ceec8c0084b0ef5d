/* Appending, settling and counting; numbers in brackets are the sentences at the top of ring.h. */
#include "core/ring/ring.h"

#include "core/base/point.h"

#include <sched.h>
#include <string.h>

enum {
    PATIENCE_SPINS = 100,   /* looks at a held slot before it is called stalled: a live writer needs far less */
    LEAST_ROUNDS = 4096,    /* skips before a partition counts as blocked, however few its slots */
    MOST_TRIES = 1 << 20,   /* rounds that no working partition can make one append lose: its bytes are damaged */
    MOST_LOOKS = 10,        /* at totals that change while they are looked at: seldom more than one is needed */
    MOST_BACKOFF_SPINS = 64 /* after a lost claim: leave the winner its cache lines for a while */
};

/* For functions that an undisturbed append does not call: it then has fewer registers to save, and less code to fetch. */
#define SELDOM __attribute__((noinline, cold))

/* ---- payload: relaxed atomic units, so that a racing reader sees old or new units, never undefined behaviour ------ */

static void store_field(const struct field *field, unsigned char *to, const unsigned char *from) {
    switch (field->unit) {
    case 8:
        for (uint32_t i = 0; i < field->units; i++) {
            uint64_t value;
            memcpy(&value, from + 8 * i, 8);
            store_relaxed((atomic_u64 *)(void *)to + i, value); /* store_payload:unit, here and below */
        }
        break;
    case 4: {
        uint32_t value;
        memcpy(&value, from, 4);
        store_relaxed((atomic_u32 *)(void *)to, value);
        break;
    }
    case 2: {
        uint16_t value;
        memcpy(&value, from, 2);
        store_relaxed((atomic_u16 *)(void *)to, value);
        break;
    }
    default: store_relaxed((atomic_u8 *)to, *from); break;
    }
}

/* Gaps between the fields of a staged record are copied as they are. */
static void store_payload(const struct geometry *g, unsigned char *slots, uint64_t slot, const unsigned char *record) {
    if (g->options.layout == LAYOUT_ROWS) { /* a row's payload is laid out as the staged record */
        atomic_u64 *to = (atomic_u64 *)(void *)(slots + slot * g->word_stride + 8);
        for (uint64_t i = 0; i < g->record_bytes / 8; i++) {
            uint64_t value;
            memcpy(&value, record + 8 * i, 8);
            store_relaxed(to + i, value); /* store_payload:unit */
        }
        return;
    }
    for (uint32_t i = 0; i < g->options.field_count; i++) {
        const struct field *field = &g->fields[i];
        store_field(field, slots + field->base + slot * field->stride, record + field->offset);
    }
}

/* Copy out the record that this append replaces; the claim made us its only user. */
SELDOM static void take_discarded(const struct ring *ring, unsigned char *slots, uint64_t slot, unsigned char *record) {
    const struct geometry *g = ring->geometry;
    for (uint32_t i = 0; i < g->options.field_count; i++) {
        const struct field *field = &g->fields[i];
        memcpy(record + field->offset, slots + field->base + slot * field->stride, field->bytes);
    }
}

/* ---- counting --------------------------------------------------------------------------------------------------- */

/* What a ledger bears in its upper half for a ticket; never 0, which an unused ledger bears. */
static uint32_t ledger_name(uint64_t ticket) { return (uint32_t)(ticket << 1 | 1); }
static bool ledger_names(uint64_t ledger, uint64_t ticket) { return (uint32_t)(ledger >> 32) == ledger_name(ticket); }

/* [10, 11] Name `ticket` in a ledger and count it, once, while the tail is still there. */
SELDOM static void ledger_count(atomic_u64 *ledger, const atomic_u64 *tail, uint64_t ticket) {
    uint64_t seen = load_acquire(ledger); /* ledger_count:ledger, before the tail: a count by others changes the word */
    while (load_acquire(tail) == ticket && !ledger_names(seen, ticket)) { /* ledger_count:tail */
        uint64_t counted = (uint64_t)ledger_name(ticket) << 32 | (uint32_t)(seen + 1);
        if (cas_acq_rel(ledger, &seen, counted)) return; /* ledger_count:count */
    }
}

/* Raise a bound of tickets; it never falls. */
static void raise_bound(atomic_u64 *bound, uint64_t ticket) {
    uint64_t seen = load_relaxed(bound);                           /* raise_bound:seen */
    while (seen < ticket && !cas_acq_rel(bound, &seen, ticket)) {} /* raise_bound:raise */
}

/* ---- helping ---------------------------------------------------------------------------------------------------- */

/* [2] Ticket `ticket` is decided or claimed, as `word` shows: move the tail past it. */
SELDOM static void help(struct partition *partition, uint64_t ticket, uint64_t lap, uint64_t word) {
    fence_acquire(); /* help:fence: whoever sees the tail moved sees all that the claimer did before its claim */
    if (word_lap(word) == lap &&
        (word_state(word) == STALLED || word_state(word) == SKIPPED || word_state(word) == ABANDONED)) {
        ledger_count(&partition->skip_ledger, &partition->tail, ticket);
        POINT("skip counted");
    }
    cas_acq_rel(&partition->tail, &ticket, ticket + 1); /* help:move */
}

bool ring_settle(const struct ring *ring, uint32_t partition, uint64_t slot, uint64_t word) {
    struct partition *control = ring_partition(ring, partition);
    const struct geometry *g = ring->geometry;
    uint64_t tail = load_relaxed(&control->tail), expected = word;
    struct where at = ring_where(g, tail);
    uint64_t ticket =
        tail - at.slot + slot - (uint64_t)lap_distance(at.lap, word_lap(word)) * g->slots; /* the word's */
    raise_bound(&control->voids_until, ticket + g->slots + 1); /* [12], before the word changes */
    POINT("settle begun");
    return cas_acq_rel(ring_word(ring, partition, slot), &expected, /* ring_settle:settle */
                       slot_word(word_lap(word), 0, word_state(word) == WRITING ? VOID : ABANDONED));
}

/* [3] The slot is held for an older lap. */
SELDOM static void pass_held(const struct ring *ring, uint32_t partition, uint64_t slot, uint64_t lap, uint64_t word) {
    atomic_u64 *shared = ring_word(ring, partition, slot);
    for (int i = 0; i < PATIENCE_SPINS; i++) {
        if (load_relaxed(shared) != word) return;
        cpu_relax();
    }
    fence_acquire(); /* pass_held:fence: an owner that is in the word has entered its place */
    if (ring->liveness.is_dead(ring->liveness.context, word_owner(word))) {
        ring_settle(ring, partition, slot, word);
        return;
    }
    uint64_t expected = word;
    cas_acq_rel(shared, &expected, slot_word(lap, word_owner(word), STALLED)); /* pass_held:mark */
    POINT("skip marked");
}

/* ---- append ----------------------------------------------------------------------------------------------------- */

/* [6] Our slot was passed while we wrote: release it. */
SELDOM static enum append_status release_stalled(atomic_u64 *shared, uint32_t owner, uint64_t word) {
    while (word_state(word) == STALLED && word_owner(word) == owner) {
        POINT("late");
        if (cas_release(shared, &word, slot_word(word_lap(word), 0, SKIPPED)))
            return APPEND_DONE; /* release_stalled:release */
    }
    return APPEND_REVOKED;
}

struct claim {
    uint64_t ticket;
    struct where where;
    uint64_t replaced; /* the word that the claim replaced */
};

/* [1-4] Claim the slot of the next ticket, and move the tail past it [5]. */
static enum append_status claim_next(const struct ring *ring, uint32_t partition, uint32_t owner, struct claim *claim) {
    const uint64_t slots = ring->geometry->slots, rounds = slots > LEAST_ROUNDS ? slots : LEAST_ROUNDS;
    struct partition *control = ring_partition(ring, partition);
    uint64_t skips = 0;
    int backoff = 1;
    for (int tries = 0; tries < MOST_TRIES; tries++) {
        uint64_t t = load_acquire(&control->tail); /* claim_next:tail */
        struct where at = ring_where(ring->geometry, t);
        atomic_u64 *shared = ring_word(ring, partition, at.slot);
        uint64_t word = load_relaxed(shared); /* claim_next:word */
        if (lap_distance(word_lap(word), at.lap) >= 0) {
            help(control, t, at.lap, word);
        } else if (word_held(word)) {
            if (skips++ == rounds) return APPEND_BLOCKED;
            if (skips > slots) sched_yield(); /* a whole lap is held: let the holders run */
            pass_held(ring, partition, at.slot, at.lap, word);
        } else {
            if (word_state(word) == VOID || word_state(word) == ABANDONED)
                ledger_count(&control->void_ledger, &control->tail, t);
            POINT("before claim");
            uint64_t replaced = word;
            if (cas_acq_rel(shared, &word, slot_word(at.lap, owner, WRITING))) { /* claim_next:claim */
                POINT("claimed");
                *claim = (struct claim){t, at, replaced};
                cas_acq_rel(&control->tail, &t, t + 1); /* claim_next:move */
                return APPEND_DONE;
            }
            for (int spin = 0; spin < backoff; spin++) cpu_relax();
            if (backoff < MOST_BACKOFF_SPINS) backoff *= 2;
        }
    }
    return APPEND_DAMAGED;
}

enum append_status ring_append(const struct ring *ring, uint32_t partition, uint32_t owner, const void *record,
                               void *discarded, struct appended *out) {
    struct claim claim;
    if (__builtin_expect(!owner, 0)) return APPEND_NOT_ENTERED;
    enum append_status status = claim_next(ring, partition, owner, &claim);
    if (status != APPEND_DONE) return status;
    POINT("tail moved");

    const struct geometry *g = ring->geometry;
    uint64_t floor = load_relaxed(&ring_partition(ring, partition)->floor);
    unsigned char *slots = ring_slots(ring, partition);
    out->ticket = claim.ticket;
    out->reached_capacity = claim.ticket + 1 - floor == g->slots;
    out->discarded = claim.ticket >= g->slots + floor && word_state(claim.replaced) == PUBLISHED;
    if (out->discarded && discarded) take_discarded(ring, slots, claim.where.slot, discarded);

    fence_release(); /* ring_append:fence: the claim is seen before any byte of the payload */
    store_payload(g, slots, claim.where.slot, record);
    POINT("payload written");
    uint64_t word = slot_word(claim.where.lap, owner, WRITING);
    atomic_u64 *shared = ring_word(ring, partition, claim.where.slot);
    if (cas_release(shared, &word, slot_word(claim.where.lap, 0, PUBLISHED)))
        return APPEND_DONE; /* ring_append:publish */
    return release_stalled(shared, owner, word);
}

/* ---- repair, clearing, totals ------------------------------------------------------------------------------------ */

void ring_sweep(const struct ring *ring, uint32_t owner, uint64_t *voided, uint64_t *released) {
    const struct geometry *g = ring->geometry;
    *voided = *released = 0;
    for (uint32_t partition = 0; partition < g->options.partitions; partition++)
        for (uint64_t slot = 0; slot < g->slots; slot++)
            for (;;) { /* an appender may mark the word STALLED meanwhile: look until the dead owner is gone from it */
                uint64_t word = load_acquire(ring_word(ring, partition, slot)); /* ring_sweep:word */
                if (!word_held(word) || word_owner(word) != owner) break;
                bool writing = word_state(word) == WRITING;
                POINT("sweep");
                if (ring_settle(ring, partition, slot, word)) ++*(writing ? voided : released);
            }
}

void ring_raise_floor(const struct ring *ring, uint32_t partition, uint64_t ticket) {
    raise_bound(&ring_partition(ring, partition)->floor, ticket);
}

/* Is any of the tickets [first, tail) still held? Remembers in `decided` the first that is: those before it are decided, and
 * stay so. (A `decided` beyond the tail is not believed: then damage has moved the tail back.) */
static bool holds_any(const struct ring *ring, uint32_t partition, uint64_t first, uint64_t tail, atomic_u64 *decided) {
    uint64_t known = load_relaxed(decided), t = known > first && known <= tail ? known : first; /* holds_any:known */
    while (t < tail && !word_held(load_relaxed(ring_word(ring, partition, ring_where(ring->geometry, t).slot))))
        t++;         /* holds_any:words */
    fence_acquire(); /* holds_any:fence: whatever settled these words was announced, also to threads that trust `decided` */
    store_release(decided, t); /* holds_any:decided */
    return t < tail;
}

/* One look at the counts; false when a loss began or was counted meanwhile, so that they may not fit each other.
 *
 * Skipped tickets are counted in a ledger, before the tail passes them. Voided tickets are shown by their slots, until a
 * later ticket claims the slot; before that they are counted in a ledger. So there is a moment at which a ledger has
 * counted ahead of what it announces, and at that moment it names ticket `tail`:
 *   skipped    what the skip ledger counts; one less when it names the tail, because that ticket is not handed out yet
 *   voided     what the void ledger counts, and what the slots show; when it names the tail, without the slot that ticket
 *              `tail` is about to claim, because the ledger has counted it already
 *   in flight  the slots that writers hold
 *   length     the tickets [oldest, tail) whose slots have a record
 * The slots are looked at only when one of them may be held or show a loss. */
static bool try_totals(const struct ring *ring, uint32_t partition, atomic_u64 *decided, struct totals *out) {
    struct partition *control = ring_partition(ring, partition);
    const struct geometry *g = ring->geometry;
    uint64_t skips = load_acquire(&control->skip_ledger),
             voids = load_acquire(&control->void_ledger); /* try_totals:ledgers */
    uint64_t until = load_relaxed(&control->voids_until); /* try_totals:until */
    POINT("totals begun");
    uint64_t tail = load_acquire(&control->tail), oldest = ring_oldest(ring, partition, tail); /* try_totals:tail */
    uint64_t first = tail > g->slots ? tail - g->slots : 0;
    bool skip_ahead = ledger_names(skips, tail), void_ahead = ledger_names(voids, tail);
    *out = (struct totals){
        .tail = tail, .oldest = oldest, .skipped = (uint32_t)skips - skip_ahead, .voided = (uint32_t)voids};

    /* A slot can show a loss while the tail is below `until`, or within a lap of the last skipped ticket. */
    uint64_t missing = 0, since_skip = (ledger_name(tail) - (uint32_t)(skips >> 32)) >> 1;
    bool lost = tail < until || (skips && since_skip <= g->slots), oldest_missing = false;
    if (holds_any(ring, partition, first, tail, decided) || lost)
        for (uint64_t t = first; t < tail; t++) {
            struct where at = ring_where(g, t);
            uint64_t word = load_relaxed(ring_word(ring, partition, at.slot)); /* try_totals:words */
            enum state state = word_state(word);
            /* The word is ticket t's; or else of the next ticket of this slot, which is `tail`, claimed already. */
            bool current = lap_distance(word_lap(word), at.lap) == 0;
            if (state == STALLED || (state == WRITING && current))
                out->in_flight++; /* STALLED, of whatever ticket: its owner is still in an older append */
            if (state == ABANDONED || (state == VOID && current))
                out->voided += !(void_ahead && current && t + g->slots == tail);
            if (!current || state == PUBLISHED || t < oldest) continue;
            missing++;
            oldest_missing |= t == oldest;
        }
    /* When ticket `tail` has claimed its slot and not published yet, the oldest record is gone, and the tail does not say
     * so yet. */
    struct where next = ring_where(g, tail);
    uint64_t word = load_relaxed(ring_word(ring, partition, next.slot)); /* try_totals:next */
    bool claimed = lap_distance(word_lap(word), next.lap) >= 0 && word_state(word) != PUBLISHED;
    if (claimed && !oldest_missing && oldest + g->slots == tail) missing++;
    out->length = tail - oldest - missing;
    fence_acquire(); /* try_totals:fence: whatever changed these words is seen as begun or counted below */
    return load_relaxed(&control->skip_ledger) == skips && load_relaxed(&control->void_ledger) == voids &&
           load_relaxed(&control->voids_until) == until; /* try_totals:again */
}

void ring_totals(const struct ring *ring, uint32_t partition, atomic_u64 *decided, struct totals *out) {
    for (int looks = 0; looks < MOST_LOOKS && !try_totals(ring, partition, decided, out); looks++) {}
}
