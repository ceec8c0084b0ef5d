"""Segments of another kind than stores: metrics and streams, as they are seen from the outside."""

import inspect
import os
import random
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import shmstore
from shmstore import _core
from shmstore.errors import (
    InvalidCapacity,
    InvalidOption,
    InvalidSchema,
    ReadOnlyStore,
    StoreClosed,
    StoreExists,
    StoreNotFound,
    WrongKind,
)
from shmstore.metrics.configure import configure
from shmstore.segments import handle, segment
from shmstore.segments.refusals import Kind
from tests.helpers.segments import FIELDS, METRICS, STREAMS, fill_metrics, in_child, may_fork, options, path, set_word

# What a segment of any kind answers; all else that a Store has is about records.
OF_EACH_KIND: dict[str, Callable[[_core.Store], Any]] = {
    "header": lambda core: core.header(),
    "plan": lambda core: core.plan(),
    "places": lambda core: core.places(),
    "check": lambda core: core.check(),
    "enter": lambda core: core.enter(),
    "reap": lambda core: core.reap(),
    "lock_coordinator": lambda core: core.lock_coordinator(),
    "sample": lambda core: core.sample(1),
    "history": lambda core: core.history(),
    "coordinator_alive": lambda core: core.coordinator_alive(),
    "unlock_coordinator": lambda core: core.unlock_coordinator(),
    "close": lambda core: core.close(),
}
OF_ONE_KIND: dict[str, Kind] = {"metrics_room": "metrics", "streams_room": "streams"}
METHODS = [name for name, it in vars(_core.Store).items() if callable(it) and not name.startswith("__")]


@pytest.fixture
def metrics(name: str) -> Iterator[_core.Store]:
    with segment.create(name, (), METRICS) as mapped:
        core = mapped.open_core()
        yield core
        core.close()


@pytest.fixture
def streams(name: str) -> Iterator[_core.Store]:
    with segment.create(name, (), STREAMS) as mapped:
        core = mapped.open_core()
        yield core
        core.close()


@pytest.fixture
def store(name: str) -> Iterator[_core.Store]:
    with segment.create(name, FIELDS, options()) as mapped:
        core = mapped.open_core()
        yield core
        core.close()


# -- plan, format, header


def test_metrics_are_planned_without_fields() -> None:
    plan = _core.plan((), METRICS)
    assert (plan.capacity, plan.slots, plan.record_bytes) == (METRICS["capacity"], 0, 0)
    names = [region for region, _, _ in plan.regions]
    assert names == ["header and board", "history", "processes", "changes", "chains", "nodes", "exemplars"]
    ends = [first + size for _, first, size in plan.regions]
    assert [*(first for _, first, _ in plan.regions[1:]), plan.size] == ends


def test_a_header_tells_its_kind(metrics: _core.Store) -> None:
    header = metrics.header()
    assert header.options == METRICS and header.fields == []
    assert _core.plan(header.fields, header.options) == metrics.plan()


def test_a_store_says_that_it_holds_events(store: _core.Store) -> None:
    assert store.header().options == {"kind": "events", **options()}


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        ({"kind": "queues"}, InvalidOption, "kind is 'queues'; it must be 'events', 'metrics' or 'streams'"),
        ({"kind": 1}, InvalidOption, "kind is 1; it must be"),
        ({"kind": None}, InvalidOption, "kind is None; it must be"),
        ({"capacity": 0}, InvalidCapacity, "series is 0; it must be between 1 and 4194304"),
        ({"capacity": 1 << 23}, InvalidCapacity, "series is 8388608"),
        ({"capacity": "many"}, InvalidCapacity, "series is 'many'"),
        ({"exemplars": -1}, InvalidCapacity, "exemplars is -1"),
        ({"exemplars": 1 << 21}, InvalidCapacity, "exemplars is 2097152"),
        ({"processes": 0}, InvalidCapacity, "processes is 0"),
    ],
)
def test_wrong_options_are_named(wrong: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        _core.plan((), METRICS | wrong)


def test_streams_are_planned_without_fields() -> None:
    plan = _core.plan((), STREAMS)
    assert (plan.capacity, plan.slots) == (100, 50) and plan.record_bytes >= STREAMS["data_bytes"]
    names = [region for region, _, _ in plan.regions]
    assert names == [
        "header and board",
        "history",
        "processes",
        "name buckets",
        "name cells",
        "logs",
        "streams",
        "slots",
    ]
    ends = [first + size for _, first, size in plan.regions]
    assert [*(first for _, first, _ in plan.regions[1:]), plan.size] == ends


def test_a_header_of_streams_tells_their_options(streams: _core.Store) -> None:
    header = streams.header()
    assert header.options == STREAMS and header.fields == []
    assert _core.plan(header.fields, header.options) == streams.plan()
    assert streams.streams_room() == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"capacity": 0}, "capacity is 0; it must be between 1 and"),
        ({"capacity": 1 << 40}, "capacity is 1099511627776; it must be between 1 and 17162825728"),
        ({"capacity": 10**7, "partitions": 2}, "takes 3 partitions and not 2: one keeps at most 4190143 events"),
        ({"capacity": 1.5}, "capacity is 1.5; it must be an int that is not negative"),
        ({"capacity": -1}, "capacity is -1; it must be an int that is not negative"),
        ({"capacity": True}, "capacity is True; it must be an int that is not negative"),
        ({"capacity": 1 << 63}, "capacity is 9223372036854775808; no segment takes so much"),
        ({"processes": 1 << 32}, "processes is 4294967296; no segment takes so much"),
        ({"partitions": 0}, "partitions is 0; it must be between 1 and 4096"),
        ({"data_bytes": 1 << 25}, "data_bytes is 33554432; it must be between 1 and 16777216"),
        ({"streams": "many"}, "streams is 'many'"),
        ({"processes": 0}, "processes is 0"),
    ],
)
def test_wrong_options_of_streams_are_named(wrong: Any, said: str) -> None:
    with pytest.raises(InvalidCapacity, match=said):
        _core.plan((), STREAMS | wrong)


