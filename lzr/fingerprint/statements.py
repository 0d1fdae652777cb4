"""Products and versions that a reply states in a fixed place: data, a line each.

`products` has the protocols whose greetings are free text. A pattern's group `v` is the version, its group
`p` the product; without one the product is the name given. `q` and `w` are the same in another branch.
"""

from __future__ import annotations

import functools
import re

from lzr.fingerprint.greetings.lookup import NOTHING, Stated
from lzr.protocols._bytes import be16

_NUMBER = rb"(?P<v>\d{1,4}(?:\.\w{1,12}){1,5})"

_compiled = functools.cache(re.compile)
"""Patterns are compiled when a reply is first asked for them: all would take each start 6 ms, and few are
used."""

PATTERNS: dict[str, tuple[bytes, str]] = {
    label: (pattern.replace(rb"NUMBER", _NUMBER), product)
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
        ("managesieve", rb'"IMPLEMENTATION" "(?P<p>[A-Za-z][\w() -]{0,40}?)(?: v?NUMBER[^"]{0,30})?"', ""),
        (
            "lmtp",
            rb"220[ -][^\r\n]{0,80}?(?: LMTP (?P<p>Cyrus|Dovecot|Exim|Postfix|Zimbra)"
            rb"|\b(?P<q>Cyrus|Dovecot|DBMail|DSPAM|Zimbra) D?LMTP(?: Murder)?)(?: v?NUMBER)?",
            "",
        ),
        ("munin", rb"# munin (?:node|client) at ", "Munin node"),
        ("apcupsd", rb"\x00.VERSION  : NUMBER", "apcupsd"),
        ("nrpe", rb"NRPE v?NUMBER", "NRPE"),
        ("jdwp", rb"JVM version NUMBER(?:\+\d{1,4})? \((?P<p>[A-Z][\w() -]{2,50}?)[,)]", ""),
        ("acap", rb'\(IMPLEMENTATION "(?P<p>[A-Za-z][\w -]{0,40}?)(?: v?NUMBER[^"]{0,30})?"', ""),
        ("mupdate", rb'\* OK MUPDATE "[^"]{1,120}" "(?P<p>[^"]{1,40})" "v?NUMBER', ""),
        ("imsp", rb"(?P<p>Cyrus IMSP) version NUMBER", ""),
        (
            "pop3pw",
            rb"(?P<p>(?:poppassd|popassd|courierpassd))(?: v?NUMBER)?"
            rb"|(?P<q>CommuniGate Pro|Stalker Internet Password Server|Post\.Office|MERCUR|Mercury/32)\b"
            rb"(?:[^\r\n\d]{0,30}?[ .]v?(?P<w>\d{1,3}(?:\.\w{1,6}){1,3}))?",
            "",
        ),
        ("saft", rb"\((?P<p>sendfiled) NUMBER\)", ""),
        ("amanda", rb"AMANDA \w{1,8} server \(NUMBER\)", "Amanda"),
        ("rmate", rb"RMATE (?P<p>[A-Z]\w{2,20})", ""),
        ("ganglia", rb'<GANGLIA_XML VERSION="NUMBER" SOURCE="(?P<p>gm(?:on|eta)d)"', ""),
        ("tor-control", rb'VERSION Tor="NUMBER', "Tor"),
        ("directconnect", rb" Pk=(?P<p>[A-Za-z+]{2,20})NUMBER", ""),
        ("gnutella", rb"\r\nUser-Agent: (?P<p>[A-Za-z][\w-]{1,30})/NUMBER", ""),
        ("bitcoin", rb"/(?P<p>[A-Za-z][\w ]{1,30}):NUMBER", ""),
        ("uptime-agent", rb"up\.time agent NUMBER", "up.time agent"),
        ("mongodb", rb"MongoDB|Unsupported OP_QUERY command", "MongoDB"),
        ("git", rb"\bagent=(?P<p>[A-Za-z][A-Za-z-]{1,20})/v?NUMBER", ""),
        (
            "vnc",
            rb"(?:RFB \d{3}\.\d{3}\n[\s\S]{0,12})[^\0]{0,80}?(?P<p>RealVNC|TightVNC|UltraVNC|TigerVNC)",
            "",
        ),
        (
            "snpp",
            rb"220 [^\r\n]{0,80}?(?:\((?P<p>HylaFAX) \(tm\) Version|(?P<q>QuickPage|Sendpage)) v?NUMBER",
            "",
        ),
        ("gopher", rb"\b(?P<p>Gophernicus|pygopherd|Bucktooth|geomyidae)[/ ]v?NUMBER", ""),
        ("whois", rb"%rwhois V-[^\r\n]{3,120}, Inc\. V-NUMBER\)", "rwhoisd"),
        ("sap-ni", rb"\b(?P<p>SAProuter) (?P<v>\d{1,3}\.\d{1,3})\b|\0SAProuter\0", "SAProuter"),
        ("rserve", rb"Rsrv(?P<v>\d{4})QAP1", "Rserve"),
        ("proconos", rb"ProConOS V(?P<v>\d{1,3}(?:\.\d{1,6}){1,3})", "ProConOS"),
        ("aerospike", rb"\bbuild\tNUMBER", "Aerospike"),
        (
            "redis",
            rb"\A-DENIED (?P<p>Redis|Valkey|KeyDB) is running"
            rb"|\nserver\r\n\$\d{1,2}\r\n(?P<q>\w{2,20})\r\n\$7\r\nversion\r\n\$\d{1,2}\r\nNUMBER",
            "",
        ),
        ("fox", rb"\napp\.name=s:\w{1,20}\napp\.version=s:NUMBER", "Niagara"),
        ("stun", rb"(?P<p>Coturn|[A-Z][a-z]+ ?TURN)-NUMBER", ""),
        ("stomp", rb"\nserver:(?P<p>[A-Za-z][\w -]{0,40}?)/NUMBER|\borg\.apache\.(?P<q>activemq)\.", ""),
        ("finger", rb"\nPrinter Type: (?P<p>[A-Za-z][\w +-]{1,40})|(?P<q>OpenLDAP) Finger Service", ""),
        ("openwire", rb"ProviderVersion\t\0[\s\S]NUMBER", "ActiveMQ"),
        # Only its own code names files of source, lines and functions (PostgreSQL 16, §55.8).
        ("postgres", rb"\0F[\w./\\: -]{1,100}\.c\0L\d{1,6}\0R\w{1,60}\0", "PostgreSQL"),
        ("icy", rb"SHOUTcast (?:Distributed Network Audio Server|DNAS)/[^\r\n<]{1,40}?v?NUMBER", "SHOUTcast"),
    )
}


