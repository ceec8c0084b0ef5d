"""Schema: what a store keeps of a record declaration, in whatever way the user declared it."""

import dataclasses
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

from shmstore import _core
from shmstore._core import FieldSpec
from shmstore.arguments import calls
from shmstore.arguments.shown import bracketed, near, shown
from shmstore.errors import FieldError, FieldTypeError, InvalidSchema
from shmstore.public import public
from shmstore.records.fields import KINDS, NOW, Marker, checked, field_of, resolved
from shmstore.records.record import Record, arranged, generated

_DECLARATIONS = (
    "a Record subclass, as in `class Order(Record): value: float`, a dataclass, a typing.NamedTuple "
    "or a NumPy structured dtype"
)

# NumPy's name for an item, without the byte order.
_NUMPY_KINDS = {
    "b1": _core.BOOL,
    "i1": _core.INT8,
    "i2": _core.INT16,
    "i4": _core.INT32,
    "i8": _core.INT64,
    "u1": _core.UINT8,
    "u2": _core.UINT16,
    "u4": _core.UINT32,
    "u8": _core.UINT64,
    "f4": _core.FLOAT32,
    "f8": _core.FLOAT64,
    "M8[ns]": _core.TIMESTAMP,
}


@public
@dataclasses.dataclass(frozen=True)
class Schema:
    """The fields of a store's records, in order. Immutable; two schemas are equal when their fields are.

    `record_type` is the class of the records. With `make`, make(*values) makes a record; without it, the class is a
    subclass of tuple that is filled with the values directly. `defaults` has the declared default of each field that
    a record may leave out: a value, or a function that makes one.
    """

    fields: tuple[FieldSpec, ...]
    record_type: type = dataclasses.field(compare=False, repr=False)
    make: Callable[..., Any] | None = dataclasses.field(default=None, compare=False, repr=False)
    defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict, compare=False, repr=False)

    @classmethod
    @calls.checked
    def of(cls, declaration: object, *, name: str = "Event") -> "Schema":
        """The schema that a declaration stands for.

        Accepted are a Record subclass, a dataclass, a typing.NamedTuple, a NumPy structured dtype, a sequence of
        FieldSpec or (name, kind, size), and a Schema. `name` is that of the Record subclass which is generated for a
        dtype or a sequence. Raises InvalidSchema, which names the field, what was found and what is accepted.
        """
        if isinstance(declaration, Schema):
            return declaration
        if isinstance(declaration, type):
            return cls._of_class(declaration)
        if hasattr(declaration, "names") and hasattr(declaration, "fields"):
            return cls._of_fields(_fields_of_dtype(declaration), name)
        if isinstance(declaration, Sequence) and not isinstance(declaration, str | bytes):
            return cls._of_fields(_fields_of_sequence(declaration), name)
        raise InvalidSchema(f"{shown(declaration)} does not declare a record; give {_DECLARATIONS}")

    @classmethod
    def _of_class(cls, declared: type) -> "Schema":
        name = declared.__name__
        if issubclass(declared, Record):
            return cls(_some(name, declared._specs), declared)
        if dataclasses.is_dataclass(declared):
            fields = _fields_of_annotations(declared, [field.name for field in dataclasses.fields(declared)])
            maker = _maker(declared, [field.name for field in fields])
            return cls(_some(name, fields), declared, maker, _defaults(fields, _dataclass_defaults(declared)))
        if issubclass(declared, tuple) and hasattr(declared, "_fields"):
            fields = _fields_of_annotations(declared, declared._fields)
            return cls(_some(name, fields), declared, None, _defaults(fields, getattr(declared, "_field_defaults", {})))
        raise InvalidSchema(f"the class {name} does not declare a record; give {_DECLARATIONS}")

    @staticmethod
    @public
    def _made_by_name(declared: type, names: Sequence[str], *values: Any) -> Any:
        return declared(**dict(zip(names, values, strict=True)))

    @classmethod
    def _of_fields(cls, fields: Iterable[FieldSpec], name: str) -> "Schema":
        record_type = generated(name, _some(name, checked(name, fields)))
        return cls(record_type._specs, record_type)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The fields' names."""
        return tuple(field.name for field in self.fields)

    @cached_property
    def formats(self) -> tuple[str, ...]:
        """The format of each field's column in the terms of `struct` and PEP 3118: 'd', '40s', 'I' for a Key's id."""
        return tuple(KINDS[field.kind].format.format(field.size) for field in self.fields)

    @cached_property
    def key_field(self) -> int | None:
        """The index of the first Key field, which chooses the partition."""
        return self._first(_core.KEY)

    @cached_property
    def time_field(self) -> int | None:
        """The index of the first Timestamp field, which time windows go by."""
        return self._first(_core.TIMESTAMP)

    def _first(self, kind: int) -> int | None:
        return next((index for index, field in enumerate(self.fields) if field.kind == kind), None)

    def index(self, name: str) -> int:
        """The index of a field. Raises FieldError when there is no field of this name."""
        try:
            return self.names.index(name if isinstance(name, str) else "")
        except ValueError:
            hint = bracketed(near(name, self.names))
            wrong = f"there is no field {shown(name)}{hint}; the fields are {', '.join(self.names)}"
            raise FieldError(name if isinstance(name, str) else shown(name), wrong) from None

    def describe(self, beside: "Schema | None" = None) -> str:
        """One line per field, for people: its name, its type and what that holds. What both schemas have looks the same
        `beside` another.
        """
        fields = self.fields if beside is None else self.fields + beside.fields
        name_width = max(len(field.name) for field in fields)
        type_width = max(len(repr(Marker(field.kind, field.size))) for field in fields)
        return "\n".join(
            f"{field.name:{name_width}}  {Marker(field.kind, field.size)!r:{type_width}}  "
            f"{KINDS[field.kind].meaning.format(field.size)}"
            for field in self.fields
        )

    def values_of(self, record: object) -> tuple[Any, ...]:
        """A record's values in the order of the fields.

        A field that it lacks gets its declared default; a Timestamp without one is None, which means "now, when
        appended".

        A record is an instance of `record_type` or any other named tuple or dataclass with these fields, a mapping by
        name, or a plain tuple of all values. Raises FieldTypeError; the values themselves are checked when appended.
        """
        owner = self.record_type.__name__
        if isinstance(record, tuple):
            names = getattr(record, "_fields", self.names)
            if names != self.names:
                return self._arranged(dict(zip(names, record, strict=True)))
            if len(record) != len(names):
                raise FieldTypeError(
                    "", f"a tuple of {len(record)} values is not a {owner}; give {len(names)}: {', '.join(names)}"
                )
            return record
        if isinstance(record, Mapping):
            return self._arranged(record)
        if dataclasses.is_dataclass(record) and not isinstance(record, type):
            by_name = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
            return self._arranged(by_name)
        raise FieldTypeError(
            "",
            f"{shown(record)} is not a record; give a {owner}, a mapping by field name, or a tuple of all values in "
            "order",
        )

    def _arranged(self, by_name: Mapping[str, Any]) -> tuple[Any, ...]:
        if missing := self.defaults.keys() - by_name.keys():
            declared = {name: self.defaults[name] for name in missing}
            by_name = {**by_name, **{name: it() if callable(it) else it for name, it in declared.items()}}
        return arranged(self.record_type.__name__, self.fields, (), by_name)


