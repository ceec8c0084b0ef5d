"""The explorer sees every outcome that C11 allows, and none that it forbids: litmus tests, and what a death leaves."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.core.explorer import Explorer
from tests.core.operations import (
    FREE,
    Operation,
    Program,
    Scenario,
    barrier,
    cas_acq_rel,
    cas_release,
    fence_acquire,
    fence_release,
    is_dead,
    is_locked,
    load_acquire,
    load_relaxed,
    lock,
    sleep,
    store_relaxed,
    store_release,
    update_acq_rel,
    wake,
)


def runs(*operations: Operation) -> Callable[[], Program]:
    """A program that performs operations one after the other and ends with what its loads gave."""

    def program() -> Program:
        got: tuple[Any, ...] = ()
        for operation in operations:
            result = yield operation
            if result is not None:
                got += (result,)
        return got

    return program


def outcomes(*programs: Callable[[], Program], locations: Mapping[Any, Any] | None = None, **scenario: Any) -> set[Any]:
    """All that programs can end with, joined; None stands for one that did not end."""
    found = set()

    def at_rest(_values: Mapping[Any, Any], results: Any) -> None:
        found.add(sum((result if isinstance(result, tuple) else (result,) for result in results), ()))

    shared = locations or {"x": 0, "y": 0}
    result = Explorer(Scenario(shared, programs, has_barriers=True, at_rest=at_rest, **scenario)).explore()
    assert not result.violation
    return found


def x(value: int) -> Operation:
    return store_relaxed("", "x", value)


def y(value: int) -> Operation:
    return store_relaxed("", "y", value)


X, Y = load_relaxed("", "x"), load_relaxed("", "y")
RELEASE, ACQUIRE = fence_release(""), fence_acquire("")
Y_ACQUIRE, Y_RELEASE = load_acquire("", "y"), store_release("", "y", 1)

LITMUS = {
    "message passing, relaxed": ([runs(x(1), y(1)), runs(Y, X)], (1, 0), True),
    "message passing, release and acquire": ([runs(x(1), Y_RELEASE), runs(Y_ACQUIRE, X)], (1, 0), False),
    "message passing, release only": ([runs(x(1), Y_RELEASE), runs(Y, X)], (1, 0), True),
    "message passing, acquire only": ([runs(x(1), y(1)), runs(Y_ACQUIRE, X)], (1, 0), True),
    "message passing, fences": ([runs(x(1), RELEASE, y(1)), runs(Y, ACQUIRE, X)], (1, 0), False),
    "message passing, a release fence that comes too late": (
        [runs(x(1), y(1), RELEASE), runs(Y, ACQUIRE, X)], (1, 0), True,
    ),
    "message passing, an acquire fence that comes too early": (
        [runs(x(1), RELEASE, y(1)), runs(ACQUIRE, Y, X)], (1, 0), True,
    ),
    "message passing, fence and acquire": ([runs(x(1), RELEASE, y(1)), runs(Y_ACQUIRE, X)], (1, 0), False),
    "message passing through a third thread": (
        [runs(x(1)), runs(load_acquire("", "x"), y(1)), runs(Y_ACQUIRE, X)], (1, 1, 0), True,
    ),
    "causality through a third thread": (
        [runs(x(1)), runs(X, Y_RELEASE), runs(Y_ACQUIRE, X)], (1, 1, 0), False,
    ),
    "release sequence through another's read-modify-write": (
        [runs(x(1), Y_RELEASE), runs(update_acq_rel("", "y", lambda v: v + 1)), runs(Y_ACQUIRE, X)], (1, 2, 0), False,
    ),
    "release sequence cut by another's store": ([runs(x(1), Y_RELEASE), runs(y(2)), runs(Y_ACQUIRE, X)], (2, 0), True),
    "store buffering": ([runs(x(1), Y), runs(y(1), X)], (0, 0), True),
    "store buffering, release and acquire": (
        [runs(store_release("", "x", 1), Y_ACQUIRE), runs(Y_RELEASE, load_acquire("", "x"))], (0, 0), True,
    ),
    "store buffering with a barrier in one thread": ([runs(x(1), barrier(), Y), runs(y(1), X)], (0, 0), False),
    "load buffering": ([runs(X, y(1)), runs(Y, x(1))], (1, 1), False),
    "coherence of reads": ([runs(x(1), x(2)), runs(X, X)], (2, 1), False),
    "coherence of a read and an own write": ([runs(x(1), X), runs(x(2))], (0,), False),
    "two writers, their order seen at the end": ([runs(x(1), y(2)), runs(y(1), x(2))], (), True),
    "independent reads of independent writes": (
        [runs(x(1)), runs(y(1)), runs(load_acquire("", "x"), Y), runs(Y_ACQUIRE, X)], (1, 0, 1, 0), True,
    ),
    "two winners of one exchange": (
        [runs(cas_acq_rel("", "x", 0, 1)), runs(cas_acq_rel("", "x", 0, 1))], ((True, 0), (True, 0)), False,
    ),
    "an exchange that fails on an old value": (
        [runs(x(1), x(2)), runs(cas_release("", "x", 0, 3))], ((False, 1),), True,
    ),
    "a store between an exchange and what it read": (
        [runs(cas_release("", "x", 0, 1), X, X), runs(x(2))], ((True, 0), 2, 1), False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", LITMUS)
def test_what_c11_allows_is_seen_and_nothing_else(case: str) -> None:
    programs, outcome, is_allowed = LITMUS[case]
    assert (outcome in outcomes(*programs)) is is_allowed


def test_stores_of_two_threads_may_end_in_any_order_that_coherence_allows() -> None:
    ends = set()
    scenario = Scenario(
        {"x": 0, "y": 0},
        [runs(x(1), y(2)), runs(y(1), x(2))],
        at_rest=lambda values, _: ends.add((values["x"], values["y"])),
    )
    Explorer(scenario).explore()
    assert ends == {(1, 1), (1, 2), (2, 1), (2, 2)}


def test_a_mortal_thread_may_stop_anywhere_and_its_death_shows_what_it_did() -> None:
    asked = runs(is_dead(0), X, Y)
    seen = outcomes(runs(x(1), y(1)), asked, mortal=frozenset({0}))
    dead = {outcome[-2:] for outcome in seen if outcome[-3] is True}
    assert dead == {(0, 0), (1, 0), (1, 1)}
    assert {(0, 1), (1, 1)} <= {outcome[-2:] for outcome in seen if outcome[-3] is False}


@pytest.mark.parametrize("mortal", [(), (0,)])
def test_only_the_death_of_its_holder_frees_a_lock_that_is_never_released(mortal: tuple[int, ...]) -> None:
    locations = {"x": 0, "lock": FREE}
    seen = outcomes(
        runs(lock("lock"), x(1)),
        runs(lock("lock")),
        locations=locations,
        locks=frozenset({"lock"}),
        mortal=frozenset(mortal),
    )
    assert {(True, False), (False, True)} <= seen
    assert ((True, True) in seen) is ((None, True) in seen) is bool(mortal)


def test_an_old_answer_about_a_lock_is_possible_but_not_for_who_knows_better() -> None:
    locations = {"x": 0, "y": 0, "lock": FREE}
    asks = runs(load_acquire("", "x"), is_locked("lock"))
    seen = outcomes(runs(lock("lock"), store_release("", "x", 1)), asks, locations=locations)
    assert {outcome[-2:] for outcome in seen} == {(0, False), (0, True), (1, True)}


@pytest.mark.parametrize(("mortal", "reasons"), [((), {"changed", "woken"}), ((0,), {"changed", "woken", "nap"})])
def test_who_sleeps_is_woken_unless_the_waker_dies(mortal: tuple[int, ...], reasons: set[str]) -> None:
    seen = outcomes(runs(x(1), wake("x")), runs(sleep("x", 0)), mortal=frozenset(mortal))
    assert {outcome[-1] for outcome in seen} == reasons


def test_who_sleeps_on_what_nobody_changes_sleeps_for_ever() -> None:
    assert outcomes(runs(y(1)), runs(sleep("x", 0))) == {("never",)}


def test_a_result_goes_straight_into_a_variable() -> None:
    """What lies on a frame's stack is not seen; two histories would be taken for one state."""
    import ast
    from pathlib import Path

    for path in (Path(__file__).parent / "models").glob("*.py"):
        tree = ast.parse(path.read_text())
        plain = (ast.Assign, ast.Expr, ast.Return)
        direct = {id(node.value) for node in ast.walk(tree) if isinstance(node, plain)}
        hidden = [n.lineno for n in ast.walk(tree) if isinstance(n, ast.Yield | ast.YieldFrom) and id(n) not in direct]
        assert hidden == [], path.name
