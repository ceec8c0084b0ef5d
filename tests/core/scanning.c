/* Asking: scans, and their records added up value by value. */
#include "scanning.h"

#include <math.h>

struct asker make_asker(struct store *store, bool summarises) {
    const struct geometry *g = &store->handle.geometry;
    atomic_u64 *sealed = calloc(g->options.partitions * g->block_count, sizeof *sealed);
    if (!sealed) fail("no memory");
    struct asker asker = {.store = store, .sealed = sealed, .summarises = summarises};
    asker.needs = (UINT64_C(1) << g->options.field_count) - 1;
    program_begin(&asker.program, store->handle.header.fields, g->options.field_count);
    return asker;
}

void free_asker(struct asker *asker) {
    program_free(&asker->program);
    free(asker->sealed);
}

static bool is_asked(const struct asker *asker, uint32_t field) {
    return asker->needs >> field & 1 && asker->store->handle.geometry.fields[field].summary >= 0;
}

/* The facts of two sets of records. */
static void join_facts(enum lane lane, struct facts *facts, const struct facts *more) {
    facts->has_nan |= more->has_nan;
    if (lane == LANE_FLOAT) {
        real_sum_merge(&facts->sum.real, &more->sum.real);
        if (!(more->low.f >= facts->low.f)) facts->low = more->low;
        if (!(more->high.f <= facts->high.f)) facts->high = more->high;
        return;
    }
    facts->sum.integer.total += more->sum.integer.total;
    bool less = lane == LANE_INT ? more->low.i < facts->low.i : more->low.u < facts->low.u;
    bool greater = lane == LANE_INT ? more->high.i > facts->high.i : more->high.u > facts->high.u;
    if (less) facts->low = more->low;
    if (greater) facts->high = more->high;
}

/* Add one value, told by its kind alone. */
static void add_value(struct facts *facts, uint32_t kind, const void *value) {
    struct facts one = {.known = true};
#define CASE_OF(name, type, member)                                                                                    \
    case name: {                                                                                                       \
        type number;                                                                                                   \
        memcpy(&number, value, sizeof number);                                                                         \
        one.low.member = one.high.member = number;                                                                     \
        break;                                                                                                         \
    }
    switch (kind) {
        CASE_OF(KIND_INT8, int8_t, i)
        CASE_OF(KIND_INT16, int16_t, i)
        CASE_OF(KIND_INT32, int32_t, i)
        CASE_OF(KIND_UINT8, uint8_t, i)
    case KIND_BOOL:
        one.low.i = one.high.i = *(const uint8_t *)value != 0;
        break; /* a stray byte is true */
        CASE_OF(KIND_UINT16, uint16_t, i)
        CASE_OF(KIND_UINT32, uint32_t, i)
        CASE_OF(KIND_KEY, uint32_t, i)
        CASE_OF(KIND_INT64, int64_t, i)
        CASE_OF(KIND_TIMESTAMP, int64_t, i)
        CASE_OF(KIND_UINT64, uint64_t, u)
        CASE_OF(KIND_FLOAT32, float, f)
        CASE_OF(KIND_FLOAT64, double, f)
    default: fail("kind %u holds no number", kind);
    }
    enum lane lane = lane_of(kind);
    if (lane == LANE_FLOAT) {
        one.sum.real = (struct real_sum){one.low.f, 0};
        one.has_nan = isnan(one.low.f);
        if (one.has_nan) one.low.f = INFINITY, one.high.f = -INFINITY;
    } else {
        one.sum.integer.total = lane == LANE_INT ? (__int128)one.low.i : (__int128)one.low.u;
    }
    join_facts(lane, facts, &one);
}

static bool take(void *context, const struct block *block) {
    struct answer *answer = context;
    const struct geometry *g = &answer->asker->store->handle.geometry;
    for (uint32_t i = 0; i < g->options.field_count; i++)
        if (is_asked(answer->asker, i) && !block->facts[i].known) return false;
    for (uint32_t i = 0; i < g->options.field_count; i++) {
        struct facts facts = block->facts[i];
        if (!is_asked(answer->asker, i)) continue;
        if (facts.has_nan) facts.low = answer->facts[i].low, facts.high = answer->facts[i].high;
        join_facts(lane_of(g->fields[i].kind), &answer->facts[i], &facts);
    }
    answer->count += block->records;
    return true;
}

