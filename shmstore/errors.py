"""Every exception of shmstore's own.

    ShmStoreError (Exception)
    │
    │   a request that cannot be met
    ├── InvalidName (ValueError)             a store's name is not of the form [A-Za-z0-9._-]{1,200}
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
    ├── WrongKind (ValueError)               the segment holds metrics where a store was expected, or the reverse
    ├── AbiMismatch (ValueError)             made by an incompatible version or byte order
    ├── SchemaMismatch (ValueError)          the segment's fields are not those asked for
    ├── DamagedSegment (ValueError)          the header's checksum, sizes or offsets do not hold
    │
    │   a record
    ├── FieldError (ValueError)              a value or a field's name does not fit the schema; `.field` names it
    │   └── FieldTypeError (TypeError)       ... it is of the wrong type, is missing or is unknown
    │
    │   a store in use
    ├── KeyTableFull (RuntimeError)          no room for a new key; known keys go on working
    ├── ProcessTableFull (RuntimeError)      no room for another process; readers do not need any
    ├── SeriesTableFull (RuntimeError)       no room for another series of metrics that are strict
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
    """A store's name is not of the form [A-Za-z0-9._-]{1,200}."""


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
    """The segment holds metrics where a store was expected, or the reverse."""


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


class KeyTableFull(ShmStoreError, RuntimeError):
    """There is no room for a new key; known keys go on working."""


class SeriesTableFull(ShmStoreError, RuntimeError):
    """There is no room for another series, or it is too long. Only metrics configured with strict=True raise this."""


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
