"""A shard's flows on their way from one worker to the next."""

from __future__ import annotations

import numpy as np

from lzr.flow.handover import ShardFlows
from lzr.rows import FLOW, HELD


def test_held_parts_of_banners_as_columns() -> None:
    held = {0: (b"in order", {}), 3: (b"", {70: b"early", 4000000000: b"x"}), 9: (b"both", {1: b"y"})}
    nothing = np.empty(0, FLOW)
    rows, octets = ShardFlows(nothing, nothing, nothing, held).plain_held()
    assert rows.dtype == HELD
    assert ShardFlows.held_of(rows, octets) == held
