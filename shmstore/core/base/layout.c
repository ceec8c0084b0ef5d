/* Planning, formatting and validating a segment. Nothing here trusts a shared byte twice. */
#include "core/base/layout.h"
#include "core/base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static uint64_t round_up(uint64_t value, uint64_t to) { return (value + to - 1) / to * to; }

uint64_t fnv1a(const void *bytes, size_t count) {
    const unsigned char *byte = bytes;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < count; i++) hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3);
    return hash;
}

__attribute__((format(printf, 3, 4))) static void refuse(struct refusal *why, int field, const char *format, ...) {
    va_list arguments;
    why->field = field;
    va_start(arguments, format);
    vsnprintf(why->text, sizeof why->text, format, arguments);
    va_end(arguments);
}

const struct kind_range kind_ranges[KIND_END] = {
    [KIND_INT8] = {INT8_MIN, INT8_MAX},
    [KIND_INT16] = {INT16_MIN, INT16_MAX},
    [KIND_INT32] = {INT32_MIN, INT32_MAX},
    [KIND_INT64] = {INT64_MIN, INT64_MAX},
    [KIND_UINT8] = {0, UINT8_MAX},
    [KIND_UINT16] = {0, UINT16_MAX},
    [KIND_UINT32] = {0, UINT32_MAX},
    [KIND_UINT64] = {0, UINT64_MAX},
    [KIND_BOOL] = {0, 1},
    [KIND_TIMESTAMP] = {INT64_MIN, INT64_MAX},
    [KIND_KEY] = {0, UINT32_MAX},
};

/* The stored size and copying unit of a field; false when kind or size is not allowed. */
static bool field_storage(const struct field_spec *spec, struct field *field) {
    field->kind = spec->kind;
    field->size = spec->size;
    field->units = 1;
    switch (spec->kind) {
    case KIND_INT8:
    case KIND_UINT8:
    case KIND_BOOL: field->unit = 1; break;
    case KIND_INT16:
    case KIND_UINT16: field->unit = 2; break;
    case KIND_INT32:
    case KIND_UINT32:
    case KIND_FLOAT32: field->unit = 4; break;
    case KIND_INT64:
    case KIND_UINT64:
    case KIND_FLOAT64:
    case KIND_TIMESTAMP: field->unit = 8; break;
    case KIND_KEY:
        field->unit = 4;
        if (spec->size < 1 || spec->size > MAX_KEY_BYTES) return false;
        break;
    case KIND_TEXT:
    case KIND_BYTES:
        field->unit = 8;
        if (spec->size < 1 || spec->size > MAX_TEXT_BYTES) return false;
        field->units = (uint32_t)(round_up(spec->size + 2, 8) / 8);
        break;
    default: return false;
    }
    field->bytes = field->unit * field->units;
    return true;
}

static enum plan_status plan_fields(const struct field_spec *specs, struct geometry *g, struct refusal *why) {
    uint64_t offset = 0;
    uint32_t count = g->options.field_count;
    g->key_field = g->time_field = NO_FIELD;
    g->key_bytes = 0;
    if (count < 1 || count > MAX_FIELDS) {
        refuse(why, NO_FIELD, "a record has 1 to %d fields, not %u", MAX_FIELDS, count);
        return PLAN_BAD_FIELD;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct field_spec *spec = &specs[i];
        struct field *field = &g->fields[i];
        if (!spec->name[0] || !memchr(spec->name, 0, sizeof spec->name) ||
            !is_utf8((const unsigned char *)spec->name, strlen(spec->name))) {
            refuse(why, (int)i, "field %u: a name has 1 to %d bytes of UTF-8", i, MAX_FIELD_NAME_BYTES);
            return PLAN_BAD_FIELD;
        }
        for (uint32_t k = 0; k < i; k++)
            if (!strcmp(specs[k].name, spec->name)) {
                refuse(why, (int)i, "field '%s' is declared twice", spec->name);
                return PLAN_BAD_FIELD;
            }
        if (!field_storage(spec, field)) {
            refuse(why, (int)i, "field '%s': kind %u of size %u is not one of this format", spec->name, spec->kind,
                   spec->size);
            return PLAN_BAD_FIELD;
        }
        field->summary = spec->kind == KIND_TEXT || spec->kind == KIND_BYTES ? NO_SUMMARY : (int)g->summary_count++;
        offset = round_up(offset, field->unit);
        field->offset = (uint32_t)offset;
        offset += field->bytes;
        if (offset > MAX_RECORD_BYTES) {
            refuse(why, (int)i, "field '%s' makes the record larger than %d bytes", spec->name, MAX_RECORD_BYTES);
            return PLAN_BAD_FIELD;
        }
        if (spec->kind == KIND_KEY) {
            if (g->key_field == NO_FIELD) g->key_field = (int)i;
            if (spec->size > g->key_bytes) g->key_bytes = spec->size;
        }
        if (spec->kind == KIND_TIMESTAMP && g->time_field == NO_FIELD) g->time_field = (int)i;
    }
    g->record_bytes = round_up(offset, 8);
    return PLAN_OK;
}

