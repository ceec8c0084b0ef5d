/* Appending to streams, helping, keeping, taking, giving up, and reading them. */
#include "versions.h"

#include <stdlib.h>
#include <unistd.h>

enum { ROOM = 64, HOARDER = 1, RESERVE = 2, NOW = 1000 };

static struct wished wished; /* the victim's */
static uint64_t expected;

static struct log_view log_of(const struct handle *who) { return streams_log(streams_of(who), 0); }

/* ---- states in which they begin ---------------------------------------------------------------------------------- */

static void begin_to_append(struct world *world, const uint32_t *numbers, uint32_t count) {
    struct log_account *account = &world->account.log;
    account->victims = count;
    for (uint32_t i = 0; i < count; i++) account->numbers[i] = numbers[i];
    work_many(world, LOG_TICKETS);
}

static void begin_plain(struct world *world) { begin_to_append(world, (const uint32_t[]){0}, 1); }
static void begin_batch(struct world *world) { begin_to_append(world, (const uint32_t[]){1, 2, 3}, 3); }

static void begin_with_its_id(struct world *world) {
    begin_to_append(world, (const uint32_t[]){1, 3}, 2);
    append_noted(world, &world->live[0], VICTIM, (const uint32_t[]){1}, 1);
    world->account.log.first_new = 1;
}

/* What gives way to the victim's two events is one that is kept, another, and one behind it that is kept as well. */
static void begin_with_a_reserve(struct world *world) {
    begin_to_append(world, (const uint32_t[]){1, 2}, 2);
    store_relaxed(&streams_at(streams_of(&world->live[0]), VICTIMS)->reserve, RESERVE);
    work_many(world, RESERVE);
    append_to_given_up(world, &world->live[0], LOG_TICKETS - 3);
}

/* Another has claimed all that is free, and uses none of it. */
static void begin_beside_a_hoarder(struct world *world) {
    struct handle *hoarder = &world->live[world->live_count++];
    uint32_t slots[LOG_SLOTS], count = 0;
    begin_to_append(world, (const uint32_t[]){1}, 1);
    enter(world, hoarder, (uint64_t)getpid());
    const struct log_view log = log_of(hoarder);
    struct spares *spares = streams_of(hoarder)->spares;
    for (uint32_t slot = 0; slot < LOG_SLOTS; slot++)
        count += slot_state(load_relaxed(&log_slot(&log, slot)->word)) == SLOT_FREE;
    if (slots_claim(&log, spares, owner_of(hoarder), count, NOW, slots) != SLOTS_OK) give_up("no slots to hoard");
    spares->count += count;
}

/* A process has announced an append, and done nothing of it: the state before it, with what it wrote. */
static void announce_and_die(struct world *world, const uint32_t *numbers, uint32_t count) {
    static struct kept before; /* large */
    static unsigned char slots[MOST_WISHES][1 << 10];
    struct handle *who = &world->doomed;
    struct wished its;
    struct stream_answer answer;
    uint64_t versions[MOST_WISHES];
    uint32_t claimed[MOST_WISHES];
    enter(world, who, 1);
    const struct log_view log = log_of(who);
    const size_t bytes = log.geometry->event_bytes;
    struct spares *spares = streams_of(who)->spares;
    if (bytes > sizeof slots[0] || slots_claim(&log, spares, owner_of(who), count, NOW, claimed) != SLOTS_OK)
        give_up("no slots to die with");
    spares->count += count; /* it appends by these */
    world_save(world, &before);
    make_wishes(&its, DOOMED, numbers, count);
    if (streams_append(streams_of(who), VICTIMS, its.events, count, EXPECT_ANY, NOW, versions, &answer) != STREAM_DONE)
        give_up("no append to die in");
    const uint64_t change = load_relaxed(&log.log->change);
    for (uint32_t i = 0; i < count; i++) memcpy(slots[i], log_slot(&log, claimed[i]), bytes);
    world_restore(world, &before);
    for (uint32_t i = 0; i < count; i++) {
        struct event_slot *slot = log_slot(&log, claimed[i]);
        memcpy((char *)slot + sizeof slot->word, slots[i] + sizeof slot->word, bytes - sizeof slot->word);
        const uint64_t ticket = load_relaxed(&slot->position);
        store_relaxed(&slot->id_next, chain_link(ticket, load_relaxed(&slot->id_hash), claimed[i]));
    }
    store_release(&log.log->change, change);
    world->account.log.doomed = count;
    free(before.bytes);
    before.bytes = NULL;
    die(who);
}

