"""The hash that shards, keys and cookies: they spread, and every part of a 4-tuple counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lzr.packet.sharding import cookie, flow_hash, flow_key, shard_of
from lzr.rows import SEGMENT
from tests.wire import THEM4, THEM6, US4, US6, halves

SEED = 0xC0FFEE11

pytestmark = pytest.mark.usefixtures("kernels")


def some_rows(count: int, six: bool = False) -> Any:
    rows = np.zeros(count, SEGMENT)
    number = np.arange(count, dtype=np.uint64)
    for side, (four_, six_) in (("peer", (THEM4, THEM6)), ("own", (US4, US6))):
        hi, lo = halves(six_ if six else four_)
        rows[f"{side}_hi"], rows[f"{side}_lo"] = hi, lo
    rows["peer_lo"] += number // np.uint64(4)
    rows["own_port"] = 40000 + number % 4
    rows["peer_port"] = 443
    return rows


@pytest.mark.parametrize("six", [False, True])
@pytest.mark.parametrize("shards", [2, 3, 4, 7, 64])
def test_shards_get_equal_shares(six: bool, shards: int) -> None:
    """Neighbouring addresses and ports, as a scan of one network has them."""
    share = np.bincount(shard_of(some_rows(64_000, six), SEED, shards), minlength=shards) / 64_000
    assert len(share) == shards
    assert (abs(share * shards - 1) < 0.15).all()


def test_a_family_hashes_alike_alone_and_among_the_other() -> None:
    four, six = some_rows(50), some_rows(50, six=True)
    both = np.concatenate([four, six])
    assert flow_hash(both, SEED).tolist() == [*flow_hash(four, SEED), *flow_hash(six, SEED)]


def test_keys_and_cookies_spread() -> None:
    rows = np.concatenate([some_rows(50_000), some_rows(50_000, six=True)])
    assert len(np.unique(flow_key(rows, SEED))) == len(rows)
    assert flow_key(rows, SEED).all()
    counts = np.bincount(cookie(rows, SEED), minlength=256)
    assert len(counts) == 256
    assert counts.min() > 250
    in_one_shard = rows[shard_of(rows, SEED, 4) == 1]
    assert np.bincount(cookie(in_one_shard, SEED), minlength=256).min() > 50


def test_every_part_of_the_tuple_counts() -> None:
    row = some_rows(1, six=True)
    for function in (flow_hash, flow_key):
        seen = {int(function(row, SEED)[0]), int(function(row, SEED + 1)[0])}
        for name in ("peer_hi", "peer_lo", "own_hi", "own_lo", "peer_port", "own_port"):
            other = row.copy()
            other[name] ^= np.array(1, other[name].dtype)
            seen.add(int(function(other, SEED)[0]))
        assert len(seen) == 8


# --- the kernel -----------------------------------------------------------------------------------------
