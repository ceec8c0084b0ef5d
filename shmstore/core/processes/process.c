/* Places and owners; numbers in brackets are the sentences of process.h. */
#define _GNU_SOURCE
#include "core/processes/process.h"

#include "core/base/point.h"
#include "core/processes/locks.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Lock numbers: far beyond any segment's end, so they can never meet a lock on its bytes. */
#define FIRST_LOCK ((off_t)1 << 60)
#define COORDINATOR_LOCK (FIRST_LOCK + MAX_PROCESSES)
#define FIRST_REPAIR_LOCK (COORDINATOR_LOCK + 1)

/* ---- the tables of this process, and its forks [5] ---------------------------------------------------------------- */

static pthread_once_t registry_once = PTHREAD_ONCE_INIT;
static struct processes registry = {.next = &registry, .previous = &registry};

static void remember(struct processes *table) {
    table->next = registry.next;
    table->previous = &registry;
    registry.next->previous = table;
    registry.next = table;
}

static void forget(struct processes *table) {
    table->next->previous = table->previous;
    table->previous->next = table->next;
}

/* The repair bytes that reaps of this process hold at the moment. */
struct reap {
    void *lock;
    struct reap *next;
};
static struct reap *reaps;

static void begin_reap(struct reap *reap) {
    reap->next = reaps;
    reaps = reap;
}

static void end_reap(struct reap *reap) {
    struct reap **link = &reaps;
    while (*link && *link != reap) link = &(*link)->next;
    if (*link) *link = reap->next;
    locks_let_go(&reap->lock);
}

static void before_fork(void) { pthread_mutex_lock(&locks_mutex); }
static void after_fork_in_parent(void) { pthread_mutex_unlock(&locks_mutex); }
static void after_fork_in_child(void) {
    bool inherits = false;
    for (struct processes *table = registry.next; table != &registry; table = table->next) {
        if (table->own->inherits) { /* an emulator ignores the advice: then the child has the mappings as well */
            locks_let_go(&table->own->place_lock);
            locks_let_go(&table->own->coordinator_lock);
            memset(table->own, 0, sizeof *table->own);
            inherits = true;
        }
        table->own->inherits = true;
    }
    for (struct reap *reap = reaps; reap; reap = reap->next)
        if (inherits) locks_let_go(&reap->lock);
        else reap->lock = NULL; /* not mapped here: what lies there later is somebody else's */
    reaps = NULL;
    pthread_mutex_unlock(&locks_mutex);
}
static void watch_forks(void) { pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child); }

bool processes_lost_name(const struct processes *table) {
    struct stat status;
    return table->named && locks_look_at(table, load_relaxed(&table->fd), &status) && !status.st_nlink;
}

/* What a table that was closed has for its own page. */
static struct own_page nobody;

/* ---- places ------------------------------------------------------------------------------------------------------ */

static uint64_t next_generation(uint64_t word) { /* [2] */
    const uint64_t generation = place_generation(word) + 1;
    return generation & GENERATION_MASK ? generation : generation + 1;
}

static uint64_t freed(uint64_t word) { return place_word(place_generation(word), PLACE_FREE); }

bool processes_is_locked(const struct processes *table, uint32_t index) { return locks_ask(table, FIRST_LOCK + index); }

bool processes_is_dead(void *context, uint32_t owner) {
    const struct processes *table = context;
    uint32_t index = owner_place(owner);
    if (index >= table->ring->geometry->options.processes) return true; /* nobody can have written that */
    uint64_t word =
        load_acquire(&processes_place(table->ring, index)->word); /* processes_is_dead:word, before the lock [3] */
    if (place_state(word) == PLACE_FREE || place_owner(index, word) != owner) return true;
    return !processes_is_locked(table, index);
}

/* Settle all that an owner which is gone had claimed. */
static void sweep(const struct processes *table, uint32_t owner, uint64_t *voided, uint64_t *released) {
    ring_sweep(table->ring, owner, voided, released);
    if (table->claims.sweep) table->claims.sweep(table->claims.context, owner);
}

