"""Every exception of shmstore's own.

    ShmStoreError (Exception)
    │
    │   a request that cannot be met
    ├── InvalidName (ValueError)             the name of a store, [A-Za-z0-9._-]{1,200}, or of a stream, is wrong
    ├── InvalidSchema (ValueError)           a record declaration cannot be stored
    ├── InvalidOption (ValueError)           an option has a value that is not allowed
    │   └── InvalidCapacity                  a size is zero, negative or beyond a limit of the format
    ├── InvalidCall (TypeError)              a function was called with other arguments than it takes, or without some
    ├── NotPicklable (TypeError)             an object that lives in one process was to be pickled or copied
    │
    │   the segment
    ├── StoreNotFound (FileNotFoundError)    no segment has this name
    ├── StoreExists (FileExistsError)        a segment of this name exists already
    ├── NoSpace (OSError)                    /dev/shm cannot hold the segment
    ├── TooManyFiles (OSError)               this process, or the system, may not open another file
    ├── SystemRefused (OSError)              the system lacks, or forbids, something that a store needs
    ├── AccessDenied (PermissionError)       the segment's mode keeps this user out
    ├── NotAStore (ValueError)               the bytes are another program's
    ├── WrongKind (ValueError)               the segment holds something else: records, streams or metrics
    ├── AbiMismatch (ValueError)             made by an incompatible version or byte order
    ├── SchemaMismatch (ValueError)          the segment's fields are not those asked for
    ├── DamagedSegment (ValueError)          the header's checksum, sizes or offsets do not hold
    │
    │   a record
    ├── FieldError (ValueError)              a value or a field's name does not fit the schema; `.field` names it
    │   └── FieldTypeError (TypeError)       ... it is of the wrong type, is missing or is unknown
    │
    │   a stream
    ├── InvalidEvent (ValueError)            an event cannot be stored: its type, id, metadata or data
    │   └── EventTooLarge                    its data and metadata take more bytes than the store has for them
    ├── WrongExpectedVersion (RuntimeError)  the stream is at another version; `.expected`, `.actual`
    ├── StreamTruncated (LookupError)        versions that were asked for are gone; `.first` is there
    ├── StreamDeleted (RuntimeError)         the stream was deleted for ever
    │
    │   a store in use
    ├── KeyTableFull (RuntimeError)          no room for a new key; known keys go on working
    ├── ProcessTableFull (RuntimeError)      no room for another process; readers do not need any
    ├── SeriesTableFull (RuntimeError)       no room for another series of metrics that are strict
    ├── StreamTableFull (RuntimeError)       no room for another stream; known streams go on working
    ├── PartitionStalled (RuntimeError)      live writers hold every slot that an append could take
    ├── ReadOnlyStore (PermissionError)      the store was attached for reading only
    ├── StoreClosed (ValueError)             used after `close`
    └── StoreUnlinked (RuntimeError)         the name was removed: nothing more can be appended or awaited

Every message says what was found, what was expected and what to do. Those that are an OSError carry the `errno` that
other programs on Linux give for the same trouble.
"""


class ShmStoreError(Exception):
    """The base of all errors below."""


class InvalidName(ShmStoreError, ValueError):
    """A store's name is not of the form [A-Za-z0-9._-]{1,200}, or a stream's does not take 1 to 255 bytes of UTF-8."""


class InvalidSchema(ShmStoreError, ValueError):
    """A record declaration cannot be stored."""


class InvalidOption(ShmStoreError, ValueError):
    """An option has a value that is not allowed."""


class InvalidCapacity(InvalidOption):
    """A size is zero, negative or beyond a limit of the format."""


class InvalidCall(ShmStoreError, TypeError):
    """A function was called with an argument that it does not take, or without something that it needs."""


class NotPicklable(ShmStoreError, TypeError):
    """An object that lives in one process was to be pickled or copied."""


class StoreNotFound(ShmStoreError, FileNotFoundError):
    """No segment has this name."""

    errno = 2  # ENOENT


class StoreExists(ShmStoreError, FileExistsError):
    """A segment of this name exists already."""

    errno = 17  # EEXIST


