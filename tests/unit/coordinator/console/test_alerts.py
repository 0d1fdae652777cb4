"""What a scan loses is told while it runs, stays to the end, and makes a status of its own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from coordinator.console.alerts import Alerts


class Told:
    """Takes alerts: by kind, with whether results are lost."""

    def __init__(self) -> None:
        self.alerts: dict[str, tuple[str, bool]] = {}

    def alert(self, kind: str, sentence: str, *, lost: bool) -> None:
        self.alerts[kind] = sentence, lost


def test_dropped_answers_are_a_loss_only_where_they_are_not_asked_for_again() -> None:
    told: Any = Told()
    nothing: Any = SimpleNamespace()
    alerts = Alerts(told, nothing, nothing, nothing)
    alerts.note_dropped(0, 0)
    assert not told.alerts
    alerts.note_dropped(1000, 0)
    alerts.note_dropped(500, 0)
    ((sentence, lost),) = told.alerts.values()
    assert "1,500 pairs" in sentence
    assert not lost
    alerts.note_dropped(0, 20)
    alerts.note_dropped(0, 22)
    sentence, lost = told.alerts["answers"]
    assert "42 pairs" in sentence
    assert lost


def test_flows_that_are_not_asked_again_may_have_lost_their_answers() -> None:
    told: Any = Told()
    nothing: Any = SimpleNamespace()
    Alerts(told, nothing, nothing, nothing).note_unheard()
    ((sentence, lost),) = told.alerts.values()
    assert "not asked again" in sentence
    assert lost


def test_packets_that_the_kernel_had_no_room_for_are_a_loss_and_those_that_are_tried_again_are_none() -> None:
    told: Any = Told()
    nothing: Any = SimpleNamespace()
    alerts = Alerts(told, nothing, nothing, nothing)
    alerts.note_unsent({"ENOBUFS": 7})
    assert not told.alerts
    alerts.note_unsent({"ENOBUFS": 7, "NO_ROOM": 3})
    ((sentence, lost),) = told.alerts.values()
    assert "gc_thresh3" in sentence
    assert lost
