"""Markers and annotations: which field each one declares, and how the others are refused."""

import struct
from typing import Annotated, ClassVar

import pytest

from shmstore import _core
from shmstore._core import FieldSpec
from shmstore.errors import InvalidSchema
from shmstore.records.fields import (
    KINDS,
    NOW,
    Bool,
    Bytes,
    Float32,
    Float64,
    Int8,
    Int16,
    Int32,
    Int64,
    Key,
    Marker,
    Text,
    Timestamp,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    checked,
    field_of,
    is_field,
    resolved,
)

FIELDS = [
    (Int8, _core.INT8, 0),
    (Int16, _core.INT16, 0),
    (Int32, _core.INT32, 0),
    (Int64, _core.INT64, 0),
    (UInt8, _core.UINT8, 0),
    (UInt16, _core.UINT16, 0),
    (UInt32, _core.UINT32, 0),
    (UInt64, _core.UINT64, 0),
    (Float32, _core.FLOAT32, 0),
    (Float64, _core.FLOAT64, 0),
    (Bool, _core.BOOL, 0),
    (Timestamp, _core.TIMESTAMP, 0),
    (Key, _core.KEY, 64),
    (Key[1], _core.KEY, 1),
    (Key[4096], _core.KEY, 4096),
    (Text[40], _core.TEXT, 40),
    (Text[65535], _core.TEXT, 65535),
    (Bytes[1], _core.BYTES, 1),
    (int, _core.INT64, 0),
    (float, _core.FLOAT64, 0),
    (bool, _core.BOOL, 0),
    (Annotated[str, Text[40]], _core.TEXT, 40),
    (Annotated[str, Key], _core.KEY, 64),
    (Annotated[str | int, Key[8]], _core.KEY, 8),
    (Annotated[bytes, Bytes[3]], _core.BYTES, 3),
    (Annotated[int, Int32], _core.INT32, 0),
    (Annotated[int | None, Timestamp], _core.TIMESTAMP, 0),
    (Annotated[float, "metres", Float32, "above sea level"], _core.FLOAT32, 0),
    (Annotated[float, "metres"], _core.FLOAT64, 0),
    (Annotated[Float32, "metres"], _core.FLOAT32, 0),
]


def field(name="value", kind=_core.INT64, size=0):
    return FieldSpec(name, kind, size)


@pytest.mark.parametrize(("annotation", "kind", "size"), FIELDS)
def test_an_accepted_annotation_declares_its_kind_and_size(annotation, kind, size):
    assert field_of("Order", "value", annotation) == FieldSpec("value", kind, size)


@pytest.mark.parametrize(
    "annotation", [complex, list[int], dict, object(), 40, [], None, int | None, type, Annotated[complex, "volts"]]
)
def test_any_other_annotation_is_refused_with_the_field_and_what_is_accepted(annotation):
    with pytest.raises(InvalidSchema, match=r"field 'value' of Order has the annotation .*accepted are Key, Key\[n\]"):
        field_of("Order", "value", annotation)


@pytest.mark.parametrize(("annotation", "advice"), [(str, r"write Text\[n\]"), (bytes, r"write Bytes\[n\]")])
def test_a_type_without_a_size_is_refused_with_the_marker_to_write(annotation, advice):
    with pytest.raises(
        InvalidSchema, match=f"field 'value' of Order has the annotation {annotation.__name__}; {advice}"
    ):
        field_of("Order", "value", annotation)


@pytest.mark.parametrize("marker", [Text, Bytes, Annotated[str, Text]])
def test_text_and_bytes_need_a_size(marker):
    with pytest.raises(InvalidSchema, match=r"field 'value' of Order is (Text|Bytes) without a size; .* as in"):
        field_of("Order", "value", marker)


@pytest.mark.parametrize("size", [0, -1, "a", 2.0, True, None, 65536, (1, 2)])
@pytest.mark.parametrize("marker", [Text, Bytes])
def test_a_size_that_is_no_integer_within_the_limit_is_refused(marker, size):
    with pytest.raises(InvalidSchema, match=r"its most bytes are an integer from 1 to 65535"):
        marker[size]


def test_a_key_has_a_lower_limit():
    with pytest.raises(InvalidSchema, match=r"Key\[4097\]: its most bytes are an integer from 1 to 4096"):
        Key[4097]


@pytest.mark.parametrize("marker", [Int8, Float64, Bool, Timestamp])
def test_a_marker_of_fixed_size_takes_none(marker):
    with pytest.raises(InvalidSchema, match="has a fixed size"):
        marker[4]


def test_two_markers_in_one_annotation_are_refused():
    with pytest.raises(InvalidSchema, match=r"field 'value' of Order has the markers \[Int32, Int64\]; keep the one"):
        field_of("Order", "value", Annotated[int, Int32, Int64])


@pytest.mark.parametrize("annotation", [Annotated[int, Text[40]], Annotated[str, Int32], Annotated[int, Bool]])
def test_a_declared_type_that_the_marker_does_not_hold_is_refused(annotation):
    with pytest.raises(InvalidSchema, match=r"field 'value' of Order is declared (int|str), but .* holds"):
        field_of("Order", "value", annotation)


