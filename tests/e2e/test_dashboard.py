"""The dashboard in a real browser: what it shows, how it is used, and what becomes of it when things go wrong."""

import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from playwright.sync_api import Browser

import shmstore
from shmstore import EventStore, StreamStore
from shmstore.http.metric_routes import Measurement
from tests.helpers import browser as browsers
from tests.helpers import programs
from tests.helpers.browser import Look
from tests.helpers.shmstore_serve import serving

pytestmark = programs.needs("chromium")

LABELS = 1000
HOSTILE = '<img src=x onerror="alert(1)"><script>alert(2)</script>'
MOST_BYTES = 60_000
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


class Site:
    """A service with stores that hold what is known."""

    def __init__(self, name: str, port: int, records: EventStore[Any], streams: StreamStore) -> None:
        self.name, self.port, self.records, self.streams = name, port, records, streams


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsers.running() as found:
        yield found


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """1,000 labels with 3 records each, `busy` with the values from 1 to 100, one hostile; streams, one hostile."""
    name = f"shmstore-test-{os.getpid()}-{secrets.token_hex(3)}"
    try:
        with (
            shmstore.create(f"{name}-records", Measurement, capacity=10_000, partitions=2) as records,
            shmstore.create_streams(name, capacity=10_000, partitions=2) as streams,
        ):
            begin_ns = time.time_ns() - 100 * 10**9
            times = [begin_ns + number * 10**7 for number in range(3 * LABELS + 101)]
            labels = [*[f"gateway-{number % LABELS:04}" for number in range(3 * LABELS)], *["busy"] * 100, HOSTILE]
            values = [*[500.0] * (3 * LABELS), *map(float, range(1, 101)), 7.0]
            records.append_many(list(zip(labels, values, times, strict=True)))
            for number in range(30):
                streams[f"gateway/{number:02}"].append_many([{"order": each} for each in range(number + 1)])
            streams[HOSTILE].append({"data": HOSTILE}, type=HOSTILE, event_id=HOSTILE, metadata={"more": HOSTILE})
            with serving("--name", name, "--capacity", "10000", "--partitions", "2", "--port", "0") as service:
                yield Site(name, service.port, records, streams)
                assert service.end()[0] == 0
    finally:
        for path in Path("/dev/shm").glob(f"*{name}*"):
            path.unlink()


@pytest.fixture
def look(browser: Browser, site: Site) -> Iterator[Callable[..., Look]]:
    """Opens pages; in none may anything go wrong."""
    opened: list[Look] = []

    def make(view: str = "", **options: Any) -> Look:
        opened.append(Look(browser, site.port, view, **options))
        return opened[-1]

    yield make
    for each in opened:
        each.__exit__()
    assert [each.wrong for each in opened if each.wrong] == []


def seen(site: Site, **view: str) -> str:
    """The address of what is looked at, without the origin."""
    return "#" + "&".join(f"{name}={quote(value, safe='')}" for name, value in view.items())


def test_all_that_it_loads_comes_from_here_and_is_small(look: Callable[..., Look]) -> None:
    here = look()
    here.reads("#status", "live")
    assert {each.url.startswith(f"{here.origin}/") for each in here.requests} == {True}
    files = [each for each in here.requests if "/dashboard/" not in each.url or each.url.endswith(".js")]
    assert sum(len(body) for body in {each.url: each.response().body() for each in files}.values()) <= MOST_BYTES


