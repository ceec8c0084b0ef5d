/* A fuzz target: processes that insert, remove and update series of a small table, each stopped at every point, going on, or
 * dying there, as the input says.
 *
 * A process is a coroutine that is left at each POINT of the core. After each step the table is sound, every series is found
 * by its key and holds just what was added to it, and what processes have for themselves is counted once; at the end, all nodes
 * that no series takes are free. tools/fuzz --metrics builds it with libFuzzer, which finds its own inputs; in the C tests of
 * the core it has a case, which gives it random ones.
 *
 * An input is one byte for each step: whose it is (2 bits; 3: of somebody who stops nowhere), what is done (3), to what (3). */
#include "core/metrics/cells.h"
#include "core/metrics/check_nodes.h"
#include "core/metrics/contents.h"
#include "core/metrics/exemplars.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

enum { PROCESSES = 3, OUTSIDER = PROCESSES, NODES = 24, CHAINS = 2, KEYS = 6, SLOTS_OF_EXEMPLARS = 2 };
enum { STACK_BYTES = 1 << 17, TEXT_BYTES = 512, OWN_FAMILY = 7, MOST_STEPS = 400 };

static void require(bool condition, const char *what) {
    if (condition) return;
    fprintf(stderr, "not so: %s\n", what);
    abort();
}

/* ---- the table and its processes --------------------------------------------------------------------------------- */

enum action { INSERT, INSERT_TOO, REMOVE, FIND, UPDATE, RAISE_OWN, PUT_EXEMPLAR, SWEEP, ENTER };

static struct process {
    ucontext_t context;
    bool is_amid, is_dead;
    uint32_t generation; /* of its place */
    enum action action;
    uint32_t key;
    bool has_found;
    struct node_at found; /* by its last FIND or INSERT: perhaps long ago */
} processes[PROCESSES + 1];

static unsigned char stacks[PROCESSES][STACK_BYTES];
static ucontext_t scheduler;
static struct process *running; /* NULL: somebody who stops nowhere */
static struct geometry geometry;
static struct nodes nodes;

/* What was added to a node in this life. */
static struct life {
    uint32_t generation;
    uint64_t added;
} lives[NODES];
static uint64_t added_to_own[PROCESSES + 1];
static uint64_t exemplars;

static uint32_t number_of_process(const struct process *process) { return (uint32_t)(process - processes); }
static uint32_t owner_of(const struct process *process) {
    return number_of_process(process) | process->generation << 12;
}
static bool is_dead(void *context, uint32_t owner) {
    const struct process *process = &processes[owner_place(owner) % (PROCESSES + 1)];
    (void)context;
    return owner != owner_of(process) || process->is_dead;
}

static void stop(const char *point) {
    (void)point;
    if (running) swapcontext(&running->context, &scheduler);
}

/* An empty table; smaller than a segment's can be. */
static void begin(void) {
    const struct options options = {
        .capacity = 1, .exemplars = SLOTS_OF_EXEMPLARS, .processes = PROCESSES + 1, .kind = SEGMENT_METRICS};
    struct refusal why;
    static unsigned char *memory;
    require(layout_plan(&options, NULL, &geometry, &why) == PLAN_OK, "the table is planned");
    if (!memory) memory = aligned_alloc(4096, geometry.total_bytes);
    require(memory, "there is memory");
    memset(memory, 0, geometry.total_bytes);
    geometry.node_count = NODES;
    geometry.chain_count = CHAINS;
    nodes = (struct nodes){&geometry, memory, {is_dead, NULL}};
    memset(lives, 0, sizeof lives);
    memset(added_to_own, 0, sizeof added_to_own);
    exemplars = 0;
    running = NULL;
    for (uint32_t i = 0; i <= PROCESSES; i++) processes[i] = (struct process){.generation = 1};
}

/* ---- what a process does ----------------------------------------------------------------------------------------- */

/* Some have no parts, some have one, or two. */
static struct node_wish wish_of(uint32_t key, char text[TEXT_BYTES]) {
    const int length = snprintf(text, TEXT_BYTES, "%*u", 1 + (int)(key % 3 * 190), key);
    return (struct node_wish){{NO_FAMILY, NO_PLACE, text, (uint32_t)length}, (uint32_t)length, 1 + key % 2, 0};
}

static struct life *life_of(struct node_at at) {
    struct life *life = &lives[at.index];
    if (life->generation != node_generation(at.word)) *life = (struct life){node_generation(at.word), 0};
    return life;
}

