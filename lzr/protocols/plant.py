"""Industrial protocols of controllers, meters, relays and sensors in plants, grids and buildings."""

from __future__ import annotations

import binascii

from lzr.protocols._bytes import be16, be32, le16, le32
from lzr.protocols._framing import der_length, fits, leads, printable
from lzr.protocols._protocol import Protocol


def _enip(data: bytes) -> bool:
    """Encapsulation header: command, length, session, status, context, options 0 (CIP vol. 2 §2-3)."""
    command, size = le16(data, 0), le16(data, 2)
    if len(data) < 24 or not leads(data, size + 24) or le32(data, 20) or le32(data, 8) not in _ENIP_STATUS:
        return False
    if command in {0x04, 0x63, 0x64}:
        return size >= 2 and le16(data, 24) < 64
    if command == 0x65:
        return size == 4 and le32(data, 4) != 0
    return size >= 12 and le32(data, 24) == 0 and le16(data, 30) < 16


_ENIP_STATUS = frozenset((0, 1, 2, 3, 0x64, 0x65, 0x69, 0x6A))


def _iec104(data: bytes) -> bool:
    """An APDU: U and S frames stand alone, a first I frame has number 0 (IEC 60870-5-104 §5)."""
    size = data[1] if len(data) > 5 else 0
    if not leads(data, size + 2) or size < 4:
        return False
    if data[2] & 3 == 3:
        return size == 4 and data[2] in {0x0B, 0x23, 0x83} and data[3:6] == b"\0\0\0"
    if data[4] & 1 or le16(data, 4) > 32:
        return False
    if data[2] & 1:
        return size == 4 and data[2:4] == b"\1\0"
    return data[2:4] == b"\0\0" and size >= 12 and 1 <= data[6] <= 127 and 1 <= data[8] & 0x3F <= 47


def _opcua(data: bytes) -> bool:
    """Acknowledge (28 bytes) or Error (code, reason) of the connection protocol (OPC 10000-6 §7.1.2)."""
    size = le32(data, 4)
    if data[:3] == b"ACK":
        return size == 28 and leads(data, 28) and le32(data, 8) <= 16 and le32(data, 12) >= 1024
    text = le32(data, 12)
    return (
        fits(data, size)
        and data[11:12] == b"\x80"
        and (size == 16 + text or (text == 0xFFFFFFFF and size == 16))
    )


def _cotp(data: bytes) -> tuple[int, int]:
    """Where a COTP DT's user data begins in a TPKT, behind a connection confirm if there is one; (-1, 0)."""
    at = 0
    if data[5:6] == b"\xd0" and be16(data, 2) == data[4] + 5:
        at = be16(data, 2)
    if data[at : at + 2] != b"\3\0" or data[at + 4 : at + 7] != b"\2\xf0\x80":
        return -1, 0
    return at + 7, at + be16(data, at + 2)


def _s7(data: bytes) -> bool:
    """S7comm (0x32) with a job's answer, or S7comm-plus (0x72), inside COTP."""
    at, end = _cotp(data)
    if at < 0 or len(data) < at + 12 or not fits(data, end):
        return False
    if data[at : at + 1] == b"\x72":
        return 1 <= data[at + 1] <= 4 and be16(data, at + 2) + 4 <= end - at
    kind = data[at : at + 4]
    if kind not in {b"\x32\2\0\0", b"\x32\3\0\0", b"\x32\7\0\0"}:
        return False
    header = 10 if kind[1] == 7 else 12
    return at + header + be16(data, at + 6) + be16(data, at + 8) == end


def _mms(data: bytes) -> bool:
    """A connect confirm whose selectors are those of IEC 61850 (two bytes, the first zero in one of them:
    S7's name a connection type there), or an ISO session or MMS PDU inside COTP."""
    at, end = _cotp(data)
    if 0 <= at <= len(data) - 2:
        return leads(data, end) and data[at : at + 1] in {b"\x0e", b"\x0c"} and data[at + 1] <= end - at - 2
    if len(data) < 11 or len(data) != be16(data, 2) or data[5] != 0xD0 or data[4] != len(data) - 5:
        return False
    selectors, at = [], 11
    while at + 2 <= len(data):
        size = data[at + 1]
        if data[at] in {0xC1, 0xC2}:
            selectors.append(data[at + 2 : at + 2 + size])
        at += 2 + size
    return (
        at == len(data) and [len(s) for s in selectors] == [2, 2] and any(s[0] == 0 < s[1] for s in selectors)
    )


