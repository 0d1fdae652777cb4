"""Which core each process gets with --pin.

The law: flow workers from the first core on, collectors from the last one back, each physical core before any
second thread of one; where there are more processes than cores they take turns. The coordinator is bound to
none: it goes where there is room.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def in_order(allowed: Sequence[int], siblings: Mapping[int, Sequence[int]]) -> list[int]:
    """The cores by use: first threads first. siblings: by core, the threads of the same physical core."""
    return sorted(allowed, key=lambda cpu: (sorted(siblings.get(cpu, [cpu])).index(cpu), cpu))


def core_of(role: str, index: int, order: Sequence[int]) -> int:
    """role: flow or collect."""
    return order[index % len(order)] if role == "flow" else order[-1 - index % len(order)]


def numbers(text: str) -> list[int]:
    """A list as the kernel writes them: ``0-2,8`` is 0, 1, 2, 8."""
    found = []
    for part in text.strip().split(","):
        low, dash, high = part.partition("-")
        found += list(range(int(low), int(high) + 1)) if dash else [int(low)]
    return found


def hint(interface: str, irqs: Sequence[int], flow: Sequence[int], collect: Sequence[int]) -> str:
    """What is bound where, and how the interface's interrupts are lined up with it."""
    said = f"pinned: flow workers to {_cores(flow)}, collectors to {_cores(collect)}"
    if not irqs:
        return f"{said}; {interface} has no interrupts of its own to line up"
    lines = "; ".join(
        f"echo {flow[at % len(flow)]} > /proc/irq/{irq}/smp_affinity_list" for at, irq in enumerate(irqs[:64])
    )
    return f"{said}; to line up the interrupts of {interface} (and stop irqbalance): {lines}"


def _cores(cores: Sequence[int]) -> str:
    return ("core " if len(cores) == 1 else "cores ") + ", ".join(map(str, cores))
