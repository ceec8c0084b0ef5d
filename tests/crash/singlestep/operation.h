/* Operations, in tables that more can be added to; the states in which they begin; how a victim attaches. */
#ifndef SHMSTORE_TESTS_OPERATION_H
#define SHMSTORE_TESTS_OPERATION_H

#include "world.h"

struct operation {
    const char *name;
    void (*prepare)(struct world *world);   /* the state in which it begins */
    void (*ready)(struct world *world);     /* in the victim, before the first boundary */
    void (*run)(struct world *world);       /* in the victim: the operation */
    bool (*meddle)(struct world *world);    /* when the time has come, does something and returns true */
    void (*meanwhile)(struct world *world); /* what others do, besides appending, while the victim stands still */
    void (*verify)(struct world *world, bool ended); /* what must hold besides the account */
};

/* The last of each table has no name. */
extern const struct operation ring_operations[], place_operations[], key_operations[], sample_operations[],
    question_operations[], creation_operations[], metrics_operations[], streams_operations[];
extern const struct operation repairing; /* reaps every place: the second of a pair */

void begin_half_full(struct world *world);
void begin_full(struct world *world);
/* The next slot is held by a process that lives and stands still; by one that died; has been settled after a death. */
void begin_before_a_stalled_slot(struct world *world);
void begin_before_a_dead_claim(struct world *world);
void begin_before_a_void_slot(struct world *world);
/* A dead process has left a claim that was overtaken and one that was not, and the place WRECKED_PLACE. */
void begin_with_a_wreck(struct world *world);
enum { WRECKED_PLACE = 1 };

/* In the victim. */
extern struct record records[BATCH]; /* what it appends; made before the first boundary */
void be_attached(struct world *world);
void end_with(struct world *world, uint32_t result, bool failed);

#endif
