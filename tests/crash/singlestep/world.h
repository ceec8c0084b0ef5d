/* A small segment in a real file of tmpfs, the processes that use it, and the account of all that they have done: of events,
 * which account.c tells, of metrics, which series.c does, or of streams, which versions.c does.
 *
 * A victim dies or stands still somewhere in an operation; the others live in this process, each with descriptors and
 * locks of its own, as processes have. Every field of a record follows from its writer and its number, so a torn or
 * foreign record shows itself. A violation is told on stderr and counted; nothing stops at the first. */
#ifndef SHMSTORE_TESTS_WORLD_H
#define SHMSTORE_TESTS_WORLD_H

#include "core/metrics/metrics.h"
#include "core/streams/streams.h"

#include <sys/types.h>

enum { SLOTS = 4, PLACES = 4, KEYS = 4, BATCH = 8, TICKETS = 160 };
enum writer { OTHERS = 1, VICTIM };
enum {
    LAYOUT_NODES,
    LAYOUT_LOG = LAYOUT_COLUMNS + 1 /* instead of rows or columns: segments of metrics and of streams */
};

/* Of metrics. */
enum { NODES = 48, CHAINS = 2, EXEMPLARS = 2 };

/* Of streams. */
enum { LOG_TICKETS = 6, LOG_SLOTS = 16, STREAMS = 2, VERSIONS = 160 };

struct world;

/* What a segment is about. */
struct subject {
    void (*work)(struct world *world, struct handle *who); /* what one of the others does again and again */
    void (*settle)(struct world *world);                   /* meets what the dead left, and settles that */
    void (*inspect)(struct world *world, bool settled);
};
extern const struct subject event_subject, metrics_subject, streams_subject;

struct record {
    uint32_t key, writer;
    uint64_t number, proof, again;
};
struct record make_record(uint32_t writer, uint64_t number);
bool is_whole(const struct record *record);

/* What a victim says of itself, on a page that it shares with this process. */
struct report {
    atomic_u64 begun, returned; /* appends, or updates */
    atomic_u64 tickets[BATCH];
    atomic_u32 failures; /* of what may not fail */
    atomic_u32 result;   /* of the operation, where it has one */
    atomic_u32 owner, ids[KEYS];
    atomic_u32 ended; /* the operation returned */
    bool discarded;
    struct record replaced;
};

/* One look at the tickets from 0 on: r read, l lapped, v voided, s skipped, c cleared, i in flight, 0 not looked at. */
struct reading {
    uint64_t next;
    char fate[TICKETS];
};

/* What was done to metrics: see series.h. */
enum update { COUNT, OBSERVE, RAISE_OWN, SET_LATEST, PUT_EXEMPLAR, UPDATES };

struct series_account {
    enum update victims;        /* what the victim does; UPDATES: none of them */
    uint64_t returned[UPDATES]; /* those of the others */
    bool was_in, was_out;       /* the update that the victim died in has happened, or has not */
    uint32_t long_cells;        /* of the series with parts */
    struct node_at long_one;    /* its life that was seen last */
    uint64_t long_raised;       /* in this life */
    uint32_t pieces;            /* of work */
};

/* What was appended to streams: see versions.h. */
struct told {
    uint32_t writer, number; /* 0: nobody has said yet whose it is; ANY_NUMBER: one of this writer's */
    uint64_t position;       /* NOWHERE: not known */
};

struct log_account {
    struct {
        uint32_t versions; /* that are known of */
        struct told events[VERSIONS];
    } streams[STREAMS];
    uint32_t others;             /* number of the next event of the others */
    uint32_t victims, first_new; /* events of the victim's append; those before the second are there already */
    uint32_t numbers[BATCH];     /* of them */
    uint32_t doomed;             /* events that one who is dead has announced, and nobody has seen yet */
    bool is_in, is_over;         /* the victim's append was seen; it will not be made any more */
    bool repeated;               /* another has made some of it */
    bool gives_up;               /* the victim deletes the stream, or truncates it */
    uint64_t truncated, deleted, deletion; /* of the victim's stream, as they were seen last */
};

