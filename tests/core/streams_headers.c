/* Plans and headers of streams segments: every bound, every byte, and nothing of one kind taken for another. */
#include "harness.h"

enum { MOST_TICKETS = MAX_LOG_SLOTS - MAX_PROCESSES - ROOM_SLOTS /* of a log */ };

static const struct options USUAL = {
    .capacity = 20, .data_bytes = 100, .logs = 2, .streams = 5, .processes = 3, .kind = SEGMENT_STREAMS};

static enum plan_status plan_with(struct options options) {
    struct geometry geometry;
    struct refusal why = {.text = ""};
    const enum plan_status status = layout_plan(&options, NULL, &geometry, &why);
    expect((status == PLAN_OK) == !why.text[0]);
    return status;
}

/* Within its bounds an option is taken, beyond them it is refused: all of these are small. */
#define expect_only(option, least, most)                                                                               \
    do {                                                                                                               \
        const uint32_t tried[] = {least, most, (most) + 1, (uint32_t)(least)-1};                                       \
        for (int i = 0; i < 4; i++) {                                                                                  \
            struct options options = USUAL;                                                                            \
            options.option = (__typeof__(options.option))tried[i];                                                     \
            expect_equal(plan_with(options), i < 2 ? PLAN_OK : PLAN_BAD_OPTION);                                       \
        }                                                                                                              \
    } while (0)

CASE(a_plan_of_streams_refuses_every_option_beyond_its_bounds) {
    expect_only(capacity, 1, 2 * MOST_TICKETS);
    expect_only(data_bytes, 1, MAX_DATA_BYTES);
    expect_only(logs, 1, MAX_PARTITIONS);
    expect_only(streams, 1, MAX_STREAMS);
    expect_only(processes, 1, MAX_PROCESSES);
    expect_only(partitions, 0, 0);
    expect_only(field_count, 0, 0);
}

struct range {
    uint64_t first, end;
};

static void expect_apart(const struct geometry *g) {
    const struct range parts[] = {
        {0, sizeof(struct header)},
        {g->board_offset, g->board_offset + sizeof(struct board)},
        {g->history_offset, g->history_offset + HISTORY_SAMPLES * sizeof(struct sample)},
        {g->processes_offset, g->processes_offset + g->options.processes * sizeof(struct place)},
        {g->name_buckets_offset, g->name_buckets_offset + g->bucket_count * 8},
        {g->name_cells_offset, g->name_cells_offset + g->cell_count * g->cell_bytes},
        {g->logs_offset, g->logs_offset + g->options.logs * sizeof(struct log)},
        {g->streams_offset, g->streams_offset + g->cell_count * sizeof(struct stream)},
        {g->log_slots_offset, g->log_slots_offset + g->options.logs * g->partition_bytes},
        {g->total_bytes, UINT64_MAX},
    };
    const struct range of_a_log[] = {
        {0, g->slots * 8},
        {g->ids_base, g->ids_base + g->id_buckets * UINT64_C(8)},
        {g->events_base, g->events_base + g->log_slots * g->event_bytes},
        {g->partition_bytes, UINT64_MAX},
    };
    for (size_t k = 0; k + 1 < sizeof parts / sizeof *parts; k++) expect(parts[k].end <= parts[k + 1].first);
    for (size_t k = 0; k + 1 < sizeof of_a_log / sizeof *of_a_log; k++)
        expect(of_a_log[k].end <= of_a_log[k + 1].first);
    expect(g->board_offset % 64 == 0 && g->history_offset % 64 == 0 && g->processes_offset % 64 == 0);
    expect(g->logs_offset % 128 == 0 && g->streams_offset % 128 == 0 && g->log_slots_offset % 64 == 0);
    expect(g->events_base % 64 == 0 && g->event_bytes % 64 == 0 && g->total_bytes % 4096 == 0);
    expect(!(g->id_buckets & (g->id_buckets - 1)) && g->id_buckets >= g->slots);
    expect(g->slots * g->options.logs >= g->options.capacity);
    expect(g->log_slots >= g->slots + g->options.processes + ROOM_SLOTS && g->log_slots <= MAX_LOG_SLOTS);
    expect(g->cell_count >= g->options.streams + g->options.processes);
    expect(g->event_bytes >=
           sizeof(struct event_slot) + MAX_EVENT_TYPE_BYTES + MAX_EVENT_ID_BYTES + g->options.data_bytes);
}

CASE(every_plan_of_streams_keeps_everything_aligned_apart_and_inside) {
    for (uint64_t i = 0; i < 300 * effort; i++) {
        struct options options = USUAL;
        struct geometry geometry;
        struct refusal why;
        options.logs = (uint32_t)(i ? 1 + random_number(i % 2 ? 4 : MAX_PARTITIONS) : MAX_PARTITIONS);
        options.capacity = i ? 1 + random_number(i % 2 ? 100 : options.logs * (uint64_t)MOST_TICKETS)
                             : options.logs * (uint64_t)MOST_TICKETS;
        options.data_bytes = (uint32_t)(i ? 1 + random_number(i % 2 ? 100 : MAX_DATA_BYTES) : MAX_DATA_BYTES);
        options.streams = (uint32_t)(i ? 1 + random_number(i % 2 ? 100 : MAX_STREAMS) : MAX_STREAMS);
        options.processes = (uint32_t)(i ? 1 + random_number(MAX_PROCESSES) : MAX_PROCESSES);
        expect_equal(layout_plan(&options, NULL, &geometry, &why), PLAN_OK);
        expect_apart(&geometry);
    }
}

