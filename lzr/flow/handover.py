"""The flows of a shard as plain arrays, on the way from one process to another: rows, timers, held bytes.

A place is a position in `flows`. `extract` takes the flows out of the parts of one flow table, `adopt` puts
them into those of another.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lzr.flow.ackfirewall import FirewallChecks
from lzr.flow.reassembly import Reassembly
from lzr.flow.store import FlowStore
from lzr.flow.timers import Timers
from lzr.rows import HELD, TIMER, FlowState, copied, join, pick, put

Held = dict[int, tuple[bytes, dict[int, bytes]]]


class ShardFlows(Struct, frozen=True):
    """flows: FLOW rows. armed: TIMER rows, within a kind in the order in which they are due. asked: ASKED
    rows, of checks for ACKing firewalls. held: by place, the bytes that came in order and early segments by
    sequence number."""

    flows: NDArray[Any]
    armed: NDArray[Any]
    asked: NDArray[Any]
    held: Held

    @classmethod
    def pack(
        cls,
        flows: NDArray[Any],
        timers: list[tuple[int, int, NDArray[np.int32], NDArray[np.uint32]]],
        asked: NDArray[Any],
        held: Held,
    ) -> ShardFlows:
        """timers: (kind, due, places, generations)."""
        parts = []
        for kind, due, places, generations in timers:
            part = np.zeros(len(places), TIMER)
            part["kind"], part["due"], part["place"], part["generation"] = kind, due, places, generations
            parts.append(part)
        return cls(flows, join(parts) if parts else np.empty(0, TIMER), asked, held)

    def timers(self, kind: int) -> Iterator[tuple[int, NDArray[np.int32], NDArray[np.uint32]]]:
        """(due, places, generations) of one kind, by time."""
        chosen = pick(self.armed, self.armed["kind"] == kind)
        if not len(chosen):
            return
        edges = np.flatnonzero(np.diff(chosen["due"], prepend=-1)).tolist()
        for start, end in zip(edges, [*edges[1:], len(chosen)], strict=True):
            part = chosen[start:end]
            yield int(part["due"][0]), part["place"].copy(), part["generation"].copy()

    def plain_held(self) -> tuple[NDArray[Any], bytes]:
        """The bytes that flows hold, as HELD rows and the bytes one after the other."""
        parts = [
            (place, sequence, data, early)
            for place, (ordered, ahead) in self.held.items()
            for sequence, data, early in ((0, ordered, 0), *((at, octets, 1) for at, octets in ahead.items()))
        ]
        rows = np.zeros(len(parts), HELD)
        for row, (place, sequence, data, early) in zip(rows, parts, strict=True):
            row["place"], row["sequence"], row["length"], row["early"] = place, sequence, len(data), early
        return rows, b"".join(data for _, _, data, _ in parts)

    @staticmethod
    def held_of(rows: NDArray[Any], octets: bytes) -> Held:
        """The inverse of `ShardFlows.plain_held`."""
        found: Held = {}
        at = 0
        for place, sequence, length, early in rows.tolist():
            data, at = octets[at : at + length], at + length
            ordered, ahead = found.get(place, (b"", {}))
            found[place] = (ordered, ahead | {sequence: data}) if early else (data, ahead)
        return found


def extract(
    shard: int, store: FlowStore, timers: Timers, firewall_checks: FirewallChecks, reassembly: Reassembly
) -> ShardFlows:
    """Take the flows of `shard` out of these parts, with their timers and the bytes they hold."""
    rows = store.rows
    slots = store.in_shard(shard)
    place = np.full(len(rows), -1, np.int32)
    place[slots] = np.arange(len(slots), dtype=np.int32)
    flows = pick(rows, slots)

    def live(slots: NDArray[np.int32], generations: NDArray[np.uint32]) -> NDArray[np.bool_]:
        return np.asarray((place[slots] >= 0) & (rows["generation"][slots] == generations), bool)

    armed = [
        (number, due, place[waiting], generations)
        for number, (_, queue) in enumerate(timers.queues())
        for due, waiting, generations in queue.extract(live)
    ]
    asked = firewall_checks.extract(slots, place)
    held = {int(place[slot]): octets for slot, octets in reassembly.extract(slots.tolist()).items()}
    store.index.remove(flows["key"])
    store.in_flight -= int(np.count_nonzero(flows["state"] != FlowState.FIREWALL_CHECK))
    store.give_back(slots)
    store.end_of_call()
    return ShardFlows.pack(flows, armed, asked, held)


def adopt(
    state: ShardFlows,
    store: FlowStore,
    timers: Timers,
    firewall_checks: FirewallChecks,
    reassembly: Reassembly,
) -> None:
    """Put what `extract` gave into these parts."""
    flows = copied(state.flows)
    slots = store.allocate(len(flows))
    # Beyond any timer that was ever armed for these rows, and a new one for each timer that comes along.
    base = store.rows["generation"][slots] + np.uint32(1)
    shift = base - flows["generation"]
    flows["generation"] = base
    put(store.rows, slots, flows)
    store.index.insert(flows["key"], slots)
    store.in_flight += int(np.count_nonzero(flows["state"] != FlowState.FIREWALL_CHECK))
    for number, (_, queue) in enumerate(timers.queues()):
        queue.merge(
            (due, slots[armed], generations + shift[armed])
            for due, armed, generations in state.timers(number)
        )
    firewall_checks.adopt(state.asked, slots)
    reassembly.adopt({int(slots[place]): octets for place, octets in state.held.items()})
