"""The pairs of a sweep as text, a line each, or as the six-byte records of ``zmap --fast-dryrun``."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr import addresses
from lzr.rows import V4_MAPPED

Rows = NDArray[Any]

_RECORD = np.dtype([("address", ">u4"), ("port", ">u2")])
_HALF = np.uint64(32)


def lines(rows: Rows) -> bytes:
    """``192.0.2.1:80`` or ``[2001:db8::1]:80``, a line for each row, as `-sendSYNs` reads them.

    rows: with peer_hi, peer_lo, peer_port.
    """
    if v4(rows["peer_hi"], rows["peer_lo"]).all():
        octets, ports = _tables()
        wide = np.empty((len(rows), 4 * 4 + 6), np.uint8)
        for at in range(4):
            shift = np.uint64(24 - 8 * at)
            wide[:, 4 * at : 4 * at + 4] = octets[(rows["peer_lo"] >> shift & np.uint64(255)).astype(np.intp)]
        last = wide[:, 12:16]
        last[last == ord(".")] = ord(":")
        wide[:, 16:] = ports[rows["peer_port"].astype(np.intp)]
        written: bytes = wide[wide != 0].tobytes()
        return written
    found = []
    for hi, lo, port in zip(
        rows["peer_hi"].tolist(), rows["peer_lo"].tolist(), rows["peer_port"].tolist(), strict=True
    ):
        text = addresses.text(hi, lo)
        found.append(f"{text}:{port}\n" if addresses.is_v4(hi, lo) else f"[{text}]:{port}\n")
    return "".join(found).encode()


def records(rows: Rows) -> bytes:
    """Address and port of each row in network order, six bytes. Raises ValueError if one is IPv6."""
    if not v4(rows["peer_hi"], rows["peer_lo"]).all():
        raise ValueError("six bytes hold no IPv6 address")
    found = np.empty(len(rows), _RECORD)
    found["address"] = rows["peer_lo"] & np.uint64(0xFFFFFFFF)
    found["port"] = rows["peer_port"]
    return found.tobytes()


def v4(hi: NDArray[np.uint64], lo: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """(n,) bool: which of these addresses are IPv4."""
    return np.asarray((hi == 0) & (lo >> _HALF == V4_MAPPED >> 32), bool)


@cache
def _tables() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """An octet and its dot, (256, 4); a port and its line feed, (65536, 6); zeros behind them."""
    octets = np.array([f"{value}." for value in range(256)], "S4").view(np.uint8).reshape(256, 4)
    ports = np.array([f"{value}\n" for value in range(1 << 16)], "S6").view(np.uint8).reshape(-1, 6)
    return octets, ports
