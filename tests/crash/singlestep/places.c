/* Attaching, also over the dead; closing; repairing. */
#include "operation.h"

#include <unistd.h>

static void attach(struct world *world) {
    const struct identity identity = {.pid = (uint64_t)getpid(), .name = "victim"};
    bool opened = processes_open(&world->mine, &world->my_ring, world->fd, NULL);
    enum enter_status status = opened ? processes_enter(&world->mine, &identity) : ENTER_FAILED;
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
    while (world->live_count < PLACES - 1)
        enter(world, &world->live[world->live_count++], &world->ring, (uint64_t)getpid());
}

static void detach(struct world *world) {
    store_release(&world->report->owner, 0); /* from now on nobody need find it alive */
    processes_close(&world->mine);
}

static void repair_the_wreck(struct world *world) {
    uint64_t pid, voided, released;
    end_with(world, processes_reap(&world->mine, WRECKED_PLACE, &pid, &voided, &released), false);
}

static void repair_all(struct world *world) {
    uint64_t pid, voided, released;
    for (uint32_t index = 0; index < PLACES; index++) processes_reap(&world->mine, index, &pid, &voided, &released);
}

static void open_only(struct world *world) { processes_open(&world->mine, &world->my_ring, world->fd, NULL); }

const struct operation repairing = {.name = "repairing", .ready = open_only, .run = repair_all};

const struct operation place_operations[] = {
    {.name = "attach", .prepare = begin_half_full, .run = attach, .verify = verify_attach},
    {.name = "attach-over-dead",
     .prepare = begin_with_a_wreck_in_the_last_place,
     .run = attach,
     .verify = verify_attach},
    {.name = "close", .prepare = begin_half_full, .ready = be_attached, .run = detach},
    {.name = "repair", .prepare = begin_with_a_wreck, .ready = be_attached, .run = repair_the_wreck},
    {.name = NULL},
};
