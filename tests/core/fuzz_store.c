/* A fuzz target: a store in use, spoiled as the input says, then worked on as it says; all must end inside its bytes.
 *
 * tools/fuzz builds it with libFuzzer, which finds its own inputs. In the C tests of the core it has cases, which give
 * it random ones. Either way the memory is of just the segment's length, for AddressSanitizer to watch.
 *
 * An input is: one byte of options; a byte that says how many changes follow; changes of 11 bytes (where, how, value);
 * one byte for each operation, one more for a question. What comes of an operation does not matter, but answers keep
 * their own bounds. */
#include "core/store/store.h"
#include "fuzz_questions.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CAPACITY = 12, SEVERAL_BLOCKS = 2 * LEAST_BLOCK_SLOTS + 60, KEY_BYTES = 13, MOST_BEHIND = 12000 /* tickets */ };
enum { PARTITIONS = 2, BLOCKS = 8 }; /* at most */
enum { CHANGE_BYTES = 11, MOST_CHANGES = 15, MOST_OPERATIONS = 64 };

static const struct field_spec FIELDS[MAX_FIELDS] = {{"key", KIND_KEY, KEY_BYTES}, {"text", KIND_TEXT, 9},
                                                     {"number", KIND_UINT16, 0},   {"flag", KIND_BOOL, 0},
                                                     {"value", KIND_FLOAT64, 0},   {"time", KIND_TIMESTAMP, 0}};

struct input {
    const uint8_t *at, *end;
};

static uint64_t take(struct input *input, size_t bytes) {
    uint64_t value = 0;
    size_t left = (size_t)(input->end - input->at), taken = bytes < left ? bytes : left;
    if (taken) memcpy(&value, input->at, taken);
    input->at += taken;
    return value;
}

static void require(bool condition) {
    if (!condition) abort();
}

/* ---- a segment and its users ------------------------------------------------------------------------------------ */

static uint8_t alive; /* one bit for each place, as the kernel would say */
static bool is_dead(void *context, uint32_t owner) {
    (void)context;
    return !(alive >> (owner & 7) & 1);
}
static bool take_gap(void *context, uint32_t partition, uint64_t first, uint64_t end, enum gap_reason reason) {
    const struct geometry *g = context;
    require(partition < g->options.partitions && first < end);
    require(reason >= GAP_LAPPED && reason <= GAP_IN_FLIGHT);
    return true;
}
static void take_violation(void *context, const char *text) {
    (void)context;
    require(strlen(text) < 240);
}

struct users {
    struct handle handle;
    bool is_open;
    atomic_u64 marks[PARTITIONS * BLOCKS];
    uint64_t next[PARTITIONS];
    bool given_up[PARTITIONS]; /* an append failed: it took all its rounds */
};

static const uint8_t SUMMARISING[] = {1, 1 << 3,
                                      3 << 3}; /* questions that need the flag and numbers, the key, the time */

static unsigned char *format(uint64_t choice, uint64_t *length) {
    struct options options = {.capacity = choice >> 5 == 7 ? SEVERAL_BLOCKS : CAPACITY,
                              .partitions = 1 + (choice >> 1 & 1),
                              .layout = choice & 1 ? LAYOUT_ROWS : LAYOUT_COLUMNS,
                              .rule = RULE_KEY,
                              .keys = 5,
                              .processes = 3,
                              .field_count = 6};
    struct geometry geometry;
    struct refusal why;
    require(layout_plan(&options, FIELDS, &geometry, &why) == PLAN_OK);
    static unsigned char *memories[8]; /* one for each choice, and for good: new pages would take most of the time */
    unsigned char **memory = &memories[(choice & 3) | (choice >> 5 == 7 ? 4 : 0)];
    require(geometry.block_count <= BLOCKS);
    *length = geometry.total_bytes;
    if (!*memory) *memory = aligned_alloc(4096, *length);
    require(*memory);
    memset(*memory, 0, *length);
    layout_format(*memory, &geometry, FIELDS, (const uint8_t[16]){1}, 1);
    return *memory;
}

static void close_store(struct users *users) {
    if (!users->is_open) return;
    store_relaxed(&users->handle.processes.own->owner, 0); /* its users end without leaving */
    handle_close(&users->handle);
    users->is_open = false;
}

/* Open it as whoever attaches does; false when the header is refused. */
static bool open_store(struct users *users, unsigned char *memory, uint64_t length) {
    const struct opening opening = {.fd = NO_FILE, .writable = true, .liveness = {is_dead, NULL}};
    struct refusal why = {.text = ""};
    close_store(users);
    users->is_open = handle_open(&users->handle, memory, length, &opening, &why) == OPEN_OK;
    require(users->is_open ? users->handle.geometry.total_bytes <= length : why.text[0] != 0);
    return users->is_open;
}

