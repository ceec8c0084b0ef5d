"""Where the instruments of this process have their series: in private memory, until they move to a segment.

All instruments of a process are in one place. Those of several registries that have a name in common are told apart by
a number behind the name, in the order in which they were declared. In a segment that of the default registry has none,
and a number is free again when the registry is gone, or has let go of its instrument: what is declared anew goes on.
"""

import os
import threading
from array import array
from collections.abc import Callable, Iterable
from functools import partial
from itertools import count
from operator import itemgetter
from typing import Any, Protocol
from weakref import WeakValueDictionary

from shmstore import _core
from shmstore.arguments.calls import warn
from shmstore.metrics.checks import Settings
from shmstore.metrics.declaration import KINDS, MODES, Declaration, unpacked
from shmstore.metrics.registry import ENDINGS, REGISTRY, sample_names
from shmstore.metrics.text import plain_name


class Placed(Protocol):
    """What has series: an instrument."""

    declaration: Declaration
    registry_name: str

    def has_its_name(self) -> bool:
        """Whether no other may have it: its registry is alive and still has it, or there never was one."""

    def follow(self) -> None:
        """Move the series that are there already."""

    def refresh(self) -> None:
        """Bring up to date what is asked for when it is shown."""

    @property
    def _family(self) -> int | None: ...

    def _declare(
        self,
        home: _core.Metrics,
        declaration: bytes,
        key_bytes: int,
        family: int | None,
        mode: int,
        bounds: tuple[float, ...],
        labels: int,
        /,
    ) -> None: ...


