/* Inserting and finding nodes; numbers in brackets are the sentences of nodes.h. */
#include "core/metrics/nodes.h"

#include "core/base/point.h"
#include "core/metrics/changes.h"
#include "core/metrics/contents.h"

enum {
    MOST_TRIES = 1 << 10, /* others were faster each time; more are damage */
    MOST_SPOILT = 1 << 14 /* steps, by changes of others */
};

/* ---- inserting --------------------------------------------------------------------------------------------------- */

/* Zero a cell in this generation of the node, or part, in which it lies: what an update of an older one began is void. */
static void clear_cell(struct wide *cell, struct node *node) {
    const uint32_t generation = node_generation(load_relaxed(&node->word));
    struct halves before;
    do before = (struct halves){load_relaxed(&cell->low), load_relaxed(&cell->high)};
    while (!cas_acq_rel_wide(cell, before, (struct halves){cell_tag(generation, 0), 0})); /* clear_cell:cell */
}

/* Write bytes into a node's text, by words: it is ours, but others may still read what it was. */
static void write_text(struct walk *walk, uint64_t offset, const char *text, uint32_t bytes) {
    for (uint32_t done = 0; done < bytes; done += 8) {
        uint64_t unit = 0;
        memcpy(&unit, text + done, bytes - done < 8 ? bytes - done : 8);
        store_relaxed((atomic_u64 *)content(walk, offset + done), unit); /* write_text:text */
    }
}

/* Fill a claimed node whose parts are claimed and linked. */
static void fill(const struct nodes *nodes, uint32_t index, const struct node_wish *wish) {
    struct node *node = nodes_at(nodes, index);
    store_relaxed(&node->identity, identity_of(&wish->key));
    store_relaxed(&node->sizes, sizes_word(wish->key.length, wish->text_bytes, wish->cells));
    store_relaxed(&node->since, wish->since);
    clear_cell(&node->cell, node);
    struct walk walk = {nodes, node, 0};
    for (uint32_t i = 1; i < wish->cells; i++) {
        struct wide *cell = content(&walk, (uint64_t)(i - 1) * sizeof(struct wide));
        clear_cell(cell, walk.node);
    }
    write_text(&walk, (uint64_t)(wish->cells - 1) * sizeof(struct wide), wish->key.text, wish->text_bytes);
}

/* Did this insertion put its node into the table? It may have been removed since. */
static bool was_inserted(const struct nodes *nodes, uint32_t index, uint64_t claimed) {
    return load_relaxed(&nodes_at(nodes, index)->word) != claimed;
}

uint64_t nodes_bytes(const struct node_wish *wish) {
    return (uint64_t)(wish->cells - 1) * sizeof(struct wide) + wish->text_bytes;
}

uint64_t nodes_most_bytes(void) { return (uint64_t)(MOST_PARTS + 1) * REST_BYTES; }

enum node_status nodes_insert(const struct nodes *nodes, uint32_t owner, const struct node_wish *wish,
                              struct node_at *found, bool *inserted) {
    const uint64_t bytes = nodes_bytes(wish);
    const uint64_t parts = bytes ? (bytes - 1) / REST_BYTES : 0;
    *inserted = false;
    if (wish->key.length > UINT16_MAX || wish->cells > UINT16_MAX || parts > MOST_PARTS) return NODES_TOO_LONG;
    for (uint32_t tries = MOST_TRIES; tries; tries--) {
        const enum node_status status = nodes_find(nodes, &wish->key, found);
        if (status != NODES_MISSING) return status;
        const uint32_t index = changes_claim(nodes, owner, (uint32_t)parts);
        if (index == NO_NODE) {
            add_relaxed(&changes_of(nodes)->refused, 1);
            return NODES_FULL;
        }
        fill(nodes, index, wish);
        POINT("node filled");
        const uint64_t claimed = load_relaxed(&nodes_at(nodes, index)->word);
        changes_insert(nodes, index);
        if (was_inserted(nodes, index, claimed)) {
            *found = (struct node_at){index, node_word(node_generation(claimed), 0, NODE_LIVE)};
            *inserted = true;
            return NODES_OK;
        }
        changes_free(nodes, index, claimed); /* another was faster */
    }
    return NODES_DAMAGED;
}

