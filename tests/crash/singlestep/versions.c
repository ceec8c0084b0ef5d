/* The account of streams: every append that returned is there once, and that in which the victim died once or not at all. */
#include "versions.h"

#include "core/streams/check.h"

#include <string.h>

enum { TEXT_BYTES = 8 + sizeof(struct record), NOW = 1000 };

/* ---- events ------------------------------------------------------------------------------------------------------ */

static bool has_id(uint32_t number) { return number % 2; }

void make_wishes(struct wished *wished, uint32_t writer, const uint32_t *numbers, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        wished->records[i] = make_record(writer, numbers[i]);
        wished->ids[i] = (uint64_t)writer << 32 | numbers[i];
        wished->events[i] = (struct event_wish){{{"", 0},
                                                 {&wished->ids[i], has_id(numbers[i]) ? 8 : 0},
                                                 {"", 0},
                                                 {&wished->records[i], sizeof wished->records[i]}},
                                                0};
    }
}

/* The record of an event as it was copied. */
static void take_record(const struct event_facts *facts, const unsigned char *text, struct record *record) {
    const uint32_t id = origin_id_bytes(facts->origin);
    *record = (struct record){0};
    if (facts->sizes != (uint64_t)sizeof *record << 32 || origin_type_bytes(facts->origin) || (id && id != 8)) return;
    memcpy(record, text + id, sizeof *record);
    if (!is_whole(record) || !id == has_id((uint32_t)record->number)) record->writer = 0;
}

enum find_status read_version(const struct streams *streams, uint32_t stream, uint64_t version, struct record *record,
                              uint64_t *position) {
    unsigned char text[TEXT_BYTES];
    struct event_facts facts;
    uint32_t slot;
    enum find_status status = streams_find(streams, stream, version, 1, &slot);
    if (status == FIND_OK) status = streams_read(streams, stream, version, slot, &facts, text, sizeof text);
    if (status != FIND_OK) return status;
    *position = facts.position;
    take_record(&facts, text, record);
    return status;
}

enum ticket_status read_ticket(const struct streams *streams, uint64_t ticket, struct event_facts *facts,
                               struct record *record) {
    unsigned char text[TEXT_BYTES];
    const enum ticket_status status = streams_read_ticket(streams, 0, ticket, facts, text, sizeof text);
    if (status == TICKET_EVENT && origin_kind(facts->origin) == EVENT) take_record(facts, text, record);
    return status;
}

/* ---- noting ------------------------------------------------------------------------------------------------------ */

static struct told *told_of(struct world *world, uint32_t stream, uint64_t version) {
    if (version >= VERSIONS) give_up("more versions than the account has room for");
    if (version >= world->account.log.streams[stream].versions)
        world->account.log.streams[stream].versions = (uint32_t)version + 1;
    return &world->account.log.streams[stream].events[version];
}

/* Somebody says that this version is this event. True: nobody had said so before. */
static bool note(struct world *world, uint32_t stream, uint64_t version, struct told event) {
    struct told *told = told_of(world, stream, version);
    const bool is_news = !told->writer;
    if (told->writer && (told->writer != event.writer || (told->number != event.number && told->number != ANY_NUMBER)))
        violation("version %d has event %u of %u, and not %u of %u", (int)version, told->number, told->writer,
                  event.number, event.writer);
    if (told->writer && event.position == NOWHERE) event.position = told->position;
    *told = event;
    return is_news;
}

static uint64_t versions_of(const struct world *world, uint32_t stream) {
    return load_acquire(&streams_at(streams_of(&world->live[0]), stream)->newest.low);
}

/* The append of `count` events was answered so. Those that are new have the last versions. */
static void note_append(struct world *world, uint32_t stream, uint32_t writer, const uint32_t *numbers, uint32_t count,
                        const uint64_t *versions, const struct stream_answer *answer) {
    const uint64_t first_new = answer->versions;
    for (uint32_t i = 0; i < count; i++) {
        const bool is_new = answer->appended && versions[i] >= first_new;
        if (is_new && versions[i] < world->account.log.streams[stream].versions &&
            told_of(world, stream, versions[i])->writer)
            violation("version %d was given to two events", (int)versions[i]);
        const struct told event = {writer, numbers[i], is_new ? answer->position + versions[i] - first_new : NOWHERE};
        note(world, stream, versions[i], event);
    }
}

