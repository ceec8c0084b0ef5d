"""Questions that a store answers from a snapshot: which records, how many, how much, and any fold of one's own."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import reduce
from typing import Generic, TypeVar, Unpack

from shmstore import _core
from shmstore.errors import FieldTypeError
from shmstore.selection import Selection
from shmstore.snapshot import Snapshot

A = TypeVar("A")
R = TypeVar("R")

_FLOATS = (_core.FLOAT32, _core.FLOAT64)
_NOT_NUMBERS = (_core.TEXT, _core.BYTES, _core.KEY)


class Questions(ABC, Generic[R]):
    """What can be asked of anything that gives snapshots.

    Each takes `since`, `until`, `where` and `partition`, which mean what they mean to `EventStore.snapshot`. The
    answers about a field raise FieldError when there is no such field, and FieldTypeError when it holds no numbers.
    """

    __slots__ = ()

    @abstractmethod
    def snapshot(self, **selection: Unpack[Selection[R]]) -> Snapshot[R]:
        """A private copy of the chosen records."""

    def query(self, **selection: Unpack[Selection[R]]) -> Iterator[R]:
        """The matching records, one after the other; what is appended after the call is not among them."""
        where = selection.pop("where", None)
        records = iter(self.snapshot(**selection))
        return records if where is None else filter(where, records)

    def count(self, **selection: Unpack[Selection[R]]) -> int:
        """How many records match."""
        return len(self.snapshot(**selection))

    def sum(self, field: str, **selection: Unpack[Selection[R]]) -> int | float:
        """The sum of a field, 0 of no records: exact for integers, correctly rounded for floats, so in no need of an
        order.
        """
        return _sum(self._numbers(field, selection)[0])

    def mean(self, field: str, **selection: Unpack[Selection[R]]) -> float | None:
        """The average of a field: its `sum` by its `count`; None of no records."""
        numbers, _ = self._numbers(field, selection)
        return _sum(numbers) / len(numbers) if numbers else None

    def min(self, field: str, **selection: Unpack[Selection[R]]) -> int | float | None:
        """The least value of a field, NaN aside; None of no values."""
        return min(self._comparable(field, selection), default=None)

    def max(self, field: str, **selection: Unpack[Selection[R]]) -> int | float | None:
        """The greatest value of a field, NaN aside; None of no values."""
        return max(self._comparable(field, selection), default=None)

    def aggregate(self, initial: A, function: Callable[[A, R], A], **selection: Unpack[Selection[R]]) -> A:
        """Fold the records: `function(function(initial, first), second)` and so on, in the order of a snapshot."""
        return reduce(function, self.query(**selection), initial)

    def _numbers(self, field: str, selection: Selection[R]) -> tuple[list[float], int]:
        """The values of a field and its kind."""
        snapshot = self.snapshot(**selection)
        kind = snapshot.schema.fields[snapshot.schema.index(field)].kind
        if kind in _NOT_NUMBERS:
            raise FieldTypeError(
                field, f"field {field!r} holds no numbers; sum, mean, min and max take numbers, bool and Timestamp"
            )
        return snapshot.values(field), kind

    def _comparable(self, field: str, selection: Selection[R]) -> list[float]:
        numbers, kind = self._numbers(field, selection)
        return [number for number in numbers if number == number] if kind in _FLOATS else numbers


def _sum(numbers: list[int] | list[float]) -> int | float:
    if not numbers or not isinstance(numbers[0], float):
        return sum(numbers)
    try:
        return math.fsum(numbers)
    except (OverflowError, ValueError):
        # fsum refuses partial sums beyond the largest float and inf - inf; plain addition answers inf and nan.
        return sum(numbers)
