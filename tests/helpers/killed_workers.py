"""Workers of a gunicorn are killed under load, and each scrape meanwhile is held against what clients were told."""

import http.client
import os
import re
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import psutil
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from tests.helpers import programs
from tests.helpers.processes import LIMIT_S, eventually
from tests.helpers.promtool import complaints
from tests.helpers.served import Gunicorn, Samples

ORDERS = "orders_total{a}"

_NEVER_FALLS = re.compile("_total|_count|_bucket")


def is_whole(samples: Samples) -> bool:
    """Whether the count of a histogram is that of its buckets, and its sum fits them: each observation was 5."""
    count = samples.get("sizes_count{}", 0.0)
    buckets = [samples.get(f"sizes_bucket{{{bound}}}", 0.0) for bound in ("1.0", "10.0", "+Inf")]
    return buckets == [0, count, count] and samples.get("sizes_sum{}", 0.0) == 5 * count


def samples_of(exposition: str, openmetrics: bool) -> Samples:
    """All samples, as another library reads them: `name{label values}`. Raises ValueError when it cannot."""
    return {
        f"{sample.name}{{{','.join(sample.labels.values())}}}": sample.value
        for family in (read_openmetrics if openmetrics else read_text)(exposition)
        for sample in family.samples
    }


def workers_of(server: Gunicorn) -> list[int]:
    return [child.pid for child in psutil.Process(server.pid).children()]


def is_replaced(server: Gunicorn, worker: int) -> bool:
    """Has the master reaped it, and begun another of the two?"""
    workers = workers_of(server)
    return worker not in workers and len(workers) == 2


def kill(worker: int) -> None:
    """Kill it, and wait until it is dead: until then it may still take a request, and fail it."""
    process = psutil.Process(worker)
    os.kill(worker, signal.SIGKILL)

    def is_dead() -> bool:
        try:
            return process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    assert eventually(is_dead)


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


@dataclass
class Found:
    """What a run has got; `wrong` says in words what did not hold."""

    kills: int = 0
    scrapes: int = 0
    failed_scrapes: int = 0
    by_promtool: int = 0
    answered: int = 0
    begun: int = 0
    counted: int = 0
    wrong: list[str] = field(default_factory=list)


def kill_workers(server: Gunicorn, kills: int, look: Callable[[Found], object] = lambda found: None) -> Found:
    """Kill one worker after the other, and scrape after each in both formats; ends at the first thing that is wrong."""
    found = Found()
    load, last = Load(server), Samples()
    try:
        while found.kills < kills and not found.wrong:
            look(found)
            workers = workers_of(server)
            victim = workers[found.kills % len(workers)]
            kill(victim)
            found.kills += 1
            for openmetrics in (True, False):
                last = _scrape(server, openmetrics, load, last, found)
            if not eventually(partial(is_replaced, server, victim), LIMIT_S):
                found.wrong.append(f"worker {victim} was not replaced within {LIMIT_S:.0f} s")
    finally:
        load.stop()
    if not found.wrong:
        _look_at_the_end(server, load, found)
    found.answered, found.begun = load.answered, load.begun
    return found


def _scrape(server: Gunicorn, openmetrics: bool, load: Load, last: Samples, found: Found) -> Samples:
    answered = load.answered
    found.scrapes += 1
    try:
        accept = "application/openmetrics-text" if openmetrics else "text/plain"
        text = server.get("/metrics", Accept=accept).decode()
        samples = samples_of(text, openmetrics)
    except (OSError, http.client.HTTPException, AssertionError, ValueError) as error:
        found.failed_scrapes += 1
        found.wrong.append(f"scrape {found.scrapes} failed: {error!r}")
        return last
    begun = load.begun
    if programs.find("promtool"):
        found.by_promtool += 1
        if said := complaints(text, openmetrics):
            found.failed_scrapes += 1
            found.wrong.append(f"scrape {found.scrapes} is not read by promtool: {said}")
    orders = samples.get(ORDERS, 0)
    if not answered <= orders <= begun:
        found.wrong.append(f"{answered} requests were answered and {begun} begun, but {orders:.0f} are counted")
    if not is_whole(samples):
        found.wrong.append(f"the histogram is not whole: { {key: samples[key] for key in samples if 'sizes' in key} }")
    fallen = [key for key in last if _NEVER_FALLS.search(key) and samples.get(key, 0) < last[key]]
    if fallen:
        found.wrong.append(f"these have fallen: {', '.join(fallen)}")
    return samples


def _look_at_the_end(server: Gunicorn, load: Load, found: Found) -> None:
    """What is true at rest; what a worker counts after its answer may come late."""
    rests = {
        "gunicorn_workers{}": 2,
        "gunicorn_worker_exits_total{killed}": found.kills,
        "http_requests_in_flight{}": 1,  # the scrape itself
        "gunicorn_requests_in_flight{}": 1,
    }
    samples = Samples()

    def is_at_rest() -> bool:
        samples.clear()
        samples.update(server.scrape())
        return {key: samples.get(key) for key in rests} == rests

    if not eventually(is_at_rest):
        found.wrong.append(f"at rest {rests} were expected, not { {key: samples.get(key) for key in rests} }")
    found.counted = int(samples[ORDERS])
    if not load.answered <= found.counted <= load.begun:
        found.wrong.append(f"{load.answered} were answered, {load.begun} begun, {found.counted} are counted at the end")
