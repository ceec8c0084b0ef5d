/* Distinct counts, and what is asked about groups of pairs, against sorted values: few and many, numbers and texts. */
#include "numbers.h"

#include "core/questions/order/distinct.h"
#include "core/questions/order/group_values.h"

static struct distinct distinct;

/* Distinct numbers of a stream: those in order that differ from the one before, and NaN. */
static uint64_t distinct_of(const struct numbers *stream) {
    union number *sorted;
    const uint64_t count = sorted_numbers(stream, &sorted);
    uint64_t different = count > 0, nan = 0;
    for (uint64_t i = 1; i < count; i++) different += compare_numbers(stream->lane, sorted[i - 1], sorted[i]) != 0;
    for (uint64_t i = 0; i < stream->count; i++)
        nan |= (!stream->mask || stream->mask[i]) && is_nan(stream->lane, stream->numbers[i]);
    free(sorted);
    return different + nan;
}

/* One pass over a stream. */
static enum pass go_over(const struct numbers *stream) {
    struct piece piece = {.rows = 0};
    while (next_piece(stream, &piece)) distinct_add(&distinct, stream->lane, &piece.lanes, piece.mask, piece.rows);
    return distinct_end_pass(&distinct);
}

static void every_shape(uint64_t count) {
    for (enum shape shape = 0; shape < SHAPES; shape++)
        for_each(lane, LANES) for (int masked = 0; masked < 2; masked++) {
            struct numbers stream = make_stream(shape, lane, count, masked);
            uint64_t passes = 1;
            distinct_begin(&distinct);
            while (go_over(&stream) == PASS_AGAIN) passes++;
            expect_equal(distinct.counted, distinct_of(&stream));
            expect(passes <= 2 + distinct.counted / 70000);
            free_stream(stream);
        }
}

CASE(few_numbers) {
    for (uint64_t count = 0; count < 9; count++) every_shape(count);
    every_shape(5000);
}
CASE(more_numbers_than_the_table_holds) { every_shape(300000 * effort / 100); }

CASE(a_table_just_full) {
    struct numbers stream = make_stream(ONE, LANE_UINT, DISTINCT_WORDS, false);
    for (uint64_t i = 0; i < stream.count; i++) stream.numbers[i].u = i; /* among them the one with hash 0 */
    for (uint64_t count = DISTINCT_WORDS * 3 / 4 - 2; count < DISTINCT_WORDS * 3 / 4 + 4; count++) {
        uint64_t passes = 1;
        stream.count = count;
        distinct_begin(&distinct);
        while (go_over(&stream) == PASS_AGAIN) passes++;
        expect_equal(distinct.counted, count);
        expect_equal(passes, count > DISTINCT_WORDS * 3 / 4 + 1 ? 2 : 1);
    }
    free_stream(stream);
}

CASE(numbers_that_all_change_between_passes) {
    uint64_t passes = 0;
    struct numbers stream;
    distinct_begin(&distinct);
    do {
        stream = make_stream(BITS, LANE_INT, passes % 2 ? 1000 : 400000, false);
        passes++;
        expect(passes < 100);
        enum pass pass = go_over(&stream);
        free_stream(stream);
        if (pass == PASS_DONE) break;
    } while (true);
    expect(passes > 1 && distinct.counted > 1000 && distinct.counted < 400000);
}

/* ---- texts ------------------------------------------------------------------------------------------------------- */

/* A column of values of `bytes` bytes, some of them alike, with anything at all between a value and its length. */
static unsigned char *make_texts(uint64_t count, uint32_t bytes, uint64_t kinds) {
    unsigned char *column = calloc(count + 1, bytes);
    if (!column) fail("no memory");
    for (uint64_t i = 0; i < count; i++) {
        unsigned char *value = column + i * bytes;
        const uint64_t number = mixed(random_number(kinds));
        const uint16_t length = (uint16_t)(number % (bytes - 1));
        for (uint32_t at = 0; at < bytes - 2; at++)
            value[at] = (unsigned char)(at < length ? mixed(number + at / 3) >> 5 & 3 : random_number(256));
        memcpy(value + bytes - 2, &length, 2);
    }
    return column;
}

static uint32_t compared_bytes;
static int compare_texts(const void *a, const void *b) {
    uint16_t first, second;
    memcpy(&first, (const char *)a + compared_bytes - 2, 2);
    memcpy(&second, (const char *)b + compared_bytes - 2, 2);
    return first != second ? first - second : memcmp(a, b, first);
}

/* Distinct values of a column, which it sorts. */
static uint64_t distinct_texts(unsigned char *column, uint64_t count, uint32_t bytes) {
    uint64_t different = count > 0;
    compared_bytes = bytes;
    qsort(column, count, bytes, compare_texts);
    for (uint64_t i = 1; i < count; i++) different += compare_texts(column + (i - 1) * bytes, column + i * bytes) != 0;
    return different;
}

CASE(texts_few_and_many) {
    static const uint32_t BYTES[] = {8, 16, 24, 48};
    static const uint64_t KINDS[] = {1, 5, 1000, UINT64_C(1) << 40};
    for_each(bytes, BYTES) for_each(kinds, KINDS) {
        const uint64_t count = kinds > 1000 ? 60000 : 5000;
        unsigned char *column = make_texts(count, bytes, kinds);
        distinct_begin(&distinct);
        do
            for (uint64_t at = 0; at < count; at += BATCH_ROWS)
                distinct_add_bytes(&distinct, column + at * bytes, bytes, NULL,
                                   (uint32_t)(count - at < BATCH_ROWS ? count - at : BATCH_ROWS));
        while (distinct_end_pass(&distinct) == PASS_AGAIN);
        expect_equal(distinct.counted, distinct_texts(column, count, bytes));
        free(column);
    }
}

