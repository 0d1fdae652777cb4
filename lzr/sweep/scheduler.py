"""Which worker sends which stretch of a sweep, and what is known of each pair until its time is over: a pure
machine.

The places of a share are assigned in order, in stretches, to whichever worker has room. A stretch is

* *given* to a worker, until the worker reports that its SYNs have left;
* *sent*, and waits for answers. The stretch at the front is closed, and the outcome of its pairs reported,
  once every pair in it has answered, or `cooldown` seconds have passed since its last SYN;
* assigned *again* where another SYN was asked for (`probes`), and after a worker's death. The dead worker may
  have taken answers off its rings that it did not report. So what it was given and had not sent is sent
  again, and so are the SYNs of any worker that left less than `AGAIN` seconds before the moment up to which
  the dead worker had reported everything, or later. A stretch that another worker has not sent to its end, as
  far as is known, may have been answered to the dead one in part: it is assigned again once it is sent. Pairs
  that have answered are left out then; those of an ICMP error are not, as the host's own answer may be what
  was lost. The same where frames found no room in a receive ring, `AGAIN_DROPPED` times at most.

The verdict on each pair is kept here, a byte a pair from the first open stretch to the last assigned one, and
nowhere else. So only the first answer of a pair makes a flow, whichever worker hears it and whichever died in
between. Answers after a stretch was closed are too late.

Numbers of places and seconds in, values out; `now` is an argument.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lzr.sweep.verdict import SPOKEN, Verdict

Mask = NDArray[np.bool_]
Places = NDArray[np.int64]
Verdicts = NDArray[np.uint8]
Spared = Callable[[int, int], Mask]

AGAIN = 0.75
"""Seconds: a host that answers later than this repeats its SYN-ACK (RFC 6298 §2.1), and the repeated one
counts."""
AGAIN_DROPPED = 2
"""How often a stretch is assigned again because frames found no room. A judgement: the workers' limits on
outstanding flows halve meanwhile; a machine may always be too slow, and a sweep has to end all the same."""
SETTLED = 0.5
"""Seconds after its SYN from which on a checkpoint counts a pair without an answer as silent. A judgement:
with the time between two checkpoints, and two reports, about a second's SYNs are sent again at most."""


class Stretch(Struct):
    """first, count: its places. worker: the one that has it. sent_at: when its last SYN left, None until
    then.

    more: how many more SYNs each of its pairs is to get after this. doubtful: answers were lost while a
    worker had this and had not sent it to its end. lost: answers may have been lost since its SYNs left.
    dropped: how often it is assigned again because frames found no room. asked: pairs that get a SYN. tried:
    it is assigned again, so SYNs may have left for any of its pairs before.
    """

    number: int
    first: int
    count: int
    more: int
    worker: str = ""
    sent_at: float | None = None
    doubtful: bool = False
    lost: bool = False
    dropped: int = 0
    asked: int = 0
    tried: bool = False


class Closed(Struct, frozen=True):
    """A stretch whose time is over: the verdict on each place from `first` on."""

    first: int
    verdicts: Verdicts


