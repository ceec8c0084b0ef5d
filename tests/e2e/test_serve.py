"""`shmstore-serve` as a process: what it answers, what it says, how it ends."""

import json
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

import pytest

import shmstore
from shmstore.cli.serve import build_parser
from shmstore.http.client import EventStoreClient
from tests.helpers.processes import eventually
from tests.helpers.shmstore_serve import ENVIRONMENT, LIMIT_S, SERVE, serving

SMALL = ("--capacity", "1000", "--partitions", "1", "--port", "0")


class Value(shmstore.Record):
    value: float


def run(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    environment = {**ENVIRONMENT, **variables}
    return subprocess.run([*SERVE, *arguments], capture_output=True, encoding="utf-8", env=environment, timeout=LIMIT_S)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_a_signal_comes(name: str, number: signal.Signals) -> None:
    with serving("--name", name, *SMALL) as service:
        assert service.first_line == f"shmstore-serve: {name} at http://127.0.0.1:{service.port}\n"
        assert service.request("GET", "/health") == (200, "OK")
        status, answer = service.request("POST", "/streams/orders", '{"valor": 1.5}')
        assert (status, answer["version"]) == (202, 0)
        with shmstore.open_streams(name) as store:
            assert store["orders"].version == 0
        assert service.end(number) == (0, "", "")


def test_two_serve_one_store(name: str) -> None:
    with serving("--name", name, *SMALL) as one, serving("--name", name, *SMALL) as other:
        assert one.port != other.port
        assert [each.request("POST", "/streams/a", "1")[1]["version"] for each in (one, other, one)] == [0, 1, 2]
        assert len(other.request("GET", "/streams/a")[1]) == 3
        assert one.end()[0] == 0
        assert other.request("POST", "/streams/a", "1")[1]["version"] == 3
        assert other.end()[0] == 0


def test_a_request_on_its_way_is_answered_and_a_follower_not_waited_for(name: str) -> None:
    body = b'{"valor": 1}'
    opening = b"POST /streams/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    with serving("--name", name, *SMALL) as service:
        service.request("POST", "/streams/a", "1")
        with (
            socket.create_connection(("127.0.0.1", service.port), timeout=LIMIT_S) as half,
            socket.create_connection(("127.0.0.1", service.port), timeout=LIMIT_S) as follower,
        ):
            follower.sendall(b"GET /streams/a?follow=true&from=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert follower.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
            half.sendall(opening + body[:5])
            assert service.request("GET", "/health") == (200, "OK")  # so the half was read before
            service.process.terminate()
            assert eventually(lambda: _is_refused(service.port))
            began = time.monotonic()
            half.sendall(body[5:])
            answer = half.makefile("rb").read()
            assert service.process.wait(LIMIT_S) == 0
            assert time.monotonic() - began < 1.0
    assert answer.startswith(b"HTTP/1.1 202 ") and b"Connection: close\r\n" in answer


def _is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_port_in_use(name: str) -> None:
    with serving("--name", name, *SMALL) as service:
        done = run("--name", name, "--port", str(service.port))
        assert (done.returncode, done.stdout) == (1, "")
        message = f"shmstore-serve: cannot listen at 127.0.0.1:{service.port}: address already in use\n"
        assert done.stderr == message


def test_variables_stand_in_for_options(name: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    variables = {"NAME": f"{name}-other", "PORT": "0", "CAPACITY": "100", "PARTITIONS": "1", "READ_TOKEN": "secret"}
    variables |= {"ACCESS_LOG": str(log), "THREADS": "2", "BODY_LIMIT": "10"}
    with serving("--name", name, **{f"SHMSTORE_{key}": value for key, value in variables.items()}) as service:
        assert f" {name} at " in service.first_line
        assert service.request("GET", "/streams")[0] == 401
        assert service.request("GET", "/streams", Authorization="Bearer secret") == (200, {"streams": []})
        assert service.request("POST", "/streams/a", '"12345678901"', Authorization="Bearer secret")[0] == 413
        assert service.end()[0] == 0
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert sorted((line["method"], line["path"], line["status"]) for line in lines) == [
        *(("GET", "/streams", 200), ("GET", "/streams", 401), ("POST", "/streams/a", 413)),  # each behind its answer
    ]
    assert "secret" not in log.read_text()


def test_the_log_may_go_to_stdout(name: str) -> None:
    with serving("--name", name, *SMALL, "--access-log", "-") as service:
        service.request("GET", "/health", **{"X-Request-Id": "abc"})
        code, output, _ = service.end()
    line = json.loads(output)
    assert code == 0 and (line["status"], line["requestId"], line["remote"]) == (200, "abc", "127.0.0.1")


@pytest.mark.parametrize("log", [(), ("--access-log", "-")])
def test_a_hangup_with_no_file_to_open_anew_ends_nothing(name: str, log: tuple[str, ...]) -> None:
    with serving("--name", name, *SMALL, *log) as service:
        service.process.send_signal(signal.SIGHUP)
        assert service.request("GET", "/health") == (200, "OK")
        assert service.end()[0] == 0


def test_at_a_terminal_a_hangup_ends_it_in_order(name: str) -> None:
    master, terminal = os.openpty()
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests by nohup has it ignored
    try:
        with serving("--name", name, *SMALL, stdin=terminal) as service:
            service.process.send_signal(signal.SIGHUP)
            assert service.process.wait(LIMIT_S) == 0
    finally:
        signal.signal(signal.SIGHUP, before)
        os.close(master)
        os.close(terminal)


def test_a_store_that_exists_is_compared_with_what_was_asked_for_alone(name: str) -> None:
    with serving("--name", name, *SMALL) as service:
        assert service.end()[0] == 0
    with serving("--name", name, "--port", "0") as service:
        assert service.first_line.startswith(f"shmstore-serve: {name} at http://")
        assert service.end()[2] == ""
    command = [*SERVE, "--name", name, "--port", "0", "--capacity", "7"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8", env=ENVIRONMENT) as process:
        assert process.stderr is not None
        told = [process.stderr.readline() for _ in range(3)]
        process.terminate()
    assert told[0].startswith(
        f"shmstore-serve: streams {name!r} exist and keep their own options: capacity is 1000, not 7"
    )
    assert told[1].startswith(f"shmstore-serve: store '{name}-records' exists") and " at http://" in told[2]


def test_a_log_that_is_rotated_goes_on_in_a_new_file(name: str, tmp_path: Path) -> None:
    log, old = tmp_path / "log", tmp_path / "log.1"
    with serving("--name", name, *SMALL, "--access-log", str(log)) as service:
        service.request("GET", "/health")
        assert eventually(lambda: "/health" in log.read_text())  # which is written behind the answer
        log.rename(old)
        service.process.send_signal(signal.SIGHUP)
        assert eventually(log.exists)
        service.request("GET", "/streams")
        assert eventually(lambda: "/streams" in log.read_text())
        log.rename(tmp_path / "log.2")

        def is_noticed() -> bool:
            service.request("GET", "/ready")
            return log.exists()

        assert eventually(is_noticed)
        assert service.end()[0] == 0
    assert [json.loads(line)["path"] for line in old.read_text().splitlines()] == ["/health"]
    assert json.loads((tmp_path / "log.2").read_text().splitlines()[0])["path"] == "/streams"
    assert {json.loads(line)["path"] for line in log.read_text().splitlines()} == {"/ready"}


def test_it_may_listen_at_a_path_where_nobody_is_local(name: str, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    arguments = ("--name", name, *SMALL, "--unix", str(path))
    url = f"http+unix://{quote(str(path), safe='')}"
    with serving(*arguments, "--admin-token", "secret") as service:
        assert service.first_line == f"shmstore-serve: {name} at unix:{path}\n"
        with EventStoreClient(url) as client:
            assert client.append("orders", {"valor": 1}) == 0
        assert run(*arguments).stderr == f"shmstore-serve: cannot listen at unix:{path}: address already in use\n"
        service.process.kill()  # which leaves the socket
    with serving(*arguments) as service:
        with EventStoreClient(url) as client:
            assert client.version("orders") == 0
            following = client.follow("orders")
            assert next(following).data == {"valor": 1}
            following.close()
        for header in ("Host: localhost", "Host: 127.0.0.1"):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(LIMIT_S)
                connection.connect(str(path))
                connection.sendall(f"POST /admin/clear HTTP/1.1\r\n{header}\r\n\r\n".encode())
                assert connection.recv(100).startswith(b"HTTP/1.1 403 ")
        assert service.end()[0] == 0
    assert not path.exists()


@pytest.mark.parametrize(
    ("arguments", "variables", "code"),
    [
        (["--port", "65536"], {}, 2),
        (["--threads", "0"], {}, 2),
        (["--capacity", "no"], {}, 2),
        (["--name", "a/b", "--port", "0"], {}, 2),
        (["orders"], {}, 2),
        ([], {"SHMSTORE_PORT": "http"}, 2),
        ([], {"SHMSTORE_THREADS": "0"}, 2),
    ],
)
def test_what_cannot_be_served(name: str, arguments: list[str], variables: dict[str, str], code: int) -> None:
    done = run("--name", name, *arguments, **variables)
    messages = done.stderr
    assert (done.returncode, done.stdout) == (code, "") and messages.splitlines()[-1].startswith("shmstore-serve: ")
    assert "unexpected" not in messages and "Errno" not in messages and all(word in messages for word in variables)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--host", "192.0.2.1", "cannot listen at 192.0.2.1:0: cannot assign requested address"),
        ("--unix", "/no/folder/socket", "cannot listen at unix:/no/folder/socket: no such file or directory"),
        ("--access-log", "/no/folder/log", "the log '/no/folder/log' cannot be opened: No such file or directory"),
    ],
)
def test_what_the_system_refuses(name: str, option: str, value: str, message: str) -> None:
    done = run("--name", name, "--port", "0", option, value)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"shmstore-serve: {message}\n")


def test_another_kind_of_store(name: str) -> None:
    with shmstore.create(name, Value, capacity=10, partitions=1):
        done = run("--name", name, "--port", "0")
    assert done.returncode == 4 and done.stderr.count("\n") == 1 and "streams" in done.stderr


def test_help_and_completion_and_version() -> None:
    help_text = build_parser().format_help()
    for option in ("name", "capacity", "partitions", "event-size", "host", "port", "admin-token", "read-token"):
        assert f"--{option} " in help_text
    assert "complete -F" in run("--completion", "bash").stdout
    assert re.fullmatch(r"shmstore-serve \d+\.\d+.*\n", run("--version").stdout)
