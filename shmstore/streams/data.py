"""Data and metadata that are neither bytes nor text, as JSON; and ids that are no text, as text."""

import dataclasses
import math
from collections.abc import Callable, Iterable
from datetime import date, time
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID

from shmstore.arguments.shown import shown
from shmstore.errors import InvalidEvent
from shmstore.streams.event import NewEvent
from shmstore.streams.position import Position

_KEYS = (str, int, float, bool, type(None))


class JsonText:
    """JSON that is kept as it is, in UTF-8: of a dict or a list, as `encoded` could have made it, but for its spaces.
    Whoever makes one has looked that it is so.
    """

    __slots__ = ("text",)

    def __init__(self, text: bytes) -> None:
        self.text = text


def encoded(value: Any, part: str, holds_event: bool = False) -> bytes:
    """A value as JSON, in UTF-8; `part` is what messages call it.

    A date, time, UUID, Decimal or Position becomes text, and a dataclass an object. Raises InvalidEvent, which says
    where in the value is what JSON does not have, or a NewEvent, which would become a list: `holds_event` says that
    there is one.
    """
    if type(value) is JsonText:
        return value.text
    if holds_event:
        raise InvalidEvent(
            f"{_event_in(value, part)} is a NewEvent, which is no data: append_many takes those, in a list; append "
            "takes what is in one by name, as append(data, type=..., event_id=...)"
        )
    try:
        return "".join(_encoder()(value, 0)).encode()
    except (TypeError, ValueError, RecursionError) as error:
        try:
            found = _wrong(value, part)
        except RecursionError:
            found = f"{part} contains itself, or is nested too deep"
        raise InvalidEvent(
            f"{found or f'{part} cannot be written as JSON ({error})'}; append bytes, or what JSON has: dicts, lists, "
            "texts, finite numbers, True, False and None (dataclasses, dates, times, UUIDs, Decimals and Positions "
            "become such)"
        ) from error


def id_text(value: Any) -> str:
    """An event id that is no text. Raises InvalidEvent for all but a UUID."""
    if isinstance(value, UUID):
        return str(value)
    raise InvalidEvent(f"event_id is {shown(value)}; expected a str of at most 64 bytes, or a UUID")


@cache
def _encoder() -> Callable[[Any, int], Iterable[str]]:
    """What `json.JSONEncoder.encode` makes for each value anew: it takes a value, and 0, and returns parts of JSON.

    It does not look for values that contain themselves, which ends with a RecursionError all the same.
    """
    from json import encoder  # only whoever appends such data pays for it

    made = encoder.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)
    make: Callable[..., Callable[[Any, int], Iterable[str]]] | None = getattr(encoder, "c_make_encoder", None)
    if make is None:  # a Python that was built without it
        return lambda value, _level: made.encode(value)
    quoted = getattr(encoder, "encode_basestring")  # noqa: B009 - type checkers do not know it
    return make(None, _plain, quoted, None, ":", ",", False, False, False)


def _plain(value: Any) -> Any:
    """What stands for a value that JSON does not have. Raises TypeError."""
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, UUID | Decimal | Position):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    raise TypeError(type(value).__name__)


def _wrong(value: Any, where: str) -> str | None:
    """What JSON does not have in a value, in words; None when there is no such thing."""
    if isinstance(value, str):
        return f"{where} is {shown(value)}, which UTF-8 cannot hold" if _is_torn(value) else None
    if isinstance(value, float):
        return None if math.isfinite(value) else f"{where} is {value}"
    if value is None:
        return None
    if isinstance(value, int):
        try:
            int.__repr__(value)
        except ValueError as error:  # more digits than this Python writes
            return f"{where} is {shown(value)} ({error})"
        return None
    if isinstance(value, dict):
        keys = (f"{where} has the key {shown(key)}" for key in value if not isinstance(key, _KEYS) or _wrong(key, ""))
        values = (_wrong(each, f"{where}[{shown(key)}]") for key, each in value.items())
        return next(keys, None) or next(filter(None, values), None)
    if isinstance(value, list | tuple):
        return next(filter(None, (_wrong(each, f"{where}[{at}]") for at, each in enumerate(value))), None)
    try:
        return _wrong(_plain(value), where)
    except TypeError:
        return f"{where} is {shown(value)} ({type(value).__name__})"


def _event_in(value: Any, where: str) -> str | None:
    """Where in a value a NewEvent is."""
    if isinstance(value, NewEvent):
        return where
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    return next(filter(None, (_event_in(each, f"{where}[{shown(key)}]") for key, each in items)), None)


def _is_torn(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
