"""Controllers of plants and buildings that speak a protocol of their maker."""

from __future__ import annotations

from lzr.protocols._bytes import be16, le16
from lzr.protocols._framing import printable
from lzr.protocols._protocol import Protocol


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


def _console(data: bytes) -> bool:
    """Registration is asked for (a message of type 15); or a console presents the model and its prompt."""
    if data[:1] == b"\x0f":
        return len(data) == 4 and data[3] == 2
    head = data.lstrip(b"\r\n")
    line = head[:120].split(b"\r", 1)[0]
    if line.lower() == b"crestron terminal protocol console opened":
        return True
    if line.endswith(b" Control Console"):
        return line.count(b" ") == 2
    return line.endswith(b" Console") and line.count(b" ") == 1 and b">" in data[:400]


_MODELS = tuple(b"AV2 AV3 CEN- CP2 CP3 CP4 DM- DMPS MC2 MC3 MC4 PRO QM- RMC TPMC TSS- TST- TSW-".split())

PROTOCOLS: tuple[Protocol, ...] = (
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
    Protocol(
        name="crestron",
        spec="Crestron over IP: registration; Crestron Toolbox documentation, text console",
        match=_console,
        starts=(
            *(b"\x0f\0\1\2", b"Crestron Terminal", b"\r\nCrestron Terminal"),
            *_MODELS,
            *(b"\r\n" + model for model in _MODELS),
        ),
        examples=(
            b"\x0f\0\1\2",
            b"Crestron Terminal Protocol Console opened\r\n",
            b"\r\nPRO2 Control Console\r\n\r\nPRO2>",
            b"\r\nMC2E Control Console\r\n",
            b"TSW-750 Console\r\n\r\nTSW-750>",
        ),
        rejects=(
            b"\x0f\0\1\2\0",
            b"MC3 is a Console\r\nof mine",
            b"\r\nPRO2 files Console\r\n",
            b"MC2 login: ",
        ),
        ports=(41794, 41795),
    ),
)
