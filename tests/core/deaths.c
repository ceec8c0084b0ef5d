/* Death at each named point of append, settle, sweep and summarise, met in each way: nothing stays behind, no ticket is
 * lost. */
#include "scanning.h"

/* The ways in which a death is met. */
enum way { SWEPT, MET_BY_THE_NEXT_LAP, MET_BY_A_READER, PLACE_TAKEN_OVER };
static const enum way EVERY_WAY[] = {SWEPT, MET_BY_THE_NEXT_LAP, MET_BY_A_READER, PLACE_TAKEN_OVER};

static void meet(struct store *store, enum way way, uint32_t dead) {
    switch (way) {
    case SWEPT: repair(store, dead); break;
    case PLACE_TAKEN_OVER: join(store, dead & 0xfff); break;
    case MET_BY_A_READER: follow(store); break;
    case MET_BY_THE_NEXT_LAP: break;
    }
}

static void live_on(struct store *store, uint32_t writer) {
    for (uint64_t i = 0; i < 3 * store->handle.geometry.slots + 1; i++) {
        append(store, writer);
        expect_sound(store);
    }
}

static void die_in_an_append(const char *point, uint64_t claims) {
    for_each(way, EVERY_WAY) for_each(layout, BOTH_LAYOUTS)
        for_each(capacity, SMALL_CAPACITIES) for (uint64_t filled = 0; filled <= 2 * capacity; filled++) {
        struct store *store = make_store((struct wish){.capacity = capacity, .layout = layout});
        uint32_t writer = join(store, 0), mortal = join(store, 1);
        append_many(store, writer, filled);
        abandon(store, mortal, point);
        expect_sound(store);
        die(store, mortal);
        expect_sound(store);
        meet(store, way, mortal);
        expect_sound(store);
        live_on(store, writer);
        expect_equal(totals_of(store).voided, claims);
        expect_equal(totals_of(store).skipped, 0);
        free_store(store);
    }
}

CASE(whoever_dies_before_its_claim_leaves_nothing) { die_in_an_append("before claim", 0); }
CASE(whoever_dies_right_after_its_claim_leaves_one_void_ticket) { die_in_an_append("claimed", 1); }
CASE(whoever_dies_with_the_tail_moved_leaves_one_void_ticket) { die_in_an_append("tail moved", 1); }
CASE(whoever_dies_with_its_payload_written_leaves_one_void_ticket) { die_in_an_append("payload written", 1); }

/* A helper dies while it passes the slot of a stalled writer; the stalled one returns late or dies too. */
static void die_while_skipping(const char *point) {
    for_each(way, EVERY_WAY) for_each(capacity, SMALL_CAPACITIES) for (int returns = 0; returns < 2; returns++) {
        struct store *store = make_store((struct wish){.capacity = capacity});
        uint32_t writer = join(store, 0), slow = join(store, 1), mortal = join(store, 2);
        struct stopping *stalled = stall(store, slow, "payload written");
        append_many(store, writer, capacity - 1);
        abandon(store, mortal, point);
        expect_sound(store);
        die(store, mortal);
        meet(store, way, mortal);
        expect_sound(store);
        if (returns) expect_equal(wake(stalled), APPEND_DONE);
        else die(store, slow);
        expect_sound(store);
        if (!returns) meet(store, way, slow);
        expect_sound(store);
        live_on(store, writer);
        expect_equal(totals_of(store).skipped, 1);
        expect_equal(totals_of(store).voided, !returns);
        free_store(store);
    }
}

CASE(whoever_dies_with_a_skip_marked_leaves_it_to_be_counted_by_another) { die_while_skipping("skip marked"); }
CASE(whoever_dies_with_a_skip_counted_leaves_the_tail_to_another) { die_while_skipping("skip counted"); }

