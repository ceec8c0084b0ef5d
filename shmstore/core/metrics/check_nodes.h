/* The invariants of the node table, executable; see check.h of the store. Reads only, and others may go on meanwhile. */
#ifndef SHMSTORE_CHECK_NODES_H
#define SHMSTORE_CHECK_NODES_H

#include "core/metrics/nodes.h"

/* Report every node that breaks an invariant, at most 20, as text; returns how many there are. */
uint64_t check_nodes(const struct nodes *nodes, void (*violation)(void *context, const char *text), void *context);

#endif
