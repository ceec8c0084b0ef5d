"""Random questions put to random stores and to plain Python models of them: all ways to ask must give the same answer.

Each question is asked with an expression and with a Python callable, with block summaries and without, of handles that
have and have not seen the records before, and several times in a row: the first time seals blocks, the second makes
summaries, the third uses them.
"""

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shmstore import EventStore, Expression, Float32
from tests.helpers import answers
from tests.helpers.processes import Child
from tests.helpers.random_stores import Asked, RandomStore

ROUNDS = 12
QUESTIONS = 8

Ask = Callable[..., Any]
"""Puts a question to a store, or to a snapshot, about a selection."""

COUNT: Ask = lambda store, **chosen: store.count(**chosen)  # noqa: E731


def told(records: Any) -> list[tuple[Any, ...]]:
    """Records as tuples, in which NaN is equal to NaN."""
    return [tuple("nan" if value != value else value for value in record) for record in records]


class Question:
    """One question with one selection: how to ask it, and the model's records that it is about."""

    def __init__(self, subject: RandomStore) -> None:
        self.subject, self.dice = subject, subject.dice
        dice = subject.dice
        self.selection: dict[str, Any] = {}
        partition = dice.choice([None, dice.randrange(subject.store.partitions)])
        if partition is not None:
            self.selection["partition"] = partition
        accepts: list[Callable[[Any], Any]] = []
        time = subject.time
        if time and dice.random() < 0.6:
            since, until = sorted((subject.some_time(), subject.some_time()))
            if dice.random() < 0.7:
                self.selection["since"] = since
                accepts.append(lambda record: getattr(record, time) >= since)
            if dice.random() < 0.7:
                self.selection["until"] = until
                accepts.append(lambda record: getattr(record, time) < until)
        self.condition: Asked | None = None
        if dice.random() < 0.6:
            self.condition = subject.condition()
            accepts.append(self.condition.of)
        self.partitions = [
            [record for record in records if all(accept(record) for accept in accepts)]
            for records in subject.records(partition)
        ]
        self.records = [record for records in self.partitions for record in records]
        self.asked = ""
        self.is_about_records = False  # which a store alone answers

    def answers(self, ask: Ask) -> Iterator[Any]:
        """The answers, in all ways to ask."""
        where: Any = self.condition.expression if self.condition else None
        accept = self.condition.of if self.condition else lambda _: True
        ways: list[tuple[EventStore[Any], bool, Any]] = [(self.subject.store, True, where)] * 3
        ways += [(self.subject.store, False, where), (self.subject.store, self.dice.random() < 0.5, accept)]
        other = self.dice.choice(self.subject.handles)
        ways += [(other, True, where), (other, False, where), (other, True, where)]
        for turn, (store, summaries, chosen) in enumerate(ways):
            store.summaries = summaries
            way = "an expression" if isinstance(chosen, Expression) else "a callable" if chosen else "no condition"
            self.asked = f"turn {turn}, summaries {'on' if summaries else 'off'}, {way}, {store!r}"
            choice = {} if chosen is None else {"where": chosen}
            yield ask(store, **self.selection, **choice)
        if not self.is_about_records:
            selection = dict(self.selection)
            snapshot = other.snapshot(partition=selection.pop("partition", None))
            for chosen in (where, accept):
                self.asked = f"{'an expression' if chosen is where else 'a callable'}, {snapshot!r}"
                yield ask(snapshot, **selection, where=chosen)


