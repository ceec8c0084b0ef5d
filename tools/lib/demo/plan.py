"""What happens in the demo, from the first process to the account."""

import math
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from command_line import Failed
from demo.board import Board, Cell
from demo.faulty import ERRORS
from demo.measurement import Measurement, sources_of
from demo.view import View
from demo.workers import Worker, Workers
from shmstore import EventStore
from shmstore.arguments import units
from shmstore.cli.render import Tone

_TICK_S = 0.002
_REPAIR_LIMIT_S = 5.0
_ATTACH_LIMIT_S = 60.0

# Parts of the whole time: when the hammer is killed, when another one comes, when that one ends. The calm after each of
# the two is when the follower has to wait, and its wake-up can be measured.
_KILL_AT, _REPLACE_AT, _CALM_AT = 0.5, 0.6, 0.9


class Plan:
    """Runs once: `run`, then there are `writers`, which have ended, the readers' reports and `figures()`."""

    def __init__(self, store: EventStore[Measurement], board: Board, workers: Workers, view: View) -> None:
        self._store = store
        self._board = board
        self._workers = workers
        self._view = view
        self.writers: list[Worker] = []
        self._repaired_ms: float | None = None
        self._appended_per_second = 0.0
        self.follower: dict[str, Any] = {}
        self.snapshots: dict[str, Any] = {}

    def run(self, seconds: float, writers: int, error: str | None) -> None:
        """Run everything. Raises Failed when a process ends that should not, or does not when it should."""
        workers, view = self._workers, self._view
        coordinator = workers.start_coordinator()
        readers = follower, snapshotter = workers.start("follower"), workers.start("snapshotter")
        count = writers - 1
        samplers = [workers.start("sampler", number + 1, number, count) for number in range(count)]
        hammer = workers.start("hammer", writers)
        self._await_attached(coordinator, follower, *samplers, hammer)
        view.start_clock()
        appended_before = self._store.statistics.total_appended
        view.event(f"{count} writers sample this machine, one hammers; a follower, a snapshotter, a coordinator")
        if error is not None:
            self._end([workers.start("faulty", writers + 2, error)])
            view.event(f"a writer made a mistake on purpose: {ERRORS[error]}", Tone.WARNING)

        self._until(seconds * _KILL_AT)
        self._kill(hammer)
        self._until(seconds * _REPLACE_AT)
        successor = workers.start("hammer", writers + 1)
        self._await_attached(successor)
        view.event(f"another hammer joined (pid {successor.pid})")
        self._until(seconds * _CALM_AT)
        self._end([successor], Cell.HAMMER_ENDS)
        view.event("the hammer ended; the samplers go on, and the follower waits for each of their records")
        self._until(seconds)
        appended = self._store.statistics.total_appended - appended_before
        self._appended_per_second = appended / view.elapsed_s

        self._end(samplers, Cell.SAMPLERS_END)
        for reader in readers:
            reader.may_end = True
        self._board[Cell.READERS_END] = 1
        self.follower, self.snapshots = follower.report(), snapshotter.report()
        view.event("every writer ended; the follower read to the end")
        view.refresh(at_once=True)

    def figures(self) -> Iterator[str]:
        """What was measured, in words."""
        view, appended, times_ms = self._view, self._appended_per_second, self.snapshots["times_ms"]
        yield f"appended   {units.rate(appended)} on average, {units.rate(view.appended.best_rate)} at best"
        yield f"followed   {units.rate(view.followed.best_rate)} at best, every record checked"
        if times_ms:
            records = units.count(self._board[Cell.SNAPSHOT_RECORDS])
            yield (
                f"snapshot   {statistics.median(times_ms):.1f} ms for {records} records (median of {len(times_ms)}), "
                f"beside {units.rate(appended)} of appends"
            )
        if waits_us := self.follower["wake_ups_us"]:
            half_us = statistics.median(waits_us)
            most_us = statistics.quantiles(waits_us, n=100)[98] if len(waits_us) > 1 else half_us
            yield (
                f"wake-up    {half_us:.0f} µs from append to the waiting follower "
                f"(median of {units.count(len(waits_us))}; 99 % within {most_us:.0f} µs)"
            )
        if self._repaired_ms is not None:
            yield f"repair     {self._repaired_ms:.0f} ms from SIGKILL until the coordinator had repaired the dead"

    def _until(self, elapsed_s: float) -> None:
        """Let time pass."""
        self._await(lambda: self._view.elapsed_s >= elapsed_s, math.inf, "")

    def _await_attached(self, *workers: Worker) -> None:
        """Until each of them has its place in the process table."""
        pids = {worker.pid for worker in workers}
        self._await(lambda: pids <= self._attached(), _ATTACH_LIMIT_S, "not every process was attached")

    def _kill(self, hammer: Worker) -> None:
        """SIGKILL, then look at once for what it acknowledged last, and wait for the coordinator's repair."""
        hammer.may_end = True
        voided = self._store.statistics.voided
        start_s = time.perf_counter()
        hammer.kill()
        hammer.wait()
        self._note_end(hammer)
        acknowledged = self._board.acknowledged(hammer.number)
        self._view.event(f"SIGKILL -> hammer (pid {hammer.pid}) after {acknowledged:,} appends", Tone.BAD)
        late = f"the coordinator did not repair pid {hammer.pid}"
        self._await(lambda: hammer.pid not in self._attached(), _REPAIR_LIMIT_S, late)
        self._repaired_ms = (time.perf_counter() - start_s) * 1e3
        claims = self._store.statistics.voided - voided
        was_in = f"{claims} claim was voided" if claims else "it held no claim"
        self._view.event(f"the coordinator repaired it {self._repaired_ms:.0f} ms after the kill: {was_in}", Tone.GOOD)

    def _end(self, writers: list[Worker], cell: Cell | None = None) -> None:
        """Tell writers to end, by their cell unless they do so by themselves, and note their ends."""
        for worker in writers:
            worker.may_end = True
        if cell is not None:
            self._board[cell] = 1
        for worker in writers:
            worker.finish()
            self._note_end(worker)

    def _await(self, condition: Callable[[], bool], limit_s: float, failure: str) -> None:
        """Draw and watch until the condition holds. Raises Failed if that takes longer than the limit."""
        deadline_s = time.monotonic() + limit_s
        while not condition():
            if time.monotonic() > deadline_s:
                raise Failed(f"{failure} within {limit_s:.0f} s")
            self._workers.watch()
            self._view.refresh()
            time.sleep(_TICK_S)

    def _attached(self) -> set[int]:
        """The numbers of the processes in the process table."""
        return {place.pid for place in self._store.processes()}

    def _note_end(self, writer: Worker) -> None:
        """See whether the last that a writer acknowledged, which has just ended, is in the store, or lapped."""
        newest = [last for last in map(self._board.ledger.newest, sources_of(writer.number)) if last]
        found = [
            record and (record.writer, record.sequence) == (writer.number, sequence)
            for sequence, position in newest
            for record in [self._store.read_at(position)]
        ]
        writer.last_found = not newest or (any(found) and False not in found)
        self.writers.append(writer)
