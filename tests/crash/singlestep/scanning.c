/* Asking for the count and sum of the records of the ring, by summaries of blocks or without.
 *
 * Who asks sees the store in blocks of two slots, and one field of them is summarised: a store so small would have no
 * block that is whole. */
#include "world.h"

#include "core/questions/scan.h"

enum { NUMBER = 2 /* the field that is asked about */ };

struct answer {
    uint64_t count, sum;
};

static struct geometry fine;

void cut_blocks(const struct world *world) {
    fine = world->geometry;
    fine.block_slots = SLOTS / BLOCKS;
    fine.block_count = BLOCKS;
    fine.summary_count = 1;
    for (int i = 0; i < MAX_FIELDS; i++) fine.fields[i].summary = i == NUMBER ? 0 : -1;
}

static bool take_block(void *context, const struct block *block) {
    struct answer *answer = context;
    const struct facts *facts = &block->facts[NUMBER];
    if (!facts->known) return false;
    answer->count += block->records;
    answer->sum += (uint64_t)facts->sum.integer.total;
    return true;
}

static struct answer find_answer(const struct ring *ring, atomic_u64 *marks) {
    static _Alignas(CACHE_LINE) unsigned char buffer[BATCH_ROWS * 8 + 2 * CACHE_LINE];
    static atomic_u64 nothing[BLOCKS];
    static const struct program everything;
    const struct ring seen = {&fine, ring->memory, ring->writable, ring->liveness};
    struct range range = scan_range(&seen, 0);
    struct answer answer = {0, 0};
    struct scan scan = {.ring = &seen,
                        .program = &everything,
                        .needs = 1 << NUMBER,
                        .kept = 1 << NUMBER,
                        .ranges = &range,
                        .range_count = 1,
                        .sealed = marks ? marks : nothing,
                        .summarises = marks != NULL,
                        .taker = {take_block, &answer}};
    struct batch batch;
    uint8_t room[1];
    enum scan_status status;
    for (int block = 0; block < BLOCKS; block++) store_relaxed(&nothing[block], 0);
    scan_begin(&scan, buffer, room);
    while ((status = scan_next(&scan, &batch)) == SCAN_BATCH) {
        const uint64_t *numbers = (const uint64_t *)(const void *)batch.columns[NUMBER];
        answer.count += batch.rows;
        for (uint32_t row = 0; row < batch.rows; row++) answer.sum += numbers[row];
    }
    if (status == SCAN_DAMAGED) violation("a question found the ring damaged");
    return answer;
}

void ask(const struct ring *ring, atomic_u64 *marks) { find_answer(ring, marks); }

void ask_and_compare(const struct world *world, const struct ring *ring, atomic_u64 *marks) {
    const struct answer expected = find_answer(&world->glance, NULL), found = find_answer(ring, marks);
    if (found.count != expected.count || found.sum != expected.sum)
        violation("a question was answered by %d records and their sum %d, not %d and %d", (int)found.count,
                  (int)found.sum, (int)expected.count, (int)expected.sum);
}

void inspect_answers(const struct world *world, uint64_t readable) {
    atomic_u64 marks[BLOCKS] = {0};
    uint64_t count = find_answer(&world->glance, NULL).count;
    if (count != readable) violation("a question finds %d records, and a reader gets %d", (int)count, (int)readable);
    ask_and_compare(world, &world->glance, marks);
}
