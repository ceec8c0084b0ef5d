/* Runs the cases whose file or name is asked for: harness [--seed N] [--effort PERCENT] [--limit SECONDS] [--list] [WHAT]...
 *
 * Each case runs in a process of its own, one after the other, and fails when it takes longer than the limit. Prints "ok CASE", or the reason and "FAILED CASE". The
 * exit status is 1 when a case failed, 2 when none was found. */
#define _GNU_SOURCE
#include "harness.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static struct test_case *cases, **last_case = &cases;
static uint64_t seed = 1;
static unsigned limit_seconds = 60;
static _Thread_local uint64_t random_state;
uint64_t effort = 100;

void add_case(struct test_case *test_case) {
    *last_case = test_case;
    last_case = &test_case->next;
}

void fail_at(const char *file, int line, const char *format, ...) {
    const char *slash = strrchr(file, '/');
    va_list arguments;
    flockfile(stdout);
    printf("  %s:%d: ", slash ? slash + 1 : file, line);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    fflush(stdout);
    _exit(1);
}

void expect_equal_at(const char *file, int line, const char *what, uint64_t found, uint64_t expected) {
    if (found == expected) return;
    unsigned long long is = found, not = expected;
    fail_at(file, line, "%s is %llu (%llx), expected %llu (%llx)", what, is, is, not, not );
}

void expect_text_at(const char *file, int line, const char *found, const char *expected) {
    if (strcmp(found, expected)) fail_at(file, line, "found    '%s'\n%*sexpected '%s'", found, 4, "", expected);
}

uint64_t mixed(uint64_t number) { /* splitmix64 */
    number += UINT64_C(0x9e3779b97f4a7c15);
    number = (number ^ number >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    number = (number ^ number >> 27) * UINT64_C(0x94d049bb133111eb);
    return number ^ number >> 31;
}

void seed_thread(uint64_t number) { random_state = mixed(seed ^ mixed(number)); }

uint64_t random_number(uint64_t below) { return mixed(random_state++) % below; }

/* Is this case asked for, by its own name or by that of its file without ".c"? */
static bool is_wanted(const struct test_case *test_case, char **wanted) {
    const char *slash = strrchr(test_case->file, '/'), *file = slash ? slash + 1 : test_case->file;
    if (!*wanted) return true;
    for (; *wanted; wanted++) {
        size_t length = strlen(*wanted);
        if (!strcmp(*wanted, test_case->name)) return true;
        if (!strncmp(*wanted, file, length) && !strcmp(file + length, ".c")) return true;
    }
    return false;
}

static bool run(const struct test_case *test_case) {
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        setpgid(0, 0);
        alarm(limit_seconds);
        seed_thread(fnv1a(test_case->name, strlen(test_case->name)));
        test_case->body();
        _exit(0);
    }
    int status = 0;
    siginfo_t end;
    if (child < 0 || waitid(P_PID, (id_t)child, &end, WEXITED | WNOWAIT) < 0) {
        perror("  cannot run a case");
        return false;
    }
    kill(-child, SIGKILL); /* processes that the case has left behind; its number is still taken */
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status))
        printf("  ended by signal %d (%s)%s\n", WTERMSIG(status), strsignal(WTERMSIG(status)),
               WTERMSIG(status) == SIGALRM ? ": it did not end by itself" : "");
    printf("%s %s\n", status ? "FAILED" : "ok", test_case->name);
    return !status;
}

int main(int count, char **arguments) {
    bool list = false;
    int at = 1;
    for (; at < count && arguments[at][0] == '-'; at++) {
        if (!strcmp(arguments[at], "--list")) list = true;
        else if (!strcmp(arguments[at], "--seed") && at + 1 < count) seed = strtoull(arguments[++at], NULL, 0);
        else if (!strcmp(arguments[at], "--effort") && at + 1 < count) effort = strtoull(arguments[++at], NULL, 0);
        else if (!strcmp(arguments[at], "--limit") && at + 1 < count)
            limit_seconds = (unsigned)strtoul(arguments[++at], NULL, 0);
        else {
            fprintf(stderr, "usage: %s [--seed N] [--effort PERCENT] [--limit SECONDS] [--list] [WHAT]...\n",
                    *arguments);
            return 2;
        }
    }
    int found = 0, failed = 0;
    printf("seed %llu, effort %llu %%\n", (unsigned long long)seed, (unsigned long long)effort);
    for (const struct test_case *test_case = cases; test_case; test_case = test_case->next) {
        if (!is_wanted(test_case, arguments + at)) continue;
        found++;
        if (list) printf("%s\n", test_case->name);
        else failed += !run(test_case);
    }
    printf("%d cases, %d failed\n", found, failed);
    return failed ? 1 : found ? 0 : 2;
}
