"""User code that a strict type checker must accept, and the mistakes in it that it must find.

Every `type: ignore` here is such a mistake: mypy --strict reports an ignore that has nothing to ignore.
"""

from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, assert_type

from shmstore import (
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
    Record,
    Text,
    Timestamp,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
)


class Order(Record):
    gateway: Key
    id: Annotated[str, Text[40]]
    value: float
    timestamp: Timestamp = NOW


class Reading(Record):
    sensor: Annotated[str, Key[16]]
    a: Int8
    b: Int16
    c: Int32
    d: Int64
    e: UInt8
    f: UInt16
    g: UInt32
    h: UInt64
    i: Float32
    j: Float64
    k: Bool
    count: int
    index: Annotated[int, UInt8]
    valid: bool
    at: Timestamp

    @property
    def mean(self) -> float:
        return (self.i + self.j) / 2


class SignedReading(Reading):
    signature: Annotated[bytes, Bytes[64]]


@dataclass
class DataOrder:
    gateway: Key
    id: Annotated[str, Text[40]]
    timestamp: Timestamp = NOW


class NamedOrder(NamedTuple):
    gateway: Key
    id: Annotated[str, Text[40]]
    timestamp: Timestamp = NOW


def use() -> None:
    order = Order(gateway="gw-1", id="o-1", value=12.5)
    assert_type(order, Order)
    assert_type(order.gateway, str)
    assert_type(order.id, str)
    assert_type(order.value, float)
    assert_type(order.timestamp, int)
    assert_type(order._replace(value=13.0), Order)
    assert_type(order._asdict(), dict[str, Any])
    assert_type(Order._fields, tuple[str, ...])
    assert_type(DataOrder("gw-1", "o-1").timestamp, int)
    assert_type(NamedOrder("gw-1", "o-1").gateway, str)

    Order("gw-1", "o-1", 12.5, 1_700_000_000_000_000_000)
    assert_type(tuple(order), tuple[Any, ...])
    match order:
        case Order(name, number, value):
            assert_type(name, str)
            assert_type(number, str)
            assert_type(value, float)

    reading = Reading("s", 1, 2, 3, 4, 5, 6, 7, 8, 9.0, 10.0, True, 12, 13, False, 15)
    assert_type(reading.sensor, str)
    assert_type(reading.h, int)
    assert_type(reading.i, float)
    assert_type(reading.k, bool)
    assert_type(reading.count, int)
    assert_type(reading.index, int)
    assert_type(reading.mean, float)
    signed = SignedReading("s", 1, 2, 3, 4, 5, 6, 7, 8, 9.0, 10.0, True, 12, 13, False, 15, signature=b"")
    assert_type((signed.at, signed.signature), tuple[int, bytes])


def mistakes(order: Order) -> None:
    Order(gateway="gw-1", id="o-1")  # type: ignore[call-arg]
    Order(gateway="gw-1", id="o-1", value=12.5, price=3)  # type: ignore[call-arg]
    Order(gateway=7, id="o-1", value=12.5)  # type: ignore[arg-type]
    order.value = 13.0  # type: ignore[misc]
    print(order.price)  # type: ignore[attr-defined]
