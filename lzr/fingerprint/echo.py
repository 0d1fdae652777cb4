"""Whether a reply is an echo: our own probe, sent back whole or in part.

A probe consists of parts. Its fixed parts must come back in order, with anything of a plausible length in
place of the peer's name, its address or random bytes. A reply that begins with the whole probe is an echo. So
is the beginning of a probe (a short buffer, one line of several), unless the probe's own protocol takes it
for an answer. A beginning of fewer than FEW bytes proves nothing either way and gets no label
(`is_first_bytes`).
"""

from __future__ import annotations

from lzr.protocols._protocol import Part, Protocol, Random

FEW = 16
"""Fewer bytes than this may be like the probe's by chance."""

_LONGEST_NAME = 64
"""An authority in brackets with a port is shorter than this."""


class Echo:
    """Recognises the echo of one handshake's probe. A reply without `head` at offset `at` is ruled out
    first."""

    def __init__(self, sent: Protocol) -> None:
        self.sent = sent
        self.fixed, self.size = _fixed_parts(sent.parts)
        self.at, first = self.fixed[0] if self.fixed else (1 << 30, b"")
        self.head = first[:4]
        self.opening = first[:FEW] if self.at == 0 else b""

    def is_first_bytes(self, data: bytes) -> bool:
        """Whether these few bytes are how the probe begins, and no answer of the probe's own protocol."""
        return self.opening.startswith(data) and len(data) > 1 and not self.sent.matches(data)

    def returned(self, data: bytes) -> bool:
        """Whether `data` is the probe, whole or cut short."""
        fixed, size, sent = self.fixed, self.size, self.sent
        if not fixed or not data.startswith(self.head, self.at):
            return False
        if len(data) >= size and _whole(data, fixed):
            return size >= 8 or _repeats(data, fixed[0][1])
        if len(data) < min(FEW, size * 3 // 4) or not _beginning(data, fixed, size):
            return False
        return sent.match is None or not sent.matches(data)


def _fixed_parts(parts: tuple[Part, ...]) -> tuple[tuple[tuple[int, bytes], ...], int]:
    """The fixed parts of a probe, each with the size of the gap before it (-1: that of a name, which varies),
    and the least size of the whole."""
    fixed: list[tuple[int, bytes]] = []
    gap = size = 0
    for part in parts:
        if isinstance(part, bytes):
            if fixed and gap == 0:
                fixed[-1] = (fixed[-1][0], fixed[-1][1] + part)
            else:
                fixed.append((gap, part))
            gap = 0
            size += len(part)
        elif isinstance(part, Random):
            gap = gap + part.size if gap >= 0 else -1
            size += part.size
        else:
            gap = -1
            size += 2
    return tuple(fixed), size


def _whole(data: bytes, fixed: tuple[tuple[int, bytes], ...]) -> bool:
    """Whether every fixed part comes back in its place."""
    place = 0
    for gap, part in fixed:
        if gap >= 0:
            if not data.startswith(part, place + gap):
                return False
            place += gap + len(part)
        else:
            place = data.find(part, place, place + _LONGEST_NAME + len(part))
            if place < 0:
                return False
            place += len(part)
    return True


def _beginning(data: bytes, fixed: tuple[tuple[int, bytes], ...], size: int) -> bool:
    """Whether `data` is the probe as far as it goes, or opens with the probe's first line."""
    first = fixed[0][1]
    line = first.split(b"\n", 1)[0].rstrip(b"\r")
    if len(line) >= 8 and line.isascii() and data.startswith(line):
        return True
    place = 0
    for gap, part in fixed:
        if gap < 0:
            found = data.find(part[:4], place, place + _LONGEST_NAME + 4)
            if found < 0:
                return len(data) - place <= _LONGEST_NAME
            place = found
        else:
            place += gap
        if place >= len(data):
            return True
        shown = data[place : place + len(part)]
        if not part.startswith(shown):
            return False
        place += len(shown)
    return len(data) <= max(place, size)  # the probe may end in random bytes


def _repeats(data: bytes, probe: bytes) -> bool:
    """Whether `data` is a short probe, once or repeatedly; a real reply may only begin with its few bytes."""
    return data == (probe * (len(data) // len(probe) + 1))[: len(data)]
