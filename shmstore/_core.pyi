"""The typed contract between the C core and the Python floors above it.

Units: times are nanoseconds since the Unix epoch, sizes are bytes, tickets count appends of one partition.
A *position* is one integer for (partition, ticket): ``ticket * partitions + partition``.
"""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, Required, Self, TypeAlias, TypedDict, TypeVar, Unpack, final

from typing_extensions import Buffer

ABI_MAJOR: Final[int]
ABI_MINOR: Final[int]
MAX_FIELDS: Final[int]
MAX_FIELD_NAME_BYTES: Final[int]
MAX_KEY_BYTES: Final[int]
MAX_TEXT_BYTES: Final[int]  # also of BYTES
MAX_PROCESSES: Final[int]
MAX_PARTITIONS: Final[int]
MAX_SERIES: Final[int]  # of metrics
MAX_EXEMPLARS: Final[int]
HISTORY_SAMPLES: Final[int]
MAX_REGISTERS: Final[int]  # of a Program
MAX_VALUES: Final[int]  # of a Program
MAX_QUANTILES: Final[int]  # of one question

# What is tallied of a value; they may be added up.
TALLY_SUM: Final[int]
TALLY_BOUNDS: Final[int]
TALLY_MOMENTS: Final[int]

# Kinds of field, as stored in the segment. The names are those of the public markers in lower case.
INT8: Final[int]
INT16: Final[int]
INT32: Final[int]
INT64: Final[int]
UINT8: Final[int]
UINT16: Final[int]
UINT32: Final[int]
UINT64: Final[int]
FLOAT32: Final[int]
FLOAT64: Final[int]
BOOL: Final[int]
TEXT: Final[int]
BYTES: Final[int]
TIMESTAMP: Final[int]
KEY: Final[int]

KIND_RANGES: Final[Mapping[int, tuple[int, int]]]  # the least and the greatest of each kind that is an integer

# Layouts of the slots and rules of partitioning, as stored in the segment.
LAYOUT_ROWS: Final[int]
LAYOUT_COLUMNS: Final[int]
BY_KEY: Final[int]
BY_PROCESS: Final[int]
BY_TURN: Final[int]
EXPLICIT: Final[int]

# Why a cursor or snapshot did not get a range of tickets.
GAP_LAPPED: Final[int]
GAP_VOIDED: Final[int]
GAP_SKIPPED: Final[int]
GAP_CLEARED: Final[int]
GAP_IN_FLIGHT: Final[int]
GAP_REFUSED: Final[int]
GAP_DAMAGED: Final[int]

class FieldSpec(NamedTuple):
    """One field: its name, its kind (a constant above), and for TEXT, BYTES and KEY its most bytes (0 for other
    kinds).
    """

    name: str
    kind: int
    size: int

class Options(TypedDict, total=False):
    """What fixes the size of a segment, besides its fields; every bound is checked by `plan`.

    A header has each that its kind has, and `plan` needs all of these but `kind`, which is "events" when left out.
    """

    kind: Literal["events", "metrics", "streams"]
    capacity: Required[int]  # records; of metrics, series; of streams, events
    processes: Required[int]
    # of events, and of streams
    partitions: int
    # of events
    layout: int
    rule: int
    keys: int
    # of metrics
    exemplars: int
    # of streams
    data_bytes: int  # most of one event, with its metadata
    streams: int

class Plan(NamedTuple):
    """Where everything lies in a segment of given fields and options. Metrics have no slots and no records; of streams,
    `record_bytes` is what an event takes.
    """

    size: int
    slots: int
    capacity: int
    record_bytes: int
    regions: list[tuple[str, int, int]]

class Header(NamedTuple):
    """What a valid header says of its segment."""

    abi: tuple[int, int]
    store_id: bytes
    created_ns: int
    fields: list[FieldSpec]
    options: Options
    size: int
    unlinked: bool

class Totals(NamedTuple):
    """Counts of one partition since creation. `length` is what is readable now (best-effort)."""

    tail: int
    oldest: int
    length: int
    skipped: int
    voided: int
    in_flight: int

class Place(NamedTuple):
    """One place of the process table. `state` is "free", "alive", "dead" or "leaving"."""

    place: int
    generation: int
    state: str
    pid: int
    start_time: int
    pid_namespace: int
    entered_ns: int
    name: str
    appended: int
    last_append_ns: int
    lapped: int

class Sample(NamedTuple):
    """One second of the history ring, written by the coordinator."""

    number: int
    time_ns: int
    appended: int
    discarded: int
    skipped: int
    voided: int
    lapped: int
    length: int
    processes: int

