/* Byte locks, places and owners; numbers in brackets are the sentences of process.h. */
#define _GNU_SOURCE
#include "process.h"

#include "point.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Lock numbers: far beyond any segment's end, so they can never meet a lock on its bytes. */
#define FIRST_LOCK ((off_t)1 << 60)
#define COORDINATOR_LOCK (FIRST_LOCK + MAX_PROCESSES)

/* ---- byte locks that a forked child drops [5] --------------------------------------------------------------------- */

static pthread_mutex_t registry_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t registry_once = PTHREAD_ONCE_INIT;
static struct held_lock registry = {.fd = -1, .next = &registry, .previous = &registry};

static void remember(struct held_lock *lock) {
    lock->next = registry.next;
    lock->previous = &registry;
    registry.next->previous = lock;
    registry.next = lock;
}

static void forget(struct held_lock *lock) {
    if (!lock->next) return;
    lock->next->previous = lock->previous;
    lock->previous->next = lock->next;
    lock->next = lock->previous = NULL;
}

static void before_fork(void) { pthread_mutex_lock(&registry_mutex); }
static void after_fork_in_parent(void) { pthread_mutex_unlock(&registry_mutex); }
static void clear_own_page(struct own_page *own) {
    store_relaxed(&own->owner, 0);
    store_relaxed(&own->life, 0);
    store_relaxed(&own->spare_cell, 0);
    store_relaxed(&own->appending, 0);
}
static void after_fork_in_child(void) {
    while (registry.next != &registry) {
        struct held_lock *lock = registry.next;
        if (lock->fd >= 0) close(lock->fd); /* never unlock: the parent's lock is the same */
        lock->fd = -1;
        if (lock->own) clear_own_page(lock->own); /* some emulators do not wipe it */
        forget(lock); /* it may lie on the stack of a thread that the child does not have */
    }
    pthread_mutex_unlock(&registry_mutex);
}
static void watch_forks(void) { pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child); }

/* A descriptor of its own for the segment's file, also when its name is gone. */
static int reopen(int fd) {
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_RDWR | O_CLOEXEC);
}

static bool lock_byte(int fd, off_t byte) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    int result;
    do result = fcntl(fd, F_OFD_SETLK, &lock);
    while (result && errno == EINTR);
    return !result;
}

static bool byte_is_locked(int fd, off_t byte) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    /* A question that cannot be asked is answered "yes": nobody is declared dead by mistake. */
    return fcntl(fd, F_OFD_GETLK, &lock) || lock.l_type != F_UNLCK;
}

/* Lock a byte through a descriptor of its own; false when another process or another place of this one holds it. */
static bool hold(const struct processes *table, off_t byte, struct held_lock *lock) {
    *lock = (struct held_lock){.fd = -1};
    pthread_mutex_lock(&registry_mutex); /* no fork between opening and remembering */
    int fd = reopen(table->fd);
    if (fd >= 0 && lock_byte(fd, byte)) {
        lock->fd = fd;
        remember(lock);
    } else if (fd >= 0) {
        close(fd);
        errno = EAGAIN;
    }
    pthread_mutex_unlock(&registry_mutex);
    return lock->fd >= 0;
}

void processes_unlock(struct held_lock *lock) {
    pthread_mutex_lock(&registry_mutex);
    forget(lock);
    if (lock->fd >= 0) close(lock->fd);
    lock->fd = -1;
    pthread_mutex_unlock(&registry_mutex);
}

/* What a table that was closed has for its own page. */
static struct own_page nobody;

/* ---- places ------------------------------------------------------------------------------------------------------ */

static uint64_t place_word(uint64_t generation, enum place_state state) { return generation << 8 | (uint64_t)state; }
static enum place_state word_place_state(uint64_t word) { return (enum place_state)(word & 0xff); }
static uint32_t owner_of(uint32_t index, uint64_t word) { return (uint32_t)(word >> 8 & 0x1ff) << 12 | index; }

bool processes_is_locked(const struct processes *table, uint32_t index) {
    return byte_is_locked(table->fd, FIRST_LOCK + index);
}

bool processes_is_dead(void *context, uint32_t owner) {
    const struct processes *table = context;
    uint32_t index = owner & 0xfff;
    if (index >= table->ring->geometry->options.processes) return true; /* nobody can have written that */
    uint64_t word =
        load_acquire(&processes_place(table->ring, index)->word); /* processes_is_dead:word, before the lock [3] */
    if (word_place_state(word) == PLACE_FREE || owner_of(index, word) != owner) return true;
    return !processes_is_locked(table, index);
}

/* [2] We hold the lock of this place: settle what its last holder left, and make it ours. */
static void take_place(struct processes *table, uint32_t index, const struct identity *identity) {
    struct place *place = processes_place(table->ring, index);
    uint64_t word = load_acquire(&place->word), voided, released;
    if (word_place_state(word) == PLACE_USED) ring_sweep(table->ring, owner_of(index, word), &voided, &released);
    POINT("place swept");
    uint64_t generation = (word >> 8) + 1;
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
    word = place_word(generation, PLACE_USED);
    store_release(&place->word, word); /* take_place:used */
    POINT("entered");
    store_release(&table->own->owner, owner_of(index, word) | OWNER_ENTERED); /* take_place:own */
}

