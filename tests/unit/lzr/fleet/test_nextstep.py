"""What a controller does next with a box, for everything that can be known of it."""

from __future__ import annotations

import itertools

import pytest

from lzr.fleet.nextstep import Known, Step, step

NAMES = Known.__slots__
ALL = [
    Known(**dict(zip(NAMES, values, strict=True))) for values in itertools.product((False, True), repeat=8)
]


def test_a_life() -> None:
    box = {"here": True}
    assert step(Known(), True) is Step.NOTHING
    assert step(Known(**box), False) is Step.TAKE
    box |= {"taken": True}
    assert step(Known(**box, lacks=True), True) is Step.ORDERS
    assert step(Known(**box), False) is Step.CHECK
    box |= {"checked": True}
    assert step(Known(**box), False) is Step.NOTHING
    assert step(Known(**box), True) is Step.ATTEND
    assert step(Known(**box, begun=True, attended=True), True) is Step.NOTHING


@pytest.mark.parametrize("may_begin", [False, True])
def test_what_always_holds(may_begin: bool) -> None:
    for box in ALL:
        found = step(box, may_begin)
        if not box.here or box.busy:
            assert found is Step.NOTHING
        if found is Step.ATTEND:
            assert box.taken
            assert not box.lacks
            assert not box.attended
            assert not box.ended
            assert box.begun or (may_begin and box.checked)
        if box.here and not box.busy and box.taken and box.lacks:
            assert found is Step.ORDERS  # before anything else
        if found is Step.CHECK:
            assert not box.begun
