/* Stops a victim before each machine instruction, by ptrace; a system call is one instruction. For x86-64.
 *
 * To come to a boundary far ahead, a breakpoint is set at its instruction and passed as often as the path passes it: a
 * step costs two switches of processes, and there are many instructions between two passes of the same. */
#define _GNU_SOURCE
#include "victim.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BREAKPOINT = 0xcc, COST_OF_A_PASS = 3 /* in steps */ };

const char *const boundary_word = "instructions";
extern const char window_end[];

__attribute__((noinline)) void victim_window(void (*run)(struct world *world), struct world *world) {
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL)) _exit(3);
    __asm__ volatile("int3" ::: "memory");
    run(world);
    __asm__ volatile(".globl window_end\nwindow_end:\n\tint3" ::: "memory");
}

static void trace(enum __ptrace_request request, const struct victim *victim, uint64_t address, uint64_t data) {
    if (!ptrace(request, victim->pid, (void *)(uintptr_t)address, (void *)(uintptr_t)data)) return;
    perror("ptrace");
    exit(2);
}

/* Wait until the victim stops by a trap. */
static void await(const struct victim *victim) {
    int status = 0;
    if (waitpid(victim->pid, &status, 0) == victim->pid && WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP) return;
    violation("the victim ended, or stopped otherwise: status %x", (unsigned)status);
    exit(1);
}

void victim_await_start(struct victim *victim) {
    await(victim);
    trace(PTRACE_SETOPTIONS, victim, 0, PTRACE_O_EXITKILL);
}

uint64_t victim_place(const struct victim *victim) {
    return (uint64_t)ptrace(PTRACE_PEEKUSER, victim->pid, (void *)offsetof(struct user, regs.rip), NULL);
}

static uint64_t step_once(struct victim *victim) {
    trace(PTRACE_SINGLESTEP, victim, 0, 0);
    await(victim);
    return victim_place(victim);
}

bool victim_step(struct victim *victim, const struct world *world) {
    (void)world;
    if (!victim->ended) {
        victim->ended = step_once(victim) == (uint64_t)(uintptr_t)window_end;
        victim->at++;
    }
    return !victim->ended;
}

/* Run on until the instruction at `place` is about to be executed. */
static void run_to(struct victim *victim, uint64_t place) {
    uint64_t code = (uint64_t)ptrace(PTRACE_PEEKTEXT, victim->pid, (void *)(uintptr_t)place, NULL);
    trace(PTRACE_POKETEXT, victim, place, (code & ~UINT64_C(0xff)) | BREAKPOINT);
    trace(PTRACE_CONT, victim, 0, 0);
    await(victim);
    if (victim_place(victim) != place + 1) {
        violation("the victim left its path");
        exit(1);
    }
    trace(PTRACE_POKETEXT, victim, place, code);
    trace(PTRACE_POKEUSER, victim, offsetof(struct user, regs.rip), place);
}

void victim_advance(struct victim *victim, const struct world *world, const struct path *path, uint64_t to) {
    const uint64_t place = path->place[to];
    uint64_t passes = 0;
    for (uint64_t at = victim->at + 1; at <= to; at++) passes += path->place[at] == place;
    if (to - victim->at <= COST_OF_A_PASS * passes) {
        while (victim->at < to) victim_step(victim, world);
        return;
    }
    for (;;) {
        passes -= step_once(victim) == place; /* off the breakpoint; or a repeated instruction, back on it */
        if (!passes) break;
        run_to(victim, place);
        if (!--passes) break;
    }
    victim->at = to;
    victim->ended = to == path->count;
}

void victim_resume(struct victim *victim, const struct world *world) {
    (void)world;
    if (!victim->ended) run_to(victim, (uint64_t)(uintptr_t)window_end);
    victim->ended = true;
}

const char *victim_obstacle(void) {
    static char text[160];
    int status = 0;
    pid_t child = fork();
    if (!child) _exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) ? errno : 0);
    if (child > 0 && waitpid(child, &status, 0) == child && !status) return NULL;
    snprintf(text, sizeof text, "ptrace is not allowed here (%s), so victims are stopped at named points only",
             strerror(WEXITSTATUS(status)));
    return text;
}
