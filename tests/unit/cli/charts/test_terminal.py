"""Charts on a terminal: what is drawn for known values, and that nothing is drawn for what is not there."""

import io
import math
import time
from collections.abc import Iterator

import pytest

from shmstore.cli.charts.terminal import Bar, Series, bars, graph, sparklines, value_axis
from shmstore.cli.render import Output

START_NS = 1_741_170_000 * 10**9  # 2025-03-05T10:20:00Z


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def out() -> Output:
    return Output(stream=io.StringIO())


def series(label: str, *values: float | None) -> Series:
    return Series(label, tuple((START_NS + second * 10**9, value) for second, value in enumerate(values)))


def test_a_graph_has_scales_and_gaps(out: Output) -> None:
    assert graph(out, series("", 0, 1, 2, 3, None, math.nan, 6, 7, 8, 8), 40) == [
        "10",
        "           ▄▄",
        "          ▅██",
        "         ▇███",
        " 5       ████",
        "      ▄  ████",
        "     ▅█  ████",
        " 0 ▁▇██  ████",
        "   |10:20:00",
    ]


def test_a_graph_shows_the_newest_points_and_round_times(out: Output) -> None:
    *lines, ruler, left_out = graph(out, series("", *range(100)), 53)
    assert [len(line) for line in lines] == [53] * len(lines) and lines[0].startswith("100 ")
    assert ruler == " " * (len("100 ") + 9) + "      ".join(("|10:21:00", "|10:21:15", "|10:21:30"))
    assert left_out == "the newest 49 of 100 points; the others have no room"


def test_a_sparkline_has_a_scale_of_its_own_and_gaps(out: Output) -> None:
    group = [series("gw-1", 0, 1, None, 3, 8), series("gw-2", *[1e6] * 5), series("none", *[None] * 5)]
    assert sparklines(out, group, 60) == [
        "                   min        max       last",
        "gw-1  ▁▂ ▄█          0          8          8",
        "gw-2  █████  1,000,000  1,000,000  1,000,000",
        "none                 -          -          -",
        "      |10:20:00",
    ]


def test_sparklines_fit_the_width(out: Output) -> None:
    for width in (40, 70, 120):
        group = [series("a", *range(200)), series("漢字 and more", *range(-100, 100))]
        lines = sparklines(out, group, width)
        assert len(lines[1]) == width and len(lines[2]) == width - len("漢字")
        assert lines[1].split()[1][-1] == "█"


def test_bars_are_as_long_as_values_are_far_from_0(out: Output) -> None:
    group = [Bar("gw-1", 8), Bar("minus", -4.5), Bar("none", None), Bar("nan", math.nan), Bar("zero", 0)]
    assert bars(out, group, 29) == [
        "gw-1   ████████████████     8",
        "minus  █████████░░░░░░░  -4.5",
        "none                        -",
        "nan                       nan",
        "zero   ░░░░░░░░░░░░░░░░     0",
    ]


def test_labels_are_cut_and_harmless(out: Output) -> None:
    (line,) = bars(out, [Bar("\x1b[2J" + "x" * 64, 1)], 60)
    assert line.startswith("\\x1b[2J" + "x" * 16 + "…  █")
    assert sparklines(out, [series("\x1b[2J" + "x" * 64, 1)], 60)[1].startswith("\\x1b[2J" + "x" * 16 + "…  █")


def test_nothing_has_a_picture_too(out: Output) -> None:
    assert (bars(out, [], 30), len(graph(out, series(""), 30)), len(sparklines(out, [], 30))) == ([], 8, 1)


def test_an_axis_of_values_leaves_aside_what_is_none(out: Output) -> None:
    assert value_axis([None, math.inf, 5.0, 7.0], 5)[:2] == (5, 7)
    assert value_axis([None, 5.0, 7.0], 5, zero=True)[:2] == (0, 8)
    assert value_axis([], 5)[:2] == (0, 1)
