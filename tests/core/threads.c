/* Threads at full speed: writers that stall and die, readers that are lapped, and an exact account of every ticket.
 *
 * Who dies is declared dead before the append that it leaves at its claim, so that no claim is overtaken by chance. */
#include "harness.h"

#include <pthread.h>
#include <sched.h>

enum { WRITERS = 3, SEQUENCE_BITS = 40, MOST_TICKETS = 1 << 19 };

/* What a follower got of a ticket: a gap's reason, or whose record it was. */
static uint64_t identity(uint64_t writer, uint64_t sequence) { return (writer + 1) << SEQUENCE_BITS | sequence; }

struct trial {
    struct store *store;
    bool stalls, deaths, clears;
    uint64_t appends; /* of each writer */

    atomic_u64 written[MOST_TICKETS]; /* by ticket: the identity of the record, when its append has returned */
    atomic_u64 *handed_out[WRITERS];  /* by sequence: how often that record was handed out as discarded */
    uint64_t followed[MOST_TICKETS];  /* by ticket: what the follower got */
    atomic_u64 acknowledged, late, killed, running, stalled;
};

static bool is_over(const struct trial *trial) { return load_acquire(&trial->running) == 0; }

/* ---- writers ----------------------------------------------------------------------------------------------------- */

struct writer {
    struct trial *trial;
    uint64_t number, sequence;
    uint32_t place, owner;
    const char *stalls_at; /* NULL: nowhere */
    bool late;             /* its append was overtaken */
    struct appended out;
    unsigned char discarded[STAGED_BYTES];
};

static _Thread_local struct writer *self;

/* Stand still until the ring has gone round, or everybody stands still. */
static void stall_here(const char *name) {
    struct trial *trial = self->trial;
    self->late |= !strcmp(name, "late");
    if (!self->stalls_at || strcmp(name, self->stalls_at)) return;
    self->stalls_at = NULL;
    uint64_t slots = trial->store->handle.geometry.slots;
    uint64_t until = tail_of(trial->store) + slots + random_number(2 * slots);
    add_relaxed(&trial->stalled, 1);
    while (tail_of(trial->store) < until && load_relaxed(&trial->stalled) < load_relaxed(&trial->running))
        sched_yield();
    add_relaxed(&trial->stalled, UINT64_MAX);
}

static void append_once(void *argument) {
    struct writer *w = argument;
    unsigned char record[STAGED_BYTES];
    stage(&w->trial->store->handle.geometry, w->number, w->sequence, record);
    memset(w->discarded, 0, sizeof w->discarded);
    enum append_status status;
    do status = ring_append(&w->trial->store->handle.ring, 0, w->owner, record, w->discarded, &w->out);
    while (status == APPEND_BLOCKED);
    expect_equal(status, APPEND_DONE);
    expect(w->out.ticket < MOST_TICKETS);
}

static void append_and_tell(struct writer *w) {
    struct trial *trial = w->trial;
    uint64_t none = 0, writer, sequence;
    w->late = false;
    append_once(w);
    add_relaxed(&trial->late, w->late);
    expect(cas_acq_rel(&trial->written[w->out.ticket], &none, identity(w->number, w->sequence)));
    add_relaxed(&trial->acknowledged, 1);
    if (!w->out.discarded) return;
    unstage(&trial->store->handle.geometry, w->discarded, &writer, &sequence);
    expect_equal(add_relaxed(&trial->handed_out[writer][sequence], 1), 0);
}

/* Die at the claim, and come back in another place: whoever meets the claim first settles it. */
static void die_and_come_back(struct writer *w) {
    static const char *const points[] = {"before claim", "claimed", "tail moved"};
    die(w->trial->store, w->owner);
    expect(leaves_at(points[random_number(3)], 0, append_once, w));
    add_relaxed(&w->trial->killed, 1);
    w->place = w->place < WRITERS ? w->place + WRITERS : w->place - WRITERS;
    w->owner = join(w->trial->store, w->place);
}

