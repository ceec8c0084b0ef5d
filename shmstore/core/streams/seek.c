/* Links between events, and following them; see seek.h. */
#include "core/streams/seek.h"

#include "core/streams/streams.h"

enum { MOST_LOOKS = 1 << 16 };

/* Where an event leads. */
struct leads {
    uint64_t version, links, jump, jump_of_jump, time_ns;
};

static void load_leads(const struct event_slot *slot, struct leads *leads) {
    leads->version = load_relaxed(&slot->version);
    leads->links = load_relaxed(&slot->links);
    leads->jump = load_relaxed(&slot->jump);
    leads->jump_of_jump = load_relaxed(&slot->jump_of_jump);
    leads->time_ns = load_relaxed(&slot->time_ns);
}

/* Those of this version, if its event is in this slot. It may be kept meanwhile, which changes the word and nothing else. */
static bool read_leads(const struct log_view *log, uint32_t stream, uint64_t version, uint64_t slot_plus_1,
                       struct leads *leads) {
    if (!slot_plus_1 || slot_plus_1 > log->geometry->log_slots) return false;
    const struct event_slot *slot = log_slot(log, (uint32_t)slot_plus_1 - 1);
    for (int looks = 0; looks < MOST_LOOKS; looks++) {
        const uint64_t word = load_acquire(&slot->word); /* read_leads:word */
        if (slot_state(word) != SLOT_PUBLISHED) return false;
        const uint64_t origin = load_relaxed(&slot->origin);
        load_leads(slot, leads);
        fence_acquire();                                 /* read_leads:fence */
        if (load_relaxed(&slot->word) != word) continue; /* read_leads:again */
        return origin_stream(origin) == stream && origin_kind(origin) == EVENT && leads->version == version;
    }
    return false;
}

struct landmark seek_landmark(const struct log_view *log, uint32_t stream, uint64_t slot_plus_1, uint64_t versions) {
    struct leads leads;
    if (!versions || !read_leads(log, stream, versions - 1, slot_plus_1, &leads)) return (struct landmark){0};
    return (struct landmark){versions - 1,  leads.jump,  leads.jump_of_jump,
                             leads.time_ns, slot_plus_1, leads.links & 0xffffffff};
}

void seek_link(const struct log_view *log, uint32_t stream, uint64_t claimed_from, struct landmark *before,
               uint32_t index) {
    struct event_slot *slot = log_slot(log, index);
    struct leads far = {0};
    const uint64_t version = load_relaxed(&slot->version);
    struct landmark here = {.version = version, .jump = version, .jump_of_jump = version, .slot = index + UINT64_C(1)};
    if (before->slot) {
        here.jump = before->version;
        here.jump_of_jump = before->jump;
        here.jump_slot = before->slot;
        bool doubled = before->jump_slot && before->version - before->jump == before->jump - before->jump_of_jump;
        if (doubled && before->jump >= claimed_from) load_leads(log_slot(log, (uint32_t)before->jump_slot - 1), &far);
        else if (doubled) doubled = read_leads(log, stream, before->jump, before->jump_slot, &far);
        if (doubled && far.links & 0xffffffff) {
            here.jump = far.jump;
            here.jump_of_jump = far.jump_of_jump;
            here.jump_slot = far.links & 0xffffffff;
        }
    }
    store_relaxed(&slot->links, before->slot << 32 | here.jump_slot);
    store_relaxed(&slot->jump, here.jump);
    store_relaxed(&slot->jump_of_jump, here.jump_of_jump);
    *before = here;
}

/* ---- finding ----------------------------------------------------------------------------------------------------- */

/* A version was not where the links lead: it was overwritten since, or that was never so. */
static enum find_status not_there(const struct stream *stream, uint64_t version) {
    return version < load_acquire(&stream->lost.low) ? FIND_LOST : FIND_DAMAGED; /* not_there:lost */
}

