/* What a test build of the core does at its named points: at a chosen arrival the process stops, is killed, or exits. */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <unistd.h>

void reached_point(const char *name);
__attribute__((visibility("default"))) void arm_point(const char *name, int arrival, int number);

static char armed[64];
static int arrivals_left, signal_number;

void arm_point(const char *name, int arrival, int number) {
    strncpy(armed, name, sizeof armed - 1);
    arrivals_left = arrival;
    signal_number = number;
}

void reached_point(const char *name) {
    if (strcmp(name, armed) || --arrivals_left) return;
    armed[0] = 0;
    if (!signal_number) _exit(3);
    kill(getpid(), signal_number);
}