class Reaped(NamedTuple):
    """A dead process that was repaired: its place, pid, and how many of its claims were voided or released."""

    place: int
    pid: int
    voided: int
    released: int

class Gap(NamedTuple):
    """Tickets [first, end) of a partition that a reader did not get; `reason` is a GAP_ constant."""

    partition: int
    first: int
    end: int
    reason: int

class MetricsRoom(NamedTuple):
    """What a metrics segment holds (best-effort): nodes, those that are used, what is in them, the exemplars that are
    kept, and how many series and updates were refused: in all, as too long, and for want of a place for the process.
    """

    nodes: int
    used: int
    declarations: int
    series: int
    exemplars: int
    refused: int
    too_long: int
    placeless: int

class StreamsRoom(NamedTuple):
    """What a streams segment holds (best-effort): names that are taken, streams that exist, events that have a slot,
    and tickets that were handed out.
    """

    names: int
    streams: int
    events: int
    tickets: int

class StreamState(NamedTuple):
    """How a stream is at some instant of the call.

    `versions` is how many there ever were, `first` the first that can be read (`versions` when none can), those below
    `lost` were overwritten, of which `discarded` could still be read by then. It `exists` when it was appended to since
    it was last deleted, and is `closed` when it was deleted for ever.
    """

    versions: int
    first: int
    lost: int
    discarded: int
    exists: bool
    closed: bool

class Retention(NamedTuple):
    """How much of a stream is kept: at most so many events, no older than so long; 0: without limit. Its newest
    `reserve` events are not overwritten by those of other streams.
    """

    events: int
    age_ns: int
    reserve: int

_Number: TypeAlias = int | float
_Value: TypeAlias = int | float | str | bytes | None
"""Of a field: a Timestamp as an int of ns, a Key as its text, None when its text is lost."""

class Tally(NamedTuple):
    """What one value of the matching records comes to. A sum is 0, and all else None, where it was not asked for, or
    there are no values.
    """

    sum: _Number
    low: _Number | None
    high: _Number | None
    squares: float | None

class Tallied(NamedTuple):
    """How many records match, and a tally of each value of the program."""

    records: int
    tallies: list[Tally]

class TallyColumns(NamedTuple):
    """The tallies of one value: lists with a number for each group or window."""

    sums: list[_Number]
    lows: list[_Number | None]
    highs: list[_Number | None]
    squares: list[float | None]

class GroupTallies(NamedTuple):
    """Groups: the value that each has in common, its number of records, and the tallies of each value of the
    program.
    """

    labels: list[_Value]
    counts: list[int]
    tallies: list[TallyColumns]

class WindowTallies(NamedTuple):
    """The same of groups in windows of time, of which `panes` are the numbers. No labels when there are no groups."""

    labels: list[_Value] | None
    panes: list[int]
    counts: list[int]
    tallies: list[TallyColumns]

def plan(fields: Sequence[tuple[str, int, int]], options: Options) -> Plan:
    """The layout of a segment before it exists.

    Metrics and streams have no fields. Raises InvalidCapacity (a limit), InvalidSchema (fields) and InvalidOption
    (another kind), naming what was asked and what is allowed.
    """

def format(
    buffer: Buffer, fields: Sequence[tuple[str, int, int]], options: Options, *, store_id: bytes, created_ns: int
) -> None:
    """Make an empty store of a zeroed writable buffer of exactly plan(...).size bytes.

    The header is valid only when this returns.
    """

def read_header(buffer: Buffer, *, size: int = -1) -> Header:
    """Validate a header and return what it says. With `size`, `buffer` begins a segment of that many bytes.

    Raises NotAStore (another program's bytes), AbiMismatch (another version or byte order), DamagedSegment
    (checksum, size or offsets do not hold).
    """

def mark_unlinked(buffer: Buffer) -> None:
    """Tell every attached process that the name was removed: appends raise StoreUnlinked from now on, waiters wake."""

_ArrowColumn: TypeAlias = tuple[str, str, int, bytes | None, int, int, tuple[Buffer | None, ...], Any]
"""(name, format, flags, metadata, length, null_count, buffers, dictionary); the dictionary is such a tuple or None."""

def arrow_schema(columns: Iterable[_ArrowColumn]) -> object:
    """The schema of a table, in a PyCapsule `arrow_schema`."""

def arrow_array(columns: Iterable[_ArrowColumn], rows: int) -> object:
    """The values of a table, in a PyCapsule `arrow_array`. It holds the buffers until it is released, on any thread."""

