"""TLS handshakes of whoever connects: bounded in time and number, so that strangers keep nobody out.

Anybody who can reach the port may open connections and say nothing. Each holds a descriptor, and a process
that has none left can neither let in a box nor write a file; Dask waits for a handshake for ever.
"""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from distributed.comm import tcp

SECONDS = 5.0
"""For a handshake: half a dozen round trips of the longest that there are."""
MOST = 128
"""Handshakes at a time; a thousand boxes that come at once are let in one after the other, as those that were
dropped try again."""

Prepare = Callable[[Any, Any, Any], Awaitable[Any]]
"""As distributed's: listener, stream and address in, the stream out; None where the handshake has failed."""


class Handshakes:
    """Those under way in this process."""

    def __init__(self) -> None:
        self._hosts: dict[Any, str] = {}  # by stream, the oldest first

    async def bounded(self, prepare: Prepare, listener: Any, stream: Any, address: str) -> Any:
        """The stream, once its handshake is done; None where it is not done in time, or had to make room."""
        if len(self._hosts) >= MOST:
            self._dispensable().close()
        self._hosts[stream] = address.rpartition(":")[0]
        try:
            async with asyncio.timeout(SECONDS):
                return await prepare(listener, stream, address)
        except TimeoutError:
            stream.close()
            return None
        finally:
            self._hosts.pop(stream, None)

    def _dispensable(self) -> Any:
        """The oldest of the address that has the most."""
        crowd = Counter(self._hosts.values())
        most = max(crowd.values())
        found = next(stream for stream, host in self._hosts.items() if crowd[host] == most)
        del self._hosts[found]
        return found


def bound() -> None:
    """From now on no handshake in this process takes longer, and there are no more at a time."""
    prepare: Any = tcp.TLSListener._prepare_stream
    if isinstance(getattr(prepare, "handshakes", None), Handshakes):
        return
    handshakes = Handshakes()

    @functools.wraps(prepare)
    async def bounded(listener: Any, stream: Any, address: str) -> Any:
        return await handshakes.bounded(prepare, listener, stream, address)

    bounded.handshakes = handshakes  # type: ignore[attr-defined]
    tcp.TLSListener._prepare_stream = bounded
