"""Summaries, variances, quantiles, edges and distinct counts: what they promise, and what they refuse."""

import math
import statistics
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import shmstore
from shmstore import Bool, Bytes, EventStore, Expression, Float32, Key, Record, Text, Timestamp, UInt64, field
from shmstore.errors import FieldError, FieldTypeError, InvalidOption, StoreClosed
from tests.helpers.slots import region


class Reading(Record):
    sensor: Key
    note: Text[8]
    raw: Bytes[4]
    number: int
    large: UInt64
    single: Float32
    value: float
    good: Bool
    timestamp: Timestamp


def reading(number: int, value: float | None = None) -> Reading:
    return Reading(
        f"s-{number % 2}",
        f"note {number}",
        number.to_bytes(2, "big"),
        -number,
        2**63 + number,
        number / 4,
        number / 2 if value is None else value,
        number > 5,
        number,
    )


RECORDS = [reading(number) for number in range(10)]
NUMBERS = ("number", "large", "single", "value", "good", "timestamp")

Ask = Callable[[EventStore[Any]], object]


@pytest.fixture
def store(name: str) -> Iterator[EventStore[Reading]]:
    """Ten readings, the even ones of sensor s-0 in partition 0."""
    with shmstore.create(name, Reading, capacity=100, partitions=2) as store:
        store.append_many(RECORDS)
        yield store


@pytest.fixture
def empty(name: str) -> Iterator[EventStore[Reading]]:
    with shmstore.create(f"{name}-empty", Reading, capacity=100, partitions=2) as store:
        yield store


def values(name: str) -> list[Any]:
    return [getattr(record, name) for record in RECORDS]


# -- what they answer


@pytest.mark.parametrize("which", NUMBERS)
def test_a_summary_is_five_answers(store: EventStore[Reading], which: str) -> None:
    found = store.summary(which)
    assert found == (10, sum(values(which)), sum(values(which)) / 10, min(values(which)), max(values(which)))
    assert found._fields == ("count", "sum", "mean", "min", "max")
    assert (found.sum, found.min) == (store.sum(which), store.min(which))


@pytest.mark.parametrize("which", NUMBERS)
def test_a_variance_is_that_of_a_sample_or_of_all(store: EventStore[Reading], which: str) -> None:
    plain = [int(value) if isinstance(value, bool) else value for value in values(which)]
    assert store.variance(which) == pytest.approx(statistics.variance(plain), rel=1e-14)
    assert store.variance(which, ddof=0) == pytest.approx(statistics.pvariance(plain), rel=1e-14)
    assert store.stddev(which) == pytest.approx(statistics.stdev(plain), rel=1e-14)


def test_small_differences_of_large_values_are_not_lost(empty: EventStore[Reading]) -> None:
    empty.append_many([reading(number, 1e15 + number / 8) for number in range(40)])
    assert empty.variance("value") == pytest.approx(statistics.variance(number / 8 for number in range(40)), rel=1e-12)
    assert empty.variance("large") == pytest.approx(statistics.variance(range(40)), rel=1e-12)


@pytest.mark.parametrize("q", [0, 0.1, 0.25, 0.5, 0.77, 1, 1.0, np.float64(0.3)])
@pytest.mark.parametrize("which", ["number", "single", "value", "timestamp"])
def test_a_quantile_lies_between_its_neighbours(store: EventStore[Reading], which: str, q: float) -> None:
    assert store.quantile(which, q) == pytest.approx(float(np.quantile(values(which), q)), rel=1e-15)


def test_a_quantile_that_is_one_of_the_values_has_its_type(store: EventStore[Reading]) -> None:
    assert store.quantile("large", 0) == 2**63
    assert [type(store.quantile("number", q)) for q in (0, 0.5, 1)] == [int, float, int]
    assert store.quantile("value", 1) == 4.5


def test_many_quantiles_together_are_those_alone(store: EventStore[Reading]) -> None:
    wanted = [number / 40 for number in range(41)]
    assert store.quantiles("value", wanted) == [store.quantile("value", q) for q in wanted]
    assert store.quantiles("value", []) == []


def test_the_first_and_last_go_by_time(empty: EventStore[Reading]) -> None:
    order = [5, 9, 1, 7, 1, 9]
    empty.append_many([reading(time)._replace(note=f"{place}") for place, time in enumerate(order)], partition=0)
    assert (empty.first("timestamp"), empty.last("timestamp")) == (1, 9)
    assert (empty.first("note"), empty.last("note")) == ("2", "5")  # of several, in the order of a snapshot


