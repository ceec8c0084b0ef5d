"""What the dashboard sends: numbers that JSON has, times in ms since 1970, texts that are not too long."""

import math
from typing import Any, Final

from shmstore.http.message import to_json
from shmstore.tables.text import base64_text

_LONGEST: Final = 4000  # letters of a text that is shown


def number(value: Any) -> float | None:
    """A number, or None for what JSON cannot say."""
    return value if isinstance(value, int | float) and math.isfinite(value) else None


def rounded(value: float | None, digits: int = 3) -> float | None:
    """A rate or a share, without digits that nobody sees."""
    return None if value is None or not math.isfinite(value) else round(value, digits)


def milliseconds(time_ns: int) -> int | None:
    """A time; None for never."""
    return time_ns // 10**6 if time_ns > 0 else None


def text_of(value: Any) -> str | None:
    """Data as a text for people: JSON, or bytes in base64."""
    return None if value is None else base64_text(value) if isinstance(value, bytes) else to_json(value)


def cut(text: str | None) -> str | None:
    """A text without what is too long to be shown."""
    return text if text is None or len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
