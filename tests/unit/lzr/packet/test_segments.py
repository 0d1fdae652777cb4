"""Frames and segments, with scapy as the oracle both ways; and whatever else may come from a wire."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from lzr.layout import CUT, MAX_FRAME
from lzr.packet.payloads import ProbeTemplate
from lzr.packet.segments import ETHERNET, Builder, LinkHeader, _fold, _words
from lzr.rows import ACK, FRAME, NO_PROBE, PSH, RST, SYN
from tests.effort import examples
from tests.rows import every_row
from tests.wire import (
    BODIES,
    extension_header,
    fields,
    halves,
    kernels_of,
    packets,
    read,
    said,
    text,
    v4,
    v6,
    word,
)

LINK = LinkHeader(b"\x02\0\0\0\0\1", b"\x02\0\0\0\0\4", b"\x02\0\0\0\0\6")
MAC, GATEWAY4, GATEWAY6 = "02:00:00:00:00:01", "02:00:00:00:00:04", "02:00:00:00:00:06"


@pytest.fixture(autouse=True, scope="module", params=BODIES)
def kernels(request: pytest.FixtureRequest) -> Iterator[None]:
    """All of it with the kernels in C and in Python."""
    with kernels_of(request.param):
        yield


# --- checksums ------------------------------------------------------------------------------------------


def total(data: bytes) -> int:
    return int(_fold(_words(np.frombuffer(data, np.uint8)[None, :]))[0])


def test_the_example_of_rfc_1071() -> None:
    data = bytes.fromhex("0001f203f4f5f6f7")  # §3
    assert total(data) == 0xDDF2
    assert 0xFFFF ^ total(data) == 0x220D


@pytest.mark.parametrize(
    ("data", "expected"),
    [("", 0), ("00", 0), ("01", 0x0100), ("ffff", 0xFFFF), ("ffff0001", 1), ("ffffffffffff", 0xFFFF)],
)
def test_sums_of_words(data: str, expected: int) -> None:
    assert total(bytes.fromhex(data)) == expected


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_the_sum_is_that_of_plain_arithmetic(data: bytes) -> None:
    padded = data + b"\0" * (len(data) % 2)
    plain = sum(int.from_bytes(padded[at : at + 2], "big") for at in range(0, len(padded), 2))
    while plain > 0xFFFF:
        plain = (plain & 0xFFFF) + (plain >> 16)
    assert total(data) == plain


# --- building -------------------------------------------------------------------------------------------


def frame(src: str, dst: str, **columns: Any) -> Any:
    row = np.zeros(1, FRAME)
    row["own_hi"], row["own_lo"] = halves(src)
    row["peer_hi"], row["peer_lo"] = halves(dst)
    row["probe"] = NO_PROBE
    for name, value in columns.items():
        row[name] = value
    return row


def build(burst: Any, *probes: bytes) -> list[bytes]:
    builder = Builder(LINK, tuple(ProbeTemplate((probe,) if probe else ()) for probe in probes))
    out = np.full((len(burst), MAX_FRAME + 8), 0xA5, np.uint8)
    lengths = builder.build(burst, out)
    for row, length in zip(out, lengths, strict=True):
        assert (row[length:] == 0xA5).all(), "written beyond the frame"
    return [row[:length].tobytes() for row, length in zip(out, lengths, strict=True)]


def oracle(row: Any, data: bytes) -> bytes:
    """The frame as scapy makes it."""
    src = text(int(row["own_hi"]), int(row["own_lo"]))
    dst = text(int(row["peer_hi"]), int(row["peer_lo"]))
    flags = int(row["flags"])
    six = ":" in src
    segment = TCP(
        sport=int(row["own_port"]),
        dport=int(row["peer_port"]),
        seq=int(row["seq"]),
        ack=int(row["ack"]) if flags & ACK else 0,
        flags=flags,
        window=65535,
        options=[("MSS", 1440 if six else 1460), ("SAckOK", b""), ("NOP", None), ("NOP", None)]
        if flags & SYN
        else [],
    )
    head = IPv6(src=src, dst=dst, hlim=255) if six else IP(src=src, dst=dst, id=0, flags="DF", ttl=255)
    return bytes(Ether(src=MAC, dst=GATEWAY6 if six else GATEWAY4) / head / segment / Raw(data))


@settings(max_examples=examples(60), deadline=None)
@given(
    pairs=st.lists(st.tuples(v4, v4) | st.tuples(v6, v6), min_size=1, max_size=6),
    flags=st.sampled_from([SYN, ACK, ACK | PSH, RST | ACK, RST]),
    numbers=st.lists(word, min_size=2, max_size=2),
    ports=st.lists(st.integers(0, 65535), min_size=2, max_size=2),
    data=st.binary(max_size=60) | st.integers(0, 1440).map(lambda n: b"\xff" * n),
)
def test_every_byte_is_as_scapy_has_it(
    pairs: list[tuple[str, str]], flags: int, numbers: list[int], ports: list[int], data: bytes
) -> None:
    """IPv4, IPv6 and both in one burst; payloads of even and odd lengths."""
    columns = {
        "flags": flags,
        "seq": numbers[0],
        "ack": numbers[1],
        "own_port": ports[0],
        "peer_port": ports[1],
    }
    if flags & SYN:
        data = b""
    burst = np.concatenate([frame(*pair, **columns, probe=0 if data else NO_PROBE) for pair in pairs])
    for row, built in zip(burst, build(burst, data), strict=True):
        assert built == oracle(row, data)


def test_a_whole_ring_at_once() -> None:
    burst = np.repeat(frame("10.0.0.1", "192.0.2.1", flags=ACK, probe=0), 2000)
    burst["peer_lo"] += np.arange(2000, dtype=np.uint64)
    burst["seq"] = np.arange(2000, dtype=np.uint32) * np.uint32(2_000_003)
    for row, built in list(zip(burst, build(burst, b"odd"), strict=True))[::97]:
        assert built == oracle(row, b"odd")


def test_a_handshake_without_bytes_is_a_bare_ack() -> None:
    burst = frame("10.0.0.1", "192.0.2.1", flags=ACK, probe=0)
    assert build(burst, b"") == [oracle(burst[0], b"")]


@settings(max_examples=examples(50), deadline=None)
@given(st.tuples(v4, v4) | st.tuples(v6, v6), word, word, st.binary(max_size=50))
def test_what_we_build_we_can_read(pair: tuple[str, str], seq: int, ack: int, data: bytes) -> None:
    burst = frame(*pair, flags=ACK, seq=seq, ack=ack, own_port=1, peer_port=2, probe=0)
    rows, malformed, found = read([build(burst, data)[0][ETHERNET:]])
    assert not malformed
    assert fields(rows[0])["src"] == text(*halves(pair[0]))
    assert (rows["seq"][0], rows["ack"][0], found) == (seq, ack, [data])


# --- parsing --------------------------------------------------------------------------------------------


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(packets(), min_size=1, max_size=4), st.booleans())
def test_every_field_is_as_scapy_has_it(made: list[tuple[Any, bytes]], checked: bool) -> None:
    """IP options, IPv6 extension headers, TCP options, payloads of even and odd lengths, both families."""
    rows, malformed, found = read([bytes(packet) for packet, _ in made], checked=checked)
    assert not malformed
    assert rows["ts"].tolist() == list(range(len(made)))
    for row, (packet, data), payload in zip(rows, made, found, strict=True):
        assert fields(row) == said(packet)
        assert payload == data


@settings(max_examples=examples(60), deadline=None)
@given(packets(), st.data())
def test_a_flipped_bit_never_becomes_a_row(made: tuple[Any, bytes], data: st.DataObject) -> None:
    packet = made[0]
    raw = bytearray(bytes(packet))
    tcp = len(raw) - len(bytes(packet[TCP]))
    addresses = range(12, 20) if IP in packet else range(8, 40)
    at = data.draw(st.sampled_from([*addresses, *range(tcp, len(raw))]))
    raw[at] ^= 1 << data.draw(st.integers(0, 7))
    rows, malformed, _ = read([bytes(raw)])
    assert not len(rows)
    assert set(malformed) <= {"bad_checksum", "bad_offset"}


@settings(max_examples=examples(60), deadline=None)
@given(packets(), st.data())
def test_cut_anywhere(made: tuple[Any, bytes], data: st.DataObject) -> None:
    """A frame may end anywhere; cut off by the ring is only what is longer than a ring's row."""
    packet, payload = made
    raw = bytes(packet)
    headers = len(raw) - len(payload)
    cut = data.draw(st.integers(0, len(raw)))
    rows, malformed, found = read([raw[:cut]], captured=[cut])
    if cut == len(raw) or cut >= max(headers, CUT):
        assert not malformed
        assert fields(rows[0]) == said(packet)
        assert payload.startswith(found[0])
        assert len(found[0]) == cut - headers
    else:
        assert not len(rows)
        assert set(malformed) <= {"truncated", "bad_offset", "not_tcp"}