def ask_for_totals(question: Question) -> tuple[Ask, Any]:
    value = question.subject.value()
    if value is None:
        return COUNT, len(question.records)
    values = [value.of(record) for record in question.records]
    number, is_float = value.expression, value.is_float
    count, total, mean, low, high = answers.summary(values, is_float)
    ddof, q = question.dice.randrange(3), question.dice.choice([0, 1, 0.5, 0.25, question.dice.random()])
    wanted = [question.dice.random() for _ in range(20)] if question.dice.random() < 0.1 else [q, 0.9]
    return question.dice.choice(
        [
            (COUNT, count),
            (lambda store, **chosen: store.sum(number, **chosen), total),
            (lambda store, **chosen: store.mean(number, **chosen), mean),
            (lambda store, **chosen: store.min(number, **chosen), low),
            (lambda store, **chosen: store.max(number, **chosen), high),
            (lambda store, **chosen: store.summary(number, **chosen), (count, total, mean, low, high)),
            (lambda store, **chosen: store.variance(number, ddof, **chosen), answers.variance(values, ddof)),
            (lambda store, **chosen: store.stddev(number, ddof, **chosen), answers.variance(values, ddof, root=True)),
            (lambda store, **chosen: store.quantile(number, q, **chosen), answers.quantile(values, q, is_float)),
            (
                lambda store, **chosen: store.quantiles(number, wanted, **chosen),
                [answers.quantile(values, each, is_float) for each in wanted],
            ),
        ]
    )


def ask_of_any_field(question: Question) -> tuple[Ask, Any]:
    name = question.dice.choice(list(question.subject.kinds))
    values = [getattr(record, name) for record in question.records]
    if question.dice.random() < 0.3:
        return lambda store, **chosen: store.distinct(name, **chosen), answers.different(values)
    latest = question.dice.random() < 0.5
    found = answers.edge(question.records, question.subject.time, latest)
    value = None if found is None else getattr(found, name)
    expected = answers.Nan() if value != value else value if value is None else answers.Exactly(value)
    return lambda store, **chosen: (store.last if latest else store.first)(name, **chosen), expected


def ask_for_records(question: Question) -> tuple[Ask, Any]:
    limit = question.dice.choice([None, None, 0, 1, 5, 300])
    question.is_about_records = True
    by_newest = answers.newest(question.partitions, question.subject.time)
    in_order = told(question.records)
    return question.dice.choice(
        [
            (lambda store, **chosen: told(store.snapshot(**chosen)), in_order),
            (lambda store, **chosen: told(store.query(**chosen).snapshot()), in_order),
            (lambda store, **chosen: told(store.query(**chosen, limit=limit)), in_order[:limit]),
            (lambda store, **chosen: told(store.query(**chosen, limit=limit, order="newest")), told(by_newest)[:limit]),
            (lambda store, **chosen: store.aggregate([], _gathered, **chosen), in_order),
        ]
    )


def _gathered(so_far: list[Any], record: Any) -> list[Any]:
    return so_far + told([record])


def rows(table: Any) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in table]


def ask_for_groups(question: Question) -> tuple[Ask, Any]:
    by = question.dice.choice(
        [name for name, kind in question.subject.kinds.items() if kind not in (float, Float32)] or [""]
    )
    if not by:
        return COUNT, len(question.records)
    grouped = answers.groups(question.records, by)
    value = question.subject.value()
    name = question.dice.choice(list(question.subject.kinds))

    def each(answer: Callable[[list[Any]], Any]) -> list[tuple[Any, ...]]:
        found = []
        for label, records in grouped:
            said = answer(records)
            found.append((answers.Exactly(label), *(said if isinstance(said, tuple) else (said,))))
        return found

    def values_of(field: str) -> Callable[[list[Any]], int]:
        return lambda records: answers.different(getattr(record, field) for record in records)

    choices: list[tuple[Ask, Any]] = [
        (lambda store, **chosen: rows(store.group_by(by, **chosen).count()), each(len)),
        (lambda store, **chosen: rows(store.group_by(by, **chosen).distinct(name)), each(values_of(name))),
    ]
    for method, latest in (("first", False), ("last", True)):
        edges = [
            (label, getattr(answers.edge(records, question.subject.time, latest), name)) for label, records in grouped
        ]
        choices.append(
            (
                lambda store, method=method, **chosen: told(getattr(store.group_by(by, **chosen), method)(name)),
                told(edges),
            )
        )
    if value is None:
        return question.dice.choice(choices)
    number, is_float, of = value.expression, value.is_float, value.of

    def numbers(records: list[Any]) -> list[Any]:
        return [of(record) for record in records]

    def summary(records: list[Any]) -> tuple[Any, ...]:
        return answers.summary(numbers(records), is_float, answers.GROUP_ROWS)

    for place, method in enumerate(("sum", "mean", "min", "max"), 1):
        choices.append(
            (
                lambda store, method=method, **chosen: rows(getattr(store.group_by(by, **chosen), method)(number)),
                each(lambda records, place=place: summary(records)[place]),
            )
        )
    q, ddof = question.dice.random(), question.dice.randrange(2)
    choices += [
        (lambda store, **chosen: rows(store.group_by(by, **chosen).summary(number)), each(summary)),
        (
            lambda store, **chosen: rows(store.group_by(by, **chosen).variance(number, ddof)),
            each(lambda records: answers.variance(numbers(records), ddof)),
        ),
        (
            lambda store, **chosen: rows(store.group_by(by, **chosen).quantile(number, q)),
            as_column(each(lambda records: answers.quantile(numbers(records), q, is_float))),
        ),
    ]
    return question.dice.choice(choices)


