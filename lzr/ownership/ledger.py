"""The ledger: every input that was admitted and has no fate yet, by ticket.
A dead worker's late results are dropped by `workers.collect.collector`.

A ticket is a row number of the ledger. It travels with the flow and comes back with the flow's last outcome,
once that is written. Then the row is free again, so the ledger is as large as what is in flight. When a
worker dies, the inputs of its shards are found here and tried again.

That each input has exactly one result, whichever process dies, is kept in five places. A worker keeps what it
has sent until it is known to be written, and sends it again to a collector's successor
(`workers.flow.outbox`). That collector cuts the output back to what was acknowledged (`workers.collect.sink`)
and drops batches that it has already (`workers.collect.collector._is_new`), and those of a dead worker once
there is a fence (`lzr.ownership.collectors`): only then are the worker's inputs taken from here and tried
again. What is written is settled by `coordinator.scan.accounts`, and the ledger refuses a second result.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr.kernels import NATIVE, in_c
from lzr.packet.sharding import shard_of
from lzr.rows import TARGET, Rows, distinct, pick, put


class Ledger:
    """Inputs that have no fate yet, by ticket. admitted: how many came in; settled: how many have their
    fate.
    """

    def __init__(self, capacity: int = 1 << 14) -> None:
        self._rows = np.zeros(capacity, TARGET)
        self._shards = np.zeros(capacity, np.uint16)
        self._given = np.zeros(capacity, bool)
        self._holders = np.zeros(capacity, np.uint32)  # by ticket that is given: number of the flow worker
        self._free = np.empty(capacity, np.uint32)  # tickets that have come back
        self._free_count = 0
        self._unused = 0  # from this one on none has been given yet
        self.admitted = 0
        self.settled = 0

    @property
    def open(self) -> int:
        """Inputs without a fate."""
        return self.admitted - self.settled

    def admit(self, rows: NDArray[Any]) -> None:
        """Enter TARGET rows; their `ticket` is set."""
        if not len(rows):
            return
        tickets = self._take(len(rows))
        rows["ticket"] = tickets
        put(self._rows, tickets, rows)
        self.admitted += len(rows)

    def enter_by_owner(
        self, rows: NDArray[Any], hash_seed: int, owners: NDArray[np.uint16]
    ) -> list[tuple[int, NDArray[Any]]]:
        """Group TARGET rows by the worker that owns their shard: (owner, rows), each group in input order.

        The rows and their shards are entered in the ledger anew, because their source address and port, from
        which the shard follows, may have been chosen after `admit`. owners: by shard, the owner's number.
        """
        return group(rows, hash_seed, owners, self._rows, self._shards)

    def give(self, rows: NDArray[Any], holder: int = 0) -> None:
        """Note that these rows have been sent to a flow worker. holder: its number."""
        tickets = rows["ticket"].astype(np.intp)  # once for both
        self._given[tickets] = True
        self._holders[tickets] = holder

    def moved(self, shard: int, holder: int) -> None:
        """The flows of a shard that a worker has released were sent to the worker with the number
        `holder`.
        """
        self._holders[self._given & (self._shards == shard)] = holder

    def holds(self, holder: int, shard: int, tickets: NDArray[np.uint32]) -> bool:
        """Whether these are the inputs of this shard that worker `holder` was given and that have no fate:
        all of them, and each once. One that is left out would never get its fate.
        """
        held = np.flatnonzero(self._given & (self._shards == shard) & (self._holders == holder))
        return np.array_equal(np.sort(tickets), held)

    def not_theirs(self, tickets: NDArray[np.uint32], shares: Sequence[tuple[int, int]]) -> set[int]:
        """The numbers of flow workers that report an input which they were not given, or one input twice.

        shares: (number of a flow worker, how many of the tickets are its), in the order of the tickets.
        """
        by_holder: dict[int, list[NDArray[np.uint32]]] = {}
        at = 0
        for number, count in shares:
            by_holder.setdefault(number, []).append(tickets[at : at + count])
            at += count
        found = set()
        for number, parts in by_holder.items():
            theirs = np.sort(np.concatenate(parts))
            known = not len(theirs) or int(theirs[-1]) < len(self._given)
            held = known and (self._given[theirs] & (self._holders[theirs] == number)).all()
            if not held or (theirs[1:] == theirs[:-1]).any():
                found.add(number)
        return found

    def withdraw(self, tickets: NDArray[np.uint32]) -> NDArray[np.uint64]:
        """Free tickets of inputs that got their fate before they were given to a worker. Returns their input
        lines, (n,) uint64.
        """
        self._given[tickets] = True
        return self.settle(tickets)

    def settle(self, tickets: NDArray[np.uint32]) -> NDArray[np.uint64]:
        """Free tickets whose inputs have got their fate. Returns their input lines, (n,) uint64.

        Raises ValueError, and frees none, if one of them has no open input: its result came twice.
        """
        if len(tickets) and int(tickets.max()) >= len(self._given):
            raise ValueError("a result came for an input that there is not")
        if not self._given[tickets].all():
            raise ValueError("a result came for an input that has one already")
        ordered = np.sort(tickets)
        if (ordered[1:] == ordered[:-1]).any():
            raise ValueError("two results came for one input")
        self._given[tickets] = False
        self._free[self._free_count : self._free_count + len(tickets)] = tickets
        self._free_count += len(tickets)
        self.settled += len(tickets)
        return self._rows["line"][tickets]

    def take_back(self, shard: int) -> NDArray[Any]:
        """TARGET rows of a shard's inputs that were given out and have no fate, in input order: they are to
        be sent again.
        """
        tickets = np.flatnonzero(self._given & (self._shards == shard))
        self._given[tickets] = False
        rows = pick(self._rows, tickets)
        return pick(rows, np.argsort(rows["line"], kind="stable"))

    def _take(self, count: int) -> NDArray[np.uint32]:
        if count <= self._free_count:
            self._free_count -= count
            return self._free[self._free_count : self._free_count + count][::-1].copy()
        back = self._free_count
        new = count - back
        if new > len(self._rows) - self._unused:
            self._grow(new)
        self._free_count -= back
        tickets = np.empty(count, np.uint32)
        tickets[:back] = self._free[self._free_count : self._free_count + back][::-1]
        tickets[back:] = np.arange(self._unused, self._unused + new)
        self._unused += new
        return tickets

    def _grow(self, count: int) -> None:
        old = len(self._rows)
        new = old + max(count, old if old < 1 << 20 else old // 4)
        for name in ("_rows", "_shards", "_given", "_holders", "_free"):
            before = getattr(self, name)
            after = np.zeros(new, before.dtype)
            used = self._free_count if name == "_free" else old
            after[:used] = before[:used]
            setattr(self, name, after)


def _native_group(
    rows: Rows, hash_seed: int, owners: NDArray[np.uint16], kept: Rows, shards: NDArray[np.uint16]
) -> list[tuple[int, Rows]]:
    if not len(rows):
        return []
    grouped, counts = np.empty(len(rows), TARGET), np.empty(len(owners) + 1, np.uint32)
    NATIVE.deal(np.ascontiguousarray(rows), hash_seed, owners, kept, shards, grouped, counts)
    found, start = [], 0
    for owner, count in enumerate(counts.tolist()):
        if count:
            found.append((owner, grouped[start : start + count]))
            start += count
    return found


@in_c(_native_group)
def group(
    rows: Rows, hash_seed: int, owners: NDArray[np.uint16], kept: Rows, shards: NDArray[np.uint16]
) -> list[tuple[int, Rows]]:
    """Group TARGET rows by the owner of their shard: (owner, rows) by owner, each group in input order.

    owners: by shard, each at most the number of shards. kept, shards: by ticket; the rows and their shards
    are written there.
    """
    if not len(rows):
        return []
    tickets = rows["ticket"]
    put(kept, tickets, rows)
    shards[tickets] = shard_of(rows, hash_seed, len(owners))
    whose = owners[shards[tickets]]
    return [(owner, pick(rows, whose == owner)) for owner in distinct(whose).tolist()]
