/* A fuzz target: a store in use, spoiled as the input says, then worked on as it says; all must end inside its bytes.
 *
 * tools/fuzz builds it with libFuzzer, which finds its own inputs. In the C tests of the core it has cases, which give
 * it random ones. Either way the memory is of just the segment's length, for AddressSanitizer to watch.
 *
 * An input is: one byte of options; a byte that says how many changes follow; changes of 11 bytes (where, how, value);
 * one byte for each operation, one more for a question. What comes of an operation does not matter, but answers keep
 * their own bounds. */
#include "core/store/check.h"
#include "core/store/history.h"
#include "fuzz_questions.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CAPACITY = 12, SEVERAL_BLOCKS = 2 * LEAST_BLOCK_SLOTS + 60, KEY_BYTES = 13, MOST_BEHIND = 12000 /* tickets */ };
enum { PARTITIONS = 2, BLOCKS = 8 }; /* at most */
enum { CHANGE_BYTES = 11, MOST_CHANGES = 15, MOST_OPERATIONS = 64 };

static const struct field_spec FIELDS[MAX_FIELDS] = {
    {"key", KIND_KEY, KEY_BYTES}, {"text", KIND_TEXT, 9}, {"number", KIND_UINT16, 0},
    {"flag", KIND_BOOL, 0},       {"value", KIND_FLOAT64, 0}, {"time", KIND_TIMESTAMP, 0}};

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
    struct geometry geometry;
    struct ring ring;
    struct processes processes; /* only for check_store, which looks at the places */
    struct table table;
    atomic_u32 spare;
    atomic_u64 decided[PARTITIONS], marks[PARTITIONS * BLOCKS];
    uint64_t next[PARTITIONS];
    bool given_up[PARTITIONS]; /* an append failed: it took all its rounds */
};

static const uint8_t SUMMARISING[] = {1, 1 << 3, 3 << 3}; /* questions that need the flag and numbers, the key, the time */

static unsigned char *format(struct users *users, uint64_t choice) {
    struct options options = {
        .capacity = choice >> 5 == 7 ? SEVERAL_BLOCKS : CAPACITY, .partitions = 1 + (choice >> 1 & 1),
        .layout = choice & 1 ? LAYOUT_ROWS : LAYOUT_COLUMNS,
        .rule = RULE_KEY, .keys = 5, .processes = 3, .field_count = 6};
    struct refusal why;
    require(layout_plan(&options, FIELDS, &users->geometry, &why) == PLAN_OK);
    static unsigned char *memories[8]; /* one for each choice, and for good: new pages would take most of the time */
    unsigned char **memory = &memories[(choice & 3) | (choice >> 5 == 7 ? 4 : 0)];
    require(users->geometry.block_count <= BLOCKS);
    if (!*memory) *memory = aligned_alloc(4096, users->geometry.total_bytes);
    require(*memory);
    memset(*memory, 0, users->geometry.total_bytes);
    layout_format(*memory, &users->geometry, FIELDS, (const uint8_t[16]){1}, 1);
    return *memory;
}

/* Open it as who attaches does; false when the header is refused. */
static bool open_store(struct users *users, unsigned char *memory, uint64_t length) {
    struct header header;
    struct refusal why = {.text = ""};
    if (layout_open(memory, length, &header, &users->geometry, &why) != HEADER_OK) {
        require(why.text[0]);
        return false;
    }
    require(users->geometry.total_bytes <= length);
    users->ring = (struct ring){&users->geometry, memory, true, {is_dead, NULL}};
    users->processes = (struct processes){.ring = &users->ring};
    users->table = (struct table){&users->geometry, memory, &users->spare};
    return true;
}

/* ---- operations ------------------------------------------------------------------------------------------------- */

/* Lies the tail so far behind a slot's lap that a whole second goes by before the partition is called damaged? */
static bool takes_long(const struct users *users, uint32_t partition) {
    uint64_t lap = ring_where(&users->geometry, load_relaxed(&ring_partition(&users->ring, partition)->tail)).lap;
    for (uint64_t slot = 0; slot < users->geometry.slots; slot++) {
        uint64_t word = load_relaxed(ring_word(&users->ring, partition, slot));
        if (lap_distance(word_lap(word), lap) > (int64_t)(MOST_BEHIND / users->geometry.slots)) return true;
    }
    return false;
}

static void append_to(struct users *users, uint32_t partition, uint32_t owner) {
    unsigned char *record = calloc(1, users->geometry.record_bytes), *discarded = malloc(users->geometry.record_bytes);
    struct appended out;
    require(record && discarded);
    users->given_up[partition] = ring_append(&users->ring, partition, owner, record, discarded, &out) != APPEND_DONE;
    free(record);
    free(discarded);
}