@settings(max_examples=examples(80), deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([b"", b"\x45", b"\x46", b"\x4f", b"\x60"]), st.binary(max_size=200)),
        max_size=5,
    ),
    st.booleans(),
)
def test_junk(made: list[tuple[bytes, bytes]], checked: bool) -> None:
    read([start + rest for start, rest in made], checked=checked)


@settings(max_examples=examples(80), deadline=None)
@given(
    packets(),
    st.lists(st.tuples(st.integers(0, 120), st.integers(0, 255)), min_size=1, max_size=6),
    st.booleans(),
)
def test_mutated(made: tuple[Any, bytes], changes: list[tuple[int, int]], checked: bool) -> None:
    raw = bytearray(bytes(made[0]))
    for at, value in changes:
        raw[at % len(raw)] = value
    rows, _, found = read([bytes(raw)], checked=checked)
    for payload in found:
        assert payload in bytes(raw)
    assert (rows["data_len"] <= len(raw)).all()


def segment(**more: Any) -> Any:
    return TCP(sport=80, dport=40000, flags="A", seq=1, ack=2, **more)


def four(**more: Any) -> Any:
    return IP(src="192.0.2.1", dst="10.0.0.1", **more)


def six(**more: Any) -> Any:
    return IPv6(src="2001:db8::1", dst="fd00::1", **more)