CASE(whoever_dies_before_its_late_release_is_released) {
    for_each(way, EVERY_WAY) for_each(capacity, SMALL_CAPACITIES) {
        struct store *store = make_store((struct wish){.capacity = capacity});
        uint32_t writer = join(store, 0), slow = join(store, 1), helper = join(store, 2);
        struct stopping *stalled = stall(store, slow, "payload written");
        append_many(store, writer, capacity - 1);
        abandon(store, helper, "skip marked");
        expect(stops_again(stalled, "late"));
        expect_sound(store);
        die(store, slow);
        expect_sound(store);
        meet(store, way, slow);
        live_on(store, writer);
        expect_equal(totals_of(store).skipped, 1);
        expect_equal(totals_of(store).voided, 1);
        free_store(store);
    }
}

CASE(a_late_release_that_meets_another_skip_releases_that_one) {
    struct store *store = make_store((struct wish){.capacity = 2});
    uint32_t writer = join(store, 0), slow = join(store, 1);
    struct stopping *stalled = stall(store, slow, "payload written");
    append_many(store, writer, 2);
    expect(stops_again(stalled, "late"));
    append(store, writer);
    expect_equal(word_at(store, 0), word_for(store, 4, slow, STALLED));
    expect_equal(wake(stalled), APPEND_DONE);
    expect_equal(word_at(store, 0), word_for(store, 4, 0, SKIPPED));
    live_on(store, writer);
    expect_equal(totals_of(store).skipped, 2);
}

/* ---- publishing while others ask whether the writer is dead ------------------------------------------------------- */

static struct stopping *asked_about;

static bool publishes_and_dies(void *context, uint32_t owner) {
    struct store *store = context;
    if (asked_about) expect_equal(wake(asked_about), APPEND_DONE);
    asked_about = NULL;
    die(store, owner);
    return true;
}

CASE(a_record_that_was_published_before_the_death_is_read) {
    for (int may_write = 0; may_write < 2; may_write++) {
        struct store *store = make_store((struct wish){0});
        struct ring ring = store->handle.ring;
        struct destination to = make_destination(&store->handle.geometry, 1);
        uint64_t next = 0, writer, sequence;
        asked_about = stall(store, join(store, 1), "payload written");
        ring.writable = may_write;
        ring.liveness.is_dead = publishes_and_dies;
        expect_equal(ring_read(&ring, 0, &next, 1, true, &to, &no_gaps), READ_END);
        expect_equal(to.row, 1);
        expect_whole(&store->handle.geometry, &to, 0, &writer, &sequence);
        expect_equal(totals_of(store).voided, 0);
        expect_sound(store);
    }
}

CASE(a_record_that_was_published_before_the_death_is_discarded_as_any_other) {
    struct store *store = make_store((struct wish){.capacity = 1});
    uint32_t writer = join(store, 0), mortal = join(store, 1);
    asked_about = stall(store, mortal, "payload written");
    store->handle.ring.liveness.is_dead = publishes_and_dies;
    expect_equal(append(store, writer), 1); /* which expects that record 0 is handed out */
    expect_equal(totals_of(store).voided, 0);
    expect_sound(store);
}

/* ---- death while settling ---------------------------------------------------------------------------------------- */

static void append_anything(void *argument) {
    struct appended out;
    try_append(argument, join(argument, 3), &out);
}

CASE(whoever_dies_while_settling_a_slot_leaves_it_to_be_settled_again) {
    for (int overtaken = 0; overtaken < 2; overtaken++)
        for (int settler = 0; settler < 3 - overtaken; settler++) { /* readers settle no overtaken claim */
            struct store *store = make_store((struct wish){.capacity = 3});
            uint32_t writer = join(store, 0), mortal = join(store, 1);
            struct sweeping sweeping = {.store = store, .owner = mortal};
            abandon(store, mortal, "tail moved");
            append_many(store, writer, overtaken ? 4 : 2);
            die(store, mortal);
            if (settler == 0) expect(leaves_at("settle begun", 0, sweep, &sweeping));
            if (settler == 1) expect(leaves_at("settle begun", 0, append_anything, store));
            if (settler == 2) expect(leaves_at("settle begun", 0, follow, store));
            expect_sound(store);
            expect_equal(repair(store, mortal), 1);
            expect_sound(store);
            live_on(store, writer);
            expect_equal(totals_of(store).voided, 1);
            expect_equal(totals_of(store).skipped, overtaken);
            /* nobody looks for it any more */
            expect(ring_partition(&store->handle.ring, 0)->voids_until <= tail_of(store));
            free_store(store);
        }
}

