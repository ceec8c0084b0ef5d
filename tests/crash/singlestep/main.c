/* Kills, or freezes and resumes, a victim at each boundary of an operation, and looks at what is left.
 *
 *   singlestep [--operation NAME] [--layout rows|columns|nodes|log] [--mode kill|freeze] [--pairs N|all] [--sample N]
 *              [--seed N] [--name PATH]
 *   singlestep --list
 *
 * Without an operation: every one; without a layout: all that it has, which is nodes for one on metrics, and log for one on
 * streams. --pairs kills a victim at one boundary, then a process that repairs at one of its own; N of them drawn by the
 * seed (made odd), or all. --sample leaves out all but each Nth of those boundaries before and after which others see the
 * same.
 * --name is where a store may be created. Prints one line of JSON for each operation and layout. Exit status 0: no
 * violation; 1: some, told on stderr; 2: it could not be run; 3: victims cannot be stopped here, and why. */
#define _GNU_SOURCE
#include "victim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { STUCK_SECONDS = 60, LONG_LOOP = 32, PAIRS_A_DEATH = 10, ENOUGH_VIOLATIONS = 100 /* more tell nothing new */ };

/* Who meets a death first. */
enum way { REPAIRED, OVERTAKEN, SETTLED, SUCCEEDED, WAYS };
static const char *const way_names[] = {"repaired first", "overtaken first", "settled first",
                                        "places taken over first"};

struct wish {
    const char *operation, *mode, *path;
    uint32_t layouts; /* a bit for each */
    uint64_t pairs, sample, seed;
    bool list;
};

struct tally {
    uint64_t boundaries, runs, left_out;
};

static struct path path; /* large */

