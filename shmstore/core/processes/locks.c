/* Byte locks: opened, asked and kept; see locks.h. Numbers in brackets are the sentences of process.h. */
#define _GNU_SOURCE
#include "core/processes/locks.h"

#include "core/base/point.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

pthread_mutex_t locks_mutex = PTHREAD_MUTEX_INITIALIZER;

void locks_let_go(void **lock) {
    if (*lock) munmap(*lock, PAGE_BYTES);
    *lock = NULL;
}

/* ---- descriptors, which the program may close or reuse at any time [6] --------------------------------------------- */

bool locks_look_at(const struct processes *table, int fd, struct stat *status) {
    return !fstat(fd, status) && status->st_dev == table->device && status->st_ino == table->inode;
}

static bool is_ours(const struct processes *table, int fd) {
    struct stat status;
    return locks_look_at(table, fd, &status);
}

/* Whatever the number has become, only the segment's file is closed. */
void locks_close(const struct processes *table, int fd) {
    if (is_ours(table, fd)) close(fd);
}

/* Never one of the standard descriptors, not even where the program has closed those: what it, or a library, then says on its
 * output would be written over the segment. */
static int open_above(const char *path, int flags) {
    int other, held[STDERR_FILENO + 1], count = 0;
    while ((other = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0 && other <= STDERR_FILENO)
        held[count++] = other;
    if (other >= 0) close(other);
    const int fd = open(path, flags), why = errno;
    while (count) close(held[--count]);
    errno = why;
    return fd;
}

static int open_path(const struct processes *table, const char *path, int flags) {
    int fd = open_above(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || is_ours(table, fd)) return fd;
    close(fd);
    errno = ENOENT;
    return -1;
}

/* Open the segment's file anew. It works without its name as long as we have a descriptor, and without our descriptor, or
 * without /proc, as long as it has its name. */
int locks_open(const struct processes *table, int flags) {
    const int known = load_relaxed(&table->fd);
    if (is_ours(table, known)) {
        char link[40];
        snprintf(link, sizeof link, "/proc/self/fd/%d", known);
        int fd = open_path(table, link, flags);
        if (fd >= 0 || !*table->path) return fd;
    }
    errno = EBADF;
    return *table->path ? open_path(table, table->path, flags) : -1;
}

/* ---- byte locks --------------------------------------------------------------------------------------------------- */

bool locks_set(int fd, off_t byte, short type) {
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    int result;
    do result = fcntl(fd, F_OFD_SETLK, &lock);
    while (result && errno == EINTR);
    return !result;
}

enum answer { UNLOCKED, LOCKED, NO_ANSWER };

static enum answer ask(int fd, off_t byte) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    if (fcntl(fd, F_OFD_GETLK, &lock)) return NO_ANSWER;
    return lock.l_type == F_UNLCK ? UNLOCKED : LOCKED;
}

bool locks_held_by_another(int error) { return error == EAGAIN || error == EACCES; }

/* A question that cannot be asked is answered "yes": nobody is declared dead by mistake. */
bool locks_ask(const struct processes *table, off_t byte) {
    for (int tries = 0; tries < 2; tries++) {
        const int fd = load_relaxed(&table->fd);
        if (is_ours(table, fd)) { /* what another file says of its locks is no answer */
            if (ask(fd, byte) != UNLOCKED) return true;
            if (is_ours(table, fd)) return false;
        }
        pthread_mutex_lock(&locks_mutex);
        if (load_relaxed(&table->fd) == fd) {
            const int anew = locks_open(table, O_RDONLY);
            if (anew >= 0)
                store_relaxed(&((struct processes *)(uintptr_t)table)->fd, anew); /* how we ask, not what is so */
        }
        pthread_mutex_unlock(&locks_mutex);
    }
    return true;
}

/* Have the lock of a description kept by a mapping, and close its descriptor. NULL (errno) when that cannot be done. */
void *locks_keep(const struct processes *table, int fd) {
    void *lock = mmap(NULL, PAGE_BYTES, PROT_NONE, MAP_SHARED, fd, 0);
    if (lock == MAP_FAILED) lock = NULL;
    else if (madvise(lock, PAGE_BYTES, MADV_DONTFORK) || !is_ours(table, fd)) {
        locks_let_go(&lock);
        errno = EBADF;
    }
    return lock;
}

/* Lock a byte; NULL when another process or another table of this one holds it (errno EAGAIN), or on failure. */
void *locks_hold(const struct processes *table, off_t byte) {
    int fd = locks_open(table, O_RDWR);
    if (fd < 0) return NULL;
    const bool locked = locks_set(fd, byte, F_WRLCK);
    POINT("byte locked");
    void *lock = locked ? locks_keep(table, fd) : NULL;
    const int why = locked || !locks_held_by_another(errno) ? errno : EAGAIN;
    locks_close(table, fd);
    errno = why;
    return lock;
}
