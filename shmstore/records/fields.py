"""What a field of a record may be: the markers used as annotations, and the step from an annotation to a FieldSpec.

A marker stands alone (`value: Float32`) or in `Annotated[float, Float32]`; one that takes a size must be written the
second way, `Annotated[str, Text[40]]`, where a strict type checker reads the code. A type checker takes a
bare marker for the Python type of the field's values.
"""

from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from keyword import iskeyword
from operator import getitem
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Final,
    NamedTuple,
    NoReturn,
    TypeAlias,
    get_args,
    get_origin,
    get_type_hints,
)

from shmstore import _core
from shmstore._core import FieldSpec
from shmstore.arguments.shown import shown
from shmstore.errors import InvalidCall, InvalidSchema
from shmstore.public import public

_DEFAULT_KEY_BYTES = 64

# The most bytes that a user may declare for the kinds that have a size.
_MOST_BYTES: Final = {
    _core.KEY: _core.MAX_KEY_BYTES,
    _core.TEXT: _core.MAX_TEXT_BYTES,
    _core.BYTES: _core.MAX_TEXT_BYTES,
}

# `append(..., partition=3)` means the partition of that record.
_RESERVED: Final = frozenset({"partition"})

_ACCEPTED: Final = (
    "accepted are Key, Key[n], Text[n], Bytes[n], Timestamp, Int8 to Int64, UInt8 to UInt64, Float32, Float64, Bool, "
    "int, float, bool, or one of these within Annotated, as in Annotated[str, Text[40]]"
)


class Kind(NamedTuple):
    """One kind of field, as people and other programs know it; `{}` in a text stands for the most bytes.

    `format` is that of a column's items in the terms of `struct`, PEP 3118 and NumPy.
    """

    marker: str
    python_type: type
    format: str
    meaning: str


KINDS: Final = {
    _core.INT8: Kind("Int8", int, "b", "signed integer of 8 bits"),
    _core.INT16: Kind("Int16", int, "h", "signed integer of 16 bits"),
    _core.INT32: Kind("Int32", int, "i", "signed integer of 32 bits"),
    _core.INT64: Kind("Int64", int, "q", "signed integer of 64 bits"),
    _core.UINT8: Kind("UInt8", int, "B", "unsigned integer of 8 bits"),
    _core.UINT16: Kind("UInt16", int, "H", "unsigned integer of 16 bits"),
    _core.UINT32: Kind("UInt32", int, "I", "unsigned integer of 32 bits"),
    _core.UINT64: Kind("UInt64", int, "Q", "unsigned integer of 64 bits"),
    _core.FLOAT32: Kind("Float32", float, "f", "floating-point number of 32 bits"),
    _core.FLOAT64: Kind("Float64", float, "d", "floating-point number of 64 bits"),
    _core.BOOL: Kind("Bool", bool, "?", "true or false"),
    _core.TEXT: Kind("Text", str, "{}s", "text of at most {} bytes of UTF-8"),
    _core.BYTES: Kind("Bytes", bytes, "{}s", "at most {} bytes"),
    _core.TIMESTAMP: Kind("Timestamp", int, "q", "nanoseconds since the Unix epoch; now, when left out"),
    _core.KEY: Kind("Key", str, "I", "interned text of at most {} bytes of UTF-8, stored as its id of 32 bits"),
}


@public
@dataclass(frozen=True, slots=True, repr=False)
class Marker:
    """A field's kind and, for Key, Text and Bytes, the most bytes of a value (0: not given yet)."""

    kind: int
    size: int = 0

    def __getitem__(self, size: int) -> "Marker":
        """The same kind with at most `size` bytes. Raises InvalidSchema when kind or size do not allow it."""
        name = KINDS[self.kind].marker
        most = _MOST_BYTES.get(self.kind)
        if most is None:
            raise InvalidSchema(f"{name}[{shown(size)}]: {name} has a fixed size; write {name} alone")
        if not _is_size(size, 1, most):
            raise InvalidSchema(
                f"{name}[{shown(size)}]: its most bytes are an integer from 1 to {most}, as in {name}[40]"
            )
        return Marker(self.kind, size)

    def __call__(self, *values: object, **named: object) -> NoReturn:
        """Refused: a declaration names a marker, with its size in brackets if need be, and does not call it."""
        name = KINDS[self.kind].marker
        words = f"{name}[40] for at most 40 bytes" if self.kind in _MOST_BYTES else f"{name} alone"
        raise InvalidCall(f"{name} is the type of a field and is not called; write {words}, as in `name: {name}`")

    def __reduce__(self) -> str | tuple[Any, ...]:
        """By the name of the marker in the package, with the size in brackets where it has one."""
        ours = globals()[KINDS[self.kind].marker]
        if self is ours:
            return KINDS[self.kind].marker
        return (getitem, (ours, self.size)) if self.size else (copy, (ours,))

    def __repr__(self) -> str:
        return KINDS[self.kind].marker + (f"[{self.size}]" if self.size else "")


if TYPE_CHECKING:
    Int8: TypeAlias = int
    Int16: TypeAlias = int
    Int32: TypeAlias = int
    Int64: TypeAlias = int
    UInt8: TypeAlias = int
    UInt16: TypeAlias = int
    UInt32: TypeAlias = int
    UInt64: TypeAlias = int
    Float32: TypeAlias = float
    Float64: TypeAlias = float
    Bool: TypeAlias = bool
    Timestamp: TypeAlias = int
    Key: TypeAlias = str
    NOW: int