/* ---- counting meanwhile ------------------------------------------------------------------------------------------ */

struct counting {
    struct store *store;
    atomic_u64 decided;
    struct totals totals;
};

static void count(void *argument) {
    struct counting *counting = argument;
    ring_totals(&counting->store->handle.ring, 0, &counting->decided, &counting->totals);
}

static void expect_counted(const struct counting *counting, uint64_t appended, uint64_t length) {
    const struct totals *t = &counting->totals;
    expect_equal(t->tail - t->skipped - t->voided - t->in_flight, appended);
    expect_equal(t->length, length);
}

CASE(whoever_counts_while_a_claim_is_settled_counts_it_once) {
    for (int overtaken = 0; overtaken < 2; overtaken++) {
        struct store *store = make_store((struct wish){.capacity = 4});
        uint32_t writer = join(store, 0), mortal = join(store, 1);
        struct counting counting = {.store = store};
        abandon(store, mortal, "tail moved");
        append_many(store, writer, overtaken ? 5 : 3);
        die(store, mortal);
        struct stalled *stalled = start(count, &counting, "totals begun");
        expect_equal(repair(store, mortal), 1);
        finish(stalled);
        expect_counted(&counting, overtaken ? 5 : 3, 3);
        free_store(store);
    }
}

CASE(whoever_counts_while_a_loss_is_counted_counts_it_once) {
    struct store *store = make_store((struct wish){.capacity = 4});
    uint32_t writer = join(store, 0), mortal = join(store, 1);
    struct counting counting = {.store = store};
    abandon(store, mortal, "tail moved");
    append_many(store, writer, 3);
    die(store, mortal);
    expect_equal(repair(store, mortal), 1);
    struct stalled *stalled = start(count, &counting, "totals begun");
    append(store, writer);
    finish(stalled);
    expect_counted(&counting, 4, 4);
}

CASE(what_was_decided_beyond_the_tail_is_looked_at_again) {
    struct store *store = make_store((struct wish){.capacity = 4});
    uint32_t writer = join(store, 0), slow = join(store, 1);
    append_many(store, writer, 2);
    atomic_u64 *tail = &ring_partition(&store->handle.ring, 0)->tail;
    store_relaxed(tail, UINT64_C(1) << 40); /* damage */
    struct counting counting = {.store = store};
    count(&counting);
    store_relaxed(tail, 2); /* mended */
    stall(store, slow, "tail moved");
    count(&counting);
    expect_equal(counting.totals.in_flight, 1);
    expect_counted(&counting, 2, 2);
}

/* A dead owner's claims in every slot: two of seven overtaken, the others being written. */
static struct store *make_wreck(uint32_t *writer, uint32_t *dead) {
    struct store *store = make_store((struct wish){.capacity = 7});
    *writer = join(store, 0);
    *dead = join(store, 1);
    for (int i = 0; i < 2; i++) abandon(store, *dead, "tail moved");
    append_many(store, *writer, 5);
    for (int i = 0; i < 5; i++) abandon(store, *dead, "payload written"); /* the first passes the two stalled slots */
    die(store, *dead);
    return store;
}

CASE(a_repairer_may_die_at_every_slot_and_another_begins_again) {
    for (int slot = 0; slot < 7; slot++)
        for (int settling = 0; settling < 2; settling++) {
            uint32_t writer, dead;
            struct store *store = make_wreck(&writer, &dead);
            struct sweeping sweeping = {.store = store, .owner = dead};
            expect(leaves_at(settling ? "settle begun" : "sweep", slot, sweep, &sweeping));
            expect_sound(store);
            expect_equal(repair(store, dead), (uint64_t)(7 - slot));
            expect_sound(store);
            live_on(store, writer);
            expect_equal(totals_of(store).voided, 7);
            expect_equal(totals_of(store).skipped, 2);
            free_store(store);
        }
}

