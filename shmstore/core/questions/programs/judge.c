/* Judging many records at once by the bounds of their fields: a program run on intervals instead of numbers.
 *
 * A lane register becomes an interval in which every row's number lies, when one is known; a mask becomes a verdict.
 * Rounding keeps order, so the bounds of a float result are the results of the bounds. */
#include "core/questions/programs/program.h"

#include "core/questions/programs/kernels.h"

#include <math.h>

__extension__ typedef __int128 wide;

struct interval {
    struct bounds bounds;
    enum lane lane;
};

struct judgement {
    const struct program *program;
    const struct bounds *fields;
    struct interval lanes[MAX_REGISTERS];
    enum verdict masks[MAX_REGISTERS];
};

static const struct interval UNKNOWN = {.bounds = {.known = false}};

static struct interval interval_of(const struct judgement *judgement, uint8_t operand) {
    if (operand >= MAX_FIELDS) return judgement->lanes[operand - MAX_FIELDS];
    return (struct interval){judgement->fields[operand], lane_of(judgement->program->kinds[operand])};
}

static enum verdict verdict_of(bool all, bool none) { return all ? MATCHES_ALL : none ? MATCHES_NONE : MATCHES_SOME; }

/* ---- intervals --------------------------------------------------------------------------------------------------- */

static wide widened(enum lane lane, union number number) { return lane == LANE_UINT ? (wide)number.u : (wide)number.i; }

static double as_float(enum lane lane, union number number) {
    return lane == LANE_UINT ? (double)number.u : lane == LANE_INT ? (double)number.i : number.f;
}

static struct interval floats(double low, double high) {
    if (!isfinite(low) || !isfinite(high)) return UNKNOWN; /* some row between them may be NaN */
    return (struct interval){{true, {.f = low}, {.f = high}}, LANE_FLOAT};
}

static struct interval calculate_floats(enum operation operation, const struct bounds *left,
                                        const struct bounds *right) {
    double a = left->low.f, b = left->high.f, c = right->low.f, d = right->high.f;
    if (!isfinite(a) || !isfinite(b) || !isfinite(c) || !isfinite(d)) return UNKNOWN;
    if (operation == STEP_ADD) return floats(a + c, b + d);
    if (operation == STEP_SUBTRACT) return floats(a - d, b - c);
    bool divides = operation == STEP_DIVIDE;
    if ((!divides && operation != STEP_MULTIPLY) || (divides && c <= 0 && d >= 0)) return UNKNOWN;
    double corners[] = {divides ? a / c : a * c, divides ? a / d : a * d, divides ? b / c : b * c,
                        divides ? b / d : b * d};
    double low = corners[0], high = corners[0];
    for (int i = 1; i < 4; i++) {
        if (!isfinite(corners[i])) return UNKNOWN;
        if (corners[i] < low) low = corners[i];
        if (corners[i] > high) high = corners[i];
    }
    return floats(low, high);
}

/* Unknown as soon as some row might overflow. */
static struct interval ints(wide low, wide high, enum lane lane) {
    bool fits = lane == LANE_UINT ? low >= 0 && high <= (wide)UINT64_MAX : low >= INT64_MIN && high <= INT64_MAX;
    return fits ? (struct interval){{true, {.u = (uint64_t)low}, {.u = (uint64_t)high}}, lane} : UNKNOWN;
}

static struct interval calculate_ints(const struct step *step, struct interval left, struct interval right) {
    wide a = widened(left.lane, left.bounds.low), b = widened(left.lane, left.bounds.high);
    wide c = widened(right.lane, right.bounds.low), d = widened(right.lane, right.bounds.high);
    if (step->operation == STEP_ADD) return ints(a + c, b + d, step->lane);
    if (step->operation == STEP_SUBTRACT) return ints(a - d, b - c, step->lane);
    if (step->operation != STEP_MULTIPLY) return UNKNOWN;
    wide corners[4];
    if (__builtin_mul_overflow(a, c, &corners[0]) || __builtin_mul_overflow(a, d, &corners[1]) ||
        __builtin_mul_overflow(b, c, &corners[2]) || __builtin_mul_overflow(b, d, &corners[3]))
        return UNKNOWN;
    wide low = corners[0], high = corners[0];
    for (int i = 1; i < 4; i++) {
        if (corners[i] < low) low = corners[i];
        if (corners[i] > high) high = corners[i];
    }
    return ints(low, high, step->lane);
}

