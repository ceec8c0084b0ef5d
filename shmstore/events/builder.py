"""The options of a store, said one after the other: `EventStore.of(Order).with_capacity(100_000).create("orders")`."""

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar

from shmstore.arguments.calls import checked_calls
from shmstore.arguments.shown import shown
from shmstore.errors import InvalidCapacity
from shmstore.events.options import Layout, Rule
from shmstore.events.statistics import Statistics

S = TypeVar("S")


@checked_calls()
class Builder(Generic[S]):
    """Options gathered for `create` or `open`; what they mean, their defaults and their errors are described there.

    Every step gives a new builder, so one that is half done can serve many stores.
    """

    __slots__ = ("_create", "_open", "_options", "_record")

    def __init__(self, record: Any, create: Callable[..., S], open: Callable[..., S], **options: Any) -> None:
        self._record = record
        self._create = create
        self._open = open
        self._options = options

    def with_capacity(self, capacity: int) -> Self:
        """How many records the store keeps."""
        return self._with(capacity=capacity)

    def with_partitions(self, partitions: int) -> Self:
        """How many independent rings they are spread over."""
        return self._with(partitions=partitions)

    def with_layout(self, layout: Layout) -> Self:
        """How records lie in memory."""
        return self._with(layout=layout)

    def partition_by(self, rule: Rule) -> Self:
        """What decides the partition of a record."""
        return self._with(partition_by=rule)

    def with_keys(self, keys: int) -> Self:
        """How many different keys there may be."""
        return self._with(keys=keys)

    def on_discarded(self, callback: Callable[[Any], None]) -> Self:
        """Call this with each record that an append of this process overwrites."""
        return self._with(on_discarded=callback)

    def on_capacity_reached(self, callback: Callable[[], None]) -> Self:
        """Call this when an append of this process fills a partition."""
        return self._with(on_capacity_reached=callback)

    def on_statistics(self, callback: Callable[[Statistics], None]) -> Self:
        """Have a coordinator of this handle call this each second with the statistics."""
        return self._with(on_statistics=callback)

    def create(self, name: str) -> S:
        """Make the store; see `shmstore.create`."""
        return self._create(name, self._record, **self._complete())

    def open(self, name: str) -> S:
        """Make the store or attach to it; see `shmstore.open`."""
        return self._open(name, self._record, **self._complete())

    def _with(self, **options: Any) -> Self:
        return type(self)(self._record, self._create, self._open, **(self._options | options))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._record, self._create, self._open), (None, {"_options": self._options})

    def _complete(self) -> dict[str, Any]:
        if "capacity" not in self._options:
            raise InvalidCapacity("no capacity was given; call with_capacity(number of records) before create or open")
        return self._options

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={shown(value)}" for name, value in self._options.items())
        return f"<Builder of {shown(self._record)}: {options or 'no options yet'}>"
