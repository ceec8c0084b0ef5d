"""`metrics`: the series of a metrics segment with their values; live, with rates; or as Prometheus scrapes them."""

import argparse
import itertools
import time
from typing import Any

from shmstore.arguments import units
from shmstore.cli.exits import OK, UNHEALTHY
from shmstore.cli.render import Column, Mode, Output, Tone, printable
from shmstore.cli.survey import look_at_metrics
from shmstore.errors import InvalidOption
from shmstore.segments.handle import Handle
from shmstore.survey.series import SeriesMeter

HELP = "list the series of metrics with their values, live with --watch, or as Prometheus scrapes them"
EXAMPLES = ("metrics web", "metrics web http_requests --watch", "metrics web --top 10", "metrics web --prometheus")

_FIRST_LOOK_S = 0.25
_SPARK_WIDTH = 30
_NOTHING = "there are no series yet"
_NOTHING_READABLE = "no series can be read"
_WATCH = "1s"
_BEGINS_TIME = "0123456789.+"  # what a time begins with: no name of a metric, and hardly one of a segment


def _labels(labels: dict[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in labels.items())


def _value(value: float | str) -> str:
    return value if isinstance(value, str) else units.number(value)


_COLUMNS = (
    Column("metric", "metric"),
    Column("type", "type"),
    Column("labels", "labels", _labels),
    Column("value", "value", _value, right=True),
    Column("sum", "sum", units.number, right=True),
)
_RATE_COLUMN = Column("per_second", "rate", units.rate, right=True)


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own arguments."""
    parser.usage = (
        "%(prog)s [-h] [--json | --plain] [--no-color] NAME [METRIC] [--top N]\n"
        "       [--watch [TIME] [--count N] | --prometheus]"
    )
    parser.add_argument("name", metavar="NAME", help="the segment of metrics")
    parser.add_argument("metric", nargs="?", metavar="METRIC", help="only this one (default: all)")
    parser.add_argument("--top", type=units.some, metavar="N", help="only the N series that rise fastest")
    parser.add_argument("--count", type=units.whole, metavar="N", help="how many looks (default: until interrupted)")
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--watch",
        nargs="?",
        type=units.seconds,
        const=units.seconds(_WATCH),
        metavar="TIME",
        help=f"look again and again, with rates, after this time (default: {_WATCH})",
    )
    how.add_argument("--prometheus", action="store_true", help="print what a scrape gets, as text 0.0.4")


def arranged(words: list[str]) -> list[str]:
    """These arguments, with the time that is meant behind a --watch that none follows, as in `metrics --watch web`."""
    told = []
    for word, following in itertools.zip_longest(words, words[1:], fillvalue=""):
        is_bare = word == "--watch" and following[:1] not in _BEGINS_TIME
        told.append(f"--watch={_WATCH}" if is_bare else word)
    return told


def run(args: argparse.Namespace, out: Output) -> int:
    """Print the series once, or a frame a look until the count is reached or the segment is unlinked.

    Of damaged ones, what can be read.
    """
    if args.prometheus and (args.top is not None or args.count is not None or out.mode is not Mode.PEOPLE):
        raise InvalidOption("--prometheus prints what a scrape gets, whole; leave out --top, --count, --json, --plain")
    if args.count is not None and args.watch is None:
        raise InvalidOption("--count is how many looks --watch takes; give --watch as well")
    with look_at_metrics(args.name) as segment:
        damage = _Damage(segment, out)
        try:
            _show(args, segment, damage, out)
        except InvalidOption as error:
            if not damage.is_found:
                raise
            out.message(str(error))  # of a metric that may only not be readable
    return UNHEALTHY if damage.is_found else OK


class _Damage:
    """Tells once of damage, as `check` finds it."""

    def __init__(self, segment: Handle, out: Output) -> None:
        self._segment, self._out = segment, out
        self.is_found = False
        self.look()

    def look(self) -> None:
        """Look whether there is any, twice: others may just have been changing what looks wrong."""
        if not self.is_found and self._segment.check() and (findings := self._segment.check()):
            self.is_found = True
            name = self._segment.name
            self._out.message(
                f"metrics {name!r} are damaged: {findings[0]}; this is what can be read (shmstore-inspect check {name} "
                "has all findings)"
            )


def _show(args: argparse.Namespace, segment: Handle, damage: _Damage, out: Output) -> None:
    meter = SeriesMeter(segment, args.metric)
    nothing = _NOTHING_READABLE if damage.is_found else _NOTHING
    if args.prometheus:
        exposition = meter.exposition()
        if out.on_terminal:
            out.write(map(printable, exposition.split("\n")[:-1]))
        else:
            out.exact(exposition)
    elif args.watch is not None:
        _watch(args, segment, meter, damage, out)
    elif args.top is not None:
        meter.look()
        time.sleep(1)
        out.rows((*_COLUMNS, _RATE_COLUMN), _told(_fastest(meter.look(), args.top)), nothing)
    else:
        out.rows(_COLUMNS, meter.rows(), nothing)


def _watch(args: argparse.Namespace, segment: Handle, meter: SeriesMeter, damage: _Damage, out: Output) -> None:
    meter.look()
    wait_s = min(_FIRST_LOOK_S, args.watch)  # a first look and a second give the first frame its rates
    with out.live() as show:
        for _ in itertools.count() if args.count is None else range(args.count):
            time.sleep(wait_s)
            wait_s = args.watch
            now, rows = units.Time(time.time_ns()), meter.look()
            damage.look()
            if args.top is not None:
                rows = _fastest(rows, args.top)
            if out.mode is Mode.PEOPLE:
                show(_frame(out, segment.name, now, rows, damage.is_found))
            elif out.mode is Mode.JSON:
                for row in _told(rows):
                    out.object({"time": now, **row})
            else:
                columns = (Column("time", "time"), *_COLUMNS, _RATE_COLUMN)
                show(out.table(columns, [{"time": now, **row} for row in rows]))
            if segment.unlinked:
                break
    if segment.unlinked:
        out.message(f"metrics {segment.name!r} were unlinked")


def _frame(out: Output, name: str, now: units.Time, rows: list[dict[str, Any]], is_damaged: bool) -> list[str]:
    drawn = Column("drawn", "", lambda values: out.spark(values, _SPARK_WIDTH))
    nothing = _NOTHING_READABLE if is_damaged else _NOTHING
    table = out.table((*_COLUMNS, _RATE_COLUMN, drawn), rows) if rows else [nothing]
    warning = [out.paint("damaged: this is what can be read", Tone.BAD)] if is_damaged else []
    return [f"{name}  {units.when(now)}", *warning, "", *table]


def _fastest(rows: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    rising = [row for row in rows if row["per_second"] is not None]
    return sorted(rising, key=lambda row: -row["per_second"])[:most]


def _told(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without what is only drawn."""
    return [{key: value for key, value in row.items() if key != "drawn"} for row in rows]
