"""What the kernel says of the processes that share metrics: memory, descriptors, CPU time; summed, or one by one.

CPU time outlives the processes. Each scrape brings a counter of each place up to what the kernel has counted of the
process that lives there, so that what a scrape has shown is in the sum for ever, whoever is killed.
"""

import atexit
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache
from typing import Final, NamedTuple

from shmstore import _core
from shmstore.errors import ShmStoreError
from shmstore.metrics.families import CounterMetricFamily, GaugeMetricFamily, Metric
from shmstore.metrics.instruments import Counter
from shmstore.metrics.memory import memory
from shmstore.metrics.registry import REGISTRY, CollectorRegistry
from shmstore.public import PACKAGE

_PROC: Final = "/proc"
_TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_CPU_HELP: Final = "Total user and system CPU time spent in seconds."
_GAUGES: Final[tuple[tuple[str, str, Callable[[list[float]], float]], ...]] = (
    ("virtual_memory_bytes", "Virtual memory size in bytes.", sum),
    ("resident_memory_bytes", "Resident memory size in bytes.", sum),
    ("start_time_seconds", "Start time of the process since unix epoch in seconds.", min),
    ("open_fds", "Number of open file descriptors.", sum),
    ("max_fds", "Maximum number of open file descriptors.", sum),
)
"""Names, help, and how the values of several processes become one."""


class _Look(NamedTuple):
    """What the kernel says of one process, by the names of the families; None: it does not tell us."""

    pid: str
    start_ticks: int
    cpu_ticks: int
    virtual_memory_bytes: float
    resident_memory_bytes: float
    start_time_seconds: float
    open_fds: float | None
    max_fds: float | None


class ProcessCollector:
    """The families ``process_...``: of all processes that share metrics, or of one.

    namespace   goes before their names, with `_`
    pid         says which process alone is shown, instead of those that share metrics
    proc        where the kernel tells of processes
    registry    that it is registered in
    per_worker  a sample for each living process, with its `pid`, instead of sums

    CPU seconds are the sum over all processes that ever shared the metrics. Memory and descriptors are sums over those
    that live, and the start time is the earliest of theirs; memory that processes have in common counts for each.
    Of a process that this one cannot see, as it has another pid namespace, there are the CPU seconds that it has told.
    """

    def __init__(
        self,
        namespace: str = "",
        pid: Callable[[], int | str] | None = None,
        proc: str = _PROC,
        registry: CollectorRegistry | None = REGISTRY,
        *,
        per_worker: bool = False,
    ) -> None:
        self._prefix = f"{namespace}_process_" if namespace else "process_"
        self._pid = pid
        self._proc = proc
        self._per_worker = per_worker
        if registry is not None:
            registry.register(self)

    def describe(self) -> Iterable[Metric]:
        """The families without samples."""
        return self._families([], None)

    def collect(self) -> Iterable[Metric]:
        """The families; none where the kernel does not tell."""
        try:
            if self._pid is None:
                return self._families(*_look_at_all(self._proc))
            look = _look(self._proc, str(self._pid()).strip())
        except OSError:
            return []
        return self._families([look], look.cpu_ticks * _TICK_S)

    def _families(self, looks: list[_Look], cpu_s: float | None) -> list[Metric]:
        labels = ["pid"] if self._per_worker else None
        families: list[Metric] = []
        for name, text, whole in _GAUGES:
            gauge = GaugeMetricFamily(self._prefix + name, text, labels=labels)
            values = {look.pid: value for look in looks if (value := getattr(look, name)) is not None}
            if values and not self._per_worker:
                gauge.add_metric([], whole(list(values.values())))
            for pid, value in values.items() if self._per_worker else ():
                gauge.add_metric([pid], value)
            families.append(gauge)
        cpu = CounterMetricFamily(self._prefix + "cpu_seconds", _CPU_HELP, labels=labels)
        if cpu_s is not None and not self._per_worker:
            cpu.add_metric([], cpu_s)
        for look in looks if self._per_worker else ():
            cpu.add_metric([look.pid], look.cpu_ticks * _TICK_S)
        return [*families, cpu]


# -- what the kernel says


@cache
def _boot_time_s(proc: str) -> float:
    with open(f"{proc}/stat", "rb") as stat:
        return next(float(line.split()[1]) for line in stat if line.startswith(b"btime "))


