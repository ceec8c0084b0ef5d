"""`shmstore-inspect` and `shmstore-coordinator` on a segment of metrics, as people run them."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import shmstore
from shmstore.errors import StoreNotFound
from shmstore.metrics.configure import SIZES
from shmstore.segments import segment
from shmstore.segments.handle import Handle
from tests.helpers.segments import METRICS, fill_metrics, path, set_word

LIMIT_S = 30.0
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(shmstore.__file__).parents[1]), "PYTHONIOENCODING": "utf-8"}
ANY_KIND = ("ls", "show", "metrics", "processes", "check")
OF_RECORDS = ("top", "tail", "query", "plot")
NODES = 2 * METRICS["capacity"] + 512
VICTIM = """
import sys
from shmstore import metrics
metrics.configure(sys.argv[1], series=100, exemplars=10, processes=8)
hits = metrics.Counter("hits", "What was asked for.", ["path"])
for path in ("/", "/index"):
    hits.labels(path).inc()
print("attached", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def metrics(name: str) -> Iterator[Handle]:
    with Handle(segment.create(name, (), METRICS)) as metrics:
        yield metrics
        with suppress(StoreNotFound):
            segment.unlink(name)


def inspect(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "shmstore.cli.inspect", *arguments]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=LIMIT_S, env=ENVIRONMENT)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def objects(*arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in inspect(*arguments, "--json").stdout.splitlines()]


def fill(name: str, **counts: int) -> None:
    with segment.attach(name) as mapped:
        fill_metrics(mapped, **counts)


