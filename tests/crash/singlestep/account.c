/* The account of every append: written, read and inspected; what the others do with events. */
#include "world.h"

#include <string.h>

/* ---- appending -------------------------------------------------------------------------------------------------- */

static struct partition *partition_of(const struct world *world) { return ring_partition(&world->live[0].ring, 0); }
static uint64_t load_tail(const struct world *world) { return load_acquire(&partition_of(world)->tail); }

static void acknowledge(struct account *account, uint64_t ticket, uint32_t writer, uint64_t number) {
    if (ticket >= TICKETS) give_up("more tickets than the account has room for");
    if (account->writer[ticket]) violation("ticket %d was given to two appends", (int)ticket);
    account->writer[ticket] = writer;
    account->number[ticket] = number;
    account->count++;
}

void claim_and_stop(struct world *world, const struct handle *who, bool will_die) {
    uint64_t ticket = load_tail(world);
    struct where at = ring_where(&world->geometry, ticket);
    store_relaxed(ring_word(&world->live[0].ring, 0, at.slot), slot_word(at.lap, owner_of(who), WRITING));
    store_relaxed(&partition_of(world)->tail, ticket + 1);
    const struct field *last = &world->geometry.fields[4];
    memset(ring_slots(&world->live[0].ring, 0) + last->base + at.slot * last->stride, 0xaa, 8);
    world->account.claimed_by_dead[ticket] = will_die;
    world->held += !will_die;
    world->may_skip = true;
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

struct look {
    const struct world *world;
    struct reading *reading;
};

/* Why a ticket may not have been lost for this reason; NULL when it may. */
static const char *unsound(const struct world *world, uint64_t ticket, enum gap_reason reason) {
    const struct account *account = &world->account;
    const bool acknowledged = account->writer[ticket];
    switch (reason) {
    case GAP_LAPPED:
        return ticket + SLOTS > load_tail(world) ? "lapped, but fewer newer tickets were handed out" : NULL;
    case GAP_CLEARED: return ticket >= load_acquire(&partition_of(world)->floor) ? "cleared, above the floor" : NULL;
    case GAP_SKIPPED:
        if (acknowledged) return "skipped, but its append returned";
        return world->may_skip ? NULL : "skipped, and nobody stood still";
    case GAP_IN_FLIGHT: return acknowledged ? "in flight, but its append returned" : NULL;
    case GAP_VOIDED:
        if (acknowledged) return "voided, but its append returned";
        return account->claimed_by_dead[ticket] || world->victim_is_dead ? NULL : "voided, and nobody died";
    case GAP_REFUSED:
    case GAP_DAMAGED: return "lost for a reason that no read reports";
    }
    return "lost for an unknown reason";
}

static bool take_gap(void *context, uint32_t partition, uint64_t first, uint64_t end, enum gap_reason reason) {
    static const char letters[] = {
        [GAP_LAPPED] = 'l', [GAP_VOIDED] = 'v', [GAP_SKIPPED] = 's', [GAP_CLEARED] = 'c', [GAP_IN_FLIGHT] = 'i'};
    const struct look *look = context;
    (void)partition;
    for (uint64_t ticket = first; ticket < end; ticket++) {
        const char *fault = unsound(look->world, ticket, reason);
        if (fault) violation("ticket %d is %s", (int)ticket, fault);
        if (look->reading->fate[ticket]) violation("ticket %d was reported twice", (int)ticket);
        look->reading->fate[ticket] = letters[reason];
    }
    return true;
}

static void take_record(struct world *world, struct reading *reading, uint64_t ticket, const struct record *record) {
    struct account *account = &world->account;
    if (reading->fate[ticket]) violation("ticket %d was read twice", (int)ticket);
    reading->fate[ticket] = 'r';
    if (!is_whole(record)) {
        violation("the record of ticket %d is torn", (int)ticket);
    } else if (account->writer[ticket]) {
        if (record->writer != account->writer[ticket] || record->number != account->number[ticket])
            violation("ticket %d has another record than its append wrote", (int)ticket);
    } else if (record->writer != VICTIM || record->number >= load_acquire(&world->report->begun)) {
        violation("ticket %d has a record that nobody appended there", (int)ticket);
    } else if (account->seen[record->number] && account->seen_at[record->number] != ticket) {
        violation("a record of the victim is there twice, at tickets %d and %d", (int)account->seen_at[record->number],
                  (int)ticket);
    } else {
        account->seen[record->number] = true;
        account->seen_at[record->number] = ticket;
    }
}

/* Read on to the tail. */
static void read_on(struct world *world, const struct ring *ring, struct reading *reading, bool stop_at_held) {
    uint32_t keys[SLOTS], writers[SLOTS];
    uint64_t numbers[SLOTS], proofs[SLOTS], agains[SLOTS];
    const struct look look = {world, reading};
    const struct gap_sink gaps = {take_gap, (void *)(uintptr_t)&look};
    enum read_status status;
    do {
        struct destination to = {
            .columns = {(void *)keys, (void *)writers, (void *)numbers, (void *)proofs, (void *)agains}, .room = SLOTS};
        uint64_t ticket = reading->next;
        status = ring_read(ring, 0, &reading->next, load_tail(world), stop_at_held, &to, &gaps);
        for (uint64_t row = 0; row < to.row; row++, ticket++) {
            while (reading->fate[ticket] && ticket < reading->next) ticket++;
            const struct record record = {keys[row], writers[row], numbers[row], proofs[row], agains[row]};
            take_record(world, reading, ticket, &record);
        }
    } while (status == READ_FULL);
    if (status == READ_DAMAGED) violation("ticket %d breaks the invariant of the ring", (int)reading->next);
    for (uint64_t ticket = 0; ticket < reading->next; ticket++)
        if (!reading->fate[ticket]) violation("ticket %d was neither read nor reported", (int)ticket);
}

enum append_status append_once(struct handle *who, const struct record *record, struct record *replaced,
                               struct appended *appended) {
    static int64_t now = INT64_C(1) << 60;
    uint32_t partition;
    return handle_append(who, record, 0, now += HOT_FOR_NS, replaced, &partition, appended);
}

static void append_as(struct world *world, struct handle *who) {
    struct record record = make_record(OTHERS, world->account.others);
    struct appended appended;
    enum append_status status = append_once(who, &record, NULL, &appended);
    if (status != APPEND_DONE) violation("an append of the others ended with status %d", (int)status);
    else acknowledge(&world->account, appended.ticket, OTHERS, world->account.others++);
    read_on(world, &world->glance, &world->account.cursor, true);
}

void append_many(struct world *world, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) append_as(world, &world->live[0]);
}

