"""Bugs planted in the core for test_every_instruction.py, which must find each; for streams: planted_streams.py."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Planted:
    """A bug, planted by replacing texts of one file of the core, and the run that finds it."""

    bug: str
    file: str
    changes: dict[str, str]  # each text occurs once
    operation: str
    mode: str
    finding: str  # a part of what is told
    inlined_in: tuple[str, ...] = ()  # of the harness
    sample: int = 12  # of streams: each so many-th of the boundaries at which others see nothing new


STORE = "    store_payload(g, slots, claim.where.slot, record);\n"
PUBLISH = "    if (cas_release(shared, &word, slot_word(claim.where.lap, 0, PUBLISHED)))"
SKIP_COUNTED = "    if (word_lap(word) == lap &&\n"
SWEEP = "sweep(table, place_owner(index, word), &voided, &released);\n"
ENTERING = "    store_relaxed(&place->word, place_word(generation, PLACE_ENTERING)); /* take_place:entering */\n"
LEFT = "    } else if (owner) {\n"
PID = "        *pid = load_relaxed(&place->pid);\n"
SUMMARY_CHECKED = "    return mix(bounds, sum << 32 | sum >> 32);"
FORGET = "            if (t->spare) store_relaxed(t->spare, 0);\n"
PART_LINKED = "        store_relaxed(&last->more, next + 1);"
NODE_KEPT = "        if (load_relaxed(&node->word) != word) return;\n"
FREEING = "    while ((part = last_part(nodes, index, &found))) {\n"
LINKING = "    if (node_state(word) == NODE_CLAIMED) {\n"
MARKED = "        if (its == mark) return true;\n"
TAKING = "if (its && folds) return cell_swap(own, mine, mark, 0) && cell_swap(dead, theirs, its, number_of(mine.high));"
SUMMED = "    while (!cell_swap(at, before, before.low + count, number_of(before.high) + amount));\n"
UNMARKED = " && !(load_relaxed(cell_of(t, spare - 1)) & CELL_PUBLISHED)"

PLANTED = (
    Planted(
        "publish before payload",
        "ring/ring.c",
        {
            STORE: "",
            PUBLISH: (
                "    bool done = cas_release(shared, &word, slot_word(claim.where.lap, 0, PUBLISHED));\n"
                f"{STORE}    if (done)"
            ),
        },
        "append",
        "kill",
        "is torn",
    ),
    Planted(
        "tail moved before the claim",
        "ring/ring.c",
        {'POINT("before claim");': "uint64_t old = t; cas_acq_rel(&control->tail, &old, t + 1);"},
        "append",
        "kill",
        "breaks the invariant of the ring",
    ),
    Planted(
        "tail moved before the skip is counted",
        "ring/ring.c",
        {SKIP_COUNTED: f"    uint64_t old = ticket; cas_acq_rel(&partition->tail, &old, ticket + 1);\n{SKIP_COUNTED}"},
        "append-past-stalled",
        "kill",
        "appends",
    ),
    Planted(
        "repair by timeout",
        "processes/process.c",
        {"    return !processes_is_locked(table, index);": "    return true;"},
        "append",
        "freeze",
        "called dead",
    ),
    Planted(
        "place taken over before its claims are swept",
        "processes/process.c",
        {f"    if (place_state(word) == PLACE_USED) {SWEEP}": "", ENTERING: f"{ENTERING}    {SWEEP}"},
        "attach-over-dead",
        "kill",
        "has left its place",
    ),
    Planted(
        "place freed before its claims are swept",
        "processes/process.c",
        {PID: f"{PID}        store_release(&place->word, freed(word));\n"},
        "repair",
        "kill",
        "has left its place",
    ),
    Planted(
        "place unlocked before it is freed",
        "processes/process.c",
        {LEFT: f"{LEFT}        locks_let_go(&table->own->place_lock);\n"},
        "close",
        "freeze",
        "called dead",
    ),
    Planted(
        "reader without the second check",
        "ring/read.c",
        {"if (ticket + slots >= tail) return count;": "if (tail + 1) return count;"},
        "read-over-dead",
        "freeze",
        "the victim's operation failed",
    ),
    Planted(
        "key published before its text is written",
        "store/keys.c",
        {
            "    write_cell(t, mine, text, length);\n": "",
            'POINT("key published");': "write_cell(t, mine, text, length);",
        },
        "intern",
        "kill",
        "which has no text",
    ),
    Planted(
        "summary believed without its words",
        "questions/batches/summary.c",
        {SUMMARY_CHECKED: "    return bounds == sum ? bounds : about;"},
        "question-outrun",
        "kill",
        "a question was answered by",
    ),
    Planted(
        "spare key cell used twice",
        "store/keys.c",
        {FORGET: "", UNMARKED: ""},
        "intern-outrun",
        "kill",
        "is not found under its own text",
    ),
    Planted(
        "part linked after it is a part",
        "metrics/changes.c",
        {PART_LINKED: "", "        last = part;\n": f"{PART_LINKED}\n        last = part;\n"},
        "metrics-insert",
        "kill",
        "is part of a node that has it not",
    ),
    Planted(
        "node freed before its parts",
        "metrics/changes.c",
        {NODE_KEPT: "", FREEING: f"    free_node(nodes, node, word);\n{FREEING}"},
        "metrics-remove",
        "kill",
        "is part of a node that has it not",
    ),
    Planted(
        "step of a change that is over",
        "metrics/changes.c",
        {f"    if (!is_still(nodes, change)) return;\n{LINKING}": LINKING},
        "metrics-insert",
        "freeze",
        "is live, and not in its chain",
    ),
    Planted(
        "own place marked before the dead are folded",
        "metrics/cells.c",
        {MARKED: f"{MARKED}        {TAKING}\n"},
        "metrics-take",
        "kill",
        "updates of the own values returned",
    ),
    Planted(
        "count and sum of a bucket by two adds",
        "metrics/cells.h",
        {SUMMED: f"{SUMMED.replace(' + count', '')}    add_relaxed(&at->cell->low, count);\n"},
        "metrics-observe",
        "kill",
        "of different moments",
        inlined_in=("series.c",),
    ),
)