static void begin_after_an_announcement(struct world *world) {
    begin_to_append(world, (const uint32_t[]){1}, 1);
    announce_and_die(world, (const uint32_t[]){1, 2}, 2);
}

static void begin_to_repair(struct world *world) {
    begin_to_append(world, NULL, 0);
    announce_and_die(world, (const uint32_t[]){1, 2}, 2);
}

static void begin_to_give_up(struct world *world) {
    begin_to_append(world, NULL, 0);
    world->account.log.gives_up = true;
}

static void begin_to_read(struct world *world) { begin_to_append(world, NULL, 0); }

/* ---- the victim -------------------------------------------------------------------------------------------------- */

/* Room for all that it may claim: whatever malloc does would not always go the same way. */
static void be_ready(struct world *world) {
    be_attached(world);
    struct spares *spares = streams_of(&world->mine)->spares;
    spares->slots = malloc(ROOM * sizeof *spares->slots);
    spares->room = ROOM;
    spares->hints.slots = malloc(ROOM * sizeof *spares->hints.slots);
    spares->hints.room = ROOM;
    make_wishes(&wished, VICTIM, world->account.log.numbers, world->account.log.victims);
    expected = EXPECT_ANY;
}

/* It has a slot from an append before. */
static void be_ready_with_a_slot(struct world *world) {
    uint32_t slot;
    be_ready(world);
    const struct log_view log = log_of(&world->mine);
    struct spares *spares = streams_of(&world->mine)->spares;
    if (slots_claim(&log, spares, owner_of(&world->mine), 1, NOW, &slot) != SLOTS_OK) give_up("no slot");
    slots_give_back(&log, spares, owner_of(&world->mine), slot);
}

static void be_ready_under_a_condition(struct world *world) {
    be_ready(world);
    expected = load_relaxed(&streams_at(streams_of(&world->mine), VICTIMS)->newest.low) - 1;
}

static void append_it(struct world *world) {
    struct report *report = world->report;
    struct stream_answer answer;
    uint64_t versions[MOST_WISHES];
    store_release(&report->begun, 1);
    enum stream_status status = streams_append(streams_of(&world->mine), VICTIMS, wished.events,
                                               world->account.log.victims, expected, NOW, versions, &answer);
    for (uint32_t i = 0; i < world->account.log.victims; i++) store_relaxed(&report->tickets[i], versions[i]);
    const bool refused = status == STREAM_CONFLICT && expected != EXPECT_ANY && answer.versions != expected + 1;
    end_with(world, status, status != STREAM_DONE && !refused);
    store_release(&report->returned, 1);
}

static void delete_it(struct world *world) {
    struct stream_answer answer;
    store_release(&world->report->begun, 1);
    enum stream_status status = streams_delete(streams_of(&world->mine), VICTIMS, false, EXPECT_ANY, NOW, &answer);
    end_with(world, status, status != STREAM_DONE);
    store_release(&world->report->returned, 1);
}

static void truncate_it(struct world *world) {
    struct streams *streams = streams_of(&world->mine);
    store_release(&world->report->begun, 1);
    streams_truncate(streams, VICTIMS, expected);
    store_release(&world->report->returned, 1);
}

static void repair_it(struct world *world) {
    uint64_t pid, voided, released;
    processes_reap(&world->mine.processes, WRECKED_PLACE, &pid, &voided, &released);
}

