"""The limit on outstanding flows: how many may wait for a first answer, so that their answers find room in
the rings.

It is to flows what TCP's congestion window (RFC 5681) is to bytes: new ones are begun while fewer than that
many answers are expected. Expected are the fresh flows (first packet sent, nothing received), less as many as
have been given up as silent within the last `wait`, because as many of the fresh ones will be silent too; and
at most as many as were begun within the time in which nearly all hosts answer (`prompt`). The latter does not
hold while no frame at all comes for so long: then whoever gives the answers, or the way to them, is held up,
and the answers will come together.

The limit begins at half of the frames that all rings hold, since answers spread evenly over the rings. Then
it follows the most frames that one turn has taken from one ring:

* half of the ring's frames or more: the limit halves, but not below a quarter of one ring's frames;
* where a sweep waits for another worker whose rings are filling up, at most once in `_PATIENCE`: it halves,
  but not below what it began with;
* where the limit has held flows back, at most once in `_PATIENCE`: it doubles if no frame came at all (once
  in `wait`, if hosts have answered soon before); grows by a quarter (at most by an eighth of all rings'
  frames) if less than an eighth of a ring was full; grows by an eighth of a ring, up to all rings' frames, if
  less than a quarter was.

So with a peer close by, whose answers come in bursts, it stays near what the rings hold; on the Internet,
where answers come one by one after long round trips, it grows to the rate times the round-trip time. All
times are monotonic ns; `now` is an argument.

Of the SYNs of a sweep more is known, since its pairs come in a pseudorandom order: the share that is
answered, and so how many answers are missing (`owed`). Whoever gives them is held up, and they will come
together. So they count, however long ago the SYNs were sent, and are never more than half of all frames.
While many of them are missing and no frame comes, or many flows wait whose hosts have answered before, the
limit does not double. Before the share is known it grows only where no frame came, up to all rings' frames,
as silence may be what fills it. Of targets that have answered already as many may be begun as half of it
holds, whatever else is awaited.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

_PATIENCE = 100_000_000
"""ns between two steps of growth. `python -m benchmarks.outstanding`: a worker reaches 150,000 flows a second
at once where hosts are 20 ms away, after 2.2 s at 200 ms and 5.2 s at 1,000 ms. With half as long it would be
0.3 and 1.0 s, and a worker that is held up would lose a tenth more frames; with four times as long it takes
over 8 s. Over a veth pair there is no difference (`benchmarks.endtoend`)."""
_SLICES = 16
"""Slices of `wait` in which flows that fell silent are counted, so that they can be forgotten after one
`wait`. A judgement: they are forgotten a sixteenth too late at most."""
_TOGETHER = 1 << 22
"""ns within which flows count as begun at once, so that few moments are remembered: an eighth of the least
time that `prompt` gives. A judgement."""
_NEARLY_ALL = 0.98
"""Share of the answers that have come within `prompt`; for its effect see ARCHITECTURE.md, Choices."""
_ENOUGH = 256
"""Answers needed before `prompt` gives a time. A judgement: 2 % of 256 are five."""
_LATELY = 8192
"""Answers at which all counts are halved. A judgement: at 100,000 a second that is 80 ms, at 1,000 eight
seconds, so it follows a scan that moves on to other networks."""
_LEAST = 1 << 25
"""The least time that `prompt` gives, ns. A judgement: a worker on a busy machine reads answers some 30 ms
late."""


class Outstanding:
    """The limit on outstanding flows, and how many places under it are free."""

    def __init__(self, frames: int, rings: int, wait: int) -> None:
        """frames: of the smallest receive ring. rings: how many there are.

        wait: ns after which a flow that has not answered is sent to again or given up.
        """
        self._frames = frames
        self._room = frames * rings
        self._least = frames // 4
        self._limit = self._room // 2
        self._wait = wait
        self._slice = max(1, wait // _SLICES)
        self._begun: deque[tuple[int, int]] = deque()
        self._prompt = wait
        self._silent: deque[tuple[int, int]] = deque()
        self._silent_total = 0
        self._grew = 0
        self._heard_at = 0  # when the last frame came
        self._fullest = 0  # frames, since it last grew
        self._held = False
        self._settled, self._many_owed = True, False  # see `room`

    @property
    def limit(self) -> int:
        """How many flows may wait for a first answer."""
        return self._limit

    def room(self, fresh: int, now: int, owed: int = 0, *, live: int = 0, settled: bool = True) -> int:
        """How many flows may be begun now. fresh: flows that have sent a packet and had no answer yet.

        Of a sweep, owed: answers to SYNs that are missing (`lzr.sweep.awaited`). live: how many of `fresh`
        are of hosts that have answered a SYN. settled: False where it is not known which share of the SYNs
        is answered.
        """
        while self._silent and self._silent[0][0] <= now - _SLICES * self._slice:
            self._silent_total -= self._silent.popleft()[1]
        soon = max(0, fresh - self._silent_total)
        if soon and now - self._heard_at < self._prompt < self._wait:
            soon = min(soon, self._begun_since(now - self._prompt))
        self._settled, self._many_owed = settled, settled and owed + live >= self._least
        # What is missing comes together, so half of the frames have to hold it, however high the limit is.
        room = min(self._limit - max(soon, owed), self._room // 2 - owed) if owed else self._limit - soon
        if room <= 0:
            self._held = True
        return max(0, room)

    def room_for_live(self, live: int) -> int:
        """How many targets may be begun now that have answered a SYN of a sweep: they do not wait for the
        answers of others.

        live: such flows that have sent a packet and had no answer to it yet. To be called after `room`.
        """
        return max(0, self._limit // 2 - max(0, live - self._silent_total))

    def _begun_since(self, then: int) -> int:
        count = 0
        for when, flows in reversed(self._begun):
            if when < then:
                break
            count += flows
        return count

    def note_begun(self, flows: int, now: int) -> None:
        """Count flows that were begun."""
        begun = self._begun
        if begun and now - begun[-1][0] < _TOGETHER:
            begun[-1] = (begun[-1][0], begun[-1][1] + flows)
        else:
            begun.append((now, flows))
        while begun and begun[0][0] < now - self._wait:  # `wait` may be shorter than _TOGETHER
            begun.popleft()

    def note_prompt(self, prompt: int | None, answers: int = 1) -> None:
        """Nearly all hosts that answer do so within `prompt` ns; None where that is not known.

        answers: how many answers a flow waits for one after the other, each of which may take as long.
        """
        self._prompt = self._wait if prompt is None else prompt * answers

    def note_silent(self, flows: int, now: int) -> None:
        """Count flows that had no answer within `wait`."""
        if not flows:
            return
        self._silent_total += flows
        if self._silent and now - self._silent[-1][0] < self._slice:
            when, before = self._silent.pop()
            self._silent.append((when, before + flows))
        else:
            self._silent.append((now, flows))

    def note_fill(self, frames: int, now: int) -> None:
        """A turn of the worker took so many frames from its fullest ring: adapt the limit."""
        # These shares are judgements. Half full is much: answers to flows begun before are still to come.
        if frames >= self._frames // 2:
            self._limit = max(self._least, self._limit // 2)
            self._heard_at = now
            self._start_over(now)
            return
        if frames:
            self._heard_at = now
        self._fullest = max(self._fullest, frames)
        held_up = self._fullest == 0 and self._prompt < self._wait
        if self._held and now - self._grew >= (max(_PATIENCE, self._wait) if held_up else _PATIENCE):
            if not self._settled:  # silence may be what fills it, or answers that are late
                self._limit = max(self._limit, self._room) if self._fullest == 0 else self._limit
            elif self._fullest == 0:
                self._limit *= 1 if self._many_owed else 2  # else nobody there answers at all
            elif self._fullest < self._frames // 8:
                self._limit += min(self._limit // 4, self._room // 8)
            elif self._fullest < self._frames // 4 and self._limit < self._room:
                self._limit += self._frames // 8
            self._start_over(now)

    def note_crowded(self, now: int) -> None:
        """No SYNs of a sweep leave, since another worker's ring is filling up: adapt the limit."""
        if now - self._grew >= _PATIENCE:
            self._limit = min(self._limit, max(self._room // 2, self._limit // 2))
            self._start_over(now)

    def _start_over(self, now: int) -> None:
        self._grew, self._fullest, self._held = now, 0, False


def prompt(ages: NDArray[np.int64]) -> int | None:
    """The time in ns within which nearly all answers come: the 98th percentile of the latest few thousand
    response times, rounded up to a power of two, so it is one to two times the true one. None while there
    were too few answers.

    ages: (AGES,) int64, `ages[k]` the number of answers that took 2^(k-1) to 2^k ns (`tcp.note_ages`);
    halved in place when there are many, so that old answers are forgotten.
    """
    so_far = ages.cumsum()
    total = int(so_far[-1])
    if total < _ENOUGH:
        return None
    if total > _LATELY:
        ages //= 2
    return max(_LEAST, 1 << int(np.searchsorted(so_far, _NEARLY_ALL * total)))
