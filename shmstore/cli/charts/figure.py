"""Lays charts out as drawings: lines over time, or a bar a group, with title, axes and legend."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from shmstore.arguments import units
from shmstore.cli.charts.axis import Axis, Ticks, drawable, times
from shmstore.cli.charts.drawing import Drawing, Line, Rectangle, Shape, Text, clipped, series_color, text_width
from shmstore.cli.charts.terminal import Bar, Series, value_axis
from shmstore.cli.render import printable
from shmstore.errors import InvalidOption

LEAST_WIDTH, LEAST_HEIGHT = 240, 200
"""In points; a smaller chart has no room for its axes."""

_MARGIN = 20.0
_LEAST_PLOT = 40.0
_TITLE, _SMALL = 17.0, 13.0
_LINE = 20.0  # from one line of small text to the next
_PEN = 1.8
_MOST_LETTERS = 24
_POINTS_A_TIME, _POINTS_A_VALUE, _POINTS_A_ROW = 120, 90, 45


class _Plot(NamedTuple):
    """Where the values are drawn, in points."""

    left: float
    top: float
    right: float
    bottom: float

    def x(self, axis: Axis, value: float) -> float:
        """Where a value of a horizontal axis lies."""
        return self.left + axis.fraction(value) * (self.right - self.left)

    def y(self, axis: Axis, value: float) -> float:
        """Where a value of a vertical axis lies."""
        return self.bottom - axis.fraction(value) * (self.bottom - self.top)


def line_chart(
    title: str, note: str, group: Sequence[Series], width: int, height: int, ticks: Ticks = times
) -> Drawing:
    """A line for each series over a common scale of times and values, broken where there is no value; with a legend
    when there are several. Raises InvalidOption when that leaves no room.
    """
    legend, below = _legend([printable(series.label) for series in group] if len(group) > 1 else [], _top(note), width)
    lower = height - _MARGIN - _LINE
    if lower - below < _LEAST_PLOT:
        raise InvalidOption(
            f"the legend of {len(group)} series leaves no room for a chart in {width} x {height}; give it more height"
        )
    values = value_axis([v for series in group for v in series.values], max(3, int((lower - below) / _POINTS_A_ROW)))
    edge = max(text_width(label, _SMALL) for _, label in values.ticks)
    plot = _Plot(_MARGIN + edge + 8, below, width - _MARGIN, lower)
    moments = [time_ns for series in group for time_ns, _ in series.points] or [0]
    across = ticks(min(moments), max(moments), max(1, int((plot.right - plot.left) / _POINTS_A_TIME)))
    shapes = [*_titles(title, note, width), *legend, *_value_ticks(plot, values), *_time_ticks(plot, across)]
    for number, series in enumerate(group):
        shapes += _curve(plot, across, values, series, series_color(number))
    return Drawing(width, height, printable(title), tuple(shapes))


def bar_chart(title: str, note: str, group: Sequence[Bar], width: int, height: int) -> Drawing:
    """A horizontal bar for each group, from 0 to its value, with the value beside it."""
    labels = [clipped(printable(bar.label), _MOST_LETTERS) for bar in group]
    told = ["-" if bar.value is None else units.number(bar.value) for bar in group]
    before, after = (max((text_width(text, _SMALL) for text in texts), default=0.0) for texts in (labels, told))
    plot = _Plot(_MARGIN + before + 8, _top(note), width - _MARGIN - after - 8, height - _MARGIN - _LINE)
    most = max(3, int((plot.right - plot.left) / _POINTS_A_VALUE))
    axis = value_axis([bar.value for bar in group], most, zero=True)
    shapes = list(_titles(title, note, width))
    for value, label in axis.ticks:
        x = _crisp(plot.x(axis, value))
        shapes.append(Line(((x, plot.top), (x, plot.bottom)), "grid", 1))
        shapes.append(Text(x, plot.bottom + _LINE, label, "faint", _SMALL, "middle"))
    zero = plot.x(axis, 0)
    room = (plot.bottom - plot.top) / max(len(group), 1)
    for row, bar in enumerate(group):
        middle = plot.top + (row + 0.5) * room
        baseline = middle + _SMALL / 3
        shapes.append(Text(plot.left - 8, baseline, labels[row], "ink", _SMALL, "end"))
        shapes.append(Text(width - _MARGIN, baseline, told[row], "ink", _SMALL, "end"))
        left, right = sorted((zero, plot.x(axis, drawable(bar.value) or 0)))
        shapes.append(Rectangle(left, middle - room * 0.35, right - left, room * 0.7, series_color(0)))
    shapes.append(Line(((_crisp(zero), plot.top), (_crisp(zero), plot.bottom)), "faint", 1))
    return Drawing(width, height, printable(title), tuple(shapes))


def _top(note: str) -> float:
    """Where there is room below the titles."""
    return _MARGIN + _TITLE + (_LINE if note else 0.0) + 12


def _titles(title: str, note: str, width: int) -> Iterator[Shape]:
    for text, size, color, y in ((title, _TITLE, "ink", _TITLE), (note, _SMALL, "faint", _TITLE + _LINE)):
        letters = int((width - 2 * _MARGIN) / text_width("m", size))
        yield Text(_MARGIN, _MARGIN + y - 3, clipped(printable(text), letters), color, size)


def _legend(labels: Sequence[str], top: float, width: int) -> tuple[list[Shape], float]:
    """A swatch and a label for each series, as many in a line as fit; and where there is room below them."""
    shapes: list[Shape] = []
    x, y = _MARGIN, top
    for number, label in enumerate(clipped(label, _MOST_LETTERS) for label in labels):
        length = 16 + text_width(label, _SMALL)
        if x > _MARGIN and x + length > width - _MARGIN:
            x, y = _MARGIN, y + _LINE
        shapes.append(Rectangle(x, y - 4, 10, 10, series_color(number)))
        shapes.append(Text(x + 16, y + 5, label, "ink", _SMALL))
        x += length + 20
    return shapes, y + _LINE + 6 if labels else top


def _value_ticks(plot: _Plot, axis: Axis) -> Iterator[Shape]:
    for value, label in axis.ticks:
        y = _crisp(plot.y(axis, value))
        yield Line(((plot.left, y), (plot.right, y)), "grid", 1)
        yield Text(plot.left - 8, y + _SMALL / 3, label, "faint", _SMALL, "end")


def _time_ticks(plot: _Plot, axis: Axis) -> Iterator[Shape]:
    for time_ns, label in axis.ticks:
        x = _crisp(plot.x(axis, time_ns))
        yield Line(((x, plot.bottom), (x, plot.bottom + 5)), "faint", 1)
        half = text_width(label, _SMALL) / 2
        within = min(max(x, plot.left + half), plot.right - half)
        yield Text(within, plot.bottom + _LINE, label, "faint", _SMALL, "middle")


def _curve(plot: _Plot, across: Axis, up: Axis, series: Series, color: str) -> Iterator[Shape]:
    moments = (time_ns for time_ns, _ in series.points)
    for present, run in groupby(zip(moments, series.values, strict=True), lambda point: point[1] is not None):
        if present:
            points = tuple((plot.x(across, at), plot.y(up, value)) for at, value in run if value is not None)
            yield Line(points, color, _PEN) if len(points) > 1 else Line(points * 2, color, 2 * _PEN)


def _crisp(place: float) -> float:
    """The middle of a pixel: a line one pixel wide is sharp there."""
    return int(place) + 0.5