_AMONG_WORDS: dict[str, tuple[tuple[bytes, ...], bytes]] = {
    label: (
        words,
        rb"\b(?P<p>"
        + b"|".join(words)
        + rb")(?: version |[-/ ])?v?(?:"
        + _NUMBER
        + rb"|(?<=-)(?P<w>\d{1,3})\b)",
    )
    for label, words in (
        ("nntp", (b"INN", b"Leafnode", b"Cyrus NNTP", b"Kerio Connect", b"DNEWS")),
        (
            "irc",
            (
                *(
                    b"UnrealIRCd",
                    b"Unreal",
                    b"InspIRCd",
                    b"ngIRCd",
                    b"ngircd",
                    b"ircd-hybrid",
                    b"ircd-ratbox",
                ),
                *(b"charybdis", b"solanum", b"bahamut", b"ergo", b"snircd", b"beware"),
            ),
        ),
    )
}
"""Programs that are named anywhere in the first lines."""

READS = (*PATTERNS, *_AMONG_WORDS)
"""Labels that `stated` has a pattern for."""


def stated(label: str, data: bytes) -> Stated:
    """(product, version) as the label's pattern reads them, ("", "") where it says nothing."""
    among = _AMONG_WORDS.get(label)
    if among is not None:
        text = data[:400]
        found = _compiled(among[1]).search(text) if any(word in text for word in among[0]) else None
        return NOTHING if found is None else _read(found, "")
    pattern, product = PATTERNS[label]
    found = _compiled(pattern).search(data[:1000])
    return NOTHING if found is None else _read(found, product)


_REACH = 200  # bytes of a greeting in which a device is looked for

