/* Reading tickets: copy, then prove that the copy is whole; sentences 7 and 8 at the top of ring.h. */
#include "core/ring/ring.h"
#include "core/base/nontemporal.h"

#include <string.h>

enum {
    RUN_ROWS = 1024,   /* copied between two proofs, at most: */
    RUN_BYTES = 16384, /* what stays in the nearest cache */
    AHEAD_BYTES = 1024 /* of the words that are looked at: the processor itself stops at each page */
};

static bool ignore_gap(void *context, uint32_t partition, uint64_t first, uint64_t end, enum gap_reason reason) {
    (void)context, (void)partition, (void)first, (void)end, (void)reason;
    return true;
}
const struct gap_sink no_gaps = {ignore_gap, NULL};

/* Eight bytes of neighbouring units in one load. One load in place of several makes no difference: a copy counts only when
 * nobody has begun to write to any of the slots that it is from. */
typedef atomic_u64 __attribute__((may_alias)) atomic_units;

#define COPY_UNITS(plain, shared)                                                                                      \
    for (; row < count; row++)                                                                                         \
    ((plain *)(void *)to)[row] = load_relaxed((const shared *)(const void *)(from + row * stride))

/* Copy `count` values of one field from consecutive slots to consecutive rows. Every load here is copy_column:unit. */
static void copy_column(const struct field *field, unsigned char *to, const unsigned char *from, uint64_t count) {
    uint64_t stride = field->stride, row = 0;
    if (field->units > 1) {
        uint64_t *out = (uint64_t *)(void *)to;
        for (; row < count; row++, from += stride)
            for (uint32_t i = 0; i < field->units; i++)
                *out++ = load_relaxed((const atomic_u64 *)(const void *)from + i);
        return;
    }
    if (stride == field->unit && stride < 8 && !(((uintptr_t)to | (uintptr_t)from) & 7)) {
        uint64_t *out = (uint64_t *)(void *)to, loads = count * stride / 8;
        for (uint64_t i = 0; i < loads; i++) out[i] = load_relaxed((const atomic_units *)(const void *)from + i);
        row = loads * 8 / stride;
    }
    switch (field->unit) {
    case 8: COPY_UNITS(uint64_t, atomic_u64); break;
    case 4: COPY_UNITS(uint32_t, atomic_u32); break;
    case 2: COPY_UNITS(uint16_t, atomic_u16); break;
    default: COPY_UNITS(uint8_t, atomic_u8); break;
    }
}

/* The same for words of eight bytes, past the caches. Every load here is copy_column:unit. */
static void stream_column(uint64_t *to, const unsigned char *from, uint64_t stride, uint64_t count) {
#define WORD(i) load_relaxed((const atomic_units *)(const void *)(from + (i)*stride))
    for (; count && !stream_begins_line(to); count--, to++, from += stride) stream_word(to, WORD(0));
    for (; count >= LINE_WORDS; count -= LINE_WORDS, to += LINE_WORDS, from += LINE_WORDS * stride) {
        const uint64_t line[LINE_WORDS] = {WORD(0), WORD(1), WORD(2), WORD(3), WORD(4), WORD(5), WORD(6), WORD(7)};
        stream_line(to, line);
    }
    for (; count; count--, to++, from += stride) stream_word(to, WORD(0));
#undef WORD
}

static void copy_rows(const struct ring *ring, uint32_t partition, uint64_t slot, uint64_t count,
                      struct destination *to) {
    const struct geometry *g = ring->geometry;
    const unsigned char *slots = ring_slots(ring, partition);
    for (uint32_t i = 0; i < g->options.field_count; i++) {
        const struct field *field = &g->fields[i];
        if (!to->columns[i]) continue;
        unsigned char *out = to->columns[i] + to->row * field->bytes;
        const unsigned char *from = slots + field->base + slot * field->stride;
        if (to->streams && field->unit == 8 && field->units == 1)
            stream_column((uint64_t *)(void *)out, from, field->stride, count);
        else copy_column(field, out, from, count);
    }
}

/* How many of the words from `first` on are `expected`. Every load here is read_run:words. */
static uint64_t count_equal(const atomic_u64 *first, uint64_t stride, uint64_t limit, uint64_t expected) {
    const unsigned char *at = (const unsigned char *)first;
    uint64_t count = 0;
#define WORD(i) load_relaxed((const atomic_u64 *)(const void *)(at + (i)*stride))
    for (; count + 4 <= limit; count += 4, at += 4 * stride) {
        __builtin_prefetch(at + AHEAD_BYTES);
        __builtin_prefetch(at + AHEAD_BYTES + 2 * stride);
        if ((WORD(0) ^ expected) | (WORD(1) ^ expected) | (WORD(2) ^ expected) | (WORD(3) ^ expected)) break;
    }
    for (; count < limit && WORD(0) == expected; count++) at += stride;
#undef WORD
    return count;
}

/* [7] Copy the published records from `ticket` on, up to `most` of them in consecutive slots of one lap. Returns how many
 * were copied and proved whole; `*lapped` tells how many before them were overwritten while we copied. */
