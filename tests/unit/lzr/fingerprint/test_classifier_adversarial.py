"""Bytes that prove nothing get no name: noise, fills, quotations, broken records, tarpits, cut heads.

Each family of forgeries is made from a fixed seed and may fool us in at most the share named beside it.
"""

from __future__ import annotations

import base64
import random
import time
from collections.abc import Callable, Iterator
from functools import cache

import pytest

from lzr.fingerprint.classifier import Classifier
from lzr.protocols import PROTOCOLS, Protocol
from tests.rows import every_row

pytestmark = pytest.mark.attack

CLASSIFIER = Classifier()
SEED = 20220
PRINTABLE = bytes(range(32, 127))

TEXTS = [
    (p.name, e) for p in PROTOCOLS for e in p.examples if e.isascii() and e[:1].isascii() and len(e) > 12
]


def noise() -> Iterator[bytes]:
    rng = random.Random(SEED)
    for _ in range(6000):
        yield rng.randbytes(rng.choice((2, 3, 4, 8, 12, 16, 24, 40, 64, 150, 500)))


def fills() -> Iterator[bytes]:
    for byte in range(256):
        for size in (2, 3, 4, 8, 12, 16, 19, 24, 64, 256, 1448):
            yield bytes([byte]) * size


def mostly_fills() -> Iterator[bytes]:
    rng = random.Random(SEED + 1)
    for _ in range(3000):
        data = bytearray([rng.choice((0, 0, 0, 1, 255, 32, 10, rng.randrange(256)))]) * rng.choice(
            (8, 16, 40, 120)
        )
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        yield bytes(data)


def tarpit_lines() -> Iterator[bytes]:
    """Lines before an SSH version that never comes."""
    rng = random.Random(SEED + 2)
    for _ in range(3000):
        yield bytes(rng.choices(PRINTABLE, k=rng.randrange(3, 120))) + b"\r\n"


def words() -> Iterator[bytes]:
    """Letters and spaces, as a chatty unknown service would say."""
    rng = random.Random(SEED + 3)
    vocabulary = (
        b"welcome error command ready unknown bad invalid request closed OK hello server version 1.0 ! :"
    )
    for _ in range(2000):
        yield b" ".join(rng.choices(vocabulary.split(), k=rng.randrange(1, 9))) + rng.choice(
            (b"\r\n", b"\n", b"")
        )


def tls_like() -> Iterator[bytes]:
    rng = random.Random(SEED + 4)
    for _ in range(3000):
        kind, minor = rng.choice((0x14, 0x15, 0x16, 0x17)), rng.randrange(5)
        body = rng.randbytes(rng.randrange(2, 120))
        if kind == 0x15:  # an alert has a length of two, a level and a known description
            body = bytes([rng.randrange(3, 256)]) + body
        elif rng.random() < 0.5:  # a hello whose length is nonsense, or a client's
            body = (
                rng.choice((b"\x02\xff\xff\xff\x03\x03", b"\x01\x00\x00\x50\x03\x03", b"\x02\0\0\0")) + body
            )
        yield bytes((kind, 3, minor)) + rng.choice((len(body), 0, 0xFFFF)).to_bytes(2, "big") + body


def printable_lines() -> Iterator[bytes]:
    rng = random.Random(SEED + 5)
    for _ in range(3000):
        lines = (bytes(rng.choices(PRINTABLE, k=rng.randrange(60))) for _ in range(rng.randrange(1, 20)))
        yield b"\r\n".join(lines)


def numbers() -> Iterator[bytes]:
    """Lines of numbers, as counters and sensors send them; the first may look like a reply code."""
    rng = random.Random(SEED + 6)
    for _ in range(3000):
        count = rng.randrange(1, 10)
        yield b" ".join(b"%d" % rng.randrange(10 ** rng.randrange(1, 9)) for _ in range(count)) + b"\r\n"


def encoded() -> Iterator[bytes]:
    """What a protocol says, in base64, in hexadecimal digits, in two bytes a letter."""
    for text in (text for _, text in TEXTS if b"\0" not in text):
        yield base64.b64encode(text) + b"\n"
        yield text.hex().encode()
        yield text.decode("ascii").encode("utf-16-le")


def mostly_zero() -> Iterator[bytes]:
    """A few small numbers among zeros: headers of who knows what."""
    rng = random.Random(SEED + 7)
    for _ in range(4000):
        data = bytearray(rng.choice((6, 8, 12, 16, 20, 24, 32, 40, 64)))
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] = rng.choice((1, 2, 3, 4, 5, 8, 16, 128, 255))
        yield bytes(data)


def patterns() -> Iterator[bytes]:
    rng = random.Random(SEED + 8)
    for _ in range(3000):
        size, pattern = rng.randrange(1, 300), rng.randbytes(rng.randrange(2, 5))
        yield (pattern * size)[:size]


