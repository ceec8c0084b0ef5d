/* Attaching, also over the dead; closing; repairing. */
#include "operation.h"

#include <unistd.h>

/* Opening changes no shared byte: the first that does is entering. */
static void attach_only(struct world *world) { attach(world, &world->mine); }

static void enter_table(struct world *world) {
    const struct identity identity = {.pid = (uint64_t)getpid(), .name = "victim"};
    enum enter_status status = processes_enter(&world->mine.processes, &identity);
    if (status == ENTER_OK) store_release(&world->report->owner, owner_of(&world->mine));
    end_with(world, (uint32_t)status, status == ENTER_FAILED);
}

static void verify_attach(struct world *world, bool ended) {
    bool full = load_relaxed(&world->report->result) == ENTER_FULL;
    if (ended && full && world->live_count + world->late_count < PLACES)
        violation("the victim found no place, and there was one");
    if (ended && !full && !load_relaxed(&world->report->owner)) violation("the victim attached and has no owner");
}

static void begin_with_a_wreck_in_the_last_place(struct world *world) {
    begin_with_a_wreck(world);
    while (world->live_count < PLACES - 1) enter(world, &world->live[world->live_count++], (uint64_t)getpid());
}

static void detach(struct world *world) {
    store_release(&world->report->owner, 0); /* from now on nobody need find it alive */
    handle_leave(&world->mine);
    processes_close(&world->mine.processes);
}

static void repair_the_wreck(struct world *world) {
    uint64_t pid, voided, released;
    end_with(world, processes_reap(&world->mine.processes, WRECKED_PLACE, &pid, &voided, &released), false);
}

static void repair_all(struct world *world) {
    uint64_t pid, voided, released;
    for (uint32_t index = 0; index < PLACES; index++)
        processes_reap(&world->mine.processes, index, &pid, &voided, &released);
}

const struct operation repairing = {.name = "repairing", .ready = attach_only, .run = repair_all};

const struct operation place_operations[] = {
    {.name = "attach", .prepare = begin_half_full, .ready = attach_only, .run = enter_table, .verify = verify_attach},
    {.name = "attach-over-dead",
     .prepare = begin_with_a_wreck_in_the_last_place,
     .ready = attach_only,
     .run = enter_table,
     .verify = verify_attach},
    {.name = "close", .prepare = begin_half_full, .ready = be_attached, .run = detach},
    {.name = "repair", .prepare = begin_with_a_wreck, .ready = be_attached, .run = repair_the_wreck},
    {.name = NULL},
};