def arrow_stream(columns: Iterable[_ArrowColumn], rows: int) -> object:
    """A table as a stream of one array, in a PyCapsule `arrow_array_stream`."""

def pack_bits(values: Buffer) -> bytearray:
    """One bit for each byte, the least first, set where the byte is not zero."""

def pack_rows(format: str, rows: int, parts: Iterable[tuple[Buffer, int]]) -> memoryview:
    """Columns, each with the bytes of one value, as packed rows: a read-only buffer of this PEP 3118 format.

    Raises ValueError when a column does not have just that many values.
    """

def rows(pieces: Iterable[Columns], accept: Callable[[Any], object] | None, limit: int | None = None) -> _Rows:
    """The records of all pieces that `accept` takes, at most `limit` of them."""

@final
class _Rows:
    """An iterator over records that goes on behind a failure: at the same record, or behind one that was refused.

    A record is refused when its class, or what is asked whether to accept it, raises twice.
    """

    def __iter__(self) -> Iterator[Any]: ...
    def __next__(self) -> Any: ...
    @property
    def row(self) -> int:
        """Which row of its piece the last record is."""

class _Chosen(TypedDict, total=False):
    """Which records are asked about: `partitions` and `ends` are those of Store.snapshot. For Columns they mean
    nothing, nor does `summaries`.
    """

    partitions: Sequence[int] | None
    ends: Sequence[int] | None
    summaries: bool

class _Asked:
    """What a Store answers from its live records, and Columns from theirs. (At run time there is no such base.)

    `by` is the field whose values make the groups. Raises IndexError (no such field), DamagedSegment, FieldError
    (integer arithmetic that leaves 64 bits).
    """

    def tally(self, program: Program, what: Sequence[int], **chosen: Unpack[_Chosen]) -> Tallied:
        """How many records match; and of each value of the program what its item of `what` asks for, a TALLY_ constant
        or several added up: the sum, the least and the greatest, the sum of squared distances from the mean.
        """
    def group_tallies(self, program: Program, what: Sequence[int], by: int, **chosen: Unpack[_Chosen]) -> GroupTallies:
        """The same of each group."""
    def window_tallies(
        self,
        program: Program,
        what: Sequence[int],
        *,
        by: int | None = None,
        pane_ns: int = 0,
        every_ns: int = 0,
        period_ns: int = 0,
        edges: Buffer = b"",
        **chosen: Unpack[_Chosen],
    ) -> WindowTallies:
        """The same of each pane of time. With `pane_ns`, pane i is [i * pane_ns, (i + 1) * pane_ns); with `edges`,
        ascending int64 in ns, pane i is [edges[i], edges[i + 1]), and the last has no end. With `every_ns` and
        `period_ns` too, both multiples of `pane_ns`, the panes are joined to windows: window w is
        [w * every_ns, w * every_ns + period_ns).

        Raises ValueError for any other combination.
        """
    def edge(self, program: Program, field: int, latest: bool, **chosen: Unpack[_Chosen]) -> _Value:
        """The field's value in the earliest or latest record; None when there are no records."""
    def group_edges(
        self, program: Program, field: int, latest: bool, by: int, **chosen: Unpack[_Chosen]
    ) -> tuple[list[_Value], list[_Value]]:
        """(labels, the field's value in the earliest or latest record of each)."""
    def quantiles(self, program: Program, wanted: Sequence[float], **chosen: Unpack[_Chosen]) -> list[_Number | None]:
        """Up to MAX_QUANTILES quantiles of the program's one value; None without values."""
    def group_quantiles(
        self, program: Program, wanted: Sequence[float], by: int, **chosen: Unpack[_Chosen]
    ) -> tuple[list[_Value], list[list[_Number | None]]]:
        """(labels, [a list of each quantile])."""
    def distinct(self, program: Program, field: int, **chosen: Unpack[_Chosen]) -> int:
        """How many different values a field has."""
    def group_distinct(
        self, program: Program, field: int, by: int, **chosen: Unpack[_Chosen]
    ) -> tuple[list[_Value], list[int]]:
        """(labels, how many different values the field has in each)."""

