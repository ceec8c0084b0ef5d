"""`shmstore-inspect` and `shmstore-coordinator` on streams, as people run them."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

import shmstore
from shmstore import Coordinator, StoreNotFound, StreamStore
from tests.helpers.processes import eventually
from tests.helpers.segments import path

LIMIT_S = 30.0
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(shmstore.__file__).parents[1]), "PYTHONIOENCODING": "utf-8"}
OF_RECORDS = ("tail", "query", "plot")
VICTIM = """
import sys
import shmstore
streams = shmstore.attach_streams(sys.argv[1])
streams["of a victim"].append("x")
print("attached", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def streams(name: str) -> Iterator[StreamStore]:
    with shmstore.create_streams(name, capacity=100, partitions=2, streams=20, processes=8) as streams:
        streams["a"].append_many(list("xyz"))
        streams["b"].append("x")
        streams["b"].delete()
        yield streams
        with suppress(StoreNotFound):
            shmstore.unlink(name)


def inspect(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "shmstore.cli.inspect", *arguments]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=LIMIT_S, env=ENVIRONMENT)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def objects(*arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in inspect(*arguments, "--json").stdout.splitlines()]


def finding(name: str) -> dict[str, Any]:
    (row,) = (row for row in objects("doctor") if row["what"] == f"streams {name}")
    return row


def kill_a_victim(name: str) -> int:
    """Kill a process that has appended, and keeps slots for its next appends."""
    command = [sys.executable, "-c", VICTIM, name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT) as process:
        assert process.stdout is not None and process.stdout.readline() == b"attached\n"
        process.kill()
    return process.pid


def test_ls_tells_how_many_there_are(streams: StreamStore) -> None:
    (row,) = (row for row in objects("ls") if row["name"] == streams.name)
    assert (row["kind"], row["records"], row["streams"], row["capacity"]) == ("streams", None, 1, 100)
    assert (row["alive"], row["coordinator"], row["state"]) == (1, False, "ok")


def test_show_describes_them(streams: StreamStore) -> None:
    (seen,) = objects("show", streams.name)
    assert seen["streams"] == {
        "streams": 1,
        "names": {"used": 2, "limit": 20},
        "events": {"used": 5, "limit": 100},
        "tickets": 5,
    }
    header = {key: seen["header"][key] for key in ("kind", "capacity", "partitions", "slots", "data_bytes")}
    assert header == {"kind": "streams", "capacity": 100, "partitions": 2, "slots": 50, "data_bytes": 512}
    assert [region["region"] for region in seen["regions"]][-3:] == ["logs", "streams", "slots"]
    assert seen["problems"] == []
    lines = {" ".join(line.split()) for line in inspect("show", streams.name).stdout.splitlines()}
    assert {"kind streams", "names 2 of 20", "events 5 of 100", "processes 1 alive, room for 8"} <= lines


def test_processes_and_check_look_at_them(streams: StreamStore) -> None:
    (row,) = objects("processes", streams.name)
    assert (row["pid"], row["state"], row["appended"]) == (os.getpid(), "alive", 5) and "lapped" not in row
    assert objects("check", streams.name) == [{"name": streams.name, "healthy": True, "findings": []}]


def test_check_tells_of_damage(streams: StreamStore) -> None:
    first = next(first for region, first, _ in streams.core.plan().regions if region == "slots")
    with open(path(streams.name), "r+b") as file:
        file.seek(first)
        file.write(b"\xff" * 64)
    (checked,) = objects("check", streams.name)
    assert not checked["healthy"] and inspect("check", streams.name).returncode == 5
    assert finding(streams.name)["health"] == "bad"


def test_looking_changes_no_byte_and_takes_no_place(streams: StreamStore) -> None:
    before = path(streams.name).read_bytes()
    for verb in ("show", "processes", "check", "streams ls"):
        assert inspect(*verb.split(), streams.name).returncode == 0
    for verb in ("show", "tail"):
        assert inspect("streams", verb, streams.name, "a").returncode == 0
    assert inspect("top", streams.name, "--count", "1").returncode == 0
    inspect("ls")
    inspect("doctor")
    assert path(streams.name).read_bytes() == before


@pytest.mark.parametrize(("verb", "wanted"), [*((verb, "records") for verb in OF_RECORDS), ("metrics", "metrics")])
def test_a_verb_for_another_kind_says_so(streams: StreamStore, verb: str, wanted: str) -> None:
    done = inspect(verb, streams.name)
    assert (done.returncode, done.stdout) == (4, "")
    assert f"{streams.name!r} holds streams, and this verb is for {wanted}; `shmstore-inspect show" in done.stderr