/* ---- operations ------------------------------------------------------------------------------------------------- */

/* Lies the tail so far behind a slot's lap that a whole second goes by before the partition is called damaged? */
static bool takes_long(const struct users *users, uint32_t partition) {
    const struct ring *ring = &users->handle.ring;
    const uint64_t slots = ring->geometry->slots, tail = load_relaxed(&ring_partition(ring, partition)->tail);
    for (uint64_t slot = 0; slot < slots; slot++) {
        uint64_t word = load_relaxed(ring_word(ring, partition, slot)), lap = ring_where(ring->geometry, tail).lap;
        if (lap_distance(word_lap(word), lap) > (int64_t)(MOST_BEHIND / slots)) return true;
    }
    return false;
}

static void append_to(struct users *users, uint32_t partition, uint32_t owner) {
    const size_t bytes = users->handle.geometry.record_bytes;
    unsigned char *record = calloc(1, bytes), *discarded = malloc(bytes);
    struct appended out;
    uint32_t chosen;
    require(record && discarded);
    store_relaxed(&users->handle.processes.own->owner, owner | OWNER_ENTERED);
    enum append_status status = handle_append(&users->handle, record, partition, 0, discarded, &chosen, &out);
    require(chosen == partition);
    users->given_up[partition] = status != APPEND_DONE;
    free(record);
    free(discarded);
}

static void read_some(struct users *users, uint32_t partition, uint64_t *next, uint64_t room, bool stop_at_held) {
    const struct geometry *g = &users->handle.geometry;
    struct destination to = {.room = room};
    for (uint32_t i = 0; i < g->options.field_count; i++) require((to.columns[i] = malloc(room * g->fields[i].bytes)));
    uint64_t tail = load_acquire(&ring_partition(&users->handle.ring, partition)->tail), before = *next;
    const struct gap_sink gaps = {take_gap, (void *)(uintptr_t)g};
    ring_read(&users->handle.ring, partition, next, tail, stop_at_held, &to, &gaps);
    require(*next >= before && to.row <= room);
    for (uint32_t i = 0; i < g->options.field_count; i++) free(to.columns[i]);
}

static void intern(struct users *users, uint64_t number) {
    if (users->handle.geometry.key_field < 0) return;
    unsigned char key[MAX_KEY_BYTES], *text = malloc(users->handle.geometry.key_bytes);
    size_t length = number % (users->handle.geometry.key_bytes + 1);
    uint32_t id;
    require(text);
    memset(key, (int)('a' + number % 7), sizeof key);
    struct table *table = &users->handle.table;
    if (table_intern(table, (char *)key, length, &id) == TABLE_OK) require(id < users->handle.geometry.cell_count);
    for (id = 0; id <= table_count(table); id++)
        require(table_text(table, id, (char *)text) <= (int64_t)users->handle.geometry.key_bytes);
    free(text);
}

static void ask(struct users *users, uint8_t choice) {
    const struct geometry *g = &users->handle.geometry;
    if (g->options.partitions > PARTITIONS || g->block_count > BLOCKS) return; /* another header */
    inquire(&(struct inquirer){&users->handle.ring, FIELDS, users->marks, table_count(&users->handle.table)}, choice);
}

static void operate(struct users *users, struct input *input) {
    uint8_t byte = (uint8_t)take(input, 1);
    const struct options *options = &users->handle.geometry.options;
    uint32_t partition = (byte >> 3 & 1) % options->partitions, owner = (byte >> 4) % options->processes | 1 << 12;
    const struct handle *handle = &users->handle;
    uint64_t ignored, voided, *next = &users->next[partition];
    struct sample_values values = {0};
    struct totals totals;
    switch (byte & 7) {
    case 0:
        if (!users->given_up[partition] && !takes_long(users, partition)) append_to(users, partition, owner);
        break;
    case 1: ask(users, (uint8_t)take(input, 1)); break;
    case 2: read_some(users, partition, next, 1 + (byte >> 4), true); break;
    case 3: ignored = 0, read_some(users, partition, &ignored, users->handle.geometry.slots, false); break;
    case 4: intern(users, byte >> 3); break;
    case 5:
        handle_totals(&users->handle, partition, &totals);
        if (byte >> 4 == 7) ring_raise_floor(&users->handle.ring, partition, totals.oldest + 1);
        break;
    case 6:
        if (byte >> 4 == 7 && handle->geometry.time_field >= 0) require(handle_purge(handle, 1, &ignored));
        ring_sweep(&users->handle.ring, owner, &voided, &ignored);
        break;
    default:
        history_read(&users->handle.ring, history_next(&users->handle.ring) - 1 - (byte >> 4), &values);
        if (byte >> 3 & 1) handle_sample(&users->handle, byte, &values);
        check_store(&handle->ring, &handle->processes, &handle->table, &(struct check_report){take_violation, NULL});
    }
}

