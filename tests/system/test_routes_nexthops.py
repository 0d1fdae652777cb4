"""Routes with more than one next hop, or an odd one: multipath, nexthop objects, IPv4 by way of IPv6, a
gateway outside every prefix, point-to-point addresses, IPv6 over several links with policy rules; an address
that is not to be used yet.

The box has two links, each to a router on which the targets live; each router answers by the link that it
has, to both addresses of the box.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from coordinator.network.netlink import GETRULE, Netlink, NetlinkMessage
from coordinator.network.routing import Routing
from coordinator.network.survey import Survey
from lzr.packet.ways import WayKind
from lzr.rows import TARGET, Opening
from tests.lab.greeter import Greeter
from tests.lab.net import Lab, Namespace
from tests.lab.scan import Scan, scan
from tests.wire import halves

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for namespaces")

PORT = 8080
OPTIONS = ("--handshakes", "http", "-sendSYNs", "-w", "1", "-t", "6")


class Two:
    """box: 10.72.1.2 and fd72:1::2 on eth0, 10.72.2.2 and fd72:2::2 on eth1; the routers have .1 there."""

    def __init__(self, lab: Lab) -> None:
        self.box = lab.namespace("box")
        self.routers = [lab.namespace("one"), lab.namespace("two")]
        for at, router in enumerate(self.routers, 1):
            lab.link(
                self.box,
                router,
                names=(f"eth{at - 1}", "eth0"),
                a_addresses=(f"10.72.{at}.2/24", f"fd72:{at}::2/64"),
                b_addresses=(f"10.72.{at}.1/24", f"fd72:{at}::1/64"),
            )
        for router, other, own in zip(self.routers, (2, 1), (1, 2), strict=True):
            router.ip("route", "add", f"10.72.{other}.0/24", "via", f"10.72.{own}.2")
            router.ip("route", "add", f"fd72:{other}::/64", "via", f"fd72:{own}::2")
        for router in self.routers:
            router.ip("route", "add", "local", "10.73.0.0/16", "dev", "lo")
            router.ip("route", "add", "local", "fd73::/32", "dev", "lo")
        self.greeters = [Greeter(lab, router, PORT) for router in self.routers]

    def asked(self) -> list[int]:
        return [len(greeter.asked) for greeter in self.greeters]


def link_local(place: Namespace, interface: str) -> str:
    words = place.ip("-6", "addr", "show", "dev", interface, "scope", "link").split()
    return words[words.index("inet6") + 1].partition("/")[0]


@pytest.fixture(scope="module")
def two() -> Iterator[Two]:
    with Lab() as lab:
        made = Two(lab)
        box, (_, far) = made.box, made.routers
        both = ("nexthop", "via", "10.72.1.1", "dev", "eth0", "nexthop", "via", "10.72.2.1", "dev", "eth1")
        box.ip("route", "add", "10.73.0.0/24", *both)
        box.ip("nexthop", "add", "id", "1", "via", "10.72.1.1", "dev", "eth0")
        box.ip("nexthop", "add", "id", "2", "via", "10.72.2.1", "dev", "eth1")
        box.ip("nexthop", "add", "id", "10", "group", "1/2")
        box.ip("route", "add", "10.73.1.0/24", "nhid", "10")
        box.ip("route", "add", "10.73.2.0/24", "nhid", "2")
        box.ip("route", "add", "10.73.3.0/24", "via", "inet6", link_local(far, "eth0"), "dev", "eth1")
        far.ip("addr", "add", "10.99.99.1/32", "dev", "eth0")
        box.ip("route", "add", "10.73.4.0/24", "via", "10.99.99.1", "dev", "eth1", "onlink")
        box.ip("addr", "add", "10.74.0.2", "peer", "10.74.0.1/32", "dev", "eth1")
        far.ip("addr", "add", "10.74.0.1", "peer", "10.74.0.2/32", "dev", "eth0")
        # As clouds have it: the address has no network of its own, and the gateway is outside of it.
        box.ip("addr", "add", "10.75.0.2/32", "dev", "eth1")
        box.ip("route", "add", "10.75.0.1", "dev", "eth1", "scope", "link")
        box.ip("route", "add", "10.73.5.0/24", "via", "10.75.0.1", "src", "10.75.0.2")
        far.ip("addr", "add", "10.75.0.1", "peer", "10.75.0.2/32", "dev", "eth0")
        for at, network in enumerate(("fd73:0:1::/64", "fd73:0:2::/64"), 1):
            box.ip("route", "add", network, "via", f"fd72:{at}::1")
        box.ip("route", "add", "fd73:0:3::/64", "via", link_local(far, "eth0"), "dev", "eth1")
        both6 = ("nexthop", "via", "fd72:1::1", "dev", "eth0", "nexthop", "via", "fd72:2::1", "dev", "eth1")
        box.ip("-6", "route", "add", "fd73:0:4::/64", *both6)
        box.ip("-6", "route", "add", "fd73:0:5::/64", "via", "fd72:2::1", "table", "101")
        box.ip("-6", "rule", "add", "to", "fd73:0:5::/64", "lookup", "101", "pref", "80")
        box.ip("-6", "route", "add", "fd73:0:6::/64", "via", "fd72:2::1", "table", "100")
        box.ip("-6", "rule", "add", "from", "fd72:2::2", "lookup", "100", "pref", "100")
        yield made


def found(done: Scan) -> set[str]:
    return {record["saddr"] for record in done.records if record["fingerprint"] == "http"}


def lines(hosts: list[str]) -> list[str]:
    return [f"[{host}]:{PORT}\n" if ":" in host else f"{host}:{PORT}\n" for host in hosts]


SEVERAL = [f"10.73.{third}.{number}" for third in (0, 1) for number in range(1, 21)]
ODD = [f"10.73.{third}.{number}" for third in (3, 4, 5) for number in range(1, 4)]
SIX = [f"fd73:0:{third}::{number}" for third in (1, 2, 3, 4, 5) for number in range(1, 7)]
ON_LINK = ["10.72.1.1", "10.72.2.1", "10.74.0.1", "10.75.0.1", "fd72:1::1", "fd72:2::1"]


def test_all_kinds_in_one_list(two: Two) -> None:
    before = two.asked()
    there = [*ON_LINK, *SEVERAL, "10.73.2.1", *ODD, *SIX]
    done = scan(two.box, *OPTIONS, lines=lines(there))
    assert found(done) == set(there), done.stderr
    sources = {record["daddr"] for record in done.records if record["saddr"].startswith("10.73.5.")}
    assert sources == {"10.75.0.2"}
    assert all(now - then >= 10 for now, then in zip(two.asked(), before, strict=True)), "one link only"


ODD_GATEWAYS = {
    "nexthop object": "10.73.2.7",
    "IPv4 by way of IPv6": "10.73.3.7",
    "on-link gateway": "10.73.4.7",
    "outside of our networks": "10.73.5.7",
    "link-local": "fd73:0:3::7",
}


def test_each_odd_gateway_is_good_for_the_rings(two: Two) -> None:
    """Where most targets are behind it, its MAC is asked for, and the kernel routes nothing."""

    def settled() -> dict[str, tuple[str, list[int]]]:
        ordered = {}
        for what, host in ODD_GATEWAYS.items():
            rows = np.zeros(1, TARGET)
            rows["peer_hi"], rows["peer_lo"] = halves(host)
            rows["syn"] = Opening.OURS
            routing = Routing(Netlink(), None, (), print)
            try:
                routing.choose_link([rows])
                order = routing.order()
            finally:
                routing.close()
            mac = order.gateway_v6 if ":" in host else order.gateway_v4
            ordered[what] = mac.hex(":"), routing.ways.kinds(rows).tolist()
        return ordered

    mac = two.routers[1].mac("eth0")
    assert two.box.call(settled) == dict.fromkeys(ODD_GATEWAYS, (mac, [WayKind.RING]))


def test_nexthop_objects_that_routes_only_name(two: Two) -> None:
    """As routing daemons want it (net.ipv4.nexthop_compat_mode=0): a group of several is the kernel's to
    divide up, and another object under the same number is heard of.
    """

    def kinds() -> list[list[int]]:
        rows = np.zeros(2, TARGET)
        for row, host in zip(rows, ("10.73.1.7", "10.73.2.7"), strict=True):
            row["peer_hi"], row["peer_lo"] = halves(host)
        rows["syn"] = Opening.OURS
        routing = Routing(Netlink(), None, (), print)
        try:
            routing.choose_link([rows[1:]])
            found = [routing.ways.kinds(rows).tolist()]
            two.box.ip("nexthop", "replace", "id", "2", "via", "10.72.1.1", "dev", "eth0")
            routing.update(1.0)
            routing.update(2.0)
            return [*found, routing.ways.kinds(rows).tolist()]
        finally:
            routing.close()

    two.box.sysctl("net.ipv4.nexthop_compat_mode", 0)
    try:
        assert two.box.call(kinds) == [[WayKind.KERNEL, WayKind.RING], [WayKind.KERNEL, WayKind.KERNEL]]
    finally:
        two.box.sysctl("net.ipv4.nexthop_compat_mode", 1)
        two.box.ip("nexthop", "replace", "id", "2", "via", "10.72.2.1", "dev", "eth1")


def test_a_full_table_is_the_kernels(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more routes than a table of ways can have not all are read; also without policy rules."""
    real = Netlink.ask

    def ask(self: Netlink, kind: int, *more: Any, **named: Any) -> list[NetlinkMessage]:
        if kind == GETRULE:
            raise OSError(errno.EOPNOTSUPP, "")
        return real(self, kind, *more, **named)

    monkeypatch.setattr(Netlink, "ask", ask)

    def surveyed() -> tuple[bool, int]:
        with Netlink() as kernel:
            survey = Survey(kernel)
        return survey.complete, len(survey.edges) // 1000

    routes = [f"10.{200 + at // 16384}.{at // 64 % 256}.{at % 64 * 4}/31 dev eth1" for at in range(20_000)]
    for verb, found in (("add", (False, 16)), ("del", (True, 0))):
        two.box.run("ip", "-batch", "-", input="".join(f"route {verb} {one}\n" for one in routes))
        assert two.box.call(surveyed) == found


