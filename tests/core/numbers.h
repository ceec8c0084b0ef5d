/* Streams of numbers of many shapes for the tests of what is asked about them, and how they come in batches. */
#ifndef SHMSTORE_TESTS_NUMBERS_H
#define SHMSTORE_TESTS_NUMBERS_H

#include "harness.h"

#include "core/questions/batches/batch.h"

#include <math.h>

/* Spread evenly, about a middle, few values, all one, two that are far apart, ascending, mostly small with some far
 * out, by turns from eight places, any bits at all (NaN and infinities too), and the ends of the range. */
enum shape { EVEN, MIDDLE, FEW, ONE, TWO, ASCENDING, OUTLIERS, TURNS, BITS, ENDS, SHAPES };

static const enum lane LANES[] = {LANE_INT, LANE_UINT, LANE_FLOAT};

static inline double random_real(void) { return (double)random_number(UINT64_C(1) << 53) / 0x1p53; }

static inline union number random_end(enum lane lane) {
    static const int64_t ints[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX - 1, INT64_MAX};
    static const double reals[] = {-INFINITY, -1.7e308, -5e-324, -0.0, 0.0, 5e-324, 1.7e308, INFINITY, NAN, -NAN};
    if (lane == LANE_FLOAT) return (union number){.f = reals[random_number(10)]};
    return (union number){.i = ints[random_number(7)]};
}

/* Number `at` of a stream of this shape. */
static inline union number shaped(enum shape shape, enum lane lane, uint64_t at) {
    const int64_t small = (int64_t)random_number(1000000);
    double real = 0;
    switch (shape) {
    case EVEN: real = (double)small + random_real(); break;
    case MIDDLE: real = (random_real() + random_real() + random_real() + random_real() - 2) * 1e6; break;
    case FEW: real = (double)(small % 7) - 3; break;
    case ONE: real = 42; break;
    case TWO: real = random_number(2) ? 1e18 : 3; break;
    case ASCENDING: real = 1.7e9 + (double)at; break;
    case OUTLIERS: real = random_number(100) ? (double)(small % 100) : 9e18 * random_real(); break;
    case TURNS: real = (double)(at % 8) * 1e9 + random_real() * 1e5; break;
    case BITS: return (union number){.u = random_number(UINT64_MAX)};
    default: return random_end(lane);
    }
    if (lane == LANE_FLOAT) return (union number){.f = real};
    if (lane == LANE_UINT) return (union number){.u = (uint64_t)(real < 0 ? -real : real)};
    return (union number){.i = (int64_t)real};
}

struct numbers {
    enum lane lane;
    uint64_t count;
    union number *numbers;
    uint8_t *mask; /* NULL: all */
};

static inline struct numbers make_stream(enum shape shape, enum lane lane, uint64_t count, bool masked) {
    struct numbers stream = {lane, count, calloc(count + 1, sizeof *stream.numbers), NULL};
    if (masked) stream.mask = calloc(count + 1, 1);
    if (!stream.numbers || (masked && !stream.mask)) fail("no memory");
    for (uint64_t i = 0; i < count; i++) {
        stream.numbers[i] = shaped(shape, lane, i);
        if (masked) stream.mask[i] = (uint8_t)random_number(2);
    }
    return stream;
}

static inline void free_stream(struct numbers stream) {
    free(stream.numbers);
    free(stream.mask);
}

/* One batch of a stream: also of fewer rows than there is room for. */
struct piece {
    union lanes lanes;
    const uint8_t *mask;
    uint64_t first;
    uint32_t rows;
};

/* The next batch; false at the end. Begin with a piece of zeros. */
static inline bool next_piece(const struct numbers *stream, struct piece *piece) {
    piece->first += piece->rows;
    if (piece->first == stream->count) return false;
    const uint64_t rest = stream->count - piece->first;
    const uint64_t most = random_number(4) ? BATCH_ROWS : 1 + random_number(BATCH_ROWS);
    piece->rows = (uint32_t)(rest < most ? rest : most);
    memcpy(&piece->lanes, stream->numbers + piece->first, piece->rows * sizeof *stream->numbers);
    piece->mask = stream->mask ? stream->mask + piece->first : NULL;
    return true;
}

static inline bool is_nan(enum lane lane, union number number) { return lane == LANE_FLOAT && number.f != number.f; }

/* How two numbers that are not NaN compare. */
static inline int compare_numbers(enum lane lane, union number a, union number b) {
    if (lane == LANE_INT) return (a.i > b.i) - (a.i < b.i);
    if (lane == LANE_UINT) return (a.u > b.u) - (a.u < b.u);
    return (a.f > b.f) - (a.f < b.f);
}
static inline int compare_ints(const void *a, const void *b) {
    return compare_numbers(LANE_INT, *(const union number *)a, *(const union number *)b);
}
static inline int compare_uints(const void *a, const void *b) {
    return compare_numbers(LANE_UINT, *(const union number *)a, *(const union number *)b);
}
static inline int compare_floats(const void *a, const void *b) {
    return compare_numbers(LANE_FLOAT, *(const union number *)a, *(const union number *)b);
}

/* The numbers that the mask lets through and that are not NaN, in order; how many. */
static inline uint64_t sorted_numbers(const struct numbers *stream, union number **sorted) {
    static int (*const compare[])(const void *, const void *) = {compare_ints, compare_uints, compare_floats};
    uint64_t count = 0;
    if (!(*sorted = calloc(stream->count + 1, sizeof **sorted))) fail("no memory");
    for (uint64_t i = 0; i < stream->count; i++)
        if ((!stream->mask || stream->mask[i]) && !is_nan(stream->lane, stream->numbers[i]))
            (*sorted)[count++] = stream->numbers[i];
    qsort(*sorted, count, sizeof **sorted, compare[stream->lane]);
    return count;
}

#endif
