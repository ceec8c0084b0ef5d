"""The core's protocols are right under C11, not only on strongly ordered processors, and each of their rules is needed.

Every protocol is a model that the explorer visits exhaustively. A mutant breaks one rule of it (a class of the model's
file), or takes an acquire or release from one operation; each must be caught. The models bear the labels of the C
source, and spell the same operations there.
"""

import re
from collections.abc import Callable
from functools import cache
from types import ModuleType

import pytest

from tests.core.conftest import CORE
from tests.core.explorer import Explorer, Found
from tests.core.models import (
    cell_rules,
    exemplars,
    history,
    node_rules,
    process,
    ring_rules,
    stream_rules,
    summary,
    table,
    totals,
    waiting,
)
from tests.core.operations import CAS, FENCE, LOAD, STORE, Operation, Scenario
from tests.core.side_by_side import in_processes

MODELS = {
    "ring": ring_rules,
    "totals": totals,
    "summary": summary,
    "process": process,
    "table": table,
    "history": history,
    "waiting": waiting,
    "nodes": node_rules,
    "cells": cell_rules,
    "exemplars": exemplars,
    "streams": stream_rules,
}
SOURCES = [*CORE.rglob("*.[ch]"), *(CORE.parent / "binding").rglob("*.c")]
ATOMICS = re.compile(r"\b((?:load|store|cas|add|or|fence)_(?:relaxed|acquire|release|acq_rel))")
LABEL = re.compile(r"\b[a-z_]+:[a-z_]+\b")


@cache
def explored(model: str) -> tuple[dict[str, Found], dict[str, Operation]]:
    """What the scenarios of a model gave, and the operation of each label in it."""

    def explore(scenario: Scenario) -> tuple[Found, dict[str, Operation]]:
        explorer = Explorer(scenario)
        done = explorer.explore()
        # What an operation writes may be a function, which cannot be sent, and is not looked at.
        return done, {label: met._replace(location=None, values=()) for label, met in explorer.labels.items() if label}

    scenarios = MODELS[model].scenarios()
    results = in_processes([lambda scenario=scenario: explore(scenario) for scenario in scenarios.values()])
    labels = {label: operation for _, each in results for label, operation in each.items()}
    return {name: done for name, (done, _) in zip(scenarios, results, strict=True)}, labels


def weakened(names: str) -> dict[str, list[str]]:
    """From "label order, label order" to the explorer's form."""
    return {label: [order] for label, order in (name.split() for name in names.split(", "))}


def mutants(module: ModuleType) -> dict[str, Callable[[], Found]]:
    """How to explore each mutant of a model: by its rule, or by what its operations lose."""
    made = {}
    for mutant, scenario in module.BROKEN.items():
        made[mutant.__doc__] = Explorer(module.scenarios(mutant)[scenario]).explore
    for names, scenario in module.WEAKER.items():
        made[f"without {names}"] = Explorer(module.scenarios()[scenario], weakened(names)).explore
    return made


def spelled(operation: Operation) -> str:
    """An operation as atomics.h names it."""
    orders = {(False, False): "relaxed", (True, False): "acquire", (False, True): "release", (True, True): "acq_rel"}
    order = orders[operation.acquire, operation.release]
    names = {LOAD: "load", STORE: "store", CAS: "cas", FENCE: "fence"}
    return f"{names.get(operation.kind, 'add' if order == 'relaxed' else 'or')}_{order}"


def labels_in_c() -> dict[str, list[str]]:
    """The lines that bear each label. In a header only lines of code count; its tables of pairs speak about them."""
    found: dict[str, list[str]] = {}
    for path in SOURCES:
        for line in path.read_text().splitlines():
            code, _, comment = line.partition("/*")
            if path.suffix == ".c" or code.strip(" *"):
                for label in LABEL.findall(comment):
                    found.setdefault(label, []).append(line)
    return found


@pytest.mark.parametrize("model", MODELS)
def test_a_protocol_holds_in_every_execution(model: str, scorecard: Callable[..., None]) -> None:
    found, _ = explored(model)
    print(*(f"{model}, {name}: {scenario.states:,} states" for name, scenario in found.items()), sep="\n")
    for name, scenario in found.items():
        assert not scenario.violation, "\n  ".join((f"{name}: {scenario.violation}", *scenario.steps))
    scorecard(
        10, model=model, scenarios=len(found), states=sum(scenario.states for scenario in found.values()), violations=0
    )


@pytest.mark.parametrize("model", MODELS)
def test_every_broken_rule_is_caught(model: str, scorecard: Callable[..., None]) -> None:
    broken = mutants(MODELS[model])
    results = in_processes(list(broken.values()))
    caught = {rule: done.violation for rule, done in zip(broken, results, strict=True)}
    print(*(f"{model}: {rule} {what or 'SURVIVED'}" for rule, what in caught.items()), sep="\n")
    score = sum(map(bool, caught.values()))
    print(f"{model}: {score} of {len(caught)} mutants caught, {100 * score // len(caught)} %")
    scorecard(10, model=model, mutants_caught=score, mutants_survived=len(caught) - score)
    assert [rule for rule, what in caught.items() if not what] == []


def test_every_order_has_its_mutant_or_is_known_to_buy_nothing() -> None:
    orders = {
        f"{label} {order}"
        for model in MODELS
        for label, operation in explored(model)[1].items()
        for order in ("acquire", "release")
        if getattr(operation, order)
    }
    needed = {name for module in MODELS.values() for names in module.WEAKER for name in names.split(", ")}
    superfluous = {name for module in MODELS.values() for name in module.SUPERFLUOUS}
    assert sorted(orders ^ (needed | superfluous)) == []


def test_the_models_bear_the_labels_of_the_source() -> None:
    modelled = {label for model in MODELS for label in explored(model)[1]}
    assert sorted(modelled ^ labels_in_c().keys()) == []


def test_the_tables_of_pairs_speak_of_labels_that_are_there() -> None:
    headers = "".join(path.read_text() for path in CORE.rglob("*.h"))
    spoken = set(LABEL.findall(" ".join(re.findall(r"/\*.*?\*/", headers, re.DOTALL)))) - {"function:what"}
    assert sorted(spoken - labels_in_c().keys()) == []


def test_the_models_spell_the_operations_of_the_source() -> None:
    lines = labels_in_c()
    other = []
    for model in MODELS:
        for label, operation in explored(model)[1].items():
            there = set(ATOMICS.findall(" ".join(lines.get(label, ()))))
            if there and spelled(operation) not in there:
                other.append(f"{label} is {sorted(there)} in the source and {spelled(operation)} in the model")
    assert other == []
