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

/* ---- making, keeping -------------------------------------------------------------------------------------------- */

static void plan(struct world *world, enum arrangement layout) {
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

void world_make(struct world *world, enum arrangement layout, const char *path) {
    memset(world, 0, sizeof *world);
    plan(world, layout);
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
    cut_blocks(world);
}

void world_unmake(struct world *world) {
    leave_places(world);
    while (world->live_count) handle_close(&world->live[--world->live_count]);
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
}

void world_restore(struct world *world, const struct kept *state) {
    memcpy(world->memory, state->bytes, bytes_before(world));
    memcpy(world->memory + world->geometry.processes_offset, state->bytes + bytes_before(world), bytes_after(world));
    world->account = state->account;
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
}

void enter(const struct world *world, struct handle *who, uint64_t pid) {
    const struct identity identity = {.pid = pid, .name = "somebody"};
    attach(world, who);
    if (processes_enter(&who->processes, &identity) != ENTER_OK) give_up("cannot enter");
}

void die(struct handle *who) {
    store_relaxed(&who->processes.own->owner, 0); /* so that closing frees no place */
    handle_close(who);
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
        handle_close(newcomer);
        break;
    }
    if (world->victim_is_dead && world->late_count + world->live_count != PLACES)
        violation("of %d places, %u used by the living, newcomers got %u", PLACES, world->live_count,
                  world->late_count);
    for (uint32_t i = 0; i < world->late_count; i++) append_as(world, &world->late[i]);
}

void leave_places(struct world *world) {
    while (world->late_count) handle_close(&world->late[--world->late_count]);
}
