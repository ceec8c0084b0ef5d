/* Programs: what cannot run is refused; whatever is made of steps says the same in vectors, row by row, and judged. */
#include "core/questions/programs/kernels.h"
#include "harness.h"

#include <math.h>

enum { FIELDS = KIND_END - 1, MOST_ROWS = 200, FEW_REGISTERS = 4, MOST_STEPS = 12 };

/* A field of every kind, by number kind - 1, and columns of just so many rows, for AddressSanitizer to watch. */
struct table_of_rows {
    struct field_spec specs[FIELDS];
    struct geometry geometry;
    struct batch batch;
    void *memory[FIELDS];
};

static const double FLOATS[] = {0.0,     -0.0,   1.0,   -2.5,    0x1p53,   0x1p63,
                                -0x1p63, 0x1p64, 1e300, -1e-310, INFINITY, -INFINITY};
static const uint64_t INTS[] = {0, 1, 2, 7, 1u << 31, UINT64_C(1) << 53, INT64_MAX, UINT64_C(1) << 63, UINT64_MAX};

/* Any number, the more telling ones more often. NaN only where it is allowed. */
static double random_float(bool nan) {
    uint64_t choice = random_number(4);
    if (choice == 0 && nan && !random_number(4)) return NAN;
    if (choice < 2) return FLOATS[random_number(sizeof FLOATS / sizeof *FLOATS)];
    return choice == 2 ? (double)random_number(20) - 10 : ((double)random_number(2000) - 1000) / 7;
}
static uint64_t random_int(void) {
    uint64_t choice = random_number(3);
    if (choice == 0) return INTS[random_number(sizeof INTS / sizeof *INTS)] + random_number(3) - 1;
    return choice == 1 ? random_number(20) - 10 : random_number(UINT64_MAX);
}

static void fill_value(const struct field *field, unsigned char *to, bool narrow) {
    uint64_t number = narrow ? random_number(20) : random_int();
    if (field->kind == KIND_FLOAT64 || field->kind == KIND_FLOAT32) {
        double real = narrow ? (double)random_number(20) - 10 : random_float(true);
        float single = (float)real;
        memcpy(to, field->kind == KIND_FLOAT64 ? (void *)&real : (void *)&single, field->bytes);
    } else if (field->kind == KIND_TEXT || field->kind == KIND_BYTES) {
        uint16_t length = (uint16_t)random_number(field->size + 3); /* damaged: longer than the field */
        for (uint32_t i = 0; i < field->bytes; i++) to[i] = (unsigned char)('a' + random_number(2));
        memcpy(to + field->bytes - 2, &length, 2);
    } else {
        memcpy(to, &number, field->bytes);
    }
}

static struct table_of_rows *make_rows(uint32_t rows, bool narrow) {
    struct table_of_rows *table = calloc(1, sizeof *table);
    struct options options = {.capacity = 1,
                              .partitions = 1,
                              .layout = LAYOUT_COLUMNS,
                              .rule = RULE_TURN,
                              .keys = 9,
                              .processes = 1,
                              .field_count = FIELDS};
    struct refusal why;
    for (uint32_t f = 0; f < FIELDS; f++) {
        table->specs[f].kind = f + 1;
        table->specs[f].name[0] = (char)('a' + f);
        if (f + 1 == KIND_TEXT || f + 1 == KIND_BYTES) table->specs[f].size = 11;
        if (f + 1 == KIND_KEY) table->specs[f].size = 8;
    }
    expect_equal(layout_plan(&options, table->specs, &table->geometry, &why), PLAN_OK);
    table->batch.rows = rows;
    for (uint32_t f = 0; f < FIELDS; f++) {
        const struct field *field = &table->geometry.fields[f];
        unsigned char *column = table->memory[f] = malloc((size_t)rows * field->bytes + 1);
        for (uint32_t r = 0; r < rows; r++) fill_value(field, column + (size_t)r * field->bytes, narrow);
        table->batch.columns[f] = column;
    }
    return table;
}

static void free_rows(struct table_of_rows *table) {
    for (uint32_t f = 0; f < FIELDS; f++) free(table->memory[f]);
    free(table);
}

