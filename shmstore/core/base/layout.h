/* Every shared byte: where it lies and what it means.
 *
 *   offset 0                                                                                             total_bytes
 *   +--------+-------+---------+-----------+-------------+-----------+------------+-----------+--------------------------+
 *   | header | board | history | processes | key buckets | key cells | partitions | summaries | slots of partition 0,1.. |
 *   +--------+-------+---------+-----------+-------------+-----------+------------+-----------+--------------------------+
 *     never    news    one       who is      hash -> id    id -> text  tail, floor  of blocks   rows:    word f0 f1 | word f0 f1 |
 *     changes  word    sample    attached                              and ledgers  of slots    columns: words | f0 f0 .. | f1 f1 ..
 *     after            a second
 *     creation
 *
 * and, of a metrics segment:
 *
 *   +--------+-------+---------+-----------+---------+--------+--------------+-----------+
 *   | header | board | history | processes | changes | chains | nodes        | exemplars |
 *   +--------+-------+---------+-----------+---------+--------+--------------+-----------+
 *                                            of the    hash -> declarations
 *                                            chains    node    and series
 *
 * and, of a streams segment:
 *
 *   +--------+-------+---------+-----------+--------------+------------+--------+---------+---------------------------------+
 *   | header | board | history | processes | name buckets | name cells | logs   | streams | order, ids, slots of log 0, 1.. |
 *   +--------+-------+---------+-----------+--------------+------------+--------+---------+---------------------------------+
 *                                            as of keys: hash -> number  change,  newest    ticket -> slot, hash -> slot,
 *                                                                        tail     version   events
 *
 * The header is written once, before anyone can see it. Whoever attaches copies it, validates the copy and computes the
 * offsets again from the few numbers in it (layout_plan): no later shared byte can lead outside the segment.
 *
 * Address of field f in slot i of partition p = slots + p * partition_bytes + base(f) + i * stride(f), in both layouts. */
#ifndef SHMSTORE_LAYOUT_H
#define SHMSTORE_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/atomics.h"
#include "core/base/wide.h"

enum {
    ABI_MAJOR = 3, /* another major cannot be read */
    ABI_MINOR = 0, /* a larger minor only adds */
    MAX_FIELDS = 64,
    MAX_FIELD_NAME_BYTES = 55,
    MAX_RECORD_BYTES = 65536,
    MAX_PARTITIONS = 4096,
    MAX_PROCESSES = 4096, /* 12 bits of a slot word */
    MAX_KEYS = 1 << 24,
    MAX_KEY_BYTES = 4096,
    MAX_TEXT_BYTES = UINT16_MAX, /* of TEXT and BYTES: the length is stored in 16 bits */
    HISTORY_SAMPLES = 3600,      /* one a second for an hour */
    LEAST_BLOCK_SLOTS = 256,
    CACHE_LINE = 64,
    MAX_SERIES = 1 << 22,
    MAX_NODES = (1 << 24) - 1, /* 24 bits of a link */
    DECLARATION_NODES = 512,
    MAX_EXEMPLARS = 1 << 20,
    EXEMPLAR_TEXT_BYTES = 512, /* 128 characters */
    MAX_STREAMS = 1 << 22,
    MAX_STREAM_NAME_BYTES = 255,
    MAX_EVENT_TYPE_BYTES = 64,
    MAX_EVENT_ID_BYTES = 64,
    MAX_DATA_BYTES = 1 << 24,
    MAX_LOG_SLOTS = (1 << 22) - 1, /* 22 bits of a change */
    ROOM_SLOTS = 64,               /* of a log, for events on their way, beside one for each process */
    PROCESS_NAME_BYTES = 64,
};

#define MAX_CAPACITY (UINT64_C(1) << 40)
#define MAGIC "shmstore"
#define BYTE_ORDER_MARK UINT32_C(0x01020304)

/* Kinds of field, as stored. */
enum kind {
    KIND_INT8 = 1,
    KIND_INT16,
    KIND_INT32,
    KIND_INT64,
    KIND_UINT8,
    KIND_UINT16,
    KIND_UINT32,
    KIND_UINT64,
    KIND_FLOAT32,
    KIND_FLOAT64,
    KIND_BOOL,
    KIND_TEXT,
    KIND_BYTES,
    KIND_TIMESTAMP,
    KIND_KEY,
    KIND_END
};

/* The integers that a field of a kind can hold: for a Key, its ids. {0, 0} for kinds that hold no integers. */
struct kind_range {
    int64_t least;
    uint64_t most;
};
extern const struct kind_range kind_ranges[KIND_END];

