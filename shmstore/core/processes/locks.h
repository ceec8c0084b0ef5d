/* Byte locks of a segment's file, which the kernel drops when a process dies: kept by mappings, which no program closes by
 * mistake, and asked through a descriptor that it may close or reuse at any time. The parts of process.c share them. */
#ifndef SHMSTORE_LOCKS_H
#define SHMSTORE_LOCKS_H

#include <pthread.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "core/processes/process.h"

enum { PAGE_BYTES = 4096 }; /* where pages are larger, Linux takes one of those */

/* Held while a lock is opened and not kept yet, and by a fork: so no child inherits one by its descriptor. */
extern pthread_mutex_t locks_mutex;

/* The status of a descriptor; false unless it is of the segment's file. */
bool locks_look_at(const struct processes *table, int fd, struct stat *status);
/* Open the segment's file anew; -1 (errno). */
int locks_open(const struct processes *table, int flags);
/* Whatever the number has become, only the segment's file is closed. */
void locks_close(const struct processes *table, int fd);
/* Set or drop the lock of one byte through an open description; false (errno). */
bool locks_set(int fd, off_t byte, short type);
/* Does this error of `locks_set` say that somebody else holds the byte? */
bool locks_held_by_another(int error);
/* Is a byte locked by anybody? */
bool locks_ask(const struct processes *table, off_t byte);
/* Have the locks of a description kept by a mapping. NULL (errno) when that cannot be done. */
void *locks_keep(const struct processes *table, int fd);
/* Lock a byte and keep it; NULL when another process or another table of this one holds it (errno EAGAIN), or on failure. */
void *locks_hold(const struct processes *table, off_t byte);
/* Drop what a mapping keeps. */
void locks_let_go(void **lock);

#endif
