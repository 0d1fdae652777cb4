"""Networks that somebody blocks while the scan runs, and whether every process goes by each order.

A block lasts to the end of the scan, and a resumed scan keeps it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec.structs import replace

from coordinator.monitor.snapshot import BlockOrder
from lzr.addresstext import ranges_of
from lzr.ipc import messages
from lzr.ranges import Range
from lzr.targets.blocklist import Prefixes


class Blocks:
    """The orders to block so far."""

    def __init__(self, before: Iterable[BlockOrder] = ()) -> None:
        """before: the orders of the scan that is resumed. Raises ValueError if they name no networks."""
        self._blocks = list(before)
        self._obeyed: dict[str, int] = {}  # by worker, the last order that it goes by
        self._ranges = [one for block in self._blocks for one in ranges(block.networks)]

    def __len__(self) -> int:
        return len(self._blocks)

    @property
    def ranges(self) -> list[Range]:
        """All addresses that are blocked."""
        return self._ranges

    def add(self, block: BlockOrder) -> None:
        """Add an order."""
        self._blocks.append(block)
        self._ranges = self._ranges + ranges(block.networks)

    def order(self) -> messages.Blocked:
        """The message to a flow worker: all ranges, each time."""
        return messages.Blocked(len(self._blocks), Prefixes(self._ranges).halves())

    def note(self, worker: str, number: int) -> None:
        """The worker goes by the first `number` orders."""
        self._obeyed[worker] = number

    def look(self, workers: Iterable[str], kept: int | None) -> tuple[BlockOrder, ...]:
        """The orders, each with whether it is in force: every worker goes by it, and the checkpoint has it.

        workers: the names of the flow workers. kept: how many orders are in the checkpoint, None where there
        is no checkpoint.
        """
        obeyed = min((self._obeyed.get(name, 0) for name in workers), default=len(self._blocks))
        last = obeyed if kept is None else min(obeyed, kept)
        return tuple(replace(block, in_force=at < last) for at, block in enumerate(self._blocks))


def ranges(networks: Sequence[str]) -> list[Range]:
    """The addresses that these networks cover. Raises ValueError."""
    found: list[Range] = []
    for network in networks:
        try:
            found += ranges_of(network)
        except ValueError as error:
            raise ValueError(f"{network[:60]!r}: {error}") from None
    return found


def to_plain(block: BlockOrder) -> dict[str, Any]:
    """An order as plain values, for a checkpoint."""
    return {"networks": list(block.networks), "reason": block.reason, "by": block.by, "at": block.at}


def of_plain(found: Iterable[dict[str, Any]]) -> list[BlockOrder]:
    """The orders that a checkpoint holds. Raises ValueError."""
    blocks = [BlockOrder(tuple(one["networks"]), one["reason"], one["by"], one["at"]) for one in found]
    for block in blocks:
        ranges(block.networks)
    return blocks
