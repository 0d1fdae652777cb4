"""What the guard does at the first line of ZMap's that names something it does not cover."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from coordinator.guard.firewall import GuardError, make_cover
from coordinator.guard.guard import Guard
from coordinator.guard.widening import ANY, DOUBT, Widening, listened
from lzr.options.table import Options
from lzr.rows import TARGET
from lzr.sourceports import DEFAULT_PORTS
from tests.wire import halves

US, OTHER = "10.1.0.2", "10.1.0.9"


class Fake(Guard):
    """Stands in name only, and remembers what it was asked for."""

    def __init__(self, *addresses: str, failing: bool = False) -> None:
        super().__init__(None, "lzr_x", make_cover(addresses, DEFAULT_PORTS), ("resets",))
        self.asked: list[object] = []
        self.failing = failing

    @property
    def stands(self) -> bool:
        return True

    def widen(self, ports: tuple[int, int]) -> None:
        if self.failing:
            raise GuardError("no")
        self.asked.append(ports)

    def extend(self, address: str) -> bool:
        self.asked.append(address)
        return True


class Case:
    def __init__(self, guard: Guard | None, **options: Any) -> None:
        self.now = 100.0
        self.said: list[tuple[str, str, bool]] = []
        self.widening = Widening(guard, Options(**options), self.alert, lambda: self.now)

    def alert(self, kind: str, sentence: str, *, lost: bool) -> None:
        self.said.append((kind, sentence, lost))

    def take(self, *ports: int, own: str = US) -> bool:
        rows = np.zeros(len(ports), TARGET)
        rows["own_port"] = ports
        rows["own_hi"], rows["own_lo"] = halves(own)
        return self.widening.take(rows)


def test_nothing_is_done_while_all_is_covered() -> None:
    guard = Fake(US)
    case = Case(guard)
    assert not case.take()
    assert not case.take(32768, 40000, 61000)
    assert (guard.asked, case.said) == ([], [])


@pytest.mark.parametrize("port", [20000, 61001, 1024, 65535])
def test_it_is_widened_at_once_and_what_came_before_is_doubtful(port: int) -> None:
    guard = Fake(US)
    case = Case(guard)
    assert case.take(40000, port)
    assert guard.asked == [ANY]
    assert case.widening.ports == ANY
    ((kind, sentence, lost),) = case.said
    assert (kind, lost) == ("ports", False)
    assert f"port {port}" in sentence
    assert "--source-port" in sentence
    assert case.take(2000), "what is read just now may have been answered before"
    case.now += DOUBT
    assert not case.take(3000, 65000)
    assert (guard.asked, len(case.said)) == ([ANY], 1)


def test_ports_that_nobody_listens_on_are_said_once() -> None:
    for options, port in (({}, 1000), ({"source_port": (30000, 40000)}, 20000)):
        case = Case(Fake(US), **options)
        case.take(port)
        case.take(port)
        ((kind, sentence, lost),) = case.said
        assert (kind, lost) == ("ports", True)
        assert "give zmap and lzr the same --source-port" in sentence


def test_one_that_cannot_be_widened_loses_results() -> None:
    case = Case(Fake(US, failing=True))
    case.take(20000)
    ((_, sentence, lost),) = case.said
    assert lost
    assert "cannot be widened: no" in sentence


def test_addresses_are_followed_unless_some_were_given() -> None:
    guard = Fake()
    case = Case(guard)
    case.take(40000, own=OTHER)
    case.take(40000, own=OTHER)
    assert guard.asked == [OTHER]
    assert case.said == []
    case = Case(Fake(US), source_ips=(US,))
    case.take(40000)
    case.take(40000, own=OTHER)
    ((kind, sentence, lost),) = case.said
    assert (kind, lost) == ("sources", True)
    assert OTHER in sentence


def test_without_a_guard_ports_are_followed_all_the_same() -> None:
    case = Case(None)
    case.take(20000)
    assert case.widening.ports == ANY


def test_who_listens_where() -> None:
    assert listened(Options(), DEFAULT_PORTS) == ANY
    assert listened(Options(), (80, 61000)) == (80, 65535)
    assert listened(Options(source_port=(5, 9)), (5, 9)) == (5, 9)
    assert listened(Options(send_syns=True), DEFAULT_PORTS) == DEFAULT_PORTS
