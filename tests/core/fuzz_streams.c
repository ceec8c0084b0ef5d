/* A fuzz target: processes that append to streams, delete and truncate them, each stopped at every point, going on, or dying
 * there, as the input says; on sound bytes, or on some that were spoiled before.
 *
 * A process is a coroutine that is left at each POINT of the core. On sound bytes, after each step, the invariants of streams
 * hold, each event is whole and has the version that it had, and no event is there twice; at the end, what was appended is
 * there, and no slot is lost. On spoiled bytes all must end, and inside the segment, whose memory is of just its length for
 * AddressSanitizer to watch. tools/fuzz --streams builds it with libFuzzer, which finds its own inputs; in the C tests of the
 * core it has cases, which give it random ones.
 *
 * An input is: how many values are spoiled (4 bits), and how many appends are of two hours ago (4); for each value 11 bytes
 * (where, how, value); and one byte for each step: whose it is (2 bits; 3: of somebody who stops nowhere), what is done (3),
 * and to what (3). */
#include "appends.h"
#include "losses.h"

#include "core/streams/check.h"
#include "core/streams/streams.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>

enum { PROCESSES = 3, OUTSIDER = PROCESSES, TICKETS = 6, FEW_SLOTS = 16, STREAMS = 2, IDS = 4, MOST_EVENTS = TICKETS };
enum { STACK_BYTES = 1 << 17, MOST_STEPS = 300, CHANGE_BYTES = 11, MOST_SPOILED = 15, MOST_APPENDS = 1 << 10 };

static void require(bool condition, const char *what) {
    if (condition) return;
    fprintf(stderr, "not so: %s\n", what);
    abort();
}

/* ---- the streams and their processes ----------------------------------------------------------------------------- */

enum action { APPEND, APPEND_WITH_ID, APPEND_BATCH, APPEND_IF, DELETE, TRUNCATE, LIMIT, SWEEP, ENTER };

static struct process {
    struct handle handle;
    struct streams streams;
    ucontext_t context;
    bool is_amid, is_dead;
    uint32_t generation; /* of its place */
    enum action action;
    uint32_t rest;
} processes[PROCESSES + 1];

static unsigned char stacks[PROCESSES][STACK_BYTES];
static ucontext_t scheduler;
static struct process *running; /* NULL: somebody who stops nowhere */
static struct geometry geometry;
static unsigned char *memory;
static bool is_spoiled, is_given_up; /* it was said to be damaged: looking again takes long */

/* Each append that was begun. */
static struct begun {
    uint32_t stream, count;
    uint64_t ids; /* those of its events, a byte for each; 0: none */
    bool is_refused;
    uint64_t seen[MOST_EVENTS]; /* version + 1 that its events were seen at */
} appends[MOST_APPENDS];
static uint32_t append_count;
static struct losses losses[STREAMS];
static uint64_t start_ns, old_appends; /* so many appends are of two hours ago */

static struct stream *stream_at(uint32_t stream) { return streams_at(&processes[OUTSIDER].streams, stream); }
static uint32_t number_of_process(const struct process *process) { return (uint32_t)(process - processes); }
static uint32_t owner_of(const struct process *process) {
    return owner_from(number_of_process(process), process->generation);
}

static void stop(const char *point) {
    (void)point;
    if (running) swapcontext(&running->context, &scheduler);
}

static void enter(struct process *process) {
    store_relaxed(&processes_place(&process->handle.ring, number_of_process(process))->word,
                  place_word(process->generation, PLACE_USED));
    store_relaxed(&process->handle.processes.own->owner, OWNER_ENTERED | owner_of(process));
}

