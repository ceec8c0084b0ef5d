"""The rules of the logs of streams, by the sentences of log.h, each broken: mutants for test_mutants.py."""

from tests.core.mutant import Mutant

DIES = "whoever_dies_anywhere_leaves_its_append_made_once_or_not_at_all"
STANDS_STILL = "whoever_stands_still_anywhere_in_an_append_is_overtaken_and_harms_nothing_later"
CHAIN = "if (origin_id_bytes(load_relaxed(&slot->origin))) chain(log, index, word, ticket);"
WALK = (
    "last = 0; if (count > 1 && !tell_last(log, tail + count - 1)) return false; for (uint64_t i = 0; i < count; i++) {"
)
APPENDED = "if (!append_one(log, change, tail + i, (uint32_t)last - 1, count == 1)) return false;"
STREAM = "struct stream *stream = log->streams + origin_stream(origin); if (!is_announced(log, change)) return false;"
TELL = "const enum telling told = tell(log, index, ticket, &word, false); if (told != TOLD) return told == GONE;"
TELL_LATE = {
    TELL: (
        "const struct event_slot *slot = log_slot(log, index);"
        "word = load_acquire(&slot->word);"
        "if (!slot_has(word, ticket)) return true;"
        "struct stream *stream = log->streams + origin_stream(load_relaxed(&slot->origin));"
        "const uint64_t version = load_relaxed(&slot->version), time_ns = load_relaxed(&slot->time_ns);"
        "const bool is_event = origin_kind(load_relaxed(&slot->origin)) == EVENT;"
    ),
    'POINT("discarded");': 'POINT("discarded"); if (is_event) tell_loss(stream, version, time_ns, false);',
}

LOGS = (
    Mutant(
        "only a slot that is free is claimed",
        "whoever_takes_a_slot_leaves_what_is_in_reserve",
        "streams/slots.c",
        {"return slot_state(word) == SLOT_FREE &&": "return slot_state(word) != SLOT_PUBLISHED &&"},
    ),
    Mutant(
        "a slot that is free is claimed before one is taken",
        "a_slot_that_was_given_back_is_claimed_before_any_event_gives_way",
        "streams/slots.c",
        {
            "if (cas_acq_rel(shared, &word, slot_bears(word >> 24, 0, SLOT_FREE))) /* free_slot:word */"
            " add_relaxed(&log->log->freed, 1);": "cas_acq_rel(shared, &word, slot_bears(word >> 24, 0, SLOT_FREE));"
        },
    ),
    Mutant(
        "what an append of one event discards belongs to whoever appended",
        "an_id_is_appended_once_for_as_long_as_its_event_has_its_slot",
        "streams/log.c",
        {"is_alone ? slot_owner(word) : 0": "0 * is_alone"},
    ),
    Mutant(
        "a change is announced only where no other was since",
        STANDS_STILL,
        "streams/log.c",
        {"uint64_t seen = moment.change;": "uint64_t seen = load_acquire(&log->log->change);"},
    ),
    Mutant(
        "whoever announces has finished the change before",
        DIES,
        "streams/log.c",
        {"if (!finish(log, change, tail)) return false;": "return true;"},
    ),
    Mutant(
        "no step is made of a change of streams that is over",
        STANDS_STILL,
        "streams/log.c",
        {"return load_acquire(&log->log->change) == change;": "return load_acquire(&log->log->change) != change + 1;"},
    ),
    Mutant(
        "nor is a slot linked that has another ticket by now",
        STANDS_STILL,
        "streams/log.c",
        {
            "if ((was & ~CHAIN_END) == link || load_relaxed(&slot->word) != word) return;": (
                "if ((was & ~CHAIN_END) == link || word == UINT64_MAX) return;"
            )
        },
    ),
    Mutant(
        "an event is in the chain of its id before it is published",
        DIES,
        "streams/log.c",
        {
            CHAIN: "",
            'POINT("published");': (
                'POINT("published");'
                "if (origin_id_bytes(load_relaxed(&slot->origin)))"
                "    chain(log, index, slot_bears(ticket, 0, SLOT_PUBLISHED), ticket);"
            ),
        },
    ),
    Mutant(
        "an event is published before it is the newest",
        DIES,
        "streams/log.c",
        {
            WALK: (
                f"{WALK} if (!i && count == 1) {{"
                "    cas_acq_rel_wide(&log->streams[origin_stream(origin)].newest, (struct halves){version, before},"
                "                     (struct halves){version + 1, next});"
                '    POINT("made newest"); }'
            )
        },
    ),
    Mutant(
        "the newest is told before the tail is moved",
        DIES,
        "streams/log.c",
        {STREAM: f'{STREAM} uint64_t t = tail; cas_acq_rel(&log->log->tail, &t, tail + count); POINT("finished");'},
    ),
    Mutant(
        "the tail is moved once for all of a batch",
        DIES,
        "streams/log.c",
        {APPENDED: f"{APPENDED} uint64_t t = tail + i; cas_acq_rel(&log->log->tail, &t, t + 1);"},
    ),
    Mutant(
        "what is kept has its position still",
        "each_ticket_has_the_event_that_was_appended_by_it_or_none",
        "streams/log.c",
        {
            "cas_acq_rel(order, &seen, ticket_link(ticket, index)); /* finish_keep:slot */": (
                "cas_acq_rel(order, &seen, ticket_link(ticket, index)); store_relaxed(&slot->position, ticket);"
            )
        },
    ),
    Mutant(
        "a slot that was taken is claimed by one",
        STANDS_STILL,
        "streams/slots.c",
        {"exists && claim(log, oldest, owner)) *slot": "exists && (claim(log, oldest, owner), true)) *slot"},
    ),
    Mutant(
        "what is discarded is told as lost before its slot is",
        DIES,
        "streams/log.c",
        TELL_LATE,
    ),
    Mutant(
        "a loss is told in the same swap as whether it could be read",
        "whoever_dies_while_it_tells_a_loss_has_told_how_many_could_be_read",
        "streams/log.c",
        {
            "(struct halves){end, expired + gone})) return;": (
                '(struct halves){end, expired})) { POINT("loss told"); add_relaxed(&stream->lost.high, gone); return; }'
            )
        },
    ),
    Mutant(
        "the end of a chain is where nothing is behind",
        "an_id_is_appended_once_for_as_long_as_its_event_has_its_slot",
        "streams/log.c",
        {"if (!was || chain_age(was, ticket) > log->geometry->slots) link |= CHAIN_END;": "link |= CHAIN_END;"},
    ),
    Mutant(
        "a chain leads from newer tickets to older ones",
        "a_link_that_leads_nowhere_earlier_ends_the_search_for_an_id",
        "streams/chains.c",
        {"while (link && chain_age(link, tail) > passed &&": "while (link && chain_age(link, tail) > 0 * passed &&"},
    ),
    Mutant(
        "a jump leads back",
        "a_jump_that_leads_nowhere_earlier_ends_the_search_for_a_time",
        "streams/seek.c",
        {"leads->jump >= first && leads->jump < found &&": "leads->jump >= first &&"},
    ),
    Mutant(
        "what is deleted for ever takes no event",
        "a_deleted_stream_has_no_events_and_goes_on_with_its_versions",
        "streams/append.c",
        {"if (deleted == STREAM_CLOSED) *status": "if (deleted == 7) *status"},
    ),
)
