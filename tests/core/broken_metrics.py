"""The rules of worker-shared metrics, each broken: mutants for test_mutants.py."""

from tests.core.mutant import Mutant

METRICS = (
    Mutant(
        "before a node is linked its chain is searched for its key",
        "two_who_stand_still_in_the_same_change_do_it_once",
        "metrics/changes.c",
        {"== NODE_LIVE && has_key_of(nodes, other, node)) {": "== NODE_LIVE && !has_key_of(nodes, node, node)) {"},
    ),
    Mutant(
        "before each step the change is seen to be still announced",
        "whoever_stands_still_in_a_change_that_is_over_takes_no_step_of_it",
        "metrics/changes.c",
        {"return load_relaxed(&changes_of(nodes)->change) == change;": "return change || nodes;"},
    ),
    Mutant(
        "parts are freed from the last to the first",
        "whoever_dies_anywhere_leaves_the_table_sound",
        "metrics/changes.c",
        {"last = walk.node; *word = found;": "last = walk.node; *word = found; break;"},
    ),
    Mutant(
        "the generation of a node rises when it is freed",
        "what_was_removed_is_not_there_for_those_who_had_found_it",
        "metrics/changes.c",
        {"node_word(node_generation(word) + 1, 0, NODE_FREE)": "node_word(node_generation(word), 0, NODE_FREE)"},
    ),
    Mutant(
        "whoever looks for room takes out what is removed",
        "whoever_dies_anywhere_leaves_the_table_sound",
        "metrics/changes.c",
        {"== NODE_REMOVED) announce_removal(": "== NODE_FREE) announce_removal("},
    ),
    Mutant(
        "cells of a new series begin as zero, and void for late updates",
        "a_removed_series_takes_no_updates_nor_does_what_comes_after_it",
        "metrics/nodes.c",
        {"clear_cell(&node->cell, node);": ""},
    ),
    Mutant(
        "a cell bears the generation of the part in which it lies",
        "a_late_update_misses_a_part_that_is_now_another_nodes_of_the_same_generation",
        "metrics/nodes.c",
        {"clear_cell(cell, walk.node);": "clear_cell(cell, node);"},
    ),
    Mutant(
        "of a count only what is new is added",
        "a_count_that_many_bring_up_is_added_once",
        "metrics/cells.c",
        {"(count - bits) & mask : count": "count : count"},
    ),
    Mutant(
        "an incarnation of before is known already",
        "a_count_that_is_late_is_known_already",
        "metrics/cells.c",
        {"if (!is_first && is_before(": "if (is_same && is_before("},
    ),
    Mutant(
        "the value of the dead is added to those of the dead before it is taken away",
        "whoever_dies_while_it_takes_over_has_the_dead_counted_once",
        "metrics/cells.c",
        {
            "const double value = number_of(mine.high);": (
                'const double value = number_of(mine.high); cell_swap(own, mine, 0, 0); POINT("own value absent");'
            )
        },
    ),
    Mutant(
        "an own value whose mark those of the dead bear is in them already",
        "whoever_dies_while_it_takes_over_has_the_dead_counted_once",
        "metrics/cells.c",
        {"(fold == FOLD_NOTHING || is_same == is_pid)": "(fold == FOLD_NOTHING || !is_pid || is_same)"},
    ),
    Mutant(
        "the mark of an exemplar is left alone unless its owner is dead",
        "a_writer_that_stands_still_costs_its_slot_the_exemplars_of_that_time",
        "metrics/exemplars.c",
        {"!nodes->liveness.is_dead(nodes->liveness.context, marker(word))": "!marker(word)"},
    ),
    Mutant(
        "only marks of the dead are swept",
        "a_writer_that_stands_still_costs_its_slot_the_exemplars_of_that_time",
        "metrics/exemplars.c",
        {"marker(word) == owner": "(marker(word) == owner || owner)"},
    ),
    Mutant(
        "an exemplar bears the generation of its series",
        "of_a_removed_series_no_exemplar_is_shown",
        "metrics/exemplars.c",
        {"return (uint64_t)node_generation(at.word) << 24 | at.index;": "return at.index;"},
    ),
)
