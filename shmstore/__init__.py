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

from shmstore.column import Column
from shmstore.coordinator import Coordinator
from shmstore.cursor import Cursor
from shmstore.errors import (
    AbiMismatch,
    AccessDenied,
    DamagedSegment,
    FieldError,
    FieldTypeError,
    InvalidCall,
    InvalidCapacity,
    InvalidName,
    InvalidOption,
    InvalidSchema,
    KeyTableFull,
    NoSpace,
    NotAStore,
    NotPicklable,
    PartitionStalled,
    ProcessTableFull,
    ReadOnlyStore,
    SchemaMismatch,
    ShmStoreError,
    StoreClosed,
    StoreExists,
    StoreNotFound,
    StoreUnlinked,
    SystemRefused,
    TooManyFiles,
)
from shmstore.expression import Expression, field
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
from shmstore.groups import GroupBy
from shmstore.matches import Query
from shmstore.numbers import Summary
from shmstore.record import Record
from shmstore.schema import Schema
from shmstore.series import Series, series
from shmstore.snapshot import Snapshot
from shmstore.statistics import PartitionStatistics, Statistics
from shmstore.store import EventStore, attach, create, list_stores, open, unlink
from shmstore.table import Table

__all__ = [
    "AbiMismatch",
    "AccessDenied",
    "Bool",
    "Bytes",
    "Column",
    "Coordinator",
    "Cursor",
    "DamagedSegment",
    "EventStore",
    "Expression",
    "FieldError",
    "FieldTypeError",
    "Float32",
    "Float64",
    "Gap",
    "GapReason",
    "GroupBy",
    "Int16",
    "Int32",
    "Int64",
    "Int8",
    "InvalidCall",
    "InvalidCapacity",
    "InvalidName",
    "InvalidOption",
    "InvalidSchema",
    "Key",
    "KeyTableFull",
    "NOW",
    "NoSpace",
    "NotAStore",
    "NotPicklable",
    "PartitionStalled",
    "PartitionStatistics",
    "ProcessTableFull",
    "Query",
    "ReadOnlyStore",
    "Record",
    "Schema",
    "SchemaMismatch",
    "Series",
    "ShmStoreError",
    "Snapshot",
    "Statistics",
    "StoreClosed",
    "StoreExists",
    "StoreNotFound",
    "StoreUnlinked",
    "Summary",
    "SystemRefused",
    "Table",
    "Text",
    "Timestamp",
    "TooManyFiles",
    "UInt16",
    "UInt32",
    "UInt64",
    "UInt8",
    "attach",
    "create",
    "field",
    "list_stores",
    "open",
    "series",
    "unlink",
]
