"""The protocols: one value each, with its probe, its matcher, examples and rejects; a family a module.

`PROTOCOLS` is the catalogue. Modules whose names begin with an underscore are what the families share.
"""

from __future__ import annotations

from lzr.protocols._catalogue import BY_NAME, PROTOCOLS, handshake
from lzr.protocols._protocol import Address, Host, Identity, Part, Protocol, Random

__all__ = [
    "BY_NAME",
    "PROTOCOLS",
    "Address",
    "Host",
    "Identity",
    "Part",
    "Protocol",
    "Random",
    "handshake",
]
