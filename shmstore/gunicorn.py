"""Hooks for gunicorn: all workers share metrics, and what becomes of requests and workers is counted.

In gunicorn.conf.py::

    from shmstore.gunicorn import *

Whoever has hooks of the same names calls these in them. Metrics are exact without any hook; with them the segment is
there before the first worker, the place of a dead worker is free at once, and workers are counted.
"""

import os
import re
import sys
import time
from hashlib import sha256
from mmap import mmap
from typing import Any, Final, Unpack
from weakref import WeakKeyDictionary

from shmstore import metrics
from shmstore.arguments.calls import checked
from shmstore.coordinator import Coordinator
from shmstore.errors import ShmStoreError
from shmstore.metrics.configure import Sharing, given_sizes
from shmstore.segments import segment
from shmstore.segments.handle import Handle, attach

__all__ = [
    "child_exit",
    "on_exit",
    "on_starting",
    "post_fork",
    "post_request",
    "post_worker_init",
    "pre_fork",
    "pre_request",
    "share_metrics",
    "when_ready",
    "worker_exit",
]

_NAME: Final = "SHMSTORE_METRICS"
_MOST_CHARACTERS: Final = 200
_DIGEST_CHARACTERS: Final = 8
_GROUP_MODE: Final = 0o660
_FAREWELL_S: Final = 2.0  # for workers that were killed because they did not stop
_LOOK_AGAIN_S: Final = 0.02
_FAILED_STATUS: Final = "500"  # what gunicorn answers when there is no response
_NOT_TOLD: Final = "unknown"
_CAUSES: Final = ("killed", "stopped", "max_requests", "failed")
_KILLED, _STOPPED, _MAX_REQUESTS, _FAILED = range(len(_CAUSES))

_workers = metrics.Gauge("gunicorn_workers", "Workers that are ready", multiprocess_mode="livesum")
_exits = metrics.Counter("gunicorn_worker_exits", "Workers that have ended", ("cause",))
_requests = metrics.Counter("gunicorn_requests", "Requests that workers have handled", ("status",))
_in_flight = metrics.Gauge(
    "gunicorn_requests_in_flight", "Requests that workers are handling", multiprocess_mode="livesum"
)
_seconds = metrics.Histogram("gunicorn_request_duration_seconds", "Seconds that workers took for a request")

_began_s: dict[int, float] = {}
"""When the requests that this worker is handling began, by their ids."""

_causes: "WeakKeyDictionary[Any, mmap]" = WeakKeyDictionary()
"""A byte that a worker shares with its master, in which it says why it ends. Whoever is killed says nothing."""


class _Shared:
    """What gunicorn.conf.py asks for, and what a master has."""

    name: str | None = None
    options: Sharing = {}  # noqa: RUF012  # replaced, never changed
    wants_coordinator = False
    unlinks = False
    handle: Handle | None = None
    coordinator: Coordinator | None = None


@checked
def share_metrics(
    name: str | None = None, *, coordinator: bool = False, unlink: bool = False, **options: Unpack[Sharing]
) -> None:
    """In gunicorn.conf.py: how metrics are shared, where it is not as usual.

    name         of the segment; without one that of the environment's SHMSTORE_METRICS, or the name of the process
                 (`--name`), or that of the application with a digest of its directory and user behind it
    coordinator  whether the master repairs the dead at once, also those that are not its workers
    unlink       whether the segment is removed when the last master of this name ends as it should
    options      those of `metrics.configure`: series=, exemplars=, processes=, mode=, group=, strict=

    Raises InvalidCapacity for a size that is beyond its bounds.
    """
    given_sizes(options)
    _Shared.name, _Shared.options = name, options
    _Shared.wants_coordinator, _Shared.unlinks = coordinator, unlink


# -- in the master


def on_starting(server: Any) -> None:
    """Make the segment, or attach to that of another master (after USR2), before the first worker."""
    _attached(server.cfg)


def when_ready(server: Any) -> None:
    """Start the coordinator, if it is wanted."""
    if _Shared.wants_coordinator:
        _Shared.coordinator = Coordinator(_attached(server.cfg)).start()


def pre_fork(server: Any, worker: Any) -> None:
    """Give the worker a place to say why it ends."""
    _causes[worker] = mmap(-1, 1)