@pytest.mark.parametrize("which", Reading._fields)
def test_the_first_and_last_are_of_any_field(store: EventStore[Reading], which: str) -> None:
    assert (store.first(which), store.last(which)) == (getattr(RECORDS[0], which), getattr(RECORDS[9], which))
    assert type(store.first(which)) is type(getattr(RECORDS[0], which))
    assert store.first(which, where=field("value") >= 2, partition=0) == getattr(RECORDS[4], which)


@pytest.mark.parametrize("which", Reading._fields)
def test_different_values_are_counted_of_any_field(store: EventStore[Reading], which: str) -> None:
    store.append_many(RECORDS[:5])
    assert store.distinct(which) == len(set(values(which)))


def test_more_different_values_than_one_pass_counts(name: str) -> None:
    numbers = np.arange(250_000, dtype=np.int64)

    class Plain(Record):
        number: int
        raw: Bytes[8]

    with shmstore.create(name, Plain, capacity=500_000, partitions=2) as store:
        for _ in range(2):
            store.append_many({"number": numbers, "raw": [value.tobytes() for value in numbers]})
        assert store.distinct("number") == store.distinct("raw") == 250_000
        assert store.quantiles("number", [0, 0.5, 1]) == [0, 124_999.5, 249_999]


def test_nan_is_left_aside_or_spoils_as_it_is_said(empty: EventStore[Reading]) -> None:
    empty.append_many([reading(number, value) for number, value in enumerate([math.nan, 2.0, -0.0, 0.0, math.nan])])
    assert math.isnan(empty.sum("value")) and math.isnan(empty.mean("value")) and math.isnan(empty.variance("value"))
    assert (empty.min("value"), empty.max("value"), empty.quantile("value", 0.5)) == (0, 2, 0)
    assert empty.distinct("value") == 3, "all NaN are one value, and so are both zeros"
    assert math.isnan(empty.first("value")) and math.isnan(empty.last("value"))


def test_nothing_has_no_answer_but_a_count_and_a_sum(empty: EventStore[Reading]) -> None:
    assert empty.summary("value") == (0, 0, None, None, None)
    assert empty.variance("value") is empty.stddev("value") is empty.quantile("value", 0.5) is None
    assert empty.quantiles("value", [0, 1]) == [None, None]
    assert empty.first("note") is empty.last("note") is None
    assert empty.distinct("note") == 0
    empty.append(reading(1))
    assert empty.variance("value") is None
    assert (empty.variance("value", ddof=0), empty.stddev("value", ddof=0)) == (0, 0)


def test_an_expression_is_asked_about_like_a_field(store: EventStore[Reading]) -> None:
    product: Expression = field("value") * field("number")
    products = [record.value * record.number for record in RECORDS]
    assert store.summary(product) == (10, sum(products), sum(products) / 10, min(products), max(products))
    assert store.sum(field("number") * 2 + 1) == sum(2 * record.number + 1 for record in RECORDS)
    assert store.quantile(field("value") * 2, 0.5) == 4.5


def test_summaries_answer_for_whole_blocks_unless_they_are_turned_off(name: str) -> None:
    class Plain(Record):
        value: float

    with shmstore.create(name, Plain, capacity=512, partitions=1, layout="columns") as store:
        store.append_many({"value": [1.0] * 300})
        assert [store.sum("value") for _ in range(3)] == [300.0] * 3
        offset, _ = region(store, "slots")
        store._segment.buffer[offset + 512 * 8 : offset + 512 * 8 + 8] = bytes(8)  # the first value, behind all words
        assert store.summaries
        assert store.sum("value") == 300.0
        store.summaries = False
        assert store.sum("value") == 299.0


def test_a_reader_without_the_right_to_write_gets_every_answer(store: EventStore[Reading]) -> None:
    with shmstore.attach(store.name, Reading, read_only=True) as reader:
        for _ in range(3):
            assert reader.summary("value") == store.summary("value")
            assert reader.group_by("sensor").sum("value") == store.group_by("sensor").sum("value")
            assert list(reader.query(order="newest")) == RECORDS[::-1]


def test_what_was_unlinked_still_answers(store: EventStore[Reading]) -> None:
    shmstore.unlink(store.name)
    assert (store.count(), store.distinct("note")) == (10, 10)


# -- what they refuse


@pytest.mark.parametrize("which", ["sensor", "note", "raw"])
def test_text_is_no_number(store: EventStore[Reading], which: str) -> None:
    asks: list[Ask] = [
        lambda store: store.summary(which),
        lambda store: store.variance(which),
        lambda store: store.stddev(which),
        lambda store: store.quantile(which, 0.5),
        lambda store: store.sum(field(which) * 2),
    ]
    for ask in asks:
        with pytest.raises(FieldTypeError, match=f"'{which}'.*no numbers"):
            ask(store)


