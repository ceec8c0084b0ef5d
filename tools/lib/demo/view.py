"""What the demo shows while it runs: a live view on a terminal, a line a second elsewhere, events in both."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from demo.board import Board, Cell
from demo.measurement import Measurement
from shmstore import EventStore
from shmstore.arguments import units
from shmstore.cli.meter import PROCESS_COLUMNS
from shmstore.cli.render import Column, Output, Tone
from shmstore.survey.processes import ProcessMeter

_FRAME_S, _LINE_S = 0.25, 1.0
_RATES_KEPT = 30

_PARTITION_COLUMNS = (
    Column("partition", "partition", right=True),
    Column("fill", "fill"),
    Column("length", "records", units.count, right=True),
    Column("appended", "appended", units.count, right=True),
)
_LEFT_OUT = ("place", "lapped", "last_append", "entered")
_PROCESS_COLUMNS = tuple(column for column in PROCESS_COLUMNS if column.key not in _LEFT_OUT)


class Flow:
    """Records that go one way: how many so far, and how fast."""

    def __init__(self, name: str, total: Callable[[], int]) -> None:
        self.best_rate = 0.0
        self._name = name
        self._total = total
        self._rates: deque[float] = deque(maxlen=_RATES_KEPT)
        self._before = time.monotonic(), total()

    def measure(self) -> None:
        """Note the rate since the last time, if that is long enough ago."""
        (before_s, before), (now_s, total) = self._before, (time.monotonic(), self._total())
        if now_s - before_s >= _FRAME_S:
            self._rates.append((total - before) / (now_s - before_s))
            self.best_rate = max(self.best_rate, self._rates[-1])
            self._before = now_s, total

    def __str__(self) -> str:
        rate = self._rates[-1] if self._rates else None
        return f"{self._name} {units.count(self._total()):>11} {units.rate(rate):>9}"

    def drawn(self, out: Output) -> str:
        """The same, and the rates of the last seconds."""
        return f"{self}  {out.spark(list(self._rates), _RATES_KEPT)}"


@dataclass
class View:
    """Draws the store and the board; `show` takes a frame as lines, and is None off a terminal."""

    store: EventStore[Measurement]
    board: Board
    out: Output
    seconds: float
    show: Callable[[list[str]], None] | None
    _start_s: float | None = None
    _due_s: float = 0.0
    _events: list[str] = field(default_factory=list)
    _meter: ProcessMeter = field(default_factory=ProcessMeter)

    def __post_init__(self) -> None:
        self.appended = Flow("appended", lambda: self.store.statistics.total_appended)
        self.followed = Flow("followed", lambda: self.board[Cell.FOLLOWED])

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
        line = f"{self.elapsed_s:5.1f} s  {self.out.paint(text, tone)}"
        self._events.append(line)
        if self.show is None:
            self.out.write([line])
        else:
            self._due_s = 0.0

    def refresh(self, *, at_once: bool = False) -> None:
        """Draw, when it is time to."""
        now_s = time.monotonic()
        if now_s < self._due_s and not at_once:
            return
        self._due_s = now_s + (_LINE_S if self.show is None else _FRAME_S)
        self.appended.measure()
        self.followed.measure()
        if self.show is not None:
            self.show(self._frame())
        elif self._start_s is not None:
            lag = f"lag {units.count(self.board[Cell.LAG]):>6}"
            self.out.write([f"{self.elapsed_s:5.1f} s  {self.appended}   {self.followed}   {lag}   {self._snapshot()}"])

    def _snapshot(self) -> str:
        if not self.board[Cell.SNAPSHOTS]:
            return "no snapshot yet"
        took_ms = self.board[Cell.SNAPSHOT_NS] / 1e6
        return f"snapshot of {units.count(self.board[Cell.SNAPSHOT_RECORDS])} in {took_ms:.1f} ms"

    def _frame(self) -> list[str]:
        out, board, now = self.out, self.board, self.store.statistics
        title = f"store {self.store.name}   {min(self.elapsed_s, self.seconds):4.1f} of {self.seconds:g} s"
        hint = out.paint(f"   elsewhere: shmstore-inspect top {self.store.name}", Tone.FAINT)
        fills = [part.length / (self.store.capacity // len(now.partitions)) for part in now.partitions]
        partitions = [
            asdict(part) | {"fill": f"{out.bar(fill)} {units.percent(fill):>5}"}
            for part, fill in zip(now.partitions, fills, strict=True)
        ]
        return [
            title + hint,
            "",
            f"{self.appended.drawn(out)}  voided {now.voided}  skipped {now.skipped}",
            f"{self.followed.drawn(out)}  lag {units.count(board[Cell.LAG])}",
            f"snapshots {board[Cell.SNAPSHOTS]}   {self._snapshot()}",
            "",
            *out.table(_PARTITION_COLUMNS, partitions),
            "",
            *out.table(_PROCESS_COLUMNS, self._meter.look(now.processes)),
            "",
            *self._events,
        ]
