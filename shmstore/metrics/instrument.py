"""What all instruments are: a metric by its name, and its children by their labels."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Self
from weakref import ref

from shmstore import _core
from shmstore.errors import InvalidCall
from shmstore.metrics import checks
from shmstore.metrics.declaration import Declaration
from shmstore.metrics.families import Exemplar, Metric
from shmstore.metrics.memory import memory, run_all
from shmstore.metrics.registry import REGISTRY, CollectorRegistry
from shmstore.metrics.text import label_pairs, label_text, lines, plain_name

_LEAST_PRUNED = 1024


class Instrument(_core.Series):
    """A metric, or one of its children."""

    _type: ClassVar[str]
    _reserved_labelnames: ClassVar[tuple[str, ...]] = ()

    _name: str
    _documentation: str
    _unit: str
    _labelnames: tuple[str, ...]
    declaration: Declaration
    registry_name: str

    def __init__(
        self,
        name: str,
        documentation: str,
        labelnames: Iterable[str] = (),
        namespace: str = "",
        subsystem: str = "",
        unit: str = "",
        registry: CollectorRegistry | None = REGISTRY,
        **declared: Any,
    ) -> None:
        if "declaration" in self.__dict__:
            raise InvalidCall(f"{self} is declared already; declare another metric instead of calling __init__ again")
        self._name = checks.full_name(self._type, name, namespace, subsystem, unit)
        self._labelnames = checks.label_names(labelnames, self._reserved_labelnames)
        self._documentation = documentation
        self._unit = unit
        self._prune_at = _LEAST_PRUNED
        self.registry_name = "default" if registry is REGISTRY else ""
        self._registry = None if registry is None else ref(registry)
        self.declaration = Declaration(self._type, self._name, documentation, unit, self._labelnames, **declared)
        if registry is not None:
            registry.register(self)
        try:
            memory.declare(self)
            if not self._labelnames:
                self._begin(self, b"", ())
        except BaseException:
            if registry is not None:
                registry.unregister(self)
            raise

    def has_its_name(self) -> bool:
        """Whether its registry is alive and still has it, or there never was one."""
        registry = None if self._registry is None else self._registry()
        return self._registry is None or (registry is not None and registry.has(self))

    def _declare_again(self) -> bool:
        """Asked for where the declaration found no room, or is gone; False: another process declares it otherwise."""
        return memory.declare_again(self)

    def __str__(self) -> str:
        return f"{self._type}:{self._name}"

    def __repr__(self) -> str:
        return f"{type(self).__module__}.{type(self).__name__}({self._name})"

    # -- children

    def _begin(self, metric: Self, text: bytes, labelvalues: tuple[str, ...]) -> bool:
        """Be a series; False when there is no room for it."""
        return self._become(metric, text, labelvalues)

    def _labels(self, *labelvalues: object, **labelkwargs: object) -> Self:
        """The child for these label values, in all the ways in which they may be given."""
        if not self._labelnames:
            raise ValueError(f"No label names were set when constructing {self}")
        if self._labelvalues:
            already = dict(zip(self._labelnames, self._labelvalues, strict=True))
            raise ValueError(f"{self} already has labels set ({already}); can not chain calls to .labels()")
        if labelvalues and labelkwargs:
            raise ValueError("Can't pass both *args and **kwargs")
        if labelkwargs:
            if sorted(labelkwargs) != sorted(self._labelnames):
                raise ValueError("Incorrect label names")
            return self._of(tuple(str(labelkwargs[name]) for name in self._labelnames))
        if len(labelvalues) != len(self._labelnames):
            raise ValueError("Incorrect label count")
        return self._of(tuple(map(str, labelvalues)))

    def _of(self, values: tuple[str, ...]) -> Self:
        if (current := self._child(values)) is not None:
            return current
        child = type(self).__new__(type(self))
        child.__dict__ = self.__dict__  # one for all: what a child has for itself lies in the core
        if not child._begin(self, self._text_of(values), values):
            return child  # refused: whoever holds it may try again; it is not kept, so that memory stays bounded
        children = self._all_children()
        if len(children) >= self._prune_at:
            for gone in [key for key, other in list(children.items()) if not other._is_current]:
                children.pop(gone, None)
            self._prune_at = max(_LEAST_PRUNED, 2 * len(children))
        other = children.setdefault(values, child)
        if other is not child and not other._is_current:
            children[values] = other = child
        other._move()  # whoever has moved the metric meanwhile did not find it
        return other

    def _text_of(self, values: tuple[str, ...]) -> bytes:
        return label_text(zip(self._labelnames, values, strict=True)).encode(errors="replace")

    def _all_children(self) -> dict[tuple[str, ...], Self]:
        children = self._children
        return {} if children is None else children

    def _check_has_labels(self) -> None:
        if not self._labelnames:
            raise ValueError(f"No label names were set when constructing {self}")

    def remove(self, *labelvalues: object) -> None:
        """Remove the series of these label values, for all processes."""
        self._check_has_labels()
        if len(labelvalues) != len(self._labelnames):
            raise ValueError(f"Incorrect label count (expected {len(self._labelnames)}, got {labelvalues})")
        values = tuple(map(str, labelvalues))
        self._all_children().pop(values, None)
        memory.remove(self, self._text_of(values))

    def remove_by_labels(self, labels: Mapping[str, str]) -> None:
        """Remove all series that have these labels, for all processes."""
        self._check_has_labels()
        if not isinstance(labels, dict):
            raise TypeError("labels must be a dict of {label_name: label_value}")
        if unknown := [name for name in labels if name not in self._labelnames]:
            raise ValueError(f"Unknown label names: {unknown}; expected {self._labelnames}")
        if labels:
            wanted = [(self._labelnames.index(name), _stored(value)) for name, value in labels.items()]
            self._remove_where(lambda found: all(_stored(found[at]) == value for at, value in wanted))

    def clear(self) -> None:
        """Remove all series, for all processes."""
        if self._labelnames:
            self._all_children().clear()
            memory.clear(self)

    def _remove_where(self, is_wanted: Callable[[tuple[str, ...]], bool]) -> None:
        children = self._all_children()
        for values in [values for values in list(children) if is_wanted(values)]:
            children.pop(values, None)
        with memory.lock:  # the number of the family is one of this home
            for index, word, _, _, text, _ in memory.home.series(self._family) if self._family is not None else ():
                if is_wanted(self._values_in(text)):
                    memory.home.remove(index, word)

    def _values_in(self, text: bytes) -> tuple[str, ...]:
        """The label values in the text of a series."""
        return tuple(label_pairs(text.decode()).values())[: len(self._labelnames)]

    # -- collecting

    def describe(self) -> Iterable[Metric]:
        """The family without samples."""
        return [Metric(self._name, self._documentation, self._type, self._unit)]

    def collect(self) -> Iterable[Metric]:
        """The family with its samples, of all processes where they are shared; a child's bear no labels of its own."""
        family = Metric(self._name, self._documentation, self._type, self._unit)
        plain = plain_name(self._name, colons=True)
        own = list(zip(self._labelnames, self._labelvalues, strict=False))
        for name, written, value, about in lines(memory.write([self], True).decode()):
            labels = self._named(written)
            if any(labels.pop(label) != wanted for label, wanted in own):
                continue
            exemplar = None if about is None else Exemplar(*about)
            family.add_sample(self._name + name.removeprefix(plain), labels, value, None, exemplar)
        return [family]

    def _named(self, labels: dict[str, str]) -> dict[str, str]:
        """Labels by the names that they were declared with."""
        own = len(self._labelnames)
        pairs = list(labels.items())
        return dict([*zip(self._labelnames, (value for _, value in pairs), strict=False), *pairs[own:]])

    def refresh(self) -> None:
        """Bring up to date what is not counted, but asked for."""

    def follow(self) -> None:
        """Move to where the metrics of this process are now."""
        run_all(child._move for child in (self, *self._all_children().values()))

    # -- exemplars

    def _exemplar_text(self, labels: Mapping[str, str]) -> bytes | None:
        if not labels:
            return None
        checks.check_exemplar(labels)
        return label_text(sorted(labels.items())).encode(errors="replace")


def _stored(value: object) -> str:
    """A label value as it is stored."""
    return str(value).encode(errors="replace").decode()
