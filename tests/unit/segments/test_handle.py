"""A handle of a segment of any kind."""

import os
from collections.abc import Iterator

import pytest

from shmstore import _core
from shmstore.errors import ReadOnlyStore, StoreClosed
from shmstore.segments import handle, segment
from tests.helpers.segments import FIELDS, METRICS, options


@pytest.fixture(params=["events", "metrics"])
def kind(request: pytest.FixtureRequest, name: str) -> Iterator[str]:
    """Of a segment of this name."""
    fields, chosen = {"events": (FIELDS, options()), "metrics": ([], METRICS)}[request.param]
    with segment.create(name, fields, chosen):
        yield request.param


def test_it_takes_a_place_and_leaves_it(kind: str, name: str) -> None:
    with handle.attach(name) as one:
        assert (one.name, one.kind, one.read_only, one.closed) == (name, kind, False, False)
        assert [place.pid for place in one.processes()] == [os.getpid()]
        assert one.check() == [] and not one.unlinked
    with handle.attach(name, read_only=True) as reader:
        assert reader.read_only and reader.processes() == []
        with pytest.raises(ReadOnlyStore):
            reader.core.enter()


def test_after_close_it_still_says_what_it_was(kind: str, name: str) -> None:
    one = handle.attach(name)
    assert repr(one) == f"<Handle of {name!r}: {kind}>"
    one.close()
    one.close()
    assert one.closed and (one.kind, one.header.size) == (kind, _core.plan(one.header.fields, one.header.options).size)
    assert repr(one) == f"<Handle of {name!r}: closed>"
    with pytest.raises(StoreClosed):
        one.processes()


def test_it_sees_that_the_name_was_removed(kind: str, name: str) -> None:
    with handle.attach(name, kind=kind) as one:  # type: ignore[arg-type]
        segment.unlink(name)
        assert one.unlinked


def test_a_segment_that_cannot_be_opened_is_let_go(kind: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: object) -> None:
        raise ReadOnlyStore(kind)

    monkeypatch.setattr("shmstore.segments.mapping.Segment.open_core", refuse)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ReadOnlyStore):
        handle.attach(name)
    assert len(os.listdir("/proc/self/fd")) == before