def _ams(data: bytes) -> bool:
    """AMS/TCP header, then an AMS header whose state flags say "response" (Beckhoff AMS/ADS)."""
    if len(data) < 38 or data[25] or data[23]:
        return False
    size = le32(data, 2)
    if size < 32 or not leads(data, size + 6):
        return False
    return le16(data, 24) & 0xFFBF == 5 and 1 <= le16(data, 22) <= 9 and le32(data, 26) == size - 32


def _synphasor(data: bytes) -> bool:
    """A frame of data, header or configuration; the checksum too if all of it is here (IEEE C37.118.2 §6)."""
    if len(data) < 16:
        return False
    kind, version, size = data[1] >> 4, data[1] & 0x0F, be16(data, 2)
    if kind not in {0, 1, 2, 3, 5} or not 1 <= version <= 2 or size < 16 or not leads(data, size):
        return False
    if len(data) < size:
        return kind in {2, 3, 5} and data[14] == 0 and 1 <= be16(data, 18) <= 256
    return _crc_ccitt(data[: size - 2]) == be16(data, size - 2)


def _crc_ccitt(data: bytes) -> int:
    """CRC-16 of x^16+x^12+x^5+1, preset to ones (IEEE C37.118.2 annex B)."""
    return binascii.crc_hqx(data, 0xFFFF)


def _c1222(data: bytes) -> bool:
    """An ACSE PDU: titles and invocation numbers, and at the end user information (ANSI C12.22 §5.3)."""
    size, at = der_length(data, 1)
    if size < 8 or not leads(data, at + size):
        return False
    end, seen = at + size, 0
    while at < end:
        tag = data[at] if at < len(data) else 0
        length, start = der_length(data, at + 1)
        if length < 0 or start + length > end:
            return False
        if tag == 0xBE:
            return seen > 0 and data[start : start + 1] == b"\x28" and start + length == end
        if tag not in _ACSE:
            return False
        seen, at = seen + 1, start + length
    return False


_ACSE = frozenset((0xA1, 0xA2, 0xA4, 0xA6, 0xA7, 0xA8, 0xAB, 0xAC, 0x8B))


def _hartip(data: bytes) -> bool:
    """version, type 1 (response) or 15 (NAK), message 0-3, status, sequence, length (HCF_SPEC-085 §7)."""
    return len(data) >= 8 and data[1] in {1, 15} and data[2] <= 4 and be16(data, 6) == len(data)


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


def _knx(data: bytes) -> bool:
    """Header: 6, version 1.0, service of a server's answer, total length (KNX 03_08_02 §4)."""
    return be16(data, 2) in {0x0202, 0x0204, 0x0206, 0x020C} and be16(data, 4) == len(data) and len(data) >= 8


_CR = bytes.fromhex("03000016 11e00000 000100c0 010ac102 0100c202 0102")
_CC = bytes.fromhex("03000016 11d00001 000100c0 010ac102 0100c202 0102")
_SETUP = bytes.fromhex("03000019 02f08032 01000000 00000800 00f00000 01000101 e0")
_SETUP_ANSWER = bytes.fromhex("0300001b 02f08032 03000000 00000800 000000f0 00000100 0100f0")
_COMMAND = bytes.fromhex("aa41 0012 0001 00000000 00000000 0005")


def _framed(frame: bytes) -> bytes:
    return frame + _crc_ccitt(frame).to_bytes(2, "big")


