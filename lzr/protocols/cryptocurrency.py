"""Cryptocurrencies: coins, mining pools, wallets."""

from __future__ import annotations

import hashlib
import re

from lzr.protocols._bytes import le32
from lzr.protocols._framing import leads
from lzr.protocols._protocol import Protocol

_NETWORKS = (
    b"\xf9\xbe\xb4\xd9",  # Bitcoin
    b"\x0b\x11\x09\x07",  # Bitcoin, test network 3
    b"\x1c\x16\x3f\x28",  # Bitcoin, test network 4
    b"\x0a\x03\xcf\x40",  # Bitcoin, signet
    b"\xfa\xbf\xb5\xda",  # Bitcoin, regression test
    b"\xe3\xe1\xf3\xe8",  # Bitcoin Cash
    b"\xfb\xc0\xb6\xdb",  # Litecoin
    b"\xc0\xc0\xc0\xc0",  # Dogecoin
    b"\xbf\x0c\x6b\xbd",  # Dash
    b"\x24\xe9\x27\x64",  # Zcash
)

_COMMANDS = frozenset((b"version", b"verack", b"reject", b"ping", b"sendaddrv2", b"wtxidrelay", b"alert"))

_NONCE = b"lzr says"


def _bitcoin(data: bytes) -> bool:
    """Network, command padded with zeros, length, checksum; a version with our own nonce is our own. The
    greetings of the first clients had no checksum (until 2012)."""
    size = le32(data, 16)
    if data[4:12] == b"version\0" and size >= 85 and len(data) == 20 + size:
        return 0 < le32(data, 20) < 70000
    if len(data) < 24 or not leads(data, 24 + size) or data[4:16].rstrip(b"\0") not in _COMMANDS:
        return False
    if len(data) >= 24 + size and _checksum(data[24 : 24 + size]) != data[20:24]:
        return False
    return _NONCE not in data[90:110]


def _checksum(payload: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4]


def _bitcoin_message(network: bytes, command: bytes, payload: bytes) -> bytes:
    head = network + command.ljust(12, b"\0") + len(payload).to_bytes(4, "little")
    return head + _checksum(payload) + payload


def _version(nonce: bytes, agent: bytes) -> bytes:
    """A version message: protocol 70016, no services, time, addresses of nobody, nonce, agent, height 0."""
    address = bytes(8) + bytes(10) + b"\xff\xff" + bytes(4) + bytes(2)
    head = (70016).to_bytes(4, "little") + bytes(8) + (1704067200).to_bytes(8, "little")
    return head + address + address + nonce + bytes((len(agent),)) + agent + bytes(4) + b"\0"


def _levin(data: bytes) -> bool:
    """Signature, length, flags that say "response", version 1 (Monero, LEVIN_PROTOCOL.md)."""
    size = int.from_bytes(data[8:16], "little")
    return leads(data, 33 + size) and le32(data, 25) == 2 and le32(data, 29) == 1 and len(data) >= 33


_REFUSED = re.compile(rb'\{"(?:id|error|result)": ?[^\n]{0,80}"error": ?\[2[0-5], ?"[A-Z]')
"""An error of the protocol's own: 20 to 25, and words."""

_SESSION = re.compile(
    rb'\{"id": ?\d{1,9}, ?"result": ?\[(?:null|"[0-9a-f]{0,64}"), ?"[0-9a-f]{4,64}"\], ?"error": ?null\}'
)
"""A session and the beginning of a nonce (Zcash, ZIP 301)."""


def _stratum(data: bytes) -> bool:
    head = data[:500]
    if b'"mining.' in head:  # an answer, or a job that the server gives out
        return b'"id"' in head and (
            b'"result"' in head or b'"mining.notify"' in head or b'"mining.set_' in head
        )
    if b'"job_id"' in head and b'"blob"' in head:  # the dialect of Monero's pools
        return b'"result"' in head or b'"params"' in head
    return _REFUSED.match(head) is not None or _SESSION.match(head) is not None