@final
class Columns(_Asked):
    """Records copied out of a store: one private contiguous array per field. Immutable; they outlive the store."""

    def __len__(self) -> int: ...
    def __getitem__(self, row: int) -> Any: ...
    def __iter__(self) -> Iterator[Any]:
        """Every record. A tuple that nobody keeps is used again for the next, so this is much quicker than `rows`."""
    def iter_plain(self) -> Iterator[tuple[Any, ...]]:
        """The same as plain tuples."""
    def rows(self, start: int = 0, stop: int | None = None, *, plain: bool = False) -> list[Any]:
        """Records [start, stop) as the store's record type, or as plain tuples."""
    def column(self, field: int) -> memoryview:
        """A read-only view of one field's array; TEXT and BYTES are fixed-size items padded with NUL, KEY is uint32
        ids.
        """
    def values(self, field: int) -> list[Any]:
        """One field as Python values (keys as str)."""
    def dictionary(self, field: int) -> list[str | None]:
        """The texts of all keys by id, for a KEY field; None for one that was lost. Every id of the field has a text.

        Raises DamagedSegment.
        """
    def ragged(self, field: int) -> tuple[bytearray, bytearray] | None:
        """A TEXT or BYTES field as (offsets, data): value i is data[offsets[i]:offsets[i + 1]]. None when a text is not
        UTF-8.

        The offsets are int32, or int64 when there are 2 GiB of data or more. GIL released.
        """
    def take(self, rows: Iterable[int]) -> Columns:
        """A new Columns of these rows, in this order."""
    def keep(self, mask: bytes) -> Columns:
        """A new Columns of the rows whose byte in `mask` is not 0, in the same order."""
    def keys(self) -> list[str]:
        """Every key that a row may name; the index is its id. What `Store.keys` said when this was copied, or later."""
    def order_by(self, field: int) -> Columns:
        """A new Columns ordered by a numeric field; equal values keep their order."""
    def gaps(self) -> list[Gap]:
        """Ticket ranges that lie between oldest and tail but are not here, with the reason."""

# (operation, to, left, right, constant), see Program.
_Step = tuple[str, int, int, int, Any]

@final
class MappedFile:
    """A whole file mapped into this process, with no descriptor of its own: what a program does with its descriptors
    does not reach it. It exports its bytes as a buffer."""

    def __init__(self, fd: int, *, writable: bool) -> None:
        """`fd` stays the caller's. Raises OSError."""
    def advise(self, advice: int, start: int, length: int, /) -> None:
        """madvise(2) of a part. Raises OSError, ValueError."""
    def close(self) -> None:
        """Unmap it. Idempotent. Raises BufferError while somebody exports its buffer."""
    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

class Program:
    """Which records match, and up to MAX_VALUES numbers of each: what an expression is compiled to. Immutable.

    A program is a list of steps over registers, each with one number (a lane) or one truth (a mask) for every row. An
    operand below MAX_FIELDS is a field, read in place; MAX_FIELDS + r is lane register r, one of MAX_REGISTERS. Mask
    register 0 says at the end which records match; a program that never writes it matches all. What a step does not
    need is 0, or None.

    ==================  ====================================================================================
    to a lane register
    "load"              field `left` as lanes; needless for INT64, UINT64, FLOAT64 and TIMESTAMP
    "constant"          the int or float `constant`
    "float"             integers `left` as floats
    + - * // % /        of two integers or two floats, as Python has them. `constant` is whether an integer result is
                        unsigned. / of integers gives a correctly rounded float
    to a mask register
    "range"             `constant` is (low, high): low <= left <= high; `left` may be any field but TEXT and BYTES
    "member"            left is in `constant`, a list of ascending numbers
    == < <=             left against right: lanes of any two types, compared exactly
    "ids"               KEY field `left` is an id whose bit is set in the bytes `constant`, lowest bit first
    "text =="           TEXT or BYTES field `left` against [bytes], or against field `right` when `constant` is None; as
                        well "text <", "text <=", "text starts"
    "text member"       left is in `constant`, a list of ascending bytes
    "and" "or" "not"    of masks
    "fill"              `constant` in every row
    ==================  ====================================================================================

    An integer that leaves 64 bits or is divided by zero is an error, FieldError, when an answer hangs on it.
    """

    def __new__(
        cls, fields: Iterable[tuple[str, int, int]], steps: Iterable[_Step], values: Iterable[int], text: str
    ) -> Program:
        """Verify every step. `values` are operands after the last step; `text` names the expression in errors.

        Raises ValueError, TypeError, OverflowError for anything that is not a program, MemoryError.
        """
    def matches(self, columns: Columns) -> bytes:
        """One byte a row: 1 where it matches, 0 where not. GIL released.

        Raises ValueError (compiled for other fields), FieldError.
        """
    def values(self, columns: Columns, index: int) -> memoryview:
        """One of the values in each row, of format q, Q or d, also where it does not match. Raises as `matches`."""

