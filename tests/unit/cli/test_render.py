"""The renderer: what people, programs and narrow terminals get to see."""

import io
import json
import math
from datetime import UTC, datetime

import pytest

from shmstore.arguments import units
from shmstore.cli.render import Column, Mode, Output, Tone, printable

COLUMNS = (Column("name", "name"), Column("count", "count", units.count, right=True, tone=lambda _: Tone.BAD))
ROWS = ({"name": "a", "count": 1234}, {"name": "wide 漢字", "count": None})


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def on_stream(encoding: str, mode: Mode = Mode.PEOPLE) -> tuple[Output, io.BytesIO]:
    raw = io.BytesIO()
    return Output(mode, stream=io.TextIOWrapper(raw, encoding=encoding)), raw


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("LINES", "10")
    monkeypatch.setenv("COLUMNS", "80")
    return Terminal()


def test_columns_are_aligned_by_what_is_seen() -> None:
    out = Output(stream=io.StringIO())
    assert out.table(COLUMNS, ROWS) == ["name       count", "a          1,234", "wide 漢字      -"]


def test_later_rows_stay_aligned_with_earlier_ones() -> None:
    out = Output(stream=io.StringIO())
    widths: dict[str, int] = {}
    out.table(COLUMNS, ROWS, widths=widths)
    assert out.table(COLUMNS, [{"name": "b", "count": 1}], titles=False, widths=widths) == ["b              1"]


def test_facts_leave_out_what_is_missing() -> None:
    out = Output(stream=io.StringIO())
    assert out.facts(COLUMNS, {"count": 5}) == ["count  5"]


def test_plain_is_tab_separated_raw_values_without_titles() -> None:
    out, _ = on_stream("utf-8", Mode.PLAIN)
    assert out.table(COLUMNS, ROWS) == ["a\t1234", "wide 漢字\t"]
    assert out.facts(COLUMNS, ROWS[0]) == ["name\ta", "count\t1234"]


def test_csv_has_titles_and_quotes_and_loses_nothing() -> None:
    out, _ = on_stream("utf-8", Mode.CSV)
    rows = [{"name": 'a "b", c\nd', "count": 1.5}, {"name": "\x1b", "count": None}]
    assert "\n".join(out.table(COLUMNS, rows)) == 'name,count\n"a ""b"", c\nd",1.5\n\x1b,'
    assert out.table(COLUMNS, ROWS[:1], titles=False) == ["a,1234"]


def test_json_is_one_object_a_line_and_loses_nothing() -> None:
    out, raw = on_stream("utf-8", Mode.JSON)
    when = datetime(2025, 1, 2, tzinfo=UTC)
    out.object(
        {"nan": math.nan, "inf": [math.inf, -math.inf], "bytes": b"\x00\xff", "when": when, "none": units.Time(0)}
    )
    out.object({"time": units.Time(1), "text": "ä\n"})
    first, second = raw.getvalue().decode().splitlines()
    assert json.loads(first) == {
        "nan": None,
        "inf": [None, None],
        "bytes": "AP8=",
        "when": "2025-01-02T00:00:00+00:00",
        "none": None,
    }
    assert json.loads(second) == {"time": "1970-01-01T00:00:00.000000001Z", "text": "ä\n"}


