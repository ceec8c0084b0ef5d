"""The sample of gateways behind a real nginx: its account balances and can fail, and its curls show what they say."""

import http.client
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from tests.helpers import programs
from tests.helpers.nginx import DidNotStart, Nginx

ROOT = Path(__file__).resolve().parents[2]
GATEWAY = str(ROOT / "tools" / "samples" / "gateway")
README = (ROOT / "tools" / "lib" / "samples" / "gateway" / "README.md").read_text(encoding="utf-8")
SHM = Path("/dev/shm")
LIMIT_S = 60.0
ENDED = re.compile(r"gateway gw-2 \(pid \d+\) was ended by SIGKILL; it is pid \d+ now\n")

pytestmark = programs.needs("nginx")


def check(name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [GATEWAY, "--check", "--port", "0", "--name", name, *arguments]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=LIMIT_S, check=False)
    assert not (SHM / name).exists()
    return done


def test_every_order_that_was_accepted_is_there_once_though_a_gateway_was_killed(name: str) -> None:
    done = check(name)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert ENDED.search(done.stdout) and done.stdout.count("\nok  ") == 9 and "\nbalanced, in " in done.stdout
    rows = re.findall(r"^gw-\d +(\d+) +[\d,.]+ +(\d+)$", done.stdout, re.M)
    assert len(rows) == 3 and sum(int(count) for count, _ in rows) == 1000
    assert all(count == read != "0" for count, read in rows)


@pytest.mark.parametrize(
    ("mistake", "found"),
    [("twice", r"WRONG  none of them is there twice \(\d+ are\)"), ("lost", r"WRONG  each .* \(\d+ are lost\)")],
)
def test_orders_that_are_there_twice_or_not_at_all_are_found(name: str, mistake: str, found: str) -> None:
    done = check(name, "--orders", "500", "--plant", mistake)
    assert done.returncode == 1 and re.search(found, done.stdout) and "\nNOT balanced, in " in done.stdout
    assert "WRONG  /stats/global" in done.stdout


@contextmanager
def running(name: str, folder: Path) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [GATEWAY, "--port", "0", "--name", name],
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def curl(line: str) -> Any:
    """What curl shows: it may be missing, and its options are few."""
    method, body, headers, url = "GET", None, {}, ""
    words = iter(shlex.split(line)[1:])
    for word in words:
        if word == "-X":
            method = next(words)
        elif word == "-H":
            key, _, headers[key] = next(words).partition(": ")
        elif word == "-d":
            method, body = "POST", next(words)
        else:
            url = word
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=LIMIT_S)
    connection.request(method, f"{parts.path}?{parts.query}", body, headers)
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return answer


def test_one_command_starts_all_and_a_curl_each_shows_it(name: str, tmp_path: Path) -> None:
    with running(name, tmp_path) as process:
        assert process.stdout is not None and process.stderr is not None
        lines = [process.stdout.readline() for _ in range(10)]
        pids = [int(pid) for pid in re.findall(r"^gw-\d  pid (\d+)", "".join(lines), re.M)]
        curls = [line.strip() for line in lines if line.startswith("  curl ")]
        assert [re.sub(r"(127\.0\.0\.1):\d+", r"\1:8080", line) for line in curls] == re.findall(
            "^curl.*", README, re.M
        )
        order, bulk, local, every = curls
        first = curl(order)
        assert first["version"] == 0 and curl(order)["version"] == 0  # the same order
        many = curl(bulk)
        assert {key: many[key] for key in ("count", "versions")} == {"count": 50, "versions": [1, 50]}
        everything = curl(every)
        assert (everything["totalEvents"], everything["missing"]) == (51, 0)
        assert sum(total["count"] for total in everything["gateways"].values()) == 51
        taken = {}
        for _ in range(20):  # whichever answers
            answer = curl(local)
            taken[answer["gatewayId"]] = answer["count"]
        assert sum(taken.values()) == 51 and set(taken) == {"gw-1", "gw-2", "gw-3"}
        psutil.Process(pids[1]).kill()
        assert ENDED.fullmatch(process.stdout.readline())
        assert curl(every) == everything
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        _, messages = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, messages) == (143, "tools/samples/gateway: interrupted; nothing is left behind\n")
    _, alive = psutil.wait_procs(children, timeout=10)
    assert len(children) == 5 and not alive and not (SHM / name).exists()  # three gateways, nginx, its worker
    assert os.listdir(tmp_path) == []


def test_what_is_no_order_is_refused_with_a_sentence(name: str, tmp_path: Path) -> None:
    with running(name, tmp_path) as process:
        assert process.stdout is not None
        url = re.sub(r".* (http://[\d.:]+).*\n?", r"\1", [process.stdout.readline() for _ in range(4)][-1]).strip(",")
        wrong = {
            "-d x": "the body is no JSON: ",
            "-d '[1]'": "the body is no order; expected an object",
            "-d '{'": "Expecting property name",
            """-d '{"valor": NaN}'""": "the body is no order",
            """-d '{"valor": 1, "gatewayId": 7}'""": "gatewayId is 7; expected a text",
            """-d '{"valor": 1}' -H 'Idempotency-Key: %s'""" % ("x" * 65): "64",
        }
        for given, sentence in wrong.items():
            assert sentence in curl(f"curl {given} {url}/orders")["error"]
        assert "n is '0'" in curl(f"curl -X POST '{url}/orders/bulk?n=0'")["error"]
        assert "there is no GET /nothing here; there is GET /health" in curl(f"curl {url}/nothing")["error"]
        assert curl(f"curl {url}/stats/global")["totalEvents"] == 0


def test_a_port_that_is_taken_is_told(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = check(name, "--port", str(port))
    assert done.returncode == 1
    expected = f"nginx cannot listen at port {port}: somebody does; --port 0 is any that is free\n"
    assert done.stderr == f"tools/samples/gateway: {expected}"


def test_without_nginx_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(DidNotStart, match=r"nginx is not there \(on Debian: apt-get install nginx-light\)"):
        Nginx(tmp_path, 1, {}).start()


def test_an_nginx_that_does_not_start_says_why(tmp_path: Path) -> None:
    began_s = time.monotonic()
    with pytest.raises(DidNotStart, match='unknown directive "nonsense"'):
        Nginx(tmp_path, 1, {"nginx.conf": "daemon off; nonsense;"}).start()
    assert time.monotonic() - began_s < LIMIT_S