@final
class Cursor:
    """Next ticket of each followed partition. Made by Store.cursor; private to this process."""

    def read(self, n: int) -> list[Any]:
        """Up to `n` records (order kept within a partition); never blocks; stops before a slot that a live writer still
        holds, and takes nothing that came after it began. A place moves when its record is handed over.
        """
    def read_plain(self, n: int) -> list[tuple[Any, ...]]:
        """The same as plain tuples."""
    def __iter__(self) -> Iterator[Any]:
        """Itself: records without end, waiting for each, until the cursor or store is closed, or the name removed."""
    def __next__(self) -> Any: ...
    def following(self, later: Callable[[bool], Coroutine[Any, Any, Any]]) -> AsyncIterator[Any]:
        """The same for `async for`. While there is no record, what `later` returns is awaited instead; also when there
        is one, but other tasks are to have a turn, which is `later(True)`.
        """
    def drain_gaps(self) -> list[Gap]:
        """Gaps met since the last call, oldest first; the list is then empty."""
    def positions(self) -> list[tuple[int, int]]:
        """(partition, next ticket) for each followed partition."""
    def lag(self) -> int:
        """Tickets handed out but not yet read or skipped (best-effort)."""
    def lost(self) -> int:
        """Tickets in all gaps so far."""
    def wait(self, timeout_s: float) -> bool:
        """True when `read` would return a record or a gap; False after the timeout (< 0: none) or after `close`.
        GIL released, signals honoured. Raises StoreClosed, StoreUnlinked.
        """
    def fileno(self) -> int:
        """A descriptor that is readable while `read` would return or raise something. Raises StoreClosed."""
    @property
    def closed(self) -> bool:
        """Was `close` called?"""
    def close(self) -> None:
        """End every use of it, in whatever thread: reads raise StoreClosed, a wait returns False. Idempotent."""

