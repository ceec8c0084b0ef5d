"""What do metrics cost that all processes share, against prometheus_client in its multiprocess mode?"""

import importlib
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from harness import medians, nanoseconds, pin, sleep_until, worker
from report import Row, at_least, at_most, main, within

import shmstore
from shmstore import metrics, prometheus_client_bridge

PEER = "prometheus_client, multiprocess mode"
CALLS = 5_000
SERIES = 1_000
GAUGES = 10  # of these: what each worker has for itself, and what is left of it when it is dead
FEW_DEAD = 50


@contextmanager
def shared(series: int) -> Iterator[None]:
    """The metrics of this process and its children are shared, in a segment that is removed at the end."""
    name = f"shmstore-bench-{os.getpid()}-{secrets.token_hex(3)}"
    metrics.configure(name, series=series)
    try:
        yield
    finally:
        shmstore.unlink(name)


@contextmanager
def peer() -> Iterator[Any]:
    """prometheus_client in its multiprocess mode, which it takes from the environment when it is imported."""
    with tempfile.TemporaryDirectory(prefix="shmstore-bench-") as directory:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory
        importlib.import_module("prometheus_client.multiprocess")
        yield importlib.import_module("prometheus_client")


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


def updates(smoke: bool, client: Any) -> Iterator[Row]:
    """One process that counts."""
    measures: dict[tuple[str, str], Callable[[], float]] = {}
    for who, library in (("ours", metrics), ("peer", client)):
        registry = library.CollectorRegistry()
        counter = library.Counter("requests", "Requests.", ["method", "path", "status"], registry=registry)
        histogram = library.Histogram("latency_seconds", "Latency.", registry=registry)
        gauge = library.Gauge("busy", "Busy.", registry=registry)
        measures["inc", who] = partial(nanoseconds, inc, counter.labels("GET", "/", "200"))
        measures["labels", who] = partial(nanoseconds, labels_and_inc, counter)
        measures["observe", who] = partial(nanoseconds, observe, histogram)
        measures["set", who] = partial(nanoseconds, set_to, gauge)
    ns = {what: figure / CALLS for what, figure in medians(1 if smoke else 61, measures).items()}
    for what, call, bar in (
        ("inc", "child.inc()", at_most(0.05)),
        ("labels", 'counter.labels("GET", "/", "200").inc()', at_most(0.07)),
        ("observe", "histogram.observe(x)", at_most(0.05)),
        ("set", "gauge.set(x)", None),
    ):
        yield Row(call, ns[what, "ours"], "ns", ns[what, "peer"], bar, PEER)


def bridged(connection: Connection, name: str) -> None:
    """A process whose prometheus_client counts through the bridge, whenever it is told, and tells how long it took."""
    prometheus_client_bridge.install(name)
    client = importlib.import_module("prometheus_client")
    child = client.Counter("requests", "Requests.", ["method", "path", "status"]).labels("GET", "/", "200")
    connection.send(name)
    while True:
        connection.recv()
        connection.send(nanoseconds(inc, child))


def bridge(smoke: bool, client: Any) -> Iterator[Row]:
    """prometheus_client's own child, with shared cells behind it."""
    name = f"shmstore-bench-{os.getpid()}-{secrets.token_hex(3)}"
    peers = client.Counter("alone", "Requests.", ["method", "path", "status"], registry=None)
    with worker(bridged, name, cpu=0, fresh=True) as other:
        other.recv()
        try:
            measures = {
                "ours": partial(told, other),
                "peer": partial(nanoseconds, inc, peers.labels("GET", "/", "200")),
            }
            ns = {who: figure / CALLS for who, figure in medians(1 if smoke else 61, measures).items()}
        finally:
            shmstore.unlink(name)
    yield Row("child.inc() through the bridge", ns["ours"], "ns", ns["peer"], at_most(0.5), PEER)


def told(connection: Connection) -> float:
    connection.send(None)
    return float(connection.recv())


def count(connection: Connection, inc: Callable[[], object]) -> None:
    """A process that counts as often as it is told, from one moment on, and tells when it began and ended."""
    while True:
        calls, moment = connection.recv()
        inc()  # the first call of a process takes its place
        sleep_until(moment)
        start = time.perf_counter_ns()
        for _ in range(calls):
            inc()
        connection.send((start, time.perf_counter_ns()))


