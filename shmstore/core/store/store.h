/* One handle of one store, on plain memory: whatever opens a store opens it here.
 *
 * Opening validates the header and puts together what the other rooms of the core work on: the geometry, the ring, the key
 * table, the process table, the board. Everything that a store decides is decided here: which partition a record goes to,
 * when a hot loop gives way to others, what is counted, what a purge takes away, what a sample says. What other languages
 * put on top of it translates values and errors, and locks.
 *
 * Callers that share a handle between threads may append at the same time; the handle's own memory needs no lock either. */
#ifndef SHMSTORE_STORE_H
#define SHMSTORE_STORE_H

#include <string.h>

#include "core/processes/process.h"
#include "core/ring/pace.h"
#include "core/ring/turn.h"
#include "core/store/check.h"
#include "core/store/history.h"
#include "core/store/keys.h"
#include "core/waiting/wait.h"

/* What one handle knows. It must not move: its parts point to each other. */
struct handle {
    struct header header; /* a validated copy */
    struct geometry geometry;
    struct ring ring;
    struct table table;
    struct processes processes;
    struct board *board;
    bool barriers;                  /* see wait_register */
    bool has_threads;               /* several threads of this process may call handle_count at once */
    atomic_u64 turn;                /* see turn.h */
    atomic_u64 *tails_left;         /* one a partition: see pace.h */
    atomic_u64 gave_way_ns, hot_ns; /* see pace.h; when it was last in a hot loop */
    atomic_u64 looked_ns;           /* when an append last looked for the name */
    atomic_u32 nameless;            /* it was seen to be gone */
    atomic_u64 *decided;            /* one a partition: see ring_totals */
};

/* ---- opening and closing ----------------------------------------------------------------------------------------- */

struct opening {
    int fd;           /* of the segment's file, which stays the caller's; or NO_FILE */
    const char *path; /* that leads to the same file, or NULL */
    bool writable, has_threads;
    struct liveness liveness; /* without is_dead: the kernel's word */
};

enum open_status {
    OPEN_OK,
    OPEN_FOREIGN, /* these four say why in words */
    OPEN_OTHER_ABI,
    OPEN_DAMAGED,
    OPEN_READ_ONLY, /* it has features that may be read, but not written */
    OPEN_NO_MEMORY,
    OPEN_FAILED /* errno says why */
};

/* Open `length` bytes that hold a store. Takes no place in the process table. When it fails there is nothing to close. */
enum open_status handle_open(struct handle *handle, void *memory, uint64_t length, const struct opening *opening,
                             struct refusal *why);

/* Give up the coordinator's role and this process's place; no append may be running. The bytes may still be read. */
void handle_leave(struct handle *handle);

/* Let go of all that is private. The bytes are the caller's. */
void handle_close(struct handle *handle);

/* Was the name removed, by `unlink` or by another program, which marks nothing? Then it is marked now. */
bool handle_is_unlinked(struct handle *handle);

/* ---- upkeep ------------------------------------------------------------------------------------------------------ */

/* Make every record handed out so far unreadable. */
void handle_clear(const struct handle *handle);

/* Make the oldest records of each partition unreadable, up to the first that is not older than `before_ns`; the store has
 * a time field. Says how many tickets were passed. False: no memory. */
bool handle_purge(const struct handle *handle, int64_t before_ns, uint64_t *passed);

/* Write one sample to the history; only the coordinator does. */
void handle_sample(struct handle *handle, int64_t time_ns, struct sample_values *values);

/* Reap the first dead holder of a place from `*index` on: says which place it was and what was done, and wakes whoever waits
 * behind its claims. False: there is none, and `*index` is behind the last place. */
bool handle_reap(const struct handle *handle, uint32_t *index, uint64_t *pid, uint64_t *voided, uint64_t *released);

static inline void handle_totals(struct handle *handle, uint32_t partition, struct totals *totals) {
    ring_totals(&handle->ring, partition, &handle->decided[partition], totals);
}

/* ---- appending: inline, for it is on every append ---------------------------------------------------------------- */

/* How often a handle that only appends looks whether its store still has a name. */
#define NAME_LOOK_NS UINT64_C(1000000000)

enum { BY_RULE = -1 /* instead of the number of a partition: the store's rule chooses it */ };

