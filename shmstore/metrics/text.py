"""How names, labels and numbers are written in an exposition, and read back."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_UNESCAPES: Final = {r"\\": "\\", r"\n": "\n", r"\"": '"'}
_LABEL: Final = re.compile(r'([^=,]+)="((?:[^"\\]|\\.)*)",?')
_LABELS: Final = r'((?:[^=",{}]+="(?:[^"\\]|\\.)*",?)*)'
_LINE: Final = re.compile(rf"([^{{ #]+)(?:\{{{_LABELS}\}})? (\S+)(?: # \{{{_LABELS}\}} (\S+)(?: (\S+))?)?")

Line = tuple[str, dict[str, str], float, tuple[dict[str, str], float, float | None] | None]
"""Name, labels, value, and labels, value and time of an exemplar."""


def escaped(text: str) -> str:
    """A label value as it stands between quotes."""
    return text.translate(_ESCAPES)


def escaped_help(text: str) -> str:
    """A documentation as the older format has it: quotes stay."""
    return text.replace("\\", r"\\").replace("\n", r"\n")


def plain_name(name: str, colons: bool = False) -> str:
    """A name with `_` for whatever the formats do not take in one without quotes."""
    plain = re.sub(r"[^a-zA-Z0-9_:]" if colons else r"[^a-zA-Z0-9_]", "_", name)
    return re.sub(r"^[0-9]", "_", plain)


def label_text(labels: Mapping[str, str] | Iterable[tuple[str, str]]) -> str:
    """Labels as they stand between braces, in their order."""
    pairs = labels.items() if isinstance(labels, Mapping) else labels
    return ",".join(f'{plain_name(name)}="{escaped(value)}"' for name, value in pairs)


def label_pairs(text: str) -> dict[str, str]:
    """The names, as they are written, and the values of a label text."""
    return {name: re.sub(r"\\.", lambda found: _UNESCAPES[found[0]], value) for name, value in _LABEL.findall(text)}


def number_text(number: float) -> str:
    """A number as Go writes it."""
    number = float(number)
    if math.isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    if math.isnan(number):
        return "NaN"
    text = repr(number)
    point = text.find(".")
    if number > 0 and point > 6:
        digits = f"{text[0]}.{text[1:point]}{text[point + 1 :]}".rstrip("0.")
        return f"{digits}e+{point - 1:02d}"
    return text


def lines(exposition: str) -> Iterator[Line]:
    """The samples of an exposition that this package wrote."""
    for line in exposition.split("\n"):
        if (found := _LINE.fullmatch(line)) is None:
            continue
        name, labels, value, about, of, at = found.groups()
        exemplar = None if of is None else (label_pairs(about or ""), float(of), None if at is None else float(at))
        yield name, label_pairs(labels or ""), float(value), exemplar
