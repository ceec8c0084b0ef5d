"""What the demo shows while it runs: a live view on a terminal, a line a second elsewhere, events in both."""

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from demo.board import Board, Cell
from demo.measurement import Measurement
from shmstore import EventStore
from shmstore.cli import units
from shmstore.cli.meter import PROCESS_COLUMNS, ProcessMeter
from shmstore.cli.render import Column, Output, Tone

_FRAME_S, _LINE_S = 0.25, 1.0
_RATES_KEPT = 30

_RATE_COLUMNS = (
    Column("what", ""),
    Column("total", "", units.count, right=True),
    Column("rate", "", units.rate, right=True),
    Column("drawn", ""),
    Column("more", ""),
)
_PARTITION_COLUMNS = (
    Column("partition", "partition", right=True),
    Column("fill", "fill"),
    Column("records", "records", units.count, right=True),
    Column("appended", "appended", units.count, right=True),
)
_SHOWN_OF_PROCESSES = ("pid", "name", "state", "cpu", "memory", "appended", "appended_per_second")
_PROCESS_COLUMNS = tuple(column for column in PROCESS_COLUMNS if column.key in _SHOWN_OF_PROCESSES)


class View:
    """Draws the store and the board; `show` takes a frame as lines, and is None off a terminal."""

    def __init__(
        self,
        store: EventStore[Measurement],
        board: Board,
        out: Output,
        seconds: float,
        show: Callable[[list[str]], None] | None,
    ) -> None:
        self._store = store
        self._board = board
        self._out = out
        self._seconds = seconds
        self._show = show
        self._start_s: float | None = None
        self._due_s = 0.0
        self._events: list[str] = []
        self._meter = ProcessMeter()
        self._before: tuple[float, int, int] | None = None
        self._rates: dict[str, deque[float]] = {what: deque(maxlen=_RATES_KEPT) for what in ("appended", "followed")}
        self.best_rates = {"appended": 0.0, "followed": 0.0}

    def start_clock(self) -> None:
        """Every process is there: time is counted from now on."""
        self._start_s = time.monotonic()
        self._due_s = self._start_s + _LINE_S

    @property
    def elapsed_s(self) -> float:
        """Seconds since `start_clock`; 0 before it."""
        return 0.0 if self._start_s is None else time.monotonic() - self._start_s

    def event(self, text: str, tone: Tone | None = None) -> None:
        """Tell that something happened."""
        line = f"{self.elapsed_s:5.1f} s  {self._out.paint(text, tone)}"
        self._events.append(line)
        if self._show is None:
            self._out.write([line])
        else:
            self._due_s = 0.0

    def refresh(self, *, at_once: bool = False) -> None:
        """Draw, when it is time to."""
        now_s = time.monotonic()
        if now_s < self._due_s and not at_once:
            return
        self._due_s = now_s + (_LINE_S if self._show is None else _FRAME_S)
        rates = self._measure(now_s)
        if self._show is not None:
            self._show(self._frame(rates))
        elif self._start_s is not None:
            self._out.write([self._line(rates)])

    def _measure(self, now_s: float) -> dict[str, float | None]:
        """Rates since the last look that lies far enough back to tell one."""
        followed, appended = self._board[Cell.FOLLOWED], self._store.statistics.total_appended
        before_s, appended_before, followed_before = self._before or (now_s, appended, followed)
        passed_s = now_s - before_s
        if passed_s >= _FRAME_S:
            for what, more in (("appended", appended - appended_before), ("followed", followed - followed_before)):
                self._rates[what].append(more / passed_s)
                self.best_rates[what] = max(self.best_rates[what], more / passed_s)
        if passed_s >= _FRAME_S or self._before is None:
            self._before = now_s, appended, followed
        return {what: rates[-1] if rates else None for what, rates in self._rates.items()}

    def _line(self, rates: dict[str, float | None]) -> str:
        followed, appended = self._board[Cell.FOLLOWED], self._store.statistics.total_appended
        return (
            f"{self.elapsed_s:5.1f} s  "
            f"appended {units.count(appended):>11} {units.rate(rates['appended']):>9}   "
            f"followed {units.count(followed):>11} {units.rate(rates['followed']):>9}"
            f"   lag {units.count(self._board[Cell.LAG]):>6}   {self._snapshot()}"
        )

    def _snapshot(self) -> str:
        if not self._board[Cell.SNAPSHOTS]:
            return "no snapshot yet"
        took_ms = self._board[Cell.SNAPSHOT_NS] / 1e6
        return f"snapshot of {units.count(self._board[Cell.SNAPSHOT_RECORDS])} in {took_ms:.1f} ms"

    def _frame(self, rates: dict[str, float | None]) -> list[str]:
        out, board, followed = self._out, self._board, self._board[Cell.FOLLOWED]
        now = self._store.statistics
        title = f"store {self._store.name}   {min(self.elapsed_s, self._seconds):4.1f} of {self._seconds:g} s"
        hint = out.paint(f"   elsewhere: shmstore-inspect top {self._store.name}", Tone.FAINT)
        slots = self._store.capacity // len(now.partitions)
        flows = [
            {
                "what": what,
                "total": total,
                "rate": rates[what],
                "drawn": out.spark(list(self._rates[what]), _RATES_KEPT),
                "more": more,
            }
            for what, total, more in (
                ("appended", now.total_appended, f"voided {now.voided}  skipped {now.skipped}"),
                ("followed", followed, f"lag {units.count(board[Cell.LAG])}"),
            )
        ]
        parts: list[dict[str, Any]] = [
            {
                "partition": part.partition,
                "fill": f"{out.bar(part.length / slots)} {units.percent(part.length / slots):>5}",
                "records": part.length,
                "appended": part.appended,
            }
            for part in now.partitions
        ]
        return [
            title + hint,
            "",
            *out.table(_RATE_COLUMNS, flows, titles=False),
            f"snapshots {board[Cell.SNAPSHOTS]}   {self._snapshot()}",
            "",
            *out.table(_PARTITION_COLUMNS, parts),
            "",
            *out.table(_PROCESS_COLUMNS, self._meter.look(now.processes)),
            "",
            *self._events,
        ]
