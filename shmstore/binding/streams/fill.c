/* Reading ahead: the next versions of a stream, or the next events of all partitions, the oldest first. */
#include "binding/streams/follower.h"

#include <stdlib.h>
#include <string.h>

/* ---- is there news? ------------------------------------------------------------------------------------------------- */

/* The number of the stream that is followed; UNKNOWN: it is not there yet. Any thread may ask. */
static uint32_t followed(const Follower *follower) {
    const Stream *stream = follower->stream;
    uint32_t number = load_relaxed(&follower->number);
    if (number == UNKNOWN && table_find(&stream->streams->store->handle.table, stream->text, stream->bytes, &number))
        return UNKNOWN;
    return number;
}

enum news follower_look(const void *context) {
    const Follower *follower = context;
    const struct streams *core = &follower->streams->store->streams;
    const uint32_t number = follower->stream ? followed(follower) : 0;
    bool any = false;
    if (number == UNKNOWN) return NEWS_NONE;
    for (uint32_t i = 0; i < follower->count && !any; i++) {
        const uint64_t ahead = load_relaxed(&follower->places[i].ahead);
        any = follower->stream ? follow_has_versions(core, number, ahead) : follow_has_tickets(core, i, ahead);
    }
    return any ? NEWS_SOME : NEWS_NONE;
}

/* ---- what was read -------------------------------------------------------------------------------------------------- */

/* Takes the reference to the event. */
static int put_item(Follower *follower, struct item item) {
    if (follower->filled == follower->room) {
        const size_t room = follower->room ? 2 * follower->room : 64;
        struct item *items = PyMem_Realloc(follower->items, room * sizeof *items);
        if (!items) {
            Py_XDECREF(item.event);
            PyErr_NoMemory();
            return -1;
        }
        follower->items = items;
        follower->room = room;
    }
    follower->items[follower->filled++] = item;
    return 0;
}

/* [first, next) is gone. */
static int put_gap(Follower *follower, uint32_t place, uint64_t first, uint64_t next) {
    if (follower->places[place].fresh) return 0;
    return put_item(follower, (struct item){NULL, place, first, next});
}

/* ---- one stream ----------------------------------------------------------------------------------------------------- */

static int put_list(Follower *follower, PyObject *list, uint64_t first) {
    const Py_ssize_t count = PyList_Size(list);
    for (Py_ssize_t i = 0; i < count; i++) {
        const uint64_t version = first + (uint64_t)i;
        if (put_item(follower, (struct item){Py_NewRef(PyList_GetItem(list, i)), 0, version, version + 1})) return -1;
        store_relaxed(&follower->places[0].ahead, version + 1);
    }
    if (count) follower->places[0].fresh = false;
    return 0;
}

static int fill_from_stream(Follower *follower, uint64_t most) {
    struct place_in *place = &follower->places[0];
    Stream *stream = follower->stream;
    if (follower_look(follower) == NEWS_NONE || !stream_find(stream)) return 0;
    store_relaxed(&follower->number, stream->number);
    place->end = load_acquire(&streams_at(core_of(stream), stream->number)->newest.low);
    uint64_t at;
    do {
        at = load_relaxed(&place->ahead);
        const uint64_t there = place->end > at ? place->end - at : 0, wanted = most < there ? most : there;
        PyObject *found = stream_read(stream, at, wanted < MOST_AT_ONCE ? (uint32_t)wanted : MOST_AT_ONCE);
        int failed = !found;
        if (found && PyList_Check(found)) {
            most -= (uint64_t)PyList_Size(found);
            failed = put_list(follower, found, at);
        } else if (found) {
            const uint64_t first = PyLong_AsUnsignedLongLong(found);
            failed = put_gap(follower, 0, at, first);
            if (!failed) store_relaxed(&place->ahead, first);
        }
        Py_XDECREF(found);
        if (failed) return -1;
    } while (most && load_relaxed(&place->ahead) < place->end && load_relaxed(&place->ahead) > at);
    return 0;
}

/* ---- all streams ---------------------------------------------------------------------------------------------------- */

static int make_candidates(Follower *follower) {
    const struct geometry *g = &follower->streams->store->handle.geometry;
    const size_t room = g->event_bytes - sizeof(struct event_slot);
    if (follower->candidates) return 0;
    follower->texts = malloc(follower->count * room);
    struct candidate *candidates = calloc(follower->count, sizeof *candidates);
    if (!follower->texts || !candidates) {
        free(follower->texts);
        free(candidates);
        follower->texts = NULL;
        PyErr_NoMemory();
        return -1;
    }
    for (uint32_t i = 0; i < follower->count; i++) candidates[i].text = follower->texts + i * room;
    follower->candidates = candidates;
    return 0;
}

