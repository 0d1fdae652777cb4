"""Where flows are kept: rows, the free ones among them, and the index from a flow's 4-tuple to its row.

A row is in the index exactly while it is in use. It is used again only after the call of the flow table that
freed it (`end_of_call`), since later segments of the same batch may still point at it. What a flow does, and
when, is `table`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lzr.flow import tcp
from lzr.flow.config import FlowConfig
from lzr.flow.index import FlowIndex, make_index
from lzr.flow.tcp import Rows, Slots
from lzr.packet.sharding import flow_key, shard_of
from lzr.rows import FLOW, NO_PROBE, FlowState, pick
from lzr.siphash import siphash

Mask = NDArray[np.bool_]

_MAX_DRAWS = 512
"""Most draws of a source port. One in `shards` belongs to the flow's shard, so with 32 shards the chance to
find none is (31/32)^512, less than one in ten million."""


class FlowStore:
    """rows: (capacity,) FLOW, replaced by a larger array when it grows. in_flight: flows, without firewall
    checks.
    """

    def __init__(self, config: FlowConfig, capacity: int, index: FlowIndex | None = None) -> None:
        self.config = config
        self.index = make_index() if index is None else index
        self.rows = np.zeros(capacity, FLOW)
        self.in_flight = 0
        self._free = np.empty(capacity, np.int32)  # slots that were in use before
        self._free_count = 0
        self._unused = 0  # from this one on none has been in use yet
        self._released: list[Slots] = []

    @property
    def free(self) -> Slots:
        """The slots that are not in use."""
        before = self._free[: self._free_count]
        return np.concatenate((before, np.arange(self._unused, len(self.rows), dtype=np.int32)))

    def allocate(self, count: int) -> Slots:
        """(count,) int32 slots of free rows; there are always enough, but `rows` may be another array now."""
        if count <= self._free_count:
            self._free_count -= count
            return self._free[self._free_count : self._free_count + count].copy()
        back = self._free_count
        new = count - back
        if new > len(self.rows) - self._unused:
            self._grow(new)
        self._free_count -= back
        slots = np.empty(count, np.int32)
        slots[:back] = self._free[self._free_count : self._free_count + back]
        slots[back:] = np.arange(self._unused, self._unused + new)
        self._unused += new
        return slots

    def _grow(self, count: int) -> None:
        old = len(self.rows)
        new = old + max(count, old if old < 1 << 20 else old // 4)
        rows = np.zeros(new, FLOW)
        rows[:old].view(np.uint8)[:] = self.rows.view(np.uint8)
        free = np.empty(new, np.int32)
        free[: self._free_count] = self._free[: self._free_count]
        self.rows, self._free = rows, free

    def release(self, slots: Slots) -> None:
        """End these flows: remove them from the index; their rows are free from the end of the call."""
        self.index.remove(self.rows["key"][slots])
        tcp.bump(self.rows, slots, FlowState.FREE)
        self.note_released(slots)

    def note_released(self, slots: Slots) -> None:
        """Count flows as released whose row and index entry `tcp.finish` has freed already."""
        self.in_flight -= len(slots)
        self._released.append(slots)

    def give_back(self, slots: Slots) -> None:
        """Free rows that are not in the index and hold no flow in flight: a duplicate, a firewall check, a
        flow that has moved.
        """
        tcp.bump(self.rows, slots, FlowState.FREE)
        self._released.append(slots)

    def end_of_call(self) -> None:
        """Make what was released since the last call usable again."""
        for slots in self._released:
            self._free[self._free_count : self._free_count + len(slots)] = slots
            self._free_count += len(slots)
        self._released.clear()

    # --- handshakes ------------------------------------------------------------------------------------

    def at_first(self, slots: Slots) -> Mask:
        """Whether each flow is at the first of its handshakes."""
        orders, handshakes = self.config.handshake_orders, self.rows["handshake"][slots]
        found: Mask = handshakes == (0 if orders is None else orders.first(self.rows["peer_port"][slots]))
        return found

    def following(self, slots: Slots) -> NDArray[np.uint8]:
        """The handshake after the current one of each flow, by its port's order; NO_PROBE after the last."""
        assert self.config.handshake_orders is not None
        return self.config.handshake_orders.following(
            self.rows["peer_port"][slots], self.rows["handshake"][slots]
        )

    def has_another(self, slots: Slots) -> Mask:
        """Whether each flow has a handshake after the one it is at."""
        found: Mask
        if self.config.handshake_orders is None:
            found = self.rows["handshake"][slots] + 1 < len(self.config.probes)
        else:
            found = self.following(slots) != NO_PROBE
        return found

    # --- shards and ports ------------------------------------------------------------------------------

    def shards(self, flows: Rows) -> NDArray[np.uint32]:
        """The shard of each FLOW row, (n,) uint32."""
        return shard_of(flows, self.config.secrets.shard, self.config.shards)

    def in_shard(self, shard: int) -> Slots:
        """The rows in use whose 4-tuple hashes to `shard`, firewall checks included."""
        slots = np.flatnonzero(self.rows["state"] != FlowState.FREE).astype(np.int32)
        found: Slots = slots[self.shards(pick(self.rows, slots)) == shard]
        return found

    def choose_ports(
        self, flows: Rows, slots: Slots, home: NDArray[np.uint32], number: NDArray[np.uint64], salt: int
    ) -> Mask:
        """Set own_port and key of `flows`, and index them by `slots`, so that each belongs to shard `home`.

        number, salt: with the secret, what the ports are drawn from. Returns (n,) bool: False where no port
        was found in `_MAX_DRAWS` draws.
        """
        config = self.config
        low, high = config.ports
        span = np.uint64(high - low + 1)
        done = np.zeros(len(flows), bool)
        for attempt in range(_MAX_DRAWS):
            todo = np.flatnonzero(~done)
            if not len(todo):
                break
            trial = flows[todo]
            offset = siphash(config.secrets.ports, number[todo], salt | attempt << 8) % span
            trial["own_port"] = (np.uint64(low) + offset).astype(np.uint16)
            fits = trial["own_port"] != flows["own_port"][todo]
            if config.shards > 1:
                fits &= self.shards(trial) == home[todo]
            todo, trial = todo[fits], trial[fits]
            keys = flow_key(trial, config.secrets.index)
            added = self.index.insert(keys, slots[todo])
            took = todo[added]
            flows["own_port"][took] = trial["own_port"][added]
            flows["key"][took] = keys[added]
            done[took] = True
        return done
