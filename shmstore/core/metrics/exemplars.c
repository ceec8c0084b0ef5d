/* Writing and reading exemplars; numbers in brackets are the sentences of exemplars.h. */
#include "core/metrics/exemplars.h"

#include <string.h>

#include "core/base/point.h"
#include "core/metrics/cells.h"

static struct exemplar *slot_at(const struct nodes *nodes, uint32_t number) {
    return (struct exemplar *)(void *)(nodes->memory + nodes->geometry->exemplars_offset) + number;
}

static struct exemplar *slot_of(const struct nodes *nodes, uint32_t index, uint32_t cell) {
    const uint64_t mixed = ((uint64_t)index << 16 | cell) * UINT64_C(0x9e3779b97f4a7c15);
    return slot_at(nodes, (uint32_t)((mixed >> 32) % nodes->geometry->options.exemplars));
}

enum { NOTHING, WRITTEN, MARKED, GIVEN_UP }; /* the low two bits */

static bool is_marked(uint64_t word) { return (word & 3) == MARKED; }
static uint32_t marker(uint64_t word) { return (uint32_t)word >> 2; }
static uint64_t marked(uint64_t before, uint32_t owner) {
    return ((before >> 32) + 1) << 32 | (uint64_t)owner << 2 | MARKED;
}
static uint64_t unmarked(uint64_t word, unsigned state) { return word >> 32 << 32 | state; }

static uint64_t of_series(struct node_at at) { return (uint64_t)node_generation(at.word) << 24 | at.index; }

bool exemplar_put(const struct nodes *nodes, uint32_t owner, struct node_at at, uint32_t cell,
                  const struct exemplar_values *values) {
    if (!nodes->geometry->options.exemplars) return false;
    struct exemplar *slot = slot_of(nodes, at.index, cell);
    uint64_t word = load_acquire(&slot->word);
    if (is_marked(word) && !nodes->liveness.is_dead(nodes->liveness.context, marker(word))) return false;
    uint64_t mine = marked(word, owner);
    if (!cas_acq_rel(&slot->word, &word, mine)) return false; /* exemplar_put:mark */
    POINT("exemplar marked");
    fence_release(); /* exemplar_put:fence */
    store_relaxed(&slot->of, of_series(at));
    store_relaxed(&slot->cell, (uint64_t)values->length << 16 | cell);
    store_relaxed(&slot->value, bits_of(values->value));
    store_relaxed(&slot->time_ns, (uint64_t)values->time_ns);
    for (uint32_t done = 0; done < values->length; done += 8) {
        uint64_t unit = 0;
        memcpy(&unit, values->text + done, values->length - done < 8 ? values->length - done : 8);
        store_relaxed(&slot->text[done / 8], unit); /* exemplar_put:text */
    }
    POINT("exemplar written");
    return cas_release(&slot->word, &mine, unmarked(mine, WRITTEN)); /* exemplar_put:published */
}

bool exemplar_get(const struct nodes *nodes, struct node_at at, uint32_t cell, struct exemplar_values *values) {
    if (!nodes->geometry->options.exemplars) return false;
    struct exemplar *slot = slot_of(nodes, at.index, cell);
    const uint64_t word = load_acquire(&slot->word); /* exemplar_get:before */
    if ((word & 3) != WRITTEN || load_relaxed(&slot->of) != of_series(at)) return false;
    const uint64_t about = load_relaxed(&slot->cell);
    values->length = (uint32_t)(about >> 16);
    if ((about & 0xffff) != cell || values->length > EXEMPLAR_TEXT_BYTES) return false;
    values->value = number_of(load_relaxed(&slot->value));
    values->time_ns = (int64_t)load_relaxed(&slot->time_ns);
    for (uint32_t done = 0; done < values->length; done += 8) {
        const uint64_t unit = load_relaxed(&slot->text[done / 8]); /* exemplar_get:text */
        memcpy(values->text + done, &unit, values->length - done < 8 ? values->length - done : 8);
    }
    fence_acquire();
    return load_relaxed(&slot->word) == word; /* exemplar_get:after */
}

uint32_t exemplars_count(const struct nodes *nodes) {
    uint32_t count = 0;
    for (uint32_t number = 0; number < nodes->geometry->options.exemplars; number++)
        count += (load_relaxed(&slot_at(nodes, number)->word) & 3) == WRITTEN;
    return count;
}

void exemplars_sweep(const struct nodes *nodes, uint32_t owner) {
    for (uint32_t number = 0; number < nodes->geometry->options.exemplars; number++) {
        struct exemplar *slot = slot_at(nodes, number);
        uint64_t word = load_acquire(&slot->word);
        if (is_marked(word) && marker(word) == owner)
            cas_release(&slot->word, &word, unmarked(word, GIVEN_UP)); /* exemplars_sweep:word */
    }
}