static struct interval judge_lanes(const struct judgement *judgement, const struct step *step) {
    if (step->operation == STEP_CONSTANT) {
        bool is_number = step->lane != LANE_FLOAT || step->low.f == step->low.f;
        return (struct interval){{is_number, step->low, step->low}, step->lane};
    }
    struct interval left = interval_of(judgement, step->left);
    if (!left.bounds.known || step->operation == STEP_LOAD) return left;
    if (step->operation == STEP_FLOAT)
        return floats(as_float(left.lane, left.bounds.low), as_float(left.lane, left.bounds.high));
    struct interval right = interval_of(judgement, step->right);
    if (!right.bounds.known) return UNKNOWN;
    return left.lane == LANE_FLOAT ? calculate_floats(step->operation, &left.bounds, &right.bounds)
                                   : calculate_ints(step, left, right);
}

/* ---- verdicts ---------------------------------------------------------------------------------------------------- */

static enum order order_of(struct interval left, union number a, struct interval right, union number b) {
    return number_order(left.lane, a, right.lane, b);
}

static enum verdict judge_range(struct interval left, const struct step *step) {
    bool starts = order_of(left, left.bounds.low, left, step->low) >= ORDER_EQUAL;
    bool ends = order_of(left, left.bounds.high, left, step->high) <= ORDER_EQUAL;
    bool below = order_of(left, left.bounds.high, left, step->low) == ORDER_BELOW;
    bool above = order_of(left, left.bounds.low, left, step->high) == ORDER_ABOVE;
    return verdict_of(starts && ends, below || above);
}

static enum verdict judge_comparison(enum operation operation, struct interval left, struct interval right) {
    enum order highest = order_of(left, left.bounds.high, right, right.bounds.low);
    enum order lowest = order_of(left, left.bounds.low, right, right.bounds.high);
    switch (operation) {
    case STEP_LESS: return verdict_of(highest == ORDER_BELOW, lowest != ORDER_BELOW);
    case STEP_AT_MOST: return verdict_of(highest != ORDER_ABOVE, lowest == ORDER_ABOVE);
    default:
        return verdict_of(highest == ORDER_EQUAL && lowest == ORDER_EQUAL,
                          highest == ORDER_BELOW || lowest == ORDER_ABOVE);
    }
}

static enum verdict judge_member(struct interval left, const struct step *step) {
    const union number *numbers = step->data;
    uint32_t at = number_search(left.lane, numbers, step->count, left.bounds.low);
    if (at == step->count || order_of(left, numbers[at], left, left.bounds.high) == ORDER_ABOVE) return MATCHES_NONE;
    return verdict_of(order_of(left, left.bounds.low, left, left.bounds.high) == ORDER_EQUAL, false);
}

enum { MANY_IDS = 4096 };

static enum verdict judge_ids(const struct bounds *bounds, const struct step *step) {
    const uint8_t *bits = step->data;
    bool some = false, all = true;
    if (bounds->low.i < 0 || bounds->high.i > UINT32_MAX || bounds->high.u - bounds->low.u > MANY_IDS)
        return MATCHES_SOME; /* they are noise, or too many */
    for (int64_t id = bounds->low.i; id <= bounds->high.i; id++) {
        bool is_in = id < step->count && (bits[id / 8] >> (id % 8) & 1);
        some |= is_in;
        all &= is_in;
    }
    return verdict_of(all, !some);
}

