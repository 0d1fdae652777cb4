"""Where the control groups of a process have their files, from /proc and /sys as they might be."""

from __future__ import annotations

from pathlib import Path

from coordinator.processes.cgroups import folders


def names(root: Path, controller: str, text: str) -> list[tuple[int, str]]:
    place = root / "proc/self/cgroup"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text, errors="surrogateescape")
    return [(version, str(folder.relative_to(root))) for version, folder in folders(controller, root)]


def test_each_group_from_our_own_to_the_top(tmp_path: Path) -> None:
    assert [name for version, name in names(tmp_path, "cpu", "0::/a/b\n") if version == 2][:3] == [
        "sys/fs/cgroup/a/b", "sys/fs/cgroup/a", "sys/fs/cgroup",
    ]  # fmt: skip
    assert names(tmp_path, "cpu", "4:cpu,cpuacct:/x\n5:memory:/y\n") == [
        (1, "sys/fs/cgroup/cpu/x"), (1, "sys/fs/cgroup/cpu"),
    ]  # fmt: skip
    assert (2, "sys/fs/cgroup/unified") in names(tmp_path, "memory", "5:memory:/\n0::/\n")


def test_a_name_may_be_any_bytes(tmp_path: Path) -> None:
    found = [name for _, name in names(tmp_path, "cpu", "0::/a\udcff\x85b\n")]
    assert found[:2] == ["sys/fs/cgroup/a\udcff\x85b", "sys/fs/cgroup"]


def test_where_nothing_is_said_there_are_none(tmp_path: Path) -> None:
    assert list(folders("cpu", tmp_path)) == []
