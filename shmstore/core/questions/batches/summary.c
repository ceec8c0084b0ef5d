/* Summaries of blocks: made, written, read and believed only when their check fits; see summary.h. */
#include "core/questions/batches/summary.h"

#include <math.h>
#include <string.h>

#include "core/questions/batches/bounds.h"
#include "core/base/point.h"

static struct summary *summary_at(const struct geometry *g, unsigned char *memory, uint32_t partition, uint64_t block,
                                  uint32_t field) {
    uint64_t number = (partition * g->block_count + block) * g->summary_count + (uint32_t)g->fields[field].summary;
    return (struct summary *)(void *)(memory + g->summaries_offset) + number;
}

/* Steps of a hash: each is one-to-one in `word`, so a change of any one word changes the check. */
static uint64_t mix(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * UINT64_C(0x9fb21c651e98df25);
    return hash ^ hash >> 32;
}

static uint64_t check_of(const uint64_t words[4], uint32_t partition, uint64_t block, uint64_t lap, uint32_t field) {
    uint64_t about = mix(mix(mix(0, lap), block), (uint64_t)partition << 32 | field);
    uint64_t bounds = mix(mix(about, words[0]), words[1]), sum = mix(mix(~about, words[2]), words[3]);
    return mix(bounds, sum << 32 | sum >> 32);
}

void summary_write(const struct geometry *g, unsigned char *memory, uint32_t partition, uint64_t block, uint64_t lap,
                   uint32_t field, const struct facts *facts) {
    struct summary *to = summary_at(g, memory, partition, block, field);
    uint64_t words[4];
    memcpy(words, &facts->low, 8);
    memcpy(words + 1, &facts->high, 8);
    memcpy(words + 2, &facts->sum, 16);
    if (facts->has_nan) memcpy(words, &(double){NAN}, 8);
    store_relaxed(&to->low, words[0]); /* summary_write:word, all five */
    POINT("summary begun");
    store_relaxed(&to->high, words[1]);
    store_relaxed(&to->sum[0], words[2]);
    store_relaxed(&to->sum[1], words[3]);
    store_relaxed(&to->check, check_of(words, partition, block, lap, field));
}

void summary_read(const struct geometry *g, unsigned char *memory, uint32_t partition, uint64_t block, uint64_t lap,
                  uint32_t field, struct facts *facts) {
    struct summary *from = summary_at(g, memory, partition, block, field);
    const uint64_t words[4] = {load_relaxed(&from->low), load_relaxed(&from->high), load_relaxed(&from->sum[0]),
                               load_relaxed(&from->sum[1])}; /* summary_read:word, all five */
    *facts = (struct facts){.known = load_relaxed(&from->check) == check_of(words, partition, block, lap, field)};
    if (!facts->known) return;
    memcpy(&facts->low, words, 8);
    memcpy(&facts->high, words + 1, 8);
    memcpy(&facts->sum, words + 2, 16);
    facts->has_nan = lane_of(g->fields[field].kind) == LANE_FLOAT && isnan(facts->low.f);
}

void facts_begin(struct facts *facts, enum lane lane) {
    memset(facts, 0, sizeof *facts);
    bounds_begin(lane, &facts->low, &facts->high);
}

void facts_add(struct facts *facts, const struct field *field, const unsigned char *column, uint32_t rows) {
    union lanes room;
    const union lanes *values = column_lanes(field->kind, column, rows, &room);
    enum lane lane = lane_of(field->kind);
    bounds_add(lane, &facts->low, &facts->high, values, rows);
    if (lane != LANE_FLOAT) {
        int_sum_add(&facts->sum.integer, lane, values, rows);
        return;
    }
    real_sum_add(&facts->sum.real, values->f, rows);
    for (uint32_t row = 0; row < rows; row++) facts->has_nan |= isnan(values->f[row]) != 0;
}
