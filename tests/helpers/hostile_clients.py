"""Clients that send anything to a real server of the service, and good clients beside them that must not notice.

At the end the server must be as it was: the same processes, no descriptor, thread or memory more, nothing that failed
told in its log, and each append that was acknowledged there once.
"""

import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import psutil

import shmstore
from shmstore.http.client import EventStoreClient
from tests.helpers.bad_http import BODY_LIMIT, bad, good, mutated, pieces
from tests.helpers.processes import Child, eventually, shared_numbers
from tests.helpers.served import Gunicorn
from tests.helpers.shmstore_serve import serving

SERVERS = ("shmstore-serve", "gunicorn")
SERVICE = "from shmstore.http.service import app\n"
ALLOWED = {501, 503, 505, 507}  # not implemented by HTTP, not now, another HTTP, no room: all documented
STUCK_S = 20.0
REST_S = 5.0  # in which a server lets go of clients that have gone
GROWTH = 48 << 20
"""Bytes that memory may grow by: that of buffers that an allocator keeps."""

_OF_STORES = 6  # descriptors of a process: of streams, records, and metrics
_ATTACKERS, _GOOD = 2, 2
_WARM_UP = 0.2  # of all requests
_STATUS = re.compile(rb"HTTP/1\.1 ([0-9]{3}) [^\r\n]*\r\n")
_SENT, _STUCK = 0, 1  # below them, for each status how often it came
_SIZES = {"CAPACITY": "20000", "PARTITIONS": "1", "BODY_LIMIT": str(BODY_LIMIT), "EVENT_SIZE": "1000"}


@dataclass
class Target:
    """A server of a store, and what it may take."""

    name: str
    port: int
    pid: int
    opened_later: int  # descriptors, by workers at their first request
    most_threads: int
    most_idle: int  # clients that stop within a request
    said: Callable[[], Iterator[str]]  # its log

    def pids(self) -> list[int]:
        return sorted([self.pid, *(child.pid for child in psutil.Process(self.pid).children())])


@dataclass
class Found:
    """What a run has got; `wrong` says in words what did not hold."""

    requests: int = 0
    acknowledged: int = 0
    refused: int = 0
    answered: int = 0
    failed: int = 0
    stuck: int = 0
    descriptors_grown: int = 0
    threads_grown: int = 0
    growth_bytes: int = 0
    wrong: list[str] = field(default_factory=list)


@contextmanager
def target(kind: str, name: str, folder: Path, application: str = SERVICE) -> Iterator[Target]:
    """A server of one of these kinds; gunicorn's may serve another application."""
    variables = {f"SHMSTORE_{key}": value for key, value in {"NAME": name, **_SIZES}.items()}
    if kind == "gunicorn":  # whose thread waits for a client that stops in the middle, until that goes
        threads = ("--worker-class", "gthread", "--threads", "4", "--bind", "127.0.0.1:0")
        with Gunicorn(folder, "", *threads, application=application, **variables) as server:
            found = re.search(r"http://127\.0\.0\.1:([0-9]+)", server.said())
            assert found, server.said()
            yield Target(
                name,
                int(found[1]),
                server.pid,
                2 * _OF_STORES,
                1 + 2 * (4 + 3),
                0,
                lambda: iter(server.said().splitlines()),
            )
        return
    log = folder / "log"
    with serving("--port", "0", "--threads", "8", "--access-log", str(log), **variables) as service:
        yield Target(name, service.port, service.process.pid, 0, 8 + 2, 40, lambda: _lines(log))
        assert service.end()[0] == 0


def _lines(path: Path) -> Iterator[str]:
    with open(path, encoding="utf-8") as file:
        yield from file


def attack(target: Target, requests: int, seed: int, look: Callable[[Found], object] = lambda found: None) -> Found:
    """Send so many requests, beside clients that append and read."""
    found = Found()
    _attack(target, int(requests * _WARM_UP), f"{seed}/warm", found, look)
    before, pids = _figures(target), target.pids()
    _attack(target, requests - found.requests, f"{seed}/run", found, look)
    found.descriptors_grown, found.threads_grown, found.growth_bytes = _grown(target, before)
    if target.pids() != pids:
        found.wrong.append(f"the processes were {pids}, and are {target.pids()}")
    if found.descriptors_grown or found.threads_grown or found.growth_bytes > GROWTH:
        found.wrong.append(f"descriptors, threads and bytes grew from {before} to {_figures(target)}")
    told = [line for line in target.said() if "Traceback" in line]
    if told:
        found.wrong.append(f"the log has {len(told)} tracebacks: {told[0][:2000]}")
    return found


