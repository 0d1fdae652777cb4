"""All boxes in one view: sums, states, and what is said of a box that is not heard of."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from lzr.fleet.lock import Run
from lzr.fleet.view import LOST, BoxState, LastReport, view


@dataclass
class Figures:
    """As much of a scan's status as is looked at."""

    phase: str = "running"
    paused: bool = False
    draining: bool = False
    read: int = 300
    done: int = 100
    in_flight: int = 7
    drops: int = 2
    identified: int = 40
    rate_done: float = 50.0
    rx_rate: float = 60.0
    tx_rate: float = 70.0
    rate_limit: float | None = 1000.0
    share: float | None = 0.5
    eta: float | None = 10.0
    hit_rate: float = 0.5
    outcomes: dict[str, int] = field(default_factory=lambda: {"data": 50})
    by_fate: dict[str, int] = field(default_factory=lambda: {"for another shard": 190, "recorded": 100})
    warnings: tuple[str, ...] = ()


RUNS = (
    Run("fra1", 1, tuple(range(6)), ("192.0.2.1",)),
    Run("ams1", 1, (6, 7, 8), ("192.0.2.2",)),
    Run("nyc1", 1, (9, 10, 11), ("192.0.2.3",)),
)


def test_sums_and_how_far_all_are() -> None:
    heard = {
        "fra1": LastReport(100.0, Figures(share=0.25, eta=30.0)),
        "ams1": LastReport(100.0, Figures(share=0.5)),
        "nyc1": LastReport(100.0, Figures(share=1.0, eta=0.0), BoxState.DONE),
    }
    found = view("census", RUNS, heard, 100.5)
    assert [row.state for row in found.rows] == [BoxState.RUNNING, BoxState.RUNNING, BoxState.DONE]
    totals = found.totals
    assert (totals.shards, totals.done, totals.asked, totals.drops) == (12, 300, 330, 6)
    assert totals.share == pytest.approx((6 * 0.25 + 3 * 0.5 + 3 * 1.0) / 12)
    assert totals.eta == 30.0
    assert (totals.rate_done, totals.tx_rate, totals.rate_limit) == (100.0, 140.0, 2000.0)
    assert totals.hit_rate == 0.5
    assert found.blind == ()
    assert found.warnings == ()


def test_a_box_that_falls_silent_keeps_its_figures_and_has_no_rate() -> None:
    heard = {
        "fra1": LastReport(100.0, Figures()),
        "ams1": LastReport(100.0 - LOST - 9, Figures(warnings=("a ring is full",))),
    }
    found = view("census", RUNS, heard, 100.0)
    row = found.rows[1]
    assert (row.state, row.bad, row.at, row.age) == (BoxState.LOST, True, 88.0, 12.0)
    assert (row.done, row.rate_done, row.tx_rate, row.eta, row.in_flight) == (100, 0.0, 0.0, None, 0)
    assert found.rows[2].state == BoxState.UNKNOWN
    assert found.blind == ("ams1", "nyc1")
    assert found.totals.rate_done == 50.0
    assert found.totals.eta is None
    assert found.totals.share is None, "of one box nothing is known"
    assert found.warnings == (
        "ams1: not heard of for 12 s",
        "nyc1: never heard of",
        "ams1: a ring is full",
    )


def test_states() -> None:
    def state(heard: LastReport, now: float = 0.0) -> str:
        return view("x", RUNS[:1], {"fra1": heard}, now).rows[0].state

    assert state(LastReport(0.0, Figures(paused=True))) == BoxState.PAUSED
    assert state(LastReport(0.0, Figures(draining=True))) == BoxState.ENDING
    assert state(LastReport(0.0)) == BoxState.IDLE
    assert state(LastReport(0.0, Figures(), BoxState.FAILED)) == BoxState.FAILED
    assert state(LastReport(0.0, Figures()), LOST + 0.1) == BoxState.LOST
    assert state(LastReport(0.0, Figures(), BoxState.DONE), 1000.0) == BoxState.DONE, "that stays so"
    assert state(LastReport()) == BoxState.UNKNOWN


def test_a_box_with_two_runs_and_one_without_any() -> None:
    runs = (*RUNS[:2], Run("fra1", 2, (9, 10, 11), ("192.0.2.1",)))
    found = view("x", runs, {"nyc1": LastReport(0.0)}, 0.0)
    assert [(row.name, row.shards, row.generation) for row in found.rows] == [
        ("fra1", 9, 2),
        ("ams1", 3, 1),
        ("nyc1", 0, 0),
    ]
    assert found.totals.shards == 12


def test_why_a_run_failed_is_said() -> None:
    heard = {"fra1": LastReport(0.0, None, BoxState.FAILED, "the disk is full")}
    assert view("x", RUNS[:1], heard, 0.0).warnings == ("fra1: the disk is full",)


def test_what_was_done_before_a_scan_was_resumed_is_done() -> None:
    figures = Figures(done=10, by_fate={"recorded": 10, "done before": 90}, outcomes={"data": 5})
    row = view("x", RUNS[:1], {"fra1": LastReport(0.0, figures)}, 0.0).rows[0]
    assert (row.done, row.hit_rate) == (100, 0.5)


def test_a_box_that_is_done_has_done_all() -> None:
    found = view("x", RUNS[:1], {"fra1": LastReport(0.0, Figures(share=0.998), BoxState.DONE)}, 0.0)
    assert found.totals.share == 1.0
    assert view("x", RUNS[:1], {"fra1": LastReport(0.0, None, BoxState.DONE)}, 0.0).totals.share == 1.0