/* ---- the target ------------------------------------------------------------------------------------------------- */

/* Change one value: how says its size, whether it lies in the header, and whether it is set or flipped. Or forge a
 * summary. */
static void change(struct users *users, unsigned char *memory, uint64_t where, uint8_t how, uint64_t value) {
    const struct geometry *g = &users->handle.geometry;
    uint64_t first = how & 1 ? g->partitions_offset : how & 2 ? g->processes_offset : how & 4 ? g->board_offset : 0;
    uint64_t bytes = (size_t)1 << (how >> 3 & 3), end = first ? g->total_bytes : sizeof(struct header), old = 0;
    uint64_t at = first + where % ((end - first) / bytes) * bytes;
    if (first && how >> 7) {
        forge_summary(&users->handle.ring, value);
        return;
    }
    memcpy(&old, memory + at, bytes);
    value = how >> 5 & 1 ? old ^ value : how >> 6 & 1 ? old + value : value;
    memcpy(memory + at, &value, bytes);
    if (!first && how >> 7) { /* a header that contradicts itself with a right checksum */
        uint64_t checksum = fnv1a(memory, offsetof(struct header, checksum));
        memcpy(memory + offsetof(struct header, checksum), &checksum, 8);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = {data, data + size};
    struct users users = {0};
    uint64_t choice = take(&input, 1), changes = take(&input, 1) % (MOST_CHANGES + 1);
    uint64_t length;
    unsigned char *memory = format(choice, &length);
    alive = (uint8_t)(choice >> 2);
    require(open_store(&users, memory, length));
    for (uint32_t i = 0; i < 3; i++) store_relaxed(&processes_place(&users.handle.ring, i)->word, 1 << 8 | PLACE_USED);
    for (int i = 0; i < 4; i++) intern(&users, (uint64_t)i * 3);
    for (uint32_t i = 0; i < users.handle.geometry.options.capacity * 3 / 2; i++)
        append_to(&users, i % users.handle.geometry.options.partitions, i % 3 | 1 << 12);
    for (int times = 0; times < 3; times++) /* once, blocks are marked; again, summarised */
        for (uint32_t i = 0; i < sizeof SUMMARISING; i++) ask(&users, SUMMARISING[i]);
    for (uint64_t i = 0; i < changes; i++) {
        uint64_t where = take(&input, 2);
        uint8_t how = (uint8_t)take(&input, 1);
        change(&users, memory, where, how, take(&input, 8));
    }
    if (open_store(&users, memory, length))
        for (int i = 0; i < MOST_OPERATIONS && input.at < input.end; i++) operate(&users, &input);
    close_store(&users);
    return 0;
}

#ifndef LIBFUZZER /* in the C tests of the core */
#include "harness.h"

/* Inputs of which the most change what leads somewhere: words of partitions and slots, to values at the edges. */
static size_t random_input(uint8_t input[]) {
    static const uint64_t EDGES[] = {
        0, 1, UINT64_MAX, INT64_MAX, UINT32_MAX, UINT64_C(1) << 40, UINT64_C(1) << 63, 3 << 24 | 1, 2 << 24 | 11};
    uint8_t *at = input, changes = (uint8_t)random_number(MOST_CHANGES + 1);
    *at++ = (uint8_t)random_number(256);
    *at++ = changes;
    for (int i = 0; i < changes; i++, at += CHANGE_BYTES) {
        uint64_t edge = EDGES[random_number(sizeof EDGES / sizeof *EDGES)] + random_number(3) - 1;
        uint64_t value = random_number(3) ? edge : random_number(UINT64_MAX), where = random_number(1 << 16);
        memcpy(at, &where, 2);
        at[2] = (uint8_t)(random_number(4) ? 0x19 : random_number(256)); /* a whole word from the partitions on */
        memcpy(at + 3, &value, 8);
    }
    for (int i = 0; i < MOST_OPERATIONS; i++) *at++ = (uint8_t)random_number(256);
    return (size_t)(at - input);
}

CASE(no_change_of_any_bytes_leads_an_operation_outside_the_segment) {
    for (uint64_t i = 0; i < 250 * effort; i++) {
        uint8_t input[2 + MOST_CHANGES * CHANGE_BYTES + MOST_OPERATIONS];
        LLVMFuzzerTestOneInput(input, random_input(input));
    }
}

CASE(an_input_that_ends_early_ends_the_target) {
    for (uint64_t i = 0; i < 50 * effort; i++) {
        uint8_t input[2 + MOST_CHANGES * CHANGE_BYTES + MOST_OPERATIONS];
        LLVMFuzzerTestOneInput(input, random_number(random_input(input)));
    }
}
#endif
