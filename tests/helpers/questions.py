"""Every question that can be asked about the fields of a store, whatever its bytes are; answers are looked through."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from shmstore import EventStore, Expression, _core, field
from shmstore.questions.source import Value
from shmstore.tables.table import Table

TEXTS = (_core.KEY, _core.TEXT, _core.BYTES)
REALS = (_core.FLOAT32, _core.FLOAT64)
FEW = 20  # records that are looked through

Ask = Callable[[EventStore[Any]], object]


def questions(store: EventStore[Any]) -> dict[str, Ask]:
    """Questions that the fields of this store allow, by a word for each, put to every field that can take it."""
    kinds = {spec.name: spec.kind for spec in store.schema.fields}
    names = list(kinds)
    numbers: list[Value] = [name for name, kind in kinds.items() if kind not in TEXTS]
    labels = [name for name, kind in kinds.items() if kind not in REALS]
    values = [*numbers, *(field(str(name)) * 2.0 + 1 for name in numbers[:1])]
    conditions = [condition for name, kind in kinds.items() for condition in conditions_on(name, kind)]
    some = ~conditions[0] | conditions[-1]
    asked: dict[str, Ask] = {
        "count": lambda store: [store.count(), *(store.count(where=where) for where in (*conditions, some))],
        "numbers": lambda store: [
            (store.sum(value), store.mean(value), store.min(value), store.max(value), store.summary(value))
            for value in values
        ],
        "some numbers": lambda store: [
            (store.sum(value, where=where), store.summary(value, where=~where))
            for value, where in zip(values * 9, conditions, strict=False)
        ],
        "spreads": lambda store: [(store.variance(value), store.stddev(value, where=some)) for value in values],
        "quantiles": lambda store: [store.quantiles(value, [0, 0.5, 0.99, 1], where=some) for value in values],
        "distinct": lambda store: [(store.distinct(name), store.distinct(name, where=some)) for name in names],
        "edges": lambda store: [(store.first(name), store.last(name, where=some)) for name in names],
        "groups": lambda store: [
            shown(store.group_by(name).summary(value)) for name in labels for value in values[-1:]
        ],
        "sums of groups": lambda store: [
            store.group_by(name, where=some).sum(value) for name in labels[:1] for value in values
        ],
        "values of groups": lambda store: [
            (store.group_by(name).quantile(value, 0.5), store.group_by(name).distinct(names[-1]))
            for name, value in zip(labels, values * 9, strict=False)
        ],
        "edges of groups": lambda store: [shown(store.group_by(name, where=some).last(names[0])) for name in labels],
        "query": lambda store: [list(store.query(where=where, limit=FEW)) for where in conditions],
        "query newest": lambda store: list(store.query(order="newest", where=some)),
        "snapshot of some": lambda store: [len(store.snapshot(where=where)) for where in conditions],
        "answers for Arrow": lambda store: (
            store.query(where=some).__arrow_c_stream__(),
            store.snapshot().structured(),
        ),
        "questions to a copy": lambda store: [
            (store.summary(value, where=lambda record: True), store.quantile(value, 0.5, where=lambda record: True))
            for value in values[-1:]
        ],
    }
    if _core.TIMESTAMP in kinds.values():
        asked |= {
            "windows": lambda store: [shown(store.windows(value, every=timedelta(seconds=1))) for value in values],
            "windows of groups": lambda store: [
                shown(store.windows(values[-1], every=timedelta(seconds=1), by=name, until=2**62)) for name in labels
            ],
            "windows that overlap": lambda store: shown(
                store.windows(values[0], every=timedelta(hours=1), period=timedelta(hours=7), since=1)
            ),
        }
    return asked


def conditions_on(name: str, kind: int) -> list[Expression]:
    """Some that a field allows."""
    if kind in TEXTS:
        text = b"\xff" if kind == _core.BYTES else "gw-1"
        return [field(name) == text, field(name) != text]
    return [field(name)] if kind == _core.BOOL else [field(name) > 2, field(name) * 1.0 + 1 != 7.0]


def shown(table: Table) -> Table:
    """The same table, after all that it offers was taken."""
    assert len(table.to_dicts()) == len(table) == len(list(table)) and len(table.top(3)) <= 3
    table.__arrow_c_stream__()
    return table