static void *write_all(void *argument) {
    struct writer *w = self = argument;
    seed_thread(w->number);
    at_point = stall_here;
    w->owner = join(w->trial->store, w->place);
    for (; w->sequence < w->trial->appends && tail_of(w->trial->store) < MOST_TICKETS - 50000; w->sequence++) {
        if (w->trial->deaths && !random_number(50)) die_and_come_back(w);
        if (w->trial->stalls && !random_number(100)) w->stalls_at = random_number(2) ? "tail moved" : "payload written";
        append_and_tell(w);
    }
    add_relaxed(&w->trial->running, UINT64_MAX);
    return NULL;
}

/* ---- readers ----------------------------------------------------------------------------------------------------- */

struct reader {
    struct trial *trial;
    struct destination to;
    uint64_t next, row;       /* ticket and row up to which all is noted */
    uint64_t newest[WRITERS]; /* sequence + 1 of each writer's record that was read last */
};

static void note_rows(struct reader *r, uint64_t ticket) {
    for (; r->row < r->to.row; r->row++, r->next++) {
        uint64_t writer, sequence;
        expect_whole(&r->trial->store->handle.geometry, &r->to, r->row, &writer, &sequence);
        expect(sequence >= r->newest[writer]); /* one writer's records keep their order */
        r->newest[writer] = sequence + 1;
        r->trial->followed[r->next] = identity(writer, sequence);
    }
    expect_equal(r->next, ticket);
}

static bool note_gap(void *context, uint32_t partition, uint64_t first, uint64_t end, enum gap_reason reason) {
    struct reader *r = context;
    expect(partition == 0 && end > first);
    note_rows(r, first);
    for (; r->next < end; r->next++) r->trial->followed[r->next] = reason;
    return true;
}

/* Read every ticket once, in order, in pieces of any size. */
static void *read_each_ticket(void *argument) {
    struct trial *trial = argument;
    struct store *store = trial->store;
    struct reader r = {.trial = trial, .to = make_destination(&store->handle.geometry, 100)};
    seed_thread(WRITERS);
    for (uint64_t next = 0;;) {
        bool over = is_over(trial);
        uint64_t tail = tail_of(store);
        r.to.row = r.row = 0;
        r.to.room = 1 + random_number(100);
        const struct gap_sink gaps = {note_gap, &r};
        enum read_status status = ring_read(&store->handle.ring, 0, &next, tail, true, &r.to, &gaps);
        note_rows(&r, next);
        expect(status != READ_DAMAGED && !(over && status == READ_HELD));
        if (over && next == tail) return NULL;
    }
}

static bool pass_gap(void *context, uint32_t partition, uint64_t first, uint64_t end, enum gap_reason reason) {
    (void)partition, (void)reason;
    *(uint64_t *)context += end - first;
    return true;
}

/* Take snapshots of all that is there, without ever writing, until the writers are through. */
static void *take_snapshots(void *argument) {
    struct trial *trial = argument;
    struct store *store = trial->store;
    struct destination to = make_destination(&store->handle.geometry, store->handle.geometry.slots);
    struct ring ring = store->handle.ring;
    ring.writable = false;
    while (!is_over(trial)) {
        uint64_t tail = tail_of(store), first = ring_oldest(&ring, 0, tail), next = first, missed = 0;
        uint64_t newest[WRITERS] = {0};
        to.row = 0;
        expect_equal(ring_read(&ring, 0, &next, tail, false, &to, &(struct gap_sink){pass_gap, &missed}), READ_END);
        expect_equal(to.row + missed, tail - first);
        for (uint64_t row = 0; row < to.row; row++) {
            uint64_t writer, sequence;
            expect_whole(&store->handle.geometry, &to, row, &writer, &sequence);
            expect(sequence >= newest[writer]);
            newest[writer] = sequence + 1;
        }
    }
    return NULL;
}

static void fail_with(void *context, const char *text) {
    (void)context;
    fail("check_store beside working threads: %s", text);
}

/* Check and count all the time, and clear now and then. */
static void *look_after(void *argument) {
    struct trial *trial = argument;
    struct store *store = trial->store;
    seed_thread(WRITERS + 1);
    while (!is_over(trial)) {
        struct totals totals;
        check_store(&store->handle.ring, &store->handle.processes, &store->handle.table,
                    &(struct check_report){fail_with, NULL});
        ring_totals(&store->handle.ring, 0, store->handle.decided, &totals);
        expect(totals.length <= store->handle.geometry.slots && totals.oldest <= totals.tail);
        uint64_t floor = totals.oldest + random_number(totals.tail - totals.oldest + 1);
        if (trial->clears && !random_number(20)) ring_raise_floor(&store->handle.ring, 0, floor);
    }
    return NULL;
}