static bool bounded(struct refusal *why, const char *name, uint64_t found, uint64_t least, uint64_t most) {
    if (found >= least && found <= most) return true;
    refuse(why, NO_FIELD, "%s is %llu; it must be between %llu and %llu", name, (unsigned long long)found,
           (unsigned long long)least, (unsigned long long)most);
    return false;
}

static enum plan_status plan_options(struct geometry *g, struct refusal *why) {
    const struct options *o = &g->options;
    if (!bounded(why, "capacity", o->capacity, 1, MAX_CAPACITY) ||
        !bounded(why, "partitions", o->partitions, 1, MAX_PARTITIONS) ||
        !bounded(why, "processes", o->processes, 1, MAX_PROCESSES) ||
        !bounded(why, "layout", o->layout, LAYOUT_ROWS, LAYOUT_COLUMNS) ||
        !bounded(why, "partition rule", o->rule, RULE_KEY, RULE_END - 1) ||
        !bounded(why, "keys", o->keys, g->key_field == NO_FIELD ? 0 : 1, MAX_KEYS))
        return PLAN_BAD_OPTION;
    if (o->rule == RULE_KEY && g->key_field == NO_FIELD) {
        refuse(why, NO_FIELD, "partitioning by key needs a field of kind Key, and this schema has none");
        return PLAN_BAD_OPTION;
    }
    return PLAN_OK;
}

/* A question about a window reads a summary a block, and the records of two blocks a partition: sizes that grow with the
 * root of the slots keep both small. */
static void plan_blocks(struct geometry *g) {
    g->block_slots = LEAST_BLOCK_SLOTS;
    while (g->block_slots * g->block_slots < 4 * g->slots) g->block_slots *= 2;
    g->block_count = (g->slots + g->block_slots - 1) / g->block_slots;
}

static void place_slots(struct geometry *g) {
    if (g->options.layout == LAYOUT_ROWS) {
        g->word_base = 0;
        g->word_stride = 8 + g->record_bytes;
        for (uint32_t i = 0; i < g->options.field_count; i++) {
            g->fields[i].base = 8 + g->fields[i].offset;
            g->fields[i].stride = g->word_stride;
        }
        g->partition_bytes = round_up(g->slots * g->word_stride, CACHE_LINE);
    } else {
        uint64_t offset = round_up(g->slots * 8, CACHE_LINE);
        g->word_base = 0;
        g->word_stride = 8;
        for (uint32_t i = 0; i < g->options.field_count; i++) {
            g->fields[i].base = offset;
            g->fields[i].stride = g->fields[i].bytes;
            offset = round_up(offset + g->slots * g->fields[i].bytes, CACHE_LINE);
        }
        g->partition_bytes = offset;
    }
}

