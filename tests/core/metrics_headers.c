/* Plans and headers of metrics segments: every bound, every byte, and nothing of one kind taken for another. */
#include "harness.h"

static const struct options USUAL = {.capacity = 20, .exemplars = 5, .processes = 3, .kind = SEGMENT_METRICS};

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

CASE(a_plan_of_metrics_refuses_every_option_beyond_its_bounds) {
    expect_only(capacity, 1, MAX_SERIES);
    expect_only(exemplars, 0, MAX_EXEMPLARS);
    expect_only(processes, 1, MAX_PROCESSES);
    expect_only(partitions, 0, 0);
    expect_only(layout, 0, 0);
    expect_only(rule, 0, 0);
    expect_only(field_count, 0, 0);
    struct options options = USUAL;
    options.kind = SEGMENT_KIND_END;
    expect_equal(plan_with(options), PLAN_BAD_OPTION);
    options.kind = UINT16_MAX;
    expect_equal(plan_with(options), PLAN_BAD_OPTION);
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
        {g->changes_offset, g->changes_offset + sizeof(struct changes)},
        {g->chains_offset, g->chains_offset + 8ull * g->chain_count},
        {g->nodes_offset, g->nodes_offset + (uint64_t)g->node_count * sizeof(struct node)},
        {g->exemplars_offset, g->exemplars_offset + (uint64_t)g->options.exemplars * sizeof(struct exemplar)},
        {g->total_bytes, UINT64_MAX},
    };
    for (size_t k = 0; k + 1 < sizeof parts / sizeof *parts; k++) expect(parts[k].end <= parts[k + 1].first);
    expect(g->board_offset % 64 == 0 && g->history_offset % 64 == 0 && g->processes_offset % 64 == 0);
    expect(g->changes_offset % 64 == 0 && g->chains_offset % 8 == 0 && g->nodes_offset % 256 == 0);
    expect(g->exemplars_offset % 64 == 0 && g->total_bytes % 4096 == 0);
    expect(!(g->chain_count & (g->chain_count - 1)) && g->chain_count >= g->options.capacity);
    expect(g->node_count > 2 * g->options.capacity && g->node_count <= MAX_NODES);
}

CASE(every_plan_of_metrics_keeps_everything_aligned_apart_and_inside) {
    for (uint64_t i = 0; i < 300 * effort; i++) {
        struct options options = USUAL;
        struct geometry geometry;
        struct refusal why;
        options.capacity = i ? 1 + random_number(i % 2 ? 100 : MAX_SERIES) : MAX_SERIES;
        options.exemplars = (uint32_t)(i ? random_number(i % 2 ? 100 : MAX_EXEMPLARS + 1) : MAX_EXEMPLARS);
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

CASE(a_header_of_metrics_is_read_back_as_written) {
    struct segment s = make_segment();
    struct geometry found;
    expect_equal(open_with(&s, &s.header, &found), HEADER_OK);
    expect(!memcmp(&found, &s.geometry, sizeof found));
    expect(s.header.created_ns == 77 && s.header.store_id[2] == 3);
    free(s.memory);
}

CASE(a_package_that_knows_no_metrics_is_told_by_a_required_feature) {
    struct segment s = make_segment();
    expect_equal(s.header.incompatible, FEATURE_METRICS);
    free(s.memory);
}

CASE(a_kind_and_its_required_feature_come_together) {
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
    header.options.kind = SEGMENT_KIND_END, seal(&header);
    expect_equal(open_with(&s, &header, &found), HEADER_DAMAGED);
    free(s.memory);
}

CASE(a_header_of_metrics_with_any_byte_changed_is_refused) {
    struct segment s = make_segment();
    struct geometry found;
    for (size_t at = 0; at < sizeof s.header; at++) {
        struct header header = s.header;
        ((unsigned char *)&header)[at] ^= (unsigned char)(1 + random_number(255));
        expect(open_with(&s, &header, &found) != HEADER_OK);
    }
    free(s.memory);
}

CASE(a_changed_header_of_metrics_with_a_right_checksum_is_refused_or_leads_nowhere_else) {
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
