"""Greetings identified at once: as matchers and readers say, in C as in Python, alone and in a batch."""

from __future__ import annotations

import random
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from benchmarks.corpus import DEFAULT, load
from lzr import kernels
from lzr.fingerprint import greetline, products
from lzr.fingerprint.classifier import Classifier
from lzr.fingerprint.enrichment import EnrichingClassifier
from lzr.fingerprint.greetings import freetext
from lzr.fingerprint.greetings.programs import TABLE
from lzr.protocols import BY_NAME, PROTOCOLS, Identity
from lzr.rows import OUTCOME
from tests import ROOT
from tests.effort import examples
from tests.recogexamples import replies as recog_replies
from tests.rows import every_row
from tests.unit.lzr.test_kernels import both

SLOW = Classifier()
TOLD = [
    (b"220 mx.example.com ESMTP Postfix (Debian/GNU)\r\n", Identity("smtp", "", "Postfix")),
    (
        b"220 mx.example.com ESMTP Exim 4.97 Sun, 29 Nov 2026 10:00:00 +0000\r\n",
        Identity("smtp", "", "Exim", "4.97"),
    ),
    (b"220 mail.example.com\r\n", Identity("smtp")),
    (b"220 box.example.com Sun, 29 Nov 2026 10:00:00 +0000\r\n", Identity("smtp")),
    (b"220 *****2***.com ***0\r\n", Identity("smtp")),
    (b"220 (vsFTPd 3.0.5)\r\n", Identity("ftp", "", "vsFTPd", "3.0.5")),
    (
        b"220-FileZilla Server 1.8.0\r\n220 Please visit us\r\n",
        Identity("ftp", "", "FileZilla Server", "1.8.0"),
    ),
    (b"220 ProFTPD Server (Debian) [192.0.2.1]\r\n", Identity("ftp", "", "ProFTPD")),
    (b"220 Serv-U FTP Server v15.1.3.25 ready...\r\n", Identity("ftp", "", "Serv-U", "15.1.3.25")),
    (b"220 ftp.example.com ready\r\n", Identity("ftp")),
    (b"220 one two three four five six\r\n", Identity("ftp")),
    (b"+OK Dovecot ready.\r\n", Identity("pop3", "", "Dovecot")),
    (b"+OK POP3 ready <12.34@example.com>\r\n", Identity("pop3")),
    (b"* OK [CAPABILITY IMAP4rev1] Dovecot ready.\r\n", Identity("imap", "", "Dovecot")),
    (b"\xff\xfb\1", Identity("telnet")),
    (b"\xff\xfd\x18\xff\xfd\x20\xff\xf1\xff\xfd\x27", Identity("telnet")),
    (b"\xff\xfb\1\xff\xfb\3\r\n\r\nUser Access Verification\r\n\r\nUsername: ", Identity("telnet")),
    (b"\xff\xfb\1\r\n\x07Welcome to the WhatRoute TELNET Server.\r\n", Identity("telnet", "", "WhatRoute")),
]
LEFT = [
    b"",
    b"220 ",
    b"220 box ready\r\n",
    b"220 WinGate Engine FTP Gateway at 192.0.2.1\r\n",
    b"220 2.0.0 welcome here\r\n",
    b"220 ready\r\n500 what?\r\n",
    b"220-mx.example.com ESMTP\r\n250 ok\r\n",
    b"220-mx.example.com ESMTP\r\nSSH-2.0-x\r\n",
    b"220-mx.example.com ESMTP\r\n220 2.1.0 x\r\n",
    b"220 mx.example.com LMTP Dovecot ESMTP\r\n",
    b"220 dict.example.com <auth> <1.2@example.com> ftp \r\n",
    b"220 VMware Authentication Daemon Version 1.10 ftp \r\n",
    b"220 host SNPP Gateway Ready now for you all\r\n",
    b"220 1.2.3 4.5\r\n",
    b"220 mx.example.com ESMTP Sampler 2.1\r\n",
    b"220 box FTP server (SampleServe) ready\r\n",
    b"220 Canon MF-410 FTP server ready\r\n",
    b"220 JD FTP Server Ready\r\n",
    b"220 x TOSHIBA e-STUDIO1 FTP Server AA.BBB.C1 ready\r\n",
    b"220 mx.example.com ESMTP\0\r\n",
    b"+OK \r\n",
    b"+OK ready\r\n-ERR no\r\n",
    b'* OK MUPDATE "a" "b" "c" "d"\r\n',
    b"* OK\x01 IMAP\r\n",
    b"HTTP/1.1 200 OK\r\n",
    b"\xff",
    b"\xff\xfb",
    b"\xff\xfb\xb0 hello there",
    b"\xff\xfa\x18\1\xff\xf0\xff\xfb\1 login: ",
    b"\xff\xfb\1 hello \xff\xfb\3 there",
    b"\xff\xfb\1 hello \1 there",
    b"\xff\xfb\1 MikroTik v6.42\r\nLogin: ",
    b"\xff\xfb\1 Sampler 1.2\r\nLogin: ",
    b"\xff\xfb\1 Grandstream\r\nLogin: ",
    b"\xff\xfb\1 EHLO localhost\r\nLogin: ",
    b"\xff\xfb\1" * 70,
    b"\xff\xfb\1 login: " + b" " * 300,
    b"220 ftp " + b"x" * 3000,
]
PIECES = [
    *(b"\xff\xfb\1", b"\xff\xfa\x18\1\xff\xf0", b"\xff\xf1", b"login: ", b"Debian"),
    *(
        b" ",
        b"\r\n",
        b"\r\n220 ",
        b"\r\n220-",
        b"\n",
        b"1.2.3",
        b"192.0.2.1",
        b" at 192.0.2.1 ",
        b"[3.4.5.6]",
    ),
    *(
        b" v2.0",
        b"ftpd",
        b"smtp",
        b"ftp",
        b" (AbC)",
        b"mail",
        b".",
        b"_",
        b"-",
        b"\0",
        b"\xff",
        b"version 3.1",
    ),
    *(b"er.1.2 ", b"220 ", b"12:34:56 +0100", b"Cisco 7", b" server (", b"xn--a", b"localhost", b"[", b"***"),
    *(line.split(" ")[1].replace("_", " ").encode() for line in TABLE.split("\n") if line),
]