/* [2] We hold the lock of this place: settle what its last holder left, and make it ours. */
static void take_place(struct processes *table, uint32_t index, const struct identity *identity) {
    struct place *place = processes_place(table->ring, index);
    uint64_t word = load_acquire(&place->word), voided, released;
    if (place_state(word) == PLACE_USED) sweep(table, place_owner(index, word), &voided, &released);
    POINT("place swept");
    uint64_t generation = next_generation(word);
    store_relaxed(&place->word, place_word(generation, PLACE_ENTERING)); /* take_place:entering */
    fence_release(); /* take_place:fence: readers of the fields see the state first */
    POINT("entering");
    store_relaxed(&place->pid, identity->pid);
    store_relaxed(&place->start_time, identity->start_time);
    store_relaxed(&place->pid_namespace, identity->pid_namespace);
    store_relaxed(&place->entered_ns, identity->entered_ns);
    for (size_t i = 0; i < PROCESS_NAME_BYTES / 8; i++) {
        uint64_t part;
        memcpy(&part, identity->name + 8 * i, 8);
        store_relaxed(&place->name[i], part);
    }
    store_relaxed(&place->appended, 0);
    store_relaxed(&place->last_append_ns, 0);
    store_relaxed(&place->lapped, 0);
    if (!load_relaxed(&table->own->spare_cell)) { /* else the last holder's stays for the next */
        store_relaxed(&table->own->spare_cell, (uint32_t)load_relaxed(&place->spare_cell));
        store_relaxed(&place->spare_cell, 0);
    }
    word = place_word(generation, PLACE_USED);
    store_release(&place->word, word); /* take_place:used */
    POINT("entered");
    store_release(&table->own->owner, place_owner(index, word) | OWNER_ENTERED); /* take_place:own */
}

/* [2] Lock a place and its repair byte through one description. */
static bool lock_place(int fd, uint32_t index) {
    if (!locks_set(fd, FIRST_LOCK + index, F_WRLCK)) return false;
    if (locks_set(fd, FIRST_REPAIR_LOCK + index, F_WRLCK)) return true;
    const int why = errno;
    locks_set(fd, FIRST_LOCK + index, F_UNLCK);
    errno = why;
    return false;
}

static enum enter_status enter_locked(struct processes *table, const struct identity *identity) {
    if (processes_owner(table)) return ENTER_OK;
    int fd = locks_open(table, O_RDWR);
    if (fd < 0) return ENTER_FAILED;
    uint32_t count = table->ring->geometry->options.processes;
    enum enter_status status = ENTER_FULL;
    /* Free places first; then any: those whose holder died, and those that were freed meanwhile. */
    for (int pass = 0; status == ENTER_FULL && pass < 2; pass++) {
        for (uint32_t index = 0; index < count; index++) {
            uint64_t word = load_acquire(&processes_place(table->ring, index)->word);
            if (pass == 0 && place_state(word) != PLACE_FREE) continue;
            if (!lock_place(fd, index)) {
                if (locks_held_by_another(errno)) continue;
                status = ENTER_FAILED; /* there are no such locks here */
                break;
            }
            table->own->place_lock = locks_keep(table, fd);
            status = table->own->place_lock ? ENTER_OK : ENTER_FAILED;
            if (status == ENTER_OK) take_place(table, index, identity);
            locks_set(fd, FIRST_REPAIR_LOCK + index, F_UNLCK);
            break;
        }
        POINT("places looked at");
    }
    const int why = errno;
    locks_close(table, fd);
    errno = why;
    return status;
}

bool processes_open(struct processes *table, const struct ring *ring, int fd, const char *path) {
    struct stat status;
    pthread_once(&registry_once, watch_forks);
    *table = (struct processes){.ring = ring, .fd = -1};
    if (fd != NO_FILE) {
        if (fstat(fd, &status)) return false;
        table->device = status.st_dev;
        table->inode = status.st_ino;
        table->named = status.st_nlink > 0;
    }
    if (path && strlen(path) < sizeof table->path) strcpy(table->path, path);
    struct own_page *page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return false;
    const bool is_wiped = !madvise(page, PAGE_BYTES, MADV_WIPEONFORK); /* Linux 4.14 */
    const int own_fd = is_wiped && fd != NO_FILE ? fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1) : -1;
    if (!is_wiped || (fd != NO_FILE && own_fd < 0)) {
        munmap(page, PAGE_BYTES);
        return false;
    }
    store_relaxed(&table->fd, own_fd);
    page->inherits = true;
    table->own = page;
    pthread_mutex_lock(&locks_mutex);
    remember(table);
    pthread_mutex_unlock(&locks_mutex);
    return true;
}

/* Another table of this process in the same segment: the one that shares `owner`, or for 0 any that has entered. */
static struct processes *sibling_of(const struct processes *table, uint32_t owner) {
    for (struct processes *other = registry.next; other != &registry; other = other->next)
        if (other != table && table->inode && other->device == table->device && other->inode == table->inode &&
            processes_owner(other) && (!owner || processes_owner(other) == owner))
            return other;
    return NULL;
}

static bool join_locked(struct processes *table) {
    const struct processes *sibling = processes_owner(table) ? NULL : sibling_of(table, 0);
    if (sibling) store_release(&table->own->owner, processes_owner(sibling)); /* take_place:own, passed on */
    return sibling;
}

bool processes_join(struct processes *table) {
    pthread_mutex_lock(&locks_mutex);
    const bool joined = join_locked(table);
    pthread_mutex_unlock(&locks_mutex);
    return joined;
}