def victim(name: str) -> "subprocess.Popen[bytes]":
    """A process that has counted two series, and does nothing."""
    process = subprocess.Popen(
        [sys.executable, "-c", VICTIM, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT
    )
    assert process.stdout is not None and process.stdout.readline() == b"attached\n"
    return process


def kill(process: "subprocess.Popen[bytes]") -> None:
    with process:
        process.kill()


def test_ls_tells_the_kind(metrics: Handle) -> None:
    fill(metrics.name)
    (row,) = (row for row in objects("ls") if row["name"] == metrics.name)
    assert (row["kind"], row["records"], row["series"], row["capacity"]) == ("metrics", None, 1, 100)
    assert (row["alive"], row["coordinator"], row["state"]) == (1, False, "ok")
    (line,) = (line for line in inspect("ls").stdout.splitlines() if line.startswith(metrics.name))
    assert re.match(rf"{metrics.name} +metrics +\d+\.\d [KM]iB +- +1 +- +100 +1 +no ", line)


def test_show_tells_how_much_room_there_is(metrics: Handle) -> None:
    (seen,) = objects("show", metrics.name)
    assert seen["metrics"] == {
        "series": {"used": 0, "limit": 100},
        "declarations": 0,
        "nodes": {"used": 0, "free": NODES, "limit": NODES},
        "exemplars": {"used": 0, "limit": 10},
        "refused": 0,
    }
    assert seen["header"] == {
        "store_id": metrics.header.store_id.hex(),
        "abi": seen["header"]["abi"],
        "kind": "metrics",
        "processes": {"alive": 1, "limit": 8},
        "coordinator": False,
    }
    assert [region["region"] for region in seen["regions"]][-3:] == ["chains", "nodes", "exemplars"]
    assert seen["file"]["size"] == path(metrics.name).stat().st_size and seen["problems"] == []


def test_what_others_count_is_seen(metrics: Handle) -> None:
    process = victim(metrics.name)
    (seen,) = objects("show", metrics.name)
    kill(process)
    (left,) = objects("show", metrics.name)
    assert seen["metrics"] == left["metrics"]
    assert (seen["metrics"]["declarations"], seen["metrics"]["series"]["used"], seen["problems"]) == (1, 2, [])
    assert (seen["header"]["processes"]["alive"], left["header"]["processes"]["alive"]) == (2, 1)
    assert inspect("check", metrics.name).returncode == 0


def test_show_is_for_people_too(metrics: Handle) -> None:
    fill(metrics.name, refused=1234)
    lines = {" ".join(line.split()) for line in inspect("show", metrics.name).stdout.splitlines()}
    expected = {
        "kind metrics",
        "series 1 of at least 100",
        "declarations 1",
        f"nodes 3 of {NODES}",
        "exemplars 1 of 10",
    }
    assert expected | {"refused 1,234", "processes 1 alive, room for 8"} <= lines


def test_processes_names_who_is_attached(metrics: Handle) -> None:
    (row,) = objects("processes", metrics.name)
    assert (row["pid"], row["state"]) == (os.getpid(), "alive") and row["memory"] > 1 << 20
    assert "appended" not in row and "appended" not in inspect("processes", metrics.name).stdout


def test_check_looks_at_the_nodes(metrics: Handle) -> None:
    assert objects("check", metrics.name) == [{"name": metrics.name, "healthy": True, "findings": []}]
    fill(metrics.name)
    (checked,) = objects("check", metrics.name)
    assert not checked["healthy"] and any("not in its chain" in finding for finding in checked["findings"])
    assert inspect("check", metrics.name).returncode == inspect("show", metrics.name).returncode == 5


def test_looking_changes_no_byte_and_takes_no_place(metrics: Handle) -> None:
    before = path(metrics.name).read_bytes()
    for verb in ANY_KIND:
        assert inspect(verb, *([metrics.name] if verb != "ls" else [])).returncode == 0
    inspect("doctor")
    for verb in OF_RECORDS:
        inspect(verb, metrics.name)
    assert path(metrics.name).read_bytes() == before


@pytest.mark.parametrize("verb", OF_RECORDS)
def test_a_verb_for_records_says_so(metrics: Handle, verb: str) -> None:
    done = inspect(verb, metrics.name)
    assert (done.returncode, done.stdout) == (4, "")
    assert f"{metrics.name!r} holds metrics" in done.stderr and f"shmstore-inspect show {metrics.name}" in done.stderr


def test_a_damaged_header_is_told(metrics: Handle) -> None:
    with segment.attach(metrics.name) as mapped:
        mapped.buffer[100:108] = b"\xff" * 8
    for verb in ("show", "check"):
        assert inspect(verb, metrics.name).returncode == 5
    assert [row["state"] for row in objects("ls") if row["name"] == metrics.name] == ["damaged segment"]


# -- doctor


def finding(name: str) -> dict[str, Any]:
    (row,) = (row for row in objects("doctor") if row["what"] == f"metrics {name}")
    return row


def test_doctor_finds_them_sound(metrics: Handle) -> None:
    assert (finding(metrics.name)["health"], finding(metrics.name)["found"]) == ("ok", "sound")


def test_doctor_tells_of_damage(metrics: Handle) -> None:
    fill(metrics.name)
    assert (finding(metrics.name)["health"], inspect("doctor").returncode) == ("bad", 5)


def test_doctor_tells_of_series_that_found_no_room(metrics: Handle) -> None:
    with segment.attach(metrics.name) as mapped:
        set_word(mapped, "changes", 32, 5)
    row = finding(metrics.name)
    assert row["health"] == "warning" and row["found"].startswith("5 times there was no room for a series; 0 of ")
    assert "series=" in row["advice"]


def test_doctor_tells_what_is_too_long_and_what_found_no_place_from_want_of_room(metrics: Handle) -> None:
    def count(refused: int, too_long: int, placeless: int) -> tuple[str, str]:
        with segment.attach(metrics.name) as mapped:
            for offset, word in ((32, refused), (40, too_long), (48, placeless)):
                set_word(mapped, "changes", offset, word)
        row = finding(metrics.name)
        return row["found"], row["advice"]

    assert count(2, 2, 0) == (
        "2 times a series or a metric was too long",
        "shorten label values, help texts and lists of buckets",
    )
    assert count(3, 0, 3) == ("3 times a process found no place", "make it with more processes=")
    found, advice = count(9, 2, 3)
    assert [part.split(" ", 1)[0] for part in found.split("; ")] == ["4", "0", "2", "3"] and advice.count("; ") == 2


def test_doctor_tells_that_nodes_run_out(metrics: Handle) -> None:
    claimed = 1
    with segment.attach(metrics.name) as mapped:
        set_word(mapped, "changes", 16, NODES)
        for node in range(NODES - 10):
            set_word(mapped, "nodes", node * 256, claimed)
    row = finding(metrics.name)
    assert row["health"] == "warning" and row["found"] == f"{NODES - 10} of {NODES} nodes are used"


def test_doctor_tells_of_the_dead_and_of_those_that_nobody_uses(metrics: Handle) -> None:
    process = victim(metrics.name)
    kill(process)
    assert finding(metrics.name)["found"] == f"dead processes not yet repaired: {process.pid}"
    metrics.core.reap()
    metrics.close()
    assert finding(metrics.name)["found"].startswith("nobody is attached")


# -- removing


def test_rm_and_gc_leave_what_is_in_use(metrics: Handle) -> None:
    done = inspect("rm", metrics.name)
    assert done.returncode == 1 and "in use" in done.stderr
    assert objects("gc", "--all-unused", "--yes", metrics.name) == []
    metrics.close()
    (row,) = objects("gc", "--all-unused", "--yes", metrics.name)
    assert row["outcome"] == "removed" and not path(metrics.name).exists()


def test_rm_tells_who_is_attached(metrics: Handle) -> None:
    assert inspect("rm", "--force", metrics.name).returncode == 0
    assert metrics.unlinked


# -- plan


def test_plan_tells_the_size_that_creation_takes(metrics: Handle) -> None:
    (facts,) = objects("plan", "--metrics", "--series", "100", "--exemplars", "10", "--processes", "8")
    assert facts["size"] == path(metrics.name).stat().st_size
    assert (facts["series"], facts["exemplars"], facts["fits"]) == (100, 10, True)
    assert [region["region"] for region in facts["regions"]][-2:] == ["nodes", "exemplars"]
    assert "records" not in facts and "capacity" not in facts


def test_plan_has_the_defaults_of_configure() -> None:
    defaults = {name: size.default for name, size in SIZES.items()}
    (facts,) = objects("plan", "--metrics")
    assert (facts["series"], facts["exemplars"]) == (defaults["series"], defaults["exemplars"])
    given = [word for name in ("series", "exemplars", "processes") for word in (f"--{name}", str(defaults[name]))]
    assert facts["size"] == objects("plan", "--metrics", *given)[0]["size"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--metrics", "--series", "0"], "series is 0"),
        (["--metrics", "--series", "10", "--capacity", "10"], "--capacity is for another kind of segment than metrics"),
        (["--metrics", "--series", "10", "--keys", "10"], "--keys is for another kind"),
        (["--metrics", "--fields", "value:float"], "not allowed with"),
        (["--fields", "value:float"], "--capacity is missing"),
        (["--fields", "value:float", "--capacity", "1", "--series", "9"], "--series is for another kind of segment"),
    ],
)
def test_a_plan_that_cannot_be_is_a_usage_error(arguments: list[str], said: str) -> None:
    done = inspect("plan", *arguments)
    assert (done.returncode, done.stdout) == (2, "") and said in done.stderr


# -- the coordinator


def test_the_coordinator_repairs_and_counts(metrics: Handle) -> None:
    process = victim(metrics.name)
    command = [sys.executable, "-m", "shmstore.cli.coordinator", metrics.name]
    with subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8", env=ENVIRONMENT) as coordinator:
        deadline = time.monotonic() + LIMIT_S
        while not metrics.core.history() and time.monotonic() < deadline:
            time.sleep(0.01)
        kill(process)
        while process.pid in {place.pid for place in metrics.processes()} and time.monotonic() < deadline:
            time.sleep(0.01)
        assert {place.pid for place in metrics.processes()} == {os.getpid(), coordinator.pid}
        assert metrics.core.history()[0].processes == 3
        coordinator.send_signal(signal.SIGTERM)
        _, messages = coordinator.communicate(timeout=LIMIT_S)
    assert coordinator.returncode == 0 and f"repaired dead process {process.pid}" in messages


def test_metrics_have_no_retention(metrics: Handle) -> None:
    command = [sys.executable, "-m", "shmstore.cli.coordinator", metrics.name, "--retention", "1m"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=LIMIT_S, env=ENVIRONMENT)
    assert done.returncode == 2 and "retention is" in done.stderr and "Traceback" not in done.stderr
