"""The coordinator: the one process that reaps the dead early, samples totals each second and applies retention.

A store works fully without it, and so do streams and metrics: no append and no read goes through it. It adds speed (a
dead process is repaired within a tick, not when somebody meets its slot), the history of rates, and retention.

One of them coordinates at a time, by a lock that the kernel frees when its holder dies; every other `Coordinator` of
the store stands by and takes over. When it dies, only the samples of the seconds without one are lost.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from shmstore.arguments.alone import Alone
from shmstore.arguments.calls import checked_calls
from shmstore.arguments.checks import function, length_ns, real_number, refused
from shmstore.errors import ReadOnlyStore, StoreClosed
from shmstore.events.store import EventStore
from shmstore.public import public
from shmstore.reading.selection import require_time
from shmstore.segments.handle import Handle
from shmstore.streams.store import StreamStore

if TYPE_CHECKING:
    import logging

DEFAULT_TICK_S = 0.05
LONGEST_TICK_S = 0.5

_SAMPLE_EVERY_S = 1.0
_STANDBY_TICK_S = 0.2


@public
@checked_calls()
class Coordinator(Alone):
    """Coordinates one store, or stands by while another does: `run()` here, or `start()` and `stop()` in a thread.

    store: an EventStore; or a StreamStore, or a Handle of any segment, in which the dead are repaired and the living
    counted, no more.
    retention: records older than this are purged each second; needs a Timestamp field. None keeps them.
    tick: seconds from one look for dead processes to the next, more than 0 and at most LONGEST_TICK_S.
    on_statistics: called each second with `store.statistics`; the store's own `on_statistics` when None.

    Raises InvalidOption for a retention or tick out of bounds, and for a retention when records have no Timestamp;
    ReadOnlyStore for a store that was attached read-only.
    """

    _SEND = "send the store, and let the receiver make a Coordinator of it, which stands by"

    def __init__(
        self,
        store: EventStore[Any] | StreamStore | Handle,
        *,
        retention: timedelta | None = None,
        tick: float = DEFAULT_TICK_S,
        on_statistics: Callable[[Any], None] | None = None,
    ) -> None:
        if not isinstance(store, EventStore | StreamStore | Handle):
            raise refused("store", store, "an EventStore or a StreamStore")
        if store.read_only:
            raise ReadOnlyStore(f"store {store.name!r} was attached read-only; attach it for writing to coordinate it")
        seconds = f"more than 0 and at most {LONGEST_TICK_S} seconds"
        if not 0 < real_number("tick", tick, seconds) <= LONGEST_TICK_S:
            raise refused("tick", tick, seconds)
        if retention is not None and (length_ns("retention", retention) or 0) <= 0:
            raise refused("retention", retention, "a positive timedelta, or None to keep every record")
        function("on_statistics", on_statistics)
        if isinstance(store, EventStore):
            if retention is not None:
                require_time(store.schema, "retention")
            on_statistics = on_statistics or store.on_statistics
        else:
            for option, value in (("retention", retention), ("on_statistics", on_statistics)):
                if value is not None:
                    raise refused(option, value, f"None, as segment {store.name!r} is not attached as a store")
        self._store = store
        self._core = store.core
        self._retention = retention
        self._tick_s = tick
        self._on_statistics = on_statistics
        # A plain flag that each tick looks at, not an Event: setting one inside a signal handler can deadlock.
        self._stopping = False
        self._active = False
        self._reaped = 0
        self._thread: threading.Thread | None = None

    def __repr__(self) -> str:
        state = "active" if self._active else "standing by, or stopped"
        return f"<Coordinator of {self._store.name!r}: {state}>"

    @property
    def is_active(self) -> bool:
        """True while this one coordinates, False while it stands by or is stopped."""
        return self._active

    @property
    def reaped(self) -> int:
        """How many dead processes this one has repaired."""
        return self._reaped

    def run(self) -> None:
        """Coordinate or stand by in this thread until `stop()`, or until the store is closed or unlinked."""
        stands_by = False
        with suppress(StoreClosed):
            while self._goes_on():
                if not self._core.lock_coordinator():
                    if not stands_by:
                        _log().info("another coordinates store %r: standing by", self._store.name)
                    stands_by = True
                    time.sleep(_STANDBY_TICK_S)
                    continue
                try:
                    self._coordinate()
                finally:
                    self._active = False
                    self._core.unlock_coordinator()
            if not (self._stopping or self._core.closed):
                _log().info("store %r was unlinked: nothing is left to coordinate", self._store.name)

    def start(self) -> Self:
        """Run in a thread of this process; does nothing while it runs already. Returns self."""
        if self._thread is None or not self._thread.is_alive():
            self._stopping = self._active = False  # after a fork the parent's thread is gone, and its state stale
            self._thread = threading.Thread(
                target=self.run, name=f"shmstore coordinator {self._store.name}", daemon=True
            )
            self._thread.start()
        return self

    def stop(self) -> None:
        """End `run()` within a tick and wait for the thread of `start()`. Safe in a signal handler, and twice."""
        self._stopping = True
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _goes_on(self) -> bool:
        return not (self._stopping or self._core.closed or self._core.unlinked)

    def _coordinate(self) -> None:
        self._active = True
        _log().info("coordinating store %r", self._store.name)
        next_sample_s = time.monotonic()
        while self._goes_on():
            self._reap()
            now_s = time.monotonic()
            if now_s >= next_sample_s:
                self._each_second()
                next_sample_s += _SAMPLE_EVERY_S
                if next_sample_s <= now_s:
                    # After a suspension the missed seconds stay missing: catching up would sample one instant many
                    # times.
                    next_sample_s = now_s + _SAMPLE_EVERY_S
            time.sleep(self._tick_s)

    def _reap(self) -> None:
        for dead in self._core.reap():
            self._reaped += 1
            _log().info(
                "repaired dead process %d (place %d): %d claims voided, %d released",
                dead.pid,
                dead.place,
                dead.voided,
                dead.released,
            )

    def _each_second(self) -> None:
        store = self._store
        self._core.sample(time.time_ns())
        if not isinstance(store, EventStore):
            return
        if self._retention is not None:
            store.purge(older_than=self._retention)
        if self._on_statistics is not None:
            statistics = store.statistics
            try:
                self._on_statistics(statistics)
            except Exception:
                _log().exception("on_statistics of store %r failed; coordinating goes on", store.name)


def _log() -> "logging.Logger":
    import logging  # only whoever coordinates pays for it

    return logging.getLogger(__name__)
