/* Making programs, each step verified, and running them over a batch. */
#include "core/questions/programs/program.h"

#include "core/questions/programs/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- what a step is made of -------------------------------------------------------------------------------------- */

static bool is_text(uint32_t kind) { return kind == KIND_TEXT || kind == KIND_BYTES; }
/* Stored as lanes are: read in place. */
static bool is_lanes(uint32_t kind) {
    return kind == KIND_INT64 || kind == KIND_UINT64 || kind == KIND_FLOAT64 || kind == KIND_TIMESTAMP;
}
static uint32_t kind_of_lane(enum lane lane) {
    return lane == LANE_INT ? KIND_INT64 : lane == LANE_UINT ? KIND_UINT64 : KIND_FLOAT64;
}

/* ---- verifying --------------------------------------------------------------------------------------------------- */

void program_begin(struct program *program, const struct field_spec *fields, uint32_t field_count) {
    *program = (struct program){.field_count = field_count};
    for (uint32_t i = 0; i < field_count; i++) {
        program->kinds[i] = fields[i].kind;
        program->sizes[i] = fields[i].size;
    }
}

void program_free(struct program *program) {
    for (uint32_t i = 0; i < program->step_count; i++) free((void *)(uintptr_t)program->steps[i].data);
    free(program->steps);
}

bool program_lane(const struct program *program, uint32_t operand, enum lane *lane) {
    uint32_t kind = operand < MAX_OPERANDS ? program->kinds[operand] : 0;
    if (!kind || is_text(kind)) return false;
    *lane = lane_of(kind);
    return true;
}

bool program_fits(const struct program *program, const struct geometry *geometry) {
    if (program->field_count != geometry->options.field_count) return false;
    for (uint32_t i = 0; i < program->field_count; i++)
        if (program->kinds[i] != geometry->fields[i].kind || program->sizes[i] != geometry->fields[i].size)
            return false;
    return true;
}

static const char *check_masks(const struct program *program, const struct step *step) {
    bool right = has_right(step);
    if (step->left >= MAX_REGISTERS || !(program->masks_written >> step->left & 1) ||
        (right && (step->right >= MAX_REGISTERS || !(program->masks_written >> step->right & 1))))
        return "it reads a mask that was not written";
    return NULL;
}

static const char *check_texts(const struct program *program, const struct step *step) {
    if (step->left >= program->field_count || !is_text(step->left_kind)) return "its operand is not a text field";
    if (step->operation == STEP_TEXT_MEMBER ? 0 : step->count > 1) return "it has more than one text";
    if (has_right(step)) {
        bool alike = step->right < program->field_count && step->right_kind == step->left_kind;
        bool fits = alike && step->operation != STEP_TEXT_STARTS;
        return fits ? NULL : "it has no text, nor a second field of the same kind";
    }
    return texts_ascend(step) ? NULL : "its texts do not ascend, or lie outside its data";
}

static const char *check_range(struct step *step) {
    const struct kind_range *all = &kind_ranges[step->left_kind];
    if (lane_of(step->left_kind) == LANE_INT && (step->low.i < all->least || step->high.i > (int64_t)all->most))
        return "its range is wider than the field";
    bool bounded = lane_of(step->left_kind) == LANE_INT    ? step->low.i <= step->high.i
                   : lane_of(step->left_kind) == LANE_UINT ? step->low.u <= step->high.u
                                                           : step->low.f <= step->high.f;
    if (!bounded) return "its range is empty";
    if (step->left_kind == KIND_FLOAT32) { /* the least and the greatest of 32 bits within it */
        float low = (float)step->low.f, high = (float)step->high.f;
        if ((double)low < step->low.f) low = nextafterf(low, INFINITY);
        if ((double)high > step->high.f) high = nextafterf(high, -INFINITY);
        step->low.f = (double)low;
        step->high.f = (double)high;
    }
    return NULL;
}

