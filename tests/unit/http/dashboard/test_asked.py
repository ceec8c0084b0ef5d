"""What the page asks: true figures, the first rows in order, and sentences where nothing can be answered."""

import time
from urllib.parse import urlencode

import pytest

import shmstore
from shmstore import Key, Record
from shmstore.http.dashboard.windows import step_s
from shmstore.http.service import Service
from tests.helpers.asked import Ask


class Timeless(Record):
    host: Key
    load: int


def query(**given: object) -> str:
    return urlencode(given)


def test_labels_come_in_the_order_that_is_asked_for(ask: Ask, service: Service, name: str) -> None:
    for label, values in {"a": (1, 2), "b": (50,), "c": (3, 4, 5)}.items():
        for value in values:
            service.stores().records.append(label=label, value=value)

    def names(**more: object) -> list[str]:
        answer = ask("GET", "/dashboard/labels", None, query(store=f"{name}-records", **more)).json
        return [row["name"] for row in answer["rows"]]

    assert names() == names(order="count") == ["c", "a", "b"]
    assert names(order="sum") == ["b", "c", "a"] == names(order="max")
    assert names(order="name", limit=2) == ["a", "b"]
    answer = ask("GET", "/dashboard/labels", None, query(store=f"{name}-records", filter="B")).json
    assert answer["rows"] == [{"name": "b", "count": 1, "sum": 50.0, "mean": 50.0, "min": 50.0, "max": 50.0}]
    assert (answer["matching"], answer["all"]) == (1, 3) and answer["again"] > 0


def test_numbers_that_json_cannot_say_are_null(ask: Ask, service: Service, name: str) -> None:
    for value in (float("inf"), float("nan")):
        service.stores().records.append(label="odd", value=value)
    for path in ("labels", "chart"):
        assert ask("GET", f"/dashboard/{path}", None, query(store=f"{name}-records")).status == 200


@pytest.mark.parametrize("range_s", [60, 300, 3600, 86_400])
def test_a_chart_has_windows_of_a_round_length_with_the_figures_of_their_records(
    ask: Ask, service: Service, name: str, range_s: int
) -> None:
    now_s = time.time_ns() // 10**9
    for value, age_s in ((10.0, 30), (20.0, 30), (90.0, 5), (1.0, 200_000)):
        service.stores().records.append(label="cpu", value=value, timestamp=(now_s - age_s) * 10**9)
    service.stores().records.append(label="other", value=7.0)
    chart = ask("GET", "/dashboard/chart", None, query(store=f"{name}-records", label="cpu", range=range_s)).json
    windows, every = chart["windows"], chart["every"]
    assert every == step_s(range_s) and 48 <= (chart["until"] - chart["since"]) / 1000 / every <= 61
    assert sum(windows["count"]) == chart["whole"]["count"] == 3
    assert chart["whole"]["sum"] == 120.0 and chart["whole"]["p50"] == 20.0
    assert sum(windows["sum"]) == 120.0 and max(windows["p99"]) == pytest.approx(90.0, rel=0.02)
    assert all(start % (every * 1000) == 0 for start in windows["start"])
    earlier = query(store=f"{name}-records", label="cpu", range=range_s, until=(now_s - 15) * 1000 - every * 1000)
    assert ask("GET", "/dashboard/chart", None, earlier).json["whole"]["count"] in (0, 2)


def test_a_store_without_times_has_labels_and_no_chart(ask: Ask, name: str) -> None:
    with shmstore.create(f"{name}-t", Timeless, capacity=10) as store:
        store.append(host="a", load=4)
        assert ask("GET", "/dashboard/labels", None, query(store=store.name)).json["rows"][0]["sum"] == 4
        refused = ask("GET", "/dashboard/chart", None, query(store=store.name))
        assert refused.status == 400 and "Timestamp" in refused.json["error"]
        assert ask("GET", "/dashboard/labels", None, query(store=store.name, value="host")).status == 400
    shmstore.unlink(store.name)


def test_the_newest_events_of_a_stream_are_texts(ask: Ask, service: Service, name: str) -> None:
    stream = service.stores().streams["a"]
    stream.append({"x": "<b>"}, type="T", event_id="i", metadata=[1])
    stream.append(b"\x00\xff")
    stream.append("é" * 5000 if stream.store.data_bytes > 10_000 else "é")
    answer = ask("GET", "/dashboard/events", None, query(store=name, stream="a", limit=2)).json
    assert [(event["version"], event["data"]) for event in answer["events"]] == [(2, '"é"'), (1, "AP8=")]
    (first,) = ask("GET", "/dashboard/events", None, query(store=name, stream="a", limit=3)).json["events"][2:]
    assert first.pop("time") <= time.time_ns() // 10**6
    assert first == {"version": 0, "type": "T", "id": "i", "data": '{"x":"<b>"}', "metadata": "[1]"}
    nothing = ask("GET", "/dashboard/events", None, query(store=name, stream="never")).json
    assert (nothing["exists"], nothing["events"], nothing["version"]) == (False, [], -1)
    stream.delete()
    assert ask("GET", "/dashboard/events", None, query(store=name, stream="a")).json["exists"] is False


def test_what_cannot_be_answered_is_told_in_a_sentence(ask: Ask, name: str) -> None:
    for path, given, status in (
        ("labels", {}, 400),
        ("labels", {"store": f"{name}-never"}, 404),
        ("labels", {"store": name}, 400),  # streams have no labels
        ("streams", {"store": f"{name}-records"}, 400),
        ("series", {"store": name}, 400),
        ("labels", {"store": f"{name}-records", "order": "size"}, 400),
        ("labels", {"store": f"{name}-records", "limit": 0}, 400),
        ("chart", {"store": f"{name}-records", "range": 0}, 400),
        ("chart", {"store": "../etc"}, 400),
        ("events", {"store": name, "stream": ""}, 400),
    ):
        answer = ask("GET", f"/dashboard/{path}", None, query(**given))
        assert answer.status == status, (path, given, answer)
