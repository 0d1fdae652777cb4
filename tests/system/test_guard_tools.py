"""`coordinator.guard` on a real system: as root, in namespaces, with real nft and iptables."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from coordinator.guard import guard, tablenames
from coordinator.guard.firewall import GuardError
from coordinator.guard.guard import put_up
from tests.host_net import (
    BOX,
    BOX6,
    BOX_MAC,
    BOX_TOO,
    PEER,
    PEER6,
    PEER_MAC,
    ROOT,
    Wire,
    inside,
    syn_ack,
)

MODES = ("auto", "output", "ingress")

HOLD = """
import sys
from coordinator.guard.guard import put_up
guard = put_up(sys.argv[1:])
print(guard.name, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def shared() -> Iterator[Wire]:
    with Wire("g") as made:
        yield made


@pytest.fixture
def wire(shared: Wire) -> Iterator[Wire]:
    yield shared
    shared.run("nft", "flush", "ruleset")


@pytest.fixture
def only_iptables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("iptables", "ip6tables"):
        (tmp_path / name).symlink_to(f"/usr/sbin/{name}")
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.root
class TestSuppression:
    def test_without_a_guard_the_kernel_resets(self, wire: Wire) -> None:
        everything = {(BOX, 40000), (BOX6, 40000), (BOX, 32768), (BOX, 61000)}
        assert wire.answered(*everything) == everything

    @pytest.mark.parametrize("mode", MODES)
    def test_only_the_guarded_are_silent(self, wire: Wire, mode: str) -> None:
        inner = [(BOX, 32768), (BOX, 40000), (BOX, 61000), (BOX6, 40000)]
        outer = {(BOX, 32767), (BOX, 61001), (BOX, 80), (BOX6, 80), (BOX_TOO, 40000)}
        with inside(wire.box):
            up = put_up([BOX, BOX6], mode=mode, interface="wire0")
        assert not up.notes
        assert wire.answered(*inner, *outer) == outer
        with inside(wire.box):
            seen = up.status()
            assert seen is not None
            assert seen.resets + seen.segments == len(inner)
            assert (seen.mode, seen.ports, set(seen.addresses)) == (mode, (32768, 61000), {BOX, BOX6})
            up.remove()
        assert wire.answered(*inner) == set(inner)
        assert wire.rules() == ""

    @pytest.mark.parametrize("mode", MODES)
    def test_packet_sockets_still_see_what_came(self, wire: Wire, mode: str) -> None:
        with inside(wire.box):
            put_up([BOX], mode=mode, interface="wire0")
            tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        with tap:
            tap.bind(("wire0", 3))
            tap.settimeout(60)
            wire.answered((BOX, 40000))
            wanted = syn_ack(BOX, 40000)
            while tap.recv(2048)[: len(wanted)] != wanted:
                pass

    def test_no_address_means_all_but_not_the_loopback(self, wire: Wire) -> None:
        with inside(wire.box):
            put_up()
        assert wire.answered((BOX, 40000), (BOX_TOO, 40000), (BOX6, 40000), (BOX, 80)) == {(BOX, 80)}
        with inside(wire.box), pytest.raises(ConnectionRefusedError):
            socket.create_connection((BOX, 40000), timeout=10)

    def test_ranges_prefixes_and_other_ports(self, wire: Wire) -> None:
        with inside(wire.box):
            put_up(["10.91.0.2-10.91.0.3", "fd91::/64"], ports=(1000, 1000))
        left = {(BOX, 1000), (BOX6, 40000)}
        assert wire.answered((BOX_TOO, 1000), (BOX6, 1000), *left) == left


@pytest.fixture
def bridged() -> Iterator[Wire]:
    """The box has its addresses on a bridge whose only port is the wire; iptables sees bridged frames."""
    with Wire("r") as wire:
        wire.run("ip", "link", "add", "br0", "type", "bridge")
        wire.run("ip", "addr", "flush", "dev", "wire0")
        wire.run("ip", "link", "set", "wire0", "master", "br0")
        wire.run("ip", "link", "set", "br0", "address", BOX_MAC, "up")
        for address in (f"{BOX}/24", f"{BOX_TOO}/24", f"{BOX6}/64"):
            wire.run("ip", "addr", "add", address, "dev", "br0", *["nodad"] * (":" in address))
        for address in (PEER, PEER6):
            wire.run("ip", "neigh", "replace", address, "lladdr", PEER_MAC, "dev", "br0")
        for name in ("iptables", "ip6tables"):
            wire.run("sysctl", "-qw", f"net.bridge.bridge-nf-call-{name}=1")
        yield wire


@pytest.mark.root
class TestBridge:
    """bridge-nf-call-iptables: frames meet the prerouting hook at the port, before the bridge has them."""

    @pytest.mark.parametrize("mode", MODES)
    def test_packet_sockets_still_see_what_came(self, bridged: Wire, mode: str) -> None:
        with inside(bridged.box):
            up = put_up([BOX, BOX6], mode=mode, interface="br0")
            tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        assert not up.notes
        with tap:
            tap.bind(("br0", 3))
            tap.settimeout(60)
            assert bridged.answered((BOX, 40000), (BOX6, 40000), (BOX, 80)) == {(BOX, 80)}
            missing = {syn_ack(BOX, 40000), syn_ack(BOX6, 40000)}
            while missing:
                frame = tap.recv(2048)
                missing = {wanted for wanted in missing if frame[: len(wanted)] != wanted}


@pytest.mark.root
class TestForwarding:
    """A source address that is not this host's, on a host that forwards."""

    FOREIGN, FOREIGN6 = "10.77.0.1", "fd77::1"

    @pytest.fixture
    def router(self) -> Iterator[Wire]:
        with Wire("f") as wire:
            for key in ("ipv4.ip_forward", "ipv6.conf.all.forwarding"):
                wire.run("sysctl", "-qw", f"net.{key}=1")
            wire.learn()
            wire.run("ip", "route", "add", "default", "via", PEER)
            wire.run("ip", "-6", "route", "add", "default", "via", PEER6)
            yield wire

    def sent_back(self, wire: Wire) -> set[str]:
        """Which of the two addresses' SYN-ACKs the box sends back to where they came from."""
        with inside(wire.peer), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as tap:
            tap.bind(("wire1", 3))
            tap.settimeout(60)
            for address in (self.FOREIGN, self.FOREIGN6, BOX_TOO):
                tap.send(syn_ack(address, 20000 if address == BOX_TOO else 40000))
            seen: set[str] = set()
            while True:
                frame = Ether(tap.recv(2048))
                if TCP in frame and frame.src == BOX_MAC:
                    if frame.payload.src == BOX_TOO:
                        return seen
                    seen.add(frame.payload.dst)

    @pytest.mark.parametrize("tool", ["nft", "iptables"])
    def test_nothing_goes_around_in_a_loop(
        self, router: Wire, tool: str, request: pytest.FixtureRequest
    ) -> None:
        both = {self.FOREIGN, self.FOREIGN6}
        assert self.sent_back(router) == both
        if tool == "iptables":
            request.getfixturevalue("only_iptables")
        with inside(router.box):
            with put_up([self.FOREIGN, BOX6]) as up:
                assert up.ways[-1] == ("unclaimed" if tool == "nft" else "loops")
                assert self.sent_back(router) == {self.FOREIGN6}
                up.extend(self.FOREIGN6)
                assert self.sent_back(router) == set()
                seen = up.status()
                assert seen is not None
                assert seen.segments == 3
            assert self.sent_back(router) == both

    def test_what_is_forwarded_elsewhere_is_let_through(self, router: Wire) -> None:
        """An address of a host behind this one, whose answers are its own."""
        router.run("ip", "link", "add", "behind", "type", "veth", "peer", "name", "there")
        for link in ("behind", "there"):
            router.run("ip", "link", "set", link, "up")
        router.run("ip", "route", "add", self.FOREIGN, "dev", "behind")
        router.run("ip", "neigh", "add", self.FOREIGN, "lladdr", PEER_MAC, "dev", "behind")
        with inside(router.box), put_up([self.FOREIGN]):
            tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            with tap:
                tap.bind(("there", 0x0800))
                tap.settimeout(60)
                assert self.sent_back(router) == {self.FOREIGN6}
                while IP not in (frame := Ether(tap.recv(2048))) or frame[IP].dst != self.FOREIGN:
                    pass


@pytest.mark.root
class TestNeighbours:
    """Programs that live on the guarded address."""

    @pytest.mark.parametrize("mode", ["auto", "output"])
    @pytest.mark.parametrize("addresses", [[BOX], []])
    def test_connections_in_both_directions_work(self, wire: Wire, mode: str, addresses: list[str]) -> None:
        with inside(wire.box):
            put_up(addresses, mode=mode)
            here = socket.create_server((BOX, 40001))
        with inside(wire.peer):
            there = socket.create_server((PEER, 9100))
        with here, there:
            echo = threading.Thread(target=_greet, args=([here, there],))
            echo.start()
            for namespace, source, target in (
                (wire.peer, (PEER, 0), (BOX, 40001)),
                (wire.box, (BOX, 40002), (PEER, 9100)),
            ):
                with inside(namespace):
                    client = socket.create_connection(target, timeout=120, source_address=source)
                with client:
                    assert client.recv(10) == b"hello"
                    assert client.recv(10) == b""
            echo.join(20)


def _greet(servers: list[socket.socket]) -> None:
    for server in servers:
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"hello")


