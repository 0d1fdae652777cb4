"""Peer-to-peer and calls: file sharing, remote control, remote procedures, telephony."""

from __future__ import annotations

from zlib import crc32

from lzr.protocols._bytes import be16, be32, le16, le32
from lzr.protocols._framing import leads, printable
from lzr.protocols._protocol import Protocol, Random


def _stun(data: bytes) -> bool:
    """An answer, success or error: length in words, then the cookie (RFC 8489 §5); where a stream has frames,
    a length stands in front (RFC 4571 §2)."""
    if data[4:8] != _COOKIE:
        if be16(data, 0) != len(data) - 2:
            return False
        data = data[2:]
    size = be16(data, 2)
    answers = be16(data, 0) & ~0x10 in _ANSWERS
    return answers and size % 4 == 0 and len(data) >= 20 and leads(data, 20 + size)


_COOKIE = b"\x21\x12\xa4\x42"
_ANSWERS = frozenset((0x0101, 0x0103, 0x0104, 0x0108, 0x0109, 0x010A, 0x010B))
"""Of a binding, and of what relays are asked for (RFC 8656 §17, RFC 6062 §6.1)."""


def _gnutella(data: bytes) -> bool:
    return data[9:10].isdigit() and data[10:11] == b"." and data[12:13] == b" " and data[13:16].isdigit()


def _directconnect(data: bytes) -> bool:
    """A lock and a public key, then a pipe (NMDC protocol, $Lock)."""
    if data[:1] == b"<":  # the hub says something before it closes
        return data[-1:] == b"|"
    return data[:600].find(b" Pk=") > 6 and b"|" in data[:600]


def _bittorrent(data: bytes) -> bool:
    """Eight reserved bytes, the torrent's hash, a peer's name (BEP 3)."""
    return len(data) >= 48 and (len(data) < 68 or data[48:68] != bytes(20))


def _boinc(data: bytes) -> bool:
    head = data[:200]
    return (
        b"<unauthorized/>" in head
        or b"<nonce>" in head
        or b"<major_version>" in head
        or b"</boinc_gui_rpc_reply>" in data
    )


def _teamviewer(data: bytes) -> bool:
    """Magic, command 10 (who are you?), 32 bytes: of them most are always the same. The newer form: magic,
    command, length of what follows 24 bytes, the number of the message."""
    if data[:2] == b"\x11\x30":
        known = data[3:4] == b"\0" and data[8:16] == b"\1" + bytes(7)
        return known and 0 < le32(data, 4) < 0x10000 and leads(data, 24 + le32(data, 4))
    if len(data) != 37 or data[12:17] != bytes(5):
        return False
    return data[17:21] == b"\1\0\0\0" and data[22:] == _TEAMVIEWER


_TEAMVIEWER = b"\x80" + bytes(14)


def _radmin(data: bytes) -> bool:
    """One, length, checksum (the sum of the words, low byte first), a message: version or refusal."""
    message = data[9:]
    if len(message) != be32(data, 1) or message[:1] not in (b"\x08", b"\x2f"):
        return False
    words = message[:60] + bytes(-len(message) % 4)
    total = sum(int.from_bytes(words[i : i + 4], "little") for i in range(0, len(words), 4))
    return total & 0xFFFFFFFF == be32(data, 5)


def _thrift(data: bytes) -> bool:
    """A reply or an exception of the strict binary protocol, framed or not: name, sequence, a struct."""
    at = 0
    if data[:2] != b"\x80\1":
        if not leads(data, be32(data, 0) + 4):
            return False
        at = 4
    name = be32(data, at + 4)
    end = at + 8 + name
    return name <= 64 and printable(data[at + 8 : end]) and end + 5 <= len(data) and data[end + 4] <= 15


def _mq(data: bytes) -> bool:
    """Transmission segment header: length, byte order, type, flags (IBM MQ, channel protocol)."""
    return len(data) >= 28 and 28 <= be32(data, 4) == len(data) and data[8] in (1, 2) and 1 <= data[9] <= 0xA0


