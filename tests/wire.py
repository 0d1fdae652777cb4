"""Segments on the wire for the tests: scapy packets as the oracle, and frames laid out as a ring has them."""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import sys
from collections.abc import Iterator, Sequence
from types import FunctionType
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.typing import NDArray
from scapy.layers.inet import IP, TCP, IPOption_NOP, IPOption_RR
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, PadN
from scapy.packet import Packet, Raw

from lzr import kernels
from lzr.layout import MALFORMED
from lzr.packet.segments import parse
from lzr.rows import V4_MAPPED

Rows = NDArray[Any]
BODIES = (pytest.param("native", marks=pytest.mark.native), "python")
"""What `kernels_of` takes, as the parameters of a fixture."""

PORTS = (40000, 50000)
"""Ours, both ends included; the addresses of either side are below."""
US4, US6, THEM4, THEM6 = "10.99.0.2", "fd99::2", "10.4.0.1", "fd04::1"


def halves(address: str) -> tuple[int, int]:
    parsed = ipaddress.ip_address(address)
    number = int(parsed) if parsed.version == 6 else V4_MAPPED | int(parsed)
    return number >> 64, number & (1 << 64) - 1


def text(hi: int, lo: int) -> str:
    if hi == 0 and lo >> 32 == 0xFFFF:
        return str(ipaddress.IPv4Address(lo & 0xFFFFFFFF))
    return str(ipaddress.IPv6Address(hi << 64 | lo))


def lay_out(
    packets: Sequence[bytes], gap: int = 3, captured: Sequence[int] | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """(buffer, at, captured): network headers at odd places, junk between them."""
    buffer, at = bytearray(b"\xa5" * gap), []
    for packet in packets:
        at.append(len(buffer))
        buffer += packet + b"\xa5" * gap
    seen = [len(packet) for packet in packets] if captured is None else captured
    return np.frombuffer(bytes(buffer), np.uint8), np.array(at, np.int64), np.array(seen, np.int64)


def read(
    packets: Sequence[bytes], *, checked: bool = False, captured: Sequence[int] | None = None
) -> tuple[Rows, dict[str, int], list[bytes]]:
    """Rows, how many were dropped of each kind, and the payload of each row."""
    buffer, at, seen = lay_out(packets, captured=captured)
    ts = np.arange(len(packets), dtype=np.uint64)
    rows, counts = parse(buffer, at, seen, ts, np.full(len(packets), checked))
    payloads = [
        buffer[start : start + length].tobytes()
        for start, length in zip(rows["data_at"], rows["data_len"], strict=True)
    ]
    kinds = {kind: int(count) for kind, count in zip(MALFORMED, counts, strict=True) if count}
    assert len(rows) + sum(kinds.values()) == len(packets)
    return rows, kinds, payloads


def fields(row: Any) -> dict[str, Any]:
    return {
        "src": text(int(row["peer_hi"]), int(row["peer_lo"])),
        "dst": text(int(row["own_hi"]), int(row["own_lo"])),
        **{
            name: int(row[name]) for name in ("peer_port", "own_port", "seq", "ack", "window", "ttl", "flags")
        },
    }


def said(packet: Packet) -> dict[str, Any]:
    """The same fields as scapy has them."""
    ip, tcp = packet, packet[TCP]
    return {
        "src": str(ipaddress.ip_address(ip.src)),
        "dst": str(ipaddress.ip_address(ip.dst)),
        "peer_port": tcp.sport,
        "own_port": tcp.dport,
        "seq": tcp.seq,
        "ack": tcp.ack,
        "window": tcp.window,
        "ttl": ip.ttl if IP in packet else ip.hlim,
        "flags": int(tcp.flags) & 0xFF,
    }


@contextlib.contextmanager
def kernels_of(kind: str) -> Iterator[None]:
    """Run with the kernels in C ("native"), or with what stands behind them ("python")."""
    if kind == "native":
        assert kernels.NATIVE is not None, f"{kernels.sentence()}: deselect with -m 'not native'"
    with pytest.MonkeyPatch.context() as patch:
        if kind == "python":
            in_python(patch)
        yield


def in_python(patch: pytest.MonkeyPatch) -> None:
    """Have every module call the Python body of each hot function, whatever was chosen at import."""
    for holder, name, body in _places(len(sys.modules)):
        patch.setattr(holder, name, body)


@functools.lru_cache(maxsize=1)
def _places(_: int) -> list[tuple[Any, str, FunctionType]]:
    """(module or class, name there, Python body) of all that `kernels.in_c` has chosen in C; asked anew when
    there are more modules."""
    bodies = {body: pair.python for pair in kernels.PAIRS for body in pair}  # some may be patched just now
    found: list[tuple[Any, str, FunctionType]] = []
    for module in [m for name, m in sys.modules.items() if name.split(".")[0] in ("lzr", "workers", "tests")]:
        classes = [value for value in vars(module).values() if isinstance(value, type)]
        for holder in (module, *classes):
            for name, value in vars(holder).items():
                if isinstance(value, FunctionType) and value in bodies and not name.startswith("_native_"):
                    found.append((holder, name, bodies[value]))
    return found


v4 = st.integers(1, 2**32 - 1).map(lambda n: str(ipaddress.IPv4Address(n)))
v6 = st.integers(2**96, 2**128 - 1).map(lambda n: str(ipaddress.IPv6Address(n)))
word, port = st.integers(0, 2**32 - 1), st.integers(0, 65535)
tcp_options = st.lists(
    st.sampled_from(
        [("MSS", 1460), ("NOP", None), ("SAckOK", b""), ("WScale", 7), ("Timestamp", (1, 2)), ("EOL", None)]
    ),
    max_size=4,
)
payloads = st.binary(max_size=80) | st.integers(0, 1400).map(lambda n: b"\xff" * n)


@st.composite
def tcp_layers(draw: st.DrawFn) -> Packet:
    return TCP(
        sport=draw(port),
        dport=draw(port),
        seq=draw(word),
        ack=draw(word),
        flags=draw(st.integers(0, 255)),
        window=draw(port),
        urgptr=draw(port),
        options=draw(tcp_options),
    )


@st.composite
def packets(draw: st.DrawFn) -> tuple[Packet, bytes]:
    """A well-formed segment with whatever headers IP allows, and its payload."""
    segment, data = draw(tcp_layers()), draw(payloads)
    if draw(st.booleans()):
        options = draw(st.sampled_from([[], [IPOption_NOP()] * 4, [IPOption_RR(routers=["0.0.0.0"] * 9)]]))
        head = IP(src=draw(v4), dst=draw(v4), ttl=draw(st.integers(1, 255)), options=options, flags="DF")
    else:
        head = IPv6(src=draw(v6), dst=draw(v6), hlim=draw(st.integers(1, 255)))
        for extension in draw(st.lists(st.sampled_from("hrd"), max_size=4)):
            head = head / extension_header(extension, draw(st.sampled_from([0, 8, 24])))
    return head / segment / Raw(data), data


def extension_header(letter: str, more: int = 0) -> Packet:
    """Hop-by-hop, routing or destination options, `more` bytes longer than it must be."""
    if letter == "r":
        # all segments passed: the destination is the one in the header (RFC 8200 §4.4)
        return IPv6ExtHdrRouting(addresses=["2001:db8::1"] * (more // 16), segleft=0)
    padding = [PadN(optdata=b"\0" * (4 + more))]
    return IPv6ExtHdrHopByHop(options=padding) if letter == "h" else IPv6ExtHdrDestOpt(options=padding)
