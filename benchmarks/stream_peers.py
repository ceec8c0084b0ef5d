"""What people append versioned events to today: LMDB, SQLite and Redis, each as fast as it is without durability.

Each appends under a condition: the stream must be at a version. All keep their data in memory, in /dev/shm.
"""

import importlib.util
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Append = Callable[[int, bytes], None]
"""Appends the event of this version, or raises ConflictError."""

_MEMORY = "/dev/shm"


class ConflictError(Exception):
    """The stream is at another version."""


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="shmstore-bench-", dir=_MEMORY) as folder:
        yield Path(folder)


@contextmanager
def lmdb_append() -> Iterator[Append]:
    """LMDB: one transaction an event, never synced. Raises ImportError without the package lmdb."""
    import lmdb

    with _folder() as folder, lmdb.open(str(folder), map_size=1 << 30, sync=False, metasync=False) as environment:
        stream = b"orders"

        def append(version: int, data: bytes) -> None:
            with environment.begin(write=True) as transaction:
                newest = transaction.get(stream)
                if int.from_bytes(newest or bytes(8), "big") != version:
                    raise ConflictError
                transaction.put(stream, (version + 1).to_bytes(8, "big"))
                transaction.put(stream + version.to_bytes(8, "big"), data)

        yield append


@contextmanager
def sqlite_append() -> Iterator[Append]:
    """SQLite: a write-ahead log, never synced."""
    with _folder() as folder:
        database = sqlite3.connect(folder / "events.db", isolation_level=None)
        try:
            for command in (
                "PRAGMA journal_mode = WAL",
                "PRAGMA synchronous = OFF",
                "CREATE TABLE events (stream TEXT, version INTEGER, data BLOB, PRIMARY KEY (stream, version)) "
                "WITHOUT ROWID",
            ):
                database.execute(command)
            insert = (
                "INSERT INTO events SELECT 'orders', ?1, ?2 "
                "WHERE ?1 = (SELECT coalesce(max(version) + 1, 0) FROM events WHERE stream = 'orders')"
            )

            def append(version: int, data: bytes) -> None:
                if database.execute(insert, (version, data)).rowcount != 1:
                    raise ConflictError

            yield append
        finally:
            database.close()


REDIS_SCRIPT = """
if redis.call('LLEN', KEYS[1]) ~= tonumber(ARGV[1]) then return -1 end
return redis.call('RPUSH', KEYS[1], ARGV[2])
"""
"""Appends to a list if it is of this length. Returns the new length, or -1."""


def has_redis() -> bool:
    """Whether its server and its client are installed."""
    return shutil.which("redis-server") is not None and importlib.util.find_spec("redis") is not None


@contextmanager
def redis_server() -> Iterator[str]:
    """A server that saves nothing, on a socket of this machine; yields its path."""
    import redis

    with _folder() as folder:
        path = str(folder / "redis.sock")
        command = ["redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no"]
        # Ctrl-C is not for it: it is told to end below.
        server = subprocess.Popen([*command, "--dir", str(folder)], stdout=subprocess.DEVNULL, start_new_session=True)
        try:
            with redis.Redis(unix_socket_path=path) as client:
                _wait_for(client.ping, redis.ConnectionError)
            yield path
        finally:
            server.terminate()
            server.wait()


@contextmanager
def redis_append() -> Iterator[Append]:
    """Redis: a script, by its client for Python on a socket of the same machine."""
    import redis

    with redis_server() as path, redis.Redis(unix_socket_path=path) as client:
        script = client.register_script(REDIS_SCRIPT)

        def append(version: int, data: bytes) -> None:
            if script(keys=["orders"], args=[version, data]) != version + 1:
                raise ConflictError

        yield append


def _wait_for(answer: Callable[[], object], error: type[Exception]) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            answer()
            return
        except error:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