static const char *check_members(const struct step *step) {
    const union number *numbers = step->data;
    enum lane lane = lane_of(step->left_kind);
    if (step->data_bytes != (size_t)step->count * sizeof *numbers) return "its numbers are not as many as it says";
    for (uint32_t i = 0; i < step->count; i++) {
        if (lane == LANE_FLOAT && numbers[i].f != numbers[i].f) return "one of its numbers is NaN";
        if (i && number_order(lane, numbers[i - 1], lane, numbers[i]) != ORDER_BELOW)
            return "its numbers do not ascend";
    }
    return NULL;
}

/* Arithmetic goes by the left operand; integers of any lane mix, floats only with floats. */
static const char *check_arithmetic(struct step *step) {
    bool left = lane_of(step->left_kind) == LANE_FLOAT, right = lane_of(step->right_kind) == LANE_FLOAT;
    if (left != right) return "it mixes integers with floats";
    if (left || step->operation == STEP_DIVIDE) step->lane = LANE_FLOAT;
    else if (step->lane == LANE_FLOAT) return "integers do not make a float";
    return NULL;
}

static const char *check_numbers(const struct program *program, struct step *step) {
    enum lane lane;
    bool in_place = step->operation == STEP_LOAD || step->operation == STEP_RANGE || step->operation == STEP_IDS;
    if (!program_lane(program, step->left, &lane) || (!in_place && !is_lanes(step->left_kind)))
        return "its left operand holds no lanes";
    if (has_right(step) && (!program_lane(program, step->right, &lane) || !is_lanes(step->right_kind)))
        return "its right operand holds no lanes";
    switch (step->operation) {
    case STEP_LOAD:
        step->lane = lane_of(step->left_kind);
        return step->left < MAX_FIELDS ? NULL : "only a field is loaded";
    case STEP_FLOAT:
        step->lane = LANE_FLOAT;
        return lane_of(step->left_kind) != LANE_FLOAT ? NULL : "these are floats already";
    case STEP_RANGE: return check_range(step);
    case STEP_MEMBER: return check_members(step);
    case STEP_IDS:
        if (step->left_kind != KIND_KEY) return "its operand is not a Key field";
        return step->data_bytes == ((size_t)step->count + 7) / 8 ? NULL : "its bits are not as many as it says";
    default: return is_arithmetic(step->operation) ? check_arithmetic(step) : NULL;
    }
}

static const char *check_step(const struct program *program, struct step *step) {
    if ((unsigned)step->operation >= STEP_END) return "there is no such step";
    if (step->to >= MAX_REGISTERS) return "there is no such register";
    if (!has_left(step->operation)) return NULL;
    if (is_of_masks(step->operation)) return check_masks(program, step);
    if (step->left >= MAX_OPERANDS || (has_right(step) && step->right >= MAX_OPERANDS))
        return "there is no such operand";
    step->left_kind = program->kinds[step->left];
    step->right_kind = has_right(step) ? program->kinds[step->right] : 0;
    return is_of_texts(step->operation) ? check_texts(program, step) : check_numbers(program, step);
}

static void note_operand(struct program *program, uint32_t operand) {
    if (operand < MAX_FIELDS) program->needs |= UINT64_C(1) << operand;
}

const char program_no_memory[] = "there is no memory for it";

const char *program_step(struct program *program, struct step step) {
    const char *wrong = check_step(program, &step);
    if (wrong) return wrong;
    if (program->step_count == program->step_room) {
        uint32_t room = program->step_room ? 2 * program->step_room : 8;
        struct step *steps = realloc(program->steps, room * sizeof *steps);
        if (!steps) return program_no_memory;
        program->steps = steps;
        program->step_room = room;
    }
    void *data = step.data_bytes ? malloc(step.data_bytes) : NULL;
    if (step.data_bytes && !data) return program_no_memory;
    if (data) memcpy(data, step.data, step.data_bytes);
    step.data = data;
    if (!has_left(step.operation)) step.left = 0;
    if (!has_right(&step)) step.right = 0;
    program->steps[program->step_count++] = step;

    uint32_t registers = step.to + 1u;
    if (gives_lanes(step.operation)) {
        program->kinds[MAX_FIELDS + step.to] = kind_of_lane(step.lane);
        if (program->lane_registers < registers) program->lane_registers = registers;
    } else {
        program->masks_written |= UINT32_C(1) << step.to;
        if (program->mask_registers < registers) program->mask_registers = registers;
        program->filters |= !step.to;
    }
    if (is_of_masks(step.operation) || !has_left(step.operation)) return NULL;
    note_operand(program, step.left);
    if (has_right(&step)) note_operand(program, step.right);
    program->tested = program->needs;
    return NULL;
}

