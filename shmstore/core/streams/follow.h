/* Following streams: has something come, and what comes next in the order of a log. See streams.h. */
#ifndef SHMSTORE_FOLLOW_H
#define SHMSTORE_FOLLOW_H

#include "core/streams/streams.h"

/* Is there something that whoever has read all versions below `next` has not seen: an event, or that the stream was deleted
 * for ever? */
bool follow_has_versions(const struct streams *streams, uint32_t stream, uint64_t next);

/* Were tickets handed out that whoever has passed all below `next` has not seen? They need not have events. */
bool follow_has_tickets(const struct streams *streams, uint32_t log, uint64_t next);

/* The oldest ticket that was not passed by, when the next one is `tail`. */
uint64_t follow_oldest(const struct streams *streams, uint64_t tail);

/* A place in the order of a log. */
struct follow_place {
    uint64_t ticket; /* all below are passed */
    uint64_t end;    /* not beyond */
    uint64_t missed; /* on FOLLOW_MISSED, what was overwritten: from here to `ticket` */
};

enum follow_status { FOLLOW_EVENT, FOLLOW_MISSED, FOLLOW_END, FOLLOW_DAMAGED };

/* Go on to the next event that can be read, and copy it: its ticket is the place's. Passed without a word is what has no event
 * of its own (deletions, what was kept again), and what nobody may read any more: what was truncated or deleted, and what is
 * beyond the retention of its stream. */
enum follow_status follow_next(const struct streams *streams, uint32_t log, uint64_t now_ns, struct follow_place *place,
                               struct event_facts *facts, void *text, size_t room);

#endif
