"""Whoever opens connections and says nothing keeps no box out, and holds nothing for long."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from coordinator.fleet import certs
from coordinator.fleet.engine.engine import Engine
from coordinator.fleet.serving import tlshandshakes
from lzr.fleet.lock import Lock
from tests.unit.coordinator.fleet.engine.test_engine import lock, places, running, until, worker  # noqa: F401

pytestmark = pytest.mark.attack


@contextlib.asynccontextmanager
async def silent(address: str, count: int) -> AsyncIterator[list[asyncio.StreamReader]]:
    """Connections over which nothing is said."""
    host, _, port = address.rpartition(":")
    opened = [await asyncio.open_connection(host, int(port)) for _ in range(count)]
    try:
        yield [reader for reader, _ in opened]
    finally:
        for _, writer in opened:
            writer.close()


async def ends(readers: list[asyncio.StreamReader]) -> int:
    """How many of them the other end has closed within a moment."""

    async def one(reader: asyncio.StreamReader) -> bool:
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(1):
                return await reader.read() == b""
        return False

    return sum(await asyncio.gather(*map(one, readers)))


def test_a_handshake_that_does_not_come_is_given_up(
    lock: Lock,  # noqa: F811
    places: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At the controller, and at the port of a box."""
    monkeypatch.setattr(tlshandshakes, "SECONDS", 1.0)

    async def whole() -> None:
        ours = certs.load(str(places / "certs"), certs.CONTROLLER)
        async with Engine(lock, ours) as engine, worker(lock, places, "ams1"):
            await until(lambda: engine.here("ams1"))
            for address in (lock.plan.controller, f"127.0.0.1:{lock.plan.box('ams1').port}"):
                async with silent(address, 20) as readers:
                    async with asyncio.timeout(20):
                        await asyncio.gather(*(reader.read() for reader in readers))
            assert engine.here("ams1")

    running(whole)


def test_a_crowd_makes_room(
    lock: Lock,  # noqa: F811
    places: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A box comes in while a stranger has as many connections as may be, and his oldest go."""
    monkeypatch.setattr(tlshandshakes, "MOST", 8)
    monkeypatch.setattr(tlshandshakes, "SECONDS", 60)

    async def whole() -> None:
        ours = certs.load(str(places / "certs"), certs.CONTROLLER)
        async with Engine(lock, ours) as engine, silent(lock.plan.controller, 30) as readers:
            async with asyncio.timeout(20):
                await asyncio.gather(*(reader.read() for reader in readers[:22]))
            assert await ends(readers[22:]) == 0
            async with worker(lock, places, "ams1"):
                await until(lambda: engine.here("ams1"))

    running(whole)
