"""What does one viewer of the dashboard cost: until something is seen, in bytes, on the server and in the browser?"""

import http.client
import os
import random
import secrets
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from statistics import median
from typing import Any

import psutil
from http_servers import HOST, shmstore_serve
from report import Row, main, within

import shmstore
from shmstore.http.dashboard.files import FILES
from shmstore.http.metric_routes import Measurement

LABELS = 1000
RECORDS = 100_000
STREAMS = 200
BROWSER = shutil.which("chromium")
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"]


@contextmanager
def filled(records: int) -> Iterator[str]:
    """The name of a service whose stores are full, and appended to some hundred times a second until the end."""
    name = f"shmstore-bench-{os.getpid()}-{secrets.token_hex(3)}"
    chance, over = random.Random(7), threading.Event()
    try:
        with (
            shmstore.create(f"{name}-records", Measurement, capacity=records, partitions=2) as store,
            shmstore.create_streams(name, capacity=10_000, partitions=2) as streams,
        ):
            begin_ns = time.time_ns() - records * 3_000_000
            store.append_many(
                [
                    (f"gateway-{number % LABELS:03}", chance.gauss(50, 10), begin_ns + number * 3_000_000)
                    for number in range(records)
                ]
            )
            for number in range(STREAMS):
                streams[f"gateway/{number:03}"].append({"order": number})

            def append() -> None:
                add, number = store.appender("label", "value"), 0
                while not over.wait(0.05):
                    for _ in range(20):
                        number += 7
                        add(f"gateway-{number % LABELS:03}", chance.gauss(50, 10))
                    streams[f"gateway/{number % STREAMS:03}"].append({"order": number})

            thread = threading.Thread(target=append)
            thread.start()
            try:
                yield name
            finally:
                over.set()
                thread.join()
    finally:
        for each in (name, f"{name}-records", f"{name}-metrics"):
            with suppress(shmstore.StoreNotFound):
                shmstore.unlink(each)


def loaded_bytes(port: int) -> float:
    """How large all files of the page are."""
    found = 0
    for path in FILES:
        connection = http.client.HTTPConnection(HOST, port)
        connection.request("GET", path)
        found += len(connection.getresponse().read())
        connection.close()
    return float(found)


def first_paint_ms(browser: Any, port: int) -> float:
    """From the start of a navigation, in a window that knows nothing of the page yet."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    try:
        page = context.new_page()
        page.goto(f"http://{HOST}:{port}/")
        page.wait_for_function("performance.getEntriesByType('paint').length")
        return float(page.evaluate("performance.getEntriesByName('first-paint')[0].startTime"))
    finally:
        context.close()


def spent_s(processes: list[psutil.Process]) -> float:
    """What these have used of CPUs."""
    times = 0.0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            used = process.cpu_times()
            times += used.user + used.system
    return times


def server_of(port: int) -> list[psutil.Process]:
    return [each for each in psutil.Process().children() if str(port) in each.cmdline()]


def browsers() -> list[psutil.Process]:
    """The browser with all its processes."""
    return [each for each in psutil.Process().children(recursive=True) if "chrom" in each.name()]


def viewed(browser: Any, port: int, view: str, seconds: float) -> tuple[float, float]:
    """What a viewer takes of one core, in percent: on the server, and in the browser."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    try:
        page.goto(f"http://{HOST}:{port}/{view}")
        page.wait_for_selector("#processes tbody tr")
        page.wait_for_timeout(1000 * min(3.0, seconds))  # what is loaded first is another question
        server, client = server_of(port), browsers()
        before = spent_s(server), spent_s(client)
        begun = time.monotonic()
        page.wait_for_timeout(1000 * seconds)
        passed = time.monotonic() - begun
        used = spent_s(server) - before[0], spent_s(client) - before[1]
        return max(0.01, used[0] / passed * 100), max(0.01, used[1] / passed * 100)
    finally:
        page.close()


def rows(smoke: bool) -> Iterator[Row]:
    with filled(1000 if smoke else RECORDS) as name, shmstore_serve(SHMSTORE_NAME=name, **sizes(smoke)) as port:
        yield Row("all that the page loads", loaded_bytes(port), "bytes", bar=within(60_000))
        if BROWSER is None:
            print("warning: without chromium nothing else can be measured", file=sys.stderr)
            return
        from playwright.sync_api import sync_playwright

        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=BROWSER, args=ARGUMENTS, handle_sigint=False)
            try:
                paints = [first_paint_ms(browser, port) for _ in range(2 if smoke else 12)]
                yield Row("first paint", median(paints[1:]), "ms", bar=within(300), note="of a loopback connection")
                for kind, what in (("-records", f"{LABELS:,} labels"), ("", "streams")):
                    server, client = viewed(browser, port, f"#store={name}{kind}", 0.5 if smoke else 30.0)
                    yield Row(f"server, one viewer of {what}", server, "% of a core", bar=within(1))
                    yield Row(f"browser, one viewer of {what}", client, "% of a core", bar=within(5))
            finally:
                browser.close()


def sizes(smoke: bool) -> dict[str, str]:
    """Those of the stores that are there."""
    return {"SHMSTORE_CAPACITY": "1000" if smoke else str(RECORDS), "SHMSTORE_PARTITIONS": "2"}


if __name__ == "__main__":
    main(rows)
