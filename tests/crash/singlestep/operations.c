/* The operations that victims run: from what state, what others do meanwhile, and what must hold after each besides the account. */
#define _GNU_SOURCE
#include "victim.h"

#include "../../../shmstore/core/history.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DOOMED_PLACE = 1 };

/* ---- the victim ------------------------------------------------------------------------------------------------------- */

static void end_with(struct world *world, uint32_t result, bool failed) {
    store_relaxed(&world->report->result, result);
    if (failed) add_relaxed(&world->report->failures, 1);
}

static struct record records[BATCH]; /* made before the first boundary */

static void be_attached(struct world *world) {
    for (uint64_t number = 0; number < BATCH; number++) records[number] = make_record(VICTIM, number);
    enter(world, &world->mine, &world->my_ring, (uint64_t)getpid());
    world->my_table.spare = &world->mine.own->spare_cell;
    store_release(&world->report->owner, owner_of(&world->mine));
}

static void open_only(struct world *world) { processes_open(&world->mine, &world->my_ring, world->fd); }

static void append_records(struct world *world, uint64_t count, struct record *replaced) {
    struct report *report = world->report;
    for (uint64_t number = 0; number < count; number++) {
        struct appended appended = {0, false, false};
        store_release(&report->begun, number + 1);
        enum append_status status = ring_append(&world->my_ring, 0, owner_of(&world->mine), &records[number], replaced, &appended);
        store_relaxed(&report->tickets[number], appended.ticket);
        if (status == APPEND_DONE) store_release(&report->returned, number + 1);
        if (appended.discarded && replaced) report->discarded = true;
        end_with(world, (uint32_t)status, status != APPEND_DONE);
    }
}

static void append_one(struct world *world) { append_records(world, 1, NULL); }
static void append_batch(struct world *world) { append_records(world, BATCH, NULL); }
static void append_and_take(struct world *world) { append_records(world, 1, &world->report->replaced); }

/* ---- rings in every state ------------------------------------------------------------------------------------------------- */

static void begin_half_full(struct world *world) { append_many(world, SLOTS / 2); }
static void begin_full(struct world *world) { append_many(world, SLOTS + 1); }

/* The next ticket's slot is held by a process that lives and stands still. */
static void begin_before_a_stalled_slot(struct world *world) {
    struct processes *slow = &world->live[world->live_count++];
    enter(world, slow, &world->ring, (uint64_t)getpid());
    append_many(world, 1);
    claim_and_stop(world, slow, false);
    append_many(world, SLOTS - 1);
}

/* ... by a process that died. */
static void begin_before_a_dead_claim(struct world *world) {
    enter(world, &world->doomed, &world->ring, 1);
    append_many(world, 1);
    claim_and_stop(world, &world->doomed, true);
    append_many(world, SLOTS - 1);
    die(&world->doomed);
}

static void begin_before_a_void_slot(struct world *world) {
    begin_before_a_dead_claim(world);
    repair(world);
}

/* A dead process has left a claim that was overtaken and one that was not. */
static void begin_with_a_wreck(struct world *world) {
    enter(world, &world->doomed, &world->ring, 1);
    append_many(world, 1);
    claim_and_stop(world, &world->doomed, true);
    append_many(world, SLOTS);
    claim_and_stop(world, &world->doomed, true);
    append_many(world, 1);
    die(&world->doomed);
}

/* ---- reading, clearing ----------------------------------------------------------------------------------------------------- */

static bool take_any_gap(void *context, uint32_t partition, uint64_t first, uint64_t end, enum gap_reason reason) {
    (void)context, (void)partition, (void)first, (void)end, (void)reason;
    return true;
}

