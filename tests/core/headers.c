/* Plans and headers: every bound, every byte, and no way outside the segment whatever the shared bytes say. */
#include "harness.h"

#include "core/store/history.h"

#include <stdio.h>

static const struct options USUAL = {
    .capacity = 10,
    .partitions = 2,
    .layout = LAYOUT_ROWS,
    .rule = RULE_KEY,
    .keys = 5,
    .processes = 3,
    .field_count = 3,
};
static const struct field_spec FIELDS[MAX_FIELDS] = {
    {"writer", KIND_UINT64, 0}, {"sequence", KIND_UINT64, 0}, {"key", KIND_KEY, 16}};

static enum plan_status plan_with(struct options options, const struct field_spec *fields) {
    struct geometry geometry;
    struct refusal why = {.text = ""};
    enum plan_status status = layout_plan(&options, fields, &geometry, &why);
    expect((status == PLAN_OK) == !why.text[0]);
    return status;
}

/* ---- plans ------------------------------------------------------------------------------------------------------- */

#define expect_bounds(option, least, most)                                                                             \
    do {                                                                                                               \
        struct options options = USUAL;                                                                                \
        options.option = (least), expect_equal(plan_with(options, FIELDS), PLAN_OK);                                   \
        options.option = (most), expect_equal(plan_with(options, FIELDS), PLAN_OK);                                    \
        options.option = (least)-1, expect(plan_with(options, FIELDS) != PLAN_OK);                                     \
        options.option = (most) + 1, expect(plan_with(options, FIELDS) != PLAN_OK);                                    \
    } while (0)

CASE(a_plan_refuses_every_option_beyond_its_bounds) {
    expect_bounds(capacity, 1, MAX_CAPACITY);
    expect_bounds(partitions, 1, MAX_PARTITIONS);
    expect_bounds(processes, 1, MAX_PROCESSES);
    expect_bounds(layout, LAYOUT_ROWS, LAYOUT_COLUMNS);
    expect_bounds(rule, RULE_KEY, RULE_EXPLICIT);
    expect_bounds(keys, 1, MAX_KEYS);
    struct options options = USUAL;
    options.capacity = UINT64_MAX;
    expect_equal(plan_with(options, FIELDS), PLAN_BAD_OPTION);
    options = USUAL;
    options.field_count = 2; /* no key left */
    expect_equal(plan_with(options, FIELDS), PLAN_BAD_OPTION);
    options.rule = RULE_TURN;
    options.keys = 0;
    expect_equal(plan_with(options, FIELDS), PLAN_OK);
}

CASE(a_plan_refuses_every_field_that_the_format_does_not_have) {
    const struct {
        struct field_spec field;
        enum plan_status status;
    } fields[] = {
        {{"a", 0, 0}, PLAN_BAD_FIELD},
        {{"a", KIND_END, 0}, PLAN_BAD_FIELD},
        {{"a", UINT32_MAX, 0}, PLAN_BAD_FIELD},
        {{"", KIND_INT8, 0}, PLAN_BAD_FIELD},
        {{"writer", KIND_INT8, 0}, PLAN_BAD_FIELD}, /* there is one already */
        {{"\xc3\xa4\xf0\x9f\x8c\x8d", KIND_INT8, 0}, PLAN_OK},
        {{"\xff", KIND_INT8, 0}, PLAN_BAD_FIELD},
        {{"a\xc3", KIND_INT8, 0}, PLAN_BAD_FIELD},        /* cut short */
        {{"\xc0\x80", KIND_INT8, 0}, PLAN_BAD_FIELD},     /* too long for what it says */
        {{"\xed\xa0\x80", KIND_INT8, 0}, PLAN_BAD_FIELD}, /* half of a pair */
        {{"\xf4\x90\x80\x80", KIND_INT8, 0}, PLAN_BAD_FIELD},
        {{"a", KIND_TEXT, 0}, PLAN_BAD_FIELD},
        {{"a", KIND_TEXT, 1}, PLAN_OK},
        {{"a", KIND_BYTES, UINT16_MAX - 100}, PLAN_OK},
        {{"a", KIND_BYTES, UINT16_MAX}, PLAN_BAD_FIELD}, /* with the others the record is too large */
        {{"a", KIND_BYTES, UINT16_MAX + 1}, PLAN_BAD_FIELD},
        {{"a", KIND_BYTES, UINT32_MAX}, PLAN_BAD_FIELD},
        {{"a", KIND_KEY, 0}, PLAN_BAD_FIELD},
        {{"a", KIND_KEY, MAX_KEY_BYTES}, PLAN_OK},
        {{"a", KIND_KEY, MAX_KEY_BYTES + 1}, PLAN_BAD_FIELD},
    };
    struct options options = USUAL;
    struct field_spec specs[MAX_FIELDS];
    options.field_count = 4;
    for_each(try, fields) {
        memcpy(specs, FIELDS, sizeof specs);
        specs[3] = try.field;
        expect_equal(plan_with(options, specs), try.status);
    }
    memset(specs[3].name, 'n', sizeof specs[3].name); /* no end */
    specs[3].kind = KIND_INT8;
    expect_equal(plan_with(options, specs), PLAN_BAD_FIELD);
    options.field_count = 0;
    expect_equal(plan_with(options, specs), PLAN_BAD_FIELD);
    options.field_count = MAX_FIELDS + 1;
    expect_equal(plan_with(options, specs), PLAN_BAD_FIELD);
}