void append_noted(struct world *world, const struct handle *who, uint32_t writer, const uint32_t *numbers,
                  uint32_t count) {
    struct wished wished;
    struct stream_answer answer;
    uint64_t versions[MOST_WISHES];
    make_wishes(&wished, writer, numbers, count);
    enum stream_status status =
        streams_append(streams_of(who), VICTIMS, wished.events, count, EXPECT_ANY, NOW, versions, &answer);
    if (status != STREAM_DONE) violation("an append of the others ended with status %d", (int)status);
    else note_append(world, VICTIMS, writer, numbers, count, versions, &answer);
}

/* Versions that nobody has told of are those of one that died or stands still: all of an append, or nothing. */
static void name_unknown(struct world *world) {
    struct log_account *account = &world->account.log;
    const uint64_t versions = versions_of(world, VICTIMS);
    uint64_t unknown[VERSIONS], count = 0, at = 0;
    for (uint64_t version = 0; version < versions; version++)
        if (!told_of(world, VICTIMS, version)->writer) unknown[count++] = version;
    for (uint64_t i = 1; i < count; i++)
        if (unknown[i] != unknown[i - 1] + 1 && i != account->doomed)
            violation("versions of an append are not in a row");
    if (account->doomed && count) {
        if (count < account->doomed) violation("a batch was appended in parts");
        for (; at < count && at < account->doomed; at++)
            note(world, VICTIMS, unknown[at], (struct told){DOOMED, (uint32_t)at + 1, NOWHERE});
        account->doomed = 0;
    }
    if (at == count) return;
    const uint32_t its = account->victims - account->first_new;
    if (account->is_in || account->is_over || !load_acquire(&world->report->begun))
        violation("version %d was appended by nobody", (int)unknown[at]);
    else if (!account->repeated && count - at != its)
        violation("%d of %u events of an append are there", (int)(count - at), its);
    for (uint32_t i = 0; at < count; at++, i++) {
        const uint32_t number = account->repeated ? ANY_NUMBER : account->numbers[account->first_new + i];
        account->is_in |= note(world, VICTIMS, unknown[at], (struct told){VICTIM, number, NOWHERE});
    }
}

void repeat_append(struct world *world) {
    struct log_account *account = &world->account.log;
    struct wished wished;
    struct stream_answer answer;
    uint64_t versions[MOST_WISHES];
    uint32_t numbers[MOST_WISHES], count = 0;
    for (uint32_t i = 0; i < account->victims; i++)
        if (has_id(account->numbers[i])) numbers[count++] = account->numbers[i];
    if (!count) return;
    make_wishes(&wished, VICTIM, numbers, count);
    enum stream_status status =
        streams_append(streams_of(&world->live[0]), VICTIMS, wished.events, count, EXPECT_ANY, NOW, versions, &answer);
    if (status != STREAM_DONE) violation("an append that was repeated ended with status %d", (int)status);
    if (!answer.appended) name_unknown(world); /* also those without an id, while it is certain whose they are */
    account->repeated |= answer.appended > 0;
    note_append(world, VICTIMS, VICTIM, numbers, count, versions, &answer);
}

void append_to_given_up(struct world *world, struct handle *who, uint32_t count) {
    struct wished wished;
    struct stream_answer answer;
    uint64_t version;
    for (; count; count--) {
        const uint32_t number = world->account.log.others++;
        make_wishes(&wished, OTHERS, &number, 1);
        const uint64_t expected = versions_of(world, GIVEN_UP) - 1; /* nobody else appends there */
        enum stream_status status =
            streams_append(streams_of(who), GIVEN_UP, wished.events, 1,
                           expected == UINT64_MAX ? EXPECT_NO_STREAM : expected, NOW, &version, &answer);
        if (status != STREAM_DONE) violation("an append under a right condition ended with status %d", (int)status);
        else note_append(world, GIVEN_UP, OTHERS, &number, 1, &version, &answer);
        streams_truncate(streams_of(who), GIVEN_UP, UINT64_MAX);
    }
}

/* ---- what the others do ------------------------------------------------------------------------------------------ */

