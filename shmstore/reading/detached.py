"""Records without their store: what a snapshot sends when it is pickled, and how that becomes columns again."""

import os
from contextlib import ExitStack
from typing import Any, NamedTuple

from shmstore import _core
from shmstore.records.schema import Schema
from shmstore.segments.identity import describe


class Detached(NamedTuple):
    """The records of a snapshot as plain values: for each field its array as bytes, or a list of texts or bytes.

    `keys` are the texts of all keys by id, so that ids mean the same on the other side.
    """

    record_type: type
    rows: int
    keys: list[str | None]
    columns: list[bytes | list[Any]]


def detached(columns: _core.Columns, schema: Schema) -> Detached:
    """The columns as plain values, from which `attached` makes them again in any process. Raises DamagedSegment."""
    keys = [] if schema.key_field is None else columns.dictionary(schema.key_field)
    values = [
        columns.values(index) if field.kind in (_core.TEXT, _core.BYTES) else columns.column(index).tobytes()
        for index, field in enumerate(schema.fields)
    ]
    return Detached(schema.record_type, len(columns), keys, values)


def attached(records: Detached) -> tuple[_core.Columns, Schema]:
    """The columns, copied out of a temporary store that only this process has."""
    from shmstore.segments.mapping import Segment  # only whoever maps a segment pays for multiprocessing

    schema = Schema.of(records.record_type)
    options = _core.Options(
        capacity=max(1, records.rows),
        partitions=1,
        layout=_core.LAYOUT_COLUMNS,
        rule=_core.BY_TURN,
        keys=max(1, len(records.keys)) if schema.key_field is not None else 0,
        processes=1,
    )
    with ExitStack() as cleanup:
        fd = os.memfd_create("shmstore snapshot", os.MFD_CLOEXEC)
        try:
            os.posix_fallocate(fd, 0, _core.plan(schema.fields, options).size)
        except OSError:
            os.close(fd)
            raise
        mapped = Segment("snapshot", fd, writable=True)
        cleanup.callback(mapped.close)
        _core.format(mapped.buffer, schema.fields, options, store_id=bytes(16), created_ns=0)
        core = _core.Store(mapped.buffer, fd=mapped.fd, path="", writable=True, describe=describe)
        cleanup.callback(core.close)
        core.set_record_type(schema.record_type, schema.make, schema.values_of, None)
        for number, key in enumerate(records.keys):
            core.key(f"\0{number}" if key is None else key)  # a lost one, whose process died: no record has its id
        views: dict[str, Any] = dict(zip(schema.names, records.columns, strict=True))
        for name, form in zip(schema.names, schema.formats, strict=True):
            if isinstance(views[name], bytes):
                views[name] = memoryview(views[name]).cast(form)  # type: ignore[call-overload]
        core.append_columns(views)
        return core.snapshot(), schema
