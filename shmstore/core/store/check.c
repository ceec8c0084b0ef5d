/* Executable invariants; each function checks one part of the segment. */
#include "core/store/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MOST_REPORTED = 20, LOOKS = 3 };

struct checking {
    const struct check_report *report;
    uint64_t count;
};

__attribute__((format(printf, 2, 3))) static void violation(struct checking *checking, const char *format, ...) {
    if (checking->count++ >= MOST_REPORTED) return;
    char text[240];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    checking->report->violation(checking->report->context, text);
}

typedef unsigned long long number;

/* Is the lap of a slot's word possible with a tail anywhere in [before, after]? The slot of ticket `after` may be claimed already. */
static bool lap_is_possible(const struct ring *ring, uint64_t slot, uint64_t word, uint64_t before, uint64_t after) {
    const uint64_t slots = ring->geometry->slots;
    uint64_t least = before / slots + (before % slots > slot), most = after / slots + (after % slots >= slot);
    return lap_distance(word_lap(word), least & LAP_MASK) >= 0 && lap_distance(most & LAP_MASK, word_lap(word)) >= 0;
}

static const char *slot_fault(const struct ring *ring, const struct processes *processes, uint64_t slot, uint64_t word,
                              uint64_t before, uint64_t after) {
    if (!lap_is_possible(ring, slot, word, before, after)) return "bears a lap that its partition's tail excludes";
    switch (word_state(word)) {
    case EMPTY: return word ? "is empty but not zero" : NULL;
    case PUBLISHED:
    case SKIPPED:
    case VOID:
    case ABANDONED: return word_owner(word) ? "names an owner that holds nothing" : NULL;
    case WRITING:
    case STALLED: {
        uint32_t index = owner_place(word_owner(word));
        if (index >= ring->geometry->options.processes) return "is held by a place that does not exist";
        uint64_t place = load_acquire(&processes_place(processes->ring, index)->word);
        if (place_state(place) == PLACE_FREE || place_owner(index, place) != word_owner(word))
            return "is held by a process that has left its place";
        return NULL;
    }
    default: return "bears an unknown state";
    }
}

/* Does the record of a published slot name a key? Looked at between two looks at its word. */
static bool names_its_key(const struct ring *ring, const struct table *table, uint32_t p, uint64_t slot, uint64_t word,
                          uint32_t *id) {
    const struct field *field = &ring->geometry->fields[ring->geometry->key_field];
    const unsigned char *at = ring_slots(ring, p) + field->base + slot * field->stride;
    *id = load_relaxed((const atomic_u32 *)(const void *)at);
    fence_acquire();
    return load_relaxed(ring_word(ring, p, slot)) != word || table_names(table, *id);
}

static void check_partition(const struct ring *ring, const struct processes *processes, uint32_t p,
                            struct checking *c) {
    struct partition *control = ring_partition(ring, p);
    for (uint64_t slot = 0; slot < ring->geometry->slots; slot++) {
        const char *fault = NULL;
        uint64_t word = 0, before = 0;
        for (int look = 0; look < LOOKS; look++) {
            before = load_acquire(&control->tail);
            word = load_acquire(ring_word(ring, p, slot));
            fault = slot_fault(ring, processes, slot, word, before, load_acquire(&control->tail));
            if (!fault) break;
        }
        if (fault)
            violation(c, "partition %u: slot %llu (word %016llx) %s; the tail is %llu", p, (number)slot, (number)word,
                      fault, (number)before);
    }
    uint64_t floor = load_acquire(&control->floor), tail = load_acquire(&control->tail);
    if (floor > tail)
        violation(c, "partition %u: the floor %llu lies above the tail %llu", p, (number)floor, (number)tail);
    uint64_t until = load_acquire(&control->voids_until), slots = ring->geometry->slots;
    tail = load_acquire(&control->tail);
    if (until > tail + slots + 1)
        violation(c, "partition %u: voided tickets are to be looked for until ticket %llu; the tail is %llu", p,
                  (number)until, (number)tail);
}

static void check_keys(const struct table *table, struct checking *c) {
    const struct geometry *g = table->geometry;
    const atomic_u64 *buckets = (const atomic_u64 *)(const void *)(table->memory + g->buckets_offset);
    char text[MAX_KEY_BYTES];
    uint64_t published = 0;
    for (uint64_t at = 0; at < g->bucket_count; at++) {
        uint64_t word = load_acquire(buckets + at);
        if (!word) continue;
        published++;
        uint32_t id = (uint32_t)word - 1, found = 0;
        int64_t length = table_cell_text(table, id, text); /* perhaps not marked yet */
        if (length == NO_TEXT) {
            violation(c, "key bucket %llu names id %u, which has no text", (number)at, id);
            continue;
        }
        if (fnv1a(text, (size_t)length) >> 32 != word >> 32 ||
            table_find(table, text, (size_t)length, &found) != TABLE_OK || found != id)
            violation(c, "key id %u ('%.*s') is not found under its own text", id, (int)length, text);
    }
    if (published > table_count(table))
        violation(c, "%llu keys are published, but only %u reserved", (number)published, table_count(table));
}

static void check_places(const struct processes *processes, struct checking *c) {
    for (uint32_t index = 0; index < processes->ring->geometry->options.processes; index++) {
        uint64_t word = load_acquire(&processes_place(processes->ring, index)->word);
        if (place_state(word) > PLACE_USED)
            violation(c, "place %u bears the unknown state %u", index, place_state(word));
    }
}

static uint64_t end_checking(const struct checking *checking) {
    if (checking->count > MOST_REPORTED) {
        char text[80];
        snprintf(text, sizeof text, "... and %llu more violations", (number)(checking->count - MOST_REPORTED));
        checking->report->violation(checking->report->context, text);
    }
    return checking->count;
}

uint64_t check_store(const struct ring *ring, const struct processes *processes, const struct table *table,
                     const struct check_report *report) {
    struct checking checking = {.report = report};
    for (uint32_t p = 0; p < ring->geometry->options.partitions; p++) check_partition(ring, processes, p, &checking);
    if (ring->geometry->key_field != NO_FIELD) check_keys(table, &checking);
    check_places(processes, &checking);
    return end_checking(&checking);
}

uint64_t check_records(const struct ring *ring, const struct table *table, const struct check_report *report) {
    struct checking checking = {.report = report};
    if (ring->geometry->key_field == NO_FIELD) return 0;
    for (uint32_t p = 0; p < ring->geometry->options.partitions; p++)
        for (uint64_t slot = 0; slot < ring->geometry->slots; slot++) {
            uint64_t word = load_acquire(ring_word(ring, p, slot));
            uint32_t id;
            if (word_state(word) == PUBLISHED && !names_its_key(ring, table, p, slot, word, &id))
                violation(&checking, "partition %u: the record of slot %llu names key id %u, which has no text", p,
                          (number)slot, id);
        }
    return end_checking(&checking);
}