/* Does the store's rule choose? Else each append names its partition. */
static inline bool handle_has_rule(const struct handle *handle) {
    return handle->geometry.options.rule != RULE_EXPLICIT;
}

static inline struct place *handle_place(const struct handle *handle) {
    return processes_place(&handle->ring, owner_place(processes_owner(&handle->processes)));
}

/* May an append begin: has this process a place, and the store a name, as far as is known? */
static inline bool handle_takes_appends(const struct handle *handle) {
    /* Whatever has an owner is attached for writing. */
    return processes_owner(&handle->processes) && !(load_relaxed(&handle->board->news) & NEWS_UNLINKED);
}

/* Before an append, so that the first one after a while is not lost with a store whose name is gone. */
static inline void handle_look_for_name(struct handle *handle, int64_t now) {
    if (__builtin_expect((uint64_t)now - load_relaxed(&handle->looked_ns) <= NAME_LOOK_NS, 1)) return;
    store_relaxed(&handle->looked_ns, (uint64_t)now);
    handle_is_unlinked(handle);
}

/* Is this handle in a hot loop? A slow append does not end one at once: among appends of others some are slow. */
static inline bool handle_is_hot(struct handle *handle, int64_t now) {
    if ((uint64_t)now - load_relaxed(&handle_place(handle)->last_append_ns) >= HOT_NS)
        return (uint64_t)now - load_relaxed(&handle->hot_ns) < HOT_FOR_NS;
    store_relaxed(&handle->hot_ns, (uint64_t)now);
    return true;
}

/* Which partition a staged record goes to, now that others were given way. `wish` is one, or BY_RULE where there is a rule. */
static inline uint32_t handle_choose(struct handle *handle, const void *record, int64_t wish, bool is_hot) {
    const struct geometry *g = &handle->geometry;
    const struct ring *ring = &handle->ring;
    uint32_t partition = (uint32_t)wish;
    if (wish == BY_RULE && g->options.rule == RULE_TURN) {
        if (!turn_is_free(ring, &handle->turn) && is_hot) pace_give_way(ring, &handle->gave_way_ns);
        return turn_take(ring, &handle->turn); /* of the places that are free after the pause */
    }
    if (wish == BY_RULE) {
        uint32_t count = g->options.partitions, number;
        if (g->options.rule == RULE_KEY) memcpy(&number, (const char *)record + g->fields[g->key_field].offset, 4);
        else number = owner_place(processes_owner(&handle->processes));
        partition = number < count ? number : number % count;
    }
    pace(ring, partition, load_relaxed(&handle->tails_left[partition]), is_hot, &handle->gave_way_ns);
    return partition;
}

/* Append one staged record of many to the partition that was chosen for it; handle_count is told of all of them. */
static inline enum append_status handle_append_to(struct handle *handle, uint32_t partition, const void *record,
                                                  void *discarded, struct appended *out) {
    const uint32_t owner = processes_owner(&handle->processes) & OWNER_MASK;
    enum append_status status = ring_append(&handle->ring, partition, owner, record, discarded, out);
    if (status == APPEND_DONE) store_relaxed(&handle->tails_left[partition], out->ticket + 1);
    return status;
}

/* Count what this process appended, and wake readers. */
static inline void handle_count(struct handle *handle, uint64_t records, int64_t now) {
    struct place *place = handle_place(handle);
    /* Only this process writes its place: a locked add is needed only where its threads do meet here. */
    if (handle->has_threads) add_relaxed(&place->appended, records);
    else store_relaxed(&place->appended, load_relaxed(&place->appended) + records);
    store_relaxed(&place->last_append_ns, (uint64_t)now);
    wait_notify(&handle->board->news);
}

/* Append one staged record, and count it. `now` is the time of the append, read once by the caller; `wish` and `discarded` are
 * as above. Says which partition it chose, also when it fails. */
static inline enum append_status handle_append(struct handle *handle, const void *record, int64_t wish, int64_t now,
                                               void *discarded, uint32_t *partition, struct appended *out) {
    *partition = handle_choose(handle, record, wish, handle_is_hot(handle, now));
    enum append_status status = handle_append_to(handle, *partition, record, discarded, out);
    if (status == APPEND_DONE) handle_count(handle, 1, now);
    return status;
}

#endif
