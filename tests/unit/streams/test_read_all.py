"""All streams of a store at once: what is read and followed, positions to go on from, and what is told of losses."""

import json
import pickle
import random
import threading
import time
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

import shmstore
from shmstore import Event, InvalidOption, Missed, NewEvent, Position, StreamStore, StreamTruncated
from tests.unit.streams.conftest import Make


def names(events: Any) -> list[Any]:
    return [event if isinstance(event, Missed) else (event.stream, event.version) for event in events]


def scatter(streams: StreamStore, count: int, seed: int) -> list[tuple[str, int]]:
    """Append to several streams by turns; what was appended, in the order in which it was."""
    chance = random.Random(seed)
    found = []
    for number in range(count):
        name = f"s-{chance.randrange(6)}"
        found.append((name, streams[name].append(number)))
    return found


@pytest.fixture
def several(make: Make) -> StreamStore:
    return make(capacity=3000, partitions=3)


# -- what is read


def test_all_is_read_in_the_order_in_which_it_was_appended(several: StreamStore, seed: int) -> None:
    appended = scatter(several, 1000, seed)
    reading = several.read_all()
    events = list(reading)
    assert [event.data for event in events] == list(range(1000)), "times are the order, of one process"
    assert names(events) == appended == names(reading), "it is read anew"
    assert all(isinstance(event, Event) for event in events)
    assert len({event.position for event in events}) == 1000
    assert events == sorted(events, key=lambda event: event.timestamp)


def test_in_a_partition_the_order_is_exact(make: Make) -> None:
    streams = make(partitions=1)
    appended = scatter(streams, 50, 1)
    assert names(streams.read_all()) == appended
    assert [event.position for event in streams.read_all()] == list(range(50))


def test_a_reading_ends_where_the_store_ended_when_it_began(several: StreamStore) -> None:
    scatter(several, 20, 2)
    seen = 0
    for _ in several.read_all():
        several[f"s-{seen % 6}"].append("more")
        seen += 1
    assert seen == 20


def test_a_limit(several: StreamStore) -> None:
    appended = scatter(several, 20, 3)
    assert names(several.read_all(limit=7)) == appended[:7]
    assert names(several.read_all(limit=0)) == [] and names(several.read_all("latest")) == []
    assert names(several.read_all("oldest", 100)) == appended


def test_an_empty_store(several: StreamStore) -> None:
    reading = several.read_all()
    assert names(reading) == [] and reading.position.tickets == (0, 0, 0)
    assert repr(reading) == f"<StoreReading of {several.name!r} at {reading.position}>"


def test_what_cannot_be_read_in_its_stream_is_left_out(make: Make) -> None:
    streams = make(partitions=1)
    for name in "abcde":
        streams[name].append_many(range(4))
    streams["a"].delete()
    streams["b"].delete(hard=True)
    streams["c"].truncate(before=3)
    streams["d"].retain(events=1)
    streams["e"].retain(age=timedelta(milliseconds=1))
    time.sleep(0.01)
    streams["a"].append("again")
    assert names(streams.read_all()) == [("c", 3), ("d", 3), ("a", 4)]
    assert names(streams.follow_all(timeout=0)) == [("c", 3), ("d", 3), ("a", 4)]


def test_an_event_that_is_kept_is_given_once(make: Make) -> None:
    streams = make(capacity=10, partitions=1)
    streams["a"].reserve = 1
    streams["a"].append("kept")
    follower = streams.follow_all(timeout=0)
    given: Counter[tuple[str, int]] = Counter(names(follower))
    for number in range(50):
        streams["b"].append(number)
        given.update(names(follower))
    assert set(given.values()) == {1} and len(given) == 51 and streams["a"].at(0) is not None


def test_a_batch_and_its_parts(several: StreamStore) -> None:
    several["a"].append_many([NewEvent({"n": 1}, type="T", event_id="i", metadata={"by": "me"}), "x"])
    first, second = several.read_all()
    assert first == several["a"].at(0) and second == several["a"].at(1)


# -- positions


def test_a_reading_goes_on_from_any_position(several: StreamStore, seed: int) -> None:
    appended = scatter(several, 300, seed)
    chance = random.Random(seed)
    position: Position | str | None = None
    found = []
    while len(found) < 300:
        reading = several.read_all(position, limit=chance.randrange(1, 40))
        stop = chance.randrange(1, 40)
        for event in reading:
            found.append((event.stream, event.version))
            stop -= 1
            if not stop:
                break
        position = chance.choice([reading.position, str(reading.position)])
    assert found == appended


def test_a_follower_goes_on_from_the_position_of_a_reading_and_back(several: StreamStore, seed: int) -> None:
    chance = random.Random(seed)
    position: Any = None
    found: list[tuple[str, int]] = []
    appended: list[tuple[str, int]] = []
    for number in range(40):
        appended += scatter(several, 10, number)
        with several.follow_all(position) as follower:
            for _ in range(chance.randrange(12)):
                found += names(follower.read(chance.choice([0, 1, 2])))
                if follower.lag and chance.random() < 0.5:
                    found += names([next(follower)])
            position = json.loads(json.dumps(str(follower.position)))
        if chance.random() < 0.3:
            reading = several.read_all(position, limit=5)
            found += names(reading)
            position = pickle.loads(pickle.dumps(reading.position))
    found += names(several.read_all(position))
    assert sorted(found) == sorted(appended) and len(set(found)) == 400
    for name in several.names():
        assert [version for of, version in found if of == name] == list(range(several[name].version + 1))