/* Once: the handles stay, and so does the header. */
static void open_all(void) {
    const struct options options = {.capacity = TICKETS,
                                    .data_bytes = sizeof(struct body),
                                    .logs = 1,
                                    .streams = STREAMS,
                                    .processes = PROCESSES + 1,
                                    .kind = SEGMENT_STREAMS};
    struct refusal why;
    require(layout_plan(&options, NULL, &geometry, &why) == PLAN_OK, "the segment is planned");
    memory = aligned_alloc(4096, geometry.total_bytes);
    require(memory, "there is memory");
    memset(memory, 0, geometry.total_bytes);
    layout_format(memory, &geometry, NULL, (const uint8_t[16]){1}, 1);
    for (uint32_t i = 0; i <= PROCESSES; i++) {
        const struct opening opening = {.fd = NO_FILE, .writable = true};
        require(handle_open(&processes[i].handle, memory, geometry.total_bytes, &opening, &why) == OPEN_OK, "it opens");
        processes[i].handle.geometry.log_slots = FEW_SLOTS;
    }
}

/* Empty streams. */
static void begin(void) {
    if (!memory) open_all();
    memset(memory + geometry.board_offset, 0, sizeof(struct board));
    memset(memory + geometry.processes_offset, 0, geometry.total_bytes - geometry.processes_offset);
    memset(appends, 0, append_count * sizeof *appends);
    memset(losses, 0, sizeof losses);
    append_count = 0;
    is_given_up = false;
    running = NULL;
    for (uint32_t i = 0; i <= PROCESSES; i++) {
        struct process *process = &processes[i];
        process->is_amid = process->is_dead = false;
        process->generation = 1;
        enter(process);
        require(streams_on(&process->streams, &process->handle), "there is memory");
    }
    start_ns = (uint64_t)time(NULL) * UINT64_C(1000000000);
    for (uint32_t stream = 0; stream < STREAMS && old_appends; stream++)
        store_relaxed(&stream_at(stream)->most_ns, HOUR_NS);
}

/* ---- what a process does ----------------------------------------------------------------------------------------- */

static void append_events(struct process *process, uint32_t count, uint64_t ids, bool is_conditional) {
    if (append_count == MOST_APPENDS) return;
    const uint32_t number = append_count++, stream = process->rest % STREAMS;
    struct begun *begun = &appends[number];
    struct body bodies[MOST_EVENTS];
    struct event_wish events[MOST_EVENTS];
    struct stream_answer answer;
    uint64_t versions[MOST_EVENTS];
    unsigned char texts[MOST_EVENTS];
    const uint64_t newest = load_relaxed(&stream_at(stream)->newest.low),
                   now_ns = start_ns - (number < old_appends ? 2 * HOUR_NS : 0),
                   expected = !is_conditional ? EXPECT_ANY
                              : newest        ? newest - 1
                                              : EXPECT_NO_STREAM;
    *begun = (struct begun){.stream = stream, .count = count, .ids = ids};
    for (uint32_t i = 0; i < count; i++) {
        bodies[i] = make_body(number, i);
        texts[i] = (unsigned char)(ids >> 8 * i);
        events[i] = (struct event_wish){
            {{"type", 4}, {&texts[i], texts[i] ? 1 : 0}, {"", 0}, {&bodies[i], sizeof bodies[i]}}, 0};
    }
    const struct forecast forecast = forecast_append(&process->streams, stream, events, count);
    const enum stream_status status =
        streams_append(&process->streams, stream, events, count, expected, now_ns, versions, &answer);
    if (status == STREAM_DAMAGED) is_given_up = true;
    if (is_spoiled) return;
    require(status == STREAM_DONE || status == STREAM_STALLED || (is_conditional && status == STREAM_CONFLICT),
            "an append ends well");
    begun->is_refused = status != STREAM_DONE;
    require(running || forecast_came_true(&forecast, status, versions, count, &answer), "a known id is known");
    require(!begun->is_refused || !begun->seen[0], "what was refused is not there");
    for (uint32_t i = 0; !begun->is_refused && i < count; i++) {
        if (answer.appended < count && versions[i] < answer.versions) continue; /* another's, of the same id */
        require(!begun->seen[i] || begun->seen[i] == versions[i] + 1, "an event has the version that was told");
        begun->seen[i] = versions[i] + 1;
    }
}

