"""Rules of a scrape, each broken once: who is alive, what is still there, what may stand in a line."""

from tests.core.mutant import Mutant

SCRAPES = (
    Mutant(
        "a series that was removed while it was read is not printed",
        "a_series_that_is_used_again_while_it_is_read_is_not_printed",
        "metrics/scrape.c",
        {"if (load_relaxed(&node->word) != series->at.word) return false; /* removed meanwhile */": ""},
    ),
    Mutant(
        "a series of another metric in the same node is not printed",
        "what_was_removed_is_not_printed_and_neither_are_series_of_nothing",
        "metrics/exposition.c",
        {"while (at < first && found_family(found[at]) < family) at++;": ""},
    ),
    Mutant(
        "live gauges are those of the living",
        "gauges_of_processes_are_put_together_as_their_mode_says",
        "metrics/own_gauges.c",
        {"if (is_live(mode) && !gauge->is_alive) return false;": ""},
    ),
    Mutant(
        "a process is told from an older one in its place by the whole generation",
        "a_value_of_an_older_holder_is_not_taken_for_one_of_the_living",
        "metrics/scrape.c",
        {"if ((word & 0xff) == PLACE_USED && mark_of(word >> 8) != mark) return false;": "(void)word;"},
    ),
    Mutant(
        "the kernel is asked once for each place",
        "the_kernel_is_asked_once_for_each_place",
        "metrics/scrape.c",
        {"if (living->mark != mark) {": "if (living) {"},
    ),
    Mutant(
        "a pid stands in one line of a gauge",
        "two_processes_that_had_the_same_number_do_not_make_one_line_twice",
        "metrics/own_gauges.c",
        {"if (i && gauges[i - 1].values.pid == gauge->values.pid) continue;": ""},
    ),
    Mutant(
        "and it is the living one of two",
        "two_processes_that_had_the_same_number_do_not_make_one_line_twice",
        "metrics/own_gauges.c",
        {"if (a->is_alive != b->is_alive) return a->is_alive ? -1 : 1;": ""},
    ),
    Mutant(
        "labels that would end a line are left out",
        "what_cannot_be_read_is_left_out_and_the_rest_is_printed",
        "metrics/scrape.c",
        {" && slice_is_in_line(series->labels);": ";"},
    ),
    Mutant(
        "so is a series with other cells than its metric has",
        "what_cannot_be_read_is_left_out_and_the_rest_is_printed",
        "metrics/scrape.c",
        {"node_cells(sizes) == cells && ": ""},
    ),
    Mutant(
        "a place is one of the table",
        "what_cannot_be_read_is_left_out_and_the_rest_is_printed",
        "metrics/scrape.c",
        {"series->place < scrape->nodes->geometry->options.processes &&": ""},
    ),
    Mutant(
        "no text of a declaration goes on behind its end",
        "a_declaration_is_read_whole_or_not_at_all",
        "metrics/declaration.c",
        {"if (rest->length - sizeof length < length) return false;": ""},
    ),
    Mutant(
        "the last bucket has no bound",
        "a_declaration_is_read_whole_or_not_at_all",
        "metrics/declaration.c",
        {'count && is_slice(declaration->items[count - 1], "+Inf")': "count"},
    ),
    Mutant(
        "what stands above the samples are comments",
        "a_declaration_is_read_whole_or_not_at_all",
        "metrics/declaration.c",
        {'|| memcmp(lines.text, "# ", 2)': ""},
    ),
    Mutant(
        "a sum that may fall is not shown",
        "only_what_is_asked_for_is_printed",
        "metrics/exposition.c",
        {"if (!may_fall(declaration)) scrape_put": "scrape_put"},
    ),
)