static enum verdict judge_mask(const struct judgement *judgement, const struct step *step) {
    const enum verdict *masks = judgement->masks;
    switch (step->operation) { /* the verdicts are in order: the lesser of two, the greater, the opposite */
    case STEP_AND: return masks[step->left] < masks[step->right] ? masks[step->left] : masks[step->right];
    case STEP_OR: return masks[step->left] > masks[step->right] ? masks[step->left] : masks[step->right];
    case STEP_NOT: return (enum verdict)(MATCHES_ALL - masks[step->left]);
    case STEP_FILL: return step->low.i ? MATCHES_ALL : MATCHES_NONE;
    default: break;
    }
    if (step->operation >= STEP_TEXT_EQUAL && step->operation <= STEP_TEXT_MEMBER) return MATCHES_SOME;
    struct interval left = interval_of(judgement, step->left);
    if (!left.bounds.known) return MATCHES_SOME;
    if (step->operation == STEP_RANGE) return judge_range(left, step);
    if (step->operation == STEP_MEMBER) return judge_member(left, step);
    if (step->operation == STEP_IDS) return judge_ids(&left.bounds, step);
    struct interval right = interval_of(judgement, step->right);
    return right.bounds.known ? judge_comparison(step->operation, left, right) : MATCHES_SOME;
}

/* Judge step by step; `verdicts`, when not NULL, receives that of each step that gives a mask. */
static enum verdict judge_steps(const struct program *program, const struct bounds *bounds, uint8_t *verdicts) {
    struct judgement judgement; /* a register is written before it is read, as program_step verified */
    judgement.program = program;
    judgement.fields = bounds;
    for (uint32_t i = 0; i < program->step_count; i++) {
        const struct step *step = &program->steps[i];
        if (gives_lanes(step->operation)) judgement.lanes[step->to] = judge_lanes(&judgement, step);
        else judgement.masks[step->to] = judge_mask(&judgement, step);
        if (verdicts && !gives_lanes(step->operation)) verdicts[i] = (uint8_t)judgement.masks[step->to];
    }
    return judgement.masks[0];
}

enum verdict program_judge(const struct program *program, const struct bounds *bounds) {
    return program->filters ? judge_steps(program, bounds, NULL) : MATCHES_ALL;
}

/* Registers and fields that later steps read. */
struct live {
    uint32_t masks, lanes;
    uint64_t fields;
};

static void read_operand(struct live *live, const struct step *step, uint8_t operand) {
    if (is_of_masks(step->operation)) live->masks |= UINT32_C(1) << operand;
    else if (operand < MAX_FIELDS) live->fields |= UINT64_C(1) << operand;
    else live->lanes |= UINT32_C(1) << (operand - MAX_FIELDS);
}

enum verdict program_narrow(const struct program *program, const struct bounds *bounds, uint8_t *modes,
                            uint64_t *needs) {
    enum verdict verdict = program->filters ? judge_steps(program, bounds, modes) : MATCHES_ALL;
    struct live live = {.masks = program->filters};
    static const struct step of_values = {.operation = STEP_LOAD};
    for (uint32_t v = 0; v < program->value_count; v++) read_operand(&live, &of_values, program->values[v].operand);
    for (uint32_t i = program->step_count; i--;) {
        const struct step *step = &program->steps[i];
        const bool lanes = gives_lanes(step->operation);
        uint32_t *registers = lanes ? &live.lanes : &live.masks, bit = UINT32_C(1) << step->to;
        const enum mode mode = !(*registers & bit)        ? STEP_IS_IDLE
                               : lanes                    ? STEP_RUNS
                               : modes[i] == MATCHES_SOME ? STEP_RUNS
                               : modes[i] == MATCHES_ALL  ? STEP_GIVES_1
                                                          : STEP_GIVES_0;
        modes[i] = (uint8_t)mode;
        *registers &= ~bit;
        if (mode != STEP_RUNS) continue;
        if (has_left(step->operation)) read_operand(&live, step, step->left);
        if (has_right(step)) read_operand(&live, step, step->right);
    }
    *needs = live.fields;
    return verdict;
}