def test_top_shows_what_is_appended(streams: StreamStore) -> None:
    streams["deleted later"].append(1)
    command = [sys.executable, "-m", "shmstore.cli.inspect", "top", streams.name, "--json", "--interval", "200ms"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8", env=ENVIRONMENT) as top:
        assert top.stdout is not None
        seen = json.loads(top.stdout.readline())
        assert (seen["streams"], seen["appended"], seen["appended_per_second"]) == (2, 4, 0)
        streams["a"].append_many(list("0123456789"))
        streams["new"].append(1)
        streams["deleted later"].delete()
        looks = []
        while sum(look["appended_per_second"] for look in looks) == 0 or seen["streams"] != 2:
            seen = json.loads(top.stdout.readline())
            looks.append(seen)
        rows = {row["stream"]: row for row in seen["by_stream"]}
        assert (rows["a"]["version"], rows["a"]["events"], rows["new"]["version"]) == (12, 13, 0)
        assert seen["appended"] == 15 and any(look["appended_per_second"] > 1 for look in looks)
        assert [row["pid"] for row in seen["processes"]] == [os.getpid()]
        shmstore.unlink(streams.name)
        assert top.wait(LIMIT_S) == 0


def test_top_draws_a_frame(streams: StreamStore) -> None:
    lines = [" ".join(line.split()) for line in inspect("top", streams.name, "--count", "1").stdout.splitlines()]
    assert {"streams 1", "stream version rate first events discarded", "a 2 0/s 0 3 0"} <= set(lines)
    (plain,) = inspect("top", streams.name, "--count", "1", "--plain").stdout.splitlines()
    assert plain.split("\t")[1:] == ["1", "5", "3", "0.0"]


def test_doctor_tells_how_they_are(streams: StreamStore) -> None:
    assert (finding(streams.name)["health"], finding(streams.name)["found"]) == ("ok", "sound")
    for number in range(16):
        streams[f"s{number}"].append(number)
    row = finding(streams.name)
    assert (row["health"], row["found"]) == ("warning", "18 of 20 names of streams are taken")
    assert "streams=" in row["advice"]
    victim = kill_a_victim(streams.name)
    assert finding(streams.name)["found"] == f"dead processes not yet repaired: {victim}"


def test_rm_and_gc_leave_what_is_in_use(streams: StreamStore) -> None:
    done = inspect("rm", streams.name)
    assert done.returncode == 1 and "in use" in done.stderr
    assert objects("gc", "--all-unused", "--yes", streams.name) == []
    streams.close()
    (row,) = objects("gc", "--all-unused", "--yes", streams.name)
    assert row["outcome"] == "removed" and not path(streams.name).exists()


def test_plan_tells_the_size_that_creation_takes(streams: StreamStore) -> None:
    given = ["--capacity", "100", "--partitions", "2", "--names", "20", "--processes", "8"]
    (facts,) = objects("plan", "--streams", *given)
    assert facts["size"] == path(streams.name).stat().st_size
    assert (facts["capacity"], facts["streams"], facts["partitions"], facts["slots"]) == (100, 20, 2, 50)
    assert facts["event_bytes"] == streams.core.plan().record_bytes


def test_plan_has_the_defaults_of_creation() -> None:
    defaults = {name: it.default for name, it in signature(shmstore.create_streams).parameters.items()}
    given = {"--names": "streams", "--data-bytes": "data_bytes", "--processes": "processes"}
    words = [word for option, name in given.items() for word in (option, str(defaults[name]))]
    (facts,), (same,) = (objects("plan", "--streams", "--capacity", "100", *more) for more in ([], words))
    assert facts["size"] == same["size"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--streams"], "--capacity is missing"),
        (["--streams", "--capacity", "0"], "capacity is 0"),
        (["--streams", "--capacity", "1", "--keys", "1"], "--keys is for another kind of segment than streams"),
        (["--streams", "--capacity", "1", "--series", "1"], "--series is for another kind of segment than streams"),
        (["--streams", "--metrics"], "not allowed with"),
        (["--metrics", "--data-bytes", "1"], "--data-bytes is for another kind of segment than metrics"),
        (
            ["--fields", "a:int", "--capacity", "1", "--names", "1"],
            "--names is for another kind of segment than a store",
        ),
    ],
)
def test_a_plan_that_cannot_be_is_a_usage_error(arguments: list[str], said: str) -> None:
    done = inspect("plan", *arguments)
    assert (done.returncode, done.stdout) == (2, "") and said in done.stderr


def test_the_coordinator_repairs_them(streams: StreamStore) -> None:
    command = [sys.executable, "-m", "shmstore.cli.coordinator", streams.name]
    with subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8", env=ENVIRONMENT) as coordinator:
        assert eventually(streams.core.coordinator_alive)
        victim = kill_a_victim(streams.name)
        assert eventually(lambda: victim not in {place.pid for place in streams.processes()})
        coordinator.send_signal(signal.SIGTERM)
        _, messages = coordinator.communicate(timeout=LIMIT_S)
    assert coordinator.returncode == 0 and re.search(rf"repaired dead process {victim}\b", messages)
    assert streams.check() == [] and streams["of a victim"].version == 0


def test_a_handle_of_streams_can_be_coordinated(streams: StreamStore) -> None:
    coordinator = Coordinator(streams)
    coordinator.start()
    try:
        victim = kill_a_victim(streams.name)
        assert eventually(lambda: victim not in {place.pid for place in streams.processes()})
    finally:
        coordinator.stop()
