"""What there is on a machine: each segment in a row, from outside or by a handle on it."""

from typing import Any, Final

from shmstore.arguments import units
from shmstore.errors import ShmStoreError
from shmstore.events.store import EventStore
from shmstore.segments.handle import Handle
from shmstore.segments.segment import SegmentInfo
from shmstore.survey.machine import owner_name
from shmstore.survey.segments import brief, look_at_any

_TOLD: Final = ("kind", "records", "series", "streams", "capacity", "alive", "coordinator")


def described(info: SegmentInfo) -> dict[str, Any]:
    """A segment: its name, size, owner and state, and what `held` tells of it where it can be attached."""
    row: dict[str, Any] = {"name": info.name, "size": info.size, **dict.fromkeys(_TOLD)}
    row |= {"created": units.Time(info.created_ns), "owner": owner_name(info.uid), "state": "ok"}
    try:
        if info.error is not None:
            raise info.error
        with look_at_any(info.name) as store:
            return row | held(store)
    except ShmStoreError as error:
        return row | {"state": brief(error)}


def held(store: EventStore[Any] | Handle) -> dict[str, Any]:
    """What a segment holds and has room for, and how many live processes are attached to it for writing."""
    count: dict[str, int]
    if isinstance(store, EventStore):
        count = {"records": len(store)}
    elif store.kind == "streams":
        count = {"streams": store.core.streams_room().streams}
    else:
        count = {"series": store.core.metrics_room().series}
    return count | {
        "kind": store.core.header().options["kind"],
        "capacity": store.core.plan().capacity,
        "alive": sum(place.state == "alive" for place in store.processes()),
        "coordinator": store.core.coordinator_alive(),
    }
