/* Claiming, filling, reading and freeing slots; numbers in brackets are the sentences of log.h. */
#include "core/streams/slots.h"

#include "core/base/point.h"

#include <stdlib.h>
#include <string.h>

/* MOST_SPARES: there is room for one of each process, and what one holds, others take from what is kept.
 * MOST_LOST, MOST_LAPS: of takes whose slots others got, as many at least, and laps.
 * LOOKS_A_LAP: how often whoever takes looks whether others hold too many. */
enum { MOST_SPARES = 1, MOST_HINTS = 1024, MOST_LOST = 1 << 16, MOST_LAPS = 8, LOOKS_A_LAP = 16 };

/* ---- claiming [1] ------------------------------------------------------------------------------------------------ */

static bool claim(const struct log_view *log, uint32_t slot, uint32_t owner) {
    atomic_u64 *shared = &log_slot(log, slot)->word;
    uint64_t word = load_acquire(shared);
    return slot_state(word) == SLOT_FREE &&
           cas_acq_rel(shared, &word, slot_bears(word >> 24, owner, SLOT_CLAIMED)); /* claim:word */
}

/* Look for a free slot: where it knows of some, and from the log's hint on. Not again before one has been freed since all
 * were found taken. */
static uint32_t claim_free(const struct log_view *log, struct spares *spares, uint32_t owner) {
    while (spares->hints.count) {
        const uint32_t slot = spares->hints.slots[--spares->hints.count];
        if (claim(log, slot, owner)) return slot;
    }
    const uint64_t freed = load_acquire(&log->log->freed) + 1, count = log->geometry->log_slots;
    if (spares->freed == freed) return NO_SLOT;
    uint64_t at = load_relaxed(&log->log->hint) % count;
    for (uint64_t looked = 0; looked < count; looked++, at = at + 1 < count ? at + 1 : 0)
        if (claim(log, (uint32_t)at, owner)) {
            store_relaxed(&log->log->hint, at + 1);
            POINT("slot claimed");
            return (uint32_t)at;
        }
    spares->freed = freed;
    return NO_SLOT;
}

/* Do others hold so many slots that `count` are not left? */
static bool are_held(const struct log_view *log, uint32_t owner, uint32_t count) {
    uint64_t left = 0;
    for (uint32_t slot = 0; slot < log->geometry->log_slots && left < count; slot++) {
        const uint64_t word = load_relaxed(&log_slot(log, slot)->word);
        left += slot_state(word) != SLOT_CLAIMED || slot_owner(word) == owner;
    }
    return left < count;
}

/* [7] Take the slot of the oldest event, unless another does first. What is in reserve is kept [6]. */
static enum slot_status take(const struct log_view *log, uint32_t owner, uint64_t now_ns, uint64_t *kept,
                             uint32_t *slot) {
    struct log_moment moment;
    *slot = NO_SLOT;
    if (!log_tidy(log, &moment)) return SLOTS_DAMAGED;
    const uint64_t seen = load_acquire(log_order(log, moment.tail));
    const uint32_t oldest = seen ? linked_slot(seen) : NO_SLOT;
    const bool exists = oldest < log->geometry->log_slots &&
                        slot_has(load_acquire(&log_slot(log, oldest)->word), moment.tail - log->geometry->slots);
    if (exists && *kept < log->geometry->slots && log_is_reserved(log, oldest, now_ns))
        *kept += log_announce(log, moment, CHANGE_KEEP, oldest, 1);
    else if (log_announce(log, moment, CHANGE_TAKE, NO_SLOT, 1) && exists && claim(log, oldest, owner)) *slot = oldest;
    return SLOTS_OK;
}

static void forget_those_of_another(struct spares *spares, uint32_t owner) {
    if (spares->owner != owner) spares->count = 0;
    spares->owner = owner;
}

static bool make_room(uint32_t **slots, uint32_t *room, uint32_t count) {
    if (count <= *room) return true;
    uint32_t *more = realloc(*slots, 2 * (size_t)count * sizeof *more);
    if (!more) return false;
    *slots = more;
    *room = 2 * count;
    return true;
}

static void free_slot(const struct log_view *log, uint32_t slot, uint32_t owner) {
    atomic_u64 *shared = &log_slot(log, slot)->word;
    uint64_t word = load_acquire(shared);
    if (slot_state(word) != SLOT_CLAIMED || slot_owner(word) != owner) return;
    if (cas_acq_rel(shared, &word, slot_bears(word >> 24, 0, SLOT_FREE))) /* free_slot:word */
        add_relaxed(&log->log->freed, 1);
    POINT("slot freed");
}

void slots_keep_one(const struct log_view *log, struct spares *spares, uint32_t owner) {
    while (spares->count > MOST_SPARES) free_slot(log, spares->slots[--spares->count], owner);
}

bool slots_are_free(const struct log_view *log, struct spares *spares, uint32_t owner, uint32_t count) {
    uint32_t slot;
    forget_those_of_another(spares, owner);
    if (!make_room(&spares->slots, &spares->room, count)) return false;
    while (spares->count < count && (slot = claim_free(log, spares, owner)) != NO_SLOT)
        spares->slots[spares->count++] = slot;
    return spares->count >= count;
}

