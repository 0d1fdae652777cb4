from __future__ import annotations

import os
from pathlib import Path

import pytest

from coordinator.processes.cpus import bound, choose, interrupts, order, shards, usable


@pytest.mark.parametrize(
    ("cores", "flow", "collect"),
    [(1, 1, 1), (2, 1, 1), (3, 2, 1), (4, 3, 1), (8, 6, 2), (12, 9, 2), (16, 12, 3), (64, 50, 13)],
)
def test_from_the_cores(cores: int, flow: int, collect: int) -> None:
    workers = choose(None, None, cores, f"{cores} cores")
    assert (workers.flow, workers.collect) == (flow, collect)
    assert workers.why == f"flow={flow}, collect={collect} ({cores} cores; -w flow=N,collect=N sets them)"
    assert shards(workers.flow, cores) >= 2 * workers.flow


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
    # In a container without a namespace of its own, what stands above is not there; its own is the top.
    (tmp_path / "sys/fs/cgroup/cpu.max").write_text("300000 100000\n")
    (tmp_path / "proc/self/cgroup").write_text("0::/system.slice/box-42\n")
    assert usable(tmp_path) == (3, "the cgroup's quota is 3 of 8 cores")


def test_quota_of_version_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("3:cpuset:/\n2:cpu,cpuacct:/box/scan\n0::/\n")
    folder = tmp_path / "sys/fs/cgroup/cpu/box/scan"
    folder.mkdir(parents=True)
    for place, quota in ((folder, -1), (folder.parent, 150_000)):
        (place / "cpu.cfs_quota_us").write_text(f"{quota}\n")
        (place / "cpu.cfs_period_us").write_text("100000\n")
    assert usable(tmp_path) == (2, "the cgroup's quota is 1.5 of 8 cores")


def test_where_processes_are_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    for cpu in range(4):
        folder = tmp_path / f"sys/devices/system/cpu/cpu{cpu}/topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{cpu % 2},{cpu % 2 + 2}\n")
    assert order(tmp_path) == (0, 1, 2, 3)
    workers = choose(None, None, 4, "4 cores")
    assert bound("eth0", workers, order(tmp_path), tmp_path).startswith(
        "pinned: flow workers to cores 0, 1, 2, collectors to core 3; eth0 has no interrupts"
    )
    for irq in (40, 41):
        (tmp_path / f"sys/class/net/eth0/device/msi_irqs/{irq}").mkdir(parents=True)
    assert "echo 1 > /proc/irq/41/smp_affinity_list" in bound("eth0", workers, order(tmp_path), tmp_path)


INTERRUPTS = """\
           CPU0       CPU1
 36:          0    1085943 PCI-MSIX-0000:00:02.0   1-edge      virtio1-req.0
 37:          0          0 PCI-MSIX-0000:00:03.0   0-edge      virtio2-config
 38:          0      16407 PCI-MSIX-0000:00:03.0   1-edge      virtio2-input.0
 39:      11672          0 PCI-MSIX-0000:00:03.0   2-edge      virtio2-output.0
 70:      11672          0 xen-dyn-lateeoi  eth1-q0-tx
NMI:          0          0   Non-maskable interrupts
"""


def test_interrupts_of_a_virtual_card(tmp_path: Path) -> None:
    """They are its PCI device's, one of them tells of no packets; a card without any is known by name."""
    pci = tmp_path / "sys/devices/pci0000:00/0000:00:03.0"
    for irq in (37, 38, 39):
        (pci / f"msi_irqs/{irq}").mkdir(parents=True)
    (pci / "virtio2/net/eth0").mkdir(parents=True)
    (tmp_path / "sys/class/net").mkdir(parents=True)
    (tmp_path / "sys/class/net/eth0").symlink_to(pci / "virtio2/net/eth0")
    (pci / "virtio2/net/eth0/device").symlink_to(pci / "virtio2")
    assert interrupts("eth0", tmp_path) == {37: 0, 38: 1, 39: 2}
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/interrupts").write_text(INTERRUPTS)
    assert interrupts("eth0", tmp_path) == {38: 0, 39: 0}
    assert interrupts("eth1", tmp_path) == {70: 0}
    assert interrupts("eth2", tmp_path) == {}
    workers = choose(1, 1, 2, "")
    assert bound("eth0", workers, (0, 1), tmp_path).endswith(
        "echo 0 > /proc/irq/38/smp_affinity_list; echo 0 > /proc/irq/39/smp_affinity_list"
    )


def test_an_interrupt_may_be_called_anything(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/interrupts").write_bytes(b"  7:  1  edge  caf\xc3-rx-0\n  8:  1  edge  eth0-rx-0\n")
    assert list(interrupts("eth0", tmp_path)) == [8]
