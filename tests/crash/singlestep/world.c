/* The world around a victim: made, kept, and its processes. */
#define _GNU_SOURCE
#include "world.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SAMPLES_KEPT = 8, MOST_TOLD = 10 };

const char *now_doing = "";
uint64_t violations;

void violation(const char *format, ...) {
    va_list arguments;
    if (violations++ >= MOST_TOLD) return;
    fprintf(stderr, "%s: ", now_doing);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n");
}

void give_up(const char *what) {
    perror(what);
    exit(2);
}

/* ---- records ---------------------------------------------------------------------------------------------------- */

struct record make_record(uint32_t writer, uint64_t number) {
    const uint64_t both[2] = {writer, number};
    uint64_t proof = fnv1a(both, sizeof both);
    return (struct record){(uint32_t)(proof >> 7), writer, number, proof, ~proof};
}

bool is_whole(const struct record *record) {
    struct record expected = make_record(record->writer, record->number);
    return !memcmp(record, &expected, sizeof expected);
}

/* ---- users of segments of metrics and of streams ------------------------------------------------------------------ */

/* A metrics segment so small has room for declarations that nobody makes here: the others and the victim see less of it. */
static void see_series(struct handle *who) {
    struct metrics *metrics = malloc(sizeof *metrics);
    if (!metrics) give_up("malloc");
    metrics_on(metrics, who);
    who->geometry.node_count = NODES;
    who->geometry.chain_count = CHAINS;
}

struct metrics *metrics_of(const struct handle *who) {
    return (struct metrics *)(uintptr_t)who->processes.claims.context;
}

/* Of a log they use fewer slots than there are for many processes. */
static void see_streams(struct handle *who) {
    struct streams *streams = malloc(sizeof *streams);
    if (!streams || !streams_on(streams, who)) give_up("malloc");
    who->geometry.log_slots = LOG_SLOTS;
}

struct streams *streams_of(const struct handle *who) {
    return (struct streams *)(uintptr_t)who->processes.claims.context;
}

static void let_go(struct handle *who) {
    void *context = who->processes.claims.context; /* of metrics or streams */
    handle_close(who);
    free(context);
}

/* ---- making, keeping -------------------------------------------------------------------------------------------- */

static void plan_events(struct world *world, uint32_t layout) {
    static const struct field_spec fields[] = {{"key", KIND_KEY, 8},
                                               {"writer", KIND_UINT32, 0},
                                               {"number", KIND_UINT64, 0},
                                               {"proof", KIND_UINT64, 0},
                                               {"again", KIND_UINT64, 0}};
    const struct options options = {.capacity = SLOTS,
                                    .partitions = 1,
                                    .layout = layout,
                                    .rule = RULE_EXPLICIT,
                                    .keys = KEYS,
                                    .processes = PLACES,
                                    .field_count = 5};
    struct refusal why;
    memcpy(world->fields, fields, sizeof fields);
    if (layout_plan(&options, world->fields, &world->geometry, &why) != PLAN_OK ||
        world->geometry.record_bytes != sizeof(struct record))
        give_up(why.text);
}

static void plan_metrics(struct world *world) {
    const struct options options = {
        .capacity = 1, .exemplars = EXEMPLARS, .processes = PLACES, .kind = SEGMENT_METRICS};
    struct refusal why;
    if (layout_plan(&options, NULL, &world->geometry, &why) != PLAN_OK) give_up(why.text);
}

static void plan_streams(struct world *world) {
    const struct options options = {.capacity = LOG_TICKETS,
                                    .data_bytes = sizeof(struct record),
                                    .logs = 1,
                                    .streams = STREAMS,
                                    .processes = PLACES,
                                    .kind = SEGMENT_STREAMS};
    struct refusal why;
    if (layout_plan(&options, NULL, &world->geometry, &why) != PLAN_OK) give_up(why.text);
}

void world_make(struct world *world, uint32_t layout, const char *path) {
    memset(world, 0, sizeof *world);
    world->subject = layout == LAYOUT_NODES ? &metrics_subject
                     : layout == LAYOUT_LOG ? &streams_subject
                                            : &event_subject;
    if (layout == LAYOUT_NODES) plan_metrics(world);
    else if (layout == LAYOUT_LOG) plan_streams(world);
    else plan_events(world, layout);
    const uint64_t bytes = world->geometry.total_bytes;
    world->path = path;
    world->fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (world->fd < 0 || posix_fallocate(world->fd, 0, (off_t)bytes)) give_up("/dev/shm");
    world->memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, world->fd, 0);
    world->report = mmap(NULL, sizeof *world->report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (world->memory == MAP_FAILED || world->report == MAP_FAILED) give_up("mmap");
    layout_format(world->memory, &world->geometry, world->fields, (const uint8_t[16]){1}, 1);
    enter(world, &world->live[world->live_count++], (uint64_t)getpid());
    world->glance = world->live[0].ring;
    world->glance.writable = false;
    world->table = world->live[0].table;
    world->table.spare = NULL; /* what goes back to an earlier state keeps nothing of a later one */
    if (world->subject == &event_subject) cut_blocks(world);
}

void world_unmake(struct world *world) {
    leave_places(world);
    while (world->live_count) let_go(&world->live[--world->live_count]);
    munmap(world->memory, world->geometry.total_bytes);
    munmap(world->report, sizeof *world->report);
    close(world->fd);
}

/* All bytes that an operation may change lie before and after the bulk of the history. */
static uint64_t bytes_before(const struct world *world) {
    return world->geometry.history_offset + SAMPLES_KEPT * sizeof(struct sample);
}
static uint64_t bytes_after(const struct world *world) {
    return world->geometry.total_bytes - world->geometry.processes_offset;
}

