"""Schema: the same fields from every way to declare a record, and the way from a record to its values."""

import dataclasses
import pickle
import re
import sys
import types
from collections import ChainMap, namedtuple
from typing import Annotated, ClassVar, NamedTuple

import pytest

from shmstore import _core
from shmstore._core import FieldSpec
from shmstore.errors import FieldError, FieldTypeError, InvalidSchema
from shmstore.records.fields import NOW, Bytes, Int32, Key, Text, Timestamp
from shmstore.records.record import Record
from shmstore.records.schema import Schema

FIELDS = (
    FieldSpec("gateway", _core.KEY, 64),
    FieldSpec("id", _core.TEXT, 40),
    FieldSpec("value", _core.FLOAT64, 0),
    FieldSpec("timestamp", _core.TIMESTAMP, 0),
)
NAMES = ("gateway", "id", "value", "timestamp")
VALUES = ("gw-1", "o-1", 12.5, 7)


class Order(Record):
    gateway: Key
    id: Text[40]
    value: float
    timestamp: Timestamp


@dataclasses.dataclass
class DataOrder:
    gateway: Key
    id: "Text[40]"
    value: Annotated[float, "euros"]
    timestamp: Timestamp = NOW
    limit: ClassVar[float] = 100.0


@dataclasses.dataclass(kw_only=True, frozen=True, slots=True)
class FrozenOrder:
    gateway: Key
    id: Text[40]
    value: float
    timestamp: Timestamp = NOW


class NamedOrder(NamedTuple):
    gateway: Key
    id: "Text[40]"
    value: float
    timestamp: Timestamp = NOW


class NamedOrderWithMethod(NamedOrder):
    __slots__ = ()

    def shown(self):
        return f"{self.gateway}: {self.value}"


@dataclasses.dataclass
class LargeOrder(DataOrder):
    reason: Text[80] = ""


class Stamps(Record):
    count: Int32
    made: Timestamp
    origin: Key[8]
    read: Timestamp
    goal: Key[16]


DECLARATIONS = [
    Order,
    DataOrder,
    FrozenOrder,
    NamedOrder,
    NamedOrderWithMethod,
    FIELDS,
    [tuple(field) for field in FIELDS],
]


# -- declarations


@pytest.mark.parametrize("declaration", DECLARATIONS)
def test_every_way_to_declare_a_record_gives_the_same_schema(declaration):
    schema = Schema.of(declaration)
    assert schema == Schema.of(Order)
    assert hash(schema) == hash(Schema.of(Order))
    assert schema.fields == FIELDS


def test_a_schema_stands_for_itself():
    schema = Schema.of(Order)
    assert Schema.of(schema) is schema


def test_schemas_with_other_fields_differ():
    assert Schema.of(FIELDS) != Schema.of(FIELDS[:3])
    assert Schema.of(FIELDS) != Schema.of((FIELDS[0], FieldSpec("id", _core.TEXT, 41), *FIELDS[2:]))
    assert Schema.of(FIELDS) != FIELDS


@pytest.mark.parametrize("declared", [Order, NamedOrder, NamedOrderWithMethod])
def test_a_tuple_class_is_the_record_type_and_needs_no_maker(declared):
    schema = Schema.of(declared)
    assert schema.record_type is declared
    assert schema.make is None


@pytest.mark.parametrize("declared", [DataOrder, FrozenOrder])
def test_a_dataclass_is_made_from_values_in_order(declared):
    schema = Schema.of(declared)
    record = schema.make(*VALUES)
    assert schema.record_type is declared
    assert record == declared(gateway="gw-1", id="o-1", value=12.5, timestamp=7)
    assert schema.values_of(record) == VALUES


def test_a_sequence_of_fields_gets_a_record_class_of_the_name_given():
    record_type = Schema.of(FIELDS, name="orders.v1").record_type
    assert issubclass(record_type, Record)
    assert repr(record_type(*VALUES)) == "orders.v1(gateway='gw-1', id='o-1', value=12.5, timestamp=7)"
    assert Schema.of(FIELDS).record_type.__name__ == "Event"


def test_a_dataclass_that_adds_fields_to_another_keeps_their_order():
    assert Schema.of(LargeOrder).names == (*NAMES, "reason")


