/* A store in plain memory and its records: its owners, and what must have become of every ticket. */
#include "harness.h"

#include <stdio.h>

/* One field of every kind, so that every copying unit is at work; the first two are a record's writer and sequence. */
static const struct field_spec EVERY_KIND[] = {
    {"writer", KIND_UINT64, 0}, {"sequence", KIND_UINT64, 0}, {"i8", KIND_INT8, 0},        {"i16", KIND_INT16, 0},
    {"i32", KIND_INT32, 0},     {"i64", KIND_INT64, 0},       {"u8", KIND_UINT8, 0},       {"text", KIND_TEXT, 21},
    {"u16", KIND_UINT16, 0},    {"u32", KIND_UINT32, 0},      {"f32", KIND_FLOAT32, 0},    {"f64", KIND_FLOAT64, 0},
    {"flag", KIND_BOOL, 0},     {"bytes", KIND_BYTES, 70},    {"time", KIND_TIMESTAMP, 0}, {"key", KIND_KEY, 16},
};
enum { FIELDS = sizeof EVERY_KIND / sizeof *EVERY_KIND };

/* ---- making ------------------------------------------------------------------------------------------------------ */

/* The order of looks is that of process.c: the place first, then the lock, which here is a flag. */
static bool is_dead(void *context, uint32_t owner) {
    struct store *store = context;
    uint32_t place = owner_place(owner);
    if (place >= store->handle.geometry.options.processes) return true;
    uint64_t word = load_acquire(&processes_place(&store->handle.ring, place)->word);
    if (place_state(word) == PLACE_FREE || place_owner(place, word) != owner) return true;
    return load_acquire(&store->dead[place]);
}

struct store *make_store(struct wish wish) {
    struct store *store = calloc(1, sizeof *store);
    struct options options = {
        .capacity = wish.capacity ? wish.capacity : 7,
        .partitions = wish.partitions ? wish.partitions : 1,
        .layout = wish.layout ? wish.layout : LAYOUT_ROWS,
        .rule = wish.rule ? wish.rule : RULE_EXPLICIT,
        .keys = wish.keys ? wish.keys : 4,
        .processes = wish.processes ? wish.processes : PLACES,
        .field_count = FIELDS,
    };
    struct geometry geometry;
    struct refusal why;
    if (!store) fail("no memory");
    if (layout_plan(&options, EVERY_KIND, &geometry, &why) != PLAN_OK) fail("refused: %s", why.text);
    expect(geometry.record_bytes <= STAGED_BYTES);
    unsigned char *memory = aligned_alloc(4096, geometry.total_bytes);
    if (!memory) fail("no memory");
    memset(memory, 0, geometry.total_bytes);
    layout_format(memory, &geometry, EVERY_KIND, (const uint8_t[16]){1}, 1);
    const struct opening opening = {.fd = NO_FILE, .writable = true, .liveness = {is_dead, store}};
    if (handle_open(&store->handle, memory, geometry.total_bytes, &opening, &why) != OPEN_OK)
        fail("cannot be opened: %s", why.text);
    return store;
}

void free_store(struct store *store) {
    handle_close(&store->handle);
    free(store->handle.ring.memory);
    free(store);
}

void start_at(struct store *store, uint64_t ticket) {
    const uint64_t slots = store->handle.geometry.slots;
    struct partition *control = ring_partition(&store->handle.ring, 0);
    for (uint64_t t = ticket - slots; t < ticket; t++)
        store_relaxed(ring_word(&store->handle.ring, 0, t % slots), published(store, t));
    store_relaxed(&control->tail, ticket);
    store_relaxed(&control->floor, ticket);
    store->first = ticket;
}

void counted_before(struct store *store, uint32_t count) {
    struct partition *control = ring_partition(&store->handle.ring, 0);
    uint64_t word = (uint64_t)(uint32_t)((store->first - 1000) << 1 | 1) << 32 | count;
    store_relaxed(&control->skip_ledger, word);
    store_relaxed(&control->void_ledger, word);
    store->counted_before = 2 * count;
}

/* ---- records ----------------------------------------------------------------------------------------------------- */

void stage(const struct geometry *geometry, uint64_t writer, uint64_t sequence, unsigned char record[STAGED_BYTES]) {
    memset(record, 0, STAGED_BYTES);
    uint64_t part = mixed(writer << 40 ^ sequence);
    for (uint32_t i = 0; i < geometry->options.field_count; i++) {
        const struct field *field = &geometry->fields[i];
        for (uint32_t unit = 0; unit < field->units; unit++, part = part * 25214903917 + 11)
            memcpy(record + field->offset + unit * field->unit, &part, field->unit);
    }
    memcpy(record + geometry->fields[0].offset, &writer, 8);
    memcpy(record + geometry->fields[1].offset, &sequence, 8);
}

