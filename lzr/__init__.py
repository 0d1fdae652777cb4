"""LZR in Python: which service really lives behind an open TCP port.

``lzr`` is the domain: pure functions and values over columns. It opens no socket, starts no process and
reads no clock; ``coordinator`` and ``workers`` do that and hand the facts in.
"""

from __future__ import annotations

__version__ = "0.1.0"
__all__ = ["__version__", "identify"]

TYPE_CHECKING = False  # as in typing, whose import alone costs 10 ms
if TYPE_CHECKING:
    from typing import Any

    from lzr.fingerprint import identify


def __getattr__(name: str) -> Any:  # PEP 562: the guard must be up before anything slow is imported
    if name == "identify":
        from lzr.fingerprint import identify

        return identify
    raise AttributeError(name)
