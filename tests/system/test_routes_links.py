"""Scans over VLANs, a bond, a VRF, and tunnels that the kernel makes: all that it has of these.

One wire joins the box with another host; the link under test is put on it at both ends, and behind it the
other host has a network of its own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator

import pytest

from tests import ROOT, conftest
from tests.lab import links
from tests.lab.greeter import Greeter
from tests.lab.net import Lab, LabError, Namespace, run
from tests.lab.scan import scan

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for namespaces")

PORT = 8080
OPTIONS = ("--handshakes", "http", "-sendSYNs", "-w", "1", "-t", "6")
BOX, OTHER = "10.76.0.2", "10.76.0.1"


class Ends:
    """box and other: 10.76.0.2 and 10.76.0.1 on eth0, until a link takes it."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.box, self.other = lab.namespace("box"), lab.namespace("other")
        lab.link(self.box, self.other, a_addresses=(f"{BOX}/24",), b_addresses=(f"{OTHER}/24",))
        self.greeter = Greeter(lab, self.other, PORT)

    def address(self, name: str, network: str) -> None:
        """.2 for the box and .1 for the other host, on both ends' link of that name."""
        for place, number in ((self.box, 2), (self.other, 1)):
            place.ip("addr", "add", f"{network}.{number}/24", "dev", name)
            place.ip("link", "set", name, "up")

    def behind(self, network: str, gateway: str, *more: str) -> list[str]:
        """Addresses of a network of the other host's."""
        self.other.ip("route", "add", "local", f"{network}.0/24", "dev", "lo")
        self.box.ip("route", "add", f"{network}.0/24", "via", gateway, *more)
        return [f"{network}.{number}" for number in range(1, 41)]

    def finds(self, hosts: list[str], *options: str) -> None:
        lines = [f"[{host}]:{PORT}\n" if ":" in host else f"{host}:{PORT}\n" for host in hosts]
        done = scan(self.box, *OPTIONS, *options, lines=lines)
        found = [record["saddr"] for record in done.records if record["fingerprint"] == "http"]
        assert sorted(found) == sorted(hosts), done.stderr


@pytest.fixture
def ends() -> Iterator[Ends]:
    with Lab() as lab:
        yield Ends(lab)


@pytest.mark.parametrize("offload", ["on", "off"])
def test_a_vlan_tagged_below(ends: Ends, offload: str) -> None:
    """The tag is in the frame, or beside it where the hardware sets and takes it; the wire has both kinds."""
    for place in (ends.box, ends.other):
        links.add(place, "eth0.7", "vlan", "id", "7", on="eth0")
        place.run("ethtool", "-K", "eth0", "rxvlan", offload, "txvlan", offload, check=False)
    ends.address("eth0.7", "10.77.7")
    tagged = ends.behind("10.78.7", "10.77.7.1")
    plain = ends.behind("10.78.8", OTHER)
    ends.finds([*tagged, *plain[:3], "10.77.7.1", OTHER])
    ends.finds([*tagged[:3], *plain, "10.77.7.1", OTHER])


def test_a_bond_of_two_links(ends: Ends) -> None:
    ends.lab.link(ends.box, ends.other, names=("eth1", "eth1"))
    for place, own in ((ends.box, BOX), (ends.other, OTHER)):
        links.add(place, "bond0", "bond", "mode", "active-backup", "miimon", "100")
        for port in ("eth0", "eth1"):
            place.ip("addr", "flush", "dev", port)
            place.ip("link", "set", port, "down")
            place.ip("link", "set", port, "master", "bond0")
        place.ip("addr", "add", f"{own}/24", "dev", "bond0")
        place.ip("link", "set", "bond0", "up")
        place.ip("link", "set", "bond0", "type", "bond", "active_slave", "eth0")
    there = ends.behind("10.78.1", OTHER)
    ends.finds([*there, OTHER])
    ends.box.ip("link", "set", "eth0", "down")
    ends.other.ip("link", "set", "eth0", "down")
    ends.finds([*there, OTHER])


