"""`shmstore-inspect` as people run it: a process of its own, judged by its output, its messages and its exit code."""

import json
import os
import pty
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import pytest

import shmstore
from shmstore import Key, Record, Text, Timestamp
from shmstore.cli.commands import COMMANDS
from shmstore.cli.completion import SHELLS
from shmstore.cli.inspect import build_parser
from shmstore.events.store import EventStore
from tests.helpers.slots import State, set_state

LIMIT_S = 30.0
SHM = Path("/dev/shm")
INSPECT = [sys.executable, "-m", "shmstore.cli.inspect"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(shmstore.__file__).parents[1]), "PYTHONIOENCODING": "utf-8"}
LOOKING = ("ls", "show", "top", "tail", "processes", "check")  # the verbs that look at a store


class Order(Record):
    gateway: Key
    id: Annotated[str, Text[16]]
    value: float
    timestamp: Timestamp


@pytest.fixture
def store(name: str) -> Iterator[EventStore[Any]]:
    with shmstore.create(name, Order, capacity=100, partitions=2) as store:
        for number in range(150):
            store.append(gateway=f"gw-{number % 2}", id=f"o-{number}", value=number / 2, timestamp=number * 10**9)
        yield store
        with suppress(shmstore.StoreNotFound):
            shmstore.unlink(name)


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


def test_without_a_verb_it_prints_its_help_as_a_message_and_fails() -> None:
    done = inspect()
    assert (done.returncode, done.stdout, done.stderr) == (2, "", inspect("--help").stdout)


def objects(*arguments: str) -> list[dict[str, Any]]:
    done = inspect(*arguments, "--json")
    return [json.loads(line) for line in done.stdout.splitlines()]


def once(verb: str, name: str) -> list[str]:
    """Arguments that make a verb look at this store once."""
    return [verb, *([name] if verb != "ls" else []), *(["--count", "1"] if verb == "top" else [])]


def damage(name: str, offset: int, data: bytes = b"\xff\xff\xff\xff\xff\xff\xff\xff") -> None:
    with open(SHM / name, "r+b") as file:
        file.seek(offset)
        file.write(data)


# -- looking


def test_ls_lists_a_store(store: EventStore[Any]) -> None:
    (row,) = (row for row in objects("ls") if row["name"] == store.name)
    assert (row["records"], row["capacity"], row["alive"], row["coordinator"]) == (100, 100, 1, False)
    assert row["size"] == (SHM / store.name).stat().st_size and row["state"] == "ok"
    assert re.search(rf"^{store.name} +events +\d+\.\d [KM]iB +100 +- +- +100 +1 +no ", inspect("ls").stdout, re.M)


def test_plain_output_is_for_cut_and_grep(store: EventStore[Any]) -> None:
    (line,) = (line for line in inspect("ls", "--plain").stdout.splitlines() if line.startswith(store.name))
    assert line.split("\t")[1:8] == ["events", str((SHM / store.name).stat().st_size), "100", "", "", "100", "1"]


def test_show_tells_header_schema_partitions_statistics_and_regions(store: EventStore[Any]) -> None:
    (seen,) = objects("show", store.name)
    assert seen["header"]["capacity"] == 100 and seen["header"]["partition_by"] == "key"
    assert [(field["name"], field["type"]) for field in seen["fields"]] == [
        ("gateway", "Key[64]"),
        ("id", "Text[16]"),
        ("value", "Float64"),
        ("timestamp", "Timestamp"),
    ]
    assert seen["statistics"]["appended"] == 150 and seen["statistics"]["discarded"] == 50
    assert [part["tail"] for part in seen["partitions"]] == [75, 75]
    assert seen["header"]["keys"]["used"] == 2 and seen["problems"] == []
    assert max(region["offset"] + region["size"] for region in seen["regions"]) <= seen["file"]["size"]
    done = inspect("show", store.name)
    assert done.returncode == 0 and "███" in done.stdout and "100 %" in done.stdout


def test_processes_names_who_is_attached(store: EventStore[Any]) -> None:
    (row,) = objects("processes", store.name)
    assert (row["pid"], row["state"], row["appended"]) == (os.getpid(), "alive", 150)
    assert row["memory"] > 1 << 20 and row["cpu"] >= 0 and row["appended_per_second"] == 0


def test_check_holds(store: EventStore[Any]) -> None:
    done = inspect("check", store.name)
    assert (done.returncode, done.stdout) == (0, f"{store.name}: every invariant holds\n")
    assert objects("check", store.name) == [{"name": store.name, "healthy": True, "findings": []}]


