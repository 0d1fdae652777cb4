"""Serves the metrics of all boxes from an event loop: a scrape is answered from what was heard last."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

from coordinator.endpoints.prometheus import MetricsServer
from coordinator.fleet.watching import metrics
from coordinator.fleet.watching.screen import Looked
from lzr.errors import UsageError

EVERY = 1.0
"""Seconds after which a page is made anew, if somebody asks for it."""


@contextlib.asynccontextmanager
async def serving(port: int, address: str, look: Callable[[], Looked]) -> AsyncIterator[int]:
    """Serve them meanwhile; gives the port. look: is called when somebody asks. Raises UsageError."""
    try:
        server = MetricsServer(port, address)
    except OSError as error:
        raise UsageError(str(error.strerror or error)) from error
    loop = asyncio.get_running_loop()

    def page() -> str:
        seen = look()
        return metrics.exposition(seen.view, seen.scans)

    async def renew() -> None:
        while True:
            server.publish_page(page)
            server.handle(time.monotonic())
            await asyncio.sleep(EVERY)

    loop.add_reader(server.fileno(), lambda: server.handle(time.monotonic()))
    task = asyncio.ensure_future(renew())
    try:
        yield server.port
    finally:
        task.cancel()
        loop.remove_reader(server.fileno())
        server.close()
