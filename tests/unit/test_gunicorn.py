"""The hooks for gunicorn, one by one; tests/e2e/test_gunicorn.py has the real ones."""

import logging
import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

import shmstore
from shmstore import errors, metrics
from tests.helpers.processes import Child


def alone(action: Callable[[Any, Any], None], proc_name: str) -> None:
    """Run it in a process of its own, with the hooks and a server whose process is called so."""

    def run() -> int:
        from shmstore import gunicorn  # its metrics are declared here, and not for other tests

        given = {"proc_name": SimpleNamespace(get=lambda: proc_name)}
        configuration = SimpleNamespace(proc_name=proc_name, gid=os.getegid(), settings=given)
        server = SimpleNamespace(cfg=configuration, WORKERS={}, log=logging.getLogger("gunicorn"))
        action(gunicorn, server)
        return 0

    with Child(run) as child:
        assert child.wait() == 0


class Worker(SimpleNamespace):
    """What the hooks ask of a worker."""

    __hash__ = object.__hash__

    def __init__(self, **has: Any) -> None:
        super().__init__(**{"pid": os.getpid(), "aborted": False, "nr": 0, "max_requests": 100, **has})


def exits(cause: str) -> float | None:
    return metrics.REGISTRY.get_sample_value("gunicorn_worker_exits_total", {"cause": cause})