/* Whatever happens meanwhile, every record that it gets is whole. */
static void read_all(struct world *world) {
    uint32_t keys[SLOTS], writers[SLOTS];
    uint64_t numbers[SLOTS], proofs[SLOTS], agains[SLOTS], next = 0;
    struct destination to = {.columns = {(void *)keys, (void *)writers, (void *)numbers, (void *)proofs, (void *)agains}, .room = SLOTS};
    const struct gap_sink gaps = {take_any_gap, NULL};
    ring_read(&world->my_ring, 0, &next, SLOTS + 1, true, &to, &gaps);
    for (uint64_t row = 0; row < to.row; row++) {
        const struct record record = {keys[row], writers[row], numbers[row], proofs[row], agains[row]};
        if (!is_whole(&record)) end_with(world, (uint32_t)row, true);
    }
}

static void clear(struct world *world) { ring_raise_floor(&world->my_ring, 0, SLOTS); }

static void verify_clear(struct world *world, bool ended) {
    uint64_t floor = load_acquire(&ring_partition(&world->ring, 0)->floor);
    if (floor != SLOTS && (ended || floor)) violation("the floor is %d", (int)floor);
}

/* ---- places ----------------------------------------------------------------------------------------------------------------- */

static void attach(struct world *world) {
    const struct identity identity = {.pid = (uint64_t)getpid(), .name = "victim"};
    bool opened = processes_open(&world->mine, &world->my_ring, world->fd);
    enum enter_status status = opened ? processes_enter(&world->mine, &identity) : ENTER_FAILED;
    if (status == ENTER_OK) store_release(&world->report->owner, owner_of(&world->mine));
    end_with(world, (uint32_t)status, status == ENTER_FAILED);
}

static void verify_attach(struct world *world, bool ended) {
    bool full = load_relaxed(&world->report->result) == ENTER_FULL;
    if (ended && full && world->live_count + world->late_count < PLACES) violation("the victim found no place, and there was one");
    if (ended && !full && !load_relaxed(&world->report->owner)) violation("the victim attached and has no owner");
}

static void begin_with_a_wreck_in_the_last_place(struct world *world) {
    begin_with_a_wreck(world);
    while (world->live_count < PLACES - 1) enter(world, &world->live[world->live_count++], &world->ring, (uint64_t)getpid());
}

static void detach(struct world *world) {
    store_release(&world->report->owner, 0); /* from now on nobody need find it alive */
    processes_close(&world->mine);
}

static void repair_the_wreck(struct world *world) {
    uint64_t pid, voided, released;
    end_with(world, processes_reap(&world->mine, DOOMED_PLACE, &pid, &voided, &released), false);
}

static void repair_all(struct world *world) {
    uint64_t pid, voided, released;
    for (uint32_t index = 0; index < PLACES; index++) processes_reap(&world->mine, index, &pid, &voided, &released);
}

/* ---- keys -------------------------------------------------------------------------------------------------------------------- */

static const char *const texts[] = {"known", "new", "next"};

static uint32_t intern(struct table *table, const char *text) {
    uint32_t id = UINT32_MAX;
    return table_intern(table, text, strlen(text), &id) == TABLE_OK ? id : UINT32_MAX;
}

static void begin_with_a_key(struct world *world) {
    begin_half_full(world);
    intern(&world->table, texts[0]);
}

static void intern_new(struct world *world) {
    uint32_t id = intern(&world->my_table, texts[1]);
    store_release(&world->report->ids[0], id);
    end_with(world, id, id == UINT32_MAX);
}

static void intern_two(struct world *world) {
    intern_new(world);
    store_release(&world->report->ids[1], intern(&world->my_table, texts[2]));
}

/* Takes the text from the victim as soon as it has reserved a cell for it. */
static bool outrun_interning(struct world *world) {
    return table_count(&world->table) > 1 && intern(&world->table, texts[1]) != UINT32_MAX;
}

static void intern_the_same(struct world *world) {
    intern(&world->table, texts[1]);
    intern(&world->table, texts[2]);
}

static void verify_text(const struct world *world, uint32_t id, const char *text) {
    char found[MAX_KEY_BYTES];
    int64_t length = table_text(&world->table, id, found);
    if (length != (int64_t)strlen(text) || memcmp(found, text, (size_t)length)) violation("key id %u does not read '%s'", id, text);
}