const char *program_value(struct program *program, uint32_t operand) {
    enum lane lane;
    if (program->value_count == MAX_VALUES) return "there are too many values";
    if (!program_lane(program, operand, &lane) || !is_lanes(program->kinds[operand])) return "a value is not in lanes";
    int field = operand < MAX_FIELDS ? (int)operand : NO_FIELD;
    for (uint32_t i = program->step_count; field == NO_FIELD && i--;) /* is it a field that was only loaded? */
        if (gives_lanes(program->steps[i].operation) && program->steps[i].to == operand - MAX_FIELDS) {
            if (program->steps[i].operation == STEP_LOAD) field = program->steps[i].left;
            break;
        }
    program->values[program->value_count].lane = lane;
    program->values[program->value_count].field = field;
    program->values[program->value_count++].operand = (uint8_t)operand;
    note_operand(program, operand);
    return NULL;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

struct registers {
    const struct geometry *geometry;
    const struct batch *batch;
    union lanes *lanes;
    uint8_t (*masks)[BATCH_ROWS];
    uint8_t (*faults)[BATCH_ROWS]; /* of lane registers: 1 where a row overflowed; only when run with care */
};

/* A mask's third value, when run with care: the row overflowed before it was known. */
enum { FAULT = 2 };

size_t program_scratch_bytes(const struct program *program) {
    return program->lane_registers * (sizeof(union lanes) + BATCH_ROWS) + program->mask_registers * BATCH_ROWS +
           BATCH_ROWS;
}

static struct registers registers_in(const struct program *program, const struct geometry *geometry,
                                     const struct batch *batch, void *scratch) {
    struct registers registers = {geometry, batch, scratch, NULL, NULL};
    registers.masks = (uint8_t(*)[BATCH_ROWS])(registers.lanes + program->lane_registers);
    registers.faults = registers.masks + program->mask_registers;
    return registers;
}

static const void *operand_of(const struct registers *registers, uint8_t operand) {
    return operand < MAX_FIELDS ? (const void *)registers->batch->columns[operand]
                                : (const void *)&registers->lanes[operand - MAX_FIELDS];
}

/* Run a step over all rows; true when a row overflowed. */
static bool run_step(const struct registers *registers, const struct step *step) {
    uint32_t rows = registers->batch->rows;
    enum operation operation = step->operation;
    if (is_of_texts(operation)) {
        const unsigned char *const *columns = registers->batch->columns;
        const struct text_column left = {&registers->geometry->fields[step->left], columns[step->left]};
        const struct text_column right = {&registers->geometry->fields[step->right], columns[step->right]};
        kernel_texts(step, left, right, registers->masks[step->to], rows);
        return false;
    }
    if (is_of_masks(operation)) {
        kernel_mask(step, registers->masks[step->left], registers->masks[step->right], registers->masks[step->to],
                    rows);
        return false;
    }
    const void *left = has_left(operation) ? operand_of(registers, step->left) : NULL;
    const void *right = has_right(step) ? operand_of(registers, step->right) : NULL;
    if (gives_lanes(operation)) return kernel_lanes(step, left, right, &registers->lanes[step->to], rows);
    kernel_mask(step, left, right, registers->masks[step->to], rows);
    return false;
}

static uint8_t fault_of(const struct registers *registers, uint8_t operand, uint32_t row) {
    return operand < MAX_FIELDS ? 0 : registers->faults[operand - MAX_FIELDS][row];
}

/* Logic of three values: where one operand decides alone, a fault of the other does not count. */
static uint8_t logic(enum operation operation, uint8_t left, uint8_t right) {
    if (operation == STEP_NOT) return left == FAULT ? FAULT : left ^ 1;
    uint8_t decisive = operation == STEP_OR;
    if (left == decisive || right == decisive) return decisive;
    return left == FAULT || right == FAULT ? FAULT : left;
}

static void run_step_with_care(const struct registers *registers, const struct step *step) {
    uint32_t rows = registers->batch->rows;
    bool two = has_right(step);
    if (is_of_masks(step->operation)) {
        const uint8_t *left = registers->masks[step->left], *right = registers->masks[two ? step->right : step->left];
        for (uint32_t r = 0; r < rows; r++) registers->masks[step->to][r] = logic(step->operation, left[r], right[r]);
        return;
    }
    if (is_of_texts(step->operation) || !has_left(step->operation)) {
        run_step(registers, step);
        if (step->operation == STEP_CONSTANT) memset(registers->faults[step->to], 0, rows);
        return;
    }
    if (!is_arithmetic(step->operation)) run_step(registers, step);
    const union lanes *left = operand_of(registers, step->left);
    const union lanes *right = two ? operand_of(registers, step->right) : NULL;
    union lanes *to = &registers->lanes[step->to];
    for (uint32_t r = 0; r < rows; r++) {
        uint8_t fault = fault_of(registers, step->left, r) | (two ? fault_of(registers, step->right, r) : 0);
        if (is_arithmetic(step->operation))
            fault |= kernel_lanes(step, &left->u[r], &right->u[r], (union lanes *)(void *)&to->u[r], 1);
        if (gives_lanes(step->operation)) registers->faults[step->to][r] = fault;
        else if (fault) registers->masks[step->to][r] = FAULT;
    }
}

/* Has what is known settled the step? Then do what is left of it. */
static bool is_settled(const struct registers *registers, const struct step *step, const uint8_t *modes, uint32_t i) {
    if (!modes || modes[i] == STEP_RUNS) return false;
    if (modes[i] != STEP_IS_IDLE) memset(registers->masks[step->to], modes[i] == STEP_GIVES_1, registers->batch->rows);
    return true;
}

/* A row overflowed somewhere: run again, row by row, to see whether an answer depends on it. */
static bool overflow_matters(const struct program *program, const struct registers *registers, const uint8_t *modes) {
    bool matters = false;
    for (uint32_t i = 0; i < program->step_count; i++)
        if (!is_settled(registers, &program->steps[i], modes, i)) run_step_with_care(registers, &program->steps[i]);
    for (uint32_t r = 0; r < registers->batch->rows; r++) {
        uint8_t matches = program->filters ? registers->masks[0][r] : 1;
        matters |= matches == FAULT;
        for (uint32_t v = 0; v < program->value_count; v++)
            matters |= matches && fault_of(registers, program->values[v].operand, r);
    }
    return matters;
}

enum program_status program_run(const struct program *program, const struct geometry *geometry,
                                const struct batch *batch, const uint8_t *modes, void *scratch, struct found *found) {
    const struct registers registers = registers_in(program, geometry, batch, scratch);
    bool overflowed = false;
    for (uint32_t i = 0; i < program->step_count; i++)
        if (!is_settled(&registers, &program->steps[i], modes, i))
            overflowed |= run_step(&registers, &program->steps[i]);
    if (overflowed && overflow_matters(program, &registers, modes)) return PROGRAM_OVERFLOW;
    found->mask = program->filters ? registers.masks[0] : NULL;
    found->matched = program->filters ? kernel_count(found->mask, batch->rows) : batch->rows;
    for (uint32_t v = 0; v < program->value_count; v++)
        found->values[v] = operand_of(&registers, program->values[v].operand);
    return PROGRAM_OK;
}