PROTOCOLS: tuple[Protocol, ...] = (
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
        ),
        rejects=(bytes.fromhex("6300 0000") + bytes(20), bytes.fromhex("6500 0500 78563412") + bytes(20)),
        ports=(44818,),
        zgrab="enip",
    ),
    Protocol(
        name="iec104",
        spec="IEC 60870-5-104 §5 (APCI), TESTFR",
        match=_iec104,
        probe=b"\x68\4\x43\0\0\0",
        starts=(b"\x68",),
        examples=(
            b"\x68\4\1\0\0\0",
            b"\x68\4\x83\0\0\0",
            b"\x68\4\x0b\0\0\0",
            b"\x68\x0e\0\0\0\0\x64\1\x06\0\1\0\0\0\0\x14",
        ),
        rejects=(b"\x68\4\0\0\1\0", b"\x68\4\x43\0\0\0", b"hello\r\n", b"\x68\5\x83\0\0\0"),
        ports=(2404,),
    ),
    Protocol(
        name="opcua",
        spec="OPC 10000-6 §7.1.2 (Hello, Acknowledge, Error)",
        match=_opcua,
        probe=b"HELF\x38\0\0\0\0\0\0\0\0\0\1\0\0\0\1\0\0\0\0\0\0\0\0\0\x18\0\0\0opc.tcp://localhost:4840",
        starts=(b"ACKF", b"ERRF"),
        examples=(
            b"ACKF\x1c\0\0\0\0\0\0\0\xff\xff\0\0\xff\xff\0\0\0\0\0\0\0\0\0\0",
            b"ERRF\x13\0\0\0\0\0\x83\x80\3\0\0\0bad",
            b"ERRF\x10\0\0\0\0\0\x83\x80\xff\xff\xff\xff",  # no reason is given
        ),
        rejects=(b"ACKF\x1d\0\0\0" + bytes(20), b"ERRF\x13\0\0\0\0\0\x83\0\3\0\0\0bad"),
        ports=(4840,),
    ),
    Protocol(
        name="s7",
        spec="RFC 1006, ISO 8073, S7comm as in Wireshark's s7comm: Setup communication",
        match=_s7,
        # Connect and negotiate the PDU size in one go.
        probe=_CR + _SETUP,
        starts=(b"\3\0",),
        examples=(
            bytes.fromhex("0300001b 02f080 7201000c") + bytes(12) + bytes.fromhex("72010000"),
            _CC + _SETUP_ANSWER,
            _SETUP_ANSWER,
            bytes.fromhex("0300001d 02f080 32070000 0000 0008 0004") + bytes(12),  # user data
        ),
        rejects=(_CC, _SETUP, _SETUP_ANSWER[:-1]),
        ports=(102,),
        zgrab="siemens",
    ),
    Protocol(
        name="mms",
        spec="ISO 9506; IEC 61850-8-1 annex A (transport selectors); ISO 8073",
        match=_mms,
        probe=bytes.fromhex("03000016 11e00000 000100c0 010ac202 0001c102 0001"),
        starts=(b"\3\0",),
        examples=(
            bytes.fromhex("03000012 02f080 0e09") + bytes(9),
            bytes.fromhex("03000016 11d00001 000200c0 010ac202 0001c102 0001"),
        ),
        rejects=(_CR, _CC, bytes.fromhex("0300000e 09d0feca 000100c0 010a")),
        ports=(102,),
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
        name="synphasor",
        spec="IEEE C37.118.2-2011 §6 (frames), annex B (CRC)",
        match=_synphasor,
        # Command frame to device 1: send configuration frame 2.
        probe=_framed(_COMMAND),
        starts=(
            b"\xaa\1",
            b"\xaa\2",
            b"\xaa\x11",
            b"\xaa\x12",
            b"\xaa\x21",
            b"\xaa\x22",
            b"\xaa\x31",
            b"\xaa\x32",
            b"\xaa\x52",
        ),
        examples=(
            bytes.fromhex("aa31 0400 0001 65000000 00000000 000f4240 0001") + bytes(520),
            _framed(bytes.fromhex("aa11 0014 0001 65000000 00000000") + b"PMU1"),
        ),
        rejects=(
            bytes.fromhex("aa11 0014"),
            _framed(_COMMAND),
            bytes.fromhex("aa11 0014 0001 65000000 00000000") + b"PMU1\0\0",
        ),
        ports=(4712,),
    ),
    Protocol(
        name="c1222",
        spec="ANSI C12.22-2012 §5.3.1; RFC 6142",
        match=_c1222,
        starts=(b"\x60",),
        examples=(bytes.fromhex("6018 a203 060102 a403 020101 a803 020101 be07 2805 8103 800100"),),
        rejects=(
            bytes.fromhex("600a a203 060102 a403 020101"),
            bytes.fromhex("600a 3003 060102 a403 020101"),
            bytes.fromhex("600a a27f 060102 a403 020101"),
            bytes.fromhex("6018 a203 060102 a403 020101 a803 020101 be07 3005 8103 800100"),
            bytes.fromhex("6003 020101"),
        ),
        ports=(1153,),
    ),
    Protocol(
        name="hart-ip",
        spec="HCF_SPEC-085 (HART-IP) §7.1, session initiate",
        match=_hartip,
        probe=bytes.fromhex("01 00 00 00 0001 000d 01 00000bb8"),
        starts=(b"\1\1", b"\1\x0f"),
        examples=(bytes.fromhex("01 01 00 00 0001 000d 01 00000bb8"),),
        rejects=(bytes.fromhex("01 01 00 00 0001 000e 01 00000bb8"),),
        ports=(5094,),
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
        name="knxnet-ip",
        spec="KNX Standard 03_08_02 §4, §7.5 (Description)",
        match=_knx,
        probe=bytes.fromhex("0610 0203 000e 0802 00000000 0000"),
        starts=(b"\6\x10\2",),
        examples=(bytes.fromhex("0610 0204 000e 0802 00000000 0000"),),
        rejects=(bytes.fromhex("0610 0204 000f 0802 00000000 0000"),),
        ports=(3671,),
    ),
)