/* Every text has one id, and as many fit as were promised. */
static void verify_keys(struct world *world, bool ended) {
    uint32_t ids[KEYS + PLACES + 1], count = 0;
    for (; count < KEYS + PLACES; count++) {
        char text[16];
        snprintf(text, sizeof text, count < 3 ? texts[count] : "more %u", count);
        ids[count] = intern(&world->table, text);
        if (ids[count] == UINT32_MAX) break;
        verify_text(world, ids[count], text);
        for (uint32_t i = 0; i < count; i++)
            if (ids[i] == ids[count]) violation("two texts have the key id %u", ids[i]);
    }
    if (count < KEYS || count > KEYS + 1) violation("the table holds %u keys, not %d", count, KEYS); /* who dies before it counts leaves one more */
    for (uint32_t i = 0; ended && i < 2; i++) {
        uint32_t id = load_acquire(&world->report->ids[i]);
        if (id && id != ids[i + 1]) violation("'%s' has the id %u, and the victim got %u", texts[i + 1], ids[i + 1], id);
    }
}

/* ---- history ----------------------------------------------------------------------------------------------------------------- */

enum { SAMPLES_BEFORE = 2 };

static struct sample_values make_sample(uint64_t number) {
    uint64_t n = 100 * number;
    return (struct sample_values){number, n + 1, n + 2, n + 3, n + 4, n + 5, n + 6, n + 7, n + 8};
}

static void write_sample(const struct ring *ring) {
    struct sample_values values = make_sample(history_next(ring));
    history_write(ring, &values);
}

static void begin_with_samples(struct world *world) {
    begin_half_full(world);
    for (int i = 0; i < SAMPLES_BEFORE; i++) write_sample(&world->ring);
}

static void become_coordinator(struct world *world) {
    static struct held_lock lock;
    be_attached(world);
    if (!processes_lock_coordinator(&world->mine, &lock)) end_with(world, 0, true);
}

static void sample(struct world *world) { write_sample(&world->my_ring); }

/* Who died while sampling has left a gap at most; the next goes on. */
static void verify_history(struct world *world, bool ended) {
    struct held_lock lock;
    bool locked = processes_lock_coordinator(&world->live[0], &lock);
    if (locked != world->victim_is_dead) violation("the coordinator's lock is %s", locked ? "free though its holder lives" : "held by the dead");
    uint64_t next = history_next(&world->ring);
    if (next != SAMPLES_BEFORE + 1 && (ended || next != SAMPLES_BEFORE)) violation("the next sample is %d", (int)next);
    if (locked) {
        write_sample(&world->ring);
        processes_unlock(&lock);
    }
    for (uint64_t number = 0; number < history_next(&world->ring); number++) {
        struct sample_values found, expected = make_sample(number);
        if (!history_read(&world->ring, number, &found)) violation("sample %d cannot be read", (int)number);
        else if (memcmp(&found, &expected, sizeof found)) violation("sample %d is torn", (int)number);
    }
}

/* ---- creation ---------------------------------------------------------------------------------------------------------------- */

/* Make a whole store in a file without a name, then give it its name. Returns 0 or an errno. */
static int create_store(const struct world *world) {
    const uint64_t bytes = world->geometry.total_bytes;
    char unnamed[32];
    int fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 || posix_fallocate(fd, 0, (off_t)bytes)) return errno;
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) return errno;
    layout_format(memory, &world->geometry, world->fields, (const uint8_t[16]){2}, 2);
    snprintf(unnamed, sizeof unnamed, "/proc/self/fd/%d", fd);
    int failure = linkat(AT_FDCWD, unnamed, AT_FDCWD, world->path, AT_SYMLINK_FOLLOW) ? errno : 0;
    munmap(memory, bytes);
    close(fd);
    return failure;
}