void unstage(const struct geometry *geometry, const unsigned char record[STAGED_BYTES], uint64_t *writer,
             uint64_t *sequence) {
    unsigned char whole[STAGED_BYTES];
    memcpy(writer, record + geometry->fields[0].offset, 8);
    memcpy(sequence, record + geometry->fields[1].offset, 8);
    stage(geometry, *writer, *sequence, whole);
    for (uint32_t i = 0; i < geometry->options.field_count; i++) {
        const struct field *field = &geometry->fields[i];
        if (memcmp(record + field->offset, whole + field->offset, field->bytes))
            fail("a record is torn: its field %u is not that of writer %llu, sequence %llu", i,
                 (unsigned long long)*writer, (unsigned long long)*sequence);
    }
}

struct destination make_destination(const struct geometry *geometry, uint64_t room) {
    struct destination to = {.room = room};
    for (uint32_t i = 0; i < geometry->options.field_count; i++) {
        to.columns[i] = calloc(room, geometry->fields[i].bytes);
        if (!to.columns[i]) fail("no memory");
    }
    return to;
}

void free_destination(const struct geometry *geometry, struct destination *to) {
    for (uint32_t i = 0; i < geometry->options.field_count; i++) free(to->columns[i]);
}

void expect_whole(const struct geometry *geometry, const struct destination *to, uint64_t row, uint64_t *writer,
                  uint64_t *sequence) {
    unsigned char record[STAGED_BYTES] = {0};
    for (uint32_t i = 0; i < geometry->options.field_count; i++) {
        const struct field *field = &geometry->fields[i];
        memcpy(record + field->offset, to->columns[i] + row * field->bytes, field->bytes);
    }
    unstage(geometry, record, writer, sequence);
}

/* ---- owners ------------------------------------------------------------------------------------------------------ */

uint32_t join(struct store *store, uint32_t place) {
    atomic_u64 *shared = &processes_place(&store->handle.ring, place)->word;
    uint64_t word = load_acquire(shared), voided, released;
    store_release(&store->dead[place], false); /* the kernel lock is ours first */
    uint32_t before = place_owner(place, word);
    if (place_state(word) == PLACE_USED) ring_sweep(&store->handle.ring, before, &voided, &released);
    uint64_t generation = place_generation(word) + 1;
    store_release(shared, place_word(generation, PLACE_USED));
    return owner_from(place, generation);
}

void die(struct store *store, uint32_t owner) { store_release(&store->dead[owner_place(owner)], true); }

uint64_t repair(struct store *store, uint32_t owner) {
    atomic_u64 *shared = &processes_place(&store->handle.ring, owner_place(owner))->word;
    uint64_t voided, released;
    ring_sweep(&store->handle.ring, owner, &voided, &released);
    store_release(shared, place_word(place_generation(load_acquire(shared)), PLACE_FREE));
    return voided + released;
}

void sweep(void *argument) {
    struct sweeping *sweeping = argument;
    ring_sweep(&sweeping->store->handle.ring, sweeping->owner, &sweeping->voided, &sweeping->released);
}

void follow(void *argument) {
    struct store *store = argument;
    struct destination to = make_destination(&store->handle.geometry, store->handle.geometry.slots);
    uint64_t next = store->first;
    ring_read(&store->handle.ring, 0, &next, tail_of(store), true, &to, &no_gaps);
    free_destination(&store->handle.geometry, &to);
}

/* ---- appending --------------------------------------------------------------------------------------------------- */

/* Hold what an append says against what the test knows. Whether its record became readable its slot word tells. */
static void acknowledge(struct store *store, uint64_t sequence, uint64_t floor, const struct appended *out,
                        const unsigned char *discarded) {
    const uint64_t slots = store->handle.geometry.slots, ticket = out->ticket;
    uint64_t writer, found, replaced = 0;
    if (ticket - store->first >= slots) replaced = store->sequences[(ticket - slots) % REMEMBERED];
    if (out->discarded) {
        unstage(&store->handle.geometry, discarded, &writer, &found);
        expect_equal(found + 1, replaced);
        expect(ticket - slots >= floor);
    } else if (replaced) {
        expect(ticket - slots < floor_of(store));
    }
    store->acknowledged++;
    store->sequences[ticket % REMEMBERED] = word_of(store, ticket) == published(store, ticket) ? sequence + 1 : 0;
}