def test_the_annotations_of_a_base_class_are_resolved_in_its_own_module():
    other = types.ModuleType("other_declarations")
    other.Price = Int32
    sys.modules[other.__name__] = other
    try:
        base = dataclasses.make_dataclass("Base", [("price", "Price")])
        base.__module__ = other.__name__
        declared = dataclasses.make_dataclass("Sale", [("count", "Int32")], bases=(base,))
        declared.__module__ = __name__
        assert Schema.of(declared).fields == (FieldSpec("price", _core.INT32, 0), FieldSpec("count", _core.INT32, 0))
    finally:
        del sys.modules[other.__name__]


@pytest.mark.parametrize(
    "declaration", [Record, [], (), dataclasses.make_dataclass("Empty", []), NamedTuple("Empty", [])]
)
def test_a_declaration_without_fields_is_refused(declaration):
    with pytest.raises(InvalidSchema, match=r"(Record|Event|Empty) has no fields; declare one or more"):
        Schema.of(declaration)


@pytest.mark.parametrize(
    "declaration", [None, 7, "value: float", b"value", {"value": float}, object(), int, dict, Text[40]]
)
def test_anything_else_is_refused_with_what_is_accepted(declaration):
    with pytest.raises(
        InvalidSchema, match=r"does not declare a record; give a Record subclass, .* NumPy structured dtype"
    ):
        Schema.of(declaration)


@pytest.mark.parametrize("item", ["value", 7, ("value", 1), (1, 2, 3, 4), None])
def test_an_item_that_is_no_field_is_refused(item):
    with pytest.raises(InvalidSchema, match=re.escape(f"{item!r} in a sequence of fields is not a FieldSpec")):
        Schema.of([item])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ([("a", _core.INT8, 0), ("a", _core.INT8, 0)], "field 'a' of orders is declared twice"),
        ([("_a", _core.INT8, 0)], "field '_a' of orders begins with"),
        ([("partition", _core.INT8, 0)], "field 'partition' of orders has the name of an argument"),
        ([("a", 99, 0)], "field 'a' of orders is of kind 99"),
        ([("a", _core.TEXT, [])], r"field 'a' of orders is Text of size \[\]"),
        (
            [(f"f{number}", _core.INT8, 0) for number in range(_core.MAX_FIELDS + 1)],
            "orders has .* fields; a record has at most",
        ),
    ],
)
def test_fields_that_cannot_be_stored_are_refused(fields, message):
    with pytest.raises(InvalidSchema, match=message):
        Schema.of(fields, name="orders")


def test_an_unsupported_annotation_of_a_dataclass_names_the_field():
    with pytest.raises(InvalidSchema, match="field 'price' of Sale has the annotation complex; accepted are"):
        Schema.of(dataclasses.make_dataclass("Sale", [("price", complex)]))


def test_an_annotation_that_cannot_be_resolved_names_the_field():
    with pytest.raises(InvalidSchema, match="field 'price' of Sale: the annotation 'Price' cannot be resolved"):
        Schema.of(NamedTuple("Sale", [("price", "Price")]))  # noqa: F821 - it is to be unknown


def test_a_named_tuple_without_annotations_is_refused():
    with pytest.raises(InvalidSchema, match="field 'price' of Sale has no annotation; declare a Record subclass"):
        Schema.of(namedtuple("Sale", ["price"]))


def test_a_private_name_in_a_dataclass_is_refused():
    with pytest.raises(InvalidSchema, match="field '_price' of Sale begins with '_'"):
        Schema.of(dataclasses.make_dataclass("Sale", [("_price", float)]))


@pytest.mark.parametrize(
    "extra",
    [("total", float, dataclasses.field(init=False)), ("rate", dataclasses.InitVar[float])],
)
def test_a_dataclass_that_its_fields_alone_cannot_make_is_refused(extra):
    with pytest.raises(InvalidSchema, match=r"Sale\(.*\) .*cannot make a record from its fields price"):
        Schema.of(dataclasses.make_dataclass("Sale", [("price", float), extra]))


# -- what a schema tells


def test_a_schema_tells_its_names_and_formats():
    schema = Schema.of(Order)
    assert schema.names == NAMES
    assert schema.formats == ("I", "40s", "d", "q")


def test_the_first_key_and_the_first_timestamp_are_those_that_count():
    schema = Schema.of(Stamps)
    assert (schema.key_field, schema.time_field) == (2, 1)