/* Random options and fields that are mostly within their bounds, often at one. */
static uint64_t often_a_bound(uint64_t least, uint64_t most) {
    uint64_t range = most - least + 1, small = range < 100 ? range : 100;
    switch (random_number(4)) {
    case 0: return least + random_number(2);
    case 1: return most - random_number(2);
    case 2: return least + random_number(small);
    default: return least + random_number(range);
    }
}

static struct options random_options(struct field_spec fields[MAX_FIELDS]) {
    struct options options = {
        .capacity = often_a_bound(1, MAX_CAPACITY),
        .partitions = (uint32_t)often_a_bound(1, MAX_PARTITIONS),
        .layout = (uint32_t)often_a_bound(LAYOUT_ROWS, LAYOUT_COLUMNS),
        .rule = RULE_TURN,
        .keys = (uint32_t)often_a_bound(1, MAX_KEYS),
        .processes = (uint32_t)often_a_bound(1, MAX_PROCESSES),
        .field_count = (uint16_t)often_a_bound(1, MAX_FIELDS),
    };
    for (uint32_t i = 0; i < options.field_count && i < MAX_FIELDS; i++) {
        fields[i] = (struct field_spec){.kind = (uint32_t)often_a_bound(KIND_INT8, KIND_END - 1)};
        fields[i].size = (uint32_t)often_a_bound(1, random_number(3) ? 30 : UINT16_MAX);
        snprintf(fields[i].name, sizeof fields[i].name, "f%u", i);
    }
    return options;
}

struct range {
    uint64_t first, end;
};

static int by_first(const void *a, const void *b) {
    const struct range *left = a, *right = b;
    return left->first < right->first ? -1 : left->first > right->first;
}

/* The words and fields of one partition: aligned, apart, inside. In rows they are woven: look at one slot. */
static void expect_disjoint(const struct geometry *g) {
    struct range ranges[MAX_FIELDS + 1] = {{g->word_base, 0}};
    const bool woven = g->options.layout == LAYOUT_ROWS;
    ranges[0].end = woven ? g->word_base + 8 : g->word_base + g->slots * g->word_stride;
    for (uint32_t i = 0; i < g->options.field_count; i++) {
        const struct field *field = &g->fields[i];
        expect(field->base % field->unit == 0 && field->stride % field->unit == 0);
        expect(field->bytes == field->unit * field->units);
        expect(field->base + (g->slots - 1) * field->stride + field->bytes <= g->partition_bytes);
        expect(field->offset + field->bytes <= g->record_bytes);
        uint64_t bytes = woven ? field->bytes : g->slots * field->stride;
        ranges[i + 1] = (struct range){field->base, field->base + bytes};
    }
    qsort(ranges, g->options.field_count + 1, sizeof *ranges, by_first);
    for (uint32_t i = 0; i < g->options.field_count; i++) expect(ranges[i].end <= ranges[i + 1].first);
    if (woven) expect(ranges[g->options.field_count].end <= g->word_stride);
}

