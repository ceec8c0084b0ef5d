"""What is given to `configure` and its like: refused in words that help, compared with what is there, kept as it is."""

import gc
import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import shmstore
from shmstore import _core, errors, metrics, prometheus_client_bridge
from shmstore.metrics.memory import memory
from shmstore.segments import segment
from tests.helpers.processes import Child
from tests.helpers.segments import as_nobody, needs_root

SIZES: _core.Options = {"kind": "metrics", "capacity": 200, "exemplars": 5, "processes": 7}


def alone(action: Callable[[], None]) -> None:
    """Run it in a process of its own, in which each warning is an error."""

    def run() -> int:
        gc.collect()  # instruments of other tests would move as well
        warnings.simplefilter("error")
        action()
        return 0

    with Child(run) as child:
        assert child.wait() == 0


@pytest.fixture
def small(name: str) -> Iterator[str]:
    """The name of metrics that have other sizes than the usual ones."""
    segment.create(name, (), SIZES).close()
    yield name
    shmstore.unlink(name)


def share_metrics(name: str | None = None, **options: Any) -> None:
    from shmstore import gunicorn  # its metrics are declared here, and not for other tests

    gunicorn.share_metrics(name, **options)


def share_and_start(name: str, **options: Any) -> None:
    from types import SimpleNamespace

    from shmstore import gunicorn

    gunicorn.share_metrics(name, **options)
    gunicorn.on_starting(SimpleNamespace(cfg=SimpleNamespace(gid=os.getegid())))


WAYS = [metrics.configure, prometheus_client_bridge.install, share_and_start]


@pytest.mark.parametrize("way", WAYS)
def test_sizes_that_are_not_given_are_not_compared(small: str, way: Callable[..., None]) -> None:
    def action() -> None:
        way(small)
        assert memory.is_shared

    alone(action)


@pytest.mark.parametrize("way", WAYS)
def test_only_the_size_that_is_given_and_differs_is_told(small: str, way: Callable[..., None]) -> None:
    def action() -> None:
        with pytest.raises(UserWarning, match=r"keep their size: exemplars is 5, not 6; ask"):
            way(small, series=200, exemplars=6)
        assert not memory.is_shared
        way(small, series=200)
        assert memory.is_shared

    alone(action)


def test_what_a_warning_that_is_an_error_had_mapped_is_let_go(small: str) -> None:
    def action() -> None:
        open_files = os.listdir("/proc/self/fd")
        with pytest.raises(UserWarning) as raised:
            metrics.configure(small, series=6)
        assert raised.tb is not None and os.listdir("/proc/self/fd") == open_files

    alone(action)


@pytest.mark.parametrize("way", [metrics.configure, prometheus_client_bridge.install, share_metrics])
@pytest.mark.parametrize(
    ("option", "least", "most"),
    [("series", 1, _core.MAX_SERIES), ("exemplars", 0, _core.MAX_EXEMPLARS), ("processes", 1, _core.MAX_PROCESSES)],
)
def test_a_size_beyond_its_bounds_is_refused_with_them(
    name: str, way: Callable[..., None], option: str, least: int, most: int
) -> None:
    said = rf"^{option} is .*, a whole number from {least} to {most}$"

    def action() -> None:
        odd: Any
        for odd in (least - 1, -1, "10", 1.5, True, most + 1):
            with pytest.raises(errors.InvalidCapacity, match=said):
                way(name, **{option: odd})
        assert not memory.is_shared

    alone(action)


@pytest.mark.parametrize("way", [metrics.configure, prometheus_client_bridge.install, share_metrics])
def test_an_unknown_option_is_refused_with_the_call_that_fits(name: str, way: Any) -> None:
    def action() -> None:
        called = way.__name__
        signature = rf"write {called}\(.*series=, exemplars=, processes=, mode=, group=, strict=\)"
        with pytest.raises(errors.InvalidCall, match=rf"^{called} takes no serie=5; {signature}; serie=: .*series"):
            way(name, serie=5)
        with pytest.raises(
            TypeError, match=rf"^{called} takes no capacity=5; {signature}; capacity= is called series="
        ):
            way(name, capacity=5)
        assert not memory.is_shared

    alone(action)


@pytest.mark.parametrize("way", [metrics.configure, prometheus_client_bridge.install])
def test_a_call_without_a_name_is_refused(way: Any) -> None:
    with pytest.raises(
        errors.InvalidCall, match=rf"^{way.__name__} needs name; write {way.__name__}\(name, \*, series"
    ):
        way()


def test_metrics_that_there_is_no_memory_for_are_to_be_fewer(name: str) -> None:
    def action() -> None:
        with pytest.raises(errors.NoSpace, match="choose a smaller series=") as raised:
            metrics.configure(name, series=_core.MAX_SERIES, exemplars=_core.MAX_EXEMPLARS)
        assert "capacity" not in str(raised.value)

    def in_a_small_group() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(segment.memory, "least_room", lambda: segment.memory.Room("a group", 1 << 20, 1 << 20))
            action()

    in_a_full_directory: Callable[[], None] = action
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segment, "_reserve", full)
        alone(in_a_full_directory)
    alone(in_a_small_group)


def full(*_: Any) -> None:
    raise OSError(28, "No space left on device")


@needs_root
def test_who_may_not_share_metrics_is_not_sent_to_read_them(small: str) -> None:
    said = as_nobody(lambda: metrics.configure(small))
    assert said.startswith("AccessDenied: uid 65534 may not write to") and "create it with another mode=" in said
    assert "read" not in said


def test_a_directory_that_is_read_only_is_to_be_mounted_for_writing(
    small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> int:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(segment.names, "open_file", refuse)
    with pytest.raises(errors.AccessDenied, match="is mounted read-only; mount it for writing"):
        metrics.configure(small)
