/* Tickets that a reader did not get, and why. */
#ifndef SHMSTORE_BINDING_READING_GAPS_H
#define SHMSTORE_BINDING_READING_GAPS_H

#include "binding/module.h"

#include "core/ring/ring.h"

/* A growing list of gaps; neighbours of the same reason are joined. */
struct gap {
    uint32_t partition;
    enum gap_reason reason;
    uint64_t first, end;
};
struct gap_list {
    struct gap *gaps;
    size_t count, room;
    uint64_t lost, lapped; /* tickets in all gaps so far; of them, those overwritten */
};
bool gap_list_report(void *list, uint32_t partition, uint64_t first, uint64_t end, enum gap_reason reason);
PyObject *gap_list_objects(struct module_state *state, const struct gap_list *list);

#endif
