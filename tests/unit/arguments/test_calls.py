"""Wrong calls: whoever gives a function other arguments than it takes is told by an error of ours what to write."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import shmstore
from shmstore import Coordinator, EventStore, InvalidCall, Series, ShmStoreError, StreamStore, Text, field
from shmstore.arguments.calls import checked
from shmstore.arguments.shown import near
from shmstore.errors import FieldError, FieldTypeError, InvalidOption
from tests.helpers.calls import Event, Examples, examples

# Called too often to be looked at: Python's own error must do. `open` of a Builder and its like are looked at as well.
TOO_OFTEN = {"Cursor.read", "Cursor.wait", "EventStore.read_at"}
CONDITIONS = r"since=, until=, where=, partition="

# What users of pandas, polars and SQL try, and what they are told.
WRONG: dict[str, tuple[Callable[[Examples], Any], str]] = {
    "several keys": (
        lambda given: given.store.group_by("key", "number"),
        rf"^group_by takes only field by position, found also 'number'; write group_by\(field, \*, {CONDITIONS}\); "
        r"groups go by one field; for several, hand the records to a data frame, as polars\.",
    ),
    "no key": (lambda given: given.store.group_by(), r"^group_by needs field; write group_by\(field, \*, "),
    "by": (lambda given: given.store.group_by(by="key"), "takes no by='key' and needs field; .*; by= is called field="),
    "an option of pandas": (lambda given: given.store.group_by("key", as_index=False), "takes no as_index=False"),
    "several values": (lambda given: given.store.sum("value", "number"), r"field\('a'\) \+ field\('b'\)$"),
    "no value": (lambda given: given.store.sum(), rf"^sum needs value; write sum\(value, \*, {CONDITIONS}\)$"),
    "a value twice": (lambda given: given.store.sum("value", value="number"), "^sum is given value twice; write"),
    "axis": (lambda given: given.store.mean("value", axis=0), "^mean takes no axis=0; write mean"),
    "sum by": (lambda given: given.store.sum("value", by="key"), r"group_by\('key'\)\.sum\('value'\)"),
    "sum limit": (lambda given: given.store.sum("value", limit=3), r"^sum takes no limit=3; .*query\(limit=n\)"),
    "filter": (lambda given: given.store.sum("value", filter=1), "filter= is called where= here$"),
    "start": (lambda given: given.store.count(start=1), "start= is called since= here$"),
    "a mistyped name": (lambda given: given.store.count(untl=1), r"untl=: did you mean 'until'\?$"),
    "count of a column": (
        lambda given: given.store.count("value"),
        "^count takes nothing by position, found also 'val",
    ),
    "where by position": (lambda given: given.store.query(field("value") > 1), r"by name, as where=field\('value'\) >"),
    "where as SQL": (lambda given: given.store.query("value > 1"), "found also 'value > 1'; write query"),
    "order_by": (lambda given: given.store.query(order_by="value"), r"query\(order='newest'\).* top\(k\) and bottom"),
    "limit of a snapshot": (lambda given: given.store.snapshot(limit=5), r"query\(limit=n\)"),
    "columns": (lambda given: given.store.snapshot(columns=["value"]), r"snapshot\(\)\['value'\] or \.values\('value"),
    "freq": (lambda given: given.store.windows("value", freq="1m"), "needs every; .*; freq= is called every= here$"),
    "a length by position": (lambda given: given.store.windows("value", "1m"), "by name, as every='1m'$"),
    "two quantiles": (lambda given: given.store.quantile("value", 0.5, 0.9), r"quantiles\('value', \[0\.5, 0\.9\]\)$"),
    "ddof": (lambda given: given.store.variance("value", dof=0), "dof= is called ddof= here$"),
    "where of a group": (
        lambda given: given.store.group_by("key").sum("value", where=1),
        r"group_by\('key', where=\.\.\.\)",
    ),
    "ascending": (lambda given: given.table.top(3, ascending=True), r"^top takes no ascending=True; write top\(k, by="),
    "isin": (lambda _: field("number").isin(1, 2), r"as one list, as isin\(\[1, 2\]\)$"),
    "between": (lambda _: field("number").between(1), r"^between needs high; write between\(low, high\)$"),
    "two keys of a series": (lambda given: given.series.sum("a", "b"), "it is about one key, or about all"),
    "before": (lambda given: given.store.purge(before=1), "before= is called older_than= here$"),
    "no capacity": (lambda given: shmstore.create(f"{given.name}-new", Event), "^create needs capacity; write create"),
    "a size by position": (lambda given: shmstore.create(f"{given.name}-new", Event, 9), r"capacity=100_000$"),
    "partition": (lambda given: given.create(partition=3), "partition= is called partitions= here$"),
    "open of what exists": (
        lambda given: shmstore.open(given.name, Event, partition=3),
        "^open takes no partition=3; ",
    ),
    "attach with a size": (lambda given: shmstore.attach(given.name, capacity=3), "a store that exists has its own"),
    "readonly": (lambda given: shmstore.attach(given.name, readonly=True), "readonly= is called read_only= here$"),
    "interval": (
        lambda given: Coordinator(given.store, interval=1),
        "^Coordinator takes no interval=1; .* tick= here$",
    ),
    "a store by its class": (lambda given: EventStore(given.name), r"not called itself; write shmstore\.create\("),
    "streams by their class": (
        lambda given: StreamStore(given.name),
        r"called itself; write shmstore\.create_streams\(",
    ),
    "a type of a field": (lambda _: Text(40), r"not called; write Text\[40\] for at most 40 bytes"),  # type: ignore[operator]
}

MISTYPED: dict[str, tuple[Callable[[Examples], Any], type[ShmStoreError], str]] = {
    "group_by": (lambda given: given.store.group_by("kye"), FieldError, "'key'"),
    "sum": (lambda given: given.store.sum("Valeu"), FieldError, "'value'"),
    "field": (lambda given: given.store.count(where=field("numbr") > 1), FieldError, "'number'"),
    "column": (lambda given: given.snapshot["VALUE"], FieldError, "'value'"),
    "table": (lambda given: given.table.top(1, by="smu"), FieldError, "'sum'"),
    "record": (lambda _: Event(key="a", numer=1), FieldTypeError, "'number'"),
    "append": (lambda given: given.store.append(kye="a", number=1, value=1.0), FieldTypeError, "'key'"),
}


@pytest.fixture
def given(name: str) -> Iterator[Examples]:
    with examples(name) as given:
        yield given


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_call_says_what_was_wrong_and_what_to_write(given: Examples, case: str) -> None:
    call, said = WRONG[case]
    with pytest.raises(InvalidCall, match=said) as caught:
        call(given)
    assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize("case", MISTYPED)
def test_a_name_that_is_nearly_one_is_told_which(given: Examples, case: str) -> None:
    call, error, meant = MISTYPED[case]
    with pytest.raises(error, match=rf"\(did you mean {meant}\?\); "):
        call(given)


def test_what_is_like_no_name_has_no_such_hint(given: Examples) -> None:
    with pytest.raises(FieldError, match=r"^there is no field 'colour'; the fields are key, number, value, at$"):
        given.store.sum("colour")
    assert near("x" * 10**6, ["x"]) == near(5, ["5"]) == ""


def test_lists_and_functions_in_the_place_of_a_field_are_refused_with_a_way_out(given: Examples) -> None:
    with pytest.raises(FieldTypeError, match="groups go by one field; for several"):
        given.store.group_by(["key", "number"])  # type: ignore[arg-type]
    with pytest.raises(FieldTypeError, match=r"a field's name or an expression, as field\('price'\)"):
        given.store.sum(lambda record: record.value)  # type: ignore[arg-type]
    with pytest.raises(FieldTypeError, match=r"name one after the other, as appender\('a', 'b'\)"):
        given.store.appender(["key", "number"])  # type: ignore[arg-type]
    with pytest.raises(FieldTypeError, match="by position, found also"):
        given.series.add(key="a", value=1.0)  # type: ignore[call-arg]
    with pytest.raises(InvalidOption, match=r"expected an EventStore; shmstore\.series\(name\)"):
        Series(given.name)  # type: ignore[arg-type]


def public_functions(given: Examples) -> Iterator[tuple[str, Callable[..., Any]]]:
    """All that a user calls: functions of the package, and methods of what they give."""
    owners = (
        *(given.store, given.series, given.snapshot, given.table, given.store.cursor(), given.store.query()),
        *(given.store.group_by("key"), EventStore.of(Event), Coordinator(given.store), field("number")),
    )
    for owner in owners:
        for name in dir(type(owner)):
            if not name.startswith("_") and callable(member := getattr(owner, name)):
                yield f"{type(owner).__name__}.{name}", member
    for name in shmstore.__all__:
        if inspect.isfunction(function := getattr(shmstore, name)):
            yield name, function
    yield from (("Coordinator", Coordinator), ("Table", shmstore.Table), ("Schema.of", shmstore.Schema.of))


def test_no_public_function_lets_an_error_of_the_interpreter_out_when_it_is_called_wrongly(given: Examples) -> None:
    looked_at = set()
    for title, function in public_functions(given):
        looked_at.add(title)
        if title in TOO_OFTEN:
            continue
        for values, named in (((), {"no_such_argument": 1}), ((1,) * 12, {})):
            if title == "EventStore.appender" and values:
                continue  # takes any number
            with pytest.raises(ShmStoreError) as caught:
                function(*values, **named)
            if title not in ("EventStore.append", "EventStore.appender", "Series.add"):
                assert isinstance(caught.value, InvalidCall), title
    assert looked_at > TOO_OFTEN and len(looked_at) > 100


def test_what_goes_wrong_inside_a_call_is_not_taken_for_a_wrong_call(given: Examples) -> None:
    with pytest.raises(TypeError, match="takes 0 positional arguments but 1 was given") as caught:
        given.store.count(where=lambda: True)  # type: ignore[arg-type, misc]
    assert not isinstance(caught.value, InvalidCall)


def test_a_checked_function_keeps_what_tools_see_of_it() -> None:
    def plain(value: int, *, by: str = "a") -> str:
        """What it says."""
        return by * value

    looked_at = checked(plain)
    assert looked_at(2, by="b") == "bb"
    assert (looked_at.__name__, looked_at.__doc__) == ("plain", "What it says.")
    assert inspect.signature(looked_at) == inspect.signature(plain)
