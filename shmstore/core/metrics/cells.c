/* Reading cells, and the values that each process has for itself; numbers in brackets are the sentences of cells.h. */
#include "core/metrics/cells.h"

#include "core/base/point.h"

enum { MOST_LOOKS = 1 << 20, COUNT_BITS = 32, INCARNATION_BITS = 20 };

/* Is `value` before, by so many low bits? */
static bool is_before(uint64_t value, uint64_t other, uint32_t bits) { return (value - other) >> (bits - 1) & 1; }

bool cell_raise(const struct cell_at *at, uint64_t incarnation, uint64_t count, double unit) {
    const uint64_t mask = (UINT64_C(1) << COUNT_BITS) - 1;
    struct halves before;
    double more;
    do {
        if (!cell_load(at, &before)) return false;
        const uint64_t bits = before.low & CELL_MASK, last = bits >> COUNT_BITS;
        const bool is_first = !bits && !before.high;
        const bool is_same = !is_first && !((incarnation - last) & ((1 << INCARNATION_BITS) - 1));
        if (!is_first &&
            is_before(is_same ? count : incarnation, is_same ? bits : last, is_same ? COUNT_BITS : INCARNATION_BITS))
            return true;
        more = (double)(is_same ? (count - bits) & mask : count);
    } while (!cell_swap(at, before, incarnation << COUNT_BITS | (count & mask), number_of(before.high) + more * unit));
    return true;
}

bool cell_read(const struct wide *cell, struct cell_value *value) {
    for (uint32_t looks = MOST_LOOKS; looks; looks--) {
        const uint64_t tag = load_acquire(&cell->low);     /* cell_read:tag */
        const uint64_t number = load_acquire(&cell->high); /* cell_read:number */
        if (load_relaxed(&cell->low) != tag) continue;     /* cell_read:again */
        *value = (struct cell_value){tag & CELL_MASK, number_of(number)};
        return true;
    }
    return false;
}

static double folded(double dead, double own, enum fold fold) {
    if (fold == FOLD_SUM) return dead + own;
    if (fold == FOLD_LEAST) return own < dead ? own : dead;
    return own > dead ? own : dead;
}

bool own_take(const struct cell_at *own, const struct cell_at *dead, uint64_t mark, uint64_t pid, enum fold fold) {
    const bool folds = fold != FOLD_NOTHING && fold != FOLD_PID;
    struct halves mine, theirs;
    for (;;) {
        if (!cell_load(own, &mine) || !cell_load(dead, &theirs)) return false;
        const uint64_t its = mine.low & CELL_MASK, last = theirs.low & CELL_MASK;
        if (its == mark) return true;
        if (its && folds && last != its) {
            const double value = number_of(mine.high);
            cell_swap(dead, theirs, its, last ? folded(number_of(theirs.high), value, fold) : value);
            POINT("dead folded");
        } else if (its) {
            cell_swap(own, mine, 0, 0);
            POINT("own value absent");
        } else if (fold == FOLD_PID && last != mark) {
            cell_swap(dead, theirs, mark, (double)pid);
            POINT("pid written");
        } else if (cell_swap(own, mine, mark, 0)) return true;
    }
}

bool own_read(const struct wide *own, const struct wide *dead, enum fold fold, struct own_values *values) {
    for (uint32_t looks = MOST_LOOKS; looks; looks--) {
        struct cell_value mine, theirs;
        if (!cell_read(own, &mine) || !cell_read(dead, &theirs)) return false;
        if ((load_relaxed(&own->low) & CELL_MASK) != mine.bits) continue; /* own_read:again */
        const bool is_same = mine.bits == theirs.bits, is_pid = fold == FOLD_PID;
        *values = (struct own_values){.has_own = mine.bits && (fold == FOLD_NOTHING || is_same == is_pid),
                                      .has_dead = theirs.bits && fold != FOLD_NOTHING && !is_pid,
                                      .mark = mine.bits,
                                      .pid = is_pid && is_same ? (uint64_t)theirs.number : 0,
                                      .own = mine.number,
                                      .dead = theirs.number};
        return true;
    }
    return false;
}
