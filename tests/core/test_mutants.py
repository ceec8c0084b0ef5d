"""Each rule of the core is there for a reason: with one broken in a copy, the case that stands for it fails.

Mutants that only a race shows may run a few times. What a missing fence does is not seen by running on strongly ordered
processors: that is no subject here.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.core.broken_blocks import BLOCKS
from tests.core.broken_following import FOLLOWING
from tests.core.broken_logs import LOGS
from tests.core.broken_metrics import METRICS
from tests.core.broken_scrapes import SCRAPES
from tests.core.broken_streams import STREAMS
from tests.core.conftest import TESTS, Build
from tests.core.mutant import Mutant
from tests.core.side_by_side import Together, chosen

LIMIT_S = 20  # of a case that a mutant never ends; it takes less than a second else
RACES = 100  # runs of a mutant that only a race shows; on an idle machine the first will do

MUTANTS = (
    Mutant(
        "a record is published after its payload",
        "every_ticket_is_read_once_or_in_one_gap",
        "ring/ring.c",
        {
            "    store_payload(g, slots, claim.where.slot, record);\n": "",
            "if (cas_release(shared, &word, slot_word(claim.where.lap, 0, PUBLISHED))) return APPEND_DONE;": (
                "bool done = cas_release(shared, &word, slot_word(claim.where.lap, 0, PUBLISHED));"
                "store_payload(g, slots, claim.where.slot, record);"
                "if (done) return APPEND_DONE;"
            ),
        },
        by_race=True,
    ),
    Mutant(
        "a reader looks a second time",
        "every_ticket_is_read_once_or_in_one_gap",
        "ring/read.c",
        {"if (ticket + slots >= tail) return count;": "if (tail + 1) return count;"},
        by_race=True,
    ),
    Mutant(
        "a skipped slot is marked STALLED",
        "a_stalled_writer_keeps_its_slot_and_costs_one_ticket_a_lap",
        "ring/ring.c",
        {
            "cas_acq_rel(shared, &expected, slot_word(lap, word_owner(word), STALLED));": (
                "expected = load_acquire(&ring_partition(ring, partition)->tail); (void)lap;"
                "cas_acq_rel(&ring_partition(ring, partition)->tail, &expected, expected + 1);"
            )
        },
    ),
    Mutant(
        "only the dead are settled, never the slow",
        "a_stalled_writer_keeps_its_slot_and_costs_one_ticket_a_lap",
        "ring/ring.c",
        {"if (ring->liveness.is_dead(ring->liveness.context, word_owner(word))) {": "if (word) {"},
    ),
    Mutant(
        "and readers settle only the dead",
        "a_live_writer_is_in_flight_and_a_cursor_stops_there",
        "ring/read.c",
        {"if (ring->liveness.is_dead(ring->liveness.context, word_owner(word))) {": "if (word) {"},
    ),
    Mutant(
        "whoever may not write looks again before it calls a record voided",
        "a_record_that_was_published_before_the_death_is_read",
        "ring/read.c",
        {"load_relaxed(ring_word(ring, partition, at.slot)) != word;": "false;"},
    ),
    Mutant(
        "a claim is settled only as it was when its owner was found dead",
        "a_record_that_was_published_before_the_death_is_discarded_as_any_other",
        "ring/ring.c",
        {
            "return cas_acq_rel(ring_word(ring, partition, slot), &expected, /* ring_settle:settle */": (
                "expected = load_acquire(ring_word(ring, partition, slot));"
                "return cas_acq_rel(ring_word(ring, partition, slot), &expected,"
            )
        },
    ),
    Mutant(
        "the tail is moved after the claim",
        "whoever_dies_before_its_claim_leaves_nothing",
        "ring/ring.c",
        {
            'POINT("before claim");': (
                'uint64_t old = t; cas_acq_rel(&control->tail, &old, t + 1);POINT("before claim");'
            )
        },
    ),
    Mutant(
        "a claim is published by CAS, for it may have been overtaken",
        "a_stalled_writer_keeps_its_slot_and_costs_one_ticket_a_lap",
        "ring/ring.c",
        {
            "if (cas_release(shared, &word, slot_word(claim.where.lap, 0, PUBLISHED))) return APPEND_DONE;": (
                "store_release(shared, slot_word(claim.where.lap, 0, PUBLISHED)); if (word) return APPEND_DONE;"
            )
        },
    ),
    Mutant(
        "whoever was overtaken releases the slot",
        "a_stalled_writer_keeps_its_slot_and_costs_one_ticket_a_lap",
        "ring/ring.c",
        {"if (cas_release(shared, &word, slot_word(word_lap(word), 0, SKIPPED)))": "if (shared)"},
    ),
    Mutant(
        "a void ticket is counted before its slot is taken",
        "a_voided_ticket_is_counted_once_in_its_slot_and_in_the_ledger",
        "ring/ring.c",
        {"ledger_count(&control->void_ledger, &control->tail, t);": ";"},
    ),
    Mutant(
        "a count names its ticket",
        "whoever_dies_with_a_skip_counted_leaves_the_tail_to_another",
        "ring/ring.c",
        {" && !ledger_names(seen, ticket)) {": ") {"},
    ),
    Mutant(
        "a skip is counted before the tail is moved",
        "a_stalled_writer_keeps_its_slot_and_costs_one_ticket_a_lap",
        "ring/ring.c",
        {
            "if (word_lap(word) == lap && (": (
                "uint64_t old = ticket; cas_acq_rel(&partition->tail, &old, ticket + 1);"
                "    if (word_lap(word) == lap && ("
            )
        },
    ),
    Mutant(
        "a settled claim is announced, or the totals do not look for it",
        "a_voided_ticket_is_counted_once_in_its_slot_and_in_the_ledger",
        "ring/ring.c",
        {"raise_bound(&control->voids_until, ticket + g->slots + 1);": "(void)ticket;"},
    ),
    Mutant(
        "for no longer than a lap, though it was not settled",
        "whoever_dies_while_settling_a_slot_leaves_it_to_be_settled_again",
        "ring/ring.c",
        {"raise_bound(&control->voids_until, ticket + g->slots + 1);": "control->voids_until += ticket + 99999;"},
    ),
    Mutant(
        "whoever counts looks again whether a settling began",
        "whoever_counts_while_a_claim_is_settled_counts_it_once",
        "ring/ring.c",
        {"load_relaxed(&control->voids_until) == until;": "until + 1;"},
    ),
    Mutant(
        "and whether a loss was counted",
        "whoever_counts_while_a_loss_is_counted_counts_it_once",
        "ring/ring.c",
        {
            "load_relaxed(&control->skip_ledger) == skips && load_relaxed(&control->void_ledger) == voids &&": "",
        },
    ),
    Mutant(
        "what is decided ends at the tail",
        "what_was_decided_beyond_the_tail_is_looked_at_again",
        "ring/ring.c",
        {"known > first && known <= tail ? known : first;": "known > first ? known : first;"},
    ),
    Mutant(
        "what was cleared is told as cleared, also when it was overwritten meanwhile",
        "what_is_cleared_while_it_is_read_is_told_as_cleared",
        "ring/read.c",
        {"bool cleared = floor > ticket;": "bool cleared = floor == UINT64_MAX;"},
    ),
    Mutant(
        "a discarded record is taken before it is overwritten",
        "the_newest_records_are_kept_for_every_capacity_and_layout",
        "ring/ring.c",
        {
            "    if (out->discarded && discarded) take_discarded(ring, slots, claim.where.slot, discarded);\n": "",
            'POINT("payload written");': (
                'POINT("payload written");'
                "if (out->discarded && discarded) take_discarded(ring, slots, claim.where.slot, discarded);"
            ),
        },
    ),
    Mutant(
        "what was cleared is not discarded again",
        "what_was_cleared_is_a_gap_of_its_own_and_discards_nothing",
        "ring/ring.c",
        {"claim.ticket >= g->slots + floor": "claim.ticket >= g->slots"},
    ),
    Mutant(
        "what was cleared does not count as there",
        "what_was_cleared_is_a_gap_of_its_own_and_discards_nothing",
        "ring/ring.h",
        {"return floor > oldest ? floor : oldest;": "return oldest;"},
    ),
    Mutant(
        "in turn, whoever finds its place taken walks on to the first free one",
        "in_turn_one_after_the_other_each_record_takes_the_next_place_whoever_appends",
        "ring/turn.c",
        {"i < count && least > 0": "i < 1 && least > 0"},
    ),
    Mutant(
        "a place that was taken is not free",
        "in_turn_one_after_the_other_each_record_takes_the_next_place_whoever_appends",
        "ring/turn.h",
        {"return (tail ^ place >> TURN_PARTITION_BITS) << TURN_PARTITION_BITS == 0;": "return tail + 1;"},
    ),
    Mutant(
        "the rule of the store chooses the partition",
        "a_record_goes_where_the_rule_of_the_store_says",
        "store/store.h",
        {"else number = owner_place(processes_owner(&handle->processes));": "else number = 0;"},
    ),
    Mutant(
        "and a record's key, where that is the rule",
        "a_record_goes_where_the_rule_of_the_store_says",
        "store/store.h",
        {"if (g->options.rule == RULE_KEY) memcpy": "if (g->options.rule == RULE_END) memcpy"},
    ),
    Mutant(
        "but not for whoever names one",
        "a_record_goes_where_the_rule_of_the_store_says",
        "store/store.h",
        {"if (wish == BY_RULE && g->options.rule == RULE_TURN)": "if (g->options.rule == RULE_TURN)"},
    ),
    Mutant(
        "laps are compared by their signed distance",
        "laps_cross_2_to_the_40",
        "ring/ring.h",
        {"return (int64_t)((a - b) << 24) >> 24;": "return (int64_t)(a - b);"},
    ),
    Mutant(
        "a sweep releases overtaken claims too",
        "a_stalled_writer_that_dies_is_released_by_repair",
        "ring/ring.c",
        {
            "if (!word_held(word) || word_owner(word) != owner) break;": (
                "if (word_state(word) != WRITING || word_owner(word) != owner) break;"
            )
        },
    ),
    Mutant(
        "the claims of a place's dead holder are swept before it is taken over",
        "whoever_dies_while_entering_leaves_a_place_for_the_next",
        "processes/process.c",
        {"if (place_state(word) == PLACE_USED) sweep": "if (word == 77) sweep"},
    ),
    Mutant(
        "another generation is another owner",
        "a_place_is_reused_without_end_and_its_generation_wraps",
        "ring/ring.h",
        {"return (uint32_t)(generation & GENERATION_MASK) << PLACE_BITS | place;": "(void)generation; return place;"},
    ),
    Mutant(
        "whoever holds its lock is alive",
        "a_stopped_process_is_not_dead_and_releases_its_slot_late",
        "processes/process.c",
        {"return !processes_is_locked(table, index);": "return true;"},
    ),
    Mutant(
        "a key is written before it is published",
        "a_death_after_publishing_leaves_a_key_like_any_other",
        "store/keys.c",
        {
            "    write_cell(t, mine, text, length);\n": "",
            'POINT("key published");': 'POINT("key published"); write_cell(t, mine, text, length);',
        },
    ),
    Mutant(
        "a cell that is not published has no text",
        "whoever_loses_the_race_for_a_key_uses_its_cell_for_the_next",
        "store/keys.c",
        {"load_acquire(cell_of(t, id)) & CELL_PUBLISHED;": "load_acquire(cell_of(t, id));"},
    ),
    Mutant(
        "a sample that is being written has no number",
        "a_sampler_that_dies_costs_the_oldest_sample_and_no_number",
        "store/history.c",
        {"store_relaxed(&sample->number, 0);": ";"},
    ),
    Mutant(
        "a sample's number is looked at again after its values",
        "a_sample_that_is_read_is_whole",
        "store/history.c",
        {"return load_relaxed(&sample->number) == number + 1;": "return true;"},
        by_race=True,
    ),
    Mutant(
        "a wake-up changes the word that sleepers keep",
        "a_waiter_that_is_about_to_sleep_is_woken_though_another_waiter_comes",
        "waiting/wait.c",
        {"(seen + NEWS_WAKE)": "seen"},
    ),
    Mutant(
        "a thread that sleeps on its own word is called by whoever joins",
        "whoever_joins_while_all_others_are_told_is_told_too",
        "waiting/watch.c",
        {"if (made && !watch->sleeps) call(watch);": ""},
    ),
    Mutant(
        "and by whoever has settled",
        "whoever_has_settled_is_told_of_the_next_news",
        "waiting/watch.c",
        {"if (!watch->sleeps) call(watch); /* on": "/* on"},
    ),
    Mutant(
        "and leaves with the last",
        "whoever_has_settled_is_told_of_the_next_news",
        "waiting/watch.c",
        {"if (watch->first || !watch->runs) pthread_mutex_unlock": "if (watch) pthread_mutex_unlock"},
    ),
    Mutant(
        "a header's checksum is looked at",
        "a_header_with_any_byte_changed_is_refused",
        "base/layout.c",
        {"if (checksum != h->checksum) {": "if (checksum == 77) {"},
    ),
    Mutant(
        "a kind comes with its required feature",
        "a_kind_and_its_required_feature_come_together",
        "base/layout.c",
        {
            "if (h->options.kind >= SEGMENT_KIND_END || h->incompatible != feature_of[h->options.kind]) {": (
                "if (checksum == 77) {"
            )
        },
    ),
    Mutant(
        "a header does not promise more than is there",
        "a_truncated_segment_is_refused_at_every_length",
        "base/layout.c",
        {"if (length < g->total_bytes) {": "if (length == 77) {"},
    ),
    Mutant(
        "a header's offsets lead nobody",
        "no_change_of_any_bytes_leads_an_operation_outside_the_segment",
        "base/layout.c",
        {
            "if (!offsets_match(h, g)) {": (
                "g->partitions_offset = h->partitions_offset; g->slots_offset = h->slots_offset; "
                "if (!offsets_match(h, g)) {"
            )
        },
    ),
    Mutant(
        "a purge ends before the first record that is not older",
        "a_purge_takes_what_is_older_up_to_the_first_that_is_not",
        "store/store.c",
        {"if (time >= before_ns) break;": "if (time >= before_ns) continue;"},
    ),
    Mutant(
        "what may be read but not written is not opened for writing",
        "what_is_no_store_is_refused_in_words_and_leaves_nothing_to_close",
        "store/store.c",
        {"|| !handle->header.read_compatible) return": "|| true) return"},
    ),
    Mutant(
        "a forked child is not its parent",
        "a_forked_child_keeps_no_dead_parent_alive",
        "processes/process.c",
        {
            "is_wiped = !madvise(page, PAGE_BYTES, MADV_WIPEONFORK)": "is_wiped = page",
            "memset(table->own, 0, sizeof *table->own);": "",
        },
    ),
    Mutant(
        "a forked child has not its parent's lock",
        "a_forked_child_keeps_no_dead_parent_alive",
        "processes/locks.c",
        {"else if (madvise(lock, PAGE_BYTES, MADV_DONTFORK) ||": "else if ("},
    ),
    Mutant(
        "only a descriptor of the segment's own file tells who is dead",
        "where_the_kernel_cannot_be_asked_nobody_is_dead",
        "processes/locks.c",
        {
            "if (is_ours(table, fd)) { /* what another": "if (table) { /* what another",
            "if (is_ours(table, fd)) return false;": "return false;",
        },
    ),
    Mutant(
        "what another file says of its locks is no answer",
        "locks_of_another_file_hide_no_death",
        "processes/locks.c",
        {"if (is_ours(table, fd)) { /* what another": "if (table) { /* what another"},
    ),
    Mutant(
        "a question that fails is answered: alive",
        "a_question_that_fails_is_answered_with_alive",
        "processes/locks.c",
        {"if (fcntl(fd, F_OFD_GETLK, &lock)) return NO_ANSWER;": "if (fcntl(fd, F_OFD_GETLK, &lock)) return UNLOCKED;"},
    ),
    Mutant(
        "only the segment's own file is closed",
        "a_process_that_lost_its_descriptors_lives_on_and_takes_nobody_for_dead",
        "processes/locks.c",
        {"if (is_ours(table, fd)) close(fd);": "(void)table; close(fd);"},
    ),
    Mutant(
        "an owner that has not entered appends nothing",
        "an_owner_that_has_not_entered_appends_nothing",
        "ring/ring.c",
        {"if (__builtin_expect(!owner, 0)) return APPEND_NOT_ENTERED;": ""},
    ),
    Mutant(
        "no owner is 0",
        "a_place_is_reused_without_end_and_its_generation_wraps",
        "processes/process.c",
        {"return generation & GENERATION_MASK ? generation : generation + 1;": "return generation;"},
    ),
    Mutant(
        "to repair a place makes nobody look alive",
        "a_repairer_that_is_stopped_makes_nobody_look_alive",
        "processes/process.c",
        {"{.lock = locks_hold(table, FIRST_REPAIR_LOCK + index)}": "{.lock = locks_hold(table, FIRST_LOCK + index)}"},
    ),
    Mutant(
        "nobody forks between the lock of a repair and what keeps it",
        "a_child_that_was_forked_in_the_middle_of_a_reap_does_not_keep_its_turn",
        "processes/process.c",
        {
            "pthread_mutex_lock(&locks_mutex); /* no fork between opening and keeping: a child would keep the byte"
            " */ struct reap reap = {.lock = locks_hold(table, FIRST_REPAIR_LOCK + index)};": (
                "struct reap reap = {.lock = locks_hold(table, FIRST_REPAIR_LOCK + index)}; "
                "pthread_mutex_lock(&locks_mutex);"
            )
        },
    ),
    Mutant(
        "each lock has a byte of its own",
        "the_coordinators_lock_is_that_of_no_place",
        "processes/process.c",
        {"#define COORDINATOR_LOCK (FIRST_LOCK + MAX_PROCESSES)": "#define COORDINATOR_LOCK (FIRST_LOCK + 4095)"},
    ),
    Mutant(
        "the last table of a process to leave frees its place",
        "the_tables_of_a_process_share_a_place_until_the_last_has_left",
        "processes/process.c",
        {"struct processes *sibling = owner ? sibling_of(table, owner) : NULL;": "struct processes *sibling = NULL;"},
    ),
    *BLOCKS,
    *METRICS,
    *SCRAPES,
    *STREAMS,
    *LOGS,
    *FOLLOWING,
)


@pytest.fixture(scope="module")
def found(
    request: pytest.FixtureRequest,
    built: Callable[[str], Build],
    tmp_path_factory: pytest.TempPathFactory,
    common_seed: int,
) -> Together[Mutant, bool]:
    """Whether a mutant is caught at once; whether one is in the end that only a race shows, its own test must see."""

    def is_caught(mutant: Mutant) -> bool:
        plain, folder = built("plain"), tmp_path_factory.mktemp("mutant")
        return fails(mutant.caught_by, plain, broken_program(mutant, plain, folder), common_seed)

    return Together(
        is_caught, [mutant for mutant in chosen(request, test_a_broken_rule_is_caught, "mutant") if not mutant.by_race]
    )


def broken_program(mutant: Mutant, plain: Build, folder: Path) -> Path:
    sources = mutant.copy(folder)
    if mutant.file.endswith(".h"):  # the case has some of it inline
        sources += [path for path in TESTS.glob("*.c") if f"CASE({mutant.caught_by})" in path.read_text()]
    broken = {path.name: path for path in plain.objects(sources, folder)}
    whole = {path.name: path for path in plain.folder.glob("*.o")}
    return plain.link((whole | broken).values(), folder)


def fails(case: str, build: Build, program: Path, seed: int) -> bool:
    done = build.run(case, seed, program, LIMIT_S)
    return f"FAILED {case}\n" in done.stdout


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.breaks.replace(" ", "_"))
def test_a_broken_rule_is_caught(
    mutant: Mutant,
    built: Callable[[str], Build],
    found: Together[Mutant, bool],
    common_seed: int,
    tmp_path: Path,
    scorecard: Callable[..., None],
) -> None:
    if mutant.by_race:
        plain = built("plain")
        program = broken_program(mutant, plain, tmp_path)
        caught = any(fails(mutant.caught_by, plain, program, common_seed + run) for run in range(RACES))
    else:
        caught = found[mutant]
    assert caught, f"{mutant.caught_by} holds with SHMSTORE_SEED={common_seed}"
    scorecard(10, planted=mutant.breaks, caught_by=mutant.caught_by, rules_broken_in_the_core_and_caught=1)


def test_every_case_that_stands_for_a_rule_is_there() -> None:
    cases = "".join(path.read_text() for path in TESTS.glob("*.c"))
    assert [mutant.caught_by for mutant in MUTANTS if f"CASE({mutant.caught_by})" not in cases] == []
