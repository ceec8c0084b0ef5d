/* The process table: who is attached, who is dead, and taking over what the dead left.
 *
 * 1. A place belongs to whoever holds the byte lock of its number (F_OFD_SETLK on the segment's file, far beyond its
 *    end), through a descriptor that is used for nothing else: O_CLOEXEC, never mapped, never duplicated. Only the holder
 *    writes the place. The kernel drops the lock when the process dies, however it dies, keeps it while the process is
 *    stopped, and is right across pid namespaces; pids and start times are shown to people and decide nothing.
 * 2. Entering: lock a free place, or one whose lock its dead holder lost. A dead holder's claims are swept first
 *    (ring_sweep), then the generation rises: words that bear an older generation than their place are settled already.
 * 3. Owner (in slot words) = place index | generation's low 9 bits. Dead means: the place bears another generation or is
 *    not in use, or nobody holds its lock. In this order a place that is being taken over can only look alive too long.
 * 4. Repair: lock the place (only possible when its holder is dead), sweep, free it, unlock. A repairer that dies frees
 *    the lock and another begins again.
 * 5. Fork: the child shares the parent's lock descriptor, which would keep the parent's place alive, so the child closes it
 *    at once (pthread_atfork) and its owner word reads 0 (also MADV_WIPEONFORK, for forks that run no handlers): it
 *    enters the table by itself when it first appends.
 *
 * Pairs: take_place:used with processes_is_dead:word (a process that holds slots bears its place's generation; the slot word
 * that led there was read by an acquire: see ring.h); take_place:fence with place_object:fence of the binding (the fields of one
 * incarnation); take_place:own with processes_owner:own (the place, for the other threads of the process: their claims
 * carry it on); processes_leave:free and processes_reap:free with processes_is_dead:word (every claim was settled before). */
#ifndef SHMSTORE_PROCESS_H
#define SHMSTORE_PROCESS_H

#include "ring.h"

enum place_state { PLACE_FREE, PLACE_ENTERING, PLACE_USED };

/* What a forked child must not take over: on a page of its own, which reads zero in the child. */
struct own_page {
    atomic_u32 owner; /* with OWNER_ENTERED, or 0 */
    atomic_u32 life;  /* for the caller's use: what it wrote there it reads only in the process that wrote it */
    atomic_u32 spare_cell; /* of the key table: see table.h */
    atomic_u32 appending;  /* threads that append while others of this process may go on; for the caller's use */
};

/* A descriptor that holds one byte lock; a forked child drops its copy. */
struct held_lock {
    int fd;               /* -1 when nothing is held */
    struct own_page *own; /* what the child clears with it, or NULL */
    struct held_lock *next, *previous;
};

/* How this process describes itself to people. */
struct identity {
    uint64_t pid, start_time, pid_namespace, entered_ns;
    char name[PROCESS_NAME_BYTES];
};

/* This process's view of the table of one segment. */
struct processes {
    const struct ring *ring;
    int fd; /* of the segment, our own; reopened for locks, used as it is to ask about them */
    struct own_page *own;
    struct held_lock place;
};

enum enter_status { ENTER_OK, ENTER_FULL, ENTER_FAILED /* errno says why */ };

enum { OWNER_ENTERED = 1 << 30 }; /* set beside the owner, so that 0 means "not entered" */

/* `fd` stays the caller's. Returns false (errno) when no descriptor, or no page that a fork wipes, can be had. */
bool processes_open(struct processes *table, const struct ring *ring, int fd);

/* Take a place for this process, once; `describe` fills the identity only when it is needed. */
enum enter_status processes_enter(struct processes *table, const struct identity *identity);

/* Free our place, if we have one; no append of this process may be running. */
void processes_leave(struct processes *table);

/* Leave every table in which this process has a place and appends nothing: at its very end, when nothing else can run. */
void processes_leave_all(void);

/* Leave, and release what is private. The owner reads 0 from then on. */
void processes_close(struct processes *table);

/* This process's owner with OWNER_ENTERED, or 0. */
static inline uint32_t processes_owner(const struct processes *table) { return load_acquire(&table->own->owner); /* processes_owner:own */ }

static inline struct place *processes_place(const struct ring *ring, uint32_t index) {
    return (struct place *)(void *)(ring->memory + ring->geometry->processes_offset) + index;
}

/* Is the owner of a slot word gone? `context` is a struct processes. */
bool processes_is_dead(void *context, uint32_t owner);

/* Does anybody hold the lock of this place? */
bool processes_is_locked(const struct processes *table, uint32_t index);

/* If the place is in use and its holder is dead: sweep, free it, and say what was done. */
bool processes_reap(const struct processes *table, uint32_t index, uint64_t *pid, uint64_t *voided, uint64_t *released);

/* The coordinator's lock. processes_lock_coordinator returns false when another holds it (errno EAGAIN) or on failure. */
bool processes_lock_coordinator(const struct processes *table, struct held_lock *lock);
bool processes_coordinator_alive(const struct processes *table);
void processes_unlock(struct held_lock *lock);

#endif