def seeds() -> list[bytes]:
    found = [reply for reply, _ in TOLD] + LEFT
    found += [reply for p in PROTOCOLS for reply in (*p.examples, *p.rejects)]
    found += [reply for _, reply in recog_replies()]
    if DEFAULT.is_file():
        found += [row["data"] for row in load(DEFAULT)]
    return [reply for reply in found if reply[:1] in b"2+*\xff" and reply]


SEEDS = seeds()


def slowly(data: bytes) -> Identity:
    label = SLOW._by_matchers(data)
    reader = products.READERS.get(label)
    return Identity(label, "", *(reader(data) if reader is not None else ("", "")))


def agree(data: bytes) -> Identity | None:
    native, python = both(lambda: greetline.of_line(data))
    assert native == python, data
    if python is not None:
        assert slowly(data) == python, data
    return python  # type: ignore[no-any-return]


@pytest.mark.parametrize(("reply", "identity"), TOLD)
def test_what_is_identified(reply: bytes, identity: Identity) -> None:
    assert agree(reply) == identity


@every_row(LEFT)
def test_what_is_left(reply: bytes) -> None:
    assert agree(reply) is None


def test_all_that_is_known_of_greetings() -> None:
    assert sum(agree(reply) is not None for reply in SEEDS) > len(SEEDS) * 0.3


def changed(draw: random.Random) -> bytes:
    data = bytearray(draw.choice(SEEDS))
    for _ in range(draw.randrange(4)):
        at = draw.randrange(len(data) + 1)
        way = draw.randrange(6)
        if way == 0:
            data[at : at + 1] = bytes((draw.randrange(256),))
        elif way == 1:
            data[at:at] = draw.choice(PIECES)
        elif way == 2:
            del data[at : at + draw.randrange(12)]
        elif way == 3:
            del data[at:]
        elif way == 4:
            other = draw.choice(SEEDS)
            data[at:] = other[draw.randrange(len(other) + 1) :][:200]
        else:
            data[3:4] = draw.choice((b" ", b"-"))
    return bytes(data)