CASE(texts_behind_a_mask) {
    unsigned char *column = make_texts(BATCH_ROWS, 16, UINT64_MAX);
    uint8_t mask[BATCH_ROWS];
    uint32_t kept = 0;
    for (uint32_t i = 0; i < BATCH_ROWS; i++) mask[i] = (uint8_t)random_number(2);
    distinct_begin(&distinct);
    distinct_add_bytes(&distinct, column, 16, mask, BATCH_ROWS);
    expect_equal(distinct_end_pass(&distinct), PASS_DONE);
    for (uint32_t i = 0; i < BATCH_ROWS; i++)
        if (mask[i]) memmove(column + 16 * kept++, column + 16 * i, 16);
    expect_equal(distinct.counted, distinct_texts(column, kept, 16));
    free(column);
}

CASE(a_length_of_nonsense_reads_no_further) {
    unsigned char value[8] = {1, 2, 3, 4, 5, 6, 255, 255}, longest[8] = {1, 2, 3, 4, 5, 6, 6, 0};
    const struct value_hash hash = hash_bytes(value, 8), same = hash_bytes(longest, 8);
    expect(hash.first == same.first && hash.second == same.second);
}

/* ---- groups ------------------------------------------------------------------------------------------------------ */

CASE(each_group_has_its_own_answers) {
    static const uint32_t CELLS[] = {0, 1, 2, 70000, UINT32_MAX};
    const uint64_t counts[] = {0, 1, 100, 60000 * effort / 100};
    for (enum shape shape = 0; shape < SHAPES; shape++) for_each(lane, LANES) for_each(count, counts) {
            struct numbers all = make_stream(shape, lane, count, count % 8);
            uint32_t *cells = calloc(count + 1, sizeof *cells);
            struct piece piece = {.rows = 0};
            struct pairs pairs;
            if (!cells) fail("no memory");
            for (uint64_t i = 0; i < count; i++) cells[i] = CELLS[random_number(random_number(20) ? 3 : 5)];
            pairs_begin(&pairs);
            while (next_piece(&all, &piece))
                expect_equal(PAIRS_OK,
                             pairs_add(&pairs, cells + piece.first, lane, &piece.lanes, piece.mask, piece.rows));
            expect_equal(pairs_sort(&pairs), PAIRS_OK);
            expect_equal(pairs_of(&pairs, 3).count, 0);
            for_each(cell, CELLS) {
                struct numbers one = make_stream(ONE, lane, count, false);
                one.count = 0;
                for (uint64_t i = 0; i < count; i++)
                    if (cells[i] == cell && (!all.mask || all.mask[i])) one.numbers[one.count++] = all.numbers[i];
                union number *sorted;
                const uint64_t numbers = sorted_numbers(&one, &sorted);
                const struct pairs_span span = pairs_of(&pairs, cell);
                expect_equal(span.count, one.count);
                expect_equal(pairs_distinct(&pairs, span), distinct_of(&one));
                for (int q = 0; q <= 10; q += 2) {
                    const struct quantile found = pairs_quantile(&pairs, span, q / 10.0);
                    expect_equal(found.any, numbers > 0);
                    if (!numbers) continue;
                    const struct quantile_ranks ranks = quantile_ranks(q / 10.0, numbers);
                    expect(!compare_numbers(lane, found.low, sorted[ranks.low]));
                    expect(!compare_numbers(lane, found.high, sorted[ranks.high]));
                    expect(found.fraction == ranks.fraction);
                }
                free(sorted);
                free_stream(one);
            }
            pairs_free(&pairs);
            free(cells);
            free_stream(all);
        }
}

CASE(texts_of_groups) {
    enum { COUNT = 20000, BYTES = 24 };
    unsigned char *column = make_texts(COUNT, BYTES, 3000), *kept = calloc(COUNT, BYTES);
    uint32_t *cells = calloc(COUNT, sizeof *cells);
    uint8_t *mask = calloc(COUNT, 1);
    struct pairs pairs;
    if (!kept || !cells || !mask) fail("no memory");
    for (uint32_t i = 0; i < COUNT; i++) cells[i] = (uint32_t)random_number(3), mask[i] = (uint8_t)random_number(2);
    pairs_begin(&pairs);
    for (uint32_t at = 0; at < COUNT; at += 1000)
        expect_equal(pairs_add_bytes(&pairs, cells + at, column + at * BYTES, BYTES, mask + at, 1000), PAIRS_OK);
    expect_equal(pairs_sort(&pairs), PAIRS_OK);
    for (uint32_t cell = 0; cell < 3; cell++) {
        uint64_t count = 0;
        for (uint32_t i = 0; i < COUNT; i++)
            if (mask[i] && cells[i] == cell) memcpy(kept + BYTES * count++, column + i * BYTES, BYTES);
        expect_equal(pairs_of(&pairs, cell).count, count);
        expect_equal(pairs_distinct(&pairs, pairs_of(&pairs, cell)), distinct_texts(kept, count, BYTES));
    }
    pairs_free(&pairs);
    free(column), free(kept), free(cells), free(mask);
}
