"""`top`: a store at work, live: rates, fill, partitions, processes; of streams, see `cli.streams.top`."""

import argparse
import itertools
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from shmstore.cli import units
from shmstore.cli.exits import OK
from shmstore.cli.meter import PROCESS_COLUMNS, ProcessMeter
from shmstore.cli.render import Column, Mode, Output, Tone
from shmstore.cli.streams import top as of_streams
from shmstore.cli.streams.top import StreamsLooker
from shmstore.cli.survey import kind_of, look, look_at_streams, partition_columns
from shmstore.events.store import EventStore
from shmstore.streams.store import StreamStore

HELP = "show a store or streams at work: rates, by partition or stream, and processes, live"
EXAMPLES = ("top orders", "top orders --interval 5 --count 12 --json")

_SPARK_SECONDS = 60
_FRESH_NS = 2_500_000_000  # a coordinator samples each second
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
            _watch(args, store, _Looker(store).look, _PLAIN_COLUMNS, _frame, out)
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


class _Looker:
    """Turns successive looks at a store into rates."""

    def __init__(self, store: EventStore[Any]) -> None:
        self._store = store
        self._meter = ProcessMeter()
        self._own_rates: deque[tuple[float, float]] = deque(maxlen=_SPARK_SECONDS)
        self._before: tuple[float, Any] | None = None

    def look(self) -> dict[str, Any]:
        """The state of now; rates are None at the first look."""
        now_s, now = time.monotonic(), self._store.statistics
        before_s, before = self._before or (now_s, now)
        self._before = now_s, now
        passed_s = now_s - before_s

        def rate(newer: int, older: int) -> float | None:
            return max(0, newer - older) / passed_s if passed_s else None

        appended_rate = rate(now.total_appended, before.total_appended)
        discarded_rate = rate(now.total_discarded, before.total_discarded)
        if appended_rate is not None and discarded_rate is not None:
            self._own_rates.append((appended_rate, discarded_rate))
        slots = self._store.capacity // len(now.partitions)
        return {
            "name": self._store.name,
            "time": units.Time(time.time_ns()),
            "coordinator": self._store.core.coordinator_alive(),
            "records": now.length,
            "capacity": self._store.capacity,
            "newest_kept": now.newest_kept,
            "newest": min(self._store.capacity, now.total_appended),
            "appended": now.total_appended,
            "appended_per_second": appended_rate,
            "discarded": now.total_discarded,
            "discarded_per_second": discarded_rate,
            "skipped": now.skipped,
            "voided": now.voided,
            "lapped": now.lapped,
            "history": self._history(),
            "partitions": [
                {
                    "partition": part.partition,
                    "fill": part.length / slots,
                    "records": part.length,
                    "appended": part.appended,
                    "appended_per_second": rate(part.appended, then.appended),
                    "in_flight": part.in_flight,
                    "skipped": part.skipped,
                    "voided": part.voided,
                }
                for part, then in zip(now.partitions, before.partitions, strict=True)
            ],
            "processes": self._meter.look(now.processes),
        }

    def _history(self) -> dict[str, list[float]]:
        """Rates of the last minute: the coordinator's when it is at work, else those of our own looks."""
        samples = self._store.core.history(_SPARK_SECONDS + 1)
        if len(samples) > 1 and time.time_ns() - samples[-1].time_ns < _FRESH_NS:
            steps = [(a, b, max(b.time_ns - a.time_ns, 1) / 1e9) for a, b in itertools.pairwise(samples)]
            rates = [((b.appended - a.appended) / s, (b.discarded - a.discarded) / s) for a, b, s in steps]
        else:
            rates = list(self._own_rates)
        return {"appended": [max(0.0, a) for a, _ in rates], "discarded": [max(0.0, d) for _, d in rates]}


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