static void read_some(struct users *users, uint32_t partition, uint64_t *next, uint64_t room, bool stop_at_held) {
    const struct geometry *g = &users->geometry;
    struct destination to = {.room = room};
    for (uint32_t i = 0; i < g->options.field_count; i++) require((to.columns[i] = malloc(room * g->fields[i].bytes)));
    uint64_t tail = load_acquire(&ring_partition(&users->ring, partition)->tail), before = *next;
    const struct gap_sink gaps = {take_gap, (void *)(uintptr_t)g};
    ring_read(&users->ring, partition, next, tail, stop_at_held, &to, &gaps);
    require(*next >= before && to.row <= room);
    for (uint32_t i = 0; i < g->options.field_count; i++) free(to.columns[i]);
}

static void intern(struct users *users, uint64_t number) {
    if (users->geometry.key_field < 0) return;
    unsigned char key[MAX_KEY_BYTES], *text = malloc(users->geometry.key_bytes);
    size_t length = number % (users->geometry.key_bytes + 1);
    uint32_t id;
    require(text);
    memset(key, (int)('a' + number % 7), sizeof key);
    if (table_intern(&users->table, (char *)key, length, &id) == TABLE_OK) require(id < users->geometry.cell_count);
    for (id = 0; id <= table_count(&users->table); id++)
        require(table_text(&users->table, id, (char *)text) <= (int64_t)users->geometry.key_bytes);
    free(text);
}

static void ask(struct users *users, uint8_t choice) {
    const struct geometry *g = &users->geometry;
    if (g->options.partitions > PARTITIONS || g->block_count > BLOCKS) return; /* another header */
    inquire(&(struct inquirer){&users->ring, FIELDS, users->marks, table_count(&users->table)}, choice);
}

static void operate(struct users *users, struct input *input) {
    uint8_t byte = (uint8_t)take(input, 1);
    uint32_t partition = (byte >> 3 & 1) % users->geometry.options.partitions, owner = (byte >> 4) % 3 | 1 << 12;
    uint64_t ignored, voided, *next = &users->next[partition];
    struct sample_values values = {0};
    struct totals totals;
    switch (byte & 7) {
    case 0: if (!users->given_up[partition] && !takes_long(users, partition)) append_to(users, partition, owner); break;
    case 1: ask(users, (uint8_t)take(input, 1)); break;
    case 2: read_some(users, partition, next, 1 + (byte >> 4), true); break;
    case 3: ignored = 0, read_some(users, partition, &ignored, users->geometry.slots, false); break;
    case 4: intern(users, byte >> 3); break;
    case 5:
        ring_totals(&users->ring, partition, &users->decided[partition], &totals);
        if (byte >> 4 == 7) ring_raise_floor(&users->ring, partition, totals.oldest + 1);
        break;
    case 6: ring_sweep(&users->ring, owner, &voided, &ignored); break;
    default:
        history_read(&users->ring, history_next(&users->ring) - 1 - (byte >> 4), &values);
        if (byte >> 3 & 1) history_write(&users->ring, &values);
        check_store(&users->ring, &users->processes, &users->table, &(struct check_report){take_violation, NULL});
    }
}

/* ---- the target ------------------------------------------------------------------------------------------------- */

/* Change one value: how says its size, whether it lies in the header, and whether it is set or flipped. Or forge a
 * summary. */
static void change(struct users *users, unsigned char *memory, uint64_t where, uint8_t how, uint64_t value) {
    const struct geometry *g = &users->geometry;
    uint64_t first = how & 1 ? g->partitions_offset : how & 2 ? g->processes_offset : how & 4 ? g->board_offset : 0;
    uint64_t bytes = (size_t)1 << (how >> 3 & 3), end = first ? g->total_bytes : sizeof(struct header), old = 0;
    uint64_t at = first + where % ((end - first) / bytes) * bytes;
    if (first && how >> 7) {
        forge_summary(&users->ring, value);
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
    unsigned char *memory = format(&users, choice);
    uint64_t length = users.geometry.total_bytes;
    alive = (uint8_t)(choice >> 2);
    require(open_store(&users, memory, length));
    for (uint32_t i = 0; i < 3; i++) store_relaxed(&processes_place(&users.ring, i)->word, 1 << 8 | PLACE_USED);
    for (int i = 0; i < 4; i++) intern(&users, (uint64_t)i * 3);
    for (uint32_t i = 0; i < users.geometry.options.capacity * 3 / 2; i++)
        append_to(&users, i % users.geometry.options.partitions, i % 3 | 1 << 12);
    for (int times = 0; times < 3; times++) /* once, blocks are marked; again, summarised */
        for (uint32_t i = 0; i < sizeof SUMMARISING; i++) ask(&users, SUMMARISING[i]);
    for (uint64_t i = 0; i < changes; i++) {
        uint64_t where = take(&input, 2);
        uint8_t how = (uint8_t)take(&input, 1);
        change(&users, memory, where, how, take(&input, 8));
    }
    if (open_store(&users, memory, length))
        for (int i = 0; i < MOST_OPERATIONS && input.at < input.end; i++) operate(&users, &input);
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
