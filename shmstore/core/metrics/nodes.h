/* The node table of a metrics segment: what is declared and which series there are, found and changed without a lock.
 *
 * A node holds a declaration or a series: a text, whose first bytes are its key, and cells. What does not fit goes on in
 * further nodes, its parts. Nodes of one hash form a chain. A node goes
 *
 *     FREE --claim--> CLAIMED --insert--> LIVE --remove--> REMOVED --> FREE      (a part: CLAIMED --> PART --> FREE)
 *
 * and its generation rises with each return to FREE, so that no word of a node ever comes back.
 *
 *  1. Claim: a CAS of the word from FREE to CLAIMED, which names the owner. Only the owner writes a claimed node, and nobody
 *     else reads it before it is announced. What the dead had claimed is freed, parts from the last to the first, then the
 *     node; each only while the node is still seen to be theirs.
 *  2. Chains are changed by one change at a time, and whoever finds one announced finishes it: the word `change` bears its
 *     number, what is to be done, and the node. Nobody waits: a process that died, or stands still, in the middle of its own
 *     change is overtaken by those who come after.
 *  3. Every step of a change is one CAS from a value that was read before the change was seen to be still announced. Words and
 *     links bear a generation, or the number of the change that wrote them, and never have the same value twice: so a step that
 *     somebody else has made already, even long ago, fails.
 *  4. Insert: look whether the chain has a live node of this key. A CAS of `change` says the answer, which others may have found
 *     otherwise, as nodes are removed meanwhile: the first answer counts. If there is one, the change ends, and the node stays
 *     CLAIMED; its owner frees it. Else link the node to the first of its chain, make it the first, and make it LIVE.
 *  5. Remove: the CAS from LIVE to REMOVED is what removes it, before the change is announced. Whoever looks for room and meets a
 *     removed node announces that again, perhaps too late: then the node is used again, and may be removed again at any moment. So
 *     a CAS of `change` says first, to all, whether it is removed. Take it out of its chain, free its parts from the last to the
 *     first, and free it, each while the node is still as it was removed.
 *  6. Find: follow the chain. A node that is not of this chain, or whose word changed while it was looked at, has been used
 *     again meanwhile: begin anew. A node that stays in the chain is met by everybody, as what stands behind it does not change.
 *
 * Pairs: claim:node with free_node:node (whoever claims a node sees that nobody has anything to do with it); go_on:change with
 * finish:change (what is announced is written, and what the changes before it did); link_node:chain with nodes_find:first and
 * nodes_find:next (the key, the text and the cells of a node in a chain); link_node:live with nodes_find:word and nodes_next:word
 * (the same, for those who come by number); claim:fence with nodes_find:again, nodes_text:again and nodes_cell:again (what was
 * read of a node is of the generation of its word); changes_claim:part with last_part:word (a part that is seen shows what its
 * node is). */
#ifndef SHMSTORE_NODES_H
#define SHMSTORE_NODES_H

#include "core/base/layout.h"
#include "core/base/wide.h"
#include "core/ring/ring.h" /* liveness, and what an owner is */

enum node_state { NODE_FREE, NODE_CLAIMED, NODE_LIVE, NODE_REMOVED, NODE_PART };

/* A node's word is generation (32 bits) | subject (29 bits) | state (3 bits). The subject of CLAIMED is its owner, that of
 * PART the number of the node that it belongs to. */
static inline uint64_t node_word(uint64_t generation, uint64_t subject, enum node_state state) {
    return generation << 32 | subject << 3 | (uint64_t)state;
}
static inline enum node_state node_state(uint64_t word) { return (enum node_state)(word & 7); }
static inline uint32_t node_subject(uint64_t word) { return (uint32_t)word >> 3; }
static inline uint32_t node_generation(uint64_t word) { return (uint32_t)(word >> 32); }

/* The first half of a cell: the low bits of the generation of the node in which it lies, so that no update reaches a later one,
 * and 52 bits that are the cell's. */