class Scheduler:
    """repeats: answers of pairs that had answered before. late: answers after the time of their pair was
    over, or of pairs that were never assigned. unsent: pairs to be asked, of stretches that are given and not
    sent. not_asked: pairs so far that were sent no SYN, as their hosts answer on any port.
    """

    def __init__(
        self,
        total: int,
        *,
        cooldown: float,
        probes: int = 1,
        pause: float = 1.0,
        begin: int = 0,
        done: Callable[[int, int], Mask] | None = None,
    ) -> None:
        """total: places in all. probes: SYNs to each pair, `pause` seconds apart, until it answers.

        begin, done: where a sweep is resumed, the first place without a fate, and which of `count` places
        from one on have theirs.
        """
        self.total = total
        self.next = begin
        self.repeats = self.late = 0
        self.unsent = 0
        self.not_asked = 0
        self._cooldown, self._probes, self._pause = cooldown, probes, pause
        self._done = done
        self._base = begin  # place of the first verdict
        self._verdicts = np.zeros(1 << 12, np.uint8)
        self._start = 0  # where in there it is
        self._open: deque[Stretch] = deque()  # in order; they follow one another without a gap
        self._numbered: dict[int, Stretch] = {}
        self._again: deque[Stretch] = deque()
        self._number = 0

    @property
    def all_assigned(self) -> bool:
        """Whether nothing is left to be assigned for now; a death may change that."""
        return self.next >= self.total and not self._again

    @property
    def longest(self) -> float:
        """Seconds from a pair's first SYN until it is given up."""
        return (self._probes - 1) * self._pause + self._cooldown

    @property
    def finished(self) -> bool:
        """Whether the time of every pair is over."""
        return self.next >= self.total and not self._open

    @property
    def open(self) -> int:
        """How many pairs have time left."""
        return self.next - self._base

    @property
    def open_verdicts(self) -> Verdicts:
        """The verdicts on pairs that have time left."""
        return self._verdicts[self._start : self._start + self.open]

    def due(self, now: float) -> bool:
        """Whether another SYN to the pairs of a stretch is due."""
        return self._probes > 1 and any(self._is_due(stretch, now) for stretch in self._open)

    def stop(self) -> None:
        """Assign nothing new."""
        self.total = self.next

    # --- assigning -----------------------------------------------------------------------------------------

    def take(
        self, most: int, worker: str, now: float, *, spared: Spared | None = None, look: int = 0
    ) -> tuple[Stretch, Mask] | None:
        """The next stretch, for this worker, and which of its pairs to skip; None if there is none.

        most: pairs of a new one. A stretch that is assigned again comes first, whole. spared: which of so
        many places from one on are not asked, as their hosts answer on any port; then `most` is about the
        others, and at most `look` new pairs are looked at.
        """
        self._ask_more(now)
        while self._again:
            stretch = self._again.popleft()
            known = self._of(stretch)
            skip = SPOKEN[known] if stretch.lost else known != Verdict.NOTHING
            if skip.all():
                stretch.sent_at, stretch.more = now, 0
                continue
            return self._give(stretch, worker, skip)
        end = self.total if spared is None else min(self.total, self.next + look)
        while most > 0 and self.next < end:
            stretch = self._new(end - self.next if spared is not None else min(most, end - self.next))
            if spared is not None:
                self._spare(stretch, spared(stretch.first, stretch.count), most)
            skip = self._of(stretch) != Verdict.NOTHING
            if skip.all():
                stretch.sent_at, stretch.more = now, 0
                continue
            return self._give(stretch, worker, skip)
        return None

    def _give(self, stretch: Stretch, worker: str, skip: Mask) -> tuple[Stretch, Mask]:
        stretch.worker, stretch.sent_at = worker, None
        stretch.asked = stretch.count - int(np.count_nonzero(skip))
        self.unsent += stretch.asked
        return stretch, skip

    def _spare(self, stretch: Stretch, spared: Mask, most: int) -> None:
        """Leave pairs of the newest stretch out, and shorten it so that no more than `most` are asked."""
        known = self._of(stretch)
        known[spared & (known == Verdict.NOTHING)] = Verdict.FIREWALL
        asked = np.flatnonzero(known == Verdict.NOTHING)
        if len(asked) > most:
            count = int(asked[most])
            known[count:] = Verdict.NOTHING
            self.next -= stretch.count - count
            stretch.count = count
        self.not_asked += int(np.count_nonzero(self._of(stretch) == Verdict.FIREWALL))

    def give_back(self, stretch: Stretch) -> None:
        """The stretch could not be sent to the worker: it is the next one to be taken."""
        stretch.worker = ""
        self.unsent -= stretch.asked
        self._again.appendleft(stretch)

    def sent(self, number: int, worker: str, now: float) -> bool:
        """The SYNs of a stretch have left. False if this worker does not have it."""
        stretch = self._numbered.get(number)
        if stretch is None or stretch.worker != worker or stretch.sent_at is not None:
            return False
        self.unsent -= stretch.asked
        if stretch.doubtful:
            self._assign_again(stretch, lost=True)
        else:
            stretch.sent_at, stretch.lost = now, False
        return True

    def left(self, worker: str, told: float, *, lost: bool) -> int:
        """A worker has ended; returns how many pairs are sent SYNs again. lost: it died, with answers it had
        not reported.

        told: the time (seconds) up to which it has reported all answers. What others are still sending is
        sent again as well, later, and not counted here.
        """
        found = [
            stretch
            for stretch in self._open
            if (stretch.worker == worker and stretch.sent_at is None) or (lost and _lately(stretch, told))
        ]
        for stretch in self._open:
            stretch.doubtful |= lost and stretch.sent_at is None and stretch.worker not in ("", worker)
            stretch.lost |= lost and stretch.sent_at is None and not stretch.worker
        for stretch in found:
            self.unsent -= stretch.asked if stretch.sent_at is None else 0
            self._assign_again(stretch, lost=lost or stretch.lost or stretch.doubtful)
        return sum(map(self._unheard, found))

    def dropped(self, told: float) -> tuple[int, int]:
        """Frames found no room in a receive ring. told: the time (seconds) up to which the worker that has it
        had reported all answers and every such frame.

        Returns how many pairs without an answer are sent SYNs again because of it, and how many are not,
        since they were before: answers of theirs may be lost.
        """
        again = lost = 0
        for stretch in self._open:
            asking = stretch.sent_at is None
            if asking and not stretch.worker:
                stretch.lost = True  # it is assigned again already
            elif not stretch.doubtful and (asking or _lately(stretch, told)):
                stretch.dropped += 1
                if stretch.dropped > AGAIN_DROPPED:
                    lost += self._unheard(stretch) if stretch.dropped == AGAIN_DROPPED + 1 else 0
                    continue
                again += self._unheard(stretch)
                if asking:
                    stretch.doubtful = True
                else:
                    self._assign_again(stretch, lost=True)
        return again, lost

    def _unheard(self, stretch: Stretch) -> int:
        """How many of its pairs nothing was heard of."""
        return int(np.count_nonzero(self._of(stretch) == Verdict.NOTHING))

    def _new(self, count: int) -> Stretch:
        self._number += 1
        stretch = Stretch(self._number, self.next, count, self._probes - 1)
        self._make_room(count)
        self.next += count
        self._open.append(stretch)
        self._numbered[stretch.number] = stretch
        if self._done is not None:
            self._of(stretch)[self._done(stretch.first, count)] = Verdict.BEFORE
        return stretch

    def _make_room(self, count: int) -> None:
        """Make room for the verdicts on so many more pairs."""
        used = self._verdicts[self._start : self._start + self.open]
        if self._start + self.open + count > len(self._verdicts):
            moved = np.zeros(max(len(self._verdicts), 2 * (self.open + count)), np.uint8)
            moved[: len(used)] = used
            self._verdicts, self._start = moved, 0

    def _ask_more(self, now: float) -> None:
        """Queue stretches again whose next SYN is due, where more than one was asked for."""
        if self._probes > 1:
            for stretch in self._open:
                if self._is_due(stretch, now):
                    stretch.more -= 1
                    self._assign_again(stretch, lost=False)

    def _assign_again(self, stretch: Stretch, *, lost: bool) -> None:
        stretch.worker, stretch.sent_at, stretch.doubtful, stretch.lost = "", None, False, lost
        stretch.tried = True
        self._again.append(stretch)

    def _is_due(self, stretch: Stretch, now: float) -> bool:
        return bool(stretch.more) and stretch.sent_at is not None and stretch.sent_at <= now - self._pause

    # --- answers -------------------------------------------------------------------------------------------

    def hear(self, places: Places, verdicts: Verdicts) -> Mask:
        """(n,) bool: which of these verdicts are news: the first on a pair, its first SYN-ACK, or after an
        ICMP error the host's own answer. That a pair gets no SYN is none where it may have had one before: it
        is waited for, and silent if nothing comes.
        """
        news = np.zeros(len(places), bool)
        inside = (places >= self._base) & (places < self.next)
        self.late += int(len(places) - np.count_nonzero(inside))
        present = set(verdicts.tolist())
        if Verdict.FIREWALL in present:
            spared = np.flatnonzero(inside & (verdicts == Verdict.FIREWALL))
            spared = spared[self._tried(places[spared])]
            inside[spared] = False
        for verdict in (verdict for verdict in Verdict.TOLD if verdict in present):
            chosen = np.flatnonzero(inside & (verdicts == verdict))
            if not len(chosen):
                continue
            at, first = np.unique(places[chosen] - self._base + self._start, return_index=True)
            known = self._verdicts[at]
            better = known == Verdict.NOTHING
            if verdict == Verdict.ANSWERED:
                better |= known == Verdict.REFUSED
            if verdict in (Verdict.ANSWERED, Verdict.REFUSED):
                better |= known >= Verdict.FIREWALL
                self.not_asked -= int(np.count_nonzero(better & (known == Verdict.FIREWALL)))
            elif verdict == Verdict.FIREWALL:
                self.not_asked += int(np.count_nonzero(better))
            self._verdicts[at[better]] = verdict
            news[chosen[first[better]]] = True
        self.repeats += int(np.count_nonzero(inside & ~news))
        return news

    def _tried(self, places: Places) -> Mask:
        """(n,) bool: which of these places, all of them open, are in a stretch that was assigned again."""
        tried = np.fromiter((stretch.tried for stretch in self._open), bool, len(self._open))
        if not tried.any():
            return np.zeros(len(places), bool)
        starts = np.fromiter((stretch.first for stretch in self._open), np.int64, len(self._open))
        found: Mask = tried[np.searchsorted(starts, places, "right") - 1]
        return found

    # --- the end of a stretch ------------------------------------------------------------------------------

    def close(self, now: float) -> list[Closed]:
        """The stretches at the front whose time is over; from now on answers to them are too late."""
        found: list[Closed] = []
        while self._open:
            stretch = self._open[0]
            if stretch.sent_at is None:
                break
            verdicts = self._of(stretch)
            over = not stretch.more and stretch.sent_at + self._cooldown <= now
            # Mostly one of the first few is unknown: that is seen in a hundredth of the time.
            if not over and (Verdict.NOTHING in verdicts.tobytes() or not SPOKEN[verdicts].all()):
                break
            found.append(Closed(stretch.first, verdicts.copy()))
            self._open.popleft()
            del self._numbered[stretch.number]
            self._base += stretch.count
            self._start += stretch.count
        return found

    def wait(self, now: float) -> float | None:
        """Seconds until `close`, or another SYN, has something to do without further answers; None if
        never.
        """
        stretch = next((one for one in self._open if one.sent_at is not None), None)
        if stretch is None or stretch.sent_at is None:
            return None
        return max(0.0, stretch.sent_at + (self._pause if stretch.more else self._cooldown) - now)

    def left_to_wait(self, now: float) -> float | None:
        """Seconds until the last pair is given up; None if some SYNs have not left."""
        if not self._open or any(stretch.sent_at is None or stretch.more for stretch in self._open):
            return None
        latest = max(stretch.sent_at or 0.0 for stretch in self._open)
        return max(0.0, latest + self._cooldown - now)

    def quiet(self, now: float) -> Closed:
        """The places at the front, with their verdicts, whose pairs can only answer unusually late."""
        end = self._base
        for stretch in self._open:
            if stretch.sent_at is None or stretch.more or stretch.sent_at > now - SETTLED:
                break
            end = stretch.first + stretch.count
        return Closed(self._base, self._verdicts[self._start : self._start + end - self._base])

    def _of(self, stretch: Stretch) -> Verdicts:
        start = self._start + stretch.first - self._base
        return self._verdicts[start : start + stretch.count]


def _lately(stretch: Stretch, told: float) -> bool:
    """Whether its SYNs left so late that answers may have come after `told`."""
    return stretch.sent_at is not None and stretch.sent_at > told - AGAIN
