"""An order to contact somebody no more is in force when every worker goes by it and the checkpoint has it."""

from __future__ import annotations

import numpy as np
import pytest

from coordinator.monitor.snapshot import BlockOrder
from coordinator.scan.blocks import Blocks, of_plain, to_plain
from lzr.addresses import parse
from lzr.targets.blocklist import Blocklist, Prefixes

ONE = BlockOrder(("192.0.2.0/24", "2001:db8::/48"), "ticket 42", "alice", 1000.0)
TWO = BlockOrder(("198.51.100.7",), "", "bob", 2000.0)


def test_in_force_when_all_have_said_so() -> None:
    workers, kept = ["flow-0.1", "flow-1.1"], 0
    blocks = Blocks()
    assert not blocks
    blocks.add(ONE)
    blocks.add(TWO)

    def in_force() -> list[bool]:
        return [block.in_force for block in blocks.look(workers, kept)]

    assert in_force() == [False, False]
    blocks.note("flow-0.1", 2)
    blocks.note("flow-1.1", 1)
    assert in_force() == [False, False]  # it is not in the checkpoint
    kept = 2
    assert in_force() == [True, False]
    blocks.note("flow-1.1", 2)
    assert in_force() == [True, True]
    workers[1] = "flow-1.2"  # a successor has not said it yet
    assert in_force() == [False, False]


def test_without_a_checkpoint_the_workers_are_enough() -> None:
    blocks = Blocks([ONE])
    blocks.note("flow-0.1", 1)
    assert [block.in_force for block in blocks.look(["flow-0.1"], None)] == [True]


def test_the_order_has_all_that_is_blocked() -> None:
    blocks = Blocks([ONE])
    blocks.add(TWO)
    order = blocks.order()
    order.check()
    assert order.number == 2
    policy = Blocklist(Prefixes.of(order.ranges))
    for text, allowed in (
        ("192.0.2.255", False),
        ("192.0.3.0", True),
        ("198.51.100.7", False),
        ("198.51.100.8", True),
        ("2001:db8::1", False),
        ("2001:db8:1::1", True),
        ("2002:c000:201::1", False),  # 6to4 of 192.0.2.1
    ):
        hi, lo = parse(text)
        found = policy.allowed(np.array([hi], np.uint64), np.array([lo], np.uint64))
        assert found.tolist() == [allowed], text


def test_a_checkpoint_keeps_them() -> None:
    assert of_plain([to_plain(ONE), to_plain(TWO)]) == [ONE, TWO]
    with pytest.raises(ValueError, match="not an address"):
        of_plain([to_plain(ONE) | {"networks": ["nonsense"]}])
