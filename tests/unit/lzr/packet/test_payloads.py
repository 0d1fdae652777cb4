"""Probes rendered in batches, against the plain way of putting the same bytes together."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lzr.packet.payloads import ProbeTemplate
from lzr.protocols import handshake
from lzr.protocols._protocol import Address, Host, Part, Random
from lzr.rows import FRAME
from tests.effort import examples
from tests.rows import every_row
from tests.wire import halves, text, v4, v6


def rows_for(peers: list[tuple[str, int]]) -> Any:
    rows = np.zeros(len(peers), FRAME)
    for row, (address, port) in zip(rows, peers, strict=True):
        row["peer_hi"], row["peer_lo"] = halves(address)
        row["peer_port"] = port
    rows["nonce"] = np.arange(len(peers)) * 1000
    return rows


def rendered(template: ProbeTemplate, rows: Any) -> list[bytes]:
    out: list[bytes | None] = [None] * len(rows)
    for indices, block in template.render(rows):
        where = range(len(rows)) if indices is None else indices.tolist()
        for at, data in zip(where, block, strict=True):
            assert out[at] is None
            out[at] = data.tobytes()
    assert None not in out
    found = [data for data in out if data is not None]
    assert [len(data) for data in found] == template.lengths(rows).tolist()
    return found


def plain(parts: tuple[Part, ...], address: str, port: int) -> list[bytes | int]:
    """The probe as pieces: bytes, or a number of bytes that may be anything."""
    host = f"[{address}]" if ":" in address else address
    pieces: list[bytes | int] = []
    for part in parts:
        if isinstance(part, bytes):
            pieces.append(part)
        elif isinstance(part, Random):
            pieces.append(part.size)
        elif isinstance(part, Address):
            pieces.append(address.encode())
        else:
            pieces.append((host if port == 80 else f"{host}:{port}").encode())
    return pieces


def agrees(data: bytes, pieces: list[bytes | int]) -> bool:
    at = 0
    for piece in pieces:
        size = piece if isinstance(piece, int) else len(piece)
        if isinstance(piece, bytes) and data[at : at + size] != piece:
            return False
        at += size
    return at == len(data)


parts = st.lists(
    st.binary(max_size=12)
    | st.sampled_from([Host(), Address(), Random(0), Random(1), Random(8), Random(13)]),
    max_size=5,
).map(tuple)
peers = st.tuples(v4 | v6, st.integers(0, 65535) | st.just(80)).map(lambda p: (text(*halves(p[0])), p[1]))


@settings(max_examples=examples(60), deadline=None)
@given(parts, st.lists(peers, min_size=1, max_size=8))
def test_any_probe_for_any_peers(made: tuple[Part, ...], to: list[tuple[str, int]]) -> None:
    """Texts of several widths in one batch, both families, random parts between them."""
    for data, (address, port) in zip(rendered(ProbeTemplate(made), rows_for(to)), to, strict=True):
        assert agrees(data, plain(made, address, port))


ADDRESSES = ["0.0.0.0", "1.2.3.4", "10.20.30.40", "100.200.255.199", "9.10.99.100"]
PORTS = [0, 1, 9, 10, 79, 80, 81, 99, 100, 999, 1000, 8080, 9999, 10000, 65535]


@every_row(product(ADDRESSES, PORTS))
def test_every_width_of_an_authority(address: str, port: int) -> None:
    shown = address if port == 80 else f"{address}:{port}"
    assert rendered(ProbeTemplate((b"<", Host(), b">")), rows_for([(address, port)])) == [
        f"<{shown}>".encode()
    ]


def test_random_parts_differ_by_flow_and_not_by_retransmit() -> None:
    template = ProbeTemplate((Random(16), b"-", Random(16)))
    rows = rows_for([("192.0.2.1", 443)] * 50)
    first = rendered(template, rows)
    assert len({data[:16] for data in first} | {data[17:] for data in first}) == 100
    assert rendered(template, rows) == first
    assert rendered(template, rows[10:20]) == first[10:20]


def test_no_line_ends_in_random_parts() -> None:
    """memcached answers a DNS query whose id holds a newline, and no other."""
    rows = rows_for([("192.0.2.1", 53)] * 200)
    seen = set(b"".join(rendered(ProbeTemplate((Random(61),)), rows)))
    assert seen == set(range(256)) - {10, 13}


def test_a_probe_of_nothing() -> None:
    template = ProbeTemplate(())
    assert template.lengths(rows_for([("192.0.2.1", 1)] * 3)).tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", ["http", "tls", "wait", "ssh", "dns", "mysql", "redis"])
def test_the_real_ones(name: str) -> None:
    parts = handshake(name).parts
    to = [("192.0.2.1", 80), ("10.0.0.1", 8080), ("2001:db8::1", 443), ("255.255.255.254", 65535)]
    for data, (address, port) in zip(rendered(ProbeTemplate(parts), rows_for(to)), to, strict=True):
        assert agrees(data, plain(parts, address, port))
