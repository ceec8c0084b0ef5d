/* Running questions: batches go from a store or a snapshot through a program to a listener, without the GIL, in slices
 * short enough for Ctrl-C. */
#include "binding/questions/run.h"
#include "binding/reading/read.h"
#include "binding/values/decode.h"

#include <string.h>

enum { SLICE_NS = 10000000, GLANCE_BATCHES = 16 /* between two looks at the clock */, MOST_TRIES = 100 };

/* ---- where from --------------------------------------------------------------------------------------------------- */

/* The marks of sealed blocks, made with the first question. */
static atomic_u64 *marks(Store *store) {
    BEGIN_EXCLUSIVE(store);
    if (!store->sealed)
        store->sealed =
            PyMem_Calloc((size_t)(store->handle.geometry.options.partitions * store->handle.geometry.block_count),
                         sizeof *store->sealed);
    END_EXCLUSIVE();
    return store->sealed;
}

struct source source_of(PyObject *self) {
    struct module_state *state = PyType_GetModuleState(Py_TYPE(self));
    Columns *columns = Py_IS_TYPE(self, state->types[TYPE_COLUMNS]) ? (Columns *)self : NULL;
    return (struct source){.store = columns ? columns->store : (Store *)self, .columns = columns, .summaries = 1};
}

static void *aligned(void *memory) {
    return (void *)(((uintptr_t)memory + CACHE_LINE - 1) & ~(uintptr_t)(CACHE_LINE - 1));
}

int run_begin(struct run *run, const struct source *source) {
    Store *store = source->store;
    *run = (struct run){.store = store, .source = source, .columns = source->columns};
    run->program = program_argument(store->state, source->program, &store->handle.geometry);
    if (!run->program || (!run->columns && check_open(store))) return -1;
    const uint64_t needs = run->program->needs | source->needs;
    size_t buffer = run->columns ? 0 : scan_buffer_bytes(&store->handle.geometry, needs);
    const size_t scratch = program_scratch_bytes(run->program);
    run->memory = PyMem_Malloc(buffer + scratch + run->program->step_count + 2 * CACHE_LINE);
    if (!run->memory) {
        PyErr_NoMemory();
        return -1;
    }
    run->buffer = aligned(run->memory);
    run->scratch = aligned((unsigned char *)run->buffer + buffer);
    run->room = (unsigned char *)run->scratch + scratch;
    run->held = Py_NewRef(source->program);
    if (run->columns) return 0;
    run->scan = (struct scan){.ring = &store->handle.ring,
                              .program = run->program,
                              .needs = needs,
                              .kept = source->needs,
                              .sealed = marks(store),
                              .summarises = source->summaries != 0};
    uint32_t count = 0;
    run->ranges = list_ranges(store, source->partitions, source->ends, &count);
    run->scan.ranges = run->ranges ? PyMem_Calloc(count + 1, sizeof *run->scan.ranges) : NULL;
    run->scan.range_count = count;
    if (run->scan.sealed && run->scan.ranges) return 0;
    if (!PyErr_Occurred()) PyErr_NoMemory();
    run_end(run);
    return -1;
}

bool run_has_lost(const struct run *run, uint64_t part) {
    uint64_t lost = 0, all = 0;
    for (uint32_t i = 0; i < run->scan.range_count; i++) {
        const struct range *range = &run->ranges[i];
        if (range->next >= range->end) continue;
        const uint64_t tail = load_acquire(&ring_partition(&run->store->handle.ring, range->partition)->tail);
        const uint64_t oldest = ring_oldest(&run->store->handle.ring, range->partition, tail);
        lost += oldest <= range->next ? 0 : oldest < range->end ? oldest - range->next : range->end - range->next;
        all += range->end - range->next;
    }
    return lost > (part ? all / part : 0);
}

int run_renew(struct run *run) {
    if (run->columns) return 0;
    uint32_t count = 0;
    struct range *ranges = list_ranges(run->store, run->source->partitions, NULL, &count);
    if (!ranges) return -1;
    if (count == run->scan.range_count) memcpy(run->ranges, ranges, count * sizeof *ranges);
    PyMem_Free(ranges);
    return 0;
}

int count_keys(const struct run *run, uint32_t *keys) {
    if (!run->columns && load_keys(run->store)) return -1;
    *keys = (uint32_t)PyList_Size(run->store->key_texts);
    return 0;
}

void run_end(struct run *run) {
    PyMem_Free(run->memory);
    PyMem_Free(run->ranges);
    PyMem_Free(run->scan.ranges);
    Py_DECREF(run->held);
}

/* ---- a pass ------------------------------------------------------------------------------------------------------- */