def test_records_are_shown_with_true_figures(look: Callable[..., Look], site: Site) -> None:
    here = look()  # of several stores it chooses the one with the most in it
    here.reads("#store-title", f"{site.name}-records")
    here.reads("#tiles", "3,101 of 10,000", "3,101 in all", "0 skipped, 0 voided, 0 lapped")
    assert here.row("#labels", "busy")[0:1] + here.row("#labels", "busy")[2:] == [
        *("busy", "100", "5,050", "50.5", "100"),
    ]
    here.reads("#labels", "1,002 labels; 982 more are not shown")
    parts = [here.row("#partitions", str(number)) for number in (0, 1)]
    assert sum(int(part[3].replace(",", "")) for part in parts) == 3101
    assert here.text("#processes").count("alive") == 2 and f"pid {os.getpid()}" in here.text("#processes")
    here.reads("#whole", "records 3,101")
    here.page.get_by_role("button", name="busy").click()
    here.reads("#chart-title", "busy")
    here.reads("#whole", "records 100 sum 5,050 mean 50.5 min 1 max 100 p50 50.5 p90 90.1 p99 99.01")
    here.reads("#chart-note", "windows of 5 seconds")
    assert here.page.locator("#values .p99").first.get_attribute("d")
    site.records.append(label="busy", value=101.0)
    here.reads("#tiles", "3,102 in all")
    here.reads("#whole", "records 101")
    here.until(lambda: len(here.page.locator("#rate .line").get_attribute("d") or "") > 50, "a history")


def test_it_begins_with_a_store_of_its_service(look: Callable[..., Look], site: Site, name: str) -> None:
    with shmstore.create_streams(f"{name}-other", capacity=4000, partitions=1, data_bytes=8) as fuller:
        for _ in range(40):
            fuller["a"].append_many([1] * 100)
        here = look()
        here.reads("#store-title", f"{site.name}-records")
        here.reads("#stores", f"{name}-other")
    shmstore.unlink(f"{name}-other")


def test_labels_are_found_among_a_thousand(look: Callable[..., Look], site: Site) -> None:
    here = look(seen(site, store=f"{site.name}-records"))
    here.reads("#labels", "1,002 labels")
    here.page.get_by_label("Filter").first.fill("GATEWAY 012")
    here.reads("#labels", "11 of 1,002 labels")
    assert here.page.locator("#labels tbody tr").count() == 11
    here.page.get_by_label("Filter").first.fill("img")
    here.reads("#labels tbody th", HOSTILE)
    here.page.get_by_label("Filter").first.fill("no such label")
    here.reads("#labels", "0 of 1,002 labels")


def test_streams_are_shown_with_their_newest_events_as_text(look: Callable[..., Look], site: Site) -> None:
    here = look(seen(site, store=site.name))
    here.reads("#tiles", "Streams 31", "466 of 10,000")
    here.page.get_by_label("Filter").nth(1).fill("gateway")
    here.reads("#streams", "30 of 31 streams")
    here.page.locator("#streams select").select_option("events")
    here.reads("#streams tbody tr", "gateway/29")
    here.until(lambda: here.row("#streams", "gateway/29") == ["gateway/29", "29", "0/s", "30", "0", "0"], "a rate")
    here.page.get_by_role("button", name="gateway/29").click()
    here.reads("#events li", "29", '{"order":29}')
    assert here.page.locator("#events li").count() == 20
    assert site.streams["gateway/29"].append({"order": "new"}) == 30
    here.reads("#events li", "30", '{"order":"new"}')
    here.page.get_by_label("Filter").nth(1).fill("img")
    here.page.get_by_role("button", name=HOSTILE).click()
    here.reads("#events-title", f"Newest events of {HOSTILE}")
    here.reads("#events li", f"0 {HOSTILE}", f"id {HOSTILE}", json.dumps({"data": HOSTILE}, separators=(",", ":")))
    assert here.page.locator("main img, main script").count() == 0


def test_metrics_are_shown_with_their_rates(look: Callable[..., Look], site: Site) -> None:
    here = look(seen(site, store=f"{site.name}-metrics", filter="http_requests dashboard/live"))
    here.reads("#tiles", "Series", "Refused 0")
    here.reads("#series tbody tr", 'http_requests{method="GET",route="/dashboard/live",status="200"}', "counter", "/s")


