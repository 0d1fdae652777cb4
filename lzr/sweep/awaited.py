"""How many answers to the latest SYNs of a sweep are still to come, told from the share that answered before.

The order of a sweep is pseudorandom, so as many of the latest SYNs are answered as of those before them.

* *Expected* are, at most, some times as many as that share says, of the SYNs without an answer whose time is
  not over; until a share is known, all.
* *Owed* are answers that are missing: by the share of those asked a while ago (`_HELD_UP`), so many of the
  SYNs since should have been answered by now. Whoever gives these answers is held up, and they will come
  together. Who does not answer for longer has stopped: nothing is owed for a SYN older than that, and the
  share follows within the same time.

A pure value: counts in, `now` (monotonic ns) is an argument.
"""

from __future__ import annotations

import math
from collections import deque

from msgspec import Struct

_SLICES = 16
"""Slices of the time in which an answer is expected. A judgement: it is forgotten a sixteenth late."""
_LIKELY, _BESIDE = 4, 256
"""Answers expected to the latest SYNs: so many times the share that answered before, and so many more.
Judgements; with all expected to answer, a sweep of which 1 % did came to 100,000 a second in five seconds
(`benchmarks.beside`), with these in one."""
_LATELY = 1 << 17
"""SYNs with a known outcome at which both counts are halved. A judgement."""
_HELD_UP, _TIMES = 250_000_000, 4
"""ns for which answers are owed, and how many times as long as nearly all answers take at least. A judgement:
a process that has lost its processor mostly has it again by then, and a sweep of a network that stops
answering waits for it no longer."""
_PROMPT = 1 << 25
"""ns within which nearly all answers come, where that is not known: the least that `prompt` may be."""
_KNOWN, _FEW = 4096, 256
"""SYNs, at least, by which the share is judged, and those of a slice of them. Judgements: of 4,096 SYNs of
which 1 % are answered, a sixth more or less are by chance."""
_MOST = 4 * _SLICES
"""Slices that are remembered at most."""
_ERROR = 2
"""Standard deviations by which the share that answers may be larger than was counted (Poisson)."""


class _Slice(Struct):
    """SYNs and answers from `begin` to `last`."""

    begin: int
    last: int
    asked: int = 0
    answers: int = 0


class Awaited:
    """What is to be expected; `note_time` brings the attributes up to date."""

    def __init__(self, soon: int) -> None:
        """soon: ns after a SYN within which its answer is expected."""
        self._soon = soon
        self._slice = max(1, soon // _SLICES)
        self._slices: deque[_Slice] = deque()
        self._known = [0, 0]  # SYNs whose time is over, and how many of them were answered
        self._latest: deque[_Slice] = deque()  # shorter ones, for what is owed
        self._hold = min(soon, _HELD_UP)
        self._forgot = False  # the first of `_latest` are gone
        self._begun: int | None = None
        self.fresh = 0
        """SYNs without an answer whose time is not over."""
        self.likely = 1.0
        """The share of them that is expected to be answered, at most."""
        self.owed = 0
        """Answers that are missing."""
        self.settled = False
        """Whether it is known which share of the hosts answers."""

    @property
    def expected(self) -> int:
        """How many answers are expected soon, at most."""
        return int(self.fresh * self.likely)

    def note(self, now: int, asked: int, answers: int) -> None:
        """Count SYNs that were sent, and answers that came."""
        slices, latest = self._slices, self._latest
        if not slices or now - slices[-1].begin >= self._slice:
            slices.append(_Slice(now, now))
        if not latest or self._over(latest[-1], now):
            latest.append(_Slice(now, now))
        for each in (slices[-1], latest[-1]):
            each.last = now
            each.asked += asked
            each.answers += answers
        if asked and self._begun is None:
            self._begun = now

    def _over(self, each: _Slice, now: int) -> bool:
        """Whether a slice of the latest is long enough: they are short where there is much to count."""
        age = now - each.begin
        return age >= self._hold or (age >= self._hold // _SLICES and each.asked >= _FEW)

    def note_time(self, now: int, prompt: int | None) -> None:
        """Bring everything up to date. prompt: ns within which nearly all hosts answer, None where that is
        not known.
        """
        self._expect(now)
        self._hold = min(self._soon, max(_HELD_UP, _TIMES * (prompt or 0)))
        self.settled = self._begun is not None and now - self._begun >= self._hold
        if not self.settled:
            self.owed = self.fresh
            return
        self._owe(now, min(self._hold, prompt or _PROMPT))

    def _expect(self, now: int) -> None:
        slices, known = self._slices, self._known
        while slices and slices[0].begin <= now - _SLICES * self._slice:
            over = slices.popleft()
            known[0] += over.asked
            known[1] += over.answers
            if known[0] > _LATELY:
                known[:] = [each // 2 for each in known]
        asked, answers = sum(each.asked for each in slices), sum(each.answers for each in slices)
        self.fresh, self.likely = max(0, asked - answers), 1.0
        if known[0]:
            share = max((_LIKELY * known[1] + _BESIDE) / known[0], _LIKELY * answers / max(asked, _BESIDE))
            self.likely = min(1.0, share)

    def _owe(self, now: int, prompt: int) -> None:
        """SYNs older than `_hold` have had their answers, those that came up to `prompt` after the last of
        them; of the others as large a share will be answered.
        """
        latest, until = self._latest, now - self._hold
        judged = [each for each in latest if each.last <= until]
        known = sum(each.asked for each in judged)
        for each in judged[:-1]:
            long_ago = each.last <= judged[-1].last - self._hold and known - each.asked >= _KNOWN
            if not long_ago and len(latest) <= _MOST:
                break
            known -= each.asked
            latest.popleft()
            self._forgot = True
        # The first answers of a sweep are to SYNs of the first slice, later ones to SYNs of one before.
        since = latest[0].begin + prompt if latest and self._forgot else 0
        answered = sum(e.answers for e in latest if e.begin >= since and e.last <= until + prompt)
        young = [each for each in latest if each.last > until]
        most = answered + _ERROR * math.sqrt(answered + 1)
        share = min(1.0, most / max(1, known))
        self.owed = max(0, int(sum(each.asked for each in young) * share) - sum(e.answers for e in young))
