"""Identities of the commonest replies, by the part that decides them: it repeats where whole replies do not.

Of an HTTP response this is the application and the Server field (`webreply`): a Date, a cookie or a length
makes it no other. Of SSH it is the first line (RFC 4253 §4.2), behind which a server's first packet may come
at once. What is kept has a bound, so that strangers who never say the same twice only make it useless.
"""

from __future__ import annotations

from lzr.fingerprint import honeypot, products
from lzr.fingerprint.webreply import Surveyed, survey
from lzr.protocols._catalogue import BY_NAME
from lzr.protocols._protocol import Identity, Matcher

SSH = b"SSH-"

REMEMBERED = 4096
"""Identities kept of each kind; then all are forgotten. A Server field has 4 KB at most, so 16 MB where
strangers want it so, half a megabyte where they do not."""

_LINE = 256
"""A first line of SSH is shorter (RFC 4253 §4.2); the matcher looks no further."""

_web: dict[Surveyed, Identity] = {}
_ssh: dict[bytes, Identity] = {}


def response(data: bytes) -> Identity | None:
    """The identity of a response of plain HTTP; None of what the matchers have to look at."""
    surveyed = survey(data)
    if surveyed is None:
        return None
    found = _web.get(surveyed)
    if found is None:
        if len(_web) >= REMEMBERED:
            _web.clear()
        application, server = surveyed
        found = _web[surveyed] = Identity("http", application, *products.server(server))
    return found


def ssh(data: bytes) -> Identity | None:
    """The identity of a reply that begins as SSH's do, by its first line; None of what the matchers have to
    look at."""
    end = data.find(b"\n", 4, _LINE) + 1
    if end < len(data) and (end == 0 or honeypot.like(data)):
        return None
    first = data[:end]
    found = _ssh.get(first)
    if found is None:
        if not _is_ssh(first):
            return None
        if len(_ssh) >= REMEMBERED:
            _ssh.clear()
        found = _ssh[first] = Identity("ssh", "", *products.READERS["ssh"](first))
    return found


def _matcher(name: str) -> Matcher:
    match = BY_NAME[name].match
    assert match is not None
    return match


_is_ssh = _matcher("ssh")
