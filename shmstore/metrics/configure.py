"""Sharing the metrics of a process with all others of an application, through a segment."""

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from shmstore import _core
from shmstore.arguments.calls import warn
from shmstore.arguments.checks import whole_number
from shmstore.errors import InvalidOption, StoreExists, StoreNotFound
from shmstore.metrics.memory import memory
from shmstore.public import PACKAGE
from shmstore.segments import segment

if TYPE_CHECKING:
    from shmstore.segments.mapping import Segment

_ROUNDS: Final = 20


class _Shared:
    """The segment that this process shares its metrics through."""

    name: str | None = None
    mapped: "Segment | None" = None
    core: _core.Store | None = None


def configure(
    name: str,
    *,
    series: int = 10_000,
    exemplars: int = 1_000,
    processes: int = 256,
    mode: int = 0o600,
    group: str | int | None = None,
    strict: bool = False,
) -> None:
    """Share all metrics of this process with the others that configure the same name.

    name          of the segment; whoever comes first makes it
    series        how many there may be, of all metrics; what comes beyond is refused, counted and warned of once, or,
                  with `strict`, raises SeriesTableFull
    exemplars     how many are kept
    processes     how many processes may be attached at once
    mode, group   permission bits of the segment, and the name or id of its group

    Call it before or after metrics are made, in a parent before it forks or in each child. What this process has
    counted before moves to the segment; what a parent had counted by then is the parent's to move. Called again with
    the same name it does nothing. A segment that exists keeps its size: where that differs, a UserWarning names both.

    Raises InvalidName, InvalidOption (InvalidCapacity; or this process shares its metrics through another segment
    already), WrongKind (the name is that of a store), ValueError (a metric is declared otherwise there), AccessDenied,
    NoSpace, AbiMismatch, DamagedSegment and ProcessTableFull.
    """
    options: _core.Options = {
        "kind": "metrics",
        "capacity": whole_number("series", series, "how many series there may be", least=1),
        "exemplars": whole_number("exemplars", exemplars, "how many exemplars are kept"),
        "processes": whole_number("processes", processes, "how many processes may be attached", least=1),
    }
    with memory.lock:
        if _Shared.core is not None and not _Shared.core.unlinked:
            if name == _Shared.name:
                return
            raise InvalidOption(
                f"this process shares its metrics as {_Shared.name!r} already, not as {name!r}; configure once, or "
                "with the same name"
            )
        mapped = _made_or_found(name, options, mode, group)
        core = None
        try:
            core = mapped.open_core()
            memory.move(_core.Metrics(core, strict=bool(strict)), core)
        finally:
            # Whatever a signal handler raised on the way: where the instruments have gone there, they are shared.
            if core is None or memory.store is not core:
                mapped.close()
            else:
                _Shared.name, _Shared.mapped, _Shared.core = name, mapped, core
                memory.follow()
        core.reap()


def _made_or_found(name: str, options: _core.Options, mode: int, group: str | int | None) -> "Segment":
    for _ in range(_ROUNDS):
        with suppress(StoreNotFound):
            found = segment.attach(name, kind="metrics")
            _tell_differences(found, options)
            return found
        with suppress(StoreExists):
            return segment.create(name, [], options, mode=mode, group=group)
    raise StoreExists(
        f"metrics {name!r} could neither be attached nor created: others create and unlink them all the time"
    )


def _tell_differences(found: "Segment", options: Mapping[str, object]) -> None:
    has: Mapping[str, object] = _core.read_header(found.buffer).options
    names = {"capacity": "series", "exemplars": "exemplars", "processes": "processes"}
    differences = [f"{names[key]} is {has[key]}, not {options[key]}" for key in names if has[key] != options[key]]
    if differences:
        warn(
            f"metrics {found.name!r} exist and keep their size: {'; '.join(differences)}; ask for what they have, or "
            f"remove them (shmstore-inspect rm {found.name}) so that they are made anew"
        )


configure.__module__ = f"{PACKAGE}.metrics"
