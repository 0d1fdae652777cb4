"""The fingerprint: which protocol a first reply is.

`PROTOCOLS` is the catalogue (`registry`), `Classifier` asks it (`dispatch`, `precedence`, `echo`), and
`identify` adds what the reply says about the program behind it (`applications`, `products`). Everything
here is a pure function of the bytes.
"""

from __future__ import annotations

from lzr.protocols.base import Address, Host, Identity, Part, Protocol, Random
from lzr.protocols.classifier import Classifier, identify
from lzr.protocols.registry import BY_NAME, PROTOCOLS, handshake

__all__ = [
    "BY_NAME",
    "PROTOCOLS",
    "Address",
    "Classifier",
    "Host",
    "Identity",
    "Part",
    "Protocol",
    "Random",
    "handshake",
    "identify",
]
