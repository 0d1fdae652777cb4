"""Which core each process is bound to with --pin.

Flow workers get the first cores, collectors the last ones; each physical core is used before any second
thread of one; where there are more processes than cores they share. The coordinator is not bound: it runs
where there is room.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence


def in_order(allowed: Sequence[int], siblings: Mapping[int, Sequence[int]]) -> list[int]:
    """The cores by use: first threads first. siblings: by core, the threads of the same physical core."""
    return sorted(allowed, key=lambda cpu: (sorted(siblings.get(cpu, [cpu])).index(cpu), cpu))


def core_of(role: str, index: int, order: Sequence[int]) -> int:
    """The core of the process at this place. role: flow or collect."""
    return order[index % len(order)] if role == "flow" else order[-1 - index % len(order)]


def numbers(text: str) -> list[int]:
    """A list as the kernel writes them: ``0-2,8`` is 0, 1, 2, 8."""
    found = []
    for part in text.strip().split(","):
        low, dash, high = part.partition("-")
        found += list(range(int(low), int(high) + 1)) if dash else [int(low)]
    return found


def queues(irqs: Sequence[int], names: Mapping[int, str]) -> dict[int, int]:
    """The interrupts that report packets, each with the number of the queue it serves.

    irqs: those of a network card; names: what /proc/interrupts calls each ("virtio2-input.0", "eth0-TxRx-3").
    Interrupts for something else (the link, the configuration) are left out, where the names show it.
    """
    telling = [irq for irq in sorted(irqs) if not _NO_PACKETS.search(names.get(irq, ""))] or sorted(irqs)
    found = {}
    for at, irq in enumerate(telling):
        numbered = re.findall("[0-9]+", names.get(irq, "").partition("@")[0])  # "mlx5_comp3@pci:0000:01:00.0"
        found[irq] = int(numbered[-1]) if numbered else at
    return found


_NO_PACKETS = re.compile("config|async|mgmn?t|misc|control|adminq|event", re.IGNORECASE)


def of_interface(interface: str, names: Mapping[int, str]) -> list[int]:
    """The interrupts that are named after an interface: "eth0", "eth0-rx-1", "i40e-eth0-TxRx-0"."""
    alone = re.compile(rf"(?<![\w.]){re.escape(interface)}(?![\w.])")
    return sorted(irq for irq, name in names.items() if alone.search(name))


def hint(interface: str, irqs: Mapping[int, int], flow: Sequence[int], collect: Sequence[int]) -> str:
    """What is bound where, and how the interface's interrupts are lined up with it. irqs: queue of each."""
    said = f"pinned: flow workers to {_cores(flow)}, collectors to {_cores(collect)}"
    if not irqs:
        return f"{said}; {interface} has no interrupts of its own to line up"
    lines = "; ".join(
        f"echo {flow[queue % len(flow)]} > /proc/irq/{irq}/smp_affinity_list"
        for irq, queue in list(irqs.items())[:64]
    )
    return f"{said}; to line up the interrupts of {interface} (and stop irqbalance): {lines}"


def _cores(cores: Sequence[int]) -> str:
    return ("core " if len(cores) == 1 else "cores ") + ", ".join(map(str, cores))