class Other(Record):
    colour: float


ABOUT_ANOTHER_SCHEMA: list[Ask] = [
    lambda store: store.count(where=field("colour") > 1),
    lambda store: store.sum(field("colour") * 2),
    lambda store: store.summary("colour"),
    lambda store: store.variance("colour"),
    lambda store: store.quantile("colour", 0.5),
    lambda store: store.first("colour"),
    lambda store: store.last("colour"),
    lambda store: store.distinct("colour"),
    lambda store: store.snapshot(where=field("colour") > 1),
    lambda store: store.windows("colour", every=1),
]


@pytest.mark.parametrize("ask", ABOUT_ANOTHER_SCHEMA)
def test_a_field_of_another_schema_is_refused(store: EventStore[Reading], ask: Ask) -> None:
    with pytest.raises(FieldError, match=r"'colour'.*sensor, note") as told:
        ask(store)
    assert told.value.field == "colour"


@pytest.mark.parametrize("q", [-0.1, 1.5, 2, math.nan, math.inf, "0.5", None, True])
def test_a_quantile_that_is_none(store: EventStore[Reading], q: Any) -> None:
    for ask in (lambda: store.quantile("value", q), lambda: store.quantiles("value", [0.5, q])):
        with pytest.raises(InvalidOption, match=f"the quantile is {q!r}"):
            ask()


@pytest.mark.parametrize("wanted", [0.5, "0.5", None])
def test_quantiles_that_are_no_list(store: EventStore[Reading], wanted: Any) -> None:
    with pytest.raises(InvalidOption, match=f"the quantiles are {wanted!r}"):
        store.quantiles("value", wanted)


@pytest.mark.parametrize("ddof", [-1, 1.0, True, None])
def test_a_ddof_that_is_none(store: EventStore[Reading], ddof: Any) -> None:
    for ask in (store.variance, store.stddev):
        with pytest.raises(InvalidOption, match=f"ddof is {ddof!r}"):
            ask("value", ddof)


@pytest.mark.parametrize("where", ["value > 3", True, 0, [field("value") > 3]])
def test_a_condition_that_is_none(store: EventStore[Reading], where: Any) -> None:
    for ask in (store.count, store.snapshot, store.query):
        with pytest.raises(InvalidOption, match="where is "):
            ask(where=where)


@pytest.mark.parametrize("partition", [-1, 2, "0", True, 0.0])
def test_a_partition_that_is_none(store: EventStore[Reading], partition: Any) -> None:
    with pytest.raises(InvalidOption, match=f"partition is {partition!r}; this store has partitions 0 to 1"):
        store.count(partition=partition)


def test_integers_that_leave_64_bits_are_refused_not_wrapped(store: EventStore[Reading]) -> None:
    asks: list[Ask] = [
        lambda store: store.sum(field("large") * 2),
        lambda store: store.count(where=field("large") + field("large") > 0),
        lambda store: store.quantile(field("large") * 2, 0.5),
        lambda store: store.snapshot(where=field("large") * 2 > 0),
        lambda store: list(store.query(where=field("large") * 2 > 0)),
        lambda store: store.mean(field("number") // 0),
    ]
    for ask in asks:
        with pytest.raises(FieldError, match="left 64 bits"):
            ask(store)
    assert store.sum(field("large") * 2, since=1000) == 0, "no record, no overflow"


ANY_QUESTION: list[Ask] = [
    lambda store: store.count(),
    lambda store: store.summary("value"),
    lambda store: store.variance("value"),
    lambda store: store.quantile("value", 0.5),
    lambda store: store.first("value"),
    lambda store: store.distinct("note"),
    lambda store: store.aggregate(0, lambda total, record: total + 1),
    lambda store: store.count(where=lambda record: True),
    lambda store: store.group_by("sensor").sum("value"),
    lambda store: store.windows(every=1),
    lambda store: list(store.query()),
]


@pytest.mark.parametrize("ask", ANY_QUESTION)
def test_a_closed_store_answers_nothing(store: EventStore[Reading], ask: Ask) -> None:
    store.close()
    with pytest.raises(StoreClosed):
        ask(store)


def test_what_was_prepared_before_the_store_is_closed_is_refused_then(store: EventStore[Reading]) -> None:
    groups, query = store.group_by("sensor"), store.query()
    store.close()
    with pytest.raises(StoreClosed):
        groups.count()
    with pytest.raises(StoreClosed):
        list(query)


def test_an_error_of_a_callable_is_what_the_question_raises(store: EventStore[Reading]) -> None:
    with pytest.raises(ZeroDivisionError):
        store.count(where=lambda record: 1 / record.number)
    assert store.count() == 10
