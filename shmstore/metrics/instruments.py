"""The instruments: counters, gauges, summaries, histograms, information and states."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Literal, Self

from shmstore import _core
from shmstore.arguments.shown import shown
from shmstore.metrics import checks
from shmstore.metrics.declaration import MODES
from shmstore.metrics.instrument import Instrument
from shmstore.metrics.memory import memory
from shmstore.metrics.registry import REGISTRY, CollectorRegistry
from shmstore.metrics.text import label_text
from shmstore.metrics.timing import ExceptionCounter, InprogressTracker, Timer
from shmstore.public import PACKAGE

Mode = Literal["all", "liveall", "min", "livemin", "max", "livemax", "sum", "livesum", "mostrecent", "livemostrecent"]


_WITHOUT_PID: Final[dict[str, Mode]] = {"all": "sum", "liveall": "livesum"}
"""Modes by which a gauge that has a label `pid` of its own is kept, as no second one can stand beside it."""


class _Number:
    """A number of a series, by the names that tests of programs ask for it with: ``counter._value.get()``."""

    def __init__(self, get: Callable[[], float]) -> None:
        self.get = get


class _OneNumber(Instrument):
    @property
    def _value(self) -> _Number:
        return _Number(lambda: sum(number for _, number in self._read()))


class _Observed(Instrument):
    @property
    def _sum(self) -> _Number:
        return _Number(lambda: sum(total for _, total in self._read()))

    @property
    def _count(self) -> _Number:
        return _Number(lambda: sum(count for count, _ in self._read()))


class Counter(_OneNumber, _core.Counter):
    """Counts events, or adds up amounts: it never falls."""

    _type = "counter"

    def reset(self) -> None:
        """Set it to zero, for all processes, and let it begin now."""
        self._restart()

    def count_exceptions(
        self, exception: type[BaseException] | tuple[type[BaseException], ...] = Exception
    ) -> ExceptionCounter:
        """Count the exceptions of a block or a function."""
        self._read()
        return ExceptionCounter(self, exception)


class Gauge(_OneNumber, _core.Gauge):
    """A value that goes up and down; `multiprocess_mode` says how those of several processes become one."""

    _type = "gauge"

    def __init__(
        self,
        name: str,
        documentation: str,
        labelnames: Iterable[str] = (),
        namespace: str = "",
        subsystem: str = "",
        unit: str = "",
        registry: CollectorRegistry | None = REGISTRY,
        multiprocess_mode: Mode = "all",
    ) -> None:
        if multiprocess_mode not in MODES:
            raise ValueError(f"Invalid multiprocess mode: {multiprocess_mode}")
        labelnames = tuple(labelnames)
        if "pid" in labelnames:  # whose pid it is, the program says
            multiprocess_mode = _WITHOUT_PID.get(multiprocess_mode, multiprocess_mode)
        self._functions: dict[Gauge, Callable[[], float]] = self.__dict__.get("_functions", {})
        super().__init__(name, documentation, labelnames, namespace, subsystem, unit, registry, mode=multiprocess_mode)

    def set_to_current_time(self) -> None:
        """Set it to the seconds since the Unix epoch."""
        self.set(time.time())

    def track_inprogress(self) -> InprogressTracker:
        """Count a block or a function while it is in progress."""
        self._read()
        return InprogressTracker(self)

    def time(self) -> Timer:
        """Set it to the seconds that a block or a function took."""
        return Timer(self, "set")

    def set_function(self, f: Callable[[], float]) -> None:
        """Let a function say the value, whenever this process is asked; nothing else sets it from now on."""
        self._read()
        self._silence()
        self._functions[self] = f

    def refresh(self) -> None:
        for gauge, function in list(self._functions.items()):
            try:
                gauge._put(float(function()))
            except Exception:
                if gauge is self or gauge._is_current:
                    raise
            if gauge is not self and not gauge._is_current:  # the metric itself may find room later
                self._functions.pop(gauge, None)

    def remove(self, *labelvalues: object) -> None:
        child = self._all_children().get(tuple(map(str, labelvalues)))
        super().remove(*labelvalues)
        if child is not None:
            self._functions.pop(child, None)

    def remove_by_labels(self, labels: Mapping[str, str]) -> None:
        super().remove_by_labels(labels)
        for gauge in [gauge for gauge in list(self._functions) if gauge is not self and not gauge._is_current]:
            self._functions.pop(gauge, None)

    def clear(self) -> None:
        super().clear()
        if self._labelnames:
            self._functions.clear()


class Summary(_Observed, _core.Summary):
    """Counts observations and adds them up."""

    _type = "summary"
    _reserved_labelnames = ("quantile",)

    def time(self) -> Timer:
        """Observe the seconds that a block or a function took."""
        return Timer(self, "observe")


class Histogram(_Observed, _core.Histogram):
    """Counts observations by buckets and adds them up."""

    _type = "histogram"
    _reserved_labelnames = ("le",)
    DEFAULT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, float("inf"))

    def __init__(
        self,
        name: str,
        documentation: str,
        labelnames: Iterable[str] = (),
        namespace: str = "",
        subsystem: str = "",
        unit: str = "",
        registry: CollectorRegistry | None = REGISTRY,
        buckets: Sequence[float | str] = DEFAULT_BUCKETS,
    ) -> None:
        bounds = checks.bounds(buckets)
        super().__init__(name, documentation, labelnames, namespace, subsystem, unit, registry, buckets=bounds)

    def time(self) -> Timer:
        """Observe the seconds that a block or a function took."""
        return Timer(self, "observe")


class Enum(Instrument):
    """Which of some states is so; all processes share it."""

    _type = "stateset"

    def __init__(
        self,
        name: str,
        documentation: str,
        labelnames: Sequence[str] = (),
        namespace: str = "",
        subsystem: str = "",
        unit: str = "",
        registry: CollectorRegistry | None = REGISTRY,
        states: Sequence[str] | None = None,
    ) -> None:
        if name in labelnames:
            raise ValueError(f"Overlapping labels for Enum metric: {name}")
        if not states:
            raise ValueError(f"No states provided for Enum metric: {name}")
        super().__init__(name, documentation, labelnames, namespace, subsystem, unit, registry, states=tuple(states))

    def state(self, state: str) -> None:
        """Set the state; raises ValueError when it is none of the declared ones."""
        states = self.declaration.states
        if state not in states:
            expected = ", ".join(map(repr, states))
            raise ValueError(f"the enum {self._name!r} has no state {shown(state)}; its states are {expected}")
        self._put(states.index(state))


class Info(Instrument):
    """What is known of something, as labels; all processes share it."""

    _type = "info"

    def info(self, val: Mapping[str, str]) -> None:
        """Set what is known."""
        if set(self._labelnames) & val.keys():
            raise ValueError(f"Overlapping labels for Info metric, metric: {self._labelnames} child: {val}")
        if any(value is None for value in val.values()):
            raise ValueError("Label value cannot be None")
        if self._labelnames and not self._labelvalues:
            self._read()  # refuses: its label values are missing
        text = self._text_of(self._labelvalues)
        known = label_text({name: str(value) for name, value in val.items()}).encode(errors="replace")
        if self._become(self._metric, b",".join(filter(None, (text, known))), self._labelvalues):
            self._put(1)
            self._remove_older()

    def remove(self, *labelvalues: object) -> None:
        super().remove(*labelvalues)  # what was never set
        values = tuple(map(str, labelvalues))
        self._remove_where(lambda found: found == values)

    def _begin(self, metric: Self, text: bytes, labelvalues: tuple[str, ...]) -> bool:
        """Begin with what is known already, or with nothing."""
        known = max(metric._versions(text), key=lambda version: version[0], default=(0, text, 0, 0))
        return self._become(metric, known[1], labelvalues)

    def follow(self) -> None:
        super().follow()
        for child in (self, *self._all_children().values()):
            child._remove_older()

    def _versions(self, text: bytes) -> list[tuple[int, bytes, int, int]]:
        """When it was set, its text, and which series it is, of all that is known of these label values."""
        with memory.lock:  # the number of the family is one of this home
            every = memory.home.series(self._family) if self._family is not None else ()
        return [
            (cells[0][0], found, index, word)
            for index, word, _, _, found, cells in every
            if cells[0] and (not text or found == text or found.startswith(text + b","))
        ]

    def _remove_older(self) -> None:
        """Remove all but the latest, of whichever process."""
        if self._text is None:
            return
        with memory.lock:
            versions = sorted(self._versions(self._text_of(self._labelvalues)))
            for _, _, index, word in versions[:-1]:
                memory.home.remove(index, word)


for _class in (Counter, Gauge, Summary, Histogram, Enum, Info, Instrument):
    _class.__module__ = f"{PACKAGE}.metrics"
