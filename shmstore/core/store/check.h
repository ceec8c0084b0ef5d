/* The invariants of a segment, executable: for tests, for `shmstore-inspect check`, and for a look at damage.
 *
 * Reads only. Working processes may go on meanwhile: what seems wrong is looked at again, with the tail read before and after. */
#ifndef SHMSTORE_CHECK_H
#define SHMSTORE_CHECK_H

#include "core/processes/process.h"
#include "core/store/keys.h"

struct check_report {
    void (*violation)(void *context, const char *text);
    void *context;
};

/* Report every violation found; returns how many. */
uint64_t check_store(const struct ring *ring, const struct processes *processes, const struct table *table,
                     const struct check_report *report);

/* The same of what the records say: each names a key that is there. */
uint64_t check_records(const struct ring *ring, const struct table *table, const struct check_report *report);

#endif
