"""HTTP responses, the commonest replies, identified in one pass where they are plain HTTP.

A protocol whose replies begin as HTTP's do says what else must be in them (`Protocol.in_http`). A response
with a proper status line in which nothing of that stands is `http` without any matcher being asked, and
`applications.read` has its application. `identity` is all of that; in C it goes over the reply once.
Nothing is remembered, so replies of which no two are alike cost no more than others.
"""

from __future__ import annotations

from lzr.fingerprint import applications, products
from lzr.kernels import NATIVE, in_c
from lzr.protocols._catalogue import PROTOCOLS
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


OTHERS = _others(PROTOCOLS)

_TABLE = None if NATIVE is None else NATIVE.web_table(OTHERS, applications.rows(), Identity("http"))


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
