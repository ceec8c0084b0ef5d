"""Tables as lines of text: CSV, and JSON with one object a line."""

import math
import os
from binascii import b2a_base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final, Literal, TextIO

from shmstore.arguments.checks import refused

ColumnKind = Literal["integer", "real", "text", "bytes", "timestamp", "bool"]
"""What a column holds; a timestamp is an int of nanoseconds since the Unix epoch."""

Target = str | os.PathLike[str] | TextIO
"""Where lines go: the path of a file that is made or replaced (UTF-8), or a text stream, which stays open."""

_UNIX_EPOCH: Final = datetime(1970, 1, 1)

_Show = Callable[[Any], Any]


def iso_time(time_ns: int) -> str:
    """Nanoseconds since the Unix epoch as ISO 8601 in UTC, all of them kept: 2026-11-23T07:36:00.000000001Z."""
    seconds, nanoseconds = divmod(time_ns, 10**9)
    return f"{_iso_second(seconds)}.{nanoseconds:09}Z"


@lru_cache(maxsize=1024)  # neighbours share their second
def _iso_second(seconds: int) -> str:
    return (_UNIX_EPOCH + timedelta(seconds=seconds)).isoformat()


def base64_text(value: bytes) -> str:
    """Bytes as base64 (RFC 4648)."""
    return b2a_base64(value, newline=False).decode()


def finite(value: float) -> float | None:
    """A float as JSON can say it: None for NaN and the infinities."""
    return value if math.isfinite(value) else None


_IN_CSV: Final[dict[ColumnKind, _Show]] = {
    "timestamp": iso_time,
    "bytes": base64_text,
    "bool": {False: "false", True: "true"}.__getitem__,
}
_IN_JSON: Final[dict[ColumnKind, _Show]] = {"timestamp": iso_time, "bytes": base64_text, "real": finite}


def write_csv(names: Sequence[str], kinds: Sequence[ColumnKind], rows: Iterable[Sequence[Any]], file: Target) -> int:
    """Write a line of names and a line for each row; returns how many rows.

    Lines end in a newline; quotes stand where RFC 4180 needs them. A missing value is an empty cell, as is empty text.
    """
    import csv  # only whoever writes lines pays for it

    written = 0

    def counted() -> Iterator[Sequence[Any]]:
        nonlocal written
        for row in _shown(kinds, rows, _IN_CSV):
            yield row
            written += 1

    with _opened(file) as stream:
        lines = csv.writer(_Lines(stream), lineterminator="\r\n")
        lines.writerow(names)
        lines.writerows(counted())
    return written


class _Lines:
    """What csv.writer writes to. Before CPython 3.13 it quotes only the characters of its own line end, so that is
    given as "\\r\\n", both of which readers take for a line end. The lines end in a newline all the same.
    """

    def __init__(self, stream: TextIO) -> None:
        self._write = stream.write

    def write(self, line: str) -> None:
        self._write(f"{line[:-2]}\n")


def write_jsonl(names: Sequence[str], kinds: Sequence[ColumnKind], rows: Iterable[Sequence[Any]], file: Target) -> int:
    """Write one JSON object a line for each row; returns how many."""
    import json  # only whoever writes lines pays for it

    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
    written = 0
    with _opened(file) as stream:
        for row in _shown(kinds, rows, _IN_JSON):
            stream.write(encode(dict(zip(names, row, strict=True))) + "\n")
            written += 1
    return written


def _shown(
    kinds: Sequence[ColumnKind], rows: Iterable[Sequence[Any]], shows: dict[ColumnKind, _Show]
) -> Iterable[Sequence[Any]]:
    """The rows, with the values of some kinds of column replaced by the text that stands for them in a line."""
    chosen = [(place, shows[kind]) for place, kind in enumerate(kinds) if kind in shows]
    return (_replaced(row, chosen) for row in rows) if chosen else rows


def _replaced(row: Sequence[Any], shows: Sequence[tuple[int, _Show]]) -> list[Any]:
    values = list(row)
    for place, show in shows:
        if values[place] is not None:
            values[place] = show(values[place])
    return values


def _opened(file: Target) -> AbstractContextManager[TextIO]:
    if isinstance(file, str | os.PathLike):
        return open(file, "w", encoding="utf-8", newline="")
    if not hasattr(file, "write"):
        raise refused("file", file, "a path, or a file that takes text")
    return nullcontext(file)
