"""Metrics of all boxes over HTTP, from an event loop that has other things to do."""

from __future__ import annotations

import asyncio
import socket

import pytest

from coordinator.fleet.watching.metrics import serving
from lzr.errors import UsageError
from tests.unit.coordinator.fleet.watching.test_picture import seen


async def scraped(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")
    try:
        return await asyncio.wait_for(reader.read(), 20)
    finally:
        writer.close()


def test_two_scrapes_at_once() -> None:
    look = seen()

    async def both() -> list[bytes]:
        async with serving(0, "127.0.0.1", lambda: look) as port:
            return await asyncio.gather(scraped(port), scraped(port))

    for page in asyncio.run(both()):
        assert page.startswith(b"HTTP/1.1 200")
        assert f'lzr_inputs_read_total{{box="nyc1"}} {look.scans["nyc1"].read}\n'.encode() in page


def test_a_port_that_is_taken_is_a_mistake_told() -> None:
    async def serve(port: int) -> None:
        async with serving(port, "127.0.0.1", seen):
            pass

    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UsageError, match="cannot listen on"):
        asyncio.run(serve(taken.getsockname()[1]))
