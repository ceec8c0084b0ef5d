"""Questions to a store, about its live records, or to a snapshot: which, how many, how much, by group and over time."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta, tzinfo
from functools import reduce
from typing import Any, Generic, TypeVar, Unpack

from shmstore import _core
from shmstore.arguments.calls import checked_calls
from shmstore.arguments.checks import called
from shmstore.expressions.expression import Expression
from shmstore.questions import aggregates as numbers
from shmstore.questions.aggregates import Number, Summary
from shmstore.questions.groups import GroupBy
from shmstore.questions.source import Scope, Value, group_index
from shmstore.questions.windows import windows
from shmstore.reading.selection import Moment, Selection, condition
from shmstore.records.schema import Schema
from shmstore.tables.table import Table

A = TypeVar("A")
R = TypeVar("R")


@checked_calls()
class Questions(ABC, Generic[R]):
    """What can be asked of records. No writer waits. Only groups and lists of records take more memory when there are
    more records.

    Each question takes `since`, `until`, `where` and `partition`, which mean what they mean to `EventStore.snapshot`:
    `where` is an expression such as field("value") > 100, worked out in the core, or any Python callable, which gives
    the same answer, many times slower and with the memory of a snapshot. An answer is about records that were readable
    at some instant of the call (best-effort): what is appended after its beginning does not count, what is overwritten
    meanwhile may or may not. If a question is held up for so long that much of what it asks about is overwritten before
    it gets there, it is answered from what is readable then, not from the little that is left.

    A snapshot answers from its own records, which stay as they are. It does not know their partitions, so it refuses
    `partition`.

    What is asked about is a field that holds numbers (ints, floats, bool as 0 and 1, Timestamp in ns) or an expression
    over such fields, as field("price") * field("quantity"). Integers are exact, whatever their sum comes to. Floats are
    summed in twice their precision, so that the order of the records makes no visible difference; in groups, 1,024
    records at a time are summed plainly, and those sums in twice the precision. A sum with a part that is beyond the
    range of floats is an infinity or NaN. NaN makes a sum, mean or variance NaN; min, max and quantiles leave it aside;
    all NaN are one distinct value.

    Raises FieldError (no such field; integer arithmetic that leaves 64 bits), FieldTypeError (a field of another type),
    InvalidOption (a window, partition or argument that is not one), DamagedSegment, StoreClosed.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def schema(self) -> Schema:
        """The fields of the records."""

    @abstractmethod
    def _ask(
        self, where: Expression | None, since: Moment | None, until: Moment | None, partition: int | None
    ) -> Scope:
        """What a question is put to, whose `where` is for the core."""

    @abstractmethod
    def _chosen(self, **selection: Unpack[Selection[R]]) -> Iterable[R]:
        """The matching records, in the order of a snapshot."""

    def _scope(
        self,
        *,
        since: Moment | None = None,
        until: Moment | None = None,
        where: Expression | Callable[[R], object] | None = None,
        partition: int | None = None,
    ) -> Scope:
        """What a question with this selection is put to."""
        expression, accept = condition(where)
        scope = self._ask(expression, since, until, partition)
        return scope if accept is None else scope.accepted(accept)

    def count(self, **selection: Unpack[Selection[R]]) -> int:
        """How many records match."""
        return self._scope(**selection).tally((), 0).records

    def sum(self, value: Value, **selection: Unpack[Selection[R]]) -> Number:
        """The sum of a value; 0 when there are no records."""
        return self._tally(value, _core.TALLY_SUM, selection)[1].sum

    def mean(self, value: Value, **selection: Unpack[Selection[R]]) -> float | None:
        """The average of a value: its `sum` by its `count`; None when there are no records."""
        count, tally = self._tally(value, _core.TALLY_SUM, selection)
        return numbers.mean_of(tally.sum, count)

    def min(self, value: Value, **selection: Unpack[Selection[R]]) -> Number | None:
        """The least value, NaN aside; None when there are no values."""
        return self._tally(value, _core.TALLY_BOUNDS, selection)[1].low

    def max(self, value: Value, **selection: Unpack[Selection[R]]) -> Number | None:
        """The greatest value, NaN aside; None when there are no values."""
        return self._tally(value, _core.TALLY_BOUNDS, selection)[1].high

    def summary(self, value: Value, **selection: Unpack[Selection[R]]) -> Summary:
        """The count, sum, mean, min and max of a value, in one pass."""
        count, tally = self._tally(value, _core.TALLY_SUM | _core.TALLY_BOUNDS, selection)
        return Summary(count, tally.sum, numbers.mean_of(tally.sum, count), tally.low, tally.high)

    def variance(self, value: Value, ddof: int = 1, **selection: Unpack[Selection[R]]) -> float | None:
        """The variance of a value: that of a sample, or with `ddof=0` of a whole population.

        None when there are at most `ddof` records. It is worked out about the mean of each batch of records, and the
        batches are joined (Chan, Golub and LeVeque, 1982), so that large values with a small spread lose nothing.
        """
        ddof = numbers.checked_ddof(ddof)
        count, tally = self._tally(value, _core.TALLY_MOMENTS, selection)
        return numbers.variance_of(count, tally.squares, ddof)

    def stddev(self, value: Value, ddof: int = 1, **selection: Unpack[Selection[R]]) -> float | None:
        """The standard deviation of a value: the root of its `variance`."""
        return numbers.deviation_of(self.variance(value, ddof, **selection))

    def quantile(self, value: Value, q: float, **selection: Unpack[Selection[R]]) -> Number | None:
        """The value below which a part `q` (0 to 1) of all values lies; 0.5 is the median. None without values.

        Exact: between two neighbours, it lies as far as `q` lies between their ranks (NumPy's and
        `statistics.quantiles(method="inclusive")`'s way). It takes constant memory, and a few passes over the records.
        When some records are overwritten between the passes, it begins anew with a private copy of the values that are
        there then, which takes 16 bytes each and twice that while they are sorted. So an answer is always about one set
        of records.
        """
        return self.quantiles(value, [q], **selection)[0]

    def quantiles(
        self, value: Value, wanted: Sequence[float], **selection: Unpack[Selection[R]]
    ) -> list[Number | None]:
        """Several quantiles together, at hardly more than the cost of one."""
        checked = numbers.checked_quantiles(wanted)
        scope = self._scope(**selection)
        scope.program([value])  # a mistake is told, also when nothing is wanted
        found: list[Number | None] = []
        for first in range(0, len(checked), _core.MAX_QUANTILES):
            found += scope.quantiles(value, checked[first : first + _core.MAX_QUANTILES])
        return found

    def first(self, field: str, **selection: Unpack[Selection[R]]) -> Any:
        """The value that a field of any type has in the earliest matching record; None when there are none.

        The earliest by the Timestamp (of several, the first in the order of a snapshot); without one, the first in
        that order.
        """
        return self._scope(**selection).edge(field, latest=False)

    def last(self, field: str, **selection: Unpack[Selection[R]]) -> Any:
        """The value that a field of any type has in the latest matching record; None when there are no records."""
        return self._scope(**selection).edge(field, latest=True)

    def distinct(self, field: str, **selection: Unpack[Selection[R]]) -> int:
        """How many different values a field of any type has.

        Exact, in constant memory: one pass over the records counts some ninety thousand numbers, or half as many texts;
        more of them take several passes. When some records are overwritten between the passes, it begins anew, as
        `quantile` does, and takes 32 bytes a record. Texts and bytes are told apart by 127 bits of two hashes.
        """
        return self._scope(**selection).distinct(field)

    def aggregate(self, initial: A, function: Callable[[A, R], A], **selection: Unpack[Selection[R]]) -> A:
        """Fold the records: `function(function(initial, first), second)` and so on, in the order of a snapshot."""
        called("function", function, "what can be called with a result so far and a record")
        return reduce(function, self._chosen(**selection), initial)

    def group_by(self, field: str, **selection: Unpack[Selection[R]]) -> GroupBy:
        """Ask about all records that agree in a field: `store.group_by("gateway").sum("value").top(5)`.

        The field is a Key, text, bytes, int, bool or Timestamp.
        """
        group_index(self.schema, field)
        return GroupBy(field, lambda: self._scope(**selection))

    def windows(
        self,
        value: Value | None = None,
        *,
        every: timedelta | int | str,
        period: timedelta | int | str | None = None,
        zone: tzinfo | str | None = None,
        by: str | None = None,
        **selection: Unpack[Selection[R]],
    ) -> Table:
        """Ask about stretches of time: the count, and with a value its sum, mean, min and max, in each window.

        every   how far apart windows begin, at multiples of it since the Unix epoch: a timedelta, a text such as "1m",
                "250ms" or "100ns", or an int of ns. Or a unit of the calendar: "day", "week" (from Monday on), "month",
                "quarter" or "year"
        period  how long each is; as long as `every` when left out. Longer ones overlap. Not with a calendar
        zone    whose calendar, an IANA name such as "Europe/Berlin" or a tzinfo; UTC when left out. Its days have 23 or
                25 hours when clocks change
        by      a field: windows of each of its values

        The table has the columns `by`, `start` (a Timestamp) and the answers, ordered by the first two. Windows without
        a record are not in it; the first and last may be cut by `since` and `until`.
        """
        return windows(self._scope(**selection), value, every, period, zone, by)

    def _tally(self, value: Value, what: int, selection: Selection[R]) -> tuple[int, _core.Tally]:
        count, (tally,) = self._scope(**selection).tally((value,), what)
        return count, tally
