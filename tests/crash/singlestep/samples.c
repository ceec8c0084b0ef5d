/* Writing a sample to the history, as the coordinator does. */
#include "operation.h"

#include <string.h>

enum { SAMPLES_BEFORE = 2 };

static struct sample_values make_sample(uint64_t number) {
    uint64_t n = 100 * number;
    return (struct sample_values){number, n + 1, n + 2, n + 3, n + 4, n + 5, n + 6, n + 7, n + 8};
}

static void write_sample(const struct ring *ring) {
    struct sample_values values = make_sample(history_next(ring));
    history_write(ring, &values);
}

static void begin_with_samples(struct world *world) {
    begin_half_full(world);
    for (int i = 0; i < SAMPLES_BEFORE; i++) write_sample(&world->live[0].ring);
}

static void become_coordinator(struct world *world) {
    be_attached(world);
    if (!processes_lock_coordinator(&world->mine.processes)) end_with(world, 0, true);
}

static void sample(struct world *world) { write_sample(&world->mine.ring); }

/* Who died while sampling has left a gap at most; the next goes on. */
static void verify_history(struct world *world, bool ended) {
    bool locked = processes_lock_coordinator(&world->live[0].processes);
    if (locked != world->victim_is_dead)
        violation("the coordinator's lock is %s", locked ? "free though its holder lives" : "held by the dead");
    uint64_t next = history_next(&world->live[0].ring);
    if (next != SAMPLES_BEFORE + 1 && (ended || next != SAMPLES_BEFORE)) violation("the next sample is %d", (int)next);
    if (locked) {
        write_sample(&world->live[0].ring);
        processes_unlock_coordinator(&world->live[0].processes);
    }
    for (uint64_t number = 0; number < history_next(&world->live[0].ring); number++) {
        struct sample_values found, expected = make_sample(number);
        if (!history_read(&world->live[0].ring, number, &found)) violation("sample %d cannot be read", (int)number);
        else if (memcmp(&found, &expected, sizeof found)) violation("sample %d is torn", (int)number);
    }
}

const struct operation sample_operations[] = {
    {.name = "sample",
     .prepare = begin_with_samples,
     .ready = become_coordinator,
     .run = sample,
     .verify = verify_history},
    {.name = NULL},
};
