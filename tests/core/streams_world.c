/* A segment of streams and its users for C tests; see streams_world.h. */
#include "streams_world.h"

#include <stdio.h>

/* ---- the segment and its users ----------------------------------------------------------------------------------- */

static void enter(struct world *world, uint32_t place, uint64_t generation) {
    struct user *user = &world->users[place];
    user->owner = owner_from(place, generation);
    store_relaxed(&processes_place(&user->handle.ring, place)->word, place_word(generation, PLACE_USED));
    store_relaxed(&user->handle.processes.own->owner, OWNER_ENTERED | user->owner);
    if (!streams_on(&user->streams, &user->handle)) fail("no memory");
}

struct world *make_world(struct shape shape) {
    struct world *world = calloc(1, sizeof *world);
    const struct options options = {.capacity = shape.capacity ? shape.capacity : 7,
                                    .data_bytes = DATA_BYTES,
                                    .logs = shape.logs ? shape.logs : 1,
                                    .streams = shape.streams ? shape.streams : 4,
                                    .processes = USERS,
                                    .kind = SEGMENT_STREAMS};
    struct refusal why;
    if (!world) fail("no memory");
    if (layout_plan(&options, NULL, &world->geometry, &why) != PLAN_OK) fail("refused: %s", why.text);
    world->memory = aligned_alloc(4096, world->geometry.total_bytes);
    if (!world->memory) fail("no memory");
    memset(world->memory, 0, world->geometry.total_bytes);
    layout_format(world->memory, &world->geometry, NULL, (const uint8_t[16]){1}, 1);
    for (uint32_t place = 0; place < USERS; place++) {
        const struct opening opening = {.fd = NO_FILE, .writable = true};
        struct handle *handle = &world->users[place].handle;
        if (handle_open(handle, world->memory, world->geometry.total_bytes, &opening, &why) != OPEN_OK)
            fail("cannot be opened: %s", why.text);
        enter(world, place, 1);
    }
    for (uint32_t number = 0; number < options.logs; number++) {
        const struct log_view log = streams_log(&world->users[0].streams, number);
        store_relaxed(&log.log->tail, shape.tickets);
        store_relaxed(&log.log->change, change_word_of(shape.tickets, CHANGE_NONE, 0));
        for (uint64_t back = 1; back <= log.geometry->slots && back <= shape.tickets; back++)
            store_relaxed(log_order(&log, shape.tickets - back), ticket_link(shape.tickets - back, NO_SLOT));
    }
    return world;
}

void free_world(struct world *world) {
    for (uint32_t place = 0; place < USERS; place++) {
        streams_leave(&world->users[place].streams);
        handle_close(&world->users[place].handle);
    }
    free(world->memory);
    free(world);
}

