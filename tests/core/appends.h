/* What the fuzzer of streams appends, and what must come of it where nobody else comes in between. */
#ifndef SHMSTORE_TESTS_APPENDS_H
#define SHMSTORE_TESTS_APPENDS_H

#include "core/streams/chains.h"
#include "core/streams/streams.h"

#include <string.h>

/* What an event bears as its data. */
struct body {
    uint64_t append, index, proof;
};

static inline struct body make_body(uint64_t append, uint64_t index) {
    return (struct body){append, index, (append * 31 + index + 1) * UINT64_C(0x9e3779b97f4a7c15)};
}

/* Which ids are known, and all versions. */
enum { MOST_FORECAST = 16 };

struct forecast {
    bool is_sure; /* no change is unfinished that may overwrite an event with one of the ids first */
    uint64_t versions[MOST_FORECAST];
    uint32_t appended;
};

static inline struct forecast forecast_append(const struct streams *streams, uint32_t stream,
                                              const struct event_wish *events, uint32_t count) {
    const struct log_view log = streams_log(streams, streams_log_of(streams, stream));
    const uint64_t tail = load_relaxed(&log.log->tail), newest = load_relaxed(&streams_at(streams, stream)->newest.low);
    struct forecast forecast = {.is_sure = change_tail(load_relaxed(&log.log->change)) == (tail & TICKET_MASK)};
    for (uint32_t i = 0; i < count && i < MOST_FORECAST; i++) {
        const struct piece *id = &events[i].pieces[1];
        if (!id->count || !chains_find(&log, tail, stream, id, chains_hash(stream, id), &forecast.versions[i]))
            forecast.versions[i] = newest + forecast.appended++;
    }
    return forecast;
}

static inline bool forecast_came_true(const struct forecast *forecast, enum stream_status status,
                                      const uint64_t *versions, uint32_t count, const struct stream_answer *answer) {
    return !forecast->is_sure || status != STREAM_DONE ||
           (answer->appended == forecast->appended && !memcmp(versions, forecast->versions, count * sizeof *versions));
}

#endif
