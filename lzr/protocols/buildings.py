"""Building automation: Tridium Fox, KNXnet/IP, Crestron."""

from __future__ import annotations

from lzr.protocols._bytes import be16
from lzr.protocols._protocol import Protocol

# --- Fox -----------------------------------------------------------------------------------------------

_HELLO = b"fox a 1 -1 fox hello\n{\nfox.version=s:1.0\nid=i:1\n};;\n"


def _fox(data: bytes) -> bool:
    """The station's own hello or a refusal: `fox a 0 …`; ours is number 1."""
    words = data[:64].split(b"\n", 1)[0].split(b" ")
    return (
        len(words) == 6
        and words[4] == b"fox"
        and words[2].isdigit()
        and words[2] != b"1"
        and b"{" in data[:80]
    )


def _knx(data: bytes) -> bool:
    """Header: 6, version 1.0, service of a server's answer, total length (KNX 03_08_02 §4)."""
    return be16(data, 2) in {0x0202, 0x0204, 0x0206, 0x020C} and be16(data, 4) == len(data) and len(data) >= 8


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
        name="fox",
        spec="Niagara Fox: session hello",
        match=_fox,
        probe=_HELLO,
        starts=(b"fox a ",),
        examples=(
            b"fox a 0 -1 fox hello\n{\nfox.version=s:1.0\nid=i:9\nhostName=s:192.0.2.3\n};;\n",
            b"fox a 0 -1 fox rejected\n{\n};;\n",
        ),
        rejects=(_HELLO, b"fox a dog and a hen\n"),
        ports=(1911, 4911),
        zgrab="fox",
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
