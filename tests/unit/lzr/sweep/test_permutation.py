"""Every element exactly once, by whichever shards; another order under another key; spread out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lzr.sweep.permutation import MOST, Permutation
from tests.effort import examples

pytestmark = pytest.mark.usefixtures("kernels")

KEY = (1, 2)
KEYS = st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))


@given(st.integers(0, 700), KEYS, st.integers(1, 9))
@settings(deadline=None, max_examples=examples(150))
def test_shards_are_disjoint_and_complete(size: int, key: tuple[int, int], shards: int) -> None:
    order = Permutation.of(size, key)
    found = np.concatenate(
        [order.take(shard, shards, len(range(shard, size, shards))) for shard in range(shards)]
    )
    assert sorted(found.tolist()) == list(range(size))


@pytest.mark.parametrize("size", [1, 2, 3, 65535, 65536, 65537, 256 * 256 * 3, 1_000_003])
def test_every_element_once(size: int) -> None:
    found = Permutation.of(size, KEY).take(0, 1, size)
    assert np.array_equal(np.sort(found), np.arange(size, dtype=np.uint64))


@given(st.integers(1, MOST), KEYS, st.data())
@settings(deadline=None, max_examples=examples(100))
def test_any_part_of_any_size_is_the_same_alone(size: int, key: tuple[int, int], data: st.DataObject) -> None:
    order = Permutation.of(size, key)
    step = data.draw(st.integers(1, max(1, size // 20)))
    first = data.draw(st.integers(0, size - 1))
    count = data.draw(st.integers(0, min(20, (size - 1 - first) // step + 1)))
    whole = order.take(first, step, count)
    assert (whole < size).all()
    assert len(np.unique(whole)) == count
    assert whole.tolist() == [order.take(first + step * at, 1, 1)[0] for at in range(count)]
    assert order.left * order.right - size < order.left


def test_the_key_decides() -> None:
    orders = [Permutation.of(10_000, key).take(0, 1, 10_000) for key in ((1, 2), (1, 3), (0, 2))]
    again = Permutation.of(10_000, (1, 2)).take(0, 1, 10_000)
    assert np.array_equal(orders[0], again)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert np.count_nonzero(orders[one] == orders[other]) < 20  # one is expected by chance


@pytest.mark.parametrize(
    ("first", "step", "count"), [(-1, 1, 1), (0, 0, 2), (0, 1, 11), (10, 1, 1), (0, 3, 5)]
)
def test_positions_outside_are_refused(first: int, step: int, count: int) -> None:
    with pytest.raises(ValueError, match="positions"):
        Permutation.of(10, KEY).take(first, step, count)


def test_a_size_beyond_what_it_can_is_refused() -> None:
    with pytest.raises(ValueError, match="a permutation of"):
        Permutation.of(MOST + 1, KEY)


@pytest.mark.parametrize("ports", [1, 3, 100])
def test_no_network_gets_more_than_its_share(ports: int) -> None:
    """In any second of a sweep of a /14, at 10,000 a second, each of its /24s gets what chance gives it."""
    networks, rate = 1024, 10_000
    size = networks * 256 * ports
    order = Permutation.of(size, KEY)
    for start in range(0, size - rate, size // 7):
        numbers = order.take(start, 1, rate)
        counts = np.bincount((numbers // (256 * ports)).astype(np.intp), minlength=networks)
        mean = rate / networks
        # Drawn by chance, the sum of squares has 1023 degrees of freedom: 1023 +- 45; six of these are 271.
        assert abs(((counts - mean) ** 2 / mean).sum() - (networks - 1)) < 271
        assert counts.max() < mean + 7 * mean**0.5
        hosts = np.bincount((numbers // ports).astype(np.intp))
        assert hosts.max() <= min(ports, 6)


def test_on_large_spaces_elements_that_follow_one_another_are_unrelated() -> None:
    for size in (MOST, MOST - 65537, (1 << 40) + 1):
        numbers = Permutation.of(size, KEY).take(size // 3, 1, 1 << 16).astype(np.float64) / size
        assert abs(numbers.mean() - 0.5) < 6 * (1 / 12 / len(numbers)) ** 0.5
        for lag in (1, 2, 3, 256):
            related = np.corrcoef(numbers[lag:], numbers[:-lag])[0, 1]
            assert abs(related) < 6 / len(numbers) ** 0.5
        # Where the next lies: 64 x 64 places, each as often as the others.
        places = np.histogram2d(numbers[:-1], numbers[1:], bins=64, range=[[0, 1], [0, 1]])[0]
        mean = (len(numbers) - 1) / 64**2
        assert abs(((places - mean) ** 2 / mean).sum() - 4095) < 6 * (2 * 4095) ** 0.5