/* What every test of a state begins with and adds to; copied to go back. */
struct account {
    uint64_t count;           /* appends that returned */
    uint32_t writer[TICKETS]; /* of the append that returned with this ticket, or 0 */
    uint64_t number[TICKETS];
    bool claimed_by_dead[TICKETS];
    uint64_t others, reported; /* numbers of the next append of the others, and of the victim */
    bool seen[BATCH];          /* a record of the victim was read */
    uint64_t seen_at[BATCH];
    struct reading cursor;
    atomic_u64 decided;
    struct series_account series;
    struct log_account log;
};

struct world {
    const struct subject *subject;
    int fd;
    const char *path; /* where an operation may create another store */
    unsigned char *memory;
    struct geometry geometry;
    struct field_spec fields[MAX_FIELDS];
    struct ring glance; /* the view of whoever may not write */
    struct table table; /* the others' */
    struct report *report;

    struct handle live[PLACES], late[PLACES]; /* here from the start; entered after the victim stopped */
    uint32_t live_count, late_count;
    struct handle doomed; /* dies before the victim starts */
    bool may_skip;        /* some slot is, or was, held by who lives and does not go on */
    uint32_t held;        /* slots held by the living for ever */

    struct handle mine; /* the victim's own, in its own process */
    pid_t victim;
    bool victim_is_dead;

    struct account account;
};

void world_make(struct world *world, uint32_t layout, const char *path);
void world_unmake(struct world *world);

/* Slots of streams that a process has claimed and not used. */
struct kept_spares {
    uint32_t owner, count, slots[LOG_SLOTS];
    uint64_t freed;
};

/* Keep this state; come back to it. */
struct kept {
    struct account account;
    struct kept_spares spares[PLACES]; /* of those who were there from the start */
    unsigned char *bytes;
};
void world_save(const struct world *world, struct kept *state);
void world_restore(struct world *world, const struct kept *state);
bool world_equals(const struct world *world, const struct kept *state);

extern const char *now_doing; /* what a violation names */
extern uint64_t violations;
__attribute__((format(printf, 1, 2))) void violation(const char *format, ...);
__attribute__((noreturn)) void give_up(const char *what); /* the harness cannot go on; tells errno */

/* ---- what the others do ----------------------------------------------------------------------------------------- */

void attach(const struct world *world, struct handle *who);
void enter(const struct world *world, struct handle *who, uint64_t pid);
struct metrics *metrics_of(const struct handle *who);
struct streams *streams_of(const struct handle *who);
void die(struct handle *who); /* as if killed: its locks are gone, its place and its claims are not */
uint32_t owner_of(const struct handle *who);
/* One append, at a time that nobody takes for a hot loop: then others would be given way. */
enum append_status append_once(struct handle *who, const struct record *record, struct record *replaced,
                               struct appended *appended);
void append_many(struct world *world, uint64_t count);
void work_many(struct world *world, uint64_t count); /* by the first of the living */
/* Claim the next slot, write half a record, and go no further. */
void claim_and_stop(struct world *world, const struct handle *who, bool will_die);
void repair(struct world *world); /* reap every dead place, and no living one */
/* Newcomers take every place that is to be had, sweeping what they find, and work. */
void fill_places(struct world *world);
void leave_places(struct world *world);

/* ---- asking ----------------------------------------------------------------------------------------------------- */

enum { BLOCKS = 2 };
void cut_blocks(const struct world *world); /* once, before anyone asks */
/* Ask as a process that has these marks; NULL: it believes in no summary, and makes none. */
void ask(const struct ring *ring, atomic_u64 *marks);
/* ... and hold the answer against one without summaries. */
void ask_and_compare(const struct world *world, const struct ring *ring, atomic_u64 *marks);
/* Who comes just now, and may not write, is answered by so many records. */
void inspect_answers(const struct world *world, uint64_t readable);

/* ---- looking ---------------------------------------------------------------------------------------------------- */

/* Everything holds: what check_store, check_nodes and check_streams look at, the account, and that nobody who lives is called dead. */
void inspect(struct world *world);
/* ... and nothing is claimed but by the living who do not go on. */
void inspect_settled(struct world *world);
void hear_failures(const struct world *world);
void check_processes(struct world *world);

#endif