def _some(owner: str, fields: tuple[FieldSpec, ...]) -> tuple[FieldSpec, ...]:
    if not fields:
        raise InvalidSchema(f"{owner} has no fields; declare one or more, as in `class Order(Record): value: float`")
    return fields


def _fields_of_annotations(declared: type, names: Iterable[str]) -> tuple[FieldSpec, ...]:
    """Fields of a class by its annotations, each resolved in the module of the class that wrote it."""
    fields = []
    for name in names:
        for base in declared.__mro__:
            annotations = inspect.get_annotations(base)
            if name in annotations:
                annotation = resolved(declared.__name__, name, annotations[name], _names_around(base), vars(base))
                fields.append(field_of(declared.__name__, name, annotation))
                break
        else:
            raise InvalidSchema(f"field {name!r} of {declared.__name__} has no annotation; declare {_DECLARATIONS}")
    return checked(declared.__name__, fields)


def _names_around(declared: type) -> dict[str, Any]:
    """The names of the module that a class was written in, even if `sys.modules` does not know it."""
    if module := sys.modules.get(declared.__module__):
        return vars(module)
    functions = (each for each in vars(declared).values() if inspect.isfunction(each))
    return next((each.__globals__ for each in functions if each.__module__ == declared.__module__), {})


def _dataclass_defaults(declared: Any) -> dict[str, Any]:
    """The declared defaults of a dataclass: values, or functions that make one."""
    pairs = [
        (field.name, field.default if field.default is not dataclasses.MISSING else field.default_factory)
        for field in dataclasses.fields(declared)
    ]
    return {name: default for name, default in pairs if default is not dataclasses.MISSING}


