"""The ways of targets from what the kernel says; what it tells meanwhile. Its answers are made up here."""

from __future__ import annotations

import errno
import ipaddress
import math
import socket
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from coordinator.network import chosenlink
from coordinator.network import netlink as nl
from coordinator.network import routing as module
from coordinator.network.neighbours import NetworkError, NoRouteError
from coordinator.network.routing import Routing
from coordinator.network.survey import Hardware, Route, address
from lzr import addresses
from lzr.packet import ways
from lzr.packet.ways import WayKind
from lzr.rows import TARGET, Opening
from lzr.targets.screen import overview

MAC, OTHER = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
GATEWAY, OWN = ipaddress.ip_address("10.0.0.1"), ipaddress.ip_address("10.0.0.9")
LINKS = {
    1: Hardware(1, "lo", 772, 65536, bytes(6), True, True, False, False),
    2: Hardware(2, "eth0", 1, 1500, MAC, True, True, False, False),
    3: Hardware(3, "tun0", 65534, 1400, b"", True, True, False, False),
}
_TEXTS = ("10.0.0.0/24", "192.0.2.0/24", "10.9.0.0/24", "127.0.0.0/8", "10.8.0.0/24")
LAN, NET, TUN, HOME, SHUT = map(ipaddress.ip_network, _TEXTS)
FOUND: dict[Any, Route] = {
    LAN: Route(2, None, OWN, 1500, True, False),
    NET: Route(2, GATEWAY, OWN, 1500, True, False),
    TUN: Route(3, None, ipaddress.ip_address("10.9.0.2"), 1400, True, False),
    HOME: Route(1, None, ipaddress.ip_address("127.0.0.1"), 65536, True, True),
}


class Kernel:
    """Stands in for a Netlink; news: what has arrived."""

    def __init__(self, groups: int = 0) -> None:
        self.news: list[tuple[int, Any]] = []

    def arrived(self) -> list[tuple[int, Any]]:
        news, self.news = self.news, []
        return news

    def close(self) -> None:
        pass


class Survey:
    """Stands in for the kernel's routing."""

    port_bounds: tuple[set[int], set[int]] = (set(), set())

    def __init__(self, kernel: Any, sources: Any = (), oif: int | None = None, ports: Any = ()) -> None:
        self.links, self.complete = LINKS, True
        bounds = (ways.bounds(net.network_address.packed, net.prefixlen) for net in (*FOUND, SHUT))
        self.edges = sorted({*ways.ALWAYS, *(edge for pair in bounds for edge in pair)})
        self.answers = [self.ask(edge) for edge in self.edges]
        self.addresses = {OWN: {2}}

    def ask(self, number: int) -> Route | None:
        target = address(number)
        return next((FOUND[net] for net in FOUND if target.version == 4 and target in net), None)

    def why(self, number: int) -> int:
        target = address(number)
        if target.version == 6:
            return WayKind.NO_ADDRESS
        return WayKind.REFUSED if target in SHUT else WayKind.NONE

    def listening(self) -> list[int]:
        return [2, 3]

    def lacks_address(self, held: list[int]) -> bool:
        return any(self.answers[at] is None for at in held if at < len(self.answers))


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def covered() -> list[str]:
    return []


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, said: list[str], covered: list[str]) -> Routing:
    monkeypatch.setattr(module, "Netlink", Kernel)
    monkeypatch.setattr(module, "Survey", Survey)
    monkeypatch.setattr(chosenlink, "links", lambda _: LINKS)
    monkeypatch.setattr(module, "settle", lambda _: False)
    monkeypatch.setattr(module.neighbours, "resolve", lambda *_: MAC)
    monkeypatch.setattr(module.neighbours, "confirm", lambda *_: (None, True))
    return Routing(Kernel(), None, (), said.append, cover=covered.append)  # type: ignore[arg-type]


def admit(made: Routing, rows: Any) -> Any:
    return made.admit(rows, overview(rows))


