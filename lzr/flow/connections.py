"""The connections of flows: opened, answered, given up; the next handshake follows on a new connection.

`lzr.flow.table` describes the life of a flow; these are its steps, except for those that handle a reply
(`lzr.flow.replies`). Every method acts on all flows of a batch that take the same step. slots: their rows,
(n,) int32. segments: (n,) SEGMENT rows, one for each flow. now: monotonic ns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lzr.flow import tcp
from lzr.flow.ackfirewall import FirewallChecks
from lzr.flow.output import Output
from lzr.flow.reassembly import Reassembly
from lzr.flow.store import FlowStore
from lzr.flow.tcp import Rows, Slots
from lzr.flow.timers import DELAY, RETRANSMIT, TIMEOUT, Timers
from lzr.rows import ACK, PSH, Doubt, FlowState, Number, Reason, among, pick

_NOT_REPEATED = 900
"""A SYN-ACK within so many ms is not a repeated one (RFC 6298 §2.1: 1 s; clocks may be coarse)."""
_PORT, _ISN = 1, 1  # salts


class Connections:
    """The connections of the flows in `store`."""

    def __init__(
        self,
        store: FlowStore,
        timers: Timers,
        output: Output,
        firewall_checks: FirewallChecks,
        reassembly: Reassembly,
    ) -> None:
        self.fresh = 0
        """Flows whose first packet on a connection is out and has brought nothing yet."""
        self.retransmits = 0
        self.doubts = False
        """Whether any flow here ever was in doubt: spares the others the question."""
        self._config = store.config
        self._store, self._timers, self._output = store, timers, output
        self._firewall_checks, self._reassembly = firewall_checks, reassembly

    def count_fresh(self) -> None:
        """Count `fresh` anew, after flows have been moved in or out with their shard."""
        self.fresh = tcp.count_fresh(self._store.rows)

    def forget_fresh(self, slots: Slots) -> None:
        """Take these flows out of the count of `fresh`."""
        self.fresh -= tcp.count_fresh(pick(self._store.rows, slots))

    def send_syn(self, slots: Slots, now: int) -> None:
        """Open connections of our own."""
        self._store.rows["state"][slots] = FlowState.SYN_SENT
        if self._config.retransmit_number > 1:
            self._store.rows["syn_ms"][slots] = _milliseconds(now)
        self._output.send_syn(slots)
        self.fresh += len(slots)
        self._timers.arm_retransmit(slots, now)

    def accept(self, slots: Slots, segments: Rows, now: int) -> None:
        """Take SYN-ACKs that answer our SYNs: complete the connections, and send the probes."""
        self._store.rows["rcv"][slots] = segments["seq"] + np.uint32(1)
        self._store.rows["state"][slots] = FlowState.DATA_SENT
        if self._config.retransmit_number > 1:
            waited = _milliseconds(now) - self._store.rows["syn_ms"][slots]
            self._store.rows["measured"][slots] = (waited < _NOT_REPEATED) & (
                self._store.rows["counter"][slots] == 0
            )
        self._store.rows["counter"][slots] = 0
        self.send_first(slots, now)

    def refuse_window(self, slots: Slots, segments: Rows, now: int) -> None:
        """End flows whose SYN-ACKs announce a window of zero."""
        self._store.rows["rcv"][slots] = segments["seq"] + np.uint32(1)
        self.finish(slots, self.zero_window_reason, now)

    @property
    def zero_window_reason(self) -> int:
        """The Reason of a flow whose SYN-ACK announced no window; in a port scan its port counts as open."""
        return Reason.ZERO_WINDOW if self._config.probes else Reason.SA_ONLY

    def send_first(self, slots: Slots, now: int) -> None:
        """The ACK that completes the handshake, with the probe unless only PSH may carry it."""
        if not self._config.probes:
            self.finish(slots, Reason.SA_ONLY, now)
            return
        self.fresh += len(slots)
        if self._config.push_data_only:
            self._output.send(slots, Number.UNA, ACK)
            self._timers.arm_retransmit(slots, now)
        else:
            self._output.send_probe(
                slots, ACK, now, RETRANSMIT if self._config.retransmit_number else TIMEOUT
            )

    def note_ack(self, slots: Slots, now: int) -> None:
        """The peer has acknowledged a probe and sent no data: wait for data, and check for a firewall."""
        self._store.rows["state"][slots] = FlowState.ACKED
        self._timers.arm_retransmit(slots, now)
        self._firewall_checks.ask(slots, now)

    def retransmit(self, slots: Slots, now: int) -> None:
        """Send the probes again, with PSH."""
        self.retransmits += len(slots)
        self._store.rows["counter"][slots] += 1
        self._output.send_probe(slots, ACK | PSH, now)
        self._timers.arm_retransmit(slots, now)

    def repeat(self, slots: Slots, now: int) -> None:
        """The peer repeats its SYN-ACK, so our ACK and its data were lost: send the probe again at once.

        This takes the place of a retransmit that would be due later: however often the peer repeats, it gets
        no more probes than were asked for.
        """
        counted = "answers" if self._config.push_data_only else "counter"  # those carry no probe
        slots = slots[self._store.rows[counted][slots] < self._config.retransmit_number]
        if not len(slots):
            return
        self.retransmits += len(slots)
        if self._config.push_data_only:
            self._store.rows["answers"][slots] += 1
            self._output.send(slots, Number.UNA, ACK)
        else:
            self.forget_fresh(slots)
            self._store.rows["counter"][slots] += 1
            self._output.send_probe(slots, ACK, now)
            self._timers.arm_retransmit(slots, now)

    def retransmit_syn(self, slots: Slots, now: int) -> None:
        """Send the SYNs again."""
        self.retransmits += len(slots)
        self._store.rows["counter"][slots] += 1
        self._output.send_syn(slots)
        self._timers.arm_retransmit(slots, now)

    def ask_again(self, slots: Slots, now: int) -> None:
        """The answers to the last packets of these flows may be lost here: one packet more is sent to each.

        They stay counted as flows that have been asked repeatedly: as fresh ones they would soon be silent a
        second time, and the window would take that for as many free places.
        """
        self._timers.arm(RETRANSMIT, slots, now)

    def give_up_fin(self, slots: Slots, now: int) -> None:
        """The peer has closed the connections and sent no data: `give_up` with the reason FIN."""
        self._store.rows["rcv"][slots] += np.uint32(1)  # a FIN takes a sequence number
        self.give_up(slots, Reason.FIN, now)

    def give_up(self, slots: Slots, reason: int, now: int) -> None:
        """Go on to the next handshake, since this one brought no data; after the last, end with `reason`."""
        rows = self._store.rows
        if self.doubts and reason == Reason.RST:
            slots = self._reopen(slots, now)
        if self.doubts and reason == Reason.NO_SYN_ACK:
            refused = rows["doubt"][slots] == Doubt.REOPENED
            self.give_up(slots[refused], Reason.RST, now)  # so the RST was the service's own
            slots = slots[~refused]
        if not len(slots):
            return
        if self._firewall_checks.wanted:
            firewall = self._firewall_checks.are_firewalls(slots, silent=reason == Reason.SILENT)
            if firewall.any():
                self.finish(slots[firewall], Reason.FIREWALL, now)
                slots = slots[~firewall]
        if len(self._config.probes) == 1:
            self.finish(slots, reason, now)
            return
        first_syn = (rows["state"][slots] == FlowState.SYN_SENT) & self._store.at_first(slots)
        more = self._store.has_another(slots) & ~first_syn
        if not more.all():
            self.finish(slots[~more], reason, now)
        if more.any():
            if reason != Reason.RST:
                self._output.send_close(slots[more], reason)
            self._follow_up(slots[more], now)

    def finish(
        self,
        slots: Slots,
        reason: int,
        now: int,
        lengths: NDArray[np.uint32] | None = None,
        payloads: bytes = b"",
        cut: NDArray[np.bool_] | None = None,
    ) -> None:
        """Close the connections, make the outcomes, free the rows; with -forceAllHandshakes go on with the
        next handshake.

        lengths: bytes of each flow's part of `payloads`. cut: (n,) bool, True where more had come than is
        kept.
        """
        if not len(slots):
            return
        if self._reassembly:
            self._reassembly.forget(slots.tolist())
        if self._config.force_all_handshakes:
            self._finish_some(slots, reason, now, lengths, payloads, cut)
            return
        self._output.finish(slots, reason, lengths, payloads, cut)

    def _finish_some(
        self,
        slots: Slots,
        reason: int,
        now: int,
        lengths: NDArray[np.uint32] | None,
        payloads: bytes,
        cut: NDArray[np.bool_] | None,
    ) -> None:
        """`finish` where every handshake is tried (-forceAllHandshakes): flows that have one left go on."""
        if reason not in (Reason.RST, Reason.NO_SYN_ACK, Reason.SEND_REFUSED, Reason.BLOCKED):
            self._output.send_close(slots, reason)
        final = np.ones(len(slots), bool)
        if reason == Reason.DATA:
            final = ~self._store.has_another(slots)
        if lengths is None:
            lengths = np.zeros(len(slots), np.uint32)
        self._output.hold(slots, reason, lengths, payloads, final, cut)
        if final.all():
            self._store.release(slots)
            return
        self._store.release(slots[final])
        going = slots[~final]
        self._store.rows["kept"][going] = 1
        self._follow_up(going, now)

    def end_firewalled(self, slots: Slots, met: Slots, now: int) -> None:
        """End flows whose hosts are ACKing firewalls. met: slots of flows of which a segment is being
        handled.
        """
        if len(slots):
            unmet = slots[~among(slots, met)]  # the others have shown a sign of life by now
            self.forget_fresh(unmet)
            self.finish(slots, Reason.FIREWALL, now)

    def _reopen(self, slots: Slots, now: int) -> Slots:
        """Open connections again that our own kernel may have reset; returns the slots of all other flows."""
        doubtful = self._store.rows["doubt"][slots] == Doubt.HALF_OPEN
        again = slots[doubtful]
        if len(again):
            self._store.rows["doubt"][again] = Doubt.REOPENED
            self.send_syn(self._reconnect(again, now), now)
        rest: Slots = slots[~doubtful]
        return rest

    def _follow_up(self, slots: Slots, now: int) -> None:
        """Begin the next handshake, on a new connection."""
        if self._config.handshake_orders is None:
            self._store.rows["handshake"][slots] += 1
        else:
            self._store.rows["handshake"][slots] = self._store.following(slots)
        self._store.rows["doubt"][slots] = Doubt.NONE  # it was about the first connection
        slots = self._reconnect(slots, now)
        self._firewall_checks.ask(slots, now)  # may grow the table
        if self._config.probe_delay > 0:
            self._store.rows["state"][slots] = FlowState.DELAYED
            self._timers.arm(DELAY, slots, now)
        else:
            self.send_syn(slots, now)

    def _reconnect(self, slots: Slots, now: int) -> Slots:
        """Give flows a new source port of the same shard and a new ISN. Returns the slots of those that got
        one.

        The others end: no port is left for their hosts.
        """
        rows = self._store.rows
        if self._reassembly:
            self._reassembly.forget(slots.tolist())
        flows = pick(rows, slots)
        number = flows["line"] * np.uint64(256) + flows["handshake"]
        chosen = self._store.choose_ports(flows, slots, self._store.shards(flows), number, _PORT)
        if not chosen.all():
            lost = slots[~chosen]
            rows["state"][lost] = FlowState.SYN_SENT  # what is awaited from now on
            self.finish(lost, Reason.NO_SYN_ACK, now)
            flows, slots, number = flows[chosen], slots[chosen], number[chosen]
        self._store.index.remove(rows["key"][slots])
        for name in ("own_port", "key"):
            rows[name][slots] = flows[name]
        for name in ("counter", "answers"):
            rows[name][slots] = 0
        isn = tcp.isn(flows, number, _ISN, self._config.secrets)
        rows["una"][slots] = isn + np.uint32(1)
        rows["nxt"][slots] = isn + np.uint32(1)
        return slots


def _milliseconds(now: int) -> np.uint32:
    """The monotonic clock in ms, mod 2^32."""
    return np.uint32(now // 1_000_000 & 0xFFFFFFFF)
