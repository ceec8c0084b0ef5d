"""`top` of streams on a small terminal: the busiest are seen, and so are the processes."""

import io
from collections.abc import Iterator
from typing import Any

import pytest

import shmstore
from shmstore import StreamStore
from shmstore.cli.render import Output
from shmstore.cli.streams.top import frame
from shmstore.survey.streams import StreamsLooker


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def streams(name: str) -> Iterator[StreamStore]:
    with shmstore.create_streams(name, capacity=500, streams=100) as streams:
        yield streams
    shmstore.unlink(name)


@pytest.mark.parametrize("lines", [24, 12])
def test_on_a_small_terminal_the_busiest_are_seen_and_the_processes(
    streams: StreamStore, monkeypatch: pytest.MonkeyPatch, lines: int
) -> None:
    monkeypatch.setenv("LINES", str(lines))
    monkeypatch.setenv("NO_COLOR", "1")
    for number in range(60):
        streams[f"s{number:02}"].append(number)
    looker = StreamsLooker(streams)
    looker.look()
    for number in range(56, 60):
        streams[f"s{number}"].append_many(range(3))
    seen: dict[str, Any] = looker.look()
    shown = frame(Output(stream=Terminal()), seen)
    for number in range(56, 60):
        assert any(line.startswith(f"s{number}") for line in shown), number
    assert any("more streams, less busy" in line for line in shown)
    if lines == 24:
        assert len(shown) == 23 and shown[-1].split()[3] == "alive"


def test_where_all_fit_none_is_left_out(streams: StreamStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINES", "24")
    for number in range(13):
        streams[f"s{number:02}"].append(number)
    shown = frame(Output(stream=Terminal()), StreamsLooker(streams).look())
    assert len([line for line in shown if line.startswith(("s0", "s1"))]) == 13
    assert len(shown) == 23
