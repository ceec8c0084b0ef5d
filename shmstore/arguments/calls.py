"""Wrong calls: whoever gives a public function other arguments than it takes is told what to write instead."""

import inspect
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar, cast, get_args, get_origin

from shmstore.arguments.shown import near, shown
from shmstore.errors import InvalidCall

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type)

_SIMILAR = 0.75  # short names are easily alike
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)

# What other programs call it, by what it is called here.
_OTHER_WORDS = {
    "where": "filter filters condition predicate expression expr having mask",
    "since": "start start_time begin from_ after time_from",
    "until": "end end_time stop to before time_to",
    "every": "freq frequency rule interval bucket window step resolution",
    "by": "group_by groupby",
    "order": "order_by orderby sort sort_by sorted ascending descending reverse",
    "limit": "n top take nrows max_records rows count max_count",
    "field": "by column col name key keys on level",
    "value": "column col field name columns",
    "q": "quantile p percentile",
    "wanted": "q qs quantiles percentiles",
    "ddof": "dof",
    "capacity": "size maxlen max_size max_records length",
    "series": "capacity size max_series",
    "partitions": "partition shards",
    "record": "schema dtype fields record_type",
    "read_only": "readonly ro",
    "older_than": "before until since ttl age",
    "start": "from_ position offset since",
    "timeout": "timeout_s seconds",
    "tick": "interval",
    "from_": "start since begin after offset position version revision",
    "backwards": "reverse reversed descending",
    "expected_version": "expected version revision",
    "event_id": "id uuid",
    "events": "max_count count maxlen",
    "age": "max_age ttl",
    "before": "at until to below version",
    "prefix": "startswith",
}

# Where to turn with what a function does not take.
_ELSEWHERE = {
    "where": "choose the records before they are grouped: group_by('key', where=...)",
    "since": "choose the records before they are grouped: group_by('key', since=...)",
    "until": "choose the records before they are grouped: group_by('key', until=...)",
    "by": "for each value of a field there is group_by('key').sum('value'), for each key of a series "
    "group().sum('value')",
    "order": "records come in the order of query(order='newest') or snapshot(order='time'), the rows of a table by "
    "top(k) and bottom(k)",
    "limit": "so many records come from query(limit=n), so many rows of a table from top(k) or [:n]",
    "capacity": "a store that exists has its own; create and open take it",
}
_SIZES = "partitions layout partition_by keys processes mode group"
_COLUMNS = "columns select usecols fields"

_ONE_VALUE = "it is about one value: ask for each by itself, or about an expression, as field('a') + field('b')"
_ONE_FIELD = "it is about one field: ask for each by itself"
_ONE_KEY = "it is about one key, or about all when key is left out; all else is given by name"
_CONDITION = "a condition is given by name, as where=field('value') > 100"

SEVERAL_KEYS = (
    "groups go by one field; for several, hand the records to a data frame, as "
    "polars.DataFrame(store.snapshot()).group_by('a', 'b')"
)

# What to do with surplus values, by the function that was given them.
_TOO_MANY = {
    "group_by": SEVERAL_KEYS,
    **dict.fromkeys(("sum", "mean", "min", "max", "summary", "variance", "stddev"), _ONE_VALUE),
    **dict.fromkeys(("first", "last", "distinct"), _ONE_FIELD),
    "quantile": "several together are quantiles('value', [0.5, 0.9])",
    "count": "it counts records, whatever their fields; where=field('value') > 100 chooses among them",
    **dict.fromkeys(("query", "snapshot"), _CONDITION),
    "isin": "give the values as one list, as isin([1, 2])",
    "windows": "how long they are is given by name, as every='1m'",
    **dict.fromkeys(("create", "open"), "sizes are given by name, as capacity=100_000"),
}

# Classes that users do not call themselves.
_MADE_BY = {
    "EventStore": "shmstore.create(name, Order, capacity=100_000), shmstore.open(...) or shmstore.attach(name)",
    "StreamStore": "shmstore.create_streams(name, capacity=100_000), shmstore.open_streams(...) or "
    "shmstore.attach_streams(name)",
    "Series": "shmstore.series(name, capacity=100_000)",
    "Builder": "EventStore.of(Order)",
    "Snapshot": "store.snapshot()",
    "Query": "store.query()",
    "GroupBy": "store.group_by('key')",
    "Cursor": "store.cursor()",
}


def checked(function: F) -> F:
    """The function, which raises InvalidCall when it is called with other arguments than it takes."""
    rest = _names_of_the_rest(function)
    known = None if rest is None else {*rest, *inspect.signature(function).parameters}

    @wraps(function)
    def call(*values: Any, **named: Any) -> Any:
        if known is not None and not named.keys() <= known:
            raise _mistaken(function, values, named)
        try:
            return function(*values, **named)
        except TypeError as error:
            trace = error.__traceback__
            if trace is None or trace.tb_next is not None:  # it had begun
                raise
        raise _mistaken(function, values, named)

    return cast(F, call)


