/* Stops a victim at each named POINT of the core, for machines where it cannot be stopped at each instruction. */
#define _GNU_SOURCE
#include "victim.h"

#include "core/base/point.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

const char *const boundary_word = "points";
static bool is_within; /* a victim, within its operation */

void reached_point(const char *name) {
    (void)name;
    if (is_within) raise(SIGSTOP);
}

void victim_window(void (*run)(struct world *world), struct world *world) {
    store_release(&world->report->ended, 0); /* another's, of a pair */
    raise(SIGSTOP);
    is_within = true;
    run(world);
    is_within = false;
    store_release(&world->report->ended, 1);
    raise(SIGSTOP);
}

void victim_await_start(struct victim *victim) {
    int status = 0;
    if (waitpid(victim->pid, &status, WUNTRACED) == victim->pid && WIFSTOPPED(status)) return;
    violation("the victim ended: status %x", (unsigned)status);
    exit(1);
}

uint64_t victim_place(const struct victim *victim) { return victim->at; }

bool victim_step(struct victim *victim, const struct world *world) {
    if (victim->ended) return false;
    kill(victim->pid, SIGCONT);
    victim_await_start(victim);
    victim->at++;
    victim->ended = load_acquire(&world->report->ended);
    return !victim->ended;
}

void victim_advance(struct victim *victim, const struct world *world, const struct path *path, uint64_t to) {
    (void)path;
    while (victim->at < to && victim_step(victim, world)) {}
    if (victim->at != to) violation("the victim left its path");
}

void victim_resume(struct victim *victim, const struct world *world) {
    while (victim_step(victim, world)) {}
}

const char *victim_obstacle(void) { return NULL; }