enum append_status try_append(struct store *store, uint32_t owner, struct appended *out) {
    unsigned char record[STAGED_BYTES], discarded[STAGED_BYTES] = {0};
    uint64_t sequence = store->next_sequence++, floor = floor_of(store);
    stage(&store->handle.geometry, owner, sequence, record);
    enum append_status status = ring_append(&store->handle.ring, 0, owner, record, discarded, out);
    if (status == APPEND_DONE) acknowledge(store, sequence, floor, out, discarded);
    return status;
}

uint64_t append(struct store *store, uint32_t owner) {
    struct appended out;
    expect_equal(try_append(store, owner, &out), APPEND_DONE);
    return out.ticket;
}

void append_many(struct store *store, uint32_t owner, uint64_t count) {
    while (count--) append(store, owner);
}

/* ---- looking ----------------------------------------------------------------------------------------------------- */

struct reading {
    struct store *store;
    struct destination *to;
    uint64_t next, row; /* ticket and row up to which the letters are written */
    char letters[REMEMBERED + 1];
};

/* The rows since the last gap are the tickets up to this one. */
static void note_rows(struct reading *reading, uint64_t ticket) {
    struct store *store = reading->store;
    for (; reading->row < reading->to->row; reading->row++, reading->next++) {
        uint64_t writer, sequence;
        expect_whole(&store->handle.geometry, reading->to, reading->row, &writer, &sequence);
        expect_equal(sequence + 1, store->sequences[reading->next % REMEMBERED]); /* 0: its append has not returned */
        reading->letters[reading->next - store->first] = 'r';
    }
    expect_equal(reading->next, ticket);
}

static bool note_gap(void *context, uint32_t partition, uint64_t first, uint64_t end, enum gap_reason reason) {
    struct reading *reading = context;
    expect_equal(partition, 0);
    note_rows(reading, first);
    for (; reading->next < end; reading->next++)
        reading->letters[reading->next - reading->store->first] = " lvsci"[reason];
    return true;
}

const char *tickets(struct store *store) {
    static _Thread_local struct reading reading;
    struct destination to = make_destination(&store->handle.geometry, store->handle.geometry.slots + 1);
    struct ring watched = store->handle.ring;
    uint64_t next = store->first, tail = tail_of(store);
    expect(tail - store->first < REMEMBERED);
    watched.writable = false;
    reading = (struct reading){.store = store, .to = &to, .next = store->first};
    expect_equal(ring_read(&watched, 0, &next, tail, false, &to, &(struct gap_sink){note_gap, &reading}), READ_END);
    note_rows(&reading, tail);
    free_destination(&store->handle.geometry, &to);
    return reading.letters;
}

struct totals totals_of(struct store *store) {
    struct totals totals, anew;
    atomic_u64 nothing = 0;
    ring_totals(&store->handle.ring, 0, store->handle.decided, &totals);
    ring_totals(&store->handle.ring, 0, &nothing, &anew);
    if (memcmp(&totals, &anew, sizeof anew)) fail("the totals depend on what was looked at before");
    return totals;
}

static void print_violation(void *context, const char *text) {
    (void)context;
    printf("  %s\n", text);
}

static void ignore_violation(void *context, const char *text) { (void)context, (void)text; }

uint64_t violations_of(const struct store *store) {
    const struct check_report report = {ignore_violation, NULL};
    return check_store(&store->handle.ring, &store->handle.processes, &store->handle.table, &report);
}

void expect_sound_at(struct store *store, const char *file, int line) {
    const struct check_report report = {print_violation, NULL};
    const struct handle *handle = &store->handle;
    if (check_store(&handle->ring, &handle->processes, &handle->table, &report)) fail_at(file, line, "the check fails");
    const char *letters = tickets(store);
    struct totals totals = totals_of(store);
    uint64_t readable = 0, handed_out = totals.tail - store->first;
    for (const char *letter = letters; *letter; letter++) readable += *letter == 'r';
    if (totals.length != readable)
        fail_at(file, line, "the totals say %llu readable records; a reader gets '%s'",
                (unsigned long long)totals.length, strlen(letters) > 40 ? letters + strlen(letters) - 40 : letters);
    uint64_t sum = store->acknowledged + totals.skipped + totals.voided + totals.in_flight - store->counted_before;
    if ((uint32_t)sum != (uint32_t)handed_out) /* ledgers count modulo 2^32 */
        fail_at(file, line, "%llu acknowledged, %llu skipped, %llu voided, %llu in flight: not the %llu handed out",
                (unsigned long long)store->acknowledged, (unsigned long long)totals.skipped,
                (unsigned long long)totals.voided, (unsigned long long)totals.in_flight,
                (unsigned long long)handed_out);
}
