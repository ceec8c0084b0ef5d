/* Finding a version of a stream: each event leads to the one before it, and to one far before it.
 *
 * The second, its jump, is chosen as in the skew-binary lists of Myers (An applicative random-access stack, Information
 * Processing Letters 17, 1983): where the jump of the event before and the jump of that are equally long, both are taken at
 * once; else it leads to the event before. So any version is found in steps that grow with the logarithm of the distance,
 * and an event needs no more than was known when it was appended. */
#ifndef SHMSTORE_SEEK_H
#define SHMSTORE_SEEK_H

#include "core/streams/slots.h"

/* What the next event of a stream needs of the one before. */
struct landmark {
    uint64_t version, jump, jump_of_jump, time_ns;
    uint64_t slot, jump_slot; /* + 1; 0: there is none */
};

/* That of the newest event, in `slot_plus_1`; at a moment. */
struct landmark seek_landmark(const struct log_view *log, uint32_t stream, uint64_t slot_plus_1, uint64_t versions);

/* Write where a claimed slot leads, whose version is written already, and make it the landmark for the next. Versions from
 * `claimed_from` on are in claimed slots of the same append. */
void seek_link(const struct log_view *log, uint32_t stream, uint64_t claimed_from, struct landmark *before,
               uint32_t slot);

#endif