class Memory:
    """The series of this process. There is one."""

    def __init__(self) -> None:
        self.home = _core.Metrics()
        self.is_shared = False
        self._store: _core.Store | None = None
        self._former: _core.Metrics | None = None
        self.lock = threading.RLock()
        self._all: WeakValueDictionary[int, Placed] = WeakValueDictionary()  # as they were declared
        self._named: dict[str, WeakValueDictionary[int, Placed]] = {}
        self._newest: WeakValueDictionary[str, Placed] = WeakValueDictionary()  # of the default registry
        self._numbers = count()
        self._name = ""  # of the segment
        self._told: set[str] = set()

    @property
    def store(self) -> _core.Store | None:
        """What stands on the segment in which series are; None: they are in private memory."""
        return None if self._store is None or self._store.closed else self._store

    def declare(self, instrument: Placed) -> None:
        """Give an instrument its place; raises ValueError when its name is declared otherwise already."""
        with self.lock:
            if instrument.registry_name:
                self._newest[instrument.declaration.name] = instrument
            key = self._key(instrument, self.is_shared)
            try:
                self._place(instrument, key, *self._found(self.home, self.is_shared, instrument, key))
            except BaseException:
                self._forget(instrument, key)
                raise
            self._all[next(self._numbers)] = instrument

    def declare_again(self, instrument: Placed) -> bool:
        """The same where there was no room, or the declaration is gone; False: others declare it otherwise."""
        with self.lock:
            key = self._key(instrument, self.is_shared)
            try:
                self._place(instrument, key, *self._found(self.home, self.is_shared, instrument, key))
            except ValueError as error:
                self._place(instrument, key, None, self._text(instrument, key, self.is_shared))
                if str(error) not in self._told:
                    self._told.add(str(error))
                    warn(f"{error}; it counts into nothing", RuntimeWarning)
                return False
            return True

    def move(self, home: _core.Metrics, store: _core.Store, name: str) -> None:
        """Let all instruments have their series in a segment; or none, with an error. Then they are to follow."""
        with self.lock:
            instruments = [instrument for _, instrument in sorted(self._all.items(), key=itemgetter(0))]
            # Those that nobody shows any more come last, and are in nobody's way.
            instruments.sort(key=lambda instrument: not instrument.has_its_name())
            if not self.is_shared:
                self._named.clear()
            former, self._name = self._name, name
            try:
                keys = [self._key(instrument, True) for instrument in instruments]
                found = [self._moved(home, *each) for each in zip(instruments, keys, strict=True)]
            except BaseException:
                self._name = former
                raise
            self._former = self.home  # other threads may still be looking there
            self.home, self.is_shared, self._store = home, True, store
            places = zip(instruments, keys, found, strict=True)
            run_all(partial(_insist, self._place, instrument, key, *where) for instrument, key, where in places)

    def follow(self) -> None:
        """Bring along what this process has counted; a series that is refused keeps no other from it."""
        with self.lock:
            run_all(instrument.follow for instrument in list(self._all.values()))

    def write(self, instruments: Iterable[Placed], openmetrics: bool, names: Iterable[str] | None = None) -> bytes:
        """What instruments have, as lines of an exposition; with `names`, only samples of these names."""
        found = list(instruments)
        for instrument in found:
            instrument.refresh()
        with self.lock:  # a number is one of the home that it was given by
            home, taken = self.home, [instrument._family for instrument in found]
        return _write(home, openmetrics, taken, None, names)

    def write_others(self, openmetrics: bool, names: Iterable[str] | None = None) -> bytes:
        """What only other processes have declared in the default registry, and the state of the segment."""
        with self.lock:
            home, known = self.home, [instrument._family for instrument in list(self._all.values())]
        return _write(home, openmetrics, [], known, names)

    def remove(self, instrument: Placed, text: bytes) -> None:
        """Remove a series of an instrument, for all processes."""
        with self.lock:
            if instrument._family is not None:
                own = self.is_shared and instrument.declaration.mode not in ("", "mostrecent")
                self.home.remove_text(instrument._family, text, own)

    def clear(self, instrument: Placed) -> None:
        """Remove all series of an instrument, for all processes."""
        with self.lock:
            if instrument._family is not None:
                self.home.remove_all(instrument._family)

    def forked(self) -> None:
        """In a forked child: what was counted so far is the parent's."""
        self.lock = threading.RLock()
        self.home.inherit()

    def _moved(self, home: _core.Metrics, instrument: Placed, key: bytes) -> tuple[int | None, bytes]:
        try:
            return self._found(home, True, instrument, key)
        except ValueError:
            if instrument.has_its_name():
                raise
            return None, self._text(instrument, key, True)

    def _text(self, instrument: Placed, key: bytes, is_shared: bool) -> bytes:
        ours = instrument.declaration
        # One process has one value of a gauge, however those of several become one.
        mode = ours.mode if is_shared or not ours.mode else "mostrecent"
        return ours.packed(key, mode, "" if self._is_superseded(instrument) else instrument.registry_name)

    def _found(self, home: _core.Metrics, is_shared: bool, instrument: Placed, key: bytes) -> tuple[int | None, bytes]:
        """The number of the declaration, which is None when there was no room, and its text."""
        ours = instrument.declaration
        text = self._text(instrument, key, is_shared)
        if (found := home.declare(text, len(key))) is None:
            return None, text
        family, stored = found
        if stored == text and is_shared and b"\0" not in key:
            self._check_names(home, key, ours)
        if stored is not None and stored != text:
            first, _ = unpacked(stored, len(key))
            if difference := first.differences(ours):
                raise ValueError(
                    f"the {ours.kind} {ours.name!r} is declared already, with {difference}: all processes that share "
                    f"metrics declare them alike; give this one another name, {self._or_else()}"
                )
        return family, text

    def _or_else(self) -> str:
        return (
            f"or, if the program was changed, remove the segment (shmstore-inspect rm {self._name}) and start all "
            "processes anew"
        )

    def _check_names(self, home: _core.Metrics, key: bytes, ours: Declaration) -> None:
        """No other metric of the default registry, of whichever process, may have samples of these names."""
        names = sample_names(ours.name, ours.kind)
        for name in {name.removesuffix(ending) for name in names for ending in ENDINGS} - {ours.name}:
            other = home.find(name.encode())
            kind = _KIND_OF.get(other[2][len(name.encode()) + 1]) if other else None
            alike = set(names).intersection(sample_names(name, kind)) if kind else ()
            if not alike:
                continue
            own = home.find(key)
            if own and not home.series(own[0]):  # it is new: nothing half-made remains
                home.remove(*own[:2])
            raise ValueError(
                f"the {ours.kind} {ours.name!r} has samples named {min(alike)!r}, and so has the {kind} {name!r}, "
                "which was declared already, perhaps by another process; give this one another name, "
                f"{self._or_else()}"
            )

    def _place(self, instrument: Placed, key: bytes, family: int | None, text: bytes) -> None:
        ours = instrument.declaration
        mode = 1 + MODES.index(ours.mode) if ours.mode else MODES.index("mostrecent") + 1 if ours.kind in _SET else 0
        instrument._declare(self.home, text, len(key), family, mode, ours.buckets, len(ours.labelnames))

    def _key(self, instrument: Placed, is_shared: bool) -> bytes:
        """The name, and behind it which of those instruments that have it this is, but for the first."""
        name = instrument.declaration.name
        named = self._named.setdefault(name, WeakValueDictionary())
        known = [number for number, other in list(named.items()) if other is instrument]
        if is_shared and instrument.registry_name and not self._is_superseded(instrument):
            number = 0
        elif known:
            number = known[0]
        else:
            any_other = not is_shared or not instrument.has_its_name()
            taken = {at for at, other in list(named.items()) if any_other or other.has_its_name()}
            number = next(n for n in range(is_shared, len(taken) + 2) if n not in taken)
        named[number] = instrument
        return name.encode() + (b"\0%d" % number if number else b"")

    def _is_superseded(self, instrument: Placed) -> bool:
        """Was it of the default registry, and another of its name, or of a name of its samples, is there now?"""
        ours = instrument.declaration
        if not instrument.registry_name:
            return False
        if self._newest.get(ours.name, instrument) is not instrument:
            return True
        return not instrument.has_its_name() and REGISTRY.has_any(sample_names(ours.name, ours.kind))

    def _forget(self, instrument: Placed, key: bytes) -> None:
        named = self._named.get(instrument.declaration.name, WeakValueDictionary())
        for number, other in list(named.items()):
            if other is instrument:
                del named[number]


