/* Inserting and removing series, updating them, taking over what the dead had for themselves, leaving exemplars. */
#include "series.h"

#include <unistd.h>

enum { PIECES_OF_WORK = 5 };

static struct node_at my_long;
static struct found mine; /* the victim's */

/* ---- inserting and removing -------------------------------------------------------------------------------------- */

/* A series like the victim's was there, and was removed: what it held must not be seen again. */
static void begin_without(struct world *world, uint32_t cells) {
    struct node_at at;
    bool inserted;
    world->account.series.victims = UPDATES;
    world->account.series.long_cells = cells;
    work_many(world, PIECES_OF_WORK);
    if (insert_long(world, &world->live[0], &at, &inserted)) raise_long(world, &world->live[0]);
    nodes_remove(&metrics_of(&world->live[0])->nodes, at);
}

static void begin_without_long(struct world *world) { begin_without(world, ONE_PART); }

static void begin_with_long(struct world *world) {
    struct node_at at;
    bool inserted;
    begin_without(world, TWO_PARTS);
    insert_long(world, &world->live[0], &at, &inserted);
    raise_long(world, &world->live[0]);
    insert_more(world);
    remove_more(world);
    work_many(world, PIECES_OF_WORK);
}

static void report_long(struct world *world) {
    store_relaxed(&world->report->tickets[0], my_long.index);
    store_release(&world->report->tickets[1], my_long.word);
}

static void insert_it(struct world *world) {
    bool inserted;
    const bool done = insert_long(world, &world->mine, &my_long, &inserted);
    report_long(world);
    end_with(world, inserted, !done);
}

/* Others insert the same as soon as the victim has claimed a node for it. */
static bool beat_insertion(struct world *world) {
    const struct nodes *nodes = &metrics_of(&world->live[0])->nodes;
    struct node_at at;
    bool claimed = false, inserted;
    for (uint32_t index = 0; index < NODES; index++)
        claimed |= node_state(load_acquire(&nodes_at(nodes, index)->word)) == NODE_CLAIMED;
    if (claimed && !insert_long(world, &world->live[0], &at, &inserted)) violation("the others cannot insert it");
    return claimed;
}

static void insert_the_same(struct world *world) {
    struct node_at at;
    bool inserted;
    if (!insert_long(world, &world->live[0], &at, &inserted)) violation("the others cannot insert it");
    raise_long(world, &world->live[0]);
    insert_more(world);
    fill_table(world);
}

static void find_it(struct world *world) {
    be_attached(world);
    if (!find_long(&world->mine, &my_long)) end_with(world, 0, true);
    report_long(world);
}

static void remove_it(struct world *world) {
    if (!nodes_remove(&metrics_of(&world->mine)->nodes, my_long)) end_with(world, 0, true);
}

static struct node_at reported(const struct world *world) {
    return (struct node_at){(uint32_t)load_acquire(&world->report->tickets[0]),
                            load_acquire(&world->report->tickets[1])};
}

static void verify_room(struct world *world, bool ended) {
    (void)ended;
    inspect(world);
    check_room(world);
    inspect_settled(world);
}

static void verify_inserted(struct world *world, bool ended) {
    const struct node_at victims = reported(world);
    struct node_at at = {0, 0};
    bool inserted;
    if (ended && (!find_long(&world->live[0], &at) || at.index != victims.index || at.word != victims.word))
        violation("what the victim inserted is not there");
    if (!insert_long(world, &world->live[0], &at, &inserted)) violation("it cannot be inserted after the victim");
    raise_long(world, &world->live[0]);
    verify_room(world, ended);
    remove_more(world);
    if (!nodes_remove(&metrics_of(&world->live[0])->nodes, at)) violation("it cannot be removed");
    verify_room(world, ended);
}

static void verify_removed(struct world *world, bool ended) {
    struct node_at at;
    bool inserted;
    if (ended && nodes_is(&metrics_of(&world->live[0])->nodes, reported(world)))
        violation("what the victim removed is there");
    if (!insert_long(world, &world->live[0], &at, &inserted)) violation("it cannot be inserted after the victim");
    raise_long(world, &world->live[0]);
    remove_more(world);
    verify_room(world, ended);
}

/* ---- updating ---------------------------------------------------------------------------------------------------- */

static void begin_to(struct world *world, enum update update) {
    world->account.series.victims = update;
    work_many(world, PIECES_OF_WORK);
}

static void begin_to_count(struct world *world) { begin_to(world, COUNT); }
static void begin_to_observe(struct world *world) { begin_to(world, OBSERVE); }
static void begin_to_set(struct world *world) { begin_to(world, SET_LATEST); }
static void begin_to_put(struct world *world) { begin_to(world, PUT_EXEMPLAR); }

/* The only place that is to be had is one whose holder died, and had a value. */
static void begin_to_take(struct world *world) {
    enter(world, &world->doomed, 1);
    begin_to(world, RAISE_OWN);
    metrics_subject.work(world, &world->doomed);
    die(&world->doomed);
    while (world->live_count < PLACES - 1) enter(world, &world->live[world->live_count++], (uint64_t)getpid());
}

static void have_it(struct world *world) {
    be_attached(world);
    mine = have_series(&world->mine, world->account.series.victims);
}

static void update_it(struct world *world) {
    struct report *report = world->report;
    for (uint64_t number = 0; number < 2; number++) {
        store_release(&report->begun, number + 1);
        const bool done = make_update(&world->mine, &mine, world->account.series.victims, number_of_victim(number));
        store_release(&report->returned, number + 1);
        /* Others may have left an exemplar meanwhile. */
        end_with(world, (uint32_t)number, !done && world->account.series.victims != PUT_EXEMPLAR);
    }
}

#define UPDATING(its_name, begin)                                                                                      \
    { .name = its_name, .prepare = begin, .ready = have_it, .run = update_it, .verify = verify_room }

const struct operation metrics_operations[] = {
    {.name = "metrics-insert",
     .prepare = begin_without_long,
     .ready = be_attached,
     .run = insert_it,
     .meanwhile = insert_the_same,
     .verify = verify_inserted},
    {.name = "metrics-insert-beaten",
     .prepare = begin_without_long,
     .ready = be_attached,
     .run = insert_it,
     .meddle = beat_insertion,
     .meanwhile = insert_the_same,
     .verify = verify_inserted},
    {.name = "metrics-remove",
     .prepare = begin_with_long,
     .ready = find_it,
     .run = remove_it,
     .meanwhile = insert_the_same,
     .verify = verify_removed},
    UPDATING("metrics-add", begin_to_count),
    UPDATING("metrics-observe", begin_to_observe),
    UPDATING("metrics-set", begin_to_set),
    UPDATING("metrics-take", begin_to_take),
    UPDATING("metrics-exemplar", begin_to_put),
    {.name = NULL},
};
