/* The thread that sleeps for whoever polls; see watch.h. */
#define _GNU_SOURCE
#include "core/waiting/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { STACK_BYTES = 128 << 10 };

/* ---- pipes -------------------------------------------------------------------------------------------------------- */

static bool is_ours(const struct pipe_end *end) {
    struct stat found;
    return end->fd >= 0 && !fstat(end->fd, &found) && found.st_dev == end->device && found.st_ino == end->inode;
}

static void close_end(struct pipe_end *end) {
    if (is_ours(end)) close(end->fd);
    end->fd = -1;
}

/* Put a new end where the old one is, if that is still ours: whoever polls that number goes on with it. */
static bool replace_end(struct pipe_end *end, int fd) {
    struct stat found;
    if (is_ours(end)) {
        const int moved = dup3(fd, end->fd, O_CLOEXEC);
        close(fd);
        if (moved < 0) return false;
        fd = moved;
    }
    if (fstat(fd, &found)) {
        close(fd);
        end->fd = -1;
        return false;
    }
    *end = (struct pipe_end){fd, found.st_dev, found.st_ino};
    return true;
}

/* Never one of the standard descriptors: a program that has closed one may still write to it, and that must not be news. */
static int moved_up(int fd) {
    if (fd > STDERR_FILENO) return fd;
    const int above = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    close(fd);
    return above;
}

static bool make_pipe(struct watched *watched) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK)) return false;
    watched->told = false;
    watched->pid = getpid();
    const bool far = replace_end(&watched->far, moved_up(ends[0])),
               near = replace_end(&watched->near, moved_up(ends[1]));
    return far && near;
}

/* Not when the other end was closed: nobody would read it, and the write may end the process (SIGPIPE). */
static void tell(struct watched *watched) {
    if (watched->told || watched->pid != getpid() || !is_ours(&watched->near) || !is_ours(&watched->far)) return;
    watched->told = write(watched->near.fd, "", 1) == 1;
}

static void untell(struct watched *watched) {
    char byte;
    if (!watched->told || watched->pid != getpid() || !is_ours(&watched->far)) return;
    watched->told = read(watched->far.fd, &byte, 1) != 1;
}

/* ---- the thread --------------------------------------------------------------------------------------------------- */

static void sleep_until_called(struct watch *watch, uint32_t calls, const struct timespec *most) {
    syscall(SYS_futex, &watch->calls, FUTEX_WAIT_PRIVATE, calls, most, NULL, 0);
}

