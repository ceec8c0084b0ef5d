"""Record: what a declaration makes of a class, and what its instances can do."""

import collections
import copy
import gc
import pickle
import sys
from typing import Annotated, ClassVar

import pytest

from shmstore import _core
from shmstore._core import FieldSpec
from shmstore.errors import FieldError, FieldTypeError, InvalidSchema
from shmstore.records.fields import NOW, Float32, Int32, Key, Text, Timestamp
from shmstore.records.record import Record, generated


class Order(Record):
    gateway: Key
    id: Text[40]
    value: float
    timestamp: Timestamp


class TimeFirst(Record):
    timestamp: Timestamp = NOW
    value: float


class Refund(Order):
    """An order with a reason."""

    limit: ClassVar[float] = 100.0
    reason: "Text[80]"

    @property
    def allowed(self):
        return self.value <= self.limit


FIELDS = (FieldSpec("gateway", _core.KEY, 64), FieldSpec("count", _core.INT32, 0))


def an_order():
    return Order("gw-1", "o-1", 12.5, 7)


# -- making records


@pytest.mark.parametrize(
    "order",
    [
        Order("gw-1", "o-1", 12.5, 7),
        Order(gateway="gw-1", id="o-1", value=12.5, timestamp=7),
        Order(timestamp=7, value=12.5, id="o-1", gateway="gw-1"),
        Order("gw-1", "o-1", timestamp=7, value=12.5),
    ],
)
def test_values_are_given_by_position_by_name_or_both(order):
    assert order == ("gw-1", "o-1", 12.5, 7)


@pytest.mark.parametrize(
    "record", [Order("gw-1", "o-1", 12.5), Order("gw-1", value=12.5, id="o-1"), TimeFirst(value=1.0)]
)
def test_a_timestamp_that_is_left_out_is_none(record):
    assert record.timestamp is None


def test_a_field_may_have_the_name_of_any_argument():
    class Odd(Record):
        self: int
        cls: int
        values: int
        fields: int

    assert Odd(self=1, cls=2, values=3, fields=4)._replace(self=5) == (5, 2, 3, 4)


@pytest.mark.parametrize(
    ("make", "field", "message"),
    [
        (lambda: Order("gw-1"), "id", "Order lacks id, value; only a Timestamp may be left out"),
        (Order, "gateway", "Order lacks gateway, id, value"),
        (lambda: TimeFirst(3), "value", "TimeFirst lacks value"),
        (lambda: Order("gw-1", "o-1", 1.0, 7, 8), "", "Order was given 5 values for its 4 fields: gateway, id, value"),
        (lambda: Order("gw-1", "o-1", 1.0, price=2), "price", "Order has no field 'price'; its fields are gateway, id"),
        (lambda: Order("gw-1", "o-1", valeu=2), "valeu", "Order has no field 'valeu'"),
        (lambda: Order("gw-1", "o-1", 1.0, id="o-2"), "id", "'id' of Order is given by position and by name"),
        (lambda: an_order()._replace(price=2), "price", "Order has no field 'price'"),
    ],
)
def test_values_that_do_not_fit_the_fields_name_the_field(make, field, message):
    with pytest.raises(FieldTypeError, match=message) as caught:
        make()
    assert caught.value.field == field
    assert isinstance(caught.value, FieldError)
    assert isinstance(caught.value, TypeError)


# -- what a record can do


def test_values_are_read_by_name_and_by_place():
    order = an_order()
    assert (order.gateway, order.id, order.value, order.timestamp) == ("gw-1", "o-1", 12.5, 7)
    assert (order[0], order[-1], order[1:3]) == ("gw-1", 7, ("o-1", 12.5))


def test_a_record_is_immutable_and_no_larger_than_a_tuple():
    order = an_order()
    with pytest.raises(AttributeError):
        order.value = 3.0
    with pytest.raises(AttributeError):
        order.price = 3.0
    assert sys.getsizeof(order) == sys.getsizeof(tuple(order))