static void insert(struct process *process) {
    char text[TEXT_BYTES];
    const struct node_wish wish = wish_of(process->key, text);
    bool inserted;
    enum node_status status = nodes_insert(&nodes, owner_of(process), &wish, &process->found, &inserted);
    require(status == NODES_OK || status == NODES_FULL, "an insertion ends well");
    process->has_found = status == NODES_OK;
}

static void find(struct process *process) {
    char text[TEXT_BYTES];
    const struct node_wish wish = wish_of(process->key, text);
    enum node_status status = nodes_find(&nodes, &wish.key, &process->found);
    require(status == NODES_OK || status == NODES_MISSING, "a search ends well");
    process->has_found = status == NODES_OK;
}

static struct cell_at cell_at(struct node_at at, uint32_t number) {
    return (struct cell_at){&nodes_at(&nodes, at.index)->word, at.word, nodes_cell(&nodes, at, number)};
}

static void update(struct process *process) {
    if (!process->has_found) return;
    const uint32_t cells = node_cells(load_relaxed(&nodes_at(&nodes, process->found.index)->sizes));
    const struct cell_at cell = cell_at(process->found, cells - 1);
    const bool is_there = nodes_is(&nodes, process->found);
    require(!cell.cell == !is_there, "a series that is there has cells");
    if (!cell.cell) return;
    require(cell_add(&cell, 1, 1), "an update of what is there is made");
    life_of(process->found)->added++;
}

static void raise_own(struct process *process) {
    const uint32_t place = number_of_process(process);
    const struct node_wish wish = {{OWN_FAMILY, place, "own", 3}, 3, 2, 0};
    struct node_at at;
    bool inserted;
    if (nodes_insert(&nodes, owner_of(process), &wish, &at, &inserted) != NODES_OK) return;
    const struct cell_at own = cell_at(at, 0), dead = cell_at(at, 1);
    require(own_take(&own, &dead, process->generation, 1, FOLD_SUM), "an own series is never removed");
    require(cell_add(&own, 1, 0), "an own series takes updates");
    added_to_own[place]++;
}

static struct exemplar_values make_exemplar(uint64_t number) {
    struct exemplar_values made = {(double)number, (int64_t)number, (uint32_t)(30 + number % 7), {0}};
    memset(made.text, (int)('a' + number % 26), sizeof made.text);
    return made;
}

static void put_exemplar(struct process *process) {
    const struct exemplar_values values = make_exemplar(exemplars++);
    if (process->has_found) exemplar_put(&nodes, owner_of(process), process->found, 0, &values);
}

static void sweep_claims(uint32_t owner) {
    nodes_sweep(&nodes, owner);
    exemplars_sweep(&nodes, owner);
}

static void sweep_the_dead(const struct process *process) {
    for (uint32_t i = 0; i < PROCESSES; i++)
        if (processes[i].is_dead && &processes[i] != process) sweep_claims(owner_of(&processes[i]));
}

static void act(struct process *process) {
    switch (process->action) {
    case INSERT:
    case INSERT_TOO: insert(process); break;
    case REMOVE:
        if (process->has_found) nodes_remove(&nodes, process->found);
        break;
    case FIND: find(process); break;
    case UPDATE: update(process); break;
    case RAISE_OWN: raise_own(process); break;
    case PUT_EXEMPLAR: put_exemplar(process); break;
    case SWEEP: sweep_the_dead(process); break;
    case ENTER: /* over a dead holder: its claims first, then a new generation */
        sweep_claims(owner_of(process));
        process->generation++;
        process->is_dead = false;
    }
}

static void live(void) {
    act(running);
    running->is_amid = false;
}

static void go_on(struct process *process) {
    running = process;
    swapcontext(&scheduler, &process->context);
    running = NULL;
}

static void start_action(struct process *process, enum action action, uint32_t key) {
    process->action = process->is_dead ? ENTER : action;
    process->key = key % KEYS;
    process->is_amid = true;
    getcontext(&process->context);
    process->context.uc_stack.ss_sp = stacks[number_of_process(process)];
    process->context.uc_stack.ss_size = STACK_BYTES;
    process->context.uc_link = &scheduler;
    makecontext(&process->context, live, 0);
    go_on(process);
}

static void kill_process(struct process *process) {
    process->is_amid = process->has_found = false;
    process->is_dead = true;
}

static void step(uint8_t byte) {
    struct process *process = &processes[byte & 3];
    const enum action action = (enum action)(byte >> 2 & 7);
    const uint32_t rest = byte >> 5;
    if (number_of_process(process) == OUTSIDER) {
        process->action = action;
        process->key = rest % KEYS;
        act(process);
    } else if (!process->is_amid) {
        start_action(process, action, rest);
    } else if (byte >> 2 == 0) {
        kill_process(process);
    } else {
        for (uint32_t points = action == ENTER - 1 ? UINT32_MAX : 1 + rest; points && process->is_amid; points--)
            go_on(process);
    }
}

