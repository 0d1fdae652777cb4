"""Products and versions that a reply states in a fixed place: data, a line each.

`products` has the protocols whose greetings are free text. A pattern's group `v` is the version, its group
`p` the product; without one the product is the name given.
"""

from __future__ import annotations

import re

from lzr.protocols._bytes import be16

Stated = tuple[str, str]
NOTHING: Stated = ("", "")

_NUMBER = rb"(?P<v>\d{1,4}(?:\.\w{1,12}){1,5})"

PATTERNS: dict[str, tuple[re.Pattern[bytes], str]] = {
    label: (re.compile(pattern.replace(rb"NUMBER", _NUMBER)), product)
    for label, pattern, product in (
        ("mpd", rb"OK MPD NUMBER", "Music Player Daemon"),
        ("clamd", rb"ClamAV NUMBER", "ClamAV"),
        ("zookeeper", rb"Zookeeper version: NUMBER", "Apache ZooKeeper"),
        ("nut", rb"Network UPS Tools upsd NUMBER", "Network UPS Tools"),
        ("gpsd", rb'"release":"NUMBER', "gpsd"),
        ("dict", rb"220 [^\r\n]{0,80}?\bdictd NUMBER", "dictd"),
        ("svdrp", rb"220 [^\r\n]{0,80}?\bVideoDiskRecorder NUMBER", "VDR"),
        ("hylafax", rb"220 [^\r\n]{0,80}?\(HylaFAX \(tm\) Version NUMBER", "HylaFAX"),
        ("check-mk", rb"<<<check_mk>>>\r?\nVersion: NUMBER", "Checkmk agent"),
        ("tarantool", rb"Tarantool NUMBER", "Tarantool"),
        ("nats", rb'"version":"NUMBER', "NATS"),
        ("rethinkdb", rb'"server_version":"NUMBER', "RethinkDB"),
        ("asterisk-ami", rb"Asterisk Call Manager/NUMBER", "Asterisk Call Manager"),
        (
            "vmware-authd",
            rb"220[ -]VMware Authentication Daemon Version NUMBER",
            "VMware Authentication Daemon",
        ),
        ("electrum", rb'"(?P<p>ElectrumX|electrs|Fulcrum)[ /-]NUMBER', ""),
        ("t3", rb"HELO:(?P<v>\d+(?:\.\d+)+)\.(?:false|true)", "Oracle WebLogic Server"),
        ("stomp", rb"\nserver:(?P<p>[A-Za-z][\w -]{0,40}?)/NUMBER", ""),
        (
            "nntp",
            rb"20[01] [^\r\n]{0,99}?\b(?P<p>INN|Leafnode|Cyrus NNTP|Kerio Connect|DNEWS) (?:version )?NUMBER",
            "",
        ),
        ("imsp", rb"\* OK (?P<p>Cyrus IMSP) version NUMBER", ""),
        ("pop3pw", rb"2[02]0 [^\r\n]{0,80}?\b(?P<p>pop{1,2}assd) v?NUMBER", ""),
        ("saft", rb"220 [^\r\n]{0,80}?\((?P<p>sendfiled) NUMBER", ""),
        ("amanda", rb"220 [^\r\n]{0,80}?(?P<p>AMANDA) index server \(NUMBER", ""),
        (
            "irc",
            rb":?[^\r\n]{0,200}?\b(?P<p>UnrealIRCd|Unreal|InspIRCd|ngIRCd|ircd-hybrid|ircd-ratbox|charybdis|solanum"
            rb"|bahamut|ergo|plexus|snircd|beware)[-/ ]?v?NUMBER",
            "",
        ),
    )
}


def stated(label: str, data: bytes) -> Stated:
    """(product, version) as the label's pattern reads them, ("", "") where it says nothing."""
    entry = PATTERNS.get(label)
    found = entry[0].search(data[:1000]) if entry is not None else None
    if entry is None or found is None:
        return NOTHING
    return entry[1] or found["p"].decode("latin-1"), found["v"].decode("latin-1")


_DEVICES = {
    word: (re.compile(rb"220[ -]" + pattern.replace(rb"NUMBER", _NUMBER)), product)
    for word, pattern, product in (
        *(
            (word, rb"(?P<p>" + word + rb"(?: [\w+-]{1,16}){1,4}) FTP server \(NUMBER\) ready", "")
            for word in (b"RICOH", b"NRG", b"LANIER", b"SAVIN", b"Gestetner", b"Aficio", b"infotec")
        ),
        (b"AXIS", rb"(?P<p>AXIS (?:[\w/+-]{1,16} ){1,6}?)v?NUMBER", ""),
        (b"Axis", rb"(?P<p>Axis (?:[\w/+-]{1,16} ){1,6}?)v?NUMBER", ""),
        (b"JD", rb"JD FTP Server Ready", "HP JetDirect"),
        (b"FRITZ!Box", rb"(?P<p>FRITZ!Box[^\r\n(]{0,40}?) ?(?:\(\w{1,8}\))? FTP server", ""),
        (b"NASFTPD", rb"NASFTPD Turbo station NUMBER Server \(ProFTPD\)", "ProFTPD"),
        (b"DiskStation", rb"DiskStation FTP server ready", "Synology DiskStation"),
        (b"SpeedTouch", rb"(?P<p>SpeedTouch[^\r\n]{0,30}?) FTP", ""),
        (b"Xerox", rb"(?P<p>Xerox (?:WorkCentre|Phaser|Color|DocuCentre) [\w-]{1,12})", ""),
        (b"Lexmark", rb"(?P<p>Lexmark (?:Optra )?[\w-]{1,12}) FTP Server NUMBER", ""),
        (b"KONICA", rb"(?P<p>KONICA MINOLTA(?: [\w-]{1,12}){0,2}) FTP server", ""),
        (b"Zebra", rb"(?P<p>Zebra [\w-]{1,16})", ""),
        (b"Welcome", rb"Welcome to (?P<p>ASUS [\w-]{1,20}) FTP service", ""),
    )
}
"""What devices' file servers say first, by its first word."""


