/* Questions while others append, stall and die: every record that is read is whole and in its place, and every summary
 * that is believed says what was appended at the tickets of its block. */
#include "core/questions/scan.h"
#include "harness.h"

#include <pthread.h>
#include <sched.h>

enum { WRITERS = 3, ASKERS = 3, MOST_TICKETS = 1 << 18, MOST_BELIEVED = 1 << 16, SEQUENCE_BITS = 40 };
enum { WRITER_FIELD, SEQUENCE_FIELD };

/* What a summary said about a block. */
struct believed {
    uint64_t first, records;
    struct facts writers, sequences;
};

struct trial {
    struct store *store;
    atomic_u64 running, stalled;      /* writers */
    atomic_u64 written[MOST_TICKETS]; /* by ticket, when appended: (writer + 1) << SEQUENCE_BITS | sequence */
    struct believed believed[MOST_BELIEVED];
    atomic_u64 believed_count, read;
    atomic_u64 *sealed[2]; /* of two processes */
};

/* ---- writers ----------------------------------------------------------------------------------------------------- */

struct writer {
    struct trial *trial;
    uint32_t number, owner;
    uint64_t sequence, stalls_until; /* 0: it does not */
};
static _Thread_local struct writer *self;

/* Stand still for a part of a lap, now and then for more than one, or until everybody stands still. */
static void stall_here(const char *name) {
    struct trial *trial = self->trial;
    if (!self->stalls_until || strcmp(name, "payload written")) return;
    add_relaxed(&trial->stalled, 1);
    while (tail_of(trial->store) < self->stalls_until && load_relaxed(&trial->stalled) < load_relaxed(&trial->running))
        sched_yield();
    add_relaxed(&trial->stalled, UINT64_MAX);
    self->stalls_until = 0;
}

static void append_one(void *argument) {
    struct writer *w = argument;
    struct store *store = w->trial->store;
    unsigned char record[STAGED_BYTES];
    struct appended out;
    stage(&store->handle.geometry, w->number, w->sequence, record);
    expect_equal(ring_append(&store->handle.ring, 0, w->owner, record, NULL, &out), APPEND_DONE);
    store_relaxed(&w->trial->written[out.ticket], (uint64_t)(w->number + 1) << SEQUENCE_BITS | w->sequence);
}

static void *append_all(void *argument) {
    struct writer *w = self = argument;
    struct store *store = w->trial->store;
    seed_thread(w->number);
    at_point = stall_here;
    w->owner = join(store, w->number);
    for (uint64_t end = 800 * effort; w->sequence < end && tail_of(store) < MOST_TICKETS - 50000; w->sequence++) {
        uint64_t chance = random_number(2000);
        if (chance == 0) {
            die(store, w->owner);
            expect(leaves_at("tail moved", 0, append_one, w));
            w->owner = join(store, w->number);
        } else if (chance < 3) {
            w->stalls_until = tail_of(store) + random_number(store->handle.geometry.slots * 3 / 2);
        }
        append_one(w);
    }
    add_relaxed(&w->trial->running, UINT64_MAX);
    return NULL;
}

/* ---- askers ------------------------------------------------------------------------------------------------------ */

struct asker {
    struct trial *trial;
    uint32_t number, process;
    struct range range;
};

static bool believe(void *context, const struct block *block) {
    struct asker *asker = context;
    const struct facts *facts = block->facts;
    if (!facts[WRITER_FIELD].known || !facts[SEQUENCE_FIELD].known) return false;
    uint64_t at = add_relaxed(&asker->trial->believed_count, 1);
    if (at < MOST_BELIEVED)
        asker->trial->believed[at] =
            (struct believed){asker->range.next, block->records, facts[WRITER_FIELD], facts[SEQUENCE_FIELD]};
    return true;
}

/* Each record is whole, and what one writer appended comes in its order: no record of another lap is among them. */
static void expect_in_order(const struct geometry *g, const struct batch *batch, uint64_t next[WRITERS]) {
    struct destination to = {.room = batch->rows};
    memcpy(to.columns, batch->columns, sizeof to.columns);
    for (uint32_t row = 0; row < batch->rows; row++) {
        uint64_t writer, sequence;
        expect_whole(g, &to, row, &writer, &sequence);
        expect(writer < WRITERS && sequence >= next[writer]);
        next[writer] = sequence + 1;
    }
}

