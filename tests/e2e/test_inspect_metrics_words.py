"""`shmstore-inspect` on metrics: its arguments in any order, what it says of damaged ones, and no empty tables."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import shmstore
from shmstore import _core
from shmstore.segments import segment
from shmstore.segments.mapping import Segment
from tests.helpers.segments import NODE_BYTES, set_word

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(shmstore.__file__).parents[1]), "PYTHONIOENCODING": "utf-8"}
COUNTING = """
import sys
from shmstore import metrics
metrics.configure(sys.argv[1], series=100, exemplars=10, processes=8)
for name in ("lat", "hits"):
    counter = metrics.Counter(name, "What was counted.", ["path"])
    for number in range(20):
        counter.labels(str(number)).inc()
"""


def inspect(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "shmstore.cli.inspect", *arguments]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=30, env=ENVIRONMENT)
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture
def counted(name: str) -> Iterator[str]:
    """The name of metrics in which somebody has counted."""
    subprocess.run([sys.executable, "-c", COUNTING, name], check=True, env=ENVIRONMENT)
    yield name
    shmstore.unlink(name)


@pytest.mark.parametrize(
    "words",
    [
        "NAME --watch 1ms --count 1 hits",
        "NAME --prometheus hits",
        "--prometheus NAME hits",
        "--watch NAME hits --count 1",
        "NAME --watch hits --count 1",
        "NAME hits --count 1 --watch",
        "NAME --json hits",
        "--top 3 NAME hits",
    ],
)
def test_the_metric_may_stand_anywhere(counted: str, words: str) -> None:
    done = inspect("metrics", *words.replace("NAME", counted).split())
    assert (done.returncode, done.stderr) == (0, "")
    assert "hits" in done.stdout and "lat" not in done.stdout.replace(counted, "")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-16", "utf-8"])
def test_an_exposition_is_utf_8_whatever_the_encoding_of_the_output(counted: str, encoding: str) -> None:
    count = f"""
from shmstore import metrics
metrics.configure({counted!r})
metrics.Counter("hits", "What was counted.", ["path"]).labels("/käse/チーズ").inc()
"""
    subprocess.run([sys.executable, "-c", count], check=True, env=ENVIRONMENT)
    command = [sys.executable, "-m", "shmstore.cli.inspect", "metrics", counted, "hits", "--prometheus"]
    done = subprocess.run(command, capture_output=True, timeout=30, env={**ENVIRONMENT, "PYTHONIOENCODING": encoding})
    assert done.returncode == 0 and 'hits_total{path="/käse/チーズ"} 1.0\n'.encode() in done.stdout
    assert done.stdout.startswith(b"# HELP hits_total") and done.stdout.endswith(b"\n")


def test_the_usage_names_what_may_be_given(counted: str) -> None:
    usage = inspect("metrics", "--help").stdout
    assert "NAME [METRIC] [--top N]\n" in usage
    assert inspect("metrics").returncode == 2
    done = inspect("metrics", counted, "lat", "hits")
    assert done.returncode == 2 and "unrecognized arguments: hits" in done.stderr
    done = inspect("metrics", counted, "--watch", "5x")
    assert done.returncode == 2 and "'5x' is not a duration" in done.stderr


def test_the_fastest_none_are_refused(counted: str) -> None:
    done = inspect("metrics", counted, "--top", "0")
    assert (done.returncode, done.stdout) == (2, "") and "'0' is not a whole number of 1 or more" in done.stderr


def test_show_has_no_tables_for_records(counted: str) -> None:
    titles = [line.split()[:1] for line in inspect("show", counted).stdout.splitlines()]
    assert ["region"] in titles and ["field"] not in titles and ["partition"] not in titles


# -- damage


WAYS = [[], ["--prometheus"], ["--watch=1ms", "--count=1"], ["--top=99"], ["--json"], ["hits"]]


def nodes_of(mapped: Segment) -> tuple[int, int]:
    header = _core.read_header(mapped.buffer)
    plan = _core.plan(header.fields, header.options)
    return next((first, size) for region, first, size in plan.regions if region == "nodes")


def zeroed(mapped: Segment) -> None:
    first, size = nodes_of(mapped)
    mapped.buffer[first : first + size] = bytes(size)


def overwritten(mapped: Segment) -> None:
    first, _ = nodes_of(mapped)
    mapped.buffer[first : first + 4 * NODE_BYTES] = b"\xff" * 4 * NODE_BYTES


def in_its_text(mapped: Segment) -> None:
    first, _ = nodes_of(mapped)
    text = bytes(mapped.buffer[first:]).index(b'path="7"')
    mapped.buffer[first + text + 6 : first + text + 7] = b"x"


def in_part(mapped: Segment) -> None:
    set_word(mapped, "nodes", 8 * NODE_BYTES, 0)


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("damage", [zeroed, overwritten, in_part, in_its_text])
def test_damage_is_told(counted: str, damage: Callable[[Segment], None], how: list[str]) -> None:
    with segment.attach(counted) as mapped:
        damage(mapped)
    done = inspect("metrics", counted, *how)
    (checked,) = map(json.loads, inspect("check", counted, "--json").stdout.splitlines())
    assert done.returncode == 5
    assert f"metrics {counted!r} are damaged: {checked['findings'][0]}; " in done.stderr
    assert "there are no series yet" not in done.stdout + done.stderr
    assert ("hits" in done.stdout) == (damage is not zeroed)


def test_damage_that_comes_while_they_are_watched_is_told(counted: str) -> None:
    watching = subprocess.Popen(
        [sys.executable, "-m", "shmstore.cli.inspect", "metrics", counted, "--watch=100ms"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=ENVIRONMENT,
    )
    with watching:
        assert watching.stdout is not None and watching.stderr is not None
        first = watching.stdout.readline()
        with segment.attach(counted) as mapped:
            zeroed(mapped)
        said = watching.stderr.readline()
        assert "damaged" not in first and "are damaged" in said
        assert any("damaged: this is what can be read" in line for line in iter(watching.stdout.readline, ""))
        watching.kill()


def test_check_says_how_many_more_there_are(counted: str) -> None:
    with segment.attach(counted) as mapped:
        zeroed(mapped)
    (checked,) = map(json.loads, inspect("check", counted, "--json").stdout.splitlines())
    assert len(checked["findings"]) == 21
    assert checked["findings"][-1].startswith("... and ") and checked["findings"][-1].endswith(" more violations")
