"""Events as lines of JSON: each its data, or an object with all of it."""

from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from shmstore.arguments.shown import shown
from shmstore.errors import InvalidEvent
from shmstore.streams.event import NewEvent

_PARTS: Final = ("data", "type", "event_id", "metadata")
_TOLD: Final = ("stream", "version", "position", "timestamp")  # `tail` has these as well; they are made anew


class Line:
    """One line that is not empty: its number, from 1 on, and the event that it says."""

    __slots__ = ("_text", "number")

    def __init__(self, number: int, text: bytes) -> None:
        self.number = number
        self._text = text

    def event(self, type: str | None, *, whole: bool) -> NewEvent:
        """The event: of `whole` lines all parts of it, else its data. `type` is that of those that say none.

        Raises InvalidEvent, without the number of the line.
        """
        value = _decoded(self._text)
        if not whole:
            return NewEvent(value, type)
        if not isinstance(value, dict) or (unknown := sorted(value.keys() - {*_PARTS, *_TOLD})):
            found = f"has {', '.join(map(shown, unknown))}" if isinstance(value, dict) else f"is {shown(value)}"
            raise InvalidEvent(f"{found}; expected an object of some of {', '.join(_PARTS)}")
        parts = {name: value[name] for name in _PARTS if name in value}
        if parts.get("type") is None:
            parts["type"] = type
        return NewEvent(**{"data": None} | parts)


def lines_of(file: BinaryIO) -> Iterator[Line]:
    """The lines of a file that are not empty, as they come."""
    for number, text in enumerate(file, 1):
        if text.strip():
            yield Line(number, text)


def _decoded(text: bytes) -> Any:
    import json  # only whoever appends pays for it

    try:
        return json.loads(text.decode(), parse_constant=_refuse)
    except UnicodeDecodeError as error:
        raise InvalidEvent(f"is not UTF-8 (byte {error.start + 1}); write JSON in UTF-8") from None
    except json.JSONDecodeError as error:
        raise InvalidEvent(f"is not JSON: {error.msg} at column {error.colno}; write one value a line") from None
    except RecursionError:
        raise InvalidEvent("is nested too deep") from None
    except ValueError as error:  # a constant, or a number of too many digits
        raise InvalidEvent(f"cannot be read: {error}") from None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number that JSON has")
