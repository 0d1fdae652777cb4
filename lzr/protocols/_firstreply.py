"""When the first bytes of a server are all that there is to wait for, in a scan as in `lzr identify`.

A reply is complete at once when it is long or a line; else it may grow for a moment, by what follows.
"""

from __future__ import annotations

ENOUGH = 64
"""Bytes that leave nothing to wait for: every matcher of lzr/protocols knows its own by fewer."""

LINE = 8
"""Bytes after which a reply that ends with a newline is taken for whole."""

GROWTH = 0.25
"""Seconds that a shorter one may grow."""


def complete(reply: bytes | bytearray) -> bool:
    """Whether a reply, as far as it has come, leaves nothing to wait for."""
    return len(reply) >= ENOUGH or (len(reply) >= LINE and reply[-1] == 0x0A)
