"""Supervision of grids and plants (SCADA): DNP3, IEC 60870-5-104, MMS, OPC UA, meters, gauges."""

from __future__ import annotations

import binascii
import struct

from lzr.protocols._bytes import be16, le16, le32
from lzr.protocols._framing import COTP_CONFIRM, COTP_REQUEST, cotp_data, der_length, fits, leads
from lzr.protocols._protocol import Protocol

# --- DNP3: 0x0564, length, control, destination, source, CRC ---------------------------------------------


def _step(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ 0xA6BC if byte & 1 else byte >> 1
    return byte


_STEPS = tuple(map(_step, range(256)))


def _crc(block: bytes) -> bytes:
    """IEEE 1815 §9.2.4.1.4: reversed polynomial 0xA6BC, complemented, little-endian."""
    crc = 0
    for byte in block:
        crc = crc >> 8 ^ _STEPS[(crc ^ byte) & 255]
    return struct.pack("<H", crc ^ 0xFFFF)


def _dnp3(data: bytes) -> bool:
    """A frame with a true header CRC; requests for the link's status are our own."""
    return len(data) >= 10 and data[2] >= 5 and data[3] != 0xC9 and _crc(data[:8]) == data[8:10]


def _link_status(address: int) -> bytes:
    """Request link status, from address 0: primary, DIR set, function 9."""
    header = b"\x05\x64\x05\xc9" + struct.pack("<HH", address, 0)
    return header + _crc(header)


def _outstation(control: int, size: int = 5) -> bytes:
    header = bytes((5, 0x64, size, control, 0, 0, 10, 0))
    return header + _crc(header)


def _iec104(data: bytes) -> bool:
    """An APDU: U and S frames stand alone, a first I frame has number 0 (IEC 60870-5-104 §5)."""
    size = data[1] if len(data) > 5 else 0
    if not leads(data, size + 2) or size < 4:
        return False
    if data[2] & 3 == 3:
        return size == 4 and data[2] in _UNNUMBERED and data[3:6] == b"\0\0\0"
    if data[4] & 1 or le16(data, 4) > 32:
        return False
    if data[2] & 1:
        return size == 4 and data[2:4] == b"\1\0"
    if size < 12 or not 1 <= data[8] & 0x3F <= 47:
        return False
    return 1 <= data[6] <= 127 if data[2:4] == b"\0\0" else _is_series(data, size)


_UNNUMBERED = frozenset((0x0B, 0x23, 0x83))
"""STARTDT, STOPDT, TESTFR, confirmed."""

_ELEMENTS = {1: 1, 3: 1, 5: 2, 7: 5, 9: 3, 11: 3, 13: 5, 15: 5, 21: 2}
"""Bytes of one value of the types that a station reports without a time (IEC 60870-5-101 §7.3.1)."""


def _is_series(data: bytes, size: int) -> bool:
    """Whether a frame whose number is not the first holds as many values as it says: a station that goes on
    counting where another connection ended."""
    count, width = data[7] & 0x7F, _ELEMENTS.get(data[6], 0)
    each = 3 * count + width * count if data[7] < 0x80 else 3 + width * count
    return width > 0 and count > 0 and size == 10 + each


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


def _mms(data: bytes) -> bool:
    """A connect confirm whose selectors are those of IEC 61850 (two bytes, the first zero in one of them:
    S7's name a connection type there), or an ISO session or MMS PDU inside COTP."""
    at, end = cotp_data(data)
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


_COMMAND = bytes.fromhex("aa41 0012 0001 00000000 00000000 0005")


def _framed(frame: bytes) -> bytes:
    return frame + _crc_ccitt(frame).to_bytes(2, "big")


def _gauge(data: bytes) -> bool:
    """An answer to an inventory, or that the command is not known (Veeder-Root TLS-350, Serial Interface)."""
    if data.startswith(b"\1\nI20"):  # what stands between has made one character of two
        return data[:20].count(b"\n") > 2 or (data[:24].count(b"\n") > 1 and len(data) > 24)
    if data[:1] == b"\n":  # without the mark of a beginning, and with a table
        return b"IN-TANK INVENTORY" in data[:400]
    return data.startswith(b"\x019999FF1B") or (data[:20].count(b"\r\n") > 0 and len(data) > 20)


PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        name="dnp3",
        spec="IEEE 1815-2012 §9.2",
        match=_dnp3,
        probe=b"".join(_link_status(address) for address in range(100)),
        starts=(b"\x05\x64",),
        examples=(_outstation(0x0B), _outstation(0x44, 10) + bytes(5) + _crc(bytes(5))),
        rejects=(_link_status(3), b"\x05\x64\x05\x0b\0\0\0\0\0\0", b"\x05\x64"),
        ports=(20000,),
        zgrab="dnp3",
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
            b"\x68\x17\x40\x0f\0\0\x0d\x82\3\0\1\0\xe1\x41\0" + b"\0\0\x80\x3f\0" * 2,
            b"\x68\x0e\x40\x0f\0\0\1\1\3\0\1\0\xe1\x41\0\1",
        ),
        rejects=(
            b"\x68\4\0\0\1\0",
            b"\x68\4\x43\0\0\0",
            b"\x68\4\x47\0\0\0",
            b"\x68\5\x83\0\0\0",
            b"\x68\x0e\x40\x0f\0\0\x0d\1\3\0\1\0\xe1\x41\0\1",
            b"\x68\x0e\0\0\0\0\x64\1\x30\0\1\0\0\0\0\x14",
            b"hello\r\n",
        ),
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
        name="mms",
        spec="ISO 9506; IEC 61850-8-1 annex A (transport selectors); ISO 8073",
        match=_mms,
        probe=bytes.fromhex("03000016 11e00000 000100c0 010ac202 0001c102 0001"),
        starts=(b"\3\0",),
        examples=(
            bytes.fromhex("03000012 02f080 0e09") + bytes(9),
            bytes.fromhex("03000016 11d00001 000200c0 010ac202 0001c102 0001"),
        ),
        rejects=(COTP_REQUEST, COTP_CONFIRM, bytes.fromhex("0300000e 09d0feca 000100c0 010a")),
        ports=(102,),
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
        name="atg",
        spec="Veeder-Root TLS-350 Serial Interface Manual: I20100",
        match=_gauge,
        # Reads the inventory.
        probe=b"\1I20100\n",
        starts=(b"\1\r\nI20", b"\1\nI20", b"\1I20", b"\r\n\1\r\nI20", b"\x019999FF1B", b"\nI20"),
        examples=(
            b"\1\r\nI20100\r\nNOV 28, 2026 20:30\r\n\r\nEXAMPLE STATION\r\n\x03",
            b"\x019999FF1B\r\n\x03",
            b"\1\nI20100\n28/11/26  20:30\n\nINVENTARIO EN TANQUE\n\nTANQ PRODUCTO\n\x03",
            b"\nI20100\n11/28/2026 20:30\n\nEXAMPLE STATION\n\nIN-TANK INVENTORY\n\nTANK PRODUCT\n",
        ),
        rejects=(b"\1I20100\n", b"\1I20100\r\n", b"\1\nI20100\n", b"\nI20100 is a command\n"),
        ports=(10001,),
    ),
)