def test_a_position_is_a_value(several: StreamStore) -> None:
    scatter(several, 20, 4)
    reading = several.read_all()
    list(reading)
    position = reading.position
    assert Position.parse(str(position)) == position == pickle.loads(pickle.dumps(position))
    assert hash(position) == hash(Position.parse(str(position)))
    assert position.store == several.store_id.hex()[:16] and sum(position.tickets) == 20
    several["places"].append({"at": position})
    kept = several["places"].at(0)
    assert kept is not None and names(several.follow_all(kept.data["at"], timeout=0)) == [("places", 0)]
    with pytest.raises(AttributeError):
        position.tickets = ()  # type: ignore[misc]
    with pytest.raises(InvalidOption, match="expected the text of a Position"):
        Position.parse("12")


def test_tickets_without_an_event_are_passed(make: Make) -> None:
    streams = make(partitions=1)
    follower = streams.follow_all()
    streams["a"].append("a")
    streams["a"].delete()
    assert names(follower.read()) == [("a", 0)] or follower.position.tickets == (2,)
    assert follower.read() == [] and follower.position.tickets == (2,) and follower.lag == 0


@pytest.mark.parametrize(
    "from_", ["newest", 3, "", "0123456789abcdef-", "0123456789abcdef-" + "9" * 5000, b"oldest", 1.5, ("a",)]
)
@pytest.mark.parametrize("how", ["read_all", "follow_all"])
def test_what_is_no_position_is_refused(several: StreamStore, from_: Any, how: str) -> None:
    with pytest.raises(InvalidOption, match=r"from_ is .* expected a Position or its text"):
        getattr(several, how)(from_)


def test_a_position_of_another_store_is_refused(several: StreamStore) -> None:
    ours = several.read_all("latest").position
    with pytest.raises(InvalidOption, match="of another store"):
        several.read_all(Position("0" * 16, (0, 0, 0)))
    with pytest.raises(InvalidOption, match=r"from_ is '.*-0'; expected a ticket for each of the 3 partitions, as in"):
        several.read_all(Position(ours.store, (0,)))
    for wrong in ((3, (0,)), (ours.store, [0, 0, 0]), (ours.store, ("0", 0, 0))):
        with pytest.raises(InvalidOption, match="expected"):
            Position(*wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidOption, match="behind the newest event"):
        several.follow_all(Position(ours.store, (0, 1, 0)))


@pytest.mark.parametrize(
    "call",
    [
        lambda streams: streams.read_all(limit=-1),
        lambda streams: streams.read_all(missing="skip"),
        lambda streams: streams.follow_all(missing="skip"),
        lambda streams: streams.follow_all(timeout="1"),
    ],
)
def test_what_makes_no_sense_is_refused(several: StreamStore, call: Any) -> None:
    with pytest.raises(InvalidOption, match="expected"):
        call(several)


# -- what is missed


def test_overwritten_positions_are_told(make: Make) -> None:
    streams = make(capacity=20, partitions=2)
    start = streams.read_all("latest").position
    for number in range(30):
        streams["a"].append(number)  # all in one partition, which keeps 10
    assert names(streams.read_all()) == [("a", version) for version in range(20, 30)]
    reading = streams.read_all(start)
    with pytest.raises(StreamTruncated, match="from 0 on is not there any more") as caught:
        list(reading)
    assert (caught.value.stream, caught.value.version, caught.value.first) == (None, 0, 40)
    assert reading.position == start
    reading = streams.read_all(start, missing="report")
    assert names(reading) == [("a", version) for version in range(20, 30)] and reading.missing == [range(0, 40, 2)]
    with pytest.raises(StreamTruncated):
        streams.follow_all(start).read()
    gap = Missed(None, range(0, 40, 2))
    followed = names(streams.follow_all(start, missing="report", timeout=0))
    assert followed == [gap, *(("a", version) for version in range(20, 30))] and gap.count == 20


def test_a_gap_of_one_partition_leaves_the_others_as_they_are(make: Make) -> None:
    streams = make(capacity=20, partitions=2)
    follower = streams.follow_all(missing="report")
    streams["a"].append("x")
    streams["b"].append("x")  # in the other partition
    assert names(follower.read()) == [("a", 0), ("b", 0)]
    streams["b"].append("y")
    for number in range(15):
        streams["a"].append(number)
    found = names(follower.read())
    assert sorted(found[1:]) == [*(("a", version) for version in range(6, 16)), ("b", 1)]
    assert found[0] == Missed(None, range(2, 12, 2))


# -- following


def test_new_streams_come_by_themselves_and_waits_end(several: StreamStore) -> None:
    follower = several.follow_all("latest", timeout=0.5)
    timer = threading.Timer(0.05, lambda: several["new"].append("a"))
    timer.start()
    begun = time.monotonic()
    assert names([next(follower)]) == [("new", 0)] and time.monotonic() - begun < 0.4
    timer.join()
    assert repr(follower) == f"<StoreFollower at {follower.position}>"


def test_what_has_no_event_does_not_end_a_wait(several: StreamStore) -> None:
    several["a"].append("a")
    follower = several.follow_all("latest")
    several["a"].delete()
    assert not follower.wait(0) and follower.read() == []
    timer = threading.Timer(0.05, lambda: several["b"].append("b"))
    timer.start()
    assert follower.wait(20) and names(follower.read()) == [("b", 0)]
    timer.join()


def test_a_reader_that_may_only_read(several: StreamStore) -> None:
    scatter(several, 10, 5)
    with shmstore.attach_streams(several.name, read_only=True) as reader:
        assert len(list(reader.read_all())) == 10
        follower = reader.follow_all(timeout=0.05)
        assert len(list(follower)) == 10
        several["s-1"].append("more")
        assert len(list(follower)) == 1