@pytest.mark.root
class TestChanges:
    @pytest.mark.parametrize("tool", ["nft", "iptables"])
    @pytest.mark.parametrize("before", [[BOX], ["10.91.7.0/24"], []])
    def test_extend(self, wire: Wire, tool: str, before: list[str], request: pytest.FixtureRequest) -> None:
        if tool == "iptables":
            request.getfixturevalue("only_iptables")
        with inside(wire.box):
            up = put_up(before)
            new = [up.extend(address) for address in (BOX_TOO, BOX6, "203.0.113.9")]
            again = [up.extend(address) for address in (BOX_TOO, "::ffff:10.91.0.3", BOX6)]
        assert new == [True] * 3
        assert again == [False] * 3
        silent = {(BOX_TOO, 40000), (BOX6, 40000)} | ({(BOX, 40000)} if before != ["10.91.7.0/24"] else set())
        assert not wire.answered((BOX_TOO, 40000), (BOX6, 40000), (BOX, 40000)) & silent
        assert wire.answered((BOX_TOO, 80)) == {(BOX_TOO, 80)}
        with inside(wire.box):
            up.remove()
        assert wire.answered(*silent) == silent

    def test_narrow(self, wire: Wire) -> None:
        with inside(wire.box):
            up = put_up()
            up.narrow([BOX])
            seen = up.status()
        assert seen is not None
        assert (seen.wide, seen.addresses) == (False, (BOX,))
        assert wire.answered((BOX, 40000), (BOX6, 40000)) == {(BOX6, 40000)}

    def test_settle_a_guess(self, wire: Wire) -> None:
        with inside(wire.box):
            up = put_up()
            up.change()
            assert up.status() is not None
            up.change([BOX], (1000, 2000), "ingress", "wire0")
            assert (up.ways, up.notes) == (("resets", "early"), [])
            assert wire.answered((BOX, 1500), (BOX, 40000)) == {(BOX, 40000)}
            up.change([BOX], mode="ingress")
            assert up.ways == ("resets", "unclaimed")
            assert "--interface" in up.notes[0]
            up.change(mode="none")
            up.change([BOX])
        assert wire.rules() == ""

    def test_settle_with_iptables(self, wire: Wire, only_iptables: None) -> None:
        with inside(wire.box), put_up() as up:
            up.change([BOX])
            assert wire.answered((BOX, 40000), (BOX6, 40000)) == {(BOX6, 40000)}

    def test_restore_after_somebody_flushed_the_rules(self, wire: Wire) -> None:
        with inside(wire.box):
            up = put_up([BOX])
            assert not up.restore()
        wire.run("nft", "flush", "ruleset")
        with inside(wire.box):
            assert up.status() is None
            assert up.restore()
        assert wire.answered((BOX, 40000)) == set()

    @pytest.mark.parametrize("looked_before", [False, True])
    def test_restore_where_somebody_was_quicker_than_our_look(
        self, wire: Wire, looked_before: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A guard whose rules were flushed between our change and our look at it is not taken to be right."""
        with inside(wire.box):
            up = put_up([BOX])
            if looked_before:
                assert not up.restore()
                tool = up._tool
                assert tool is not None
                change = tool.change

                def and_flushed(*words: Any) -> None:
                    change(*words)
                    wire.run("nft", "flush", "chain", "inet", up.name, "resets")

                wire.run("nft", "flush", "ruleset")
                monkeypatch.setattr(tool, "change", and_flushed)
                assert up.restore()
                monkeypatch.undo()
            else:
                wire.run("nft", "flush", "chain", "inet", up.name, "resets")
            assert up.restore(), "the flushed chain is noticed"
            assert not up.restore()
        assert wire.answered((BOX, 40000)) == set()

    def test_remove_twice_and_after_it_is_gone(self, wire: Wire) -> None:
        with inside(wire.box):
            one, other = put_up([BOX]), put_up([BOX])
            one.remove()
            one.remove()
            assert not one.extend(BOX6)
            wire.run("nft", "flush", "ruleset")
            other.remove()
        assert wire.rules() == ""

    def test_a_forked_child_does_not_take_it_away(self, wire: Wire) -> None:
        with inside(wire.box):
            up = put_up([BOX])
            child = os.fork()
            if child == 0:
                up.remove()
                os._exit(0)
            os.waitpid(child, 0)
        assert up.name in wire.rules()

    def test_removed_on_error(self, wire: Wire) -> None:
        with inside(wire.box), pytest.raises(ZeroDivisionError), put_up([BOX]):
            raise ZeroDivisionError
        assert wire.rules() == ""

    def test_none_does_nothing(self, wire: Wire) -> None:
        with inside(wire.box), put_up([BOX], mode="none") as up:
            assert not up.extend(BOX6)
            assert not up.restore()
            up.narrow([BOX_TOO])
            assert up.status() is None
        assert wire.rules() == ""


@pytest.mark.root
class TestOwners:
    def hold(
        self, wire: Wire, *addresses: str, prefix: tuple[str, ...] = ()
    ) -> tuple[subprocess.Popen[str], str]:
        with inside(wire.box):
            process = subprocess.Popen(
                [*prefix, sys.executable, "-c", HOLD, *addresses],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=ROOT,
            )
        assert process.stdout is not None
        return process, process.stdout.readline().strip()

    def end(self, process: subprocess.Popen[str]) -> None:
        process.kill()
        process.communicate(timeout=120)

    def test_runs_side_by_side(self, wire: Wire) -> None:
        one, first = self.hold(wire, BOX)
        other, second = self.hold(wire, BOX_TOO, BOX6)
        try:
            assert first != second
            assert wire.answered((BOX, 40000), (BOX_TOO, 40000), (BOX6, 40000)) == set()
            with inside(wire.box), put_up([PEER]) as third:
                assert not third.notes
                assert {seen.name for seen in guard.standing()} == {first, second, third.name}
            assert wire.answered((BOX, 40000), (BOX_TOO, 40000), (BOX6, 40000)) == set()
        finally:
            self.end(one)
            self.end(other)

    @pytest.mark.parametrize("tool", ["nft", "iptables"])
    def test_the_next_run_clears_what_a_killed_one_left(
        self, wire: Wire, tool: str, request: pytest.FixtureRequest
    ) -> None:
        if tool == "iptables":
            request.getfixturevalue("only_iptables")
        process, name = self.hold(wire, BOX, BOX6)
        self.end(process)
        assert name in wire.run("/usr/sbin/nft", "list", "ruleset").stdout + self.comments(wire)
        with inside(wire.box), put_up([BOX_TOO]) as up:
            assert any(name in note for note in up.notes)
            assert [seen.name for seen in guard.standing()] == [up.name]
        assert wire.answered((BOX, 40000), (BOX6, 40000)) == {(BOX, 40000), (BOX6, 40000)}

    def test_nft_clears_what_iptables_left(self, wire: Wire, only_iptables: None) -> None:
        process, name = self.hold(wire, BOX)
        self.end(process)
        with pytest.MonkeyPatch.context() as patch, inside(wire.box):
            patch.setenv("PATH", "/usr/sbin:/usr/bin")
            with put_up([BOX_TOO]) as up:
                assert any(name in note for note in up.notes)
        assert name not in self.comments(wire)

    def comments(self, wire: Wire) -> str:
        return wire.run("/usr/sbin/iptables", "-S", "OUTPUT").stdout

    def test_a_scan_in_a_container(self, wire: Wire) -> None:
        """A pid there is another process here; it is judged by its namespace, and removed when that ended."""
        apart = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
        process, name = self.hold(wire, BOX, prefix=apart)
        try:
            assert tablenames.pid_of(name) == 1
            assert not tablenames.is_stale(name)
            with inside(wire.box), put_up([BOX_TOO]) as up:
                assert not up.notes
        finally:
            self.end(process)
        inner = os.stat("/proc/self/ns/pid").st_ino == 0xEFFFFFFC
        with inside(wire.box), put_up([BOX_TOO]) as up:
            assert bool(up.notes) is inner  # elsewhere nobody can tell

    def test_own_name_is_not_stale_and_others_are_judged_by_start_time(self) -> None:
        name = tablenames.new_name()
        space, pid, start, _ = name.removeprefix("lzr_").split("_")
        assert int(pid) == os.getpid() == tablenames.pid_of(name)
        assert not tablenames.is_stale(name)
        assert tablenames.is_stale(f"lzr_{space}_{pid}_{int(start) + 1}_1")
        assert tablenames.is_stale(f"lzr_{space}_{2**22 + 1}_{start}_1")
        assert not tablenames.is_stale(tablenames.manual_name((1, 2)))

    def test_a_zombie_is_dead(self) -> None:
        child = subprocess.Popen(["true"])
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        with open(f"/proc/{child.pid}/stat") as stat:
            start = stat.read().rpartition(")")[2].split()[19]
        space = os.stat("/proc/self/ns/pid").st_ino
        assert tablenames.is_stale(f"lzr_{space}_{child.pid}_{start}_1")
        child.wait()


@pytest.mark.root
class TestTools:
    def test_iptables_where_nft_is_absent(self, wire: Wire, only_iptables: None) -> None:
        with inside(wire.box), put_up([BOX, BOX6]) as up:
            assert len(up.notes) == 1
            outer = {(BOX, 80), (BOX_TOO, 40000)}
            assert wire.answered((BOX, 40000), (BOX6, 40000), *outer) == outer
            seen = up.status()
            assert seen is not None
            assert (seen.tool, seen.resets, set(seen.addresses)) == ("iptables", 2, {BOX, BOX6})
        assert wire.answered((BOX, 40000), (BOX6, 40000)) == {(BOX, 40000), (BOX6, 40000)}

    def test_iptables_over_all_addresses(self, wire: Wire, only_iptables: None) -> None:
        with inside(wire.box), put_up(mode="output") as up:
            assert not up.notes
            assert wire.answered((BOX, 40000), (BOX6, 40000), (BOX, 80)) == {(BOX, 80)}

    def test_ipv6_without_ip6tables(
        self, wire: Wire, only_iptables: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "ip6tables").unlink()
        with inside(wire.box):
            with put_up([BOX], mode="output"):
                pass
            with pytest.raises(GuardError, match="IPv6"):
                put_up([BOX6])

    def test_a_kernel_without_the_better_way(
        self, wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        picky = tmp_path / "nft"
        picky.write_text(
            "#!/bin/sh\nif [ $1 = -f ]; then script=$(cat)\n"
            'case "$script" in *socket*|*ingress*) echo "Error: no such thing" >&2; exit 1;; esac\n'
            'echo "$script" | /usr/sbin/nft -f -\nelse exec /usr/sbin/nft "$@"; fi\n'
        )
        picky.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        with inside(wire.box), put_up([BOX], mode="ingress", interface="wire0") as up:
            assert up.ways == ("resets", "loops")
            assert "falls back to resets" in up.notes[0]
            assert wire.answered((BOX, 40000)) == set()

    def test_ingress_takes_the_interface_of_the_default_route(self, wire: Wire) -> None:
        wire.run("ip", "route", "add", "default", "via", PEER)
        with inside(wire.box):
            with put_up([BOX], mode="ingress") as up:
                assert up.ways == ("resets", "early")
                assert up.cover.interface == "wire0"
            wire.run("ip", "route", "del", "default")
            with put_up([BOX], mode="ingress") as up:
                assert up.ways == ("resets", "unclaimed")
                assert "--interface" in up.notes[0]
            with put_up(mode="ingress", interface="wire0") as up:
                assert "--source-ip" in up.notes[0]

    def test_no_tool_at_all(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setattr("coordinator.guard.firewall.SYSTEM_PATH", str(tmp_path))
        with pytest.raises(GuardError, match="neither nft nor iptables is installed"):
            put_up([BOX])

    def test_not_root(self, wire: Wire) -> None:
        for words in (["on", "--source-ip", BOX], ["off"], ["status"]):
            done = self.command(wire, *words, prefix=("setpriv", "--bounding-set=-net_admin"))
            assert done.returncode == 2
            assert done.stdout == ""
            assert len(done.stderr.splitlines()) == 1
            assert "root" in done.stderr

    def command(
        self, wire: Wire, *words: str, prefix: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        code = "import sys; from coordinator.commands.guard import main; sys.exit(main(sys.argv[1:]))"
        return wire.run(*prefix, sys.executable, "-c", code, *words)

    def test_by_hand(self, wire: Wire) -> None:
        status = self.command(wire, "status")
        assert (status.returncode, status.stdout) == (1, "no guard\n")
        assert self.command(wire, "on", "--source-ip", f"{BOX},{BOX6}").returncode == 0
        assert wire.answered((BOX, 40000), (BOX6, 40000)) == set()
        assert self.command(wire, "on", "-sourceIP", BOX_TOO).returncode == 0
        assert self.command(wire, "on", "--source-ip", BOX, "--source-port", "80-81").returncode == 0
        assert wire.answered((BOX, 40000), (BOX, 80), (BOX_TOO, 40000)) == set()
        with inside(wire.box):
            assert not put_up([BOX]).notes  # the next run leaves it alone
        status = self.command(wire, "status")
        assert status.returncode == 0
        assert status.stdout.count("set by hand") == 2
        assert self.command(wire, "off", "--source-ip", BOX_TOO).returncode == 0
        assert wire.answered((BOX_TOO, 40000)) == {(BOX_TOO, 40000)}
        assert self.command(wire, "off", "--source-port", "80-81").returncode == 0
        assert wire.answered((BOX, 80), (BOX, 40000)) == {(BOX, 80)}
        assert self.command(wire, "off").returncode == 0
        assert self.command(wire, "off").returncode == 1

    @pytest.mark.parametrize("tool", ["nft", "iptables"])
    def test_ranges_by_hand(self, wire: Wire, tool: str, request: pytest.FixtureRequest) -> None:
        """nft shows neighbours as one range, iptables as prefixes."""
        if tool == "iptables":
            request.getfixturevalue("only_iptables")
        assert self.command(wire, "on", "--source-ip", "10.91.0.1-10.91.0.9").returncode == 0
        assert self.command(wire, "on", "--source-ip", "fd91::/65,fd91:0:0:0:8000::/65").returncode == 0
        shown = self.command(wire, "status")
        assert shown.returncode == 0, shown.stderr
        for one in ("10.91.0.1", "10.91.0.2/31", "10.91.0.4/30", "10.91.0.8/31", "fd91::/6"):
            assert one in shown.stdout
        assert wire.answered((BOX, 40000), (BOX_TOO, 40000), (BOX6, 40000)) == set()
        assert self.command(wire, "off", "--source-ip", "10.91.0.200,fd92::/64").returncode == 1
        assert self.command(wire, "off", "--source-ip", f"{BOX_TOO},fd91::/65").returncode == 0
        left = {(BOX_TOO, 40000), (BOX6, 40000)}
        assert wire.answered((BOX, 40000), *left) == left
        assert self.command(wire, "off", "--source-ip", "10.91.0.0/24").returncode == 0
        assert "10.91" not in self.command(wire, "status").stdout
        assert self.command(wire, "off").returncode == 0
        assert self.command(wire, "status").stdout == "no guard\n"

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (["on", "--source-ip", "10.0.0.300"], "10.0.0.300"),
            (["on", "--source-port", "5-x"], "5-x"),
            (["on", "--source-port", "9-5"], "9-5"),
            (["on", "--interface", "nope0", "--guard", "ingress"], "nope0"),
            (["sideways"], "sideways"),
        ],
    )
    def test_mistakes(self, wire: Wire, words: list[str], sentence: str) -> None:
        done = self.command(wire, *words)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert sentence in done.stderr
        assert wire.rules() == ""
