/* Claiming nodes, and changing the chains in which they are found: sentences 1 to 5 of nodes.h. */
#ifndef SHMSTORE_CHANGES_H
#define SHMSTORE_CHANGES_H

#include "core/metrics/nodes.h"

enum { NO_NODE = MAX_NODES };

/* Claim a node with as many parts as are asked for; its number, or NO_NODE, and then nothing stays claimed. */
uint32_t changes_claim(const struct nodes *nodes, uint32_t owner, uint32_t parts);

/* Free a node with its parts for as long as it bears `word`: its own claim, that of the dead, or REMOVED and in no chain. */
void changes_free(const struct nodes *nodes, uint32_t index, uint64_t word);

/* Announce the insertion of a claimed node that is filled, and make it. */
void changes_insert(const struct nodes *nodes, uint32_t index);

/* Where a link leads: a node + 1, or 0. */
static inline uint32_t linked(uint64_t link) { return (uint32_t)(link & 0xffffff); }

static inline struct changes *changes_of(const struct nodes *nodes) {
    return (struct changes *)(void *)(nodes->memory + nodes->geometry->changes_offset);
}

#endif
