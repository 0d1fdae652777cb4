"""Where packets leave: a LAN with a gateway, several links, policy rules, tunnels, and what changes meanwhile.

One namespace is the box; a bridge joins it with hosts of its own link and with a router.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.lab.greeter import Greeter
from tests.lab.net import Lab, Namespace
from tests.lab.scan import Scan, scan

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for namespaces")

PORT = 8080


class Town:
    """box: 10.60.0.2 on a switch with .3 to .12 (a MAC each; those from .9 on do not answer), the gateway .1,
    behind which is 10.50.0.0/24 with .1 and .2."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.box, self.switch = lab.namespace("box"), lab.namespace("switch")
        self.lan, self.gateway, self.far = lab.namespace("lan"), lab.namespace("gw"), lab.namespace("far")
        self.switch.ip("link", "add", "br0", "type", "bridge")
        self.switch.ip("link", "set", "br0", "up")
        self.plug(self.box, "eth0", "10.60.0.2/24")
        self.plug(self.gateway, "eth0", "10.60.0.1/24")
        self.lan.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/all/arp_ignore")
        for number in range(3, 9):
            self.plug(self.lan, f"h{number}", f"10.60.0.{number}/24")
        lab.link(
            self.gateway, self.far, names=("inner", "eth0"), b_addresses=("10.50.0.1/24", "10.50.0.2/24")
        )
        self.gateway.ip("addr", "add", "10.50.0.254/24", "dev", "inner")
        self.gateway.sysctl("net.ipv4.ip_forward", 1)
        self.far.ip("route", "add", "default", "via", "10.50.0.254")
        self.box.ip("route", "add", "default", "via", "10.60.0.1")
        self.greeters = {
            place: Greeter(lab, place, PORT) for place in (self.box, self.lan, self.gateway, self.far)
        }

    def plug(self, where: Namespace, name: str, *addresses: str) -> None:
        port = f"p{where.short[0]}{name}"
        self.lab.link(where, self.switch, names=(name, port), a_addresses=addresses)
        self.switch.ip("link", "set", port, "master", "br0")


@pytest.fixture(scope="module")
def town() -> Iterator[Town]:
    with Lab() as lab:
        yield Town(lab)


def found(done: Scan) -> set[str]:
    return {record["saddr"] for record in done.records if record["fingerprint"] == "http"}


def lines(*hosts: str) -> list[str]:
    return [f"[{host}]:{PORT}\n" if ":" in host else f"{host}:{PORT}\n" for host in hosts]


OPTIONS = ("--handshakes", "http", "-sendSYNs", "-w", "1", "-t", "2")


class TestLan:
    def test_hosts_of_the_link_the_gateway_hosts_behind_it_and_this_host(self, town: Town) -> None:
        """Whatever the order: the first host is switched off, some have no way, some are ourselves."""
        town.box.ip("route", "add", "unreachable", "10.70.0.0/16")
        there = {"10.60.0.3", "10.60.0.4", "10.60.0.1", "10.50.0.1", "10.50.0.2", "10.60.0.2", "127.0.0.1"}
        silent = [f"10.60.0.{number}" for number in range(20, 30)]
        lost = ["10.70.0.1", "2001:db8::1", "10.60.0.255"]
        done = scan(town.box, *OPTIONS, lines=lines(silent[0], lost[0], *there, *lost[1:], *silent[1:]))
        town.box.ip("route", "del", "unreachable", "10.70.0.0/16")
        assert done.returncode == 0, done.stderr
        assert found(done) == there, done.stderr
        assert "3 unroutable (agree)" in done.stderr, done.stderr
