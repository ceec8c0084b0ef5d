"""What can be plotted - series over time, a bar a group - and its picture on a terminal."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from shmstore.arguments import units
from shmstore.cli.charts.axis import Axis, Ticks, drawable, numbers, times
from shmstore.cli.charts.drawing import clipped
from shmstore.cli.render import Column, Output, Tone, printable

_MOST_LETTERS = 24
_GRAPH_LINES = 8
_LETTERS_A_TICK = 10
_SPARK_TICKS = 9  # none is shown: the more, the closer the ends of the scale are to the values
_LABEL = Column("label", "")


class Series(NamedTuple):
    """Values over time: points of (ns since the Unix epoch, value), None where there is none, a step apart."""

    label: str
    points: tuple[tuple[int, float | None], ...]

    @property
    def values(self) -> list[float | None]:
        """The values alone; None also for what no scale can hold, such as NaN."""
        return [drawable(value) for _, value in self.points]


class Bar(NamedTuple):
    """The value of one group."""

    label: str
    value: float | None


def value_axis(values: Sequence[float | None], most: int, *, zero: bool = False) -> Axis:
    """The scale of values, None left aside; with 0 on it when it is asked for, or when there are none."""
    present = [value for value in map(drawable, values) if value is not None]
    if zero or not present:
        present.append(0)
    return numbers(min(present), max(present), most)


def graph(out: Output, series: Series, width: int, ticks: Ticks = times) -> list[str]:
    """One series as a graph of several lines, with the scale of its values at the left and of its times below.

    When there are more points than columns, the newest are drawn.
    """
    longest = max(len(label) for _, label in value_axis(series.values, _GRAPH_LINES // 2).ticks)
    shown = series.points[-max(width - longest - 1, 1) :]
    values = Series("", shown).values
    axis = value_axis(values, _GRAPH_LINES // 2)
    labels = [""] * _GRAPH_LINES
    for value, label in axis.ticks:
        labels[round((1 - axis.fraction(value)) * (_GRAPH_LINES - 1))] = label
    edge = max(map(len, labels)) + 1
    drawn = out.columns(values, _GRAPH_LINES, axis.low, axis.high)
    lines = [
        f"{out.paint(label.rjust(edge - 1), Tone.FAINT)} {line}".rstrip()
        for label, line in zip(labels, drawn, strict=True)
    ]
    return [*lines, *_below(out, edge, shown, len(series.points), ticks)]


def sparklines(out: Output, group: Sequence[Series], width: int, ticks: Ticks = times) -> list[str]:
    """A line for each series, on a scale of its own: its label, its sparkline, its least, greatest and newest value.

    The series have points at the same times; when there are more than columns, the newest are drawn.
    """
    numbers = [Column(key, key, units.number, right=True) for key in ("min", "max", "last")]
    rows: list[dict[str, Any]] = []
    for series in group:
        present = [value for value in series.values if value is not None]
        extremes = {"min": min(present), "max": max(present), "last": present[-1]} if present else {}
        rows.append({"label": _label(series)} | extremes)
    widths, room = _room(out, rows, numbers, width)
    for row, series in zip(rows, group, strict=True):
        values = series.values[-room:]
        axis = value_axis(values, _SPARK_TICKS)
        (row["drawn"],) = out.columns(values, 1, axis.low, axis.high)
    lines = out.table([_LABEL, Column("drawn", ""), *numbers], rows, widths=widths)
    points = group[0].points if group else ()
    return [*lines, *_below(out, widths["label"] + 2, points[-room:], len(points), ticks)]


def bars(out: Output, group: Sequence[Bar], width: int) -> list[str]:
    """A line for each group: its label, a bar as long as its value is far from 0, and its value with its sign."""
    values = [drawable(bar.value) for bar in group]
    largest = max((abs(value) for value in values if value is not None), default=0) or 1
    number = Column("value", "", units.number, right=True)
    rows: list[dict[str, Any]] = [{"label": _label(bar), "value": bar.value} for bar in group]
    widths, room = _room(out, rows, [number], width)
    for row, value in zip(rows, values, strict=True):
        row["drawn"] = "" if value is None else out.bar(abs(value) / largest, room)
    return out.table([_LABEL, Column("drawn", ""), number], rows, titles=False, widths=widths)


def _label(what: Series | Bar) -> str:
    return clipped(printable(what.label), _MOST_LETTERS)


def _room(out: Output, rows: list[dict[str, Any]], numbers: list[Column], width: int) -> tuple[dict[str, int], int]:
    """The widths of the columns beside what is drawn, and the columns of the terminal that they leave to it."""
    widths: dict[str, int] = {}
    out.table([_LABEL, *numbers], rows, widths=widths)
    return widths, max(width - sum(widths.values()) - 2 * len(widths), 1)


def _below(out: Output, indent: int, shown: Sequence[tuple[int, float | None]], count: int, ticks: Ticks) -> list[str]:
    """Marks at the ticks of times below a column for each point, and a word about points that had no room."""
    marks = ""
    first_ns, last_ns = (shown[0][0], shown[-1][0]) if shown else (0, 0)
    axis = ticks(first_ns, last_ns, max(1, len(shown) // _LETTERS_A_TICK))
    for time_ns, label in axis.ticks if shown else ():
        column = round(axis.fraction(time_ns) * (len(shown) - 1))
        if not marks or len(marks) < column < len(shown) - len(label):
            marks = marks.ljust(column) + f"|{label}"
    lines = [" " * indent + out.paint(marks, Tone.FAINT)] if marks else []
    if len(shown) < count:
        text = f"the newest {units.count(len(shown))} of {units.count(count)} points; the others have no room"
        lines.append(out.paint(text, Tone.FAINT))
    return lines