CASE(every_plan_keeps_everything_aligned_apart_and_inside) {
    uint64_t accepted = 0;
    for (uint64_t i = 0; i < 300 * effort; i++) {
        struct field_spec fields[MAX_FIELDS] = {{{0}, 0, 0}};
        struct options o = random_options(fields);
        struct geometry g;
        struct refusal why;
        if (layout_plan(&o, fields, &g, &why) != PLAN_OK) continue;
        accepted++;
        expect(g.slots * o.partitions >= o.capacity && (g.slots - 1) * o.partitions < o.capacity);
        expect_disjoint(&g);
        const struct range parts[] = {
            {0, sizeof(struct header)},
            {g.board_offset, g.board_offset + sizeof(struct board)},
            {g.history_offset, g.history_offset + HISTORY_SAMPLES * sizeof(struct sample)},
            {g.processes_offset, g.processes_offset + o.processes * sizeof(struct place)},
            {g.buckets_offset, g.buckets_offset + 8 * g.bucket_count},
            {g.cells_offset, g.cells_offset + g.cell_count * g.cell_bytes},
            {g.partitions_offset, g.partitions_offset + o.partitions * sizeof(struct partition)},
            {g.summaries_offset,
             g.summaries_offset + o.partitions * g.block_count * g.summary_count * sizeof(struct summary)},
            {g.slots_offset, g.slots_offset + o.partitions * g.partition_bytes},
            {g.total_bytes, UINT64_MAX},
        };
        for (size_t k = 0; k + 1 < sizeof parts / sizeof *parts; k++) expect(parts[k].end <= parts[k + 1].first);
        expect(g.board_offset % 64 == 0 && g.history_offset % 64 == 0 && g.processes_offset % 64 == 0);
        expect(g.buckets_offset % 8 == 0 && g.cells_offset % 8 == 0);
        expect(g.partitions_offset % 128 == 0 && g.summaries_offset % 128 == 0 && g.slots_offset % 64 == 0 &&
               g.total_bytes % 4096 == 0);
        if (g.key_field >= 0) expect(g.bucket_count >= 2 * g.cell_count && !(g.bucket_count & (g.bucket_count - 1)));
    }
    expect(accepted > 50 * effort);
}

CASE(a_ticket_lies_where_division_says) {
    for (int i = 0; i < 20000; i++) {
        struct options options = USUAL;
        struct geometry geometry;
        struct refusal why;
        options.partitions = 1;
        options.capacity = 1 + random_number(i % 2 ? 10 : MAX_CAPACITY);
        expect_equal(layout_plan(&options, FIELDS, &geometry, &why), PLAN_OK);
        uint64_t ticket = random_number(UINT64_MAX) >> random_number(64);
        struct where where = ring_where(&geometry, ticket);
        expect_equal(where.slot, ticket % options.capacity);
        expect_equal(where.lap, (ticket / options.capacity + 1) & LAP_MASK);
    }
}

/* ---- headers ----------------------------------------------------------------------------------------------------- */

struct segment {
    unsigned char *memory; /* of just the segment's length, so that a sanitizer sees a step outside */
    uint64_t length;
    struct header header;
    struct geometry geometry;
};

static struct segment make_segment(struct options options) {
    struct segment s;
    struct refusal why;
    if (layout_plan(&options, FIELDS, &s.geometry, &why) != PLAN_OK) fail("refused: %s", why.text);
    s.length = s.geometry.total_bytes;
    s.memory = aligned_alloc(4096, s.length);
    if (!s.memory) fail("no memory");
    memset(s.memory, 0, s.length);
    layout_format(s.memory, &s.geometry, FIELDS, (const uint8_t[16]){1, 2, 3}, 77);
    memcpy(&s.header, s.memory, sizeof s.header);
    return s;
}