def test_a_schema_may_lack_key_and_timestamp():
    schema = Schema.of([("value", _core.FLOAT64, 0)])
    assert (schema.key_field, schema.time_field) == (None, None)


def test_a_field_is_found_by_its_name():
    assert [Schema.of(Order).index(name) for name in NAMES] == [0, 1, 2, 3]


def test_an_unknown_name_is_an_error_that_lists_the_known_ones():
    said = r"there is no field 'valeu' \(did you mean 'value'\?\); the fields are gateway, id, value"
    with pytest.raises(FieldError, match=said) as caught:
        Schema.of(Order).index("valeu")
    assert caught.value.field == "valeu"


def test_a_description_has_a_line_for_each_field():
    assert Schema.of(Order).describe().splitlines() == [
        "gateway    Key[64]    interned text of at most 64 bytes of UTF-8, stored as its id of 32 bits",
        "id         Text[40]   text of at most 40 bytes of UTF-8",
        "value      Float64    floating-point number of 64 bits",
        "timestamp  Timestamp  nanoseconds since the Unix epoch; now, when left out",
    ]


def test_a_schema_cannot_be_changed():
    with pytest.raises(AttributeError):
        Schema.of(Order).fields = ()


@pytest.mark.parametrize("declaration", DECLARATIONS)
def test_a_schema_survives_pickling(declaration):
    schema = Schema.of(declaration)
    again = pickle.loads(pickle.dumps(schema))
    assert again == schema
    assert again.record_type is schema.record_type
    assert again.names == NAMES


# -- from a record to its values


@pytest.mark.parametrize("declaration", DECLARATIONS)
@pytest.mark.parametrize(
    "record",
    [
        Order(*VALUES),
        DataOrder(*VALUES),
        FrozenOrder(**dict(zip(NAMES, VALUES, strict=True))),
        NamedOrder(*VALUES),
        VALUES,
        dict(zip(reversed(NAMES), reversed(VALUES), strict=True)),
        ChainMap({"value": 12.5, "timestamp": 7}, {"gateway": "gw-1", "id": "o-1"}),
        namedtuple("Reversed", reversed(NAMES))(*reversed(VALUES)),
    ],
)
def test_values_come_in_the_order_of_the_fields_from_every_form_of_record(declaration, record):
    values = Schema.of(declaration).values_of(record)
    assert isinstance(values, tuple)
    assert values == VALUES


@pytest.mark.parametrize(
    "record",
    [Order("gw-1", "o-1", 12.5), DataOrder("gw-1", "o-1", 12.5), {"gateway": "gw-1", "id": "o-1", "value": 12.5}],
)
def test_a_timestamp_that_was_left_out_is_none(record):
    assert Schema.of(Order).values_of(record) == ("gw-1", "o-1", 12.5, None)


@pytest.mark.parametrize(
    ("record", "field", "message"),
    [
        ({"gateway": "gw-1"}, "id", "Order lacks id, value; only a Timestamp may be left out"),
        ({}, "gateway", "Order lacks gateway, id, value"),
        (dict.fromkeys([*NAMES, "price"]), "price", "Order has no field 'price'; its fields are gateway, id, value"),
        (dict.fromkeys([*NAMES, 7]), "7", "Order has no field 7"),
        (LargeOrder(*VALUES, "late"), "reason", "Order has no field 'reason'"),
        (Stamps(1, 2, "a", 3, "b"), "count", "Order has no field 'count'"),
        (namedtuple("Short", NAMES[:2])("gw-1", "o-1"), "value", "Order lacks value"),
        (VALUES[:3], "", "a tuple of 3 values is not a Order; give 4: gateway, id, value, timestamp"),
        ((*VALUES, 1), "", "a tuple of 5 values is not a Order"),
        (list(VALUES), "", "is not a record; give a Order, a mapping by field name, or a tuple of all values"),
        ("gw-1", "", "'gw-1' is not a record"),
        (None, "", "None is not a record"),
        (DataOrder, "", "is not a record"),
    ],
)
def test_a_record_that_does_not_fit_names_the_field(record, field, message):
    with pytest.raises(FieldTypeError, match=message) as caught:
        Schema.of(Order).values_of(record)
    assert caught.value.field == field


def test_bytes_are_declared_like_text():
    class Blob(Record):
        data: Bytes[16]

    assert Schema.of(Blob).formats == ("16s",)