def child_exit(server: Any, worker: Any) -> None:
    """Count a worker that has ended, and free its place."""
    if worker in _causes:
        with _causes.pop(worker) as said:
            cause = "timeout" if worker.aborted else _CAUSES[said[0]]
    else:
        cause = "unknown"  # pre_fork is another hook
    try:
        _attached(server.cfg).core.reap()
        _exits.labels(cause).inc()
    except ShmStoreError:  # what counts workers must not stop them
        server.log.exception("metrics: a worker's end could not be counted")


def on_exit(server: Any) -> None:
    """Let go of the segment; remove it, if that is wanted and nobody else uses it."""
    if _Shared.coordinator is not None:
        _Shared.coordinator.stop()
    limit = time.monotonic() + _FAREWELL_S
    while server.WORKERS and time.monotonic() < limit:
        server.reap_workers()
        time.sleep(_LOOK_AGAIN_S)
    attached = _attached(server.cfg)
    is_last = all(place.pid == os.getpid() for place in attached.processes() if place.state == "alive")
    if _Shared.unlinks and is_last:
        segment.unlink(attached.name)
    attached.close()


# -- in a worker


def post_fork(server: Any, worker: Any) -> None:
    """Share the metrics of this worker: those of its master, or, should their name have been removed, new ones."""
    _configure(server.cfg)


def post_worker_init(worker: Any) -> None:
    """The worker is ready."""
    _workers.set(1)


def pre_request(worker: Any, req: Any) -> None:
    """A request begins."""
    try:
        _in_flight.inc()
        _began_s[id(req)] = time.perf_counter()
    except Exception:  # what counts requests must not fail them
        worker.log.exception("metrics: a request could not be counted")


def post_request(worker: Any, req: Any, environ: Any, resp: Any) -> None:
    """A request has ended, or failed."""
    began_s = _began_s.pop(id(req), None)
    if began_s is None:
        return  # pre_request is another hook
    try:
        _in_flight.dec()
        _seconds.observe(time.perf_counter() - began_s)
        _requests.labels(_status(environ, resp)).inc()
    except Exception:
        worker.log.exception("metrics: a request could not be counted")


def _status(environ: Any, resp: Any) -> str:
    """The status of a response; gunicorn's ASGI worker has other ones, and none without an access log."""
    if resp is None:
        return _NOT_TOLD if environ is None else _FAILED_STATUS
    if not getattr(resp, "headers_sent", True):
        return _FAILED_STATUS
    status = getattr(resp, "status_code", None) or getattr(resp, "status", None)
    return str(int(status)) if isinstance(status, int) else _NOT_TOLD


def worker_exit(server: Any, worker: Any) -> None:
    """Say why this worker ends."""
    if os.getpid() != worker.pid or worker not in _causes:
        return
    if getattr(sys.exc_info()[1], "code", None):
        cause = _FAILED
    else:
        cause = _MAX_REQUESTS if worker.nr >= worker.max_requests else _STOPPED
    _causes[worker][0] = cause


# -- both


def _name(cfg: Any) -> str:
    """What was asked for, or the name of the process, as far as a segment may be called so.

    An application that has no name is called as its module, as many are: what tells it from others is added.
    """
    if name := _Shared.name or os.environ.get(_NAME):
        return name
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", cfg.proc_name)
    if cfg.settings["proc_name"].get() is not None:
        return name[:_MOST_CHARACTERS]
    # The same after a reload, USR2 and a restart; `uid` is that of the workers, in the master too.
    digest = sha256(os.fsencode(f"{cfg.chdir}\0{cfg.proc_name}\0{cfg.uid}")).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{name[: _MOST_CHARACTERS - _DIGEST_CHARACTERS - 1]}-{digest}"


def _configure(cfg: Any) -> None:
    options = _Shared.options
    if os.geteuid() == 0 and cfg.gid != 0:  # workers, and whoever else is of their group, may attach to it later
        options = {"mode": _GROUP_MODE, "group": cfg.gid, **options}
    metrics.configure(_name(cfg), **options)


def _attached(cfg: Any) -> Handle:
    """The segment as the master uses it."""
    if _Shared.handle is None or _Shared.handle.unlinked:
        _configure(cfg)
        _Shared.handle = attach(_name(cfg), kind="metrics")
    return _Shared.handle