@pytest.mark.parametrize("marker", [Int8, Key, Key[8], Text, Text[40], Bytes[3], Timestamp])
def test_a_marker_shows_as_it_is_written(marker):
    assert eval(repr(marker)) == marker


def test_markers_are_immutable_values():
    assert Text[40] == Text[40] != Text[41]
    assert len({Text[40], Text[40], Bytes[40]}) == 2
    with pytest.raises(AttributeError):
        Key.size = 3


def test_now_is_the_value_of_a_timestamp_that_was_left_out():
    assert NOW is None


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_the_format_of_its_stored_items(kind):
    sizes = {_core.INT8: 1, _core.INT16: 2, _core.INT32: 4, _core.UINT8: 1, _core.UINT16: 2, _core.UINT32: 4}
    sizes |= {_core.FLOAT32: 4, _core.BOOL: 1, _core.KEY: 4, _core.TEXT: 40, _core.BYTES: 40}
    assert struct.calcsize(KINDS[kind].format.format(40)) == sizes.get(kind, 8)


# -- annotations written as strings


@pytest.mark.parametrize("text", ["Key", "int", "Text[40]", "Annotated[str, Text[40]]", "local_alias"])
def test_a_string_annotation_is_resolved_in_the_namespaces_given(text):
    expected = {"Key": Key, "int": int, "Text[40]": Text[40], "local_alias": Int8}.get(text, Annotated[str, Text[40]])
    assert resolved("Order", "value", text, globals(), {"local_alias": Int8}) == expected


def test_a_string_within_annotated_is_resolved_too():
    assert resolved("Order", "value", Annotated["int", Int32], {}, {}) == Annotated[int, Int32]


@pytest.mark.parametrize("text", ["Kye", "Key.size.x", "1 +", "Text[40](3)", "1 / 0"])
def test_a_string_annotation_that_stands_for_nothing_names_the_field(text):
    with pytest.raises(InvalidSchema, match=r"field 'value' of Order: the annotation '.*' cannot be resolved"):
        resolved("Order", "value", text, globals(), {})


def test_a_wrong_size_in_a_string_annotation_names_the_field():
    with pytest.raises(InvalidSchema, match=r"field 'value' of Order: Text\[0\]: its most bytes"):
        resolved("Order", "value", "Text[0]", globals(), {})


@pytest.mark.parametrize("annotation", ["ClassVar", "ClassVar[int]", ClassVar, ClassVar[int]])
def test_a_class_variable_is_no_field(annotation):
    assert not is_field(resolved("Order", "value", annotation, globals(), {}))


# -- fields together


def test_checked_fields_come_back_as_a_tuple_in_their_order():
    fields = [field("b"), field("a", _core.TEXT, 3)]
    assert checked("Order", iter(fields)) == tuple(fields)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "cannot be written as record.name"),
        ("two words", "cannot be written as record.name"),
        ("1st", "cannot be written as record.name"),
        ("class", "cannot be written as record.name"),
        (7, "cannot be written as record.name"),
        ("_hidden", "begins with '_'"),
        ("__dunder__", "begins with '_'"),
        ("partition", "has the name of an argument of append"),
        ("x" * (_core.MAX_FIELD_NAME_BYTES + 1), "has a name of .* bytes; the longest has"),
        ("ü" * (_core.MAX_FIELD_NAME_BYTES // 2 + 1), "has a name of .* bytes; the longest has"),
    ],
)
def test_a_name_that_cannot_be_a_fields_is_refused(name, problem):
    with pytest.raises(InvalidSchema, match=f"^field {name!r} of Order {problem}"):
        checked("Order", [field(name)])


@pytest.mark.parametrize("name", ["count", "index", "größe", "x" * _core.MAX_FIELD_NAME_BYTES, "match", "self", "cls"])
def test_any_other_identifier_is_a_name(name):
    assert checked("Order", [field(name)])


def test_a_name_that_comes_twice_is_refused():
    with pytest.raises(InvalidSchema, match="field 'a' of Order is declared twice"):
        checked("Order", [field("a"), field("b"), field("a")])


def test_a_record_has_as_many_fields_as_the_format_allows():
    fields = [field(f"f{number}") for number in range(_core.MAX_FIELDS)]
    assert len(checked("Order", fields)) == _core.MAX_FIELDS
    with pytest.raises(InvalidSchema, match=f"Order has {_core.MAX_FIELDS + 1} fields; a record has at most"):
        checked("Order", [*fields, field("more")])


@pytest.mark.parametrize("kind", [0, -1, 99, "Int8", None])
def test_an_unknown_kind_is_refused(kind):
    with pytest.raises(InvalidSchema, match=r"field 'value' of Order is of kind .*, which this version"):
        checked("Order", [field(kind=kind)])


@pytest.mark.parametrize(
    ("kind", "size"), [(_core.INT64, 8), (_core.TEXT, 0), (_core.BYTES, 65536), (_core.KEY, 4097), (_core.KEY, None)]
)
def test_a_size_that_does_not_belong_to_the_kind_is_refused(kind, size):
    with pytest.raises(
        InvalidSchema, match=f"field 'value' of Order is {KINDS[kind].marker} of size {size}; its size is"
    ):
        checked("Order", [field(kind=kind, size=size)])


def test_a_marker_is_made_of_kind_and_size():
    assert Marker(_core.TEXT, 40) == Text[40]
