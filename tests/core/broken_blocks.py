"""The rules of whole blocks and their summaries, each broken: mutants for test_mutants.py."""

from tests.core.mutant import Mutant

BLOCKS = (
    Mutant(
        "a copy without words is proved by the tail",
        "a_sealed_block_that_is_claimed_over_is_read_by_its_words",
        "ring/read.c",
        {"if (ticket + ring->geometry->slots < tail) return false;": "if (tail == 77) return false;"},
    ),
    Mutant(
        "the first ticket that is claimed over is no longer there",
        "a_sealed_block_that_is_claimed_over_is_read_by_its_words",
        "ring/read.c",
        {"if (ticket + ring->geometry->slots < tail)": "if (ticket + ring->geometry->slots + 1 < tail)"},
    ),
    Mutant(
        "a mark is of one lap",
        "a_mark_says_nothing_about_the_next_lap",
        "questions/scan.c",
        {"load_acquire(mark) == in.at.lap + 1": "load_acquire(mark) != 0"},
    ),
    Mutant(
        "a block is marked when every record of it was read",
        "a_block_with_a_hole_is_never_whole",
        "questions/scan.c",
        {"if (scan->to.row - row < count) scan->whole_from = UINT64_MAX;": ""},
    ),
    Mutant(
        "with its last ticket",
        "a_block_with_a_hole_is_never_whole",
        "questions/scan.c",
        {"if (scan->to.row - row < count)": "if (scan->to.row - row + 1 < count)"},
    ),
    Mutant(
        "and with its first",
        "a_mark_is_of_blocks_that_were_seen_from_their_first_ticket",
        "questions/scan.c",
        {"if (began == in.first) scan->whole_from = in.first;": "scan->whole_from = in.first;"},
    ),
    Mutant(
        "of one range",
        "what_one_range_began_the_next_does_not_go_on_with",
        "questions/scan.c",
        {"scan->at++; scan->whole_from = UINT64_MAX;": "scan->at++;"},
    ),
    Mutant(
        "a copy without words holds while the tail has not passed it",
        "a_full_ring_that_rests_is_marked_from_its_oldest_block_on",
        "ring/read.c",
        {"if (ticket + ring->geometry->slots < tail)": "if (ticket + ring->geometry->slots <= tail)"},
    ),
    Mutant(
        "a block is summarised when it was marked",
        "a_block_with_a_hole_is_never_whole",
        "questions/scan.c",
        {
            "if (sealed && !known && scan->ring->writable)": "if (!known && scan->ring->writable)",
            "    scan->summary.making = false;\n    uint64_t began = range->next;": "    uint64_t began = range->next;",
            "if (status == READ_DAMAGED) return DAMAGED;": (
                "if (status == READ_DAMAGED) return DAMAGED;"
                "if (scan->summary.making) go_on_with_summary(scan, row, range->next);"
            ),
        },
    ),
    Mutant(
        "that all tickets of a block are asked about does not make it whole",
        "a_block_with_a_hole_is_never_whole",
        "questions/scan.c",
        {"if (verdict == MATCHES_ALL && (any || sealed) &&": "if (verdict == MATCHES_ALL &&"},
    ),
    Mutant(
        "an empty batch is not the end",
        "a_block_that_is_gone_before_it_is_read_ends_no_question",
        "questions/scan.c",
        {
            "if (progress == BATCH_FULL && scan->to.row) break;": "if (progress == BATCH_FULL) break;",
            "return scan->at < scan->range_count || batch->rows ? SCAN_BATCH : SCAN_END;": (
                "return batch->rows ? SCAN_BATCH : SCAN_END;"
            ),
        },
    ),
    Mutant(
        "a summary tells nothing about a part of its block",
        "what_was_cleared_is_told_by_no_summary",
        "questions/scan.c",
        {"stretch.whole = range->next == stretch.first &&": "stretch.whole ="},
    ),
    Mutant(
        "and nothing about the part that was there when a question began",
        "what_came_after_a_question_began_is_told_by_no_summary",
        "questions/scan.c",
        {
            "&& stretch.end - stretch.first == stretch.slots;": ";",
            "range->next = in.end; return WENT_ON;": "range->next = in.first + in.slots; return WENT_ON;",
        },
    ),
    Mutant(
        "a summary that was begun is given up with the block",
        "a_block_of_several_batches_is_summarised_whole_or_not_at_all",
        "questions/scan.c",
        {"    scan->summary.making = false;\n    uint64_t began = range->next;": "    uint64_t began = range->next;"},
    ),
    Mutant(
        "a block is summed in the same pieces by all",
        "whoever_summarises_the_same_records_writes_the_same_words",
        "questions/scan.c",
        {"if (in.whole && scan->to.row && scan->to.room - scan->to.row < in.slots)": "if (!scan)"},
    ),
    Mutant(
        "whoever may not write makes no summary",
        "whoever_may_not_write_leaves_no_summary",
        "questions/scan.c",
        {"if (sealed && !known && scan->ring->writable)": "if (sealed && !known)"},
    ),
    Mutant(
        "NaN is remembered",
        "summaries_tell_what_the_records_do_at_every_length",
        "questions/batches/summary.c",
        {"if (facts->has_nan) memcpy(words, &(double){NAN}, 8);": ""},
    ),
    *(
        Mutant(
            f"a check bears the {what}",
            "a_summary_is_of_its_lap_partition_block_and_field",
            "questions/batches/summary.c",
            {"    uint64_t about =": f"    {what} = 0;\n    uint64_t about ="},
        )
        for what in ("lap", "partition", "block", "field")
    ),
    *(
        Mutant(
            f"and word {at} of the summary",
            "a_mixture_of_summaries_is_none",
            "questions/batches/summary.c",
            {old: new},
        )
        for at, (old, new) in enumerate(
            {
                "mix(about, words[0])": "mix(about, 0)",
                "words[1]), sum": "0), sum",
                "mix(~about, words[2])": "mix(~about, 0)",
                "words[3]); return": "0); return",
            }.items()
        )
    ),
)