static void add_batch(struct answer *answer, const struct batch *batch, const struct found *found) {
    const struct geometry *g = &answer->asker->store->handle.geometry;
    answer->count += found->matched;
    answer->asker->read += batch->rows;
    for (uint32_t i = 0; i < g->options.field_count; i++)
        for (uint32_t row = 0; is_asked(answer->asker, i) && row < batch->rows; row++)
            if (!found->mask || found->mask[row])
                add_value(&answer->facts[i], g->fields[i].kind, batch->columns[i] + row * g->fields[i].bytes);
    if (answer->asker->is_noise || answer->asker->needs + 1 != UINT64_C(1) << g->options.field_count) return;
    struct destination to = {.room = batch->rows};
    memcpy(to.columns, batch->columns, sizeof to.columns);
    uint64_t writer, sequence;
    for (uint32_t row = 0; row < batch->rows; row++) expect_whole(g, &to, row, &writer, &sequence);
}

static void *aligned(size_t bytes) {
    void *memory = aligned_alloc(CACHE_LINE, (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);
    if (!memory) fail("no memory");
    return memory;
}

struct answer ask_about_all(struct asker *asker, struct range *ranges, uint32_t count) {
    const struct ring *ring = &asker->store->handle.ring;
    const struct geometry *g = ring->geometry;
    const struct program *program = &asker->program;
    struct answer answer = {.asker = asker};
    struct scan scan = {
        .ring = ring,
        .program = program,
        .needs = asker->needs | program->needs,
        .kept = asker->needs,
        .ranges = ranges,
        .range_count = count,
        .sealed = asker->sealed,
        .summarises = asker->summarises,
        .taker = {take, &answer},
    };
    void *buffer = aligned(scan_buffer_bytes(g, scan.needs)), *scratch = aligned(program_scratch_bytes(program) + 1);
    uint8_t *room = aligned(program->step_count + 1);
    for (uint32_t i = 0; i < g->options.field_count; i++) facts_begin(&answer.facts[i], lane_of(g->fields[i].kind));
    asker->read = 0;
    scan_begin(&scan, buffer, room);
    struct batch batch;
    struct found found;
    enum scan_status status;
    while ((status = scan_next(&scan, &batch)) == SCAN_BATCH) {
        expect_equal(program_run(program, g, &batch, scan.modes, scratch, &found), PROGRAM_OK);
        add_batch(&answer, &batch, &found);
    }
    expect_equal(status, SCAN_END);
    free(buffer);
    free(scratch);
    free(room);
    return answer;
}

struct answer ask_about(struct asker *asker, struct range range) {
    return ask_about_all(asker, &range, 1);
}
struct answer ask(struct asker *asker) {
    return ask_about(asker, scan_range(&asker->store->handle.ring, 0));
}

/* ---- comparing --------------------------------------------------------------------------------------------------- */

void expect_equal_answers_at(const char *file, int line, const struct answer *found, const struct answer *expected) {
    const struct geometry *g = &found->asker->store->handle.geometry;
    expect_equal_at(file, line, "records", found->count, expected->count);
    for (uint32_t i = 0; i < g->options.field_count; i++) {
        const struct facts *a = &found->facts[i], *b = &expected->facts[i];
        enum lane lane = lane_of(g->fields[i].kind);
        if (!is_asked(found->asker, i)) continue;
        expect_equal_at(file, line, "has_nan", a->has_nan, b->has_nan);
        if (!a->has_nan) { /* else a summary does not tell */
            expect_equal_at(file, line, "low", a->low.u, b->low.u);
            expect_equal_at(file, line, "high", a->high.u, b->high.u);
        }
        double sum = real_sum_value(&a->sum.real), other = real_sum_value(&b->sum.real);
        bool same = lane == LANE_FLOAT ? sum == other || (isnan(sum) && isnan(other))
                                       : a->sum.integer.total == b->sum.integer.total;
        if (!same) fail_at(file, line, "the sums of field %u differ", i);
    }
}

void expect_agreement_at(const char *file, int line, struct asker *asker, uint64_t count) {
    struct asker newcomer = make_asker(asker->store, true), doubter = make_asker(asker->store, false);
    struct answer expected = ask(&doubter);
    expect_equal_at(file, line, "records", expected.count, count);
    for (int times = 0; times < 3; times++) {
        struct answer mine = ask(asker), its = ask(&newcomer);
        expect_equal_answers_at(file, line, &mine, &expected);
        expect_equal_answers_at(file, line, &its, &expected);
    }
    free_asker(&newcomer);
    free_asker(&doubter);
}
