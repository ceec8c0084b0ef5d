"""The rules of streams, each broken: mutants for test_mutants.py."""

from tests.core.mutant import Mutant

STREAMS = (
    Mutant(
        "what is overwritten is told as lost before its slot is given up",
        "versions_count_from_0_and_the_newest_are_read_back",
        "streams/log.c",
        {
            "if (origin_kind(origin) == EVENT) "
            "tell_loss(log->streams + origin_stream(origin), version, time_ns, at_once);": ""
        },
    ),
    Mutant(
        "the last loss of a batch is not told for those that may be too old when it is not",
        "of_what_a_batch_overwrites_that_is_no_loss_which_was_too_old",
        "streams/log.c",
        {"if (at_once && timed && !too_old) return;": "(void)at_once;"},
    ),
    Mutant(
        "what a batch overwrites leaves free slots",
        "those_who_have_appended_batches_leave_room_for_all_that_is_kept",
        "streams/log.c",
        {"is_alone ? slot_owner(word) : 0": "slot_owner(word) + 0 * is_alone"},
    ),
    Mutant(
        "what nobody could read any more is no loss",
        "what_was_given_up_or_is_beyond_a_limit_cannot_be_read_and_is_no_loss",
        "streams/log.c",
        {
            "const uint64_t gone = kept <= lost ? 0 : (kept < end ? kept : end) - lost;": (
                "const uint64_t gone = 0 * kept;"
            )
        },
    ),
    Mutant(
        "an event is in the chain of its id",
        "an_id_is_appended_once_for_as_long_as_its_event_has_its_slot",
        "streams/log.c",
        {"if (origin_id_bytes(load_relaxed(&slot->origin))) chain(log, index, word, ticket);": ""},
    ),
    Mutant(
        "and at its front when it is kept",
        "what_a_stream_has_in_reserve_is_not_overwritten_by_others",
        "streams/log.c",
        {"if (origin_id_bytes(origin)) chain(log, index, word, ticket);": "(void)origin;"},
    ),
    Mutant(
        "a reserve is of the newest versions",
        "what_a_stream_has_in_reserve_is_not_overwritten_by_others",
        "streams/log.c",
        {"return version + reserve >= newest &&": "return version + 1 >= newest + reserve &&"},
    ),
    Mutant(
        "what was done before is not refused",
        "what_was_done_before_is_no_conflict",
        "streams/append.c",
        {"else if (!a->new_events) return": "else if (a->new_events > a->count) return"},
    ),
    Mutant(
        "an append is made under its condition",
        "an_append_is_made_if_its_stream_is_as_expected",
        "streams/append.c",
        {"default: return a->newest == a->expected + 1;": "default: return true;"},
    ),
    Mutant(
        "a change that is announced is finished before the claims of the dead are freed",
        "whoever_dies_anywhere_leaves_its_append_made_once_or_not_at_all",
        "streams/slots.c",
        {"if (!log_tidy(log, &moment)) return;": "(void)moment;"},
    ),
    Mutant(
        "only the claims of the dead are freed",
        "whoever_dies_anywhere_leaves_its_append_made_once_or_not_at_all",
        "streams/slots.c",
        {
            "if (slot_state(word) != SLOT_CLAIMED || slot_owner(word) != owner) return;": (
                "if (slot_state(word) != SLOT_CLAIMED || !owner) return;"
            )
        },
    ),
    Mutant(
        "whoever leaves frees what it does not use",
        "whoever_leaves_gives_back_what_it_had_claimed",
        "streams/slots.c",
        {"while (spares->count) free_slot(log, spares->slots[--spares->count], owner);": "spares->count = 0;"},
    ),
    Mutant(
        "whoever frees slots remembers which",
        "whoever_has_freed_slots_finds_them_without_a_search",
        "streams/slots.c",
        {"MOST_HINTS = 1024,": "MOST_HINTS = 0,"},
    ),
    Mutant(
        "where two jumps are equally long the next takes both",
        "any_of_10000_versions_is_found_in_few_steps",
        "streams/seek.c",
        {"if (doubled && far.links & 0xffffffff) {": "if (doubled && !far.version && far.links & 0xffffffff) {"},
    ),
    Mutant(
        "no more versions are given up than there are",
        "what_was_given_up_or_is_beyond_a_limit_cannot_be_read_and_is_no_loss",
        "streams/streams.c",
        {"to = before < versions ? before : versions;": "to = before + 0 * versions;"},
    ),
    Mutant(
        "whoever copied an event looks again whether it is the same",
        "threads_that_append_to_the_same_streams_get_every_version_once",
        "streams/slots.c",
        {"return load_relaxed(&slot->word) == facts->word; /* slots_read:again */": "return true;"},
        by_race=True,
    ),
    Mutant(
        "who takes a slot keeps what is in reserve",
        "whoever_takes_a_slot_leaves_what_is_in_reserve",
        "streams/slots.c",
        {
            "if (exists && *kept < log->geometry->slots && log_is_reserved(log, oldest, now_ns))": (
                "if (exists && now_ns > now_ns)"
            )
        },
    ),
    Mutant(
        "nothing is discarded for slots that others hold",
        "nothing_is_discarded_for_an_append_that_others_leave_no_slots_for",
        "streams/slots.c",
        {
            "if (taken % (lap / LOOKS_A_LAP + 1) == 0 && are_held(log, owner, count)) return SLOTS_HELD;": (
                "(void)are_held;"
            )
        },
    ),
    Mutant(
        "whoever is idle holds one slot of a partition",
        "those_who_have_repeated_batches_hold_one_slot_each",
        "streams/slots.c",
        {"enum { MOST_SPARES = 1,": "enum { MOST_SPARES = 1024,"},
    ),
    Mutant(
        "whoever does not get all slots holds none",
        "whoever_does_not_get_all_slots_gives_back_those_it_got",
        "streams/slots.c",
        {"/* others wait for them */ slots_keep_one(log, spares, owner);": ""},
    ),
    Mutant(
        "a batch that is refused needs no slots",
        "a_batch_that_is_refused_overwrites_nothing",
        "streams/append.c",
        {"&& is_refused(a, &status, answer)) {": "&& !is_refused(a, &status, answer) && !answer) {"},
    ),
    Mutant(
        "an id that was known before a slot was taken is known",
        "an_id_is_known_though_its_event_gives_way_to_whoever_repeats_it",
        "streams/append.c",
        {"a->known = a->newest; *answer": "*answer"},
    ),
    Mutant(
        "an id that was known before an event was kept is known",
        "an_id_is_known_though_its_event_gives_way_to_one_that_whoever_repeats_it_keeps",
        "streams/append.c",
        {"a->known = a->newest; /* what": "/* what"},
    ),
    Mutant(
        "what is kept comes to lie together",
        "a_batch_beside_a_reserve_overwrites_about_as_many_events_as_it_has",
        "streams/append.c",
        {
            "if (log_announce(a->log, a->moment, CHANGE_KEEP, slot, 1)) {": (
                "const enum change_what what = i ? CHANGE_TAKE : CHANGE_KEEP;"
                "if (log_announce(a->log, a->moment, what, i ? NO_SLOT : slot, 1) && !i) {"
            )
        },
    ),
    Mutant(
        "nothing is kept where that leaves no room",
        "where_reserves_leave_no_room_the_oldest_events_give_way_at_once",
        "streams/append.c",
        {"if (!a->kept && !have_room(a)) {": "(void)have_room;\nif (a->kept > UINT32_MAX - 1) {"},
    ),
    Mutant(
        "what is before a kept event is discarded",
        "a_batch_beside_a_reserve_overwrites_about_as_many_events_as_it_has",
        "streams/log.c",
        {"if (!discard_next(log, ticket, before)) return false;": "(void)discard_next;"},
    ),
    Mutant(
        "a slot that has another ticket by now is not the oldest",
        "what_was_kept_gives_way_to_nothing_when_its_old_place_is_come_upon",
        "streams/slots.c",
        {
            "slot_has(load_acquire(&log_slot(log, oldest)->word),": (
                "!slot_has(slot_bears(0, 0, SLOT_FREE) + 0 * oldest,"
            )
        },
    ),
    Mutant(
        "a version is lost once",
        "what_was_kept_and_then_lost_is_counted_once",
        "streams/log.c",
        {
            "while ((lost = load_acquire(&stream->lost.low)) <= version) {": (
                "while ((lost = load_acquire(&stream->lost.low)) < UINT64_MAX) {"
            )
        },
    ),
    Mutant(
        "whoever looks for a free slot knows whether one was freed since",
        "whoever_found_no_free_slot_finds_the_only_one_that_was_freed_since",
        "streams/slots.c",
        {"spares->freed = freed; return NO_SLOT;": "spares->freed = freed + 1; return NO_SLOT;"},
    ),
    Mutant(
        "what is discarded and left free is said to be",
        "whoever_was_left_no_slots_finds_those_that_a_batch_of_others_left_free",
        "streams/log.c",
        {"add_relaxed(&log->log->freed, 1);": ";"},
    ),
    Mutant(
        "of what was claimed in vain one slot is held",
        "whoever_appends_a_batch_in_vain_holds_one_slot_at_most",
        "streams/slots.c",
        {"if (spares->count < MOST_SPARES && make_room(": "if (make_room("},
    ),
    Mutant(
        "whoever is refused holds one slot",
        "whoever_appends_a_batch_in_vain_holds_one_slot_at_most",
        "streams/append.c",
        {"slots_keep_one(&log, spares, owner); return status;": "return status;"},
    ),
    Mutant(
        "whoever takes a slot does not keep for ever",
        "where_all_is_in_reserve_whoever_takes_a_slot_gets_the_oldest",
        "streams/slots.c",
        {
            "*kept += log_announce(log, moment, CHANGE_KEEP, oldest, 1);": (
                "log_announce(log, moment, CHANGE_KEEP, oldest, 1);"
            )
        },
    ),
    Mutant(
        "a deletion is in no reserve",
        "neither_a_deletion_nor_what_is_too_old_is_in_reserve",
        "streams/log.c",
        {"cell_count || origin_kind(origin) != EVENT) return false; const": "cell_count) return false; const"},
    ),
    Mutant(
        "what is too old is in no reserve",
        "neither_a_deletion_nor_what_is_too_old_is_in_reserve",
        "streams/log.c",
        {"&& !is_too_old(stream, load_relaxed(&event->time_ns), now); }": "&& (now || !now); }"},
    ),
    Mutant(
        "a stream that is deleted for ever takes nothing, whatever it had",
        "a_stream_that_is_deleted_for_ever_knows_no_id",
        "streams/append.c",
        {"if (deleted == STREAM_CLOSED) *status": "if (deleted == STREAM_CLOSED && a->new_events) *status"},
    ),
    Mutant(
        "what does not exist is not deleted",
        "to_delete_what_does_not_exist_overwrites_nothing",
        "streams/append.c",
        {"(a->newest && deleted != a->newest + 1)) return GO_ON;": "a->newest + 1) return GO_ON;"},
    ),
    Mutant(
        "an id is that of an event which has its slot still",
        "the_id_of_what_gave_way_to_a_kept_event_is_not_known_any_more",
        "streams/chains.c",
        {"if (slot_state(word) != SLOT_PUBLISHED || chain_age(": "if (chain_age("},
    ),
)