def _defaults(fields: Iterable[FieldSpec], declared: Mapping[str, Any]) -> Mapping[str, Any]:
    """The defaults of fields. NOW is left out: a Timestamp without a default is just that."""
    kinds = {field.name: field.kind for field in fields}
    return {
        name: default
        for name, default in declared.items()
        if name in kinds and not (kinds[name] == _core.TIMESTAMP and default is NOW)
    }


def _maker(declared: type, names: Sequence[str]) -> Callable[..., Any]:
    """A function that makes an instance of a dataclass from all values in order. Raises InvalidSchema if that is
    impossible.
    """
    signature = inspect.signature(declared)
    try:
        if signature.bind(*names).arguments == dict(zip(names, names, strict=True)):
            return declared
    except TypeError:
        pass  # its fields cannot all be given by position, perhaps by name
    try:
        signature.bind(**dict.fromkeys(names))
    except TypeError as error:
        raise InvalidSchema(
            f"{declared.__name__}{signature} cannot make a record from its fields {', '.join(names)} ({error}); "
            "let the constructor take every field and need nothing else"
        ) from None
    return partial(Schema._made_by_name, declared, names)


def _fields_of_sequence(declaration: Sequence[Any]) -> Iterable[FieldSpec]:
    for field in declaration:
        try:
            yield FieldSpec(*field)
        except TypeError:
            raise InvalidSchema(
                f"{shown(field)} in a sequence of fields is not a FieldSpec; give (name, kind, size)"
            ) from None


def _fields_of_dtype(dtype: Any) -> Iterable[FieldSpec]:
    """Fields of a NumPy structured dtype, known by its attributes: NumPy itself is never imported."""
    if not dtype.names:
        raise InvalidSchema(
            f"{shown(dtype)} has no fields; give a structured dtype, as in numpy.dtype([('value', 'f8')])"
        )
    for name in dtype.names:
        field = dtype.fields[name][0]
        here = f"field {name!r} of the dtype is {shown(field)}"
        if field.shape:
            raise InvalidSchema(f"{here}, an array of shape {field.shape}; declare a field for each item")
        if not field.isnative:
            raise InvalidSchema(f"{here}, of another byte order than this machine; see numpy.dtype.newbyteorder")
        if field.str[1:] in _NUMPY_KINDS:
            yield FieldSpec(name, _NUMPY_KINDS[field.str[1:]], 0)
        elif field.kind in "SU":  # U has 4 bytes a character, the most that UTF-8 needs
            yield FieldSpec(name, _core.BYTES if field.kind == "S" else _core.TEXT, field.itemsize)
        else:
            raise InvalidSchema(f"{here}; accepted are {', '.join(_NUMPY_KINDS)}, S<n> and U<n>")
