"""Events before they are appended, and what an append may expect of its stream."""

from enum import Enum
from typing import Any, Final, NamedTuple

from shmstore.public import public


@public
class ExpectedVersion(Enum):
    """What an append may expect of its stream, where it does not expect a certain version."""

    ANY = "any"
    NO_STREAM = "no_stream"
    EXISTS = "exists"

    def __str__(self) -> str:
        return self.name


ANY: Final = ExpectedVersion.ANY
NO_STREAM: Final = ExpectedVersion.NO_STREAM
EXISTS: Final = ExpectedVersion.EXISTS


@public
class NewEvent(NamedTuple):
    """One event of a batch: what `Stream.append` takes."""

    data: Any
    type: str | None = None
    event_id: Any = None
    metadata: Any = None
