"""`plot`: one figure over time, or by group, drawn on the terminal or into a file."""

import argparse
import shutil
from collections.abc import Iterable, Sequence
from datetime import UTC, tzinfo
from typing import Any

from shmstore.arguments import units
from shmstore.arguments.calendars import is_calendar_unit
from shmstore.cli import question
from shmstore.cli.charts.axis import calendar, times, unit_label
from shmstore.cli.charts.drawing import SERIES_COLORS, Drawing
from shmstore.cli.charts.figure import LEAST_HEIGHT, LEAST_WIDTH, bar_chart, line_chart
from shmstore.cli.charts.measure import Asked, Curves, by_group, over_time
from shmstore.cli.charts.png import png
from shmstore.cli.charts.svg import svg
from shmstore.cli.charts.terminal import Bar, Series, bars, graph, sparklines
from shmstore.cli.exits import OK
from shmstore.cli.files import replace
from shmstore.cli.records import Printer, Shown
from shmstore.cli.render import Mode, Output, Tone
from shmstore.cli.survey import look
from shmstore.errors import InvalidOption

HELP = "draw counts or values over time, or by group, on the terminal or into a PNG or SVG file"
EXAMPLES = (
    "plot orders",
    "plot orders --value value --by gateway --since 10m",
    "plot orders --value value --by gateway --what sum --bars",
    "plot orders --value value --every 1s --png orders.png",
    "plot orders --every day --zone Europe/Berlin",
)