static enum enter_status enter_locked(struct processes *table, const struct identity *identity) {
    if (processes_owner(table)) return ENTER_OK;
    if (table->place.fd >= 0) close(table->place.fd); /* inherited through a fork that ran no handlers */
    table->place.fd = -1;
    int fd = reopen(table->fd);
    if (fd < 0) return ENTER_FAILED;
    uint32_t count = table->ring->geometry->options.processes;
    for (int pass = 0; pass < 2; pass++) /* free places first; then those whose holder died */
        for (uint32_t index = 0; index < count; index++) {
            uint64_t word = load_acquire(&processes_place(table->ring, index)->word);
            if ((word_place_state(word) == PLACE_FREE) != (pass == 0)) continue;
            if (!lock_byte(fd, FIRST_LOCK + index)) {
                if (errno == EAGAIN || errno == EACCES) continue; /* somebody else's */
                int why = errno; /* there are no such locks here */
                close(fd);
                errno = why;
                return ENTER_FAILED;
            }
            table->place.fd = fd;
            if (!table->place.next) remember(&table->place);
            take_place(table, index, identity);
            return ENTER_OK;
        }
    close(fd);
    return ENTER_FULL;
}

bool processes_open(struct processes *table, const struct ring *ring, int fd) {
    pthread_once(&registry_once, watch_forks);
    *table = (struct processes){.ring = ring, .fd = fcntl(fd, F_DUPFD_CLOEXEC, 0), .place.fd = -1};
    if (table->fd < 0) return false;
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        close(table->fd);
        return false;
    }
    table->own = page;
    table->place.own = page;
    if (!madvise(page, 4096, MADV_WIPEONFORK)) return true; /* Linux 4.14 */
    munmap(page, 4096);
    close(table->fd);
    return false;
}

enum enter_status processes_enter(struct processes *table, const struct identity *identity) {
    pthread_mutex_lock(&registry_mutex);
    enum enter_status status = enter_locked(table, identity);
    pthread_mutex_unlock(&registry_mutex);
    return status;
}

static void leave_locked(struct processes *table) {
    uint32_t owner = processes_owner(table);
    if (owner && table->place.fd >= 0) {
        struct place *place = processes_place(table->ring, owner & 0xfff);
        store_release(&place->word, place_word(load_relaxed(&place->word) >> 8, PLACE_FREE)); /* processes_leave:free */
        POINT("left");
    }
    store_relaxed(&table->own->owner, 0);
    if (table->place.fd >= 0) close(table->place.fd);
    table->place.fd = -1;
    forget(&table->place);
}

void processes_leave(struct processes *table) {
    pthread_mutex_lock(&registry_mutex);
    leave_locked(table);
    pthread_mutex_unlock(&registry_mutex);
}

void processes_leave_all(void) {
    pthread_mutex_lock(&registry_mutex);
    for (struct held_lock *lock = registry.next, *next; lock != &registry; lock = next) {
        next = lock->next;
        /* Whoever is in the middle of an append ends as if it were killed: others settle what it had claimed. */
        if (lock->own && !load_acquire(&lock->own->appending))
            leave_locked((struct processes *)(void *)((char *)lock - offsetof(struct processes, place)));
    }
    pthread_mutex_unlock(&registry_mutex);
}

void processes_close(struct processes *table) {
    processes_leave(table);
    munmap(table->own, 4096);
    table->own = &nobody;
    close(table->fd);
}

bool processes_reap(const struct processes *table, uint32_t index, uint64_t *pid, uint64_t *voided,
                    uint64_t *released) {
    struct place *place = processes_place(table->ring, index);
    struct held_lock lock;
    if (word_place_state(load_acquire(&place->word)) == PLACE_FREE || processes_is_locked(table, index) ||
        !hold(table, FIRST_LOCK + index, &lock))
        return false;
    uint64_t word = load_acquire(&place->word); /* [4] */
    bool reaped = word_place_state(word) != PLACE_FREE;
    if (reaped) {
        *pid = load_relaxed(&place->pid);
        ring_sweep(table->ring, owner_of(index, word), voided, released);
        POINT("reap swept");
        store_release(&place->word, place_word(word >> 8, PLACE_FREE)); /* processes_reap:free */
    }
    processes_unlock(&lock);
    return reaped;
}

/* ---- coordinator ------------------------------------------------------------------------------------------------- */

bool processes_lock_coordinator(const struct processes *table, struct held_lock *lock) {
    return hold(table, COORDINATOR_LOCK, lock);
}

bool processes_coordinator_alive(const struct processes *table) { return byte_is_locked(table->fd, COORDINATOR_LOCK); }
