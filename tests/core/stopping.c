/* Operations that stop at a named point of the core: left there for ever, or waiting in a thread of their own. */
#include "harness.h"

#include <pthread.h>
#include <setjmp.h>

struct stalled {
    void (*operation)(void *argument);
    void *argument;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    const char *until; /* the point to go to; NULL: to the end */
    enum { MOVING, PARKED, RETURNED } is;
};

_Thread_local void (*at_point)(const char *name);
static _Thread_local struct {
    const char *point;
    int passes; /* how often to go by before */
    jmp_buf escape;
    struct stalled *stalled; /* NULL: leave for ever */
} stop;

static void park(struct stalled *stalled) {
    pthread_mutex_lock(&stalled->mutex);
    stalled->is = PARKED;
    pthread_cond_broadcast(&stalled->changed);
    while (stalled->is == PARKED) pthread_cond_wait(&stalled->changed, &stalled->mutex);
    stop.point = stalled->until;
    pthread_mutex_unlock(&stalled->mutex);
}

void reached_point(const char *name) {
    if (at_point) at_point(name);
    if (!stop.point || strcmp(name, stop.point) || stop.passes-- > 0) return;
    stop.point = NULL;
    if (!stop.stalled) longjmp(stop.escape, 1);
    park(stop.stalled);
}

bool leaves_at(const char *point, int passes, void (*operation)(void *argument), void *argument) {
    stop.point = point;
    stop.passes = passes;
    if (setjmp(stop.escape)) return true;
    operation(argument);
    stop.point = NULL;
    return false;
}

static void *stalled_main(void *argument) {
    struct stalled *stalled = argument;
    stop.stalled = stalled;
    stop.point = stalled->until;
    stalled->operation(stalled->argument);
    pthread_mutex_lock(&stalled->mutex);
    stalled->is = RETURNED;
    pthread_cond_broadcast(&stalled->changed);
    pthread_mutex_unlock(&stalled->mutex);
    return NULL;
}

static void wait_until_it_stops(struct stalled *stalled) {
    pthread_mutex_lock(&stalled->mutex);
    while (stalled->is == MOVING) pthread_cond_wait(&stalled->changed, &stalled->mutex);
    pthread_mutex_unlock(&stalled->mutex);
}

bool has_returned(const struct stalled *stalled) { return stalled->is == RETURNED; }

struct stalled *start(void (*operation)(void *argument), void *argument, const char *point) {
    struct stalled *stalled = calloc(1, sizeof *stalled);
    if (!stalled) fail("no memory");
    *stalled = (struct stalled){.operation = operation, .argument = argument, .until = point};
    pthread_mutex_init(&stalled->mutex, NULL);
    pthread_cond_init(&stalled->changed, NULL);
    if (pthread_create(&stalled->thread, NULL, stalled_main, stalled)) fail("no thread");
    wait_until_it_stops(stalled);
    return stalled;
}

void move_on(struct stalled *stalled, const char *point) {
    pthread_mutex_lock(&stalled->mutex);
    stalled->until = point;
    stalled->is = MOVING;
    pthread_cond_broadcast(&stalled->changed);
    pthread_mutex_unlock(&stalled->mutex);
    wait_until_it_stops(stalled);
}

void finish(struct stalled *stalled) {
    if (!has_returned(stalled)) move_on(stalled, NULL);
    pthread_join(stalled->thread, NULL);
    free(stalled);
}

/* ---- appends that stop ------------------------------------------------------------------------------------------- */

struct stopping {
    struct store *store;
    uint32_t owner;
    enum append_status status;
    struct stalled *stalled;
};

static void append_once(void *argument) {
    struct stopping *append = argument;
    struct appended out;
    append->status = try_append(append->store, append->owner, &out);
}

void abandon(struct store *store, uint32_t owner, const char *point) {
    struct stopping append = {.store = store, .owner = owner};
    if (!leaves_at(point, 0, append_once, &append)) fail("an append did not reach '%s'", point);
}

struct stopping *start_append(struct store *store, uint32_t owner, const char *point) {
    struct stopping *append = calloc(1, sizeof *append);
    if (!append) fail("no memory");
    *append = (struct stopping){.store = store, .owner = owner};
    append->stalled = start(append_once, append, point);
    return append;
}

struct stopping *stall(struct store *store, uint32_t owner, const char *point) {
    struct stopping *append = start_append(store, owner, point);
    if (!is_stopped(append)) fail("an append did not reach '%s'", point);
    return append;
}

bool is_stopped(const struct stopping *append) { return !has_returned(append->stalled); }

bool stops_again(struct stopping *append, const char *point) {
    if (is_stopped(append)) move_on(append->stalled, point);
    return is_stopped(append);
}

enum append_status wake(struct stopping *append) {
    finish(append->stalled);
    enum append_status status = append->status;
    free(append);
    return status;
}