def targets(*hosts: str) -> Any:
    rows = np.zeros(len(hosts), TARGET)
    for row, host in zip(rows, hosts, strict=True):
        row["peer_hi"], row["peer_lo"] = addresses.parse(host)
    rows["syn"] = Opening.OURS
    return rows


def neighbour(host: str, state: int, mac: bytes = MAC, by: int = 0) -> tuple[int, nl.NetlinkMessage]:
    fields = nl.NEIGHBOUR.unpack(nl.NEIGHBOUR.pack(2, 2, state, 0, 0))
    attributes = {nl.NDA_DST: socket.inet_aton(host), nl.NDA_LLADDR: mac}
    return nl.NEWNEIGH, nl.NetlinkMessage(nl.NEWNEIGH, fields, attributes, by)


def test_each_target_has_its_way_and_its_source(made: Routing, covered: list[str]) -> None:
    hosts = ("192.0.2.7", "10.0.0.5", "10.9.0.7", "127.0.0.1", "10.8.0.1", "203.0.113.1", "2001:db8::1")
    rows = targets(*hosts)
    made.choose_link([targets("192.0.2.1", "192.0.2.2", "10.0.0.5")])
    kinds = admit(made, rows)
    ring, kernel = WayKind.RING, WayKind.KERNEL
    assert kinds is not None
    assert kinds.tolist() == [ring, kernel, kernel, kernel, WayKind.REFUSED, WayKind.NONE, WayKind.NO_ADDRESS]
    assert [addresses.text(int(row["own_hi"]), int(row["own_lo"])) for row in rows[:4]] == [
        "10.0.0.9", "10.0.0.9", "10.9.0.2", "127.0.0.1",
    ]  # fmt: skip
    assert not made.changed
    assert sorted(covered) == ["10.9.0.2", "127.0.0.1"]
    admit(made, rows)
    assert len(covered) == 2  # each is new once
    assert made.listening == [2, 3, 1]
    order = made.order()
    assert (order.link, order.own_mac, order.gateway_v4) == (2, MAC, MAC)
    order.check()


@pytest.mark.parametrize(
    ("host", "sentence"),
    [
        ("10.8.0.1", "a route of this host refuses 10.8.0.1"),
        ("203.0.113.1", "there is no IPv4 route to 203.0.113.1: give --interface"),
        ("2001:db8::1", "this host has no address of that family"),
    ],
)
def test_where_none_can_be_reached_it_is_said_why(made: Routing, host: str, sentence: str) -> None:
    with pytest.raises(NoRouteError) as caught:
        made.choose_link([targets(host)])
    assert sentence in str(caught.value)


def test_an_interface_without_an_address_is_named(made: Routing) -> None:
    # The port of a bridge, for one: the host has addresses, but they are the bridge's.
    made.chosen.name = "eth0"
    with pytest.raises(NoRouteError, match="route to 2001:db8::1 by eth0: it has no address of that family"):
        made.choose_link([targets("2001:db8::1")])


def test_the_gateway_moves_goes_and_comes_back(made: Routing, said: list[str]) -> None:
    made.choose_link([targets("192.0.2.1")])
    made.update(1.0)
    assert made.wait(1.0) == 2.0  # until it is asked again
    news: Any = made._news
    news.news = [neighbour("10.0.0.1", nl.NUD_REACHABLE, OTHER)]
    assert made.update(1.1)
    assert made.order().gateway_v4 == OTHER
    assert said == ["the gateway 10.0.0.1 has another MAC now: 02:00:00:00:00:02"]
    news.news = [neighbour("10.0.0.1", nl.NUD_FAILED, by=4242)]
    assert not made.update(1.5)
    assert made.take_losses() == {}, "ip neigh flush: it is asked again"
    assert made.wait(1.5) == 2.0
    news.news = [neighbour("10.0.0.1", nl.NUD_FAILED), neighbour("10.0.0.1", nl.NUD_FAILED)]
    assert not made.update(1.7)
    made.update(3.7)
    assert made.take_losses() == {}
    assert made.wait(3.7) == pytest.approx(0.3)
    made.update(4.0)
    losses = made.take_losses()
    assert list(losses) == ["gateway"]
    assert "10.0.0.1 does not answer ARP on eth0 any more" in losses["gateway"]
    news.news = [neighbour("10.0.0.1", nl.NUD_FAILED), neighbour("10.0.0.1", nl.NUD_PROBE, OTHER)]
    assert not made.update(9.0)
    assert made.take_losses() == {}  # once
    assert said[1:] == []
    news.news = [neighbour("10.0.0.1", nl.NUD_REACHABLE, OTHER)]
    made.update(9.1)
    assert said[-1] == "the gateway 10.0.0.1 answers again"
    assert made.silent == set()


