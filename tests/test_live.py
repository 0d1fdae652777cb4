"""Every real server that Debian or PyPI gives us, named by its own handshake and by the usual five."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab import net
from tests.lab.daemons import Daemon
from tests.lab.fleet_core import CORE
from tests.lab.fleet_live import LIVE
from tests.lab.town import Town, complaint, found_town

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
    assert len(up) >= 60, [one.trouble for one in town.fleet.running if one.trouble]
    assert len({one.daemon.label for one in up}) >= 40


@pytest.mark.parametrize("daemon", ALL, ids=NAMES)
def test_own_handshake(town: Town, daemon: Daemon) -> None:
    same = [other for other in ALL if other.own == daemon.own]
    record = town.record(town.scan_list([daemon.own], same), daemon)
    assert record["fingerprint"] in daemon.labels, complaint(record, daemon, town.fleet)


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
