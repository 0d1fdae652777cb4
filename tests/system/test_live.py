"""Every real server that Debian or PyPI gives us, named by its own handshake and by the usual five."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from lzr.fingerprint.classifier import Classifier
from lzr.protocols import PROTOCOLS
from tests.lab import net
from tests.lab.daemons import Daemon
from tests.lab.fleet_core import CORE
from tests.lab.fleet_live import LIVE
from tests.lab.fleet_more import ECHOES
from tests.lab.town import TOWN, Town, complaint, found_town
from tests.unit.lzr.protocols.test_catalogue import render

pytestmark = [pytest.mark.live, pytest.mark.root, pytest.mark.timeout(900)]

ALL = (*CORE, *LIVE)
NAMES = [daemon.name for daemon in ALL]
FIVE = ("wait", "http", "tls", "dns", "pptp")


@pytest.fixture(scope="module")
def town() -> Iterator[Town]:
    with net.lab() as lab:
        yield found_town(lab, ALL)


def test_there_are_enough(town: Town) -> None:
    up = [one for one in town.fleet.running if not one.trouble]
    assert len(up) >= 90, [one.trouble for one in town.fleet.running if one.trouble]
    assert len({one.daemon.label for one in up}) >= 60


@pytest.mark.parametrize("daemon", ALL, ids=NAMES)
def test_own_handshake(town: Town, daemon: Daemon) -> None:
    same = [other for other in ALL if other.own == daemon.own]
    record = town.record(town.scan_list([daemon.own], same), daemon, own=True)
    assert record["fingerprint"] in daemon.labels, complaint(record, daemon, town.fleet)
    assert not daemon.application or record["application"] == daemon.application, record


@pytest.mark.parametrize("daemon", ALL, ids=NAMES)
def test_five_handshakes(town: Town, daemon: Daemon) -> None:
    """Named, where one of the five draws an answer that tells; never named as something else."""
    record = town.record(town.scan_list(FIVE, ALL), daemon)
    label = record["fingerprint"]
    right = daemon.labels | {daemon.others[name] for name in FIVE if name in daemon.others}
    if daemon.own in FIVE or any(name in daemon.others for name in FIVE):
        assert label in right, complaint(record, daemon, town.fleet)
    else:
        assert label in right | {"unknown"}, complaint(record, daemon, town.fleet)


@pytest.mark.parametrize("daemon", ECHOES, ids=[daemon.name for daemon in ECHOES])
def test_every_handshake_comes_back_as_an_echo(town: Town, daemon: Daemon) -> None:
    """A real echo service, whole or in part, is never named after what it was asked."""
    running = town.running(daemon)
    assert not running.trouble, running.trouble
    probes = {protocol: render(protocol) for protocol in PROTOCOLS if protocol.parts}
    classify = Classifier().classify

    def ask(probe: bytes) -> bytes:
        with socket.create_connection((TOWN, running.port), timeout=10) as connection:
            connection.sendall(probe)
            connection.shutdown(socket.SHUT_WR)
            reply = b""
            while piece := connection.recv(4096):
                reply += piece
            return reply

    def ask_all() -> list[bytes]:
        with ThreadPoolExecutor(16) as pool:  # its threads are in the namespace too
            return list(pool.map(ask, probes.values()))

    replies = dict(zip(probes, town.scanner.call(ask_all), strict=True))
    whole = {protocol.name for protocol, reply in replies.items() if reply.startswith(probes[protocol])}
    labels = {protocol.name: classify(reply, protocol) for protocol, reply in replies.items()}
    assert len(labels) > 120
    assert all(labels[name] == "echo" for name in whole), {name: labels[name] for name in whole}
    # The first line of libp2p's question is the first of its answer too.
    assert set(labels.values()) - {"echo", "unknown"} <= {"libp2p"}, labels
