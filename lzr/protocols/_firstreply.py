"""Decides when a server's first bytes are enough to be identified, in a scan and in `lzr identify`.

A reply is complete at once when it is long or ends a line; otherwise what follows within GROWTH is added to
it.
"""

from __future__ import annotations

ENOUGH = 64
"""Bytes from which a reply is complete: every matcher of lzr/protocols recognises its protocol by fewer."""

LINE = 8
"""Bytes from which a reply that ends with a newline is complete."""

GROWTH = 0.25
"""Seconds that more is waited for after a shorter reply; the default of --settle. A judgement: about a round
trip, as a server that sends a banner in two writes waits for our ACK in between (Nagle, RFC 1122 §4.2.3.4).
"""


def complete(reply: bytes | bytearray) -> bool:
    """Whether a reply, as far as it has come, is complete."""
    return len(reply) >= ENOUGH or (len(reply) >= LINE and reply[-1] == 0x0A)
