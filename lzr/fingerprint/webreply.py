"""HTTP responses, the commonest replies, told in one pass: that they are plain HTTP, their application, their
Server field.

A protocol whose replies begin as HTTP's do says what else must be in them (`Protocol.in_http`). A response
with a proper status line in which nothing of that stands is `http` without any matcher being asked, and
`applications.read` has its application. `survey` is both; in C it goes over the reply once.
"""

from __future__ import annotations

from lzr.fingerprint import applications
from lzr.kernels import NATIVE, in_c
from lzr.protocols._catalogue import PROTOCOLS
from lzr.protocols._protocol import Protocol
from lzr.protocols.web import STATUS_LINE

Surveyed = tuple[str, bytes]
"""The application, "" where nothing gives it away, and the value of the Server field."""

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

_TABLE = None if NATIVE is None else NATIVE.web_table(OTHERS, applications.rows())


def _native_survey(data: bytes) -> Surveyed | None:
    found: Surveyed | None = NATIVE.web_reply(_TABLE, data)
    return found


@in_c(_native_survey)
def survey(data: bytes) -> Surveyed | None:
    """What a response says of itself that is HTTP and can be no other protocol; None of any other reply."""
    if not data.startswith(BEGINNING) or STATUS_LINE.match(data) is None:
        return None
    for starts, inside in OTHERS:
        if data.startswith(starts) and (not inside or any(text in data for text in inside)):
            return None
    return applications.read(data)
