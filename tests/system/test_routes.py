"""Where packets leave: a LAN with a gateway, several links, policy rules, tunnels, changes meanwhile.

One namespace is the box; a bridge joins it with hosts of its own link and with a router.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.lab.greeter import ANSWER, Greeter
from tests.lab.net import Lab, Namespace
from tests.lab.scan import Scan, scan, zmap_scan, zmap_words
from tests.lab.tunnel import tunnel

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


@contextlib.contextmanager
def when(fact: Callable[[], bool], act: Callable[[], object]) -> Iterator[None]:
    """Inside, `act` is done once as soon as `fact` holds."""
    over = threading.Event()

    def wait() -> None:
        while not over.wait(0.02):
            if fact():
                act()
                return

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(30)


OPTIONS = ("--handshakes", "http", "-sendSYNs", "-w", "1", "-t", "6")
SHORT = (*OPTIONS[:-2], "-t", "2", "-rt", "0.3", "-c", "2")
"""Where some answers are not to come."""


class TestLan:
    def test_hosts_of_the_link_the_gateway_hosts_behind_it_and_this_host(self, town: Town) -> None:
        """Whatever the order: the first host is switched off, some have no way, some are ourselves."""
        refused = {"unreachable": "10.71.0.0", "prohibit": "10.72.0.0", "blackhole": "10.73.0.0"}
        for kind, network in refused.items():
            town.box.ip("route", "add", kind, f"{network}/16")
        about = town.lab.directory / "about"
        there = {"10.60.0.3", "10.60.0.4", "10.60.0.1", "10.50.0.1", "10.50.0.2", "10.60.0.2", "127.0.0.1"}
        silent = [f"10.60.0.{number}" for number in range(20, 30)]
        lost = [*refused.values(), "2001:db8::1", "10.60.0.255"]
        hosts = (silent[0], *lost[:2], *there, *lost[2:], *silent[1:])
        done = scan(town.box, *OPTIONS, "-m", about, lines=lines(*hosts))
        for kind, network in refused.items():
            town.box.ip("route", "del", kind, f"{network}/16")
        assert done.returncode == 0, done.stderr
        assert found(done) == there, done.stderr
        fates = {"refused by a route": 3, "no address of its family": 1, "an address of no host": 1}
        told = json.loads(about.read_text())
        assert told["inputs"]["intake"]["unroutable"] == fates
        assert told["inputs"]["agree"]
        for why, count in fates.items():
            assert f"{count} unroutable ({why})" in done.stderr, done.stderr
        (warning,) = [text for text in told["warnings"] if "cannot be reached from here" in text]
        assert (
            "3 refused by a route (a route of type unreachable, prohibit or blackhole: ip route get"
            in warning
        )
        assert f"warning: {warning}" in done.stderr
        assert done.stderr.count("[WARN] lzr: targets that cannot be reached") == 1
        (warning,) = [text for text in told["warnings"] if "ARP" in text]
        assert len(silent) <= int(warning.partition(" neighbours do not answer ARP")[0]) < 2 * len(silent)
        for place in (town.lan, town.gateway, town.far):  # our own RSTs arrive, whichever way they leave
            assert place.run("ss", "-Htn", "state", "established", f"sport = :{PORT}").stdout == ""

    def test_zmap_over_the_link_and_beyond(self, town: Town) -> None:
        """ZMap's SYNs all go to the gateway; who is on the link answers directly, and often first."""
        targets = [f"10.60.0.{number}" for number in range(3, 9)] + ["10.50.0.1", "10.50.0.2"]
        zmap = zmap_words(town.box, "10.60.0.2", town.gateway.mac("eth0"), PORT, 100, targets)
        done = zmap_scan(town.box, [zmap], "--handshakes", "http", "-w", "1", "-t", "6")
        assert found(done) == set(targets), done.stderr