static void call(struct watch *watch) {
    add_relaxed(&watch->calls, 1);
    syscall(SYS_futex, &watch->calls, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    if (watch->sleeps) wait_wake(watch->news);
}

/* Tell all that have news. NEWS_SOME: all are told; else what is known of the others: NEWS_HELD if it is so of any. */
static enum news tell_all(const struct watch *watch) {
    enum news left = NEWS_SOME;
    for (struct watched *watched = watch->first; watched; watched = watched->next) {
        if (watched->told || watched->near.fd < 0) continue;
        const enum news news = load_relaxed(watch->news) & NEWS_UNLINKED ? NEWS_SOME : watched->look(watched->context);
        if (news == NEWS_SOME) tell(watched);
        else if (left != NEWS_HELD) left = news;
    }
    return left;
}

static bool has_untold(const struct watch *watch) {
    for (const struct watched *watched = watch->first; watched; watched = watched->next)
        if (!watched->told && watched->near.fd >= 0) return true;
    return false;
}

static void *watch_all(void *argument) {
    struct watch *watch = argument;
    prctl(PR_SET_NAME, "shmstore watch", 0, 0, 0);
    pthread_mutex_lock(&watch->lock);
    while (!watch->stops) {
        const uint32_t calls = load_relaxed(&watch->calls);
        uint32_t kept = 0;
        enum news left = NEWS_SOME;
        if (has_untold(watch)) {
            if (watch->writable) kept = wait_announce(watch->news, watch->barriers);
            left = tell_all(watch);
        }
        watch->sleeps = left != NEWS_SOME && watch->writable;
        pthread_mutex_unlock(&watch->lock);
        if (left == NEWS_SOME) sleep_until_called(watch, calls, NULL);
        else if (!watch->writable) sleep_until_called(watch, calls, &(struct timespec){.tv_nsec = WATCH_POLL_NS});
        else /* a held slot may be decided by its owner's death, which wakes nobody */
            wait_sleep(watch->news, kept, left == NEWS_HELD || !watch->barriers ? WAIT_NAP_NS : WAIT_LONGEST_NS);
        pthread_mutex_lock(&watch->lock);
        watch->sleeps = false;
    }
    pthread_mutex_unlock(&watch->lock);
    return NULL;
}

static bool start(struct watch *watch) {
    if (watch->runs) return true;
    pthread_attr_t attributes;
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the program's own threads */
    watch->stops = false;
    const int error = pthread_create(&watch->thread, &attributes, watch_all, watch);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    errno = error;
    watch->runs = !error;
    return watch->runs;
}

/* Called with the lock held, which it gives up. */
static void stop_and_unlock(struct watch *watch) {
    const bool runs = watch->runs;
    watch->stops = true;
    watch->runs = false;
    if (runs) call(watch);
    pthread_mutex_unlock(&watch->lock);
    if (runs) pthread_join(watch->thread, NULL);
}

/* ---- joining and leaving ------------------------------------------------------------------------------------------ */

/* Take the lock. In a forked child all begins anew, without the thread; the lock may have been held by another thread. */
static void enter(struct watch *watch) {
    const pid_t pid = getpid();
    if (watch->pid != pid) {
        watch->pid = pid;
        watch->runs = watch->sleeps = false;
        pthread_mutex_init(&watch->lock, NULL);
    }
    pthread_mutex_lock(&watch->lock);
}

static struct watched **find(struct watch *watch, const struct watched *watched) {
    struct watched **at = &watch->first;
    while (*at && *at != watched) at = &(*at)->next;
    return at;
}

void watch_open(struct watch *watch, atomic_u32 *news, bool writable, bool barriers) {
    *watch = (struct watch){.pid = getpid(), .news = news, .writable = writable, .barriers = barriers};
    pthread_mutex_init(&watch->lock, NULL);
}

int watch_descriptor(struct watch *watch, struct watched *watched) {
    enter(watch);
    struct watched **at = find(watch, watched);
    if (!*at) {
        watched->told = false;
        watched->next = NULL;
        *at = watched;
    }
    bool made = true;
    for (struct watched *each = watch->first; each; each = each->next)
        if (each->far.fd >= 0 && each->pid != watch->pid) made = make_pipe(each) && made; /* it is the parent's */
    if (!is_ours(&watched->far) || !is_ours(&watched->near)) made = make_pipe(watched);
    made = made && start(watch);
    const int error = errno;
    if (made && !watch->sleeps) call(watch); /* it may sleep since all others were told */
    pthread_mutex_unlock(&watch->lock);
    errno = error;
    return made ? watched->far.fd : -1;
}

void watch_settle(struct watch *watch, struct watched *watched, bool pending) {
    if (watched->far.fd < 0 || watch->pid != getpid()) return;
    pthread_mutex_lock(&watch->lock);
    if (pending || load_relaxed(watch->news) & NEWS_UNLINKED || watched->look(watched->context) == NEWS_SOME) {
        tell(watched);
    } else {
        if (watched->told) untell(watched);
        if (!watch->sleeps) call(watch); /* on the news word it sleeps for this one too: see wait.h [1] */
    }
    pthread_mutex_unlock(&watch->lock);
}

void watch_end(struct watch *watch, struct watched *watched) {
    enter(watch);
    struct watched **at = find(watch, watched);
    if (*at) {
        *at = watched->next;
        tell(watched);
    }
    if (watch->first || !watch->runs) pthread_mutex_unlock(&watch->lock);
    else stop_and_unlock(watch);
}

void watch_drop(struct watch *watch, struct watched *watched) {
    watch_end(watch, watched);
    close_end(&watched->far);
    close_end(&watched->near);
}

void watch_close(struct watch *watch) {
    enter(watch);
    for (struct watched *watched = watch->first; watched; watched = watched->next) tell(watched);
    watch->first = NULL;
    stop_and_unlock(watch);
}
