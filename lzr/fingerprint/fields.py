"""Products and versions that binary replies state in a field of their own: names of devices, makers, systems.

Each reader takes a reply that has its label already, and is given "" where the field is empty or no text.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from lzr.fingerprint.greetings.lookup import NOTHING, Stated
from lzr.protocols._bytes import be16, be32, le16

_MOST = 60  # characters of a name


def _text(data: bytes, start: int, size: int) -> str:
    """The characters of a field as far as its first zero byte; "" where they are no printable ASCII."""
    field = data[start : start + size].split(b"\0", 1)[0].strip()
    text = field.decode("latin-1")
    return text if 1 < len(text) <= _MOST and text.isascii() and text.isprintable() else ""


def _enip(data: bytes) -> Stated:
    """ListIdentity (CIP Networks Library vol. 2 §2-4.3): the first item is the identity; its revision stands
    before status and serial number, then comes the name behind its length. The same in the answer to who
    reads all attributes of an object (vol. 1 §5-2)."""
    if data[:2] == b"\x6f\0" and data[40:44] == b"\x81\0\0\0":
        name = _text(data, 59, data[58]) if len(data) > 59 else ""
        return (name, f"{data[50]}.{data[51]:03d}") if name else NOTHING
    if data[:2] != b"\x63\0" or le16(data, 26) != 0x0C or len(data) < 63:
        return NOTHING
    name = _text(data, 63, data[62])
    return (name, f"{data[54]}.{data[55]:03d}") if name else NOTHING


def _ams(data: bytes) -> Stated:
    """ReadDeviceInfo (Beckhoff InfoSys, ADS): result, version, revision, build, a name of 16 bytes."""
    name = _text(data, 46, 16)
    if data[22:24] != b"\x01\0" or data[38:42] != bytes(4) or not name:
        return NOTHING
    return name, f"{data[42]}.{data[43]}.{le16(data, 44)}"


def _pptp(data: bytes) -> Stated:
    """Start-Control-Connection-Reply (RFC 2637 §2.2): the vendor, in 64 bytes. Its firmware's number has no
    form of its own."""
    return (_text(data, 92, 64), "") if len(data) >= 156 else NOTHING


def _codesys(data: bytes) -> Stated:
    """The system, its version, and the product; the product counts."""
    product = _text(data, 128, 32) or _text(data, 129, 32)
    return product, ""


def _crimson(data: bytes) -> Stated:
    """A register, behind its length: of the maker or of the model."""
    return _text(data, 6, max(be16(data, 0) - 4, 0)), ""


def _slmp(data: bytes) -> Stated:
    """Read Type Name (SLMP Reference Manual §5.1): sixteen characters behind the end code."""
    return (_text(data, 11, 16), "") if data[9:11] == b"\0\0" and le16(data, 7) >= 18 else NOTHING


def _melsoft(data: bytes) -> Stated:
    """The model of the CPU is the last word."""
    found = _MODEL.search(data[-24:])
    return (found[0].decode("ascii"), "") if found is not None else NOTHING


_MODEL = re.compile(rb"[QLRF][\dX][\w-]{2,16}(?=[ \0]*\Z)")


def _qmp(data: bytes) -> Stated:
    """{"qemu": {"micro": 0, "minor": 2, "major": 7}}, in any order."""
    numbers = {key: value.decode("ascii") for key, value in _PART.findall(data[:400])}
    parts = [numbers.get(part, "") for part in (b"major", b"minor", b"micro")]
    return ("QEMU", ".".join(parts)) if all(parts) else NOTHING


_PART = re.compile(rb'"(major|minor|micro)": {0,4}(\d{1,4})')


def _minecraft(data: bytes) -> Stated:
    """Status: the version's name is the server's with its version, or the game's version alone."""
    found = _NAMED.search(data[:4000])
    if found is None:
        return NOTHING
    return (found[1] or b"Minecraft").decode("latin-1").strip(), found[2].decode("latin-1")


_NAMED = re.compile(
    rb'"version": {0,4}\{[^{}]{0,80}?"name": {0,4}"([A-Za-z]{0,30}) ?(\d{1,3}(?:\.\d{1,4}){1,3})"'
)


def _drda(data: bytes) -> Stated:
    """EXCSATRD (DDM): the server's class SRVCLSNM (0x1147), in EBCDIC or ASCII."""
    place = data.find(b"\x11\x47", 10, 1000)
    size = be16(data, place - 2) - 4 if place >= 2 else 0
    if not 2 <= size <= _MOST:
        return NOTHING
    field = data[place + 2 : place + 2 + size]
    text = field.decode("latin-1" if field.isascii() else "cp500").strip()
    return (text, "") if text.isascii() and text.isprintable() else NOTHING


def _afp(data: bytes) -> Stated:
    """DSIGetStatus (Apple Filing Protocol Reference): the machine's type is a string behind its length, its
    offset stands first; Netatalk writes its version into it."""
    at = 16 + be16(data, 16)
    kind = _text(data, at + 1, data[at]) if data[1:2] == b"\3" and 18 < at < len(data) else ""
    found = _NETATALK.fullmatch(kind)
    return (found[1], found[2]) if found is not None else (kind, "")


