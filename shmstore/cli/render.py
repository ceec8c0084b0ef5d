"""The one renderer of the tools: tables, facts, bars, sparklines, live frames and JSON lines, for people and programs.

Everything is drawn with Unicode blocks; a stream that cannot encode them gets ASCII stand-ins of the same width on the
way out. Colour marks only a status. Text of a segment is not trusted: what a terminal would obey is escaped.
"""

import enum
import os
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TextIO

from shmstore.arguments import units
from shmstore.tables.text import base64_text, finite

_HEIGHTS = "▁▂▃▄▅▆▇█"
_EIGHTHS = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")
_STAND_INS = str.maketrans("▁▂▃▄▅▆▇█▏▎▍▌▋▊▉░·×…–→", "_.:-=+*#-------.|x~->")

_ENTER_SCREEN = "\x1b[?1049h\x1b[?25l\x1b[?7l"
_LEAVE_SCREEN = "\x1b[?7h\x1b[?25h\x1b[?1049l"
_HOME, _END_LINE, _END_SCREEN, _RESET = "\x1b[H", "\x1b[K\r\n", "\x1b[J", "\x1b[0m"


class Tone(enum.Enum):
    """What colour may say, with the terminal's code for it."""

    GOOD = "\x1b[32m"
    WARNING = "\x1b[33m"
    BAD = "\x1b[31m"
    FAINT = "\x1b[2m"


class Column(NamedTuple):
    """One column: the key of its values, its title, how people see one, whether it stands at the right, its colour."""

    key: str
    title: str
    show: Callable[[Any], str] = str
    right: bool = False
    tone: Callable[[Any], Tone | None] | None = None


class Mode(enum.Enum):
    """Who the output is for: people (aligned), or programs (tab-separated, CSV with titles, JSON objects)."""

    PEOPLE = enum.auto()
    PLAIN = enum.auto()
    CSV = enum.auto()
    JSON = enum.auto()


