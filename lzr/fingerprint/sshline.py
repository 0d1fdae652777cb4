"""Identities of SSH servers, remembered by the line with which they begin: it repeats all over the Internet.

RFC 4253 §4.2: behind it a server's first packet may come at once, which is random. What is remembered has a
bound, so that strangers who never say the same twice only make it useless.
"""

from __future__ import annotations

from lzr.fingerprint import honeypot, products
from lzr.protocols._catalogue import BY_NAME
from lzr.protocols._protocol import Identity, Matcher

BEGINNING = b"SSH-"

REMEMBERED = 4096
"""Lines at most, a megabyte and a half; then all are forgotten. A judgement: a scan of the Internet meets
a few thousand."""

_LINE = 256
"""A first line of SSH is shorter (RFC 4253 §4.2); the matcher looks no further."""

_known: dict[bytes, Identity] = {}


def identity(data: bytes) -> Identity | None:
    """The identity of a reply that begins as SSH's do, by its first line; None of what the matchers have to
    look at."""
    end = data.find(b"\n", 4, _LINE) + 1
    if end < len(data) and (end == 0 or honeypot.like(data)):
        return None
    first = data[:end]
    found = _known.get(first)
    if found is None:
        if not _is_ssh(first):
            return None
        if len(_known) >= REMEMBERED:
            _known.clear()
        found = _known[first] = Identity("ssh", "", *products.READERS["ssh"](first))
    return found


def _matcher(name: str) -> Matcher:
    match = BY_NAME[name].match
    assert match is not None
    return match


_is_ssh = _matcher("ssh")
