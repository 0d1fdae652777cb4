"""Frames that the kernel refuses while it takes others: this host's own firewall drops them.

A rule of nftables' egress hook (or a queueing discipline that drops by address) answers a packet socket with
ENOBUFS, as a full queue does, and the frame stays at the head of the transmit ring, where it would block
everything behind it. So where no frame is taken for a while, the ring offers another frame first or, where
all that wait have been refused before, a frame that nobody acts on (`TransmitRing._sort_out`). If the kernel
takes that one, the refusal is about the first frame: it is set aside here and tried again a few times after
growing pauses, because the queue may have been full by chance. Then it is given up, and its flow ends with
the reason `send_refused`. A full queue or a link that is down refuses the other frame too; then all wait.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lzr.packet.segments import parse
from lzr.targets.blocklist import Blocklist

TRIES = 5
"""Refusals, while other frames were taken, after which a frame is given up: nearly a second after the
first."""
_PAUSE = 50_000_000
"""ns until a frame that was set aside is tried again, twice as long each time: 50, 100, 200, 400 ms. A
judgement, with TRIES: long enough for a queue to drain, short beside the time-outs of the flow (`-t`)."""
_IP = (b"\x08\x00", b"\x86\xdd")  # EtherTypes
MOST = 1024
"""Most frames set aside; beyond that a frame is given up at its first refusal."""


class Aside(Struct):
    """A frame, as it was in the ring."""

    octets: bytes
    tries: int
    due: int  # monotonic ns


class RefusedFrames:
    """The refused frames of one ring. given_up: those that are not tried again, for the caller to take."""

    def __init__(self) -> None:
        self._aside: list[Aside] = []
        self._again: dict[bytes, int] = {}  # in the ring once more, and how often each was refused before
        self.given_up: list[bytes] = []
        """For who owns the flows, who takes them from here."""
        self.total = 0

    def __len__(self) -> int:
        return len(self._aside)

    def set_aside(self, octets: bytes, now: int) -> None:
        """Keep a frame that was refused at `now` (monotonic ns), or give it up after too many tries."""
        tries = self._again.pop(octets, 0) + 1
        if tries >= TRIES or len(self._aside) >= MOST:
            self.given_up.append(octets)
            self.total += 1
        else:
            self._aside.append(Aside(octets, tries, now + (_PAUSE << tries - 1)))

    def postpone(self, octets: bytes, now: int) -> None:
        """The ring had no room for this frame: try it again later."""
        tries = self._again.pop(octets, 0)
        self._aside.append(Aside(octets, tries, now + _PAUSE))

    def block(self, policy: Blocklist) -> None:
        """Drop the frames for everybody whom this policy does not allow."""
        stay = allowed([frame.octets for frame in self._aside], policy)
        self._aside = [frame for frame, stays in zip(self._aside, stay, strict=True) if stays]

    @property
    def returned(self) -> int:
        """How many frames in the ring, at most, have been refused before."""
        return len(self._again)

    @property
    def next_due(self) -> int | None:
        """When a frame is to be tried again (monotonic ns); None if none is."""
        return min((frame.due for frame in self._aside), default=None)

    def is_due(self, now: int) -> bool:
        """Whether a frame is to be tried again by now."""
        return any(frame.due <= now for frame in self._aside)

    def due(self, now: int, most: int) -> list[bytes]:
        """The frames to be tried again now; they count as being in the ring until `sent`, or set aside
        again.
        """
        chosen = [frame for frame in self._aside if frame.due <= now][:most]
        self._aside = [frame for frame in self._aside if frame not in chosen]
        for frame in chosen:
            self._again[frame.octets] = frame.tries
        return [frame.octets for frame in chosen]

    def sent(self) -> None:
        """The kernel has taken everything in the ring."""
        self._again.clear()

    def all(self) -> list[bytes]:
        """Remove and return all frames that are set aside."""
        found = [frame.octets for frame in self._aside]
        self._aside.clear()
        return found


def allowed(frames: list[bytes], policy: Blocklist) -> list[bool]:
    """(n,) bool: whether the host that each of our frames is for may be contacted; False for what is no
    segment.
    """
    found = [False] * len(frames)
    if frames:
        rows = segments_of(frames)
        if len(rows) != len(frames):  # one by one, to know which
            return [bool(len(row := segments_of([one]))) and _allows(policy, row)[0] for one in frames]
        found = _allows(policy, rows)
    return found


def _allows(policy: Blocklist, rows: NDArray[Any]) -> list[bool]:
    found: list[bool] = policy.allowed(rows["own_hi"], rows["own_lo"]).tolist()
    return found


def segments_of(frames: list[bytes]) -> NDArray[Any]:
    """SEGMENT rows of frames that we sent, parsed as if received, so `peer` is our own address."""
    lengths = np.array([len(frame) for frame in frames], np.int64)
    headers = np.array([header_of(frame) for frame in frames], np.int64)
    rows, _ = parse(
        np.frombuffer(b"".join(frames), np.uint8),
        np.cumsum(lengths) - lengths + headers,
        lengths - headers,
        np.zeros(len(frames), np.uint64),
        np.ones(len(frames), bool),
    )
    return rows


def header_of(frame: bytes) -> int:
    """Bytes before the IP header: an Ethernet header, perhaps with a VLAN tag, or none."""
    for size in (14, 18):
        if frame[size - 2 : size] in _IP and frame[size] >> 4 in (4, 6):
            return size
    return 0