/* By version, by time and by ticket. What was lost meanwhile may be so; all else is whole and in its place. */
static void read_it(struct world *world) {
    const struct streams *streams = streams_of(&world->mine);
    struct stream_state state;
    struct record record;
    struct event_facts facts;
    uint64_t position;
    streams_state(streams, VICTIMS, NOW, &state);
    if (state.first > state.versions || state.lost > state.versions) end_with(world, 1, true);
    for (uint64_t version = state.first; version < state.versions; version++) {
        const enum find_status status = read_version(streams, VICTIMS, version, &record, &position);
        if ((status != FIND_OK && status != FIND_LOST) || (status == FIND_OK && !record.writer))
            end_with(world, 2, true);
    }
    if (streams_find_time(streams, VICTIMS, state.first, state.versions, NOW) > state.versions)
        end_with(world, 3, true);
    streams_state(streams, GIVEN_UP, NOW, &state);
    if (state.discarded) end_with(world, 5, true); /* all that is lost of it was given up before */
    const uint64_t tail = streams_tail(streams, 0);
    for (uint64_t ticket = tail - LOG_TICKETS; ticket < tail; ticket++) {
        const enum ticket_status status = read_ticket(streams, ticket, &facts, &record);
        if (status == TICKET_NOT_YET || (status == TICKET_EVENT && (facts.position != ticket || !record.writer)))
            end_with(world, 4, true);
    }
}

/* ---- afterwards -------------------------------------------------------------------------------------------------- */

static void verify_append(struct world *world, bool ended) {
    if (ended && !world->victim && load_acquire(&world->report->result) != STREAM_DONE)
        violation("an append was refused though nobody had come between");
    repeat_append(world);
    inspect(world);
}

/* They give up more than the victim does. */
static void truncate_meanwhile(struct world *world) {
    const struct streams *streams = streams_of(&world->live[0]);
    streams_truncate(streams, VICTIMS, UINT64_MAX);
    world->account.log.truncated = load_acquire(&streams_at(streams, VICTIMS)->truncated);
}

/* Also, each slot that is free is used: who gives back what it has claimed claims another. */
static void repeat_meanwhile(struct world *world) {
    const struct handle *who = &world->live[0];
    const struct log_view log = log_of(who);
    repeat_append(world);
    for (int i = 0; i < 2 * LOG_SLOTS; i++) {
        slots_leave(&log, streams_of(who)->spares, owner_of(who));
        work_many(world, 1);
    }
}

#define APPENDING(its_name, begin, its_ready)                                                                          \
    {                                                                                                                  \
        .name = its_name, .prepare = begin, .ready = its_ready, .run = append_it, .meanwhile = repeat_meanwhile,       \
        .verify = verify_append                                                                                        \
    }

const struct operation streams_operations[] = {
    APPENDING("stream-append", begin_plain, be_ready_with_a_slot),
    APPENDING("stream-conditional", begin_plain, be_ready_under_a_condition),
    APPENDING("stream-idempotent", begin_with_its_id, be_ready),
    APPENDING("stream-batch", begin_batch, be_ready),
    APPENDING("stream-help", begin_after_an_announcement, be_ready_with_a_slot),
    APPENDING("stream-keep", begin_with_a_reserve, be_ready),
    APPENDING("stream-take", begin_beside_a_hoarder, be_ready),
    {.name = "stream-truncate",
     .prepare = begin_to_give_up,
     .ready = be_ready_under_a_condition,
     .run = truncate_it,
     .meanwhile = truncate_meanwhile},
    {.name = "stream-delete", .prepare = begin_to_give_up, .ready = be_ready, .run = delete_it},
    {.name = "stream-repair", .prepare = begin_to_repair, .ready = be_ready, .run = repair_it},
    {.name = "stream-read", .prepare = begin_to_read, .ready = be_ready, .run = read_it},
    {.name = NULL},
};