def run_all(steps: Iterable[Callable[[], object]]) -> None:
    """Run all steps, whichever fail; then raise the first error."""
    first: BaseException | None = None
    for step in steps:
        try:
            step()
        except BaseException as error:
            first = first or error
    if first is not None:
        raise first


def _insist(step: Callable[..., object], *arguments: Any) -> None:
    """Run a step once more when a signal handler has raised in it, and then raise that."""
    try:
        step(*arguments)
    except BaseException:
        step(*arguments)
        raise


def _write(
    home: _core.Metrics,
    openmetrics: bool,
    taken: Iterable[int | None],
    known: Iterable[int | None] | None,
    names: Iterable[str] | None,
) -> bytes:
    plain = None if names is None else [plain_name(name, colons=True).encode() for name in names]
    others = known is not None
    return home.write(openmetrics, _ascending(taken), _ascending(known or ()), others, plain, Settings.created)


def _ascending(families: Iterable[int | None]) -> "array[int]":
    return array("I", sorted(family for family in families if family is not None))


_KIND_OF = {number: kind for kind, number in KINDS.items()}

_SET = ("info", "stateset")
"""Kinds that are set as a whole: the latest counts."""

memory = Memory()
# A fork waits until other threads have configured: a child would go on with half of it, and with locks of imports that
# no thread of its own ever releases.
os.register_at_fork(
    before=lambda: memory.lock.acquire(),
    after_in_parent=lambda: memory.lock.release(),
    after_in_child=lambda: memory.forked(),
)
