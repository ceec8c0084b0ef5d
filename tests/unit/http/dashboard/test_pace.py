"""Answers that are kept: for how long, for whom, and what becomes of those that fail."""

import pytest

from shmstore.errors import StoreClosed
from shmstore.http.dashboard import pace
from shmstore.http.dashboard.pace import Questions, rest_s


class Clock:
    """Of the day, and of a CPU."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = self.spent_s = 100.0
        monkeypatch.setattr(pace.time, "monotonic", lambda: self.now_s)
        monkeypatch.setattr(pace.time, "thread_time", lambda: self.spent_s)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def counting(clock: Clock, cost_s: float, calls: list[float]) -> pace.Ask:
    def ask() -> dict[str, int]:
        calls.append(clock.now_s)
        clock.spent_s += cost_s
        return {"calls": len(calls)}

    return ask


def test_what_costs_much_is_asked_seldom() -> None:
    assert rest_s(0.0, 2.0) == 2.0
    assert 1.0 <= rest_s(0.01, 1.0) <= 10.0
    assert 0.01 / rest_s(0.01, 1.0) <= 0.005  # of a CPU
    assert rest_s(1e9, 1.0) == rest_s(1e12, 1.0)  # and is asked again some day


@pytest.mark.parametrize("cost_s", [0.001, 0.05])
def test_an_answer_is_given_to_all_until_it_is_due_again(clock: Clock, cost_s: float) -> None:
    questions, calls = Questions(), []
    ask = counting(clock, cost_s, calls)
    first = questions.answer("a", lambda: ask, 2.0)
    assert first == {"calls": 1, "again": pytest.approx(rest_s(cost_s, 2.0), abs=0.01)}
    clock.now_s += first["again"] / 2
    second = questions.answer("a", lambda: pytest.fail("it is known"), 2.0)
    assert second == {"calls": 1, "again": pytest.approx(first["again"] / 2, abs=0.01)}
    clock.now_s += second["again"]
    assert questions.answer("a", lambda: ask, 2.0)["calls"] == 2
    assert questions.answer("b", lambda: ask, 2.0)["calls"] == 3


def test_one_that_fails_begins_anew(clock: Clock) -> None:
    def fail() -> dict[str, int]:
        raise StoreClosed("gone")

    questions = Questions()
    with pytest.raises(StoreClosed):
        questions.answer("a", lambda: fail)
    assert questions.answer("a", lambda: lambda: {"x": 1})["x"] == 1


def test_what_nobody_asks_any_more_is_forgotten(clock: Clock) -> None:
    questions, calls = Questions(), []
    ask = counting(clock, 0.0, calls)
    for number in range(1000):
        questions.answer(number, lambda: ask, 100.0)
    assert len(questions) <= 257
    questions.answer(999, lambda: pytest.fail("it is known"), 100.0)
    clock.now_s += 61
    questions.answer("new", lambda: ask, 100.0)
    assert len(questions) == 1