/* ---- what must hold ---------------------------------------------------------------------------------------------- */

static void take_violation(void *context, const char *text) {
    (void)context;
    require(false, text);
}

static void check_own(struct node_at at, uint32_t place) {
    struct own_values values;
    require(place <= PROCESSES, "an own series is of a place");
    require(own_read(nodes_cell(&nodes, at, 0), nodes_cell(&nodes, at, 1), FOLD_SUM, &values), "own values are read");
    const double sum = (values.has_own ? values.own : 0) + (values.has_dead ? values.dead : 0);
    require(sum == (double)added_to_own[place], "own values are counted once");
}

/* Returns how many nodes the series take. */
static uint32_t check(void) {
    uint32_t index = 0, taken = 0;
    check_nodes(&nodes, take_violation, NULL);
    for (struct node_at at, found; nodes_next(&nodes, &index, &at);) {
        char text[TEXT_BYTES];
        const struct node *node = nodes_at(&nodes, at.index);
        const uint64_t identity = load_relaxed(&node->identity), sizes = load_relaxed(&node->sizes);
        const int64_t length = nodes_text(&nodes, at, text, sizeof text);
        const struct node_key key = {family_of(identity), identity >> 24 & 0xffff, text, (uint32_t)length};
        require(nodes_find(&nodes, &key, &found) == NODES_OK && found.index == at.index, "each key has one node");
        taken += 1 + (rest_bytes(sizes) ? (uint32_t)((rest_bytes(sizes) - 1) / REST_BYTES) : 0);
        struct cell_value value;
        struct exemplar_values exemplar;
        if (key.family == OWN_FAMILY) {
            check_own(at, key.place);
            continue;
        }
        for (uint32_t number = 0; number < node_cells(sizes); number++) {
            const uint64_t added = number == node_cells(sizes) - 1 ? life_of(at)->added : 0;
            require(cell_read(nodes_cell(&nodes, at, number), &value), "a cell is read");
            require(value.bits == added && value.number == (double)added, "a series has what was added to it");
        }
        if (!exemplar_get(&nodes, at, 0, &exemplar)) continue;
        const struct exemplar_values whole = make_exemplar((uint64_t)exemplar.value);
        require(exemplar.time_ns == whole.time_ns && exemplar.length == whole.length &&
                    !memcmp(exemplar.text, whole.text, whole.length),
                "an exemplar is whole");
    }
    return taken;
}

/* Whoever is in the middle of something goes on, or dies; then the table is filled. */
static void check_room(bool go_on_first) {
    char text[TEXT_BYTES];
    uint32_t filled = 0;
    for (uint32_t i = 0; i < PROCESSES; i++) {
        while (go_on_first && processes[i].is_amid) go_on(&processes[i]);
        if (processes[i].is_amid) kill_process(&processes[i]);
    }
    for (uint32_t i = 0; i < PROCESSES; i++)
        if (processes[i].is_dead) sweep_claims(owner_of(&processes[i]));
    for (struct node_at at; filled <= NODES; filled++) {
        const int length = snprintf(text, sizeof text, "fill %u", filled);
        const struct node_wish wish = {{NO_FAMILY, NO_PLACE, text, (uint32_t)length}, (uint32_t)length, 1, 0};
        bool inserted;
        if (nodes_insert(&nodes, owner_of(&processes[OUTSIDER]), &wish, &at, &inserted) != NODES_OK) break;
    }
    require(check() == NODES, "all nodes are of series");
}

static void run(const uint8_t *data, size_t size) {
    begin();
    for (size_t i = 0; i < size && i < MOST_STEPS; i++) {
        step(data[i]);
        check();
    }
    check_room(size && data[0] & 1);
}

#ifdef LIBFUZZER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
void reached_point(const char *name) { stop(name); }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    run(data, size);
    return 0;
}
#else /* in the C tests of the core */
#include "harness.h"

CASE(no_schedule_of_those_who_stop_and_die_loses_a_series_a_node_or_an_update) {
    at_point = stop;
    for (uint64_t i = 0; i < 15 * effort; i++) {
        uint8_t input[MOST_STEPS];
        const size_t size = 1 + random_number(sizeof input);
        for (size_t at = 0; at < size; at++) input[at] = (uint8_t)random_number(256);
        run(input, size);
    }
}
#endif
