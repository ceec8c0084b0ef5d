/* Quantiles against those of sorted numbers: all lanes and shapes, few and many, and records that change between
 * passes. */
#include "numbers.h"

#include "core/questions/order/quantile.h"
#include "core/questions/order/sort.h"

static const double WANTED[MAX_QUANTILES] = {0.5, 0,   1,   0.25, 0.75, 0.01, 0.99, 0.999,
                                             0.1, 0.3, 0.7, 0.9,  1e-9, 0.6,  0.05, 0.5};
static struct quantiles quantiles;

static void add_stream(const struct numbers *stream) {
    struct piece piece = {.rows = 0};
    while (next_piece(stream, &piece)) quantiles_add(&quantiles, stream->lane, &piece.lanes, piece.mask, piece.rows);
}

/* Ask for the first `wanted` quantiles; returns the passes it took. */
static uint32_t ask(const struct numbers *stream, uint32_t wanted) {
    quantiles_begin(&quantiles, WANTED, wanted);
    do add_stream(stream);
    while (quantiles_end_pass(&quantiles) == PASS_AGAIN);
    return quantiles.passes;
}

/* Quantile i is that of the sorted numbers. */
static void expect_quantile(uint32_t i, enum lane lane, const union number *sorted, uint64_t count) {
    const struct quantile *found = &quantiles.results[i];
    expect_equal(found->any, count > 0);
    if (!count) return;
    const double rank = WANTED[i] * (double)(count - 1);
    const uint64_t low = (uint64_t)rank, high = low + (low < count - 1);
    expect_equal(found->lane, lane);
    if (compare_numbers(lane, found->low, sorted[low]) || compare_numbers(lane, found->high, sorted[high]))
        fail("quantile %g of %llu numbers of lane %d is [%llx, %llx], not [%llx, %llx]", WANTED[i],
             (unsigned long long)count, lane, (unsigned long long)found->low.u, (unsigned long long)found->high.u,
             (unsigned long long)sorted[low].u, (unsigned long long)sorted[high].u);
    expect(found->fraction == rank - (double)low);
}

static void expect_exact(const struct numbers *stream, uint32_t wanted) {
    union number *sorted;
    const uint64_t count = sorted_numbers(stream, &sorted);
    for (uint32_t i = 0; i < wanted; i++) expect_quantile(i, stream->lane, sorted, count);
    free(sorted);
}

static void every_shape(uint64_t count, uint32_t wanted, uint32_t most_passes) {
    for (enum shape shape = 0; shape < SHAPES; shape++)
        for_each(lane, LANES) for (int masked = 0; masked < 2; masked++) {
            struct numbers stream = make_stream(shape, lane, count, masked);
            const uint32_t passes = ask(&stream, wanted);
            if (passes > most_passes)
                fail("shape %d, lane %d, %llu numbers: %u passes", shape, lane, (unsigned long long)count, passes);
            expect_exact(&stream, wanted);
            free_stream(stream);
        }
}

CASE(few_numbers_take_one_pass) {
    for (uint64_t count = 0; count < 9; count++) every_shape(count, MAX_QUANTILES, 1);
    every_shape(QUANTILE_VALUES - 1, MAX_QUANTILES, 1);
    every_shape(QUANTILE_VALUES, 1, 1);
}
CASE(just_more_than_there_is_room_for) { every_shape(QUANTILE_VALUES + 1, 1, 8); }
CASE(one_quantile_of_many_numbers) { every_shape(300000 * effort / 100, 1, 8); }
CASE(all_quantiles_of_many_numbers) { every_shape(200000 * effort / 100, MAX_QUANTILES, 8); }

/* The same numbers in every run: how many passes they take is then no matter of chance. */
CASE(a_million_numbers_take_two_passes) {
    struct numbers stream = make_stream(ONE, LANE_FLOAT, 1000000, false);
    for (int turns = 1; turns <= 8; turns += 7) {
        for (uint64_t i = 0; i < stream.count; i++)
            stream.numbers[i].f = (double)(i % (uint64_t)turns * 1000) + (double)(mixed(i) >> 11) / 0x1p53;
        expect_equal(ask(&stream, 1), 2);
        expect_exact(&stream, 1);
    }
    for (uint64_t i = 0; i < stream.count; i++) stream.numbers[i].f = 1.7e9 + (double)i;
    expect_equal(ask(&stream, 1), 2);
    expect_exact(&stream, 1);
    free_stream(stream);
}

/* The numbers of the next pass are not those of the sample: each quantile is right for its last pass. */
CASE(numbers_that_change_between_passes) {
    for (int round = 0; round < 20; round++) {
        const enum lane lane = LANES[random_number(3)];
        const uint32_t wanted = 1 + (uint32_t)random_number(MAX_QUANTILES), changes = (uint32_t)random_number(9);
        bool was_settled[MAX_QUANTILES] = {false};
        struct numbers stream = {.count = 0};
        enum pass pass = PASS_AGAIN;
        quantiles_begin(&quantiles, WANTED, wanted);
        while (pass == PASS_AGAIN) {
            if (quantiles.passes <= changes) {
                free_stream(stream);
                stream = make_stream((enum shape)random_number(SHAPES), lane, 30000 + random_number(50000), false);
            }
            add_stream(&stream);
            pass = quantiles_end_pass(&quantiles);
            union number *sorted;
            const uint64_t count = sorted_numbers(&stream, &sorted);
            for (uint32_t i = 0; i < wanted; i++) {
                if (quantiles.settled[i] && !was_settled[i]) expect_quantile(i, lane, sorted, count);
                was_settled[i] = quantiles.settled[i];
                expect(was_settled[i] || pass == PASS_AGAIN);
            }
            free(sorted);
        }
        expect(quantiles.passes < QUANTILE_PASSES);
        free_stream(stream);
    }
}

