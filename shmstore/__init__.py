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
    SeriesTableFull,
    ShmStoreError,
    StoreClosed,
    StoreExists,
    StoreNotFound,
    StoreUnlinked,
    SystemRefused,
    TooManyFiles,
    WrongKind,
)
from shmstore.events.series import Series, series
from shmstore.events.statistics import PartitionStatistics, Statistics
from shmstore.events.store import EventStore, attach, create, list_stores, open, unlink
from shmstore.expressions.expression import Expression, field
from shmstore.questions.aggregates import Summary
from shmstore.questions.groups import GroupBy
from shmstore.questions.query import Query
from shmstore.questions.snapshot import Snapshot
from shmstore.reading.cursor import Cursor
from shmstore.reading.gap import Gap, GapReason
from shmstore.records.fields import (
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
from shmstore.records.record import Record
from shmstore.records.schema import Schema
from shmstore.tables.column import Column
from shmstore.tables.table import Table

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
    "SeriesTableFull",
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
    "WrongKind",
    "attach",
    "create",
    "field",
    "list_stores",
    "open",
    "series",
    "unlink",
]
