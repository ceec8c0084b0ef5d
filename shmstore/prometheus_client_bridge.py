"""The bridge: code that uses prometheus_client itself, unchanged, shares its metrics with all other processes.

The classes of prometheus_client stay what they are. Each metric of theirs has an instrument of ours behind it, which
counts and is collected; registries, expositions and whatever else collects go on asking prometheus_client's metrics.
"""

import gc
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import wraps
from importlib import import_module
from itertools import count
from typing import Any, ClassVar, Final, Unpack
from weakref import WeakValueDictionary

from shmstore import metrics
from shmstore.arguments.calls import checked, warn
from shmstore.errors import InvalidCall
from shmstore.metrics.configure import Sharing
from shmstore.metrics.memory import memory
from shmstore.metrics.text import label_pairs, lines

_SHOWN: Final = 3  # of the metrics that are named in an error
_LEAST_PRUNED: Final = 1024
_MAIN: Final = ("__main__", "__mp_main__")  # the program itself, which nobody imports


@checked
def install(name: str, **options: Unpack[Sharing]) -> None:
    """Share all metrics that this process declares with prometheus_client, from now on, as `metrics.configure` does.

    name      of the segment; whoever comes first makes it
    options   as `metrics.configure` takes them: series, exemplars, processes, mode, group, strict

    Call it before any metric is declared, in a parent before it forks or in each child. Called again with the same
    name it does nothing.

    Raises ImportError (prometheus_client is not installed), InvalidCall (metrics are declared already), and what
    `metrics.configure` raises.
    """
    client = _client()
    if not _Installed.is_so and (early := _declared(client)):
        raise InvalidCall(_told(name, early))
    metrics.configure(name, **options)
    if not _Installed.is_so:
        _replace(client)
        _Installed.is_so = True


class _Installed:
    is_so = False
    metrics: ClassVar[WeakValueDictionary[int, Any]] = WeakValueDictionary()  # in the order of declarations
    numbers = count()


def _client() -> Any:
    try:
        return import_module("prometheus_client")
    except ModuleNotFoundError as error:
        if error.name != "prometheus_client":
            raise
        raise ImportError(
            "the bridge needs prometheus_client, which is not installed: pip install prometheus_client"
        ) from error


# -- what was declared too early


def _declared(client: Any) -> list[Any]:
    classes = tuple(getattr(client, ours.__name__) for ours in _REPLACED)
    return [found for found in gc.get_objects() if issubclass(type(found), classes)]


def _told(name: str, early: list[Any]) -> str:
    shown = ", ".join(str(metric) for metric in early[:_SHOWN])
    more = f" and {len(early) - _SHOWN} more" if len(early) > _SHOWN else ""
    modules = [
        module
        for module, content in list(sys.modules.items())
        if any(value is metric for value in list(getattr(content, "__dict__", {}).values()) for metric in early)
    ]
    imported = [module for module in modules if module not in _MAIN]
    if imported:
        before = f"imports {' or '.join(imported[:_SHOWN])}"
    else:
        before = "declares them" if modules else "declares them, or imports what does"
    return (
        f"metrics of prometheus_client are declared already, and would not be shared: {shown}{more}; import "
        f"shmstore.prometheus_client_bridge first and call install({name!r}) before the program {before}"
    )


# -- what takes the place of methods of prometheus_client's classes