enum {
    NO_FIELD = -1 /* instead of the number of a field */,
    NO_SUMMARY = -1 /* instead of a field's among the summaries */
};

/* What a segment holds. */
enum segment_kind { SEGMENT_EVENTS, SEGMENT_METRICS, SEGMENT_STREAMS, SEGMENT_KIND_END };
/* Required features: another kind than events. */
#define FEATURE_METRICS UINT64_C(1)
#define FEATURE_STREAMS UINT64_C(2)

enum arrangement { LAYOUT_ROWS = 1, LAYOUT_COLUMNS = 2 };
enum rule { RULE_KEY = 1, RULE_PROCESS, RULE_TURN, RULE_EXPLICIT, RULE_END };

/* ---- shared structures ------------------------------------------------------------------------------------------ */

struct field_spec {
    char name[56]; /* NUL-terminated UTF-8 */
    uint32_t kind;
    uint32_t size; /* TEXT, BYTES, KEY: most bytes; 0 otherwise */
};

struct options {
    uint64_t capacity;   /* records asked for; of metrics, series */
    uint32_t partitions; /* rings; there are none of metrics, and of streams */
    union {
        uint32_t layout;
        uint32_t data_bytes; /* of streams: most of one event, with its metadata */
    };
    union {
        uint32_t rule;
        uint32_t logs; /* of streams: their partitions */
    };
    union {
        uint32_t keys;
        uint32_t exemplars; /* of metrics */
        uint32_t streams;
    };
    uint32_t processes;
    uint16_t field_count;
    uint16_t kind; /* of the segment */
};

struct header {
    char magic[8];
    uint32_t byte_order;
    uint16_t abi_major, abi_minor;
    uint64_t compatible, read_compatible, incompatible; /* unknown feature bits: ignore / read only / refuse */
    uint64_t total_bytes;
    uint8_t store_id[16];
    int64_t created_ns;
    struct options options;
    uint64_t board_offset, history_offset, processes_offset;
    union {
        struct {
            uint64_t buckets_offset, cells_offset, partitions_offset, summaries_offset, slots_offset;
        };
        struct { /* of metrics; the rest is zero */
            uint64_t changes_offset, chains_offset, nodes_offset, exemplars_offset, no_offset;
        };
        struct { /* of streams; the first two are of the table of their names, and have the names of keys in keys.c */
            uint64_t name_buckets_offset, name_cells_offset, logs_offset, streams_offset, log_slots_offset;
        };
    };
    struct field_spec fields[MAX_FIELDS];
    uint64_t checksum; /* FNV-1a of all bytes above */
};

/* The news word: what appenders glance at. */
enum { NEWS_WAITERS = 1, NEWS_UNLINKED = 2, NEWS_WAKE = 4 /* one wake-up, in the bits above */ };

struct board {
    _Alignas(64) atomic_u32 news;          /* futex: see wait.h */
    _Alignas(64) atomic_u64 keys_reserved; /* cells handed out to whoever interns a key */
    atomic_u64 keys_published;
    atomic_u64 lapped;                    /* tickets that readers lost by being lapped */
    _Alignas(64) atomic_u64 history_next; /* number of the next sample */
};

struct sample {
    atomic_u64 number; /* 0 while being written, else its number + 1 */
    atomic_u64 time_ns, appended, discarded, skipped, voided, lapped, length, processes;
    uint64_t reserved[7];
};

/* Written only by the holder of the place's byte lock; see process.h. */
struct place {
    atomic_u64 word; /* generation << 8 | state */
    atomic_u64 pid, start_time, pid_namespace, entered_ns;
    atomic_u64 spare_cell; /* of the key table, left in this place for whoever enters it next: see keys.h */
    uint64_t reserved[2];
    atomic_u64 name[PROCESS_NAME_BYTES / 8];
    atomic_u64 appended, last_append_ns, lapped; /* own cache line: counted on the hot path */
    uint64_t reserved_counters[13];
};

struct partition {
    _Alignas(128) atomic_u64 tail;  /* next ticket to hand out; a line pair of its own: every append moves it */
    _Alignas(128) atomic_u64 floor; /* tickets below were cleared */
    atomic_u64 skip_ledger;         /* ticket << 33 | 1 << 32 | count: see ring.h, counting */
    atomic_u64 void_ledger;
    atomic_u64 voids_until; /* a slot shows a voided ticket only while the tail is below */
};

/* What one field was over all records of a block of slots, during one lap; see summary.h. */
struct summary {
    atomic_u64 low, high, sum[2];
    atomic_u64 check; /* of the words above, and of what they are about */
};

