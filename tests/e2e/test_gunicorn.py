"""gunicorn's workers share metrics: every scrape of any worker is whole and exact, whatever becomes of workers."""

import http.client
import os
import re
import signal
import threading
from functools import partial
from pathlib import Path

import psutil
import pytest

import shmstore
from tests.helpers.served import APPLICATION, Gunicorn, Samples

KILLS = 10  # of each kind of workers
ORDERS = "orders_total{a}"


def configuration(name: str, **options: object) -> str:
    named = "".join(f", {option}={value!r}" for option, value in {"unlink": True, "series": 200, **options}.items())
    return f"from shmstore.gunicorn import *\nshare_metrics({name!r}{named})\n"


def is_whole(samples: Samples) -> bool:
    """Whether the count of a histogram is that of its buckets, and its sum fits them."""
    count = samples["sizes_count{}"]
    return count == samples["sizes_bucket{+Inf}"] == samples["sizes_bucket{10.0}"] and samples["sizes_bucket{1.0}"] == 0


def workers_of(server: Gunicorn) -> list[int]:
    return [child.pid for child in psutil.Process(server.pid).children()]


def is_replaced(server: Gunicorn, worker: int) -> bool:
    """Has the master reaped it, and begun another of the two?"""
    workers = workers_of(server)
    return worker not in workers and len(workers) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("--worker-class", "sync"),
        ("--worker-class", "sync", "--preload"),
        ("--worker-class", "gthread", "--threads", "2"),
        ("--worker-class", "gthread", "--threads", "2", "--preload"),
        ("--worker-class", "gevent"),
    ],
    ids=" ".join,
)
def test_any_worker_tells_what_all_have_counted(tmp_path: Path, name: str, arguments: tuple[str, ...]) -> None:
    with Gunicorn(tmp_path, configuration(name), *arguments) as server:
        server.until(lambda: server.value("gunicorn_workers{}") == 2)
        before = server.value(ORDERS)
        used = server.ask(30)
        server.get("/fails")
        for _ in range(4):
            samples = server.scrape()
            assert samples[ORDERS] == before + 30 and is_whole(samples)
            assert samples["http_requests_total{GET,/,200}"] == 30
            assert samples["http_requests_total{GET,/fails,500}"] == 1
            assert samples["http_exceptions_total{GET,/fails,KeyError}"] == 1
            assert samples["http_requests_in_flight{}"] == 1  # the scrape itself
            assert samples["gunicorn_requests_total{200}"] >= 30
            assert samples["gunicorn_requests_total{500}"] == 1
            assert samples["gunicorn_request_duration_seconds_count{}"] >= 31
            assert samples["gunicorn_requests_in_flight{}"] == 1
        assert used <= set(workers_of(server))
        assert server.stop() == 0
    assert name not in os.listdir("/dev/shm")


def test_workers_that_are_recycled_lose_nothing(tmp_path: Path, name: str) -> None:
    with Gunicorn(tmp_path, configuration(name), "--max-requests", "5") as server:
        used = server.ask(20)
        server.until(lambda: server.value("gunicorn_worker_exits_total{max_requests}") >= 3)
        samples = server.scrape()
        assert samples[ORDERS] == 20 and is_whole(samples) and len(used) >= 3
        assert not [key for key in samples if key.startswith("gunicorn_worker_exits_total") and "max" not in key]


def test_new_workers_of_a_reload_go_on_counting(tmp_path: Path, name: str) -> None:
    with Gunicorn(tmp_path, configuration(name)) as server:
        server.ask(10)
        before = set(workers_of(server))
        server.send(signal.SIGHUP)
        server.until(lambda: not before & set(workers_of(server)))
        assert not before & server.ask(10)
        server.until(lambda: server.value("gunicorn_worker_exits_total{stopped}") == 2)
        samples = server.scrape()
        assert samples[ORDERS] == 20 and samples["gunicorn_workers{}"] == 2