def test_a_link_shows_the_same_to_others(look: Callable[..., Look], site: Site) -> None:
    one = look(seen(site, store=f"{site.name}-records"))
    one.page.get_by_label("Range").select_option("3600")
    one.page.get_by_role("button", name="busy").click()
    one.page.get_by_label("Filter").first.fill("us")
    one.reads("#labels", "1 of 1,002 labels")
    told = {name: found[0] for name, found in parse_qs(urlsplit(one.page.url).fragment).items()}
    assert told == {"store": f"{site.name}-records", "range": "3600", "label": "busy", "filter": "us"}
    other = look(urlsplit(one.page.url)._replace(scheme="", netloc="").geturl()[1:])
    other.reads("#labels", "1 of 1,002 labels")
    other.reads("#chart-title", "busy")
    other.reads("#chart-note", "windows of 60 seconds")
    assert other.page.get_by_label("Range").input_value() == "3600"
    other.page.get_by_role("button", name=site.name, exact=True).click()
    other.reads("#store-title", site.name)
    other.page.go_back()
    other.reads("#chart-title", "busy")


def test_it_is_used_by_keyboard(look: Callable[..., Look], site: Site) -> None:
    here = look(seen(site, store=f"{site.name}-records"))
    here.reads("#labels", "busy")
    chart = here.page.get_by_role("slider", name="Records over time")
    chart.focus()
    last = int(chart.get_attribute("aria-valuenow") or -1)
    chart.press("Home")
    assert chart.get_attribute("aria-valuenow") == "0"
    first = chart.get_attribute("aria-valuetext")
    chart.press("ArrowRight")
    chart.press("ArrowRight")
    assert chart.get_attribute("aria-valuenow") == "2" and chart.get_attribute("aria-valuetext") != first
    assert "records" in (chart.get_attribute("aria-valuetext") or "")
    chart.press("End")
    assert chart.get_attribute("aria-valuenow") == str(last)
    here.page.get_by_role("button", name="busy").focus()
    here.page.keyboard.press("Enter")
    here.reads("#chart-title", "busy")
    here.page.keyboard.press("Tab")
    outline = here.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_whoever_cannot_see_is_told_what_everything_is(look: Callable[..., Look], site: Site) -> None:
    for store in (f"{site.name}-records", site.name, f"{site.name}-metrics"):
        here = look(seen(site, store=store))
        here.reads("#status", "live")
        here.reads("#processes", "alive")
        told = here.page.context.new_cdp_session(here.page).send("Accessibility.getFullAXTree")["nodes"]
        named = [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in told
            if not node["ignored"] and node.get("role")
        ]
        nameless = ("button", "combobox", "searchbox", "slider", "table", "navigation", "region", "heading", "link")
        assert [role for role, text in named if role in nameless and not text.strip()] == []
        roles = [role for role, _ in named]
        assert {"banner", "navigation", "main", "status", "table", "columnheader", "rowheader"} <= set(roles)
        assert ("button", "Pause") in named and ("combobox", "Range") in named
        levels = here.page.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(each => Number(each.tagName[1]))")
        assert levels[0] == 1 and levels.count(1) == 1


@pytest.mark.parametrize("screen", [PHONE, {"viewport": {"width": 1280, "height": 900}}], ids=["phone", "desk"])
@pytest.mark.parametrize("kind", ["-records", "", "-metrics"])
def test_all_is_shown_without_scrolling_sideways(
    look: Callable[..., Look], site: Site, kind: str, screen: dict[str, Any]
) -> None:
    for number in range(30):
        site.records.append(label="busy", value=(-1.0) ** number * 1e9)  # figures as wide as they come
    here = look(seen(site, store=f"{site.name}{kind}"), **screen)
    here.reads("#processes", "alive")
    assert here.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    cut = "[...document.querySelectorAll('.wide')].filter(each => each.scrollWidth > each.clientWidth + 1).length"
    assert here.page.evaluate(cut) == 0
    if screen is not PHONE:
        rows = "new Set([...document.querySelectorAll('#tiles > div')].map(each => each.offsetTop)).size"
        assert here.page.evaluate(rows) == 1


