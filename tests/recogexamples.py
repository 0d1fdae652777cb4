"""The examples of Recog's fingerprints, and whole replies that hold them.

The examples are data of https://github.com/rapid7/recog (NOTICE).
"""

from __future__ import annotations

import gzip
import json
import re
import struct
from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

from lzr.fingerprint.recog.data import TABLES
from lzr.fingerprint.recog.table import Table
from tests import ROOT

FILE = ROOT / "tests/unit/lzr/fingerprint/recog/examples.jsonl.gz"


class Example(NamedTuple):
    """A text, the row of the table that it belongs to, and some of what that says, as the example asserts."""

    table: str
    row: int
    text: bytes
    says: dict[str, str]


@cache
def examples() -> tuple[Example, ...]:
    with gzip.open(FILE) as lines:
        rows = [json.loads(line) for line in lines]
    return tuple(Example(r["table"], r["row"], r["text"].encode("latin-1"), r["says"]) for r in rows)


@cache
def table(name: str) -> Table:
    return Table(TABLES[name])


def reply(name: str, text: bytes) -> bytes:
    """A reply that holds a text of this table; b"" where none can."""
    return _AROUND[name](text)


def replies() -> Iterator[tuple[Example, bytes]]:
    """Each example in a reply, where a reply can hold it."""
    for example in examples():
        if whole := reply(example.table, example.text):
            yield example, whole


def der(tag: int, body: bytes) -> bytes:
    size = bytes((len(body),)) if len(body) < 128 else b"\x82" + struct.pack(">H", len(body))
    return bytes((tag,)) + size + body


_ATTRIBUTES = {
    "CN": 3,
    "SERIALNUMBER": 5,
    "C": 6,
    "L": 7,
    "ST": 8,
    "STREET": 9,
    "O": 10,
    "OU": 11,
    "POSTALCODE": 17,
}


def name(text: bytes, tag: int = 0x0C) -> bytes:
    """`CN=a,O=b` as an RDNSequence; b"" for attributes that have no short name. tag: of the strings."""
    out = b""
    for part in re.split(rb"(?<!\\)[,+](?=[A-Z]+=)", text):
        short, _, value = part.partition(b"=")
        number = _ATTRIBUTES.get(short.decode("latin-1"))
        if number is None:
            return b""
        kind = der(6, b"\x55\x04" + bytes((number,)))
        out += der(0x31, der(0x30, kind + der(tag, re.sub(rb"\\(.)", rb"\1", value))))
    return der(0x30, out)


def certificate(
    subject: bytes, issuer: bytes, version: bytes = der(0xA0, b"\2\1\2"), tag: int = 0x0C
) -> bytes:
    """The beginning of a TLS 1.2 server's answer: ServerHello and Certificate, a record each. tag: of the
    subject's strings."""
    if not name(subject) or not name(issuer):
        return b""
    dates = der(0x30, der(0x17, b"230101000000Z") * 2)
    body = version + der(2, b"\5") + der(0x30, b"") + name(issuer) + dates + name(subject, tag) + bytes(300)
    whole = der(0x30, der(0x30, body))
    sizes = [(len(whole) + more).to_bytes(3, "big") for more in (6, 3, 0)]
    hello = b"\x02\0\0\x26\3\3" + bytes(range(32)) + b"\0\xc0\x2f\0"
    return b"".join(
        b"\x16\3\3" + struct.pack(">H", len(message)) + message
        for message in (hello, b"\x0b" + b"".join(sizes) + whole)
    )


def http(field: bytes, body: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n" + field + b"\r\n\r\n" + body


def _mysql(text: bytes) -> bytes:
    rest = (
        b"\1\0\0\0abcdefgh\0\xff\xf7\x08\2\0\x0f\x80\x15"
        + bytes(10)
        + b"abcdefghijkl\0mysql_native_password\0"
    )
    body = b"\x0a" + text + b"\0" + rest
    return len(body).to_bytes(3, "little") + b"\0" + body


def _mysql_error(text: bytes) -> bytes:
    body = b"\xff\x6a\x04" + text
    return len(body).to_bytes(3, "little") + b"\0" + body


def _x11(text: bytes) -> bytes:
    words = 8 + (len(text) + 3) // 4
    head = b"\1\0\x0b\0\0\0" + struct.pack("<H", words) + bytes(16) + struct.pack("<H", len(text)) + bytes(14)
    return head + text + b"\0" * (-len(text) % 4)


def _dns(text: bytes) -> bytes:
    """The answer to a question for version.bind."""
    name = b"\7version\4bind\0"
    head = b"\x12\x34\x84\0\0\1\0\1\0\0\0\0" + name + b"\0\x10\0\3"
    body = (
        head + b"\xc0\x0c\0\x10\0\3\0\0\0\0" + struct.pack(">H", len(text) + 1) + bytes((len(text),)) + text
    )
    return struct.pack(">H", len(body)) + body


def _ldap(text: bytes) -> bytes:
    """A SearchResultEntry without a name; what the examples hold is a piece of attributes."""
    entry = der(0x64, der(4, b"") + der(0x30, der(0x30, der(4, b"x") + der(0x31, der(4, text)))))
    return der(0x30, b"\2\1\1" + entry)


_AROUND: dict[str, Callable[[bytes], bytes]] = {
    "ssh": lambda text: b"SSH-2.0-" + text + b"\r\n",
    "ftp": lambda text: (
        b"220-" + text.replace(b"\r\n", b"\r\n220 ") + b"\r\n" if b"\n" in text else b"220 " + text + b"\r\n"
    ),
    "smtp": lambda text: b"220 " + text + b"\r\n",
    "smtp-error": lambda text: b"220 ready ESMTP\r\n" + text + b"\r\n",
    "pop3": lambda text: b"+OK " + text + b"\r\n",
    "imap": lambda text: b"* OK " + text + b"\r\n",
    "nntp": lambda text: b"200 " + text + b"\r\n",
    "telnet": lambda text: b"\xff\xfd\x18\xff\xfb\x01" + text,
    "mysql": _mysql,
    "mysql-error": _mysql_error,
    "server": lambda text: http(b"Server: " + text),
    "realm": lambda text: http(b"WWW-Authenticate: " + text),
    "cookie": lambda text: http(b"Set-Cookie: " + text),
    "x-powered-by": lambda text: http(b"X-Powered-By: " + text),
    "title": lambda text: http(
        b"Content-Type: text/html", b"<html><head><title>" + text + b"</title></head></html>"
    ),
    "apache-os": lambda text: http(b"Server: Apache/1.3.9 " + text),
    "apache-module": lambda text: http(b"Server: Apache/1.3.9 (Unix) " + text),
    "rtsp": lambda text: b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nServer: " + text + b"\r\n\r\n",
    "sip": lambda text: b"SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP a\r\nServer: " + text + b"\r\n\r\n",
    "sip-agent": lambda text: b"SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP a\r\nUser-Agent: " + text + b"\r\n\r\n",
    "ldap": _ldap,
    "dns": _dns,
    "pjl": lambda text: b'@PJL INFO ID\r\n"' + text + b'"\r\n\x0c',
    "rsh": lambda text: b"\1" + text[1:],
    "x11": _x11,
    "subject": lambda text: certificate(text, b"CN=x"),
    "issuer": lambda text: certificate(b"CN=x", text),
}
