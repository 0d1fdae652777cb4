"""The texts of replies that tables are asked about."""

from __future__ import annotations

import random

import pytest

from lzr.fingerprint.classifier import identify
from lzr.fingerprint.recog import texts
from lzr.fingerprint.recog.data import TABLES
from tests.recogexamples import http, replies


def test_a_reply_gives_the_text_of_each_example_back() -> None:
    lost = []
    for example, reply in replies():
        if example.table in ("apache-os", "apache-module", "rsh"):  # parts of a text; no name is given to rsh
            continue
        asked = [(table, text.split()) for table, text in texts.of(identify(reply).label, reply)]
        held = example.table == "ldap" and example.text in reply
        if not held and (example.table, example.text.split()) not in asked:
            lost.append(example)
    assert len(lost) <= 12, [(example.table, example.text[:80]) for example in lost]


def test_what_http_says_in_several_places() -> None:
    reply = http(
        b'Server: nginx\r\nWWW-Authenticate: Basic realm="x"\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\n'
        b"X-Powered-By: PHP/8",
        b"<html><title>\n Log  in </title>",
    )
    assert texts.of("http", reply) == [
        ("server", b"nginx"),
        ("title", b"Log in"),
        ("title", b"\n Log  in "),
        ("realm", b'Basic realm="x"'),
        ("x-powered-by", b"PHP/8"),
        ("cookie", b"a=1"),
        ("cookie", b"b=2"),
    ]


def test_a_title_in_the_head_is_none_and_cookies_are_few() -> None:
    asked = texts.of("http", http(b"\r\n".join(b"Set-Cookie: c%d=<title>t</title>" % n for n in range(40))))
    assert {table for table, _ in asked} == {"cookie"}
    assert len(asked) == 8


@pytest.mark.parametrize(
    ("label", "reply", "expected"),
    [
        ("ssh", b"hello\r\nSSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", [("ssh", b"OpenSSH_9.2p1 Debian-2")]),
        ("ftp", b"220 one\r\n", [("ftp", b"one")]),
        (
            "ftp",
            b"220-a\r\nb\r\n220 c\r\n",
            [("ftp", b"a"), ("ftp", b"b"), ("ftp", b"c"), ("ftp", b"a\r\nb\r\nc")],
        ),
        ("smtp", b"220 a ESMTP\r\n502 no\r\n", [("smtp", b"a ESMTP"), ("smtp-error", b"502 no")]),
        ("telnet", b"\xff\xfd\x18\xff\xfa\x18\x01\xff\xf0router login: ", [("telnet", b"router login:")]),
        ("telnet", b"\xff\xfb\x01", []),
        ("pop3", b"-ERR", []),
        ("x11", b"\1\0\x0b\0", []),
        ("unknown", b"whatever", []),
    ],
)
def test_a_reply_of_another_kind(label: str, reply: bytes, expected: list[tuple[str, bytes]]) -> None:
    assert texts.of(label, reply) == expected


def test_no_reply_raises_whatever_its_label() -> None:
    source = random.Random(15)
    some = [reply for _, reply in replies()][::17]
    for label in texts._READERS:
        for reply in some:
            data = bytearray(reply)
            for _ in range(3):
                data[source.randrange(len(data))] = source.randrange(256)
            for table, text in texts.of(label, bytes(data[: source.randrange(len(data) + 1)])):
                assert table in TABLES
                assert len(text) <= 2048