/* Have `count` spares. */
static enum slot_status gather(const struct log_view *log, struct spares *spares, uint32_t owner, uint32_t count,
                               uint64_t now_ns) {
    const uint64_t lap = log->geometry->log_slots;
    uint64_t taken = 0, kept = 0;
    while (spares->count < count) {
        uint32_t slot = claim_free(log, spares, owner);
        if (slot == NO_SLOT) {
            if (taken % (lap / LOOKS_A_LAP + 1) == 0 && are_held(log, owner, count)) return SLOTS_HELD;
            if (taken++ > MOST_LOST + MOST_LAPS * lap) return SLOTS_HELD;
            if (take(log, owner, now_ns, &kept, &slot) != SLOTS_OK) return SLOTS_DAMAGED;
            if (slot != NO_SLOT) spares->freed++; /* what was freed is ours: no reason to look again */
        }
        if (slot != NO_SLOT) spares->slots[spares->count++] = slot;
    }
    return SLOTS_OK;
}

enum slot_status slots_claim(const struct log_view *log, struct spares *spares, uint32_t owner, uint32_t count,
                             uint64_t now_ns, uint32_t *claimed) {
    forget_those_of_another(spares, owner);
    if (!make_room(&spares->slots, &spares->room, spares->count > count ? spares->count : count))
        return SLOTS_NO_MEMORY;
    const enum slot_status status = gather(log, spares, owner, count, now_ns);
    if (status != SLOTS_OK) { /* others wait for them */
        slots_keep_one(log, spares, owner);
        return status;
    }
    for (uint32_t i = 0; i < count; i++) {
        claimed[i] = spares->slots[spares->count - 1 - i];
        const uint64_t word = load_acquire(&log_slot(log, claimed[i])->word); /* slots_claim:word, before a write */
        if (slot_state(word) != SLOT_CLAIMED || slot_owner(word) != owner) return SLOTS_DAMAGED;
    }
    spares->count -= count;
    return SLOTS_OK;
}

void slots_give_back(const struct log_view *log, struct spares *spares, uint32_t owner, uint32_t slot) {
    if (spares->count < MOST_SPARES && make_room(&spares->slots, &spares->room, MOST_SPARES)) {
        spares->slots[spares->count++] = slot;
        return;
    }
    free_slot(log, slot, owner);
    slots_remember(spares, &slot, 1);
}

void slots_remember(struct spares *spares, const uint32_t *slots, uint32_t count) {
    uint32_t known = spares->hints.count;
    if (!make_room(&spares->hints.slots, &spares->hints.room, known + count)) return;
    for (uint32_t i = 0; i < count && known < MOST_HINTS; i++)
        if (slots[i] != NO_SLOT) spares->hints.slots[known++] = slots[i];
    spares->hints.count = known;
}

void slots_leave(const struct log_view *log, struct spares *spares, uint32_t owner) {
    if (spares->owner == owner)
        while (spares->count) free_slot(log, spares->slots[--spares->count], owner);
    free(spares->slots);
    free(spares->hints.slots);
    *spares = (struct spares){0};
}

void slots_sweep(const struct log_view *log, uint32_t owner) {
    struct log_moment moment;
    if (!log_tidy(log, &moment)) return;
    for (uint32_t slot = 0; slot < log->geometry->log_slots; slot++) free_slot(log, slot, owner);
}

/* ---- contents ---------------------------------------------------------------------------------------------------- */

void slots_fill(struct event_slot *slot, const struct piece pieces[PIECES]) {
    atomic_u64 *to = slot->text;
    fence_release(); /* slots_fill:fence: the claim is seen before any byte of what is written now */
    for (int i = 0; i < PIECES; i++) {
        const unsigned char *from = pieces[i].bytes;
        const size_t count = pieces[i].count, words = count / 8, left = count % 8;
        if (!count) continue;
#pragma GCC unroll 4
        for (size_t at = 0; at < words; at++) store_relaxed(to + at, piece_word(from + 8 * at, 8));
        /* what is left are the last of eight bytes, where there are eight */
        if (left)
            store_relaxed(to + words,
                          words ? piece_word(from + count - 8, 8) >> 8 * (8 - left) : piece_word(from, left));
        to += words + (left > 0);
    }
}

size_t slots_text_bytes(const struct log_view *log, const struct event_facts *facts) {
    const uint64_t most = log->geometry->event_bytes - sizeof(struct event_slot);
    const uint64_t bytes = piece_room(origin_type_bytes(facts->origin)) + piece_room(origin_id_bytes(facts->origin)) +
                           piece_room((uint32_t)facts->sizes) + (facts->sizes >> 32);
    return bytes < most ? bytes : most;
}

bool slots_read(const struct log_view *log, uint32_t index, struct event_facts *facts, void *text, size_t room) {
    struct event_slot *slot = log_slot(log, index);
    facts->word = load_acquire(&slot->word); /* slots_read:word */
    if (slot_state(facts->word) != SLOT_PUBLISHED) return false;
    facts->origin = load_relaxed(&slot->origin);
    facts->version = load_relaxed(&slot->version);
    facts->position = load_relaxed(&slot->position);
    facts->links = load_relaxed(&slot->links);
    facts->jump = load_relaxed(&slot->jump);
    facts->jump_of_jump = load_relaxed(&slot->jump_of_jump);
    facts->time_ns = load_relaxed(&slot->time_ns);
    facts->id_next = load_relaxed(&slot->id_next);
    facts->id_hash = load_relaxed(&slot->id_hash);
    facts->sizes = load_relaxed(&slot->sizes);
    size_t bytes = slots_text_bytes(log, facts);
    if (bytes > room) bytes = room;
    unsigned char *to = text;
    for (size_t at = 0; at < bytes; at += 8) {
        const uint64_t word = load_relaxed(slot->text + at / 8); /* slots_read:text */
        memcpy(to + at, &word, bytes - at < 8 ? bytes - at : 8);
    }
    fence_acquire();                                 /* slots_read:fence */
    return load_relaxed(&slot->word) == facts->word; /* slots_read:again */
}
