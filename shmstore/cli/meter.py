"""How the processes of a segment are shown: the columns of what a ProcessMeter tells."""

from typing import Final

from shmstore.arguments import units
from shmstore.cli.render import Column, Tone
from shmstore.segments.refusals import Kind


def state_tone(state: str) -> Tone | None:
    """The colour of a process's state."""
    return {"alive": Tone.GOOD, "dead": Tone.BAD}.get(state)


PROCESS_COLUMNS = (
    Column("place", "place", right=True),
    Column("pid", "pid", right=True),
    Column("name", "name"),
    Column("state", "state", tone=state_tone),
    Column("cpu", "cpu", lambda cpu: f"{cpu:.0f} %", right=True),
    Column("memory", "memory", units.size, right=True),
    Column("appended", "appended", units.count, right=True),
    Column("appended_per_second", "rate", units.rate, right=True),
    Column("lapped", "lapped", units.count, right=True),
    Column("last_append", "last append", units.ago, right=True),
    Column("entered", "attached", units.ago, right=True),
)

_OF_APPENDS = ("appended", "appended_per_second", "lapped", "last_append")


def _without(*keys: str) -> tuple[Column, ...]:
    return tuple(column for column in PROCESS_COLUMNS if column.key not in keys)


COLUMNS_OF: Final[dict[Kind, tuple[Column, ...]]] = {
    "events": PROCESS_COLUMNS,
    "metrics": _without(*_OF_APPENDS),
    "streams": _without("lapped"),
}
"""Of processes that are attached to a segment of a kind: to metrics, nobody appends."""