MALFORMED: list[tuple[str, str, bytes]] = [
    ("truncated", "nothing", b""),
    ("truncated", "an IP header alone", bytes(four() / segment())[:20]),
    ("truncated", "half a TCP header", bytes(four() / segment())[:39]),
    ("truncated", "an IP length that ends within TCP", bytes(four(len=39) / segment() / Raw(b"12345"))),
    ("truncated", "an IP length of nothing", bytes(four(len=0) / segment())),
    ("truncated", "a header length of 16", bytes(four(ihl=4) / segment())),
    ("truncated", "IP options beyond the end", bytes(four(ihl=15) / segment())),
    ("truncated", "an IPv6 length that ends within TCP", bytes(six(plen=10) / segment())),
    ("not_tcp", "UDP", bytes(four() / UDP() / Raw(b"x" * 20))),
    ("not_tcp", "ICMP", bytes(four() / ICMP() / Raw(b"x" * 20))),
    ("not_tcp", "UDP over IPv6", bytes(six() / UDP() / Raw(b"x" * 20))),
    ("not_tcp", "no IP", b"\x15" * 60),
    (
        "not_tcp",
        "UDP behind an extension header",
        bytes(six() / extension_header("d") / UDP() / Raw(b"x" * 20)),
    ),
    ("not_tcp", "ESP", bytes(six(nh=50) / Raw(b"x" * 40))),
    ("fragment", "the first fragment", bytes(four(flags="MF") / segment() / Raw(b"x" * 8))),
    ("fragment", "a later fragment", bytes(four(frag=100) / segment())),
    ("fragment", "an IPv6 fragment", bytes(six() / IPv6ExtHdrFragment(m=1) / segment())),
    ("fragment", "a later IPv6 fragment", bytes(six() / IPv6ExtHdrFragment(offset=1) / segment())),
    ("fragment", "a cut IPv6 fragment", bytes(six(nh=44, plen=7) / Raw(b"\x06" + b"\0" * 40))),
    ("not_tcp", "UDP in an atomic fragment", bytes(six() / IPv6ExtHdrFragment() / UDP() / Raw(b"x" * 20))),
    ("bad_offset", "a data offset of 16", bytes(four() / segment(dataofs=4))),
    ("bad_offset", "a data offset of nothing", bytes(four() / segment(dataofs=0))),
    ("bad_offset", "a data offset beyond the end", bytes(four() / segment(dataofs=15))),
    ("bad_offset", "the same in IPv6", bytes(six() / segment(dataofs=15))),
    ("bad_checksum", "a wrong checksum", bytes(four() / segment(chksum=0x1234))),
    ("bad_checksum", "a checksum of zero", bytes(four() / segment(chksum=0))),
    ("bad_checksum", "a wrong checksum in IPv6", bytes(six() / segment(chksum=0x1234))),
]


