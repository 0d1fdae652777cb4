"""How many processes of each kind a scan starts with, and why.

The law: from the cores this process may use, not from those the machine has. A collector keeps up with about
four flow workers, the coordinator takes a part of a core and, from a dozen cores on, one of its own. What the
user says counts; what is left open follows from it.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from lzr import pinning

FLOW_TO_COLLECT = 4
OWN_CORE_FROM = 12
LEAST_SHARDS, MOST_SPARE = 8, 32


@dataclass(frozen=True, slots=True)
class Crew:
    """Processes to start with. why: a sentence for the user."""

    flow: int
    collect: int
    why: str


def usable(root: Path = Path("/")) -> tuple[int, str]:
    """The cores this process may use, and what says so. root: where /proc and /sys are."""
    allowed = len(os.sched_getaffinity(0))
    quota = _quota(root)
    if quota is not None and quota < allowed:
        return max(1, round(quota)), f"the cgroup's quota is {quota:g} of {_cores(allowed)}"
    there = os.cpu_count() or allowed
    if allowed < there:
        return allowed, f"{allowed} of {_cores(there)} may be used"
    return allowed, _cores(allowed)


def choose(flow: int | None, collect: int | None, cores: int, why: str) -> Crew:
    """flow, collect: as the user said, or None."""
    if flow is not None and collect is not None:
        return Crew(flow, collect, f"flow={flow}, collect={collect} as asked ({why})")
    own = 1 if cores >= OWN_CORE_FROM else 0
    if flow is not None:
        collect = max(1, round(flow / FLOW_TO_COLLECT))
        return Crew(flow, collect, f"flow={flow} as asked, collect={collect} to go with it ({why})")
    if collect is None:
        collect = max(1, round((cores - own) / (FLOW_TO_COLLECT + 1)))
        said = f"collect={collect}"
    else:
        said = f"collect={collect} as asked"
    flow = max(1, cores - own - collect)
    return Crew(flow, collect, f"flow={flow}, {said} ({why}; -w flow=N,collect=N sets them)")


def shards(flow: int, cores: int) -> int:
    """More shards than workers, so that workers can be added while the scan runs, up to a core each."""
    return max(LEAST_SHARDS, 2 * flow, min(cores, MOST_SPARE))


def order(root: Path = Path("/")) -> tuple[int, ...]:
    """The cores this process may use, in the order in which processes are bound to them."""
    allowed = sorted(os.sched_getaffinity(0))
    siblings = {}
    for cpu in allowed:
        path = root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
        with contextlib.suppress(OSError, ValueError):
            siblings[cpu] = pinning.numbers(path.read_text())
    return tuple(pinning.in_order(allowed, siblings))


def bound(interface: str, crew: Crew, cores: tuple[int, ...], root: Path = Path("/")) -> str:
    """What is bound where, for the user."""
    irqs: list[int] = []
    with contextlib.suppress(OSError, ValueError):
        irqs = sorted(int(p.name) for p in (root / f"sys/class/net/{interface}/device/msi_irqs").iterdir())
    places = [
        sorted({pinning.core_of(role, index, cores) for index in range(count)})
        for role, count in (("flow", crew.flow), ("collect", crew.collect))
    ]
    return pinning.hint(interface, irqs, *places)


def _cores(number: int) -> str:
    return "1 core" if number == 1 else f"{number} cores"


def _quota(root: Path) -> float | None:
    """Cores' worth of time that the control groups (version 2) above this process allow, the tightest."""
    tightest: float | None = None
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = (root / "proc/self/cgroup").read_text().splitlines()
        path = next(line[3:] for line in lines if line.startswith("0::"))
        top = root / "sys/fs/cgroup"
        place = top / path.strip("/")
        for folder in (place, *place.parents):
            with contextlib.suppress(OSError, ValueError):
                most, period = (folder / "cpu.max").read_text().split()
                if most != "max":
                    share = int(most) / int(period)
                    tightest = share if tightest is None else min(tightest, share)
            if folder == top:
                break
    return tightest