def test_a_record_is_equal_to_a_tuple_of_its_values():
    assert an_order() == ("gw-1", "o-1", 12.5, 7) == Order("gw-1", "o-1", 12.5, 7)
    assert hash(an_order()) == hash(tuple(an_order()))
    assert an_order() != Order("gw-2", "o-1", 12.5, 7)


def test_a_record_shows_its_class_and_fields():
    assert repr(Order("gw-1", "o-1", 12.5)) == "Order(gateway='gw-1', id='o-1', value=12.5, timestamp=None)"


def test_a_record_becomes_a_dict_and_changes_into_another_record():
    order = an_order()
    assert order._asdict() == {"gateway": "gw-1", "id": "o-1", "value": 12.5, "timestamp": 7}
    changed = order._replace(value=13.0)
    assert type(changed) is Order
    assert changed == ("gw-1", "o-1", 13.0, 7)
    assert order.value == 12.5


def test_a_record_has_all_that_is_asked_of_a_named_tuple():
    like_it = collections.namedtuple("like_it", Order._fields, defaults=[None])
    assert Order._field_defaults == like_it._field_defaults == {"timestamp": None}
    made = Order._make(iter(like_it._make(an_order())))
    assert made == an_order() and type(made) is Order
    missing = [name for name in vars(like_it) if name.startswith("_") and not hasattr(Order, name)]
    assert missing == []


@pytest.mark.skipif(sys.version_info < (3, 13), reason="copy.replace came with 3.13")
def test_copy_replace_changes_a_record():
    assert copy.replace(an_order(), value=13.0) == ("gw-1", "o-1", 13.0, 7)


def test_a_record_is_matched_by_place_and_by_name():
    match an_order():
        case Order(gateway, "o-1", value=value):
            assert (gateway, value) == ("gw-1", 12.5)
        case _:
            pytest.fail("no match")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "record", [an_order(), Refund("gw", "o", 1.0, 7, "late"), generated("orders.v1", FIELDS)("gw", 3)]
)
def test_a_record_survives_pickling(record, protocol):
    again = pickle.loads(pickle.dumps(record, protocol))
    assert type(again) is type(record)
    assert again == record


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_a_record_is_copied_as_a_record(duplicate):
    again = duplicate(an_order())
    assert type(again) is Order
    assert again == an_order()


# -- declaring


def test_a_class_tells_its_fields_in_order():
    assert Order._fields == Order.__match_args__ == ("gateway", "id", "value", "timestamp")
    assert Record._fields == ()


def test_a_subclass_adds_fields_and_keeps_methods_and_class_variables():
    refund = Refund("gw-1", "o-1", 12.5, 7, "late")
    assert Refund._fields == (*Order._fields, "reason")
    assert refund.reason == "late"
    assert refund.allowed
    assert isinstance(refund, Order)
    assert Refund.__doc__ == "An order with a reason."


def test_of_two_bases_the_last_comes_first_as_in_a_dataclass():
    class Place(Record):
        x: Float32
        y: Float32

    class PlacedOrder(Order, Place):
        floor: Int32

    placed = PlacedOrder(1.0, 2.0, "gw-1", "o-1", 12.5, 7, 3)
    assert PlacedOrder._fields == ("x", "y", *Order._fields, "floor")
    assert (placed.value, placed.x, placed.y, placed.floor) == (12.5, 1.0, 2.0, 3)


def test_what_two_bases_inherit_from_one_class_comes_once():
    class Sold(Order):
        price: float

    class Lost(Order):
        where: Key

    class SoldThenLost(Sold, Lost):
        pass

    assert SoldThenLost._fields == (*Order._fields, "where", "price")


def test_two_bases_cannot_differ_in_a_field():
    class Coarse(Record):
        value: Int32

    with pytest.raises(InvalidSchema, match="field 'value' of Both is declared twice"):

        class Both(Order, Coarse):
            pass


def test_fields_named_like_methods_of_tuple_work():
    class Tally(Record):
        count: int
        index: Int32

    assert (Tally(3, 4).count, Tally(3, 4).index) == (3, 4)


