"""Whether a reply is an echo: nothing but our own probe, come back whole or in part.

The probe is known as parts; its fixed parts must come back in order, with anything of a plausible length
where the peer's name, its address or random bytes stood. A reply that begins with the whole probe is an
echo. So is the beginning of one (a short buffer, one line of several), unless the probe's own protocol
would take it for an answer. The first few bytes of one prove nothing either way, so they get no name at all
(`nibbles`).
"""

from __future__ import annotations

from lzr.protocols._protocol import Part, Protocol, Random

FEW = 16
"""Fewer bytes than this may be like the probe's by chance."""

_LONGEST_NAME = 64
"""An authority in brackets with a port is shorter than this."""


class Echo:
    """One handshake's echo. A reply that doesn't start with `head` at `at` is none, which is soon seen."""

    def __init__(self, sent: Protocol) -> None:
        self.sent = sent
        self.pieces, self.size = _pieces(sent.parts)
        self.at, first = self.pieces[0] if self.pieces else (1 << 30, b"")
        self.head = first[:4]
        self.opening = first[:FEW] if self.at == 0 else b""

    def nibbles(self, data: bytes) -> bool:
        """Whether these few bytes are only how the probe began, and no answer of its own protocol's."""
        return self.opening.startswith(data) and len(data) > 1 and not self.sent.matches(data)

    def returned(self, data: bytes) -> bool:
        """Whether `data` is the probe, whole or cut short."""
        pieces, size, sent = self.pieces, self.size, self.sent
        if not pieces or not data.startswith(self.head, self.at):
            return False
        if len(data) >= size and _whole(data, pieces):
            return size >= 8 or _repeats(data, pieces[0][1])
        if len(data) < min(FEW, size * 3 // 4) or not _beginning(data, pieces, size):
            return False
        return sent.match is None or not sent.matches(data)


def _pieces(parts: tuple[Part, ...]) -> tuple[tuple[tuple[int, bytes], ...], int]:
    """Fixed parts, each with the exact size of the gap before it (-1: a name's), and the least size."""
    pieces: list[tuple[int, bytes]] = []
    gap = size = 0
    for part in parts:
        if isinstance(part, bytes):
            if pieces and gap == 0:
                pieces[-1] = (pieces[-1][0], pieces[-1][1] + part)
            else:
                pieces.append((gap, part))
            gap = 0
            size += len(part)
        elif isinstance(part, Random):
            gap = gap + part.size if gap >= 0 else -1
            size += part.size
        else:
            gap = -1
            size += 2
    return tuple(pieces), size


def _whole(data: bytes, pieces: tuple[tuple[int, bytes], ...]) -> bool:
    """Whether every fixed part comes back in its place."""
    place = 0
    for gap, piece in pieces:
        if gap >= 0:
            if not data.startswith(piece, place + gap):
                return False
            place += gap + len(piece)
        else:
            place = data.find(piece, place, place + _LONGEST_NAME + len(piece))
            if place < 0:
                return False
            place += len(piece)
    return True


def _beginning(data: bytes, pieces: tuple[tuple[int, bytes], ...], size: int) -> bool:
    """Whether `data` is the probe as far as it goes, or opens with the probe's first line."""
    first = pieces[0][1]
    line = first.split(b"\n", 1)[0].rstrip(b"\r")
    if len(line) >= 8 and line.isascii() and data.startswith(line):
        return True
    place = 0
    for gap, piece in pieces:
        if gap < 0:
            found = data.find(piece[:4], place, place + _LONGEST_NAME + 4)
            if found < 0:
                return len(data) - place <= _LONGEST_NAME
            place = found
        else:
            place += gap
        if place >= len(data):
            return True
        shown = data[place : place + len(piece)]
        if not piece.startswith(shown):
            return False
        place += len(shown)
    return len(data) <= max(place, size)  # random bytes may end it


def _repeats(data: bytes, probe: bytes) -> bool:
    """Whether `data` is a short probe, once or over and over: real replies may begin with its few bytes."""
    return data == (probe * (len(data) // len(probe) + 1))[: len(data)]
