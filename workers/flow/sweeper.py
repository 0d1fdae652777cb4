"""A flow worker's part in a sweep: it sends SYNs without a flow, and recognises the answers.

Nothing is kept of a SYN once it has left. An answer is recognised by the number it acknowledges
(`lzr.sweep.cookie`), reported to the coordinator, and forgotten, except that the latest ones are remembered
so that a host that repeats its answer is reported once. The coordinator makes a target of it, half open as
from a line of ZMap, for the worker that owns its shard.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr.flow.ackfirewall import FirewallChecks
from lzr.flow.config import FlowConfig
from lzr.ipc import messages
from lzr.ownaddresses import OwnAddresses
from lzr.packet.ways import Ways
from lzr.rows import FRAME, TARGET, join, pick
from lzr.sweep.ackfirewalls import TOLD
from lzr.sweep.awaited import Awaited
from lzr.sweep.cookie import ANSWERED, REFUSED, Cookies
from lzr.sweep.permutation import Permutation
from lzr.sweep.share import Share
from lzr.sweep.space import Space
from lzr.sweep.spread import Spread
from lzr.sweep.syns import Syns
from lzr.sweep.verdict import Verdict
from lzr.targets.blocklist import Blocklist
from lzr.targets.dedup import RecentTargets

Rows = NDArray[Any]
Reports = list[messages.SweepAnswers | messages.Firewalls]

_REMEMBERED = 1 << 16
"""Answers that are recognised when they are repeated. A judgement: at 100,000 a second, a tenth of which
answer, six seconds' worth; and hosts repeat a SYN-ACK after one and three (RFC 6298 §2.1)."""
_MOST = 1 << 15
"""Most rows in one report. A judgement: 2 MB, a quarter of what a report may have."""
_TELL, _MUCH = 32_000_000, 256
"""ns between two reports where they have so many answers; twice as many where they have fewer. Judgements: a
round trip mostly takes longer, and a report costs its reader as much as a hundred answers."""
_MANY = 16
"""Batches of answers after which a report is sent earlier. A judgement: of up to `workers.flow.engine.TAKE`
frames."""
_MAKE = 4096
"""SYNs that are made at once: a batch of them finds room in a core's cache, and costs little more than a
small one."""
_SHARED = ("peer_hi", "peer_lo", "own_hi", "own_lo", "peer_port", "own_port")