def _attack(target: Target, requests: int, seed: str, found: Found, look: Callable[[Found], object]) -> None:
    counts = [shared_numbers(600) for _ in range(_ATTACKERS)]
    share = -(-requests // _ATTACKERS)
    children = [
        Child(lambda at=at: _send(target, share, Random(f"{seed}/{at}"), counts[at])) for at in range(_ATTACKERS)
    ]
    ends = threading.Event()
    goods = [_Good(target, f"{seed}/{at}", ends) for at in range(_GOOD)]
    before = (found.requests, found.acknowledged)
    try:
        while sum(child.is_over() for child in children) < len(children):
            found.requests = before[0] + sum(count[_SENT] for count in counts)
            look(found)
            time.sleep(0.05)
    finally:
        ends.set()
        for child in children:
            child.kill()
        for each in goods:
            each.thread.join()
    found.requests = before[0] + sum(count[_SENT] for count in counts)
    found.acknowledged = before[1] + sum(each.acknowledged for each in goods)
    found.stuck += sum(count[_STUCK] for count in counts)
    for count in counts:
        by_status = {status: count[status] for status in range(100, 600) if count[status]}
        found.answered += sum(by_status.values())
        found.refused += sum(times for status, times in by_status.items() if 400 <= status < 500)
        failed = {status: times for status, times in by_status.items() if status >= 500 and status not in ALLOWED}
        found.failed += sum(failed.values())
        found.wrong += [f"{times} answers were {status}" for status, times in failed.items()]
    found.wrong += [f"an attacker ended with {child.code}" for child in children if child.code]
    found.wrong += [what for each in goods for what in each.wrong]
    if found.stuck:
        found.wrong.append(f"{found.stuck} connections got nothing for {STUCK_S:.0f} s")


# -- good clients


class _Good:
    """Appends numbers to a stream of its own, each of which must get the version that it is, and reads them back."""

    def __init__(self, target: Target, name: str, ends: threading.Event) -> None:
        self.acknowledged = 0
        self.wrong: list[str] = []
        self._target, self._stream, self._ends = target, f"good/{name}", ends
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            with EventStoreClient(f"http://127.0.0.1:{self._target.port}", timeout=STUCK_S, retries=8) as client:
                while not self._ends.is_set() and not self.wrong:
                    self._append_and_read(client)
            with shmstore.attach_streams(self._target.name) as streams:
                last = streams[self._stream].version
            if last != self.acknowledged - 1:
                self.wrong.append(f"{self.acknowledged} appends were acknowledged, and the last version is {last}")
        except Exception as error:
            self.wrong.append(f"a good client got {error!r}")

    def _append_and_read(self, client: EventStoreClient) -> None:
        first = self.acknowledged
        several = list(range(first, first + 5))
        versions = client.append_many(self._stream, several, expected_version=first - 1)
        versions += [client.append(self._stream, number) for number in range(first + 5, first + 15)]
        self.acknowledged += len(versions)
        read = [(event.version, event.data) for event in client.read(self._stream, first)]
        expected = [(number, number) for number in range(first, first + 15)]
        if versions != [number for number, _ in expected] or read != expected:
            self.wrong.append(f"versions {versions} were acknowledged from {first} on, and {read} read")


# -- attackers


def _send(target: Target, requests: int, dice: Random, counts: memoryview) -> None:
    """Send so many requests, over one connection after the other."""
    idle: list[socket.socket] = []
    while counts[_SENT] < requests:
        try:
            connection = socket.create_connection(("127.0.0.1", target.port), timeout=STUCK_S)
        except OSError:
            time.sleep(0.01)  # the backlog is full
            counts[_STUCK] += dice.random() < 0.0001
            continue
        if _is_left_open(connection, dice, counts):
            idle.append(connection)
            if len(idle) > target.most_idle // _ATTACKERS:
                idle.pop(dice.randrange(len(idle))).close()
        else:
            connection.close()
    for connection in idle:
        connection.close()


def _is_left_open(connection: socket.socket, dice: Random, counts: memoryview) -> bool:
    """Do something to a connection. Returns whether it shall stay open, with a request half sent."""
    kind, many = dice.random(), dice.choice((1, 2, 5, 20, 40))
    sent = [good(dice) if dice.random() < 0.4 else bad(dice) for _ in range(many)]
    if kind < 0.3:
        at = dice.randrange(many)
        sent[at] = mutated(dice, sent[at])
    elif kind < 0.33:
        sent = [dice.randbytes(dice.choice((1, 10, 1000)))]
    elif kind < 0.35:
        sent.append(b"GET /streams/a?follow=true HTTP/1.1\r\nHost: localhost\r\n\r\n")
    data = b"".join(sent)
    if kind > 0.85:  # it is cut off
        data = data[: dice.randrange(len(data))]
    counts[_SENT] += len(sent)
    try:
        for piece in pieces(dice, data):
            connection.sendall(piece)
    except OSError:
        return False  # what was wrong came early
    if kind > 0.97:
        return True
    if kind > 0.9:
        if kind > 0.93:  # without a farewell
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False
    _read(connection, counts)
    return False


def _read(connection: socket.socket, counts: memoryview) -> None:
    data = b""
    try:
        connection.shutdown(socket.SHUT_WR)
        while part := connection.recv(1 << 18):
            data += part
    except TimeoutError:
        counts[_STUCK] += 1
    except OSError:
        pass  # it did not want to hear all
    for status in _STATUS.findall(data):
        counts[int(status)] += 1


# -- the server


def _figures(target: Target) -> tuple[int, int, int]:
    """Descriptors, threads, and bytes that no other process has, of all its processes."""
    found = [psutil.Process(pid) for pid in target.pids()]
    return (
        sum(each.num_fds() for each in found),
        sum(each.num_threads() for each in found),
        sum(each.memory_full_info().uss for each in found),
    )


def _grown(target: Target, before: tuple[int, int, int]) -> tuple[int, int, int]:
    """How much more there is than before, when the clients are gone."""

    def grown() -> list[int]:
        bounds = before[0] + target.opened_later, max(before[1], target.most_threads), before[2]
        return [max(0, now - bound) for now, bound in zip(_figures(target), bounds, strict=True)]

    def is_as_before() -> bool:
        time.sleep(0.05)
        return not any(grown()[:2])

    with suppress(psutil.NoSuchProcess):
        eventually(is_as_before, REST_S)
    descriptors, threads, size = grown()
    return descriptors, threads, size
