"""Programmable controllers (PLCs) and their panels: Modbus/TCP, EtherNet/IP, S7, TwinCAT, FINS and more."""

from __future__ import annotations

from lzr.protocols._bytes import be16, be32, le16, le32
from lzr.protocols._framing import COTP_CONFIRM, COTP_REQUEST, cotp_data, fits, leads, printable
from lzr.protocols._protocol import Protocol, Random

# --- Modbus/TCP: transaction, protocol 0, length, unit, function ----------------------------------------

FIXED = frozenset((5, 6, 8, 11, 15, 16))
"""Functions whose answer is two 16-bit numbers (Modbus Application Protocol V1.1b3 §6)."""


def _modbus(data: bytes) -> bool:
    """An answer, or an exception to what was no Modbus: then transaction and protocol are the first bytes of
    that, as the header is given back unread (§4.1: transaction, protocol and unit are copied)."""
    size = be16(data, 4)
    if data[2:4] != b"\0\0":
        foreign = data[:4].isascii() or data[:2] == b"\x16\3"
        return size == 3 and len(data) == 9 and foreign and data[7] >= 0x80 and 1 <= data[8] <= 11
    if not 3 <= size <= 254 or len(data) < 9:
        return False
    if len(data) != size + 6:  # a second answer may follow
        after = size + 6
        if len(data) < after + 9 or data[after + 2 : after + 4] != b"\0\0" or data[after + 6] != data[6]:
            return False
    function, rest = data[7], size - 2
    if function & 0x80:
        return rest == 1 and 1 <= data[8] <= 11
    if function in (1, 2, 3, 4, 12, 17, 20, 21, 23):
        return data[8] == rest - 1 and rest > 1
    if function in FIXED:
        return rest == 4
    if function == 90:  # Schneider's own (UMAS): session, done or refused
        return rest > 2 and data[9:10] in (b"\xfe", b"\xfd")
    if function == 43:  # device identification: type, code, conformity, more, next, objects
        return data[8] == 14 and rest >= 6 and data[9] in (1, 2, 3, 4)
    return (function in (7, 22) and rest in (1, 6)) or (function == 24 and be16(data, 8) == rest - 2)


# --- S7: COTP (RFC 905 §13.3) in TPKT (RFC 1006) -----------------------------------------------------------


def _siemens(data: bytes) -> bool:
    """A connection confirm whose parameters are well-formed: TPDU size and TSAPs, in any order (§13.4.4)."""
    size = be16(data, 2)
    if size != len(data) or size < 14 or data[5] != 0xD0 or data[4] != size - 5:
        return False
    if data[11:15] == b"\1\0\x08\0":  # RDP's question among the parameters, given back: RDP has an answer
        return size == 19
    at = 11
    while at + 2 < size:
        kind, length = data[at], data[at + 1]
        if kind == 0xC0:
            if length != 1 or not 7 <= data[at + 2] <= 13:
                return False
        elif kind not in (0xC1, 0xC2) or not 1 <= length <= 32:
            return False
        at += 2 + length
    return at == size


def _enip(data: bytes) -> bool:
    """Encapsulation header: command, length, session, status, context, options 0 (CIP vol. 2 §2-3)."""
    command, size = le16(data, 0), le16(data, 2)
    if len(data) < 24 or not leads(data, size + 24) or le32(data, 20) or le32(data, 8) not in _ENIP_STATUS:
        return False
    if le32(data, 8) and not size:  # refused: the header alone comes back
        return True
    if command in {0x04, 0x63, 0x64}:
        return size >= 2 and le16(data, 24) < 64
    if command == 0x65:
        return size == 4 and (le32(data, 4) != 0) is (le32(data, 8) == 0)
    return size >= 12 and le32(data, 24) == 0 and le16(data, 30) < 16


_ENIP_STATUS = frozenset((0, 1, 2, 3, 0x64, 0x65, 0x69, 0x6A))


