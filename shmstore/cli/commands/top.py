"""`top`: a store at work, live: rates, fill, partitions, processes; of streams, see `cli.streams.top`."""

import argparse
import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

from shmstore.arguments import units
from shmstore.cli.exits import OK
from shmstore.cli.meter import PROCESS_COLUMNS
from shmstore.cli.render import Column, Mode, Output, Tone
from shmstore.cli.streams import top as of_streams
from shmstore.cli.survey import look, look_at_streams, partition_columns
from shmstore.events.store import EventStore
from shmstore.streams.store import StreamStore
from shmstore.survey.records import RecordsLooker
from shmstore.survey.segments import kind_of
from shmstore.survey.streams import StreamsLooker

HELP = "show a store or streams at work: rates, by partition or stream, and processes, live"
EXAMPLES = ("top orders", "top orders --interval 5 --count 12 --json")

_FIRST_LOOK_S = 0.25
_MOST_PARTITIONS = 16
_APPENDED_COLUMNS = (
    Column("appended", "appended", units.count, right=True),
    Column("appended_per_second", "rate", units.rate, right=True),
)

_PLAIN_COLUMNS = tuple(
    Column(key, key)
    for key in (
        "time",
        "records",
        "appended",
        "appended_per_second",
        "discarded",
        "discarded_per_second",
        "skipped",
        "voided",
        "lapped",
    )
)


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own arguments."""
    parser.add_argument("name", help="the store, or streams")
    parser.add_argument(
        "--interval", type=units.seconds, default=1.0, metavar="TIME", help="time between two looks (default: 1s)"
    )
    parser.add_argument("--count", type=units.whole, metavar="N", help="how many looks (default: until interrupted)")


def run(args: argparse.Namespace, out: Output) -> int:
    """Show one frame an interval, until the count is reached or the store is unlinked."""
    if kind_of(args.name) == "streams":
        with look_at_streams(args.name) as streams:
            _watch(args, streams, StreamsLooker(streams).look, of_streams.PLAIN_COLUMNS, of_streams.frame, out)
    else:
        with look(args.name) as store:
            _watch(args, store, RecordsLooker(store).look, _PLAIN_COLUMNS, _frame, out)
    return OK


def _watch(
    args: argparse.Namespace,
    store: EventStore[Any] | StreamStore,
    look_again: Callable[[], dict[str, Any]],
    plain: Sequence[Column],
    frame: Callable[[Output, dict[str, Any]], list[str]],
    out: Output,
) -> None:
    look_again()
    wait_s = min(_FIRST_LOOK_S, args.interval)  # a first look and a second give the first frame its rates
    with out.live() as show:
        for _ in itertools.count() if args.count is None else range(args.count):
            time.sleep(wait_s)
            wait_s = args.interval
            state = look_again()
            if out.mode is Mode.JSON:
                out.object(state)
            else:
                show(out.table(plain, [state]) if out.mode is Mode.PLAIN else frame(out, state))
            if store.unlinked:
                break
    if store.unlinked:
        out.message(f"store {args.name!r} was unlinked")


def _frame(out: Output, state: dict[str, Any]) -> list[str]:
    return [
        *_title(out, state),
        *_totals(out, state),
        "",
        *_partitions(out, state["partitions"]),
        "",
        *(
            out.table(PROCESS_COLUMNS, state["processes"])
            if state["processes"]
            else ["no process is attached for writing"]
        ),
    ]


def _title(out: Output, state: dict[str, Any]) -> list[str]:
    coordinator = out.paint("coordinated", Tone.GOOD) if state["coordinator"] else "no coordinator"
    return [f"{state['name']}  {units.when(state['time'])}  {coordinator}", ""]


def _totals(out: Output, state: dict[str, Any]) -> list[str]:
    fill = state["records"] / state["capacity"]
    history = state["history"]
    lost = "  ".join(
        out.paint(f"{cause} {units.count(state[cause])}", Tone.WARNING if state[cause] else None)
        for cause in ("skipped", "voided", "lapped")
    )
    columns = [
        Column("what", "", right=False),
        Column("total", "", right=True),
        Column("rate", "", right=True),
        Column("drawn", ""),
    ]
    rows = [
        {
            "what": "records",
            "total": units.count(state["records"]),
            "rate": units.percent(fill),
            "drawn": out.bar(fill, 30),
        },
        *(
            {
                "what": what,
                "total": units.count(state[what]),
                "rate": units.rate(state[f"{what}_per_second"]),
                "drawn": out.spark(history[what], 30),
            }
            for what in ("appended", "discarded")
        ),
    ]
    kept = f"kept       {units.count(state['newest_kept'])} of the newest {units.count(state['newest'])}"
    return [*out.table(columns, rows, titles=False), kept, f"lost       {lost}"]


def _partitions(out: Output, partitions: list[dict[str, Any]]) -> list[str]:
    shown = partitions
    if out.on_terminal and len(partitions) > _MOST_PARTITIONS:
        # The busiest, in their own order: a frame must leave room for the processes.
        busiest = sorted(partitions, key=lambda part: -(part["appended_per_second"] or 0))[:_MOST_PARTITIONS]
        shown = [part for part in partitions if part in busiest]
    lines = out.table(partition_columns(out, *_APPENDED_COLUMNS), shown)
    if len(shown) < len(partitions):
        lines.append(out.paint(f"… {len(partitions) - len(shown)} more partitions, less busy", Tone.FAINT))
    return lines
