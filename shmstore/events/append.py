"""The type of `EventStore.append`, which is a function of the core."""

from typing import Any, Protocol


class Append(Protocol):
    """The type of `EventStore.append`."""

    def __call__(self, record: Any = ..., /, *, partition: int | None = ..., **fields: Any) -> int:
        """Append one record and return its position."""