/* A series takes one node, or two where it has buckets or long labels; what is declared takes some more. */
static enum plan_status plan_metrics(struct geometry *g, struct refusal *why) {
    const struct options *o = &g->options;
    if (!bounded(why, "series", o->capacity, 1, MAX_SERIES) ||
        !bounded(why, "exemplars", o->exemplars, 0, MAX_EXEMPLARS) ||
        !bounded(why, "processes", o->processes, 1, MAX_PROCESSES) || !bounded(why, "fields", o->field_count, 0, 0) ||
        !bounded(why, "partitions", o->partitions, 0, 0) || !bounded(why, "layout", o->layout, 0, 0) ||
        !bounded(why, "partition rule", o->rule, 0, 0))
        return PLAN_BAD_OPTION;
    g->key_field = g->time_field = -1;
    g->node_count = (uint32_t)(2 * o->capacity + DECLARATION_NODES);
    g->chain_count = 8;
    while (g->chain_count < o->capacity) g->chain_count *= 2;
    g->changes_offset = g->processes_offset + o->processes * sizeof(struct place);
    g->chains_offset = g->changes_offset + sizeof(struct changes);
    g->nodes_offset = round_up(g->chains_offset + g->chain_count * 8, 256);
    g->exemplars_offset = g->nodes_offset + g->node_count * sizeof(struct node);
    g->total_bytes = round_up(g->exemplars_offset + o->exemplars * sizeof(struct exemplar), 4096);
    return PLAN_OK;
}

static void plan_table(struct geometry *g, uint64_t keys) {
    /* A process that dies between reserving a cell and publishing it loses the cell: one spare for each place. */
    g->cell_count = keys + g->options.processes;
    g->bucket_count = 8;
    while (g->bucket_count < 2 * g->cell_count) g->bucket_count *= 2;
    g->cell_bytes = 8 + round_up(g->key_bytes, 8);
}

static void plan_reciprocal(struct geometry *g, uint64_t partitions) {
    g->slots = (g->options.capacity + partitions - 1) / partitions;
    g->reciprocal = g->slots == 1 ? UINT64_MAX : (uint64_t)(((unsigned __int128)1 << 64) / g->slots);
}

static bool fits_logs(struct refusal *why, const struct options *o, uint64_t each) {
    const unsigned long long capacity = o->capacity, needed = (capacity + each - 1) / each;
    if (needed <= o->logs) return true;
    refuse(why, NO_FIELD, "capacity is %llu, which takes %llu partitions and not %u: one keeps at most %llu events",
           capacity, needed, o->logs, (unsigned long long)each);
    return false;
}

static enum plan_status plan_streams(struct geometry *g, struct refusal *why) {
    const struct options *o = &g->options;
    const uint64_t each = MAX_LOG_SLOTS - MAX_PROCESSES - ROOM_SLOTS, most = each * MAX_PARTITIONS;
    if (!bounded(why, "partitions", o->logs, 1, MAX_PARTITIONS) ||
        !bounded(why, "processes", o->processes, 1, MAX_PROCESSES) || !bounded(why, "capacity", o->capacity, 1, most) ||
        !fits_logs(why, o, each) || !bounded(why, "data_bytes", o->data_bytes, 1, MAX_DATA_BYTES) ||
        !bounded(why, "streams", o->streams, 1, MAX_STREAMS) || !bounded(why, "fields", o->field_count, 0, 0) ||
        !bounded(why, "partitions that are rings", o->partitions, 0, 0))
        return PLAN_BAD_OPTION;
    g->key_field = g->time_field = NO_FIELD;
    g->key_bytes = MAX_STREAM_NAME_BYTES;
    plan_table(g, o->streams);
    plan_reciprocal(g, o->logs);
    g->log_slots = (uint32_t)g->slots + o->processes + ROOM_SLOTS;
    g->id_buckets = 8;
    while (g->id_buckets < 4 * g->slots)
        g->id_buckets *= 2; /* a chain of an event costs an id that is new a line of memory */
    const uint64_t parts = MAX_EVENT_TYPE_BYTES + MAX_EVENT_ID_BYTES + round_up(o->data_bytes + UINT64_C(7), 8);
    g->event_bytes = round_up(sizeof(struct event_slot) + parts, CACHE_LINE);
    g->ids_base = round_up(g->slots * 8, CACHE_LINE);
    g->events_base = round_up(g->ids_base + g->id_buckets * UINT64_C(8), CACHE_LINE);
    g->partition_bytes = g->events_base + g->log_slots * g->event_bytes;
    g->name_buckets_offset = g->processes_offset + o->processes * sizeof(struct place);
    g->name_cells_offset = g->name_buckets_offset + round_up(g->bucket_count * 8, 128);
    g->logs_offset = g->name_cells_offset + round_up(g->cell_count * g->cell_bytes, 128);
    g->streams_offset = g->logs_offset + o->logs * sizeof(struct log);
    g->log_slots_offset = g->streams_offset + g->cell_count * sizeof(struct stream);
    g->total_bytes = round_up(g->log_slots_offset + o->logs * g->partition_bytes, 4096);
    return PLAN_OK;
}

