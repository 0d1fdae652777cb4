"""The product and version that a banner states plainly; nothing is guessed.

Text protocols name their program in a line (`greetings.lookup` looks it up there, by the table of
`greetings.programs`) or a header. Binary ones have a field for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from lzr.fingerprint import fields, statements
from lzr.fingerprint.applications import HTTP
from lzr.fingerprint.greetings import freetext
from lzr.fingerprint.greetings.lookup import NOTHING, Stated, greeting_lines, named
from lzr.protocols._bytes import be16, head_end, line

_GREETERS = {"smtp": "s", "ftp": "f", "imap": "i", "pop3": "p"}
"""Labels of those who greet with a line, and their letters in `greetings.programs`."""

_ROUTING = re.compile(rb"\r\nHello, this is ([A-Za-z]{1,32}) \(version ([^)\s]{1,40})\)")
_SERVER = re.compile(rb"\nserver:([^\n]{0,120})", re.IGNORECASE)
_PLAIN_NUMBER = re.compile(rb"[0-9]+(?:\.[0-9A-Za-z_-]+)+")
_ADDRESS = re.compile(rb"[0-9]{2,}\.[0-9]+\.[0-9]+\.[0-9]+")
"""Four numbers; where the first has one digit they are a version: nobody's address begins so."""
_MICROSOFT_NEWS = re.compile(
    rb"20[01] (?:NNTP[ -]Service|Serv[^\s]{1,8} NNTP)[ ,][^\r\n]{0,60}?Version: (\d{1,4}(?:\.\d{1,5}){1,4})"
)
_SSH_HASH = re.compile(rb"([A-Za-z]\w{2,30})-(?=[0-9a-f]{0,12}\d)([0-9a-f]{7,12})")
"""A name, and the commit of which it was built."""
_SSH_VERSION = re.compile(
    rb"[-_/ ](?:v|V|release_)?(?!\d+[A-Z][a-z])(\d[A-Za-z0-9.~]*)|(?<=SSH)\.(?=\d+\.\d)(\d[\d.]*)\Z"
)


_NUMBER_IN_NAME = re.compile(rb"\d{1,2}(?!(?:alpha|beta|rc|pre|dev)\d*$)[a-z]+(?:[A-Z-]|[a-z]{2})")
"""A name that begins with a number, as "3com-server"; "2p1" is a version, and "1.2.22j4rad" too."""

_NUMBER_FIRST = re.compile(rb"\d[\d.]*+(?![A-Z])")
_NEGOTIATED = 12
"""Bytes that terminals may exchange before a word is said (RFC 855); shorter replies are not read."""


def _ssh(data: bytes) -> Stated:
    """RFC 4253 §4.2: softwareversion is a name, then most often a version after "_", "-" or a space."""
    if data[:4] != b"SSH-":
        data = data[data.find(b"\nSSH-", 0, 1024) + 1 :]
        if data[:4] != b"SSH-":
            return "OpenSSH", ""
    software = line(data).partition(b"-")[2].partition(b"-")[2][:120]
    if _NUMBER_FIRST.match(software):  # the older habit: version first
        version, _, name = software.replace(b"_", b" ", 1).partition(b" ")
        if name[:1] == b"(":  # a remark, "(non-commercial)"
            return NOTHING
        if not name and _NUMBER_IN_NAME.match(version):
            return software.decode("latin-1"), ""
        return name.partition(b":")[0].decode("latin-1"), version.decode("latin-1") if name else ""
    found = _SSH_VERSION.search(software)
    built = _SSH_HASH.fullmatch(software) if found is None or (found[1] or b".").isalnum() else None
    if built is not None:
        return built[1].decode("latin-1"), built[2].decode("latin-1")
    if found is None:
        return (software.decode("latin-1"), "") if software.strip(b"-_. ") else NOTHING
    return software[: found.start()].decode("latin-1"), (found[1] or found[2]).decode("latin-1")


def server(value: bytes) -> Stated:
    """A Server field (RFC 9110 §10.2.4): product, slash, version; or a version as the last word."""
    value = value[:120]
    if not value:
        return NOTHING
    name, slash, rest = value.partition(b"/")
    if name[-1:] == b" " and rest[:1] == b" ":  # "Sampler 7.5 / Java 7.5": the slash stands between products
        value, slash = name.rstrip(), b""
    if not slash:
        name, _, number = value.rpartition(b" ")
        number = number[1:] if number[:1] in b"vV" else number
        if name and b"(" not in name and _PLAIN_NUMBER.fullmatch(number) and not _ADDRESS.fullmatch(number):
            return name.rstrip().decode("latin-1"), number.decode("latin-1")
    if not slash or b"(" in name:
        return value.decode("latin-1"), ""
    version = rest.split(b" ", 1)[0].split(b",", 1)[0]
    if version[:1] in (b"v", b"V") and version[1:2].isdigit():
        version = version[1:]
    return name.rstrip().decode("latin-1"), version.decode("latin-1") if version[:1].isdigit() else ""


_AGENT = re.compile(rb"\nuser-agent:([^\n]{0,120})", re.IGNORECASE)


def _sip(data: bytes) -> Stated:
    """RFC 3261 §20.35, §20.41: a server names itself in Server, and many do in User-Agent."""
    found = _server_header(data)
    if found is not NOTHING:
        return _parted(found)
    agent = _AGENT.search(data, 0, 2048)
    return _parted(server(agent[1].strip())) if agent is not None else NOTHING


def _parted(found: Stated) -> Stated:
    """A name with its version joined to it ("FPBX-16.0.40(18.20.2)"), in two."""
    joined = _JOINED.match(found[0]) if not found[1] else None
    return found if joined is None else (joined[1], joined[2])