def _whois(data: bytes) -> bool:
    """Remarks first, which name the service or say that nothing was found; or a registration."""
    head = data[:800].lower()
    if head.lstrip().startswith((b"domain name:", b"domain: ")):
        return b"registrar" in head or b"registry domain id: " in head or b"\nstatus: " in head
    return b"whois" in head or b"database query service" in head or b"no entries found" in head


def _tuya(data: bytes) -> bool:
    """Prefix, sequence, command, length; up to version 3.3 a checksum, in 3.4 an HMAC, in 3.5 a nonce and a
    tag; suffix."""
    if data[2:3] == b"\x66":
        return 28 <= be32(data, 14) == len(data) - 22 and data[-4:] == b"\0\0\x99\x66"
    size = be32(data, 12)
    if not 12 <= size == len(data) - 16 or data[-4:] != b"\0\0\xaa\x55" or be32(data, 8) > 0xFF:
        return False
    return size >= 36 or crc32(data[:-8]) == be32(data, len(data) - 8)


def _mikrotik(data: bytes) -> bool:
    """A sentence: words behind their lengths, the first an answer's, an empty one at the end."""
    at = 0
    while at < len(data) and 0 < data[at] < 0x80:
        if not printable(data[at + 1 : at + 1 + data[at]]):
            return False
        at += 1 + data[at]
    return at < len(data) and data[at] == 0


def _h323(data: bytes) -> bool:
    """Q.931 in a TPKT: its discriminator, a call reference with the answerer's bit, a message (§7)."""
    return (
        data[4:6] == b"\x08\2" and leads(data, be16(data, 2)) and data[6:7] >= b"\x80" and data[8:9] in _Q931
    )


_Q931 = frozenset((b"\x01", b"\x02", b"\x07", b"\x5a", b"\x62", b"\x7d"))
"""Alerting, call proceeding, connect, release complete, facility, status."""


def _gauge(data: bytes) -> bool:
    """An answer to an inventory, or that the command is not known (Veeder-Root TLS-350, Serial Interface)."""
    if data[:1] == b"\n":  # without the mark of a beginning, and with a table
        return b"IN-TANK INVENTORY" in data[:400]
    return data.startswith(b"\x019999FF1B") or (data[:20].count(b"\r\n") > 0 and len(data) > 20)


def _remoting(data: bytes) -> bool:
    """Magic, version 1.0, operation: reply (MS-NRTP §2.2.3.3)."""
    return len(data) >= 14 and le16(data, 6) <= 2 and le16(data, 8) <= 1


_FAULT = b"http://schemas.microsoft.com/ws/2006/05/framing/faults/"

PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        name="stun",
        spec="RFC 8489 §5, §6.2.2",
        match=_stun,
        probe=(b"\0\1\0\0\x21\x12\xa4\x42", Random(12)),
        at=((4, _COOKIE), (6, _COOKIE)),
        examples=(
            b"\1\1\0\x0c\x21\x12\xa4\x42" + b"transaction!" + b"\0\x20\0\x08\0\1\xa1\x47\xe1\x12\xa6\x43",
            b"\1\x13\0\x08\x21\x12\xa4\x42" + b"transaction!" + b"\0\x09\0\4\0\0\4\1",  # no relay for us
            b"\0\x1c\1\x11\0\x08\x21\x12\xa4\x42" + b"transaction!" + b"\0\x09\0\4\0\0\4\0",
        ),
        rejects=(
            b"\0\1\0\0\x21\x12\xa4\x42" + b"transaction!",
            b"\1\1\0\x0d\x21\x12\xa4\x42" + b"transaction!",
            b"\1\1\0\x0c\x21\x12\xa4\x42" + b"transaction!",
            b"\1\2\0\0\x21\x12\xa4\x42" + b"transaction!",
            b"\0\x15\1\x11\0\0\x21\x12\xa4\x42" + b"transaction!",
        ),
        ports=(3478,),
    ),
    Protocol(
        name="gnutella",
        spec="Gnutella 0.6, Handshaking",
        match=_gnutella,
        starts=(b"GNUTELLA/",),
        examples=(b"GNUTELLA/0.6 503 Busy\r\nUser-Agent: Example/1.0\r\n\r\n",),
        rejects=(b"GNUTELLA/0.6 is spoken here\r\n", b"GNUTELLA/x\r\n"),
        ports=(6346,),
    ),
    Protocol(
        name="directconnect",
        spec="Neo-Modus Direct Connect protocol, $Lock",
        match=_directconnect,
        starts=(b"$Lock ", b"<Hub-Security> "),
        examples=(
            b"$Lock EXTENDEDPROTOCOLABCABCABCABCABCABC Pk=EXAMPLE1.0|$HubName Example|",
            b"<Hub-Security> You are banned for 5 minutes.|",
        ),
        rejects=(b"<Hub-Security> ", b"$Lock me up\r\n", b"$Lock A Pk=B\r\n"),
        ports=(411,),
    ),
    Protocol(
        name="bittorrent",
        spec="BEP 3, peer protocol: handshake",
        match=_bittorrent,
        starts=(b"\x13BitTorrent protocol",),
        examples=(b"\x13BitTorrent protocol" + bytes(8) + b"h" * 20 + b"-EX1000-abcdefghijkl",),
        rejects=(b"\x13BitTorrent protocol", b"\x13BitTorrent protocol" + bytes(48)),
        ports=(6881,),
    ),
    Protocol(
        name="boinc",
        spec="BOINC GUI RPC protocol",
        match=_boinc,
        starts=(b"<boinc_gui_rpc_reply>",),
        examples=(
            b"<boinc_gui_rpc_reply>\n<unauthorized/>\n</boinc_gui_rpc_reply>\n\3",
            b"<boinc_gui_rpc_reply>\n<nonce>1764330000.123456</nonce>\n",
            b"<boinc_gui_rpc_reply>\n<unrecognized/>\n</boinc_gui_rpc_reply>\n\3",
            b"<boinc_gui_rpc_reply>\n<major_version>7</major_version>\n<minor_version>4</minor_version>\n",
        ),
        rejects=(b"<boinc_gui_rpc_reply>\n",),
        ports=(31416,),
    ),
    Protocol(
        name="teamviewer",
        spec="TeamViewer, first message, as published in protocol studies",
        match=_teamviewer,
        starts=(b"\x17\x24\x0a\x20\0", b"\x11\x30"),
        examples=(
            bytes.fromhex("17240a2000 884ef100 081380 0000000000 01000000 11") + _TEAMVIEWER,
            bytes.fromhex("17240a2000 884ef100 e84200 0000000000 01000000 10") + _TEAMVIEWER,
            bytes.fromhex("11303600 04000000 01000000 00000000 1b000000 18000000 8c00a1b2"),
        ),
        rejects=(
            bytes.fromhex("17240a2000 884ef100 081380 00"),
            bytes.fromhex("17240a2000 884ef100 081380 0000000000 02000000 10") + _TEAMVIEWER,
            bytes.fromhex("17240a2000 884ef100 081380 0000000001 01000000 10") + _TEAMVIEWER,
            bytes.fromhex("11303600 04000000 02000000 00000000 1b000000 18000000 8c00a1b2"),
            bytes.fromhex("11303600 00000000 01000000 00000000 1b000000 18000000"),
        ),
        ports=(5938,),
    ),
    Protocol(
        name="radmin",
        spec="Remote Administrator, first exchange, as published in protocol studies",
        match=_radmin,
        # Asks which version it speaks, as each client does first.
        probe=b"\1\0\0\0\1\0\0\0\x08\x08",
        starts=(b"\1\0\0\0\x25", b"\1\0\0\0\x09"),
        examples=(
            b"\1\0\0\0\x25\0\0\2\x12\x08\2\0\0\x0a" + bytes(32),  # version 3
            b"\1\0\0\0\x25\x09\0\1\x10\x08\1\0\x09\x08" + bytes(32),  # version 2
            b"\1\0\0\0\x09\0\0\x10\x4f\x2f\x10\0\0\4\0\0\0\x1c",  # this address is not let in
        ),
        rejects=(
            b"\1\0\0\0\x25\0\0\2\x12\x08\2\0\0\x0a" + bytes(31),
            b"\1\0\0\0\x25\0\0\2\x13\x08\2\0\0\x0a" + bytes(32),
            b"\1\0\0\0\x25\0\0\2\x13\x09\2\0\0\x0a" + bytes(32),
        ),
        ports=(4899,),
    ),
    Protocol(
        name="thrift",
        spec="Apache Thrift, Binary protocol encoding: Message, Strict",
        match=_thrift,
        starts=(b"\x80\1\0\2", b"\x80\1\0\3"),
        at=((4, b"\x80\1\0\2"), (4, b"\x80\1\0\3")),
        examples=(
            b"\x80\1\0\3\0\0\0\4ping\0\0\0\1\x0b\0\1\0\0\0\2no\x08\0\2\0\0\0\1\0",
            b"\0\0\0\x11\x80\1\0\2\0\0\0\4ping\0\0\0\1\0",
        ),
        rejects=(b"\x80\1\0\3\0\0\xff\4ping\0\0\0\1\0", b"\0\0\0\x12\x80\1\0\2\0\0\0\4ping\0\0\0\1\0"),
        ports=(9090,),
    ),
    Protocol(
        name="ibm-mq",
        spec="IBM MQ, transmission segment header (TSH)",
        match=_mq,
        starts=(b"TSH ",),
        examples=(b"TSH \0\0\0\x24\2\5\0\0" + bytes(8) + b"\0\0\1\x11\x03\x33\0\0" + b"\0\0\0\2\0\0\0\0",),
        rejects=(b"TSH \0\0\0\x25\2\5\0\0" + bytes(24), b"TSH is a header\r\n"),
        ports=(1414,),
    ),
    Protocol(
        name="whois",
        last_resort=True,
        spec="RFC 3912 §2",
        match=_whois,
        starts=(
            *(b"% ", b"%% ", b"%\n", b"%\r\n", b"No match for ", b"%rwhois V-", b"WHOIS LIMIT "),
            *(b"Domain Name: ", b"   Domain Name: ", b"\n#\n# ", b"#\n# "),
            *(
                b"Domain: ",
                b"\r\nDomain name:",
                b"\n    Domain name:",
                b"Malformed request",
                b"NOT FOUND\r\n>>>",
            ),
            *(b"No Data Found", b"Domain not found.\r\n>>>", b"The queried object does not exist"),
        ),
        examples=(
            b"%rwhois V-1.5:003eff:00 rwhois.example.com (by Example, V-1.5.9)\n",
            b"WHOIS LIMIT EXCEEDED - SEE WWW.EXAMPLE.COM/WHOIS FOR DETAILS\n",
            b'No match for "GET".\r\n>>> Last update of whois database: 2026-11-28T10:00:00Z <<<\r\n',
            b"% This is the example Whois server.\n%\n% No entries found\n",
            b"%\n% Example database query service\n",
            b"   Domain Name: EXAMPLE.COM\r\n   Registry Domain ID: 2336799_DOMAIN_COM-VRSN\r\n",
            b"Domain: example.de\nStatus: connect\n",
            b"\r\nDomain name:\r\n        example.co.uk\r\n\r\n    Registrar:\r\n        Example\r\n",
            b"Malformed request.\r\n>>> Last update of WHOIS database: 2026-11-28T10:22:37Z <<<\r\n",
            b"\n#\n# EXAMPLE WHOIS data and services are subject to the Terms of Use\n",
        ),
        rejects=(
            b"% cat\n",
            b"%% 12\n",
            b"No match for it\n",
            b"Domain Name: \r\n",
            b"Domain: x\r\n",
            b"#\n# readme\n",
        ),
        ports=(43,),
    ),
    Protocol(
        name="tuya",
        spec="Tuya local protocol, message frame, as published in protocol studies",
        match=_tuya,
        # A sign of life, which is answered in kind.
        probe=bytes.fromhex("000055aa 00000000 00000009 00000008 65930c22 0000aa55"),
        starts=(b"\0\0\x55\xaa", b"\0\0\x66\x99"),
        examples=(
            bytes.fromhex("000055aa 00000000 00000009 0000000c 00000000 b051ab03 0000aa55"),
            bytes.fromhex("000055aa 00000001 00000004 00000034") + bytes(4) + b"\xa1" * 44 + b"\0\0\xaa\x55",
            bytes.fromhex("00006699 0000 00000001 00000009 00000020") + b"\xa1" * 32 + b"\0\0\x99\x66",
        ),
        rejects=(
            bytes.fromhex("000055aa 00000000 00000009 0000000d 00000000 b051ab03 0000aa55"),
            bytes.fromhex("000055aa 00000000 00000009 0000000c 00000000 b051ab04 0000aa55"),
            bytes.fromhex("000055aa 00000000 00000109 0000000c 00000000 b051ab03 0000aa55"),
            bytes.fromhex("00006699 0000 00000001 00000009 00000021") + b"\xa1" * 32 + b"\0\0\x99\x66",
        ),
        ports=(6668,),
    ),
    Protocol(
        name="mikrotik-api",
        spec="MikroTik RouterOS documentation, API: words and sentences",
        match=_mikrotik,
        # Ends the session that was not begun.
        probe=b"\5/quit\0",
        starts=(b"\6!fatal", b"\5!trap", b"\5!done"),
        examples=(b"\6!fatal\x0dnot logged in\0", b"\5!trap\x16=message=cannot log in\0\5!done\0"),
        rejects=(b"\6!fatal", b"\6!fatal\3\1\2\3\0"),
        ports=(8728,),
    ),
    Protocol(
        name="h323",
        spec="ITU-T H.225.0 §7, Q.931 §4; RFC 1006 §6",
        match=_h323,
        starts=(b"\3\0",),
        examples=(bytes.fromhex("03000010 080280015a") + b"\x7e\0\3\5\x0a\0\0",),
        rejects=(
            bytes.fromhex("03000010 0802000105") + b"\x7e\0\3\5\x0a\0\0",
            bytes.fromhex("03000011 080280015a") + b"\x7e\0\3\5\x0a\0\0",
        ),
        ports=(1720,),
    ),
    Protocol(
        name="atg",
        spec="Veeder-Root TLS-350 Serial Interface Manual: I20100",
        match=_gauge,
        # Reads the inventory.
        probe=b"\1I20100\n",
        starts=(b"\1\r\nI20", b"\1I20", b"\r\n\1\r\nI20", b"\x019999FF1B", b"\nI20"),
        examples=(
            b"\1\r\nI20100\r\nNOV 28, 2026 20:30\r\n\r\nEXAMPLE STATION\r\n\x03",
            b"\x019999FF1B\r\n\x03",
            b"\nI20100\n11/28/2026 20:30\n\nEXAMPLE STATION\n\nIN-TANK INVENTORY\n\nTANK PRODUCT\n",
        ),
        rejects=(b"\1I20100\n", b"\1I20100\r\n", b"\nI20100 is a command\n"),
        ports=(10001,),
    ),
    Protocol(
        name="dotnet-remoting",
        spec="MS-NRTP §2.2.3.3 (single message over TCP)",
        match=_remoting,
        starts=(b".NET\1\0",),
        examples=(b".NET\1\0\2\0\0\0\x1c\0\0\0\0\0" + b"answer",),
        rejects=(b".NET\1\0\xff\xff" + bytes(10), b".NET\1\0"),
        ports=(8085,),
    ),
    Protocol(
        name="mc-nmf",
        spec="MC-NMF §2.2.4.6 (fault record)",
        match=lambda data: be16(data, 0) == 0x0800 | (len(data) - 2) and data[57:].isalpha(),
        at=((2, _FAULT),),
        examples=(bytes((8, len(_FAULT) + 18)) + _FAULT + b"UnsupportedVersion",),
        rejects=(bytes((8, len(_FAULT) + 19)) + _FAULT + b"UnsupportedVersion",),
        ports=(808,),
    ),
    Protocol(
        name="fw1-topology",
        spec="Check Point FireWall-1, SecuRemote topology request, as published in protocol studies",
        match=lambda data: len(data) == 4,
        # The first of two requests; the second would ask for names.
        probe=b"\x51\0\0\0\0\0\0\x21",
        starts=(b"Y\0\0\0", b"Q\0\0\0"),
        solicited=(b"Y\0\0\0", b"Q\0\0\0"),
        examples=(b"Y\0\0\0", b"Q\0\0\0"),
        rejects=(b"Y\0\0\0\0", b"Q\0\0\0\0\0\0\x21"),
        ports=(264,),
    ),
)