@pytest.fixture(scope="module")
def wide(town: Town) -> Town:
    """The box has more links: eth1 to 10.61.0.1, a tunnel, and a macvlan; a rule for its other address."""
    east = town.lab.namespace("east")
    town.lab.link(
        town.box, east, names=("eth1", "eth0"), a_addresses=("10.61.0.2/24",), b_addresses=("10.61.0.1/24",)
    )
    town.lab.link(
        town.gateway,
        east,
        names=("east", "west"),
        a_addresses=("10.67.0.1/24",),
        b_addresses=("10.67.0.2/24",),
    )
    for network in ("10.62.0.0/24", "10.66.0.0/24"):
        east.ip("route", "add", "local", network, "dev", "lo")
    east.sysctl("net.ipv4.ip_forward", 1)
    town.gateway.ip("route", "add", "10.61.0.0/24", "via", "10.67.0.2")
    town.lan.ip("route", "add", "default", "via", "10.60.0.1", "dev", "h3")
    vpn = town.lab.namespace("vpn")
    tunnel(town.lab, town.box, vpn, "tun0", ("10.63.0.2", "10.63.0.1"))
    vpn.ip("route", "add", "local", "10.64.0.0/24", "dev", "lo")
    town.box.ip("route", "add", "10.62.0.0/24", "via", "10.61.0.1")
    town.box.ip("route", "add", "10.64.0.0/24", "dev", "tun0")
    town.box.ip("route", "add", "default", "via", "10.61.0.1", "table", "100")
    town.box.ip(
        "rule", "add", "from", "10.61.0.2", "lookup", "main", "suppress_prefixlength", "0", "pref", "90"
    )
    town.box.ip("rule", "add", "from", "10.61.0.2", "lookup", "100", "pref", "100")
    town.box.ip("link", "add", "mac0", "link", "eth0", "type", "macvlan")
    town.box.ip("addr", "add", "10.65.0.2/24", "dev", "mac0")
    town.box.ip("link", "set", "mac0", "up")
    town.lan.ip("addr", "add", "10.65.0.1/24", "dev", "h4")
    for place in (east, vpn):
        Greeter(town.lab, place, PORT)
    return town


class TestLinks:
    def test_all_of_them_in_one_scan(self, wide: Town) -> None:
        """On the link, by the gateway, by another interface, by a tunnel without Ethernet, by a macvlan."""
        there = {
            *("10.50.0.1", "10.60.0.3", "10.61.0.1", "10.62.0.7", "10.63.0.1", "10.64.0.9", "10.65.0.1"),
            *("10.61.0.2", "10.60.0.1"),
        }
        for first in ("10.64.0.9", "10.62.0.7"):
            done = scan(wide.box, *OPTIONS, lines=lines(first, *there))
            assert found(done) == there, done.stderr

    def test_a_scan_of_nothing_but_a_tunnel(self, wide: Town) -> None:
        there = {f"10.64.0.{number}" for number in range(1, 100)}
        done = scan(wide.box, *OPTIONS, "-i", "tun0", lines=lines(*there))
        assert found(done) == there, done.stderr

    def test_the_rules_of_another_source_address(self, wide: Town) -> None:
        """10.66.0.0/24 is behind eth1 for that address only; 10.60.0.3 answers to it by way of eth1."""
        there = {"10.66.0.5", "10.62.0.7", "10.60.0.3"}
        done = scan(wide.box, *OPTIONS, "-S", "10.61.0.2", lines=lines("10.66.0.5", *there))
        assert found(done) == there, done.stderr
        assert {record["daddr"] for record in done.records} == {"10.61.0.2"}


@pytest.fixture(scope="module")
def many(town: Town) -> list[str]:
    """Hosts behind the gateway."""
    town.far.ip("route", "add", "local", "10.50.1.0/24", "dev", "lo")
    town.gateway.ip("route", "add", "10.50.1.0/24", "via", "10.50.0.1")
    return [f"10.50.1.{number}" for number in range(1, 201)]


