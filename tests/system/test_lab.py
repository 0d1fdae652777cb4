"""The lab itself: what it makes it removes, and the responder and its truth agree with each other."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import ROOT
from tests.lab import net
from tests.lab.daemons import Daemon
from tests.lab.fleet_core import CORE
from tests.lab.fleet_live import LIVE
from tests.lab.forwarder import Direction, is_tcp
from tests.lab.net import MARK, Lab, LabError, namespaces, sweep, wait_for
from tests.lab.responder import CLASSES, FIRST, PORT, SCANNER, Range, expected, letter_of
from tests.lab.scan import parse
from tests.lab.zmaplines import isn_of, lines, premade_ack

needs_root = pytest.mark.root


@needs_root
def test_a_lab_leaves_nothing() -> None:
    with net.lab() as lab:
        left, right = lab.namespace("left"), lab.namespace("right")
        lab.link(left, right, a_addresses=["10.0.0.1/24"], b_addresses=["10.0.0.2/24"])
        sleeper = right.popen("sleep", "1000")
        server = right.call(lambda: socket.create_server(("10.0.0.2", 80)))
        with server, left.call(lambda: socket.create_connection(("10.0.0.2", 80), 5)) as client:
            assert client.getpeername() == ("10.0.0.2", 80)
        assert wait_for(right.pids, "the sleeper")
        assert {left.name, right.name} <= set(namespaces())
    assert not [name for name in namespaces() if name.startswith(lab.prefix)]
    assert not lab.directory.exists()
    assert sleeper.poll() is not None


@needs_root
def test_a_killed_run_is_swept_by_the_next() -> None:
    script = (
        "from tests.lab.net import Lab\nlab = Lab()\nspace = lab.namespace('x')\n"
        "space.popen('sleep', '1000')\nprint(lab.prefix, flush=True)\ninput()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        prefix = process.stdout.readline().strip()
        assert [name for name in namespaces() if name.startswith(prefix)]
        process.kill()
    gone = sweep()
    assert any(name.startswith(prefix) for name in gone)
    assert not [name for name in namespaces() if name.startswith(prefix)]
    assert not list(Path(tempfile.gettempdir()).glob(f"{prefix}*"))


@needs_root
def test_a_sweep_spares_the_living(lab: Lab) -> None:
    space = lab.namespace("here")
    sweep()
    assert space.name in namespaces()
    assert space.name.startswith(MARK)


@needs_root
def test_a_failed_command_says_what_failed(lab: Lab) -> None:
    with pytest.raises(LabError, match="nonsense"):
        lab.namespace("x").ip("link", "add", "nonsense", "type", "nonsense")


@needs_root
def test_a_call_runs_inside_and_raises_outside(lab: Lab) -> None:
    space = lab.namespace("x")
    outside = os.readlink("/proc/self/ns/net")
    assert space.call(lambda: os.readlink("/proc/thread-self/ns/net")) != outside
    assert os.readlink("/proc/self/ns/net") == outside
    with pytest.raises(ZeroDivisionError):
        space.call(lambda: 1 // 0)


@needs_root
def test_the_responder_takes_premade_connections_for_its_own(arena: Range) -> None:
    """The floor program plays a scanner: every answer comes, none is refused."""
    from tests.lab.responder import HALF_CLASSES, build

    count = 4096
    responder = arena.respond(first=FIRST, count=count, port=PORT, classes=HALF_CLASSES, more=["--premade"])
    arena.scanner.nft(
        "table netdev quiet { chain ingress { type filter hook ingress device eth0 priority 0; "
        "tcp dport 32768-61000 drop; }; }"
    )
    words = ("--first", FIRST, "--count", str(count), "--source", SCANNER, "--classes", HALF_CLASSES)
    floor = arena.scanner.run(build("floor"), *words, "--gateway-mac", arena.gateway_mac)
    counters = responder.stop()
    assert counters["bad_seq"] == counters["bad_ack"] == counters["bad_checksum"] == 0
    assert counters["reply_http"] == count // 2
    assert json.loads(floor.stdout)["lost"] == 0


@needs_root
def test_the_responder_counts_strangers(arena: Range) -> None:
    responder = arena.respond(first="10.64.0.0", count=4, port=80)
    for target in ("10.64.0.9", "10.64.0.1"):
        arena.scanner.run("timeout", "3", "bash", "-c", f"echo > /dev/tcp/{target}/81", check=False)
    counters = responder.stop()
    assert counters["wrong_address"] >= 1
    assert counters["wrong_port"] >= 1
    assert counters["arp"] >= 1


def test_premade_lines_fit_the_responder() -> None:
    for signed in (True, False):
        for line in lines(300, signed=signed):
            record = json.loads(line)
            own_port = np.array([record["dport"]], np.uint32)
            peer = np.array([int.from_bytes(bytes(map(int, record["saddr"].split("."))), "big")], np.uint32)
            isn = isn_of(peer, 0x0A010002, record["sport"], own_port)
            assert record["seqnum"] & 0xFFFFFFFF == int(isn[0])
            assert record["acknum"] & 0xFFFFFFFF == int(premade_ack(isn)[0])
            assert (record["window"] == 0) == (letter_of(record["saddr"]) == "z")


def test_half_of_the_premade_numbers_are_negative() -> None:
    negative = sum(json.loads(line)["seqnum"] < 0 for line in lines(2000))
    assert 800 < negative < 1200
    assert all(json.loads(line)["seqnum"] >= 0 for line in lines(2000, signed=False))


def test_every_class_has_its_truth() -> None:
    for letter in CLASSES + "cnedg":
        for handshakes in (("http",), ("wait",), ("wait", "http", "tls")):
            assert expected(letter, handshakes).fingerprint


frames = st.binary(max_size=80) | st.builds(
    lambda rest: b"\0" * 12 + b"\x08\x00" + b"\0" * 9 + b"\x06" + rest, st.binary(max_size=60)
)


@given(frames=st.lists(frames, max_size=60), seed=st.integers(0, 1000))
def test_the_wire_loses_nothing_unless_told(frames: list[bytes], seed: int) -> None:
    import random

    way = Direction(reorder=0.3, duplicate=0.3, lose=0, rng=random.Random(seed))
    out: list[bytes] = []
    for at, frame in enumerate(frames):
        out += way.carry(frame, at * 0.001)
    out += way.release(1e9)
    assert set(out) == set(frames)
    assert len(out) >= len(frames)
    assert [frame for frame in out if not is_tcp(frame)] == [frame for frame in frames if not is_tcp(frame)]


@given(st.text(max_size=200))
def test_reading_results_never_raises(text: str) -> None:
    with contextlib.suppress(RecursionError):
        parse(text)


@pytest.mark.parametrize("daemon", [*CORE, *LIVE], ids=lambda daemon: daemon.name)
def test_a_daemon_is_well_formed(daemon: Daemon) -> None:
    """Names are unique, the port is in the script or a file, and nothing is left unreplaced."""
    assert [other.name for other in (*CORE, *LIVE)].count(daemon.name) == 1
    text = daemon.script + "".join(daemon.files.values())
    assert daemon.port or "@PORT@" in text
    assert "killall" not in text
    assert "systemctl" not in text