@final
class Store(_Asked):
    """A segment of any kind over mapped bytes. Holds a buffer export of `buffer` until `close`.

    What is of records raises WrongKind on a segment of another kind, as `metrics_room` and `streams_room` do on a
    store.
    """

    def __init__(
        self,
        buffer: Buffer,
        *,
        fd: int,
        path: str,
        writable: bool,
        describe: Callable[[], tuple[int, int, int, str]],
    ) -> None:
        """Validate the header of `buffer` whole and copy it. `fd` stays the caller's; the file is opened anew for
        locks, through /proc/self/fd or `path`.

        `describe` returns (pid, start time, pid namespace, name for people) and is called each time this process
        (or a forked child) enters the process table.
        """

    def set_record_type(
        self,
        record_type: type | None,
        make: Callable[..., Any] | None = None,
        values_of: Callable[[Any], tuple[Any, ...]] | None = None,
        defaults: tuple[Any, ...] | None = None,
    ) -> None:
        """What rows become: a tuple subclass, filled directly (record_type); or whatever make(*values) returns; or
        plain tuples.

        `values_of` turns a record given to `append` or `append_rows` into a tuple of all fields.
        """

    # -- appending (of records): raise FieldError, KeyTableFull, ProcessTableFull, PartitionStalled, ReadOnlyStore,
    # StoreClosed, StoreUnlinked
    def append(self, record: Any = ..., /, *, partition: int | None = ..., **fields: Any) -> int:
        """Append one record, given by fields or as a record (a None timestamp is now). Returns its position."""
    def appender(self, names: Sequence[str], partition: int | None = None) -> Callable[..., int]:
        """A fast callable that takes exactly these fields, in this order; a timestamp left out, here or at the end of a
        call, is now; every other field must be named.
        """
    def append_rows(self, rows: Iterable[Any], partition: int | None = None) -> int:
        """Append records. All are checked before the first is written. Returns how many."""
    def append_columns(self, columns: Mapping[str, Any], partition: int | None = None) -> int:
        """Append columns of equal length: buffers of the field's format (KEY: uint32 ids), or sequences of values.
        All checked before the first is written.
        """
    def append_arrow(self, capsules: object, partition: int | None = None, pandas: frozenset[str] | None = None) -> int:
        """Append an Arrow table: a PyCapsule `arrow_array_stream`, or a tuple of `arrow_schema` and `arrow_array`.
        All checked before the first is written. FieldTypeError when the stream fails. For a pandas frame, `pandas`
        names the columns in which NaN stands for a missing value; its index without a name is passed over.
        """
    def set_on_discarded(self, callback: Callable[[Any], None] | None) -> None:
        """What is called with each record that a newer one replaces."""
    def set_on_capacity_reached(self, callback: Callable[[], None] | None) -> None:
        """What is called when a partition has become full."""

    # -- keys (of records)
    def key(self, text: str) -> int:
        """The id of a key, interning it when it is new.

        Raises KeyTableFull, FieldError (too long), ReadOnlyStore (unknown and not writable).
        """
    def key_text(self, key_id: int) -> str: ...
    def keys(self) -> list[str]:
        """Every interned key; the index is its id. A text that is lost, or still being written, is ''."""

    # -- reading (of records)
    def ranges(self) -> list[tuple[int, int]]:
        """The oldest readable ticket and the tail of each partition."""
    def snapshot(
        self,
        partitions: Sequence[int] | None = None,
        program: Program | None = None,
        ends: Sequence[int] | None = None,
        summaries: bool = True,
    ) -> Columns:
        """Copy what is readable now and matches, oldest first within each partition, up to the ticket that `ends` has
        for each partition. A block is not read when its summary shows that nothing in it matches, unless `summaries` is
        False. GIL released.
        """
    def read(self, partition: int, first: int, end: int, program: Program | None, summaries: bool) -> Columns:
        """The same of tickets [first, end)."""
    def cursor(self, tickets: Sequence[tuple[int, int]]) -> Cursor:
        """Follow these partitions from these tickets."""
    def read_at(self, partition: int, ticket: int) -> Any:
        """The record of a ticket, or None when it is no longer (or not yet) readable."""

    # -- whole-store operations (of records)
    def clear(self) -> None:
        """Make every record handed out so far unreadable."""
    def purge(self, before_ns: int) -> int:
        """Make unreadable, per partition, the oldest records whose timestamp is before this.

        Returns how many tickets were passed.
        """

    # -- state
    def totals(self) -> list[Totals]:
        """One per partition (of records)."""
    def metrics_room(self) -> MetricsRoom:
        """What a metrics segment holds, and has room for. Reads all of its nodes."""
    def streams_room(self) -> StreamsRoom:
        """What a streams segment holds. Looks at all of its streams."""
    def header(self) -> Header: ...
    def plan(self) -> Plan: ...
    def places(self) -> list[Place]:
        """Places of the process table that are not free."""
    def check(self) -> list[str]:
        """Invariants that do not hold, in words; empty when all is well. Reads only."""

    # -- processes
    def enter(self) -> int:
        """Take a place in the process table (idempotent). Returns its index. Raises ProcessTableFull."""
    def reap(self) -> list[Reaped]:
        """Repair every process that the kernel says is dead, and free its place."""

    # -- coordinator
    def lock_coordinator(self) -> bool:
        """Become the coordinator; False when another process (or handle) is. A forked child of the coordinator is not
        it.
        """
    def unlock_coordinator(self) -> None:
        """Give the role up. Idempotent."""
    def coordinator_alive(self) -> bool: ...
    def sample(self, now_ns: int) -> Sample:
        """Write one sample to the history ring. Coordinator only."""
    def history(self, count: int = ...) -> list[Sample]:
        """The newest samples, oldest first; at most HISTORY_SAMPLES."""

    @property
    def closed(self) -> bool: ...
    @property
    def unlinked(self) -> bool: ...
    @property
    def lapped(self) -> int:
        """Tickets that readers attached for writing have lost to newer records since creation."""

    def close(self) -> None:
        """Leave the process table and release the buffer (when the last running operation has ended). Idempotent."""

# -- metrics

@final
class Metrics:
    """Where series live: memory of this process alone, or a metrics segment.

    A series that there is no room for is refused: counted, and warned of once; with `strict` it raises SeriesTableFull.
    Of a store that is attached for reading, all may be read; what writes raises ReadOnlyStore.
    """

    def __new__(cls, store: Store | None = None, *, strict: bool = False) -> Metrics: ...
    def declare(self, text: bytes, key_bytes: int, /) -> tuple[int, bytes | None] | None:
        """Find or insert a declaration, whose first bytes are its key. Returns its number, and the text that was stored
        first (None when it was removed meanwhile); or None when there is no room.
        """
    def find(self, key: bytes, /) -> tuple[int, int, bytes] | None:
        """The declaration of this key: its number, the node's word and its text; None when there is none."""
    def series(
        self, family: int | None, /
    ) -> list[tuple[int, int, int | None, int, bytes, list[tuple[int, float] | None]]]:
        """Every series of a declaration: its node, the node's word, the place of the process that has it for itself,
        when it began (or, of such a process, the pid), its text, and its cells, each as (52 bits, number). With None,
        every declaration.
        """
    def remove(self, node: int, word: int, /) -> bool:
        """Remove a series as it was found; False when it was removed already."""
    def remove_text(self, family: int, text: bytes, own: bool, /) -> int:
        """Remove a series by its text; with `own`, that of each process. Returns how many there were."""
    def remove_all(self, family: int, /) -> None:
        """Remove every series of a declaration."""
    def inherit(self) -> None:
        """In a forked child: what private memory holds now is the parent's, and does not move to a segment."""
    def write(
        self,
        openmetrics: bool,
        taken: Buffer,
        known: Buffer,
        others: bool,
        names: Iterable[bytes] | None,
        created: bool,
        /,
    ) -> bytes:
        """Lines of an exposition, with the GIL released: of the metrics `taken`, given by the numbers of their
        declarations as ascending uint32; with `others` also of those of default registries that are not `known`, and
        the state of the segment. Only samples of these names, and those of when series began only where `created`.
        """
    def counts(self) -> tuple[int, int, int, int]:
        """Nodes, free nodes, series refused, nodes ever freed."""