class Output:
    """Where results go (`stream`, stdout by default) and messages (stderr), and how both are drawn."""

    def __init__(self, mode: Mode = Mode.PEOPLE, *, color: bool = True, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self.mode = mode
        self.on_terminal = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._color = color and self.on_terminal and mode is Mode.PEOPLE and not os.environ.get("NO_COLOR")
        self._unicode = _encodes_blocks(self._stream)
        self._last_frame: list[str] = []

    # -- drawing: returns lines, prints nothing

    def table(
        self,
        columns: Sequence[Column],
        rows: Iterable[Mapping[str, Any]],
        *,
        titles: bool = True,
        widths: dict[str, int] | None = None,
    ) -> list[str]:
        """Lines of a table. `widths` (by key) are kept and grow, so that later calls stay aligned with earlier ones."""
        if self.mode is Mode.PLAIN:
            return ["\t".join(_raw(row.get(column.key)) for column in columns) for row in rows]
        if self.mode is Mode.CSV:
            values = [[_exact(row.get(column.key)) for column in columns] for row in rows]
            return _csv([[column.key for column in columns], *values] if titles else values)
        cells = [[self._cell(column, row) for column in columns] for row in rows]
        widths = {} if widths is None else widths
        for place, column in enumerate(columns):
            widths[column.key] = max(
                widths.get(column.key, 0), _width(column.title), *(line[place][1] for line in cells)
            )
        if titles:
            cells.insert(0, [(self.paint(column.title, Tone.FAINT), _width(column.title)) for column in columns])
        return [self._line(columns, line, widths) for line in cells]

    def facts(self, columns: Sequence[Column], values: Mapping[str, Any]) -> list[str]:
        """Lines of one thing's values: a title and a value each; what is missing from `values` is left out."""
        present = [column for column in columns if column.key in values]
        if self.mode is Mode.PLAIN:
            return [f"{column.key}\t{_raw(values[column.key])}" for column in present]
        widest = max((_width(column.title) for column in present), default=0)
        return [
            f"{self.paint(column.title.ljust(widest), Tone.FAINT)}  {self._cell(column, values)[0]}"
            for column in present
        ]

    def bar(self, fraction: float, width: int = 20) -> str:
        """A horizontal bar of `width` characters, drawn to an eighth of one."""
        eighths = round(min(max(fraction, 0.0), 1.0) * width * 8)
        drawn = "█" * (eighths // 8) + _EIGHTHS[eighths % 8]
        return drawn.ljust(width, "░")

    def spark(self, values: Sequence[float], width: int = 30) -> str:
        """The newest `width` values as blocks, on a scale from 0 to the largest of them."""
        shown = values[-width:]
        return self.columns(shown, 1, 0, max(shown, default=0))[0].rjust(width)

    def columns(self, values: Sequence[float | None], lines: int, low: float, high: float) -> list[str]:
        """A column of blocks for each value, `lines` high, on a scale from `low` to `high`; None leaves it empty."""
        levels = [0 if value is None else _level(value, lines * 8, low, high) for value in values]
        return [
            "".join(_HEIGHTS[min(level - floor, 8) - 1] if level > floor else " " for level in levels)
            for floor in range((lines - 1) * 8, -1, -8)
        ]

    def paint(self, text: str, tone: Tone | None) -> str:
        """The text in the colour of its tone, where colour is wanted."""
        return f"{tone.value}{text}{_RESET}" if tone is not None and self._color and text else text

    # -- writing

    def write(self, lines: Iterable[str]) -> None:
        """Print lines to the results' stream, at once."""
        self._put("".join(f"{line}\n" for line in lines))

    def exact(self, text: str) -> None:
        """Print what is UTF-8 for whoever reads it, whatever the encoding of the results' stream."""
        binary = getattr(self._stream, "buffer", None)
        if binary is None:
            self._stream.write(text)
        else:
            self._stream.flush()
            binary.write(text.encode())
        self._stream.flush()

    def object(self, value: Mapping[str, Any]) -> None:
        """Print one JSON object on a line of its own."""
        import json  # only whoever asks for JSON pays for it

        self._put(json.dumps(_encodable(value), ensure_ascii=not self._unicode) + "\n")

    def rows(self, columns: Sequence[Column], rows: Sequence[Mapping[str, Any]], nothing: str) -> None:
        """Print rows as a table or as JSON; when there are none, tell people so in the words of `nothing`."""
        if self.mode is Mode.JSON:
            for row in rows:
                self.object(row)
        elif rows:
            self.write(self.table(columns, rows))
        else:
            self.message(nothing)

    def message(self, text: str) -> None:
        """Tell people something that is not a result, on stderr."""
        print(printable(text), file=sys.stderr)

    @contextmanager
    def live(self) -> Iterator[Callable[[list[str]], None]]:
        """Yield a function that shows a frame: redrawn in place on a terminal, one block after another elsewhere."""
        if not self.on_terminal or self.mode is not Mode.PEOPLE:
            yield self._block
            return
        self._put(_ENTER_SCREEN)
        try:
            yield self._redraw
        finally:
            self._put(_LEAVE_SCREEN)
            self.write(self._last_frame)

    def _block(self, frame: list[str]) -> None:
        self.write([*frame, ""] if self.mode is Mode.PEOPLE else frame)

    @property
    def room(self) -> int:
        """How many lines of a frame a terminal shows now."""
        return max(1, shutil.get_terminal_size().lines - 1)

    def _redraw(self, frame: list[str]) -> None:
        self._last_frame = frame
        room = self.room
        if len(frame) > room:
            frame = [*frame[: room - 1], self.paint(f"… {len(frame) - room + 1} more lines", Tone.FAINT)]
        self._put(_HOME + "".join(line + _END_LINE for line in frame) + _END_SCREEN)

    def _put(self, text: str) -> None:
        if not self._unicode:
            text = text.translate(_STAND_INS).encode("ascii", "backslashreplace").decode()
        self._stream.write(text)
        self._stream.flush()

    def _cell(self, column: Column, row: Mapping[str, Any]) -> tuple[str, int]:
        value = row.get(column.key)
        text = "-" if value is None else printable(column.show(value))
        tone = column.tone(value) if column.tone is not None and value is not None else None
        return self.paint(text, tone), _width(text)

    @staticmethod
    def _line(columns: Sequence[Column], cells: Sequence[tuple[str, int]], widths: Mapping[str, int]) -> str:
        parts = []
        for column, (text, width) in zip(columns, cells, strict=True):
            pad = " " * (widths[column.key] - width)
            parts.append(pad + text if column.right else text + pad)
        return "  ".join(parts).rstrip()


def printable(text: str) -> str:
    """The text with every character that is not plainly visible written as an escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _level(value: float, levels: int, low: float, high: float) -> int:
    """How many of the levels, one at least, a value on the scale from `low` to `high` reaches."""
    return 1 + max(0, min(levels - 1, int((value - low) / (high - low) * levels))) if high > low else 1


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def _encodes_blocks(stream: TextIO) -> bool:
    try:
        (_HEIGHTS + "░…").encode(stream.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _exact(value: Any) -> str:
    if isinstance(value, float):
        return repr(value)  # nan, inf and -inf too, as in `to_csv`
    encodable = _encodable(value)
    if encodable is None:
        return ""
    import json

    return encodable if isinstance(encodable, str) else json.dumps(encodable)


def _raw(value: Any) -> str:
    return printable(_exact(value))


def _csv(rows: Iterable[Iterable[str]]) -> list[str]:
    """Lines of comma-separated values, quoted where RFC 4180 needs it; a value with a line break makes several."""
    import csv  # only whoever asks for it pays
    import io

    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().split("\n")[:-1]


def _encodable(value: Any) -> Any:
    """The value in JSON's terms, as `to_jsonl` has them: bytes in base64, times as ISO 8601, NaN and the infinities as
    null; durations in seconds."""
    match value:
        case float():
            return finite(value)
        case units.Time():
            return units.iso(value) if value else None
        case bytes():
            return base64_text(value)
        case datetime():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Mapping():
            return {str(key): _encodable(item) for key, item in value.items()}
        case list() | tuple():
            return [_encodable(item) for item in value]
        case _:
            return value
