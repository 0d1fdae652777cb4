"""`coordinator.network.discover` on a real system: as root, in namespaces."""

from __future__ import annotations

import errno
import ipaddress
import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from coordinator.network import neighbours, netlink
from coordinator.network.discover import discover, parse_mac
from coordinator.network.neighbours import NetworkError
from tests.host_net import BOX, BOX6, BOX_MAC, BOX_TOO, PEER, PEER6, PEER_MAC, Wire, inside, ip

FAR, FAR6 = "198.51.100.7", "2001:db8::7"

SILENT = "10.91.0.77"

MAC = parse_mac(PEER_MAC)


@pytest.fixture(scope="module")
def shared() -> Iterator[Wire]:
    with Wire("n") as made:
        ip("addr", "add", "fe80::91:2/64", "dev", "wire1", "nodad", namespace=made.peer)
        yield made


@pytest.fixture
def wire(shared: Wire) -> Iterator[Wire]:
    """In the box, which has forgotten its neighbours and has no route but to its own link."""
    ip("neigh", "flush", "all", "nud", "all", namespace=shared.box)
    with inside(shared.box):
        yield shared
        for family in ("-4", "-6"):
            shared.run("ip", family, "route", "flush", "default")
    ip("link", "set", "wire1", "up", namespace=shared.peer)
    ip("link", "set", "wire0", "up", namespace=shared.box)


def route(wire: Wire, *words: str, family: str = "-4") -> None:
    assert wire.run("ip", family, "route", "add", *words).returncode == 0


