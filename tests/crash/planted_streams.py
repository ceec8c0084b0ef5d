"""Bugs planted in the core of streams for test_every_instruction.py, which must find each."""

from tests.crash.planted import Planted

WRITING = "        const uint32_t first = write(a);\n"
ANNOUNCING = "if (log_announce(a->log, a->moment, CHANGE_APPEND, first, a->new_events)) return STREAM_DONE;"
APPENDED = "if (!append_one(log, change, tail + i, (uint32_t)last - 1, count == 1)) return false;\n"
WALK = (
    "last = 0;\n"
    "    if (count > 1 && !tell_last(log, tail + count - 1)) return false;\n"
    "    for (uint64_t i = 0; i < count; i++) {\n"
)
STREAM = (
    "    struct stream *stream = log->streams + origin_stream(origin);\n"
    "    if (!is_announced(log, change)) return false;\n"
)
TELL = (
    "    const enum telling told = tell(log, index, ticket, &word, false);\n"
    "    if (told != TOLD) return told == GONE;\n"
)
TELL_LATE = (
    "    const struct event_slot *slot = log_slot(log, index);\n"
    "    word = load_acquire(&slot->word);\n"
    "    if (!slot_has(word, ticket)) return true;\n"
    "    struct stream *stream = log->streams + origin_stream(load_relaxed(&slot->origin));\n"
    "    const uint64_t version = load_relaxed(&slot->version), time_ns = load_relaxed(&slot->time_ns);\n"
    "    const bool is_event = origin_kind(load_relaxed(&slot->origin)) == EVENT;\n"
)
CHAIN = "    if (origin_id_bytes(load_relaxed(&slot->origin))) chain(log, index, word, ticket);\n"
KEEP_CHAIN = "        if (origin_id_bytes(origin)) chain("
DISCARD_NEXT = "        if (!discard_next(log, ticket, before)) return false;\n"

STREAMS = (
    Planted(
        "append announced before it is written",
        "streams/append.c",
        {
            WRITING: "        const uint32_t first = a->claimed[0];\n",
            ANNOUNCING: (
                "uint64_t seen = a->moment.change;\n"
                "const uint64_t change = change_word_of(a->moment.tail + a->new_events, CHANGE_APPEND, first);\n"
                "if (!cas_acq_rel(&a->log->log->change, &seen, change)) continue;\n"
                "write(a);\nlog_tidy(a->log, &a->moment);\nreturn STREAM_DONE;"
            ),
        },
        "stream-append",
        "kill",
        "has a version beyond the newest",
    ),
    Planted(
        "announced change not finished by others",
        "streams/log.c",
        {"if (!finish(log, change, tail)) return false;": "return true;"},
        "stream-help",
        "kill",
        "an append that was announced was not made",
    ),
    Planted(
        "change announced over another",
        "streams/log.c",
        {"uint64_t seen = moment.change;": "uint64_t seen = load_acquire(&log->log->change);"},
        "stream-conditional",
        "freeze",
        "announces a change of another tail",
    ),
    Planted(
        "step of a change of streams that is over",
        "streams/log.c",
        {
            "return load_acquire(&log->log->change) == change; /* is_announced:change */": (
                "return load_acquire(&log->log->change) != change + 1;"
            )
        },
        "stream-append",
        "freeze",
        "is not of the last ticket that it had",
    ),
    Planted(
        "newest before it is published",
        "streams/log.c",
        {
            WALK: (
                f"{WALK}        if (!i && count == 1)\n"
                "            cas_acq_rel_wide(&log->streams[origin_stream(origin)].newest,\n"
                "                (struct halves){version, before}, (struct halves){version + 1, next});\n"
            )
        },
        "stream-append",
        "kill",
        "has a version that links do not lead to",
    ),
    Planted(
        "tail moved for each event of a batch",
        "streams/log.c",
        {APPENDED: f"{APPENDED}uint64_t t = tail + i; cas_acq_rel(&log->log->tail, &t, t + 1);\n"},
        "stream-batch",
        "kill",
        "2 of 3 events of an append are there",
    ),
    Planted(
        "tail moved before the newest",
        "streams/log.c",
        {STREAM: f"{STREAM}    uint64_t t = tail; cas_acq_rel(&log->log->tail, &t, tail + count);\n"},
        "stream-append",
        "kill",
        "has a version beyond the newest",
    ),
    Planted(
        "tail moved before the deletion",
        "streams/log.c",
        {STREAM: f"{STREAM}    uint64_t t = tail; cas_acq_rel(&log->log->tail, &t, tail + count);\n"},
        "stream-delete",
        "kill",
        "a deletion was not made",
    ),
    Planted(
        "slot given up before its loss is told",
        "streams/log.c",
        {TELL: TELL_LATE, 'POINT("discarded");\n': "if (is_event) tell_loss(stream, version, time_ns, false);\n"},
        "stream-append",
        "kill",
        "events of 7 versions are there",
    ),
    Planted(
        "loss told of what has the slot by now",
        "streams/log.c",
        {"if (load_relaxed(&slot->word) != *word) return GONE; /* tell:again": "/* tell:again"},
        "stream-help",
        "freeze",
        "is lost too early",
        sample=4,  # it may be so at four instructions in a row
    ),
    Planted(
        "loss told in two steps",
        "streams/log.c",
        {
            "(struct halves){end, expired + gone}))\n            return;": (
                "(struct halves){end, expired})) {\nadd_relaxed(&stream->lost.high, gone);\nreturn;\n}"
            )
        },
        "stream-append",
        "kill",
        "lost versions 1 could be read",
    ),
    Planted(
        "published before it is in the chain of its id",
        "streams/log.c",
        {CHAIN: "", 'POINT("published");\n': CHAIN.replace("word", "slot_bears(ticket, 0, SLOT_PUBLISHED)")},
        "stream-batch",
        "kill",
        "have the same id",
    ),
    Planted(
        "kept event left behind in its chain",
        "streams/log.c",
        {KEEP_CHAIN: "if (!word && origin) chain("},
        "stream-keep",
        "kill",
        "has an id that is not found",
    ),
    Planted(
        "kept before what is older is discarded",
        "streams/log.c",
        {DISCARD_NEXT: "", '        POINT("kept");\n': DISCARD_NEXT},
        "stream-keep",
        "kill",
        "is too old",
    ),
    Planted(
        "taken slot used though another has claimed it",
        "streams/slots.c",
        {"exists && claim(log, oldest, owner)) *slot": "exists && (claim(log, oldest, owner), true)) *slot"},
        "stream-take",
        "freeze",
        "the victim's operation failed",
    ),
    Planted(
        "claims swept before the change is finished",
        "streams/slots.c",
        {"if (!log_tidy(log, &moment)) return;": "(void)moment;"},
        "stream-repair",
        "kill",
        "an append that was announced was not made",
    ),
    Planted(
        "event copied without a second look",
        "streams/slots.c",
        {"return load_relaxed(&slot->word) == facts->word; /* slots_read:again */": "return true;"},
        "stream-read",
        "freeze",
        "the victim's operation failed",
    ),
    Planted(
        "truncated by a store",
        "streams/streams.c",
        {
            "while (seen < to && !cas_acq_rel(&stream->truncated, &seen, to)) {} /* streams_truncate:raise */": (
                "if (seen < to) store_relaxed(&stream->truncated, to);"
            )
        },
        "stream-truncate",
        "freeze",
        "what was given up is back",
    ),
)
