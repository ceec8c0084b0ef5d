/* States in which operations begin, and what every victim does. */
#include "operation.h"

#include <unistd.h>

void end_with(struct world *world, uint32_t result, bool failed) {
    store_relaxed(&world->report->result, result);
    if (failed) add_relaxed(&world->report->failures, 1);
}

struct record records[BATCH];

void be_attached(struct world *world) {
    for (uint64_t number = 0; number < BATCH; number++) records[number] = make_record(VICTIM, number);
    enter(world, &world->mine, (uint64_t)getpid());
    store_release(&world->report->owner, owner_of(&world->mine));
}

/* ---- rings in every state --------------------------------------------------------------------------------------- */

void begin_half_full(struct world *world) { append_many(world, SLOTS / 2); }
void begin_full(struct world *world) { append_many(world, SLOTS + 1); }

void begin_before_a_stalled_slot(struct world *world) {
    struct handle *slow = &world->live[world->live_count++];
    enter(world, slow, (uint64_t)getpid());
    append_many(world, 1);
    claim_and_stop(world, slow, false);
    append_many(world, SLOTS - 1);
}

void begin_before_a_dead_claim(struct world *world) {
    enter(world, &world->doomed, 1);
    append_many(world, 1);
    claim_and_stop(world, &world->doomed, true);
    append_many(world, SLOTS - 1);
    die(&world->doomed);
}

void begin_before_a_void_slot(struct world *world) {
    begin_before_a_dead_claim(world);
    repair(world);
}

void begin_with_a_wreck(struct world *world) {
    enter(world, &world->doomed, 1);
    append_many(world, 1);
    claim_and_stop(world, &world->doomed, true);
    append_many(world, SLOTS);
    claim_and_stop(world, &world->doomed, true);
    append_many(world, 1);
    die(&world->doomed);
}
