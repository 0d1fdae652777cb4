from __future__ import annotations

import pytest

from lzr.pinning import core_of, hint, in_order, numbers


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
    assert hint("eth0", [], [0, 1], [3]) == (
        "pinned: flow workers to cores 0, 1, collectors to core 3; "
        "eth0 has no interrupts of its own to line up"
    )
    text = hint("ens3", [24, 25, 26], [0, 1], [3])
    assert text.endswith(
        "echo 0 > /proc/irq/24/smp_affinity_list; echo 1 > /proc/irq/25/smp_affinity_list; "
        "echo 0 > /proc/irq/26/smp_affinity_list"
    )