static void read_as_writer(struct world *world) {
    struct reading reading = {0};
    read_on(world, &world->live[0].ring, &reading, false);
}

/* ---- inspecting ------------------------------------------------------------------------------------------------- */

/* Take over what the victim has said since the last look. */
static void hear_victim(struct world *world) {
    const struct report *report = world->report;
    for (; world->account.reported < load_acquire(&report->returned); world->account.reported++)
        acknowledge(&world->account, load_relaxed(&report->tickets[world->account.reported]), VICTIM,
                    world->account.reported);
    hear_failures(world);
    if (report->discarded && !is_whole(&report->replaced))
        violation("the discarded record that the victim got is torn");
}

/* Records of the victim that were published though their append did not return. */
static uint64_t count_unreturned(const struct account *account) {
    uint64_t count = 0;
    for (uint64_t number = account->reported; number < BATCH; number++) count += account->seen[number];
    return count;
}

/* What a reader finds now: every record that was acknowledged and is not overwritten. Returns how many. */
static uint64_t look_around(struct world *world) {
    const uint64_t tail = load_tail(world), floor = load_acquire(&partition_of(world)->floor);
    struct reading reading = {0};
    uint64_t found = 0;
    read_on(world, &world->glance, &reading, false);
    for (uint64_t ticket = 0; ticket < tail; ticket++) {
        bool owed = world->account.writer[ticket] && ticket + SLOTS > tail && ticket >= floor;
        if (owed && reading.fate[ticket] != 'r')
            violation("ticket %d was acknowledged, and a reader gets '%c'", (int)ticket, reading.fate[ticket]);
        found += reading.fate[ticket] == 'r';
    }
    return found;
}

static struct totals check_totals(struct world *world, uint64_t readable) {
    struct totals totals;
    ring_totals(&world->live[0].ring, 0, &world->account.decided, &totals);
    uint64_t appended = totals.tail - totals.skipped - totals.voided - totals.in_flight;
    uint64_t expected = world->account.count + count_unreturned(&world->account);
    if (appended != expected)
        violation("%d tickets - %d skipped - %d voided - %d in flight, but %d appends", (int)totals.tail,
                  (int)totals.skipped, (int)totals.voided, (int)totals.in_flight, (int)expected);
    if (totals.length != readable)
        violation("the length is %d, and a reader gets %d", (int)totals.length, (int)readable);
    return totals;
}

static void inspect_events(struct world *world, bool settled) {
    hear_victim(world);
    read_on(world, &world->glance, &world->account.cursor, true);
    uint64_t readable = look_around(world);
    uint64_t held = check_totals(world, readable).in_flight;
    inspect_answers(world, readable);
    check_processes(world);
    if (settled && held != world->held) violation("%d slots are held, and %u by the living", (int)held, world->held);
}

const struct subject event_subject = {append_as, read_as_writer, inspect_events};