class Sweeper:
    """to_ask: the pairs that SYNs are to be sent to. repeats: answers that had come before."""

    def __init__(self, swept: messages.Swept, config: FlowConfig, soon: int) -> None:
        """soon: ns after a SYN within which its answer is expected."""
        space = Space.of(swept.ranges, swept.ports)
        share = Share(space, Permutation.of(space.pairs, swept.order), tuple(swept.mine.tolist()), swept.step)
        keys = config.secrets
        self._cookies = Cookies(keys.syn, keys.cookie, config.ports)
        own = OwnAddresses(swept.v4, swept.v6, keys.addresses)
        self._syns = Syns(share, own, self._cookies)
        self.to_ask: Spread[messages.Stretch] = Spread()
        self._made: Rows = np.empty(0, FRAME)  # SYNs of the stretch that is being asked
        self._made_from = self._made_to = 0  # for these pairs of it
        self._left = 0  # of those pairs, not asked yet
        self._sparse = 1  # of so many of them one has a SYN
        self._tell_at = 0
        self._begun: list[messages.Stretch] = []  # whose last SYN was made
        self._twice: set[int] = set()  # numbers of stretches asked again here, as some SYNs may not have left
        # Numbers of those that left this worker, and the packets made then.
        self._leaving: deque[tuple[int, int]] = deque()
        self._rows: list[Rows] = []
        self._verdicts: list[NDArray[np.uint8]] = []
        self._answered, self._refused, self._unreachable = (
            RecentTargets(_REMEMBERED, secrets.randbits(64)) for _ in range(3)
        )
        self.policy: Blocklist | None = None
        """Who may be asked, where somebody was blocked since the sweep began."""
        self.firewalls: Callable[[Rows], NDArray[np.bool_]] | None = None
        """Which rows are to ACKing firewalls, so that they are not sent; None where all are sent."""
        self._found: Callable[[int], NDArray[np.uint64]] | None = None
        self.repeats = 0
        self.forged = 0
        """ICMP errors that quote no SYN of ours."""
        self.awaited = Awaited(soon)

    def spare(self, checks: FirewallChecks, ports: int) -> None:
        """Ask no hosts that `checks` finds to answer on any port, and report them. ports: that are swept."""
        self.firewalls, self._found = checks.sweep(ports), checks.take_found

    # --- asking --------------------------------------------------------------------------------------------

    def put(self, stretch: messages.Stretch) -> None:
        """Add a stretch, to be sent in its turn."""
        self.to_ask.put(stretch, stretch.count, stretch.span, stretch.begin)

    def ask(self, most: int, ways: Ways, now: int) -> Rows:
        """FRAME rows: at most so many SYNs to pairs that are due; some more where few pairs get one."""
        parts: list[Rows] = []
        pairs = _MAKE
        while most > 0 and pairs > 0:
            # Pairs that get no SYN do not count, but there is an end to looking at them.
            look = min(most * self._sparse, self._left) if self._left else most
            taken = self.to_ask.take(min(look, pairs), now)
            if taken is None:
                break
            stretch, done, count, over = taken
            at, end = done, done + count
            while at < end:
                if not at or at == self._made_to:
                    self._make(stretch, at, ways)
                to, made = min(end, self._made_to), self._made_to - self._made_from
                # Some of its pairs may have no SYN: the others are spread as the pairs are.
                first, last = (len(self._made) * (place - self._made_from) // made for place in (at, to))
                parts.append(self._permitted(self._made[first:last], twice=stretch.number in self._twice))
                most -= len(parts[-1])
                at = to
            if over:
                self._begun.append(stretch)
                self._twice.discard(stretch.number)
            self._left = 0 if over else self._made_to - end
            pairs -= count
        rows = join(parts) if parts else np.empty(0, FRAME)
        self.awaited.note(now, len(rows), 0)
        return rows

    def ask_again(self, now: int) -> None:
        """SYNs that had not left were dropped: all of their stretches are asked again, by us if we get
        another ring, or else by whoever is given them when we end.
        """
        if (begun := self.to_ask.restart()) is not None:
            self._twice.add(begun.number)
        self._left = 0
        for stretch in self._begun:
            self.to_ask.put(stretch, stretch.count, 0, now)
            self._twice.add(stretch.number)
        self._begun.clear()

    def _make(self, stretch: messages.Stretch, begin: int, ways: Ways) -> None:
        """Make the SYNs of up to _MAKE pairs of a stretch, from its pair `begin` on, also where they leave in
        slices.
        """
        end = min(stretch.count, begin + _MAKE)
        skip = None
        if len(stretch.skip):
            skip = np.unpackbits(stretch.skip, count=stretch.count)[begin:end] != 0
        self._made, lost = self._syns.take(stretch.first + begin, end - begin, ways, skip)
        self._made_from, self._made_to = begin, end
        self._sparse = max(1, (end - begin) // max(1, len(self._made)))
        if len(lost):
            self._tell(_targets(lost), np.full(len(lost), Verdict.NO_WAY, np.uint8))

    def _permitted(self, rows: Rows, *, twice: bool) -> Rows:
        """The FRAME rows to hosts that may be contacted and are worth it; the coordinator is told of the
        others. twice: their SYNs may have left before, so it cannot be said that they got none.
        """
        if self.firewalls is not None:
            known = self.firewalls(rows)
            if known.any():
                behind = _targets(pick(rows, known))
                if not twice:
                    self._tell(behind, np.full(len(behind), Verdict.FIREWALL, np.uint8))
                rows = pick(rows, ~known)
        if self.policy is None:
            return rows
        allowed = self.policy.allowed(rows["peer_hi"], rows["peer_lo"])
        blocked = _targets(pick(rows, ~allowed))
        self._tell(blocked, np.full(len(blocked), Verdict.BLOCKED, np.uint8))
        return pick(rows, allowed)

    # --- hearing -------------------------------------------------------------------------------------------

    def hear(self, segments: Rows, now: int) -> int:
        """Take SEGMENT rows that belong to no flow; returns how many of them answer our SYNs."""
        judged = self._cookies.judge(segments)
        believed = 0
        for kind, verdict, recent in (
            (ANSWERED, Verdict.ANSWERED, self._answered),
            (REFUSED, Verdict.REFUSED, self._refused),
        ):
            found = np.flatnonzero(judged == kind)
            if not len(found):
                continue
            believed += len(found)
            rows = _targets(pick(segments, found))
            rows = pick(rows, recent.fresh(rows))
            self.repeats += len(found) - len(rows)
            self.awaited.note(now, 0, len(rows))
            self._tell(rows, np.full(len(rows), verdict, np.uint8))
        return believed

    def hear_errors(self, quoted: Rows, kinds: NDArray[np.uint8], now: int) -> int:
        """Take the FRAME rows that ICMP errors quote, and the kind of each error (`lzr.packet.icmp`).

        Returns how many of them are the first news of a pair.
        """
        believed = self._cookies.sent(quoted)
        self.forged += len(quoted) - int(np.count_nonzero(believed))
        rows, kinds = _targets(pick(quoted, believed)), kinds[believed]
        fresh = self._unreachable.fresh(rows)
        self.repeats += len(rows) - int(np.count_nonzero(fresh))
        rows, kinds = pick(rows, fresh), kinds[fresh]
        self.awaited.note(now, 0, len(rows))
        self._tell(rows, kinds + np.uint8(Verdict.UNREACHABLE))
        return len(rows)

    def _tell(self, rows: Rows, verdicts: NDArray[np.uint8]) -> None:
        if len(rows):
            self._rows.append(rows)
            self._verdicts.append(verdicts)

    def telling(self, now: int) -> bool:
        """Whether a report is due: there is much to report, or it has waited long."""
        return now >= self._tell_at or len(self._rows) > _MANY

    def reports(self, now: int, *, left: bool, made: int = 0, gone: int = 0) -> Reports:
        """The reports to send now. left: of the SYNs that were made, none waits in this worker but those that
        the kernel is to route. made: how many packets for the kernel to route were made. gone: all of them
        with a lower number have been sent (`workers.flow.sendpaths`).
        """
        if left:
            self._leaving += ((stretch.number, made) for stretch in self._begun)
            self._begun.clear()
        begun: list[int] = []
        while self._leaving and self._leaving[0][1] <= gone:
            begun.append(self._leaving.popleft()[0])
        hosts = np.empty(0, np.uint64) if self._found is None else self._found(TOLD)
        found: Reports = [messages.Firewalls(hosts)] if len(hosts) else []
        if not begun and not self._rows:
            return found
        rows = join(self._rows) if self._rows else np.empty(0, TARGET)
        verdicts = np.concatenate([np.empty(0, np.uint8), *self._verdicts])
        self._rows, self._verdicts = [], []
        self._tell_at = now + (_TELL if len(rows) >= _MUCH else 2 * _TELL)
        ends = range(_MOST, max(1, len(rows)) + _MOST, _MOST)
        # What is sent comes with the last answers, not before them: a stretch that is sent may be over.
        return found + [
            messages.SweepAnswers(
                begun if end >= len(rows) else [], rows[end - _MOST : end], verdicts[end - _MOST : end]
            )
            for end in ends
        ]


def _targets(rows: Rows) -> Rows:
    """SEGMENT or FRAME rows as half-open TARGET rows."""
    made = np.zeros(len(rows), TARGET)
    names = rows.dtype.names or ()
    for name in (*_SHARED, *(name for name in ("seq", "ack", "window", "ttl") if name in names)):
        made[name] = rows[name]
    return made