/* Open the segment as if this were its header. */
static enum header_status open_with(const struct segment *s, const struct header *header, struct geometry *geometry) {
    struct header copy;
    struct refusal why = {.text = ""};
    memcpy(s->memory, header, sizeof *header);
    enum header_status status = layout_open(s->memory, s->length, &copy, geometry, &why);
    expect((status == HEADER_OK) == !why.text[0]);
    if (status == HEADER_OK) expect(geometry->total_bytes <= s->length && !memcmp(&copy, header, sizeof copy));
    return status;
}

static void seal(struct header *header) { header->checksum = fnv1a(header, offsetof(struct header, checksum)); }

/* Every operation on whatever lies in the segment's memory; whatever comes of it, it must end inside. */
static bool nobody_is_dead(void *context, uint32_t owner) {
    (void)context, (void)owner;
    return false;
}
static bool everybody_is_dead(void *context, uint32_t owner) {
    (void)context, (void)owner;
    return true;
}
static void ignore_violation(void *context, const char *text) { (void)context, (void)text; }

static void use(unsigned char *memory, const struct geometry *g) {
    static unsigned char record[MAX_RECORD_BYTES], discarded[MAX_RECORD_BYTES], text[MAX_KEY_BYTES];
    struct ring ring = {g, memory, true, {random_number(2) ? nobody_is_dead : everybody_is_dead, NULL}};
    struct processes processes = {.ring = &ring};
    atomic_u32 spare_cell = 0;
    struct table table = {g, memory, &spare_cell};
    for (uint32_t p = 0; p < g->options.partitions; p++) {
        struct appended out;
        struct totals totals;
        atomic_u64 decided = 0;
        for (uint64_t i = 0; i < 5; i++)
            if (ring_append(&ring, p, 0, record, discarded, &out) == APPEND_DAMAGED) break;
        struct destination to = make_destination(g, g->slots + 5);
        for (int whole = 0; whole < 2; whole++) {
            uint64_t tail = load_acquire(&ring_partition(&ring, p)->tail);
            uint64_t next = whole ? 0 : ring_oldest(&ring, p, tail);
            to.row = 0;
            ring_read(&ring, p, &next, tail, whole, &to, &no_gaps);
        }
        ring_totals(&ring, p, &decided, &totals);
        free_destination(g, &to);
    }
    uint64_t voided, released;
    ring_sweep(&ring, 0, &voided, &released);
    if (g->key_field >= 0) {
        uint32_t id, length = (uint32_t)random_number(g->key_bytes + 1);
        if (table_intern(&table, (char *)record, length, &id) == TABLE_OK) table_text(&table, id, (char *)text);
        for (id = 0; id < table_count(&table); id++) table_text(&table, id, (char *)text);
    }
    struct sample_values values;
    for (uint64_t number = 0; number < 5; number++) history_read(&ring, number, &values);
    history_read(&ring, history_next(&ring) - 1, &values);
    history_write(&ring, &values);
    check_store(&ring, &processes, &table, &(struct check_report){ignore_violation, NULL});
}

CASE(a_header_is_read_back_as_written) {
    struct segment s = make_segment(USUAL);
    struct geometry found;
    expect_equal(open_with(&s, &s.header, &found), HEADER_OK);
    expect(!memcmp(&found, &s.geometry, sizeof found));
    expect(s.header.created_ns == 77 && s.header.store_id[2] == 3 && !strcmp(s.header.fields[2].name, "key"));
    use(s.memory, &s.geometry);
}

CASE(what_makes_a_header_foreign_or_of_another_version_is_told) {
    struct segment s = make_segment(USUAL);
    struct geometry found;
    struct header header = s.header;
    header.magic[7]++;
    expect_equal(open_with(&s, &header, &found), HEADER_FOREIGN);
    header = s.header;
    header.byte_order = UINT32_C(0x04030201);
    expect_equal(open_with(&s, &header, &found), HEADER_OTHER_ABI);
    header = s.header;
    header.abi_major++;
    expect_equal(open_with(&s, &header, &found), HEADER_OTHER_ABI);
    header = s.header;
    header.incompatible = FEATURE_STREAMS << 1;
    expect_equal(open_with(&s, &header, &found), HEADER_OTHER_ABI);
    header = s.header;
    header.abi_minor++, header.compatible = UINT64_MAX, seal(&header);
    expect_equal(open_with(&s, &header, &found), HEADER_OK); /* a larger minor only adds */
}