def count_at_once(connections: list[Connection], calls: int) -> float:
    """Calls a second, of all processes together."""
    moment = time.monotonic() + 0.02
    for connection in connections:
        connection.send((calls, moment))
    starts, ends = zip(*(connection.recv() for connection in connections), strict=True)
    return len(connections) * calls * 1e9 / (max(ends) - min(starts))


def processes(smoke: bool, client: Any) -> Iterator[Row]:
    """Several processes that count into one series. Each round is of about the same time for both."""
    calls, peers_calls, rounds = (100, 100, 1) if smoke else (500_000, 25_000, 9)
    for number in (2, 4):
        ours_in, peers_in = metrics.CollectorRegistry(), client.CollectorRegistry()
        ours = metrics.Counter(f"by_{number}", "Counted at once.", registry=ours_in)
        peers = client.Counter(f"by_{number}", "Counted at once.", registry=client.CollectorRegistry())
        client.multiprocess.MultiProcessCollector(peers_in)
        with group(number, ours.inc) as we, group(number, peers.inc) as they:
            per_second = medians(
                rounds, {"ours": partial(count_at_once, we, calls), "peer": partial(count_at_once, they, peers_calls)}
            )
        for registry, each in ((ours_in, calls), (peers_in, peers_calls)):
            counted = number * (each + 1) * (rounds + 1)
            if (found := registry.get_sample_value(f"by_{number}_total")) != counted:
                raise RuntimeError(f"{counted} were counted, {found} are shown")
        rates = {who: figure / 1e6 for who, figure in per_second.items()}
        yield Row(
            f"{number} processes, one series",
            *(rates["ours"], "M/s", rates["peer"], at_least(15), "nothing lost; the peer has a value a process"),
        )


@contextmanager
def group(number: int, inc: Callable[[], object]) -> Iterator[list[Connection]]:
    """Processes that wait to count."""
    if number == 0:
        yield []
        return
    with group(number - 1, inc) as others, worker(count, inc, cpu=number - 1) as one:
        yield [*others, one]


