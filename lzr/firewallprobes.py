"""ACKing firewalls: SYNs to ports where nobody listens, and what their answers say of the host.

The law: *asking never delays the flow itself*, and costs a host at most `haf` packets. A probe is a row of
its own, which ends with its answer or in silence; its `note` is the flow that it asks for.
"""

from __future__ import annotations

import numpy as np

from lzr import flowrows
from lzr.flowoutput import FlowOutput
from lzr.flowrows import Slots
from lzr.flowstore import TIMEOUT
from lzr.plan import EPHEMERAL
from lzr.rows import pick, put
from lzr.sharding import draw
from lzr.transitions import State


class FirewallProbes(FlowOutput):
    """The questions a `FlowTable` asks beside its handshakes."""

    def _start_probes(self, parents: Slots) -> None:
        """SYNs to random ephemeral ports of each host, once per flow. Never delays the flow itself."""
        plan = self.plan
        if not plan.haf or plan.force_all_handshakes:
            return
        parents = parents[self.rows["probed"][parents] == 0]
        if not len(parents):
            return
        self.rows["probed"][parents] = 1
        low, high = EPHEMERAL
        probes = pick(self.rows, np.repeat(parents, plan.haf))
        probes["note"] = np.repeat(parents, plan.haf)
        home = self._shards(probes)  # of the flow itself
        number = np.tile(np.arange(plan.haf, dtype=np.uint64), len(parents))
        offset = draw(plan.seed, probes["line"] * np.uint64(256) + number, 2) % np.uint64(high - low + 1)
        probes["peer_port"] = (np.uint64(low) + offset).astype(np.uint16)
        probes["state"] = State.PROBE
        slots = self._allocate(len(probes))
        probes["line"] = probes["line"] * np.uint64(256) + number
        chosen = self._choose_ports(probes, slots, home, salt=3)
        probes["line"] //= np.uint64(256)
        isn = flowrows.isn(probes, probes["key"], 2, plan.seed, plan.hash_seed)
        probes["una"] = isn + np.uint32(1)
        probes["nxt"] = probes["una"]
        probes["generation"] = self.rows["generation"][slots]
        put(self.rows, slots, probes)
        if not chosen.all():
            self._release_unindexed(slots[~chosen])
            slots = slots[chosen]
        self._emit_syn(slots)
        self._push_timer(TIMEOUT, slots)

    def _count_probe(self, slots: Slots) -> Slots:
        """SYN-ACKs have come from such ports. Returns the flows whose hosts are firewalls, by that."""
        probes = pick(self.rows, slots)
        self._drop_probe(slots)
        parents = probes["note"]
        rows = self.rows
        # The row may have ended and belong to another flow by now.
        alive = (rows["ticket"][parents] == probes["ticket"]) & (rows["line"][parents] == probes["line"])
        alive &= rows["state"][parents] != State.FREE
        parents = parents[alive]
        np.add.at(rows["hits"], parents, 1)
        parents = np.unique(parents)
        verdict = rows["hits"][parents] >= self.plan.hits_needed
        # Beside a follow-up nothing came from this host in a whole handshake; within the first handshake
        # a slow server may still answer, so the verdict waits for the flow's own time-out.
        waiting = np.isin(rows["state"][parents], (State.SYN_SENT, State.DELAYED))
        return np.asarray(parents[verdict & waiting], np.int32)

    def _drop_probe(self, slots: Slots) -> None:
        self.index.remove(self.rows["key"][slots])
        self._release_unindexed(slots)
