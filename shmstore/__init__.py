"""A multi-process, in-memory event store in one shared-memory segment: no server, no lock, memory speed.

    import shmstore
    from shmstore import Key, Record, Text, Timestamp

    class Order(Record):
        gateway: Key
        id: Text[40]
        value: float
        timestamp: Timestamp

    store = shmstore.open("orders", Order, capacity=100_000)
    store.append(gateway="gw-1", id="o-1", value=12.5)

Any other process: `shmstore.attach("orders")`.
"""

from shmstore.coordinator import Coordinator
from shmstore.cursor import Cursor
from shmstore.errors import (
    AbiMismatch,
    AccessDenied,
    DamagedSegment,
    FieldError,
    FieldTypeError,
    InvalidCapacity,
    InvalidName,
    InvalidOption,
    InvalidSchema,
    KeyTableFull,
    NoSpace,
    NotAStore,
    PartitionStalled,
    ProcessTableFull,
    ReadOnlyStore,
    SchemaMismatch,
    ShmStoreError,
    StoreClosed,
    StoreExists,
    StoreNotFound,
    StoreUnlinked,
    TooManyFiles,
)
from shmstore.fields import (
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
    Text,
    Timestamp,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
)
from shmstore.gap import Gap, GapReason
from shmstore.record import Record
from shmstore.schema import Schema
from shmstore.snapshot import Snapshot
from shmstore.statistics import PartitionStatistics, Statistics
from shmstore.store import EventStore, attach, create, list_stores, open, unlink

__all__ = [
    "AbiMismatch",
    "AccessDenied",
    "Bool",
    "Bytes",
    "Coordinator",
    "Cursor",
    "DamagedSegment",
    "EventStore",
    "FieldError",
    "FieldTypeError",
    "Float32",
    "Float64",
    "Gap",
    "GapReason",
    "Int16",
    "Int32",
    "Int64",
    "Int8",
    "InvalidCapacity",
    "InvalidName",
    "InvalidOption",
    "InvalidSchema",
    "Key",
    "KeyTableFull",
    "NOW",
    "NoSpace",
    "NotAStore",
    "PartitionStalled",
    "PartitionStatistics",
    "ProcessTableFull",
    "ReadOnlyStore",
    "Record",
    "Schema",
    "SchemaMismatch",
    "ShmStoreError",
    "Snapshot",
    "Statistics",
    "StoreClosed",
    "StoreExists",
    "StoreNotFound",
    "StoreUnlinked",
    "Text",
    "Timestamp",
    "TooManyFiles",
    "UInt16",
    "UInt32",
    "UInt64",
    "UInt8",
    "attach",
    "create",
    "list_stores",
    "open",
    "unlink",
]
