"""Record: declare the fields of an event as annotations, get an immutable tuple with named values.

    class Order(Record):
        gateway: Key
        id: Text[40]
        value: float
        timestamp: Timestamp

    Order("gw-1", "o-1", 12.5) == Order(gateway="gw-1", id="o-1", value=12.5, timestamp=None)

The declaration is read once, when the class is made.
"""

import copyreg
import inspect
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias, dataclass_transform

from shmstore import _core
from shmstore._core import FieldSpec
from shmstore.arguments.shown import bracketed, near, shown
from shmstore.errors import FieldTypeError, InvalidSchema
from shmstore.public import PACKAGE, public
from shmstore.records.fields import NOW, Marker, checked, field_of, is_field, resolved

_GENERATED = "_generated"  # marks a class that is not an attribute of any module


class RecordType(type):
    """The class of Record classes: turns annotations into fields, and each field into a place of the tuple."""

    _specs: tuple[FieldSpec, ...]
    _field_defaults: dict[str, Any]

    def __new__(mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> "RecordType":
        cls = super().__new__(mcls, name, bases, {"__slots__": (), **namespace}, **options)
        # Names in string annotations may be local to the function or class body that holds the declaration.
        around = sys._getframe(1)
        locals_ = {**around.f_locals, **namespace}
        # Of several bases the last one comes first, as in a dataclass; fields that several inherit come once.
        records = [base for base in reversed(bases) if isinstance(base, RecordType)]
        fields = list(dict.fromkeys(field for base in records for field in base._specs))
        for field_name, written in inspect.get_annotations(cls).items():
            annotation = resolved(name, field_name, written, around.f_globals, locals_)
            if is_field(annotation):
                fields.append(field_of(name, field_name, annotation))
        cls._specs = checked(name, fields)
        for attribute in ("_fields", "__match_args__"):
            setattr(cls, attribute, tuple(field.name for field in cls._specs))
        cls._field_defaults = {field.name: NOW for field in cls._specs if field.kind == _core.TIMESTAMP}
        for index, field in enumerate(cls._specs):
            if not _is_place(namespace.get(field.name)):
                _require_no_default(name, field, namespace)
            setattr(cls, field.name, property(itemgetter(index), doc=repr(Marker(field.kind, field.size))))
        return cls


def _is_place(value: object) -> bool:
    """Whether a Record class made this of a field: the class is then being made again, as in pickling by value."""
    return isinstance(value, property) and isinstance(value.fget, itemgetter)


def _require_no_default(owner: str, field: FieldSpec, namespace: Mapping[str, Any]) -> None:
    default = namespace.get(field.name, NOW)
    if default is not NOW or (field.name in namespace and field.kind != _core.TIMESTAMP):
        raise InvalidSchema(
            f"field {field.name!r} of {owner} has the default {shown(default)}; only a Timestamp may be left out "
            "(its default is NOW), so give the value when the record is made"
        )


if TYPE_CHECKING:
    _Values: TypeAlias = tuple[Any, ...]
else:
    _Values = tuple  # a generic base would show up in the __orig_bases__ of each subclass as well


@public
@dataclass_transform(frozen_default=True)
class Record(_Values, metaclass=RecordType):
    """Subclass it with annotations to declare a record; a subclass of that adds fields.

    Values are given by position, by name or both; a Timestamp that is left out is None, which means "now, when
    appended". Values are checked when the record is appended. Raises FieldTypeError for missing, unknown or too many
    fields; making a subclass raises InvalidSchema.
    """

    _fields: ClassVar[tuple[str, ...]]
    _field_defaults: ClassVar[dict[str, Any]]

    if TYPE_CHECKING:  # so that fields may have the names of these two methods of tuple
        count: Any
        index: Any

    def __new__(cls, /, *values: Any, **fields: Any) -> Self:
        if fields or len(values) != len(cls._specs):
            return tuple.__new__(cls, arranged(cls.__name__, cls._specs, values, fields))
        return tuple.__new__(cls, values)

    @classmethod
    def _make(cls, values: Iterable[Any]) -> Self:
        """A record made of all values in order, as with a named tuple."""
        return cls(*values)

    def _asdict(self) -> dict[str, Any]:
        """The values by field name."""
        return dict(zip(self._fields, self, strict=True))

    def _replace(self, /, **changes: Any) -> Self:
        """A new record with other values for these fields. Raises FieldTypeError for an unknown one."""
        return type(self)(**{**self._asdict(), **changes})

    __replace__ = _replace

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._asdict().items())})"

    def __getnewargs__(self) -> tuple[Any, ...]:
        return tuple(self)

    @staticmethod
    @public
    def _unpickled(name: str, fields: Sequence[tuple[str, int, int]]) -> RecordType:
        """A generated class that was pickled."""
        return generated(name, tuple(FieldSpec(*field) for field in fields))


def arranged(
    owner: str, specs: Sequence[FieldSpec], by_position: Sequence[Any], by_name: Mapping[str, Any]
) -> tuple[Any, ...]:
    """All values in the order of the fields; NOW for a Timestamp that was left out. Raises FieldTypeError."""
    values, others, missing = list(by_position), dict(by_name), []
    for field in specs[len(values) :]:
        if field.name in others:
            values.append(others.pop(field.name))
        elif field.kind == _core.TIMESTAMP:
            values.append(NOW)
        else:
            missing.append(field.name)
    if len(values) > len(specs) or others or missing:
        raise _misfit(owner, [field.name for field in specs], len(by_position), others, missing)
    return tuple(values)


def _misfit(
    owner: str, names: Sequence[str], given: int, others: Collection[object], missing: Sequence[str]
) -> FieldTypeError:
    """The error for values that are too many, given twice, unknown (`others`) or missing: the first that applies."""
    if given > len(names):
        return FieldTypeError("", f"{owner} was given {given} values for its {len(names)} fields: {', '.join(names)}")
    if others:
        name = next(iter(others))
        if name in names:
            return FieldTypeError(str(name), f"{name!r} of {owner} is given by position and by name; give it once")
        hint = bracketed(near(name, names))
        given_name = name if isinstance(name, str) else shown(name)
        return FieldTypeError(
            given_name, f"{owner} has no field {shown(name)}{hint}; its fields are {', '.join(names)}"
        )
    return FieldTypeError(missing[0], f"{owner} lacks {', '.join(missing)}; only a Timestamp may be left out")


# The same fields give the same class, so that unpickling a record does not make a class each time.
@lru_cache(maxsize=256)
def generated(name: str, fields: tuple[FieldSpec, ...]) -> RecordType:
    """A Record class for checked fields that the program did not declare as a class."""
    markers = {field.name: Marker(field.kind, field.size) for field in fields}
    return RecordType(name, (Record,), {"__annotations__": markers, "__module__": PACKAGE, _GENERATED: True})


def _class_to_pickle(cls: RecordType) -> str | tuple[Any, ...]:
    """A declared class is pickled by its name; a generated one, which is not in any module, by its fields."""
    if _GENERATED in vars(cls):
        return Record._unpickled, (cls.__name__, tuple(map(tuple, cls._specs)))
    return cls.__qualname__


copyreg.pickle(RecordType, _class_to_pickle)
