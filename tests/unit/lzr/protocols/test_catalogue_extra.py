"""The protocols beyond the reference's: what they share, and replies that look like one another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzr.fingerprint.classifier import Classifier
from lzr.fingerprint.dispatch import Dispatcher
from lzr.protocols import Protocol, handshake, scada
from lzr.protocols._catalogue import PROTOCOLS as ALL
from lzr.protocols._framing import der, der_length, first_line, fits, leads, printable, varint
from tests import ROOT
from tests.rows import every_row

_REFERENCE = (
    "tls ssl http ipp kubernetes rtsp ssh telnet smtp pop3 imap ftp mysql postgres mongodb redis",
    "memcached_ascii memcached_binary mssql oracle mqtt amqp vnc rdp x11 pptp smb modbus dnp3 fox siemens",
    "dns bgp ipmi newlines wait",
)
REFERENCE = frozenset(name for names in _REFERENCE for name in names.split())
PROTOCOLS: tuple[Protocol, ...] = tuple(p for p in ALL if p.name not in REFERENCE)
MATCHED = tuple(p for p in PROTOCOLS if p.match is not None)
CLASSIFIER = Classifier()
LENGTHS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 28, 36, 48, 64, 128, 132, 200, 512, 536, 1000, 1460)


def test_there_are_more_than_a_hundred() -> None:
    assert len(MATCHED) > 100


@every_row(MATCHED, lambda p: p.name)
def test_each_is_asked_only_when_the_first_bytes_allow_it(protocol: Protocol) -> None:
    assert protocol.starts or protocol.at


@every_row(MATCHED, lambda p: p.name)
def test_no_matcher_takes_what_we_send(protocol: Protocol) -> None:
    for other in PROTOCOLS:
        if isinstance(other.probe, bytes):
            assert not protocol.matches(other.probe)


@every_row(MATCHED, lambda p: p.name)
def test_no_matcher_takes_a_fill(protocol: Protocol) -> None:
    for byte in range(256):
        for length in LENGTHS:
            if protocol.name != "iperf3" or length > 1:  # its whole answer is one tab
                assert not protocol.matches(bytes((byte,)) * length)


@every_row(MATCHED, lambda p: p.name)
def test_examples_quoted_behind_other_text_do_not_count(protocol: Protocol) -> None:
    for example in protocol.examples:
        assert not protocol.matches(b"<html><pre>" + example)
        assert CLASSIFIER.classify(b"HTTP/1.1 400 Bad Request\r\n\r\n" + example) == "http"


@given(st.lists(st.binary(max_size=24), max_size=4), st.sampled_from(("big", "little")), st.integers(1, 4))
def test_framed_junk_never_raises(parts: list[bytes], order: str, width: int) -> None:
    """Junk behind a length that is right raises nothing."""
    body = b"".join(parts)
    byteorder = "big" if order == "big" else "little"
    framed = len(body).to_bytes(width, byteorder) + body
    assert isinstance(CLASSIFIER.classify(framed), str)


CORRELATED = {
    "kafka": bytes.fromhex("00000010 00000063 0000 00000001 0012 0000 0003"),
    "rpc": bytes.fromhex("80000018 12345678 00000001 00000000 00000000 00000000 00000000"),
    "smpp": bytes.fromhex("00000010 80000000 00000003 00000000"),
    "ams": bytes.fromhex(
        "0000 24000000 c0a801c7 0101 0380 050d 75600101 1027 0400 0500 04000000 00000000 0c000000"
    )
    + bytes(4),
}


@pytest.mark.parametrize(("name", "reply"), CORRELATED.items())
def test_replies_to_another_client_are_known_too(name: str, reply: bytes) -> None:
    assert CLASSIFIER.classify(reply) == name


@pytest.mark.parametrize(
    ("reply", "label"),
    [
        (bytes.fromhex("03000016 11d00001 000200c0 010ac102 0100c202 0102"), "siemens"),
        (bytes.fromhex("03000016 11d00001 000200c1 020002c2 020200c0 010a"), "mms"),
        (b"220 store.example.org LMTP server ready\r\n", "lmtp"),
        (b"\5\0", "socks"),
        (b"\0\0\x11\x11", "epmd"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", "http"),
        (b"ERROR\r\n", "memcached_ascii"),
        (b"220 mail.example.org ESMTP Exim Thu, 29 Apr 2021 06:46:16 +0200\r\n", "smtp"),
        (b"JDWP-Handshake", "jdwp"),
    ],
)
def test_neighbours_keep_their_names(reply: bytes, label: str) -> None:
    assert CLASSIFIER.classify(reply) == label


def test_a_debugger_that_answers_is_no_echo() -> None:
    jdwp = handshake("jdwp")
    assert isinstance(jdwp.probe, bytes)
    assert CLASSIFIER.classify(b"JDWP-Handshake", jdwp) == "jdwp"
    assert CLASSIFIER.classify(jdwp.probe, jdwp) == "echo"


def test_command_frames_carry_a_right_checksum() -> None:
    """The polynomial's well-known check value (CRC-16/IBM-3740 of "123456789")."""
    assert scada._crc_ccitt(b"123456789") == 0x29B1


@given(st.binary(max_size=64), st.integers(0, 70))
def test_readers_never_raise(data: bytes, at: int) -> None:
    der_length(data, at)
    varint(data, at)
    first_line(data)
    printable(data)
    assert fits(data, len(data))
    assert leads(data + b"x", len(data) + 1)


@given(st.integers(0, 255), st.binary(max_size=400))
def test_der_round_trip(tag: int, body: bytes) -> None:
    element = der(tag, body)
    size, start = der_length(element, 1)
    assert element[0] == tag
    assert element[start : start + size] == body


@given(st.integers(0, 2**28 - 1))
def test_varint_round_trip(value: int) -> None:
    out, rest = bytearray(), value
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    assert varint(bytes(out), 0) == (value, len(out))


def test_the_guides_eight_lines_are_a_protocol() -> None:
    guide = (ROOT / "docs" / "protocols.md").read_text()
    code = guide.partition("```python\n")[2].partition("```")[0].strip().removesuffix(",")
    assert len(code.splitlines()) == 8

    def beep(data: bytes) -> bool:
        words = first_line(data).split(b" ")
        return len(words) == 6 and all(word.isdigit() for word in (*words[1:3], *words[4:]))

    added: Protocol = eval(code, {"Protocol": Protocol, "_beep": beep})
    others = [p for p in ALL if p.name != added.name]
    matching = Dispatcher((*others, added)).matching
    assert [matching(example) for example in added.examples] == [["beep"]]
    assert not any("beep" in matching(reject) for reject in added.rejects)
    assert all("beep" not in matching(example) for p in others for example in p.examples)