def test_looking_changes_no_byte_and_takes_no_place(store: EventStore[Any]) -> None:
    before = (SHM / store.name).read_bytes()
    for verb in LOOKING:
        assert inspect(*once(verb, store.name)).returncode == 0
    inspect("doctor")
    assert (SHM / store.name).read_bytes() == before


# -- tail


def test_tail_prints_the_newest_merged_by_time(store: EventStore[Any]) -> None:
    assert [row["id"] for row in objects("tail", store.name, "-n", "3")] == ["o-147", "o-148", "o-149"]
    assert [row["id"] for row in objects("tail", store.name, "-n", "2", "--partition", "0")] == ["o-146", "o-148"]
    assert objects("tail", store.name, "-n", "0") == []
    assert objects("tail", store.name, "-n", "1") == [
        {"gateway": "gw-1", "id": "o-149", "value": 74.5, "timestamp": "1970-01-01T00:02:29.000000000Z"}
    ]
    lines = inspect("tail", store.name, "-n", "2").stdout.splitlines()
    assert lines[0].split() == ["gateway", "id", "value", "timestamp"] and len({len(line) for line in lines[1:]}) == 1


def test_tail_escapes_what_a_terminal_would_obey(store: EventStore[Any]) -> None:
    store.append(gateway="gw-0", id="\x1b[2J\n", value=0.0)
    assert "\\x1b[2J\\n" in inspect("tail", store.name, "-n", "1").stdout
    assert objects("tail", store.name, "-n", "1")[0]["id"] == "\x1b[2J\n"


