"""What held work back is told from what was seen."""

from __future__ import annotations

import pytest

from coordinator.scan.feeder import Paced
from coordinator.scan.reading import Seen
from coordinator.scan.upkeep import Judgement, judge

NOTHING = Judgement(paced=False, late=False, input_waiting=False, input_held=False)


@pytest.mark.parametrize(
    ("seen", "paced", "ended", "wanted"),
    [
        (Seen(), Paced(), False, set()),
        (Seen(), Paced(begun=500, held=True), False, {"paced"}),
        (Seen(), Paced(begun=400, held=True), False, {"paced"}),
        (Seen(), Paced(begun=300, held=True), False, {"late"}),
        (Seen(), Paced(begun=300, held=True, clogged=True), False, set()),
        (Seen(), Paced(begun=500), False, set()),
        (Seen(starved=True), Paced(), False, {"input_waiting"}),
        (Seen(starved=True, filled=True), Paced(), False, set()),
        (Seen(starved=True, held_up=True), Paced(), False, {"input_held"}),
        (Seen(held_up=True), Paced(), False, {"input_held"}),
        (Seen(starved=True), Paced(), True, set()),
        (Seen(held_up=True), Paced(), True, set()),
    ],
)
def test_verdicts(seen: Seen, paced: Paced, ended: bool, wanted: set[str]) -> None:
    verdict = judge(seen, paced, rate=1000.0, seconds=0.5, ended=ended)
    assert {name for name in Judgement.__struct_fields__ if getattr(verdict, name)} == wanted


@pytest.mark.parametrize("rate", [1e-6, 0.5, 1.0, 2.0])
def test_a_low_rate_is_kept_though_nothing_began_in_that_time(rate: float) -> None:
    verdict = judge(Seen(), Paced(begun=0, held=True), rate=rate, seconds=0.5, ended=False)
    assert (verdict.paced, verdict.late) == (True, False)


def test_without_a_rate_nothing_is_paced() -> None:
    assert judge(Seen(), Paced(begun=1), rate=None, seconds=0.5, ended=False) == NOTHING
