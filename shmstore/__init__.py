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

from shmstore._core import Event
from shmstore.coordinator import Coordinator
from shmstore.errors import (
    AbiMismatch,
    AccessDenied,
    DamagedSegment,
    EventTooLarge,
    FieldError,
    FieldTypeError,
    InvalidCall,
    InvalidCapacity,
    InvalidEvent,
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
    StreamDeleted,
    StreamTableFull,
    StreamTruncated,
    SystemRefused,
    TooManyFiles,
    WrongExpectedVersion,
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
from shmstore.streams.event import ANY, EXISTS, NO_STREAM, ExpectedVersion, NewEvent
from shmstore.streams.following import StoreFollower, StreamFollower
from shmstore.streams.position import Missed, Position
from shmstore.streams.reading import Reading, StoreReading
from shmstore.streams.store import StreamStore, attach_streams, create_streams, open_streams
from shmstore.streams.stream import Retention, Stream
from shmstore.tables.column import Column
from shmstore.tables.table import Table

__all__ = [
    "ANY",
    "AbiMismatch",
    "AccessDenied",
    "Bool",
    "Bytes",
    "Column",
    "Coordinator",
    "Cursor",
    "DamagedSegment",
    "EXISTS",
    "Event",
    "EventStore",
    "EventTooLarge",
    "ExpectedVersion",
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
    "InvalidEvent",
    "InvalidName",
    "InvalidOption",
    "InvalidSchema",
    "Key",
    "KeyTableFull",
    "Missed",
    "NOW",
    "NO_STREAM",
    "NewEvent",
    "NoSpace",
    "NotAStore",
    "NotPicklable",
    "PartitionStalled",
    "PartitionStatistics",
    "Position",
    "ProcessTableFull",
    "Query",
    "ReadOnlyStore",
    "Reading",
    "Record",
    "Retention",
    "Schema",
    "SchemaMismatch",
    "Series",
    "SeriesTableFull",
    "ShmStoreError",
    "Snapshot",
    "Statistics",
    "StoreClosed",
    "StoreExists",
    "StoreFollower",
    "StoreNotFound",
    "StoreReading",
    "StoreUnlinked",
    "Stream",
    "StreamDeleted",
    "StreamFollower",
    "StreamStore",
    "StreamTableFull",
    "StreamTruncated",
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
    "WrongExpectedVersion",
    "WrongKind",
    "attach",
    "attach_streams",
    "create",
    "create_streams",
    "field",
    "list_stores",
    "open",
    "open_streams",
    "series",
    "unlink",
]