static void create(struct world *world) {
    int failure = create_store(world);
    end_with(world, (uint32_t)failure, failure && failure != EEXIST);
}

static void create_the_same(struct world *world) {
    int failure = create_store(world);
    if (failure && failure != EEXIST) violation("others cannot create: %s", strerror(failure));
}

/* Whatever bears the name is a whole store, which can be entered and appended to. */
static void verify_named(const struct world *world) {
    const uint64_t bytes = world->geometry.total_bytes;
    struct header header;
    struct geometry geometry;
    struct refusal why;
    struct stat status;
    int fd = open(world->path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status)) {
        violation("the created store cannot be opened: %s", strerror(errno));
        return;
    }
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if ((uint64_t)status.st_size != bytes || layout_open(memory, bytes, &header, &geometry, &why) != HEADER_OK) {
        violation("a half-made store bears the name");
    } else {
        struct processes here;
        struct ring ring = {&geometry, memory, true, {processes_is_dead, &here}};
        const struct identity identity = {.pid = (uint64_t)getpid()};
        const struct record record = make_record(OTHERS, 0);
        struct appended appended;
        if (!processes_open(&here, &ring, fd) || processes_enter(&here, &identity) != ENTER_OK ||
            ring_append(&ring, 0, owner_of(&here), &record, NULL, &appended) != APPEND_DONE)
            violation("the created store cannot be used");
        processes_close(&here);
    }
    munmap(memory, bytes);
    close(fd);
}

static void verify_create(struct world *world, bool ended) {
    bool there = !access(world->path, F_OK);
    if (ended && !there) violation("creation returned %u, and nothing is there", load_relaxed(&world->report->result));
    if (!there) create_the_same(world);
    verify_named(world);
    if (!there) unlink(world->path);
}

/* ---- all ---------------------------------------------------------------------------------------------------------------------- */

const struct operation repairing = {.name = "repairing", .ready = open_only, .run = repair_all};

const struct operation operations[] = {
    {.name = "append", .prepare = begin_half_full, .ready = be_attached, .run = append_one},
    {.name = "append-discarding", .prepare = begin_full, .ready = be_attached, .run = append_and_take},
    {.name = "append-past-stalled", .prepare = begin_before_a_stalled_slot, .ready = be_attached, .run = append_one},
    {.name = "append-over-dead", .prepare = begin_before_a_dead_claim, .ready = be_attached, .run = append_one},
    {.name = "append-over-void", .prepare = begin_before_a_void_slot, .ready = be_attached, .run = append_one},
    {.name = "append-batch", .prepare = begin_half_full, .ready = be_attached, .run = append_batch},
    {.name = "read-over-dead", .prepare = begin_before_a_dead_claim, .ready = be_attached, .run = read_all},
    {.name = "clear", .prepare = begin_full, .ready = be_attached, .run = clear, .verify = verify_clear},
    {.name = "intern", .prepare = begin_with_a_key, .ready = be_attached, .run = intern_new, .meanwhile = intern_the_same, .verify = verify_keys},
    {.name = "intern-outrun", .prepare = begin_with_a_key, .ready = be_attached, .run = intern_two, .meddle = outrun_interning,
     .meanwhile = intern_the_same, .verify = verify_keys},
    {.name = "create", .prepare = begin_half_full, .run = create, .meanwhile = create_the_same, .verify = verify_create},
    {.name = "attach", .prepare = begin_half_full, .run = attach, .verify = verify_attach},
    {.name = "attach-over-dead", .prepare = begin_with_a_wreck_in_the_last_place, .run = attach, .verify = verify_attach},
    {.name = "close", .prepare = begin_half_full, .ready = be_attached, .run = detach},
    {.name = "repair", .prepare = begin_with_a_wreck, .ready = be_attached, .run = repair_the_wreck},
    {.name = "sample", .prepare = begin_with_samples, .ready = become_coordinator, .run = sample, .verify = verify_history},
    {.name = NULL},
};
