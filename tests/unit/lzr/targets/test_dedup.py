"""Recent targets against a plain list of the inputs as the oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lzr.rows import TARGET
from lzr.targets.dedup import RecentTargets
from tests.effort import examples


def targets(ports: list[int], **columns: Any) -> Any:
    rows = np.zeros(len(ports), TARGET)
    rows["peer_port"], rows["syn"] = ports, 1
    for name, value in columns.items():
        rows[name] = value
    return rows


@settings(max_examples=examples(300), deadline=None)
@given(
    batches=st.lists(st.lists(st.integers(1, 40), max_size=40), max_size=10),
    window=st.integers(1, 30),
    key=st.integers(0, 2**64 - 1),
)
def test_found_within_the_window_and_never_invented(batches: list[list[int]], window: int, key: int) -> None:
    recent = RecentTargets(window, key)
    past: list[int] = []
    for batch in batches:
        for port, fresh in zip(batch, recent.fresh(targets(batch)).tolist(), strict=True):
            if port in past[-window:]:
                assert not fresh
            elif port not in past:
                assert fresh
            past.append(port)


def test_memory_is_bounded_and_old_ones_are_forgotten() -> None:
    recent = RecentTargets(100)
    for start in range(1, 60_000, 1000):
        assert recent.fresh(targets(list(range(start, start + 1000)))).all()
    assert recent._new is not None
    assert len(recent._new) + len(recent._old) <= 2 * 400
    assert recent.fresh(targets([1])).all()
    assert not recent.fresh(targets([60_000, 1])).any()


def test_no_window_remembers_nothing() -> None:
    recent = RecentTargets(0)
    assert recent.fresh(targets([1, 1])).all()
    with pytest.raises(ValueError, match="negative"):
        RecentTargets(-1)


def test_what_makes_two_inputs_the_same() -> None:
    recent = RecentTargets(1000, 7)
    assert recent.fresh(targets([80, 80, 80], peer_lo=[1, 2, 1], peer_hi=[0, 0, 1])).all()
    assert not recent.fresh(targets([80], peer_lo=1, line=9, window=5)).any()
    # half-open connections differ by our end too; ones we open do not
    assert recent.fresh(targets([80, 80, 80], peer_lo=1, syn=0, own_port=[1, 2, 1], own_lo=[5, 5, 6])).all()
    assert not recent.fresh(targets([80], peer_lo=1, syn=0, own_port=1, own_lo=5, seq=3)).any()
    assert not recent.fresh(targets([80], peer_lo=1, own_port=9)).any()


def test_no_collisions_among_neighbours() -> None:
    rows = targets([80] * 200_000, peer_lo=np.arange(200_000))
    assert RecentTargets(1 << 20, 3).fresh(rows).all()
