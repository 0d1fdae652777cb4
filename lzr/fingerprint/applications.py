"""Which web application sent a reply, recognised by marks that stand in `applicationtable`, one line each.

Plain web servers are products (`products`), not applications. The head is split once, so the cost does not
grow with the table.
"""

from __future__ import annotations

import re
from typing import Any

from lzr.fingerprint.applicationtable import TABLE
from lzr.kernels import NATIVE, in_c, prepared
from lzr.protocols._bytes import head_end
from lzr.protocols._protocol import Identity

_Names = dict[bytes, str]


_GOES_ON: set[bytes] = set()
"""Needles that may be followed by more letters of the same word."""


def _read(table: str) -> dict[str, _Names]:
    places: dict[str, _Names] = {}
    for line in table.split("\n"):
        if line:
            where, needle, name = line.split(" ")
            keep = where in ("header", "cookie", "location", "json")
            text = (needle if keep else needle.replace("_", " ")).encode()
            if text.endswith(b"*"):
                text = text[:-1]
                _GOES_ON.add(text)
            places.setdefault(where, {})[text] = name
    return places


def _by_initial(names: _Names) -> dict[bytes, tuple[bytes, ...]]:
    return {first: tuple(n for n in names if n[:1] == first) for first in {n[:1] for n in names}}


_PLACES = _read(TABLE)
_HEADERS = _PLACES["header"]
_STARTS = {where: _by_initial(names) for where, names in _PLACES.items()}
_BY_HEADER = {
    b"server": "server",
    b"upgrade": "upgrade",
    b"set-cookie": "cookie",
    b"location": "location",
    b"www-authenticate": "realm",
}
_WEAK = frozenset(("server", "upgrade"))
"""Header fields that may name only the server below an application; any other field that names one wins."""

HTTP = frozenset(("http", "tls", "ipp", "kubernetes"))
"""Labels whose replies `read` understands."""

_INITIALS = bytes(sorted({name[0] for name in (*_BY_HEADER, *_HEADERS)}))
_FIELD = re.compile(rb"\n([%b%b][\w-]*): ?([^\r\n]*)" % (_INITIALS, _INITIALS.upper()))
"""Header fields that the table has needles for, found in one pass over the head of a reply."""

_SERVER = re.compile(rb"\nserver:[ \t]*([^\r\n]{0,120})", re.IGNORECASE)


def of(label: str, data: bytes) -> str:
    """The name of the application that sent a reply with this label, or ""."""
    return read(data)[0] if label in HTTP else ""


_ORDER = ("server", "upgrade", "cookie", "location", "realm", "title", "body", "json", "certificate")
"""The places as webreply.c numbers them; the header fields come last."""

Row = tuple[bytes, str | None, int]


def rows() -> tuple[tuple[Row, ...], ...]:
    """The table as the kernels take it, by place: needle, name, and whether the needle's last word may go on.
    A header field whose value is looked up has no name but the number of its place."""
    places: list[tuple[Row, ...]] = []
    for where in _ORDER:
        names = _PLACES[where]
        anywhere = where in ("json", "certificate")
        needles = list(names) if anywhere else sorted(names, key=lambda needle: needle[:1])
        places.append(tuple((needle, names[needle], needle in _GOES_ON) for needle in needles))
    fields: dict[bytes, Row] = {name: (name, application, 0) for name, application in _HEADERS.items()}
    for name, where in _BY_HEADER.items():
        fields[name] = name, None, _ORDER.index(where)
    places.append(tuple(fields[name] for name in sorted(fields, key=len)))
    return tuple(places)


_TABLE: Any = prepared(lambda native: native.web_table((), rows(), Identity("http")), None)


def _native_read(data: bytes) -> tuple[str, bytes]:
    found: tuple[str, bytes] | None = NATIVE.web_read(_TABLE, data)
    return _read_in_python(data) if found is None else found


@in_c(_native_read)
def read(data: bytes) -> tuple[str, bytes]:
    """The application, "" where nothing gives it away, and the value of the Server field."""
    return _read_in_python(data)


