/* Appending, alone and many, onto every kind of slot; reading over a dead claim; clearing. */
#include "operation.h"

static void append_records(struct world *world, uint64_t count, struct record *replaced) {
    struct report *report = world->report;
    for (uint64_t number = 0; number < count; number++) {
        struct appended appended = {0, false, false};
        store_release(&report->begun, number + 1);
        enum append_status status = append_once(&world->mine, &records[number], replaced, &appended);
        store_relaxed(&report->tickets[number], appended.ticket);
        if (status == APPEND_DONE) store_release(&report->returned, number + 1);
        if (appended.discarded && replaced) report->discarded = true;
        end_with(world, (uint32_t)status, status != APPEND_DONE);
    }
}

static void append_one(struct world *world) { append_records(world, 1, NULL); }
static void append_batch(struct world *world) { append_records(world, BATCH, NULL); }
static void append_and_take(struct world *world) { append_records(world, 1, &world->report->replaced); }

static bool take_any_gap(void *context, uint32_t partition, uint64_t first, uint64_t end, enum gap_reason reason) {
    (void)context, (void)partition, (void)first, (void)end, (void)reason;
    return true;
}

/* Whatever happens meanwhile, every record that it gets is whole. */
static void read_all(struct world *world) {
    uint32_t keys[SLOTS], writers[SLOTS];
    uint64_t numbers[SLOTS], proofs[SLOTS], agains[SLOTS], next = 0;
    struct destination to = {
        .columns = {(void *)keys, (void *)writers, (void *)numbers, (void *)proofs, (void *)agains}, .room = SLOTS};
    const struct gap_sink gaps = {take_any_gap, NULL};
    ring_read(&world->mine.ring, 0, &next, SLOTS + 1, true, &to, &gaps);
    for (uint64_t row = 0; row < to.row; row++) {
        const struct record record = {keys[row], writers[row], numbers[row], proofs[row], agains[row]};
        if (!is_whole(&record)) end_with(world, (uint32_t)row, true);
    }
}

static void clear(struct world *world) { ring_raise_floor(&world->mine.ring, 0, SLOTS); }

static void verify_clear(struct world *world, bool ended) {
    uint64_t floor = load_acquire(&ring_partition(&world->live[0].ring, 0)->floor);
    if (floor != SLOTS && (ended || floor)) violation("the floor is %d", (int)floor);
}

const struct operation ring_operations[] = {
    {.name = "append", .prepare = begin_half_full, .ready = be_attached, .run = append_one},
    {.name = "append-discarding", .prepare = begin_full, .ready = be_attached, .run = append_and_take},
    {.name = "append-past-stalled", .prepare = begin_before_a_stalled_slot, .ready = be_attached, .run = append_one},
    {.name = "append-over-dead", .prepare = begin_before_a_dead_claim, .ready = be_attached, .run = append_one},
    {.name = "append-over-void", .prepare = begin_before_a_void_slot, .ready = be_attached, .run = append_one},
    {.name = "append-batch", .prepare = begin_half_full, .ready = be_attached, .run = append_batch},
    {.name = "read-over-dead", .prepare = begin_before_a_dead_claim, .ready = be_attached, .run = read_all},
    {.name = "clear", .prepare = begin_full, .ready = be_attached, .run = clear, .verify = verify_clear},
    {.name = NULL},
};