def test_a_gateway_that_is_silent_is_left_for_another_before_it_is_asked_again(
    made: Routing, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the kernel does where a route has several (RFC 4861, 6.3.6): nobody tells us, and a router that is
    asked counts for it as one that answers.
    """
    made.choose_link([targets("192.0.2.1")])
    made.update(1.0)
    other = ipaddress.ip_address("10.0.0.2")
    anywhere = ipaddress.ip_network("198.41.0.0/16")
    monkeypatch.setitem(FOUND, anywhere, FOUND[NET])
    asked: list[str] = []

    def confirm(_: object, index: int, hop: object) -> tuple[bytes, bool]:
        asked.append(str(hop))
        return OTHER, True

    monkeypatch.setattr(module.neighbours, "confirm", confirm)
    news: Any = made._news
    news.news = [neighbour("10.0.0.1", nl.NUD_FAILED)]
    for net in (NET, anywhere):
        monkeypatch.setitem(FOUND, net, replace(FOUND[NET], gateway=other))
    assert made.update(1.3)
    assert made.order().gateway_v4 == OTHER
    assert set(asked) == {"10.0.0.2"}
    assert said == ["packets leave by eth0 to 10.0.0.2 now: 10.0.0.1 does not answer"]


def test_where_the_first_gateway_is_silent_the_kernels_next_one_is_asked(
    made: Routing, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ipaddress.ip_address("10.0.0.2")

    def resolve(_: object, index: int, hop: object, seconds: float) -> bytes | None:
        if hop == other:
            return OTHER
        if moves:
            monkeypatch.setitem(FOUND, NET, replace(FOUND[NET], gateway=other))
        return None

    monkeypatch.setattr(module.neighbours, "resolve", resolve)
    for moves in (False, True):
        if not moves:
            with pytest.raises(NetworkError, match=r"the gateway 10.0.0.1 does not answer ARP on eth0: give"):
                made.choose_link([targets("192.0.2.1")])
    made.choose_link([targets("192.0.2.1")])
    assert made.order().gateway_v4 == OTHER


def test_with_more_routes_than_a_table_can_have_the_kernel_routes_all(
    made: Routing, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(Survey):
        def __init__(self, *_: object) -> None:
            super().__init__(None)
            self.complete, self.answers = False, []

    monkeypatch.setattr(module, "Survey", Full)
    monkeypatch.setitem(FOUND, ipaddress.ip_network("198.41.0.0/16"), FOUND[NET])
    made.choose_link([targets("192.0.2.1")])
    kinds = admit(made, targets("192.0.2.1", "10.0.0.5"))
    assert kinds is None or kinds.tolist() == [WayKind.KERNEL] * 2


def test_an_address_that_this_host_is_about_to_have_is_waited_for_once(
    made: Routing, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = [True]

    def settle(_: object) -> bool:
        monkeypatch.setitem(FOUND, ipaddress.ip_network("203.0.113.0/24"), FOUND[NET])
        return waits.pop()

    monkeypatch.setattr(module, "settle", settle)
    made.choose_link([targets("192.0.2.1", "203.0.113.1", "198.51.100.1")])
    kinds = admit(made, targets("203.0.113.1", "198.51.100.1"))
    assert kinds is not None
    assert kinds.tolist() == [WayKind.RING, WayKind.NONE]


def test_silent_neighbours_are_counted_if_packets_go_to_them(made: Routing) -> None:
    made.choose_link([targets("192.0.2.1")])
    news: Any = made._news
    silent = ("10.0.0.5", "10.0.0.6", "10.0.0.6", "192.0.2.9")  # the last is behind the gateway
    flushed = neighbour("10.0.0.7", nl.NUD_FAILED)
    news.news = [(flushed[0], flushed[1]._replace(by=4711))]  # ip neigh flush
    news.news += [neighbour(host, nl.NUD_FAILED) for host in silent]
    assert not made.update(1.0)
    assert set(map(str, made.silent)) == {"10.0.0.5", "10.0.0.6"}
    news.news = [neighbour("10.0.0.5", nl.NUD_REACHABLE), (0, None), (nl.NEWNEIGH, None)]
    made.update(1.1)
    assert set(map(str, made.silent)) == {"10.0.0.6"}


def test_where_the_user_has_said_where_all_goes_nothing_is_looked_up(made: Routing) -> None:
    made.choose_link([targets("192.0.2.1")])
    assert made.network is not None
    made.fix(made.network)
    made.update(100.0)
    assert made.wait(100.0) == math.inf, "whoever waits by this would not wait at all"
    rows = targets("203.0.113.1", "10.8.0.1")
    assert admit(made, rows) is None
    assert not made.changed
    assert made.ways.simple
    assert not made.update(9.0)


def taken(*hosts: str, own: str = "10.0.0.9") -> Any:
    rows = targets(*hosts)
    rows["syn"] = Opening.TAKEN
    rows["own_hi"], rows["own_lo"] = addresses.parse(own)
    return rows


def test_of_a_batch_as_those_before_nothing_is_noted(made: Routing) -> None:
    made.choose_link([taken("192.0.2.1", "192.0.2.2")])
    ring = WayKind.RING
    first = admit(made, taken("192.0.2.3"))
    assert first is not None
    assert first.tolist() == [ring]
    assert admit(made, taken("192.0.2.4", "192.0.2.5")) is None
    assert not made.changed
    mixed = admit(made, taken("192.0.2.6", "203.0.113.1"))
    assert mixed is not None
    assert mixed.tolist() == [ring, WayKind.NONE]
    lost = admit(made, taken("203.0.113.2"))
    assert lost is not None, "a way that leads nowhere, though it was taken before"
    assert lost.tolist() == [WayKind.NONE]
    assert admit(made, taken("192.0.2.7", own="10.0.0.10")) is not None, "from another address of ours"
    assert made.changed


def test_an_address_of_ours_that_is_new_while_the_kernel_does_not_answer(
    made: Routing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scan goes on, and asks the kernel again."""
    made.choose_link([taken("192.0.2.1")])
    before = made.ways

    def busy(*_: object) -> Survey:
        raise OSError(errno.EBUSY, "busy")

    monkeypatch.setattr(module, "Survey", busy)
    assert admit(made, taken("192.0.2.2", own="10.0.0.10")) is not None
    assert (made.ways is before, made.changed, made.wait(1.0)) == (True, False, 0.0)
    made.update(1.0)
    assert made.wait(1.0) > 0.0
    monkeypatch.setattr(module, "Survey", Survey)
    admit(made, taken("192.0.2.3", own="10.0.0.11"))
    assert made.changed
    assert made.ways is not before


def test_the_users_interface_is_found_again_whatever_becomes_of_it(
    made: Routing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked for as it is now: down, up again, renamed, removed, and made anew under its name."""
    asked: list[int | None] = []
    bound: list[str] = []

    class Asked(Survey):
        def __init__(self, kernel: Any, sources: Any, oif: int | None, ports: Any) -> None:
            asked.append(oif)
            super().__init__(kernel, sources, oif, ports)

    monkeypatch.setattr(module, "Survey", Asked)
    made.chosen.name = "eth0"
    made.choose_link([targets("192.0.2.1")])
    monkeypatch.setattr(chosenlink, "bind_to", lambda _, name: bound.append(name))
    news: Any = made._news
    before, eth0 = made.order(), LINKS[2]
    for at, changed in enumerate(
        (replace(eth0, up=False), eth0, replace(eth0, name="lan0"), None, replace(eth0, index=7), eth0), 1
    ):
        found = {one.index: one for one in (LINKS[1], changed) if one is not None}
        monkeypatch.setattr(chosenlink, "links", lambda _, found=found: found)
        news.news = [(nl.NEWROUTE, None)]
        made.update(float(at))
        made.update(at + 0.3)
    assert (asked, bound) == ([2, 2, 2, 2, 2, 7, 2], ["eth0", "eth0"])
    assert module._same(before, made.order())


def link(index: int, flags: int) -> tuple[int, nl.NetlinkMessage]:
    return nl.NEWLINK, nl.NetlinkMessage(nl.NEWLINK, (0, 1, index, flags, 0), {})


@pytest.mark.parametrize(
    ("flags", "sentence"), [(nl.IFF_UP, "eth0 has no carrier"), (nl.IFF_RUNNING, "eth0 was set down")]
)
@pytest.mark.parametrize("fixed", [False, True])
def test_a_link_in_use_that_goes_down_is_a_loss_at_once(
    made: Routing, said: list[str], flags: int, sentence: str, fixed: bool
) -> None:
    made.choose_link([targets("192.0.2.1")])
    if fixed:
        assert made.network is not None
        made.fix(made.network)
    news: Any = made._news
    news.news = [link(3, flags), link(2, flags), link(2, nl.IFF_UP | nl.IFF_RUNNING)]
    made.update(1.0)
    losses = made.take_losses()
    assert list(losses) == ["link eth0"], "nothing goes by the other"
    assert sentence in losses["link eth0"]
    assert said == ["the interface eth0 is up again"]


def test_a_link_that_single_packets_leave_by_is_watched_too(made: Routing) -> None:
    made.choose_link([targets("192.0.2.1")])
    admit(made, targets("10.9.0.7"))
    news: Any = made._news
    news.news = [link(3, nl.IFF_UP)]
    made.update(1.0)
    assert list(made.take_losses()) == ["link tun0"]


def test_targets_and_addresses_that_lose_their_way_are_losses(
    made: Routing, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.choose_link([targets("192.0.2.1")])
    admit(made, targets("192.0.2.1", "10.0.0.5"))
    news: Any = made._news

    def surveyed(at: float) -> dict[str, str]:
        news.news = [(nl.NEWROUTE, None)]
        made.update(at)
        made.update(at + 0.3)
        return made.take_losses()

    monkeypatch.setitem(FOUND, ipaddress.ip_network("198.51.100.0/24"), FOUND[NET])
    assert surveyed(1.0) == {}
    admit(made, targets("198.51.100.1"))
    monkeypatch.delitem(FOUND, TUN)
    assert surveyed(2.0) == {}, "nothing has gone there"
    kinds = admit(made, targets("10.9.0.7", "203.0.113.7"))
    assert kinds is not None
    assert kinds.tolist() == [WayKind.NONE] * 2
    assert "10.9.0.7" in made.take_losses()["routes"]
    monkeypatch.setattr(Survey, "addresses", {}, raising=False)
    monkeypatch.setattr(
        Survey,
        "__setattr__",
        lambda self, name, value: name == "addresses" or object.__setattr__(self, name, value),
    )
    monkeypatch.delitem(FOUND, NET)
    losses = surveyed(3.0)
    assert set(losses) == {"address", "routes"}
    assert "10.0.0.9 is no longer an address of this host" in losses["address"]
    assert "routes of this host have gone" in losses["routes"]
