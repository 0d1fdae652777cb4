"""Targets leave in the order in which they came; those of a shard can be taken out."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lzr.packet.sharding import shard_of
from lzr.rows import TARGET
from workers.flow.backlog import Backlog

KEY, SHARDS = 0x1234, 4


def targets(first: int, count: int) -> Any:
    rows = np.zeros(count, TARGET)
    rows["line"] = np.arange(first, first + count)
    rows["peer_lo"] = rows["line"] * np.uint64(7919)
    return rows


@given(
    batches=st.lists(st.integers(0, 9), max_size=6),
    takes=st.lists(st.integers(0, 20), max_size=6),
    shard=st.integers(0, SHARDS - 1),
)
def test_order_and_number(batches: list[int], takes: list[int], shard: int) -> None:
    backlog, given_, got = Backlog(KEY, SHARDS), 0, list[int]()
    for count in batches:
        backlog.put(targets(given_, count))
        given_ += count
    for most in takes:
        taken = backlog.take(most)
        assert len(taken) == min(most, given_ - len(got))
        got += taken["line"].tolist()
        assert backlog.count == given_ - len(got)
    assert got == list(range(len(got)))
    left = targets(len(got), given_ - len(got))
    theirs = shard_of(left, KEY, SHARDS) == shard
    assert backlog.withdraw(shard)["line"].tolist() == left["line"][theirs].tolist()
    assert backlog.count == np.count_nonzero(~theirs)
    assert backlog.take(given_)["line"].tolist() == left["line"][~theirs].tolist()
    assert not backlog.count