_WIDTH, _HEIGHT = 960, 480
_LARGEST = 4096
_PIXELS_A_POINT, _PIXELS_A_BAR, _ABOVE_BARS = 4, 28, 110
_BESIDE_GRAPH, _BESIDE_SPARKLINES = 10, 44  # columns of a terminal that labels and figures take, about
_NOTHING = "no record matches: there is nothing to draw"


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own arguments."""
    parser.add_argument("name", help="the store")
    question.declare(parser)
    question.declare_value(
        parser,
        value="the field that is drawn (default: how many records there are)",
        by="a line, or bar, for each value of this field",
        every="a point for each window of time, {} (default: as many as fit)",
    )
    parser.add_argument("--what", choices=question.FIGURES, help="which figure of the value (default: mean)")
    parser.add_argument("--limit", type=units.whole, default=8, metavar="N", help="the N greatest groups (default: 8)")
    parser.add_argument("--bars", action="store_true", help="a bar for each group, all times together")
    file = parser.add_mutually_exclusive_group()
    file.add_argument("--png", metavar="FILE", help="draw into this file, which is replaced")
    file.add_argument("--svg", metavar="FILE", help="draw into this file; it is light or dark as its reader prefers")
    parser.add_argument(
        "--width", type=units.whole, metavar="N", help="width of the file in pixels, or of the picture in columns"
    )
    parser.add_argument("--height", type=units.whole, metavar="N", help="height of the file in pixels")


def run(args: argparse.Namespace, out: Output) -> int:
    """Ask for the figure, then draw it."""
    _refuse_contradictions(args)
    zone = question.zone(args)
    args.what = args.what or ("count" if args.value is None else "mean")
    with look(args.name) as store:
        chosen = question.selection(args, store.schema)
        question.warn_of_discarded(store, chosen, out)
        asked = Asked(args.value, args.what, args.by, args.limit, chosen)
        if args.bars:
            found, groups = by_group(store, asked)
            _draw_bars(found, args, out)
        else:
            curves, groups = over_time(store, asked, args.every, zone, _most_points(args))
            _draw_lines(curves, zone, args, out)
    if groups > args.limit and args.by:
        out.message(f"{args.limit} of {units.count(groups)} groups are drawn, those with most; --limit is for more")
    return OK


def _refuse_contradictions(args: argparse.Namespace) -> None:
    """Raises InvalidOption for arguments that have no meaning together, or cannot be drawn."""
    file = args.png or args.svg
    width, height = args.width or _WIDTH, args.height or _HEIGHT
    drawn = LEAST_WIDTH <= width <= _LARGEST and LEAST_HEIGHT <= height <= _LARGEST
    for wrong, message in (
        (args.what not in (None, "count") and args.value is None, f"--what {args.what} needs --value: of which field"),
        (args.bars and args.by is None, "--bars draws a bar for each group; give --by too"),
        (args.bars and args.every is not None, "--every is for lines over time; leave --bars or --every out"),
        (args.limit < 1, "--limit is 0; draw 1 group or more"),
        (args.height is not None and not file, "--height is of a file; give --png or --svg too"),
        (
            file and not drawn,
            f"a picture of {width} x {height} cannot be drawn; "
            f"give {LEAST_WIDTH} x {LEAST_HEIGHT} to {_LARGEST} x {_LARGEST}",
        ),
        (
            file and args.by and not args.bars and args.limit > SERIES_COLORS,
            f"--limit is {args.limit}, but a file has {SERIES_COLORS} colours for lines; use --bars or the terminal",
        ),
    ):
        if wrong:
            raise InvalidOption(message)


def _most_points(args: argparse.Namespace) -> int:
    """How many points fit, about."""
    if args.png or args.svg:
        return int(args.width or _WIDTH) // _PIXELS_A_POINT
    return _columns(args) - (_BESIDE_GRAPH if args.by is None else _BESIDE_SPARKLINES)


def _draw_bars(found: list[tuple[Any, Any]], args: argparse.Namespace, out: Output) -> None:
    if not found:
        out.message(_NOTHING)
        return
    if out.mode is not Mode.PEOPLE and not (args.png or args.svg):
        _print_rows(found, (args.by, args.what), out)
        return
    group = [Bar(str(each), figure) for each, figure in found]
    note = f"where {args.where}" if args.where else ""
    if args.png or args.svg:
        height = args.height or min(max(LEAST_HEIGHT, _ABOVE_BARS + _PIXELS_A_BAR * len(group)), _LARGEST)
        _save(bar_chart(_title(args), note, group, args.width or _WIDTH, height), args, out)
    else:
        out.write(
            [_title(args), *([out.paint(note, Tone.FAINT)] if note else []), "", *bars(out, group, _columns(args))]
        )


def _draw_lines(curves: Curves, zone: tzinfo | None, args: argparse.Namespace, out: Output) -> None:
    if not curves.starts:
        out.message(_NOTHING)
        return
    if out.mode is not Mode.PEOPLE and not (args.png or args.svg):
        rows = ((each, units.iso(at, zone), figure) for each in curves.groups for at, figure in curves.points(each))
        names = (args.by, "start", args.what)
        _print_rows(rows if args.by else (row[1:] for row in rows), names if args.by else names[1:], out)
        return
    group = [Series("" if each is None else str(each), curves.points(each)) for each in curves.groups]
    if is_calendar_unit(curves.every):
        unit, whose = curves.every, zone or UTC
        first, last = (unit_label(at, unit, whose) for at in (curves.starts[0], curves.starts[-1]))
        each, ticks = f"{unit} of {args.zone or 'UTC'}", calendar(unit, whose)
    else:
        first, last = units.local(curves.starts[0]), units.local(curves.end_ns)
        each, ticks = curves.every, times
    note = f"each {each}, {first} – {last}" + (f", where {args.where}" if args.where else "")
    if args.png or args.svg:
        _save(line_chart(_title(args), note, group, args.width or _WIDTH, args.height or _HEIGHT, ticks), args, out)
    else:
        columns = _columns(args)
        picture = graph(out, group[0], columns, ticks) if args.by is None else sparklines(out, group, columns, ticks)
        out.write([_title(args), out.paint(note, Tone.FAINT), "", *picture])


def _print_rows(rows: Iterable[Sequence[Any]], names: Sequence[str], out: Output) -> None:
    shown = [Shown(place, name, is_time=False, right=False, text=str) for place, name in enumerate(names)]
    Printer(shown, out).print(rows)


def _title(args: argparse.Namespace) -> str:
    figure = "records" if args.what == "count" else f"{args.what} of {args.value}"
    return f"{args.name}: {figure}" + (f" by {args.by}" if args.by else "")


def _columns(args: argparse.Namespace) -> int:
    """How wide the picture on a terminal is."""
    return args.width or shutil.get_terminal_size().columns


def _save(drawing: Drawing, args: argparse.Namespace, out: Output) -> None:
    path: str = args.png or args.svg
    replace(path, png(drawing) if args.png else svg(drawing).encode("utf-8"))
    out.message(f"wrote {path}: {drawing.title}, {drawing.width} x {drawing.height}")