@pytest.mark.native
@pytest.mark.parametrize("seed", range(4))
def test_greetings_that_were_changed(seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(examples(1500)):
        agree(changed(draw))


@given(
    st.sampled_from((*greetline.BEGINNINGS, b"", b"\xff\xfb\1", b"\xff\xfb\3\xff\xf1")),
    st.binary(max_size=700),
)
@example(b"220-", b"\n220 " + b"\n" * 600)
@example(b"220 ", b"." * 600)
def test_any_bytes(beginning: bytes, data: bytes) -> None:
    agree(beginning + data)


HEADS = ((0, b"GET "), (0, b"220 "))


def batch(replies: list[bytes], by: list[int], rows: Any = None, left: Any = None) -> Any:
    table = np.zeros(len(replies), OUTCOME)
    table["data_len"], table["handshake"] = list(map(len, replies)), by
    places = np.cumsum([0, *map(len, replies)])[:-1].tolist()
    names = [Identity("unknown")] * len(replies)
    asked = list(enumerate(places)) if left is None else left
    return greetline.lines(table, b"".join(replies), asked, HEADS, 16, names), names


def test_a_batch() -> None:
    replies = [*(reply for reply, _ in TOLD), *LEFT]
    native, python = both(lambda: batch(replies, [row % 3 for row in range(len(replies))]))
    assert native == python
    (left, counts), names = python
    assert sum(counts.values()) + len(left) == len(replies)
    assert counts[0, "smtp"] > 1
    for row, name in enumerate(names):
        if name.label != "unknown":
            assert row % 3 == 0 or not replies[row].startswith(b"220 ")
            assert row % 3 != 2, "there is no such handshake"
            assert len(replies[row]) >= 16 or name.label == "telnet"


@pytest.mark.native
@pytest.mark.parametrize(
    ("left", "words"), [([(1, 0)], "no such row"), ([(0, 9)], "more payload"), ([(0, 1)], "more")]
)
def test_places_that_are_not_there(left: Any, words: str) -> None:
    for kind in ("native", "python"):
        pair = next(pair for pair in kernels.PAIRS if pair.python.__name__ == "lines")
        table = np.zeros(1, OUTCOME)
        table["data_len"] = 8
        with pytest.raises(ValueError, match=words):
            getattr(pair, kind)(table, b"220 abcd", left, HEADS, 0, [Identity("unknown")])


@pytest.mark.native
def test_what_is_no_table() -> None:
    plain, none = (Identity("smtp"),) * 5, ((),) * 5
    nobody = (bytes(256), (), (), ())
    for arguments in (
        ((), none, (), (), (), (), nobody),
        (plain, (), (), (), (), (), nobody),
        (plain[:3], none, (), (), (), (), nobody),
        (("smtp",) * 5, none, (), (), (), (), nobody),
        ((("smtp", "", "", "", ()),) * 5, none, (), (), (), (), nobody),
        (plain, (((b"a", b"ab", 1, False),), *none[1:]), (), (), (), (), nobody),
        (plain, ((("a", b"ab", "c", False),), *none[1:]), (), (), (), (), nobody),
        (plain, none, ((b"a",),), (), (), (), nobody),
        (plain, none, ((b"a", "b"),), (), (), (), nobody),
        (plain, none, (), (), (), (1,), nobody),
        (plain, none, [], (), (), (), nobody),
        (plain, none, (), (), (), (), ()),
        (plain, none, (), (), (), (), (bytes(9), (), (), ())),
        (plain, none, (), (), (), (), (bytes(256), (), (), ((0,),))),
        (plain, none, (), (), (), (), (bytes(256), (), (), (("0", b"x"),))),
    ):
        with pytest.raises(TypeError):
            kernels.NATIVE.greeting_table(*arguments)
    with pytest.raises(TypeError):
        kernels.NATIVE.greeting_table(plain)
    table = kernels.NATIVE.greeting_table(plain, none, (), (), (), (), nobody)
    assert kernels.NATIVE.greeting(table, b"220 mx.example.com ESMTP\r\n") == plain[0]
    for some in ((table,), (table, 1), (1, b"")):
        with pytest.raises((TypeError, ValueError)):
            kernels.NATIVE.greeting(*some)


@pytest.mark.native
def test_numbers_that_c_and_python_share() -> None:
    text = (ROOT / "lzr/native/greetline.c").read_text()
    reach = {name: int(value) for name, value in re.findall(r"#define (\w+) (\d+)", text)}
    assert reach["LINES_REACH"] == greetline._LONGEST
    assert (reach["REACH"], reach["AGREED"], reach["SEGMENT"]) == (512, greetline._AGREED, greetline._SEGMENT)
    assert (reach["TERMINAL_REACH"], reach["NEGOTIATED"]) == (freetext.REACH, greetline._NEGOTIATED)


def test_what_is_identified_at_once_is_enriched_as_alone() -> None:
    replies = [reply for reply, _ in TOLD] + [reply for _, reply in recog_replies()][:1500]
    replies += [example for p in PROTOCOLS for example in p.examples]
    rows = np.zeros(len(replies), OUTCOME)
    rows["data_len"] = list(map(len, replies))
    names = [Identity("unknown")] * len(replies)
    classifier = EnrichingClassifier()
    left, _ = classifier.identify_plain(rows, b"".join(replies), (BY_NAME["http"],), names)
    assert len(left) < len(replies) * 0.8
    for row in {*range(len(replies))} - {row for row, _ in left}:
        assert names[row] == classifier.identify(replies[row], BY_NAME["http"]), replies[row]


def test_few_bytes_of_a_negotiation_begin_no_solicited_reply() -> None:
    solicited = [(p.name, reply) for p in PROTOCOLS for reply in p.solicited if reply[:1] == b"\xff"]
    assert not [name for name, reply in solicited if len(reply) >= greetline._LEAST]
