"""Frames on their way out: they leave as fast as the budget allows, and wait while a ring is stuck.
What the kernel does with them is seen in `workers.flow.transmitring`.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr.ipc import messages
from lzr.pacing.maxrate import Budget
from lzr.packet.payloads import ProbeTemplate
from lzr.packet.segments import Builder
from lzr.packet.ways import Ways
from lzr.rows import pick
from lzr.targets.blocklist import Blocklist
from workers.flow.sendpaths import Routed, SendPaths
from workers.flow.transmitring import SendFailure, TransmitRing
from workers.flow.transmitrows import SHORT

_LONG = 50_000_000
"""ns without anything sent from which on timers are postponed by as much. A judgement: a twentieth of the
shortest time-out in use (1 s), so shorter waits change no result."""
_FINE, _COARSE = 1_000_000, 3_000_000
"""ns between two parts of a burst that is spread: where there is much to send, and where there is little."""
_TOGETHER = 8
"""Frames that leave together, where they are not further apart anyway. 65,536 pairs at 10,000 a second
(`benchmarks.beside`) took a worker 0.42 s of CPU with 8, 0.34 s with 16, 0.37 s when it made a turn for each
three ms' worth."""
_KEPT = 256
"""Of the packets that may wait until the kernel has room for them, so many are no SYNs of a sweep: who has
answered does not wait behind those. A judgement."""
_SELDOM = 1 / 16
"""The least share of a sweep's SYNs that is reckoned with for the kernel to route: so seldom do fewer leave
together for it. They come in a pseudorandom order, so the next ones have about the share of the last ones. At
400,000 pairs a second, one in 65,536 on a link of our own, all processes took 0.76 times the CPU of taking
256 pairs at once."""
_LAST_TRIES = 0.5
"""Seconds for which sending the last frames of a scan, mostly RSTs, is tried. A judgement: an interface that
takes nothing for so long is down, and the end of a scan should not wait for it."""