static void sweep_the_dead(const struct process *process) {
    const struct claims *claims = &process->handle.processes.claims;
    for (uint32_t i = 0; i < PROCESSES; i++)
        if (processes[i].is_dead && &processes[i] != process) claims->sweep(claims->context, owner_of(&processes[i]));
}

static void act(struct process *process) {
    static const struct begun batches[IDS] = {
        {.count = 2}, {.count = MOST_EVENTS}, {.count = 3, .ids = 3 << 8 | 4}, {.count = 3, .ids = 1 << 8 | 2}};
    const uint32_t stream = process->rest % STREAMS, id = 1 + process->rest / STREAMS % IDS;
    const struct claims *claims = &process->handle.processes.claims;
    struct stream *shared = stream_at(stream);
    struct stream_answer answer;
    if (is_given_up) return;
    switch (process->action) {
    case APPEND: append_events(process, 1, 0, false); break;
    case APPEND_WITH_ID: append_events(process, 1, id, false); break;
    case APPEND_BATCH: append_events(process, batches[id - 1].count, batches[id - 1].ids, false); break;
    case APPEND_IF: append_events(process, 1 + id % 2, 0, true); break;
    case DELETE:
        is_given_up |= streams_delete(&process->streams, stream, false, EXPECT_ANY, 0, &answer) == STREAM_DAMAGED;
        break;
    case TRUNCATE: streams_truncate(&process->streams, stream, load_relaxed(&shared->newest.low) - id); break;
    case LIMIT:
        if (id < IDS) store_relaxed(&shared->reserve, id % 3);
        else store_relaxed(&shared->most_events, load_relaxed(&shared->most_events) ? 0 : 3);
        break;
    case SWEEP: sweep_the_dead(process); break;
    case ENTER: /* over a dead holder: its claims first, then a new generation */
        claims->sweep(claims->context, owner_of(process));
        process->generation++;
        process->is_dead = false;
        enter(process);
    }
    require(is_spoiled || !is_given_up, "sound bytes are not damaged");
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

static void start_action(struct process *process) {
    process->is_amid = true;
    getcontext(&process->context);
    process->context.uc_stack.ss_sp = stacks[number_of_process(process)];
    process->context.uc_stack.ss_size = STACK_BYTES;
    process->context.uc_link = &scheduler;
    makecontext(&process->context, live, 0);
    go_on(process);
}

static void kill_process(struct process *process) {
    process->is_amid = false;
    process->is_dead = true;
}

static void step(uint8_t byte) {
    struct process *process = &processes[byte & 3];
    const enum action action = (enum action)(byte >> 2 & 7);
    const uint32_t rest = byte >> 5;
    if (!process->is_amid) {
        process->action = process->is_dead ? ENTER : action;
        process->rest = rest;
        if (number_of_process(process) == OUTSIDER) act(process);
        else start_action(process);
    } else if (byte >> 2 == 0) {
        kill_process(process);
    } else {
        for (uint32_t points = action == SWEEP ? UINT32_MAX : 1 + rest; points && process->is_amid; points--)
            go_on(process);
    }
}

/* ---- what must hold ---------------------------------------------------------------------------------------------- */

static void take_violation(void *context, const char *text) {
    (void)context;
    require(is_spoiled && strlen(text) < 240, text);
}

static void check_event(uint32_t stream, uint64_t version, uint64_t versions, const struct event_facts *facts,
                        const unsigned char *text) {
    struct body body;
    const uint32_t id = origin_id_bytes(facts->origin);
    require(facts->sizes == (uint64_t)sizeof body << 32 && origin_type_bytes(facts->origin) == 4 && id < 2,
            "an event is whole");
    memcpy(&body, text + piece_room(4) + piece_room(id), sizeof body);
    const struct body whole = make_body(body.append, body.index);
    require(body.append < append_count && !memcmp(&body, &whole, sizeof body), "an event is one that was appended");
    struct begun *begun = &appends[body.append];
    require(begun->stream == stream && body.index < begun->count && !begun->is_refused, "and appended there");
    require((id ? text[piece_room(4)] : 0) == (begun->ids >> 8 * body.index & 0xff), "an event has its id");
    require(!begun->seen[body.index] || begun->seen[body.index] == version + 1, "an event is there once");
    begun->seen[body.index] = version + 1;
    if (begun->ids) return; /* else it is there all at once, in a row */
    require(version >= body.index && version - body.index + begun->count <= versions, "a batch is there as one");
    for (uint32_t i = 0; i < begun->count; i++)
        require(!begun->seen[i] || begun->seen[i] - i == version + 1 - body.index, "a batch is in a row");
}

/* All that a reader can see of a stream; of all that have a slot, no two have the same id. */
static void check_stream(uint32_t number) {
    const struct streams *streams = &processes[OUTSIDER].streams;
    unsigned char text[MAX_EVENT_TYPE_BYTES + MAX_EVENT_ID_BYTES + sizeof(struct body)];
    struct stream_state state;
    struct event_facts facts;
    bool has_id[256] = {false};
    streams_state(streams, number, 0, &state);
    const char *fault = losses_fault(&losses[number], stream_at(number), &state);
    if (fault) take_violation(NULL, fault);
    const uint64_t from = is_spoiled ? beyond(state.versions, 2 * TICKETS) : state.lost;
    for (uint64_t version = from; version < state.versions; version++) {
        uint32_t slot;
        enum find_status status = streams_find(streams, number, version, 1, &slot);
        if (status == FIND_OK) status = streams_read(streams, number, version, slot, &facts, text, sizeof text);
        if (is_spoiled) continue;
        require(status == FIND_OK, "each version that is not lost is read");
        check_event(number, version, state.versions, &facts, text);
        if (facts.time_ns + HOUR_NS < start_ns) losses[number].too_old = larger(losses[number].too_old, version + 1);
        const unsigned char id = origin_id_bytes(facts.origin) ? text[piece_room(4)] : 0;
        require(!id || !has_id[id], "an id is there once");
        has_id[id] = true;
    }
    const uint64_t time = state.versions % 7, found = streams_find_time(streams, number, from, state.versions, time);
    require(is_spoiled || found <= state.versions, "a time leads to a version");
    for (uint64_t ticket = streams_tail(streams, 0), i = 0; i <= TICKETS; i++)
        streams_read_ticket(streams, 0, ticket - i, &facts, text, sizeof text);
}

static void check(void) {
    if (is_given_up) return;
    check_streams(&processes[OUTSIDER].streams, take_violation, NULL);
    for (uint32_t stream = 0; stream < STREAMS; stream++) check_stream(stream);
}

/* Whoever is in the middle of something goes on, or dies; then all leave, and every slot is free or has an event. */
static void check_end(bool go_on_first) {
    const struct log_view log = streams_log(&processes[OUTSIDER].streams, 0);
    for (uint32_t i = 0; i < PROCESSES; i++) {
        while (go_on_first && processes[i].is_amid) go_on(&processes[i]);
        if (processes[i].is_amid) kill_process(&processes[i]);
    }
    sweep_the_dead(&processes[OUTSIDER]);
    check();
    for (uint32_t i = 0; i <= PROCESSES; i++)
        if (!processes[i].is_dead) slots_leave(&log, processes[i].streams.spares, owner_of(&processes[i]));
    for (uint32_t slot = 0; slot < FEW_SLOTS && !is_spoiled; slot++)
        require(slot_state(load_relaxed(&log_slot(&log, slot)->word)) != SLOT_CLAIMED, "no slot is lost");
    for (uint32_t i = 0; i < append_count && !is_spoiled; i++) {
        const uint64_t versions = load_relaxed(&stream_at(appends[i].stream)->newest.low);
        for (uint32_t event = 0; event < appends[i].count; event++)
            require(appends[i].seen[event] <= versions, "what was appended has a version");
    }
}

/* Change one value from the logs on, or of the processes: how says its size, and whether it is set, flipped or added to. */
static void spoil(uint64_t where, uint8_t how, uint64_t value) {
    const uint64_t first = how & 7 ? geometry.logs_offset : geometry.processes_offset;
    const uint64_t used = geometry.log_slots_offset + geometry.events_base + FEW_SLOTS * geometry.event_bytes;
    const uint64_t bytes = UINT64_C(1) << (how >> 3 & 3), at = first + where % ((used - first) / bytes) * bytes;
    uint64_t old = 0;
    memcpy(&old, memory + at, bytes);
    value = how >> 5 & 1 ? old ^ value : how >> 6 & 1 ? old + value : value;
    memcpy(memory + at, &value, bytes);
}

static void run(const uint8_t *data, size_t size) {
    const uint64_t changes = size ? data[0] % (MOST_SPOILED + 1) : 0;
    size_t at = 1;
    is_spoiled = false;
    old_appends = size ? data[0] / (MOST_SPOILED + 1) * TICKETS : 0;
    begin();
    for (uint32_t i = 0; changes && i < 3 * TICKETS; i++) step((uint8_t)(i << 5 | (i & 1) << 2 | OUTSIDER));
    is_spoiled = changes;
    for (uint64_t i = 0; i < changes && at + CHANGE_BYTES <= size; i++, at += CHANGE_BYTES) {
        uint64_t value;
        memcpy(&value, data + at + 3, 8);
        spoil((uint64_t)data[at] << 8 | data[at + 1], data[at + 2], value);
    }
    for (size_t steps = 0; at < size && steps < MOST_STEPS; at++, steps++) {
        step(data[at]);
        check();
    }
    check_end(size && data[size - 1] & 1);
    for (uint32_t i = 0; i <= PROCESSES; i++) streams_leave(&processes[i].streams);
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

static void run_random(uint8_t changes) {
    static const uint64_t edges[] = {0, 1, UINT64_MAX, UINT32_MAX, TICKETS, 2 * TICKETS, UINT64_C(1) << 24, 1 << 3 | 1};
    uint8_t input[1 + MOST_SPOILED * CHANGE_BYTES + MOST_STEPS];
    size_t at = 1;
    input[0] = (uint8_t)(changes | random_number(16) << 4);
    for (; at < 1u + changes * CHANGE_BYTES; at += CHANGE_BYTES) {
        const uint64_t edge = edges[random_number(sizeof edges / sizeof *edges)],
                       value = random_number(3) ? edge : random_number(UINT64_MAX);
        for (int i = 0; i < 3; i++) input[at + (size_t)i] = (uint8_t)random_number(256);
        if (random_number(2)) input[at + 2] |= 3 << 3; /* a whole word */
        memcpy(input + at + 3, &value, 8);
    }
    const size_t size = at + random_number(MOST_STEPS) / (changes ? 5 : 1);
    while (at < size) input[at++] = (uint8_t)random_number(256);
    run(input, size);
}

CASE(no_schedule_of_those_who_stop_and_die_loses_an_event_a_version_or_a_slot) {
    at_point = stop;
    for (uint64_t i = 0; i < 6 * effort; i++) run_random(0);
}

CASE(no_schedule_on_spoiled_bytes_of_streams_leads_outside_the_segment_or_round_for_ever) {
    at_point = stop;
    for (uint64_t i = 0; i < 3 * effort; i++) run_random((uint8_t)(1 + random_number(MOST_SPOILED)));
}
#endif
