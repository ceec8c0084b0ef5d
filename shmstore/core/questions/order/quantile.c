/* Sampling, gathering and narrowing; the method is in quantile.h. */
#include "core/questions/order/quantile.h"

#include "core/questions/order/sort.h"
#include "core/base/vector.h"

struct span {
    uint64_t from, to;
};

struct quantile_ranks quantile_ranks(double q, uint64_t count) {
    const double rank = q * (double)(count - 1);
    const uint64_t low = (uint64_t)rank;
    if (low >= count - 1) return (struct quantile_ranks){count - 1, count - 1, 0};
    return (struct quantile_ranks){low, low + 1, rank - (double)low};
}

bool quantile_is_low(const struct quantile *quantile) {
    return quantile->fraction <= 0 || quantile->low.u == quantile->high.u;
}

double quantile_real(const struct quantile *quantile) {
    const union number low = quantile->low, high = quantile->high;
    const double t = quantile->fraction;
    double from, to, distance;
    switch (quantile->lane) {
    case LANE_INT: from = (double)low.i, to = (double)high.i, distance = (double)(high.u - low.u); break;
    case LANE_UINT: from = (double)low.u, to = (double)high.u, distance = (double)(high.u - low.u); break;
    default: from = low.f, to = high.f, distance = to - from;
    }
    if (quantile_is_low(quantile)) return from;
    if (distance - distance != 0) return from * (1 - t) + to * t; /* infinite, or as good as that */
    return t < 0.5 ? from + distance * t : to - distance * (1 - t);
}

static uint64_t least(const struct quantiles *q) { return q->lane == LANE_FLOAT ? ORDERED_MINUS_INFINITY : 0; }
static uint64_t greatest(const struct quantiles *q) { return q->lane == LANE_FLOAT ? ORDERED_INFINITY : UINT64_MAX; }

static uint64_t random_below(struct quantiles *q, uint64_t power_of_2) {
    q->random = q->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return q->random >> 32 & (power_of_2 - 1);
}

/* ---- adding ------------------------------------------------------------------------------------------------------ */

/* Value i of the sample is one of the numbers from i * stride on, so that no order of the records makes it uneven. */
static void sample(struct quantiles *q, const uint64_t *words, uint32_t count) {
    for (; q->next < q->total + count; q->next = q->held * q->stride + random_below(q, q->stride)) {
        if (q->held == QUANTILE_VALUES) {
            q->held /= 2;
            q->stride *= 2;
            for (uint64_t i = 0; i < q->held; i++) q->values[i] = q->values[2 * i + random_below(q, 2)];
            continue;
        }
        q->values[q->held++] = words[q->next - q->total];
    }
}

/* Count values in the buckets of a range; what is not in the range goes to one bucket more. */
static void fill_buckets(struct quantiles *q, uint32_t range_at, const uint64_t *values, uint64_t count) {
    const struct quantile_range range = q->ranges[range_at];
    uint64_t *counts = q->counts + range_at * (q->buckets + 1);
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t at = values[i] - range.from;
        counts[at <= range.to - range.from ? at >> range.shift : q->buckets]++;
    }
}

/* From now on values are not kept in this pass, but counted in buckets. */
static void spill(struct quantiles *q) {
    for (uint32_t i = 0; i < q->range_count; i++) fill_buckets(q, i, q->values, q->held);
    q->held = 0;
    q->spilled = true;
}

VECTORISED static void count_words(struct quantile_range *range, const uint64_t *words, uint32_t count) {
    uint64_t below = 0, within = 0;
    for (uint32_t i = 0; i < count; i++) {
        below += words[i] < range->from;
        within += words[i] - range->from <= range->to - range->from;
    }
    range->below += below;
    range->within += within;
}

static void gather(struct quantiles *q, uint32_t range_at, const uint64_t *words, uint32_t count) {
    struct quantile_range *range = &q->ranges[range_at];
    const uint64_t from = range->from, width = range->to - from;
    count_words(range, words, count);
    if (!width) return; /* the count says it all */
    if (!q->spilled && q->held + count > QUANTILE_VALUES) spill(q);
    uint64_t *const values = q->values + q->held, within = 0;
    for (uint32_t i = 0; i < count; i++) {
        values[within] = words[i];
        within += words[i] - from <= width;
    }
    if (q->spilled) fill_buckets(q, range_at, values, within);
    else q->held += within;
}

void quantiles_begin(struct quantiles *q, const double *wanted, uint32_t count) {
    memset(q, 0, offsetof(struct quantiles, values));
    memcpy(q->wanted, wanted, count * sizeof *wanted);
    q->wanted_count = count;
    q->stride = 1;
}

void quantiles_add(struct quantiles *q, enum lane lane, const union lanes *values, const uint8_t *mask, uint32_t rows) {
    uint64_t words[BATCH_ROWS];
    const uint32_t count = ordered_numbers(lane, values, mask, rows, words);
    q->lane = lane;
    if (!q->passes) sample(q, words, count);
    for (uint32_t i = 0; i < q->range_count; i++) gather(q, i, words, count);
    q->total += count;
}

/* ---- the end of a pass ------------------------------------------------------------------------------------------- */

