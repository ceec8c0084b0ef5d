/* Claiming, freeing, inserting and removing nodes; numbers in brackets are the sentences of nodes.h. */
#include "core/metrics/changes.h"

#include "core/base/point.h"
#include "core/metrics/contents.h"

/* A change: number (36 bits) | what (4 bits) | node + 1 (24 bits). */
enum what {
    IDLE,
    INSERT,
    LINK,
    REMOVE,
    UNLINK
}; /* INSERT and REMOVE: it is not decided yet whether it is to be done */
#define CHANGE_NUMBERS (UINT64_C(1) << 36)

static uint64_t change_word(uint64_t number, enum what what, uint32_t node_plus_1) {
    return number % CHANGE_NUMBERS << 28 | (uint64_t)what << 24 | node_plus_1;
}
static uint64_t change_number(uint64_t change) { return change >> 28; }
static enum what change_what(uint64_t change) { return (enum what)(change >> 24 & 0xf); }
static uint32_t change_node(uint64_t change) { return (uint32_t)(change & 0xffffff); }

static uint64_t link_to(uint64_t node_plus_1, uint64_t number) { return number << 24 | node_plus_1; }

/* ---- claiming [1] ------------------------------------------------------------------------------------------------ */

static void free_node(const struct nodes *nodes, struct node *node, uint64_t word) {
    if (cas_release(&node->word, &word, node_word(node_generation(word) + 1, 0, NODE_FREE))) /* free_node:node */
        add_relaxed(&changes_of(nodes)->freed, 1);
}

/* The last part of a node that is still its part, or NULL. What is read on the way may be of other times: the caller finds
 * out, before it does anything to it, whether the node is still what it was. */
static struct node *last_part(const struct nodes *nodes, uint32_t index, uint64_t *word) {
    struct walk walk = {nodes, nodes_at(nodes, index), 0};
    struct node *last = NULL;
    while (walk_on(&walk)) {
        const uint64_t found = load_acquire(&walk.node->word); /* last_part:word */
        if (node_state(found) != NODE_PART || node_subject(found) != index) break;
        last = walk.node;
        *word = found;
    }
    return last;
}

/* A part that was used again since is not taken for one of this life of the node: it shows that the node's word has changed. */
void changes_free(const struct nodes *nodes, uint32_t index, uint64_t word) {
    struct node *node = nodes_at(nodes, index), *part;
    uint64_t found = 0;
    while ((part = last_part(nodes, index, &found))) {
        if (load_relaxed(&node->word) != word) return;
        free_node(nodes, part, found);
        POINT("part freed");
    }
    free_node(nodes, node, word);
}

static void sweep_node(const struct nodes *nodes, uint32_t index, uint64_t word) {
    nodes_help(nodes); /* it may be in the middle of its insertion, which the dead cannot announce again */
    changes_free(nodes, index, word);
}

void nodes_sweep(const struct nodes *nodes, uint32_t owner) {
    const uint64_t used = load_acquire(&changes_of(nodes)->used);
    for (uint32_t index = 0; index < nodes->geometry->node_count && index < used; index++) {
        const uint64_t word = load_acquire(&nodes_at(nodes, index)->word);
        if (node_state(word) == NODE_CLAIMED && node_subject(word) == owner) sweep_node(nodes, index, word);
    }
}

static void announce_removal(const struct nodes *nodes, uint32_t index);

/* Make a node free if it is one that nobody will free otherwise. */
static void clean(const struct nodes *nodes, uint32_t index, uint64_t word) {
    if (node_state(word) == NODE_REMOVED) announce_removal(nodes, index); /* [5] its remover may have died */
    else if (node_state(word) == NODE_CLAIMED && nodes->liveness.is_dead(nodes->liveness.context, node_subject(word)))
        sweep_node(nodes, index, word);
}

