"""The Unix socket of a controller on its machine: a line of JSON in, a line of JSON out.

Only the user who runs it, and root, can reach it. What a box has said is passed on as text that is harmless
where it is printed.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Mapping
from typing import Any

from coordinator.endpoints import control
from coordinator.endpoints.named import ControlError, Named
from coordinator.fleet.engine.boxstate import BoxRecord
from coordinator.fleet.engine.controller import Controller
from coordinator.fleet.engine.controllerclient import where
from coordinator.fleet.engine.engine import BoxError, Engine, status_of
from lzr.errors import UsageError, printable
from lzr.fleet.lock import Lock

MOST_LINE = 1 << 20
CALLS = ("chunk", "state", "facts")
"""Calls that are passed on to a box as they are."""


class ControllerSocket:
    """Serves a controller's socket while it is used as a context."""

    def __init__(self, controller: Controller, engine: Engine) -> None:
        self._controller, self._engine = controller, engine
        self._named: Named
        self._server: asyncio.Server

    async def __aenter__(self) -> ControllerSocket:
        """Raises UsageError."""
        try:
            self._named = Named(where(self._controller.lock))
        except ControlError as error:
            raise UsageError(str(error)) from error
        self._named.sock.setblocking(False)
        self._server = await asyncio.start_unix_server(self._serve, sock=self._named.sock, limit=MOST_LINE)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._named.remove()
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if not control.is_ours(writer.get_extra_info("socket")):
                return
            while line := await reader.readline():
                writer.write(await self._answer(line) + b"\n")
                await writer.drain()
        except (OSError, ValueError):  # gone, or a line without an end
            pass
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> bytes:
        """JSON, whatever was asked and whatever a box has answered."""
        try:
            asked = json.loads(line)
            if not isinstance(asked, dict):
                raise UsageError("that is no request")
            return json.dumps({"ok": True, **await self._do(asked)}).encode()
        except (UsageError, BoxError) as error:
            trouble = str(error)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            trouble = f"that is no request ({type(error).__name__})"
        return json.dumps({"ok": False, "error": trouble}).encode()

    async def _do(self, asked: dict[str, Any]) -> dict[str, Any]:
        controller, do = self._controller, asked["do"]
        boxes = asked.get("boxes")
        if do == "status":
            return self.status()
        if do == "block":
            order, missing = await controller.block(asked["networks"], asked["reason"], asked["by"])
            return {"order": order.plain(), "confirmed": controller.orders.by(order.id), "missing": missing}
        if do == "rate":
            box = None if boxes is None else controller.who(boxes)[0]
            dealt, missing = await controller.rate(int(asked["rate"]), box)
            return {"dealt": dealt, "missing": missing}
        if do in ("pause", "resume", "drain", "quit"):
            names = controller.who(boxes)
            return {"boxes": names, "missing": await controller.tell(do, names)}
        if do == "call" and asked["what"] in CALLS:
            answer = await self._engine.call(
                self._controller.lock.plan.box(asked["box"]).name, asked["what"], asked.get("given", {}), 30.0
            )
            if isinstance(answer, dict) and isinstance(answer.get("data"), bytes):
                answer = {**answer, "data": base64.b64encode(answer["data"]).decode()}
            try:
                json.dumps(answer)
            except (ValueError, TypeError, RecursionError):
                raise BoxError("answered what is no answer") from None
            return {"answer": answer}
        raise UsageError(f"a controller does not know {printable(str(do))}")

    def status(self) -> dict[str, Any]:
        """What was last heard of all boxes."""
        controller = self._controller
        dealt = controller.dealt()
        return {
            "plan": self._controller.lock.plan.name,
            "id": self._controller.lock.id,
            "generation": self._controller.lock.generation,
            "rate": self._controller.lock.plan.rate
            if controller.wanted.rate is None
            else controller.wanted.rate,
            "now": time.time(),
            "boxes": [self._box(box, dealt) for box in controller.look()],
            "orders": [
                {**order.plain(), "confirmed": controller.orders.by(order.id)}
                for order in controller.orders.orders
            ],
        }

    def _box(self, box: BoxRecord, dealt: dict[str, int] | None) -> dict[str, Any]:
        heard = self._engine.heard(box.name)
        report = {} if heard is None else heard.report
        at = report.get("status_at")
        here_now = report.get("now")
        age = None
        if heard is not None and isinstance(at, (int, float)) and isinstance(here_now, (int, float)) and at:
            age = max(0.0, here_now - at) + max(0.0, time.time() - heard.at)
        runs = self._controller.lock.runs_of(box.name)
        return {
            "name": box.name,
            "address": self._controller.lock.plan.box(box.name).address,
            "connected": self._engine.here(box.name),
            "heard": None if heard is None else heard.at,
            "silent": box.silent or heard is None,
            "since": box.since,
            "state": "running" if box.known.attended else box.state,
            "begun": box.known.begun,
            "ended": box.known.ended,
            "sentence": box.sentence,
            "faults": list(box.faults),
            "shards": sum(len(run.shards) for run in runs),
            "generation": runs[-1].generation if runs else 0,
            "rate": None if dealt is None else dealt.get(box.name),
            "paused": box.name in self._controller.wanted.paused,
            "ending": dict(self._controller.wanted.ending).get(box.name),
            "lacks": [order.id for order in self._controller.orders.missing(box.name)],
            "lease": None
            if heard is None
            else lease_left(self._controller.lock, report, time.time() - heard.at),
            "status": status_of(report),
            "status_age": age,
        }


def lease_left(lock: Lock, report: Mapping[str, Any], age: float) -> float | None:
    """Seconds for which a box may scan on, as it has told `age` seconds ago; 0 where it has said that it has
    none, None where the plan has no leases."""
    if lock.plan.lease is None:
        return None
    left = report.get("lease")
    if type(left) is not float or not 0 <= left <= lock.plan.lease:
        return 0.0
    return max(0.0, left - max(0.0, age))