/* Go on to the next event of a partition. */
static int find_candidate(Follower *follower, uint32_t place, uint64_t now) {
    const struct streams *core = &follower->streams->store->streams;
    struct candidate *candidate = &follower->candidates[place];
    const size_t room = core->handle->geometry.event_bytes - sizeof(struct event_slot);
    enum follow_status status;
    while ((status = follow_next(core, place, now, &candidate->at, &candidate->facts, candidate->text, room)) ==
           FOLLOW_MISSED)
        if (put_gap(follower, place, candidate->at.missed, candidate->at.ticket)) return -1;
    candidate->is_there = status == FOLLOW_EVENT;
    if (candidate->is_there) follower->places[place].fresh = false;
    store_relaxed(&follower->places[place].ahead, candidate->at.ticket);
    if (status != FOLLOW_DAMAGED) return 0;
    raise_error(follower->streams->state, ERROR_DAMAGED_SEGMENT,
                "what has ticket %llu of partition %u is no event: the segment was overwritten from outside; run "
                "'shmstore-inspect check'",
                (number)candidate->at.ticket, place);
    return -1;
}

/* Of the partitions that have one, that of the oldest event; of several, the first. */
static struct candidate *oldest_candidate(const Follower *follower) {
    struct candidate *oldest = NULL;
    for (uint32_t i = 0; i < follower->count; i++) {
        struct candidate *candidate = &follower->candidates[i];
        if (candidate->is_there && (!oldest || candidate->facts.time_ns < oldest->facts.time_ns)) oldest = candidate;
    }
    return oldest;
}

static int put_candidate(Follower *follower, struct event_maker *maker, const struct candidate *candidate) {
    const struct log_view log = streams_log(&follower->streams->store->streams, 0);
    maker->stream = streams_name_of(follower->streams, origin_stream(candidate->facts.origin));
    if (!maker->stream) return -1;
    PyObject *event = make_event(maker, &candidate->facts, candidate->text, slots_text_bytes(&log, &candidate->facts));
    Py_DECREF(maker->stream);
    const uint64_t ticket = candidate->at.ticket;
    return event ? put_item(follower, (struct item){event, maker->log, ticket, ticket + 1}) : -1;
}

static int merge(Follower *follower, struct event_maker *maker, uint64_t most, uint64_t now) {
    struct candidate *oldest;
    for (uint32_t i = 0; i < follower->count; i++) {
        struct place_in *place = &follower->places[i];
        if (!follower->bounded) place->end = streams_tail(&follower->streams->store->streams, i);
        follower->candidates[i].at = (struct follow_place){load_relaxed(&place->ahead), place->end, 0};
        if (find_candidate(follower, i, now)) return -1;
    }
    for (; most && (oldest = oldest_candidate(follower)); most--) {
        maker->log = (uint32_t)(oldest - follower->candidates);
        if (put_candidate(follower, maker, oldest)) return -1;
        oldest->at.ticket++;
        store_relaxed(&follower->places[maker->log].ahead, oldest->at.ticket);
        if (find_candidate(follower, maker->log, now)) return -1;
    }
    return 0;
}

static int fill_from_all(Follower *follower, uint64_t most) {
    struct event_maker maker = {.state = follower->streams->state, .logs = follower->count};
    if (follower_look(follower) == NEWS_NONE) return 0;
    if (make_candidates(follower)) return -1;
    const int failed = merge(follower, &maker, most, (uint64_t)now_ns());
    Py_XDECREF(maker.type);
    return failed;
}

/* ---- either --------------------------------------------------------------------------------------------------------- */

int follower_fill(Follower *follower, uint64_t most) {
    if (most > follower->left) most = follower->left;
    if (!most) return 0;
    const size_t pending = follower->filled - follower->at;
    if (pending) memmove(follower->items, follower->items + follower->at, pending * sizeof *follower->items);
    follower->at = 0;
    follower->filled = pending;
    follower->busy = true;
    int failed = follower->stream ? fill_from_stream(follower, most) : fill_from_all(follower, most);
    follower->busy = false;
    if (failed && follower->filled && drop_error()) failed = 0; /* first what came before: it will fail again */
    for (uint32_t i = 0; i < follower->count && !failed; i++) follower->places[i].fresh = false;
    if (follower->left != UINT64_MAX)
        for (size_t i = pending; i < follower->filled; i++) follower->left -= follower->items[i].event != NULL;
    return failed;
}