def test_many_stores_do_not_push_away_what_is_looked_at(
    look: Callable[..., Look], site: Site, name: str, request: pytest.FixtureRequest
) -> None:
    for number in range(20):
        shmstore.create_streams(f"{name}-{number}", capacity=1, partitions=1, data_bytes=8, streams=1).close()
        request.addfinalizer(partial(shmstore.unlink, f"{name}-{number}"))
    here = look(seen(site, store=site.name), **PHONE)
    here.reads("#stores", f"{name}-19")
    here.reads("#tiles", "in all")
    assert here.page.evaluate("document.getElementById('store-title').getBoundingClientRect().bottom < innerHeight")


def test_it_pauses_and_goes_on(look: Callable[..., Look], site: Site) -> None:
    here = look(seen(site, store=site.name))
    here.reads("#tiles", "in all")
    here.page.get_by_role("button", name="Pause").click()
    here.reads("#status", "paused at")
    assert "at=" in here.page.url
    before = here.text("#tiles")
    site.streams["gateway/01"].append({"order": "later"})
    here.page.wait_for_timeout(1200)
    assert here.text("#tiles") == before
    here.page.get_by_role("button", name="Resume").click()
    here.reads("#status", "live")
    here.until(lambda: here.text("#tiles") != before, "it goes on")
    assert "at=" not in here.page.url


def test_it_is_dark_where_that_is_liked(look: Callable[..., Look]) -> None:
    here, grounds = look(color_scheme="light"), []
    for scheme in ("light", "dark"):
        here.page.emulate_media(color_scheme=scheme)
        grounds.append(here.page.evaluate("getComputedStyle(document.body).backgroundColor"))
    light, dark = ([int(part) for part in ground[4:-1].split(",")] for ground in grounds)
    assert min(light) > 200 and max(dark) < 60


def test_a_store_that_goes_or_breaks_is_told_of(look: Callable[..., Look], site: Site, name: str) -> None:
    with shmstore.create_streams(f"{name}-a", capacity=10) as doomed:
        doomed["a"].append(1)
        here = look(seen(site, store=f"{name}-a"))
        here.reads("#tiles", "Streams 1")
        shmstore.unlink(f"{name}-a")
    here.reads("#note", "there is no store")
    shmstore.create_streams(f"{name}-b", capacity=10).close()
    with open(f"/dev/shm/{name}-b", "r+b") as file:
        file.seek(64)
        file.write(b"\xff" * 4000)
    here.page.get_by_role("button", name=f"{name}-b").click()
    here.reads("#chips", "damaged segment")
    assert here.page.locator("#note").is_visible()
    with suppress(shmstore.ShmStoreError):
        shmstore.unlink(f"{name}-b")


def test_it_goes_on_when_its_server_is_there_again(browser: Browser, name: str) -> None:
    arguments = ("--name", name, "--capacity", "100", "--partitions", "1", "--port")
    with serving(*arguments, "0") as service:
        port = service.port
        service.request("POST", "/metrics", '{"label": "cpu", "value": 1}')
        here = Look(browser, port, f"#store={name}-records&label=cpu")
        here.reads("#whole", "records 1")
        service.end()
    here.reads("#status", "the service is away")
    assert here.text("#whole").startswith("records 1")
    with here, serving(*arguments, str(port)) as service:
        service.request("POST", "/metrics", '{"label": "cpu", "value": 2}')
        here.reads("#status", "live")
        here.reads("#whole", "records 2")
        assert here.text("#chart-title") == "cpu"
        service.end()


def test_with_a_read_token_it_asks_for_it_once(browser: Browser, name: str) -> None:
    arguments = ("--name", name, "--capacity", "100", "--partitions", "1", "--port", "0")
    with serving(*arguments, SHMSTORE_READ_TOKEN="s3cret") as service:
        with Look(browser, service.port, f"#store={name}") as here:
            here.page.get_by_label("Token").fill("wrong")
            here.page.keyboard.press("Enter")
            here.reads("#token-refused", "not the right one")
            here.page.get_by_label("Token").fill("s3cret")
            here.page.keyboard.press("Enter")
            here.reads("#tiles", "Streams 0")
            here.page.reload()
            here.reads("#tiles", "Streams 0")
            assert "s3cret" not in here.page.url
        assert service.end()[0] == 0
