/* What lies in a node: its key, its cells, its text, over all of its parts. For the files that know what nodes are made of. */
#ifndef SHMSTORE_CONTENTS_H
#define SHMSTORE_CONTENTS_H

#include <string.h>

#include "core/metrics/nodes.h"

enum {
    REST_BYTES = sizeof((struct node *)0)->rest,
    MOST_PARTS = 64,
    MOST_CHAINED = 1 << 20,
};

/* A walk along a chain that takes more steps is in a circle. */
static inline uint32_t most_chained(const struct nodes *nodes) {
    return nodes->geometry->node_count < MOST_CHAINED ? nodes->geometry->node_count : MOST_CHAINED;
}

/* Is this number + 1 one of a node? Anything else is damage. */
static inline bool is_node(const struct nodes *nodes, uint64_t node_plus_1) {
    return node_plus_1 && node_plus_1 <= nodes->geometry->node_count;
}

static inline uint64_t sizes_word(uint32_t key_bytes, uint32_t text_bytes, uint32_t cells) {
    return (uint64_t)key_bytes << 40 | (uint64_t)text_bytes << 16 | cells;
}

static inline uint64_t identity_of(const struct node_key *key) {
    uint64_t mixed =
        fnv1a(key->text, key->length) ^ key->family * UINT64_C(0x9e3779b97f4a7c15) ^ (uint64_t)key->place << 40;
    mixed = (mixed ^ mixed >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
    return (mixed >> 40) << 40 | (uint64_t)key->place << 24 | key->family;
}

static inline uint32_t family_of(uint64_t identity) { return (uint32_t)identity & 0xffffff; }

static inline atomic_u64 *chain_of(const struct nodes *nodes, uint64_t identity) {
    atomic_u64 *chains = (atomic_u64 *)(void *)(nodes->memory + nodes->geometry->chains_offset);
    return chains + ((identity >> 40) & (nodes->geometry->chain_count - 1));
}

/* How many bytes of a node's contents lie beyond its first cell. */
static inline uint64_t rest_bytes(uint64_t sizes) {
    return (uint64_t)(node_cells(sizes) - 1) * sizeof(struct wide) + node_text_bytes(sizes);
}

/* A walk over the contents of a node and its parts. */
struct walk {
    const struct nodes *nodes;
    struct node *node;
    uint32_t parts;
};

static inline bool walk_on(struct walk *walk) {
    const uint64_t more = load_relaxed(&walk->node->more);
    if (!is_node(walk->nodes, more) || ++walk->parts > MOST_PARTS) return false;
    walk->node = nodes_at(walk->nodes, (uint32_t)more - 1);
    return true;
}

/* Where byte `offset`, a multiple of 8, of the contents beyond the first cell lies; NULL: nowhere. */
static inline void *content(struct walk *walk, uint64_t offset) {
    const uint64_t part = offset / REST_BYTES;
    while (walk->parts < part)
        if (!walk_on(walk)) return NULL;
    return walk->node->rest + offset % REST_BYTES;
}

/* Copy bytes of a node's text from byte `first` on, a multiple of 8, by words: what others write there meanwhile shows in
 * the node's word afterwards. */
static inline bool copy_text(const struct nodes *nodes, struct node *node, uint64_t sizes, uint32_t first, char *to,
                             uint32_t bytes) {
    struct walk walk = {nodes, node, 0};
    const uint64_t offset = rest_bytes(sizes) - node_text_bytes(sizes) + first;
    for (uint32_t done = 0, end; done < bytes; done = end) {
        const atomic_u64 *from = content(&walk, offset + done);
        if (!from) return false;
        end = done + REST_BYTES - (uint32_t)((offset + done) % REST_BYTES); /* of what lies in this part */
        if (end > bytes) end = bytes;
        for (uint32_t at = done; at < end; at += 8) {
            const uint64_t unit = load_relaxed(from++); /* copy_text:text */
            if (end - at >= 8) memcpy(to + at, &unit, 8);
            else memcpy(to + at, &unit, end - at);
        }
    }
    return true;
}

#endif
