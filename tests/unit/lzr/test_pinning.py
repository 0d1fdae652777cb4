from __future__ import annotations

from pathlib import Path

import pytest

from coordinator.processes.cpus import interrupts
from lzr.pinning import core_of, hint, in_order, numbers, of_interface, queues


def test_first_threads_first() -> None:
    siblings = {0: [0, 4], 4: [0, 4], 1: [1, 5], 5: [1, 5], 2: [2], 3: [3]}
    assert in_order([0, 1, 2, 3, 4, 5], siblings) == [0, 1, 2, 3, 4, 5]
    assert in_order([0, 1, 2, 3], {0: [0, 1], 1: [0, 1], 2: [2, 3], 3: [2, 3]}) == [0, 2, 1, 3]
    assert in_order([3, 2], {}) == [2, 3]


def test_flow_workers_from_the_front_collectors_from_the_back() -> None:
    order = [0, 2, 1, 3]
    assert [core_of("flow", index, order) for index in range(5)] == [0, 2, 1, 3, 0]
    assert [core_of("collect", index, order) for index in range(5)] == [3, 1, 2, 0, 3]


@pytest.mark.parametrize(("text", "found"), [("0\n", [0]), ("0-2,8", [0, 1, 2, 8]), ("0,4\n", [0, 4])])
def test_lists_of_the_kernel(text: str, found: list[int]) -> None:
    assert numbers(text) == found


def test_hint() -> None:
    assert hint("eth0", {}, [0, 1], [3]) == (
        "pinned: flow workers to cores 0, 1, collectors to core 3; "
        "eth0 has no interrupts of its own to line up"
    )
    text = hint("ens3", {24: 0, 25: 1, 26: 2}, [0, 1], [3])
    assert text.endswith(
        "echo 0 > /proc/irq/24/smp_affinity_list; echo 1 > /proc/irq/25/smp_affinity_list; "
        "echo 0 > /proc/irq/26/smp_affinity_list"
    )


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ({37: "virtio2-config", 38: "virtio2-input.0", 39: "virtio2-output.0"}, {38: 0, 39: 0}),
        ({50: "ena-mgmnt@pci:0000:00:05.0", 51: "eth0-Tx-Rx-0", 52: "eth0-Tx-Rx-1"}, {51: 0, 52: 1}),
        (
            {60: "mlx5_async0@pci:0000:01:00.0", 61: "mlx5_comp0@pci:0000:01:00.0", 62: "mlx5_comp1@pci:x"},
            {61: 0, 62: 1},
        ),
        (
            {70: "eth0-q0-tx", 71: "eth0-q0-rx", 72: "eth0-q1-tx", 73: "eth0-q1-rx"},
            {70: 0, 71: 0, 72: 1, 73: 1},
        ),
        ({80: "", 81: ""}, {80: 0, 81: 1}),
        ({90: "virtio0-config"}, {90: 0}),
        ({}, {}),
    ],
)
def test_which_interrupts_tell_of_packets(names: dict[int, str], found: dict[int, int]) -> None:
    assert queues(list(names), names) == found


def test_interrupts_by_name() -> None:
    names = {
        1: "eth0",
        2: "eth0-rx-0",
        3: "i40e-eth0-TxRx-1",
        4: "eth01",
        5: "eth0.5",
        6: "veth0",
        7: "eth1-0",
    }
    assert of_interface("eth0", names) == [1, 2, 3]


def cards() -> list[str]:
    """Interfaces of this machine with a device that has message interrupts, itself or above it."""
    places = [(path.name, (path / "device").resolve()) for path in Path("/sys/class/net").iterdir()]
    return sorted(
        name for name, device in places if any((at / "msi_irqs").is_dir() for at in (device, device.parent))
    )


def test_interrupts_of_the_cards_of_this_machine() -> None:
    """Whatever cards there are, what is found are interrupts, and not those of another device."""
    listed = {line.partition(":")[0].strip() for line in Path("/proc/interrupts").read_text().splitlines()}
    found = {name: set(interrupts(name)) for name in cards()}
    assert all(found.values())
    assert {str(irq) for irqs in found.values() for irq in irqs} <= listed
    assert sum(map(len, found.values())) == len(set().union(*found.values()))
    assert interrupts("lo") == {}
