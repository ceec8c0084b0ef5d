/* The process table: who is attached, who is dead, and taking over what the dead left.
 *
 * 1. A place belongs to whoever holds the byte lock of its number (F_OFD_SETLK on the segment's file, far beyond its end).
 *    Only the holder writes the place. The lock lives as long as its open file description, and that is kept by nothing but
 *    one private mapping of a page (PROT_NONE): a program may close and reuse every descriptor it has, as daemons do, and
 *    the lock stays. The kernel drops it when the process dies, however it dies, or runs another program; it keeps it while
 *    the process is stopped, and is right across pid namespaces; pids and start times are shown to people and decide nothing.
 * 2. Entering: lock a free place, or one whose lock its dead holder lost, and its repair byte as well. A dead holder's
 *    claims are swept first (sweep), then the generation rises: words that bear an older generation than their place
 *    are settled already. The generation's low 9 bits are never 0, so that no owner is 0: ring_append refuses that one.
 * 3. Owner (in slot words) = place index | generation's low 9 bits. Dead means: the place bears another generation or is
 *    not in use, or nobody holds its lock. In this order a place that is being taken over can only look alive too long.
 * 4. Repair: lock the repair byte of the place, which says nothing about life; if nobody holds the place, sweep, free it;
 *    unlock. A repairer that dies frees its byte and another begins again. One that is stopped holds up the reuse of the
 *    place and nothing else: the holder is seen dead, and whoever meets a slot of it settles that.
 * 5. Fork: the child has neither the mapping (MADV_DONTFORK) nor what its parent had on its own page (MADV_WIPEONFORK), so it
 *    keeps no parent alive, its owner reads 0, and it enters the table by itself when it first appends.
 * 6. Asking: "not locked" counts only through a descriptor that is still the segment's, by device and inode as they were
 *    when it was opened. One that the program closed or made another file's is left alone, and the segment opened anew; where
 *    that cannot be done, the question cannot be asked, and nobody is declared dead.
 * 7. The handles of one process on one segment share a place (processes_join). The last one to leave frees it.
 *
 * Pairs: take_place:used with processes_is_dead:word (a process that holds slots bears its place's generation; the slot word
 * that led there was read by an acquire: see ring.h); take_place:fence with place_object:fence of the binding (the fields of one
 * incarnation); take_place:own with processes_owner:own (the place, for the other threads of the process: their claims
 * carry it on); processes_leave:free and processes_reap:free with processes_is_dead:word (every claim was settled before). */
#ifndef SHMSTORE_PROCESS_H
#define SHMSTORE_PROCESS_H

#include "core/ring/ring.h"

enum { SEGMENT_PATH_BYTES = 256, NO_FILE = -1 /* instead of a descriptor: plain memory */ };

enum place_state { PLACE_FREE, PLACE_ENTERING, PLACE_USED };

/* What the word of a place is made of: the generation of its holder, and its state. */
enum { PLACE_STATE_BITS = 8 };
static inline uint64_t place_word(uint64_t generation, enum place_state state) {
    return generation << PLACE_STATE_BITS | (uint64_t)state;
}
static inline enum place_state place_state(uint64_t word) {
    return (enum place_state)(word & ((1 << PLACE_STATE_BITS) - 1));
}
static inline uint64_t place_generation(uint64_t word) { return word >> PLACE_STATE_BITS; }
static inline uint32_t place_owner(uint32_t index, uint64_t word) { return owner_from(index, place_generation(word)); }

/* What a forked child must not take over: on a page of its own, which reads zero in the child. */
struct own_page {
    atomic_u32 owner;      /* with OWNER_ENTERED, or 0 */
    atomic_u32 life;       /* for the caller's use: what it wrote there it reads only in the process that wrote it */
    atomic_u32 spare_cell; /* of the key table: see keys.h */
    atomic_u32 appending;  /* threads that append while others of this process may go on; for the caller's use */
    void *place_lock, *coordinator_lock; /* the mappings that hold them, or NULL */
    bool inherits; /* set by the process that has this page: still set in a forked child, the page was not wiped */
};

/* How this process describes itself to people. */
struct identity {
    uint64_t pid, start_time, pid_namespace, entered_ns;
    char name[PROCESS_NAME_BYTES];
};

/* What else than slots can be claimed in a segment: `sweep` settles it for an owner that is gone, and `leave` gives back
 * what this table has claimed; NULL: nothing. */
struct claims {
    void (*sweep)(void *context, uint32_t owner);
    void (*leave)(void *context);
    void *context;
};

/* This process's view of the table of one segment. */
struct processes {
    const struct ring *ring;
    struct claims claims;          /* set by whoever opened the segment, before anyone enters */
    _Atomic int fd;                /* of the segment, our own: asked through; opened anew for locks [6] */
    uint64_t device, inode;        /* of the segment's file */
    bool named;                    /* it had a name when it was opened */
    char path[SEGMENT_PATH_BYTES]; /* that leads to it, as far as is known; "" otherwise */
    struct own_page *own;
    struct processes *next, *previous; /* all tables of this process */
};

enum enter_status { ENTER_OK, ENTER_FULL, ENTER_FAILED /* errno says why */ };

enum { OWNER_ENTERED = 1 << 30 }; /* set beside the owner, so that 0 means "not entered" */

/* `fd` stays the caller's; `path` leads to the same file, or is NULL. With NO_FILE nobody can enter, and nobody is dead.
 * Returns false (errno) when there is no descriptor left, or no page that a fork wipes. */
bool processes_open(struct processes *table, const struct ring *ring, int fd, const char *path);

/* Share the place that another table of this process has in the same segment; false when there is none. */
bool processes_join(struct processes *table);

/* Take a place for this process, once; `describe` fills the identity only when it is needed. */
enum enter_status processes_enter(struct processes *table, const struct identity *identity);

/* The same, unless another table of this process has entered meanwhile: then its place is shared. */
enum enter_status processes_join_or_enter(struct processes *table, const struct identity *identity);

/* Free our place, if we have one and no other table shares it; no append through this table may be running. */
void processes_leave(struct processes *table);

/* Leave every table in which this process has a place and appends nothing: at its very end, when nothing else can run. */
void processes_leave_all(void);

/* Leave, and release what is private. The owner reads 0 from then on. */
void processes_close(struct processes *table);

/* This process's owner with OWNER_ENTERED, or 0. */
static inline uint32_t processes_owner(const struct processes *table) {
    return load_acquire(&table->own->owner); /* processes_owner:own */
}

static inline struct place *processes_place(const struct ring *ring, uint32_t index) {
    return (struct place *)(void *)(ring->memory + ring->geometry->processes_offset) + index;
}

/* Is the owner of a slot word gone? `context` is a struct processes. */
bool processes_is_dead(void *context, uint32_t owner);

/* Does anybody hold the lock of this place? */
bool processes_is_locked(const struct processes *table, uint32_t index);

/* Has the segment's file lost its name, as by rm(1)? False where that cannot be told. */
bool processes_lost_name(const struct processes *table);

/* If the place is in use and its holder is dead: sweep, free it, and say what was done. */
bool processes_reap(const struct processes *table, uint32_t index, uint64_t *pid, uint64_t *voided, uint64_t *released);

/* The coordinator's lock. Locking returns false when another holds it (errno EAGAIN) or on failure. */
bool processes_lock_coordinator(struct processes *table);
void processes_unlock_coordinator(struct processes *table);
static inline bool processes_is_coordinator(const struct processes *table) { return table->own->coordinator_lock; }
bool processes_coordinator_alive(const struct processes *table);

#endif
