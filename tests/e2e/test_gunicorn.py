"""gunicorn's workers share metrics: every scrape of any worker is whole and exact, whatever becomes of workers."""

import http.client
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

import shmstore
from tests.helpers.effort import cases
from tests.helpers.killed_workers import ORDERS, is_replaced, is_whole, kill, kill_workers, workers_of
from tests.helpers.served import APPLICATION, Gunicorn, Samples

KILLS = cases(full=25, sample=10)  # of workers of one master
QUIET: Samples = {"http_requests_in_flight{}": 1, "gunicorn_requests_in_flight{}": 1}  # the scrape itself

ASGI_APPLICATION = """
from shmstore import metrics

exposition = metrics.make_asgi_app()

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"] == "/metrics":
        return await exposition(scope, receive, send)
    if scope["path"] == "/fails":
        raise KeyError(scope["path"])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
"""

PLANTED = {  # what is replaced in the application, by what, and what is said then
    "a request is counted twice": ('labels("a").inc()', 'labels("a").inc(2)', "are counted"),
    "a request in two is not counted": ('labels("a").inc()', 'labels("a").inc(time.time_ns() % 2)', "are counted"),
    "an observation has another value": ("sizes.observe(5)", "sizes.observe(50)", "not whole"),
    "an answer is no exposition": ("return exposition(", "return b'{', *exposition(", "failed"),
    "workers share nothing": ("", "", "are counted|have fallen"),
}


def configuration(name: str, **options: object) -> str:
    named = "".join(f", {option}={value!r}" for option, value in {"unlink": True, "series": 200, **options}.items())
    return f"from shmstore.gunicorn import *\nshare_metrics({name!r}{named})\n"


def told(server: Gunicorn, expected: Samples) -> Samples:
    """Scrape until these samples are there: what a worker counts after its answer, or after an end, may come late."""
    samples = Samples()

    def is_told() -> bool:
        samples.clear()
        samples.update(server.scrape())
        return {key: samples.get(key) for key in expected} == expected

    server.until(is_told)
    return samples


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
            counted: Samples = {
                "http_requests_total{GET,/,200}": 30,
                "http_requests_total{GET,/fails,500}": 1,
                "http_exceptions_total{GET,/fails,KeyError}": 1,
                "gunicorn_requests_total{500}": 1,
            }
            samples = told(server, {ORDERS: before + 30, **counted, **QUIET})
            assert is_whole(samples)
            assert samples["gunicorn_requests_total{200}"] >= 30
            assert samples["gunicorn_request_duration_seconds_count{}"] >= 31
        assert used <= set(workers_of(server))
        assert server.stop() == 0
    assert name not in os.listdir("/dev/shm")


@pytest.mark.parametrize(
    ("arguments", "statuses"),
    [
        ((), {"gunicorn_requests_total{unknown}": 11}),
        (("--access-logfile", "access"), {"gunicorn_requests_total{200}": 10, "gunicorn_requests_total{500}": 1}),
    ],
    ids=["without an access log", "with an access log"],
)
def test_requests_of_the_asgi_worker_have_the_status_that_it_tells(
    tmp_path: Path, name: str, arguments: tuple[str, ...], statuses: Samples
) -> None:
    options = ("--worker-class", "asgi", *arguments)
    with Gunicorn(tmp_path, configuration(name), *options, application=ASGI_APPLICATION) as server:
        before = server.scrape()
        for _ in range(10):
            server.get("/")
        server.get("/fails")
        for key, least in statuses.items():
            server.until(lambda key=key, least=least: server.value(key) - before.get(key, 0.0) >= least)  # type: ignore[misc]
        shown = {key for key in server.scrape() if key.startswith("gunicorn_requests_total{")}
        assert shown == statuses.keys()
        assert "post_request" not in server.said()


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
        told(server, {ORDERS: 20, "gunicorn_worker_exits_total{stopped}": 2, "gunicorn_workers{}": 2})


@pytest.mark.parametrize("turn", range(cases(full=10, sample=1)))
@pytest.mark.parametrize("arguments", [(), ("--worker-class", "gthread", "--threads", "2", "--preload")], ids=" ".join)
def test_killed_workers_lose_nothing_and_fail_no_scrape(
    tmp_path: Path, name: str, arguments: tuple[str, ...], turn: int, scorecard: Callable[..., None]
) -> None:
    with Gunicorn(tmp_path, configuration(name, coordinator=True), *arguments) as server:
        found = kill_workers(server, KILLS)
    scorecard(18, kills=found.kills, scrapes=found.scrapes, failed_scrapes=found.failed_scrapes, wrong=len(found.wrong))
    assert found.wrong == [] and found.kills == KILLS
    assert found.answered > 0


@pytest.mark.parametrize("error", PLANTED)
def test_an_error_in_what_is_counted_is_found(
    tmp_path: Path, name: str, error: str, scorecard: Callable[..., None]
) -> None:
    right, wrong, says = PLANTED[error]
    application, hooks = APPLICATION, ""
    if right:
        assert right in application
        application, hooks = application.replace(right, wrong), configuration(name)
    with Gunicorn(tmp_path, hooks, application=application) as server:
        found = kill_workers(server, 30)
    assert re.search(says, "\n".join(found.wrong))
    scorecard(18, planted=error)


def test_a_worker_that_takes_too_long_is_counted_as_such(tmp_path: Path, name: str) -> None:
    with Gunicorn(tmp_path, configuration(name), "--timeout", "2") as server:

        def is_counted() -> bool:
            """A worker that does not run for a while is killed before it can count, and its master counts it so."""
            with pytest.raises((OSError, http.client.HTTPException, AssertionError)):
                server.get("/hang")
            return server.value("http_exceptions_total{GET,/hang,SystemExit}") >= 1

        server.until(is_counted)
        server.until(lambda: server.value("gunicorn_worker_exits_total{timeout}") >= 1)


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
        told(server, {ORDERS: 30, "gunicorn_workers{}": 2})
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
        victim = workers_of(server)[0]
        kill(victim)
        server.until(lambda: is_replaced(server, victim))
        server.ask(10)
        told(server, {ORDERS: 20, "http_requests_in_flight{}": 1})
    shmstore.unlink(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_workers_of_another_user_count(tmp_path: Path, name: str) -> None:
    arguments = ("--preload", "--user", "65534", "--group", "65534", "--worker-tmp-dir", "/dev/shm")
    with Gunicorn(tmp_path, configuration(name), *arguments) as server:
        server.ask(10)
        assert server.value(ORDERS) == 10
        status = os.stat(f"/dev/shm/{name}")
        assert (status.st_gid, status.st_mode & 0o777) == (65534, 0o660)
