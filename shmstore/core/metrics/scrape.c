/* Reading series and putting their lines; see scrape.h. */
#include "core/metrics/scrape.h"

#include <stdlib.h>

#include "core/base/point.h"
#include "core/processes/process.h"

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* The two cells of what a process has for itself. */
static bool read_own(struct scrape *scrape, struct node *node) {
    struct walk walk = {scrape->nodes, node, 0};
    const struct wide *second = content(&walk, 0);
    struct series *series = &scrape->series;
    return second && series->place < scrape->nodes->geometry->options.processes &&
           own_read(&node->cell, second, gauge_fold(scrape->declaration.mode), &series->own) &&
           cell_read(second, &series->cells[1]);
}

static bool read_cells(struct scrape *scrape, struct node *node, uint32_t count) {
    struct walk walk = {scrape->nodes, node, 0};
    struct series *series = &scrape->series;
    if (!cell_read(&node->cell, &series->cells[0])) return false;
    for (uint32_t i = 1; i < count; i++) {
        const struct wide *cell = content(&walk, (uint64_t)(i - 1) * sizeof(struct wide));
        if (!cell || !cell_read(cell, &series->cells[i])) return false;
    }
    return true;
}

bool scrape_read(struct scrape *scrape, uint32_t family, uint32_t index) {
    const struct nodes *nodes = scrape->nodes;
    struct series *series = &scrape->series;
    struct node *node = nodes_at(nodes, index);
    series->at = (struct node_at){index, load_acquire(&node->word)};
    const uint64_t identity = load_relaxed(&node->identity), sizes = load_relaxed(&node->sizes);
    if (node_state(series->at.word) != NODE_LIVE || (identity & 0xffffff) != family) return false; /* used again */
    const uint32_t cells = declaration_cells(&scrape->declaration), key_bytes = node_key_bytes(sizes);
    series->place = identity >> 24 & 0xffff;
    series->since = load_relaxed(&node->since);
    series->labels = (struct slice){series->text, key_bytes};
    const bool is_own = declaration_is_own(&scrape->declaration);
    bool is_read = node_cells(sizes) == cells && key_bytes <= sizeof series->text &&
                   (is_own ? read_own(scrape, node) : read_cells(scrape, node, cells));
    POINT("cells read");
    is_read = is_read && copy_text(nodes, node, sizes, 0, series->text, key_bytes) && slice_is_in_line(series->labels);
    fence_acquire();
    if (load_relaxed(&node->word) != series->at.word) return false; /* removed meanwhile */
    scrape->left_out += !is_read;
    return is_read;
}

/* ---- who lives --------------------------------------------------------------------------------------------------- */

bool scrape_is_alive(struct scrape *scrape, uint32_t place, uint64_t mark) {
    const struct nodes *nodes = scrape->nodes;
    struct place *places = (struct place *)(void *)(nodes->memory + nodes->geometry->processes_offset);
    const uint64_t word = load_acquire(&places[place].word);
    /* An owner has but some bits of the generation: one of long ago has the same. */
    if ((word & 0xff) == PLACE_USED && mark_of(word >> 8) != mark) return false;
    if (!scrape->living) scrape->living = calloc(nodes->geometry->options.processes, sizeof *scrape->living);
    if (!scrape->living) {
        scrape->lines.has_failed = true;
        return false;
    }
    struct living *living = &scrape->living[place];
    if (living->mark != mark) {
        const uint32_t owner = (uint32_t)(mark << PLACE_BITS & OWNER_MASK) | place;
        *living = (struct living){mark, !nodes->liveness.is_dead(nodes->liveness.context, owner)};
    }
    return living->is_alive;
}

/* ---- putting ----------------------------------------------------------------------------------------------------- */

static const struct slice suffixes[SUFFIX_END] = {
    [PLAIN] = {"", 0},       [TOTAL] = {"_total", 6}, [CREATED] = {"_created", 8}, [BUCKET] = {"_bucket", 7},
    [COUNT] = {"_count", 6}, [SUM] = {"_sum", 4},     [INFO] = {"_info", 5},
};

void scrape_find_wanted(struct scrape *scrape) {
    const struct exposition_wish *wish = scrape->wish;
    const struct slice sample = scrape->declaration.sample;
    scrape->wanted = wish->names ? 0 : (1 << SUFFIX_END) - 1;
    for (uint32_t i = 0; i < wish->name_count && wish->names; i++) {
        const struct slice name = wish->names[i];
        if (name.length < sample.length || memcmp(name.text, sample.text, sample.length)) continue;
        for (int suffix = 0; suffix < SUFFIX_END; suffix++) {
            const struct slice its = suffixes[suffix];
            if (name.length == sample.length + its.length && !memcmp(name.text + sample.length, its.text, its.length))
                scrape->wanted |= 1U << suffix;
        }
    }
}

void scrape_put(struct scrape *scrape, enum suffix suffix, struct slice labels, struct label last, double value,
                int64_t exemplar) {
    if (!(scrape->wanted >> suffix & 1)) return;
    const bool is_openmetrics = scrape->wish->format == OPENMETRICS_1_0_0;
    struct lines *lines = suffix == CREATED && !is_openmetrics ? &scrape->created : &scrape->lines;
    const struct sample_line line = {scrape->declaration.sample, suffixes[suffix], labels, last, value};
    lines_put_sample(lines, &line);
    struct exemplar_values values;
    if (exemplar != NO_EXEMPLAR && is_openmetrics &&
        exemplar_get(scrape->nodes, scrape->series.at, (uint32_t)exemplar, &values))
        lines_put_exemplar(lines, &values);
}
