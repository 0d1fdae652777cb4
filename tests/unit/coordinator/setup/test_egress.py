"""Addresses and links that come into use while a scan runs: covered where that can be, said where not."""

from __future__ import annotations

import pytest

from coordinator.guard.firewall import GuardError
from coordinator.setup.egress import RoutesInUse, SourcesInUse


class Ways:
    """Stands in for Routing: what the kernel says is set by the test."""

    def __init__(self) -> None:
        self.listening = [2, 1]
        self.changed = False
        self.changes = False
        self.lost: dict[str, str] = {}

    def update(self, now: float) -> bool:
        changed, self.changes = self.changes, False
        return changed

    def take_losses(self) -> dict[str, str]:
        lost, self.lost = self.lost, {}
        return lost

    def name_of(self, index: int) -> str:
        return f"eth{index}"

    def order(self) -> str:
        return "the order"


class Covers:
    def __init__(self) -> None:
        self.covered: list[str] = []
        self.trouble = ""

    def extend(self, address: str) -> None:
        if self.trouble:
            raise GuardError(self.trouble)
        self.covered.append(address)


Parts = tuple[RoutesInUse, Ways, Covers, SourcesInUse]


@pytest.fixture
def parts() -> Parts:
    ways, guard, notes = Ways(), Covers(), list[str]()
    sources = SourcesInUse(guard, notes)  # type: ignore[arg-type]
    return RoutesInUse(ways, sources, notes), ways, guard, sources  # type: ignore[arg-type]


OWN = 0x0A000001


def test_an_address_of_ours_is_covered_when_packets_leave_from_it(
    parts: Parts,
) -> None:
    routes, _, guard, sources = parts
    routes.started((OWN,), (2, 1))
    sources.add("10.0.0.1")
    sources.add("fd00::1")
    assert guard.covered == ["10.0.0.1", "fd00::1"]
    assert (routes.losses, routes.notes) == ({}, [])
    guard.trouble = "no such table"
    sources.add("fd00::2")
    assert routes.notes == ["the kernel cannot be kept from resetting connections of fd00::2: no such table"]


@pytest.mark.parametrize("heard", [(OWN,), ()])
def test_one_that_the_filter_does_not_let_in_is_a_loss(parts: Parts, heard: tuple[int, ...]) -> None:
    routes, _, _, sources = parts
    routes.started(heard, (2, 1))
    sources.add("10.0.0.2")
    if heard:
        assert routes.losses["source"].startswith("10.0.0.2 became an address of this host")
    else:
        assert routes.losses == {}


def test_links_that_are_not_listened_on_are_named_once(parts: Parts) -> None:
    routes, ways, *_ = parts
    routes.started((), (1, 4))
    assert routes.notes[0].startswith("answers that come by eth2 are not heard")
    for listening, named in (([1, 2, 4], ""), ([1, 2, 3, 4], "eth3"), ([1, 3, 4, 5], "")):
        routes.notes.clear()
        ways.listening, ways.changes = listening, True
        assert routes.look(1.0) == "the order"
        assert [note.partition(" ")[0] for note in routes.notes] == ([named] if named else [])
    assert routes.look(2.0) is None


def test_what_routing_has_lost_is_taken_once(parts: Parts) -> None:
    routes, ways, *_ = parts
    ways.lost = {"gateway": "it is gone"}
    assert routes.look(1.0) is None
    assert routes.losses == {"gateway": "it is gone"}
    assert ways.lost == {}
