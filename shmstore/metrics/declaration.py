"""What is stored of a metric: enough for any process to print it, and to tell whether another declares the same."""

import json
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from shmstore.metrics.text import escaped, escaped_help, number_text, plain_name

KINDS: Final = {"counter": 1, "gauge": 2, "histogram": 3, "summary": 4, "info": 5, "stateset": 6}
MODES: Final = (
    *("all", "liveall", "min", "livemin", "max", "livemax"),
    *("sum", "livesum", "mostrecent", "livemostrecent"),
)
"""The modes of gauges; as stored, they are numbered from 1."""

_VERSION: Final = 1
_PREFIX: Final = struct.Struct("<4B2H")
_LENGTH: Final = struct.Struct("<I")
_CREATED: Final = 1
_MOST_ITEMS: Final = 0xFFFF
_BEGIN: Final = ("counter", "histogram", "summary")  # of which it is told when a series began
_OLD_KIND: Final = {"info": "gauge", "stateset": "gauge"}
_OLD_SUFFIX: Final = {"counter": "_total", "info": "_info"}


@dataclass(frozen=True, slots=True)
class Declaration:
    """A metric as it is declared; `mode` is that of a gauge."""

    kind: str
    name: str
    documentation: str
    unit: str = ""
    labelnames: tuple[str, ...] = ()
    mode: str = ""
    buckets: tuple[float, ...] = ()
    states: tuple[str, ...] = ()

    @property
    def cells(self) -> int:
        return len(self.buckets) or 1

    def packed(self, key: bytes, mode: str, registry: str) -> bytes:
        """As it is stored behind its key; `mode` is what its series are kept by."""
        items = [number_text(bound) for bound in self.buckets] or [escaped(state) for state in self.states]
        if len(items) > _MOST_ITEMS:
            what = "buckets" if self.buckets else "states"
            raise ValueError(f"the {self.kind} {self.name!r} has {len(items)} {what}; at most {_MOST_ITEMS} are stored")
        number = 1 + MODES.index(mode) if mode else 0
        texts = [self._old_lines(), self._lines(), plain_name(self.name, colons=True), *items, self._known(registry)]
        prefix = _PREFIX.pack(_VERSION, KINDS[self.kind], number, _CREATED * (self.kind in _BEGIN), len(items), 0)
        return key + prefix + b"".join(_text(text) for text in texts)

    def _old_lines(self) -> str:
        name = plain_name(self.name + _OLD_SUFFIX.get(self.kind, ""), colons=True)
        kind = _OLD_KIND.get(self.kind, self.kind)
        return f"# HELP {name} {escaped_help(self.documentation)}\n# TYPE {name} {kind}\n"

    def _lines(self) -> str:
        name = plain_name(self.name, colons=True)
        unit = f"# UNIT {name} {self.unit}\n" if self.unit else ""
        return f"# HELP {name} {escaped(self.documentation)}\n# TYPE {name} {self.kind}\n{unit}"

    def _known(self, registry: str) -> str:
        known = {"registry": registry, **asdict(self), "buckets": [number_text(bound) for bound in self.buckets]}
        return json.dumps(known, ensure_ascii=False, separators=(",", ":"))

    def differences(self, other: "Declaration") -> str:
        """What the other one declares that this does not, in words; empty: they can share their series."""
        names = ("kind", "unit", "labelnames", "mode", "buckets", "states")
        pairs = [(name, getattr(self, name), getattr(other, name)) for name in names]
        return " and ".join(f"{_WORDS[name]} {_shown(a)}, not {_shown(b)}" for name, a, b in pairs if a != b)


_WORDS: Final = {"kind": "type", "labelnames": "labels", "mode": "multiprocess_mode"} | {
    name: name for name in ("unit", "buckets", "states")
}


def _shown(value: str | Sequence[Any]) -> str:
    return repr(value) if isinstance(value, str) else repr(list(value))


def _text(text: str) -> bytes:
    data = text.encode(errors="replace")
    return _LENGTH.pack(len(data)) + data


def unpacked(stored: bytes, key_bytes: int) -> tuple[Declaration, str]:
    """The declaration, and its registry, of a stored text; raises ValueError when it is none."""
    try:
        version, _, _, _, items, _ = _PREFIX.unpack_from(stored, key_bytes)
        if version != _VERSION:
            raise ValueError(f"it has version {version}; this package reads {_VERSION}")
        at = key_bytes + _PREFIX.size
        data = b""
        for _ in range(items + 4):
            (length,) = _LENGTH.unpack_from(stored, at)
            data = stored[at + _LENGTH.size : at + _LENGTH.size + length]
            at += _LENGTH.size + length
        known = json.loads(data)
        registry = known.pop("registry")
        buckets = tuple(map(float, known.pop("buckets")))
        labelnames, states = tuple(known.pop("labelnames")), tuple(known.pop("states"))
        return Declaration(**known, labelnames=labelnames, states=states, buckets=buckets), str(registry)
    except (struct.error, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"the declaration of a metric cannot be read: {error}") from error