class Series:
    """A metric, or one of its children. Updates find where it is by themselves: after a fork, a removal, a move."""

    def labels(self, *labelvalues: object, **labelkwargs: object) -> Self:
        """The child for these label values; text by position is looked up at once, all else is left to `_labels`."""
    def _declare(
        self,
        home: Metrics,
        declaration: bytes,
        key_bytes: int,
        family: int | None,
        mode: int,
        bounds: Sequence[float],
        labels: int,
        /,
    ) -> None: ...
    def _become(self, metric: Self, text: bytes, labelvalues: tuple[str, ...], /) -> bool:
        """Be the series of this text; False when there is no room for it."""
    def _move(self) -> bool:
        """Follow the metric to where it is now, with what was counted."""
    def _read(self) -> list[tuple[int, float]]:
        """The cells; empty when there are none. Raises ValueError when label values are missing."""
    def _put(self, value: float, /) -> None: ...
    def _restart(self) -> None: ...
    def _silence(self) -> None:
        """From now on only `_put` sets the value."""
    def _child(self, values: tuple[str, ...], /) -> Self | None:
        """The child of these values whose series is there."""
    @property
    def _children(self) -> dict[tuple[str, ...], Self] | None: ...
    @property
    def _is_current(self) -> bool: ...
    @property
    def _family(self) -> int | None: ...
    @property
    def _text(self) -> bytes | None: ...
    @property
    def _labelvalues(self) -> tuple[str, ...]: ...
    @property
    def _metric(self) -> Self:
        """The metric that it is of, or itself."""

class Counter(Series):
    """The updates of a counter."""

    def inc(self, amount: float = 1, exemplar: Mapping[str, str] | None = None) -> None: ...
    def _raise(self, incarnation: int, count: int, unit: float, /) -> None:
        """Bring it up to a count, in units, of an incarnation of a place, whoever has brought it up before. A counter
        is raised or incremented, not both.
        """

class Gauge(Series):
    """The updates of a gauge."""

    def inc(self, amount: float = 1) -> None: ...
    def dec(self, amount: float = 1) -> None: ...
    def set(self, value: float) -> None: ...

class Histogram(Series):
    """The updates of a histogram."""

    def observe(self, amount: float, exemplar: Mapping[str, str] | None = None) -> None: ...

class Summary(Series):
    """The updates of a summary."""

    def observe(self, amount: float) -> None: ...

class Streams:
    """What all streams of a store have in common.

    `encode` turns data or metadata, which it calls by the name that is given, into bytes of JSON; it is told
    whether a `new_event` is in them, which is the tuple type of (data, type, event_id, metadata) in a batch. `id_text`
    turns an event id that is no str into one; `expected` stands for any version, for none, and for some.
    """

    store: Final[Store]
    def __new__(
        cls,
        store: Store,
        *,
        encode: Callable[[Any, str, bool], bytes],
        id_text: Callable[[Any], str],
        new_event: type[tuple[Any, ...]],
        expected: tuple[object, object, object],
    ) -> Streams: ...
    def stream(self, type: type[_AnyStream], name: str, /) -> _AnyStream:
        """The stream of this name. It need not exist. Raises InvalidName."""
    def names(self, prefix: str, /) -> list[str]:
        """The names of all streams that exist and begin with this, in the order of their first appends."""
    def count(self) -> int:
        """How many streams exist."""
    def tickets(self) -> list[tuple[int, int]]:
        """(the oldest ticket that was not overwritten, the next one) of each partition."""
    def follower(
        self,
        stream: Stream | None,
        places: list[int],
        *,
        missed: Callable[[int, int, int], Any],
        stops: bool,
        bounded: bool,
        fresh: bool,
        limit: int,
        timeout_s: float,
    ) -> Follower:
        """What reads on in a stream from a version, or in all streams from the ticket of each partition.

        `missed(partition, first, next)` is called for what is gone: what it returns is handed over in its place, unless
        it is None; that it raises is said by `stops`. `fresh`: what is gone before it first looks is passed without a
        word. A `bounded` one ends where the tails are now, or after `limit` events. An iteration ends when nothing came
        for `timeout_s` (< 0: never).
        """

