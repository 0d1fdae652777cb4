from __future__ import annotations

import os
from pathlib import Path

import pytest

from coordinator.cores import bound, choose, order, shards, usable
from coordinator.extent import Extent


@pytest.mark.parametrize(
    ("cores", "flow", "collect"),
    [(1, 1, 1), (2, 1, 1), (3, 2, 1), (4, 3, 1), (8, 6, 2), (12, 9, 2), (16, 12, 3), (64, 50, 13)],
)
def test_from_the_cores(cores: int, flow: int, collect: int) -> None:
    crew = choose(None, None, cores, f"{cores} cores")
    assert (crew.flow, crew.collect) == (flow, collect)
    assert crew.why == f"flow={flow}, collect={collect} ({cores} cores; -w flow=N,collect=N sets them)"
    assert shards(crew.flow, cores) >= 2 * crew.flow


def test_what_the_user_says_counts() -> None:
    assert (choose(6, 2, 2, "").flow, choose(6, 2, 2, "").collect) == (6, 2)
    assert (choose(8, None, 2, "").flow, choose(8, None, 2, "").collect) == (8, 2)
    assert "collect=2 to go with it" in choose(8, None, 2, "").why
    assert (choose(None, 3, 8, "").flow, choose(None, 3, 8, "").collect) == (5, 3)
    assert choose(None, 9, 8, "").flow == 1


def group(root: Path, path: str, most: str) -> None:
    folder = root / "sys/fs/cgroup" / path
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cpu.max").write_text(most)


def test_affinity_and_quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    assert usable(tmp_path) == (8, "8 of 16 cores may be used")
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/box/scan\n")
    group(tmp_path, "box/scan", "max 100000\n")
    group(tmp_path, "box", "250000 100000\n")
    assert usable(tmp_path) == (2, "the cgroup's quota is 2.5 of 8 cores")
    group(tmp_path, "box/scan", "10000 100000\n")
    assert usable(tmp_path) == (1, "the cgroup's quota is 0.1 of 8 cores")
    group(tmp_path, "box", "rubbish")
    group(tmp_path, "box/scan", "1600000 100000")
    assert usable(tmp_path)[0] == 8


def test_how_much_is_to_come(tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_text("10.0.0.1:80\n" * 1000)
    with path.open("rb", buffering=0) as file:
        file.read(12 * 100)  # somebody else's
        extent = Extent(file.fileno())
        assert extent.total(0) is None
        file.read(12 * 300)
        assert extent.total(300) == 900
        file.read()
        assert extent.total(900) == 900
        path.write_text("")  # cut while it is read
        assert extent.total(900) == 900
    ours, theirs = os.pipe()
    try:
        assert Extent(ours).total(5) is None
    finally:
        os.close(ours)
        os.close(theirs)


def test_where_processes_are_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    for cpu in range(4):
        folder = tmp_path / f"sys/devices/system/cpu/cpu{cpu}/topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{cpu % 2},{cpu % 2 + 2}\n")
    assert order(tmp_path) == (0, 1, 2, 3)
    crew = choose(None, None, 4, "4 cores")
    assert bound("eth0", crew, order(tmp_path), tmp_path).startswith(
        "pinned: flow workers to cores 0, 1, 2, collectors to core 3; eth0 has no interrupts"
    )
    for irq in (40, 41):
        (tmp_path / f"sys/class/net/eth0/device/msi_irqs/{irq}").mkdir(parents=True)
    assert "echo 1 > /proc/irq/41/smp_affinity_list" in bound("eth0", crew, order(tmp_path), tmp_path)