def test_an_interface_of_a_vrf(ends: Ends) -> None:
    """Its routes are in a table of their own; the interface says whose."""
    links.add(ends.box, "vrf0", "vrf", "table", "50")
    ends.box.ip("link", "set", "vrf0", "up")
    ends.box.ip("link", "set", "eth0", "master", "vrf0")
    there = ends.behind("10.78.2", OTHER, "table", "50")
    ends.finds([*there, OTHER], "-i", "eth0")


def ipip(place: Namespace, own: str, peer: str) -> None:
    links.add(place, "t0", "ipip", "local", own, "remote", peer)


def gre(place: Namespace, own: str, peer: str) -> None:
    links.add(place, "t0", "gre", "local", own, "remote", peer)


@pytest.mark.parametrize("make", [ipip, gre])
def test_a_tunnel(ends: Ends, make: Callable[[Namespace, str, str], None]) -> None:
    make(ends.box, BOX, OTHER)
    make(ends.other, OTHER, BOX)
    ends.address("t0", "10.77.1")
    there = ends.behind("10.78.3", "10.77.1.1")
    ends.finds([*there, "10.77.1.1", OTHER])
    ends.finds(there[:5], "-i", "t0")


def test_ipv6_in_ipv4(ends: Ends) -> None:
    for place, own, peer, number in ((ends.box, BOX, OTHER, 2), (ends.other, OTHER, BOX, 1)):
        links.add(place, "t0", "sit", "local", own, "remote", peer)
        place.ip("addr", "add", f"fd77::{number}/64", "dev", "t0")
        place.ip("link", "set", "t0", "up")
    ends.other.ip("route", "add", "local", "fd78::/64", "dev", "lo")
    ends.box.ip("route", "add", "fd78::/64", "via", "fd77::1")
    ends.finds([f"fd78::{number}" for number in range(1, 10)] + ["fd77::1", OTHER])


def test_wireguard(ends: Ends) -> None:
    for place in (ends.box, ends.other):
        links.add(place, "wg0", "wireguard")
    if not shutil.which("wg"):
        run(ROOT / "tests" / "lab" / "apt-install", "wireguard-tools", timeout=300)
    keys = [run("wg", "genkey").stdout.strip() for _ in range(2)]
    for at, (place, peer) in enumerate(((ends.box, OTHER), (ends.other, BOX))):
        public = run("wg", "pubkey", input=keys[1 - at]).stdout.strip()
        secret = ends.lab.directory / f"key{at}"
        secret.write_text(keys[at])
        place.run(
            *("wg", "set", "wg0", "listen-port", "51820", "private-key", secret, "peer", public),
            *("allowed-ips", "0.0.0.0/0", "endpoint", f"{peer}:51820"),
        )
    ends.address("wg0", "10.77.2")
    there = ends.behind("10.78.4", "10.77.2.1")
    ends.finds([*there, "10.77.2.1", OTHER])


class TestWhatAKernelLacks:
    def test_only_an_unknown_kind_of_link_is_skipped(
        self, ends: Ends, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Words that are wrong, or a link that is there already, fail the test."""
        monkeypatch.setitem(links.MODULES, "veth", "veth")
        monkeypatch.setitem(links.MODULES, "nosuch", "no_such_module")
        links.add(ends.box, "v0", "veth")
        for again in (("v0", "veth"), ("v1", "veth", "nonsense")):
            with pytest.raises(LabError):
                links.add(ends.box, *again)
        with pytest.raises(links.KernelLacksError, match=r"type nosuch \(module no_such_module\)"):
            links.add(ends.box, "n0", "nosuch")

    def test_no_other_skip_passes_where_all_have_to_run(
        self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(conftest, "IN_CI", True)

        def outcome(why: type[BaseException]) -> str:
            def skips() -> None:
                raise why("so it is")

            call = pytest.CallInfo.from_call(skips, "call")
            report = pytest.TestReport.from_item_and_call(request.node, call)
            hook = conftest.pytest_runtest_makereport(request.node, call)
            next(hook)
            with contextlib.suppress(StopIteration):
                hook.send(report)  # type: ignore[attr-defined]
            return str(report.outcome)

        assert outcome(links.KernelLacksError) == "skipped"
        assert outcome(pytest.skip.Exception) == "failed"