static void work(struct world *world, struct handle *who) {
    append_to_given_up(world, who, 1);
    const uint32_t number = world->account.log.others++;
    append_noted(world, who, OTHERS, &number, 1);
}

static void settle(struct world *world) { repeat_append(world); }

/* ---- inspecting -------------------------------------------------------------------------------------------------- */

/* Take over what the victim has said since the last look. */
static void hear_victim(struct world *world) {
    struct log_account *account = &world->account.log;
    const struct report *report = world->report;
    hear_failures(world);
    if (account->is_over || account->gives_up || !load_acquire(&report->returned)) return;
    account->is_over = true;
    if (load_relaxed(&report->result) != STREAM_DONE) {
        if (account->is_in && !account->repeated) violation("an append that was refused was made");
        return;
    }
    for (uint32_t i = 0; i < account->victims; i++)
        account->is_in |= note(world, VICTIMS, load_relaxed(&report->tickets[i]),
                               (struct told){VICTIM, account->numbers[i], NOWHERE});
}

/* All below this ticket may have been discarded: where there is a reserve, also what was before an event that is kept. */
static uint64_t oldest_ticket(const struct world *world) {
    const struct streams *streams = streams_of(&world->live[0]);
    const uint64_t end = change_tail(load_acquire(&streams_log(streams, 0).log->change));
    uint64_t oldest = end > LOG_TICKETS ? end - LOG_TICKETS : 0;
    struct event_facts facts;
    struct record record;
    if (load_relaxed(&streams_at(streams, VICTIMS)->reserve))
        for (uint32_t i = 1; i < world->account.log.victims; i++)
            oldest += read_ticket(streams, oldest, &facts, &record) == TICKET_LAPPED;
    return oldest;
}

static void check_version(struct world *world, uint32_t stream, uint64_t version) {
    struct told *told = told_of(world, stream, version);
    struct record record;
    uint64_t position;
    if (read_version(streams_of(&world->live[0]), stream, version, &record, &position) != FIND_OK) {
        violation("version %d of stream %u cannot be read", (int)version, stream);
        return;
    }
    if (record.writer != told->writer || (record.number != told->number && told->number != ANY_NUMBER))
        violation("version %d is event %d of %u, and not %u of %u", (int)version, (int)record.number, record.writer,
                  told->number, told->writer);
    if (told->position != NOWHERE && told->position != position)
        violation("version %d has position %d, and not %d", (int)version, (int)position, (int)told->position);
    *told = (struct told){record.writer, (uint32_t)record.number, position};
}

static void check_stream(struct world *world, uint32_t number, uint64_t oldest) {
    struct log_account *account = &world->account.log;
    const struct stream *stream = streams_at(streams_of(&world->live[0]), number);
    struct stream_state state;
    streams_state(streams_of(&world->live[0]), number, 0, &state);
    if (state.versions != account->streams[number].versions)
        violation("stream %u has %d versions, and not %u", number, (int)state.versions,
                  account->streams[number].versions);
    for (uint64_t version = state.first; version < state.versions; version++) check_version(world, number, version);
    const uint64_t reserve = load_relaxed(&stream->reserve), given_up = load_relaxed(&stream->truncated);
    if (state.lost + reserve > state.versions && state.lost) violation("what was in reserve is lost");
    for (uint64_t version = 0; version < state.lost && version < state.versions; version++) {
        const struct told *told = told_of(world, number, version);
        if (told->position != NOWHERE && told->position >= oldest)
            violation("version %d is lost too early", (int)version);
    }
    for (uint64_t a = state.lost; a < state.versions; a++) /* what has a slot has its id once */
        for (uint64_t b = a + 1; b < state.versions; b++) {
            const struct told one = *told_of(world, number, a), other = *told_of(world, number, b);
            if (one.writer == other.writer && one.number == other.number && one.number != ANY_NUMBER &&
                has_id(one.number))
                violation("versions %d and %d have the same id", (int)a, (int)b);
        }
    if (number == GIVEN_UP ? state.discarded || given_up != state.versions
                           : !account->gives_up && state.discarded != state.lost)
        violation("of %d lost versions %d could be read", (int)state.lost, (int)state.discarded);
}