class Load:
    """Requests from several threads, each counted when it begins and when it is answered."""

    def __init__(self, server: Gunicorn) -> None:
        self.begun = self.answered = 0
        self._server = server
        self._lock = threading.Lock()
        self._stopping = False
        self._threads = [threading.Thread(target=self._run) for _ in range(3)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        while not self._stopping:
            with self._lock:
                self.begun += 1
            try:
                self._server.get()
            except (OSError, http.client.HTTPException):
                continue  # its worker was killed
            with self._lock:
                self.answered += 1

    def stop(self) -> None:
        self._stopping = True
        for thread in self._threads:
            thread.join()


@pytest.mark.parametrize("arguments", [(), ("--worker-class", "gthread", "--threads", "2", "--preload")], ids=" ".join)
def test_killed_workers_lose_nothing_and_fail_no_scrape(tmp_path: Path, name: str, arguments: tuple[str, ...]) -> None:
    with Gunicorn(tmp_path, configuration(name, coordinator=True), *arguments) as server:
        load = Load(server)
        try:
            last: Samples = {}
            for kill in range(KILLS):
                workers = workers_of(server)
                victim = workers[kill % len(workers)]
                os.kill(victim, signal.SIGKILL)
                answered = load.answered
                samples = server.scrape()
                begun = load.begun
                assert answered <= samples.get(ORDERS, 0) <= begun and is_whole(samples)
                fallen = [key for key in last if re.search("_total|_count|_bucket", key) and samples[key] < last[key]]
                assert fallen == []
                last = samples
                server.until(partial(is_replaced, server, victim))
        finally:
            load.stop()
        server.until(lambda: server.value("gunicorn_workers{}") == 2)
        samples = server.scrape()
        assert load.answered <= samples[ORDERS] <= load.begun
        assert samples["gunicorn_worker_exits_total{killed}"] == KILLS
        assert samples["http_requests_in_flight{}"] == samples["gunicorn_requests_in_flight{}"] == 1


def test_a_worker_that_takes_too_long_is_counted_as_such(tmp_path: Path, name: str) -> None:
    with Gunicorn(tmp_path, configuration(name), "--timeout", "1") as server:
        with pytest.raises((OSError, http.client.HTTPException, AssertionError)):
            server.get("/hang")
        server.until(lambda: server.value("gunicorn_worker_exits_total{timeout}") == 1)
        assert server.value("http_exceptions_total{GET,/hang,SystemExit}") == 1


def test_two_masters_of_one_name_count_together(tmp_path: Path, name: str) -> None:
    with Gunicorn(tmp_path, configuration(name)) as server:
        server.ask(10)
        server.send(signal.SIGUSR2)
        server.until(lambda: server.value("gunicorn_workers{}") == 4)
        newer = psutil.Process(int((tmp_path / "pid.2").read_text()))
        server.ask(10)
        assert server.stop() == 0
        assert name in os.listdir("/dev/shm")  # the newer master has it
        used = server.ask(10)
        assert used <= {child.pid for child in newer.children()}
        samples = server.scrape()
        assert samples[ORDERS] == 30 and samples["gunicorn_workers{}"] == 2
        newer.terminate()
        newer.wait(30)
    assert name not in os.listdir("/dev/shm")


def test_what_a_killed_master_has_counted_goes_on(tmp_path: Path, name: str) -> None:
    with Gunicorn(tmp_path, configuration(name), "--timeout", "4") as server:  # half of it, and workers look around
        server.ask(10)
        orphans = [psutil.Process(pid) for pid in workers_of(server)]
        server.kill()
        psutil.wait_procs(orphans, 30)
    assert name in os.listdir("/dev/shm")
    (tmp_path / "pid").unlink()
    with Gunicorn(tmp_path, configuration(name)) as server:
        server.until(lambda: server.value("gunicorn_workers{}") == 2)
        assert server.value(ORDERS) == 10


def test_no_hook_is_needed(tmp_path: Path, name: str) -> None:
    application = f"{APPLICATION}\nmetrics.configure({name!r}, series=200)\n"
    with Gunicorn(tmp_path, "", application=application) as server:
        server.ask(10)
        os.kill(workers_of(server)[0], signal.SIGKILL)
        server.until(lambda: len(workers_of(server)) == 2)
        server.ask(10)
        samples = server.scrape()
        assert samples[ORDERS] == 20 and samples["http_requests_in_flight{}"] == 1
    shmstore.unlink(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_workers_of_another_user_count(tmp_path: Path, name: str) -> None:
    arguments = ("--preload", "--user", "65534", "--group", "65534", "--worker-tmp-dir", "/dev/shm")
    with Gunicorn(tmp_path, configuration(name), *arguments) as server:
        server.ask(10)
        assert server.value(ORDERS) == 10
        status = os.stat(f"/dev/shm/{name}")
        assert (status.st_gid, status.st_mode & 0o777) == (65534, 0o660)