def _electrum(data: bytes) -> bool:
    head = data[:300]
    return (
        b'"jsonrpc"' in head
        and b'"result"' in head
        and (b"Electr" in head or b"electrs" in head or b"Fulcrum" in head)
    )


_LEVIN = bytes.fromhex("0121010101010101 0a00000000000000")


PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        name="bitcoin",
        spec="Bitcoin developer reference, P2P network: message headers, version",
        match=_bitcoin,
        probe=_bitcoin_message(_NETWORKS[0], b"version", _version(_NONCE, b"/lzr:0.1/")),
        starts=_NETWORKS,
        examples=(
            _bitcoin_message(_NETWORKS[0], b"version", _version(b"12345678", b"/Satoshi:25.0.0/")),
            _bitcoin_message(_NETWORKS[1], b"verack", b""),
            _NETWORKS[0] + b"version".ljust(12, b"\0") + b"\x55\0\0\0\x9c\x7c\0\0\1" + bytes(80),
        ),
        rejects=(
            _bitcoin_message(_NETWORKS[0], b"version", _version(_NONCE, b"/lzr:0.1/")),
            _NETWORKS[0] + b"verack".ljust(12, b"\0") + bytes(8),
            _NETWORKS[0] + b"version".ljust(12, b"\0") + b"\x55\0\0\0\xff\xff\xff\xff\1" + bytes(80),
            b"\xc0" * 40,
        ),
        ports=(8333, 18333),
    ),
    Protocol(
        name="levin",
        spec="Monero, docs/LEVIN_PROTOCOL.md; COMMAND_PING",
        match=_levin,
        probe=bytes.fromhex(
            "0121010101010101 0a00000000000000 01 eb030000 00000000 01000000 01000000 01110101010102010100"
        ),
        starts=(b"\x01\x21\1\1\1\1\1\1",),
        examples=(_LEVIN + bytes.fromhex("00 eb030000 01000000 02000000 01000000 01110101010102010100"),),
        rejects=(_LEVIN + bytes.fromhex("01 eb030000 00000000 01000000 01000000 01110101010102010100"),),
        ports=(18080,),
    ),
    Protocol(
        name="stratum",
        spec="Stratum mining protocol (Braiins documentation): mining.subscribe",
        match=_stratum,
        probe=b'{"id":1,"method":"mining.subscribe","params":[]}\n',
        starts=(b"{",),
        examples=(
            b'{"id":1,"result":[[["mining.notify","ae68"]],"08000002",4],"error":null}\n',
            b'{"id":null,"method":"mining.notify","params":[]}\n',
            b'{"id":1,"result":null,"error":[24,"Unauthorized worker",null]}\n',
            b'{"id":1,"result":["04a1b2c3d4", "04a1b2c3d4"], "error": null}\n',
            b'{"id":1,"jsonrpc":"2.0","error":null,"result":{"id":"1","job":{"blob":"06","job_id":"2"}}}\n',
        ),
        rejects=(
            b'{"id":1,"method":"mining.subscribe","params":[]}\n',
            b'{"id":1,"result":true}\n',
            b'{"id":1,"result":["one","two"],"error":null}\n',
            b'{"job_id":"2","blob":"06"}\n',
            b'{"id":1,"result":null,"error":[30,"Unauthorized worker",null]}\n',
        ),
        ports=(3333,),
    ),
    Protocol(
        name="electrum",
        spec="Electrum protocol documentation: server.version",
        match=_electrum,
        probe=b'{"jsonrpc":"2.0","id":0,"method":"server.version","params":["lzr","1.4"]}\n',
        starts=(b"{",),
        examples=(
            b'{"jsonrpc":"2.0","result":["ElectrumX 1.16.0","1.4"],"id":0}\n',
            b'{"jsonrpc":"2.0","result":["electrs/0.9.11","1.4"],"id":0}\n',
            b'{"jsonrpc":"2.0","result":["Fulcrum 1.9.1","1.4"],"id":0}\n',
        ),
        rejects=(b'{"jsonrpc":"2.0","result":["hello","1.4"],"id":0}\n',),
        ports=(50001,),
    ),
)
