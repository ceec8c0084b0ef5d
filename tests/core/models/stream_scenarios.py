"""What is explored of streams: a few threads on a log of one to three tickets."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.core.models.stream_checks import Event
from tests.core.models.stream_threads import UsedStreams
from tests.core.models.stream_users import NO_STREAM, Append, Done, Wish
from tests.core.models.streams import (
    HARD,
    KEEP,
    NO_SLOT,
    SOFT,
    TAKE,
    Change,
    batch_of,
    deleted_of,
    facts_of,
    next_of,
    text_of,
    truncated_of,
)
from tests.core.operations import Scenario

A, B = Event(0, 0, 0, "a"), Event(1, 1, 1, "b")
ID_A, ID_B = A._replace(id="a"), B._replace(id="b")


def append(me: int, slots: Sequence[int], data: str, ids: bool = False, **more: Any) -> Append:
    """Of an event for each letter."""
    return Append(me, more.pop("stream", 0), tuple(Wish(d if ids else None, d) for d in data), tuple(slots), **more)


def slots(*numbers: int, ids: bool = False, batch: bool = False) -> list[Any]:
    """What is written of slots that are used."""
    kinds = (text_of, facts_of, *([next_of] if ids else ()), *([batch_of] if batch else ()))
    return [of(number) for number in numbers for of in kinds]


def scenarios(model: type[UsedStreams] = UsedStreams) -> Mapping[str, Scenario]:
    return {**of_one_ticket(model), **of_more_tickets(model), **of_readers(model), **of_the_dead(model)}


def of_one_ticket(model: type[UsedStreams]) -> Mapping[str, Scenario]:
    log, late, same, cond, two, soft, hard, new, free, claim, find, gone, again = (model(1, 3) for _ in range(13))
    own = Done(((0, 1, "b"),), (0,), 1)
    return {
        "two finish an append": log.scenario(
            log.finishes,
            log.finishes,
            lambda: log.knows(own),
            events=[ID_A],
            announced=[ID_B],
            claimed={1: 2},
            written=[next_of(1)],
            mortal=[0],
            versions=2,
        ),
        "an append is finished late": late.scenario(
            late.finishes,
            lambda: late.finishes_and_appends(own, append(1, [0], "c", True)),
            events=[ID_A],
            announced=[ID_B],
            claimed={1: 1},
            written=[next_of(1), *slots(0, ids=True)],
            versions=3,
        ),
        "an append is finished late, and its slot used again": again.scenario(
            again.finishes,
            lambda: again.finishes_and_writes(own, append(1, [0], "c"), append(1, [1], "d")),
            events=[A],
            announced=[B],
            claimed={1: 1},
            written=slots(0, 1),
            versions=3,
        ),
        "two append one id": same.scenario(
            lambda: same.appends(append(0, [1], "b", True)),
            lambda: same.appends(append(1, [2], "b", True)),
            events=[ID_A],
            claimed={1: 0, 2: 1},
            written=slots(1, 2, ids=True),
            versions=2,
        ),
        "two append under one condition": cond.scenario(
            lambda: cond.appends(append(0, [1], "b", expected=0)),
            lambda: cond.appends(append(1, [2], "c", expected=0)),
            events=[A],
            claimed={1: 0, 2: 1},
            written=slots(1, 2),
            versions=2,
        ),
        "two append to two streams": two.scenario(
            lambda: two.appends(append(0, [1], "b")),
            lambda: two.appends(append(1, [2], "c", stream=1)),
            events=[Event(0, 0, 4, "a", stream=1)],
            claimed={1: 0, 2: 1},
            written=slots(1, 2),
            versions=1,
        ),
        "an append meets a deletion": soft.scenario(
            lambda: soft.appends(append(0, [1], "b", expected=0)),
            lambda: soft.appends(append(1, [2], "x", kind=SOFT)),
            events=[A],
            claimed={1: 0, 2: 1},
            written=[deleted_of(0), *slots(1, 2)],
        ),
        "an append meets the last deletion": hard.scenario(
            lambda: hard.appends_before_the_end(append(0, [1], "b")),
            lambda: hard.appends(append(1, [2], "x", kind=HARD)),
            events=[A],
            claimed={1: 0, 2: 1},
            written=[deleted_of(0), *slots(1, 2)],
        ),
        "an append begins a deleted stream": new.scenario(
            lambda: new.appends_if_new(append(0, [1], "b", expected=NO_STREAM)),
            lambda: new.appends(append(1, [2], "x", kind=SOFT)),
            events=[A],
            claimed={1: 0, 2: 1},
            written=[deleted_of(0), *slots(1, 2)],
        ),
        "an id is looked for late": find.scenario(
            lambda: find.looks_for(append(0, [], "a", True)),
            lambda: find.appends(append(1, [1], "b"), append(1, [0], "c")),
            events=[ID_A],
            claimed={1: 1},
            written=slots(0, 1, ids=True),
            versions=3,
        ),
        "a deletion is finished late": gone.scenario(
            gone.finishes,
            lambda: gone.finishes_and_appends(Done(spares=(0,)), append(1, [0], "x", kind=HARD)),
            events=[A],
            announced=[B._replace(kind=SOFT)],
            claimed={1: 1},
            written=[deleted_of(0), *slots(0)],
        ),
        "two claim": free.scenario(
            lambda: free.claims(0),
            lambda: free.claims(1),
            lambda: free.knows(Done(spares=(1,))),
            events=[A],
            claimed={1: 2},
        ),
        "a free slot is claimed and used": claim.scenario(
            lambda: claim.claims(0),
            lambda: claim.finishes_and_claims_and_appends(append(1, [2], "b")),
            lambda: claim.knows(Done(spares=(1,))),
            events=[A],
            claimed={1: 2},
            written=slots(2),
        ),
    }


def of_more_tickets(model: type[UsedStreams]) -> Mapping[str, Scenario]:
    batch, late_batch, two_batch = model(2, 4), model(2, 4), model(2, 4)
    known = model(3, 6)
    keep, late_keep = model(2, 3, reserved=1), model(2, 4, reserved=1)
    early, late_early = model(3, 3, reserved=1), model(2, 4, reserved=1)
    take, late_take = model(2, 3), model(2, 3)
    ids, held, link = model(2, 4), model(2, 3, reserved=1), model(2, 4)
    kept = Event(0, 0, 0, "a", "a", 1)
    other = Event(1, 1, 0, "b", "b")
    c, d = Event(2, 2, 2, "c", "c"), Event(3, 3, 3, "d", "d")
    appended = Done(((0, 2, "c"), (0, 3, "d")), (), 2)
    return {
        "two finish a batch": batch.scenario(
            batch.finishes,
            batch.finishes,
            lambda: batch.knows(appended),
            events=[A, B],
            announced=[c._replace(id=None), d._replace(id=None)],
            claimed={2: 2, 3: 2},
            mortal=[0],
            versions=4,
        ),
        "a batch is finished late": late_batch.scenario(
            late_batch.finishes,
            lambda: late_batch.finishes_and_claims_and_appends(append(1, [1, 0], "ef"), appended),
            events=[A, B],
            announced=[c._replace(id=None), d._replace(id=None)],
            claimed={2: 1, 3: 1},
            written=slots(0, 1, batch=True),
            versions=6,
        ),
        "a batch overwrites two streams": two_batch.scenario(
            two_batch.finishes,
            two_batch.finishes,
            lambda: two_batch.knows(Done(((0, 1, "c"), (0, 2, "d")), (), 2)),
            events=[A, Event(1, 1, 0, "b", stream=1)],
            announced=[Event(2, 2, 1, "c"), Event(3, 3, 2, "d")],
            claimed={2: 2, 3: 2},
            mortal=[0],
            versions=3,
        ),
        "a batch meets one of its ids": known.scenario(
            lambda: known.appends(append(0, [2, 3], "bc", True)),
            lambda: known.appends(append(1, [4], "c", True)),
            events=[ID_A, ID_B],
            claimed={2: 0, 3: 0, 4: 1},
            written=slots(2, 3, 4, ids=True),
            versions=3,
        ),
        "two keep an event": keep.scenario(
            keep.finishes,
            keep.finishes,
            events=[kept, other],
            what=Change(3, KEEP, 0),
            written=[next_of(0)],
            mortal=[0],
        ),
        "an event is kept late": late_keep.scenario(
            late_keep.finishes,
            lambda: late_keep.finishes_and_appends(Done(), append(1, [2], "c", True), append(1, [3], "d", True)),
            events=[kept, other],
            filled=[Event(3, 2, 1, "c", "c"), Event(5, 3, 2, "d", "d")],
            what=Change(3, KEEP, 0),
            claimed={2: 1, 3: 1},
            written=[next_of(slot) for slot in (0, 2, 3)],
            versions=3,
        ),
        "two keep an event behind another": early.scenario(
            early.finishes,
            early.finishes,
            events=[ID_A, Event(1, 1, 0, "b", "b", 1), Event(2, 2, 1, "c", "c")],
            what=Change(4, KEEP, 1),
            written=[next_of(1)],
            mortal=[0],
            stay=[(1, 0), (0, 1)],
        ),
        "an event behind another is kept late": late_early.scenario(
            late_early.finishes,
            lambda: late_early.finishes_and_appends(Done(), append(1, [2], "c", True), append(1, [3], "d", True)),
            events=[ID_A, Event(1, 1, 0, "b", "b", 1)],
            filled=[Event(3, 2, 1, "c", "c"), Event(5, 3, 2, "d", "d")],
            what=Change(3, KEEP, 1),
            claimed={2: 1, 3: 1},
            written=[next_of(slot) for slot in (1, 2, 3)],
            versions=3,
        ),
        "two take": take.scenario(
            lambda: take.finishes_and_claims(0, 0),
            lambda: take.finishes_and_claims(1, 0),
            events=[ID_A, ID_B],
            what=Change(3, TAKE, NO_SLOT),
            claimed={},
            versions=2,
        ),
        "a take is finished late": late_take.scenario(
            lambda: late_take.looks_for(append(0, [], "c", True)),
            lambda: late_take.finishes_and_claims_and_appends(append(1, [0], "c", True)),
            events=[ID_A, ID_B],
            what=Change(3, TAKE, NO_SLOT),
            written=slots(0, ids=True),
        ),
        "a reserve is not taken": held.scenario(
            lambda: held.claims(0),
            lambda: held.claims(1),
            lambda: held.knows(Done(spares=(2,))),
            events=[kept, other],
            claimed={2: 2},
            written=[next_of(0)],
            stay=[(1, 0)],
        ),
        "a link is set late": link.scenario(
            link.finishes,
            lambda: link.finishes_and_takes_and_appends(
                Done(((0, 2, "c"),), (0,), 1), append(1, [3], "d", True), append(1, [2], "e", True)
            ),
            events=[A, B],
            announced=[c],
            filled=[Event(4, 3, 3, "d", "d")],
            claimed={2: 1, 3: 1},
            written=[next_of(3), *slots(2, ids=True)],
            versions=5,
        ),
        "an id meets another of its chain": ids.scenario(
            lambda: ids.appends(append(0, [2], "c", True)),
            lambda: ids.appends(append(1, [3], "b", True)),
            events=[ID_A, ID_B],
            claimed={2: 0, 3: 1},
            written=slots(2, 3, ids=True),
            versions=3,
        ),
    }


def of_readers(model: type[UsedStreams]) -> Mapping[str, Scenario]:
    reader, ticket, state, trunc, cut = (model(1, 2) for _ in range(5))
    beside = model(1, 3)
    follow = model(2, 3)
    walk, kept = model(2, 3), model(2, 3, reserved=1)
    own = Done(((0, 1, "b"),), (0,), 1)
    again: dict[str, Any] = {
        "events": [A], "announced": [B], "claimed": {1: 0}, "written": slots(0), "versions": 3,
    }  # fmt: skip
    return {
        "a reader meets a slot that is used again": reader.scenario(
            lambda: reader.finishes_and_appends(own, append(0, [0], "c")), lambda: reader.reads(0), **again
        ),
        "a reader goes back": walk.scenario(
            lambda: walk.appends(append(0, [2], "c")),
            lambda: walk.reads(0),
            events=[A, B],
            claimed={2: 0},
            written=slots(2),
            versions=3,
        ),
        "what has come is read": follow.scenario(
            lambda: follow.appends(append(0, [2], "c")),
            lambda: follow.follows(2),
            events=[A, B],
            claimed={2: 0},
            written=slots(2),
            versions=3,
        ),
        "a ticket is read": ticket.scenario(
            lambda: ticket.finishes_and_appends(own, append(0, [0], "c")),
            lambda: ticket.reads_ticket(1, 2),
            **again,
        ),
        "a kept event is read": kept.scenario(
            kept.finishes,
            lambda: kept.reads(0, 1),
            lambda: kept.reads_ticket(0, 2),
            events=[Event(0, 0, 0, "a", stream=1), Event(1, 1, 0, "b")],
            what=Change(3, KEEP, 0),
        ),
        "the state is read": state.scenario(
            lambda: state.finishes_and_appends(own, append(0, [0], "c")),
            lambda: state.reads_state((0, 1)),
            truncated=1,
            expired=1,
            **again,
        ),
        "the state is read while others finish": beside.scenario(
            lambda: beside.finishes_and_announces(2, Done(((0, 1, "b"), (0, 2, "c")), (0, 1), 2)),
            beside.finishes,
            lambda: beside.reads_state((0,)),
            events=[A],
            announced=[B],
            filled=[Event(2, 2, 2, "c")],
            claimed={1: 0, 2: 0},
            versions=3,
        ),
        "two truncate": cut.scenario(
            lambda: cut.truncates(1),
            lambda: cut.truncates(2),
            events=[A],
            written=[truncated_of(0)],
        ),
        "a truncation meets an append": trunc.scenario(
            trunc.finishes,
            trunc.finishes,
            lambda: trunc.truncates(1),
            lambda: trunc.knows(own),
            events=[A],
            announced=[B],
            claimed={1: 3},
            written=[truncated_of(0)],
            versions=2,
        ),
    }


def of_the_dead(model: type[UsedStreams]) -> Mapping[str, Scenario]:
    again, sweep, batch, half, use = model(1, 3), model(1, 2), model(3, 4), model(2, 4), model(1, 2)
    return {
        "the appender of a batch dies": half.scenario(
            lambda: half.appends(append(0, [2, 3], "cd")),
            lambda: half.counts((2, 4)),
            events=[A, B],
            claimed={2: 0, 3: 0},
            written=slots(2, 3, batch=True),
            mortal=[0],
            of_dead=[2],
        ),
        "an append is made again after death": again.scenario(
            lambda: again.appends(append(0, [1], "b", True)),
            lambda: again.appends_and_sweeps(append(1, [2], "b", True), 0),
            events=[ID_A],
            claimed={1: 0, 2: 1},
            written=slots(1, 2, ids=True),
            mortal=[0],
            of_dead=[1],
            versions=2,
        ),
        "what the dead had claimed is claimed": sweep.scenario(
            lambda: sweep.appends(append(0, [1], "b")),
            lambda: sweep.sweeps_and_claims(1, 0, 1),
            lambda: sweep.sweeps_and_claims(2, 0, 0),
            events=[A],
            claimed={1: 0},
            written=slots(1),
            mortal=[0],
            of_dead=[1],
        ),
        "what the dead had claimed is used": use.scenario(
            lambda: use.writes(append(0, [1], "b")),
            lambda: use.frees(0),
            lambda: use.finishes_and_claims_and_appends(append(2, [1], "c")),
            events=[A],
            claimed={1: 0},
            written=slots(1),
            mortal=[0],
        ),
        "a batch is made again after death": batch.scenario(
            lambda: batch.appends(append(0, [1, 2], "bc", True)),
            lambda: batch.appends(append(1, [3], "c", True)),
            events=[ID_A],
            claimed={1: 0, 2: 0, 3: 1},
            written=slots(1, 2, 3, ids=True, batch=True),
            mortal=[0],
            of_dead=[1, 2],
        ),
    }
