"""The facts that a box reports before anything begins, for `lzr.fleet.preflight`; they are not judged here.

`lzr doctor --json` runs here with the very flags that the scan would have; the rest are hashes of the files
that the plan names, addresses, and free space.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network
from itertools import islice
from pathlib import Path
from typing import Any

from coordinator.doctor import facts as host
from coordinator.fleet import boxscan, lockfile, rundirectory
from coordinator.network import conflicts
from lzr import __version__
from lzr.errors import UsageError
from lzr.fleet.lock import Lock
from lzr.fleet.plan import Box

DOCTOR = 60.0
"""Seconds for `lzr doctor`, which tries the guard and the raw sockets."""
MOST_PROBED = 256
"""Addresses that are asked for on the wire; of more, as where a source is a large network, the first."""
_MOST_ANSWER = 1 << 20


def facts(lock: Lock, box: str) -> dict[str, Any]:
    """Facts of this box, of types that msgpack has; never raises for what is wrong with it."""
    found: dict[str, Any] = {"version": __version__, "id": lock.id, "trouble": "", "findings": []}
    found["addresses"] = host.addresses(lock.plan.box(box).interface)
    with ThreadPoolExecutor(1) as beside:
        asked = beside.submit(others, lock.plan.box(box), found["addresses"])
        found |= _sums_and_findings(lock, box)
        found["others"] = asked.result()
    found["control"] = own_address(lock.plan.controller)
    found["ephemeral"] = _ephemeral()
    interface = lock.plan.box(box).interface
    speed = _speed(interface) if interface else None
    if speed is not None:
        found["speed"] = speed
    return found


def _sums_and_findings(lock: Lock, box: str) -> dict[str, Any]:
    """What files have to do with, and what `lzr doctor` says."""
    found: dict[str, Any] = {}
    try:
        found["blocklist_sha256"] = lockfile.digest_of_lists(lock.plan)
        if lock.plan.input is not None:
            found["input_sha256"] = lockfile.digest_of_input(lock.plan.input)[0]
        place = rundirectory.make_plan(lock)
        status = os.statvfs(place)
        found["room"] = status.f_bavail * status.f_frsize
        found["findings"] = doctor(lock, box)
    except UsageError as error:
        found["trouble"] = str(error)
    except OSError as error:
        found["trouble"] = f"{error.strerror or error}"
    return found


def others(box: Box, addresses: Mapping[str, str]) -> dict[str, str]:
    """Its sources that another host has too, as `conflicts.find` tells. addresses: this host's."""
    wanted: dict[str, str] = {}
    for source in box.source:
        for one in islice(ip_network(source), MOST_PROBED - len(wanted)):
            interface = box.interface or addresses.get(str(one))
            if interface is not None:
                wanted[str(one)] = interface
    try:
        return conflicts.find(wanted)
    except OSError:  # without CAP_NET_RAW, of which `lzr doctor` tells
        return {}


def doctor(lock: Lock, box: str) -> list[str]:
    """The faults that `lzr doctor` finds here, for the run of this box that would come next."""
    runs = lock.runs_of(box)
    if not runs:
        return []
    found = rundirectory.make(lock, runs[-1])
    words = boxscan.words(lock, runs[-1], found, resumed=False)
    command = [sys.executable, "-P", "-m", "coordinator.commands.main", "doctor", "--json", *_target(lock)]
    try:
        done = subprocess.run(
            [*command, *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=DOCTOR, check=False
        )
    except subprocess.TimeoutExpired:
        return [f"lzr doctor has not ended within {DOCTOR:.0f} s"]
    try:
        findings = json.loads(done.stdout[:_MOST_ANSWER])["findings"]
        return [
            "; ".join(filter(None, (one["sentence"], one["remedy"])))
            for one in findings
            if one["level"] == "fault"
        ]
    except (ValueError, KeyError, TypeError):
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        return [said[-1] if said else f"lzr doctor ends with status {done.returncode}"]


def _target(lock: Lock) -> list[str]:
    """An address on the way to which it is looked; none where the plan names a file."""
    for target in lock.plan.targets:
        with contextlib.suppress(ValueError):
            return [str(ip_network(target, strict=False).network_address)]
    return []


def own_address(controller: str) -> str:
    """That which packets to the controller leave from, or an empty text."""
    host_name, _, port = controller.rpartition(":")
    with contextlib.suppress(OSError, UnicodeError, ValueError):
        for family, _, _, _, where in socket.getaddrinfo(
            host_name.strip("[]"), int(port), type=socket.SOCK_DGRAM
        ):
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect(where)  # sends nothing
                return str(probe.getsockname()[0])
    return ""


def _ephemeral(root: Path = Path("/proc/sys/net/ipv4")) -> list[int]:
    with contextlib.suppress(OSError, ValueError):
        low, high = (root / "ip_local_port_range").read_text().split()
        return [int(low), int(high)]
    return [32768, 60999]


def _speed(interface: str, root: Path = Path("/sys/class/net")) -> int | None:
    """Bits a second of a link, where its driver says so."""
    with contextlib.suppress(OSError, ValueError):
        megabits = int((root / interface / "speed").read_text())
        if megabits > 0:
            return megabits * 1_000_000
    return None