_JOINED = re.compile(r"([A-Za-z][A-Za-z ]{1,30})-(\d{1,4}(?:\.\w{1,12}){1,5})(?:\(|$)")


def server_field(data: bytes) -> bytes:
    """The value of the Server field among those of a head; empty where there is none."""
    end, _ = head_end(data, 2048)
    found = _SERVER.search(data, 0, end if end >= 0 else 2048)
    return found[1].strip() if found else b""


def _server_header(data: bytes) -> Stated:
    return server(server_field(data))


_OF_MARIADB = re.compile(r"(\d+(?:\.\d+){1,2})-MariaDB(?:-\d:(\d+(?:\.\d+){1,2}))?")


def _mysql(data: bytes) -> Stated:
    """The handshake's version; MariaDB hides its own behind "5.5.5-" or another of MySQL's."""
    end = data.find(b"\0", 5, 128)
    if end < 0 or data[4] == 0xFF:
        said = data[:400]
        return ("MariaDB", "") if b"MariaDB" in said else ("MySQL", "") if b"MySQL" in said else NOTHING
    version = data[5:end].decode("latin-1")
    if "MariaDB" in version:
        own = _OF_MARIADB.search(version)
        return "MariaDB", (own[2] or own[1]) if own else version.removeprefix("5.5.5-").partition("-")[0]
    return "MySQL", version.partition("-")[0]


def _memcached(data: bytes) -> Stated:
    place = data.find(b"VERSION ") + 8 if data[:8] == b"VERSION " else data.find(b"STAT version ") + 13
    return "memcached", line(data[place : place + 32]).decode("latin-1") if place > 12 or data[
        :1
    ] == b"V" else ""


def _amqp(data: bytes) -> Stated:
    """Connection.Start's server properties: short name, type S, long string."""
    product, version = _long_string(data, b"\x07productS"), _long_string(data, b"\x07versionS")
    return product, version if product else ""


def _long_string(data: bytes, key: bytes) -> str:
    place = data.find(key, 0, 2048)
    if place < 0:
        return ""
    place += len(key)
    return data[place + 4 : place + 4 + max(be16(data, place + 2), 0)][:80].decode("latin-1")


def _mssql(data: bytes) -> Stated:
    """MS-TDS §2.2.6.5: VERSION is major, minor, build."""
    at = 8 + be16(data, 9)
    if len(data) < 13 or data[8] != 0 or at + 4 > len(data):
        return NOTHING
    return "Microsoft SQL Server", f"{data[at]}.{data[at + 1]}.{be16(data, at + 2)}"


def _telnet(data: bytes) -> Stated:
    """A routing daemon ("Hello, this is FRRouting (version 8.4.4)."), or what the first lines name."""
    found = _ROUTING.match(data)
    if found is not None:
        return found[1].decode("ascii"), found[2].decode("latin-1")
    return freetext.terminal(data) if len(data) > _NEGOTIATED else NOTHING


def _ftp(data: bytes) -> Stated:
    """A device that names itself first, a program anywhere in the line, or a device after other words."""
    found = statements.device(data)
    if found is NOTHING:
        found = named("f", greeting_lines(data))
    if found is NOTHING:
        found = statements.elsewhere(data)
    found = _fuller(found, data)
    return freetext.device(data) if found is NOTHING else found


def _either(data: bytes) -> Stated:
    """Mail or files: a program of either."""
    found = _ftp(data)
    return _mail("s", data) if found is NOTHING else found


def _mail(letter: str, data: bytes) -> Stated:
    """A program that is known by name, or one that the greeting's form shows."""
    return _fuller(named(letter, greeting_lines(data)), data)


def _fuller(found: Stated, data: bytes) -> Stated:
    """What the greeting's form shows, where no version was found, and it is no other program."""
    if found[1]:
        return found
    shown = freetext.greeting(data)
    same = found[0].lower() in shown[0].lower() or shown[0].lower() in found[0].lower()
    return shown if shown[0] and same and (shown[1] or not found[0]) else found


def _irc(data: bytes) -> Stated:
    """A program that is named, or that answers another protocol in words of its own."""
    found = statements.stated("irc", data)
    if found is NOTHING:
        found = named("c", data[:400])
    return ("ngIRCd", "") if found is NOTHING and b"This is IRC!" in data[:80] else found


def _news(data: bytes) -> Stated:
    found = statements.stated("nntp", data)
    if found is NOTHING:
        service = _MICROSOFT_NEWS.match(data)
        found = ("Microsoft NNTP Service", service[1].decode("ascii")) if service else NOTHING
    if found is NOTHING:
        found = named("n", greeting_lines(data))
    return freetext.greeting(data) if found is NOTHING else found


READERS: dict[str, Callable[[bytes], Stated]] = {
    "ssh": _ssh,
    "mysql": _mysql,
    "memcached_ascii": _memcached,
    "amqp": _amqp,
    "mssql": _mssql,
    "telnet": _telnet,
    **{label: partial(_mail, letter) for label, letter in _GREETERS.items()},
    "ftp": _ftp,
    "smtp-ftp": _either,
    **dict.fromkeys(("rtsp", "icap"), _server_header),
    "sip": _sip,
    **{label: partial(statements.stated, label) for label in statements.READS},
    "nntp": _news,
    "irc": _irc,
    "modbus": statements.modbus,
    "login": lambda data: _telnet(data[1:]) if data[:1] == b"\0" else NOTHING,
    "memcached_binary": statements.memcached_binary,
    "rabbitmq-stream": statements.rabbitmq_stream,
    **fields.READERS,
}


def of(label: str, data: bytes) -> Stated:
    """(product, version) as the reply states them, "" where it doesn't."""
    reader = READERS.get(label)
    if reader is not None:
        return reader(data)
    return _server_header(data) if label in HTTP and data[:1] in b"Hh" else NOTHING
