"""`shmstore-inspect query` and `plot` as people run them: answers, pictures, and what they say when there is none."""

import csv
import io
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest

import shmstore
from shmstore import Key, Record, Text, Timestamp
from shmstore.events.store import EventStore

LIMIT_S = 30.0
SHM = Path("/dev/shm")
INSPECT = [sys.executable, "-m", "shmstore.cli.inspect"]
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(Path(shmstore.__file__).parents[1]),
    "PYTHONIOENCODING": "utf-8",
    "COLUMNS": "80",
    "TZ": "UTC",
}
RECORDS = 300
VERBS = ("query", "plot")
SVG = "{http://www.w3.org/2000/svg}"


class Order(Record):
    gateway: Key
    id: Annotated[str, Text[16]]
    value: float
    amount: int
    timestamp: Timestamp


class Untimed(Record):
    gateway: Key
    value: float


@pytest.fixture
def store(name: str) -> Iterator[EventStore[Any]]:
    """One order a second from the Unix epoch on: value 0, 1, 2, ..., the gateways gw-0, gw-1, gw-2 in turn."""
    with shmstore.create(name, Order, capacity=1000, partitions=2) as store:
        for number in range(RECORDS):
            store.append(
                gateway=f"gw-{number % 3}",
                id=f"o-{number}",
                value=float(number),
                amount=number // 100,
                timestamp=number * 10**9,
            )
        yield store


@pytest.fixture
def spring(name: str) -> Iterator[EventStore[Any]]:
    """An order each hour of five days, in the middle of which Berlin's clocks are put forward, and one two days on."""
    first = int(datetime(2025, 3, 28, tzinfo=ZoneInfo("Europe/Berlin")).timestamp())
    hours = [*range(5 * 24 - 1), 7 * 24 - 1]
    with shmstore.create(f"{name}-spring", Order, capacity=1000, partitions=2) as store:
        for hour in hours:
            store.append(
                gateway=f"gw-{hour % 2}", id="", value=float(hour), amount=1, timestamp=(first + 3600 * hour) * 10**9
            )
        yield store


@pytest.fixture
def untimed(name: str) -> Iterator[EventStore[Any]]:
    with shmstore.create(f"{name}-untimed", Untimed, capacity=100, partitions=1) as store:
        for number in range(30):
            store.append(gateway=f"gw-{number % 3}", value=float(number))
        yield store


@pytest.fixture
def empty(name: str) -> Iterator[EventStore[Any]]:
    with shmstore.create(f"{name}-empty", Order, capacity=100, partitions=1) as store:
        yield store