def _look(proc: str, pid: str) -> _Look:
    """Raises OSError when there is no such process."""
    with open(f"{proc}/{pid}/stat", "rb", buffering=0) as stat:
        # What precedes the last ")" may hold anything; behind it fields are counted from the third on.
        fields = stat.read().rpartition(b")")[2].split()
    open_fds = max_fds = None
    with suppress(OSError):  # those of another user are not ours to see
        found = float(len(os.listdir(f"{proc}/{pid}/fd")))
        open_fds, max_fds = found, _most_fds(proc, pid)
    return _Look(
        pid=str(os.getpid()) if pid == "self" else pid,
        start_ticks=int(fields[19]),
        cpu_ticks=int(fields[11]) + int(fields[12]),
        virtual_memory_bytes=float(fields[20]),
        resident_memory_bytes=float(fields[21]) * _PAGE_BYTES,
        start_time_seconds=int(fields[19]) * _TICK_S + _boot_time_s(proc),
        open_fds=open_fds,
        max_fds=max_fds,
    )


def _most_fds(proc: str, pid: str) -> float:
    if proc == _PROC:
        import resource  # quicker than the file, of which it is one line

        soft, _ = resource.prlimit(0 if pid == "self" else int(pid), resource.RLIMIT_NOFILE)
        return float("inf") if soft == resource.RLIM_INFINITY else float(soft)
    with open(f"{proc}/{pid}/limits", "rb") as limits:
        found = next(line.split()[3] for line in limits if line.startswith(b"Max open files"))
    return float("inf") if found == b"unlimited" else float(found)


# -- all processes


def _look_at_all(proc: str) -> tuple[list[_Look], float | None]:
    """All that live and can be seen from here, and the CPU seconds of all that ever lived; None: they are not known.

    Raises OSError when the kernel does not even tell of this process.
    """
    own = _look(proc, "self")
    if (store := memory.store) is None:
        return [own], own.cpu_ticks * _TICK_S
    try:
        seen = list(_seen(store, proc, own))
        return [look for _, look in seen], _counted_s(seen)
    except ShmStoreError:  # there is no room, or the segment has just gone: no reason to show nothing at all
        return [own], None


def _seen(store: _core.Store, proc: str, own: _Look) -> Iterator[tuple[_core.Place, _Look]]:
    """The places of the living, each with a look at its process."""
    mine = store.enter()
    places = store.places()
    namespace = next((place.pid_namespace for place in places if place.place == mine), 0)
    for place in places:
        if place.place == mine:
            yield place, own
        elif place.state == "alive" and place.pid_namespace == namespace:
            with suppress(OSError):  # it has ended meanwhile
                look = _look(proc, str(place.pid))
                if look.start_ticks == place.start_time:  # else another process has its number by now
                    yield place, look


def _counted_s(seen: Iterable[tuple[_core.Place, _Look]]) -> float:
    """Bring the counters of places up to what was seen; the sum of all of them. Raises SeriesTableFull."""
    counter = _counter()
    for place, look in seen:
        counter.labels(str(place.place))._raise(place.generation, look.cpu_ticks, _TICK_S)
    with memory.lock:  # the number of the family is one of this home
        every = memory.home.series(counter._family) if counter._family is not None else []
    return sum(cells[0][1] for _, _, _, _, _, cells in every if cells and cells[0])


def _counter() -> Counter:
    """CPU seconds by place, of whichever processes were there. No registry has it: what is shown is their sum."""
    with memory.lock:
        return _made()


@cache
def _made() -> Counter:
    return Counter("process_cpu_seconds", _CPU_HELP, ["place"], registry=None)


def _say_farewell() -> None:
    """At the end of a process: what it has used since somebody looked."""
    store = memory.store
    if store is None or not any(isinstance(collector, ProcessCollector) for collector in REGISTRY.collectors()):
        return
    with suppress(OSError, ShmStoreError):
        mine, own = store.enter(), _look(_PROC, "self")
        _counted_s((place, own) for place in store.places() if place.place == mine)


PROCESS_COLLECTOR = ProcessCollector()
"""Of the default registry."""

atexit.register(_say_farewell)
ProcessCollector.__module__ = f"{PACKAGE}.metrics"
