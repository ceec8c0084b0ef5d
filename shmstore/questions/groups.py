"""Groups: a question put to all records that agree in a field, answered as a table with a row for each."""

from collections.abc import Callable, Iterable, Sequence

from shmstore import _core
from shmstore.arguments.alone import Question
from shmstore.arguments.calls import checked_calls
from shmstore.public import public
from shmstore.questions import aggregates as numbers
from shmstore.questions.aggregates import Number
from shmstore.questions.source import FieldValue, Scope, Value, group_index
from shmstore.tables.column import Column
from shmstore.tables.table import Table
from shmstore.tables.text import ColumnKind


@public
@checked_calls()
class GroupBy(Question):
    """The records of a question by the values of a field; made by `group_by`.

    Every method asks anew. It answers with a Table: a row for each value that a matching record has, in the order of
    these values. The value is in a column with the field's name, and each answer in a column of its own. What is asked
    about is a field's name or an expression over fields, and means what it means to the same method of the store.
    """

    _SEND = "send what it answers: the table of count(), sum(...) and so on"

    __slots__ = ("_ask", "_name")

    def __init__(self, name: str, ask: Callable[[], Scope]) -> None:
        self._name = name
        self._ask = ask

    def count(self) -> Table:
        """How many records there are: column `count`."""
        scope = self._ask()
        labels, counts, _ = scope.group_tallies((), 0, self._by(scope))
        return self._table(scope, labels, [Column("count", "integer", counts)])

    def sum(self, value: Value) -> Table:
        """The sum of a value: column `sum`."""
        return self._answer(value, _core.TALLY_SUM, "sum", lambda _, tallies: tallies.sums)

    def mean(self, value: Value) -> Table:
        """The average of a value: column `mean`."""
        return self._answer(
            value,
            _core.TALLY_SUM,
            "mean",
            lambda counts, tallies: list(map(numbers.mean_of, tallies.sums, counts)),
            "real",
        )

    def min(self, value: Value) -> Table:
        """The least value, NaN aside: column `min`."""
        return self._answer(value, _core.TALLY_BOUNDS, "min", lambda _, tallies: tallies.lows)

    def max(self, value: Value) -> Table:
        """The greatest value, NaN aside: column `max`."""
        return self._answer(value, _core.TALLY_BOUNDS, "max", lambda _, tallies: tallies.highs)

    def variance(self, value: Value, ddof: int = 1) -> Table:
        """The variance of a value: column `variance`."""
        return self._spread("variance", value, ddof, lambda variance: variance)

    def stddev(self, value: Value, ddof: int = 1) -> Table:
        """The standard deviation of a value: column `stddev`."""
        return self._spread("stddev", value, ddof, numbers.deviation_of)

    def summary(self, value: Value) -> Table:
        """Columns `count`, `sum`, `mean`, `min` and `max`, in one pass."""
        scope = self._ask()
        labels, counts, (tallies,) = scope.group_tallies(
            (value,), _core.TALLY_SUM | _core.TALLY_BOUNDS, self._by(scope)
        )
        return self._table(scope, labels, summary_columns(scope, value, counts, tallies))

    def quantile(self, value: Value, q: float) -> Table:
        """A quantile of a value: column `quantile`. Takes 16 bytes of memory a record while it is worked out."""
        scope, wanted = self._ask(), numbers.checked_quantiles([q])
        labels, (found,) = scope.group_quantiles(value, wanted, self._by(scope))
        return self._table(scope, labels, [numbers_column("quantile", scope, value, found)])

    def distinct(self, name: str) -> Table:
        """How many different values a field has: column `distinct`. Takes memory as `quantile` does."""
        scope = self._ask()
        labels, found = scope.group_distinct(name, self._by(scope))
        return self._table(scope, labels, [Column("distinct", "integer", found)])

    def first(self, name: str) -> Table:
        """The value that a field has in the earliest record: column `first`."""
        return self._edge("first", name, latest=False)

    def last(self, name: str) -> Table:
        """The value that a field has in the latest record: column `last`."""
        return self._edge("last", name, latest=True)

    def __repr__(self) -> str:
        return f"<GroupBy {self._name!r}: ask it count(), sum(...), summary(...) and so on>"

    def _by(self, scope: Scope) -> int:
        return group_index(scope.schema, self._name)

    def _answer(
        self,
        value: Value,
        what: int,
        title: str,
        answers: Callable[[list[int], _core.TallyColumns], Sequence[Number | None]],
        kind: ColumnKind | None = None,
    ) -> Table:
        scope = self._ask()
        labels, counts, (tallies,) = scope.group_tallies((value,), what, self._by(scope))
        found = answers(counts, tallies)
        column = (
            Column(title, kind, found) if kind else numbers_column(title, scope, value, found, what == _core.TALLY_SUM)
        )
        return self._table(scope, labels, [column])

    def _spread(self, title: str, value: Value, ddof: int, of: Callable[[float | None], float | None]) -> Table:
        ddof = numbers.checked_ddof(ddof)
        return self._answer(
            value,
            _core.TALLY_MOMENTS,
            title,
            lambda counts, tallies: [
                of(numbers.variance_of(count, squares, ddof))
                for count, squares in zip(counts, tallies.squares, strict=True)
            ],
            "real",
        )

    def _edge(self, title: str, name: str, latest: bool) -> Table:
        scope = self._ask()
        labels, found = scope.group_edges(name, latest, self._by(scope))
        return self._table(scope, labels, [Column(title, scope.field_kind(name), found)])

    def _table(self, scope: Scope, labels: list[FieldValue], columns: Sequence[Column]) -> Table:
        return ordered_table([Column(self._name, scope.field_kind(self._name), labels)], columns)


def summary_columns(scope: Scope, value: Value, counts: list[int], tallies: _core.TallyColumns) -> list[Column]:
    """The columns of a summary of each group."""
    return [
        Column("count", "integer", counts),
        numbers_column("sum", scope, value, tallies.sums, is_sum=True),
        Column("mean", "real", list(map(numbers.mean_of, tallies.sums, counts))),
        numbers_column("min", scope, value, tallies.lows),
        numbers_column("max", scope, value, tallies.highs),
    ]


def numbers_column(
    title: str, scope: Scope, value: Value, found: Sequence[Number | None], is_sum: bool = False
) -> Column:
    """A column of numbers of a value: times where it is a Timestamp and its values are of one, real where any is."""
    kind = scope.field_kind(value) if isinstance(value, str) else None
    if kind == "timestamp" and not is_sum and not any(isinstance(number, float) for number in found):
        return Column(title, "timestamp", found)
    real = kind == "real" or any(isinstance(number, float) for number in found)
    return Column(title, "real" if real else "integer", found)


def ordered_table(labels: Sequence[Column], answers: Iterable[Column]) -> Table:
    """A table of the columns, its rows ordered by the labels."""
    keys = list(zip(*(column.values for column in labels), strict=True))
    rows = sorted(range(len(keys)), key=lambda row: [(one is None, one) for one in keys[row]])  # None: damaged
    return Table(
        Column(name, kind, [values[row] for row in rows])
        for name, kind, values in ((name, kind, list(values)) for name, kind, values in (*labels, *answers))
    )
