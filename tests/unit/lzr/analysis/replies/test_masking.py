"""What differs between two answers of one service is noise; what a new version or page says is not."""

from __future__ import annotations

import gzip
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzr.analysis.replies import tls
from lzr.analysis.replies.masking import BY_LABEL, alike, mask
from lzr.protocols import PROTOCOLS
from tests import ROOT
from tests.rows import every_row

PAIRS = [json.loads(line) for line in (ROOT / "tests/replypairs.jsonl").read_text().splitlines()]
"""Two answers each of real programs, drawn from them some minutes apart: those that were not the same
bytes."""

WEB = b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\n%s\r\n\r\n%s"


def read(text: str) -> bytes:
    return text.encode("latin-1")


@every_row(PAIRS, lambda pair: f"{pair['program']}, asked {pair['asked']}")
def test_two_answers_of_a_real_program_are_alike(pair: dict[str, str]) -> None:
    assert alike(read(pair["old"]), read(pair["new"]), pair["label"]), (pair["old"], pair["new"])


NOISE = [
    (
        WEB % (b"Date: Sun, 06 Nov 1994 08:49:37 GMT", b"x"),
        WEB % (b"Date: Mon, 07 Nov 1994 01:02:03 GMT", b"x"),
    ),
    (WEB % (b"Set-Cookie: sid=4fj29; Path=/", b""), WEB % (b"Set-Cookie: sid=zzqpw; Path=/", b"")),
    (WEB % (b"X-Request-Id: 7", b""), WEB % (b"X-Request-ID: 8", b"")),
    (
        WEB % (b'WWW-Authenticate: Digest realm="x", nonce="a1", qop="auth"', b""),
        WEB % (b'WWW-Authenticate: Digest realm="x", nonce="b2", qop="auth"', b""),
    ),
    (
        WEB % (b"Content-Type: text/html", b'<input type="hidden" name="csrf_token" value="aGVsbG8">'),
        WEB % (b"Content-Type: text/html", b'<input type="hidden" name="csrf_token" value="d29ybGQ">'),
    ),
    (
        WEB % (b"Transfer-Encoding: chunked", b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"),
        WEB % (b"Transfer-Encoding: chunked", b"6\r\nabcdef\r\n0\r\n\r\n"),
    ),
    (
        WEB % (b"Content-Encoding: gzip", gzip.compress(b"It is 10:11:12", mtime=1)),
        WEB % (b"Content-Encoding: gzip", gzip.compress(b"It is 10:11:13", mtime=2)),
    ),
    (
        b"220 mx.example.net ESMTP Sendmail 8.15.2; Tue, 1 Nov 2022 10:20:30 +0100\r\n",
        b"220 mx.example.net ESMTP Sendmail 8.15.2; Wed, 2 Nov 2022 11:21:31 +0100\r\n",
    ),
    (
        b"220 mx.example.net ESMTP e12si1234567wrx.66 - gsmtp\r\n",
        b"220 mx.example.net ESMTP b7si7654321qkl.12 - gsmtp\r\n",
    ),
    (b"+OK POP3 ready <1896.697170952@example.net>\r\n", b"+OK POP3 ready <77.697179999@example.net>\r\n"),
    (
        b"220-You are user number 3 of 50 allowed.\r\n220-Local time is now 12:34. Server port: 21.\r\n",
        b"220-You are user number 12 of 50 allowed.\r\n220-Local time is now 09:01. Server port: 21.\r\n",
    ),
    (
        b":irc.example.net NOTICE * :*** 1\r\nPING :A1B2C3D4E5F6\r\n",
        b":irc.example.net NOTICE * :*** 1\r\nPING :F6E5D4C3B2A1\r\n",
    ),
    (
        b"SSH-2.0-OpenSSH_9.2p1\r\n\0\0\0\x1c\x06\x14" + b"A" * 16 + b"\0\0\0\1k" + b"P" * 6,
        b"SSH-2.0-OpenSSH_9.2p1\r\n\0\0\0\x1c\x06\x14" + b"B" * 16 + b"\0\0\0\1k" + b"Q" * 6,
    ),
    (b"RFB 003.003\n\0\0\0\2" + b"a" * 16, b"RFB 003.003\n\0\0\0\2" + b"b" * 16),
]


@pytest.mark.parametrize(("old", "new"), NOISE)
def test_noise_is_no_change(old: bytes, new: bytes) -> None:
    assert alike(old, new)


CHANGES = [
    (
        WEB % (b"Date: Sun, 06 Nov 1994 08:49:37 GMT", b"Welcome"),
        WEB % (b"Date: Mon, 07 Nov 1994 01:02:03 GMT", b"Log in"),
    ),
    (WEB % (b"A: b", b""), (WEB % (b"A: b", b"")).replace(b"1.22.1", b"1.24.0")),
    (WEB % (b"A: b", b""), (WEB % (b"A: b", b"")).replace(b"200 OK", b"302 Found")),
    (WEB % (b"Set-Cookie: sid=1; Path=/", b""), WEB % (b"Set-Cookie: token=1; Path=/", b"")),
    (b"SSH-2.0-OpenSSH_9.2p1\r\n", b"SSH-2.0-OpenSSH_9.6p1\r\n"),
    (b"220 mx.example.net ESMTP Postfix (Debian)\r\n", b"220 mx.example.net ESMTP Exim 4.96\r\n"),
    (b"RFB 003.008\n", b"RFB 003.003\n"),
    (b"* OK [CAPABILITY IMAP4rev1] ready\r\n", b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n"),
    (b"\x15\x03\x03\0\x02\x02\x28", b"\x15\x03\x03\0\x02\x02\x46"),
]


@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_what_a_service_says_anew_is_a_change(old: bytes, new: bytes) -> None:
    assert not alike(old, new)


def test_the_date_is_found_without_a_mask_and_all_around_it_counts() -> None:
    old = WEB % (b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nA: b", b"x" * 600)
    assert alike(old, old.replace(b"49:37", b"50:38"))
    assert not alike(old, old.replace(b"49:37", b"50:38").replace(b"A: b", b"A: c"))


def test_our_own_address_in_a_reply_is_no_change() -> None:
    old, new = b"220 Hello 192.0.2.1, welcome\r\n", b"220 Hello 198.51.100.9, welcome\r\n"
    assert not alike(old, new, "ftp")
    assert alike(old, new, "ftp", b"192.0.2.1", b"198.51.100.9")


def test_mysql_keeps_its_version_and_loses_thread_and_scramble() -> None:
    def greeting(version: bytes, noise: bytes) -> bytes:
        return (
            b"J\0\0\0\x0a"
            + version
            + b"\0"
            + noise * 4
            + noise * 8
            + b"\0\xff\xf7\x21\2\0\xff\x81\x15"
            + bytes(10)
            + noise * 12
        )

    assert alike(greeting(b"8.0.36", b"a"), greeting(b"8.0.36", b"b"), "mysql")
    assert not alike(greeting(b"8.0.36", b"a"), greeting(b"8.4.0", b"a"), "mysql")


def hello(rng: random.Random, certificate: bytes, key: bool = True) -> bytes:
    """A server's flight of TLS 1.2 with a certificate and a signed key exchange."""

    def message(kind: int, body: bytes) -> bytes:
        return bytes((kind,)) + len(body).to_bytes(3, "big") + body

    der = b"\x30\x82" + len(certificate).to_bytes(2, "big") + certificate
    chain = len(der).to_bytes(3, "big") + der
    messages = message(2, b"\3\3" + rng.randbytes(32) + b"\x20" + rng.randbytes(32) + b"\xc0\x2f\0\0\0")
    messages += message(11, len(chain).to_bytes(3, "big") + chain)
    messages += message(12, b"\3\0\x1d\x20" + rng.randbytes(100)) if key else b""
    return b"\x16\x03\x03" + len(messages).to_bytes(2, "big") + messages


def test_tls_keeps_its_certificate_and_loses_randoms_keys_and_signatures() -> None:
    rng = random.Random(1)
    old, new, other = hello(rng, b"c" * 300), hello(rng, b"c" * 300), hello(rng, b"d" * 300)
    assert old != new
    assert alike(old, new, "tls")
    assert not alike(old, other, "tls")
    assert tls.leaf(old) == b"\x30\x82\x01\x2c" + b"c" * 300
    assert tls.leaf(old[:200]) == b""


def test_a_reply_that_was_cut_earlier_is_the_same_as_far_as_it_goes() -> None:
    page = WEB % (b"A: b", b"".join(b"<p>line %c</p>" % (97 + at % 26) for at in range(200)))
    assert alike(page, page[:1400], "http")
    assert not alike(page, page[:1400].replace(b"line b", b"line X"), "http")
    assert not alike(page, page[:80], "http")


def test_text_of_binary_replies_of_no_known_protocol_counts() -> None:
    noise = b"\0\1\2\3"
    assert alike(noise + b"\x99\x98", noise + b"\x01\x02\x03")
    assert not alike(noise + b"Example Gateway Control Panel", noise + b"Another Gateway Control Panel")


@every_row(PROTOCOLS, lambda protocol: protocol.name)
def test_every_example_is_like_itself_and_masked_without_fail(protocol: object) -> None:
    for example in protocol.examples:  # type: ignore[attr-defined]
        label = protocol.name  # type: ignore[attr-defined]
        for end in range(0, len(example), 7):
            mask(example[:end], label)
        assert mask(example, label) == mask(example, label)


@given(
    st.binary(max_size=300),
    st.sampled_from(["", "unknown", *BY_LABEL]),
    st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n", b"\x16\x03\x01", b"SSH-"]),
)
def test_whatever_comes_is_masked(data: bytes, label: str, head: bytes) -> None:
    mask(head + data, label)
    assert alike(head + data, head + data, label)


@pytest.mark.parametrize(
    "part",
    [
        b"a1",
        b"token=",
        b'"id":"',
        b"Mon, ",
        b"1 Jan ",
        b"<",
        b"nonce=",
        b"\r\nDate: ",
        b"1:1",
        b"ESMTP a",
        b" 9" * 3,
        b'{"',
        b"user ",
    ],
)
def test_masking_takes_linear_time(part: bytes) -> None:
    """Sixteen times as much is masked in far less than the square of that: counted, not timed, by hand of
    sizes."""
    import time

    def cost(size: int) -> float:
        data = (part * size)[: size * 2]
        began = time.process_time()
        mask(data)
        return time.process_time() - began

    # Three times at most: other programs may be at work.
    assert any(cost(64_000) < 100 * max(cost(4_000), 2e-4) for _ in range(3))
