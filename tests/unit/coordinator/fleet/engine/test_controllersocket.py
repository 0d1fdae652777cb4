"""A controller's socket, asked for real: what boxes that are away are to do is kept, nonsense is answered."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from coordinator.fleet import certs, lockfile
from coordinator.fleet.engine import controllerclient, controllersocket
from coordinator.fleet.engine.controller import Controller
from coordinator.fleet.engine.controllerfiles import ControllerFiles
from coordinator.fleet.engine.controllersocket import ControllerSocket
from coordinator.fleet.engine.engine import Engine
from lzr.errors import UsageError
from lzr.fleet.lock import Lock
from tests.unit.coordinator.fleet.engine.test_engine import lock, places

__all__ = ["lock", "places"]


def test_what_is_asked_of_boxes_that_are_away_is_kept(
    lock: Lock,
    places: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(controllerclient.control, "directories", lambda: [tmp_path / "run"])
    plan = str(tmp_path / "plan.lock.json")
    lockfile.write(plan, lock)
    said: list[tuple[str, str]] = []

    def ask(**request: Any) -> dict[str, Any]:
        return controllerclient.ask(lock, 20, **request)

    def raw(line: bytes) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(controllerclient.where(lock)))
            sock.sendall(line)
            found: dict[str, Any] = json.loads(sock.makefile().readline())
            return found

    async def whole() -> None:
        identity = certs.load(str(places / "certs"), certs.CONTROLLER)
        async with Engine(lock, identity) as engine:
            controller = Controller(lock, engine, ControllerFiles(plan), lambda *one: said.append(one))
            async with ControllerSocket(controller, engine):
                found = await asyncio.to_thread(
                    ask, do="block", networks=["192.0.2.0/24"], reason="ticket 42", by="ada"
                )
                assert found["confirmed"] == []
                assert found["missing"] == {"ams1": "is not connected", "fra1": "is not connected"}
                dealt = await asyncio.to_thread(ask, do="rate", rate=600, boxes=None)
                assert dealt["dealt"] == {"ams1": 300, "fra1": 300}
                assert set(dealt["missing"]) == {"ams1", "fra1"}
                await asyncio.to_thread(ask, do="pause", boxes=["fra1"])
                for line in (b"[]\n", b"{}\n", b'{"do": "rate", "rate": "x"}\n', b'{"do": "format"}\n', b"\n",
                             b'{"do": "call", "what": "tell", "box": "ams1"}\n',
                             b'{"do": "drain", "boxes": ["lon1"]}\n', b'{"do": "block"}\n'):  # fmt: skip
                    answer = await asyncio.to_thread(raw, line)
                    assert answer["ok"] is False
                    assert answer["error"]
            assert not controllerclient.where(lock).exists()
            again = Controller(lock, engine, ControllerFiles(plan), lambda *one: said.append(one))
            async with ControllerSocket(again, engine):
                told = await asyncio.to_thread(ask, do="status")
            assert [(box["name"], box["paused"], len(box["lacks"])) for box in told["boxes"]] == [
                ("ams1", False, 1), ("fra1", True, 1),
            ]  # fmt: skip
            assert (told["rate"], told["orders"][0]["by"]) == (600, "ada")
        with pytest.raises(controllerclient.NoController, match="lzr fleet start"):
            ask(do="status")

    asyncio.run(asyncio.wait_for(whole(), 60))


def test_an_order_that_cannot_be_kept_is_not_given(
    lock: Lock,
    places: Path,
    tmp_path: Path,
) -> None:
    async def whole() -> None:
        identity = certs.load(str(places / "certs"), certs.CONTROLLER)
        async with Engine(lock, identity) as engine:
            files = ControllerFiles(str(tmp_path / "gone" / "plan.lock.json"))
            controller = Controller(lock, engine, files, lambda *_: None)
            with pytest.raises(UsageError, match="cannot write"):
                await controller.block(["192.0.2.0/24"], "", "")
            assert controller.orders.orders == ()

    asyncio.run(asyncio.wait_for(whole(), 60))


def test_how_long_a_box_may_scan_on_is_what_it_has_told_less_how_long_ago(lock: Lock) -> None:
    assert controllersocket.lease_left(lock, {"lease": 20.0}, 1.0) is None
    leased = replace(lock, plan=replace(lock.plan, lease=30))
    assert controllersocket.lease_left(leased, {"lease": 20.0}, 1.5) == 18.5
    for lie in (None, "long", 1e9, -1.0, float("nan"), True, [20.0]):
        assert controllersocket.lease_left(leased, {"lease": lie}, 0.0) == 0.0
    assert controllersocket.lease_left(leased, {}, 0.0) == 0.0


@pytest.mark.parametrize("lie", [{b"key": 1}, {"state": b"bytes"}, {1: {(1, 2): 3}}, "\ud800"])
def test_an_answer_of_a_box_that_is_no_json_is_said_to_be_none(
    lock: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lie: Any
) -> None:
    monkeypatch.setattr(controllerclient.control, "directories", lambda: [tmp_path / "run"])

    class Boxes:
        async def call(self, *_: object) -> Any:
            return lie

    async def whole() -> None:
        trouble: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, what: trouble.append(what))
        controller = Controller(
            lock, cast(Engine, Boxes()), ControllerFiles(str(tmp_path / "p")), lambda *_: None
        )
        async with ControllerSocket(controller, cast(Engine, Boxes())):
            with contextlib.suppress(UsageError):
                await asyncio.to_thread(
                    partial(controllerclient.ask, lock, 20, do="call", what="state", box="ams1")
                )
            with pytest.raises(UsageError, match="does not know"):
                await asyncio.to_thread(partial(controllerclient.ask, lock, 20, do=[]))
        assert not trouble

    asyncio.run(whole())