/* Where the sample says that the number of a rank lies, give or take as much as the next pass can probably keep. When
 * that is not three times the standard error (of a median: half the root of the sample), it is six times that. */
static struct span guess(const struct quantiles *q, uint64_t rank) {
    const uint64_t at = rank / q->stride, room = QUANTILE_VALUES * 3 / 7 / q->wanted_count / q->stride;
    const uint64_t margin = room >= q->held / 80 ? room : q->held / 40;
    return (struct span){at < margin ? least(q) : q->values[at - margin],
                         at + margin >= q->held ? greatest(q) : q->values[at + margin]};
}

/* The bucket where the number of a rank within a range lies, and as much around as the next pass can surely keep. */
static struct span bucket(const struct quantiles *q, uint32_t range_at, uint64_t rank) {
    const struct quantile_range *range = &q->ranges[range_at];
    const uint64_t *counts = q->counts + range_at * (q->buckets + 1);
    const uint64_t room = QUANTILE_VALUES / 4 / q->wanted_count, last = (range->to - range->from) >> range->shift;
    uint64_t first = 0;
    while (rank >= counts[first]) rank -= counts[first++];
    uint64_t end = first, sum = counts[first];
    for (bool grows = range->shift; grows;) {
        grows = false;
        if (first && sum + counts[first - 1] <= room) sum += counts[--first], grows = true;
        if (end < last && sum + counts[end + 1] <= room) sum += counts[++end], grows = true;
    }
    const uint64_t from = range->from + (first << range->shift);
    return (struct span){from, end == last ? range->to : range->from + ((end + 1) << range->shift) - 1};
}

/* Where the number of a rank lies: one word when it is known. */
static struct span look(const struct quantiles *q, uint64_t rank) {
    uint64_t gap = least(q), kept = 0;
    for (uint32_t i = 0; i < q->range_count; i++) {
        const struct quantile_range *range = &q->ranges[i];
        if (rank < range->below) return (struct span){gap, range->from - 1};
        if (rank - range->below < range->within) {
            if (range->from == range->to) return (struct span){range->from, range->to};
            if (q->spilled) return bucket(q, i, rank - range->below);
            const uint64_t word = q->values[kept + rank - range->below];
            return (struct span){word, word};
        }
        if (range->from != range->to) kept += range->within;
        gap = range->to + 1;
    }
    return (struct span){gap, greatest(q)};
}

static void settle(struct quantiles *q, uint32_t i, uint64_t low, uint64_t high, double fraction) {
    q->results[i] =
        (struct quantile){true, q->lane, ordered_number(q->lane, low), ordered_number(q->lane, high), fraction};
    q->settled[i] = true;
}

/* After too many passes: the bound of a span that is a number of some record, rather than the end of all numbers. */
static uint64_t nearest(const struct quantiles *q, struct span span) {
    return span.from == least(q) ? span.to : span.from;
}

/* Make ranges of the spans: in order, and those that overlap one. */
static void set_ranges(struct quantiles *q, struct span *spans, uint32_t count) {
    q->range_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t next = i;
        for (uint32_t k = i + 1; k < count; k++)
            if (spans[k].from < spans[next].from) next = k;
        const struct span span = spans[next];
        spans[next] = spans[i];
        struct quantile_range *end = q->ranges + q->range_count;
        if (!q->range_count || end[-1].to < span.from) {
            *end = (struct quantile_range){.from = span.from, .to = span.to};
            q->range_count++;
        } else if (end[-1].to < span.to) end[-1].to = span.to;
    }
    q->buckets = QUANTILE_VALUES / q->range_count - 1;
    for (uint32_t i = 0; i < q->range_count; i++)
        while ((q->ranges[i].to - q->ranges[i].from) >> q->ranges[i].shift >= q->buckets) q->ranges[i].shift++;
    memset(q->counts, 0, sizeof q->counts);
    q->total = q->held = 0;
    q->spilled = false;
}

enum pass quantiles_end_pass(struct quantiles *q) {
    const bool guesses = !q->passes && q->stride > 1, gives_up = ++q->passes == QUANTILE_PASSES;
    struct span spans[QUANTILE_RANGES];
    uint32_t count = 0;
    if (q->passes == 1 && !guesses) { /* the sample is all there is */
        q->ranges[0] = (struct quantile_range){.from = least(q), .to = greatest(q), .within = q->total};
        q->range_count = 1;
    }
    if (!q->spilled) sort_words(q->values, q->counts, q->held);
    for (uint32_t i = 0; i < q->wanted_count && q->total; i++) {
        if (q->settled[i]) continue;
        const struct quantile_ranks ranks = quantile_ranks(q->wanted[i], q->total);
        const struct span low = guesses ? guess(q, ranks.low) : look(q, ranks.low);
        const struct span high = guesses ? guess(q, ranks.high) : look(q, ranks.high);
        if (!guesses && low.from == low.to && high.from == high.to) settle(q, i, low.from, high.from, ranks.fraction);
        else if (gives_up) settle(q, i, nearest(q, low), nearest(q, high), ranks.fraction);
        else spans[count++] = low, spans[count++] = high;
    }
    if (!count) return PASS_DONE;
    set_ranges(q, spans, count);
    return PASS_AGAIN;
}