/* The next rows of a snapshot, where they lie. */
static enum scan_status next_rows(const Columns *columns, uint64_t *row, struct batch *batch) {
    const struct geometry *g = &columns->store->handle.geometry;
    const uint64_t left = columns->rows - *row;
    batch->rows = left < BATCH_ROWS ? (uint32_t)left : BATCH_ROWS;
    for (uint32_t i = 0; i < g->options.field_count; i++)
        batch->columns[i] = columns->base[i] + *row * g->fields[i].bytes;
    *row += batch->rows;
    return left ? SCAN_BATCH : SCAN_END;
}

struct slice {
    uint64_t row;
    enum scan_status scan;
    enum program_status program;
    enum told told;
    bool heard; /* the listener knows of a record */
};

static void run_slice(struct run *run, const struct listener *listener, struct slice *slice) {
    const int64_t began = now_ns();
    for (int batches = 1; batches % GLANCE_BATCHES || (uint64_t)(now_ns() - began) < SLICE_NS; batches++) {
        struct batch batch;
        struct found found;
        slice->scan = run->columns ? next_rows(run->columns, &slice->row, &batch) : scan_next(&run->scan, &batch);
        if (slice->scan != SCAN_BATCH) return;
        slice->program =
            program_run(run->program, &run->store->handle.geometry, &batch, run->scan.modes, run->scratch, &found);
        if (slice->program != PROGRAM_OK) return;
        slice->heard |= batch.rows > 0;
        if (found.matched) slice->told = listener->hear(listener->context, &batch, &found);
        if (slice->told != TOLD_OK) return;
    }
}

/* A listener that remembers whether it took a block. */
struct hearing {
    const struct listener *listener;
    struct slice *slice;
};
static bool take_heard(void *context, const struct block *block) {
    struct hearing *hearing = context;
    const bool taken = hearing->listener->take(hearing->listener->context, block);
    hearing->slice->heard |= taken;
    return taken;
}

/* Whether all that was asked about has been overwritten by newer records. */
static bool is_lapped(const struct run *run) {
    bool lapped = false;
    for (uint32_t i = 0; i < run->scan.range_count; i++) {
        const struct range *range = &run->ranges[i];
        const uint64_t tail = load_acquire(&ring_partition(&run->store->handle.ring, range->partition)->tail);
        if (tail > run->store->handle.geometry.slots && tail - run->store->handle.geometry.slots >= range->end)
            lapped |= range->end > 0;
        else if (range->next < range->end) return false;
    }
    return lapped;
}

static int run_once(struct run *run, const struct listener *listener, struct slice *result) {
    struct slice slice = {.scan = SCAN_BATCH};
    struct hearing hearing = {listener, &slice};
    for (uint32_t i = 0; i < run->scan.range_count; i++) run->scan.ranges[i] = run->ranges[i];
    run->scan.taker = (struct block_taker){listener->take ? take_heard : NULL, &hearing};
    if (!run->columns) scan_begin(&run->scan, run->buffer, run->room);
    int failed = 0;
    while (!failed && slice.scan == SCAN_BATCH && slice.program == PROGRAM_OK && slice.told == TOLD_OK) {
        Py_BEGIN_ALLOW_THREADS;
        run_slice(run, listener, &slice);
        Py_END_ALLOW_THREADS;
        failed = PyErr_CheckSignals();
    }
    run->scan.taker = (struct block_taker){NULL, NULL};
    *result = slice;
    return failed ? -1 : 0;
}

/* Begin anew for a listener that has heard of nothing. */
static int renew_for(struct run *run, const struct listener *listener) {
    uint32_t keys;
    if (run_renew(run) || (listener->renew && count_keys(run, &keys))) return -1;
    if (!listener->renew || listener->renew(listener->context, keys)) return 0;
    PyErr_NoMemory();
    return -1;
}

int run_pass(struct run *run, const struct listener *listener) {
    struct slice slice;
    int tries = 0;
    do { /* a question that waited for longer than the ring lasts met nothing: ask about what is there now */
        if ((tries && renew_for(run, listener)) || run_once(run, listener, &slice)) return -1;
    } while (slice.scan == SCAN_END && !slice.heard && ++tries < MOST_TRIES && is_lapped(run));
    if (slice.program == PROGRAM_OVERFLOW) raise_overflow(run->store->state, run->held);
    else if (slice.told == TOLD_NO_MEMORY) PyErr_NoMemory();
    else if (slice.told == TOLD_DAMAGED || slice.scan == SCAN_DAMAGED)
        raise_error(run->store->state, ERROR_DAMAGED_SEGMENT,
                    "a slot contradicts its partition's tail, or names a key that does not exist: the segment was "
                    "overwritten from outside; run 'shmstore-inspect check'");
    return PyErr_Occurred() ? -1 : 0;
}