/* Each ticket that was not passed by leads to the event that it was given for. */
static void check_tickets(struct world *world, uint64_t oldest) {
    const struct streams *streams = streams_of(&world->live[0]);
    for (uint64_t ticket = oldest; ticket < streams_tail(streams, 0); ticket++) {
        struct event_facts facts;
        struct record record;
        const enum ticket_status status = read_ticket(streams, ticket, &facts, &record);
        if (status == TICKET_LAPPED || status == TICKET_NOT_YET) violation("ticket %d was passed by", (int)ticket);
        if (status != TICKET_EVENT) continue;
        if (origin_kind(facts.origin) != EVENT) {
            uint64_t *seen = &world->account.log.deletion;
            if (!world->account.log.gives_up || (*seen && *seen != ticket + 1))
                violation("there is a deletion too many");
            if (!load_acquire(&streams_at(streams, VICTIMS)->deleted)) violation("a deletion was not made");
            *seen = ticket + 1;
            continue;
        }
        const struct told *told = told_of(world, origin_stream(facts.origin) % STREAMS, facts.version);
        if (record.writer != told->writer || record.number != told->number || told->position != ticket)
            violation("ticket %d leads to event %d of %u", (int)ticket, (int)record.number, record.writer);
    }
}

/* Giving up happens at once, and is not taken back. */
static void check_given_up(struct world *world, bool settled) {
    struct log_account *account = &world->account.log;
    const struct stream *stream = streams_at(streams_of(&world->live[0]), VICTIMS);
    const uint64_t truncated = load_acquire(&stream->truncated), deleted = load_acquire(&stream->deleted);
    const bool changed = truncated != account->truncated || deleted != account->deleted;
    if (truncated < account->truncated || deleted < account->deleted) violation("what was given up is back");
    if (changed && (!account->gives_up || account->is_over)) violation("somebody gave up what nobody did");
    const bool returned = load_acquire(&world->report->returned);
    if (account->gives_up && returned && !truncated && !deleted) violation("what was given up is still there");
    if (account->gives_up && (changed || returned || (settled && world->victim_is_dead))) account->is_over = true;
    account->truncated = truncated;
    account->deleted = deleted;
}

/* Nothing is claimed but what the living know to be theirs. */
static void check_claims(struct world *world) {
    const struct log_view log = streams_log(streams_of(&world->live[0]), 0);
    uint32_t claimed[2 * PLACES] = {0};
    const uint32_t victim = load_acquire(&world->report->owner), known = world->live_count + world->late_count;
    for (uint32_t slot = 0; slot < LOG_SLOTS; slot++) {
        const uint64_t word = load_acquire(&log_slot(&log, slot)->word);
        uint32_t i = 0;
        if (slot_state(word) != SLOT_CLAIMED || (!world->victim_is_dead && slot_owner(word) == victim)) continue;
        while (i < known && slot_owner(word) !=
                                owner_of(i < world->live_count ? &world->live[i] : &world->late[i - world->live_count]))
            i++;
        if (i == known) violation("slot %u is still claimed by one who has gone", slot);
        else claimed[i]++;
    }
    for (uint32_t i = 0; i < known; i++) {
        const struct handle *who = i < world->live_count ? &world->live[i] : &world->late[i - world->live_count];
        if (claimed[i] != streams_of(who)->spares->count)
            violation("of %u slots that are claimed by the living %u are known", claimed[i],
                      streams_of(who)->spares->count);
    }
}

static void told_by_check(void *context, const char *text) {
    (void)context;
    violation("check_streams: %s", text);
}

static void inspect_streams(struct world *world, bool settled) {
    struct log_account *account = &world->account.log;
    const uint64_t oldest = oldest_ticket(world);
    check_streams(streams_of(&world->live[0]), told_by_check, NULL);
    hear_victim(world);
    name_unknown(world);
    for (uint32_t stream = 0; stream < STREAMS; stream++) check_stream(world, stream, oldest);
    check_tickets(world, oldest);
    check_given_up(world, settled);
    check_processes(world);
    if (!settled) return;
    check_claims(world);
    if (account->doomed) violation("an append that was announced was not made");
    if (world->victim_is_dead) account->is_over = true;
}

const struct subject streams_subject = {work, settle, inspect_streams};