static uint64_t read_run(const struct ring *ring, uint32_t partition, uint64_t ticket, uint64_t most,
                         struct destination *to, uint64_t *lapped) {
    const struct where at = ring_where(ring->geometry, ticket);
    const uint64_t slots = ring->geometry->slots, slot = at.slot, published = slot_word(at.lap, 0, PUBLISHED);
    uint64_t limit = slots - slot < most ? slots - slot : most, count = 0;
    if (limit > RUN_ROWS) limit = RUN_ROWS;
    if (limit * ring->geometry->word_stride > RUN_BYTES) limit = 1 + (RUN_BYTES - 1) / ring->geometry->word_stride;
    *lapped = 0;
    count = count_equal(ring_word(ring, partition, slot), ring->geometry->word_stride, limit, published);
    if (!count) return 0;
    fence_acquire(); /* read_run:before: the payload is at least as new as its word */
    copy_rows(ring, partition, slot, count, to);
    fence_acquire(); /* read_run:after: whoever overwrote what we copied is seen below */
    uint64_t tail = load_relaxed(&ring_partition(ring, partition)->tail); /* read_run:tail */
    if (ticket + slots >= tail) return count;
    /* Somebody may have written over the first rows, in ticket order: find the last that was claimed. */
    uint64_t doubtful = tail - slots - ticket;
    if (doubtful > count) doubtful = count;
    for (uint64_t row = doubtful; row > 0; row--)
        if (load_relaxed(ring_word(ring, partition, slot + row - 1)) != published) { /* read_run:again */
            *lapped = row;
            return 0; /* the caller reports these and comes back for the rest */
        }
    return count;
}

bool ring_copy_published(const struct ring *ring, uint32_t partition, uint64_t ticket, uint64_t count,
                         struct destination *to) {
    copy_rows(ring, partition, ring_where(ring->geometry, ticket).slot, count, to);
    fence_acquire(); /* ring_copy_published:after: whoever overwrote what we copied is seen below */
    uint64_t tail = load_relaxed(&ring_partition(ring, partition)->tail); /* ring_copy_published:tail */
    if (ticket + ring->geometry->slots < tail) return false;
    to->row += count;
    return true;
}

/* [8] Ticket `ticket` is not PUBLISHED of its lap: why? Sets `*end` to the end of the range with that reason. READ_END
 * means "a gap with *reason" here, READ_FULL "look again". */
static enum read_status explain(const struct ring *ring, uint32_t partition, uint64_t ticket, bool stop_at_held,
                                uint64_t *end, enum gap_reason *reason) {
    const struct where at = ring_where(ring->geometry, ticket);
    uint64_t word = load_acquire(ring_word(ring, partition, at.slot)); /* explain:word */
    int64_t distance = lap_distance(word_lap(word), at.lap);
    *end = ticket + 1;
    if (distance < 0) return READ_DAMAGED;
    if (distance > 0) {
        const struct partition *control = ring_partition(ring, partition);
        uint64_t slots = ring->geometry->slots, tail = load_acquire(&control->tail),
                 floor = load_acquire(&control->floor);
        bool cleared = floor > ticket; /* as report_unreadable tells it */
        uint64_t bound = cleared ? floor : tail > slots ? tail - slots : 0;
        if (bound > *end) *end = bound;
        *reason = cleared ? GAP_CLEARED : GAP_LAPPED;
        return READ_END;
    }
    switch (word_state(word)) {
    case PUBLISHED: return word_owner(word) ? READ_DAMAGED : READ_FULL; /* just now */
    case STALLED:
    case SKIPPED:
    case ABANDONED: *reason = GAP_SKIPPED; return READ_END;
    case VOID: *reason = GAP_VOIDED; return READ_END;
    case WRITING: break;
    default: return READ_DAMAGED;
    }
    if (ring->liveness.is_dead(ring->liveness.context, word_owner(word))) {
        /* It may have published, and died or left, since we loaded its word: then the word has changed. */
        bool changed = ring->writable ? !ring_settle(ring, partition, at.slot, word)
                                      : load_relaxed(ring_word(ring, partition, at.slot)) != word; /* explain:again */
        if (changed) return READ_FULL;
        *reason = GAP_VOIDED;
        return READ_END;
    }
    *reason = GAP_IN_FLIGHT;
    return stop_at_held ? READ_HELD : READ_END;
}

/* Report what lies between `*next` and the oldest readable ticket; false when the sink took no more. */
static bool report_unreadable(const struct ring *ring, uint32_t partition, uint64_t *next, uint64_t end,
                              const struct gap_sink *gaps) {
    struct partition *control = ring_partition(ring, partition);
    uint64_t slots = ring->geometry->slots, tail = load_acquire(&control->tail), /* report_unreadable:tail */
        floor = load_acquire(&control->floor);
    uint64_t bounds[2] = {floor < end ? floor : end, tail > slots ? tail - slots : 0};
    const enum gap_reason reasons[2] = {GAP_CLEARED, GAP_LAPPED};
    if (bounds[1] > end) bounds[1] = end;
    for (int i = 0; i < 2; i++)
        if (*next < bounds[i]) {
            if (!gaps->report(gaps->context, partition, *next, bounds[i], reasons[i])) return false;
            *next = bounds[i];
        }
    return true;
}

enum read_status ring_read(const struct ring *ring, uint32_t partition, uint64_t *next, uint64_t end, bool stop_at_held,
                           struct destination *to, const struct gap_sink *gaps) {
    if (!report_unreadable(ring, partition, next, end, gaps)) return READ_FULL;
    while (*next < end) {
        if (to->row == to->room) return READ_FULL;
        uint64_t most = end - *next < to->room - to->row ? end - *next : to->room - to->row, gap_end = 0;
        uint64_t count = read_run(ring, partition, *next, most, to, &gap_end);
        if (count) {
            to->row += count;
            *next += count;
            continue;
        }
        enum gap_reason reason = GAP_LAPPED;
        if (gap_end) {
            gap_end += *next;
        } else {
            enum read_status why = explain(ring, partition, *next, stop_at_held, &gap_end, &reason);
            if (why == READ_FULL) continue;
            if (why != READ_END) return why;
            if (gap_end > end) gap_end = end;
        }
        if (!gaps->report(gaps->context, partition, *next, gap_end, reason)) return READ_FULL;
        *next = gap_end;
    }
    return READ_END;
}
