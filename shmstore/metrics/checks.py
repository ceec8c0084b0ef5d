"""What names, labels, buckets and exemplars must be like; the errors are those that users of such instruments know."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence

from shmstore.metrics.text import plain_name

_TRUE = ("true", "1", "t")
_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_MOST_EXEMPLAR_CHARACTERS = 128


class Settings:
    """What the environment says at first, and functions change."""

    ascii_names = os.environ.get("PROMETHEUS_LEGACY_NAME_VALIDATION", "False").lower() in _TRUE
    created = os.environ.get("PROMETHEUS_DISABLE_CREATED_SERIES", "False").lower() not in _TRUE


def enable_created_metrics() -> None:
    """Show when counters, histograms and summaries began, as ``_created``."""
    Settings.created = True


def disable_created_metrics() -> None:
    """Do not show when counters, histograms and summaries began."""
    Settings.created = False


def full_name(kind: str, name: str, namespace: str, subsystem: str, unit: str) -> str:
    """The name of a metric, put together; of a counter without ``_total``."""
    if not name:
        raise ValueError("Metric name should not be empty")
    full = "_".join([*filter(None, (namespace, subsystem)), name])
    if kind == "counter":
        full = full.removesuffix("_total")
    if unit and not full.endswith(f"_{unit}"):
        full += f"_{unit}"
    if unit and kind in ("info", "stateset"):
        raise ValueError(f"Metric name is of a type that cannot have a unit: {full}")
    check_metric_name(full)
    return full


def check_metric_name(name: str) -> None:
    """Refuse what cannot be the name of a metric."""
    if not name:
        raise ValueError("metric name cannot be empty")
    if (Settings.ascii_names and not _METRIC_NAME.fullmatch(name)) or not _is_text(name):
        raise ValueError(f"invalid metric name {name}")


def check_label_name(name: str) -> None:
    """Refuse what cannot be the name of a label."""
    if (Settings.ascii_names and not _LABEL_NAME.fullmatch(name)) or not _is_text(name):
        raise ValueError(f"Invalid label metric name: {name}")
    if name.startswith("__"):
        raise ValueError(f"Reserved label metric name: {name}")


def label_names(names: Iterable[str], reserved: Sequence[str]) -> tuple[str, ...]:
    """The names of a metric's labels, checked; each stands once."""
    found = tuple(names)
    for name in found:
        check_label_name(name)
        if name in reserved:
            raise ValueError(f"Reserved label metric name: {name}")
    if len(set(map(plain_name, found))) != len(found):  # as they are written
        raise ValueError(f"Duplicate label names: {found}")
    return found


def bounds(buckets: Sequence[float | str]) -> tuple[float, ...]:
    """The upper bounds of a histogram's buckets; the last is infinite."""
    found = [float(bound) for bound in buckets]
    if found != sorted(found):
        raise ValueError("Buckets not in sorted order")
    if found and found[-1] != float("inf"):
        found.append(float("inf"))
    if len(found) < 2:
        raise ValueError("Must have at least two buckets")
    if len(set(found)) != len(found):
        raise ValueError("Buckets stand more than once")
    return tuple(found)


def check_exemplar(labels: Mapping[str, str]) -> None:
    """Refuse labels of an exemplar that are too long, or named as no label may be."""
    characters = 0
    for name, value in labels.items():
        check_label_name(name)
        characters += len(name) + len(value)
    if characters > _MOST_EXEMPLAR_CHARACTERS:
        raise ValueError(
            f"Exemplar labels have {characters} UTF-8 characters, exceeding the limit of {_MOST_EXEMPLAR_CHARACTERS}"
        )


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
