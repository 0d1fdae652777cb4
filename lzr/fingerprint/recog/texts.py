"""The texts of a reply that tables of fingerprints are about: greeting, header, title, certificate.

Replies come from strangers: each reader looks at a bounded part, is linear in it, and raises nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from lzr.fingerprint.recog import certificate
from lzr.protocols._bytes import MARK, be16, head_end, le16, line

Texts = list[tuple[str, bytes]]
"""(name of a table, text), what says most first."""

# Bounds of what is looked at, so that no reply takes long: judgements, all larger than genuine replies need.
_HEAD = 4096  # bytes of the head of an HTTP reply
_BODY = 8192  # bytes of its body, for the title
_LINES = 8  # lines of a greeting
_COOKIES = 8  # Set-Cookie fields

_FIELD = re.compile(
    rb"\n(server|www-authenticate|set-cookie|x-powered-by|user-agent):[ \t]*([^\r\n]{1,512})", re.IGNORECASE
)
_TITLE = re.compile(rb"<title[^>]{0,80}>([^<]{1,300})", re.IGNORECASE)
_NEGOTIATION = re.compile(rb"\xff(?:[\xfb-\xfe].|\xfa[^\xff]{0,64}\xff\xf0|[\xf0-\xf9])", re.DOTALL)
_DRAWN = re.compile(rb"\x1b(?:\[[0-9;?]{0,12}[A-Za-z]|[()][0-9A-B]|[<>=c78])|[\x00\x07\x08]")
"""Control sequences of terminals (ECMA-48 §5.4), zero bytes, bells."""


_HEADERS = {
    b"server": "server",
    b"www-authenticate": "realm",
    b"x-powered-by": "x-powered-by",
    b"set-cookie": "cookie",
}


def of(label: str, data: bytes) -> Texts:
    """What to ask which table about this reply."""
    if data[:3] == MARK:
        data = data[3:]
    if data[:5] == b"HTTP/":
        return _http(data)
    reader = _READERS.get(label)
    return reader(data) if reader is not None else []


def _http(data: bytes) -> Texts:
    end, _ = head_end(data, _HEAD)
    end = _HEAD if end < 0 else end
    found: dict[str, list[bytes]] = {table: [] for table in _HEADERS.values()}
    for name, value in _FIELD.findall(data, 0, end):
        table = _HEADERS.get(name.lower())
        if table is not None and len(found[table]) < (_COOKIES if table == "cookie" else 2):
            found[table].append(value.rstrip())
    title = _TITLE.search(data, end, end + _BODY)
    texts: Texts = [("server", value) for value in found["server"]]
    if title is not None:
        plain = b" ".join(title[1].split())
        texts.append(("title", plain))
        if plain != title[1]:  # fingerprints may have its blanks
            texts.append(("title", title[1]))
    for table in ("realm", "x-powered-by", "cookie"):
        texts += [(table, value) for value in found[table]]
    return texts


def _headers(server: str, agent: str) -> Callable[[bytes], Texts]:
    def read(data: bytes) -> Texts:
        texts: Texts = []
        for name, value in _FIELD.findall(data, 0, _HEAD)[:4]:
            if name.lower() == b"server":
                texts.append((server, value.rstrip()))
            elif name.lower() == b"user-agent" and agent:
                texts.append((agent, value.rstrip()))
        return texts

    return read


def _ssh(data: bytes) -> Texts:
    """RFC 4253 §4.2; the line may follow others."""
    place = data.find(b"SSH-", 0, 2048)
    software = line(data[place:]).split(b"-", 2) if place >= 0 else []
    return [("ssh", software[2].strip())] if len(software) == 3 else []


def _lines(data: bytes, codes: tuple[bytes, ...]) -> tuple[list[bytes], list[bytes]]:
    """What stands behind a greeting's code, a text a line; and the other lines (RFC 959 §4.2)."""
    greeting: list[bytes] = []
    others: list[bytes] = []
    for row in data[:2048].split(b"\n")[:_LINES]:
        text = row.rstrip(b"\r")
        coded = text[:3].isdigit() and text[3:4] in (b" ", b"-")
        if coded and text.startswith(codes):
            greeting.append(text[4:].strip())
        elif coded:
            others.append(text)
        elif greeting and not others:
            greeting.append(text.strip())
    return [text for text in greeting if text], others