enum plan_status layout_plan(const struct options *options, const struct field_spec *specs, struct geometry *g,
                             struct refusal *why) {
    memset(g, 0, sizeof *g);
    g->options = *options;
    g->board_offset = round_up(sizeof(struct header), 128);
    g->history_offset = g->board_offset + round_up(sizeof(struct board), 128);
    g->processes_offset = g->history_offset + HISTORY_SAMPLES * sizeof(struct sample);
    if (!bounded(why, "the kind of the segment", options->kind, SEGMENT_EVENTS, SEGMENT_KIND_END - 1))
        return PLAN_BAD_OPTION;
    if (options->kind == SEGMENT_METRICS) return plan_metrics(g, why);
    if (options->kind == SEGMENT_STREAMS) return plan_streams(g, why);
    enum plan_status status = plan_fields(specs, g, why);
    if (status == PLAN_OK) status = plan_options(g, why);
    if (status != PLAN_OK) return status;

    plan_reciprocal(g, options->partitions);
    plan_blocks(g);
    place_slots(g);

    g->buckets_offset = g->processes_offset + options->processes * sizeof(struct place);
    if (g->key_field != NO_FIELD) plan_table(g, options->keys);
    g->cells_offset = g->buckets_offset + round_up(g->bucket_count * 8, 128);
    g->partitions_offset = g->cells_offset + round_up(g->cell_count * g->cell_bytes, 128);
    g->summaries_offset = g->partitions_offset + options->partitions * sizeof(struct partition);
    g->slots_offset = round_up(
        g->summaries_offset + options->partitions * g->block_count * g->summary_count * sizeof(struct summary), 128);
    /* capacity <= 2^40 records of <= 2^16 bytes + word + one line: all sums stay below 2^62 */
    g->total_bytes = round_up(g->slots_offset + options->partitions * g->partition_bytes, 4096);
    return PLAN_OK;
}

static const uint64_t feature_of[SEGMENT_KIND_END] = {
    [SEGMENT_METRICS] = FEATURE_METRICS, [SEGMENT_STREAMS] = FEATURE_STREAMS};

void layout_format(void *memory, const struct geometry *g, const struct field_spec *specs, const uint8_t store_id[16],
                   int64_t created_ns) {
    struct header header;
    memset(&header, 0, sizeof header);
    memcpy(header.magic, MAGIC, sizeof header.magic);
    header.byte_order = BYTE_ORDER_MARK;
    header.abi_major = ABI_MAJOR;
    header.abi_minor = ABI_MINOR;
    header.total_bytes = g->total_bytes;
    memcpy(header.store_id, store_id, sizeof header.store_id);
    header.created_ns = created_ns;
    header.options = g->options;
    header.board_offset = g->board_offset;
    header.history_offset = g->history_offset;
    header.processes_offset = g->processes_offset;
    header.buckets_offset = g->buckets_offset; /* or, these five, what the other kinds have there */
    header.cells_offset = g->cells_offset;
    header.partitions_offset = g->partitions_offset;
    header.summaries_offset = g->summaries_offset;
    header.slots_offset = g->slots_offset;
    header.incompatible = feature_of[g->options.kind];
    if (g->options.field_count) memcpy(header.fields, specs, g->options.field_count * sizeof *specs);
    header.checksum = fnv1a(&header, offsetof(struct header, checksum));
    /* All other bytes of an empty store are zero. The magic goes last: a half-written header is nobody's. */
    memcpy((char *)memory + sizeof header.magic, (char *)&header + sizeof header.magic,
           sizeof header - sizeof header.magic);
    fence_release();
    memcpy(memory, header.magic, sizeof header.magic);
}