class Served:
    """The metrics of an application whose workers come and go, and a scrape of them."""

    def __init__(self, library: Any, series: int) -> None:
        self.library = library
        self.series = series
        self.registry = library.CollectorRegistry()
        self.counter = library.Counter("served", "Requests.", ["path"], registry=self.registry)
        self.gauge = library.Gauge("held", "Bytes.", ["pool"], registry=self.registry, multiprocess_mode="sum")

    def count(self) -> None:
        """What a worker does."""
        for number in range(self.series - GAUGES):
            self.counter.labels(f"/path/{number}").inc()
        for number in range(GAUGES):
            self.gauge.labels(str(number)).set(1.5)

    def live_and_die(self, workers: int) -> None:
        """As many workers, one after the other; nobody is told of their end."""
        for _ in range(workers):
            if not (pid := os.fork()):
                try:
                    self.count()
                finally:
                    os._exit(0)
            os.waitpid(pid, 0)

    def check(self, workers: int) -> None:
        """Nothing is lost of what they counted."""
        found = [self.registry.get_sample_value("served_total", {"path": f"/path/{n}"}) for n in (0, SERIES // 2)]
        if found != [workers] * 2 or self.registry.get_sample_value("held", {"pool": "0"}) != 1.5 * workers:
            raise RuntimeError(f"{workers} workers have counted, {found} are shown")


def written_by_hand(values: list[float], labels: list[str]) -> bytes:
    """What a program writes that has its numbers in a list of its own."""
    return "".join([f'served_total{{path="{x}"}} {v!r}\n' for x, v in zip(labels, values, strict=True)]).encode()


def scrapes(smoke: bool, client: Any) -> Iterator[Row]:
    """Scrapes of all processes, when many have died."""
    few, many, rounds = (2, 4, 1) if smoke else (FEW_DEAD, 5_000, 11)
    ours, peers = Served(metrics, SERIES), Served(client, SERIES)
    peers_in = client.CollectorRegistry()
    client.multiprocess.MultiProcessCollector(peers_in)
    for served in (ours, peers):
        served.live_and_die(few)
    ours.check(few)
    values = [float(number) for number in range(SERIES)]
    labels = [f"/path/{number}" for number in range(SERIES)]
    scrape = partial(nanoseconds, metrics.generate_latest, ours.registry)
    ms = medians(
        rounds,
        {
            "ours": scrape,
            "peer": partial(nanoseconds, client.generate_latest, peers_in),
            "hand": partial(nanoseconds, written_by_hand, values, labels),
        },
    )
    ms = {who: figure / 1e6 for who, figure in ms.items()}
    what, nodes = f"scrape of {SERIES:,} series", nodes_used()
    yield Row(f"{what} after {few} dead workers", ms["ours"], "ms", ms["peer"], at_most(0.02), PEER)
    yield Row(f"{what}, against f-strings", ms["ours"], "ms", ms["hand"], at_most(2), "over numbers in a list")
    ours.live_and_die(many - few)
    ours.check(many)
    later = medians(rounds * 10, {"ours": scrape})["ours"] / 1e6
    note = f"against ours after {few}; {nodes_used() - nodes:+,.0f} nodes"
    yield Row(f"{what} after {many:,} dead workers", later, "ms", ms["ours"], at_most(1.1), note)


def nodes_used() -> float:
    found = [line.split()[1] for line in metrics.generate_latest().split(b"\n") if b"metrics_nodes_used " in line]
    return float(found[-1])


def many_series(smoke: bool) -> Iterator[Row]:
    """A scrape of very many series."""
    series, rounds = (1_000, 1) if smoke else (100_000, 15)
    registry = metrics.CollectorRegistry()
    counter = metrics.Counter("many", "Many.", ["path"], registry=registry)
    for number in range(series):
        counter.labels(f"/path/{number}").inc(number / 8)
    ms = medians(rounds, {"ours": partial(nanoseconds, metrics.generate_latest, registry)})["ours"] / 1e6
    yield Row(f"scrape of {series:,} series", ms, "ms", bar=within(100))


def answers(environ: dict[str, str], start_response: Callable[..., object]) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok"]


async def answers_async(scope: dict[str, str], receive: Any, send: Callable[..., Any]) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


def serve(app: Any) -> None:
    """What a WSGI server does with requests, one after the other."""
    for _ in range(CALLS):
        chunks = app({"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, lambda status, headers: None)
        for _ in chunks:
            pass
        if hasattr(chunks, "close"):
            chunks.close()


def serve_async(app: Any) -> None:
    """What an ASGI server does with requests; none of them waits for anything."""

    async def send(message: object) -> None:
        pass

    for _ in range(CALLS):
        with suppress(StopIteration):
            app({"type": "http", "method": "GET", "path": "/"}, None, send).send(None)


def middleware(smoke: bool) -> Iterator[Row]:
    """What it costs a request that it is counted."""
    registry = metrics.CollectorRegistry()
    measures: dict[str, Callable[[], float]] = {}
    interfaces: tuple[tuple[str, Any, Callable[[Any], None], Any], ...] = (
        ("WSGI", answers, serve, metrics.WSGIMiddleware),
        ("ASGI", answers_async, serve_async, metrics.ASGIMiddleware),
    )
    for interface, app, server, counting in interfaces:
        measures[interface] = partial(nanoseconds, server, app)
        measures[f"{interface}, counted"] = partial(
            nanoseconds, server, counting(app, lambda request: "/orders", registry=registry)
        )
    us = {what: figure / CALLS / 1000 for what, figure in medians(1 if smoke else 41, measures).items()}
    for interface in ("WSGI", "ASGI"):
        cost = us[f"{interface}, counted"] - us[interface]
        yield Row(f"{interface} middleware, a request", cost, "us", bar=within(5))


def rows(smoke: bool) -> Iterator[Row]:
    pin(0)
    with peer() as client, shared(series=10_000 if smoke else 110_000):
        yield from updates(smoke, client)
        yield from bridge(smoke, client)
        yield from processes(smoke, client)
        yield from scrapes(smoke, client)
        yield from many_series(smoke)
        yield from middleware(smoke)


if __name__ == "__main__":
    main(rows)
