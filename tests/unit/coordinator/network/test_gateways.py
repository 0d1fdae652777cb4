"""Which gateways the rings send to: most targets decide, then the default route. The kernel is made up
here."""

from __future__ import annotations

import ipaddress
from typing import Any

import numpy as np
import pytest

from coordinator.network import gateways as module
from coordinator.network import netlink as nl
from coordinator.network.gateways import Gateways
from coordinator.network.neighbours import NetworkError
from coordinator.network.survey import Hardware, Route, address
from lzr.packet import ways

MAC = bytes.fromhex("020000000001")
FIRST, SECOND, OWN = (ipaddress.ip_address(text) for text in ("10.0.0.1", "10.0.1.1", "10.0.0.9"))
LINKS = {
    2: Hardware(2, "eth0", 1, 1500, MAC, True, True, False, False),
    3: Hardware(3, "eth1", 1, 1400, MAC, True, True, False, False),
}
BY_FIRST, BY_SECOND = Route(2, FIRST, OWN, 1500, True, False), Route(3, SECOND, OWN, 1400, True, False)
HALF = ways.number(ipaddress.ip_address("128.0.0.0").packed)


class Survey:
    """Stands in for the kernel's routing: one answer below 128.0.0.0, one above, which is the default's."""

    def __init__(self, low: Route | None, high: Route | None) -> None:
        self.links = LINKS
        self.edges, self.answers = [ways.ALWAYS[2], HALF], [low, high]

    def ask(self, number: int) -> Route | None:
        return self.answers[number >= HALF] if address(number).version == 4 else None


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, said: list[str]) -> Gateways:
    monkeypatch.setattr(module.neighbours, "resolve", lambda *_: MAC)
    monkeypatch.setattr(module.neighbours, "confirm", lambda *_: (MAC, True))
    return Gateways(object(), said.append)  # type: ignore[arg-type]


def choose(made: Gateways, survey: Any, low: int, high: int) -> tuple[str, str]:
    made.choose(survey, np.array([low, high]))
    assert made.link is not None
    return made.link.name, str(made.by_version[4].hop)


def test_most_targets_decide_and_between_equals_the_default_route(made: Gateways) -> None:
    survey = Survey(BY_FIRST, BY_SECOND)
    assert choose(made, survey, 3, 1) == ("eth0", "10.0.0.1")
    assert choose(made, survey, 1, 3) == ("eth1", "10.0.1.1")
    assert choose(made, survey, 2, 2) == choose(made, survey, 0, 0) == ("eth1", "10.0.1.1")
    assert made.mtu == 1400


def test_a_gateway_that_is_silent_ends_it_only_where_all_targets_are_behind_it(
    made: Gateways, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    survey: Any = Survey(BY_FIRST, BY_SECOND)
    choose(made, survey, 3, 1)
    monkeypatch.setattr(module.neighbours, "resolve", lambda *_: None)
    made.ask(survey, [0, 1])
    assert said == ["the gateway 10.0.0.1 does not answer ARP on eth0"]
    assert made.mac(4) is None
    with pytest.raises(NetworkError, match="give --gateway-mac"):
        made.ask(survey, [0])


def test_the_default_route_is_followed_unless_somebody_still_goes_the_old_way(
    made: Gateways, said: list[str]
) -> None:
    before: Any = Survey(BY_FIRST, BY_FIRST)
    choose(made, before, 1, 1)
    made.ask(before, [0, 1])
    half: Any = Survey(BY_FIRST, BY_SECOND)
    made.follow(half)
    assert (str(made.by_version[4].hop), said) == ("10.0.0.1", [])
    assert made.are_next_hop(half, BY_FIRST, 4)
    assert not made.are_next_hop(half, BY_SECOND, 4)
    moved: Any = Survey(BY_SECOND, BY_SECOND)
    made.follow(moved)
    assert said == ["packets leave by eth1 to 10.0.1.1 now: the routes have changed"]
    assert (made.mac(4), made.mtu) == (MAC, 1400)
    assert made.are_next_hop(moved, BY_SECOND, 4)


def test_a_silent_gateway_is_passed_over_where_the_kernel_has_another_for_the_same_route(
    made: Gateways, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two that do not answer the kernel names one after the other."""
    before: Any = Survey(BY_FIRST, BY_FIRST)
    choose(made, before, 1, 1)
    made.ask(before, [0, 1])
    fields = nl.NEIGHBOUR.unpack(nl.NEIGHBOUR.pack(2, 2, nl.NUD_FAILED, 0, 0))
    news = nl.NetlinkMessage(nl.NEWNEIGH, fields, {nl.NDA_DST: FIRST.packed})
    assert made.take_news(news, failed=True) == (True, False)
    assert not made.is_there_another(before, [0, 1])
    turns: Any = Survey(BY_FIRST, BY_SECOND)
    assert made.is_there_another(turns, [0, 1])
    named = [BY_FIRST, BY_FIRST, BY_SECOND]
    monkeypatch.setattr(turns, "ask", lambda number: named.pop(0) if address(number).version == 4 else None)
    made.follow(turns)
    assert said == ["packets leave by eth1 to 10.0.1.1 now: 10.0.0.1 does not answer"]
    assert choose(made, Survey(BY_FIRST, BY_SECOND), 3, 1) == ("eth1", "10.0.1.1")
    assert choose(made, Survey(BY_FIRST, BY_FIRST), 3, 1) == ("eth0", "10.0.0.1")