def test_streams_have_no_fields() -> None:
    with pytest.raises(InvalidSchema, match="streams have no fields, found 1"):
        _core.plan(FIELDS, STREAMS)


def test_an_option_that_is_missing_is_named() -> None:
    for name in ("capacity", "exemplars", "processes"):
        with pytest.raises(KeyError, match=name):
            _core.plan((), {other: value for other, value in METRICS.items() if other != name})  # type: ignore[arg-type]


def test_metrics_have_no_fields() -> None:
    with pytest.raises(InvalidSchema, match="metrics have no fields, found 1"):
        _core.plan(FIELDS, METRICS)


# -- by name


@pytest.mark.usefixtures("metrics")
def test_a_store_is_not_made_of_metrics(name: str) -> None:
    said = rf"{name}: expected a store of records, found metrics; use metrics.configure\('{name}'\)"
    for call in (
        lambda: shmstore.attach(name),
        lambda: shmstore.attach(name, read_only=True),
        lambda: shmstore.open(name, FIELDS, capacity=10),
        lambda: shmstore.series(name, capacity=10),
    ):
        with pytest.raises(WrongKind, match=said):
            call()
    with pytest.raises(StoreExists, match=rf"exists already and holds metrics; use metrics.configure\('{name}'\)"):
        shmstore.create(name, FIELDS, capacity=10)


@pytest.mark.usefixtures("store")
def test_metrics_are_not_made_of_a_store(name: str) -> None:
    said = rf"{name}: expected metrics, found a store of records; use shmstore.attach\('{name}'\)"
    with pytest.raises(WrongKind, match=said):
        handle.attach(name, kind="metrics")
    with pytest.raises(StoreExists, match=r"exists already and holds a store of records; use shmstore\.attach"):
        segment.create(name, (), METRICS)


@pytest.mark.usefixtures("streams")
def test_streams_are_neither_a_store_nor_metrics(name: str) -> None:
    said = rf"{name}: expected %s, found streams; use shmstore.attach_streams\('{name}'\)"
    with pytest.raises(WrongKind, match=said % "a store of records"):
        shmstore.attach(name)
    with pytest.raises(WrongKind, match=said % "metrics"):
        configure(name)
    with pytest.raises(StoreExists, match=rf"holds streams; use shmstore.attach_streams\('{name}'\)"):
        shmstore.create(name, FIELDS, capacity=10)
    assert name not in shmstore.list_stores()