class _Metric:
    """What all of them have. `_shared` is the instrument behind a metric, or behind one of its children."""

    def _metric_init(self: Any) -> None:
        """Values are where the instrument is."""

    def _options(self: Any) -> dict[str, Any]:
        return {}

    def labels(self: Any, *labelvalues: object, **labelkwargs: object) -> Any:
        """The child for these label values."""
        shared = self._shared.labels(*labelvalues, **labelkwargs)
        child = self._metrics.get(shared._labelvalues)
        return child if child is not None and child._shared is shared else self._child_of(shared)

    def _child_of(self: Any, shared: Any) -> Any:
        child = object.__new__(type(self))
        child.__dict__.update(self.__dict__, _labelvalues=shared._labelvalues, _shared=shared)
        if not shared._is_current:
            return child  # refused, for want of room: not kept, so that memory stays bounded
        children = self._metrics
        if len(children) >= self.__dict__.setdefault("_prune_at", _LEAST_PRUNED):
            for gone in [values for values, kept in list(children.items()) if not kept._shared._is_current]:
                children.pop(gone, None)
            self._prune_at = max(_LEAST_PRUNED, 2 * len(children))
        kept = children.setdefault(shared._labelvalues, child)
        if kept._shared is not shared:
            children[shared._labelvalues] = kept = child
        return kept

    def remove(self: Any, *labelvalues: object) -> None:
        """Remove the series of these label values, for all processes."""
        self._shared.remove(*labelvalues)

    def remove_by_labels(self: Any, labels: dict[str, str]) -> None:
        """Remove all series that have these labels, for all processes."""
        self._shared.remove_by_labels(labels)

    def clear(self: Any) -> None:
        """Remove all series, for all processes."""
        self._shared.clear()

    def _samples(self: Any) -> Iterator[Any]:
        """What all processes have: of a child its own samples, without its labels."""
        if (shared := getattr(self, "_shared", None)) is None:
            return  # another thread declares it right now
        client = import_module("prometheus_client.metrics")
        shows_created = vars(client).get("_use_created", True)
        for family in shared.collect():
            for sample in family.samples:
                suffix = sample.name.removeprefix(self._name)
                if suffix != "_created" or shows_created:
                    exemplar = None if sample.exemplar is None else client.Exemplar(*sample.exemplar)
                    yield client.Sample(suffix, sample.labels, sample.value, None, exemplar)


class Counter(_Metric):
    """Updates of a counter, and its value, which many a test looks at."""

    def inc(self: Any, amount: float = 1, exemplar: dict[str, str] | None = None) -> None:
        """Increment by the given amount."""
        self._shared.inc(amount, exemplar)

    def reset(self: Any) -> None:
        """Set it to zero, for all processes."""
        self._shared.reset()

    @property
    def _value(self: Any) -> "_Value":
        return _Value(lambda: _numbers(self._shared)[0])


class Gauge(_Metric):
    """Updates of a gauge; its value is what this process has, unless the mode is one of the latest."""

    def _options(self: Any) -> dict[str, Any]:
        return {"multiprocess_mode": self._multiprocess_mode}

    def inc(self: Any, amount: float = 1) -> None:
        """Increment by the given amount."""
        self._shared.inc(amount)

    def dec(self: Any, amount: float = 1) -> None:
        """Decrement by the given amount."""
        self._shared.dec(amount)

    def set(self: Any, value: float) -> None:
        """Set to the given value."""
        self._shared.set(value)

    def set_function(self: Any, f: Callable[[], float]) -> None:
        """Let a function say the value, whenever this process is asked."""
        self._shared.set_function(f)

    @property
    def _value(self: Any) -> "_Value":
        return _Value(lambda: _numbers(self._shared)[0])


class Summary(_Metric):
    """Updates of a summary."""

    def observe(self: Any, amount: float) -> None:
        """Observe the given amount."""
        self._shared.observe(amount)

    @property
    def _sum(self: Any) -> "_Value":
        return _Value(lambda: sum(_numbers(self._shared)))


class Histogram(Summary):
    """Updates of a histogram: one an observation, so that the count is the sum of the buckets, whoever dies."""

    def _options(self: Any) -> dict[str, Any]:
        return {"buckets": self._upper_bounds}

    def observe(self: Any, amount: float, exemplar: dict[str, str] | None = None) -> None:
        """Observe the given amount."""
        self._shared.observe(amount, exemplar)


class Info(_Metric):
    """Updates of information."""

    def info(self: Any, val: dict[str, str]) -> None:
        """Set what is known."""
        self._shared.info(val)


class Enum(_Metric):
    """Updates of states."""

    def _options(self: Any) -> dict[str, Any]:
        return {"states": self._states}

    def state(self: Any, state: str) -> None:
        """Set the state."""
        self._shared.state(state)


_REPLACED: Final = (Counter, Gauge, Summary, Histogram, Info, Enum)


class _Value:
    """A value as prometheus_client keeps it, to be read."""

    def __init__(self, get: Callable[[], float]) -> None:
        self.get = get


def _numbers(shared: Any) -> list[float]:
    return [number for _, number in shared._read()] or [0.0]


# -- replacing