class Transmit:
    """Sends the frames of all flows of a worker by one of its rings; any frame may use any ring.

    postpone: called with (ns, now) after time in which nothing could be sent; sets all timers later, since no
    peer could answer (`Timers.postpone`). budget: the limits of --max-rate and --bandwidth, None for no
    limit. shards: how many the scan has, for a worker's share of the budget. routed: sends what does not
    leave by a ring.
    """

    def __init__(
        self,
        builder: Builder,
        postpone: Callable[[int, int], None],
        budget: Budget | None,
        shards: int,
        routed: Routed | None = None,
    ) -> None:
        self.routed = Routed(()) if routed is None else routed
        self._paths = SendPaths(builder)
        self._postpone_timers = postpone
        self._budget = budget
        self._shards = shards
        self._rings: list[TransmitRing] = []
        self._waiting: deque[NDArray[Any]] = deque()  # FRAME rows that budget or a stuck ring holds back
        self._stuck: list[TransmitRing] = []  # rings with frames that the kernel has not taken
        self._stuck_since = 0
        self._by_kernel = 1.0  # share of the last SYNs of a sweep that the kernel routes
        self.slept = 0
        """ns, in the midst of bursts that are spread."""
        self.policy: Blocklist | None = None
        """Whom frames may be sent to, where somebody was blocked since the scan began."""

    @property
    def link(self) -> int:
        """Interface index by which the rings' frames leave; 0: their sockets are bound to it."""
        return self._paths.link

    @property
    def ways(self) -> Ways:
        """How packets leave, by their destination."""
        return self._paths.ways

    @property
    def most_begun(self) -> int:
        """How many flows may be begun, as packets may wait for the kernel to have room for them."""
        return 1 << 30 if self._paths.plain else self.routed.room

    def allowed(self, now: int, octets: int) -> int:
        """How many frames --max-rate and --bandwidth let leave now. octets: what one has at most."""
        return 1 << 30 if self._budget is None else self._budget.frames(now, octets)

    @property
    def room(self) -> int:
        """How many SYNs of a sweep may be made, as those that the kernel routes may wait for room there."""
        return int(max(0, self.most_begun - _KEPT) / self._by_kernel)

    def queue(self, burst: NDArray[Any]) -> None:
        """Queue FRAME rows behind those that wait, to leave with the next that are sent."""
        self._waiting += self._permitted((burst,))

    def block(self, policy: Blocklist) -> None:
        """From now on send no frame to anybody whom this policy does not allow, queued ones included."""
        self.policy = policy
        self._waiting = deque(self._permitted(self._waiting))
        self.routed.block(policy)
        for ring in self._rings:
            ring.block(policy)

    def _permitted(self, bursts: Iterable[NDArray[Any]]) -> Iterable[NDArray[Any]]:
        """The bursts without FRAME rows to hosts that the policy does not allow."""
        policy = self.policy
        if policy is None:
            return bursts
        kept = (pick(rows, policy.allowed(rows["peer_hi"], rows["peer_lo"])) for rows in bursts)
        return [rows for rows in kept if len(rows)]

    def take_routes(self, routes: messages.Routes, probes: tuple[ProbeTemplate, ...]) -> None:
        """Send packets by these ways from now on."""
        self._paths, self._by_kernel = SendPaths.of(routes, probes), 1.0
        for ring in self._rings:
            ring.link = self._paths.link

    def add(self, ring: TransmitRing, now: int) -> None:
        """Take over one more ring."""
        self._rings.append(ring)
        if self.policy is not None:
            ring.block(self.policy)
        if ring.stuck:
            self.note_stuck(ring, now)
        self._share(now)

    def remove(self, ring: TransmitRing, now: int) -> bool:
        """Give up a ring with the frames in it, which another worker gets. Returns whether frames that wait
        here are dropped, since this was the last ring and there was no room in it."""
        self._rings.remove(ring)
        if ring in self._stuck:
            self._stuck.remove(ring)
        dropped = not self._rings and bool(self._waiting)
        if dropped:
            ring.errors["no room"] += sum(map(len, self._waiting))  # their flows go, and will send again
            self._waiting.clear()
        self._share(now)
        return dropped

    def _share(self, now: int) -> None:
        if self._budget is not None:
            self._budget.set_share(len(self._rings) / self._shards, now)

    @property
    def held(self) -> bool:
        """Whether frames are held back."""
        return bool(self._waiting or self._stuck)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to send, packets that the kernel routes included."""
        return not (self._waiting or self._stuck) and self.routed.empty

    def wait(self, now: int) -> float | None:
        """Seconds until frames that are held back may leave or be tried again; None if there are none."""
        if self._stuck:
            return max(0, min(ring.retry_at for ring in self._stuck) - now) / 1e9
        waits = self._budget.wait() if self._waiting and self._budget is not None else None
        routed = self.routed.patience
        return waits if routed is None else routed if waits is None else min(routed, waits)

    def send(self, bursts: Iterable[NDArray[Any]], now: int, *, all_of_it: bool = False) -> None:
        """Send FRAME rows: those the budget allows, or with `all_of_it` all. Raises SendFailure.

        While a ring is stuck they wait here; with `all_of_it` they are put into the rings as far as there is
        room.
        """
        self._waiting += self._permitted(bursts)
        self.routed.flush()
        if self._stuck and not self._try_again(now) and not all_of_it:
            return
        if self._waiting:
            assert self._rings  # flows come only after a shard has been adopted
            self._put(self._rings[-1], now, all_of_it)
        if self._stuck and all_of_it:
            self._postpone(now)  # a shard may be about to leave with its timers
            for ring in self._rings:
                self._put(ring, now, all_of_it)

    def spread(self, burst: NDArray[Any], now: int, over: int, *, first: int) -> None:
        """Send FRAME rows evenly over the next `over` ns, the `first` of them at once, behind what waits.

        If we wake up late, the frames that are due leave at once. What may not leave yet waits, as with
        `send`. Raises SendFailure.
        """
        before = self.routed.made
        self._spread(burst, now, over, first)
        share = (self.routed.made - before) / max(1, len(burst))
        self._by_kernel = max(_SELDOM, share, self._by_kernel / 2)

    def _spread(self, burst: NDArray[Any], now: int, over: int, first: int) -> None:
        first = min(first, len(burst))
        rest = len(burst) - first
        count = max(1, min(over // _FINE, max(over // _COARSE, rest // _TOGETHER))) if rest else 1
        numbers = np.arange(count)
        ends, moments = first + rest * (numbers + 1) // count, now + numbers * over // count
        begun = self._spread_straight(burst, (ends, moments), now)
        if begun == len(burst):
            return
        for end, moment in zip(ends.tolist(), moments.tolist(), strict=True):
            if end <= begun:
                continue
            wait = moment - time.monotonic_ns()
            if wait > SHORT:
                time.sleep(wait / 1e9)
                self.slept += wait
            self.send((burst[begun:end],), now)
            begun = end

    def _spread_straight(
        self, burst: NDArray[Any], parts: tuple[NDArray[np.int64], NDArray[np.int64]], now: int
    ) -> int:
        """Send parts of a burst by a ring alone, where all may leave so and nothing waits.

        parts: where each ends, and when it is due (ns). Returns how many rows were sent, or wait in the ring.
        """
        self.send((), 0)
        paths, plain = self._paths, self.empty and self._budget is None and bool(self._rings)
        if not plain or self.policy is not None or not paths.all_by_rings(burst):
            return 0
        out = self._rings[-1]
        placed, slept = out.spread(burst, paths.builder, parts)
        self.slept += slept
        if not out.empty and not out.flush():
            self.note_stuck(out, now)
        return placed

    def finish(self) -> None:
        """Send everything that is left; an interface that does not take it is not waited for."""
        until = time.monotonic() + _LAST_TRIES
        with contextlib.suppress(SendFailure):
            self.send((), time.monotonic_ns(), all_of_it=True)
            while self.held and time.monotonic() < until:
                time.sleep(0.005)
                self.send((), time.monotonic_ns(), all_of_it=True)

    def _put(self, out: TransmitRing, now: int, all_of_it: bool) -> None:
        budget = self._budget
        while self._waiting:
            burst = self._waiting.popleft()
            if budget is not None:
                room = len(burst) if all_of_it else budget.frames(now)
                if room < len(burst):
                    self._waiting.appendleft(burst[room:])
                    burst = burst[:room]
                if not room:
                    break
            octets, others, count = out.placed_octets, 0, len(burst)
            if not self._paths.plain:
                burst, others = self._paths.divert(burst, self.routed)
            placed = out.send(burst, self._paths.builder) if len(burst) else 0
            if budget is not None:
                budget.spend(count - len(burst) + placed, out.placed_octets - octets + others)
            if placed < len(burst):
                self._waiting.appendleft(burst[placed:])
                break
        if not out.flush():
            self.note_stuck(out, now)

    def note_stuck(self, ring: TransmitRing, now: int) -> None:
        """The kernel has not taken this ring's frames: try again later, and hold back others."""
        if not self._stuck:
            self._stuck_since = now
        if ring not in self._stuck:
            self._stuck.append(ring)

    def _try_again(self, now: int) -> bool:
        """Try the rings that are stuck again; whether none is left."""
        self._stuck = [ring for ring in self._stuck if not ring.flush()]
        if not self._stuck:
            self._postpone(now)
        return not self._stuck

    def _postpone(self, now: int) -> None:
        held = now - self._stuck_since
        if held > _LONG:
            self._postpone_timers(held, now)
            self._stuck_since = now