/* Claim one free node; its number, or NO_NODE. */
static uint32_t claim(const struct nodes *nodes, uint32_t owner) {
    struct changes *changes = changes_of(nodes);
    const uint32_t count = nodes->geometry->node_count;
    uint32_t index = (uint32_t)(load_relaxed(&changes->hint) % count);
    for (uint32_t looked = 0; looked < count; looked++, index = index + 1 == count ? 0 : index + 1) {
        struct node *node = nodes_at(nodes, index);
        uint64_t word = load_relaxed(&node->word);
        if (node_state(word) != NODE_FREE) {
            clean(nodes, index, word);
            word = load_relaxed(&node->word);
        }
        if (node_state(word) != NODE_FREE) continue;
        uint64_t used = load_relaxed(&changes->used); /* before the claim: whoever sweeps must come by it */
        while (used <= index && !cas_acq_rel(&changes->used, &used, index + 1)) {}
        if (!cas_acq_rel(&node->word, &word, node_word(node_generation(word), owner, NODE_CLAIMED))) /* claim:node */
            continue;
        POINT("node claimed");
        fence_release(); /* claim:fence: whoever reads what is written there now sees that nodes are not what they were */
        store_relaxed(&changes->hint, index + 1);
        return index;
    }
    return NO_NODE;
}

uint32_t changes_claim(const struct nodes *nodes, uint32_t owner, uint32_t parts) {
    const uint32_t index = claim(nodes, owner);
    if (index == NO_NODE) return NO_NODE;
    struct node *node = nodes_at(nodes, index), *last = node;
    const uint64_t word = load_relaxed(&node->word);
    store_relaxed(&node->more, 0);
    for (; parts; parts--) {
        const uint32_t next = claim(nodes, owner);
        if (next == NO_NODE) {
            changes_free(nodes, index, word);
            return NO_NODE;
        }
        struct node *part = nodes_at(nodes, next);
        uint64_t claimed = load_relaxed(&part->word);
        store_relaxed(&part->more, 0);
        store_relaxed(&last->more, next + 1); /* first, so that no part is out of the reach of whoever frees it */
        POINT("part claimed");
        cas_release(&part->word, &claimed,
                    node_word(node_generation(claimed), index, NODE_PART)); /* changes_claim:part */
        last = part;
    }
    return index;
}

/* ---- changing the chains [2, 3] ---------------------------------------------------------------------------------- */

/* Does node `a` of a chain have the key of `b`, which is claimed for the change that is being made? */
static bool has_key_of(const struct nodes *nodes, struct node *a, struct node *b) {
    const uint64_t a_sizes = load_relaxed(&a->sizes), b_sizes = load_relaxed(&b->sizes);
    const uint32_t bytes = node_key_bytes(b_sizes);
    if (load_relaxed(&a->identity) != load_relaxed(&b->identity) || node_key_bytes(a_sizes) != bytes) return false;
    char left[64], right[64];
    for (uint32_t done = 0; done < bytes; done += sizeof left) {
        const uint32_t count = bytes - done < sizeof left ? bytes - done : sizeof left;
        if (!copy_text(nodes, a, a_sizes, done, left, count) || !copy_text(nodes, b, b_sizes, done, right, count) ||
            memcmp(left, right, count))
            return false;
    }
    return true;
}

/* One CAS says to all how a change goes on; IDLE: it is done. */
static void go_on(const struct nodes *nodes, uint64_t change, enum what what) {
    const uint64_t next = change_word(change_number(change), what, what == IDLE ? 0 : change_node(change));
    cas_acq_rel(&changes_of(nodes)->change, &change, next); /* go_on:change */
}

/* Is what was read before of the time of this change? */
static bool is_still(const struct nodes *nodes, uint64_t change) {
    return load_relaxed(&changes_of(nodes)->change) == change;
}

/* Is there another live node with the key of the one to be inserted? [4] */
static void decide_insertion(const struct nodes *nodes, uint64_t change) {
    struct node *node = nodes_at(nodes, change_node(change) - 1);
    uint64_t at = linked(load_acquire(chain_of(nodes, load_relaxed(&node->identity))));
    for (uint32_t left = most_chained(nodes); is_node(nodes, at) && left; left--) {
        struct node *other = nodes_at(nodes, (uint32_t)at - 1);
        if (node_state(load_acquire(&other->word)) == NODE_LIVE && has_key_of(nodes, other, node)) {
            go_on(nodes, change, IDLE);
            return;
        }
        at = linked(load_acquire(&other->link));
    }
    POINT("insertion decided");
    go_on(nodes, change, LINK);
}