@every_row(MALFORMED)
def test_malformed_frames_are_counted_by_kind(kind: str, what: str, raw: bytes) -> None:
    good = bytes(four() / segment() / Raw(b"good"))
    rows, malformed, found = read([good, raw, good])
    assert malformed == {kind: 1}
    assert found == [b"good", b"good"]
    assert rows["ts"].tolist() == [0, 2]


@pytest.mark.attack
def test_atomic_fragments_are_whole() -> None:
    """Those with offset 0 and no more to come, anywhere (RFC 6946); reserved bits mean nothing."""
    odd = IPv6ExtHdrFragment(id=7, res1=255, res2=3)
    heads = [six() / odd, six() / extension_header("d") / odd / odd, six() / odd / extension_header("h", 16)]
    rows, malformed, found = read([bytes(head / segment() / Raw(b"whole")) for head in heads])
    assert not malformed
    assert found == [b"whole"] * 3
    assert rows["ts"].tolist() == [0, 1, 2]


def test_too_many_extension_headers() -> None:
    """Five in a row: the kernel's program gives up after four, and so does this."""
    head = six()
    for letter in "dddd":
        head = head / extension_header(letter)
    assert not read([bytes(head / segment())])[1]
    assert read([bytes(head / extension_header("d") / segment())])[1] == {"not_tcp": 1}


def test_an_extension_header_that_claims_more_than_there_is() -> None:
    raw = bytearray(bytes(six() / extension_header("d") / segment()))
    raw[41] = 255
    assert read([bytes(raw)])[1] == {"truncated": 1}


def test_a_checksum_is_taken_on_trust_where_the_kernel_looked() -> None:
    raw = bytes(four() / segment(chksum=0x1234) / Raw(b"data"))
    assert read([raw], checked=True)[2] == [b"data"]


def test_padding_behind_the_packet_is_no_data() -> None:
    """Ethernet fills short frames up to 60 bytes."""
    raw = bytes(four() / segment())
    assert read([raw + b"\xff" * 6])[2] == [b""]
    assert read([bytes(six() / segment() / Raw(b"x")) + b"\xff" * 9])[2] == [b"x"]


@pytest.mark.parametrize("made", [four, six])
def test_a_merged_frame_is_cut_at_capture(made: Any) -> None:
    """GRO joins up to 64 KB into one frame, a ring's slot takes 2,048 bytes: there is no whole to check."""
    data = bytes(range(256)) * 230
    raw = bytes(made() / segment() / Raw(data))
    assert len(raw) > 58_000
    _, malformed, found = read([raw[:1900]], captured=[1900])
    assert not malformed
    assert found == [data[: 1900 - (len(raw) - len(data))]]
    assert read([raw])[2] == [data]


def test_no_frames() -> None:
    assert not len(read([])[0])


def test_a_ring_full_of_both_families() -> None:
    """Neighbours do not get into each other's way: as one batch as one by one."""
    made = [
        bytes((four if at % 3 else six)() / segment(window=at) / Raw(b"x" * (at % 50) + bytes([at & 255])))
        for at in range(300)
    ]
    rows, malformed, found = read([*made, *(raw for _, _, raw in MALFORMED)])
    assert sum(malformed.values()) == len(MALFORMED)
    assert rows["window"].tolist() == list(range(300))
    assert [len(data) for data in found] == [at % 50 + 1 for at in range(300)]