CASE(all_records_go_between_two_passes) {
    struct numbers stream = make_stream(EVEN, LANE_INT, 2 * QUANTILE_VALUES, false);
    quantiles_begin(&quantiles, WANTED, 2);
    add_stream(&stream);
    expect_equal(quantiles_end_pass(&quantiles), PASS_AGAIN);
    expect_equal(quantiles_end_pass(&quantiles), PASS_DONE);
    expect(!quantiles.results[0].any && !quantiles.results[1].any);
}

CASE(numbers_that_flee_at_every_pass_are_settled_in_the_end) {
    for_each(lane, LANES) {
        uint32_t passes = 0;
        quantiles_begin(&quantiles, WANTED, MAX_QUANTILES);
        do {
            struct numbers stream = make_stream(BITS, lane, 2 * QUANTILE_VALUES, false);
            for (uint64_t i = 0; i < stream.count; i++) { /* far away from those of the pass before */
                const uint64_t away = (passes * 37 % 97 * 1000000 + i) * 1000;
                if (lane == LANE_FLOAT) stream.numbers[i].f = (double)away;
                else stream.numbers[i].u = away;
            }
            add_stream(&stream);
            free_stream(stream);
            passes++;
        } while (quantiles_end_pass(&quantiles) == PASS_AGAIN);
        expect_equal(passes, QUANTILE_PASSES);
        for (uint32_t i = 0; i < MAX_QUANTILES; i++) {
            expect(quantiles.results[i].any);
            expect(!is_nan(lane, quantiles.results[i].low) && !is_nan(lane, quantiles.results[i].high));
        }
    }
}

static double between(enum lane lane, union number low, union number high, double fraction) {
    return quantile_real(&(struct quantile){true, lane, low, high, fraction});
}

CASE(a_quantile_between_two_numbers) {
    const union number small = {.i = -3}, large = {.i = 5}, least = {.i = INT64_MIN}, most = {.i = INT64_MAX};
    expect(between(LANE_INT, small, large, 0.25) == -1);
    expect(between(LANE_INT, least, most, 0.5) == 0);
    expect(between(LANE_UINT, (union number){.u = 0}, (union number){.u = UINT64_MAX}, 0.5) == 0x1p63);
    expect(between(LANE_FLOAT, (union number){.f = 0.1}, (union number){.f = 0.3}, 0.75) == 0.3 - (0.3 - 0.1) * 0.25);
    expect(between(LANE_FLOAT, (union number){.f = -1.5e308}, (union number){.f = 1.5e308}, 0.75) == 0.75e308);
    expect(between(LANE_FLOAT, (union number){.f = -INFINITY}, (union number){.f = 1}, 0.25) == -INFINITY);
    expect(between(LANE_FLOAT, (union number){.f = INFINITY}, (union number){.f = INFINITY}, 0.25) == INFINITY);
    expect(quantile_is_low(&(struct quantile){true, LANE_INT, small, small, 0.5}));
    expect(quantile_is_low(&(struct quantile){true, LANE_INT, small, large, 0}));
    expect(!quantile_is_low(&(struct quantile){true, LANE_INT, small, large, 0.5}));
}

CASE(words_are_in_the_order_of_their_numbers) {
    for_each(lane, LANES) for (int i = 0; i < 20000; i++) {
        union lanes pair;
        uint64_t words[BATCH_ROWS];
        for (int k = 0; k < 2; k++) pair.u[k] = shaped(i % 2 ? ENDS : BITS, lane, 0).u;
        ordered_words(lane, &pair, 2, words);
        const union number a = {.u = pair.u[0]}, b = {.u = pair.u[1]}, back = ordered_number(lane, words[0]);
        expect(is_nan(lane, a) == (lane == LANE_FLOAT && words[0] == ORDERED_NAN));
        expect(is_nan(lane, a) ? is_nan(lane, back) : !compare_numbers(lane, a, back));
        if (is_nan(lane, a) || is_nan(lane, b)) continue;
        expect_equal(words[0] < words[1], compare_numbers(lane, a, b) < 0);
        expect_equal(words[0] == words[1], compare_numbers(lane, a, b) == 0);
    }
}

CASE(sorting_words_and_pairs) {
    enum { MOST = 3000 };
    static uint64_t words[MOST], spare[MOST], pairs[MOST][2], spare_pairs[MOST][2];
    for (int round = 0; round < 50; round++) {
        const uint64_t count = random_number(MOST), below = UINT64_C(1) << random_number(64);
        uint64_t sum = 0, sum_of_pairs = 0;
        for (uint64_t i = 0; i < count; i++) {
            sum += words[i] = random_number(below);
            pairs[i][0] = random_number(below);
            pairs[i][1] = random_number(5) << 40;
            sum_of_pairs += mixed(pairs[i][0] ^ mixed(pairs[i][1]));
        }
        sort_words(words, spare, count);
        sort_pairs(pairs, spare_pairs, count);
        for (uint64_t i = 0; i < count; i++) {
            sum -= words[i];
            sum_of_pairs -= mixed(pairs[i][0] ^ mixed(pairs[i][1]));
            if (!i) continue;
            expect(words[i - 1] <= words[i]);
            expect(pairs[i - 1][1] < pairs[i][1] || (pairs[i - 1][1] == pairs[i][1] && pairs[i - 1][0] <= pairs[i][0]));
        }
        expect_equal(sum, 0);
        expect_equal(sum_of_pairs, 0);
    }
}