/* Make the claimed node of a change the first of its chain, and live [4]. */
static void link_node(const struct nodes *nodes, uint64_t change) {
    const uint32_t self = change_node(change);
    struct node *node = nodes_at(nodes, self - 1);
    uint64_t word = load_acquire(&node->word); /* link_node:word */
    atomic_u64 *chain = chain_of(nodes, load_relaxed(&node->identity));
    uint64_t first = load_acquire(chain);      /* link_node:first */
    uint64_t link = load_acquire(&node->link); /* link_node:next */
    if (!is_still(nodes, change)) return;
    if (node_state(word) == NODE_CLAIMED) {
        if (linked(first) != self) {
            const uint64_t next = link_to(linked(first), change_number(change));
            if (link != next) cas_release(&node->link, &link, next); /* link_node:link */
            POINT("node to be linked");
            cas_release(chain, &first, link_to(self, change_number(change))); /* link_node:chain */
        }
        POINT("node linked");
        cas_release(&node->word, &word, node_word(node_generation(word), 0, NODE_LIVE)); /* link_node:live */
    }
    go_on(nodes, change, IDLE);
}

/* Is the node removed? It may have been taken out, and used again, before this was announced [5]. */
static void decide_removal(const struct nodes *nodes, uint64_t change) {
    const uint64_t word = load_acquire(&nodes_at(nodes, change_node(change) - 1)->word);
    go_on(nodes, change, node_state(word) == NODE_REMOVED ? UNLINK : IDLE);
}

/* Take the removed node of a change out of its chain and free it [5]. */
static void unlink_node(const struct nodes *nodes, uint64_t change) {
    const uint32_t self = change_node(change);
    struct node *node = nodes_at(nodes, self - 1);
    const uint64_t word = load_acquire(&node->word); /* unlink_node:word */
    atomic_u64 *place = chain_of(nodes, load_relaxed(&node->identity));
    uint64_t link = load_acquire(place); /* unlink_node:place */
    for (uint32_t left = most_chained(nodes); linked(link) != self && is_node(nodes, linked(link)) && left; left--) {
        place = &nodes_at(nodes, linked(link) - 1)->link;
        link = load_acquire(place); /* unlink_node:place */
    }
    const uint64_t next = link_to(linked(load_relaxed(&node->link)), change_number(change));
    if (!is_still(nodes, change)) return;
    if (node_state(word) == NODE_REMOVED) {
        if (linked(link) == self) cas_release(place, &link, next); /* unlink_node:link */
        POINT("node unlinked");
        changes_free(nodes, self - 1, word);
    }
    go_on(nodes, change, IDLE);
}

/* Make one step of a change that is announced, or all. */
static void make_change(const struct nodes *nodes, uint64_t change) {
    if (!is_node(nodes, change_node(change))) go_on(nodes, change, IDLE); /* damage */
    else if (change_what(change) == INSERT) decide_insertion(nodes, change);
    else if (change_what(change) == LINK) link_node(nodes, change);
    else if (change_what(change) == REMOVE) decide_removal(nodes, change);
    else unlink_node(nodes, change);
}

static bool is_announced(uint64_t change) { return change_what(change) != IDLE; }

/* Finish the change that is announced; what is there afterwards. */
static uint64_t finish(const struct nodes *nodes) {
    const atomic_u64 *shared = &changes_of(nodes)->change;
    uint64_t change = load_acquire(shared); /* finish:change */
    for (const uint64_t number = change_number(change); is_announced(change) && change_number(change) == number;) {
        POINT("change found");
        make_change(nodes, change);
        change = load_acquire(shared); /* finish:change */
    }
    return change;
}

void nodes_help(const struct nodes *nodes) { finish(nodes); }

/* Announce a change, after those that are announced already, and make it. */
static void announce(const struct nodes *nodes, enum what what, uint32_t index) {
    uint64_t change, mine;
    do {
        change = finish(nodes);
        mine = change_word(change_number(change) + 1, what, index + 1);
    } while (is_announced(change) || !cas_acq_rel(&changes_of(nodes)->change, &change, mine)); /* announce:change */
    POINT("change announced");
    finish(nodes);
}

static void announce_removal(const struct nodes *nodes, uint32_t index) { announce(nodes, REMOVE, index); }

void changes_insert(const struct nodes *nodes, uint32_t index) { announce(nodes, INSERT, index); }

bool nodes_remove(const struct nodes *nodes, struct node_at at) {
    uint64_t word = at.word;
    if (!cas_acq_rel(&nodes_at(nodes, at.index)->word, &word,
                     node_word(node_generation(word), 0, NODE_REMOVED))) /* nodes_remove:word */
        return false;
    POINT("node removed");
    announce_removal(nodes, at.index);
    return true;
}