static void ask_once(struct asker *asker, unsigned char *buffer, bool summarises) {
    struct trial *trial = asker->trial;
    const struct geometry *g = &trial->store->handle.geometry;
    struct program program;
    struct scan scan = {
        .ring = &trial->store->handle.ring,
        .program = &program,
        .ranges = &asker->range,
        .range_count = 1,
        .sealed = trial->sealed[asker->process],
        .summarises = summarises,
    };
    program_begin(&program, trial->store->handle.header.fields, g->options.field_count);
    scan.needs = scan.kept = (UINT64_C(1) << g->options.field_count) - 1;
    if (summarises) scan.taker = (struct block_taker){believe, asker};
    asker->range = scan_range(&trial->store->handle.ring, 0);
    uint64_t next[WRITERS] = {0}, length = asker->range.end - asker->range.next, rows = 0;
    struct batch batch;
    enum scan_status status;
    scan_begin(&scan, buffer, NULL);
    while ((status = scan_next(&scan, &batch)) == SCAN_BATCH) {
        expect_in_order(g, &batch, next);
        rows += batch.rows;
        if (!random_number(8)) sched_yield(); /* be lapped in the middle */
    }
    expect_equal(status, SCAN_END);
    expect(rows <= length);
    add_relaxed(&trial->read, rows);
}

/* Until the writers are through, and then three times in peace: the third finds summaries. */
static void *ask_without_end(void *argument) {
    struct asker *asker = argument;
    const struct geometry *g = &asker->trial->store->handle.geometry;
    size_t bytes = (scan_buffer_bytes(g, UINT64_MAX) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    unsigned char *buffer = aligned_alloc(CACHE_LINE, bytes);
    seed_thread(WRITERS + asker->number);
    while (load_acquire(&asker->trial->running)) ask_once(asker, buffer, random_number(4));
    for (int times = 0; times < 3; times++) ask_once(asker, buffer, true);
    free(buffer);
    return NULL;
}

/* ---- what must hold ---------------------------------------------------------------------------------------------- */

static void expect_true(const struct trial *trial, const struct believed *believed) {
    uint64_t writers = 0, sequences = 0, low = UINT64_MAX, high = 0;
    for (uint64_t t = believed->first; t < believed->first + believed->records; t++) {
        uint64_t identity = load_relaxed(&trial->written[t]);
        if (!identity) fail("a summary tells of ticket %llu, which nobody appended", (unsigned long long)t);
        uint64_t sequence = identity & ((UINT64_C(1) << SEQUENCE_BITS) - 1);
        writers += (identity >> SEQUENCE_BITS) - 1;
        sequences += sequence;
        low = sequence < low ? sequence : low;
        high = sequence > high ? sequence : high;
    }
    expect(believed->writers.sum.integer.total == writers);
    expect(believed->sequences.sum.integer.total == sequences);
    expect_equal(believed->sequences.low.u, low);
    expect_equal(believed->sequences.high.u, high);
}

/* Returns how many summaries were believed. */
static uint64_t try_layout(uint32_t layout, uint64_t capacity) {
    struct trial *trial = calloc(1, sizeof *trial);
    trial->store = make_store((struct wish){.capacity = capacity, .layout = layout});
    struct writer writers[WRITERS];
    struct asker askers[ASKERS];
    pthread_t threads[WRITERS + ASKERS];
    const uint64_t blocks = trial->store->handle.geometry.block_count;
    for (int i = 0; i < 2; i++) trial->sealed[i] = calloc(blocks, sizeof(atomic_u64));
    store_release(&trial->running, WRITERS);
    for (uint32_t i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.trial = trial, .number = i};
        pthread_create(&threads[i], NULL, append_all, &writers[i]);
    }
    for (uint32_t i = 0; i < ASKERS; i++) { /* two threads of one process, and another process */
        askers[i] = (struct asker){.trial = trial, .number = i, .process = i / 2};
        pthread_create(&threads[WRITERS + i], NULL, ask_without_end, &askers[i]);
    }
    for (int i = 0; i < WRITERS + ASKERS; i++) pthread_join(threads[i], NULL);
    uint64_t count = load_relaxed(&trial->believed_count);
    for (uint64_t i = 0; i < count && i < MOST_BELIEVED; i++) expect_true(trial, &trial->believed[i]);
    expect(load_relaxed(&trial->read));
    expect_equal(violations_of(trial->store), 0);
    free_store(trial->store);
    for (int i = 0; i < 2; i++) free(trial->sealed[i]);
    free(trial);
    return count;
}

CASE(every_summary_that_is_believed_is_true_and_every_record_whole_in_a_small_ring) {
    for_each(layout, BOTH_LAYOUTS) try_layout(layout, 2 * LEAST_BLOCK_SLOTS + 88);
}

CASE(and_in_one_of_many_blocks) {
    for_each(layout, BOTH_LAYOUTS) expect(try_layout(layout, 20 * LEAST_BLOCK_SLOTS + 1));
}
