"""Peers that do whatever a peer may do on purpose: every address is another one.

`python -m tests.lab.hostile INTERFACE SECONDS` answers every SYN to 10.66.0.0/16 (and every ACK of a
half-open connection there) in the manner of the address's last byte, see MANNERS. What a record may say of
each is in `TRUTH`: the label of the bytes that are right by TCP's numbers, whatever else came. Ends after
SECONDS or at SIGTERM; prints how many packets it sent by manner, and how many each address was sent.
"""

from __future__ import annotations

import json
import random
import select
import signal
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
BANNER = b"SSH-2.0-hostile_1.0\r\n"
FIRST = "10.66.0.0"
MTU = 1514


def checksum(data: bytes) -> int:
    if len(data) & 1:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@dataclass
class Flow:
    """One segment of the scanner's, and how to answer it."""

    source: bytes  # the scanner
    target: bytes  # whom it asked
    sport: int
    dport: int
    seq: int
    ack: int
    flags: int
    length: int
    isn: int

    def segment(
        self,
        flags: int,
        data: bytes = b"",
        *,
        at: int = 0,
        ack: int | None = None,
        options: bytes = b"",
        offset: int | None = None,
        window: int = 64240,
        wrong_sum: bool = False,
        source: bytes | None = None,
        sport: int | None = None,
        dport: int | None = None,
        length: int | None = None,
        ip_head: int = 0x45,
    ) -> bytes:
        """An IP packet back to the scanner; `at` counts from the first byte after our SYN-ACK."""
        seq = (self.isn + 1 + at) & 0xFFFFFFFF
        if flags & SYN and not at:
            seq = self.isn
        awaited = (self.seq + self.length + (1 if self.flags & SYN else 0)) & 0xFFFFFFFF
        ack = awaited if ack is None else ack & 0xFFFFFFFF
        words = 5 + len(options) // 4 if offset is None else offset
        tcp = struct.pack(
            "!HHIIBBHHH",
            self.dport if sport is None else sport,
            self.sport if dport is None else dport,
            seq,
            ack,
            words << 4,
            flags,
            window,
            0,
            0,
        )
        tcp += options + data
        source = self.target if source is None else source
        pseudo = source + self.source + struct.pack("!BBH", 0, 6, len(tcp))
        total = checksum(pseudo + tcp) ^ (0x5555 if wrong_sum else 0)
        tcp = tcp[:16] + struct.pack("!H", total) + tcp[18:]
        size = 20 + len(tcp) if length is None else length
        head = struct.pack("!BBHHHBBH", ip_head, 0, size & 0xFFFF, 0, 0x4000, 64, 6, 0) + source + self.source
        head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
        return head + tcp


Answer = Callable[[Flow, random.Random], list[bytes]]
MANNERS: list[tuple[str, str, Answer]] = []
"""(name, what the record says, what is sent for the probe's data). The SYN-ACK before it is a plain one."""


def manner(truth: str) -> Callable[[Answer], Answer]:
    def add(answer: Answer) -> Answer:
        MANNERS.append((answer.__name__, truth, answer))
        return answer

    return add


@manner("ssh")
def plain(flow: Flow, _: random.Random) -> list[bytes]:
    return [flow.segment(ACK | PSH, BANNER)]


@manner("ssh")
def truncated(flow: Flow, rng: random.Random) -> list[bytes]:
    whole = flow.segment(ACK | PSH, b"HTTP/1.1 200 OK\r\n\r\n")
    return [whole[:size] for size in (0, 1, 19, 20, 21, 33, 39, 40)] + plain(flow, rng)


@manner("ssh")
def bad_offsets(flow: Flow, rng: random.Random) -> list[bytes]:
    lies = [flow.segment(ACK | PSH, b"HTTP/1.1 200 OK\r\n\r\n"[:17], offset=n) for n in (0, 1, 4, 12, 15)]
    return lies + plain(flow, rng)


@manner("ssh")
def absurd_options(flow: Flow, rng: random.Random) -> list[bytes]:
    found = []
    for options in (
        b"\x02\x00\x00\x00",
        b"\x05\xff\x01\x01",
        b"\xfd\x02\x03\x01",
        b"\x01" * 40,
        b"\xff" * 40,
    ):
        found.append(flow.segment(ACK, options=options))
    return [*found, flow.segment(ACK | PSH | URG, BANNER, options=rng.randbytes(40))]