def inspect(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        [*INSPECT, *arguments],
        capture_output=True,
        encoding="utf-8",
        timeout=LIMIT_S,
        env=ENVIRONMENT | environment,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def output(*arguments: str) -> str:
    done = inspect(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def objects(*arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output(*arguments, "--json").splitlines()]


def iso(second: int) -> str:
    return f"1970-01-01T00:{second // 60:02}:{second % 60:02}.000000000Z"


# -- records


def test_records_are_listed_as_tail_does(store: EventStore[Any]) -> None:
    done = inspect("query", store.name)
    assert done.stdout == inspect("tail", store.name, "-n", "20").stdout
    assert done.stderr == "more records match than these 20; --limit all lists every one\n"


@pytest.mark.parametrize(
    ("arguments", "ids"),
    [
        (["--limit", "3"], [297, 298, 299]),
        (["--limit", "3", "--newest"], [299, 298, 297]),
        (["--limit", "0"], []),
        (["--limit", "all"], list(range(300))),
        (["--limit", "all", "--newest"], list(range(299, -1, -1))),
        (["--where", "value > 290 and gateway == 'gw-1'"], [292, 295, 298]),
        (["--where", "id == 'o-7'"], [7]),
        (["--since", "1970-01-01T00:00:10Z", "--until", "1970-01-01T00:00:13"], [10, 11, 12]),
        (["--since", "1970-01-01T00:04:57.000000001Z"], [298, 299]),
        (["--since", "10m"], []),
        (["--until", "1s", "--limit", "1"], [299]),
        (["--partition", "0", "--limit", "2", "--where", "gateway == 'gw-0'"], [294, 297]),
    ],
)
def test_records_are_chosen(store: EventStore[Any], arguments: list[str], ids: list[int]) -> None:
    if "--partition" in arguments:
        arguments[1] = str(next(p for p in range(2) if any(r.gateway == "gw-0" for r in store.snapshot(partition=p))))
    assert [row["id"] for row in objects("query", store.name, *arguments)] == [f"o-{number}" for number in ids]


def test_chosen_fields_in_every_form(store: EventStore[Any]) -> None:
    asked = ["query", store.name, "value", "id", "timestamp", "--limit", "2"]
    assert output(*asked).splitlines() == [
        "value  id     timestamp",
        f"298.0  o-298  {iso(298)}",
        f"299.0  o-299  {iso(299)}",
    ]
    assert output(*asked, "--plain") == f"298.0\to-298\t{iso(298)}\n299.0\to-299\t{iso(299)}\n"
    assert output(*asked, "--csv") == f"value,id,timestamp\n298.0,o-298,{iso(298)}\n299.0,o-299,{iso(299)}\n"
    assert objects(*asked)[0] == {"value": 298.0, "id": "o-298", "timestamp": iso(298)}


def test_csv_survives_any_text(store: EventStore[Any]) -> None:
    store.append(gateway='a "b"', id="c,\nd\x1b", value=1.0, amount=1, timestamp=10**15)
    rows = list(csv.DictReader(io.StringIO(output("query", store.name, "--limit", "1", "--csv"))))
    assert [(row["gateway"], row["id"]) for row in rows] == [('a "b"', "c,\nd\x1b")]
    assert "\\n" in output("query", store.name, "--limit", "1") and "\x1b" not in output("query", store.name)


def test_records_without_a_time_keep_their_order(untimed: EventStore[Any]) -> None:
    assert [row["value"] for row in objects("query", untimed.name, "--limit", "3")] == [27, 28, 29]
    assert [row["value"] for row in objects("query", untimed.name, "--limit", "3", "--newest")] == [29, 28, 27]
    assert len(objects("query", untimed.name, "--limit", "all")) == 30


# -- summaries


def test_a_summary(store: EventStore[Any]) -> None:
    assert objects("query", store.name, "--value", "value", "--where", "gateway == 'gw-0'") == [
        {"count": 100, "sum": 14850.0, "mean": 148.5, "min": 0.0, "max": 297.0}
    ]
    assert output("query", store.name, "--value", "amount").splitlines() == [
        "count  300",
        "sum    300",
        "mean   1",
        "min    0",
        "max    2",
    ]
    assert output("query", store.name, "--value", "amount", "--csv") == "count,sum,mean,min,max\n300,300,1.0,0,2\n"


def test_a_summary_of_nothing(empty: EventStore[Any]) -> None:
    assert objects("query", empty.name, "--value", "value") == [
        {"count": 0, "sum": 0, "mean": None, "min": None, "max": None}
    ]
    for more in ([], ["--by", "gateway"], ["--every", "1s"], ["--value", "value", "--by", "gateway", "--top", "3"]):
        assert objects("query", empty.name, *more) == []
        done = inspect("query", empty.name, *more)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "no record matches\n")


def test_none_of_what_matches_is_not_called_nothing(store: EventStore[Any]) -> None:
    groups, windows = ["--by", "gateway"], ["--every", "1s"]
    for more in ([*groups, "--top", "0"], [*groups, "--bottom", "0"], [*windows, "--limit", "0"], ["--limit", "0"]):
        assert "no record matches" not in inspect("query", store.name, *more).stderr


# -- groups


def test_groups_are_counted(store: EventStore[Any]) -> None:
    rows = objects("query", store.name, "--by", "gateway", "--where", "value < 10")
    assert sorted((row["gateway"], row["count"]) for row in rows) == [("gw-0", 4), ("gw-1", 3), ("gw-2", 3)]
    assert all(list(row) == ["gateway", "count"] for row in rows)


@pytest.mark.parametrize(
    ("arguments", "groups"),
    [
        (["--top", "2"], ["gw-2", "gw-1"]),
        (["--bottom", "2"], ["gw-0", "gw-1"]),
        (["--top", "1", "--rank", "max"], ["gw-2"]),
        (["--top", "9", "--rank", "min"], ["gw-2", "gw-1", "gw-0"]),
        (["--top", "0"], []),
    ],
)
def test_groups_are_ranked(store: EventStore[Any], arguments: list[str], groups: list[str]) -> None:
    rows = objects("query", store.name, "--by", "gateway", "--value", "value", *arguments)
    assert [row["gateway"] for row in rows] == groups


def test_groups_in_every_form(store: EventStore[Any]) -> None:
    asked = ["query", store.name, "--by", "amount", "--value", "value", "--top", "1"]
    assert [line.split() for line in output(*asked).splitlines()] == [
        ["amount", "count", "sum", "mean", "min", "max"],
        ["2", "100", "24,950", "249.5", "200", "299"],
    ]
    assert output(*asked, "--plain").split("\t") == ["2", "100", "24950.0", "249.5", "200.0", "299.0\n"]
    assert output(*asked, "--csv").splitlines()[1] == "2,100,24950.0,249.5,200.0,299.0"


def test_a_group_field_may_have_the_name_of_a_figure(name: str) -> None:
    class Odd(Record):
        sum: Key
        max: float

    with shmstore.create(f"{name}-odd", Odd, capacity=10, partitions=1) as store:
        for number in range(4):
            store.append(sum=f"s-{number % 2}", max=float(number))
        (row,) = objects("query", store.name, "--by", "sum", "--value", "max", "--top", "1")
        assert list(row.values()) == ["s-1", 2, 4.0, 2.0, 1.0, 3.0]
        bars = objects("plot", store.name, "--by", "sum", "--value", "max", "--what", "sum", "--bars")
        assert len(bars) == 2


# -- windows


@pytest.mark.parametrize(
    ("arguments", "row"),
    [([], "30001 1,200"), (["--every", "day"], "30001 1970-01-01T00:00:00.000000000Z 1,200")],
)
def test_numbers_that_name_groups_are_written_as_records_have_them(name: str, arguments: list[str], row: str) -> None:
    with shmstore.create(name, Order, capacity=2000, partitions=1) as store:
        store.append_many([Order("", "", 0.0, 30_001, 0)] * 1200)
        done = inspect("query", name, "--by", "amount", *arguments)
    assert " ".join(done.stdout.splitlines()[1].split()) == row


def test_windows(store: EventStore[Any]) -> None:
    rows = objects("query", store.name, "--value", "value", "--every", "2m")
    assert [(row["start"], row["count"], row["min"], row["max"]) for row in rows] == [
        (iso(0), 120, 0.0, 119.0),
        (iso(120), 120, 120.0, 239.0),
        (iso(240), 60, 240.0, 299.0),
    ]
    assert [row["start"] for row in objects("query", store.name, "--every", "2m", "--limit", "2")] == [
        iso(120),
        iso(240),
    ]
    newest = objects("query", store.name, "--every", "2m", "--limit", "2", "--newest")
    assert newest == [{"start": iso(240), "count": 60}, {"start": iso(120), "count": 120}]


def test_sliding_windows(store: EventStore[Any]) -> None:
    rows = objects("query", store.name, "--every", "1m", "--period", "2m", "--since", "1970-01-01T00:02:00Z")
    counts = {row["start"]: row["count"] for row in rows}
    assert (counts[iso(120)], counts[iso(180)], counts[iso(240)]) == (120, 120, 60)


def test_windows_of_groups(store: EventStore[Any]) -> None:
    rows = objects("query", store.name, "--by", "gateway", "--value", "value", "--every", "5m", "--top", "1")
    assert rows == [
        {"gateway": "gw-2", "start": iso(0), "count": 100, "sum": 15050.0, "mean": 150.5, "min": 2.0, "max": 299.0}
    ]


DAYS = [
    *(f"2025-03-{day}T00:00:00+01:00" for day in (28, 29, 30)),
    *(f"2025-{day}T00:00:00+02:00" for day in ("03-31", "04-01", "04-02", "04-03", "04-04")),
]
BERLIN = ("--zone", "Europe/Berlin")


def test_days_of_a_zone_are_told_as_times_of_that_zone(spring: EventStore[Any]) -> None:
    asked = ["query", spring.name, "--every", "day", *BERLIN]
    days = [*zip(DAYS[:5], (24, 24, 23, 24, 24), strict=True), (DAYS[7], 1)]
    assert [(row["start"], row["count"]) for row in objects(*asked)] == days
    assert output(*asked, "--csv").splitlines() == ["start,count", *(f"{day},{count}" for day, count in days)]
    assert output(*asked, "--plain").splitlines() == [f"{day}\t{count}" for day, count in days]
    assert [tuple(line.split()) for line in output(*asked).splitlines()] == [
        ("start", "count"),
        *((day, str(count)) for day, count in days),
    ]
    assert [row["start"] for row in objects("query", spring.name, "--every", "month", *BERLIN)] == [
        "2025-03-01T00:00:00+01:00",
        "2025-04-01T00:00:00+02:00",
    ]
    assert objects("query", spring.name, "--every", "week")[0] == {
        "start": "2025-03-24T00:00:00.000000000Z",
        "count": 73,
    }


# -- plots on a terminal


def test_a_plot_of_records_over_time(store: EventStore[Any]) -> None:
    title, note, blank, *picture = output("plot", store.name, "--every", "10s").splitlines()
    assert (title, note) == (
        f"{store.name}: records",
        "each 10s, 1970-01-01 00:00:00 – 1970-01-01 00:05:00",
    )
    assert blank == "" and len(picture) == 9 and picture[0] == "10 " + "█" * 30
    assert picture[-1] == "   |00:00      |00:02      |00:04"


def test_a_plot_of_a_calendar_has_a_point_for_each_unit(spring: EventStore[Any]) -> None:
    asked = ["plot", spring.name, "--every", "day", *BERLIN]
    rows = [(row["start"], row["count"]) for row in objects(*asked)]
    assert rows == list(zip(DAYS, (24, 24, 23, 24, 24, 0, 0, 1), strict=True))
    title, note, blank, *picture = output(*asked).splitlines()
    assert (title, note, blank) == (
        f"{spring.name}: records",
        "each day of Europe/Berlin, 2025-03-28 – 2025-04-04",
        "",
    )
    assert picture[-2:] == [" 0 █████▁▁▃", "   |2025-03-28"] and picture[0].startswith("30")
    assert "each quarter of UTC, 2025-Q1 – 2025-Q2" in output("plot", spring.name, "--every", "quarter")
    by = objects(*asked[:3], "week", *BERLIN, "--by", "gateway", "--value", "value", "--what", "max")
    assert [(row["gateway"], row["start"], row["max"]) for row in by] == [
        ("gw-0", "2025-03-24T00:00:00+01:00", 70.0),
        ("gw-0", "2025-03-31T00:00:00+02:00", 118.0),
        ("gw-1", "2025-03-24T00:00:00+01:00", 69.0),
        ("gw-1", "2025-03-31T00:00:00+02:00", 167.0),
    ]


def test_a_plot_of_too_many_days_names_the_unit_that_fits(spring: EventStore[Any]) -> None:
    spring.append(gateway="gw-0", id="", value=0.0, amount=1, timestamp=0)
    done = inspect("plot", spring.name, "--every", "day")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("--every day makes 20,182 points, 10,000 at most; give week or more, or leave it out\n")


def test_a_plot_fits_the_terminal(store: EventStore[Any]) -> None:
    for width in (40, 80, 200):
        lines = output("plot", store.name, "--value", "value", "--width", str(width)).splitlines()
        assert width // 3 < max(map(len, lines[3:])) <= width
        assert not any("no room" in line for line in lines)
    assert inspect("plot", store.name, COLUMNS="60").stdout == output("plot", store.name, "--width", "60")


def test_a_plot_of_groups_has_a_sparkline_each(store: EventStore[Any]) -> None:
    lines = output("plot", store.name, "--value", "value", "--by", "gateway", "--every", "30s").splitlines()
    assert lines[0] == f"{store.name}: mean of value by gateway"
    rows = [line.split() for line in lines[4:7]]
    assert sorted(row[0] for row in rows) == ["gw-0", "gw-1", "gw-2"]
    assert all(len(row[1]) == 10 and row[1][-1] == "█" for row in rows)
    figures = {row[0]: row[2:] for row in rows}
    assert figures["gw-0"] == ["13.5", "283.5", "283.5"], "min, max and last of the means"


def test_a_plot_has_gaps_or_zeros_where_there_is_no_record(store: EventStore[Any]) -> None:
    asked = ["plot", store.name, "--every", "1m", "--value", "value", "--where", "value < 60 or value >= 180"]
    means = objects(*asked)
    assert [row["mean"] for row in means] == [29.5, None, None, 209.5, 269.5]
    assert [row["start"] for row in means] == [iso(60 * minute) for minute in range(5)]
    assert [row["sum"] for row in objects(*asked, "--what", "sum")] == [1770.0, 0, 0, 12570.0, 16170.0]
    assert [row["max"] for row in objects(*asked, "--what", "max")] == [59.0, None, None, 239.0, 299.0]
    assert output(*asked, "--plain").splitlines()[:2] == [f"{iso(0)}\t29.5", f"{iso(60)}\t"]


def test_a_plot_tells_of_groups_that_it_leaves_out(store: EventStore[Any]) -> None:
    for more in (["--bars"], []):
        done = inspect("plot", store.name, "--by", "gateway", "--limit", "2", *more)
        assert done.stderr == "2 of 3 groups are drawn, those with most; --limit is for more\n"


def test_bars(store: EventStore[Any]) -> None:
    asked = ["plot", store.name, "--by", "gateway", "--value", "value", "--what", "sum", "--bars"]
    lines = output(*asked, "--where", "value < 30").splitlines()
    assert lines[:3] == [f"{store.name}: sum of value by gateway", "where value < 30", ""]
    assert [line.split()[0::2] for line in lines[3:]] == [["gw-2", "155"], ["gw-1", "145"], ["gw-0", "135"]]
    assert all(len(line) == 80 for line in lines[3:]) and lines[3].count("█") > lines[4].count("█")
    assert objects(*asked, "--limit", "1") == [{"gateway": "gw-2", "sum": 15050.0}]


def test_a_plot_is_ascii_where_the_encoding_is(store: EventStore[Any]) -> None:
    assert inspect("plot", store.name, "--value", "value", PYTHONIOENCODING="ascii").stdout.isascii()


# -- plots in files


def test_plots_are_written_as_files(store: EventStore[Any], tmp_path: Path) -> None:
    picture, drawing = tmp_path / "orders.png", tmp_path / "orders.svg"
    asked = ["plot", store.name, "--value", "value", "--by", "gateway"]
    done = inspect(*asked, "--png", str(picture), "--width", "500", "--height", "300")
    title = f"{store.name}: mean of value by gateway"
    assert (done.returncode, done.stdout) == (0, "") and done.stderr == f"wrote {picture}: {title}, 500 x 300\n"
    data = picture.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n" and data[16:24] == (500).to_bytes(4, "big") + (300).to_bytes(4, "big")
    assert inspect(*asked, "--svg", str(drawing)).returncode == 0
    root = ElementTree.parse(drawing).getroot()
    shown = {element.text for element in root.iter(f"{SVG}text")}
    assert {title, "gw-0", "gw-1", "gw-2", "0", "300", "00:00"} <= shown
    assert {"series-0", "series-1", "series-2"} <= {element.get("class") for element in root.iter(f"{SVG}polyline")}
    assert sorted(os.listdir(tmp_path)) == ["orders.png", "orders.svg"]


def test_a_file_has_ticks_where_the_units_of_a_calendar_begin(spring: EventStore[Any]) -> None:
    root = ElementTree.fromstring(output("plot", spring.name, "--every", "day", *BERLIN, "--svg", "/dev/stdout"))
    told = [element.text for element in root.iter(f"{SVG}text")]
    assert [text for text in told if text and text.startswith("2025-")] == [
        "2025-03-28",
        "2025-03-30",
        "2025-04-01",
        "2025-04-03",
    ]


def test_bars_are_written_as_files(store: EventStore[Any], tmp_path: Path) -> None:
    drawing = tmp_path / "bars.svg"
    assert inspect("plot", store.name, "--by", "gateway", "--bars", "--svg", str(drawing)).returncode == 0
    rectangles = ElementTree.parse(drawing).getroot().iter(f"{SVG}rect")
    assert [element.get("class") for element in rectangles] == ["paper", "series-0", "series-0", "series-0"]


def test_a_file_may_be_standard_output(store: EventStore[Any]) -> None:
    text = output("plot", store.name, "--svg", "/dev/stdout")
    assert ElementTree.fromstring(text).tag == f"{SVG}svg"


def test_a_file_that_cannot_be_written_is_told(store: EventStore[Any], tmp_path: Path) -> None:
    missing = tmp_path / "missing" / "orders.png"
    done = inspect("plot", store.name, "--png", str(missing))
    assert done.returncode == 1 and re.fullmatch(rf"shmstore-inspect: .*No such file.*{missing}'\n", done.stderr)


# -- what cannot be answered


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--where", "value >"], "value >"),
        (["--where", "nothing > 1"], "nothing"),
        (["--where", "gateway > 1"], "gateway"),
        (["--since", "10x"], "10x"),
        (["--until", "2025-13-01"], "2025-13-01"),
        (["--since", ""], "--since"),
        (["--since", "1m", "--until", "2m"], "--until 2m"),
        (["--partition", "7"], "7"),
        (["--value", "nothing"], "nothing"),
        (["--value", "id"], "id"),
        (["--by", "nothing"], "nothing"),
        (["--by", "value"], "value"),
    ],
)
@pytest.mark.parametrize("verb", VERBS)
def test_a_question_that_cannot_be_asked(store: EventStore[Any], verb: str, arguments: list[str], word: str) -> None:
    done = inspect(verb, store.name, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("shmstore-inspect: ") and word in done.stderr
    assert done.stderr.count("\n") == (3 if word in ("value >", "nothing") and "--where" in arguments else 1)


@pytest.mark.parametrize(
    "line",
    [
        "query NAME nothing",
        "query NAME value --value value",
        "query NAME value --by gateway",
        "query NAME --period 2s",
        "query NAME --top 3",
        "query NAME --rank sum",
        "query NAME --by gateway --top 3 --rank sum",
        "query NAME --by gateway --newest",
        "query NAME --by gateway --limit 3",
        "query NAME --every 1m --top 3 --limit 3",
        "query NAME --csv --json",
        "plot NAME --what max",
        "plot NAME --bars",
        "plot NAME --bars --by gateway --every 1s",
        "plot NAME --limit 0",
        "plot NAME --height 300",
        "plot NAME --png FILE --width 10",
        "plot NAME --png FILE --height 5000",
        "plot NAME --svg FILE --by gateway --limit 9",
        "plot NAME --every 1ms",
        "plot NAME --every 1d --zone UTC",
        "plot NAME --zone UTC",
        "plot NAME --every day --zone Europe/Atlantis",
        "query NAME --every day --zone Europe/Atlantis",
    ],
)
def test_arguments_that_contradict_each_other(store: EventStore[Any], tmp_path: Path, line: str) -> None:
    words = {"NAME": store.name, "FILE": str(tmp_path / "file")}
    done = inspect(*(words.get(word, word) for word in line.split()))
    assert (done.returncode, done.stdout, os.listdir(tmp_path)) == (2, "", [])
    assert done.stderr.startswith("shmstore-inspect: ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "line",
    [
        "query NAME --every soon",
        "query NAME --every 1h --period day",
        "plot NAME --every fortnight",
        "query NAME --limit -1",
        "query NAME --top 1 --bottom 1",
        "plot NAME --what median",
    ],
)
def test_arguments_that_are_not_read(store: EventStore[Any], line: str) -> None:
    done = inspect(*line.replace("NAME", store.name).split())
    assert (done.returncode, done.stdout) == (2, "") and "usage: " in done.stderr


def test_nothing_to_draw_is_told_and_no_file_is_made(empty: EventStore[Any], tmp_path: Path) -> None:
    for more in (["--by", "gateway"], ["--by", "gateway", "--bars"], ["--png", str(tmp_path / "file")], ["--json"]):
        done = inspect("plot", empty.name, *more)
        assert (done.returncode, done.stdout) == (0, "")
        assert done.stderr == "no record matches: there is nothing to draw\n"
    assert os.listdir(tmp_path) == []


def test_a_store_without_timestamp_has_no_windows(untimed: EventStore[Any]) -> None:
    for arguments in (["query", "--every", "1s"], ["query", "--since", "1m"], ["plot"], ["plot", "--by", "gateway"]):
        done = inspect(arguments[0], untimed.name, *arguments[1:])
        assert (done.returncode, done.stdout) == (2, "") and "Timestamp" in done.stderr
        assert done.stderr.count("\n") == 1
    assert len(objects("query", untimed.name, "--value", "value", "--by", "gateway", "--top", "2")) == 2
    assert len(objects("plot", untimed.name, "--value", "value", "--by", "gateway", "--bars")) == 3


@pytest.mark.parametrize("verb", VERBS)
def test_a_store_that_is_not_there_or_not_one(name: str, verb: str) -> None:
    done = inspect(verb, name)
    assert (done.returncode, done.stdout) == (3, "") and name in done.stderr
    (SHM / name).write_bytes(b"something else" * 1000)
    done = inspect(verb, name)
    assert (done.returncode, done.stdout) == (4, "") and name in done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_a_damaged_store_is_told(store: EventStore[Any], verb: str) -> None:
    with open(SHM / store.name, "r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 8)
    done = inspect(verb, store.name)
    assert (done.returncode, done.stdout) == (5, "") and "checksum" in done.stderr


@pytest.mark.parametrize("more", [["--limit", "all"], ["--every", "1s"], ["--by", "amount"]])
def test_a_damaged_partition_gives_an_error_or_what_is_whole(
    store: EventStore[Any], more: list[str], seed: int
) -> None:
    regions = json.loads(output("show", store.name, "--json"))["regions"]
    offset, size = next((region["offset"], region["size"]) for region in regions if "partition" in region["region"])
    with open(SHM / store.name, "r+b") as file:
        file.seek(offset)
        file.write(random.Random(seed).randbytes(size))
    assert inspect("query", store.name, *more).returncode in (0, 1, 5)


@pytest.mark.parametrize("verb", VERBS)
def test_looking_changes_no_byte(store: EventStore[Any], verb: str) -> None:
    before = (SHM / store.name).read_bytes()
    output(verb, store.name, "--by", "gateway", "--value", "value")
    assert (SHM / store.name).read_bytes() == before


@pytest.mark.parametrize("more", [["query", "--limit", "all"], ["query", "--every", "1s"], ["plot"]])
def test_a_closed_pipe_is_fine(store: EventStore[Any], more: list[str]) -> None:
    verb, *rest = more
    with subprocess.Popen(
        [*INSPECT, verb, store.name, *rest], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.wait(LIMIT_S) == 0
        assert process.stderr.read() == b""


def test_a_store_at_work_is_queried(name: str) -> None:
    writer = "import shmstore, sys\nwith shmstore.attach(sys.argv[1]) as store:\n"
    writer += "    while True: store.append(gateway='gw-9', id='', value=1.0, amount=1)\n"
    with shmstore.create(f"{name}-busy", Order, capacity=100_000, partitions=1) as store:
        with subprocess.Popen([sys.executable, "-c", writer, store.name], env=ENVIRONMENT) as process:
            try:
                assert store.cursor().wait(LIMIT_S)
                for _ in range(5):
                    (row,) = objects("query", store.name, "--by", "gateway", "--value", "value")
                    assert row["gateway"] == "gw-9" and 0 < row["sum"] == row["count"] <= store.capacity
            finally:
                process.kill()