_ANYWHERE = tuple(
    (re.compile(rb"220[ -][^\r\n]{0,60}?" + pattern.replace(rb"NUMBER", _NUMBER)), product)
    for pattern, product in (
        (rb"\b(?P<p>SHARP [\w-]{1,16}) Ver NUMBER FTP", ""),
        (rb"\b(?P<p>Oce [\w-]{1,16}) Ver NUMBER FTP", ""),
        (rb"\b(?P<p>TOSHIBA e-STUDIO\w{1,12}) FTP Server (?P<v>[A-Z0-9]{2,4}\.[A-Z]{3}\.\w{2,8}) ready", ""),
        (rb"\b(?P<p>IBM Infoprint \w{1,8}) FTP Server NUMBER ready", ""),
        (rb"\b(?P<p>Speedport W ?\w{1,5}(?: Typ \w)?) FTP Server v?NUMBER", ""),
        (rb"(?<=220 )(?P<p>ESI-\w{1,8}) Version NUMBER ready", ""),
        (rb"\b(?P<p>Cisco TelePresence [\w ]{1,20}), version (?P<v>\d[\d.]*\([\d.]+\))", ""),
        (rb"\bTiMOS-[A-Z]-NUMBER", "TiMOS"),
        (rb"\((?P<p>ZyWALL [\w -]{1,20})\)", ""),
        (rb"\(Version [\d.]+/OpenBSD/Linux-ftpd-NUMBER", "Linux-ftpd"),
        (rb"\(EMC-SNAS: NUMBER", "EMC SNAS"),
        (rb"\bCheck Point FireWall-1 Secure FTP server", "Check Point FireWall-1"),
        (rb"\bBlue Coat FTP Service", "Blue Coat"),
    )
)
"""What others' greetings hold after a name of the host's own."""


def elsewhere(data: bytes) -> Stated:
    """A device or a program that an FTP greeting names after other words."""
    text = data[:300]
    for pattern, product in _ANYWHERE:
        found = pattern.match(text)
        if found is not None:
            groups = found.groupdict()
            named = product or (groups.get("p") or b"").decode("latin-1").strip()
            return named, (groups.get("v") or b"").decode("latin-1")
    return NOTHING


def device(data: bytes) -> Stated:
    """The device that an FTP greeting begins with, and the version it gives."""
    word = data[4:40].split(b" ", 1)[0]
    entry = _DEVICES.get(word) or _DEVICES.get(word.partition(b"!")[0] + b"!Box" if b"!Box" in word else b"")
    found = entry[0].match(data[:300]) if entry is not None else None
    if entry is None or found is None:
        return NOTHING
    groups = found.groupdict()
    product = entry[1] or (groups.get("p") or b"").decode("latin-1").strip()
    return product, (groups.get("v") or b"").decode("latin-1")


def modbus(data: bytes) -> Stated:
    """Device identification (Modbus Application Protocol V1.1b3 §6.21): objects 0 to 2 are the vendor, the
    product and its revision."""
    if data[2:4] != b"\0\0" or data[7:9] != b"\x2b\x0e":
        return NOTHING
    objects: dict[int, str] = {}
    at = 14
    while at + 2 <= len(data):
        text = data[at + 2 : at + 2 + data[at + 1]].strip(b"\0 ")
        if len(text) < 80 and text.isascii() and text.decode("ascii").isprintable():
            objects.setdefault(data[at], text.decode("ascii"))
        at += 2 + data[at + 1]
    vendor, product = objects.get(0, ""), objects.get(1, "")
    named = product if product.lower().startswith(vendor.lower()) else f"{vendor} {product}".strip()
    return named, objects.get(2, "") if named else ""


def memcached_binary(data: bytes) -> Stated:
    """The answer to the version command is the version."""
    size = int.from_bytes(data[8:12], "big")
    text = data[24 : 24 + size]
    fits = data[1:2] == b"\x0b" and 3 <= len(text) <= 32 and text[:1].isdigit() and text.isascii()
    return ("memcached", text.decode("ascii")) if fits else NOTHING


def rabbitmq_stream(data: bytes) -> Stated:
    """PeerProperties: pairs of strings, each behind its length."""
    product, version = _value(data, b"product"), _value(data, b"version")
    return (product, version) if product else NOTHING


def _value(data: bytes, key: bytes) -> str:
    place = data.find(b"\0" + bytes((len(key),)) + key, 0, 2000)
    if place < 0:
        return ""
    at = place + 2 + len(key)
    return data[at + 2 : at + 2 + max(be16(data, at), 0)][:80].decode("latin-1")
