"""Rates of series: by a clock, from one look to the next. The series are of a segment that is attached for reading."""

from collections.abc import Iterator

import pytest

from shmstore import _core
from shmstore.errors import ReadOnlyStore
from shmstore.metrics.declaration import Declaration
from shmstore.segments import handle, segment
from shmstore.segments.handle import Handle
from shmstore.survey.series import SeriesMeter
from tests.helpers.segments import METRICS


class Series(_core.Series):
    """A metric in a place of the test's own."""

    def __init__(self, home: _core.Metrics, declared: Declaration) -> None:
        key = declared.name.encode()
        text = declared.packed(key, declared.mode, "default")
        found = home.declare(text, len(key))
        assert found is not None
        self._declare(home, text, len(key), found[0], 9 * (declared.kind == "gauge"), declared.buckets, 0)
        assert self._become(self, b"", ())


@pytest.fixture
def metrics(name: str) -> Iterator[Handle]:
    with Handle(segment.create(name, (), METRICS)) as metrics:
        yield metrics
        segment.unlink(name)


@pytest.fixture
def looking(metrics: Handle) -> Iterator[Handle]:
    with handle.attach(metrics.name, kind="metrics", read_only=True) as looking:
        yield looking


def test_what_rises_has_a_rate_and_what_may_fall_has_none(metrics: Handle, looking: Handle) -> None:
    home = _core.Metrics(metrics.core)
    hits = Series(home, Declaration("counter", "hits", "H"))
    heat = Series(home, Declaration("gauge", "heat", "H", mode="mostrecent"))
    hits._put(10.0)
    heat._put(3.0)
    moments = iter([100.0, 102.0, 103.0])
    meter = SeriesMeter(looking, None, clock=lambda: next(moments))
    assert [row["per_second"] for row in meter.look()] == [None, None]
    hits._put(16.0)
    heat._put(1.0)
    assert [(row["per_second"], row["drawn"]) for row in meter.look()] == [(3.0, [3.0]), (None, [3.0, 1.0])]
    hits._put(2.0)  # as after a removal
    assert [row["drawn"] for row in meter.look()] == [[3.0, 0.0], [3.0, 1.0, 1.0]]


def test_a_declaration_that_cannot_be_read_is_left_out(metrics: Handle, looking: Handle) -> None:
    home = _core.Metrics(metrics.core)
    Series(home, Declaration("counter", "hits", "H"))
    home.declare(b"torn\x01\x01", 4)
    home.declare(b"later\x02\x01\x00\x00", 5)
    assert [row["metric"] for row in SeriesMeter(looking, None).rows()] == ["hits"]


def test_reading_is_all_that_may_be_done(metrics: Handle, looking: Handle) -> None:
    Series(_core.Metrics(metrics.core), Declaration("counter", "hits", "H"))
    home = _core.Metrics(looking.core)
    ((number, word, *_),) = home.series(None)
    ((series, series_word, *_),) = home.series(number)
    with pytest.raises(ReadOnlyStore):
        home.remove(series, series_word)
    with pytest.raises(ReadOnlyStore):
        home.declare(b"x\x01", 1)
    with pytest.raises(ReadOnlyStore):
        _core.Series()._declare(home, b"x\x01", 1, number, 0, (), 0)
    assert home.counts()[2] == 0 and word
