"""A scanner and a fleet of real daemons on one address, and what `lzr` says of each.

A scan is made once for a set of handshakes, over the daemons that asked for it, and kept: tests of
single daemons only look at it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.lab.daemons import Daemon, Fleet, Running, start_all
from tests.lab.health import failure
from tests.lab.net import Lab, Namespace
from tests.lab.scan import LZR, Record, Scan, scan, zmap_scan, zmap_words

SCANNER = "10.1.0.2"
TOWN = "10.1.0.10"
WAITS = ("-rt", "1", "-t", "6")
"""A daemon that is held up for five seconds still answers in time."""


@dataclass
class Town:
    """Namespaces, fleet, and the scans made so far."""

    lab: Lab
    scanner: Namespace
    far: Namespace
    fleet: Fleet
    _scans: dict[Any, Scan] = field(default_factory=dict)

    def running(self, daemon: Daemon) -> Running:
        return next(one for one in self.fleet.running if one.daemon.name == daemon.name)

    def _up(self, daemons: Iterable[Daemon]) -> list[Running]:
        return [one for one in map(self.running, daemons) if not one.trouble]

    def scan_list(self, handshakes: Sequence[str], daemons: Sequence[Daemon]) -> Scan:
        """A list scan with these handshakes over these daemons, made once."""
        key = (tuple(handshakes), tuple(daemon.name for daemon in daemons))
        if key not in self._scans:
            lines = [f"{one.address}:{one.port}\n" for one in self._up(daemons)]
            words = ("--handshakes", ",".join(handshakes), "-sendSYNs", "--allow-printers", *WAITS)
            self._scans[key] = scan(self.scanner, *words, lines=lines, name="-".join(handshakes)[:60])
        return self._scans[key]

    def scan_zmap(self, handshakes: Sequence[str], daemons: Sequence[Daemon]) -> Scan:
        """`{ zmap -p …; … } | lzr` over the ports of these daemons, made once."""
        key = ("zmap", tuple(handshakes), tuple(daemon.name for daemon in daemons))
        if key not in self._scans:
            mac = self.far.mac("eth0")
            zmaps = [
                zmap_words(self.scanner, SCANNER, mac, one.port, 1000, [TOWN], cooldown=1)
                for one in self._up(daemons)
            ]
            self.scanner.run(LZR, "guard", "on", "--source-ip", SCANNER)
            try:
                words = ("--handshakes", ",".join(handshakes), *WAITS)
                for _ in range(3):  # zmap misses answers of its own on a busy machine
                    found = zmap_scan(self.scanner, zmaps, *words, timeout=240)
                    printed = re.search(r"inputs: (\d+) read", found.stderr)
                    if printed is None or int(printed[1]) >= len(zmaps):
                        break
                self._scans[key] = found
            finally:
                self.scanner.run(LZR, "guard", "off", "--source-ip", SCANNER)
        return self._scans[key]

    def record(self, found: Scan, daemon: Daemon, *, own: bool = False) -> Record:
        """The one record of a daemon; says what went wrong where there is none, or where it tells of it.

        own: it was asked in its own protocol only.
        """
        running = self.running(daemon)
        assert not running.trouble, running.trouble
        assert found.returncode == 0, found.stderr[-2000:]
        records = found.by_service().get(running.service, [])
        assert len(records) == 1, f"{len(records)} records for {running.service}\n{found.stderr[-1000:]}"
        data = records[0].get("data", "").encode("latin-1")
        trouble = failure(daemon.label, data, own=own)
        assert not trouble, f"{daemon.name}: {trouble}\nits log:\n{self.fleet.wrote(running)}"
        return records[0]


def found_town(lab: Lab, daemons: Sequence[Daemon]) -> Town:
    """Builds the namespaces and starts the daemons."""
    scanner, far = lab.namespace("scan"), lab.namespace("town")
    lab.link(scanner, far, a_addresses=[f"{SCANNER}/24"], b_addresses=[f"{TOWN}/24"])
    scanner.ip("route", "add", "default", "via", TOWN)
    return Town(lab, scanner, far, start_all(lab, far, TOWN, daemons))


def complaint(record: Record, daemon: Daemon, fleet: Fleet) -> str:
    """A failed record with what is needed to see why."""
    running = next(one for one in fleet.running if one.daemon.name == daemon.name)
    return f"{daemon.name}: {record}\nits log ends:\n{fleet.wrote(running)[-600:]}"
