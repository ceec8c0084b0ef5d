"""Sharing the metrics of a process with all others of an application, through a segment."""

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypedDict

from shmstore import _core
from shmstore.arguments.calls import checked, warn
from shmstore.arguments.checks import whole_number
from shmstore.errors import InvalidCapacity, InvalidOption, StoreExists, StoreNotFound
from shmstore.metrics.memory import memory
from shmstore.public import PACKAGE
from shmstore.segments import segment

if TYPE_CHECKING:
    from shmstore.segments.mapping import Segment

_ROUNDS: Final = 20


class Sharing(TypedDict, total=False):
    """The keyword arguments of `metrics.configure`."""

    series: int | None
    exemplars: int | None
    processes: int | None
    mode: int
    group: str | int | None
    strict: bool


class _Size(NamedTuple):
    option: str
    default: int
    least: int
    most: int
    meaning: str


# By their names in `configure`.
SIZES: Final = {
    "series": _Size("capacity", 10_000, 1, _core.MAX_SERIES, "how many series there may be"),
    "exemplars": _Size("exemplars", 1_000, 0, _core.MAX_EXEMPLARS, "how many exemplars are kept"),
    "processes": _Size("processes", 256, 1, _core.MAX_PROCESSES, "how many processes may be attached"),
}


class _Shared:
    """The segment that this process shares its metrics through."""

    name: str | None = None
    mapped: "Segment | None" = None
    core: _core.Store | None = None


@checked
def configure(
    name: str,
    *,
    series: int | None = None,
    exemplars: int | None = None,
    processes: int | None = None,
    mode: int = 0o600,
    group: str | int | None = None,
    strict: bool = False,
) -> None:
    """Share all metrics of this process with the others that configure the same name.

    name          of the segment; whoever comes first makes it
    series        room for at least so many, of all metrics (10,000 when left out); what comes beyond is refused,
                  counted and warned of once, or, with `strict`, raises SeriesTableFull
    exemplars     how many are kept (1,000)
    processes     how many processes may be attached at once (256)
    mode, group   permission bits of the segment, and the name or id of its group

    Call it before or after metrics are made, in a parent before it forks or in each child. What this process has
    counted before moves to the segment; what a parent had counted by then is the parent's to move. Called again with
    the same name it does nothing. A segment that exists keeps its size: where one that is given here differs, a
    UserWarning names both; another tells that the segment which this process shared was removed meanwhile.

    Raises InvalidName, InvalidOption (InvalidCapacity; or this process shares its metrics through another segment
    already), WrongKind (the name is that of a store), ValueError (a metric is declared otherwise there), AccessDenied,
    NoSpace, AbiMismatch, DamagedSegment and ProcessTableFull.
    """
    given = given_sizes({"series": series, "exemplars": exemplars, "processes": processes})
    with memory.lock:
        if _Shared.core is not None and not _Shared.core.unlinked:
            if name == _Shared.name:
                return
            raise InvalidOption(
                f"this process shares its metrics as {_Shared.name!r} already, not as {name!r}; configure once, or "
                "with the same name"
            )
        if _Shared.core is not None:
            warn(
                f"metrics {_Shared.name!r} were removed while this process shared them: what was counted there is "
                f"shown no more, and this process goes on as {name!r}; restart those that still count there (their "
                "shmstore_metrics_removed is 1)"
            )
        mapped = _made_or_found(name, given, mode, group)
        core = None
        try:
            core = mapped.open_core()
            memory.move(_core.Metrics(core, strict=bool(strict)), core, name)
        finally:
            # Whatever a signal handler raised on the way: where the instruments have gone there, they are shared.
            if core is None or memory.store is not core:
                mapped.close()
            else:
                _Shared.name, _Shared.mapped, _Shared.core = name, mapped, core
                memory.follow()
        core.reap()


def given_sizes(options: Mapping[str, Any]) -> dict[str, int]:
    """The sizes among these options, by their names in `configure`; None is left out. Raises InvalidCapacity."""
    given: dict[str, int] = {}
    for name, size in SIZES.items():
        if options.get(name) is not None:
            expected = f"{size.meaning}, a whole number from {size.least} to {size.most}"
            try:
                given[name] = whole_number(name, options[name], expected, size.least, size.most)
            except InvalidOption as error:
                raise InvalidCapacity(str(error)) from None
    return given


def _made_or_found(name: str, given: Mapping[str, int], mode: int, group: str | int | None) -> "Segment":
    sizes = {size.option: given.get(option, size.default) for option, size in SIZES.items()}
    options: _core.Options = {
        "kind": "metrics",
        "capacity": sizes["capacity"],
        "exemplars": sizes["exemplars"],
        "processes": sizes["processes"],
    }
    for _ in range(_ROUNDS):
        with suppress(StoreNotFound):
            found = segment.attach(name, kind="metrics")
            try:
                _tell_differences(found, given)
            except BaseException:
                found.close()
                raise
            return found
        with suppress(StoreExists):
            return segment.create(name, [], options, mode=mode, group=group)
    raise StoreExists(
        f"metrics {name!r} could neither be attached nor created: others create and unlink them all the time"
    )


def _tell_differences(found: "Segment", given: Mapping[str, int]) -> None:
    options: Mapping[str, object] = _core.read_header(found.buffer).options
    has = {name: options[SIZES[name].option] for name in given}
    differences = [f"{name} is {has[name]}, not {given[name]}" for name in given if has[name] != given[name]]
    if differences:
        warn(
            f"metrics {found.name!r} exist and keep their size: {'; '.join(differences)}; ask for what they have, or "
            f"remove them (shmstore-inspect rm {found.name}) so that they are made anew"
        )


configure.__module__ = f"{PACKAGE}.metrics"
