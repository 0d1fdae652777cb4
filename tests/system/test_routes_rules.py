"""Rules that look at more than addresses (ip-rule(8)): protocol, user, ports. A scan follows them as
connections of this host do, or says that it does not.

The box has two links, each to a router on which the targets live: which router was asked shows the way.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.lab.greeter import Greeter
from tests.lab.net import Lab
from tests.lab.scan import scan
from tests.system.test_routes_nexthops import OPTIONS, PORT, Two, found, lines

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for namespaces")

OTHER = 8081
PLAIN = [f"10.73.10.{number}" for number in range(1, 21)]
"""By the first router, by the rings: they are the most."""
TCP, USER, OURS = "10.73.7", "10.73.8", "10.73.11"
TCP_6 = [f"fd73:0:7::{number}" for number in (1, 2)]
SERVED = [f"10.73.9.{number}" for number in range(1, 11)]
"""Port 8080 of these by the second router, others by the first."""


@pytest.fixture(scope="module")
def two() -> Iterator[Two]:
    with Lab() as lab:
        made = Two(lab)
        box = made.box
        for net in ("10.73.9.0/24", "10.73.10.0/24"):
            box.ip("route", "add", net, "via", "10.72.1.1")
        rules = {
            107: (f"{TCP}.0/24", "ipproto", "tcp"),
            108: (f"{USER}.0/24", "uidrange", f"{os.geteuid()}-{os.geteuid()}"),
            109: ("10.73.9.0/24", "ipproto", "tcp", "dport", str(PORT)),
            110: (f"{OURS}.0/24", "sport", "1024-65534"),
        }
        for table, (net, *rule) in rules.items():
            box.ip("route", "add", net, "via", "10.72.2.1", "table", str(table))
            box.ip("rule", "add", *rule, "lookup", str(table), "pref", str(table))
        box.ip("rule", "add", "ipproto", "udp", "dport", "1-65534", "prohibit", "pref", "99")
        box.ip("-6", "route", "add", "fd73:0:7::/64", "via", "fd72:2::1", "table", "107")
        box.ip("-6", "rule", "add", "ipproto", "tcp", "lookup", "107", "pref", "107")
        for router in made.routers:
            Greeter(lab, router, OTHER)
        yield made


def test_protocol_user_and_our_ports(two: Two) -> None:
    """Whether the kernel routes the packets one by one, or they leave by the rings."""
    by_rule = [f"{net}.{number}" for net in (TCP, USER) for number in (1, 2)]
    for by_first, by_second in ((PLAIN, [*by_rule, *TCP_6]), ([], [*by_rule, f"{OURS}.1", *TCP_6])):
        before = two.asked()
        done = scan(two.box, *OPTIONS, lines=lines([*by_first, *by_second]))
        assert (found(done), done.returncode) == ({*by_first, *by_second}, 0), done.stderr
        asked = [now - then for now, then in zip(two.asked(), before, strict=True)]
        assert (bool(asked[0]), asked[1] >= len(by_second)) == (bool(by_first), True), asked


def test_ports_of_one_rule(two: Two) -> None:
    """All go one way: they leave by the rings."""
    for port, by_second in ((PORT, True), (OTHER, False)):
        before = two.asked()
        done = scan(two.box, *OPTIONS, lines=[f"{host}:{port}\n" for host in SERVED])
        assert (found(done), done.returncode) == (set(SERVED), 0), done.stderr
        assert (two.asked()[1] - before[1] >= len(SERVED)) == by_second


def test_ports_that_part_the_ways(two: Two) -> None:
    """That is more than packets that the kernel routes one by one can do: said, with status 3."""
    for there in (SERVED, [*PLAIN, f"{OURS}.1"]):
        lines = [f"{host}:{port}\n" for host in there for port in (PORT, OTHER)]
        done = scan(two.box, *OPTIONS, lines=lines)
        assert done.returncode == 3, done.stderr
        assert "[ERROR] lzr: rules of this host choose the way by port" in done.stderr
        assert found(done) >= {*there} - {f"{OURS}.1"}, done.stderr
