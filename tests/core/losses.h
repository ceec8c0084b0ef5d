/* How many of the versions that a stream has lost nobody could read any more: told by looking again and again. */
#ifndef SHMSTORE_TESTS_LOSSES_H
#define SHMSTORE_TESTS_LOSSES_H

#include "core/streams/streams.h"

static const uint64_t HOUR_NS = UINT64_C(3600000000000);

/* A stream as it was when it was last looked at. */
struct losses {
    uint64_t lost, expired, versions;
    uint64_t least, most; /* the versions below could not be read any more: certainly, and at most */
    uint64_t too_old;     /* those below are; to be raised by whoever sees them */
    bool had_reserve;     /* then what is too old may be behind what is not, and counts as if it were not */
};

static inline uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }
static inline uint64_t smaller(uint64_t a, uint64_t b) { return a < b ? a : b; }
static inline uint64_t beyond(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

/* What is wrong with what it says of its losses since the last look? */
static inline const char *losses_fault(struct losses *before, const struct stream *stream,
                                       const struct stream_state *state) {
    const uint64_t deleted = load_relaxed(&stream->deleted), most_events = load_relaxed(&stream->most_events);
    struct losses now = {.lost = state->lost, .expired = state->lost - state->discarded, .versions = state->versions};
    now.had_reserve = before->had_reserve || load_relaxed(&stream->reserve);
    now.too_old = before->too_old;
    now.least = larger(load_relaxed(&stream->truncated), beyond(deleted, 1));
    if (most_events) now.least = larger(now.least, beyond(now.versions, most_events));
    now.most = larger(now.least, now.too_old);
    if (!now.had_reserve) now.least = now.most;
    if (load_relaxed(&stream->most_ns) && now.lost > before->versions) now.most = now.lost; /* not seen before */
    const uint64_t least = smaller(smaller(before->least, now.least), now.lost),
                   most = smaller(larger(before->most, now.most), now.lost);
    const char *fault = NULL;
    if (now.lost < before->lost || now.expired < before->expired) fault = "losses never fall";
    else if (now.expired - before->expired > beyond(most, before->lost)) fault = "what could be read is a loss";
    else if (now.expired - before->expired < beyond(least, before->lost)) fault = "what could not be read is no loss";
    *before = now;
    return fault;
}

#endif
