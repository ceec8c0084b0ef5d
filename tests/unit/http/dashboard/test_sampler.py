"""The states that viewers get: of stores that are sound, that go, come again and break."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import shmstore
from shmstore.http.dashboard import sampler as module
from shmstore.http.dashboard.live import states
from shmstore.http.dashboard.sampler import Sampler
from shmstore.http.dashboard.scope import Scope
from shmstore.http.metric_routes import Measurement


def mapped(name: str) -> bool:
    return name in Path("/proc/self/maps").read_text()


@pytest.fixture
def scope(name: str) -> Scope:
    names = frozenset(f"{name}{kind}" for kind in ("", "-records", "-b"))
    return Scope(names, names)


@pytest.fixture
def sampler(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sampler]:
    """One that looks whenever it is asked."""
    monkeypatch.setattr(module, "rest_s", lambda _cost_s, _least_s: 0.0)
    made = Sampler()
    made.rest_s = 0.0
    with made.looking():
        yield made


def row(state: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [each for each in state["stores"] if each["name"] == name]
    return found


def test_rates_and_counts_are_those_since_the_look_before(sampler: Sampler, scope: Scope, name: str) -> None:
    with shmstore.create(f"{name}-records", Measurement, capacity=100, partitions=2) as store:
        first = row(sampler.state(scope, None, with_history=False), store.name)
        assert (first["count"], first["rate"], first["kind"], first["own"]) == (0, None, "events", True)
        for number in range(150):
            store.append(label=f"label-{number % 7}", value=number)
        state = sampler.state(scope, store.name, with_history=True)
        detail = state["store"]
        assert detail["appended"] == 150 and detail["rate"] > 0 and detail["discarded"] == 150 - detail["count"]
        assert sum(part["records"] for part in detail["partitions"]) == detail["count"] == len(store)
        assert [process["pid"] for process in detail["processes"]] == [os.getpid()]
        assert detail["fields"] == {"label": "label", "values": ["value"], "time": True}
        assert detail["history"][-1][1] == pytest.approx(detail["rate"], abs=0.2)
        assert json.loads(json.dumps(state)) == json.loads(json.dumps(state, allow_nan=False))


def test_what_was_before_it_looked_is_told_by_the_times_of_the_records(
    sampler: Sampler, scope: Scope, name: str
) -> None:
    now_s = time.time_ns() // 10**9
    with shmstore.create(f"{name}-records", Measurement, capacity=100, partitions=1) as store:
        for age_s, times in ((20, 3), (10, 5)):
            for _ in range(times):
                store.append(label="a", value=1.0, timestamp=(now_s - age_s) * 10**9 + 1)
        history = dict(sampler.state(scope, store.name, with_history=True)["store"]["history"])
    at = {(now_s - age_s + 1) * 1000: float(times) for age_s, times in ((20, 3), (10, 5), (15, 0))}
    assert {time_ms: history[time_ms] for time_ms in at} == at


def test_a_store_that_goes_comes_again_or_breaks_is_shown_so(sampler: Sampler, scope: Scope, name: str) -> None:
    with shmstore.create_streams(name, capacity=10) as store:
        store["a"].append(1)
        assert sampler.state(scope, name, with_history=True)["store"]["streams"] == 1
        shmstore.unlink(name)
        assert sampler.state(scope, name, with_history=True)["store"]["state"] == "gone"
    assert not mapped(name)
    with shmstore.create_streams(name, capacity=20) as store:
        again = sampler.state(scope, name, with_history=False)["store"]
        assert (again["state"], again["streams"], again["rate"]) == ("ok", 0, None)
    with open(f"/dev/shm/{name}", "r+b") as file:
        file.seek(64)
        file.write(b"\xff" * 4000)
    broken = row(sampler.state(scope, name, with_history=True), name)
    assert broken["state"] == "damaged segment" and broken["error"]


def test_a_store_whose_file_is_cut_off_is_not_touched_any_more(sampler: Sampler, scope: Scope, name: str) -> None:
    shmstore.create_streams(name, capacity=10).close()
    assert sampler.state(scope, name, with_history=True)["store"]["state"] == "ok"
    os.truncate(f"/dev/shm/{name}", 4096)
    for _ in range(2):
        assert sampler.state(scope, name, with_history=True)["store"]["state"] == "damaged segment"
    assert not mapped(name)


def test_stores_that_are_not_in_the_scope_are_not_told_of(sampler: Sampler, scope: Scope, name: str) -> None:
    with shmstore.create_streams(f"{name}-other", capacity=10) as other:
        assert sampler.state(scope, other.name, with_history=True)["store"]["state"] == "gone"
        assert other.name not in [each["name"] for each in sampler.state(scope, None, with_history=True)["stores"]]
        everything = sampler.state(Scope(scope.own, None), other.name, with_history=True)
        assert everything["store"]["state"] == "ok" and row(everything, other.name)["own"] is False
        assert row(everything, other.name)["alive"] == 1  # only the one that made it: looking leaves no trace


def test_viewers_get_states_until_they_go_and_then_nothing_is_kept(scope: Scope, name: str) -> None:
    with shmstore.create_streams(name, capacity=10):
        sampler, wanted = Sampler(), [True]
        pieces = states(sampler, scope, name, {"name": name}, lambda: wanted[0])
        first = next(pieces)
        assert first.startswith(b"id: 1\ndata: {") and first.endswith(b"\n\n")
        told = json.loads(first.partition(b"data: ")[2])
        assert told["service"] == {"name": name} and "history" in told["store"]
        second = json.loads(next(pieces).partition(b"data: ")[2])
        assert "service" not in second and "history" not in second["store"]
        assert second["time"] > told["time"]
        wanted[0] = False
        assert list(pieces) == []
        count = Path("/proc/self/maps").read_text().count(f"{name}\n")
        sampler.handles.close()
        assert Path("/proc/self/maps").read_text().count(f"{name}\n") == count  # it had none any more