void replace(struct world *world, uint32_t place) {
    struct user *user = &world->users[place];
    const struct claims *claims = &world->users[!place].handle.processes.claims;
    claims->sweep(claims->context, user->owner);
    enter(world, place, place_generation(load_relaxed(&processes_place(&user->handle.ring, place)->word)) + 1);
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

static void fill(uint64_t seed, unsigned char *to, size_t count) {
    for (size_t i = 0; i < count; i++) to[i] = (unsigned char)(mixed(seed + i / 8 * 1000003) >> 8 * (i % 8));
}

/* The text of an event; the first eight bytes of its data are the seed. */
static void make_event(struct wanted wanted, unsigned char text[EVENT_TEXT_BYTES], struct event_wish *wish) {
    const size_t metadata = wanted.seed % 5;
    const size_t counts[PIECES] = {wanted.seed % 12, wanted.id ? 8 + wanted.id % 5 : 0, metadata,
                                   8 + wanted.seed % (DATA_BYTES - 7 - metadata)};
    fill(wanted.seed, text, EVENT_TEXT_BYTES);
    *wish = (struct event_wish){.flags = wanted.seed & 0xff};
    for (int i = 0; i < PIECES; i++) {
        wish->pieces[i] = (struct piece){text, counts[i]};
        if (i == 1) fill(wanted.id ^ 0x1d, text, counts[i]);
        if (i == 1 && wanted.id) memcpy(text, &wanted.id, 8);
        if (i == 3) memcpy(text, &wanted.seed, 8);
        memset(text + counts[i], 0, piece_room(counts[i]) - counts[i]);
        text += piece_room(counts[i]);
    }
}

void do_it(void *argument) {
    struct doing *doing = argument;
    struct streams *streams = &doing->world->users[doing->user].streams;
    unsigned char texts[16][EVENT_TEXT_BYTES];
    struct event_wish wishes[16];
    if (!doing->count) {
        doing->status =
            streams_delete(streams, doing->stream, doing->for_ever, doing->expected, doing->now_ns, &doing->answer);
        return;
    }
    for (uint32_t i = 0; i < doing->count; i++) make_event(doing->events[i], texts[i], &wishes[i]);
    doing->status = streams_append(streams, doing->stream, wishes, doing->count, doing->expected, doing->now_ns,
                                   doing->versions, &doing->answer);
}

uint64_t add_with_id(struct world *world, uint32_t user, uint32_t stream, uint64_t seed, uint64_t id) {
    const struct wanted wanted = {seed, id};
    struct doing doing = {
        .world = world, .user = user, .stream = stream, .count = 1, .events = &wanted, .expected = EXPECT_ANY};
    do_it(&doing);
    expect_equal(doing.status, STREAM_DONE);
    return doing.versions[0];
}

uint64_t add_event(struct world *world, uint32_t user, uint32_t stream, uint64_t seed) {
    return add_with_id(world, user, stream, seed, NO_ID);
}

struct event_seen expect_whole_event(const struct world *world, const struct event_facts *facts,
                                     const unsigned char *text) {
    unsigned char whole[EVENT_TEXT_BYTES];
    struct event_wish wish;
    struct event_seen seen = {.position = facts->position, .time_ns = facts->time_ns};
    const struct log_view log = streams_log(&world->users[0].streams, 0);
    const size_t type = origin_type_bytes(facts->origin), id = origin_id_bytes(facts->origin);
    const size_t before = piece_room(type) + piece_room(id) + piece_room((uint32_t)facts->sizes);
    expect(before + 8 <= EVENT_TEXT_BYTES);
    memcpy(&seen.seed, text + before, 8);
    if (id) memcpy(&seen.id, text + piece_room(type), 8);
    make_event((struct wanted){seen.seed, seen.id}, whole, &wish);
    for (int i = 0; i < PIECES; i++)
        expect_equal(wish.pieces[i].count, ((const size_t[]){type, id, (uint32_t)facts->sizes, facts->sizes >> 32})[i]);
    expect(!memcmp(text, whole, slots_text_bytes(&log, facts)));
    expect_equal(origin_flags(facts->origin), wish.flags);
    return seen;
}

enum find_status look(const struct world *world, uint32_t stream, uint64_t version, struct event_seen *seen) {
    const struct streams *streams = &world->users[0].streams;
    unsigned char text[EVENT_TEXT_BYTES];
    struct event_facts facts;
    uint32_t slot;
    enum find_status status = streams_find(streams, stream, version, 1, &slot);
    if (status == FIND_OK) status = streams_read(streams, stream, version, slot, &facts, text, sizeof text);
    if (status == FIND_OK) *seen = expect_whole_event(world, &facts, text);
    return status;
}

void hold_slots(const struct world *world, uint32_t count) {
    const struct log_view log = streams_log(&world->users[0].streams, 0);
    struct spares *spares = &world->users[2].streams.spares[0];
    uint32_t *slots = calloc(count, sizeof *slots);
    if (!slots) fail("no memory");
    expect_equal(slots_claim(&log, spares, world->users[2].owner, count, 0, slots), SLOTS_OK);
    spares->count += count;
    free(slots);
}

struct stream_state state_of(const struct world *world, uint32_t stream, uint64_t now_ns) {
    struct stream_state state;
    streams_state(&world->users[0].streams, stream, now_ns, &state);
    return state;
}

static void tell(void *context, const char *text) {
    (void)context;
    printf("  %s\n", text);
}

void expect_sound_streams_at(const struct world *world, const char *file, int line) {
    const uint64_t faults = check_streams(&world->users[0].streams, tell, NULL);
    if (faults) fail_at(file, line, "%llu invariants are broken", (unsigned long long)faults);
    for (uint32_t stream = 0; stream < world->geometry.options.streams; stream++) {
        const struct stream_state state = state_of(world, stream, 0);
        struct event_seen seen;
        if (state.first > state.versions || state.discarded > state.lost)
            fail_at(file, line, "the state of stream %u contradicts itself", stream);
        for (uint64_t version = state.first; version < state.versions; version++)
            if (look(world, stream, version, &seen) != FIND_OK)
                fail_at(file, line, "version %llu of stream %u is not there", (unsigned long long)version, stream);
        if (look(world, stream, state.versions, &seen) != FIND_NOT_YET)
            fail_at(file, line, "stream %u has more versions than it says", stream);
        if (state.lost && look(world, stream, state.lost - 1, &seen) == FIND_DAMAGED)
            fail_at(file, line, "what stream %u lost is damage", stream);
    }
}
