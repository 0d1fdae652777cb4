"""The scheduler of a fleet, in this process: which boxes are connected, and calls to them, each with a
time-out.

Nothing that a box sends is unpickled here: calls, their answers and heartbeats are plain values in msgpack;
of a task only its end is used.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import time
import uuid
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from distributed import Client

from coordinator.fleet.certs import TlsIdentity
from coordinator.fleet.serving import pickles, tasks, transport
from lzr.errors import UsageError, printable
from lzr.fleet.lock import Lock
from lzr.safetext import plain

UNHEARD = 3.0
"""Seconds without a heartbeat (there are two a second) after which a box counts as not heard of."""


MOST_STATUS = 1 << 20
"""Characters of the status of a scan: as many bytes as a box that tells the truth sends."""


class BoxError(Exception):
    """A box did not answer, or refused; the text says so, without its name."""


class Unheard(BoxError):
    """The box did not answer, so it is not known whether it has received the call."""


@dataclass(frozen=True, slots=True)
class ReceivedReport:
    """A box's last report. at: when, by our clock. report: as `boxside.BoxSide.report` makes it."""

    at: float
    report: Mapping[str, Any]


class Engine:
    """A scheduler at the plan's address and a client of its own. Used as a context."""

    def __init__(self, lock: Lock, identity: TlsIdentity) -> None:
        self._lock, self._identity = lock, identity
        self._stack = contextlib.AsyncExitStack()
        self._scheduler: transport.FleetScheduler
        self._client: Any = None
        self._joining: asyncio.Task[None] | None = None
        self._ending = False
        self._heard: dict[str, ReceivedReport] = {}

    async def __aenter__(self) -> Engine:
        """Raises UsageError."""
        transport.settle()
        transport.quiet()
        pickles.close()
        security = transport.security(self._identity)
        host, _, port = self._lock.plan.controller.rpartition(":")
        try:
            scheduler = transport.FleetScheduler(
                host=host, port=int(port), protocol="tls", security=security, dashboard=False
            )
            self._scheduler = await self._stack.enter_async_context(scheduler)
        except (OSError, RuntimeError) as error:
            cause = error.__cause__ if isinstance(error, RuntimeError) else error
            if not isinstance(cause, OSError):
                raise
            if cause.errno == errno.EADDRINUSE:
                why = "a controller runs there already, or another program has that port"
            else:
                why = cause.strerror or str(cause)
            raise UsageError(f"cannot listen at {printable(self._lock.plan.controller)}: {why}") from error
        try:
            await self._join()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def _join(self) -> None:
        """Be a client of the scheduler beside this; again, where an earlier one was cut off for too long."""
        client = Client(
            self._scheduler.address, security=transport.security(self._identity), asynchronous=True,
            set_as_default=False,
        )  # fmt: skip
        self._client = await self._stack.enter_async_context(client)
        self._client._stream_handlers["task-erred"] = self._erred

    def _rejoin(self) -> None:
        if not self._ending and (self._joining is None or self._joining.done()):
            self._joining = asyncio.ensure_future(self._again())

    async def _again(self) -> None:
        with contextlib.suppress(Exception):  # it is not possible yet, and tried again
            await self._join()

    async def __aexit__(self, *_: object) -> None:
        self._ending = True
        # Of a call that is being given up at this moment, to a box that is away: Dask cancels it once more.
        with contextlib.suppress(RuntimeError):
            await self._stack.aclose()

    def _erred(self, key: Any = None, **_: Any) -> None:
        """A task that failed: the box's reason is a pickle, which is not opened."""
        state = self._client.futures.get(key)
        if state is not None:
            state.set_error(RuntimeError("the box gave it up"), None)

    def here(self, box: str) -> bool:
        """Whether its worker is connected."""
        return box in self._scheduler.aliases

    def heard(self, box: str) -> ReceivedReport | None:
        """The box's last report, connected or not; None if there was none."""
        state = self._scheduler.workers.get(self._scheduler.aliases.get(box))
        if state is not None:
            report = state.metrics.get("lzr")
            self._heard[box] = ReceivedReport(state.last_seen, report if isinstance(report, dict) else {})
        return self._heard.get(box)

    def silent(self, box: str) -> float | None:
        """Seconds since the box was last heard; None if it never was."""
        heard = self.heard(box)
        return None if heard is None else max(0.0, time.time() - heard.at)

    async def call(self, box: str, what: str, given: Mapping[str, Any], timeout: float) -> Any:
        """The answer of a box to a call, within `timeout` seconds. Raises BoxError."""
        address = self._scheduler.aliases.get(box)
        if address is None:
            raise Unheard("is not connected")
        try:
            async with asyncio.timeout(timeout):
                reply = await self._scheduler.ask(box, address, what=what, given=dict(given))
        except TimeoutError:
            raise Unheard(f"did not answer within {timeout:g} s") from None
        except OSError as error:
            raise Unheard(plain(f"cannot be reached at {address.removeprefix('tls://')}", 200)) from error
        except Exception as error:  # whatever Dask makes of what a box said
            raise Unheard(plain(f"cannot be asked ({type(error).__name__}: {error})", 200)) from error
        if isinstance(reply, dict) and isinstance(reply.get("refused"), str):
            raise BoxError(plain(reply["refused"], 500))
        if not isinstance(reply, dict) or "answer" not in reply:
            raise BoxError("answered what is no answer")
        return reply["answer"]

    async def calls(
        self, boxes: Iterable[str], what: str, given: Mapping[str, Any], timeout: float
    ) -> dict[str, Any]:
        """The same call to several boxes at once: by box its answer, or the BoxError."""
        names = list(boxes)
        found = await asyncio.gather(
            *(self.call(name, what, given, timeout) for name in names), return_exceptions=True
        )
        for one in found:
            if isinstance(one, BaseException) and not isinstance(one, BoxError):
                raise one
        return dict(zip(names, found, strict=True))

    def attend(self, box: str, session: str) -> Awaitable[None]:
        """Have a box attend to its run: a task of its own. Over when that is, whatever became of it.

        session: what the box was given with its lock. Raises BoxError.
        """
        if self._client.status != "running":
            if self._client.status == "closed":
                self._rejoin()
            raise Unheard("gets no task: this controller is not connected with itself yet")
        key = f"{transport.task_key(box)}{uuid.uuid4().hex}"
        try:
            future = self._client.submit(
                tasks.attend, session, key=key, pure=False,
                resources={transport.resource(box): 1}, retries=0, allow_other_workers=False,
            )  # fmt: skip
        except Exception as error:
            raise Unheard(plain(f"gets no task ({type(error).__name__}: {error})", 200)) from error
        return self._over(future)

    async def _over(self, future: Any) -> None:
        with contextlib.suppress(Exception):
            await future._state.wait()
        if future.status in ("cancelled", "lost"):  # not by the box: this client has lost the scheduler
            self._rejoin()
        future.release()


def status_of(report: Mapping[str, Any]) -> dict[str, Any] | None:
    """The status of its scan that a box has told, or None: what `lzr ctl status --json` says."""
    text = report.get("status")
    if not isinstance(text, str) or not 0 < len(text) <= MOST_STATUS:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