def test_the_segment_is_called_as_asked_or_as_the_process(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHMSTORE_METRICS", raising=False)

    def by_process(gunicorn: Any, server: Any) -> None:
        gunicorn.on_starting(server)
        assert name in os.listdir("/dev/shm")
        gunicorn.on_exit(server)
        assert name in os.listdir("/dev/shm")  # nobody asked to unlink it

    def by_environment(gunicorn: Any, server: Any) -> None:
        os.environ["SHMSTORE_METRICS"] = f"{name}-e"
        gunicorn.share_metrics(unlink=True)
        gunicorn.on_starting(server)
        assert f"{name}-e" in os.listdir("/dev/shm")
        gunicorn.on_exit(server)

    def by_configuration(gunicorn: Any, server: Any) -> None:
        os.environ["SHMSTORE_METRICS"] = "none"
        gunicorn.share_metrics(f"{name}-c", unlink=True, series=10)
        gunicorn.on_starting(server)
        assert f"{name}-c" in os.listdir("/dev/shm")
        gunicorn.on_exit(server)

    alone(by_process, name.replace("shmstore-", "shmstore:"))
    shmstore.unlink(name)
    alone(by_environment, "application:app")
    alone(by_configuration, "application:app")
    assert not [left for left in os.listdir("/dev/shm") if left.startswith(name)]


def test_an_application_without_a_name_is_told_from_others_of_its_uri(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHMSTORE_METRICS", raising=False)

    def action(gunicorn: Any, server: Any) -> None:
        from gunicorn.config import Config

        def called(**settings: Any) -> str:
            configuration = Config()
            for setting, value in {"default_proc_name": "app:app", **settings}.items():
                configuration.set(setting, value)
            return str(gunicorn._name(configuration))

        here = called(chdir="/")
        assert here == called(chdir="/")
        assert here.startswith("app-app-")
        others = {"chdir": "/tmp"}, {"chdir": "/", "user": os.geteuid() + 1}, {"default_proc_name": "app:other"}
        assert len({here, *(called(**other) for other in others)}) == 4
        assert called(chdir="/", proc_name="orders") == "orders"
        assert len(called(default_proc_name="a" * 300)) == len(called(proc_name="a" * 300)) == 200

    alone(action, "p")


@pytest.mark.parametrize(
    ("has", "is_told", "cause"),
    [
        ({}, True, "stopped"),
        ({"nr": 100}, True, "max_requests"),
        ({}, False, "killed"),
        ({"aborted": True}, True, "timeout"),
        ({"pid": 1}, True, "killed"),  # the hook has run in another process
    ],
)
def test_the_end_of_a_worker_is_counted_by_its_cause(name: str, has: dict[str, Any], is_told: bool, cause: str) -> None:
    def action(gunicorn: Any, server: Any) -> None:
        gunicorn.share_metrics(name, series=10, unlink=True)
        worker = Worker(**has)
        gunicorn.pre_fork(server, worker)
        if is_told:
            gunicorn.worker_exit(server, worker)
        gunicorn.child_exit(server, worker)
        assert exits(cause) == 1
        gunicorn.on_exit(server)

    alone(action, "p")


def test_a_worker_that_fails_says_so(name: str) -> None:
    def action(gunicorn: Any, server: Any) -> None:
        gunicorn.share_metrics(name, series=10, unlink=True)
        worker = Worker()
        gunicorn.pre_fork(server, worker)
        try:
            raise SystemExit(-1)
        except SystemExit:
            gunicorn.worker_exit(server, worker)
        gunicorn.child_exit(server, worker)
        gunicorn.child_exit(server, Worker())  # with another pre_fork nothing is known
        assert (exits("failed"), exits("unknown")) == (1, 1)
        gunicorn.on_exit(server)

    alone(action, "p")


def test_metrics_whose_name_was_removed_are_made_anew(name: str) -> None:
    def action(gunicorn: Any, server: Any) -> None:
        gunicorn.share_metrics(name, series=10, unlink=True)
        gunicorn.on_starting(server)
        shmstore.unlink(name)
        with pytest.warns(UserWarning, match="were removed while this process shared them"):
            gunicorn.child_exit(server, Worker())
        assert name in os.listdir("/dev/shm")
        gunicorn.on_exit(server)

    alone(action, "p")


def test_what_cannot_be_counted_stops_no_master(name: str, caplog: pytest.LogCaptureFixture) -> None:
    def action(gunicorn: Any, server: Any) -> None:
        gunicorn.share_metrics("no such/name", series=10)
        gunicorn.child_exit(server, Worker())
        assert "could not be counted" in caplog.text
        with pytest.raises(errors.InvalidName):
            gunicorn.on_starting(server)

    alone(action, name)


@pytest.mark.parametrize(
    ("environ", "resp", "status"),
    [
        ({}, SimpleNamespace(headers_sent=True, status_code=404, status="404 Not Found"), "404"),
        ({}, SimpleNamespace(headers_sent=False, status_code=200, status="200 OK"), "500"),
        ({}, None, "500"),  # it failed before there was a response
        ({}, SimpleNamespace(status=201, sent=2, headers=[]), "201"),  # of gunicorn's ASGI worker
        (None, None, "unknown"),  # the same without an access log
        ({}, SimpleNamespace(), "unknown"),
    ],
)
def test_a_request_is_counted_by_what_its_worker_tells(environ: Any, resp: Any, status: str) -> None:
    def action(gunicorn: Any, server: Any) -> None:
        request = object()
        gunicorn.pre_request(Worker(log=server.log), request)
        gunicorn.post_request(Worker(log=server.log), request, environ, resp)
        value = metrics.REGISTRY.get_sample_value
        assert value("gunicorn_requests_total", {"status": status}) == 1
        assert value("gunicorn_requests_in_flight") == 0

    alone(action, "p")


@pytest.mark.parametrize("fails", ["inc", "dec"])
def test_what_cannot_be_counted_fails_no_request(caplog: pytest.LogCaptureFixture, fails: str) -> None:
    def full() -> None:
        raise errors.SeriesTableFull("of a test")

    def action(gunicorn: Any, server: Any) -> None:
        gunicorn._in_flight = SimpleNamespace(**{"inc": lambda: None, "dec": lambda: None, fails: full})
        worker, request = Worker(log=server.log), object()
        gunicorn.pre_request(worker, request)
        gunicorn.post_request(worker, request, {}, None)
        assert caplog.text.count("could not be counted") == 1

    alone(action, "p")
