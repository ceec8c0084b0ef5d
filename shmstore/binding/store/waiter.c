/* Sleeping until there is news, and descriptors; see waiter.h. */
#include "binding/store/waiter.h"

#include <errno.h>

int64_t monotonic_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* What waiter_await does for callers that wait, for those that poll a descriptor: the removal of the name counts as
 * news. */
static enum news look_for_watch(const void *context) {
    const struct waiter *waiter = context;
    const enum news news = waiter->look(waiter->owner);
    return news == NEWS_NONE && handle_is_unlinked(&waiter->store->handle) ? NEWS_SOME : news;
}

void waiter_open(struct waiter *waiter, Store *store, const void *owner, enum news (*look)(const void *),
                 bool (*has_pending)(const void *)) {
    waiter->store = store;
    waiter->owner = owner;
    waiter->look = look;
    waiter->has_pending = has_pending;
    waiter->watched = (struct watched){.look = look_for_watch, .context = waiter, .far.fd = -1, .near.fd = -1};
}

/* ---- sleeping ------------------------------------------------------------------------------------------------------- */

static enum news look(const struct waiter *waiter) {
    return waiter->has_pending(waiter->owner) ? NEWS_SOME : waiter->look(waiter->owner);
}

static enum news look_or_end(const void *context) {
    const struct waiter *waiter = context;
    return load_relaxed(&waiter->closed) || waiter->store->closed ? NEWS_SOME : look(waiter);
}

/* Sleep until news may have come, at most `limit_ns` (< 0: no limit). Needs no GIL. */
static void sleep_for_news(const struct waiter *waiter, int64_t limit_ns) {
    struct handle *handle = &waiter->store->handle;
    if (handle->ring.writable) {
        wait_for_news(&handle->board->news, handle->barriers, look_or_end, waiter, limit_ns);
        return;
    }
    const int64_t nap = limit_ns >= 0 && limit_ns < WATCH_POLL_NS ? limit_ns : WATCH_POLL_NS;
    nanosleep(&(struct timespec){.tv_nsec = nap}, NULL);
}

int waiter_await(struct waiter *waiter, int64_t timeout_ns) {
    Store *store = waiter->store;
    int64_t deadline = timeout_ns < 0 ? -1 : monotonic_ns() + timeout_ns;
    for (;;) {
        if (check_open(store)) return -1;
        enum news news = look(waiter);
        if (news == NEWS_SOME) return 1;
        if (news == NEWS_NONE && handle_is_unlinked(&store->handle) && look(waiter) == NEWS_NONE) {
            raise_error(store->state, ERROR_STORE_UNLINKED,
                        "the store's name was removed and everything in it was read: nothing more will come");
            return -1;
        }
        if (load_relaxed(&waiter->closed)) return 0;
        int64_t left = deadline < 0 ? -1 : deadline - monotonic_ns();
        if (deadline >= 0 && left <= 0) return 0;
        Py_BEGIN_ALLOW_THREADS;
        sleep_for_news(waiter, left);
        Py_END_ALLOW_THREADS;
        if (PyErr_CheckSignals()) return -1;
    }
}

/* ---- a descriptor --------------------------------------------------------------------------------------------------- */

void waiter_settle(struct waiter *waiter) {
    if (waiter->watched.far.fd < 0 || load_relaxed(&waiter->closed)) return;
    watch_settle(waiter->store->watch, &waiter->watched, waiter->has_pending(waiter->owner));
}

PyObject *waiter_fileno(struct waiter *waiter) {
    Store *store = waiter->store;
    int fd = -1;
    BEGIN_EXCLUSIVE(store);
    if (!store->watch) {
        store->watch = PyMem_Malloc(sizeof *store->watch);
        if (store->watch)
            watch_open(store->watch, &store->handle.board->news, store->handle.ring.writable, store->handle.barriers);
        else errno = ENOMEM;
    }
    if (store->watch) fd = watch_descriptor(store->watch, &waiter->watched);
    END_EXCLUSIVE();
    if (fd < 0) return raise_system_error(store->state, "a descriptor to wait on");
    waiter_settle(waiter);
    return PyLong_FromLong(fd);
}

/* ---- the end -------------------------------------------------------------------------------------------------------- */

void waiter_close(struct waiter *waiter) {
    Store *store = waiter->store;
    if (load_relaxed(&waiter->closed)) return;
    store_relaxed(&waiter->closed, 1);
    BEGIN_EXCLUSIVE(store);
    if (store->watch) watch_end(store->watch, &waiter->watched);
    END_EXCLUSIVE();
    if (!store->closed && store->handle.ring.writable) wait_wake(&store->handle.board->news);
}

void waiter_drop(struct waiter *waiter) {
    if (waiter->store && waiter->store->watch)
        watch_drop(waiter->store->watch, &waiter->watched); /* also if its pipe was never made */
}
