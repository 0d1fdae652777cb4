"""A reply that greets in the name of several protocols is no server's; one protocol's own lines are."""

from __future__ import annotations

import itertools

import pytest

from lzr.fingerprint import honeypot
from lzr.fingerprint.classifier import Classifier
from lzr.protocols import PROTOCOLS
from tests.rows import every_row

BANNERS = {
    "ssh": b"SSH-2.0-OpenSSH_9.6\r\n",
    "ftp": b"220 (vsFTPd 3.0.5)\r\n",
    "pop3": b"+OK POP3 server ready\r\n",
    "imap": b"* OK IMAP4rev1 ready\r\n",
    "vnc": b"RFB 003.008\n",
    "rsync": b"@RSYNCD: 31.0\n",
}


@every_row(list(itertools.permutations(BANNERS, 2)))
def test_two_protocols_greetings_are_nobodys(first: str, second: str) -> None:
    found = Classifier((first,)).identify(BANNERS[first] + BANNERS[second])
    assert (found.label, found.application) == ("unknown", honeypot.NAME)
    assert Classifier().classify(BANNERS[first]) == first


@pytest.mark.parametrize(
    ("reply", "label"),
    [
        (b"220-ftp.example.com\r\n220-SSH-2.0 is on port 22\r\n220 FTP ready\r\n", "ftp"),
        (b"220 mx.example.com ESMTP\r\n220 again\r\n500 5.5.2 bad\r\n", "smtp"),
        (b"+OK POP3 ready\r\n-ERR what?\r\n+OK bye\r\n", "pop3"),
        (b"+OK POP3 ready\r\n-ERR unknown command\r\n-ERR unknown command\r\n", "pop3"),
        (b"* OK IMAP ready\r\nGET BAD unknown\r\n* BYE\r\n", "imap"),
        (b"SSH-2.0-x\r\n\0\0\1\0", "ssh"),
        (b"HTTP/1.1 200 OK\r\n\r\nSSH-2.0-OpenSSH_9.6\r\n220 ready\r\n", "http"),
        (b"+PONG\r\n", "redis"),
    ],
)
def test_one_protocols_lines_are_its_own(reply: bytes, label: str) -> None:
    found = Classifier().identify(reply)
    assert (found.label, found.application) == (label, "")


def test_no_example_of_a_protocol_looks_like_one() -> None:
    assert not [p.name for p in PROTOCOLS for e in p.examples if honeypot.like(e)]
