"""What is seen to be noise where two replies differ is what masks leave out; no change is taken for it."""

from __future__ import annotations

import json
import random

import pytest

from lzr.analysis.replies import pairs
from lzr.analysis.replies.masking import _seen_alike, mask
from tests import ROOT
from tests.unit.lzr.analysis.replies.test_masking import CHANGES, NOISE, WEB, hello, read

REPLIES = [
    *(
        (pair["label"], read(pair["old"]), read(pair["new"]))
        for pair in map(json.loads, (ROOT / "tests/replypairs.jsonl").read_text().splitlines())
    ),
    *(("", old, new) for old, new in NOISE),
    *(("", old, new) for old, new in CHANGES),
]


def test_replies_that_are_changed_anywhere_are_seen_alike_only_where_their_masks_are() -> None:
    rng = random.Random(3)
    seen = {False: 0, True: 0}
    for label, old, new in REPLIES:
        for _ in range(30):
            changed = bytearray(new)
            for _ in range(rng.randrange(3)):
                at = rng.randrange(len(changed))
                changed[at : at + rng.randrange(3)] = rng.choice(
                    (b"", b"7", b"x", b"\n", b"\r\n", b"\0", b";", b'"', changed[-9:], old[at : at + 9])
                )
            for left, right in ((old, bytes(changed)), (bytes(changed), old)):
                alike = mask(left, label) == mask(right, label)
                found = _seen_alike(left, right, label)
                assert alike or not found, (left, right)
                seen[found] += 1
    assert min(seen.values()) > 1000


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            WEB % (b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nSet-Cookie: a=1; Path=/\r\nETag: 1", b"x"),
            WEB % (b"Date: Mon, 07 Nov 1994 01:02:03 GMT\r\nSet-Cookie: a=22; Path=/\r\nETag: 3", b"x"),
        ),
        (
            WEB % (b"Set-Cookie: a=1; Expires=Sun, 06 Nov 1994 08:49:37 GMT; Max-Age=60; Secure", b""),
            WEB % (b"Set-Cookie: a=2; Expires=Mon, 07 Nov 1994 01:02:03 GMT; Max-Age=7200; Secure", b""),
        ),
        (
            WEB % (b"Set-Cookie: a=1;expires=1", b""),  # without a blank
            WEB % (b"set-cookie: a=2;expires=2", b""),
        ),
        (
            WEB % (b"Expires: 0", b'<p>\n<input name="csrf_token" value="aGVsbG8">\n'),
            WEB % (b"Expires: -1", b'<p>\n<input name="csrf_token" value="d29ybGQ">\n'),
        ),
        (
            WEB % (b'WWW-Authenticate: Digest realm="x", nonce="a1"', b""),
            WEB % (b'WWW-Authenticate: Digest realm="x", nonce="b22"', b""),
        ),
    ],
)
def test_what_differs_in_most_web_replies_is_seen_at_once(old: bytes, new: bytes) -> None:
    assert pairs.web(old, new)
    assert not pairs.web(old, new.replace(b"nginx", b"Apache"))
    assert not pairs.web(old, new.replace(b"200 OK", b"404 Not Found"))


def test_a_flight_of_tls_is_the_same_with_another_random_and_not_with_another_certificate() -> None:
    rng = random.Random(8)
    old, new, other = hello(rng, b"one"), hello(rng, b"one"), hello(rng, b"two")
    assert pairs.handshake(old, new)
    assert not pairs.handshake(old, other)


def test_a_flight_of_tls_1_3_is_the_same_with_another_key() -> None:
    rng = random.Random(8)

    def flight(suite: bytes = b"\x13\x01", group: bytes = b"\0\x1d") -> bytes:
        extensions = b"\0\x2b\0\x02\3\4" + b"\0\x33\0\x24" + group + b"\0\x20" + rng.randbytes(32)
        body = b"\3\3" + rng.randbytes(32) + b"\x20" + rng.randbytes(32) + suite + b"\0"
        body += len(extensions).to_bytes(2, "big") + extensions
        message = b"\2" + len(body).to_bytes(3, "big") + body
        record = b"\x16\3\3" + len(message).to_bytes(2, "big") + message
        return record + b"\x14\3\3\0\1\1" + b"\x17\3\3" + b"\1\0" + rng.randbytes(256)

    assert pairs.handshake(flight(), flight())
    assert not pairs.handshake(flight(), flight(suite=b"\x13\x02"))
    assert not pairs.handshake(flight(), flight(group=b"\0\x17"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"a=1; path=/; expires=1", b"a=2; path=/b; expires=2"),
        (b"a=1; path=/; expires=1", b"a=2; expires=1; path=/"),
        (b"a=1; path=/; expires=1", b"a=2; path=/; max-age=1"),
        (b"a=1; path=/; expires=1", b"a=2; path=/"),
        (b"a=1; secure", b"b=2; secure"),
        (b"a=1;", b"a=2"),
    ],
)
def test_attributes_and_names_of_cookies_count(old: bytes, new: bytes) -> None:
    assert not pairs.web(WEB % (b"Set-Cookie: " + old, b""), WEB % (b"Set-Cookie: " + new, b""))
    assert mask(WEB % (b"Set-Cookie: " + old, b"")) != mask(WEB % (b"Set-Cookie: " + new, b""))