/* ---- headers ----------------------------------------------------------------------------------------------------- */

struct segment {
    unsigned char *memory;
    struct header header;
    struct geometry geometry;
};

static struct segment make_segment(void) {
    struct segment s;
    struct refusal why;
    expect_equal(layout_plan(&USUAL, NULL, &s.geometry, &why), PLAN_OK);
    s.memory = aligned_alloc(4096, s.geometry.total_bytes);
    if (!s.memory) fail("no memory");
    memset(s.memory, 0, s.geometry.total_bytes);
    layout_format(s.memory, &s.geometry, NULL, (const uint8_t[16]){1, 2, 3}, 77);
    memcpy(&s.header, s.memory, sizeof s.header);
    return s;
}

/* Open the segment as if this were its header. */
static enum header_status open_with(const struct segment *s, const struct header *header, struct geometry *geometry) {
    struct header copy;
    struct refusal why = {.text = ""};
    memcpy(s->memory, header, sizeof *header);
    const enum header_status status = layout_open(s->memory, s->geometry.total_bytes, &copy, geometry, &why);
    expect((status == HEADER_OK) == !why.text[0]);
    if (status == HEADER_OK) expect(geometry->total_bytes <= s->geometry.total_bytes);
    return status;
}

static void seal(struct header *header) { header->checksum = fnv1a(header, offsetof(struct header, checksum)); }

CASE(a_header_of_streams_is_read_back_as_written) {
    struct segment s = make_segment();
    struct geometry found;
    expect_equal(open_with(&s, &s.header, &found), HEADER_OK);
    expect(!memcmp(&found, &s.geometry, sizeof found));
    expect(s.header.created_ns == 77 && s.header.store_id[2] == 3);
    free(s.memory);
}

CASE(a_package_that_knows_no_streams_is_told_by_a_required_feature) {
    struct segment s = make_segment();
    expect_equal(s.header.incompatible, FEATURE_STREAMS);
    free(s.memory);
}

CASE(streams_and_their_required_feature_come_together) {
    struct segment s = make_segment();
    struct geometry found;
    struct header header = s.header;
    header.incompatible = 0, seal(&header);
    expect_equal(open_with(&s, &header, &found), HEADER_DAMAGED);
    header = s.header;
    header.options = (struct options){
        .capacity = 1, .partitions = 1, .layout = LAYOUT_ROWS, .rule = RULE_TURN, .processes = 1, .field_count = 1};
    header.fields[0] = (struct field_spec){"value", KIND_FLOAT64, 0};
    seal(&header);
    expect_equal(open_with(&s, &header, &found), HEADER_DAMAGED);
    header = s.header;
    header.incompatible |= FEATURE_METRICS, seal(&header);
    expect_equal(open_with(&s, &header, &found), HEADER_DAMAGED);
    header = s.header;
    header.options = (struct options){.capacity = 1, .exemplars = 0, .processes = 1, .kind = SEGMENT_METRICS};
    seal(&header);
    expect_equal(open_with(&s, &header, &found), HEADER_DAMAGED);
    header = s.header;
    header.options.kind = SEGMENT_KIND_END, seal(&header);
    expect_equal(open_with(&s, &header, &found), HEADER_DAMAGED);
    free(s.memory);
}

CASE(a_header_of_streams_with_any_byte_changed_is_refused) {
    struct segment s = make_segment();
    struct geometry found;
    for (size_t at = 0; at < sizeof s.header; at++) {
        struct header header = s.header;
        ((unsigned char *)&header)[at] ^= (unsigned char)(1 + random_number(255));
        expect(open_with(&s, &header, &found) != HEADER_OK);
    }
    free(s.memory);
}

CASE(a_changed_header_of_streams_with_a_right_checksum_is_refused_or_leads_nowhere_else) {
    struct segment s = make_segment();
    uint64_t accepted = 0;
    for (uint64_t i = 0; i < 200 * effort; i++) {
        struct header header = s.header;
        struct geometry found;
        for (uint64_t changes = 1 + random_number(3); changes; changes--) {
            const size_t at = 12 + random_number(offsetof(struct header, fields) - 12);
            ((unsigned char *)&header)[at] = (unsigned char)(random_number(2) ? random_number(256) : random_number(4));
        }
        seal(&header);
        if (open_with(&s, &header, &found) != HEADER_OK) continue;
        accepted++;
        expect_apart(&found);
    }
    expect(accepted > effort);
    free(s.memory);
}