/* ---- of a metrics segment ---------------------------------------------------------------------------------------- */

/* What changes the chains, and what is known of their room. */
struct changes {
    _Alignas(64) atomic_u64 change; /* number (36 bits) | what (4 bits) | node + 1 (24 bits): see nodes.h */
    atomic_u64 hint;                /* where to look for room first */
    atomic_u64 used;                /* nodes beyond were never claimed */
    atomic_u64 freed;               /* counts nodes that were given back: where it moves, there may be room again */
    atomic_u64 refused;             /* counts series, and updates of them, that were refused */
    atomic_u64 too_long;            /* of them, those that are longer than a node and its parts hold */
    atomic_u64 placeless;           /* of them, those of processes that found no place in the process table */
};

/* See nodes.h for what each word means, and cells.h for what the cells hold. */
struct node {
    atomic_u64 word;         /* generation | owner | state */
    atomic_u64 link;         /* number of a change (36 bits) | the next of the chain + 1 (24 bits) */
    atomic_u64 more;         /* its next part + 1, or 0 */
    atomic_u64 identity;     /* hash of the key (24 bits) | place (16 bits) | family (24 bits) */
    atomic_u64 sizes;        /* bytes of key and text, and cells */
    atomic_u64 since;        /* ns since the Unix epoch */
    struct wide cell;        /* its first */
    unsigned char rest[192]; /* its other cells, then its text; what does not fit goes on in its parts */
};

struct exemplar {
    atomic_u64 word;  /* see exemplars.h */
    atomic_u64 of;    /* generation of the node (32 bits) | the node (24 bits) */
    atomic_u64 cell;  /* which of its cells (16 bits), and the length of the text */
    atomic_u64 value; /* bits of a double */
    atomic_u64 time_ns;
    uint64_t reserved[3];
    atomic_u64 text[EXEMPLAR_TEXT_BYTES / 8];
};

/* ---- of a streams segment ---------------------------------------------------------------------------------------- */

/* One partition: see log.h. */
struct log {
    _Alignas(128) atomic_u64 change; /* the tail after it (40 bits) | what (2 bits) | slot (22 bits) */
    atomic_u64 tail;                 /* next ticket to hand out; all below are decided */
    _Alignas(128) atomic_u64 hint;   /* where to look for a free slot first */
    atomic_u64 freed;                /* counts slots that were given back: where it moves, one may be free again */
};

/* One stream: see streams.h. */
struct stream {
    _Alignas(128) struct wide newest; /* number of versions; slot of the newest + 1 */
    struct wide lost;                 /* versions below were overwritten; how many of them could not be read by then */
    atomic_u64 deleted;               /* number of versions when it was deleted, plus one; STREAM_CLOSED: for ever */
    atomic_u64 truncated;             /* versions below were given up */
    atomic_u64 reserve;               /* its newest events that others do not overwrite */
    atomic_u64 most_events, most_ns;  /* that it keeps, and how long; 0: no limit */
    uint64_t reserved[7];
};

/* One event; its text and data follow. Written by the holder of a claim, before anyone can find it. */
struct event_slot {
    atomic_u64 word;   /* ticket (40 bits) | owner (21 bits) | state (3 bits) */
    atomic_u64 origin; /* stream (32 bits) | what it is (8) | bytes of type (8) | of id (8) | flags of the caller (8) */
    atomic_u64 version;      /* of a deletion: the number of versions there were */
    atomic_u64 position;     /* the ticket that it was appended by */
    atomic_u64 links;        /* slots + 1: of the event before (32 bits) | that `jump` leads to (32 bits) */
    atomic_u64 jump;         /* an earlier version: see seek.c */
    atomic_u64 jump_of_jump; /* the one that its `jump` leads to */
    atomic_u64 time_ns;
    atomic_u64 id_next; /* the next of its chain: a link of log.h, or 0 */
    atomic_u64 id_hash;
    atomic_u64 sizes;  /* bytes of data (32 bits) | of metadata (32 bits) */
    atomic_u64 batch;  /* slot of the next that is appended with it + 1; 0: it is the last */
    atomic_u64 text[]; /* type, id, metadata and data, each from a word on */
};

_Static_assert(sizeof(struct log) == 256, "what every append of a partition changes shares no line pair with anything");
_Static_assert(sizeof(struct stream) == 128 && offsetof(struct stream, most_events) == 56,
               "what an append to a stream touches is one line");
_Static_assert(sizeof(struct event_slot) == 96 && offsetof(struct event_slot, id_next) == 64,
               "what leads from event to event is one line");
