/* Telling of news by a descriptor: joining and leaving while the thread sleeps. */
#define _GNU_SOURCE /* for nanosleep */

#include "harness.h"

#include "core/waiting/watch.h"

#include <poll.h>
#include <time.h>

enum { SHORT_MS = 30, LONG_MS = 2000 };

/* What a watcher looks at. */
static _Atomic enum news standing[2];

static enum news look_at(const void *context) {
    const _Atomic enum news *news = context;
    return load_acquire(news);
}

static bool is_told(int fd, int timeout_ms) {
    return poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, timeout_ms) == 1;
}

static struct watched watcher(int number) {
    return (struct watched){.look = look_at, .context = &standing[number], .far.fd = -1, .near.fd = -1};
}

CASE(whoever_joins_while_all_others_are_told_is_told_too) {
    static atomic_u32 news;
    static struct watch watch;
    struct watched first = watcher(0), second = watcher(1);
    watch_open(&watch, &news, true, false);
    store_release(&standing[0], NEWS_SOME);
    expect(is_told(watch_descriptor(&watch, &first), LONG_MS));
    nanosleep(&(struct timespec){.tv_nsec = SHORT_MS * 1000000}, NULL); /* the thread sleeps until it is called */
    const int fd = watch_descriptor(&watch, &second);
    expect(!is_told(fd, SHORT_MS));
    store_release(&standing[1], NEWS_SOME);
    wait_notify(&news);
    expect(is_told(fd, LONG_MS));
    watch_close(&watch);
}

CASE(whoever_has_settled_is_told_of_the_next_news) {
    static atomic_u32 news;
    static struct watch watch;
    struct watched only = watcher(0);
    watch_open(&watch, &news, true, false);
    const int fd = watch_descriptor(&watch, &only);
    for (int round = 0; round < 20; round++) {
        expect(!is_told(fd, 0));
        store_release(&standing[0], NEWS_SOME);
        wait_notify(&news);
        expect(is_told(fd, LONG_MS));
        store_release(&standing[0], NEWS_NONE);
        watch_settle(&watch, &only, false);
    }
    watch_drop(&watch, &only);
    expect(!watch.runs);
    watch_close(&watch);
}