def _read_in_python(data: bytes) -> tuple[str, bytes]:
    if data[:1] == b"\x16":
        return _in_certificate(data[:4096]), b""
    body = 0
    server = b""
    weak = ""
    if data[:1] in b"Hh":
        end, body = head_end(data, 4096)
        for name, value in _FIELD.findall(data, 0, end if end >= 0 else 4096):
            field = name.lower()
            where = _BY_HEADER.get(field)
            if where is None:
                found = _HEADERS.get(field, "")
            elif where in _WEAK:
                weak = weak or _starting(where, value.lower().lstrip())
                if where == "server":
                    server = server or value.strip()
                continue
            else:
                found = _starting(where, _subject(where, value.lower().lstrip()))
            if found:
                return found, server or _server(data, end)
        if end < 0:
            return weak, server
    return _in_body(data[body:4096]) or weak, server


def _server(data: bytes, end: int) -> bytes:
    """The Server field, where another one was met first."""
    found = _SERVER.search(data, 0, end if end >= 0 else 4096)
    return found[1].rstrip() if found else b""


def _subject(where: str, value: bytes) -> bytes:
    """The part of a header's value that is compared."""
    if where == "realm":
        return value.partition(b'realm="')[2] or value
    if where == "location" and b"://" in value[:8]:
        rest = value.partition(b"://")[2]
        return rest[rest.find(b"/") :] if b"/" in rest else b"/"
    return value


def _starting(where: str, text: bytes) -> str:
    needles = _STARTS[where].get(text[:1])
    if needles is None or not text.startswith(needles):
        return ""
    fit = [needle for needle in needles if text.startswith(needle) and _ends(needle, text)]
    return _PLACES[where][max(fit, key=len)] if fit else ""


def _ends(needle: bytes, text: bytes) -> bool:
    """Whether the needle's last word is a whole word of the text: `webs` is not how `webserver` starts."""
    after = text[len(needle) : len(needle) + 1]
    return not after.isalpha() or not needle[-1:].isalnum() or needle in _GOES_ON


def _in_body(body: bytes) -> str:
    low = body[:2048].lower()
    found = _starting("body", low[:160].translate(None, b" \t\r\n") + (b"$" if len(low) < 160 else b""))
    if found:
        return found
    if low.lstrip()[:1] == b"{":
        first = low[:700].replace(b" ", b"_")
        return next((name for needle, name in _PLACES["json"].items() if needle in first), "")
    place = low.find(b"<title")
    if place < 0:
        return ""
    return _starting("title", low[place : place + 200].partition(b">")[2].lstrip())


def _in_certificate(data: bytes) -> str:
    """In the names of issuer and subject (X.520, 2.5.4.x), and in the subject's other names."""
    place = data.find(_ATTRIBUTE)
    if place < 0:  # TLS 1.3 shows no certificate
        return ""
    text = data[place : place + 400]
    if text.startswith(b"www.", 7) and _RELAY.match(text):
        return "tor"
    place = data.find(_OTHER_NAMES)
    if place >= 0:
        text += data[place : place + 256]
    text = text.lower()
    return next((name for needle, name in _PLACES["certificate"].items() if needle in text), "")


def may_be_relay(data: bytes) -> bool:
    """Whether a certificate's first name is like those that Tor relays make up."""
    place = data[:4096].find(_ATTRIBUTE)
    return place >= 0 and data[:4096].startswith(b"www.", place + 7)


_ATTRIBUTE = b"\x06\x03\x55\x04"
_RELAY = re.compile(
    rb"\x06\x03U\x04\x03[\x0c\x13].www\.[a-z2-7]{8,20}\.com0\x1e(?:\x17\x0d\d{12}Z){2}"
    rb"0.1.0.\x06\x03U\x04\x03[\x0c\x13].www\.[a-z2-7]{8,20}\.net0",
    re.DOTALL,
)
"""Issuer, validity and subject as a Tor relay makes them up: one name each, www, 8 to 20 letters of base 32,
com for the issuer and net for the subject (tor-spec, link certificates). With TLS 1.3 they are not seen."""
_OTHER_NAMES = b"\x06\x03\x55\x1d\x11"
