/* Looking an id up; numbers in brackets are the sentences of log.h. */
#include "core/streams/chains.h"

uint64_t chains_hash(uint32_t stream, const struct piece *id) {
    const unsigned char *from = id->bytes;
    uint64_t hash = (stream + UINT64_C(1)) * UINT64_C(0x9e3779b97f4a7c15) ^ id->count;
    for (size_t i = 0; i < id->count; i += 8) {
        hash = (hash ^ piece_word(from + i, id->count - i)) * UINT64_C(0xbf58476d1ce4e5b9);
        hash ^= hash >> 32;
    }
    return hash;
}

/* Is this the id of the event in a slot? It follows the type. */
static bool has_id(const struct event_slot *slot, uint64_t origin, const struct piece *id) {
    const atomic_u64 *at = slot->text + piece_room(origin_type_bytes(origin)) / 8;
    const unsigned char *bytes = id->bytes;
    if (origin_id_bytes(origin) != id->count || origin_type_bytes(origin) > MAX_EVENT_TYPE_BYTES ||
        id->count > MAX_EVENT_ID_BYTES)
        return false;
    for (size_t i = 0; i < id->count; i += 8)
        if (load_relaxed(at++) != piece_word(bytes + i, id->count - i)) return false;
    return true;
}

bool chains_find(const struct log_view *log, uint64_t tail, uint32_t stream, const struct piece *id, uint64_t hash,
                 uint64_t *version) {
    uint64_t link = load_acquire(log_chain(log, hash)), passed = 0; /* chains_find:first */
    /* What is older than all slots, or not older than what led to it, was discarded, or kept and has moved to the front [9]. */
    while (link && chain_age(link, tail) > passed && chain_age(link, tail) <= log->geometry->slots &&
           chain_slot(link) < log->geometry->log_slots) {
        if (link & CHAIN_END && !chain_has_hash(link, hash)) return false;
        const struct event_slot *slot = log_slot(log, chain_slot(link));
        const uint64_t word = load_acquire(&slot->word); /* chains_find:word */
        const uint64_t origin = load_relaxed(&slot->origin);
        if (slot_state(word) != SLOT_PUBLISHED || chain_age(link, word >> 24)) return false;
        if (load_relaxed(&slot->id_hash) == hash && origin_stream(origin) == stream && has_id(slot, origin, id)) {
            *version = load_relaxed(&slot->version);
            return true;
        }
        passed = chain_age(link, tail);
        link = load_relaxed(&slot->id_next);
    }
    return false;
}