CASE(a_header_with_any_byte_changed_is_refused) {
    struct segment s = make_segment(USUAL);
    struct geometry found;
    for (size_t at = 0; at < sizeof s.header; at++) {
        struct header header = s.header;
        ((unsigned char *)&header)[at] ^= (unsigned char)(1 + random_number(255));
        expect(open_with(&s, &header, &found) != HEADER_OK);
    }
}

CASE(a_changed_header_with_a_right_checksum_is_refused_or_harmless) {
    struct segment s = make_segment(USUAL);
    uint64_t accepted = 0, different = 0;
    for (uint64_t i = 0; i < 200 * effort; i++) {
        struct header header = s.header;
        struct geometry found;
        for (uint64_t changes = 1 + random_number(3); changes; changes--) { /* mostly of what is in use */
            size_t end = random_number(4) ? offsetof(struct header, fields[3]) : offsetof(struct header, checksum);
            size_t at = 12 + random_number(end - 12);
            ((unsigned char *)&header)[at] = (unsigned char)(random_number(2) ? random_number(256) : random_number(4));
        }
        seal(&header);
        if (open_with(&s, &header, &found) != HEADER_OK) continue;
        accepted++;
        if (!memcmp(&found, &s.geometry, sizeof found)) continue;
        different++;
        memset(s.memory + sizeof header, 0, s.length - sizeof header);
        use(s.memory, &found);
    }
    expect(accepted > effort && different > 0);
}

CASE(the_header_of_a_larger_segment_is_refused) {
    struct segment s = make_segment(USUAL);
    for (uint64_t i = 0; i < 10 * effort; i++) {
        struct field_spec fields[MAX_FIELDS] = {{{0}, 0, 0}};
        struct options options = random_options(fields);
        struct geometry planned, found;
        struct refusal why;
        struct header header;
        if (layout_plan(&options, fields, &planned, &why) != PLAN_OK) continue;
        layout_format(&header, &planned, fields, (const uint8_t[16]){0}, 0);
        expect_equal(open_with(&s, &header, &found), planned.total_bytes <= s.length ? HEADER_OK : HEADER_DAMAGED);
    }
}

CASE(a_truncated_segment_is_refused_at_every_length) {
    struct segment s = make_segment(USUAL);
    for (uint64_t length = 0; length < s.length; length += length < sizeof s.header + 8 ? 1 : 1 + random_number(9999)) {
        unsigned char *memory = malloc(length ? length : 1);
        struct header header;
        struct geometry found;
        struct refusal why;
        memcpy(memory, s.memory, length);
        expect_equal(layout_open(memory, length, &header, &found, &why), length < 8 ? HEADER_FOREIGN : HEADER_DAMAGED);
        free(memory);
    }
}

/* ---- bodies ------------------------------------------------------------------------------------------------------ */

CASE(whatever_lies_behind_the_header_every_operation_ends_inside_the_segment) {
    for_each(layout, BOTH_LAYOUTS) for (uint64_t i = 0; i < effort; i++) {
        struct options options = USUAL;
        options.layout = layout;
        options.capacity = 60;
        struct segment s = make_segment(options);
        uint64_t *words = (uint64_t *)(void *)(s.memory + s.geometry.board_offset);
        uint64_t *end = (uint64_t *)(void *)(s.memory + s.length);
        if (i % 2) {
            for (uint64_t *word = words; word < end; word++) *word = random_number(UINT64_MAX) >> random_number(64);
        } else { /* a store in use, and some of its words changed */
            use(s.memory, &s.geometry);
            uint64_t *slots = (uint64_t *)(void *)(s.memory + s.geometry.partitions_offset);
            for (int changes = 0; changes < 20; changes++)
                slots[random_number((uint64_t)(end - slots))] ^= UINT64_C(1) << random_number(64);
        }
        struct partition *partitions = (struct partition *)(void *)(s.memory + s.geometry.partitions_offset);
        for (int p = 0; p < 2; p++) partitions[p].tail &= 0xffffffffff; /* else an append may try for long */
        use(s.memory, &s.geometry);
        use(s.memory, &s.geometry);
        free(s.memory);
    }
}