_NETATALK = re.compile(r"(Netatalk) ?v?(\d{1,3}(?:\.\w{1,8}){1,4})")


def _dns(data: bytes) -> Stated:
    """The text that version.bind answers with (draft-ietf-dnsop-serverid §2.2): a number alone is BIND's."""
    asked = data.find(b"\x07version\x04bind\0\0\x10\0\3", 12, 80)
    if asked < 0:
        return NOTHING
    at = asked + 18
    at += 2 if data[at : at + 1] == b"\xc0" else 14
    if data[at : at + 4] != b"\0\x10\0\3" or at + 10 >= len(data):
        return NOTHING
    text = _text(data, at + 11, data[at + 10])
    found = _DNS_SERVER.match(text)
    if found is None:
        return NOTHING
    return (found[1] or "BIND").strip(" -/"), found[2]


_DNS_SERVER = re.compile(
    r"(BIND |dnsmasq-|unbound |PowerDNS (?:Authoritative Server|Recursor) |Microsoft DNS |NSD |Knot DNS "
    r"|Knot Resolver |CoreDNS-|Nominum Vantio |)(\d{1,3}(?:\.\w{1,12}){1,4}(?:-P\d{1,2})?)"
)


def _elasticsearch(data: bytes) -> Stated:
    """The version of the node, in the answer to a handshake (status 9) behind two empty maps, else in the
    header: major, minor, patch in two digits each and 99 (Elasticsearch, TcpHeader; up to 8.7)."""
    number = be32(data, 15)
    if data[14:15] == b"\x09":
        number = sum((byte & 0x7F) << 7 * at for at, byte in enumerate(data[21:26]))
    major, minor, patch = number // 1_000_000, number // 10_000 % 100, number // 100 % 100
    return ("Elasticsearch", f"{major}.{minor}.{patch}" if number % 100 == 99 and 1 <= major <= 8 else "")


def _boinc(data: bytes) -> Stated:
    """The client's version, in one number or in three."""
    parts = [_PARTS[part].search(data[:400]) for part in ("major", "minor", "release")]
    if all(parts):
        return "BOINC", ".".join(part[1].decode("ascii") for part in parts if part)
    whole = _PARTS["whole"].search(data[:400])
    number = int(whole[1]) if whole is not None else 0
    return "BOINC", f"{number // 10_000}.{number // 100 % 100}.{number % 100}" if number >= 10_000 else ""


_PARTS = {
    "major": re.compile(rb"<major_version>(\d{1,3})<"),
    "minor": re.compile(rb"<minor_version>(\d{1,3})<"),
    "release": re.compile(rb"<release>(\d{1,4})<"),
    "whole": re.compile(rb"<client_version>(\d{3,6})<"),
}

_CAPABLE = (b"1.2.840.113556.1.4.800", b"1.2.840.113556.1.4.1670", b"1.2.840.113556.1.4.1851")
"""Active Directory, since 2003, and its lightweight service (MS-ADTS §3.1.1.3.4.3)."""
_OF_LDAP = {
    key: re.compile(
        b"\x04." + key + rb"1(?:\x84\0\0\0)?.\x04(?:\x84\0\0\0)?(.)([\x20-\x7e]{2,60})", re.DOTALL
    )
    for key in (b"vendorName", b"vendorVersion")
}


def _ldap(data: bytes) -> Stated:
    """The root's attributes: maker and version (RFC 3045), or what only Active Directory can do."""
    name, version = (_OF_LDAP[key].search(data, 0, 8000) for key in (b"vendorName", b"vendorVersion"))
    if version is not None:
        said = _whole(version)
        number = _LDAP_NUMBER.search(said)
        product = said[: number.start()].rstrip(" /-(v") if number is not None else said
        maker = _whole(name) if name is not None else ""
        return (product or maker, number[1] if number is not None and (product or maker) else "")
    if b"\x04\x16" + _CAPABLE[0] in data[:8000] or b"CN=NTDS Settings," in data[:8000]:
        return "Microsoft Active Directory", ""
    return ("Microsoft AD LDS", "") if b"\x04\x17" + _CAPABLE[2] in data[:8000] else NOTHING


def _whole(value: re.Match[bytes]) -> str:
    """The text behind its length."""
    return value[2][: value[1][0]].decode("ascii").strip()


_LDAP_NUMBER = re.compile(r"(?<![\w.])v?(\d{1,4}(?:\.\w{1,12}){1,5})")

READERS: dict[str, Callable[[bytes], Stated]] = {
    "elasticsearch-transport": _elasticsearch,
    "boinc": _boinc,
    "ldap": _ldap,
    "enip": _enip,
    "ams": _ams,
    "pptp": _pptp,
    "codesys": _codesys,
    "crimson": _crimson,
    "slmp": _slmp,
    "melsoft": _melsoft,
    "qmp": _qmp,
    "minecraft": _minecraft,
    "drda": _drda,
    "afp": _afp,
    "dns": _dns,
}
