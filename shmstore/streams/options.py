"""What a store of streams is made as."""

from collections.abc import Mapping
from typing import Any, Final, Required, TypedDict

from shmstore import _core
from shmstore.arguments.checks import whole_number
from shmstore.segments.sizes import default_partitions

_COMPARED: Final = ("capacity", "partitions", "data_bytes", "streams", "processes")
_DEFAULTS: Final = {"data_bytes": 512, "streams": 10_000, "processes": 256}


class Creation(TypedDict, total=False):
    """The keyword arguments of `shmstore.create_streams`."""

    capacity: Required[int]
    partitions: int | None
    data_bytes: int
    streams: int
    processes: int
    mode: int
    group: int | str | None


class Opening(Creation, total=False):
    """The keyword arguments of `shmstore.open_streams`."""

    strict: bool


def segment_options(
    *, capacity: int, partitions: int | None, data_bytes: int, streams: int, processes: int
) -> _core.Options:
    """The options of `shmstore.create_streams` as a segment keeps them. Raises InvalidOption."""
    return _core.Options(
        kind="streams",
        capacity=capacity,
        partitions=default_partitions(capacity) if partitions is None else partitions,
        data_bytes=data_bytes,
        streams=streams,
        processes=processes,
    )


def differences(found: _core.Options, asked: Mapping[str, Any]) -> list[str]:
    """How the options of a store differ from what is asked for: "streams is 1000, not 2000", and so on.

    Only options that are given count, and a capacity is compared as it is rounded up. Raises InvalidOption.
    """
    said = {name: value for name, value in asked.items() if name in _COMPARED and value is not None}
    has: Mapping[str, Any] = found
    wanted: Mapping[str, Any] = {name: has[name] for name in _COMPARED} | said
    _core.plan((), segment_options(**wanted))  # refuses what creation would refuse
    partitions = wanted["partitions"]
    differing = [name for name in said if _rounded(name, said, partitions) != _rounded(name, has, found["partitions"])]
    return [f"{name} is {has[name]!r}, not {said[name]!r}" for name in differing]


def _rounded(name: str, options: Mapping[str, Any], partitions: int) -> int:
    value = whole_number(name, options[name], "an int")
    return -(-value // partitions) * partitions if name == "capacity" else value
