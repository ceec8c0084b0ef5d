/* Copying ahead: records of one partition after the other into private memory, not looking too often, gaps noted. */
#include "binding/cursors/cursor.h"

#include <string.h>

enum {
    GATHER_NS = 8000,   /* between two looks of a reader while records stream in */
    WINDOW_NS = 16000,  /* over which it is decided whether they do */
    STREAM_NS = 500,    /* a record in less than this on the average is a stream */
    MOST_GAPS = 1 << 16 /* kept for callers that never ask for them */
};

/* ---- looking not too often ---------------------------------------------------------------------------------------- */

/* While records stream in, a look for each of them takes the writer's cache lines from it: let a few gather. */
void cursor_let_gather(const Cursor *cursor) {
    if (!cursor->streams || !cursor->caught_up) return;
    while (monotonic_ns() - cursor->looked_ns < GATHER_NS)
        for (int i = 0; i < 4; i++) cpu_relax();
}

void cursor_note_look(Cursor *cursor, uint64_t came, bool caught_up) {
    const int64_t now = monotonic_ns();
    cursor->looked_ns = now;
    cursor->caught_up = caught_up;
    cursor->came += came;
    const int64_t passed = now - cursor->since_ns;
    if (passed < WINDOW_NS) return;
    cursor->streams = cursor->came * STREAM_NS > (uint64_t)passed;
    cursor->since_ns = now;
    cursor->came = 0;
}

/* ---- copying ------------------------------------------------------------------------------------------------------ */

/* A gap ends a copy that has begun, so that copied tickets are consecutive and gaps come in order. */
struct gap_stop {
    const struct destination *to;
    struct gap_list *gaps;
};
static bool report_between(void *context, uint32_t partition, uint64_t first, uint64_t end, enum gap_reason reason) {
    const struct gap_stop *stop = context;
    return !stop->to->row && gap_list_report(stop->gaps, partition, first, end, reason);
}

/* The oldest half goes when there are too many; they stay counted. */
static void forget_gaps(struct gap_list *list) {
    if (list->count < MOST_GAPS) return;
    memmove(list->gaps, list->gaps + MOST_GAPS / 2, (list->count - MOST_GAPS / 2) * sizeof *list->gaps);
    list->count -= MOST_GAPS / 2;
}

static void count_lapped(Store *store, uint64_t lapped) { /* seldom: let statistics know */
    if (!lapped || !store->handle.ring.writable) return;
    add_relaxed(&store->handle.board->lapped, lapped);
    uint32_t owner = processes_owner(&store->handle.processes);
    if (owner) add_relaxed(&processes_place(&store->handle.ring, owner_place(owner))->lapped, lapped);
}

/* Copy from one partition, up to its end, `most` rows or the next gap. */
static enum read_status copy_ahead(Cursor *cursor, struct follow *follow, uint64_t most) {
    Store *store = cursor->store;
    struct destination to = {.room = most < cursor->scratch_rows ? most : cursor->scratch_rows};
    for (uint32_t i = 0; i < store->handle.geometry.options.field_count; i++) to.columns[i] = cursor->columns[i];
    struct gap_stop stop = {&to, &cursor->gaps};
    const struct gap_sink sink = {report_between, &stop};
    const uint64_t lapped = cursor->gaps.lapped;
    forget_gaps(&cursor->gaps);
    uint64_t next = load_relaxed(&follow->ahead);
    enum read_status status = ring_read(&store->handle.ring, follow->partition, &next, follow->end, true, &to, &sink);
    cursor->held = (struct stretch){follow, next - to.row, to.row};
    cursor->row = 0;
    store_relaxed(&follow->ahead, next);
    count_lapped(store, cursor->gaps.lapped - lapped);
    return status;
}

/* A read ends at the tails of when it began, so that it does not chase writers. */
void cursor_note_ends(Cursor *cursor) {
    for (uint32_t i = 0; i < cursor->count; i++)
        cursor->follows[i].end =
            load_acquire(&ring_partition(&cursor->store->handle.ring, cursor->follows[i].partition)->tail);
}

/* Copy from the next partition that has something, each in its turn; `idle` counts those that have no more. */
enum filled cursor_fill(Cursor *cursor, uint64_t most, uint32_t *idle) {
    for (; *idle < cursor->count; cursor->turn++) {
        struct follow *follow = &cursor->follows[cursor->turn % cursor->count];
        const uint64_t before = load_relaxed(&follow->ahead);
        if (before >= follow->end) {
            ++*idle;
            continue;
        }
        enum read_status status = copy_ahead(cursor, follow, most);
        if (cursor->held.count) {
            *idle = 0;
            cursor->turn++;
            return FILLED;
        }
        if (status == READ_DAMAGED) return FILL_DAMAGED;
        if (status == READ_FULL && load_relaxed(&follow->ahead) == before) return FILL_NO_MEMORY;
        *idle = status == READ_HELD || load_relaxed(&follow->ahead) >= follow->end ? *idle + 1 : 0;
    }
    return FILLED_NOT;
}

/* The partition whose turn it is has a damaged slot: pass over it, and raise an error. */
int cursor_pass_damaged(Cursor *cursor) {
    struct follow *follow = &cursor->follows[cursor->turn++ % cursor->count];
    const uint64_t ticket = load_relaxed(&follow->ahead);
    if (!gap_list_report(&cursor->gaps, follow->partition, ticket, ticket + 1, GAP_DAMAGED)) {
        PyErr_NoMemory();
        return -1;
    }
    store_relaxed(&follow->ahead, ticket + 1);
    follow->next = ticket + 1;
    raise_error(cursor->store->state, ERROR_DAMAGED_SEGMENT,
                "slot word of ticket %llu of partition %u contradicts the tail: the segment was overwritten from "
                "outside; run 'shmstore-inspect check'. The cursor has passed this ticket and goes on behind it",
                (unsigned long long)ticket, follow->partition);
    return -1;
}
