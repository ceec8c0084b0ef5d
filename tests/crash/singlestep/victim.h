/* A process that runs one operation and can be stopped at each of its boundaries.
 *
 * What a boundary is, one of two files says: by_instruction.c, before each machine instruction of the operation and
 * after its last (ptrace; x86-64); by_point.c, at each named POINT, before the first and after the last. */
#ifndef SHMSTORE_TESTS_VICTIM_H
#define SHMSTORE_TESTS_VICTIM_H

#include "operation.h"

struct victim {
    pid_t pid;
    uint64_t at; /* boundaries passed */
    bool ended;
};

enum { MOST_BOUNDARIES = 1 << 17 };

/* The boundaries of an operation, counted; it goes the same way each time. */
struct path {
    uint64_t count;                      /* the operation returns at the last, whose number this is */
    uint64_t meddle_at;                  /* past the last: never */
    uint64_t place[MOST_BOUNDARIES + 1]; /* address of the instruction there */
    bool changed[MOST_BOUNDARIES + 1];   /* what others can see is not what it was before */
};

/* Why victims cannot be stopped here, in one sentence; NULL when they can. */
const char *victim_obstacle(void);

void victim_start(struct victim *victim, struct world *world, const struct operation *operation);
void victim_kill(struct victim *victim, struct world *world);
/* Count the boundaries and see what happens at each. */
void victim_explore(struct world *world, const struct operation *operation, struct path *path);
/* Come to a boundary of the path. */
void victim_go(struct victim *victim, struct world *world, const struct operation *operation, const struct path *path,
               uint64_t to);

/* ---- in by_instruction.c or by_point.c -------------------------------------------------------------------------- */

extern const char *const boundary_word; /* "instructions" or "points" */
void victim_window(void (*run)(struct world *world),
                   struct world *world); /* in the victim: stops before and after `run` */
void victim_await_start(struct victim *victim);
bool victim_step(struct victim *victim, const struct world *world); /* to the next boundary; false at the last */
uint64_t victim_place(const struct victim *victim);
/* Many steps at once. */
void victim_advance(struct victim *victim, const struct world *world, const struct path *path, uint64_t to);
void victim_resume(struct victim *victim, const struct world *world); /* on to the end */

#endif