CASE(two_repairers_settle_every_claim_once) {
    for (int pause = 0; pause < 2; pause++) {
        uint32_t writer, dead;
        struct store *store = make_wreck(&writer, &dead);
        struct sweeping slow = {.store = store, .owner = dead}, quick = slow;
        struct stalled *stalled = start(sweep, &slow, pause ? "settle begun" : "sweep");
        sweep(&quick);
        finish(stalled);
        expect_equal(quick.voided + slow.voided, 5);
        expect_equal(quick.released + slow.released, 2);
        expect_sound(store);
        live_on(store, writer);
        expect_equal(totals_of(store).voided, 7);
    }
}

CASE(a_repairer_meets_an_appender_that_passes_the_same_slot) {
    static const char *const points[] = {"skip marked", "skip counted", "settle begun", "before claim", "claimed"};
    for_each(point, points) {
        uint32_t writer, dead;
        struct store *store = make_wreck(&writer, &dead);
        struct stopping *passing = start_append(store, writer, point);
        expect_sound(store);
        repair(store, dead);
        expect_sound(store);
        expect_equal(wake(passing), APPEND_DONE);
        live_on(store, writer);
        expect_equal(totals_of(store).voided, 7);
        expect_equal(totals_of(store).skipped, 2);
        free_store(store);
    }
}

/* ---- summaries --------------------------------------------------------------------------------------------------- */

static void ask_once(void *asker) { ask(asker); }

/* A store of two blocks, one of them whole and marked by this asker. */
static struct asker make_marked(enum arrangement layout, uint32_t *writer) {
    struct store *store = make_store((struct wish){.capacity = 2 * LEAST_BLOCK_SLOTS, .layout = layout});
    struct asker asker = make_asker(store, true);
    *writer = join(store, 0);
    append_many(store, *writer, LEAST_BLOCK_SLOTS + 5);
    ask(&asker);
    return asker;
}

/* Who comes now and asks about one field finds what one does that believes in no summary. */
static void expect_agreement_on_each_field(struct store *store) {
    for (uint32_t i = 0; i < store->handle.geometry.options.field_count; i++) {
        struct asker newcomer = make_asker(store, true), doubter = make_asker(store, false);
        newcomer.needs = doubter.needs = UINT64_C(1) << i;
        struct answer found = ask(&newcomer), expected = ask(&doubter);
        expect_equal_answers(&found, &expected);
        free_asker(&newcomer);
        free_asker(&doubter);
    }
}

CASE(whoever_dies_while_it_summarises_leaves_nothing_that_changes_an_answer) {
    for_each(layout, BOTH_LAYOUTS) {
        int written = 0;
        for (bool died = true; died; written++) {
            uint32_t writer;
            struct asker mortal = make_marked(layout, &writer), other = make_asker(mortal.store, true);
            died = leaves_at("summary begun", written, ask_once, &mortal);
            expect_agreement_on_each_field(mortal.store);
            expect_agreement(&other, LEAST_BLOCK_SLOTS + 5);
            append_many(mortal.store, writer, 2 * LEAST_BLOCK_SLOTS);
            expect_agreement(&other, 2 * LEAST_BLOCK_SLOTS);
        }
        expect(written > 3);
    }
}

CASE(whoever_is_overtaken_while_it_summarises_leaves_a_mixture_that_nobody_believes) {
    for_each(layout, BOTH_LAYOUTS) {
        uint32_t writer;
        struct asker slow = make_marked(layout, &writer), other = make_asker(slow.store, true);
        struct stalled *stalled = start(ask_once, &slow, "summary begun");
        for (uint64_t count = LEAST_BLOCK_SLOTS + 5; !has_returned(stalled); count = 2 * LEAST_BLOCK_SLOTS) {
            expect_agreement(&other, count);
            append_many(slow.store, writer, 2 * LEAST_BLOCK_SLOTS);
            expect_agreement(&other, 2 * LEAST_BLOCK_SLOTS);
            move_on(stalled, "summary begun");
            expect_agreement_on_each_field(slow.store);
        }
        finish(stalled);
    }
}