def test_string_annotations_see_what_the_function_around_them_sees():
    Price = Float32

    class Quote(Record):
        size: "Int32"
        price: "Price"
        id: "Annotated[str, Text[8]]"

    assert [field.kind for field in Quote._specs] == [_core.INT32, _core.FLOAT32, _core.TEXT]
    assert Price is Float32


def test_string_annotations_see_the_class_around_them():
    class Quote(Record):
        Price = Float32
        price: "Price"

    assert Quote._specs == (FieldSpec("price", _core.FLOAT32, 0),)


def test_a_string_annotation_that_cannot_be_resolved_names_the_field():
    with pytest.raises(InvalidSchema, match="field 'price' of Quote: the annotation 'Price' cannot be resolved"):

        class Quote(Record):
            price: "Price"  # noqa: F821 - it is to be unknown


def test_an_unsupported_annotation_names_the_field():
    with pytest.raises(InvalidSchema, match="field 'price' of Quote has the annotation complex; accepted are"):

        class Quote(Record):
            price: complex


def test_a_private_name_is_refused():
    with pytest.raises(InvalidSchema, match="field '_price' of Quote begins with '_'"):

        class Quote(Record):
            _price: float


def test_an_inherited_field_cannot_be_declared_again():
    with pytest.raises(InvalidSchema, match="field 'value' of Again is declared twice"):

        class Again(Order):
            value: Int32


def test_a_value_cannot_have_a_default():
    with pytest.raises(InvalidSchema, match=r"field 'price' of Quote has the default 0\.0; only a Timestamp"):

        class Quote(Record):
            price: float = 0.0


@pytest.mark.parametrize("annotation", [float, Text[3]])
def test_only_a_timestamp_has_the_default_now(annotation):
    with pytest.raises(InvalidSchema, match="field 'price' of Quote has the default None"):

        class Quote(Record):
            price: annotation = NOW


def test_a_timestamp_cannot_have_another_default_than_now():
    with pytest.raises(InvalidSchema, match="field 'when' of Quote has the default 0"):

        class Quote(Record):
            when: Timestamp = 0


def test_a_method_cannot_take_the_name_of_a_field():
    with pytest.raises(InvalidSchema, match="field 'value' of Again has the default <function"):

        class Again(Order):
            def value(self): ...


def test_a_class_without_fields_can_be_the_base_of_others():
    class Shown(Record):
        def shown(self):
            return ", ".join(map(str, self))

    class Point(Shown):
        x: int
        y: int

    assert Point(1, 2).shown() == "1, 2"


# -- classes made from fields


def test_a_generated_class_is_a_record_class():
    tally = generated("tally", FIELDS)
    assert repr(tally("gw-1", count=3)) == "tally(gateway='gw-1', count=3)"
    assert tally._specs == FIELDS
    assert issubclass(tally, Record)


def test_the_same_name_and_fields_give_the_same_class():
    assert generated("tally", FIELDS) is generated("tally", FIELDS)
    assert generated("tally", FIELDS) is not generated("tallies", FIELDS)


@pytest.mark.parametrize("cls", [Record, Order, generated("tally", FIELDS)])
def test_record_classes_survive_pickling(cls):
    assert pickle.loads(pickle.dumps(cls)) is cls


@pytest.mark.parametrize("cls", [Order, TimeFirst, Refund])
def test_a_class_is_made_anew_from_what_it_holds(cls):
    """As those do that pickle classes by value, and class decorators."""
    bases = getattr(cls, "__orig_bases__", cls.__bases__)
    again = type(cls)(cls.__name__, bases, dict(vars(cls)))
    assert again is not cls and again._specs == cls._specs
    values = range(len(cls._fields))
    assert again(*values) == cls(*values) and again(*values)._asdict() == cls(*values)._asdict()


def test_classes_declared_in_functions_are_collected():
    def declare():
        class Short(Record):
            x: int

        return Short(1)

    before = len(Record.__subclasses__())
    declare()
    gc.collect()
    assert len(Record.__subclasses__()) <= before
