"""Arrow: values in buffers that its C data interface hands to other programs, and tables that those hand to us.

The formats are those of https://arrow.apache.org/docs/format/CDataInterface.html.
"""

import struct
from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from shmstore import _core
from shmstore.arguments.shown import shown
from shmstore.errors import FieldTypeError

TIME: Final = "tsn:UTC"

# Arrow's format for what `struct`, `array` and PEP 3118 call by these letters.
NUMBERS: Final = dict(zip("bhiqBHIQfd", "csilCSILfg", strict=True))

Buffer: TypeAlias = "bytes | bytearray | memoryview | array[Any]"

_NULLABLE: Final = 2
_MOST_NARROW: Final = 2**31 - 1  # bytes that offsets of 32 bits can tell apart


class ArrowStream(Protocol):
    """An object that gives its rows as an Arrow stream: a table of pyarrow, polars, pandas or duckdb, or ours."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


class ArrowArray(Protocol):
    """An object that gives its rows as one Arrow array: a record batch."""

    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]: ...


def capsules_of(table: object) -> object | None:
    """What a table gives through the PyCapsule protocol, for `_core.Store.append_arrow`; None if it is not a table."""
    for method in ("__arrow_c_stream__", "__arrow_c_array__"):
        if export := getattr(table, method, None):
            try:
                capsules: object = export()
            except Exception as error:
                raise FieldTypeError(
                    "",
                    f"{type(table).__name__} does not give an Arrow table: {shown(str(error))}; make its columns ones",
                ) from error
            return capsules
    return None


def is_pandas(table: object) -> bool:
    """Whether it is pandas' own, known by the module of its class."""
    return any(base.__module__.partition(".")[0] == "pandas" for base in type(table).__mro__)


def with_index(frame: Any, names: Iterable[str]) -> Any:
    """A pandas frame whose index has some of these names, with these as columns: pandas may not hand them out.

    Raises FieldTypeError for a name that a column has too.
    """
    levels = [name for name in getattr(getattr(frame, "index", None), "names", ()) if name in set(names)]
    if not levels or not hasattr(frame, "columns"):
        return frame
    if both := [name for name in levels if name in frame.columns]:
        raise FieldTypeError(both[0], f"both the index of the frame and a column are named {both[0]!r}; drop one")
    return frame.reset_index(level=levels)


def pandas_floats(frame: Any) -> frozenset[str]:
    """The columns of a pandas frame in which a missing value is a NaN: those of NumPy's floats.

    pandas has no other sign for a missing value there, and hands NaN to Arrow as null. Its own nullable types, such as
    Float64, tell the two apart.
    """
    types = getattr(getattr(frame, "dtypes", None), "items", dict[str, Any]().items)()
    return frozenset(name for name, dtype in types if isinstance(name, str) and _is_float(dtype))


def _is_float(dtype: Any) -> bool:
    return getattr(dtype, "kind", "") == "f" and hasattr(dtype, "byteorder")  # pandas' own types do not have one


class ArrowColumn(NamedTuple):
    """One column, as `_core.arrow_array` takes it: name, format, flags, metadata, length, missing, buffers, dictionary.

    The buffers are those of Arrow's layout for the format; the first is the bitmap of what is there, None for all.
    """

    name: str
    format: str
    flags: int
    metadata: bytes | None
    length: int
    null_count: int
    buffers: "tuple[Buffer | None, ...]"
    dictionary: "ArrowColumn | None" = None


def fixed(name: str, format: str, length: int, values: Buffer, present: bytes | None = None) -> ArrowColumn:
    """Values of one size, used where they are. `present` has a byte for each, 0 where it is missing; None: all are
    there.
    """
    return _column(name, format, length, present, values)


def truths(name: str, length: int, values: Buffer, present: bytes | None = None) -> ArrowColumn:
    """Truth values, given as a byte each."""
    return _column(name, "b", length, present, _core.pack_bits(values))


def poured(name: str, text: bool, length: int, offsets: Buffer, data: Buffer) -> ArrowColumn:
    """Text or bytes that lie one after the other; the offsets have 32 bits, or 64 when the data needs them."""
    wide = memoryview(data).nbytes > _MOST_NARROW
    format = ("U" if text else "Z") if wide else ("u" if text else "z")
    return _column(name, format, length, None, offsets, data)


def strings(
    name: str, values: Sequence[str | None] | Sequence[bytes | None], present: bytes | None = None, *, text: bool = True
) -> ArrowColumn:
    """Text or bytes, given as Python values."""
    pieces = [value.encode() if isinstance(value, str) else value or b"" for value in values]
    data = b"".join(pieces)
    offsets = array("i" if len(data) <= _MOST_NARROW else "q", accumulate(map(len, pieces), initial=0))
    column = poured(name, text, len(pieces), offsets, data)
    return _column(name, column.format, len(pieces), present, offsets, data)


def keys(name: str, length: int, ids: Buffer, texts: Sequence[str | None]) -> ArrowColumn:
    """Ids of 32 bits, and the text of each: a dictionary-encoded column.

    The ids are declared as signed: pandas wants that, and all of them fit. A lost key, whose id no record has, gets a
    text of its own, because pandas wants all texts to be different and none to be missing.
    """
    dictionary = strings("", texts if None not in texts else _distinct(texts))
    return fixed(name, "i", length, ids)._replace(dictionary=dictionary)


def some_keys(name: str, values: Sequence[str | None]) -> ArrowColumn:
    """The same for damaged records, some of which do not name a key."""
    numbers = {text: number for number, text in enumerate(dict.fromkeys(text for text in values if text is not None))}
    ids = array("I", [0 if text is None else numbers[text] for text in values])
    present = bytes(text is not None for text in values)
    return fixed(name, "i", len(values), ids, present)._replace(dictionary=strings("", [*numbers]))


def wide_integers(name: str, values: Sequence[int | None], present: bytes | None) -> ArrowColumn | None:
    """Integers beyond 64 bits, as decimals of 38 digits (Arrow's decimal128); None when one does not fit."""
    if any(value is not None and abs(value) >= 10**38 for value in values):
        return None
    data = b"".join((value or 0).to_bytes(16, "little", signed=True) for value in values)
    return _column(name, "d:38,0", len(values), present, data)


def described(column: ArrowColumn, about: Mapping[str, str]) -> ArrowColumn:
    """The same column with metadata."""
    parts = [struct.pack("=i", len(about))]
    for text in (text for pair in about.items() for text in pair):
        encoded = text.encode()
        parts += struct.pack("=i", len(encoded)), encoded
    return column._replace(metadata=b"".join(parts))


def _column(name: str, format: str, length: int, present: bytes | None, *buffers: Buffer) -> ArrowColumn:
    missing = 0 if present is None else present.count(0)
    bitmap = _core.pack_bits(present) if present is not None and missing else None
    return ArrowColumn(name, format, 0 if present is None else _NULLABLE, None, length, missing, (bitmap, *buffers))


def _distinct(texts: Sequence[str | None]) -> list[str]:
    known = set(texts)
    distinct = []
    for number, text in enumerate(texts):
        if text is None:
            text = f"(lost key {number})"
            while text in known:
                text += "'"
        distinct.append(text)
    return distinct