static void doing(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void doing(const char *format, ...) {
    static char text[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    now_doing = text;
}

/* As it was before the victim. */
static void begin(struct world *world, const struct kept *state) {
    alarm(STUCK_SECONDS);
    leave_places(world);
    world_restore(world, state);
    memset(world->report, 0, sizeof *world->report);
    unlink(world->path);
    world->victim_is_dead = false;
}

/* ---- death ------------------------------------------------------------------------------------------------------ */

static void meet_death(struct world *world, enum way way) {
    switch (way) {
    case REPAIRED: repair(world); break;
    case OVERTAKEN: break;
    case SETTLED: world->subject->settle(world); break;
    default: fill_places(world);
    }
    if (way == REPAIRED || way == SUCCEEDED) inspect_settled(world);
    else inspect(world);
    work_many(world, 2 * SLOTS);
    inspect(world);
    repair(world);
    inspect_settled(world);
    if (way != SUCCEEDED) fill_places(world);
    inspect_settled(world);
}

/* The victim is dead: what it left is met in each way. */
static void examine_death(struct world *world, const struct operation *operation, bool ended, const char *where) {
    static struct kept left;
    doing("%s, at death", where);
    inspect(world);
    world_save(world, &left);
    for (enum way way = 0; way < WAYS; way++) {
        doing("%s, %s", where, way_names[way]);
        world_restore(world, &left);
        meet_death(world, way);
        if (operation->verify) operation->verify(world, ended);
        leave_places(world);
    }
}

static void kill_at(struct world *world, const struct operation *operation, const struct kept *state, uint64_t boundary,
                    const char *where) {
    struct victim victim;
    begin(world, state);
    victim_start(&victim, world, operation);
    victim_go(&victim, world, operation, &path, boundary);
    victim_kill(&victim, world);
    examine_death(world, operation, victim.ended, where);
}

/* ---- standing still --------------------------------------------------------------------------------------------- */

static void freeze_at(struct world *world, const struct operation *operation, const struct kept *state,
                      uint64_t boundary, const char *where) {
    struct victim victim;
    bool might_skip = world->may_skip;
    begin(world, state);
    world->may_skip = true;
    victim_start(&victim, world, operation);
    world->victim = victim.pid;
    victim_go(&victim, world, operation, &path, boundary);
    doing("%s, standing still", where);
    inspect(world);
    repair(world);
    work_many(world, 3 * SLOTS);
    repair(world);
    fill_places(world);
    if (operation->meanwhile) operation->meanwhile(world);
    inspect(world);
    victim_resume(&victim, world);
    doing("%s, resumed", where);
    inspect(world);
    work_many(world, 2 * SLOTS);
    repair(world);
    inspect_settled(world);
    if (operation->verify) operation->verify(world, true);
    victim_kill(&victim, world);
    doing("%s, killed at its end", where);
    leave_places(world);
    repair(world);
    work_many(world, SLOTS);
    inspect_settled(world);
    world->may_skip = might_skip;
}

/* ---- pairs ------------------------------------------------------------------------------------------------------ */

static uint64_t random_number(uint64_t *seed, uint64_t below) {
    ++*seed;
    return fnv1a(seed, sizeof *seed) % below;
}

/* Any boundary, or one after which shared bytes have just changed: few do, and they matter most. */
static uint64_t draw_boundary(const struct path *from, uint64_t *seed) {
    uint64_t boundary = random_number(seed, from->count + 1);
    if (random_number(seed, 2))
        while (!from->changed[boundary]) boundary++; /* the last always has */
    return boundary;
}

/* A victim has died: one that repairs dies at so many of its own boundaries, drawn or all. */
static void kill_repairers(struct world *world, const struct operation *operation, bool ended, uint64_t pairs,
                           uint64_t *seed, struct tally *tally, const char *where) {
    static struct kept left;
    static struct path second; /* large */
    char both[200];
    world_save(world, &left);
    victim_explore(world, &repairing, &second);
    for (uint64_t i = 0; i < pairs && (*seed || i <= second.count); i++, tally->runs++) {
        struct victim repairer;
        uint64_t boundary = *seed ? draw_boundary(&second, seed) : i;
        world_restore(world, &left);
        victim_start(&repairer, world, &repairing);
        victim_go(&repairer, world, &repairing, &second, boundary);
        victim_kill(&repairer, world);
        snprintf(both, sizeof both, "%s, repairer at %llu of %llu", where, (unsigned long long)boundary,
                 (unsigned long long)second.count);
        examine_death(world, operation, ended, both);
    }
}

/* `pairs` drawn with `seed`, some for each death of a victim; or all when `seed` is 0. */
static struct tally run_pairs(struct world *world, const struct operation *operation, const struct kept *state,
                              uint64_t pairs, uint64_t seed) {
    struct tally tally = {.boundaries = path.count + 1};
    char where[160];
    for (uint64_t i = 0; tally.runs < pairs && (seed || i <= path.count); i++) {
        struct victim victim;
        uint64_t boundary = seed ? draw_boundary(&path, &seed) : i;
        uint64_t some = seed && pairs - tally.runs > PAIRS_A_DEATH ? PAIRS_A_DEATH : pairs - tally.runs;
        begin(world, state);
        victim_start(&victim, world, operation);
        victim_go(&victim, world, operation, &path, boundary);
        victim_kill(&victim, world);
        snprintf(where, sizeof where, "%s, killed at %llu of %llu", operation->name, (unsigned long long)boundary,
                 (unsigned long long)path.count);
        kill_repairers(world, operation, victim.ended, some, &seed, &tally, where);
    }
    return tally;
}

/* ---- everything ------------------------------------------------------------------------------------------------- */

/* In a long loop of the victim's own, with nothing changed that others see, death is what it was a boundary before. */
static bool is_repeated(uint64_t boundary) {
    uint64_t passes = 0;
    for (uint64_t at = 0; at < boundary; at++) passes += path.place[at] == path.place[boundary];
    return passes > LONG_LOOP && !path.changed[boundary];
}

static bool is_left_out(uint64_t boundary, const struct wish *wish) {
    const bool is_dull = !path.changed[boundary] && !path.changed[boundary + 1]; /* the last is not */
    return (is_dull && (boundary + wish->seed) % wish->sample) || is_repeated(boundary);
}

typedef void run_at(struct world *world, const struct operation *operation, const struct kept *state, uint64_t boundary,
                    const char *where);

static struct tally run_all(struct world *world, const struct operation *operation, const struct kept *state,
                            run_at *run, const struct wish *wish) {
    struct tally tally = {.boundaries = path.count + 1};
    char where[160];
    for (uint64_t boundary = 0; boundary <= path.count && violations < ENOUGH_VIOLATIONS; boundary++) {
        if (is_left_out(boundary, wish)) {
            tally.left_out++;
            continue;
        }
        snprintf(where, sizeof where, "%s, %s at %llu of %llu", operation->name, wish->mode,
                 (unsigned long long)boundary, (unsigned long long)path.count);
        run(world, operation, state, boundary, where);
        tally.runs++;
    }
    return tally;
}

static const char *const layout_names[] = {"nodes", "rows", "columns", "log"};
enum { LAYOUTS = sizeof layout_names / sizeof *layout_names };

static double clock_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void run_operation(const struct operation *operation, uint32_t layout, const struct wish *wish) {
    static struct world world;
    struct kept state = {0};
    double began = clock_seconds();
    uint64_t before = violations;
    doing("%s, prepared", operation->name);
    world_make(&world, layout, wish->path);
    operation->prepare(&world);
    inspect(&world);
    world_save(&world, &state);
    begin(&world, &state);
    victim_explore(&world, operation, &path);
    struct tally tally =
        wish->pairs ? run_pairs(&world, operation, &state, wish->pairs, wish->pairs == UINT64_MAX ? 0 : wish->seed)
        : !strcmp(wish->mode, "freeze") ? run_all(&world, operation, &state, freeze_at, wish)
                                        : run_all(&world, operation, &state, kill_at, wish);
    begin(&world, &state);
    alarm(0);
    printf("{\"operation\": \"%s\", \"layout\": \"%s\", \"mode\": \"%s\", \"by\": \"%s\", \"seed\": %llu, "
           "\"boundaries\": %llu, "
           "\"runs\": %llu, \"left_out\": %llu, \"violations\": %llu, \"seconds\": %.2f}\n",
           operation->name, layout_names[layout], wish->pairs ? "pairs" : wish->mode, boundary_word,
           (unsigned long long)wish->seed, (unsigned long long)tally.boundaries, (unsigned long long)tally.runs,
           (unsigned long long)tally.left_out, (unsigned long long)(violations - before), clock_seconds() - began);
    fflush(stdout);
    world_unmake(&world);
    free(state.bytes);
}

static uint32_t layout_named(const char *name) {
    uint32_t layout = 0;
    while (layout < LAYOUTS && strcmp(name, layout_names[layout])) layout++;
    return layout;
}

static bool take_option(struct wish *wish, const char *option, const char *value) {
    if (!strcmp(option, "--operation")) wish->operation = value;
    else if (!strcmp(option, "--mode") && (!strcmp(value, "kill") || !strcmp(value, "freeze"))) wish->mode = value;
    else if (!strcmp(option, "--layout") && layout_named(value) < LAYOUTS) wish->layouts = 1U << layout_named(value);
    else if (!strcmp(option, "--pairs")) wish->pairs = strcmp(value, "all") ? strtoull(value, NULL, 0) : UINT64_MAX;
    else if (!strcmp(option, "--sample")) wish->sample = strtoull(value, NULL, 0) + !strtoull(value, NULL, 0);
    else if (!strcmp(option, "--seed")) wish->seed = strtoull(value, NULL, 0) | 1;
    else if (!strcmp(option, "--name")) wish->path = value;
    else return false;
    return true;
}

/* Run, or list, what is asked for. Returns how many operations that are. */
static uint32_t run_table(const struct operation *operation, const struct wish *wish) {
    const uint32_t its = operation == metrics_operations   ? 1U << LAYOUT_NODES
                         : operation == streams_operations ? 1U << LAYOUT_LOG
                                                           : 1U << LAYOUT_ROWS | 1U << LAYOUT_COLUMNS;
    const uint32_t layouts = wish->layouts & its;
    uint32_t found = 0;
    for (; operation->name; operation++) {
        if (wish->operation && strcmp(wish->operation, operation->name)) continue;
        found++;
        if (wish->list) printf("%s\n", operation->name);
        for (uint32_t layout = 0; !wish->list && layout < LAYOUTS; layout++)
            if (layouts & 1U << layout) run_operation(operation, layout, wish);
    }
    return found;
}

int main(int count, char **arguments) {
    char usual_path[64];
    snprintf(usual_path, sizeof usual_path, "/dev/shm/shmstore-singlestep-%d", (int)getpid());
    struct wish wish = {.mode = "kill", .path = usual_path, .layouts = (1 << LAYOUTS) - 1, .sample = 1, .seed = 1};
    uint32_t found = 0;
    for (int at = 1; at < count; at++) {
        if (!strcmp(arguments[at], "--list")) wish.list = true;
        else if (at + 1 < count && take_option(&wish, arguments[at], arguments[at + 1])) at++;
        else return fprintf(stderr, "%s: unknown or incomplete option %s\n", arguments[0], arguments[at]), 2;
    }
    const char *obstacle = victim_obstacle();
    if (obstacle) return fprintf(stderr, "%s\n", obstacle), 3;
    const struct operation *const tables[] = {ring_operations,    place_operations,    key_operations,
                                              sample_operations,  question_operations, creation_operations,
                                              metrics_operations, streams_operations};
    for (size_t table = 0; table < sizeof tables / sizeof *tables; table++) found += run_table(tables[table], &wish);
    if (!found) return fprintf(stderr, "no operation is called %s\n", wish.operation), 2;
    return violations != 0;
}
