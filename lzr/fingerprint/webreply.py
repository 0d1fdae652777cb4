"""HTTP responses, the commonest replies, identified in one pass where they are plain HTTP; a batch of them
at once, and TLS records with them.

A protocol whose replies begin as HTTP's do says what else must be in them (`Protocol.in_http`). A response
with a proper status line in which nothing of that stands is `http` without any matcher being asked, and
`applications.read` has its application. `identity` is all of that; in C it goes over the reply once.
Nothing is remembered, so replies of which no two are alike cost no more than others.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr.fingerprint import applications, products
from lzr.kernels import NATIVE, in_c, prepared
from lzr.protocols._catalogue import BY_NAME, PROTOCOLS
from lzr.protocols._protocol import Identity, Protocol
from lzr.protocols.web import STATUS_LINE

BEGINNING = b"HTTP/1."

Other = tuple[tuple[bytes, ...], tuple[bytes, ...]]
"""A protocol's keys that a response may begin with, and what must be in it for the protocol to take it."""


def _others(protocols: tuple[Protocol, ...]) -> tuple[Other, ...]:
    """Of the protocols but http that are asked about replies that begin as HTTP's do. Those of last resort
    are not asked where http takes a reply, nor those keyed at an offset."""
    found = []
    for p in protocols:
        starts = tuple(key for key in p.starts if key.startswith(BEGINNING) or BEGINNING.startswith(key))
        keyless = not p.starts and not p.at
        if p.name != "http" and p.match is not None and not p.last_resort and (starts or keyless):
            found.append((starts or (BEGINNING,), p.in_http))
    return tuple(found)


_ALERT = 7  # bytes of a record with an alert

OTHERS = _others(PROTOCOLS)

_TABLE: Any = prepared(lambda native: native.web_table(OTHERS, applications.rows(), Identity("http")), None)


def _native_identity(data: bytes) -> Identity | None:
    found: Identity | None = NATIVE.web_reply(_TABLE, data)
    return found


@in_c(_native_identity)
def identity(data: bytes) -> Identity | None:
    """Of a response that is HTTP and can be no other protocol; None of any other reply."""
    if not data.startswith(BEGINNING) or STATUS_LINE.match(data) is None:
        return None
    for starts, inside in OTHERS:
        if data.startswith(starts) and (not inside or any(text in data for text in inside)):
            return None
    application, server = applications.read(data)
    return Identity("http", application, *products.server(server))


_is_tls = BY_NAME["tls"].match
assert _is_tls is not None


def record(data: bytes) -> Identity | None:
    """Of an alert, or a ServerHello of a version that is in use; None of any other reply."""
    if data[:2] not in (b"\x15\x03", b"\x16\x03") or not _is_tls(data):  # type: ignore[misc]
        return None
    if data[:1] == b"\x16":
        drafts = data[5:6] == b"\0" or data[9:10] == b"\x7f" or data[9:11] == b"\3\4"
        if drafts or applications.may_be_relay(data):
            return None
    return Identity("tls", applications.read(data)[0])


Counts = dict[tuple[int, str], int]
"""By number of the handshake and label: how many."""

Left = list[tuple[int, int]]
"""Rows that somebody else has to look at: their numbers, and where their payloads begin."""


def _native_batch(
    rows: NDArray[Any],
    blob: bytes,
    heads: tuple[tuple[int, bytes], ...],
    least: int,
    identities: list[Identity],
) -> tuple[Left, Counts]:
    found: tuple[Left, Counts] = NATIVE.web_batch(
        _TABLE, np.ascontiguousarray(rows), blob, heads, least, identities
    )
    return found


@in_c(_native_batch)
def batch(
    rows: NDArray[Any],
    blob: bytes,
    heads: tuple[tuple[int, bytes], ...],
    least: int,
    identities: list[Identity],
) -> tuple[Left, Counts]:
    """Identify what is plain HTTP or TLS among the replies of OUTCOME rows, whose payloads lie end to end in
    `blob`.

    heads: by handshake, where and how an echo of its probe begins. Replies that may be echoes and those of
    fewer than `least` bytes, but for alerts, are left. identities: get those found. Returns what is left, and
    by handshake and label how many were identified. Raises ValueError if the rows promise more than there is.
    """
    left: Left = []
    counts: Counts = {}
    at = 0
    for row, (length, by) in enumerate(
        zip(rows["data_len"].tolist(), rows["handshake"].tolist(), strict=True)
    ):
        if length > len(blob) - at:
            raise ValueError("the rows promise more payload than there is")
        if not length:
            continue
        data = blob[at : at + length]
        found = None
        if by < len(heads) and not data.startswith(heads[by][1], heads[by][0]):
            alert = length >= _ALERT and data[:1] == b"\x15" != heads[by][1][:1]  # no beginning of a probe
            if length >= least or alert:
                found = identity(data) if data[:1] == b"H" else record(data)
        if found is None:
            left.append((row, at))
        else:
            identities[row] = found
            counts[by, found.label] = counts.get((by, found.label), 0) + 1
        at += length
    return left, dict(sorted(counts.items()))
