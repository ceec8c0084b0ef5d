/* Telling of news by a descriptor, for whoever waits for many things at once: poll, an event loop, green threads.
 *
 * A futex cannot be polled. So one thread of this process sleeps on the news word in place of all that watch a store through
 * one handle, and makes the pipe of each that has news readable. Whoever is told is not looked at again before it settles,
 * and when all are told, the thread sleeps on a private word: then the writers of a busy store need not wake it.
 *
 * The pipes belong to the process: a forked child makes its own when it asks for the descriptor. Before a byte is written
 * or taken it is made sure that the descriptor still is our pipe, for programs close and reuse descriptors. */
#ifndef SHMSTORE_WATCH_H
#define SHMSTORE_WATCH_H

#include "core/waiting/wait.h"

#include <pthread.h>
#include <sys/types.h>

struct pipe_end {
    int fd; /* -1: none */
    dev_t device;
    ino_t inode;
};

/* One who watches; its memory is the caller's. */
struct watched {
    enum news (*look)(const void *context); /* called by any thread */
    const void *context;
    struct pipe_end far, near; /* read from, written to */
    pid_t pid;                 /* of the process that made the pipe */
    bool told;                 /* the pipe is readable */
    struct watched *next;
};

struct watch {
    pthread_mutex_t lock;
    pthread_t thread;
    pid_t pid; /* of the process in which all this is */
    bool runs, stops, sleeps /* on the news word */;
    atomic_u32 calls; /* the private word: raised to end the sleep on it */
    atomic_u32 *news;
    bool writable, barriers; /* a store attached for reading cannot announce a waiter: it is looked at every 2 ms */
    struct watched *first;
};

#define WATCH_POLL_NS INT64_C(2000000)

void watch_open(struct watch *watch, atomic_u32 *news, bool writable, bool barriers);

/* Let `watched` join, and return its descriptor, which is made anew when it is not ours any more. -1: errno says why. */
int watch_descriptor(struct watch *watch, struct watched *watched);

/* Make the pipe readable if `pending` or the look finds news, else not readable until there is some. */
void watch_settle(struct watch *watch, struct watched *watched, bool pending);

/* Tell it for good: it looks no more. Its pipe stays open until watch_drop. */
void watch_end(struct watch *watch, struct watched *watched);

/* End it if it has not ended, and close its pipe. */
void watch_drop(struct watch *watch, struct watched *watched);

/* End all, for good: the shared bytes are not looked at any more. */
void watch_close(struct watch *watch);

#endif
