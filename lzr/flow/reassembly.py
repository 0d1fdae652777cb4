"""Replies that come in several segments: by flow, the bytes in order and the segments beyond a gap.
`lzr.flow.replies` acknowledges them and judges when a reply is complete; `lzr.flow.tcp` (`take_data`) cuts
off what a segment repeats.

Few flows ever get here (most answer with one segment that is enough), so this is a dict and not columns. A
flow may hold a bounded number of early segments, those beyond a gap; what does not fit is dropped, and the
peer sends it again. The memory that all flows take here is counted in `cost`, so that the flow table can
bound it.
"""

from __future__ import annotations

_MAX_EARLY = 16
"""Early segments that a flow may hold: more than the nine that are left of TCP's initial window when the
first of ten is lost (RFC 6928)."""
_COST = 200
"""Bytes of memory that a segment takes beside its own: the object and its place in a dict."""
_HALF = 1 << 31
_MASK = 0xFFFFFFFF


class Reassembly:
    """most: bytes of early segments that one flow may hold. cost: bytes of memory that all flows take."""

    def __init__(self, most: int = 16 << 10) -> None:
        self._most = most
        self.cost = 0
        self._held: dict[int, bytearray] = {}
        self._early: dict[int, dict[int, bytes]] = {}

    def __contains__(self, slot: int) -> bool:
        """Whether anything of this flow is held."""
        return slot in self._held or slot in self._early

    def __bool__(self) -> bool:
        return bool(self._held or self._early)

    def keep_early(self, slot: int, sequence: int, data: bytes) -> None:
        """Keep `data`, which begins beyond a gap, at `sequence`."""
        early = self._early.setdefault(slot, {})
        before = early.get(sequence)
        more = len(data) - (0 if before is None else len(before))
        full = len(early) >= _MAX_EARLY or sum(map(len, early.values())) + more > self._most
        if not full and more > 0:
            early[sequence] = data
            self.cost += more + (_COST if before is None else 0)

    def append(self, slot: int, awaited: int, data: bytes) -> tuple[bytearray, int]:
        """Append `data`, the next in order, and the early segments that follow it.

        awaited: the sequence number after `data`. Returns all that has come in order, and how many bytes of
        early segments were appended.
        """
        if slot not in self._held:
            self.cost += _COST
        held = self._held.setdefault(slot, bytearray())
        held += data
        self.cost += len(data)
        moved = 0
        early = self._early.get(slot)
        while early:
            for sequence in sorted(early, key=lambda s: (s - awaited - moved + _HALF) & _MASK):
                overlap = (awaited + moved - sequence) & _MASK
                if overlap < _HALF:  # begins at or before what is awaited
                    whole = early.pop(sequence)
                    part = whole[overlap:]
                    held += part
                    self.cost += len(part) - len(whole) - _COST
                    moved += len(part)
                    break
            else:
                break
        return held, moved

    def take(self, slot: int) -> bytes:
        """Remove a flow and return all its bytes that came in order."""
        held = bytes(self._held.get(slot, b""))
        self.forget([slot])
        return held

    def forget(self, slots: list[int]) -> None:
        """Remove these flows and what they hold."""
        for slot in slots:
            self.cost -= self._of(slot)
            self._held.pop(slot, None)
            self._early.pop(slot, None)

    def largest(self, excess: int) -> tuple[list[int], list[int]]:
        """The slots of the flows that hold most: as few as together take `excess` bytes of memory.

        Two lists: flows that have bytes in order, and flows that hold nothing but early segments.
        """
        begun: list[int] = []
        early: list[int] = []
        for slot in sorted({*self._held, *self._early}, key=self._of, reverse=True):
            if excess <= 0:
                break
            excess -= self._of(slot)
            (begun if slot in self._held else early).append(slot)
        return begun, early

    def _of(self, slot: int) -> int:
        """Bytes of memory that a flow takes here."""
        held, early = self._held.get(slot), self._early.get(slot, {})
        return (0 if held is None else _COST + len(held)) + sum(map(len, early.values())) + _COST * len(early)

    def extract(self, slots: list[int]) -> dict[int, tuple[bytes, dict[int, bytes]]]:
        """What these flows hold (in order, early); they are forgotten here."""
        found = {
            slot: (bytes(self._held.get(slot, b"")), self._early.get(slot, {}))
            for slot in slots
            if slot in self
        }
        self.forget(list(found))
        return found

    def adopt(self, parts: dict[int, tuple[bytes, dict[int, bytes]]]) -> None:
        """Take over what another one's `extract` gave."""
        for slot, (held, early) in parts.items():
            if held:
                self._held[slot] = bytearray(held)
            if early:
                self._early[slot] = dict(early)
            self.cost += self._of(slot)