@pytest.mark.parametrize(
    ("mode", "rows", "printed", "said"),
    [
        (Mode.JSON, ROWS[:1], '{"name": "a", "count": 1234}\n', ""),
        (Mode.JSON, (), "", ""),
        (Mode.PLAIN, ROWS[:1], "a\t1234\n", ""),
        (Mode.PEOPLE, ROWS[:1], "name  count\na     1,234\n", ""),
        (Mode.PEOPLE, (), "", "nothing there\n"),
    ],
)
def test_rows_are_written_as_asked_and_their_absence_is_told_to_people(
    mode: Mode, rows: tuple[dict[str, object], ...], printed: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out, raw = on_stream("utf-8", mode)
    out.rows(COLUMNS, rows, "nothing there")
    assert (raw.getvalue().decode(), capsys.readouterr().err) == (printed, said)


def test_bars_are_drawn_to_an_eighth_and_stay_in_bounds() -> None:
    out = Output(stream=io.StringIO())
    assert [out.bar(f, 4) for f in (-1, 0, 0.5, 0.53125, 1, 7)] == ["░░░░", "░░░░", "██░░", "██▏░", "████", "████"]


def test_sparklines_show_the_newest_values_from_zero_to_the_largest() -> None:
    out = Output(stream=io.StringIO())
    assert out.spark([9, 0, 4, 8], 3) == "▁▅█"
    assert out.spark([0, 0], 3) == " ▁▁"
    assert out.spark([], 2) == "  "


def test_columns_of_blocks_are_several_lines_high_and_empty_where_there_is_no_value() -> None:
    out = Output(stream=io.StringIO())
    assert out.columns([0, 4, None, 8, 12, 16, -9, 99], 2, 0, 16) == ["   ▁▅█ █", "▁▅ ███▁█"]
    assert out.columns([], 2, 0, 1) == ["", ""] and out.columns([5, None], 1, 5, 5) == ["▁ "]


def test_a_stream_without_blocks_gets_stand_ins_of_the_same_width() -> None:
    out, raw = on_stream("ascii")
    out.write([out.bar(0.53, 4), out.spark([1, 8]), "ä …"])
    assert raw.getvalue().decode().splitlines() == ["##-.", " " * 28 + ".#", "\\xe4 ~"]


def test_what_a_terminal_would_obey_is_escaped() -> None:
    assert printable("a\x1b[2J\n\u202eb") == "a\\x1b[2J\\n\\u202eb"
    out = Output(stream=io.StringIO())
    assert out.table([Column("name", "name")], [{"name": "\x1b]0;x\x07"}])[1] == "\\x1b]0;x\\x07"


def test_colour_is_for_terminals_only(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Output(stream=terminal).paint("x", Tone.BAD) == "\x1b[31mx\x1b[0m"
    assert Output(stream=io.StringIO()).paint("x", Tone.BAD) == "x"
    assert Output(color=False, stream=terminal).paint("x", Tone.BAD) == "x"
    assert Output(Mode.PLAIN, stream=terminal).paint("x", Tone.BAD) == "x"
    monkeypatch.setenv("NO_COLOR", "1")
    assert Output(stream=terminal).paint("x", Tone.BAD) == "x"


def test_colour_does_not_disturb_alignment(terminal: Terminal) -> None:
    lines = Output(stream=terminal).table(COLUMNS, ROWS)
    assert lines[1] == "a          \x1b[31m1,234\x1b[0m"


def test_a_live_view_redraws_in_place_and_leaves_the_last_frame(terminal: Terminal) -> None:
    out = Output(stream=terminal)
    with out.live() as show:
        show(["one"])
        show([f"line {n}" for n in range(20)])
    text = terminal.getvalue()
    assert text.startswith("\x1b[?1049h") and text.count("\x1b[H") == 2
    inside, after = text.split("\x1b[?1049l")
    assert "… 12 more lines" in inside and "line 8\x1b" not in inside, "a frame never scrolls the terminal"
    assert after.splitlines() == [f"line {n}" for n in range(20)]


def test_a_live_view_gives_the_terminal_back_when_it_fails(terminal: Terminal) -> None:
    with pytest.raises(KeyboardInterrupt), Output(stream=terminal).live():
        raise KeyboardInterrupt
    assert terminal.getvalue().endswith("\x1b[?1049l")


def test_off_a_terminal_a_live_view_is_one_block_after_another() -> None:
    stream = io.StringIO()
    with Output(stream=stream).live() as show:
        show(["one"])
        show(["two"])
    assert stream.getvalue() == "one\n\ntwo\n\n"