def as_column(found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """A column of which any number is a float has floats alone."""
    if not any(isinstance(value, answers.Nearly) for _, value in found):
        return found
    return [(label, value.real() if isinstance(value, answers.Exactly) else value) for label, value in found]


def ask_for_windows(question: Question) -> tuple[Ask, Any]:
    subject, dice = question.subject, question.dice
    if subject.time is None:
        return COUNT, len(question.records)
    every = dice.choice([1, 1000, 7000, 10**5, 10**9])
    period = dice.choice([every, every, every * 2, every * 5 // 2 or 1, every // 2 or 1])
    asked = {"every": every} if period == every else {"every": every, "period": period}
    by = dice.choice([None, *(name for name, kind in subject.kinds.items() if kind not in (float, Float32))])
    value = dice.choice([None, subject.value()])
    expected = []
    grouped = answers.groups(question.records, by) if by else [(None, question.records)]
    for label, records in grouped:
        for start, inside in answers.windows(records, subject.time, every, period):
            answer: tuple[Any, ...] = (len(inside),)
            if value:
                answer = answers.summary([value.of(record) for record in inside], value.is_float, answers.GROUP_ROWS)
            expected.append((*((answers.Exactly(label),) if by else ()), start, *answer))
    number = value.expression if value else None
    return lambda store, **chosen: rows(store.windows(number, **asked, by=by, **chosen)), expected


ASKED = [ask_for_totals] * 3 + [ask_of_any_field, ask_for_records] + [ask_for_groups] * 2 + [ask_for_windows]
CHANGES = [RandomStore.append] * 12 + [RandomStore.clear, RandomStore.purge]


def put(subject: RandomStore) -> None:
    """A random question, asked in all ways."""
    question = Question(subject)
    kind = subject.dice.choice(ASKED)
    ask, expected = kind(question)
    try:
        for answer in question.answers(ask):
            assert answer == expected
    except BaseException:
        print(f"{kind.__name__} of {subject.kinds}: {question.selection} where {question.condition}; {question.asked}")
        raise


@pytest.mark.parametrize("part", range(40))
def test_every_way_to_ask_gives_the_answer_of_plain_python(name: str, seed: int, part: int) -> None:
    subject = RandomStore(name, random.Random(f"{seed}/{part}"))
    try:
        for _ in range(ROUNDS):
            for _ in range(subject.dice.randrange(4)):
                subject.dice.choice(CHANGES)(subject)
            for _ in range(QUESTIONS):
                put(subject)
    finally:
        subject.close()


def test_another_process_gives_the_same_answers(name: str, seed: int) -> None:
    """Each of the two makes summaries that the other uses."""
    for part in range(5):
        subject = RandomStore(f"{name}-{part}", random.Random(f"{seed}/{part}"))
        try:
            for _ in range(3):
                for _ in range(8):
                    subject.append()
                for _ in range(QUESTIONS):
                    put(subject)
                with Child(lambda subject=subject: put_many(subject)) as child:
                    assert child.wait() == 0
        finally:
            subject.close()


def put_many(subject: RandomStore) -> None:
    for _ in range(QUESTIONS):
        put(subject)