def _ftp(data: bytes) -> Texts:
    greeting, _ = _lines(data, (b"220", b"120", b"421", b"530"))
    texts = [("ftp", text) for text in greeting]
    return [*texts, ("ftp", b"\r\n".join(greeting))] if len(texts) > 1 else texts


def _smtp(data: bytes) -> Texts:
    greeting, others = _lines(data, (b"220",))
    return [("smtp", text) for text in greeting] + [("smtp-error", text) for text in others]


def _nntp(data: bytes) -> Texts:
    return [("nntp", text) for text in _lines(data, (b"200", b"201"))[0]]


def _behind(table: str, mark: bytes) -> Callable[[bytes], Texts]:
    def read(data: bytes) -> Texts:
        text = line(data)
        return [(table, text[len(mark) :].strip())] if text.startswith(mark) else []

    return read


def _imap(data: bytes) -> Texts:
    text = line(data, 1024)
    for mark in (b"* OK ", b"* PREAUTH ", b"* BYE "):
        if text.startswith(mark):
            return [("imap", text[len(mark) :].strip())]
    return []


def _mysql(data: bytes) -> Texts:
    """Protocol::Handshake, or ERR_Packet: a number, perhaps `#` and five letters of state, a message."""
    if data[4:5] == b"\xff":
        size = int.from_bytes(data[:3], "little")
        message = data[7 : 4 + min(size, 512)]
        return [("mysql-error", message[6:] if message[:1] == b"#" else message)]
    end = data.find(b"\0", 5, 128)
    return [("mysql", data[5:end])] if end > 5 else []


def _telnet(data: bytes) -> Texts:
    """What is left without the negotiation (RFC 854); where it is drawn on a screen, the words alone too."""
    text = _NEGOTIATION.sub(b"", data[:2048]).strip()
    if not text:
        return []
    words = _DRAWN.sub(b"", text).strip()
    return [("telnet", text)] if words == text or not words else [("telnet", text), ("telnet", words)]


def _x11(data: bytes) -> Texts:
    """A setup that succeeded: the vendor's length at 24, its name at 40."""
    if data[:1] != b"\x01" or len(data) < 42:
        return []
    size = (le16 if data[2:3] == b"\x0b" else be16)(data, 24)
    return [("x11", data[40 : 40 + min(size, 256)])]


def _dns(data: bytes) -> Texts:
    """The first string of a TXT record of class CHAOS: the answer to version.bind (RFC 4892)."""
    place = data.find(b"\0\x10\0\x03", 12, 300)
    place = data.find(b"\0\x10\0\x03", place + 4, 600) if place >= 0 else -1
    if place < 0 or len(data) < place + 12:
        return []
    return [("dns", data[place + 11 : place + 11 + data[place + 10]])]


def _pjl(data: bytes) -> Texts:
    place = data.find(b"INFO ID", 0, 200)
    text = data[place + 7 : place + 200].split(b"\x0c")[0].strip(b'\r\n "') if place >= 0 else b""
    return [("pjl", text.split(b'"')[0].split(b"\r\n")[0])] if text else []


def _whole(table: str, size: int) -> Callable[[bytes], Texts]:
    return lambda data: [(table, data[:size])]


def _tls(data: bytes) -> Texts:
    subject, issuer = certificate.names(data)
    return [("subject", subject), ("issuer", issuer)] if subject or issuer else []


_READERS: dict[str, Callable[[bytes], Texts]] = {
    "ssh": _ssh,
    "ftp": _ftp,
    "smtp": _smtp,
    "smtp-ftp": lambda data: _ftp(data) + _smtp(data),
    "nntp": _nntp,
    "pop3": _behind("pop3", b"+OK"),
    "imap": _imap,
    "mysql": _mysql,
    "telnet": _telnet,
    "x11": _x11,
    "dns": _dns,
    "pjl": _pjl,
    "ldap": _whole("ldap", 2048),
    "rsh": _whole("rsh", 256),
    "shell": _whole("rsh", 256),
    "login": _whole("rsh", 256),
    "exec": _whole("rsh", 256),
    "rtsp": _headers("rtsp", ""),
    "sip": _headers("sip", "sip-agent"),
    "tls": _tls,
}