def _s7(data: bytes) -> bool:
    """S7comm (0x32) with a job's answer, or S7comm-plus (0x72), inside COTP."""
    at, end = cotp_data(data)
    if at < 0 or len(data) < at + 12 or not fits(data, end):
        return False
    if data[at : at + 1] == b"\x72":
        return 1 <= data[at + 1] <= 4 and be16(data, at + 2) + 4 <= end - at
    kind = data[at : at + 4]
    if kind not in {b"\x32\2\0\0", b"\x32\3\0\0", b"\x32\7\0\0"}:
        return False
    header = 10 if kind[1] == 7 else 12
    return at + header + be16(data, at + 6) + be16(data, at + 8) == end


def _ams(data: bytes) -> bool:
    """AMS/TCP header, then an AMS header whose state flags say "response" (Beckhoff AMS/ADS)."""
    if len(data) < 38 or data[25] or data[23]:
        return False
    size = le32(data, 2)
    if size < 32 or not leads(data, size + 6):
        return False
    return le16(data, 24) & 0xFFBF == 5 and 1 <= le16(data, 22) <= 9 and le32(data, 26) == size - 32


def _codesys(data: bytes) -> bool:
    """V2's information block: magic, then fixed fields that hold names of system and product."""
    if len(data) < 140 or data[:4] not in {b"\xbb\xbb\1\0", b"\xbb\xbb\0\1"}:
        return False
    names = (data[64:96].split(b"\0", 1)[0], data[128:160].split(b"\0", 1)[0])
    return all(name and printable(name) for name in names)


def _fins(data: bytes) -> bool:
    """ "FINS", length, command 1 (node address answer) or 3 (error), error code, nodes."""
    return (
        leads(data, be32(data, 4) + 8)
        and (be32(data, 4), be32(data, 8)) in {(16, 1), (8, 3)}
        and be32(data, 12) < 64
    )


def _slmp(data: bytes) -> bool:
    """3E response frame: network, station, module, length, end code (SLMP specification §4.3)."""
    return len(data) >= 11 and le16(data, 7) + 9 == len(data) and le16(data, 4) in range(0x03D0, 0x0400)


_SETUP = bytes.fromhex("03000019 02f08032 01000000 00000800 00f00000 01000101 e0")

_SETUP_ANSWER = bytes.fromhex("0300001b 02f08032 03000000 00000800 000000f0 00000100 0100f0")


def _string(data: bytes, at: int) -> bytes:
    """The text at `at` that a NUL ends; empty where there is none, or it is none."""
    end = data.find(b"\0", at, at + 100)
    text = data[at : max(end, at)]
    return text if printable(text) else b""


def _srtp(data: bytes) -> bool:
    """The answer to an initialization: as long as each header, type 1, the rest nearly empty."""
    return len(data) == 56 and data.count(0) >= 53


def _crimson(data: bytes) -> bool:
    """A register's answer: length of what follows, 1 and the register, type 3, a text that NUL ends."""
    return be16(data, 0) + 2 == len(data) == 7 + len(_string(data, 6)) and len(data) > 8


def _melsoft(data: bytes) -> bool:
    """The request's first fields come back behind an answer's first byte; length of what follows."""
    return data[5:8] == b"\x11\x11\7" and le16(data, 19) + 21 == len(data) > 22


PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        name="modbus",
        spec="Modbus Messaging on TCP/IP V1.0b §3.1; Modbus Application Protocol V1.1b3 §6",
        match=_modbus,
        probe=(Random(2), b"\0\0\0\x05\0\x2b\x0e\x01\0"),
        at=((2, b"\0\0\0"), (4, b"\0\3")),
        examples=(
            b"\0\1\0\0\0\5\xff\3\2\0\x2a" * 2,
            b"\0\1\0\0\0\3\1\7\x6d",
            b"\0\1\0\0\0\x08\1\x16\0\4\0\xf2\0\x25",
            b"\0\1\0\0\0\x08\1\x18\0\4\0\1\1\xb8",  # a queue
            b"\0\0\0\0\0\x16\0\x5a\0\xfe\x10\xff\x5a\1\1\0\0\x0a140 CPU 1\0",  # Schneider's own function
            b"GET \0\3H\xd4\1",  # to "GET / HTTP/1.1"
            b"\r\n\r\n\0\3\r\x8a\1",  # to empty lines
            b"\x16\3\1\0\0\3\0\x81\1",  # to a ClientHello
            b"\x12\x34\0\0\0\x03\0\xab\x01",
            b"\x12\x34\0\0\0\x10\0\x2b\x0e\x01\x01\0\0\x01\0\x06Vendor",
            b"\0\x01\0\0\0\x05\xff\x03\x02\0\x2a",
            b"\0\x02\0\0\0\x06\x01\x10\0\0\0\x02",
        ),
        rejects=(
            b"\0\1\0\0\0\5\xff\3\2\0\x2axyz",
            b"\x12\x34\0\0\0\x05\0\x2b\x0e\x01\0",
            bytes(12),
            b"\0\0\0\0\0\6\0\x5a\0\1\0\0",
            b"GET \0\3H\xd4\x0c",
            b"\0\1\0\0\0\5\1\7\1\2\3",
            b"\0\1\0\0\0\x08\1\x18\0\5\0\1\1\xb8",
            b"\0\1\0\0\0\x08\1\x19\0\4\0\1\1\xb8",
            b"GET \0\3H\x54\1",
            b"\xa1\xb2\xc3\xd4\0\3H\xd4\1",
            b"\0\x01\0\0\0\x05\xff\x03\x09\0\x2a",
            b"\0\x01\0\0\0\x03\x01\x83\x63",
        ),
        ports=(502,),
        zgrab="modbus",
    ),
    Protocol(
        name="siemens",
        spec="RFC 1006 §6, RFC 905 §13.4; S7 connection set-up",
        match=_siemens,
        probe=b"\x03\0\0\x16\x11\xe0\0\0\0\x01\0\xc0\x01\x0a\xc1\x02\x01\0\xc2\x02\x01\x02",
        starts=(b"\x03\0\0",),
        examples=(
            b"\x03\0\0\x16\x11\xd0\0\x01\0\x0c\0\xc0\x01\x0a\xc1\x02\x01\0\xc2\x02\x01\x02",
            b"\x03\0\0\x0e\x09\xd0\0\x01\0\x02\0\xc0\x01\x0a",
            b"\x03\0\0\x16\x11\xd0\0\x01\0\x0c\0\xc1\x02\x01\0\xc2\x02\x01\x02\xc0\x01\x09",
            b"\x03\0\0\x16\x11\xd0\0\x01\0\x0c\0\xc0\x01\x0a\xc1\x02\0\0\xc2\x02\x01\x02",
            b"\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\x01\0\x08\0\x0b\0\0\0",
        ),
        rejects=(
            b"\x03\0\0\x16\x11\xe0\0\0\0\x01\0\xc0\x01\x0a\xc1\x02\x01\0\xc2\x02\x01\x02",
            b"\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\x02\x1f\x08\0\x02\0\0\0",
            b"\x03\0\0\x0e\x09\xd0\0\x01\0\x02\0\xc0\x01\x63",
            b"\x03\0\0\x0f\x0a\xd0\0\x01\0\x02\0\xc1\x02\x01\0".replace(b"\xc1\x02", b"\xc1\x03"),
            b"\x03\0\0\x0f\x0a\xd0\0\x01\0\x02\0\xc7\x02\x01\0",
        ),
        ports=(102,),
        zgrab="siemens",
    ),
    Protocol(
        name="enip",
        spec="ODVA CIP Networks Library vol. 2, ch. 2: encapsulation, ListIdentity",
        match=_enip,
        probe=bytes.fromhex("6300 0000 00000000 00000000") + b"LZR\0\0\0\0\0" + bytes(4),
        starts=(b"\4\0", b"\x63\0", b"\x64\0", b"\x65\0", b"\x6f\0", b"\x70\0"),
        examples=(
            bytes.fromhex("6f00 1000 78563412 00000000")
            + bytes(12)
            + bytes.fromhex("00000000 0000 0200 00000000 b2000000"),
            bytes.fromhex("6300 0800") + bytes(20) + bytes.fromhex("0100 0c00 0200 0100"),
            bytes.fromhex("6500 0400 78563412 00000000") + bytes(12) + b"\1\0\0\0",
            bytes.fromhex("6f00 0000 00000000 64000000") + bytes(12),
            bytes.fromhex("6500 0400 00000000 69000000") + bytes(12) + b"\1\0\0\0",
        ),
        rejects=(
            bytes.fromhex("6300 0000") + bytes(20),
            bytes.fromhex("6f00 0000 00000000 04000000") + bytes(12),
            bytes.fromhex("6500 0500 78563412") + bytes(20),
        ),
        ports=(44818,),
        zgrab="enip",
    ),
    Protocol(
        name="s7",
        spec="RFC 1006, ISO 8073, S7comm as in Wireshark's s7comm: Setup communication",
        match=_s7,
        # Connect and negotiate the PDU size in one go.
        probe=COTP_REQUEST + _SETUP,
        starts=(b"\3\0",),
        examples=(
            bytes.fromhex("0300001b 02f080 7201000c") + bytes(12) + bytes.fromhex("72010000"),
            COTP_CONFIRM + _SETUP_ANSWER,
            _SETUP_ANSWER,
            bytes.fromhex("0300001d 02f080 32070000 0000 0008 0004") + bytes(12),  # user data
        ),
        rejects=(COTP_CONFIRM, _SETUP, _SETUP_ANSWER[:-1]),
        ports=(102,),
        zgrab="siemens",
    ),
    Protocol(
        name="ams",
        spec="Beckhoff InfoSys, AMS/ADS: AMS/TCP packet, ADS ReadDeviceInfo",
        match=_ams,
        probe=bytes.fromhex(
            "0000 20000000 7f0000010101 1027 7f0000010102 0180 0100 0400 00000000 00000000 4c5a5231"
        ),
        starts=(b"\0\0",),
        examples=(
            bytes.fromhex(
                "0000 24000000 7f0000010102 0180 7f0000010101 1027 0100 0500 04000000 00000000 4c5a5231"
            )
            + bytes(4),
        ),
        rejects=(
            bytes.fromhex("0000 20000000") + b"\xff" * 32,
            bytes.fromhex(
                "0000 24000000 7f0000010102 0180 7f0000010101 1027 0100 0400 04000000 00000000 4c5a5231"
            )
            + bytes(4),
            bytes(38),
        ),
        ports=(48898,),
    ),
    Protocol(
        name="codesys",
        spec="CODESYS V2 runtime, information request (as in Redpoint's codesys-v2-discover)",
        match=_codesys,
        probe=bytes.fromhex("bbbb01 00000001"),
        starts=(b"\xbb\xbb",),
        examples=(
            b"\xbb\xbb\1\0".ljust(64, b"\0")
            + b"Linux".ljust(32, b"\0")
            + b"3.18".ljust(32, b"\0")
            + b"PLC".ljust(32, b"\0"),
        ),
        rejects=(b"\xbb" * 200, b"\xbb\xbb\1\0\0\0\1"),
        ports=(1200, 2455),
        zgrab="codesys2",
    ),
    Protocol(
        name="pcworx",
        spec="Phoenix Contact PC WORX, first exchange (as in Redpoint's pcworx-info)",
        match=lambda data: len(data) >= 18 and be16(data, 2) == len(data) and data[1] == 1,
        probe=bytes.fromhex("0101001a 00000000 78800003 000c") + b"IBETH01N0_M\0",
        starts=(b"\x81\1",),
        examples=(bytes.fromhex("81010014 00000000 78800003 00060001 00010000"),),
        rejects=(bytes.fromhex("81010015 00000000 78800003 00060001 00010000"),),
        ports=(1962,),
    ),
    Protocol(
        name="fins",
        spec="Omron W421, FINS/TCP: node address data send",
        match=_fins,
        probe=b"FINS\0\0\0\x0c" + bytes(12),
        starts=(b"FINS\0\0\0",),
        examples=(b"FINS\0\0\0\x10\0\0\0\1\0\0\0\0\0\0\0\xef\0\0\0\1",),
        rejects=(b"FINS\0\0\0\x10\0\0\0\1", b"FINS\0\0\0\x0c" + bytes(12)),
        ports=(9600,),
        zgrab="omronfins",
    ),
    Protocol(
        name="slmp",
        spec="Mitsubishi SLMP Reference Manual §4.3, §5.1 (Read Type Name)",
        match=_slmp,
        probe=bytes.fromhex("5000 00 ff ff03 00 0600 1000 0101 0000"),
        starts=(b"\xd0\0",),
        examples=(bytes.fromhex("d000 00 ff ff03 00 1400 0000") + b"Q03UDECPU       \x68\2",),
        rejects=(bytes.fromhex("d000 00 ff ff03 00 1500 0000") + b"Q03UDECPU       \x68\2",),
        ports=(5007, 1025),
    ),
    Protocol(
        name="ge-srtp",
        spec="GE SRTP: initialization, as in Leveraging the SRTP Protocol (DFRWS USA 2017) §3",
        match=_srtp,
        # Begins a session, as its masters do; nothing is asked of the controller.
        probe=bytes(56),
        starts=(b"\1" + bytes(7),),
        examples=(b"\1" + bytes(55), b"\1" + bytes(7) + b"\x0f" + bytes(47)),
        rejects=(b"\1" + bytes(54), b"\1" + bytes(7) + b"\x0f" * 48, bytes(56)),
        ports=(18245,),
    ),
    Protocol(
        name="proconos",
        spec="ProConOS, question for information (as in Redpoint's proconos-info)",
        match=lambda data: _string(data, 12).startswith(b"ProConOS"),
        probe=bytes.fromhex("cc01000b 4002 0000 47ee"),
        starts=(b"\xcc\0", b"\xcc\1"),
        examples=(
            b"\xcc\x00000000000\0ProConOS V4.1.0100 Nov 28 2010\0 V1.0 \0Example\0",
            bytes.fromhex("cc0100b5 c602 9200") + b"V3.4ProConOS V3.0.1040 Oct 22 2002\0\0ADAM5510KW 1.24\0",
        ),
        rejects=(bytes.fromhex("cc0100b5 c602 9200") + b"V3.4\1\2\3\4\0", bytes.fromhex("cc0100b5")),
        ports=(20547,),
    ),
    Protocol(
        name="crimson",
        spec="Red Lion Crimson 3, register of the manufacturer (as in public inventories of controllers)",
        match=_crimson,
        # Reads the register that holds the manufacturer's name.
        probe=bytes.fromhex("0004 012b 1b00"),
        at=((2, b"\1\x2b\3\0"), (2, b"\1\x2a\3\0")),
        examples=(
            bytes.fromhex("0016 012b 0300") + b"Red Lion Controls\0",
            bytes.fromhex("0009 012a 0300") + b"G310\0",
        ),
        rejects=(
            bytes.fromhex("0015 012b 0300") + b"Red Lion Controls",
            bytes.fromhex("0017 012b 0300") + b"Red Lion Controls\0",
            bytes.fromhex("0009 012a 0300") + b"G\x013\0\0",
            bytes.fromhex("0005 012a 0300 00"),
        ),
        ports=(789,),
    ),
    Protocol(
        name="melsoft",
        spec="Mitsubishi MELSOFT transmission, CPU model (as in public inventories of controllers)",
        match=_melsoft,
        # Reads the model.
        probe=bytes.fromhex(
            "57000000 00111107 0000ffff 030000fe 03000014 001c080a 08000000 00000000 04010101 00000000 01"
        ),
        starts=(b"\xd7\0",),
        examples=(bytes.fromhex("d7000100 00111107 000000e4 0300ffff 030000 0c00 9c000c08") + b"Q06UDHCP",),
        rejects=(
            bytes.fromhex("d7000100 00111107 000000e4 0300ffff 030000 0d00 9c000c08") + b"Q06UDHCP",
            bytes.fromhex("d7000100 00111108 000000e4 0300ffff 030000 0c00 9c000c08") + b"Q06UDHCP",
        ),
        ports=(5007, 5006),
    ),
)
