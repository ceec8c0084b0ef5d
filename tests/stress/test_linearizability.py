"""What streams tell processes has one order that explains it, whoever is killed or stands still in the middle."""

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.effort import cases
from tests.helpers.histories import History
from tests.helpers.planted_anomalies import PLANTS, Plant
from tests.helpers.recorded import record
from tests.helpers.segments import may_fork

CALLS = cases(full=500_000, sample=50_000)  # to each store
PLANTED = 28  # errors of each kind

pytestmark = may_fork

SHAPES = pytest.mark.parametrize(
    ("capacity", "partitions"), [(4 * CALLS, 2), (600, 1)], ids=["all is kept", "most is overwritten"]
)


@SHAPES
def test_all_that_processes_are_told_has_one_order(
    name: str, tmp_path: Path, seed: int, scorecard: Callable[..., None], capacity: int, partitions: int
) -> None:
    recording, histories = record(
        name, tmp_path / "notes", random.Random(seed), calls=CALLS, capacity=capacity, partitions=partitions
    )
    calls = sum(len(history.calls) for history in histories)
    assert [anomaly for history in histories for anomaly in history.anomalies()][:5] == []
    assert recording.violations == []
    assert calls > CALLS / 2 and recording.killed and recording.stopped
    scorecard(26, calls=calls, kills=recording.killed, anomalies=0)


@SHAPES
def test_no_planted_error_has(
    name: str, tmp_path: Path, seed: int, scorecard: Callable[..., None], capacity: int, partitions: int
) -> None:
    dice = random.Random(seed)
    _, histories = record(name, tmp_path / "notes", dice, calls=800, capacity=capacity, partitions=partitions)
    planted: Counter[Plant] = Counter()
    for plant in PLANTS:
        for _ in range(20 * PLANTED):
            wrong: History | None = plant(dice.choice(histories), dice)
            if wrong is None:
                continue
            assert wrong.anomalies(), f"{plant.__name__} was not noticed"
            planted[plant] += 1
            if planted[plant] == PLANTED:
                break
    assert [plant.__name__ for plant in PLANTS if not planted[plant]] == []
    scorecard(26, planted=planted.total(), missed=0)
