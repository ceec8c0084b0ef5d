"""How much memory there is to take, read from trees of control groups as both versions of them look."""

import os
from pathlib import Path

import pytest

from shmstore import NoSpace
from shmstore.segments import memory
from shmstore.segments.memory import Room
from tests.helpers.segments import create, files

MIB = 1 << 20
MEMINFO = "MemTotal: 4194304 kB\nMemAvailable: 2097152 kB\nSwapTotal: 0 kB\nSwapFree: {} kB\n"


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of 4 GiB, half of it free, without control groups."""
    monkeypatch.setattr(memory, "GROUPS", str(tmp_path / "cgroup"))
    monkeypatch.setattr(memory, "PROC", str(tmp_path / "proc"))
    write(tmp_path / "proc", {"meminfo": MEMINFO.format(0)})
    return tmp_path


def write(folder: Path, contents: dict[str, object]) -> None:
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{content}\n")


def test_without_groups_the_machine_is_the_bound(system: Path) -> None:
    assert memory.least_room() == Room("this machine", 4096 * MIB, 2048 * MIB)
    assert memory.group_room() is None


def test_without_proc_nothing_is_known(system: Path) -> None:
    (system / "proc" / "meminfo").unlink()
    assert memory.least_room() is None


def test_a_group_of_version_2_and_those_around_it(system: Path) -> None:
    write(system / "proc", {"self/cgroup": "0::/outer/inner"})
    inner, outer = system / "cgroup/outer/inner", system / "cgroup/outer"
    write(inner, {"memory.max": "max", "memory.current": 5 * MIB, "memory.stat": ""})
    write(outer, {"memory.max": 128 * MIB, "memory.current": 30 * MIB})
    write(outer, {"memory.stat": f"anon {MIB}\nshmem {9 * MIB}\ninactive_file {6 * MIB}\nactive_file {4 * MIB}"})
    assert memory.least_room() == Room(f"the control group {outer}", 128 * MIB, 108 * MIB)
    write(inner, {"memory.max": 64 * MIB})
    assert memory.least_room() == Room(f"the control group {inner}", 64 * MIB, 59 * MIB)


@pytest.mark.parametrize(("swap", "free"), [("max", 78), (3 * MIB, 67), (0, 64)])
def test_swap_counts_as_far_as_the_group_may_use_it(system: Path, swap: object, free: int) -> None:
    write(system / "proc", {"self/cgroup": "0::/box", "meminfo": MEMINFO.format(14 * 1024)})
    group = {"memory.max": 128 * MIB, "memory.current": 64 * MIB, "memory.swap.max": swap, "memory.swap.current": 0}
    write(system / "cgroup/box", group)
    room = memory.group_room()
    assert room is not None and room.free == free * MIB


def test_a_group_of_version_1(system: Path) -> None:
    write(system / "proc", {"self/cgroup": "5:cpu,cpuacct:/\n4:memory:/docker/box\n0::/"})
    everything = {"memory.limit_in_bytes": 9223372036854771712, "memory.usage_in_bytes": 900 * MIB}
    write(system / "cgroup/memory", everything)
    box = system / "cgroup/memory/docker/box"
    write(box, {"memory.limit_in_bytes": 128 * MIB, "memory.usage_in_bytes": 30 * MIB})
    write(box, {"memory.stat": f"cache 1\ntotal_inactive_file {MIB}\ntotal_active_file {MIB}"})
    assert memory.least_room() == Room(f"the control group {box}", 128 * MIB, 100 * MIB)
    write(box, {"memory.memsw.limit_in_bytes": 64 * MIB, "memory.memsw.usage_in_bytes": 30 * MIB})
    assert memory.least_room() == Room(f"the control group {box}", 128 * MIB, 36 * MIB)


@pytest.mark.parametrize("version", ["", "memory"])
def test_a_container_that_sees_only_its_own_group_finds_it_at_the_top(system: Path, version: str) -> None:
    write(system / "proc", {"self/cgroup": "4:memory:/docker/box\n0::/docker/box"})
    limit, used = ("memory.limit_in_bytes", "memory.usage_in_bytes") if version else ("memory.max", "memory.current")
    write(system / "cgroup" / version, {limit: 128 * MIB, used: 28 * MIB})
    room = memory.least_room()
    assert room is not None and room.free == 100 * MIB


@pytest.mark.parametrize("used", [28 * MIB, 200 * MIB])
def test_creation_is_refused_where_the_kernel_would_kill(system: Path, name: str, used: int) -> None:
    write(system / "proc", {"self/cgroup": "0::/box"})
    write(system / "cgroup/box", {"memory.max": 128 * MIB, "memory.current": used})
    before = os.listdir("/proc/self/fd")
    with pytest.raises(NoSpace, match=r"takes 1\d\d\.\d MiB of memory and the control group .* free; .*--memory="):
        create(name, 10_000_000)
    assert files(name) == [] and os.listdir("/proc/self/fd") == before
    if used < 128 * MIB:
        create(name, 100_000).close()