_Static_assert(sizeof(struct changes) == 64, "what changes with the chains lies on a line of its own");
_Static_assert(sizeof(struct node) == 256 && offsetof(struct node, rest) == 64,
               "what an update of the first cell touches is one line");
_Static_assert(sizeof(struct exemplar) == 576, "an exemplar is nine cache lines");
_Static_assert(sizeof(struct field_spec) == 64, "field specs are part of the format");
_Static_assert(sizeof(struct options) == 32, "options are part of the format");
_Static_assert(offsetof(struct header, options) == 72, "the header's fixed part is part of the format");
_Static_assert(offsetof(struct header, fields) == 168, "field specs follow the offsets");
_Static_assert(sizeof(struct header) == 4272, "the header is part of the format");
_Static_assert(sizeof(struct board) == 192, "news, keys and history lie on lines of their own");
_Static_assert(sizeof(struct sample) == 128, "a sample is two cache lines");
_Static_assert(sizeof(struct place) == 256, "a place is four cache lines");
_Static_assert(offsetof(struct place, appended) == 128,
               "counters share no line with what others read to find the dead");
_Static_assert(sizeof(struct partition) == 256, "a partition's tail shares no line pair with anything");
_Static_assert(sizeof(struct summary) == 40, "a summary is five words");

/* ---- private geometry -------------------------------------------------------------------------------------------- */

/* How one field is stored. A value is copied as `units` atomic units of `unit` bytes. */
struct field {
    uint32_t kind, size;
    uint32_t bytes; /* stored bytes: TEXT and BYTES carry their length in the last two */
    uint32_t unit, units;
    uint32_t offset; /* within a staged record */
    int summary;     /* its number among the fields of a block that are summarised; NO_SUMMARY: it holds no numbers */
    uint64_t base, stride;
};

static inline bool field_has_summary(const struct field *field) { return field->summary != NO_SUMMARY; }

/* Everything about where things lie; private, computed from validated numbers, never re-read from shared memory. */
struct geometry {
    struct options options;
    uint64_t slots;        /* per partition */
    uint64_t reciprocal;   /* floor(2^64 / slots): see ring_where */
    uint64_t record_bytes; /* of a staged record, a multiple of 8 */
    uint64_t word_base, word_stride, partition_bytes;
    uint64_t block_slots, block_count; /* slots of a block (the last may have fewer), blocks of a partition */
    uint32_t summary_count;            /* summaries of a block */
    uint64_t board_offset, history_offset, processes_offset;
    union {
        struct {
            uint64_t buckets_offset, cells_offset, partitions_offset, summaries_offset, slots_offset;
        };
        struct { /* of metrics; the rest is zero */
            uint64_t changes_offset, chains_offset, nodes_offset, exemplars_offset, no_offset;
        };
        struct { /* of streams; the first two are of the table of their names, and have the names of keys in keys.c */
            uint64_t name_buckets_offset, name_cells_offset, logs_offset, streams_offset, log_slots_offset;
        };
    };
    uint32_t chain_count, node_count; /* of metrics; the first is a power of two */
    uint32_t id_buckets, log_slots;   /* of a log of streams; the first is a power of two, `slots` what it retains */
    uint64_t ids_base, events_base, event_bytes; /* within a log's slots, and of one event */
    uint64_t bucket_count, cell_count, cell_bytes, key_bytes;
    uint64_t total_bytes;
    int key_field, time_field; /* NO_FIELD when there is none */
    struct field fields[MAX_FIELDS];
};

/* Why a plan or a header is refused. `field` is its number, or NO_FIELD. */
struct refusal {
    int field;
    char text[240];
};

enum header_status { HEADER_OK, HEADER_FOREIGN, HEADER_OTHER_ABI, HEADER_DAMAGED };
enum plan_status { PLAN_OK, PLAN_BAD_FIELD, PLAN_BAD_OPTION };

/* Compute the geometry of fields and options, checking every bound. */
enum plan_status layout_plan(const struct options *options, const struct field_spec *fields, struct geometry *geometry,
                             struct refusal *why);

/* Make an empty store of zeroed memory of geometry->total_bytes; the magic is written last. */
void layout_format(void *memory, const struct geometry *geometry, const struct field_spec *fields,
                   const uint8_t store_id[16], int64_t created_ns);

/* Copy the header of `length` shared bytes into `header`, validate the copy and compute its geometry. */
enum header_status layout_open(const void *memory, uint64_t length, struct header *header, struct geometry *geometry,
                               struct refusal *why);

uint64_t fnv1a(const void *bytes, size_t count);

#endif