FORGERIES = {  # family: share of it that may be given a name
    noise: 0.003,
    fills: 0.002,
    mostly_fills: 0.01,
    tarpit_lines: 0.003,
    words: 0.01,
    tls_like: 0.003,
    printable_lines: 0.005,
    numbers: 0.001,
    encoded: 0.001,
    mostly_zero: 0.005,
    patterns: 0.001,
}


@pytest.mark.parametrize("family", FORGERIES, ids=lambda f: f.__name__)
def test_forgeries_stay_unknown(family) -> None:  # type: ignore[no-untyped-def]
    forged = list(family())
    named = [(CLASSIFIER.classify(data), data[:60]) for data in forged]
    fooled = [case for case in named if case[0] != "unknown"]
    assert len(fooled) <= FORGERIES[family] * len(forged), fooled[:20]


def quotations(text: bytes) -> Iterator[tuple[bytes, set[str]]]:
    """A banner quoted by something else, and the names that something may be given."""
    page = b"<html><head><title>About</title></head><body><pre>" + text + b"</pre></body></html>"
    web = {"http", "tls", "ipp", "kubernetes"}
    yield b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + page, {"http"}
    yield b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\r\n" + text, web
    yield page, {"http"}
    yield b'{"message":"got ' + text.strip().replace(b'"', b"'") + b'"}', {"unknown"}
    yield b"~~ somebody said: " + text, {"unknown", "telnet"}
    yield b"<34>1 2003-10-11T22:14:15Z host app - - " + text, {"unknown"}
    yield b'<?xml version="1.0"?><said>' + text + b"</said>", {"unknown"}
    yield len(text).to_bytes(4, "big") + b"\0\1" + text, {"unknown"}
    hello = b"\2\0\0\x46\3\3" + bytes(range(32)) + b"\x20" + bytes(range(32)) + b"\xc0\x2f\0"
    inner = bytes(30) + text
    certificate = b"\x0b" + (len(inner) + 3).to_bytes(3, "big") + len(inner).to_bytes(3, "big") + inner
    records = (b"\x16\3\3" + len(part).to_bytes(2, "big") + part for part in (hello, certificate))
    yield b"".join(records), {"tls"}


@every_row(TEXTS, lambda c: c[0])
def test_a_quotation_is_not_the_quoted(name: str, text: bytes) -> None:
    for data, right in quotations(text):
        got = CLASSIFIER.classify(data)
        assert got in right, (got, data)
        assert got != name or name in {"http", "telnet"} or got in {"tls"}


def test_a_cut_head_is_seldom_another_protocol() -> None:
    total, wrong = 0, []
    for protocol in PROTOCOLS:
        for example in protocol.examples:
            for cut in (1, 2, 3):
                rest = example[cut:]
                if len(rest) < 4:
                    continue
                total += 1
                got = CLASSIFIER.classify(rest)
                if got not in ("unknown", protocol.name):
                    wrong.append((protocol.name, cut, got, rest[:50]))
    assert len(wrong) <= 0.015 * total, wrong


@every_row([p for p in PROTOCOLS if p.match], lambda p: p.name)
def test_a_matcher_takes_linear_time(protocol: Protocol) -> None:
    """Sixteen times the bytes cost about sixteen times as much, or no more than a loop over them would."""
    assert protocol.match is not None
    heads = {*protocol.examples[:2], *protocol.starts[:2], b""}
    for head in heads:
        for tail in (b"a", b" ", b"\r\n", b"<", b"1.", b"\xff\xfb\x01", b"login: "):
            small, large = head + tail * (4096 // len(tail)), head + tail * (65536 // len(tail))
            assert spent(protocol.match, large) < 16 * 6 * spent(protocol.match, small) + 4 * loop_time()


@cache
def loop_time() -> float:
    """What a plain loop over as many bytes takes on this machine."""
    return spent(lambda data: sum(byte & 1 for byte in data), bytes(65536))


def spent(call: Callable[[bytes], object], data: bytes) -> float:
    """The fastest of three calls, in seconds of processor time: other programs may be at work."""
    times = []
    for _ in range(3):
        start = time.thread_time()
        call(data)
        times.append(time.thread_time() - start)
    return min(times)


LONG = [
    b"\xff\xfb\x01" * 300_000,
    b"220-\r\n" * 160_000,
    b"220 box VideoDiskRecorder\r\n" + b"\r\n" * 400_000,
    b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 150_000,
    b"0\x84\0\0\xff\xff\2\1\1d" + b"0\x80" * 400_000,
    b"{" + b'"a":{' * 180_000,
]


@pytest.mark.parametrize("reply", LONG, ids=lambda reply: repr(reply[:12]))
def test_what_is_read_of_a_reply_has_a_bound(reply: bytes) -> None:
    """A reply ten times as long takes no ten times as long: it is not read to its end (but once, where bytes
    are counted)."""

    def cost(data: bytes) -> float:
        return min(_seconds(data) for _ in range(5))

    assert cost(reply) < 3 * cost(reply[:70_000]) + 2e-3


def _seconds(data: bytes) -> float:
    start = time.process_time()
    CLASSIFIER.classify(data)
    return time.process_time() - start
