"""What a peer sees tells it nothing: each purpose has its own secret, and none can be computed backwards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lzr.flow.config import FlowConfig
from lzr.flow.index import make_index
from lzr.flow.table import FlowTable
from lzr.packet.payloads import ProbeTemplate
from lzr.packet.sharding import flow_key, mix64
from lzr.protocols._protocol import Random
from lzr.rows import TARGET, V4_MAPPED, Opening
from lzr.secrets import Secrets

pytestmark = [pytest.mark.usefixtures("kernels"), pytest.mark.attack]

_K2 = 0xC2B2AE3D27D4EB4F


def frames(seed: int, count: int = 64) -> NDArray[Any]:
    """The probes of `count` half-open connections, as FRAME rows."""
    table = FlowTable(
        FlowConfig((ProbeTemplate((Random(32),)),), secrets=Secrets.derive(seed)), index=make_index()
    )
    targets = np.zeros(count, TARGET)
    targets["line"] = targets["ticket"] = np.arange(count)
    targets["peer_lo"] = V4_MAPPED | 0x0A000000 + np.arange(count)
    targets["own_lo"] = V4_MAPPED | 0x0A010001
    targets["peer_port"], targets["own_port"], targets["window"] = 443, 40000, 1000
    targets["syn"] = Opening.TAKEN
    table.open(targets, 0)
    (burst,) = table.take_frames()
    return burst


def test_the_same_seed_gives_the_same_secrets_and_another_seed_others() -> None:
    one, again, other = Secrets.derive(1), Secrets.derive(1), Secrets.derive(2)
    assert one == again
    names = ("shard", "cookie", "index", "isn", "ports", "addresses", "nonce", "order", "syn")
    assert not [name for name in names if getattr(one, name) == getattr(other, name)]
    words = [word for name in names for word in np.atleast_1d(getattr(one, name)).tolist()]
    assert len(set(words)) == len(words)


def test_no_secret_stands_in_a_log_by_accident() -> None:
    assert "native" not in repr(Secrets.derive(3))


def test_nonces_of_two_of_ones_own_hosts_do_not_give_the_seed() -> None:
    """The attack: a nonce that is an invertible mix of the seed and the flow's key gives the seed away.

    Two hosts of the attacker are scanned. With the seed of the keys known (it had 32 bits, to be tried out),
    the seed of each nonce was one subtraction away, and the same for both.
    """
    for index in (0, Secrets.derive(9).index):  # as good as guessed
        burst = frames(9)
        keys = flow_key(burst, index)
        seeds = _inverted(_inverted(burst["nonce"])) ^ keys ^ np.uint64(6 * _K2 & 2**64 - 1)
        assert len(np.unique(seeds)) == len(burst)
        assert 9 not in seeds.tolist()


def test_what_peers_see_is_unrelated_between_purposes() -> None:
    burst = frames(9)
    assert len(np.unique(burst["nonce"])) == len(burst)
    assert not np.isin(burst["nonce"], frames(10)["nonce"]).any()


def _inverted(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """mix64 backwards."""
    first, second = pow(0xBF58476D1CE4E5B9, -1, 2**64), pow(0x94D049BB133111EB, -1, 2**64)
    x = x ^ x >> np.uint64(31) ^ x >> np.uint64(62)
    x = x * np.uint64(second)
    x = x ^ x >> np.uint64(27) ^ x >> np.uint64(54)
    x = x * np.uint64(first)
    x = x ^ x >> np.uint64(30) ^ x >> np.uint64(60)
    return np.asarray(x - np.uint64(0x9E3779B97F4A7C15))


def test_the_inverse_is_one() -> None:
    numbers = np.random.default_rng(1).integers(0, 2**64, 100, np.uint64)
    assert _inverted(mix64(numbers)).tolist() == numbers.tolist()