@manner("ssh")
def wrong_checksums(flow: Flow, rng: random.Random) -> list[bytes]:
    return [flow.segment(ACK | PSH, b"HTTP/1.1 200 OK\r\n\r\n", wrong_sum=True)] * 3 + plain(flow, rng)


@manner("ssh")
def overlapping(flow: Flow, _: random.Random) -> list[bytes]:
    """What came first counts (RFC 9293 §3.10.7.4); the second version of the same bytes is a lie."""
    lie = b"X" * 8
    return [
        flow.segment(ACK | PSH, BANNER[:6]),
        flow.segment(ACK | PSH, lie[:6]),
        flow.segment(ACK | PSH, lie[:3] + BANNER[6:9], at=3),
        flow.segment(ACK | PSH, BANNER[:12]),
        flow.segment(ACK | PSH, BANNER[12:], at=12),
    ]


@manner("ssh")
def repeated(flow: Flow, rng: random.Random) -> list[bytes]:
    return plain(flow, rng) * 20


@manner("ssh")
def backwards(flow: Flow, _: random.Random) -> list[bytes]:
    parts = [flow.segment(ACK | PSH, BANNER[at : at + 1], at=at) for at in range(len(BANNER))]
    return parts[:15][::-1] + parts[15:]


@manner("ssh")
def dripping(flow: Flow, _: random.Random) -> list[bytes]:
    return [flow.segment(ACK | PSH, BANNER[at : at + 1], at=at) for at in range(len(BANNER))]


@manner("ssh")
def dripping_on(flow: Flow, _: random.Random) -> list[bytes]:
    """A byte at a time and no end of it."""
    text = BANNER.strip() + b"x" * 100
    return [flow.segment(ACK | PSH, text[at : at + 1], at=at) for at in range(len(text))]


@manner("unknown")
def never_answers_data(flow: Flow, _: random.Random) -> list[bytes]:
    return []


@manner("ssh")
def wrong_resets(flow: Flow, rng: random.Random) -> list[bytes]:
    """Of a blind attacker: never the exact next number (RFC 5961 §3.2)."""
    lies = [flow.segment(RST | extra, at=at) for extra in (0, ACK) for at in (1, -1, 1000, 65534, 2**31)]
    lies += [flow.segment(RST | ACK, ack=flow.ack + wrong) for wrong in (1, 2**31)]
    return lies + plain(flow, rng)


@manner("ssh")
def wrong_numbers(flow: Flow, rng: random.Random) -> list[bytes]:
    """Data and FINs that acknowledge what was never sent, or lie outside the window."""
    lie = b"HTTP/1.1 200 OK\r\n\r\n"
    found = [flow.segment(ACK | PSH, lie, ack=flow.seq + flow.length + wrong) for wrong in (1, 10**6, 2**31)]
    found += [flow.segment(ACK | PSH | FIN, lie, at=at) for at in (70_000, 2**31, -100)]
    return found + plain(flow, rng)


@manner("ssh")
def spoofed(flow: Flow, rng: random.Random) -> list[bytes]:
    """Right numbers from a wrong place."""
    lie = b"HTTP/1.1 200 OK\r\n\r\n"
    other = bytes([10, 66, 255, rng.randrange(256)])
    found = [flow.segment(ACK | PSH, lie, source=other), flow.segment(ACK | PSH, lie, sport=1)]
    found += [flow.segment(ACK | PSH, lie, dport=flow.sport ^ 1), flow.segment(RST | ACK, source=other)]
    return found + plain(flow, rng)


@manner("ssh")
def syn_ack_flood(flow: Flow, rng: random.Random) -> list[bytes]:
    flood = [
        flow.segment(SYN | ACK, sport=rng.randrange(1, 65536), dport=rng.randrange(32768, 61000))
        for _ in range(200)
    ]
    return flood + [flow.segment(SYN | ACK)] * 5 + plain(flow, rng)


@manner("ssh")
def nobody_asked(flow: Flow, rng: random.Random) -> list[bytes]:
    found = [flow.segment(SYN, dport=port) for port in (22, 40000, 60999)]
    found += [flow.segment(ACK | PSH, BANNER, dport=rng.randrange(32768, 61000)) for _ in range(20)]
    return found + plain(flow, rng)


