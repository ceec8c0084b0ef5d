"""The rules of following streams, each broken: mutants for test_mutants.py."""

from tests.core.mutant import Mutant

FOLLOWING = (
    Mutant(
        "an append wakes whoever waits",
        "an_append_wakes_whoever_waits_and_so_does_a_deletion_for_ever",
        "streams/append.c",
        {"if (answer->appended) handle_count(handle, answer->appended, (int64_t)a->now_ns);": ""},
    ),
    Mutant(
        "whoever waits announces it before the look",
        "an_append_between_the_look_and_the_sleep_is_not_slept_over",
        "waiting/wait.c",
        {
            "const uint32_t kept = wait_announce(news, registered); const enum news found = look(context);": (
                "const enum news found = look(context); const uint32_t kept = wait_announce(news, registered);"
            )
        },
    ),
    Mutant(
        "to wake is to raise the count",
        "an_append_between_the_look_and_the_sleep_is_not_slept_over",
        "waiting/wait.c",
        {"(seen + NEWS_WAKE) & ~(uint32_t)NEWS_WAITERS)": "seen | NEWS_WAITERS)"},
    ),
    Mutant(
        "a deletion for ever is news",
        "an_append_wakes_whoever_waits_and_so_does_a_deletion_for_ever",
        "streams/follow.c",
        {"load_acquire(&stream->deleted) == STREAM_CLOSED;": "false;"},
    ),
    Mutant(
        "what was overtaken is told before the next event",
        "whoever_is_overtaken_is_told_from_where_to_where_and_goes_on_behind_it",
        "streams/follow.c",
        {"if (lapped || status == TICKET_NOT_YET) break;": "if (status == TICKET_NOT_YET) break;"},
    ),
    Mutant(
        "deletions are no events",
        "events_of_all_streams_come_in_their_order_and_deletions_are_passed",
        "streams/follow.c",
        {"status == TICKET_EVENT && origin_kind(facts->origin) == EVENT": "status == TICKET_EVENT"},
    ),
    Mutant(
        "what was given up is not followed",
        "what_nobody_may_read_any_more_is_passed_without_a_word",
        "streams/follow.c",
        {"if (facts->version < load_relaxed(&stream->truncated)) return false;": ""},
    ),
    Mutant(
        "nor what is beyond the number that is kept",
        "what_nobody_may_read_any_more_is_passed_without_a_word",
        "streams/follow.c",
        {"if (most && facts->version + most < versions) return false;": "(void)most; (void)versions;"},
    ),
    Mutant(
        "nor what is too old",
        "what_nobody_may_read_any_more_is_passed_without_a_word",
        "streams/follow.c",
        {"return !lifetime || facts->time_ns + lifetime >= now_ns;": "return lifetime || now_ns + 1;"},
    ),
    Mutant(
        "what is kept again was told before",
        "an_event_that_a_reserve_keeps_comes_once",
        "streams/streams.c",
        {"return facts->position == ticket ? TICKET_EVENT : TICKET_NONE;": "return TICKET_EVENT;"},
    ),
)
