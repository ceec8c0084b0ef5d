/* The chains of ids: log.h, sentence 9. */
#ifndef SHMSTORE_CHAINS_H
#define SHMSTORE_CHAINS_H

#include "core/streams/slots.h"

/* The hash of an id within its stream. */
uint64_t chains_hash(uint32_t stream, const struct piece *id);

/* Has the stream an event of this id, of this hash, that has its slot still? Says its version. `tail`: of this moment. */
bool chains_find(const struct log_view *log, uint64_t tail, uint32_t stream, const struct piece *id, uint64_t hash,
                 uint64_t *version);

#endif