def _replace(client: Any) -> None:
    base = import_module("prometheus_client.metrics").MetricWrapperBase
    base.__init__ = _telling(base.__init__, tuple(getattr(client, ours.__name__) for ours in _REPLACED))
    for ours in _REPLACED:
        theirs = getattr(client, ours.__name__)
        for base in reversed(ours.__mro__[:-1]):
            for name, member in vars(base).items():
                if callable(member) or isinstance(member, property):
                    setattr(theirs, name, member)
        theirs.__init__ = _declaring(theirs.__init__, client.REGISTRY, getattr(metrics, ours.__name__))
    client.CollectorRegistry.unregister = _unregistering(client.CollectorRegistry.unregister, client.REGISTRY)
    client.REGISTRY.register(_Others(client))
    _replace_multiprocess(client, import_module("prometheus_client.multiprocess"))


def _declaring(original: Callable[..., None], default: Any, instrument: Callable[..., Any]) -> Callable[..., None]:
    """Declares the instrument behind a metric as well, or nothing."""

    @wraps(original)
    def declare(self: Any, *arguments: Any, **named: Any) -> None:
        original(self, *arguments, **named)
        registry = arguments[6] if len(arguments) > 6 else named.get("registry", default)
        try:
            self._shared = instrument(
                self._name + "_total" * (self._type == "counter"),
                self._documentation,
                self._labelnames,
                unit=self._unit,
                registry=metrics.REGISTRY if registry is default else None,
                **self._options(),
            )
        except BaseException:
            if registry:
                registry.unregister(self)
            raise
        _Installed.metrics[next(_Installed.numbers)] = self

    return declare


def _telling(original: Callable[..., None], shared: tuple[type, ...]) -> Callable[..., None]:
    """Tells once of each class that brings values of its own, which no bridge can know of."""
    told = set()

    @wraps(original)
    def declare(self: Any, *arguments: Any, **named: Any) -> None:
        original(self, *arguments, **named)
        kind = type(self)
        if not isinstance(self, shared) and kind not in told:
            told.add(kind)
            warn(
                f"{kind.__module__}.{kind.__qualname__} is a metric of this process alone, as it inherits from none of "
                f"{', '.join(theirs.__name__ for theirs in shared)}; let it inherit from one of them to share it"
            )

    return declare


def _unregistering(original: Callable[[Any, Any], None], default: Any) -> Callable[[Any, Any], None]:
    @wraps(original)
    def unregister(self: Any, collector: Any) -> None:
        original(self, collector)
        shared = getattr(collector, "_shared", None)
        if self is default and shared is not None:
            with suppress(KeyError):
                metrics.REGISTRY.unregister(shared)

    return unregister


def _replace_multiprocess(client: Any, multiprocess: Any) -> None:
    """Programs that were made for the directory of files need none, and show what the segment has."""

    def __init__(self: Any, registry: Any, path: object = None) -> None:
        if registry:
            registry.register(self)

    def collect(self: Any) -> Iterator[Any]:
        shown = set()
        for metric in list(_Installed.metrics.values()):
            for family in metric.collect():
                if family.name not in shown:
                    yield family
                shown.add(family.name)
        yield from _Others(client).collect()

    def mark_process_dead(pid: int, path: object = None) -> None:
        """Nothing is to be done: the kernel says which processes are dead."""

    multiprocess.MultiProcessCollector.__init__ = __init__
    multiprocess.MultiProcessCollector.collect = collect
    # Its code is replaced, not its name: hooks may have imported it already.
    multiprocess.mark_process_dead.__code__ = mark_process_dead.__code__


# -- what other processes alone have declared


class _Others:
    """A collector of the metrics that only other processes have declared, and of the state of the segment."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def describe(self) -> Iterable[Any]:
        return ()

    def collect(self) -> Iterator[Any]:
        family = documentation = None
        for line in memory.write_others(openmetrics=True).decode().split("\n"):
            name, _, text = line[len("# HELP ") :].partition(" ")
            if line.startswith("# HELP "):
                documentation = label_pairs(f'_="{text}"')["_"]
            elif line.startswith("# TYPE "):
                if family is not None:
                    yield family
                family = self._client.Metric(name, documentation, text)
            elif line.startswith("# UNIT ") and family is not None:
                family.unit = text
            elif family is not None:
                for sample, labels, value, about in lines(line):
                    exemplar = None if about is None else import_module("prometheus_client.samples").Exemplar(*about)
                    family.add_sample(sample, labels, value, None, exemplar)
        if family is not None:
            yield family
