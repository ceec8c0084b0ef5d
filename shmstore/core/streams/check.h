/* The invariants of streams, executable; see check.h of the store. Reads only, and others may go on meanwhile: what seems
 * wrong counts only where nothing was announced during the look. */
#ifndef SHMSTORE_CHECK_STREAMS_H
#define SHMSTORE_CHECK_STREAMS_H

#include "core/streams/streams.h"

/* Report every log, slot, stream and chain that breaks an invariant, at most 20, as text; returns how many there are. */
uint64_t check_streams(const struct streams *streams, void (*violation)(void *context, const char *text),
                       void *context);

#endif