enum enter_status processes_enter(struct processes *table, const struct identity *identity) {
    pthread_mutex_lock(&locks_mutex);
    enum enter_status status = enter_locked(table, identity);
    pthread_mutex_unlock(&locks_mutex);
    return status;
}

enum enter_status processes_join_or_enter(struct processes *table, const struct identity *identity) {
    pthread_mutex_lock(&locks_mutex);
    enum enter_status status = join_locked(table) ? ENTER_OK : enter_locked(table, identity);
    pthread_mutex_unlock(&locks_mutex);
    return status;
}

/* Leave our spare cell to another table of this process that has none, or in the place, for whoever enters it next. */
static void leave_spare(struct processes *table, struct place *place, struct processes *sibling) {
    const uint32_t spare = load_relaxed(&table->own->spare_cell);
    store_relaxed(&table->own->spare_cell, 0);
    if (!spare) return;
    if (sibling && !load_relaxed(&sibling->own->spare_cell)) store_relaxed(&sibling->own->spare_cell, spare);
    else store_relaxed(&place->spare_cell, spare);
}

static void leave_locked(struct processes *table) {
    if (table->claims.leave) table->claims.leave(table->claims.context);
    const uint32_t owner = processes_owner(table);
    struct processes *sibling = owner ? sibling_of(table, owner) : NULL;
    struct place *place = processes_place(table->ring, owner_place(owner));
    if (owner) leave_spare(table, place, sibling);
    if (sibling) { /* [7] it goes on with the place, and with its lock */
        if (table->own->place_lock) sibling->own->place_lock = table->own->place_lock;
        table->own->place_lock = NULL;
    } else if (owner) {
        store_release(&place->word, freed(load_relaxed(&place->word))); /* processes_leave:free */
        POINT("left");
    }
    store_relaxed(&table->own->owner, 0);
    locks_let_go(&table->own->place_lock);
}

void processes_leave(struct processes *table) {
    pthread_mutex_lock(&locks_mutex);
    leave_locked(table);
    pthread_mutex_unlock(&locks_mutex);
}

void processes_leave_all(void) {
    pthread_mutex_lock(&locks_mutex);
    /* Whoever is in the middle of an append ends as if it were killed: others settle what it had claimed. */
    for (struct processes *table = registry.next; table != &registry; table = table->next)
        if (!load_acquire(&table->own->appending)) leave_locked(table);
    pthread_mutex_unlock(&locks_mutex);
}

void processes_close(struct processes *table) {
    pthread_mutex_lock(&locks_mutex);
    leave_locked(table);
    locks_let_go(&table->own->coordinator_lock);
    forget(table);
    munmap(table->own, PAGE_BYTES);
    table->own = &nobody;
    locks_close(table, load_relaxed(&table->fd));
    pthread_mutex_unlock(&locks_mutex);
}

bool processes_reap(const struct processes *table, uint32_t index, uint64_t *pid, uint64_t *voided,
                    uint64_t *released) {
    struct place *place = processes_place(table->ring, index);
    if (place_state(load_acquire(&place->word)) == PLACE_FREE || processes_is_locked(table, index)) return false;
    pthread_mutex_lock(&locks_mutex); /* no fork between opening and keeping: a child would keep the byte */
    struct reap reap = {.lock = locks_hold(table, FIRST_REPAIR_LOCK + index)};
    if (reap.lock) begin_reap(&reap);
    pthread_mutex_unlock(&locks_mutex);
    if (!reap.lock) return false;
    uint64_t word = load_acquire(&place->word); /* [4] */
    bool reaped = place_state(word) != PLACE_FREE && !processes_is_locked(table, index);
    if (reaped) {
        *pid = load_relaxed(&place->pid);
        sweep(table, place_owner(index, word), voided, released);
        POINT("reap swept");
        store_release(&place->word, freed(word)); /* processes_reap:free */
    }
    pthread_mutex_lock(&locks_mutex);
    end_reap(&reap);
    pthread_mutex_unlock(&locks_mutex);
    return reaped;
}

/* ---- coordinator ------------------------------------------------------------------------------------------------- */

bool processes_lock_coordinator(struct processes *table) {
    pthread_mutex_lock(&locks_mutex);
    void *lock = locks_hold(table, COORDINATOR_LOCK);
    if (lock) table->own->coordinator_lock = lock;
    pthread_mutex_unlock(&locks_mutex);
    return lock;
}

void processes_unlock_coordinator(struct processes *table) {
    pthread_mutex_lock(&locks_mutex);
    locks_let_go(&table->own->coordinator_lock);
    pthread_mutex_unlock(&locks_mutex);
}

bool processes_coordinator_alive(const struct processes *table) { return locks_ask(table, COORDINATOR_LOCK); }
