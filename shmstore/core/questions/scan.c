/* Scanning, block by block; see scan.h. */
#include "core/questions/scan.h"

#include <string.h>

/* Steps of one call, each a batch at most, or a block that need not be read: after them the caller may do something else. */
enum { MOST_STEPS = 16 };

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

static uint64_t column_bytes(const struct field *field) {
    return (BATCH_ROWS * field->bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
}

size_t scan_buffer_bytes(const struct geometry *g, uint64_t needs) {
    size_t bytes = CACHE_LINE;
    for (uint32_t i = 0; i < g->options.field_count; i++)
        if (needs >> i & 1) bytes += column_bytes(&g->fields[i]);
    return bytes;
}

struct range scan_range(const struct ring *ring, uint32_t partition) {
    uint64_t tail = load_acquire(&ring_partition(ring, partition)->tail); /* scan_range:tail */
    return (struct range){partition, ring_oldest(ring, partition, tail), tail};
}

void scan_begin(struct scan *scan, unsigned char *buffer, uint8_t *room) {
    const struct geometry *g = scan->ring->geometry;
    for (uint32_t i = 0; i < g->options.field_count; i++) {
        scan->columns[i] = scan->needs >> i & 1 ? buffer : NULL;
        if (scan->columns[i]) buffer += column_bytes(&g->fields[i]);
    }
    scan->room = room;
    scan->modes = NULL;
    scan->to.room = BATCH_ROWS;
    scan->summary.making = false;
    scan->whole_from = UINT64_MAX;
    scan->at = 0;
}

/* ---- blocks ------------------------------------------------------------------------------------------------------- */

/* The block that the next ticket of a range lies in. */
struct stretch {
    struct where at;
    uint64_t block, first, slots, end; /* its first ticket, its slots, and where it or the range ends */
    bool whole;                        /* all of it is still to be read, and in the range */
};

static struct stretch stretch_of(const struct geometry *g, const struct range *range) {
    struct stretch stretch = {.at = ring_where(g, range->next)};
    stretch.block = stretch.at.slot / g->block_slots;
    const uint64_t begins = stretch.block * g->block_slots;
    stretch.slots = least(g->slots - begins, g->block_slots);
    stretch.first = range->next - (stretch.at.slot - begins);
    stretch.end = range->next + least(stretch.first + stretch.slots - range->next, range->end - range->next);
    stretch.whole = range->next == stretch.first && stretch.end - stretch.first == stretch.slots;
    return stretch;
}

/* ---- summaries ---------------------------------------------------------------------------------------------------- */

/* [2] Find out what is known of some fields of a whole block. Returns whether all that hold numbers are known; *any: one is,
 * so that somebody has seen every record of the block published. */
static bool know(const struct ring *ring, uint64_t fields, uint32_t partition, const struct stretch *in,
                 struct facts *facts, struct bounds *bounds, bool *any) {
    const struct geometry *g = ring->geometry;
    bool all = true;
    for (uint32_t i = 0; i < g->options.field_count; i++) {
        if (!(fields >> i & 1) || !field_has_summary(&g->fields[i])) continue;
        summary_read(g, ring->memory, partition, in->block, in->at.lap, i, &facts[i]);
        all &= facts[i].known;
        *any |= facts[i].known;
        bounds[i] = (struct bounds){facts[i].known && !facts[i].has_nan, facts[i].low, facts[i].high};
    }
    return all;
}

/* Nothing is known of any field yet. */
static void know_nothing(const struct geometry *g, struct facts *facts, struct bounds *bounds) {
    for (uint32_t i = 0; i < g->options.field_count; i++) facts[i].known = bounds[i].known = false;
}

/* [4] Begin to summarise the block whose first ticket is the next to be read. */
static void begin_summary(struct scan *scan, uint32_t partition, const struct stretch *in) {
    const struct geometry *g = scan->ring->geometry;
    scan->summary.making = true;
    scan->summary.partition = partition;
    scan->summary.block = in->block;
    scan->summary.lap = in->at.lap;
    scan->summary.end = in->end;
    for (uint32_t i = 0; i < g->options.field_count; i++) facts_begin(&scan->facts[i], lane_of(g->fields[i].kind));
}

/* Records [first, row) of the batch, up to ticket `next`, are of the block that is being summarised. */
static void go_on_with_summary(struct scan *scan, uint64_t first, uint64_t next) {
    const struct geometry *g = scan->ring->geometry;
    bool done = next == scan->summary.end;
    for (uint32_t i = 0; i < g->options.field_count; i++) {
        const struct field *field = &g->fields[i];
        if (!(scan->needs >> i & 1) || !field_has_summary(field)) continue;
        facts_add(&scan->facts[i], field, scan->to.columns[i] + first * field->bytes, (uint32_t)(scan->to.row - first));
        if (done)
            summary_write(g, scan->ring->memory, scan->summary.partition, scan->summary.block, scan->summary.lap, i,
                          &scan->facts[i]);
    }
    scan->summary.making = !done;
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

/* Copy only these fields from here on. */
static void copy_only(struct scan *scan, uint64_t needs, const uint8_t *modes) {
    for (uint32_t i = 0; i < scan->ring->geometry->options.field_count; i++)
        scan->to.columns[i] = needs >> i & 1 ? scan->columns[i] : NULL;
    scan->modes = modes;
}

/* How to go on with a whole block: its records need not be read, or all that the program needs of them, or less. */
enum reading { SETTLED, READ_ALL, READ_LESS };

/* [2] See what is known of the block. Of one that is not whole, because some of it was cleared or overwritten, or came later,
 * that no record matches is all that a summary can tell. */
static enum reading judge(struct scan *scan, uint32_t partition, const struct stretch *in, bool sealed,
                          uint64_t *needs) {
    const struct program *program = scan->program;
    const struct block whole = {in->slots, scan->facts};
    struct bounds bounds[MAX_FIELDS];
    bool any = false, known;
    know_nothing(scan->ring->geometry, scan->facts, bounds);
    known = know(scan->ring, program->tested, partition, in, scan->facts, bounds, &any);
    const enum verdict verdict = !program->filters ? MATCHES_ALL : any ? program_judge(program, bounds) : MATCHES_SOME;
    if (verdict == MATCHES_NONE) return SETTLED; /* most blocks, when a window of time is asked about */
    if (!in->whole) return READ_ALL;
    known &= know(scan->ring, scan->needs & ~program->tested, partition, in, scan->facts, bounds, &any);
    if (verdict == MATCHES_ALL && (any || sealed) && scan->taker.take && scan->taker.take(scan->taker.context, &whole))
        return SETTLED;
    if (sealed && !known && scan->ring->writable) {
        begin_summary(scan, partition, in);
    } else if (any) {
        program_narrow(program, bounds, scan->room, needs);
        if ((*needs |= scan->kept) != scan->needs) return READ_LESS;
    }
    return READ_ALL;
}

uint64_t scan_pass_over(const struct ring *ring, const struct program *program, struct range *range) {
    struct facts facts[MAX_FIELDS];
    struct bounds bounds[MAX_FIELDS];
    while (range->next < range->end) {
        const struct stretch in = stretch_of(ring->geometry, range);
        bool any = false;
        know_nothing(ring->geometry, facts, bounds);
        know(ring, program->tested, range->partition, &in, facts, bounds, &any);
        if (!any || program_judge(program, bounds) != MATCHES_NONE) return in.end;
        range->next = in.end;
    }
    return range->end;
}

enum progress { WENT_ON, BATCH_FULL, DAMAGED };

/* Read on in one block, or settle it whole. */
static enum progress scan_block(struct scan *scan, struct range *range) {
    const struct geometry *g = scan->ring->geometry;
    const struct stretch in = stretch_of(g, range);
    atomic_u64 *mark = &scan->sealed[range->partition * g->block_count + in.block];
    const bool sealed = load_acquire(mark) == in.at.lap + 1; /* scan_block:sealed */
    if (in.whole && scan->to.row && scan->to.room - scan->to.row < in.slots)
        return BATCH_FULL; /* so that a block is cut in the same pieces, and summed alike, whoever reads it */
    if (scan->summarises && !scan->summary.making && !scan->modes) {
        uint64_t needs = scan->needs;
        enum reading reading = judge(scan, range->partition, &in, sealed, &needs);
        if (reading == SETTLED) {
            range->next = in.end;
            return WENT_ON;
        }
        if (reading == READ_LESS) {
            if (scan->to.row) return BATCH_FULL; /* a batch has one way to run */
            copy_only(scan, needs, scan->room);
            scan->less_until = in.end;
        }
    }
    uint64_t row = scan->to.row, count = least(in.end - range->next, scan->to.room - row);
    if (sealed && ring_copy_published(scan->ring, range->partition, range->next, count, &scan->to)) {
        range->next += count;
        if (scan->summary.making) go_on_with_summary(scan, row, range->next);
        return scan->modes && range->next == scan->less_until ? BATCH_FULL : WENT_ON;
    }
    scan->summary.making = false;
    uint64_t began = range->next;
    enum read_status status =
        ring_read(scan->ring, range->partition, &range->next, began + count, false, &scan->to, &no_gaps);
    if (status == READ_DAMAGED) return DAMAGED;
    if (began == in.first) scan->whole_from = in.first;
    if (scan->to.row - row < count) scan->whole_from = UINT64_MAX;
    if (scan->whole_from == in.first && range->next == in.first + in.slots)
        store_release(mark, in.at.lap + 1); /* scan_block:seal [3] */
    return scan->modes && range->next == scan->less_until ? BATCH_FULL : WENT_ON;
}

enum scan_status scan_next(struct scan *scan, struct batch *batch) {
    enum progress progress = WENT_ON;
    scan->to.row = 0;
    for (int steps = 0; scan->at < scan->range_count && scan->to.row < scan->to.room && steps < MOST_STEPS; steps++) {
        struct range *range = &scan->ranges[scan->at];
        if (!scan->to.row && (!scan->modes || range->next >= scan->less_until)) copy_only(scan, scan->needs, NULL);
        if (range->next < range->end) {
            progress = scan_block(scan, range);
        } else {
            scan->at++;
            scan->whole_from = UINT64_MAX;
        }
        if (progress == DAMAGED) return SCAN_DAMAGED;
        if (progress == BATCH_FULL && scan->to.row) break; /* else all of a block is gone */
    }
    batch->rows = (uint32_t)scan->to.row;
    for (uint32_t i = 0; i < scan->ring->geometry->options.field_count; i++) batch->columns[i] = scan->to.columns[i];
    return scan->at < scan->range_count || batch->rows ? SCAN_BATCH : SCAN_END;
}
