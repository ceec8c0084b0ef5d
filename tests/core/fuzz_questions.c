/* Questions about fields of every kind: conditions, totals, groups, windows, edges, quantiles, distinct values. */
#include "fuzz_questions.h"

#include "core/questions/order/distinct.h"
#include "core/questions/tallies/first_last.h"
#include "core/questions/order/group_values.h"
#include "core/questions/scan.h"

#include <stdlib.h>
#include <string.h>

enum { KEY, TEXT, NUMBER, FLAG, VALUE, TIME, FIELDS }; /* those of fuzz_store.c */
enum { SECOND_NS = 1000000000 };

static void require(bool condition) {
    if (!condition) abort();
}

static void *memory_of(size_t bytes) {
    void *memory = aligned_alloc(CACHE_LINE, (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);
    require(memory);
    return memory;
}

/* ---- which records ---------------------------------------------------------------------------------------------- */

static void add_step(struct program *program, struct step step) { require(!program_step(program, step)); }

/* None, one or two of the conditions, and two values; some multiply, which may leave 64 bits. */
static void make_program(struct program *program, const struct field_spec *fields, uint8_t which) {
    static const uint8_t ids[1] = {0x15};
    static const struct {
        uint32_t end;
        char text[4];
    } text = {3, {'a', 'a', 'a', 0}};
    const struct step conditions[] = {
        {.operation = STEP_RANGE, .left = VALUE, .low.f = -1, .high.f = 1e9},
        {.operation = STEP_IDS, .left = KEY, .count = 5, .data = ids, .data_bytes = sizeof ids},
        {.operation = STEP_TEXT_EQUAL, .left = TEXT, .count = 1, .data = &text, .data_bytes = sizeof text.end + 3},
        {.operation = STEP_RANGE, .left = TIME, .low.i = -5, .high.i = INT64_MAX - 1},
        {.operation = STEP_LESS, .left = MAX_FIELDS, .right = TIME}};
    enum { CONDITIONS = sizeof conditions / sizeof *conditions };
    const uint32_t first = which % (CONDITIONS + 1), /* the last: none */
        second = which / (CONDITIONS + 1);           /* none; or, and, and not another; a product */
    program_begin(program, fields, FIELDS);
    add_step(program, (struct step){.operation = STEP_LOAD, .left = NUMBER});
    if (first < CONDITIONS) add_step(program, conditions[first]);
    if (first < CONDITIONS && second && second < 4) {
        struct step step = conditions[(first + second) % CONDITIONS];
        step.to = 1;
        add_step(program, step);
        if (second == 3) add_step(program, (struct step){.operation = STEP_NOT, .to = 1, .left = 1});
        add_step(program, (struct step){.operation = second == 1 ? STEP_OR : STEP_AND, .left = 0, .right = 1});
    }
    if (second > 3)
        add_step(program, (struct step){.operation = STEP_MULTIPLY, .to = 1, .left = MAX_FIELDS, .right = TIME});
    require(!program_value(program, second > 3 ? MAX_FIELDS + 1u : VALUE));
    require(!program_value(program, MAX_FIELDS)); /* the number */
}

/* ---- what of them ----------------------------------------------------------------------------------------------- */

struct hearer {
    const struct geometry *geometry;
    const struct program *program;
    uint32_t field;
    struct tallies asked;
    struct tally tally[MAX_VALUES];
    uint64_t count;
    struct groups groups;
    struct edges edges;
    struct pairs pairs;
    struct quantiles *quantiles;
    struct distinct *distinct;
};

typedef bool hear(struct hearer *to, const struct batch *batch, const struct found *found); /* false: damaged */

static bool hear_total(struct hearer *to, const struct batch *batch, const struct found *found) {
    tally_batch(to->tally, &to->asked, found, batch->rows);
    to->count += found->matched;
    return true;
}
static bool take_total(void *context, const struct block *block) {
    struct hearer *to = context;
    if (!tally_answers(&to->asked, block)) return false;
    tally_block(to->tally, &to->asked, block);
    to->count += block->records;
    return true;
}
static bool hear_groups(struct hearer *to, const struct batch *batch, const struct found *found) {
    return groups_add(&to->groups, batch, found) == GROUPS_OK;
}
static bool take_groups(void *context, const struct block *block) {
    bool taken;
    return groups_add_block(&((struct hearer *)context)->groups, block, &taken) == GROUPS_OK && taken;
}
static bool hear_edges(struct hearer *to, const struct batch *batch, const struct found *found) {
    return edges_add(&to->edges, batch, found) == GROUPS_OK;
}
static bool hear_quantiles(struct hearer *to, const struct batch *batch, const struct found *found) {
    quantiles_add(to->quantiles, to->program->values[0].lane, found->values[0], found->mask, batch->rows);
    return true;
}
static bool hear_distinct(struct hearer *to, const struct batch *batch, const struct found *found) {
    const struct field *field = &to->geometry->fields[to->field];
    const unsigned char *column = batch->columns[to->field];
    union lanes room;
    if (field->summary < 0) distinct_add_bytes(to->distinct, column, field->bytes, found->mask, batch->rows);
    else
        distinct_add(to->distinct, lane_of(field->kind), column_lanes(field->kind, column, batch->rows, &room),
                     found->mask, batch->rows);
    return true;
}
static bool hear_pairs(struct hearer *to, const struct batch *batch, const struct found *found) {
    struct placed placed;
    uint32_t cells[BATCH_ROWS];
    if (groups_place(&to->groups, batch, found, &placed) != GROUPS_OK) return false;
    for (uint32_t n = 0; n < placed.count; n++) cells[placed_row(&placed, n)] = placed.cells[n];
    return pairs_add(&to->pairs, cells, to->program->values[0].lane, found->values[0], found->mask, batch->rows) ==
           PAIRS_OK;
}

/* ---- asking ----------------------------------------------------------------------------------------------------- */

struct question {
    const struct inquirer *inquirer;
    const struct program *program;
    uint64_t needs;
    hear *hear;
    bool (*take)(void *context, const struct block *block);
};

/* Go over the records once. False: the question ended early. */
static bool run_once(const struct question *question, struct hearer *to) {
    const struct ring *ring = question->inquirer->ring;
    const struct geometry *g = ring->geometry;
    struct range ranges[2];
    uint64_t most = 0;
    for (uint32_t p = 0; p < g->options.partitions; p++) {
        ranges[p] = scan_range(ring, p);
        most += ranges[p].end - ranges[p].next;
    }
    struct scan scan = {.ring = ring,
                        .program = question->program,
                        .needs = question->needs | question->program->needs,
                        .kept = question->needs,
                        .ranges = ranges,
                        .range_count = g->options.partitions,
                        .sealed = question->inquirer->marks,
                        .summarises = true,
                        .taker = {question->take, to}};
    void *buffer = memory_of(scan_buffer_bytes(g, scan.needs)), *room = memory_of(question->program->step_count),
         *scratch = memory_of(program_scratch_bytes(question->program));
    struct batch batch;
    struct found found;
    enum scan_status status;
    uint64_t rows = 0;
    bool goes_on = true;
    scan_begin(&scan, buffer, room);
    while (goes_on && (status = scan_next(&scan, &batch)) == SCAN_BATCH) {
        require(batch.rows <= BATCH_ROWS && (rows += batch.rows) <= most);
        goes_on = program_run(question->program, g, &batch, scan.modes, scratch, &found) == PROGRAM_OK &&
                  (!found.matched || question->hear(to, &batch, &found));
    }
    free(buffer);
    free(room);
    free(scratch);
    return goes_on && status == SCAN_END;
}

static void ask_for_groups(struct question *question, struct hearer *to, uint8_t what) {
    const int by = what & 1 ? KEY : what & 2 ? TEXT : -1;
    const int64_t pane_ns = by < 0 || what & 4 ? SECOND_NS : 0;
    question->needs = (by < 0 ? 0 : UINT64_C(1) << by) | (pane_ns ? UINT64_C(1) << TIME : 0);
    question->hear = hear_groups;
    question->take = take_groups;
    require(groups_begin(&to->groups, to->geometry, by, question->inquirer->keys, (struct panes){.length_ns = pane_ns},
                         &to->asked));
    if (run_once(question, to) && pane_ns) {
        struct groups windows;
        require(groups_begin(&windows, to->geometry, by, question->inquirer->keys,
                             (struct panes){.length_ns = 2 * pane_ns}, &to->asked) &&
                groups_windows(&windows, &to->groups, 0, to->groups.cell_count, 2 * pane_ns, 6 * pane_ns));
        require(windows.cell_count <= 4 * to->groups.cell_count + question->inquirer->keys);
        groups_end(&windows);
    }
    groups_end(&to->groups);
}

static void ask_for_edges(struct question *question, struct hearer *to, uint8_t what) {
    question->needs = 1 << KEY | 1 << TEXT | 1 << TIME;
    question->hear = hear_edges;
    to->edges.field = TEXT;
    to->edges.latest = what & 1;
    require(groups_begin(&to->edges.groups, to->geometry, what & 2 ? KEY : -1, question->inquirer->keys,
                         (struct panes){0}, &(struct tallies){.count = 0}));
    run_once(question, to);
    edges_end(&to->edges);
}

static void ask_for_quantiles(struct question *question, struct hearer *to) {
    static struct quantiles quantiles; /* large */
    const double wanted[] = {0, 0.3, 1};
    uint32_t passes = 0;
    to->quantiles = &quantiles;
    question->hear = hear_quantiles;
    quantiles_begin(&quantiles, wanted, 3);
    while (run_once(question, to) && quantiles_end_pass(&quantiles) == PASS_AGAIN)
        require(++passes < 2 * QUANTILE_PASSES);
}

static void ask_for_distinct(struct question *question, struct hearer *to, uint8_t what) {
    static struct distinct distinct; /* large */
    to->distinct = &distinct;
    to->field = what & 1 ? TEXT : VALUE;
    question->needs = UINT64_C(1) << to->field;
    question->hear = hear_distinct;
    distinct_begin(&distinct);
    require(!run_once(question, to) || distinct_end_pass(&distinct) == PASS_DONE);
}

static void ask_for_values_of_groups(struct question *question, struct hearer *to) {
    question->needs = 1 << NUMBER;
    question->hear = hear_pairs;
    pairs_begin(&to->pairs);
    require(groups_begin(&to->groups, to->geometry, NUMBER, 0, (struct panes){0}, &(struct tallies){.count = 0}));
    if (run_once(question, to)) {
        require(pairs_sort(&to->pairs) == PAIRS_OK);
        for (uint32_t cell = 0; cell < to->groups.cell_count; cell++)
            require(pairs_distinct(&to->pairs, pairs_of(&to->pairs, cell)) <= to->pairs.count);
    }
    pairs_free(&to->pairs);
    groups_end(&to->groups);
}

void inquire(const struct inquirer *inquirer, uint8_t choice) {
    const struct geometry *g = inquirer->ring->geometry;
    struct program program;
    make_program(&program, inquirer->fields, choice >> 3);
    if (!program_fits(&program, g)) { /* another header */
        program_free(&program);
        return;
    }
    struct question question = {.inquirer = inquirer, .program = &program, .hear = hear_total, .take = take_total};
    struct hearer to = {.geometry = g, .program = &program, .asked.count = 2};
    for (uint32_t i = 0; i < 2; i++) {
        to.asked.values[i].lane = program.values[i].lane;
        to.asked.values[i].field = program.values[i].field;
        to.asked.values[i].what = TALLY_SUM | TALLY_BOUNDS | (choice & 32 ? TALLY_MOMENTS : 0);
    }
    tally_begin(to.tally, &to.asked);
    switch (choice & 7) {
    case 0:
    case 1: question.needs = choice & 1 ? 1 << FLAG : 0, run_once(&question, &to); break;
    case 2:
    case 3: ask_for_groups(&question, &to, choice >> 3); break;
    case 4: ask_for_edges(&question, &to, choice >> 3); break;
    case 5: ask_for_quantiles(&question, &to); break;
    case 6: ask_for_distinct(&question, &to, choice >> 3); break;
    default: ask_for_values_of_groups(&question, &to);
    }
    program_free(&program);
}

void forge_summary(const struct ring *ring, uint64_t noise) {
    const struct geometry *g = ring->geometry;
    const uint32_t partition = (uint32_t)(noise % g->options.partitions);
    uint32_t field = (uint32_t)(noise >> 1) % g->options.field_count;
    const uint64_t lap = ring_where(g, load_relaxed(&ring_partition(ring, partition)->tail)).lap;
    struct facts facts = {.has_nan = noise >> 60 & 1};
    while (g->fields[field].summary < 0) field++;
    facts.low.u = (noise >> 8 & 3) == 0 ? noise : (noise >> 8 & 3) == 1 ? noise % 7 - 3 : UINT64_C(0) - noise;
    facts.high.u = (noise >> 10 & 3) == 0 ? facts.low.u : (noise >> 10 & 3) == 1 ? noise % 6 : ~noise;
    facts.sum.integer.total = (__int128)((unsigned __int128)noise << 64 | ~noise);
    if (lane_of(g->fields[field].kind) != LANE_FLOAT) facts.has_nan = false;
    for (uint64_t block = 0; block < g->block_count; block++)
        summary_write(g, ring->memory, partition, block, lap - (block && noise >> 12 & 1), field, &facts);
}
