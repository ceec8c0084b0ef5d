"""What a strict type checker knows of series.

Every `type: ignore` here is a mistake that must be found: mypy --strict reports an ignore that has nothing to ignore.
"""

from datetime import timedelta
from typing import assert_type

import shmstore
from shmstore import EventStore, GroupBy, Query, Series, Snapshot, Summary, Table
from shmstore.events.series import Point


def make() -> None:
    assert_type(shmstore.series("sensors"), Series)
    assert_type(shmstore.series("sensors", 10, layout="rows", keys=5), Series)
    assert_type(shmstore.series("sensors", on_discarded=lambda point: print(point.value + 1)), Series)


def add(series: Series) -> None:
    assert_type(series.add("roof", 20.5), int)
    assert_type(series.add("roof", 20.5, 5), int)
    assert_type(series.add_many("roof", [20.5, 21.0]), int)
    assert_type(series.store, EventStore[Point])


def ask(series: Series) -> None:
    assert_type(series.mean("roof", since=timedelta(minutes=1)), float | None)
    assert_type(series.quantiles("roof", [0.5]), list[int | float | None])
    assert_type(series.summary(), Summary)
    assert_type(series.latest("roof"), Point | None)
    assert_type(series.values("roof"), Query[Point])
    assert_type([(point.key, point.value) for point in series.values("roof")], list[tuple[str, float]])
    assert_type(series.snapshot(), Snapshot[Point])
    assert_type(series.group(), GroupBy)
    assert_type(series.top(5, "mean"), Table)


def mistakes(series: Series) -> None:
    shmstore.series("sensors", capacity=10, layout="diagonal")  # type: ignore[arg-type]
    series.add("roof", "hot")  # type: ignore[arg-type]
    series.add(key="roof", value=1.0)  # type: ignore[call-arg]
    series.latest()  # type: ignore[call-arg]
    series.top(5, by="colour")  # type: ignore[arg-type]
    series.mean("roof", sinse=5)  # type: ignore[call-arg]
