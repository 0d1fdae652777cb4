"""How many processes of each kind a scan starts with, and why.

Cores are those that this process may use, not those of the machine. One collector keeps up with about four
flow workers; the coordinator takes a part of a core and, from a dozen cores on, has one of its own. What the
user has set stays; the rest follows from it.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from msgspec import Struct

from coordinator.processes import cgroups
from lzr import pinning

FLOW_TO_COLLECT = 4
"""Flow workers that one collector keeps up with. By `python -m benchmarks.endtoend` a flow takes the workers
5.9 µs and the collector 1.6 µs; 5.4 µs where no two replies are alike, and then --auto-workers adds one."""
OWN_CORE_FROM = 12
"""Cores from which on the coordinator has one to itself. By the same benchmark it takes 1.6 µs a flow, so
nine workers keep it busy all the time; on fewer cores it takes its share from all of them. A judgement."""
LEAST_SHARDS, MOST_SPARE = 8, 32
"""Shards of a scan at least; flow workers that may be added while it runs, at most. Judgements: each shard
costs a socket with rings."""
MOST_SHARDS = 256
"""Sockets in a fan-out group (PACKET_FANOUT_MAX, packet(7))."""


class Workers(Struct, frozen=True):
    """How many flow workers and collectors to start with. why: a sentence for the user."""

    flow: int
    collect: int
    why: str


def usable(root: Path = Path("/")) -> tuple[int, str]:
    """The number of cores this process may use, and a sentence on what limits it. root: where /proc and /sys
    are.
    """
    allowed = len(os.sched_getaffinity(0))
    quota = _quota(root)
    if quota is not None and quota < allowed:
        return max(1, round(quota)), f"the cgroup's quota is {quota:g} of {_cores(allowed)}"
    there = os.cpu_count() or allowed
    if allowed < there:
        return allowed, f"{allowed} of {_cores(there)} may be used"
    return allowed, _cores(allowed)


def choose(flow: int | None, collect: int | None, cores: int, why: str) -> Workers:
    """flow, collect: as the user has set them, or None. cores, why: of `usable`."""
    if flow is not None and collect is not None:
        return Workers(flow, collect, f"flow={flow}, collect={collect} as asked ({why})")
    own = 1 if cores >= OWN_CORE_FROM else 0
    if flow is not None:
        collect = max(1, round(flow / FLOW_TO_COLLECT))
        return Workers(flow, collect, f"flow={flow} as asked, collect={collect} to go with it ({why})")
    if collect is None:
        collect = max(1, round((cores - own) / (FLOW_TO_COLLECT + 1)))
        said = f"collect={collect}"
    else:
        said = f"collect={collect} as asked"
    flow = max(1, cores - own - collect)
    return Workers(flow, collect, f"flow={flow}, {said} ({why}; -w flow=N,collect=N sets them)")


def shards(flow: int, cores: int) -> int:
    """The number of shards: more than workers, so that workers can be added during the scan, up to one a
    core.
    """
    return min(MOST_SHARDS, max(LEAST_SHARDS, 2 * flow, min(cores, MOST_SPARE)))


def order(root: Path = Path("/")) -> tuple[int, ...]:
    """The cores this process may use, in the order in which processes are bound to them."""
    allowed = sorted(os.sched_getaffinity(0))
    siblings = {}
    for cpu in allowed:
        path = root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
        with contextlib.suppress(OSError, ValueError):
            siblings[cpu] = pinning.numbers(path.read_text())
    return tuple(pinning.in_order(allowed, siblings))


def bound(interface: str, workers: Workers, cores: tuple[int, ...], root: Path = Path("/")) -> str:
    """A sentence on which process is bound to which core."""
    places = [
        sorted({pinning.core_of(role, index, cores) for index in range(count)})
        for role, count in (("flow", workers.flow), ("collect", workers.collect))
    ]
    return pinning.hint(interface, interrupts(interface, root), *places)


def interrupts(interface: str, root: Path = Path("/")) -> dict[int, int]:
    """The interrupts by which an interface tells of packets: their numbers, and the queue of each."""
    names = _interrupt_names(root)
    device = root / "sys/class/net" / interface / "device"
    found: list[int] = []
    with contextlib.suppress(OSError, ValueError):
        device = device.resolve(strict=True)
        if device.name.startswith("virtio"):  # they belong to the PCI device that it is a part of
            device = device.parent
        found = [int(path.name) for path in (device / "msi_irqs").iterdir()]
    return pinning.queues(found or pinning.of_interface(interface, names), names)


def _interrupt_names(root: Path) -> dict[int, str]:
    """What /proc/interrupts calls each interrupt: the last word of its line."""
    found = {}
    with contextlib.suppress(OSError):
        for line in (root / "proc/interrupts").read_text(errors="replace").splitlines():
            number, colon, rest = line.partition(":")
            if colon and number.strip().isdigit() and rest.split():
                found[int(number)] = rest.split()[-1]
    return found


def _cores(number: int) -> str:
    return "1 core" if number == 1 else f"{number} cores"


def _quota(root: Path) -> float | None:
    """Cores' worth of time that this process's control groups allow: the tightest limit of them."""
    found: list[float] = []
    for version, folder in cgroups.folders("cpu", root):
        with contextlib.suppress(OSError, ValueError):  # "max" is no number: no limit
            if version == 2:
                most, period = map(int, (folder / "cpu.max").read_text().split())
            else:
                most, period = (
                    int((folder / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period")
                )
            if most >= 0:
                found.append(most / period)
    return min(found, default=None)