/* ---- random programs --------------------------------------------------------------------------------------------- */

static union number random_constant(enum lane lane) {
    if (lane == LANE_FLOAT) return (union number){.f = random_float(false)};
    return (union number){.u = random_number(2) ? random_number(20) : random_int()};
}

static void order_two(enum lane lane, union number *low, union number *high) {
    if (number_order(lane, *low, lane, *high) != ORDER_ABOVE) return;
    union number swapped = *low;
    *low = *high;
    *high = swapped;
}

/* A random step with data of its own; it need not be valid. */
static struct step random_step(const struct program *program, void *data) {
    struct step step = {.operation = (enum operation)random_number(STEP_END)};
    enum lane lane = LANE_INT;
    step.to = (uint8_t)random_number(FEW_REGISTERS);
    bool masks = step.operation >= STEP_AND;
    for (int i = 0; i < 2; i++) {
        uint64_t any = random_number(masks ? FEW_REGISTERS : FIELDS + FEW_REGISTERS);
        *(i ? &step.right : &step.left) = (uint8_t)(any < FIELDS || masks ? any : any - FIELDS + MAX_FIELDS);
    }
    program_lane(program, step.left, &lane);
    step.lane = step.operation == STEP_CONSTANT ? (enum lane)random_number(3) : (enum lane)random_number(2);
    step.low = random_constant(step.operation == STEP_CONSTANT ? step.lane : lane);
    step.high = random_constant(lane);
    if (step.operation == STEP_RANGE) order_two(lane, &step.low, &step.high);
    if (step.operation == STEP_MEMBER) {
        union number *numbers = data;
        step.count = (uint32_t)random_number(3);
        numbers[0] = step.low;
        numbers[1] = step.high;
        order_two(lane, &numbers[0], &numbers[1]);
        step.data_bytes = step.count * sizeof *numbers;
    } else if (step.operation == STEP_IDS) {
        step.count = (uint32_t)random_number(64);
        for (uint32_t i = 0; i < 8; i++) ((uint8_t *)data)[i] = (uint8_t)random_number(256);
        step.data_bytes = (step.count + 7) / 8;
    } else if (step.operation >= STEP_TEXT_EQUAL && step.operation <= STEP_TEXT_MEMBER) {
        step.count = (uint32_t)random_number(2);
        uint32_t length = (uint32_t)random_number(13);
        memcpy(data, &length, sizeof length);
        for (uint32_t i = 0; i < length; i++) ((char *)data)[sizeof length + i] = (char)('a' + random_number(2));
        step.data_bytes = step.count ? sizeof length + length : 0;
    }
    step.data = step.data_bytes ? data : NULL;
    return step;
}

static void random_program(struct program *program, const struct table_of_rows *table) {
    uint64_t steps = 1 + random_number(MOST_STEPS), words[16];
    program_begin(program, table->specs, FIELDS);
    while (program->step_count < steps) program_step(program, random_step(program, words));
    if (!program->filters) {
        struct step last = {.operation = STEP_RANGE, .left = KIND_INT8 - 1, .low.i = -5, .high.i = 5};
        expect(!program_step(program, last));
    }
}

