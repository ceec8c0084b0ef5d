"""Any value in a message: short, and on one line, whatever its own repr() does."""

from collections.abc import Iterable

_MOST = 120  # characters
_MOST_BITS = 400  # of an int: Python refuses to write very long ones


def shown(value: object) -> str:
    """repr(value), cut where it is long; for a value whose repr() fails, its type and the failure."""
    try:
        if isinstance(value, int) and value.bit_length() > _MOST_BITS:
            return f"an int of {value.bit_length():,} bits"
        if isinstance(value, str | bytes | bytearray) and len(value) > _MOST:
            return f"{value[:_MOST]!r}... ({len(value):,} in all)"
        text = repr(value)
        return text if len(text) <= _MOST and "\n" not in text else _cut(text)
    except Exception as error:
        return f"<{type(value).__name__} whose repr() raises {type(error).__name__}>"


def near(name: object, names: Iterable[str], least: float = 0.6) -> str:
    """ "did you mean ...?", with the most similar of the names; "" when none is similar (`least`, from 0 to 1)."""
    if not isinstance(name, str) or len(name) > _MOST:
        return ""
    from difflib import get_close_matches  # only whoever mistypes pays for it

    alike = {known.lower(): known for known in names}
    found = get_close_matches(name.lower(), alike, 1, least)
    return f"did you mean {shown(alike[found[0]])}?" if found else ""


def bracketed(text: str) -> str:
    """A remark within a sentence, or nothing."""
    return f" ({text})" if text else ""


def _cut(text: str) -> str:
    line = " ".join(text[: 2 * _MOST].split())
    return line if len(line) <= _MOST and len(text) <= 2 * _MOST else f"{line[:_MOST]}... ({len(text):,} characters)"
