"""`top` of a store of streams: rates of all and by stream, room, processes."""

from typing import Any

from shmstore.arguments import units
from shmstore.cli.meter import COLUMNS_OF
from shmstore.cli.render import Column, Output, Tone
from shmstore.cli.streams import state

_LEAST_STREAMS = 4  # are shown, however many processes there are
_COLUMNS = (
    state.STREAM,
    state.VERSION,
    Column("appended_per_second", "rate", units.rate, right=True),
    state.FIRST,
    state.EVENTS,
    state.DISCARDED,
)
PLAIN_COLUMNS = tuple(Column(key, key) for key in ("time", "streams", "events", "appended", "appended_per_second"))


def frame(out: Output, seen: dict[str, Any]) -> list[str]:
    """What people see of a look."""
    coordinator = out.paint("coordinated", Tone.GOOD) if seen["coordinator"] else "no coordinator"
    processes = out.table(COLUMNS_OF["streams"], seen["processes"])
    above = [f"{seen['name']}  {units.when(seen['time'])}  {coordinator}", "", *_totals(out, seen), ""]
    below = ["", *(processes if seen["processes"] else ["no process is attached for writing"])]
    return [*above, *_by_stream(out, seen["by_stream"], out.room - len(above) - len(below)), *below]


def _totals(out: Output, seen: dict[str, Any]) -> list[str]:
    fill = seen["events"] / seen["capacity"]
    columns = (Column("what", ""), Column("total", "", right=True), Column("rate", "", right=True), Column("drawn", ""))
    rows: list[dict[str, Any]] = [
        {"what": "streams", "total": units.count(seen["streams"]), "rate": "", "drawn": ""},
        {
            "what": "events",
            "total": units.count(seen["events"]),
            "rate": units.percent(fill),
            "drawn": out.bar(fill, 30),
        },
        {
            "what": "appended",
            "total": units.count(seen["appended"]),
            "rate": units.rate(seen["appended_per_second"]),
            "drawn": out.spark(seen["history"]["appended"], 30),
        },
    ]
    return out.table(columns, rows, titles=False)


def _by_stream(out: Output, rows: list[dict[str, Any]], room: int) -> list[str]:
    """On a terminal, the busiest for which there is room, in the order of their first appends."""
    shown = rows
    if out.on_terminal and len(rows) + 1 > room:
        ranked = sorted(rows, key=lambda row: -(row["appended_per_second"] or 0))
        busiest = {
            row["stream"] for row in ranked[: max(_LEAST_STREAMS, room - 2)]
        }  # a line is of titles, one of others
        shown = [row for row in rows if row["stream"] in busiest]
    lines = out.table(_COLUMNS, shown) if shown else ["there are no streams yet"]
    if len(shown) < len(rows):
        lines.append(out.paint(f"… {len(rows) - len(shown)} more streams, less busy", Tone.FAINT))
    return lines