static bool offsets_match(const struct header *h, const struct geometry *g) {
    return h->board_offset == g->board_offset && h->history_offset == g->history_offset &&
           h->processes_offset == g->processes_offset && h->buckets_offset == g->buckets_offset &&
           h->cells_offset == g->cells_offset && h->partitions_offset == g->partitions_offset &&
           h->summaries_offset == g->summaries_offset && h->slots_offset == g->slots_offset &&
           h->total_bytes == g->total_bytes;
}

enum header_status layout_open(const void *memory, uint64_t length, struct header *h, struct geometry *g,
                               struct refusal *why) {
    memset(h, 0, sizeof *h);
    if (length < sizeof h->magic || memcmp(memory, MAGIC, sizeof h->magic)) {
        refuse(why, NO_FIELD, "the first 8 bytes are not '%s'", MAGIC);
        return HEADER_FOREIGN;
    }
    if (length < sizeof *h) {
        refuse(why, NO_FIELD, "it has %llu bytes, and a header alone has %zu", (unsigned long long)length, sizeof *h);
        return HEADER_DAMAGED;
    }
    memcpy(h, memory, sizeof *h);
    if (h->byte_order != BYTE_ORDER_MARK) {
        refuse(why, NO_FIELD, "its byte order mark is %08x; this machine's is %08x", h->byte_order, BYTE_ORDER_MARK);
        return HEADER_OTHER_ABI;
    }
    const uint64_t known = FEATURE_METRICS | FEATURE_STREAMS;
    if (h->abi_major != ABI_MAJOR || h->incompatible & ~known) {
        refuse(why, NO_FIELD,
               "its format is %u.%u with required features %llx; this package reads %d.x with %llx at most",
               h->abi_major, h->abi_minor, (unsigned long long)h->incompatible, ABI_MAJOR, (unsigned long long)known);
        return HEADER_OTHER_ABI;
    }
    uint64_t checksum = fnv1a(h, offsetof(struct header, checksum));
    if (checksum != h->checksum) {
        refuse(why, NO_FIELD, "the header's checksum is %016llx; its bytes give %016llx",
               (unsigned long long)h->checksum, (unsigned long long)checksum);
        return HEADER_DAMAGED;
    }
    if (h->options.kind >= SEGMENT_KIND_END || h->incompatible != feature_of[h->options.kind]) {
        refuse(why, -1, "the header says kind %u, and required features %llx", h->options.kind,
               (unsigned long long)h->incompatible);
        return HEADER_DAMAGED;
    }
    struct refusal plan;
    if (layout_plan(&h->options, h->fields, g, &plan) != PLAN_OK) {
        refuse(why, NO_FIELD, "the header contradicts itself: %.200s", plan.text);
        return HEADER_DAMAGED;
    }
    if (!offsets_match(h, g)) {
        refuse(why, NO_FIELD, "the header's offsets are not those of its own fields and options");
        return HEADER_DAMAGED;
    }
    if (length < g->total_bytes) {
        refuse(why, NO_FIELD, "it has %llu bytes, and its header says %llu", (unsigned long long)length,
               (unsigned long long)g->total_bytes);
        return HEADER_DAMAGED;
    }
    return HEADER_OK;
}
