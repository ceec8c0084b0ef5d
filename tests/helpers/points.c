/* What a test build of the core does at its named points: at a chosen arrival the process stops, is killed, or exits. */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <unistd.h>

void reached_point(const char *name);
__attribute__((visibility("default"))) void arm_point(const char *name, int arrival, int number);

/* What was armed; each waits for those before it. */
static struct {
    char name[32];
    int arrivals_left, number;
} armed[4];
static int count, turn;

void arm_point(const char *name, int arrival, int number) {
    strncpy(armed[count].name, name, sizeof armed->name - 1);
    armed[count].arrivals_left = arrival;
    armed[count++].number = number;
}

void reached_point(const char *name) {
    if (turn == count || strcmp(name, armed[turn].name) || --armed[turn].arrivals_left) return;
    int number = armed[turn++].number;
    if (!number) _exit(3);
    kill(getpid(), number);
}