@manner("ssh")
def odd_headers(flow: Flow, rng: random.Random) -> list[bytes]:
    """IP headers that lie about length and version."""
    lie = b"HTTP/1.1 200 OK\r\n\r\n"
    found = [flow.segment(ACK | PSH, lie, length=size) for size in (0, 19, 39, 65535)]
    found += [flow.segment(ACK | PSH, lie, ip_head=head) for head in (0x40, 0x4F, 0x65, 0x05)]
    return found + plain(flow, rng)


@manner("unknown")
def only_noise(flow: Flow, rng: random.Random) -> list[bytes]:
    """Nothing that is right: random flags with impossible numbers."""
    return [
        flow.segment(rng.randrange(64) & ~(SYN | RST), rng.randbytes(rng.randrange(40)), at=2**31)
        for _ in range(50)
    ]


@manner("unknown")
def data_in_the_syn_ack(flow: Flow, _: random.Random) -> list[bytes]:
    """Data came with the SYN-ACK and before it, and never again (see `opening`)."""
    return [flow.segment(ACK)]


@manner("unknown")
def escapes(flow: Flow, _: random.Random) -> list[bytes]:
    return [flow.segment(ACK | PSH, NASTY)]


NASTY = (
    b'\x1b[2J\x1b]0;owned\x07\r\n[red]x[/red],"=1+1"\x00\xff\xfe\n{"saddr":"1.2.3.4"}\n' + b"\xc2\x9b31m" * 4
)


def opening(flow: Flow, name: str) -> list[bytes]:
    """The answer to a SYN."""
    if name == "data_in_the_syn_ack":
        lie = b"HTTP/1.1 200 OK\r\n\r\n"
        return [flow.segment(ACK | PSH, lie), flow.segment(SYN | ACK, lie)]
    return [flow.segment(SYN | ACK)]


def manner_of(address: str) -> tuple[str, str, Answer]:
    return MANNERS[int(address.rsplit(".", 1)[1]) % len(MANNERS)]


def isn_of(target: bytes, sport: int, dport: int) -> int:
    return (int.from_bytes(target, "big") * 2654435761 + sport * 40503 + dport * 7919) & 0xFFFFFFFF


def main() -> None:
    interface, seconds = sys.argv[1], float(sys.argv[2])
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    wire.setsockopt(263, 23, 1)  # PACKET_IGNORE_OUTGOING
    wire.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)  # SO_RCVBUFFORCE
    wire.bind((interface, 3))
    wire.setblocking(False)
    rng = random.Random(7)
    sent: Counter[str] = Counter()
    heard: Counter[str] = Counter()
    signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
    ended: list[int] = []
    print("ready", flush=True)
    until = time.monotonic() + seconds
    while time.monotonic() < until and not ended:
        if not select.select([wire], [], [], 0.2)[0]:
            continue
        try:
            frame, _address = wire.recvfrom(65536)
        except BlockingIOError:
            continue
        if len(frame) < 54 or frame[12:14] != b"\x08\x00" or frame[23] != 6:
            continue
        ip, tcp = frame[14:34], frame[34:]
        sport, dport, seq, ack, head, flags = struct.unpack("!HHIIBB", tcp[:14])
        size = struct.unpack("!H", ip[2:4])[0] - 20 - (head >> 4) * 4
        target = ip[16:20]
        if target[:2] != bytes([10, 66]):
            continue
        heard[socket.inet_ntoa(target)] += 1
        if flags & RST:
            continue
        name, _, answer = manner_of(socket.inet_ntoa(target))
        flow = Flow(ip[12:16], target, sport, dport, seq, ack, flags, size, isn_of(target, sport, dport))
        if flags & SYN:
            packets = opening(flow, name)
        elif size and ack == (flow.isn + 1) & 0xFFFFFFFF:
            packets = answer(flow, rng)
        else:
            continue
        sent[name] += len(packets)
        for packet in packets:
            try:
                wire.send(frame[6:12] + frame[:6] + b"\x08\x00" + packet[: MTU - 14])
            except OSError:
                sent["not sent"] += 1
    print(json.dumps({"sent": sent, "heard": heard}))


if __name__ == "__main__":
    main()