@pytest.mark.parametrize("kind", ["metrics", "store"])
def test_streams_are_not_made_of_anything_else(name: str, kind: str, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue(kind)
    for call in (shmstore.attach_streams, lambda name: shmstore.open_streams(name, capacity=10)):
        with pytest.raises(
            WrongKind, match=r"expected streams, found (metrics; use metrics.conf|a store of records; use)"
        ):
            call(name)
    with pytest.raises(StoreExists, match=r"exists already and holds (metrics; use|a store of records; use)"):
        shmstore.create_streams(name, capacity=10)


def test_a_name_that_is_taken_by_the_same_kind_is_told_so(metrics: _core.Store, name: str) -> None:
    with pytest.raises(StoreExists, match="exists already; attach to it"):
        segment.create(name, (), METRICS)
    assert metrics.check() == []


def test_refusing_leaves_no_trace(metrics: _core.Store, name: str) -> None:
    before = path(name).read_bytes()
    with pytest.raises(WrongKind):
        shmstore.attach(name)
    assert path(name).read_bytes() == before and len(metrics.places()) == 1


def test_only_stores_are_listed_as_stores(metrics: _core.Store, name: str) -> None:
    assert name not in shmstore.list_stores()
    (info,) = (info for info in segment.list_segments() if info.name == name)
    assert info.header == metrics.header() and info.error is None


def test_unlinking_tells_who_is_attached(metrics: _core.Store, name: str) -> None:
    shmstore.unlink(name)
    assert metrics.unlinked and metrics.metrics_room().used == 0
    with pytest.raises(StoreNotFound):
        handle.attach(name)


# -- a handle of each kind


@pytest.mark.parametrize("kind", ["metrics", "streams"])
def test_every_method_is_for_one_kind_or_for_each(kind: Kind, request: pytest.FixtureRequest) -> None:
    core: _core.Store = request.getfixturevalue(kind)
    assert OF_EACH_KIND.keys() | OF_ONE_KIND.keys() < set(METHODS)
    for name in METHODS:
        wanted = OF_ONE_KIND.get(name, "stores of records")
        if name in OF_EACH_KIND or wanted == kind:
            continue
        method = getattr(core, name)
        needed = [one for one in inspect.signature(method).parameters.values() if one.default is one.empty]
        given = [None for one in needed if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
        with pytest.raises(WrongKind, match=f"the segment holds {kind}, and '{name}' is for {wanted}; use shmstore"):
            method(*given)
    for answer in OF_EACH_KIND.values():
        answer(core)


@pytest.mark.parametrize(("method", "kind"), OF_ONE_KIND.items())
def test_what_is_for_another_kind_is_refused_by_a_store(store: _core.Store, method: str, kind: Kind) -> None:
    with pytest.raises(WrongKind, match=f"is a store of records, and '{method}' is for {kind}; use shmstore.attach"):
        getattr(store, method)()


def test_room_of_a_new_segment(metrics: _core.Store) -> None:
    nodes = 2 * METRICS["capacity"] + 512
    assert metrics.metrics_room() == (nodes, 0, 0, 0, 0, 0, 0, 0)
    assert metrics.check() == [] and metrics.lapped == 0 and not metrics.unlinked


def test_room_of_one_that_is_used(metrics: _core.Store, name: str) -> None:
    with segment.attach(name) as mapped:
        fill_metrics(mapped, refused=7, too_long=2, placeless=4)
    room = metrics.metrics_room()
    assert room._asdict() == {
        "nodes": 2 * METRICS["capacity"] + 512,
        "used": 3,
        "declarations": 1,
        "series": 1,
        "exemplars": 1,
        "refused": 7,
        "too_long": 2,
        "placeless": 4,
    }


def test_a_closed_one_says_so(metrics: _core.Store) -> None:
    metrics.close()
    with pytest.raises(StoreClosed):
        metrics.metrics_room()
    with pytest.raises(WrongKind):
        metrics.append()
    assert metrics.closed


def test_a_read_only_one_takes_no_place(metrics: _core.Store, name: str) -> None:
    with segment.attach(name, writable=False) as mapped:
        reader = mapped.open_core()
        assert reader.metrics_room().used == 0 and reader.check() == []
        assert [place.pid for place in reader.places()] == [os.getpid()]
        with pytest.raises(ReadOnlyStore):
            reader.enter()
        reader.close()


@may_fork
def test_the_dead_are_reaped(metrics: _core.Store, name: str) -> None:
    child = os.fork()
    if not child:
        try:
            mapped = segment.attach(name)
            core = mapped.open_core()
            core.enter()
            os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert {place.pid: place.state for place in metrics.places()} == {os.getpid(): "alive", child: "dead"}
    assert [dead.pid for dead in metrics.reap()] == [child]
    assert [place.pid for place in metrics.places()] == [os.getpid()]


@may_fork
def test_a_forked_child_has_a_place_of_its_own(metrics: _core.Store) -> None:
    def enter() -> tuple[int, bool]:
        return metrics.enter(), os.getpid() in [place.pid for place in metrics.places()]

    own = metrics.enter()
    assert in_child(enter) == str((own + 1, True))
    assert metrics.enter() == own


def test_a_sample_counts_the_processes(metrics: _core.Store) -> None:
    assert metrics.lock_coordinator() and metrics.coordinator_alive()
    sample = metrics.sample(7)
    assert (sample.time_ns, sample.processes, sample.appended) == (7, 1, 0)
    assert metrics.history() == [sample]


def test_damage_is_found(metrics: _core.Store, name: str) -> None:
    with segment.attach(name) as mapped:
        set_word(mapped, "nodes", 0, 2)  # live, and in no chain
    (finding,) = metrics.check()
    assert "node 0 " in finding and "not in its chain" in finding


def test_any_bytes_are_told_as_damage(metrics: _core.Store, name: str, seed: int) -> None:
    chance = random.Random(seed)
    first = next(first for region, first, _ in metrics.plan().regions if region == "changes")
    with segment.attach(name) as mapped:
        mapped.buffer[first:] = chance.randbytes(len(mapped.buffer) - first)
    assert metrics.check()
    room = metrics.metrics_room()
    assert room.declarations + room.series <= room.used <= room.nodes and room.exemplars <= METRICS["exemplars"]
    for answer in OF_EACH_KIND.values():
        answer(metrics)