/* ---- the account ------------------------------------------------------------------------------------------------- */

/* What the follower got agrees with what the writers were told. */
static void expect_followed(const struct trial *trial, uint64_t tail) {
    for (uint64_t ticket = 0; ticket < tail; ticket++) {
        uint64_t written = trial->written[ticket], followed = trial->followed[ticket];
        if (followed >> SEQUENCE_BITS) expect_equal(followed, written);
        else if (followed == GAP_VOIDED || followed == GAP_SKIPPED) expect_equal(written, 0);
        else expect(followed == GAP_LAPPED || (followed == GAP_CLEARED && trial->clears));
    }
}

/* Every record that is gone was handed out once, except those overtaken, cleared, or replaced by a writer that died. */
static void expect_handed_out(const struct trial *trial, uint64_t tail) {
    uint64_t missing = 0, slots = trial->store->handle.geometry.slots;
    for (uint64_t ticket = 0; ticket < tail; ticket++) {
        uint64_t written = trial->written[ticket], sequence = written & ((UINT64_C(1) << SEQUENCE_BITS) - 1);
        if (!written) continue;
        uint64_t times = trial->handed_out[(written >> SEQUENCE_BITS) - 1][sequence];
        if (ticket + slots >= tail) expect_equal(times, 0);
        else missing += !times;
    }
    if (!trial->clears) expect(missing >= trial->late && missing <= trial->late + trial->killed);
}

static void try_out(struct wish wish, bool stalls, bool deaths, bool clears) {
    struct trial *trial = calloc(1, sizeof *trial);
    struct writer writers[WRITERS];
    pthread_t threads[WRITERS + 3];
    void *(*const others[])(void *) = {read_each_ticket, take_snapshots, look_after};
    if (!trial) fail("no memory");
    trial->store = make_store(wish);
    trial->stalls = stalls, trial->deaths = deaths, trial->clears = clears;
    trial->appends = 60 * effort;
    trial->running = WRITERS;
    for (uint32_t i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.trial = trial, .number = i, .place = i};
        trial->handed_out[i] = calloc(trial->appends, sizeof(atomic_u64));
        pthread_create(&threads[i], NULL, write_all, &writers[i]);
    }
    for (int i = 0; i < 3; i++) pthread_create(&threads[WRITERS + i], NULL, others[i], trial);
    for (int i = 0; i < WRITERS + 3; i++) pthread_join(threads[i], NULL);

    struct store *store = trial->store;
    for (uint32_t place = 0; place < 2 * WRITERS; place++) join(store, place); /* sweeps what the dead left */
    uint64_t tail = tail_of(store);
    struct totals totals = totals_of(store);
    expect_equal(totals.in_flight, 0);
    expect_equal(trial->acknowledged + totals.skipped + totals.voided, tail);
    if (!deaths) expect_equal(totals.voided, 0);
    expect(totals.voided <= trial->killed);
    expect_followed(trial, tail);
    expect_handed_out(trial, tail);
    for (int i = 0; i < WRITERS; i++) free((void *)trial->handed_out[i]);
    free_store(store);
    free(trial);
}

static const uint64_t CAPACITIES[] = {2, 7, 61, 1500};

#define for_each_shape for_each(layout, BOTH_LAYOUTS) for_each(capacity, CAPACITIES)

CASE(every_ticket_is_read_once_or_in_one_gap) {
    for_each_shape try_out((struct wish){.capacity = capacity, .layout = layout}, false, false, false);
}

CASE(every_ticket_is_accounted_for_though_writers_stall) {
    for_each_shape try_out((struct wish){.capacity = capacity, .layout = layout}, true, false, false);
}

CASE(every_ticket_is_accounted_for_though_writers_die) {
    for_each_shape try_out((struct wish){.capacity = capacity, .layout = layout}, false, true, false);
}

CASE(every_ticket_is_accounted_for_though_writers_stall_and_die_and_others_clear) {
    for_each_shape try_out((struct wish){.capacity = capacity, .layout = layout}, true, true, true);
}