static void *make_scratch(const struct program *program) {
    size_t bytes = (program_scratch_bytes(program) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    void *scratch = aligned_alloc(CACHE_LINE, bytes);
    memset(scratch, 0x5a, bytes);
    return scratch;
}

/* The same rows from `first` on, as a batch. */
static struct batch part_of(const struct table_of_rows *table, uint32_t first, uint32_t rows) {
    struct batch batch = {.rows = rows};
    for (uint32_t f = 0; f < FIELDS; f++)
        batch.columns[f] = table->batch.columns[f] + (size_t)first * table->geometry.fields[f].bytes;
    return batch;
}

/* Runs a program over a batch and over each row by itself; the mask is copied. Says whether it overflowed. */
static bool run_both_ways(const struct program *program, const struct table_of_rows *table, uint8_t *mask) {
    void *scratch = make_scratch(program);
    struct found found;
    bool over = program_run(program, &table->geometry, &table->batch, NULL, scratch, &found) == PROGRAM_OVERFLOW;
    bool one_over = false;
    uint32_t matched = 0;
    if (!over) memcpy(mask, found.mask, table->batch.rows);
    uint32_t said = over ? 0 : found.matched;
    for (uint32_t r = 0; r < table->batch.rows; r++) {
        struct batch row = part_of(table, r, 1);
        bool this_over = program_run(program, &table->geometry, &row, NULL, scratch, &found) == PROGRAM_OVERFLOW;
        one_over |= this_over;
        if (this_over || over) continue;
        expect(found.mask[0] <= 1 && found.matched == found.mask[0]);
        expect_equal(found.mask[0], mask[r]);
        matched += mask[r];
    }
    expect_equal(one_over, over);
    expect_equal(matched, said);
    free(scratch);
    return over;
}

CASE(a_batch_says_what_each_row_says_by_itself) {
    uint8_t mask[MOST_ROWS];
    for (uint64_t i = 0; i < 15 * effort; i++) {
        struct table_of_rows *table = make_rows((uint32_t)random_number(MOST_ROWS), random_number(2));
        struct program program;
        random_program(&program, table);
        expect(program_fits(&program, &table->geometry));
        run_both_ways(&program, table, mask);
        program_free(&program);
        free_rows(table);
    }
}

/* ---- judging ----------------------------------------------------------------------------------------------------- */

static void read_lane(const struct table_of_rows *table, uint32_t f, uint32_t row, struct bounds *bounds) {
    const struct step load = {.operation = STEP_LOAD, .left_kind = f + 1};
    const uint32_t bytes = table->geometry.fields[f].bytes;
    union lanes lanes;
    kernel_lanes(&load, table->batch.columns[f] + (size_t)row * bytes, NULL, &lanes, 1);
    union number number = {.u = lanes.u[0]};
    enum lane lane = lane_of(f + 1);
    if (number_order(lane, number, lane, number) == ORDER_NONE) bounds->known = false;
    if (!row || number_order(lane, number, lane, bounds->low) == ORDER_BELOW) bounds->low = number;
    if (!row || number_order(lane, number, lane, bounds->high) == ORDER_ABOVE) bounds->high = number;
}

static void bounds_of(const struct table_of_rows *table, struct bounds bounds[FIELDS]) {
    for (uint32_t f = 0; f < FIELDS; f++) {
        bounds[f].known = f + 1 != KIND_TEXT && f + 1 != KIND_BYTES;
        for (uint32_t r = 0; bounds[f].known && r < table->batch.rows; r++) read_lane(table, f, r, &bounds[f]);
        bounds[f].known &= random_number(8) > 0;
    }
}

CASE(judging_never_contradicts_running) {
    uint8_t mask[MOST_ROWS];
    uint64_t decided = 0;
    for (uint64_t i = 0; i < 25 * effort; i++) {
        struct table_of_rows *table = make_rows(1 + (uint32_t)random_number(4), random_number(2));
        struct program program;
        struct bounds bounds[FIELDS];
        random_program(&program, table);
        bounds_of(table, bounds);
        enum verdict verdict = program_judge(&program, bounds);
        bool over = run_both_ways(&program, table, mask);
        if (verdict != MATCHES_SOME) {
            decided++;
            expect(!over);
            for (uint32_t r = 0; r < table->batch.rows; r++) expect_equal(mask[r], verdict == MATCHES_ALL);
        }
        program_free(&program);
        free_rows(table);
    }
    expect(decided > 2 * effort);
}

/* Runs only the steps that bounds leave to do, over only the fields that these need: the answer is the same. */
CASE(what_bounds_have_settled_need_not_run) {
    uint8_t mask[MOST_ROWS], modes[2 * MOST_STEPS];
    uint64_t spared = 0;
    for (uint64_t i = 0; i < 15 * effort; i++) {
        struct table_of_rows *table = make_rows(1 + (uint32_t)random_number(4), random_number(2));
        struct program program;
        struct bounds bounds[FIELDS];
        struct found found;
        uint64_t needs;
        random_program(&program, table);
        bounds_of(table, bounds);
        expect_equal(program_narrow(&program, bounds, modes, &needs), program_judge(&program, bounds));
        expect(!(needs & ~program.needs));
        spared += needs != program.needs;
        struct batch batch = part_of(table, 0, table->batch.rows);
        for (uint32_t f = 0; f < FIELDS; f++)
            if (!(needs >> f & 1)) batch.columns[f] = NULL;
        bool over = run_both_ways(&program, table, mask);
        void *scratch = make_scratch(&program);
        expect_equal(program_run(&program, &table->geometry, &batch, modes, scratch, &found) == PROGRAM_OVERFLOW, over);
        for (uint32_t r = 0; !over && r < batch.rows; r++) expect_equal(found.mask[r], mask[r]);
        free(scratch);
        program_free(&program);
        free_rows(table);
    }
    expect(spared > effort);
}

CASE(a_program_without_conditions_matches_all) {
    struct table_of_rows *table = make_rows(5, true);
    struct program program;
    struct found found;
    program_begin(&program, table->specs, FIELDS);
    expect(!program_value(&program, KIND_FLOAT64 - 1));
    expect_equal(program_judge(&program, (struct bounds[FIELDS]){{.known = false}}), MATCHES_ALL);
    void *scratch = make_scratch(&program);
    expect_equal(program_run(&program, &table->geometry, &table->batch, NULL, scratch, &found), PROGRAM_OK);
    expect(!found.mask && found.matched == 5);
    expect(found.values[0] == (const void *)table->batch.columns[KIND_FLOAT64 - 1]);
    expect_equal(program.needs, UINT64_C(1) << (KIND_FLOAT64 - 1));
    free(scratch);
    program_free(&program);
    free_rows(table);
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

CASE(a_step_that_could_touch_foreign_memory_is_refused) {
    static const uint32_t beyond_its_data[] = {2000000, 'a'}, falling[] = {2, 1, 'a'};
    static const union number two[] = {{.i = 3}, {.i = 3}};
    const uint8_t int64 = KIND_INT64 - 1, real = KIND_FLOAT64 - 1, text = KIND_TEXT - 1, key = KIND_KEY - 1;
    const struct step wrong[] = {
        {.operation = STEP_END},
        {.operation = STEP_FILL, .to = MAX_REGISTERS},
        {.operation = STEP_RANGE, .left = FIELDS},
        {.operation = STEP_RANGE, .left = MAX_FIELDS},
        {.operation = STEP_RANGE, .left = UINT8_MAX},
        {.operation = STEP_RANGE, .left = text},
        {.operation = STEP_RANGE, .left = int64, .low.i = 1},
        {.operation = STEP_RANGE, .left = real, .low.f = NAN, .high.f = 1},
        {.operation = STEP_LOAD, .left = text},
        {.operation = STEP_FLOAT, .left = KIND_INT32 - 1},
        {.operation = STEP_FLOAT, .left = real},
        {.operation = STEP_ADD, .left = int64, .right = real},
        {.operation = STEP_ADD, .left = int64, .right = MAX_FIELDS + 3},
        {.operation = STEP_ADD, .left = int64, .right = int64, .lane = LANE_FLOAT},
        {.operation = STEP_LESS, .left = int64, .right = KIND_INT8 - 1},
        {.operation = STEP_MEMBER, .left = int64, .count = 2, .data = two, .data_bytes = 8},
        {.operation = STEP_MEMBER, .left = int64, .count = 2, .data = two, .data_bytes = 16},
        {.operation = STEP_IDS, .left = int64, .count = 8, .data = two, .data_bytes = 1},
        {.operation = STEP_IDS, .left = key, .count = 9, .data = two, .data_bytes = 1},
        {.operation = STEP_TEXT_EQUAL, .left = int64, .count = 1, .data = falling, .data_bytes = 12},
        {.operation = STEP_TEXT_EQUAL, .left = text, .right = KIND_BYTES - 1},
        {.operation = STEP_TEXT_STARTS, .left = text, .right = text},
        {.operation = STEP_TEXT_EQUAL, .left = text, .count = 1, .data = beyond_its_data, .data_bytes = 8},
        {.operation = STEP_TEXT_EQUAL, .left = text, .count = 2, .data = falling, .data_bytes = 12},
        {.operation = STEP_TEXT_MEMBER, .left = text, .count = 2, .data = falling, .data_bytes = 12},
        {.operation = STEP_TEXT_MEMBER, .left = text, .count = 4, .data = falling, .data_bytes = 12},
        {.operation = STEP_NOT},
        {.operation = STEP_AND, .left = MAX_REGISTERS},
    };
    struct table_of_rows *table = make_rows(1, true);
    struct program program;
    program_begin(&program, table->specs, FIELDS);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (!program_step(&program, wrong[i])) fail("step %zu was accepted", i);
    expect(!program.step_count && !program.needs && !program.filters);
    expect(program_value(&program, text) && program_value(&program, KIND_INT8 - 1) && program_value(&program, 255));
    for (int i = 0; i < MAX_VALUES; i++) expect(!program_value(&program, int64));
    expect(program_value(&program, int64));
    table->geometry.fields[0].kind = KIND_UINT8;
    expect(!program_fits(&program, &table->geometry));
    program_free(&program);
    free_rows(table);
}

/* ---- exactness --------------------------------------------------------------------------------------------------- */

static enum order compare_int(int64_t left, double right) {
    return number_order(LANE_INT, (union number){.i = left}, LANE_FLOAT, (union number){.f = right});
}

CASE(integers_and_floats_are_compared_without_rounding) {
    const int64_t large = INT64_C(1) << 53;
    expect_equal(compare_int(large, 0x1p53), ORDER_EQUAL);
    expect_equal(compare_int(large + 1, 0x1p53), ORDER_ABOVE);
    expect_equal(compare_int(-large - 1, -0x1p53), ORDER_BELOW);
    expect_equal(compare_int(INT64_MAX, 0x1p63), ORDER_BELOW);
    expect_equal(compare_int(INT64_MIN, -0x1p63), ORDER_EQUAL);
    expect_equal(compare_int(0, -5e-324), ORDER_ABOVE);
    expect_equal(compare_int(3, 3.5), ORDER_BELOW);
    expect_equal(compare_int(-3, -3.5), ORDER_ABOVE);
    expect_equal(compare_int(0, NAN), ORDER_NONE);
    expect_equal(compare_int(0, INFINITY), ORDER_BELOW);
    union number most = {.u = UINT64_MAX}, minus = {.i = -1};
    expect_equal(number_order(LANE_UINT, most, LANE_FLOAT, (union number){.f = 0x1p64}), ORDER_BELOW);
    expect_equal(number_order(LANE_FLOAT, (union number){.f = -0.5}, LANE_UINT, (union number){.u = 0}), ORDER_BELOW);
    expect_equal(number_order(LANE_INT, minus, LANE_UINT, most), ORDER_BELOW);
    expect_equal(number_order(LANE_UINT, most, LANE_INT, minus), ORDER_ABOVE);
}

CASE(quotient_and_rest_of_integers_are_those_of_the_definition) {
    struct step floor = {.operation = STEP_FLOOR, .left_kind = KIND_INT64, .right_kind = KIND_INT64};
    struct step modulo = {.operation = STEP_MODULO, .left_kind = KIND_INT64, .right_kind = KIND_INT64};
    static union lanes left, right, quotient, rest;
    for (uint64_t i = 0; i < 500 * effort; i++) {
        int64_t a = left.i[0] = (int64_t)random_int(), b = right.i[0] = (int64_t)random_int();
        bool over = kernel_lanes(&floor, &left, &right, &quotient, 1);
        expect_equal(over, !b || (a == INT64_MIN && b == -1));
        expect_equal(kernel_lanes(&modulo, &left, &right, &rest, 1), !b);
        if (over) continue;
        int64_t q = quotient.i[0], r = rest.i[0];
        expect_equal((uint64_t)q * (uint64_t)b + (uint64_t)r, a);
        expect(b > 0 ? r >= 0 && r < b : r <= 0 && r > b);
    }
}
