/* Starting, exploring and killing victims, however they are stopped. */
#define _GNU_SOURCE
#include "victim.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

enum { STACK_BYTES = 1 << 18 };

static struct world *its_world;
static const struct operation *its_operation;

static void live(void) {
    if (its_operation->ready) its_operation->ready(its_world);
    victim_window(its_operation->run, its_world);
    _exit(0);
}

/* Every victim has the same stack, however deep the caller's was: functions of the C library that compare or copy take
 * another way near the end of a page, and so an operation with a buffer on its stack would not always go the same way. */
static void live_on_a_stack_of_its_own(struct world *world, const struct operation *operation) {
    static _Alignas(1 << 12) unsigned char stack[STACK_BYTES];
    ucontext_t life;
    its_world = world;
    its_operation = operation;
    if (getcontext(&life)) _exit(2);
    life.uc_stack.ss_sp = stack;
    life.uc_stack.ss_size = sizeof stack;
    makecontext(&life, live, 0);
    setcontext(&life);
    _exit(2);
}

void victim_start(struct victim *victim, struct world *world, const struct operation *operation) {
    *victim = (struct victim){.pid = fork()};
    if (victim->pid < 0) {
        perror("fork");
        exit(2);
    }
    if (!victim->pid) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        live_on_a_stack_of_its_own(world, operation);
    }
    victim_await_start(victim);
}

void victim_kill(struct victim *victim, struct world *world) {
    kill(victim->pid, SIGKILL);
    while (waitpid(victim->pid, NULL, 0) == victim->pid) {} /* it may tell of a stop before its end */
    world->victim_is_dead = true;
}

void victim_explore(struct world *world, const struct operation *operation, struct path *path) {
    struct kept before = {0};
    struct victim victim;
    bool meddled = !operation->meddle, there = false;
    path->meddle_at = MOST_BOUNDARIES + 1;
    world_save(world, &before);
    victim_start(&victim, world, operation);
    for (;;) {
        path->place[victim.at] = victim_place(&victim);
        path->changed[victim.at] = !world_equals(world, &before) || there != !access(world->path, F_OK);
        if (path->changed[victim.at]) world_save(world, &before);
        there = !access(world->path, F_OK);
        if (!meddled && operation->meddle(world)) {
            meddled = true;
            path->meddle_at = victim.at;
        }
        if (victim.at == MOST_BOUNDARIES || !victim_step(&victim, world)) break;
    }
    if (!victim.ended || !meddled) violation("it has more than %d boundaries, or nobody could meddle", MOST_BOUNDARIES);
    path->count = victim.at;
    path->place[victim.at] = victim_place(&victim);
    path->changed[victim.at] = true;
    victim_kill(&victim, world);
    free(before.bytes);
}

void victim_go(struct victim *victim, struct world *world, const struct operation *operation, const struct path *path,
               uint64_t to) {
    if (victim->at <= path->meddle_at && path->meddle_at < to) {
        victim_advance(victim, world, path, path->meddle_at);
        operation->meddle(world);
    }
    victim_advance(victim, world, path, to);
}