class NoSpace(ShmStoreError, OSError):
    """/dev/shm cannot hold the segment."""

    errno = 28  # ENOSPC


class TooManyFiles(ShmStoreError, OSError):
    """This process, or the system, may not open another file. What is open goes on working."""

    errno = 24  # EMFILE


class SystemRefused(ShmStoreError, OSError):
    """The system lacks, or forbids, something that a store needs: /dev/shm, /proc, a system call."""

    errno = 38  # ENOSYS


class AccessDenied(ShmStoreError, PermissionError):
    """The segment's mode keeps this user out."""

    errno = 13  # EACCES


class NotAStore(ShmStoreError, ValueError):
    """The bytes are another program's."""


class WrongKind(ShmStoreError, ValueError):
    """The segment holds something else than was expected: records, streams or metrics."""


class AbiMismatch(ShmStoreError, ValueError):
    """The segment was made by an incompatible version of shmstore, or on a machine of another byte order."""


class SchemaMismatch(ShmStoreError, ValueError):
    """The segment's fields are not those asked for."""


class DamagedSegment(ShmStoreError, ValueError):
    """The header's checksum, sizes or offsets do not hold."""


class FieldError(ShmStoreError, ValueError):
    """A value or a field's name does not fit the schema. `field` is that name, "" when no single field is meant."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(field, message)  # both in `args`, so that the error can be pickled
        self.field = field

    def __str__(self) -> str:
        return str(self.args[1])


class FieldTypeError(FieldError, TypeError):
    """A value is of the wrong type, or a field is missing or unknown."""


class InvalidEvent(ShmStoreError, ValueError):
    """An event cannot be stored. The message names the part of it and what was found there."""


class EventTooLarge(InvalidEvent):
    """The data and metadata of an event take `size` bytes; the store has room for `limit` in each event."""

    def __init__(self, size: int, limit: int, message: str) -> None:
        super().__init__(size, limit, message)
        self.size, self.limit = size, limit

    def __str__(self) -> str:
        return str(self.args[-1])


class WrongExpectedVersion(ShmStoreError, RuntimeError):
    """A stream is not as an append expected, so nothing was appended.

    `stream` is its name, `expected` what was asked for, and `actual` the version of its newest event, -1 when there is
    none.
    """

    def __init__(self, stream: str, expected: object, actual: int, message: str) -> None:
        super().__init__(stream, expected, actual, message)
        self.stream, self.expected, self.actual = stream, expected, actual

    def __str__(self) -> str:
        return str(self.args[-1])


class StreamTruncated(ShmStoreError, LookupError):
    """Versions that were asked for are gone: overwritten, truncated, too old or deleted.

    `stream` is the name of the stream, `version` the first that is missing, and `first` the first that can still be
    read: the version that the next event will have, when none can. Where all streams of a store are read, `stream` is
    None, and the other two are positions.
    """

    def __init__(self, stream: str | None, version: int, first: int, message: str) -> None:
        super().__init__(stream, version, first, message)
        self.stream, self.version, self.first = stream, version, first

    def __str__(self) -> str:
        return str(self.args[-1])


class StreamDeleted(ShmStoreError, RuntimeError):
    """The stream was deleted for ever: it cannot be read, and nothing can be appended to it."""


class KeyTableFull(ShmStoreError, RuntimeError):
    """There is no room for a new key; known keys go on working."""


class SeriesTableFull(ShmStoreError, RuntimeError):
    """There is no room for another series, or it is too long. Only metrics configured with strict=True raise this."""


class StreamTableFull(ShmStoreError, RuntimeError):
    """There is no room for the name of another stream; known streams go on working."""


class ProcessTableFull(ShmStoreError, RuntimeError):
    """There is no room for another process; read-only stores do not need any."""


class PartitionStalled(ShmStoreError, RuntimeError):
    """Live writers hold every slot that an append could take."""


class ReadOnlyStore(ShmStoreError, PermissionError):
    """The store was attached for reading only."""

    errno = 13  # EACCES


class StoreClosed(ShmStoreError, ValueError):
    """The store was used after `close`."""


class StoreUnlinked(ShmStoreError, RuntimeError):
    """The store's name was removed: nothing more can be appended or awaited."""
