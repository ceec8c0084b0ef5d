/* Hashing values, and holding those of a slice in a table with linear probing. */
#include "core/questions/order/distinct.h"

#include "core/base/vector.h"

/* splitmix64's finalizer: G. L. Steele, D. Lea, C. H. Flood, Fast splittable pseudorandom number generators, 2014. */
static inline uint64_t mix(uint64_t word) {
    word = (word ^ word >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ word >> 27) * UINT64_C(0x94d049bb133111eb);
    return word ^ word >> 31;
}

/* MurmurHash3's finalizer: A. Appleby, 2011. */
static inline uint64_t mix_otherwise(uint64_t word) {
    word = (word ^ word >> 33) * UINT64_C(0xff51afd7ed558ccd);
    word = (word ^ word >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return word ^ word >> 33;
}

struct value_hash hash_bytes(const unsigned char *value, uint32_t bytes) {
    uint16_t length;
    memcpy(&length, value + bytes - sizeof length, sizeof length);
    if (length > bytes - sizeof length) length = (uint16_t)(bytes - sizeof length);
    struct value_hash hash = {length, ~(uint64_t)length};
    for (uint32_t at = 0; at < length; at += 8) {
        uint64_t word;
        memcpy(&word, value + at, sizeof word);
        if (length - at < 8) word &= (UINT64_C(1) << (length - at) * 8) - 1; /* bytes beyond the length do not count */
        hash.first = mix(hash.first + word + UINT64_C(0x9e3779b97f4a7c15));
        hash.second = mix_otherwise(hash.second ^ word * UINT64_C(0xd6e8feb86659fd93));
    }
    hash.first = mix(hash.first);
    hash.first += !hash.first;
    return hash;
}

VECTORISED static void mix_all(uint64_t *words, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) words[i] = mix(words[i]);
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

static inline uint32_t places(uint32_t words) { return DISTINCT_WORDS / words; }
static inline uint32_t room(uint32_t words) { return places(words) / 4 * 3; }

/* The place where a value is, or would be. Slices are told by the upper bits of a hash, places by the lower ones. */
static inline uint64_t *find(struct distinct *d, const uint64_t *value, const uint32_t words) {
    uint32_t at = (uint32_t)((uint64_t)(uint32_t)value[0] * places(words) >> 32);
    for (;; at = at + 1 == places(words) ? 0 : at + 1) {
        uint64_t *place = d->table + at * words;
        if ((place[0] == value[0] && (words == 1 || place[1] == value[1])) || !place[0]) return place;
    }
}

/* Drop the values above `to`, and move up the others. It begins after an empty place, so that whatever stands before a value
 * already stands where it will stay. */
static void sweep(struct distinct *d, const uint32_t words) {
    uint32_t start = 0;
    while (d->table[start * words]) start++;
    for (uint32_t i = 0; i < places(words); i++) {
        uint64_t *place = d->table + (start + i) % places(words) * words, value[2] = {place[0], place[words - 1]};
        if (!value[0]) continue;
        place[0] = 0;
        if (value[0] > d->to) d->held--;
        else memcpy(find(d, value, words), value, words * sizeof *value);
    }
}

static inline __attribute__((always_inline)) void insert(struct distinct *d, const uint64_t *values, uint32_t count,
                                                         const uint32_t words) {
    for (const uint64_t *value = values; value < values + count * words; value += words) {
        uint64_t *place = find(d, value, words);
        if (place[0] == value[0]) continue; /* the hash 0 is found in every empty place */
        while (d->held == room(words) && d->from < d->to) {
            d->to = d->from + (d->to - d->from) / 2;
            sweep(d, words);
            place = find(d, value, words);
        }
        if (value[0] > d->to || d->held == room(words)) continue;
        memcpy(place, value, words * sizeof *value);
        d->held++;
    }
}

/* ---- passes ------------------------------------------------------------------------------------------------------ */

void distinct_begin(struct distinct *d) {
    memset(d, 0, sizeof *d);
    d->to = UINT64_MAX;
}

void distinct_add(struct distinct *d, enum lane lane, const union lanes *values, const uint8_t *mask, uint32_t rows) {
    uint64_t hashes[BATCH_ROWS];
    const uint64_t from = d->from, width = d->to - from;
    uint32_t count = 0;
    bool zero = false;
    ordered_words(lane, values, rows, hashes);
    mix_all(hashes, rows);
    for (uint32_t r = 0; r < rows; r++) {
        const uint64_t hash = hashes[r];
        const bool counts = (!mask || mask[r]) & (hash - from <= width);
        zero |= counts & !hash;
        hashes[count] = hash;
        count += counts;
    }
    d->words = 1;
    d->zero |= zero;
    insert(d, hashes, count, 1);
}

void distinct_add_bytes(struct distinct *d, const unsigned char *column, uint32_t bytes, const uint8_t *mask,
                        uint32_t rows) {
    uint64_t hashes[2 * BATCH_ROWS];
    uint32_t count = 0;
    for (uint32_t r = 0; r < rows; r++) {
        if (mask && !mask[r]) continue;
        const struct value_hash hash = hash_bytes(column + (size_t)r * bytes, bytes);
        hashes[2 * count] = hash.first;
        hashes[2 * count + 1] = hash.second;
        count += hash.first - d->from <= d->to - d->from;
    }
    d->words = 2;
    insert(d, hashes, count, 2);
}

enum pass distinct_end_pass(struct distinct *d) {
    d->counted += d->held + d->zero;
    if (d->to == UINT64_MAX) return PASS_DONE;
    const double hashes_per_value = (double)(d->to - d->from) / (double)(d->held + 1);
    const double width = hashes_per_value * room(d->words) * 0.9, rest = (double)(UINT64_MAX - d->to);
    d->from = d->to + 1;
    d->to = width < rest ? d->from + (uint64_t)width : UINT64_MAX;
    d->held = 0;
    d->zero = false;
    memset(d->table, 0, sizeof d->table);
    return PASS_AGAIN;
}
