"""What the servers in a capture said first: TCP segments in, the first payload of each conversation out.

What counts as the first payload is what the scan would have taken for it. The first segment in order is
enough when it is long, or ends a line, or is the last; else what follows within GROWTH seconds is added,
until the client speaks. The server is the side that answers a SYN; where none was captured, the side with the
lower port. Conversations come out in the order in which they began, those without data of the server not at
all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from lzr.protocols._firstreply import GROWTH, complete

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10

_AHEAD = 1 << 20  # bytes beyond a gap that may still be the same stream
_HALF = 1 << 31
_MASK = (1 << 32) - 1

Endpoint = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Segment:
    """One TCP segment. time in seconds, of any clock."""

    source: Endpoint
    target: Endpoint
    seq: int
    flags: int
    data: bytes
    time: float


@dataclass(slots=True)
class Said:
    """One conversation: who served whom, the client's bytes before the answer, and the answer."""

    server: Endpoint
    client: Endpoint
    asked: bytes = b""
    answer: bytes = b""


@dataclass(slots=True)
class _Conversation:
    said: Said
    isn: int | None = None  # of the client's SYN
    awaited: int | None = None  # the server's next sequence number
    early: dict[int, bytes] = field(default_factory=dict)
    last: float = 0.0
    done: bool = False

    def take(self, segment: Segment) -> None:
        """Take the next packet of this connection."""
        if self.done:
            return
        if segment.source == self.said.client:
            if segment.data and self.said.answer:
                self.done = True  # what comes now answers something else
            elif len(self.said.asked) < _AHEAD:
                self.said.asked += segment.data
            return
        if segment.flags & SYN:
            if not self.said.answer:  # later it is a repeat
                self.awaited = segment.seq + 1 & _MASK
            return
        if self.said.answer and segment.time - self.last > GROWTH:
            self.done = True
            return
        if segment.data:
            self._append(segment)
        if segment.flags & (FIN | RST) and not self.early:
            self.done = True

    def _append(self, segment: Segment) -> None:
        if self.awaited is None:
            self.awaited = segment.seq
        ahead = segment.seq - self.awaited & _MASK
        if 0 < ahead < _HALF:
            if ahead < _AHEAD:
                self.early.setdefault(segment.seq, segment.data)
            return
        data = segment.data[(-ahead) & _MASK :] if ahead else segment.data
        while data:
            self.said.answer += data
            self.awaited = self.awaited + len(data) & _MASK
            data = self.early.pop(self.awaited, b"")
        self.last = segment.time
        answer = self.said.answer
        self.done = complete(answer)


def first_answers(segments: Iterable[Segment]) -> list[Said]:
    """The conversations whose server said something, in the order in which they began."""
    order: list[_Conversation] = []
    open_: dict[tuple[Endpoint, Endpoint], _Conversation] = {}
    for segment in segments:
        low, high = sorted((segment.source, segment.target))
        found = open_.get((low, high))
        if segment.flags & (SYN | ACK) == SYN and (found is None or found.isn != segment.seq):
            found = None  # a new connection, perhaps on the ports of an old one
        if found is None:
            found = open_[low, high] = _begin(segment)
            order.append(found)
        found.take(segment)
    return [conversation.said for conversation in order if conversation.said.answer]


def _begin(segment: Segment) -> _Conversation:
    source, target = segment.source, segment.target
    if segment.flags & SYN:
        answers = bool(segment.flags & ACK)
        said = Said(source, target) if answers else Said(target, source)
        return _Conversation(said, isn=None if answers else segment.seq)
    serves = source[1] < target[1]
    return _Conversation(Said(source, target) if serves else Said(target, source))
