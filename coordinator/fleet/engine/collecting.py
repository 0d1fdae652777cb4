"""What a controller does besides taking boxes through their runs: it fetches results and serves metrics."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from coordinator.fleet.engine.controllersocket import ControllerSocket
from coordinator.fleet.engine.engine import Engine
from coordinator.fleet.fetching import Fetcher
from coordinator.fleet.watching import metrics, screen
from coordinator.fleet.watching.hearing import heard
from lzr.errors import printable
from lzr.fleet.lock import Lock
from lzr.fleet.view import view

EVERY = 3.0
"""Seconds between two looks at what there is to be fetched. A judgement: a checkpoint is written once a
second, in a sweep up to five times."""
TIMEOUT = 30.0
"""Seconds for a chunk, and at the end for a box that gives nothing."""


@contextlib.asynccontextmanager
async def fetching(
    lock: Callable[[], Lock],
    engine: Engine,
    directory: str | None,
    invoker: tuple[int, int] | None,
    say: Callable[[str, str], None],
) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
    """Fetch results into `directory` meanwhile, unless it is None; gives what fetches the rest at the end,
    and tells whether all of them are there. lock: the newest. Raises UsageError.
    """
    if directory is None:
        yield _nothing
        return

    def call(box: str, what: str, given: Mapping[str, Any]) -> Any:
        return engine.call(box, what, given, TIMEOUT)

    with Fetcher(lock(), directory, call, invoker) as fetcher:
        turns: dict[str, asyncio.Task[None]] = {}  # by box, each at its own pace

        async def go_on() -> None:
            said: dict[str, str] = {}
            while True:
                await asyncio.sleep(EVERY)
                fetcher.take(lock())
                for box in lock().plan.boxes:
                    if engine.here(box.name) and (box.name not in turns or turns[box.name].done()):
                        turns[box.name] = asyncio.ensure_future(fetcher.turn({box.name}))
                for name, state in fetcher.states.items():
                    if state.trouble and state.trouble != said.get(name):
                        say(state.run.box, f"its results cannot be fetched: {state.trouble}")
                    said[name] = state.trouble

        task = asyncio.ensure_future(go_on())

        async def end() -> None:
            for one in (task, *turns.values()):
                one.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await one

        async def finish() -> bool:
            await end()
            fetcher.take(lock())
            return await _finish(fetcher, say)

        try:
            yield finish
        finally:
            await end()


async def _nothing() -> bool:
    return True


async def _finish(fetcher: Fetcher, say: Callable[[str, str], None]) -> bool:
    """Fetch what is left, as long as anything comes; whether all of it is here."""
    until, before = time.monotonic() + TIMEOUT, -1
    while True:
        await fetcher.turn()
        there = sum(state.here for state in fetcher.states.values())
        if there != before:
            until, before = time.monotonic() + TIMEOUT, there
        left = [state for state in fetcher.current if not (state.whole or state.given_up)]
        if not any(state.held.ended or state.trouble for state in left) or time.monotonic() > until:
            break
        await asyncio.sleep(0.5)
    for state in fetcher.states.values():
        if not state.whole and state.trouble:
            say(state.run.box, f"its results are not all here: {state.trouble}")
    say("", f"{there:,} bytes of results are in {printable(fetcher.directory)}")
    return fetcher.whole


@contextlib.asynccontextmanager
async def serving_metrics(
    port: int | None, address: str, lock: Callable[[], Lock], served: ControllerSocket
) -> AsyncIterator[None]:
    """Serve the metrics of all boxes meanwhile, where a port is given. Raises UsageError."""
    if port is None:
        yield
        return

    def look() -> screen.Looked:
        said = heard(served.status())
        return screen.looked(view(lock().plan.name, lock().current, said, time.time()), said)

    async with metrics.serving(port, address, look):
        yield
