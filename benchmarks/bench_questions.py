"""How soon does a live store answer a question, against NumPy, polars and duckdb with the data in their hands?

The bars compare the ways when they are asked several times in a row, so that each finds its data in the caches as far
as it goes there; what the first of these times took, after other work, is shown beside them.

Columns answer in a little more than half the time of rows, which bring every field of a record through the caches. A
Python callable takes a hundred times as long as the expression that says the same: it makes an object of each record.
"""

import math
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from multiprocessing.connection import Connection
from random import Random
from statistics import median
from typing import Any, NamedTuple

from harness import cpu_nanoseconds, worker
from questions import RECORDS, SENSORS, SUM, SUMMARY, TOP, Answers, filled, samples_of, store_answers, total_by_callable
from report import Row, at_most, main
from tables import duckdb_answers, frame_of, numpy_answers, polars_answers

import shmstore

BURST = 6
MIXED, ROWS, APART = "columns", "rows", "columns, a partition a key"
STORES = {MIXED: ("columns", 1), ROWS: ("rows", 1), APART: ("columns", len(SENSORS))}
# The bars are about the store that makes it hardest: all keys mixed in one partition. Other ways are there to compare.
BARS = {
    (SUM, "NumPy"): at_most(0.7),
    (SUMMARY, "NumPy"): at_most(0.4),
    (SUMMARY, "polars"): at_most(0.8),
    (TOP, "NumPy"): at_most(0.8),
    (TOP, "polars"): at_most(0.4),
    (TOP, "duckdb"): at_most(0.4),
}


class Times(NamedTuple):
    """Milliseconds of CPU time, medians: asked after other work, when other data lies in the caches, and once more."""

    first: float
    again: float


def parts(answer: Any) -> Iterator[Any]:
    """The texts and numbers of an answer, whatever it is made of."""
    if isinstance(answer, str) or not hasattr(answer, "__iter__"):
        yield answer
    else:
        for part in answer:
            yield from parts(part)


def check_agreement(answers: Answers) -> None:
    """The answer to a question is the same in every way, floats but for their last digits."""
    first: dict[str, list[Any]] = {}
    for (question, way), answer in answers.items():
        found = list(parts(answer()))
        expected = first.setdefault(question, found)
        for one, other in zip(found, expected, strict=True):
            if one != other and not math.isclose(one, other, rel_tol=1e-9):
                raise AssertionError(f"{question}: {way} says {found}, not {expected}")


def ask(answers: Answers, rounds: int) -> dict[tuple[str, str], Times]:
    """Ask each way several times in a row, the ways in turn, each round in another order."""
    order = Random(1)
    bursts: dict[tuple[str, str], list[list[float]]] = {way: [] for way in answers}
    for _ in range(rounds):
        for way in order.sample(list(answers), len(answers)):
            bursts[way].append([cpu_nanoseconds(answers[way]) / 1e6 for _ in range(BURST)])
    return {
        way: Times(median(first for first, *_ in found), median(median(again) for _, *again in found))
        for way, found in bursts.items()
    }


def read(connection: Connection, names: dict[str, str], records: int, rounds: int) -> None:
    """The asking process: sends the times of each way to answer each question."""
    samples = samples_of(records)
    frame = frame_of(samples)
    answers = numpy_answers(samples) | polars_answers(frame) | duckdb_answers(frame)
    slow: Answers = {}
    with ExitStack() as stack:
        for way, name in names.items():
            store = stack.enter_context(shmstore.attach(name))
            answers |= store_answers(store, way)
            slow[SUM, f"{way}, callable"] = partial(total_by_callable, store)
        check_agreement(answers | slow)
        connection.send(ask(answers, rounds) | ask(slow, 1))


def rows(smoke: bool) -> Iterator[Row]:
    records, rounds = (20_000, 3) if smoke else (RECORDS, 25)
    with ExitStack() as stack:
        names = {
            way: stack.enter_context(filled(records, layout=layout, partitions=partitions)).name
            for way, (layout, partitions) in STORES.items()
        }
        asker = stack.enter_context(worker(read, names, records, rounds, cpu=1))
        ms: dict[tuple[str, str], Times] = asker.recv()
    for (question, way), peer in ms.items():
        if not way.startswith(tuple(STORES)):
            ours, bar = ms[question, MIXED], BARS.get((question, way))
            yield Row(f"{question}, against {way}", ours.again, "ms", peer.again, bar)
    for question, way in BARS:
        ours, peer = ms[question, MIXED], ms[question, way]
        yield Row(f"{question}, after other work, against {way}", ours.first, "ms", peer.first)
    for question in (SUM, SUMMARY, TOP):
        for way in (ROWS, APART):
            note = "columns, one partition"
            yield Row(f"{question}, {way}", ms[question, way].again, "ms", ms[question, MIXED].again, None, note)
    for way in (MIXED, ROWS):
        by_callable = ms[SUM, f"{way}, callable"].again
        yield Row(f"{SUM} by a Python callable, {way}", by_callable, "ms", ms[SUM, way].again, None, "by an expression")


if __name__ == "__main__":
    main(rows)