@pytest.mark.root
class TestDiscover:
    def test_a_full_table_of_neighbours(self, wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
        """Refused twice, then taken; refused for good: a sentence."""
        route(wire, "default", "via", PEER)
        real, refusals = netlink.Netlink.ask, 2

        def ask(self: netlink.Netlink, kind: int, *more: Any, **named: Any) -> list[netlink.NetlinkMessage]:
            nonlocal refusals
            if kind == netlink.NEWNEIGH and refusals:
                refusals -= 1
                raise OSError(errno.ENOBUFS, "")
            return real(self, kind, *more, **named)

        monkeypatch.setattr(netlink.Netlink, "ask", ask)
        assert discover().gateway_mac == MAC
        assert refusals == 0
        ip("neigh", "flush", "all", "nud", "all", namespace=wire.box)
        refusals = 1_000_000
        with pytest.raises(NetworkError, match=f"{PEER} cannot be asked for its MAC: give --gateway-mac"):
            discover(seconds=0)

    def test_what_others_say_of_a_neighbour_stays(self, wire: Wire) -> None:
        """That it is a router, that the kernel is to keep it up to date. What a program has learned is left
        alone.
        """
        index = socket.if_nametoindex("wire0")
        for hop, said, states in (
            (PEER6, "router", ("PROBE", "REACHABLE")),
            (PEER, "managed", ("PROBE", "REACHABLE", "DELAY", "STALE")),
            (SILENT, "extern_learn", ("REACHABLE",)),
        ):
            words = ("lladdr", PEER_MAC, "dev", "wire0", "nud", "reachable")
            ip("neigh", "replace", hop, *words, *([] if said == "managed" else [said]), namespace=wire.box)
            if said == "managed" and wire.run("ip", "neigh", "replace", hop, "dev", "wire0", said).returncode:
                continue  # Linux before 5.16
            with netlink.Netlink() as kernel:
                mac, asked = neighbours.confirm(kernel, index, ipaddress.ip_address(hop))
            entry = wire.run("ip", "neigh", "show", hop, "dev", "wire0").stdout.split()
            assert (mac, asked) == (MAC, said != "extern_learn")
            assert said in entry, entry
            assert entry[-1] in states, entry

    def test_an_entry_that_is_there_and_may_not_be_verified(
        self, wire: Wire, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As without CAP_NET_ADMIN, in a container: it is used as it is."""
        route(wire, "default", "via", PEER)
        words = ("lladdr", PEER_MAC, "dev", "wire0", "nud", "stale")
        ip("neigh", "replace", PEER, *words, namespace=wire.box)
        real = netlink.Netlink.ask

        def ask(self: netlink.Netlink, kind: int, *more: Any, **named: Any) -> list[netlink.NetlinkMessage]:
            if kind == netlink.NEWNEIGH:
                raise PermissionError(errno.EPERM, "")
            return real(self, kind, *more, **named)

        monkeypatch.setattr(netlink.Netlink, "ask", ask)
        assert discover().gateway_mac == MAC

    def test_through_the_default_gateway(self, wire: Wire) -> None:
        route(wire, "default", "via", PEER)
        for found in (discover(), discover([FAR]), discover([FAR], interface="wire0", source_ips=[BOX])):
            assert (found.interface, found.source_v4, found.gateway_v4) == ("wire0", (BOX,), PEER)
            assert (found.gateway_mac, found.own_mac) == (MAC, parse_mac(BOX_MAC))
            assert (found.mtu, found.loopback, found.source_v6, found.gateway_mac_v6) == (
                1500,
                False,
                (),
                None,
            )

    def test_a_target_on_the_same_link(self, wire: Wire) -> None:
        found = discover([PEER])
        assert (found.interface, found.gateway_v4, found.gateway_mac) == ("wire0", None, MAC)

    def test_both_families(self, wire: Wire) -> None:
        route(wire, "default", "via", PEER)
        route(wire, "default", "via", "fe80::91:2", "dev", "wire0", family="-6")
        found = discover(["203.0.113.1", FAR6, FAR])
        assert (found.source_v4, found.source_v6) == ((BOX,), (BOX6,))
        assert (found.gateway_v4, found.gateway_v6) == (PEER, "fe80::91:2")
        assert found.gateway_mac_v4 == found.gateway_mac_v6 == MAC
        assert found.sources == (BOX, BOX6)

    def test_ipv6_on_the_same_link_and_when_it_is_all_there_is(self, wire: Wire) -> None:
        assert discover([PEER6]).gateway_mac_v6 == MAC
        route(wire, "default", "via", PEER6, family="-6")
        found = discover()
        assert (found.source_v4, found.source_v6, found.gateway_mac) == ((), (BOX6,), MAC)

    def test_an_ipv4_route_over_an_ipv6_gateway(self, wire: Wire) -> None:
        route(wire, "default", "via", "inet6", "fe80::91:2", "dev", "wire0")
        found = discover([FAR])
        assert (found.gateway_v4, found.gateway_mac) == ("fe80::91:2", MAC)

    def test_what_is_given_is_taken(self, wire: Wire) -> None:
        sources = ["203.0.113.8/30", BOX_TOO]
        found = discover([FAR], interface="wire0", source_ips=sources, gateway_mac="2-0-0-0-0-AA")
        assert found.source_v4 == ("203.0.113.9", "203.0.113.10", BOX_TOO)
        assert found.gateway_mac == bytes((2, 0, 0, 0, 0, 0xAA))

    def test_the_link_of_the_source_when_there_is_no_route(self, wire: Wire) -> None:
        assert discover([FAR], source_ips=[BOX_TOO], gateway_mac=PEER_MAC).interface == "wire0"
        assert discover([FAR6], source_ips=[BOX6], gateway_mac=PEER_MAC).interface == "wire0"
        assert discover(gateway_mac=PEER_MAC).source_v4 == (BOX,)

    def test_loopback(self, wire: Wire) -> None:
        found = discover(["127.0.0.9"])
        assert (found.interface, found.loopback, found.gateway_mac) == ("lo", True, bytes(6))
        assert found.source_v4 == ("127.0.0.1",)
        assert discover([BOX]).loopback
        assert discover(["::1"]).source_v6 == ("::1",)
        assert not discover([BOX], interface="wire0", gateway_mac=PEER_MAC).loopback


@pytest.mark.root
class TestMistakes:
    def refused(self, *targets: str, **options: object) -> str:
        with pytest.raises(NetworkError) as caught:
            discover(targets, **options)  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def test_no_such_interface(self, wire: Wire) -> None:
        for name in ("nope0", "", "x" * 300, "a\0b"):
            assert "no network interface" in self.refused(interface=name)

    def test_interface_down(self, wire: Wire) -> None:
        ip("link", "set", "wire0", "down", namespace=wire.box)
        sentence = self.refused(FAR, interface="wire0", gateway_mac=PEER_MAC)
        ip("link", "set", "wire0", "up", namespace=wire.box)
        ip("addr", "replace", f"{BOX6}/64", "dev", "wire0", "nodad", namespace=wire.box)  # lost with the link
        assert "is down" in sentence

    def test_no_carrier(self, wire: Wire) -> None:
        ip("link", "set", "wire1", "down", namespace=wire.peer)
        sentence = self.refused(PEER, interface="wire0")
        ip("link", "set", "wire1", "up", namespace=wire.peer)
        ip("addr", "replace", f"{PEER6}/64", "dev", "wire1", "nodad", namespace=wire.peer)
        assert "no carrier" in sentence

    def test_no_route(self, wire: Wire) -> None:
        for target in (FAR, FAR6):
            assert f"route to {target}: give --interface and --gateway-mac" in self.refused(target)
        assert "--gateway-mac" in self.refused(interface="wire0")
        route(wire, "unreachable", "198.51.100.0/24")
        assert "no IPv4 route" in self.refused(FAR)
        wire.run("ip", "route", "del", "unreachable", "198.51.100.0/24")

    def test_nobody_answers_for_the_gateway(self, wire: Wire) -> None:
        """The kernel's own verdict ends the wait, not the time given."""
        with open("/proc/sys/net/ipv4/neigh/wire0/retrans_time_ms", "w") as quick:
            quick.write("10")
        route(wire, "default", "via", SILENT)
        assert f"gateway {SILENT} does not answer ARP" in self.refused(FAR, seconds=60)
        assert "same link" in self.refused("10.91.0.78", seconds=0)

    def test_no_address(self, wire: Wire) -> None:
        ip("link", "add", "bare0", "type", "veth", "peer", "name", "bare1", namespace=wire.box)
        for link in ("bare0", "bare1"):
            ip("link", "set", link, "up", namespace=wire.box)
        try:
            assert "--source-ip" in self.refused(FAR6, interface="bare0", gateway_mac=PEER_MAC)
            assert discover(interface="bare0", source_ips=[FAR], gateway_mac=PEER_MAC).source_v4 == (FAR,)
        finally:
            ip("link", "del", "bare0", namespace=wire.box)

    def test_not_ethernet(self, wire: Wire) -> None:
        if wire.run("ip", "tuntap", "add", "tun9", "mode", "tun").returncode:
            pytest.skip("this kernel has no tun devices")
        try:
            ip("link", "set", "tun9", "up", namespace=wire.box)
            sentence = self.refused(interface="tun9", source_ips=[BOX], gateway_mac=PEER_MAC)
            assert "not Ethernet" in sentence or "no carrier" in sentence
        finally:
            wire.run("ip", "link", "del", "tun9")

    def test_not_root(self, wire: Wire) -> None:
        code = (
            "import sys\nfrom coordinator.network.discover import *\n"
            "from coordinator.network.neighbours import NetworkError\n"
            "try: discover([sys.argv[1]])\nexcept NetworkError as error: print(error)"
        )
        done = wire.run("setpriv", "--bounding-set=-net_admin", sys.executable, "-c", code, SILENT)
        assert "needs more than root may do here (CAP_NET_ADMIN missing)" in done.stdout

    def test_words_that_are_no_addresses(self) -> None:
        assert "'x'" in self.refused("x")
        assert "--source-ip" in self.refused(source_ips=["10.0.0.0/40"])
        assert "--gateway-mac" in self.refused(gateway_mac="1:2:3")
