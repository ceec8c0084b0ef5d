"""`shmstore-inspect streams`, as people and programs run it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import shmstore
from shmstore import StoreNotFound, StreamStore

LIMIT_S = 30.0
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(shmstore.__file__).parents[1]), "PYTHONIOENCODING": "utf-8"}
INSPECT = [sys.executable, "-m", "shmstore.cli.inspect"]


@pytest.fixture
def streams(name: str) -> Iterator[StreamStore]:
    with shmstore.create_streams(name, capacity=100, partitions=2, streams=20, processes=8) as streams:
        streams["a"].append({"id": "o-1", "value": 1.5}, type="Placed", event_id="e-1", metadata={"by": "ü"})
        streams["a"].append(b"\x01\x02")
        streams["a"].append("text\x1b[31m")
        streams["b"].append([1, None])
        yield streams
        with suppress(StoreNotFound):
            shmstore.unlink(name)


def run(*arguments: str, given: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    done = subprocess.run([*INSPECT, *arguments], input=given, capture_output=True, timeout=LIMIT_S, env=ENVIRONMENT)
    assert b"Traceback" not in done.stderr, done.stderr
    return done


def inspect(*arguments: str) -> str:
    done = run("streams", *arguments)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode()


def objects(*arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in inspect(*arguments, "--json").splitlines()]


def append(streams: StreamStore, name: str, given: str | bytes, *options: str) -> tuple[int, list[str], str]:
    """Append lines: the exit code, the versions, the message."""
    text = given if isinstance(given, bytes) else given.encode()
    done = run("streams", "append", streams.name, name, *options, given=text)
    return done.returncode, done.stdout.decode().split(), done.stderr.decode()


# -- looking


def test_ls_lists_the_streams_that_there_are(streams: StreamStore) -> None:
    streams["b"].retain(events=5, age=timedelta(seconds=90))
    streams["b"].reserve = 3
    streams["c"].append(1)
    streams["c"].delete()
    streams["a"].truncate(before=2)
    a, b = objects("ls", streams.name)
    assert a.pop("last_append").endswith("Z") and b.pop("last_append")
    assert a == {
        "stream": "a",
        "version": 2,
        "first_version": 2,
        "events": 1,
        "discarded": 0,
        "reserve": 0,
        "retention": {"events": None, "age": None},
    }
    assert (b["reserve"], b["retention"]) == (3, {"events": 5, "age": 90.0})
    assert "5 events, 1 m" in inspect("ls", streams.name)


def test_ls_knows_prefixes_and_discarded_events(streams: StreamStore) -> None:
    for number in range(120):
        streams["a"].append(number)
    (row,) = objects("ls", streams.name, "--prefix", "a")
    assert (row["version"], row["events"], row["discarded"]) == (122, 50, 73)
    done = run("streams", "ls", streams.name, "--prefix", "z")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"no streams begin with 'z'\n")


def test_the_style_may_stand_before_the_inner_verb(streams: StreamStore) -> None:
    assert run("streams", "--json", "ls", streams.name).stdout == run("streams", "ls", streams.name, "--json").stdout
    assert run("streams", "--plain", "ls", streams.name).stdout.startswith(b"a\t2\t0\t3\t0\t0\t")


def test_show_tells_the_state_and_the_newest_events(streams: StreamStore) -> None:
    (seen,) = objects("show", streams.name, "a", "-n", "2")
    assert (seen["state"], seen["version"], seen["events"], seen["dedup_window"]) == ("exists", 2, 3, 3)
    assert [(event["version"], event["data"]) for event in seen["newest"]] == [(1, "AQI="), (2, "text\x1b[31m")]
    text = inspect("show", streams.name, "a")
    assert '{"id": "o-1", "value": 1.5}' in text and "01 02" in text and "text\\x1b[31m" in text and "ü" in text


@pytest.mark.parametrize(("hard", "state"), [(False, "deleted"), (True, "deleted for ever")])
def test_show_knows_streams_that_were_deleted(streams: StreamStore, hard: bool, state: str) -> None:
    streams["b"].delete(hard=hard)
    (seen,) = objects("show", streams.name, "b")
    assert (seen["state"], seen["events"], seen["last_append"], seen["newest"]) == (state, 0, None, [])


@pytest.mark.parametrize("verb", ["show", "tail"])
def test_a_stream_that_is_not_there_is_a_usage_error(streams: StreamStore, verb: str) -> None:
    done = run("streams", verb, streams.name, "nope")
    assert (done.returncode, done.stdout) == (2, b"") and b"there is no stream 'nope' in" in done.stderr


def test_other_segments_are_told_by_their_exit_codes(name: str) -> None:
    with shmstore.series(name, capacity=10):
        done = run("streams", "ls", name)
        assert done.returncode == 4 and b"holds records, and this verb is for streams" in done.stderr
        shmstore.unlink(name)
    assert run("streams", "ls", name).returncode == run("streams", "append", name, "a").returncode == 3


def test_tail_prints_the_newest_or_all_from_a_version(streams: StreamStore) -> None:
    assert [event["version"] for event in objects("tail", streams.name, "a", "-n", "2")] == [1, 2]
    first, *others = objects("tail", streams.name, "a", "--from", "0")
    assert first.pop("timestamp").endswith("Z") and [event["version"] for event in others] == [1, 2]
    assert first == {
        "stream": "a",
        "version": 0,
        "position": 0,
        "type": "Placed",
        "event_id": "e-1",
        "data": {"id": "o-1", "value": 1.5},
        "metadata": {"by": "ü"},
    }
    assert objects("tail", streams.name, "a", "--from", "9") == objects("tail", streams.name, "a", "-n", "0") == []


def test_tail_tells_what_is_gone(streams: StreamStore) -> None:
    streams["a"].truncate(before=2)
    done = run("streams", "tail", streams.name, "a", "--from", "0", "--plain")
    assert (done.returncode, done.stderr) == (0, b"versions 0 to 1 are not there any more\n")
    assert done.stdout.startswith(b"2\t")


def test_tail_of_what_was_deleted_for_ever_fails(streams: StreamStore) -> None:
    streams["a"].delete(hard=True)
    for options in ([], ["-f"]):
        done = run("streams", "tail", streams.name, "a", *options)
        assert (done.returncode, done.stdout) == (1, b"") and b"deleted for ever" in done.stderr


def test_tail_follows_from_where_it_ends(streams: StreamStore) -> None:
    command = [*INSPECT, "streams", "tail", streams.name, "a", "-f", "--from", "1", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT) as tail:
        assert tail.stdout is not None
        versions = [json.loads(tail.stdout.readline())["version"] for _ in range(2)]
        streams["a"].append_many([1, 2])
        streams["b"].append(3)
        versions += [json.loads(tail.stdout.readline())["version"] for _ in range(2)]
        streams["a"].append(4)
        versions.append(json.loads(tail.stdout.readline())["version"])
        shmstore.unlink(streams.name)
        output, messages = tail.communicate(timeout=LIMIT_S)
    assert versions == [1, 2, 3, 4, 5] and (tail.returncode, output) == (0, b"")
    assert messages.decode() == f"streams {streams.name!r} were unlinked\n"


def test_tail_waits_for_a_stream_that_is_not_there_yet(streams: StreamStore) -> None:
    command = [*INSPECT, "streams", "tail", streams.name, "later", "-f", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=ENVIRONMENT) as tail:
        assert tail.stdout is not None
        streams["later"].append("first")
        assert json.loads(tail.stdout.readline())["data"] == "first"
        tail.send_signal(signal.SIGINT)
        assert tail.wait(LIMIT_S) == 130


def test_damaged_json_is_told_and_the_others_are_shown(streams: StreamStore) -> None:
    path = Path("/dev/shm") / streams.name
    path.write_bytes(path.read_bytes().replace(b'{"id":"o-1"', b'[{id":"o-1"'))
    done = run("streams", "tail", streams.name, "a", "--json")
    assert b"the data of event 0 of stream 'a' cannot be read as JSON" in done.stderr
    assert [json.loads(line)["data"] for line in done.stdout.splitlines()] == [None, "AQI=", "text\x1b[31m"]


# -- appending


def test_each_line_is_appended_by_itself(streams: StreamStore) -> None:
    given = '{"a": 1}\n\n  \n"text"\nnull\n[1.5]'
    assert append(streams, "new", given, "--type", "T") == (0, ["0", "1", "2", "3"], "")
    read = [(event.data, event.type) for event in streams["new"].read()]
    assert read == [({"a": 1}, "T"), ("text", "T"), (None, "T"), ([1.5], "T")]


def test_lines_may_come_from_a_file(streams: StreamStore, tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.write_text("1\n2\n", encoding="utf-8")
    assert objects("append", streams.name, "new", str(file)) == [{"line": 1, "version": 0}, {"line": 2, "version": 1}]
    done = run("streams", "append", streams.name, "new", str(tmp_path / "nope"))
    assert done.returncode == 1 and b"No such file" in done.stderr
    assert run("streams", "append", streams.name, "new", str(tmp_path)).returncode == 1


def test_versions_are_printed_as_they_come(streams: StreamStore) -> None:
    command = [*INSPECT, "streams", "append", streams.name, "new"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT) as process:
        assert process.stdin is not None and process.stdout is not None
        for version in range(3):
            process.stdin.write(b"1\n")
            process.stdin.flush()
            assert process.stdout.readline() == f"{version}\n".encode()
        process.stdin.close()
        assert process.wait(LIMIT_S) == 0


def test_events_are_copied_with_all_their_parts(streams: StreamStore) -> None:
    streams["from"].append_many(
        [shmstore.NewEvent({"a": 1}, "T", "e-1", {"m": None}), shmstore.NewEvent("x", None, "e-2")]
    )
    told = run("streams", "tail", streams.name, "from", "--json").stdout
    assert append(streams, "to", told, "--events", "--type", "U") == (0, ["0", "1"], "")
    read = [(event.data, event.type, event.event_id, event.metadata) for event in streams["to"].read()]
    assert read == [({"a": 1}, "T", "e-1", {"m": None}), ("x", "U", "e-2", None)]
    assert append(streams, "to", told, "--events", "--batch") == (0, ["0", "1"], "")  # they are there already
    assert streams["to"].version == 1


@pytest.mark.parametrize(
    ("line", "options", "said"),
    [
        ("nope", [], "line 3 is not JSON: Expecting value at column 1"),
        ('{"a": }', [], "line 3 is not JSON"),
        ("NaN", [], "line 3 cannot be read: NaN is not a number that JSON has"),
        ("9" * 5000, [], "line 3 cannot be read"),
        ("[" * 100_000, [], "line 3 is nested too deep"),
        (b"\xff", [], "line 3 is not UTF-8 (byte 1)"),
        (b'\xef\xbb\xbf"bom"', [], "line 3 is not JSON"),
        (b"\xef\xbb\xbf", [], "line 3 is not JSON"),
        ('"\\ud800"', [], "line 3: data is '\\ud800'"),
        (f'"{"x" * 600}"', [], "line 3: "),
        ("3", ["--events"], "line 3 is 3; expected an object of some of data, type, event_id, metadata"),
        ('{"dato": 1}', ["--events"], "line 3 has 'dato'; expected an object"),
        ('{"event_id": 5}', ["--events"], "line 3: event_id is 5"),
        ('{"type": [1]}', ["--events"], "line 3: type is [1]"),
        (f'{{"type": "{"x" * 65}"}}', ["--events"], "line 3: type"),
    ],
)
@pytest.mark.parametrize("batch", [False, True])
def test_a_line_that_is_refused_ends_it(
    streams: StreamStore, line: str | bytes, options: list[str], said: str, batch: bool
) -> None:
    good = b"{}\n" * 2
    given = good + (line if isinstance(line, bytes) else line.encode()) + b"\n{}\n"
    code, versions, message = append(streams, "new", given, *options, *["--batch"] * batch)
    if batch:
        assert (code, versions, streams["new"].version) == (1, [], -1)
        assert message.endswith("nothing was appended\n") or "nothing was appended" in message
        assert f"shmstore-inspect: {said}" in message
    else:
        assert (code, versions, streams["new"].version) == (1, ["0", "1"], 1)
        assert f"shmstore-inspect: {said}" in message
        assert message.endswith("; the lines before were appended, line 2 as version 1\n")


def test_what_is_wrong_with_a_batch_is_told_by_its_line(streams: StreamStore) -> None:
    """Not by its number in the batch: empty lines are no events."""
    code, _, message = append(streams, "new", '{"event_id": "a"}\n\n{"event_id": "a"}\n', "--events", "--batch")
    assert code == 1 and message.startswith("shmstore-inspect: line 3: two events have the event_id 'a'")


def test_of_a_batch_no_more_lines_are_read_than_tell_that_it_is_too_long(streams: StreamStore) -> None:
    code, _, message = append(streams, "new", "1\n" * 51 + "nope\n", "--batch")
    assert code == 1 and message.startswith("shmstore-inspect: 51 events at once are more than a partition keeps")
    assert message.endswith("; nothing was appended\n") and "new" not in streams


def test_nothing_is_said_to_be_appended_before_a_first_bad_line(streams: StreamStore) -> None:
    code, versions, message = append(streams, "new", "\nnope\n")
    assert (code, versions) == (1, []) and message.startswith("shmstore-inspect: line 2 is not JSON")
    assert message.endswith("; nothing was appended\n") and "new" not in streams


def test_expectations_hold_from_line_to_line(streams: StreamStore) -> None:
    assert append(streams, "new", "1\n2\n", "--expected-version", "no_stream") == (0, ["0", "1"], "")
    assert append(streams, "new", "3\n4\n", "--expected-version", "1") == (0, ["2", "3"], "")
    assert append(streams, "new", "5\n6\n", "--expected-version", "exists", "--batch") == (0, ["4", "5"], "")
    assert append(streams, "new", "7\n", "--expected-version", "ANY") == (0, ["6"], "")
    for wrong, options in (("-1", []), ("5", []), ("no_stream", ["--batch"])):
        code, versions, message = append(streams, "new", "8\n9\n", "--expected-version", wrong, *options)
        assert (code, versions, message.count("nothing was appended")) == (1, [], 1), message
    code, _, message = append(streams, "other", "8\n", "--expected-version", "exists")
    assert code == 1 and "expected EXISTS" in message and streams["new"].version == 6


def test_the_same_lines_can_be_given_once_more(streams: StreamStore) -> None:
    lines = [json.dumps({"data": number, "event_id": f"e-{number}"}) for number in range(5)]
    options = ["--events", "--expected-version", "no_stream"]
    assert append(streams, "new", "\n".join([*lines[:3], "torn", *lines[3:]]), *options)[:2] == (1, ["0", "1", "2"])
    assert append(streams, "new", "\n".join(lines), *options) == (0, ["0", "1", "2", "3", "4"], "")
    assert [event.data for event in streams["new"].read()] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("wrong", ["x", "-2", "1.5", ""])
def test_an_expectation_that_is_none_is_a_usage_error(streams: StreamStore, wrong: str) -> None:
    code, _, message = append(streams, "new", "1\n", f"--expected-version={wrong}")
    assert code == 2 and "is not any, no_stream, exists or a version" in message


def test_whoever_stops_reading_is_told_what_was_appended(streams: StreamStore) -> None:
    command = [*INSPECT, "streams", "append", streams.name, "new"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        _, message = process.communicate(b"1\n2\n3\n", timeout=LIMIT_S)
    assert process.returncode == 1 and b"all lines up to 1 were appended" in message
    assert streams["new"].version == 0
