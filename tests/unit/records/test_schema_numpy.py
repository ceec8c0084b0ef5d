"""Schemas of NumPy dtypes: real ones, and objects alike, which show that nothing but their attributes is used."""

import re
import types

import pytest

from shmstore import _core
from shmstore._core import FieldSpec
from shmstore.errors import InvalidSchema
from shmstore.records.schema import Schema


def dtype_like(fields):
    """An object with the attributes of numpy.dtype(fields) that a schema goes by."""

    def item(_name, code, shape=()):
        order, code = (code[0], code[1:]) if code[0] in "<>" else ("<", code)
        size = {"U": 4}.get(code[0], 1) * int(re.match(r"\d+", code[1:])[0])
        return types.SimpleNamespace(
            kind=code[0], itemsize=size, str=order + code, isnative=order == "<", shape=shape, names=None
        )

    return types.SimpleNamespace(
        names=tuple(field[0] for field in fields), fields={field[0]: (item(*field), 0) for field in fields}
    )


@pytest.fixture(params=["alike", "numpy"])
def dtype(request):
    return dtype_like if request.param == "alike" else pytest.importorskip("numpy").dtype


@pytest.mark.parametrize(
    ("code", "kind", "size"),
    [
        ("b1", _core.BOOL, 0),
        ("i1", _core.INT8, 0),
        ("i2", _core.INT16, 0),
        ("i4", _core.INT32, 0),
        ("<i8", _core.INT64, 0),
        ("u1", _core.UINT8, 0),
        ("u2", _core.UINT16, 0),
        ("u4", _core.UINT32, 0),
        ("u8", _core.UINT64, 0),
        ("f4", _core.FLOAT32, 0),
        ("<f8", _core.FLOAT64, 0),
        ("S40", _core.BYTES, 40),
        ("U10", _core.TEXT, 40),
        ("M8[ns]", _core.TIMESTAMP, 0),
    ],
)
def test_an_item_of_a_dtype_is_the_field_of_its_kind(dtype, code, kind, size):
    assert Schema.of(dtype([("value", code)])).fields == (FieldSpec("value", kind, size),)


def test_a_dtype_keeps_the_order_of_its_names_and_gets_a_record_class(dtype):
    schema = Schema.of(dtype([("when", "M8[ns]"), ("count", "i4"), ("at", "u8")]), name="Tick")
    assert schema.names == ("when", "count", "at")
    assert repr(schema.record_type(count=1, at=2)) == "Tick(when=None, count=1, at=2)"


@pytest.mark.parametrize("code", ["f2", "c16", "m8[ns]", "M8[us]", "V4"])
def test_an_item_of_another_kind_is_refused(dtype, code):
    with pytest.raises(InvalidSchema, match=r"field 'value' of the dtype is .*; accepted are b1, i1, .* S<n> and U<n>"):
        Schema.of(dtype([("value", code)]))


def test_an_array_within_a_dtype_is_refused(dtype):
    with pytest.raises(InvalidSchema, match=r"field 'value' of the dtype is .*, an array of shape \(2, 3\)"):
        Schema.of(dtype([("value", "i4", (2, 3))]))


@pytest.mark.parametrize("code", [">i4", ">f8", ">U3", ">M8[ns]"])
def test_an_item_of_foreign_byte_order_is_refused(dtype, code):
    with pytest.raises(InvalidSchema, match=r"field 'value' of the dtype is .*, of another byte order"):
        Schema.of(dtype([("value", code)]))


def test_an_item_larger_than_a_field_may_be_is_refused(dtype):
    with pytest.raises(InvalidSchema, match="field 'value' of Event is Text of size 65536; its size is"):
        Schema.of(dtype([("value", "U16384")]))


def test_a_dtype_without_fields_is_refused():
    with pytest.raises(InvalidSchema, match="has no fields; give a structured dtype"):
        Schema.of(types.SimpleNamespace(names=None, fields=None))


def test_real_dtypes_that_are_no_list_of_numbers_are_refused():
    numpy = pytest.importorskip("numpy")
    for inner in [numpy.dtype([("x", "i4")]), numpy.dtype(object), numpy.dtype("V4")]:
        with pytest.raises(InvalidSchema, match="field 'value' of the dtype is"):
            Schema.of(numpy.dtype([("value", inner)]))
    with pytest.raises(InvalidSchema, match=r"dtype\('float64'\) has no fields"):
        Schema.of(numpy.dtype("f8"))
