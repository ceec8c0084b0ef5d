/* Looks at every node and every chain; what is found wrong is looked at again, as others may just be changing it. */
#include "core/metrics/check_nodes.h"

#include <stdio.h>

#include "core/metrics/changes.h"
#include "core/metrics/contents.h"

enum { MOST_REPORTED = 20, LOOKS = 3, STEPS = 16 /* along chains, a node or chain: they are short */ };

/* Is the node in the chain of its key? Yes, when there are no steps left to find out. */
static bool is_in_its_chain(const struct nodes *nodes, uint32_t index, uint64_t *left) {
    uint64_t at = linked(load_acquire(chain_of(nodes, load_relaxed(&nodes_at(nodes, index)->identity))));
    for (uint32_t passed = 0; *left && is_node(nodes, at) && passed < nodes->geometry->node_count; passed++, --*left) {
        if (at == index + 1) return true;
        at = linked(load_acquire(&nodes_at(nodes, (uint32_t)at - 1)->link));
    }
    return !*left;
}

static bool is_part_of(const struct nodes *nodes, uint32_t index, uint32_t whole) {
    if (whole >= nodes->geometry->node_count) return false;
    struct walk walk = {nodes, nodes_at(nodes, whole), 0};
    const enum node_state state = node_state(load_acquire(&walk.node->word));
    if (state != NODE_CLAIMED && state != NODE_LIVE && state != NODE_REMOVED) return false;
    while (walk_on(&walk))
        if (walk.node == nodes_at(nodes, index)) return true;
    return false;
}

static bool has_its_parts(const struct nodes *nodes, uint32_t index) {
    struct node *node = nodes_at(nodes, index);
    struct walk walk = {nodes, node, 0};
    const uint64_t sizes = load_relaxed(&node->sizes), bytes = rest_bytes(sizes);
    if (!node_cells(sizes) || node_key_bytes(sizes) > node_text_bytes(sizes)) return false;
    for (uint64_t parts = bytes ? (bytes - 1) / REST_BYTES : 0; parts; parts--) {
        if (!walk_on(&walk)) return false;
        const uint64_t word = load_acquire(&walk.node->word);
        if (node_state(word) != NODE_PART || node_subject(word) != index) return false;
    }
    return !load_relaxed(&walk.node->more);
}

/* Is its key what its identity was made of? */
static bool has_its_key(const struct nodes *nodes, struct node_at at) {
    const struct node *node = nodes_at(nodes, at.index);
    const uint64_t identity = load_relaxed(&node->identity);
    const uint32_t key_bytes = node_key_bytes(load_relaxed(&node->sizes));
    char text[(MOST_PARTS + 1) * REST_BYTES];
    const int64_t bytes = nodes_text(nodes, at, text, sizeof text);
    if (bytes < key_bytes || bytes > (int64_t)sizeof text) return bytes < 0; /* it was changed meanwhile */
    const struct node_key key = {family_of(identity), (uint32_t)(identity >> 24) & 0xffff, text, key_bytes};
    return identity_of(&key) == identity;
}

/* Are all cells of the generation of the node, or part, in which they lie? */
static bool has_its_cells(const struct nodes *nodes, struct node_at at) {
    const uint32_t count = node_cells(load_relaxed(&nodes_at(nodes, at.index)->sizes));
    for (uint32_t number = 0; number < count; number++) {
        struct wide *cell = nodes_cell(nodes, at, number);
        if (!cell) continue;
        const uint64_t offset = (uint64_t)((unsigned char *)cell - (unsigned char *)nodes_at(nodes, 0));
        struct node *node = nodes_at(nodes, (uint32_t)(offset / sizeof(struct node)));
        const uint64_t tag = cell_tag(node_generation(load_relaxed(&node->word)), 0);
        if (load_relaxed(&cell->low) >> CELL_BITS != tag >> CELL_BITS) return false;
    }
    return true;
}

static const char *fault_of(const struct nodes *nodes, uint32_t index, uint64_t word, uint64_t *left) {
    switch (node_state(word)) {
    case NODE_FREE: return node_subject(word) ? "is free, and names an owner" : NULL;
    case NODE_CLAIMED:
        if (owner_place(node_subject(word)) >= nodes->geometry->options.processes)
            return "is claimed by a place that does not exist";
        return NULL;
    case NODE_LIVE:
        if (!is_in_its_chain(nodes, index, left)) return "is live, and not in its chain";
        if (!has_its_parts(nodes, index)) return "has other parts than its sizes say";
        if (!has_its_cells(nodes, (struct node_at){index, word})) return "has a cell of another generation";
        if (!has_its_key(nodes, (struct node_at){index, word})) return "has another key than its identity says";
        return NULL;
    case NODE_REMOVED: return NULL; /* on its way */
    case NODE_PART: return is_part_of(nodes, index, node_subject(word)) ? NULL : "is part of a node that has it not";
    default: return "bears an unknown state";
    }
}

/* Is there a chain that leads to nodes that are not of it? */
static const char *fault_of_chain(const struct nodes *nodes, atomic_u64 *chain, uint64_t *left) {
    uint64_t at = linked(load_acquire(chain));
    for (uint32_t passed = 0; at && *left; passed++, --*left) {
        if (!is_node(nodes, at)) return "leads to a node that does not exist";
        if (passed > nodes->geometry->node_count) return "leads in a circle";
        struct node *node = nodes_at(nodes, (uint32_t)at - 1);
        const enum node_state state = node_state(load_acquire(&node->word));
        if (state == NODE_FREE || state == NODE_PART) return "leads to a node that holds nothing";
        if (chain_of(nodes, load_relaxed(&node->identity)) != chain) return "leads to a node of another chain";
        at = linked(load_acquire(&node->link));
    }
    return NULL;
}

uint64_t check_nodes(const struct nodes *nodes, void (*violation)(void *context, const char *text), void *context) {
    const struct geometry *g = nodes->geometry;
    const uint64_t steps = (1 << 20) + STEPS * (uint64_t)(g->node_count + g->chain_count);
    uint64_t count = 0, left_for_nodes = steps, left_for_chains = steps;
    char text[160];
    for (uint32_t i = 0; i < g->node_count + g->chain_count; i++) {
        const bool is_chain = i >= g->node_count;
        const uint32_t number = is_chain ? i - g->node_count : i;
        atomic_u64 *chain = (atomic_u64 *)(void *)(nodes->memory + g->chains_offset) + number;
        const char *fault = NULL;
        uint64_t word = 0;
        for (int look = 0; look < LOOKS; look++) {
            word = load_acquire(is_chain ? chain : &nodes_at(nodes, number)->word);
            fault = is_chain ? fault_of_chain(nodes, chain, &left_for_chains)
                             : fault_of(nodes, number, word, &left_for_nodes);
            if (!fault) break;
        }
        if (!fault || count++ >= MOST_REPORTED) continue;
        snprintf(text, sizeof text, "%s %u (word %016llx) %s", is_chain ? "chain" : "node", number,
                 (unsigned long long)word, fault);
        violation(context, text);
    }
    if ((!left_for_nodes || !left_for_chains) && count++ < MOST_REPORTED)
        violation(context, "chains are long, or lead in circles: not every one was followed");
    if (count > MOST_REPORTED) {
        snprintf(text, sizeof text, "... and %llu more violations", (unsigned long long)(count - MOST_REPORTED));
        violation(context, text);
    }
    return count;
}