class Stream:
    """One stream. Nothing is made of it before something is appended."""

    name: Final[str]
    streams: Final[Streams]
    def append(
        self,
        data: Any,
        *,
        type: str | None = None,
        expected_version: object = ...,
        event_id: object = None,
        metadata: Any = None,
    ) -> int:
        """Append one event and return its version. Nothing is left behind when it is refused."""
    def append_events(self, events: Iterable[Any], expected_version: object, /) -> list[int]:
        """Append many with consecutive versions, all or none, and return their versions."""
    def delete_events(self, for_ever: bool, expected_version: object, /) -> None:
        """Delete the stream: its versions go on with the next append, or never."""
    def truncate_before(self, version: int, /) -> None:
        """Give up all versions below."""
    def set_retention(self, events: int, age_ns: int, reserve: int, /) -> None:
        """How much is kept, as in Retention; -1 leaves it as it is."""
    def get_retention(self) -> Retention: ...
    def state(self) -> StreamState: ...
    @property
    def version(self) -> int:
        """The version of its newest event, also of one that cannot be read any more; -1 when there never was one."""
    @property
    def slots(self) -> int:
        """How many events its partition keeps, of all streams together."""
    def find_time(self, time_ns: int, /) -> int:
        """The first version that can be read whose event is not older; that of the next event when there is none."""
    def block(self, first: int, count: int, /) -> list[Event] | int:
        """The events from this version on, at most so many and not more than 65,536; or, when the first cannot be read
        any more, the first version that can.

        Raises StreamDeleted, DamagedSegment.
        """
    def tally(self, first: int, count: int, counts: dict[str | None, int], /) -> int:
        """Count the events from this version on, at most so many and not more than 65,536, by type, into a dict.
        Returns the version with which to go on: the first that can be read, where that one cannot any more.

        Raises StreamDeleted, DamagedSegment.
        """

_AnyStream = TypeVar("_AnyStream", bound=Stream)

@final
class Follower:
    """What reads on in streams. Made by Streams.follower; private to this process."""

    def read(self, n: int, /) -> list[Any]:
        """Up to `n` items that are there; never blocks. A place moves when its item is handed over."""
    def take(self) -> Any:
        """The next item; None when there is none now."""
    def following(self, later: Callable[[bool], Coroutine[Any, Any, Any]]) -> AsyncIterator[Any]:
        """For `async for`. While there is no item, or other tasks are to have a turn, what `later` returns is awaited
        instead.
        """
    def __iter__(self) -> Iterator[Any]:
        """Itself: items, waiting for each, until none came in time, it or the store is closed, or the name removed."""
    def __next__(self) -> Any: ...
    def wait(self, timeout_s: float, /) -> bool:
        """True when `read` would return or raise something; False after the timeout (< 0: none) or after `close`.
        GIL released, signals honoured. Raises StoreClosed, StoreUnlinked, StreamDeleted.
        """
    def fileno(self) -> int:
        """A descriptor that is readable while there may be an item. Raises StoreClosed."""
    def places(self) -> list[int]:
        """The next version of a stream, or the next ticket of each partition."""
    def lag(self) -> int:
        """How many versions or tickets it has not passed."""
    @property
    def closed(self) -> bool:
        """Was `close` called?"""
    def close(self) -> None:
        """End every use of it, in whatever thread. Idempotent."""

@final
class Event:
    """One event of a stream: a private copy, which stays as it is."""

    stream: Final[str]
    version: Final[int]
    position: Final[int]
    event_id: Final[str | None]
    type: Final[str | None]
    timestamp: Final[int]
    def __new__(
        cls,
        stream: str,
        version: int,
        position: int,
        event_id: str | None,
        type: str | None,
        data: Any,
        metadata: Any,
        timestamp: int,
    ) -> Event: ...
    @property
    def data(self) -> Any: ...
    @property
    def metadata(self) -> Any: ...
    @property
    def data_json(self) -> str | None: ...
    @property
    def metadata_json(self) -> str | None: ...