enum { CELL_BITS = 52 };
#define CELL_MASK ((UINT64_C(1) << CELL_BITS) - 1)
static inline uint64_t cell_tag(uint64_t generation, uint64_t bits) {
    return generation << CELL_BITS | (bits & CELL_MASK);
}

/* This process's view of the table. */
struct nodes {
    const struct geometry *geometry;
    unsigned char *memory;
    struct liveness liveness;
};

/* What identifies a node. A declaration has no family; a series that each process has for itself bears its place. */
struct node_key {
    uint32_t family; /* the number of the declaration's node, or NO_FAMILY */
    uint32_t place;  /* of the process whose own series this is, or NO_PLACE */
    const char *text;
    uint32_t length; /* of the key; more text may follow it in the node */
};
enum { NO_FAMILY = MAX_NODES, NO_PLACE = MAX_PROCESSES };

/* What is to be inserted. */
struct node_wish {
    struct node_key key;
    uint32_t text_bytes; /* at least key.length */
    uint32_t cells;      /* at least 1; all begin as zero */
    uint64_t since;      /* stored with it */
};

/* One node, as it was found: later looks hold its word against this one. */
struct node_at {
    uint32_t index;
    uint64_t word; /* LIVE, with its generation */
};

enum node_status {
    NODES_OK,
    NODES_MISSING,
    NODES_FULL,
    NODES_TOO_LONG, /* it takes more parts than a node may have */
    NODES_DAMAGED   /* links that lead nowhere, or in circles */
};

static inline struct node *nodes_at(const struct nodes *nodes, uint32_t index) {
    return (struct node *)(void *)(nodes->memory + nodes->geometry->nodes_offset) + index;
}

/* How many bytes the text and the cells beyond the first take, and how many of them a node and its parts hold. */
uint64_t nodes_bytes(const struct node_wish *wish);
uint64_t nodes_most_bytes(void);

/* Find a live node by its key. Never writes. */
enum node_status nodes_find(const struct nodes *nodes, const struct node_key *key, struct node_at *found);

/* Find or insert; `owner` is that of this process. Says whether it was inserted now. */
enum node_status nodes_insert(const struct nodes *nodes, uint32_t owner, const struct node_wish *wish,
                              struct node_at *found, bool *inserted);

/* Remove a node, unless that has been done already; false then. Its room is given back. */
bool nodes_remove(const struct nodes *nodes, struct node_at at);

/* Free what a process that is gone, or leaves, had claimed. */
void nodes_sweep(const struct nodes *nodes, uint32_t owner);

/* Finish a change that is announced. */
void nodes_help(const struct nodes *nodes);

/* Is it still what was found? */
static inline bool nodes_is(const struct nodes *nodes, struct node_at at) {
    return load_acquire(&nodes_at(nodes, at.index)->word) == at.word;
}

/* Sizes of a node's contents: read them, then ask nodes_is. */
static inline uint32_t node_key_bytes(uint64_t sizes) { return (uint32_t)(sizes >> 40) & 0xffff; }
static inline uint32_t node_text_bytes(uint64_t sizes) { return (uint32_t)(sizes >> 16) & 0xffffff; }
static inline uint32_t node_cells(uint64_t sizes) { return (uint32_t)sizes & 0xffff; }

/* Where cell `number` of a live node lies; NULL when it has none, or is not there any more. */
struct wide *nodes_cell(const struct nodes *nodes, struct node_at at, uint32_t number);

/* Copy up to `room` bytes of the text of a live node. Returns the text's length, or -1 when the node is not there any more. */
int64_t nodes_text(const struct nodes *nodes, struct node_at at, char *text, uint32_t room);

/* The next live node from `*index` on; false: there is none. */
bool nodes_next(const struct nodes *nodes, uint32_t *index, struct node_at *at);

/* How many nodes are free (best-effort). */
uint32_t nodes_room(const struct nodes *nodes);

#endif
