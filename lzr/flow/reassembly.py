"""Banners that come in pieces: what has arrived in order, and what came too early, flow by flow.

Few flows ever get here (most answer with one segment that is enough), so this is a dict and not columns.
A flow may hold a bounded number of early pieces; what does not fit is dropped, and its peer sends it again.
"""

from __future__ import annotations

_MAX_EARLY = 16
_MAX_BYTES = 16384
_HALF = 1 << 31
_MASK = 0xFFFFFFFF


class Pieces:
    def __init__(self) -> None:
        self._held: dict[int, bytearray] = {}
        self._early: dict[int, dict[int, bytes]] = {}

    def __contains__(self, slot: int) -> bool:
        """Whether anything of this flow is held."""
        return slot in self._held or slot in self._early

    def __bool__(self) -> bool:
        return bool(self._held or self._early)

    def keep_early(self, slot: int, sequence: int, data: bytes) -> None:
        """`data` begins beyond a gap, at `sequence`."""
        early = self._early.setdefault(slot, {})
        if len(early) < _MAX_EARLY and len(data) <= _MAX_BYTES and len(early.get(sequence, b"")) < len(data):
            early[sequence] = data

    def append(self, slot: int, awaited: int, data: bytes) -> tuple[bytearray, int]:
        """`data` is the next in order; what follows it may be here already.

        awaited: the sequence number after `data`. Returns all that has come in order, and how far the awaited
        number has moved on beyond `data`.
        """
        held = self._held.setdefault(slot, bytearray())
        held += data
        moved = 0
        early = self._early.get(slot)
        while early:
            for sequence in sorted(early, key=lambda s: (s - awaited - moved + _HALF) & _MASK):
                overlap = (awaited + moved - sequence) & _MASK
                if overlap < _HALF:  # begins at or before what is awaited
                    piece = early.pop(sequence)[overlap:]
                    held += piece
                    moved += len(piece)
                    break
            else:
                break
        return held, moved

    def take(self, slot: int) -> bytes:
        """All that came in order; the flow is forgotten."""
        self._early.pop(slot, None)
        return bytes(self._held.pop(slot, b""))

    def forget(self, slots: list[int]) -> None:
        """These flows go on or end without."""
        for slot in slots:
            self._held.pop(slot, None)
            self._early.pop(slot, None)

    def extract(self, slots: list[int]) -> dict[int, tuple[bytes, dict[int, bytes]]]:
        """What these flows hold (in order, early); they are forgotten here."""
        found = {
            slot: (bytes(self._held.get(slot, b"")), self._early.get(slot, {}))
            for slot in slots
            if slot in self
        }
        self.forget(list(found))
        return found

    def adopt(self, pieces: dict[int, tuple[bytes, dict[int, bytes]]]) -> None:
        """Take over what another one's `extract` gave."""
        for slot, (held, early) in pieces.items():
            if held:
                self._held[slot] = bytearray(held)
            if early:
                self._early[slot] = dict(early)
