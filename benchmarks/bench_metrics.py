"""What do metrics that all workers share cost, against prometheus_client in its multiprocess mode?"""

import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from harness import FORK, medians, nanoseconds
from report import Row, at_most, main

import shmstore
from shmstore import metrics

CALLS = 10_000
ROUNDS = 101
SERIES = 1_000
DEAD = 50  # workers that have ended before a scrape
LABELS = ("GET", "/", "200")


def inc(child: Any) -> None:
    for _ in range(CALLS):
        child.inc()


def labels_and_inc(counter: Any) -> None:
    for _ in range(CALLS):
        counter.labels("GET", "/", "200").inc()


def observe(histogram: Any) -> None:
    for _ in range(CALLS):
        histogram.observe(0.3)


def set_to(gauge: Any) -> None:
    for _ in range(CALLS):
        gauge.set(0.3)


UPDATES: dict[str, tuple[Callable[[Any], None], float | None]] = {
    "child.inc()": (inc, 0.05),
    'counter.labels("GET", "/", "200").inc()': (labels_and_inc, 0.07),
    "histogram.observe(x)": (observe, 0.05),
    "gauge.set(x)": (set_to, None),
}


def made(library: Any) -> dict[str, Any]:
    """One instrument for each update, and a counter of many series."""
    counter = library.Counter("requests", "Requests", ["method", "route", "status"])
    return {
        "child.inc()": counter.labels(*LABELS),
        'counter.labels("GET", "/", "200").inc()': counter,
        "histogram.observe(x)": library.Histogram("latency", "Latency"),
        "gauge.set(x)": library.Gauge("busy", "Busy"),
        "series": library.Counter("series", "Many series", ["number"]),
    }


def count_all(*counters: Any) -> None:
    """What each worker does before it ends: it counts in every series."""
    for counter in counters:
        for number in range(SERIES):
            counter.labels(str(number)).inc()


def by_hand(numbers: list[float]) -> bytes:
    """As many lines of doubles, as a program would write them that has nothing else to do."""
    return "".join([f'series_total{{number="{at}"}} {number!r}\n' for at, number in enumerate(numbers)]).encode()


def rows(smoke: bool) -> Iterator[Row]:
    folder = tempfile.mkdtemp()
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder  # read when the peer is imported
    import prometheus_client
    from prometheus_client.multiprocess import MultiProcessCollector

    name = f"shmstore-bench-{os.getpid()}-{secrets.token_hex(3)}"
    rounds = 3 if smoke else ROUNDS
    try:
        metrics.configure(name, series=4 * SERIES)
        ours, theirs = made(metrics), made(prometheus_client)
        for what, (update, bar) in UPDATES.items():
            figures = medians(
                rounds,
                {"ours": partial(nanoseconds, update, ours[what]), "peer": partial(nanoseconds, update, theirs[what])},
            )
            ns = {who: figure / CALLS for who, figure in figures.items()}
            yield Row(what, ns["ours"], "ns", ns["peer"], bar and at_most(bar), "prometheus_client")
        for _ in range(2 if smoke else DEAD):
            worker = FORK.Process(target=count_all, args=(ours["series"], theirs["series"]))
            worker.start()
            worker.join()
        registry = prometheus_client.CollectorRegistry()
        MultiProcessCollector(registry)
        restricted = metrics.REGISTRY.restricted_registry(["series_total"])
        numbers = [float(number) for number in range(SERIES)]
        scrapes = {
            "ours": partial(nanoseconds, metrics.generate_latest, restricted),
            "peer": partial(nanoseconds, prometheus_client.generate_latest, registry),
            "by hand": partial(nanoseconds, by_hand, numbers),
        }
        found = {who: figure / 1e6 for who, figure in medians(min(rounds, 11), scrapes).items()}
        question = f"scrape of {SERIES:,} series after {DEAD} dead workers"
        yield Row(question, found["ours"], "ms", found["peer"], at_most(0.02), "prometheus_client")
        yield Row(
            f"scrape of {SERIES:,} series", found["ours"], "ms", found["by hand"], at_most(2), "a formatter by hand"
        )
    finally:
        shmstore.unlink(name)
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(rows)
