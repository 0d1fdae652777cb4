"""Peer-to-peer networks: file sharing, volunteer computing, libp2p."""

from __future__ import annotations

from lzr.protocols._protocol import Protocol


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
    if not head.startswith(b"<b"):  # older ones answer what they do not know without an envelope
        return data.endswith(b">\n\3")
    return (
        b"<unauthorized/>" in head
        or b"<nonce>" in head
        or b"<major_version>" in head
        or b"</boinc_gui_rpc_reply>" in data
    )


PROTOCOLS: tuple[Protocol, ...] = (
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
        starts=(b"<boinc_gui_rpc_reply>", b"<unrecognized/>\n", b"<error>unrecognized op"),
        examples=(
            b"<boinc_gui_rpc_reply>\n<unauthorized/>\n</boinc_gui_rpc_reply>\n\3",
            b"<unrecognized/>\n\3",
            b"<error>unrecognized op</error/>\n\3",
            b"<boinc_gui_rpc_reply>\n<nonce>1764330000.123456</nonce>\n",
            b"<boinc_gui_rpc_reply>\n<unrecognized/>\n</boinc_gui_rpc_reply>\n\3",
            b"<boinc_gui_rpc_reply>\n<major_version>7</major_version>\n<minor_version>4</minor_version>\n",
        ),
        rejects=(b"<boinc_gui_rpc_reply>\n", b"<unrecognized/>\n", b"<unrecognized/>\n<a/>\n"),
        ports=(31416,),
    ),
    Protocol(
        name="libp2p",
        spec="libp2p specifications, Connections: multistream-select 1.0",
        match=lambda data: not data.startswith(b"\3ls\n", 20) and data[20:21] not in {b"\0", b"\1"},
        probe=b"\x13/multistream/1.0.0\n\3ls\n",
        starts=(b"\x13/multistream/1.0.0\n",),
        examples=(b"\x13/multistream/1.0.0\n", b"\x13/multistream/1.0.0\n\x07/noise\n"),
        rejects=(b"\x13/multistream/1.0.0\n\3ls\n",),
        ports=(4001,),
    ),
)
