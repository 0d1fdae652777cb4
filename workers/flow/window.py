"""How many flows may be begun at once, so that their answers find room in the receive rings.

*soon to answer* = fresh flows (their first packet is out, nothing has come back) less those that
never will (as many as fell silent within the last wait), and never more than were begun within the time that
nearly all hosts take (`response_times`). That number stays under a window, which begins at half of what the
rings hold together: answers spread evenly over them, as flows do. It halves when a turn finds a ring half
full, and grows while it is what holds the scan back: the faster, the emptier the rings have been since, and
beyond what they hold in even steps. So a peer close by, whose answers come in bursts, gets about the rings'
worth, and the Internet, where a thousand round trips overlap, gets what its delay asks for. `now` is an
argument.
"""

from __future__ import annotations

from collections import deque

_PATIENCE = 100_000_000  # ns between two steps of growth
_SLICES = 16  # of the time that is waited for an answer, in which what was begun is counted
_TOGETHER = 1 << 22  # ns: what is begun within them counts as begun at once


class Window:
    def __init__(self, frames: int, rings: int, wait: int) -> None:
        """frames: in the smallest ring; rings: over which answers spread evenly, as the hash of their flows.

        wait: ns after which a flow that has not answered is acted upon.
        """
        self._frames = frames
        self._room = frames * rings
        self._least = frames // 4
        self._size = self._room // 2
        self._wait = wait
        self._slice = max(1, wait // _SLICES)
        self._begun: deque[tuple[int, int]] = deque()
        self._prompt = wait
        self._silent: deque[tuple[int, int]] = deque()
        self._silent_total = 0
        self._grew = 0
        self._fullest = 0  # frames, since it last grew
        self._held = False

    @property
    def size(self) -> int:
        return self._size

    def room(self, fresh: int, now: int) -> int:
        """Flows that may be begun now."""
        while self._silent and self._silent[0][0] <= now - _SLICES * self._slice:
            self._silent_total -= self._silent.popleft()[1]
        soon = max(0, fresh - self._silent_total)
        if soon and self._prompt < self._wait:
            soon = min(soon, self._begun_since(now - self._prompt))
        room = self._size - soon
        if room <= 0:
            self._held = True
        return max(0, room)

    def _begun_since(self, then: int) -> int:
        count = 0
        for when, flows in reversed(self._begun):
            if when < then:
                break
            count += flows
        return count

    def note_begun(self, flows: int, now: int) -> None:
        begun = self._begun
        if begun and now - begun[-1][0] < _TOGETHER:
            begun[-1] = (begun[-1][0], begun[-1][1] + flows)
        else:
            begun.append((now, flows))
        while begun[0][0] < now - self._wait:
            begun.popleft()

    def note_prompt(self, prompt: int | None, answers: int = 1) -> None:
        """Nearly all hosts that answer do so within `prompt` ns; None where that is not known.

        answers: that a flow gets one after the other.
        """
        self._prompt = self._wait if prompt is None else prompt * answers

    def note_silent(self, flows: int, now: int) -> None:
        """These flows have been waited for in vain."""
        if not flows:
            return
        self._silent_total += flows
        if self._silent and now - self._silent[-1][0] < self._slice:
            when, before = self._silent.pop()
            self._silent.append((when, before + flows))
        else:
            self._silent.append((now, flows))

    def note_fill(self, frames: int, now: int) -> None:
        """A turn took so many frames from one ring."""
        if frames >= self._frames // 2:
            self._size = max(self._least, self._size // 2)
            self._start_over(now)
            return
        self._fullest = max(self._fullest, frames)
        if self._held and now - self._grew >= _PATIENCE:
            if self._fullest == 0:
                self._size *= 2  # nobody there answers at all
            elif self._fullest < self._frames // 8:
                self._size += min(self._size // 4, self._room // 8)
            elif self._fullest < self._frames // 4 and self._size < self._room:
                self._size += self._frames // 8
            self._start_over(now)

    def _start_over(self, now: int) -> None:
        self._grew, self._fullest, self._held = now, 0, False