def test_a_scan_by_an_ipv6_next_hop(two: Two) -> None:
    there = [f"10.73.3.{number}" for number in range(1, 41)]
    done = scan(two.box, *OPTIONS, "-v", "5", lines=lines(there))
    assert found(done) == set(there), done.stderr
    assert f"has {two.routers[1].mac('eth0')}" in done.stderr


def test_the_rules_of_another_ipv6_source(two: Two) -> None:
    """fd73:0:6:: is behind eth1 for that address only; without it there is no way."""
    there = [f"fd73:0:6::{number}" for number in range(1, 4)]
    done = scan(two.box, *OPTIONS, "-S", "fd72:2::2", lines=lines(["fd73:0:1::1", *there]))
    assert found(done) == {"fd73:0:1::1", *there}, done.stderr
    assert {record["daddr"] for record in done.records} == {"fd72:2::2"}


def test_an_ipv6_address_that_is_not_settled_yet() -> None:
    """As where a scan follows `ip addr add`, or comes with the start of a machine."""
    with Lab() as lab:
        box, router = lab.namespace("box"), lab.namespace("router")
        lab.link(box, router, a_addresses=("10.72.1.2/24",), b_addresses=("10.72.1.1/24", "fd72:1::1/64"))
        router.ip("route", "add", "local", "fd73::/32", "dev", "lo")
        Greeter(lab, router, PORT)
        box.run("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/eth0/accept_dad")
        box.ip("addr", "add", "fd72:1::2/64", "dev", "eth0")
        box.ip("route", "add", "default", "via", "fd72:1::1")
        assert "tentative" in box.ip("-6", "addr", "show", "dev", "eth0", "scope", "global")
        done = scan(box, *OPTIONS, lines=lines(["10.72.1.1", "fd73::7"]))
        assert found(done) == {"10.72.1.1", "fd73::7"}, done.stderr