def test_tail_follows_until_the_store_is_unlinked(store: EventStore[Any]) -> None:
    with subprocess.Popen(
        [*INSPECT, "tail", store.name, "-f", "-n", "1", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    ) as tail:
        assert tail.stdout is not None and tail.stderr is not None
        assert json.loads(tail.stdout.readline())["id"] == "o-149"
        for number in range(3):
            store.append(gateway=f"gw-{number}", id=f"new-{number}", value=0.0)
            assert json.loads(tail.stdout.readline())["id"] == f"new-{number}"
        shmstore.unlink(store.name)
        assert tail.wait(LIMIT_S) == 0
        assert b"unlinked" in tail.stderr.read()


def test_tail_shows_what_lies_behind_a_record_that_cannot_be_shown(store: EventStore[Any]) -> None:
    with subprocess.Popen(
        [*INSPECT, "tail", store.name, "-f", "-n", "1", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    ) as tail:
        assert tail.stdout is not None and tail.stderr is not None
        assert json.loads(tail.stdout.readline())["id"] == "o-149"
        tail.send_signal(signal.SIGSTOP)
        for number in range(3):
            ticket = store.append(gateway="gw-0", id=f"new-{number}", value=0.0) // store.partitions
            if number == 1:
                set_state(store, ticket, State.PREPARED, 0)
        tail.send_signal(signal.SIGCONT)
        assert [json.loads(tail.stdout.readline())["id"] for _ in range(2)] == ["new-0", "new-2"]
        assert b"overwritten from outside" in tail.stderr.readline()
        shmstore.unlink(store.name)
        assert tail.wait(LIMIT_S) == 0


def test_ctrl_c_ends_quietly(store: EventStore[Any]) -> None:
    with subprocess.Popen(
        [*INSPECT, "tail", store.name, "-f", "-n", "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT
    ) as tail:
        assert tail.stdout is not None and tail.stderr is not None
        tail.stdout.readline()
        time.sleep(0.2)
        tail.send_signal(signal.SIGINT)
        assert tail.wait(LIMIT_S) == 130
        assert tail.stderr.read() == b""


def test_a_closed_pipe_is_fine(store: EventStore[Any]) -> None:
    with subprocess.Popen(
        [*INSPECT, "tail", store.name, "-n", "100"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT
    ) as tail:
        assert tail.stdout is not None and tail.stderr is not None
        tail.stdout.close()
        assert tail.wait(LIMIT_S) == 0
        assert tail.stderr.read() == b""


def test_a_full_device_is_told(store: EventStore[Any]) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*INSPECT, "show", store.name], stdout=full, stderr=subprocess.PIPE, env=ENVIRONMENT)
    assert done.returncode == 1 and b"No space left" in done.stderr and b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("suffix", "redirect", "code", "said"),
    [("", ">&-", 0, b""), ("", "2>&-", 0, b"name"), ("-missing", "2>&-", 3, b"")],
)
def test_a_closed_output_hears_nothing_and_the_other_no_more(
    store: EventStore[Any], suffix: str, redirect: str, code: int, said: bytes
) -> None:
    command = f"{shlex.join([*INSPECT, 'show', store.name + suffix])} {redirect}"
    done = subprocess.run(command, shell=True, capture_output=True, timeout=LIMIT_S, env=ENVIRONMENT)
    assert (done.returncode, done.stdout[:4], done.stderr) == (code, said, b"")


# -- top


def test_top_prints_a_block_an_interval_off_a_terminal(store: EventStore[Any]) -> None:
    done = inspect("top", store.name, "--interval", "50ms", "--count", "2")
    assert done.returncode == 0 and "\x1b" not in done.stdout
    assert done.stdout.count("no coordinator") == 2 and done.stdout.count("████████████████████ 100 %") == 4
    assert str(os.getpid()) in done.stdout


def test_top_tells_rates_as_json(store: EventStore[Any]) -> None:
    states = objects("top", store.name, "--interval", "50ms", "--count", "3")
    assert len(states) == 3
    assert all(state["appended"] == 150 and state["appended_per_second"] == 0 for state in states)
    assert len(states[2]["history"]["appended"]) == 3
    assert [part["fill"] for part in states[0]["partitions"]] == [1.0, 1.0]


def test_top_plain_is_one_line_an_interval(store: EventStore[Any]) -> None:
    lines = inspect("top", store.name, "--plain", "--interval", "50ms", "--count", "2").stdout.splitlines()
    assert len(lines) == 2 and lines[0].split("\t")[1:4] == ["100", "150", "0.0"]


def test_top_redraws_in_place_on_a_terminal_and_gives_it_back(store: EventStore[Any]) -> None:
    ours, theirs = pty.openpty()
    environment = ENVIRONMENT | {"TERM": "xterm", "NO_COLOR": ""}
    command = [*INSPECT, "top", store.name, "--interval", "50ms"]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as top:
        os.close(theirs)
        seen = b""
        while seen.count(b"\x1b[H") < 3:
            assert select.select([ours], [], [], LIMIT_S)[0]
            seen += os.read(ours, 65536)
        top.send_signal(signal.SIGINT)
        with suppress(OSError):  # EIO: the other side is closed
            while data := os.read(ours, 65536):
                seen += data
        assert top.wait(LIMIT_S) == 130
    os.close(ours)
    assert seen.startswith(b"\x1b[?1049h") and b"\x1b[?25h\x1b[?1049l" in seen
    assert store.name.encode() in seen.rpartition(b"\x1b[?1049l")[2], "the last frame stays"


# -- what is not there, not ours, or damaged


@pytest.mark.parametrize("verb", [verb for verb in LOOKING if verb != "ls"] + ["rm"])
def test_no_such_store(name: str, verb: str) -> None:
    done = inspect(verb, name)
    assert (done.returncode, done.stdout) == (3, "") and name in done.stderr


@pytest.mark.parametrize("verb", [verb for verb in LOOKING if verb != "ls"] + ["rm"])
def test_another_programs_file_is_a_layout_mismatch(name: str, verb: str) -> None:
    (SHM / name).write_bytes(b"something else" * 1000)
    done = inspect(verb, name)
    assert (done.returncode, done.stdout) == (4, "") and name in done.stderr
    assert (SHM / name).exists()


@pytest.mark.parametrize("verb", ["show", "top", "tail", "processes", "check"])
def test_a_damaged_header_is_told(store: EventStore[Any], verb: str) -> None:
    damage(store.name, 100)
    done = inspect(*once(verb, store.name))
    assert done.returncode == 5
    assert "checksum" in done.stdout + done.stderr


def test_show_tells_what_it_can_of_a_damaged_header(store: EventStore[Any]) -> None:
    damage(store.name, 100)
    (seen,) = objects("show", store.name)
    assert seen["file"]["size"] == (SHM / store.name).stat().st_size and seen["file"]["in_use"]
    assert len(seen["problems"]) == 1
    assert [row["state"] for row in objects("ls") if row["name"] == store.name] == ["damaged segment"]


def test_a_damaged_partition_does_not_hide_the_rest(store: EventStore[Any]) -> None:
    ((offset, size),) = (
        (region["offset"], region["size"])
        for region in objects("show", store.name)[0]["regions"]
        if "partition" in region["region"]
    )
    damage(store.name, offset, os.urandom(size))
    done = inspect("show", store.name)
    assert done.returncode == 5 and "gateway" in done.stdout and "problem: " in done.stdout
    assert inspect("check", store.name).returncode == 5
    for verb in ("ls", "top", "tail", "processes"):
        assert inspect(*once(verb, store.name)).returncode in (0, 1, 5)


def test_another_version_is_a_layout_mismatch(store: EventStore[Any]) -> None:
    damage(store.name, 12, b"\x63\x00")  # the major version
    for verb in ("show", "tail", "check"):
        assert inspect(verb, store.name).returncode == 4
    assert [row["state"] for row in objects("ls") if row["name"] == store.name] == ["abi mismatch"]


def test_a_truncated_segment_is_told(store: EventStore[Any]) -> None:
    copy = f"{store.name}-copy"
    (SHM / copy).write_bytes((SHM / store.name).read_bytes()[:-4096])
    assert inspect("show", copy).returncode == 5
    assert inspect("check", copy).returncode == 5


def test_doctor_finds_what_is_damaged(store: EventStore[Any]) -> None:
    (row,) = (row for row in objects("doctor") if row["what"] == f"store {store.name}")
    assert row["health"] == "ok"
    damage(store.name, 100)
    (row,) = (row for row in objects("doctor") if row["what"] == f"store {store.name}")
    assert row["health"] == "bad" and row["advice"]
    assert inspect("doctor").returncode == 5


def test_doctor_examines_the_machine() -> None:
    rows = {row["what"]: row for row in objects("doctor")}
    assert {
        "/dev/shm",
        "O_TMPFILE",
        "OFD locks",
        "membarrier",
        "MADV_POPULATE",
        "RLIMIT_NOFILE",
        "/proc",
    } <= rows.keys()
    assert "memory limit" in rows
    assert all(row["advice"] for row in rows.values() if row["health"] != "ok")


def test_show_writes_every_large_number_with_commas(name: str) -> None:
    with shmstore.create(name, Order, capacity=2000, partitions=1000, partition_by="turn") as store:
        store.append_many([Order(gateway="only", id="", value=0.0)] * 1234)
        lines = {" ".join(line.split()) for line in inspect("show", name).stdout.splitlines()}
    assert {"records 1,234", "appended 1,234", "newest kept 1,234", "partitions 1,000"} <= lines


def test_skew_is_told_where_people_look(name: str) -> None:
    with shmstore.create(name, Order, capacity=80, partitions=8) as store:
        for number in range(1, 101):
            store.append(gateway="only", id="", value=0.0, timestamp=number * 10**9)
        (seen,) = objects("show", name)
        assert seen["statistics"]["newest_kept"] == 10 and seen["statistics"]["fullest"].endswith(": 10 records")
        assert seen["statistics"]["complete_since"].startswith("1970-01-01T00:01:31")
        (row,) = (row for row in objects("doctor") if row["what"] == f"store {name}")
        assert row["health"] == "warning" and "of the newest 80 records 10 are kept" in row["found"]
        assert "10 of the newest 80" in inspect("top", name, "--count", "1").stdout
        assert "reaches behind" in inspect("query", name, "--since", "1970-01-01T00:01:30Z").stderr
        assert "reaches behind" not in inspect("query", name, "--since", "1970-01-01T00:01:31Z").stderr


# -- removing


def test_rm_leaves_what_is_in_use(store: EventStore[Any]) -> None:
    done = inspect("rm", store.name)
    assert done.returncode == 1 and "in use" in done.stderr and (SHM / store.name).exists()
    done = inspect("rm", "--force", store.name)
    assert (done.returncode, done.stdout) == (0, f"removed {store.name}\n") and not (SHM / store.name).exists()
    with pytest.raises(shmstore.StoreUnlinked):
        store.append(gateway="gw-0", id="", value=0.0)


def test_rm_goes_on_after_a_failure(store: EventStore[Any], name: str) -> None:
    store.close()
    done = inspect("rm", f"{name}-missing", name)
    assert (done.returncode, done.stdout) == (3, f"removed {name}\n")


def test_gc_removes_damaged_stores_only_when_told_and_only_unused_ones(store: EventStore[Any]) -> None:
    damaged = f"{store.name}-damaged"
    shutil.copyfile(SHM / store.name, SHM / damaged)
    damage(store.name, 100)
    damage(damaged, 100)
    assert [row["name"] for row in objects("gc", store.name, damaged)] == [damaged]
    assert (SHM / damaged).exists(), "a dry run removes nothing"
    (row,) = objects("gc", "--yes", store.name, damaged)
    assert (row["name"], row["outcome"]) == (damaged, "removed")
    assert not (SHM / damaged).exists() and (SHM / store.name).exists()


def test_gc_removes_unused_stores_on_request(store: EventStore[Any]) -> None:
    assert objects("gc", "--all-unused", "--yes", store.name) == []
    store.close()
    assert objects("gc", "--yes", store.name) == []
    (row,) = objects("gc", "--all-unused", "--yes", store.name)
    assert row["outcome"] == "removed" and not (SHM / store.name).exists()


# -- plan


def test_plan_tells_the_size_that_creation_takes(store: EventStore[Any]) -> None:
    fields = "gateway:key,id:text[16],value:float,timestamp:timestamp"
    (facts,) = objects("plan", "--fields", fields, "--capacity", "100", "--partitions", "2")
    assert facts["size"] == (SHM / store.name).stat().st_size
    assert (facts["slots"], facts["fits"]) == (50, True)
    assert facts["regions"] == [
        {**region, "share": pytest.approx(region["size"] / facts["size"])}
        for region in objects("show", store.name)[0]["regions"]
    ]


def test_plan_takes_a_record_class_of_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("import shmstore\nclass Order(shmstore.Record):\n    value: float\n")
    command = [*INSPECT, "plan", "--record", "shop:Order", "--capacity", "10"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", env=ENVIRONMENT)
    assert done.returncode == 0 and "size" in done.stdout


def test_plan_says_when_there_is_no_room() -> None:
    done = inspect("plan", "--fields", "value:float", "--capacity", str(1 << 39))
    assert done.returncode == 1 and re.search(r"^fits +no$", done.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--fields", "value:decimal", "--capacity", "1"],
        ["--fields", "value", "--capacity", "1"],
        ["--fields", "id:text", "--capacity", "1"],
        ["--fields", "value:float", "--capacity", "0"],
        ["--fields", "value:float", "--capacity", "-1"],
        ["--fields", "value:float"],
        ["--record", "no_such_module:Order", "--capacity", "1"],
        ["--record", "os", "--capacity", "1"],
    ],
)
def test_a_plan_that_cannot_be_is_a_usage_error(arguments: list[str]) -> None:
    done = inspect("plan", *arguments)
    assert (done.returncode, done.stdout) == (2, "") and done.stderr


# -- the command line


@pytest.mark.parametrize(
    "arguments",
    [[], ["no-such-verb"], ["show"], ["show", "a/b"], ["top", "a", "--interval", "0"], ["ls", "--json", "--plain"]],
)
def test_wrong_usage(arguments: list[str]) -> None:
    done = inspect(*arguments)
    assert (done.returncode, done.stdout) == (2, "") and done.stderr


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_verb_has_help_with_examples_that_parse(verb: str) -> None:
    done = inspect(verb, "--help")
    assert done.returncode == 0 and "examples:\n  shmstore-inspect " in done.stdout
    for example in COMMANDS[verb].EXAMPLES:
        assert example in done.stdout
        assert build_parser().parse_args(shlex.split(re.split(r"[|&]", example)[0])).run


def test_output_is_ascii_where_the_encoding_is(store: EventStore[Any]) -> None:
    assert inspect("show", store.name, PYTHONIOENCODING="ascii").stdout.isascii()


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_scripts_name_every_verb_and_option(shell: str) -> None:
    script = inspect("--completion", shell).stdout
    assert all(verb in script for verb in COMMANDS) and "all-unused" in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, encoding="utf-8", check=True)


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["sh"], {"show"}),
        (["top", "--co"], {"--count"}),
        (["plan", "--layout", ""], {"rows", "columns"}),
        (["--completion", "z"], {"zsh"}),
        (["streams", "ta"], {"tail"}),
        (["streams", "append", "--ba"], {"--batch"}),
    ],
)
def test_bash_completes(words: list[str], offered: set[str]) -> None:
    script = inspect("--completion", "bash").stdout
    typed = f"COMP_WORDS=(shmstore-inspect {shlex.join(words)}); COMP_CWORD={len(words)}\n"
    ask = "_shmstore_inspect; echo ${COMPREPLY[@]}"
    done = subprocess.run(["bash", "-c", script + typed + ask], capture_output=True, encoding="utf-8", check=True)
    assert set(done.stdout.split()) == offered