else:
    Int8 = Marker(_core.INT8)
    Int16 = Marker(_core.INT16)
    Int32 = Marker(_core.INT32)
    Int64 = Marker(_core.INT64)
    UInt8 = Marker(_core.UINT8)
    UInt16 = Marker(_core.UINT16)
    UInt32 = Marker(_core.UINT32)
    UInt64 = Marker(_core.UINT64)
    Float32 = Marker(_core.FLOAT32)
    Float64 = Marker(_core.FLOAT64)
    Bool = Marker(_core.BOOL)
    Timestamp = Marker(_core.TIMESTAMP)
    Key = Marker(_core.KEY, _DEFAULT_KEY_BYTES)
    # The value of a Timestamp that was left out. Written as its default (`timestamp: Timestamp = NOW`) it changes
    # nothing, but it tells a type checker that the field may be left out.
    NOW = None

# Without a size these mean nothing, so a type checker need not accept them as types.
Text: Final = Marker(_core.TEXT)
Bytes: Final = Marker(_core.BYTES)

_PLAIN: Final[dict[type, Marker]] = {int: Marker(_core.INT64), float: Marker(_core.FLOAT64), bool: Marker(_core.BOOL)}
_ADVICE: Final[dict[type, str]] = {
    str: "write Text[n] with its most bytes, or Key for names that repeat; ",
    bytes: "write Bytes[n] with its most bytes; ",
}


def resolved(owner: str, name: str, annotation: object, globals_: dict[str, Any], locals_: Mapping[str, Any]) -> object:
    """The object that an annotation written as a string stands for; any other annotation as it is.

    Raises InvalidSchema when these namespaces do not know it.
    """
    carrier = type(owner, (), {"__annotations__": {name: annotation}})
    try:
        return get_type_hints(carrier, globals_, locals_, include_extras=True)[name]
    except InvalidSchema as error:  # a marker's size
        raise InvalidSchema(f"field {name!r} of {owner}: {error}") from None
    except Exception as error:  # evaluating a user's text can raise anything
        written = getattr(annotation, "__forward_arg__", annotation)
        raise InvalidSchema(
            f"field {name!r} of {owner}: the annotation {shown(written)} cannot be resolved ({error}); "
            "define or import what it names where the class is declared, and not only under TYPE_CHECKING"
        ) from error


def is_field(annotation: object) -> bool:
    """False for an annotation of a class variable."""
    return annotation is not ClassVar and get_origin(annotation) is not ClassVar


def field_of(owner: str, name: str, annotation: object) -> FieldSpec:
    """The field that a resolved annotation declares. Raises InvalidSchema, naming the field and what is accepted."""
    here = f"field {name!r} of {owner}"
    declared, found = annotation, annotation
    if get_origin(annotation) is Annotated:
        declared, *extras = get_args(annotation)
        markers = [extra for extra in extras if isinstance(extra, Marker)]
        if len(markers) > 1:
            raise InvalidSchema(f"{here} has the markers {markers}; keep the one that says what to store")
        found = markers[0] if markers else declared
    marker = _PLAIN.get(found) if isinstance(found, type) else found
    if not isinstance(marker, Marker):
        advice = _ADVICE.get(found, "") if isinstance(found, type) else ""
        raise InvalidSchema(f"{here} has the annotation {_shown(found)}; {advice}{_ACCEPTED}")
    if marker.kind in _MOST_BYTES and not marker.size:
        raise InvalidSchema(f"{here} is {marker} without a size; write its most bytes, as in {marker}[40]")
    python_type = KINDS[marker.kind].python_type
    if declared is not found and python_type not in (declared, *get_args(declared)):
        raise InvalidSchema(
            f"{here} is declared {_shown(declared)}, but {marker} holds {python_type.__name__}; "
            f"write Annotated[{python_type.__name__}, {marker}]"
        )
    return FieldSpec(name, marker.kind, marker.size)


def checked(owner: str, fields: Iterable[FieldSpec]) -> tuple[FieldSpec, ...]:
    """The fields themselves, if their names, kinds, sizes and number are allowed. Raises InvalidSchema otherwise."""
    seen: dict[str, FieldSpec] = {}
    for field in fields:
        if problem := _problem(field) or (field.name in seen and "is declared twice; every field needs its own name"):
            raise InvalidSchema(f"field {field.name!r} of {owner} {problem}")
        seen[field.name] = field
    if len(seen) > _core.MAX_FIELDS:
        raise InvalidSchema(
            f"{owner} has {len(seen)} fields; a record has at most {_core.MAX_FIELDS}, so put some together in Bytes[n]"
        )
    return tuple(seen.values())


def _problem(field: FieldSpec) -> str | None:
    """What is wrong with a field and what to do, to follow its name in a sentence; None if nothing is."""
    name, kind, size = field
    if not isinstance(name, str) or not name.isidentifier() or iskeyword(name):
        return "cannot be written as record.name in Python; choose another name"
    if name.startswith("_"):
        return "begins with '_', which is kept for the record class itself; choose another name"
    if name in _RESERVED:
        return "has the name of an argument of append; choose another name"
    if len(name.encode()) > _core.MAX_FIELD_NAME_BYTES:
        return f"has a name of {len(name.encode())} bytes; the longest has {_core.MAX_FIELD_NAME_BYTES}"
    if kind not in KINDS:
        return f"is of kind {shown(kind)}, which this version of shmstore does not know"
    most = _MOST_BYTES.get(kind, 0)
    if not _is_size(size, min(most, 1), most):
        return f"is {KINDS[kind].marker} of size {shown(size)}; its size is " + (f"from 1 to {most}" if most else "0")
    return None


def _is_size(size: object, least: int, most: int) -> bool:
    return type(size) is int and least <= size <= most


def _shown(annotation: object) -> str:
    """An annotation as its author wrote it, near enough."""
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)
