/* Tallies, a batch, a record or a block at a time; see tally.h. */
#include "core/questions/tallies/tally.h"

#include <math.h>
#include <string.h>

#include "core/questions/batches/bounds.h"
#include "core/base/vector.h"

void tally_begin(struct tally *tally, const struct tallies *asked) {
    memset(tally, 0, asked->count * sizeof *tally);
    for (uint32_t i = 0; i < asked->count; i++) bounds_begin(asked->values[i].lane, &tally[i].low, &tally[i].high);
}

/* ---- moments ------------------------------------------------------------------------------------------------------ */

/* How far a number lies from another: exact as long as a double can be. */
static inline double distance(enum lane lane, union number number, union number from) {
    int64_t apart;
    if (lane == LANE_FLOAT) return number.f - from.f;
    if (lane == LANE_UINT) return number.u >= from.u ? (double)(number.u - from.u) : -(double)(from.u - number.u);
    return __builtin_sub_overflow(number.i, from.i, &apart) ? (double)number.i - (double)from.i : (double)apart;
}

/* Join the moments of other values, `mean` from `origin` on average (Chan, Golub and LeVeque, "Updating formulae and a
 * pairwise algorithm for computing sample variances", COMPSTAT 1982). */
static void merge_moments(struct tally *tally, enum lane lane, uint64_t count, union number origin, double mean,
                          double squares) {
    if (!count) return;
    if (!tally->counted) {
        tally->origin = origin;
        tally->counted = count;
        tally->mean = mean;
        tally->squares = squares;
        return;
    }
    double mine = (double)tally->counted, theirs = (double)count,
           apart = distance(lane, origin, tally->origin) + mean - tally->mean;
    tally->counted += count;
    tally->mean += apart * theirs / (mine + theirs);
    tally->squares += squares + apart * apart * mine * theirs / (mine + theirs);
}

VECTORISED static double sum_squares(const double *values, uint32_t rows, double mean) {
    double sums[8] = {0}, total = 0;
    uint32_t row = 0;
    for (; row + 8 <= rows; row += 8)
        for (uint32_t lane = 0; lane < 8; lane++)
            sums[lane] += (values[row + lane] - mean) * (values[row + lane] - mean);
    for (; row < rows; row++) total += (values[row] - mean) * (values[row] - mean);
    for (uint32_t lane = 0; lane < 8; lane++) total += sums[lane];
    return total;
}

static void add_moments(struct tally *tally, enum lane lane, const union lanes *values, uint32_t rows) {
    double apart[BATCH_ROWS];
    const union number origin = {.u = values->u[0]};
    for (uint32_t row = 0; row < rows; row++) apart[row] = distance(lane, (union number){.u = values->u[row]}, origin);
    struct real_sum sum = {0, 0};
    real_sum_add(&sum, apart, rows);
    double mean = real_sum_value(&sum) / rows;
    merge_moments(tally, lane, rows, origin, mean, sum_squares(apart, rows, mean));
}

/* ---- records ------------------------------------------------------------------------------------------------------ */

void tally_batch(struct tally *tally, const struct tallies *asked, const struct found *found, uint32_t rows) {
    for (uint32_t i = 0; i < asked->count; i++, tally++) {
        enum lane lane = asked->values[i].lane;
        unsigned what = asked->values[i].what;
        union lanes kept;
        const union lanes *values = found->values[i];
        uint32_t count = rows;
        if (found->mask && found->matched < rows) {
            count = lanes_keep(&kept, values, found->mask, rows);
            values = &kept;
        }
        if (what & TALLY_SUM) {
            if (lane == LANE_FLOAT) real_sum_add(&tally->sum.real, values->f, count);
            else int_sum_add(&tally->sum.integer, lane, values, count);
        }
        if (what & TALLY_BOUNDS) bounds_add(lane, &tally->low, &tally->high, values, count);
        if (what & TALLY_MOMENTS && count) add_moments(tally, lane, values, count);
    }
}

void tally_row(struct tally *tally, const struct tallies *asked, const union lanes *const *values_of, uint32_t row) {
    for (uint32_t i = 0; i < asked->count; i++, tally++) {
        enum lane lane = asked->values[i].lane;
        unsigned what = asked->values[i].what;
        const union lanes *values = values_of[i];
        if (what & TALLY_SUM) {
            if (lane == LANE_FLOAT) real_sum_one(&tally->sum.real, values->f[row]);
            else tally->sum.integer.total += lane == LANE_INT ? (__int128)values->i[row] : (__int128)values->u[row];
        }
        if (what & TALLY_BOUNDS) {
            switch (lane) {
            case LANE_INT:
                if (values->i[row] < tally->low.i) tally->low.i = values->i[row];
                if (values->i[row] > tally->high.i) tally->high.i = values->i[row];
                break;
            case LANE_UINT:
                if (values->u[row] < tally->low.u) tally->low.u = values->u[row];
                if (values->u[row] > tally->high.u) tally->high.u = values->u[row];
                break;
            case LANE_FLOAT:
                if (values->f[row] < tally->low.f) tally->low.f = values->f[row];
                if (values->f[row] > tally->high.f) tally->high.f = values->f[row];
                break;
            }
        }
        if (what & TALLY_MOMENTS) {
            const union number value = {.u = values->u[row]};
            const double none = distance(lane, value, value); /* NaN unless the value is finite */
            merge_moments(tally, lane, 1, value, none, none);
        }
    }
}

/* ---- blocks ------------------------------------------------------------------------------------------------------- */

bool tally_answers(const struct tallies *asked, const struct block *block) {
    for (uint32_t i = 0; i < asked->count; i++) {
        int field = asked->values[i].field;
        unsigned what = asked->values[i].what;
        if (field == NO_FIELD || what & TALLY_MOMENTS || !block->facts[field].known) return false;
        if (what & TALLY_BOUNDS && block->facts[field].has_nan) return false;
    }
    return true;
}

void tally_block(struct tally *tally, const struct tallies *asked, const struct block *block) {
    struct tally whole[MAX_VALUES];
    tally_begin(whole, asked);
    for (uint32_t i = 0; i < asked->count; i++) {
        const struct facts *facts = &block->facts[asked->values[i].field];
        whole[i].low = facts->low;
        whole[i].high = facts->high;
        if (asked->values[i].lane == LANE_FLOAT) whole[i].sum.real = facts->sum.real;
        else whole[i].sum.integer = facts->sum.integer;
    }
    tally_merge(tally, asked, whole);
}

void tally_merge(struct tally *tally, const struct tallies *asked, const struct tally *other) {
    for (uint32_t i = 0; i < asked->count; i++, tally++, other++) {
        switch (asked->values[i].lane) {
        case LANE_INT:
            int_sum_merge(&tally->sum.integer, &other->sum.integer);
            if (other->low.i < tally->low.i) tally->low.i = other->low.i;
            if (other->high.i > tally->high.i) tally->high.i = other->high.i;
            break;
        case LANE_UINT:
            int_sum_merge(&tally->sum.integer, &other->sum.integer);
            if (other->low.u < tally->low.u) tally->low.u = other->low.u;
            if (other->high.u > tally->high.u) tally->high.u = other->high.u;
            break;
        case LANE_FLOAT:
            real_sum_merge(&tally->sum.real, &other->sum.real);
            if (other->low.f < tally->low.f) tally->low.f = other->low.f;
            if (other->high.f > tally->high.f) tally->high.f = other->high.f;
            break;
        }
        merge_moments(tally, asked->values[i].lane, other->counted, other->origin, other->mean, other->squares);
    }
}