void world_save(const struct world *world, struct kept *state) {
    if (!state->bytes && !(state->bytes = malloc(bytes_before(world) + bytes_after(world)))) give_up("malloc");
    memcpy(state->bytes, world->memory, bytes_before(world));
    memcpy(state->bytes + bytes_before(world), world->memory + world->geometry.processes_offset, bytes_after(world));
    state->account = world->account;
    for (uint32_t i = 0; world->subject == &streams_subject && i < world->live_count; i++) {
        const struct spares *spares = streams_of(&world->live[i])->spares;
        state->spares[i] = (struct kept_spares){spares->owner, spares->count, {0}, spares->freed};
        if (spares->count) memcpy(state->spares[i].slots, spares->slots, spares->count * sizeof *spares->slots);
    }
}

void world_restore(struct world *world, const struct kept *state) {
    memcpy(world->memory, state->bytes, bytes_before(world));
    memcpy(world->memory + world->geometry.processes_offset, state->bytes + bytes_before(world), bytes_after(world));
    world->account = state->account;
    for (uint32_t i = 0; world->subject == &streams_subject && i < world->live_count; i++) {
        struct spares *spares = streams_of(&world->live[i])->spares;
        const struct kept_spares *kept = &state->spares[i];
        uint32_t *slots = spares->room < LOG_SLOTS ? realloc(spares->slots, sizeof kept->slots) : spares->slots;
        if (!slots) give_up("realloc");
        if (spares->room < LOG_SLOTS) spares->room = LOG_SLOTS;
        spares->owner = kept->owner;
        spares->count = kept->count;
        spares->slots = slots;
        spares->freed = kept->freed;
        spares->hints.count = 0;
        memcpy(spares->slots, kept->slots, kept->count * sizeof *spares->slots);
    }
}

bool world_equals(const struct world *world, const struct kept *state) {
    return !memcmp(state->bytes, world->memory, bytes_before(world)) &&
           !memcmp(state->bytes + bytes_before(world), world->memory + world->geometry.processes_offset,
                   bytes_after(world));
}

/* ---- processes -------------------------------------------------------------------------------------------------- */

uint32_t owner_of(const struct handle *who) { return processes_owner(&who->processes) & OWNER_MASK; }

void attach(const struct world *world, struct handle *who) {
    const struct opening opening = {.fd = world->fd, .writable = true};
    struct refusal why;
    if (handle_open(who, world->memory, world->geometry.total_bytes, &opening, &why) != OPEN_OK)
        give_up("cannot attach");
    if (world->subject == &metrics_subject) see_series(who);
    if (world->subject == &streams_subject) see_streams(who);
}

void enter(const struct world *world, struct handle *who, uint64_t pid) {
    const struct identity identity = {.pid = pid, .name = "somebody"};
    attach(world, who);
    if (processes_enter(&who->processes, &identity) != ENTER_OK) give_up("cannot enter");
}

void die(struct handle *who) {
    store_relaxed(&who->processes.own->owner, 0); /* so that closing frees no place */
    let_go(who);
}

void repair(struct world *world) {
    for (uint32_t index = 0; index < PLACES; index++) {
        uint64_t pid, voided, released;
        if (!processes_reap(&world->live[0].processes, index, &pid, &voided, &released)) continue;
        if (pid == (uint64_t)getpid() || (pid == (uint64_t)world->victim && !world->victim_is_dead))
            violation("place %u was reaped while its holder lives", index);
    }
}

void fill_places(struct world *world) {
    const struct identity identity = {.pid = (uint64_t)getpid(), .name = "newcomer"};
    for (; world->late_count < PLACES; world->late_count++) {
        struct handle *newcomer = &world->late[world->late_count];
        attach(world, newcomer);
        enum enter_status status = processes_enter(&newcomer->processes, &identity);
        if (status == ENTER_OK) continue;
        if (status != ENTER_FULL) violation("a newcomer could not enter: status %d", (int)status);
        let_go(newcomer);
        break;
    }
    if (world->victim_is_dead && world->late_count + world->live_count != PLACES)
        violation("of %d places, %u used by the living, newcomers got %u", PLACES, world->live_count,
                  world->late_count);
    for (uint32_t i = 0; i < world->late_count; i++) world->subject->work(world, &world->late[i]);
}

void leave_places(struct world *world) {
    while (world->late_count) let_go(&world->late[--world->late_count]);
}

/* ---- looking ---------------------------------------------------------------------------------------------------- */

void work_many(struct world *world, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) world->subject->work(world, &world->live[0]);
}

void inspect(struct world *world) { world->subject->inspect(world, false); }
void inspect_settled(struct world *world) { world->subject->inspect(world, true); }

void hear_failures(const struct world *world) {
    if (load_acquire(&world->report->failures))
        violation("the victim's operation failed, with result %u", load_relaxed(&world->report->result));
}

static void told_by_check(void *context, const char *text) {
    (void)context;
    violation("check_store: %s", text);
}

void check_processes(struct world *world) {
    const struct check_report report = {told_by_check, NULL};
    check_store(&world->live[0].ring, &world->live[0].processes, &world->table, &report);
    for (uint32_t i = 0; i < world->live_count + world->late_count; i++) {
        struct handle *who = i < world->live_count ? &world->live[i] : &world->late[i - world->live_count];
        if (processes_is_dead(&world->live[0].processes, owner_of(who)))
            violation("a living process (place %u) is called dead", owner_of(who) & 0xfff);
    }
    uint32_t owner = load_acquire(&world->report->owner);
    if (!world->victim_is_dead && owner && processes_is_dead(&world->live[0].processes, owner))
        violation("the victim lives and is called dead");
}
