"""Arguments: whatever a public call is given, it takes it, or says in a short error of ours what it expected."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

import shmstore
from shmstore import Coordinator, EventStore, Record
from shmstore.arguments.checks import function, plain_number, whole_number
from shmstore.arguments.moments import length_ns, moment_ns
from shmstore.arguments.shown import shown
from shmstore.errors import InvalidOption, ShmStoreError
from tests.helpers.calls import CALLS, WRONG, Detached, Loud, examples, remove_new


class Number(Record):
    n: int


@pytest.mark.parametrize("call", CALLS)
def test_every_call_takes_a_value_or_raises_an_error_of_ours(name: str, call: str) -> None:
    with examples(name) as given:
        for which, value in WRONG.items():
            if call == "cursor wait" and which in ("None", "inf", "digits", "beyond"):
                continue  # it would wait
            try:
                CALLS[call](given, value)
            except ShmStoreError as error:
                assert len(str(error)) < 1000, which
            remove_new(name)


# -- values in messages


def test_a_value_is_shown_as_it_is_written() -> None:
    for value in (None, 5, "it's", b"b", [1, {"a": (2.5,)}], timedelta(1), float("nan"), -(10**100)):
        assert shown(value) == repr(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x" * 10**6, rf"'{'x' * 120}'... (1,000,000 in all)"),
        (b"x" * 121, rf"b'{'x' * 120}'... (121 in all)"),
        ([7] * 1000, f"[{'7, ' * 39}7,... (3,000 characters)"),
        (10**5000, "an int of 16,610 bits"),
        (-(10**5000), "an int of 16,610 bits"),
        (Detached(), "<Detached whose repr() raises RuntimeError>"),
        (Loud(), "<Loud whose repr() raises RuntimeError>"),
    ],
    ids=["text", "bytes", "list", "digits", "negative", "detached", "loud"],
)
def test_a_value_is_shown_shortly_whatever_its_repr_does(value: Any, text: str) -> None:
    assert shown(value) == text


def test_a_value_that_contains_itself_or_breaks_lines_is_shown_on_one() -> None:
    class Lines:
        def __repr__(self) -> str:
            return "a\n  b\n" * 100

    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    assert shown(Lines()).startswith("a b a b")
    assert "\n" not in shown(Lines())
    assert shown(nested) == "<list whose repr() raises RecursionError>"


def test_what_is_no_error_is_passed_on() -> None:
    class Stop:
        def __repr__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shown(Stop())


# -- numbers, moments and lengths of time


def test_numbers() -> None:
    assert whole_number("n", 5, "an int", most=5) == 5
    for value in (True, 1.0, "1", None, -1, 6, Loud()):
        with pytest.raises(InvalidOption, match=r"^n is .*; expected an int$"):
            whole_number("n", value, "an int", most=5)
    assert [plain_number(value) for value in (True, 2, 2.5, "2", None, 1j, Loud())] == [True, 2, 2.5, *[None] * 4]


def test_only_times_are_moments() -> None:
    for value in (None, 5, "now", Loud(), Detached(), object):
        try:
            assert (moment_ns(value), length_ns(value)) == (None, None)
        except ValueError as error:
            pytest.fail(repr(error))


def test_a_length_of_time_is_exact_at_the_ends() -> None:
    assert length_ns(timedelta.max) == (10**9 * 86_400 * 10**6 - 1) * 1000
    assert length_ns(timedelta(microseconds=-1)) == -1000


# -- what is called


async def late(*_: object) -> bool:
    return False


def paused(*_: object) -> Iterator[bool]:
    yield False


async def late_and_paused(*_: object) -> AsyncIterator[bool]:
    yield False


class Late:
    async def __call__(self, *_: object) -> bool:
        return False

    async def method(self, *_: object) -> bool:
        return False


UNRUN: list[Callable[..., object]] = [late, paused, late_and_paused, Late(), Late().method, partial(late, 1)]


@pytest.mark.parametrize("body", UNRUN, ids=["async", "generator", "async generator", "object", "method", "partial"])
def test_a_function_whose_body_would_not_run_is_refused_wherever_one_is_called(name: str, body: Any) -> None:
    calls: dict[str, Callable[[EventStore[Any]], object]] = {
        "where": lambda store: store.count(where=body),
        "accept": lambda store: store.snapshot().where(body),
        "function": lambda store: store.aggregate(0, body),
        "on_statistics": lambda store: Coordinator(store, on_statistics=body),
        "on_discarded": lambda store: shmstore.attach(name, on_discarded=body),
        "on_capacity_reached": lambda store: shmstore.create(f"{name}-2", Number, capacity=1, on_capacity_reached=body),
    }
    with shmstore.create(name, Number, capacity=10) as store:
        store.append(n=1)
        for argument, call in calls.items():
            with pytest.raises(InvalidOption, match=f"^{argument} is .*, but no async function and no generator"):
                call(store)
    assert name in shmstore.list_stores() and f"{name}-2" not in shmstore.list_stores()


def test_classes_and_whatever_else_can_be_called_are_functions() -> None:
    for taken in (print, int, "".join, partial(max, 1), lambda _: True, type("Own", (), {"__call__": print})()):
        assert function("f", taken) is taken
    assert function("f", None) is None