def checked_calls(*but: str) -> Callable[[C], C]:
    """Make all public functions of a class `checked`, `but` those that are called too often for that."""

    def decorate(cls: C) -> C:
        for name, member in list(vars(cls).items()):
            wrapper = type(member) if isinstance(member, staticmethod | classmethod) else lambda function: function
            function = getattr(member, "__func__", member)
            is_public = name == "__init__" or not name.startswith("_")
            is_abstract = getattr(function, "__isabstractmethod__", False)
            if is_public and name not in but and inspect.isfunction(function) and not is_abstract:
                setattr(cls, name, wrapper(checked(function)))
        return cls

    return decorate


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Give a warning at the line that called the package, however many functions of ours lie in between."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "shmstore":
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _names_of_the_rest(function: Callable[..., Any]) -> list[str] | None:
    """The keys of the TypedDict that says what a function's ** takes; None when there is none."""
    if not function.__code__.co_flags & inspect.CO_VARKEYWORDS:
        return None
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            for unpacked in get_args(parameter.annotation):
                keys = get_origin(unpacked) or unpacked
                return list(keys.__annotations__)
    return None


def _mistaken(function: Callable[..., Any], values: Sequence[Any], named: dict[str, Any]) -> InvalidCall:
    """What is wrong with a call, how to write it, and where to turn with what was meant."""
    title = _title(function)
    if title in _MADE_BY:
        return InvalidCall(f"{title} is not called itself; write {_MADE_BY[title]}")
    every = list(inspect.signature(function).parameters.values())
    if every and every[0].name in ("self", "cls"):
        every, values = every[1:], values[1:]
    rest = _names_of_the_rest(function)
    parameters = [one for one in every if one.kind is not inspect.Parameter.VAR_KEYWORD]
    by_position = [one.name for one in parameters if one.kind in _POSITIONAL]
    names = [*(one.name for one in parameters), *(rest or ())]
    unknown = [name for name in named if name not in names]
    given = {*by_position[: len(values)], *named}
    missing = [one.name for one in parameters if one.default is one.empty and one.name not in given]
    missing = [name for name in missing if all(one.kind is not one.VAR_POSITIONAL for one in parameters)]

    of_streams = function.__globals__["__name__"].startswith(("shmstore.streams.", "shmstore.http."))
    wrong, advice = [], []
    if unknown:
        wrong.append(f"takes no {', '.join(f'{name}={shown(named[name])}' for name in unknown)}")
        advice += [_advice(name, names, None if of_streams else _ELSEWHERE) for name in unknown]
    if surplus := list(map(shown, values[len(by_position) :])):
        many = f"only {' and '.join(by_position)}" if by_position else "nothing"
        wrong.append(f"takes {many} by position, found also {', '.join(surplus)}")
        of_all = "what stands behind the * is given by name" if len(names) > len(by_position) else ""
        of_one = {} if of_streams else _TOO_MANY
        advice.append(_ONE_KEY if function.__qualname__.startswith("Series.") else of_one.get(title, of_all))
    wrong += [f"needs {name}" for name in missing]
    wrong += [f"is given {name} twice" for name in by_position[: len(values)] if name in named]
    words = [f"{title} {' and '.join(wrong)}", f"write {title}({_usage(parameters, rest)})"]
    return InvalidCall("; ".join([*words, *dict.fromkeys(filter(None, advice))]))


def _title(function: Callable[..., Any]) -> str:
    *owner, name = function.__qualname__.split(".")
    return owner[-1] if name == "__init__" and owner else name


def _usage(parameters: Sequence[inspect.Parameter], rest: Sequence[str] | None) -> str:
    """The parameters as a call writes them: those by position, then a star and those by name."""
    first, by_name = [], [f"{name}=" for name in rest or ()]
    several = [one for one in parameters if one.kind is one.VAR_POSITIONAL]
    for one in parameters:
        if one.kind in _POSITIONAL:
            first.append(one.name if one.default is one.empty else f"{one.name}={one.default!r}")
    first += [f"*{one.name}" for one in several]
    by_name = [f"{one.name}=" for one in parameters if one.kind is one.KEYWORD_ONLY] + by_name
    return ", ".join(first + (["*"] if by_name and not several else []) + by_name)


def _advice(name: str, names: Sequence[str], elsewhere: dict[str, str] | None) -> str:
    """Where to turn with an argument of this name that a function with these `names` does not take."""
    meant = [ours for ours, others in _OTHER_WORDS.items() if name == ours or name in others.split()]
    if elsewhere and "order" in meant:
        return elsewhere["order"]
    for ours in meant:
        if ours in names:
            return f"{name}= is called {ours}= here"
    if similar := near(name, names, _SIMILAR):
        return f"{name}=: {similar}"
    if not elsewhere:
        return ""
    for ours in meant:
        if ours in elsewhere:
            return elsewhere[ours]
    if name in _SIZES.split():
        return elsewhere["capacity"]
    if name in _COLUMNS.split():
        return "one field of the records is a column of their snapshot: snapshot()['value'] or .values('value')"
    return ""