/* Where a walk along the links has come to. */
struct walk {
    const struct log_view *log;
    const struct stream *stream;
    uint32_t number;
    uint64_t version, slot_plus_1;
    struct leads leads;
};

static enum find_status arrive(struct walk *walk, uint64_t version, uint64_t slot_plus_1) {
    walk->version = version;
    walk->slot_plus_1 = slot_plus_1;
    return read_leads(walk->log, walk->number, version, slot_plus_1, &walk->leads) ? FIND_OK
                                                                                   : not_there(walk->stream, version);
}

static enum find_status start(const struct streams *streams, uint32_t number, const struct log_view *log,
                              uint64_t version, struct walk *walk) {
    struct stream *stream = streams_at(streams, number);
    *walk = (struct walk){.log = log, .stream = stream, .number = number};
    uint64_t versions, slot;
    do {                                              /* both halves of one moment: the first never has a value twice */
        versions = load_acquire(&stream->newest.low); /* seek_start:versions */
        slot = load_acquire(&stream->newest.high);    /* seek_start:slot */
    } while (load_relaxed(&stream->newest.low) != versions);
    if (version >= versions) return FIND_NOT_YET;
    return arrive(walk, versions - 1, slot);
}

/* Go back to a version: by a jump where that does not lead beyond it. */
static enum find_status go_back(struct walk *walk, uint64_t version) {
    enum find_status status = FIND_OK;
    while (status == FIND_OK && walk->version > version) {
        const struct leads *leads = &walk->leads;
        const bool jumps = leads->jump >= version && leads->jump < walk->version && leads->links & 0xffffffff;
        if (jumps) status = arrive(walk, leads->jump, leads->links & 0xffffffff);
        else status = arrive(walk, walk->version - 1, leads->links >> 32);
    }
    return status;
}

/* Lost is lost only where it is the first that was asked for: a walk passes by versions that are overwritten later than it. */
static enum find_status lost(const struct stream *stream, uint64_t first, enum find_status status) {
    if (status != FIND_LOST) return status;
    return first < load_acquire(&stream->lost.low) ? FIND_LOST : FIND_DAMAGED;
}

enum find_status streams_find(const struct streams *streams, uint32_t stream, uint64_t first, uint32_t count,
                              uint32_t *slots) {
    const struct log_view log = streams_log(streams, streams_log_of(streams, stream));
    struct walk walk;
    enum find_status status = start(streams, stream, &log, first + count - 1, &walk);
    if (status == FIND_NOT_YET) return status;
    if (status == FIND_OK) status = go_back(&walk, first + count - 1);
    for (uint32_t left = count; status == FIND_OK && left--;) {
        slots[left] = (uint32_t)walk.slot_plus_1 - 1;
        if (left) status = arrive(&walk, walk.version - 1, walk.leads.links >> 32);
    }
    return lost(walk.stream, first, status);
}

uint64_t streams_find_time(const struct streams *streams, uint32_t stream, uint64_t first, uint64_t versions,
                           uint64_t time_ns) {
    const struct log_view log = streams_log(streams, streams_log_of(streams, stream));
    struct walk walk;
    uint64_t found = versions;
    if (first >= versions || start(streams, stream, &log, versions - 1, &walk) != FIND_OK ||
        go_back(&walk, versions - 1) != FIND_OK || walk.leads.time_ns < time_ns)
        return found;
    for (;;) { /* the event we are at is not too old */
        found = walk.version;
        if (found <= first) return first;
        struct walk far = walk;
        const struct leads *leads = &walk.leads;
        if (leads->jump >= first && leads->jump < found && leads->links & 0xffffffff &&
            arrive(&far, leads->jump, leads->links & 0xffffffff) == FIND_OK && far.leads.time_ns >= time_ns) {
            walk = far;
            continue;
        }
        if (arrive(&walk, found - 1, walk.leads.links >> 32) != FIND_OK || walk.leads.time_ns < time_ns) return found;
    }
}