_DEVICES = {
    word: (rb"220[ -]" + pattern.replace(rb"NUMBER", _NUMBER), product)
    for word, pattern, product in (
        *(
            (word, rb"(?P<p>" + word + rb" {0,1}(?: [\w+-]{1,16}){1,4}) FTP server \(NUMBER\) ready", "")
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
    )
}
"""What devices' file servers say first, by its first word."""


_ELSEWHERE: dict[bytes, tuple[bytes, str]] = {
    word: (pattern.replace(rb"NUMBER", _NUMBER), product)
    for word, pattern, product in (
        (b"Welcome to ASUS ", rb"Welcome to (?P<p>ASUS [\w-]{1,20}) FTP service", ""),
        (b"SHARP ", rb"(?P<p>SHARP [\w-]{1,16}) Ver NUMBER FTP", ""),
        (b"OKI-", rb"(?P<p>OKI-[\w-]{1,16}) (?:Ver (?P<v>[A-Z]?\d[\w.]{1,12}) )?FTP", ""),
        (b"P-660", rb"(?P<p>P-660[\w-]{0,8})(?: v\d)? FTP version", ""),
        (b"Oce ", rb"(?P<p>Oce [\w-]{1,16}) Ver NUMBER FTP", ""),
        (
            b"TOSHIBA ",
            rb"(?P<p>TOSHIBA e-STUDIO\w{1,12}) FTP Server (?P<v>\w{2,4}\.[A-Z]{3}\.\w{2,8}) ready",
            "",
        ),
        (b"IBM Infoprint ", rb"(?P<p>IBM Infoprint \w{1,8}) FTP Server NUMBER ready", ""),
        (b"Speedport ", rb"(?P<p>Speedport W ?\w{1,5}(?: Typ \w)?) FTP Server v?NUMBER", ""),
        (b"ESI-", rb"(?P<p>ESI-\w{1,8}) Version NUMBER ready", ""),
        (
            b"Cisco TelePresence ",
            rb"(?P<p>Cisco TelePresence [\w ]{1,20}), version (?P<v>\d[\d.]*\([\d.]+\))",
            "",
        ),
        (b"TiMOS-", rb"TiMOS-[A-Z]-NUMBER", "TiMOS"),
        (b"ZyWALL ", rb"(?P<p>ZyWALL [\w -]{1,20})\)", ""),
        (b"/OpenBSD/Linux-ftpd-", rb"\(Version [\d.]+/OpenBSD/Linux-ftpd-NUMBER", "Linux-ftpd"),
        (b"/OpenBSD", rb"\(Version NUMBER/OpenBSD", "OpenBSD ftpd"),
        (b" TANDEM ", rb"FTP SERVER T\w{5,9} \(Version (?:NUMBER|\w{1,8}) TANDEM ", "HP NonStop FTP"),
        (b"IBM TCP/IP f", rb"(?P<p>IBM TCP/IP) f\w{1,3} OS/2", "IBM OS/2"),
        (b"EMC-SNAS: ", rb"EMC-SNAS: NUMBER", "EMC SNAS"),
        (b"Check Point FireWall-1 ", rb"Check Point FireWall-1 Secure FTP server", "Check Point FireWall-1"),
        (b"Blue Coat FTP Service", rb"Blue Coat FTP Service", "Blue Coat"),
    )
}
"""What others' greetings hold after a name of the host's own, by a few letters of it."""

DEVICES = tuple(_DEVICES)
"""First words of the greetings that `device` reads."""

ELSEWHERE = tuple(_ELSEWHERE)
"""What one of must be in a greeting that `elsewhere` reads."""

_ANY = re.compile(b"|".join(map(re.escape, ELSEWHERE)))


def may_be_elsewhere(data: bytes) -> bool:
    """Whether `elsewhere` may name something."""
    return _ANY.search(data, 4, _REACH) is not None


def elsewhere(data: bytes) -> Stated:
    """A device or a program that an FTP greeting names after other words."""
    word = _ANY.search(data, 4, _REACH)
    if word is None:
        return NOTHING
    pattern, product = _ELSEWHERE[word[0]]
    found = _compiled(pattern).search(data[:300])
    return NOTHING if found is None else _read(found, product)


def _read(found: re.Match[bytes], product: str) -> Stated:
    groups = found.groupdict()
    named = product or (groups.get("p") or groups.get("q") or b"").decode("latin-1").strip()
    return named, (groups.get("v") or groups.get("w") or b"").decode("latin-1")


def may_be_device(data: bytes) -> bool:
    """Whether `device` may name something."""
    word = data[4:40].split(b" ", 1)[0]
    return word in _DEVICES or b"!Box" in word


def device(data: bytes) -> Stated:
    """The device that an FTP greeting begins with, and the version it gives."""
    word = data[4:40].split(b" ", 1)[0]
    entry = _DEVICES.get(word) or _DEVICES.get(word.partition(b"!")[0] + b"!Box" if b"!Box" in word else b"")
    found = _compiled(entry[0]).match(data[:300]) if entry is not None else None
    if entry is None or found is None:
        return NOTHING
    return _read(found, entry[1])


_MODEL = re.compile(rb"[\x08-\x1f]((?:140 CPU|171 C|BM[EXK] |TSX|TM\d)[ \w-]{2,20})")
"""Models of controllers: Quantum, Momentum, M340, M580, Premium, M200."""


_LONGEST = 260  # bytes of a message (Modbus Messaging on TCP/IP §4.1)


def modbus(data: bytes) -> Stated:
    """Device identification (Modbus Application Protocol V1.1b3 §6.21): objects 0 to 2 are the vendor, the
    product and its revision; or the model, behind its length, in the answer to a function of Schneider's."""
    if data[7:8] == b"\x5a":
        model = _MODEL.search(data[:120])
        return (model[1].decode("ascii"), "") if model and len(model[1]) == model[0][0] else NOTHING
    if data[2:4] != b"\0\0" or data[7:9] != b"\x2b\x0e":
        return NOTHING
    objects: dict[int, str] = {}
    at = 14
    while at + 2 <= len(data[:_LONGEST]):
        text = data[at + 2 : at + 2 + data[at + 1]].strip(b"\0 ")
        if len(text) < 80 and text.isascii() and text.decode("ascii").isprintable():
            objects.setdefault(data[at], text.decode("ascii"))
        at += 2 + data[at + 1]
    vendor, product = objects.get(0, ""), objects.get(1, "")
    named = product if product.lower().startswith(vendor.lower()) else f"{vendor} {product}".strip()
    return named, objects.get(2, "") if named else ""


_STATISTIC = re.compile(rb"\x81\x10\0\x07\0{4}.{16}version(?P<v>\d{1,3}(?:\.\d{1,4}){1,3})", re.DOTALL)


def memcached_binary(data: bytes) -> Stated:
    """The answer to the version command is the version; it is among the statistics, too."""
    found = _STATISTIC.search(data[:1500])
    if found is not None:
        return "memcached", found["v"].decode("ascii")
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