class TestMeanwhile:
    def test_the_gateway_has_another_mac(self, town: Town, many: list[str]) -> None:
        """As with VRRP: it announces it, and what comes for the old one is nobody's."""
        town.gateway.sysctl("net.ipv4.conf.eth0.arp_notify", 1)
        before = len(town.greeters[town.far].asked)
        words = (*OPTIONS, "-rate", "40", "-rn", "1", "-rt", "1.5")
        with when(
            lambda: len(town.greeters[town.far].asked) > before + 30,
            lambda: town.gateway.ip("link", "set", "eth0", "address", "02:00:00:00:99:01"),
        ):
            done = scan(town.box, *words, lines=lines(*many))
        assert found(done) == set(many), done.stderr
        assert "has another MAC now: 02:00:00:00:99:01" in done.stderr

    def test_a_stale_entry_is_not_believed_for_ever(self, town: Town, many: list[str]) -> None:
        """The gateway has gone to another MAC without a word."""
        town.box.sysctl("net.ipv4.neigh.eth0.retrans_time_ms", 100)
        wrong = ("lladdr", "02:00:00:00:66:66", "dev", "eth0", "nud", "stale")
        town.box.ip("neigh", "replace", "10.60.0.1", *wrong)
        done = scan(town.box, *OPTIONS, "-rn", "2", "-rt", "1.5", lines=lines(*many[:20]))
        assert found(done) == set(many[:20]), done.stderr

    def test_a_way_that_opens_while_the_scan_runs(self, town: Town, many: list[str]) -> None:
        """A better route appears and the old one goes: packets follow it. An emptied table is no loss."""
        town.box.ip("route", "add", "10.50.1.0/24", "via", "10.60.0.20")  # nobody
        words = (*OPTIONS, "-rate", "25", "-rn", "2", "-rt", "1.5")
        before = len(town.greeters[town.far].asked)

        def change() -> None:
            town.box.ip("neigh", "flush", "all")
            town.box.ip("route", "del", "10.50.1.0/24")

        with when(lambda: len(town.greeters[town.far].asked) > before, change):
            done = scan(town.box, *words, lines=lines("10.50.0.1", *many[:100]))
        assert found(done) == {"10.50.0.1", *many[:100]}, done.stderr
        assert (done.returncode, "[ERROR]" in done.stderr) == (0, False), done.stderr
        assert "neighbours do not answer" not in done.stderr

    def test_a_cable_that_is_pulled_out(self, town: Town, many: list[str]) -> None:
        """Said at once, with status 3; when it is back the scan goes on."""
        before = len(town.greeters[town.far].asked)

        def flap() -> None:
            for state in ("down", "up"):
                town.switch.ip("link", "set", "pbeth0", state)

        with when(lambda: len(town.greeters[town.far].asked) > before, flap):
            done = scan(town.box, *OPTIONS, "-rate", "10", "-rn", "2", "-rt", "1.5", lines=lines(*many[:50]))
        assert found(done) == {*many[:50]}, done.stderr
        assert done.returncode == 3, done.stderr
        assert "[ERROR] lzr: the interface eth0 has no carrier" in done.stderr
        assert "the interface eth0 is up again" in done.stderr

    def test_routes_and_rules_that_shut_and_our_own_firewall(self, town: Town, many: list[str]) -> None:
        """What had a way and has none now is counted, said while the scan runs, and makes status 3."""
        before = len(town.greeters[town.far].asked)
        town.box.nft(
            "table ip own { chain out { type filter hook output priority 0; ip daddr 10.60.0.4 drop; }; }"
        )
        with when(
            lambda: len(town.greeters[town.far].asked) > before,
            lambda: town.box.ip("rule", "add", "to", "10.50.1.0/25", "prohibit"),
        ):
            hosts = ("10.60.0.3", "10.60.0.4", *many[:30])
            done = scan(town.box, *SHORT, "-rate", "8", lines=lines(*hosts))
        town.box.ip("rule", "del", "to", "10.50.1.0/25", "prohibit")
        town.box.run("nft", "delete", "table", "ip", "own")
        assert done.returncode == 3, done.stderr
        assert "10.60.0.3" in found(done)
        assert "[ERROR] lzr: routes of this host have gone while the scan runs" in done.stderr
        assert "this host's own firewall refuses packets" in done.stderr
        assert "lower the rate" not in done.stderr

    def test_a_firewall_of_ours_that_lets_no_rst_out(self, town: Town) -> None:
        """As people set up for other scanners: what is closed with an RST has its record."""
        town.box.nft(
            "table ip own { chain out { type filter hook output priority 0; tcp flags & rst == rst drop; }; }"
        )
        done = scan(town.box, *SHORT, "-rate", "8", lines=lines("10.60.0.3", "10.60.0.4"))
        town.box.run("nft", "delete", "table", "ip", "own")
        assert done.returncode == 0, done.stderr
        assert {"10.60.0.3", "10.60.0.4"} <= found(done)
        assert "(EPERM)" in done.stderr, "it is shown among the figures"

    def test_the_gateway_has_gone(self, town: Town, many: list[str]) -> None:
        """Said while the scan runs, with status 3, though the kernel still believes the entry."""
        town.box.sysctl("net.ipv4.neigh.eth0.retrans_time_ms", 100)
        before = len(town.greeters[town.far].asked)
        with when(
            lambda: len(town.greeters[town.far].asked) > before,
            lambda: town.gateway.ip("link", "set", "eth0", "arp", "off"),
        ):
            done = scan(town.box, *SHORT, "-rate", "15", lines=lines(*many[:100]))
        town.gateway.ip("link", "set", "eth0", "arp", "on")
        assert done.returncode == 3, done.stderr
        assert "[ERROR] lzr: the gateway 10.60.0.1 does not answer ARP on eth0 any more" in done.stderr
        assert "warning: the gateway 10.60.0.1 does not answer" in done.stderr

    def test_of_two_gateways_the_one_that_is_left(self, town: Town, many: list[str]) -> None:
        """The kernel takes the other when one does not answer, and tells nobody. At the start, too."""
        town.box.sysctl("net.ipv4.neigh.eth0.retrans_time_ms", 100)
        second = town.lab.namespace("second")
        town.plug(second, "eth0", "10.60.0.13/24")
        town.lab.link(second, town.far, names=("inner", "eth1"), a_addresses=("10.51.0.254/24",))
        town.far.ip("addr", "add", "10.51.0.1/24", "dev", "eth1")
        second.sysctl("net.ipv4.ip_forward", 1)
        second.ip("route", "add", "10.50.0.0/16", "via", "10.51.0.1")
        known = ("lladdr", town.gateway.mac("eth0"), "dev", "eth0", "nud", "reachable")
        town.box.ip("neigh", "replace", "10.60.0.1", *known)  # else the kernel may begin with the other
        town.box.ip("route", "append", "default", "via", "10.60.0.13")
        before = len(town.greeters[town.far].asked)

        def fail() -> None:
            town.gateway.ip("link", "set", "eth0", "down")
            town.far.ip("route", "replace", "default", "via", "10.51.0.254")

        words = (*OPTIONS, "-rate", "25", "-rn", "2", "-rt", "1.5")
        with when(lambda: len(town.greeters[town.far].asked) > before, fail):
            done = scan(town.box, *words, lines=lines(*many[:100]))
        later = scan(town.box, *OPTIONS, lines=lines(*many[:20]))
        town.box.ip("route", "del", "default", "via", "10.60.0.13")
        town.gateway.ip("link", "set", "eth0", "up")
        town.far.ip("route", "replace", "default", "via", "10.50.0.254")
        assert len(found(done)) > 80, done.stderr
        assert "packets leave by eth0 to 10.60.0.13 now: 10.60.0.1 does not answer" in done.stderr
        assert found(later) == set(many[:20]), later.stderr

    def test_this_host_among_the_last(self, town: Town) -> None:
        """Its own addresses are listened to, though nobody knew of them when the sockets were opened."""
        home = ["10.60.0.2", "127.0.0.1", "10.60.0.9"]
        before = len(town.greeters[town.lan].asked)
        filler = [f"10.60.0.{number}" for number in range(3, 9)] * 10
        act = lambda: town.box.ip("addr", "add", "10.60.0.9/24", "dev", "eth0")  # noqa: E731
        words = (*OPTIONS, "-rate", "2")  # of nine, the rest are these again
        with when(lambda: len(town.greeters[town.lan].asked) > before, act):
            done = scan(town.box, *words, lines=lines(*filler, *home))
        town.box.ip("addr", "del", "10.60.0.9/24", "dev", "eth0")
        assert {*home} <= found(done), done.stderr

    def test_another_address_of_ours_than_at_the_start(self, town: Town, many: list[str]) -> None:
        """The filter of the sockets is locked by then: what is not heard is said, and status 3."""
        before = len(town.greeters[town.far].asked)

        def readdress() -> None:
            town.box.ip("addr", "add", "10.60.0.77/24", "dev", "eth0")
            town.box.ip("route", "replace", "default", "via", "10.60.0.1", "src", "10.60.0.77")

        with when(lambda: len(town.greeters[town.far].asked) > before, readdress):
            done = scan(town.box, *SHORT, "-rate", "8", lines=lines(*many[:50]))
        town.box.ip("addr", "del", "10.60.0.77/24", "dev", "eth0")
        town.box.ip("route", "replace", "default", "via", "10.60.0.1")
        everything = found(done) == set(many[:50])
        assert everything or (done.returncode, "10.60.0.77 became an address" in done.stderr) == (3, True)
        assert not everything, "let in: then say so in the documentation"


class TestSizes:
    def test_a_narrow_path_without_icmp(self, town: Town) -> None:
        """Answers fit, as our SYN says what the path carries; a probe that does not goes in pieces."""
        town.box.ip("route", "add", "10.50.0.2", "via", "10.60.0.1", "mtu", "400")
        town.gateway.nft(
            "table ip narrow { chain forward { type filter hook forward priority 0; "
            "meta length > 400 drop; }; }"
        )
        greeter = town.greeters[town.far]
        greeter.answer, before = ANSWER + bytes(5000), len(greeter.asked)
        agent = "x" * 250
        done = scan(town.box, *OPTIONS, "--user-agent", agent, lines=lines("10.50.0.2"))
        town.gateway.run("nft", "delete", "table", "ip", "narrow")
        town.box.ip("route", "del", "10.50.0.2")
        greeter.answer = ANSWER
        assert found(done) == {"10.50.0.2"}, done.stderr
        assert len(done.records[0]["data"]) > 300
        assert agent.encode() in greeter.asked[before]