/* ---- looking [6] ------------------------------------------------------------------------------------------------- */

static bool has_key(const struct nodes *nodes, struct node *node, const struct node_key *key) {
    const uint64_t sizes = load_relaxed(&node->sizes);
    if (node_key_bytes(sizes) != key->length) return false;
    char text[64];
    for (uint32_t done = 0; done < key->length; done += sizeof text) {
        const uint32_t count = key->length - done < sizeof text ? key->length - done : sizeof text;
        if (!copy_text(nodes, node, sizes, done, text, count) || memcmp(text, key->text + done, count)) return false;
    }
    return true;
}

enum look { FOUND, NOT_FOUND, CHANGED, LOST /* for more steps than are left */ };

static enum look follow_chain(const struct nodes *nodes, const struct node_key *key, uint64_t identity,
                              struct node_at *found, uint32_t *left) {
    atomic_u64 *chain = chain_of(nodes, identity);
    uint64_t at = linked(load_acquire(chain)); /* nodes_find:first */
    while (at) {
        if (!is_node(nodes, at) || !*left) return LOST;
        --*left;
        struct node *node = nodes_at(nodes, (uint32_t)at - 1);
        const uint64_t word = load_acquire(&node->word); /* nodes_find:word */
        const uint64_t next = load_acquire(&node->link); /* nodes_find:next */
        const uint64_t its = load_relaxed(&node->identity);
        const bool is_it = node_state(word) == NODE_LIVE && its == identity && has_key(nodes, node, key);
        fence_acquire();
        if (load_relaxed(&node->word) != word || chain_of(nodes, its) != chain) return CHANGED; /* nodes_find:again */
        if (is_it) {
            *found = (struct node_at){(uint32_t)at - 1, word};
            return FOUND;
        }
        at = linked(next);
    }
    return NOT_FOUND;
}

enum node_status nodes_find(const struct nodes *nodes, const struct node_key *key, struct node_at *found) {
    const uint64_t identity = identity_of(key);
    uint32_t left = MOST_SPOILT + most_chained(nodes);
    enum look look;
    while ((look = follow_chain(nodes, key, identity, found, &left)) == CHANGED) cpu_relax();
    return look == FOUND ? NODES_OK : look == NOT_FOUND ? NODES_MISSING : NODES_DAMAGED;
}

struct wide *nodes_cell(const struct nodes *nodes, struct node_at at, uint32_t number) {
    struct node *node = nodes_at(nodes, at.index);
    const uint64_t sizes = load_relaxed(&node->sizes);
    struct walk walk = {nodes, node, 0};
    struct wide *cell = number ? NULL : &node->cell;
    if (number && number < node_cells(sizes)) cell = content(&walk, (uint64_t)(number - 1) * sizeof(struct wide));
    fence_acquire();
    return load_relaxed(&node->word) == at.word && number < node_cells(sizes) ? cell : NULL; /* nodes_cell:again */
}

int64_t nodes_text(const struct nodes *nodes, struct node_at at, char *text, uint32_t room) {
    struct node *node = nodes_at(nodes, at.index);
    const uint64_t sizes = load_relaxed(&node->sizes);
    const uint32_t bytes = node_text_bytes(sizes);
    const bool is_copied = copy_text(nodes, node, sizes, 0, text, bytes < room ? bytes : room);
    fence_acquire();
    return is_copied && load_relaxed(&node->word) == at.word ? (int64_t)bytes : -1; /* nodes_text:again */
}

bool nodes_next(const struct nodes *nodes, uint32_t *index, struct node_at *at) {
    const uint64_t used = load_relaxed(&changes_of(nodes)->used);
    for (; *index < nodes->geometry->node_count && *index < used; ++*index) {
        const uint64_t word = load_acquire(&nodes_at(nodes, *index)->word); /* nodes_next:word */
        if (node_state(word) != NODE_LIVE) continue;
        *at = (struct node_at){(*index)++, word};
        return true;
    }
    return false;
}

uint32_t nodes_room(const struct nodes *nodes) {
    uint32_t count = 0;
    for (uint32_t index = 0; index < nodes->geometry->node_count; index++)
        count += node_state(load_relaxed(&nodes_at(nodes, index)->word)) == NODE_FREE;
    return count;
}
