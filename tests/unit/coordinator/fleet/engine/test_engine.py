"""A real scheduler and real workers over TLS on the loopback: who is heard, as whom, and who is not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from distributed.comm import connect
from distributed.core import rpc
from tornado.iostream import IOStream

from coordinator.endpoints import control
from coordinator.fleet import certs
from coordinator.fleet.engine.engine import BoxError, Engine, Unheard
from coordinator.fleet.serving import transport
from coordinator.fleet.serving import worker as serving
from coordinator.fleet.serving.boxside import BoxSide
from coordinator.fleet.serving.worker import serve
from lzr.fleet import lock as locks
from lzr.fleet import plan as plans
from lzr.fleet.lock import Lock
from tests.unit.coordinator.fleet.engine.ports import free_port

SUM = "0" * 64
logging.getLogger("distributed").setLevel(logging.CRITICAL)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("fleet")
    certs.make(str(directory / "certs"), ["ams1", "fra1"], None)
    certs.make(str(directory / "foreign"), ["ams1", "fra1"], None)
    return directory


@pytest.fixture
def lock(tmp_path: Path) -> Lock:
    boxes = "".join(
        f'[[box]]\nname="{name}"\nsource="198.51.100.{at}"\naddress="127.0.0.1"\nport={free_port()}\n'
        for at, name in enumerate(("ams1", "fra1"), 1)
    )
    plan = plans.of_toml(
        f'name="test"\nresponsible="tests"\nseed=1\nrate=100\ntargets="192.0.2.0/24"\ntarget-ports="80"\n'
        f'directory="{tmp_path}/state"\ncontroller="127.0.0.1:{free_port()}"\n{boxes}'.encode()
    )
    return locks.settled(plan, "1", SUM, None, None, SUM)


async def until(fact: Callable[[], Any], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not fact():
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def worker(lock: Lock, places: Path, name: str, of: str = "certs") -> AsyncIterator[asyncio.Task[None]]:
    """A box of this name, with a certificate out of the directory `of`."""
    identity = certs.load(str(places / of), name)
    task = asyncio.ensure_future(serve(lock.plan, lock.plan.box(name), identity, BoxSide(name)))
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def running(whole: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60) as bound:
            await whole()
        assert not bound.expired(), "somebody goes on who was cancelled"

    asyncio.run(bounded())


def test_a_box_answers_and_is_back_when_the_controller_is(lock: Lock, places: Path) -> None:
    async def whole() -> None:
        identity = certs.load(str(places / "certs"), certs.CONTROLLER)
        async with worker(lock, places, "ams1"):
            for _ in range(2):
                async with Engine(lock, identity) as engine:
                    await until(lambda: engine.here("ams1"), 30)
                    assert not engine.here("fra1")
                    answer = await engine.call("ams1", "take", {"lock": lock.to_json(), "ticket": "x"}, 10)
                    assert answer["begun"] is False
                    await until(lambda: (engine.heard("ams1").report or {}).get("plan") == lock.id)  # type: ignore[union-attr]
                    assert engine.silent("ams1") < 3  # type: ignore[operator]
                    with pytest.raises(BoxError, match="does not know"):
                        await engine.call("ams1", "format", {}, 10)
                    with pytest.raises(BoxError, match="another way"):
                        await engine.call("ams1", "take", {"key": b""}, 10)
                    with pytest.raises(BoxError, match="is no lock"):
                        await engine.call("ams1", "take", {"lock": b"[]", "ticket": "x"}, 10)
                    with pytest.raises(Unheard, match="is not connected"):
                        await engine.call("fra1", "state", {}, 10)

    running(whole)


def test_controller_and_boxes_talk_over_ipv6(lock: Lock, places: Path) -> None:
    table = json.loads(json.dumps(plans.as_table(lock.plan)).replace("127.0.0.1:", "[::1]:"))
    for box in table["box"]:
        box["address"] = "::1"
    six = locks.settled(plans.of_table(table), "1", SUM, None, None, SUM)

    async def whole() -> None:
        identity = certs.load(str(places / "certs"), certs.CONTROLLER)
        async with Engine(six, identity) as engine, worker(six, places, "ams1"):
            await until(lambda: engine.here("ams1"))
            answer = await engine.call("ams1", "take", {"lock": six.to_json(), "ticket": "x"}, 10)
            assert answer["begun"] is False

    running(whole)


def test_a_connection_that_breaks_before_tls_is_made_again(
    lock: Lock, places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the controller ends at that moment: tornado raises a ValueError, which was the worker's end."""
    starts_tls = IOStream.start_tls
    broken = []

    def breaks(stream: IOStream, server_side: bool, *words: Any, **more: Any) -> Any:
        if not server_side and len(broken) < 6:
            broken.append(stream)
            stream.close()
        return starts_tls(stream, server_side, *words, **more)

    async def whole() -> None:
        identity = certs.load(str(places / "certs"), certs.CONTROLLER)
        async with Engine(lock, identity) as engine:
            monkeypatch.setattr(IOStream, "start_tls", breaks)
            async with worker(lock, places, "ams1"):
                await until(lambda: engine.here("ams1"))
                assert len(broken) == 6

    running(whole)


def test_the_same_box_twice_is_the_later_one(lock: Lock, places: Path) -> None:
    """As after a cut link, before the old connection was given up."""

    async def whole() -> None:
        identity = certs.load(str(places / "certs"), certs.CONTROLLER)
        async with Engine(lock, identity) as engine, worker(lock, places, "ams1"):
            await until(lambda: engine.here("ams1"))
            first = engine._scheduler.aliases["ams1"]
            other = plans.of_table(plans.as_table(lock.plan) | {
                "box": [{**table, "port": free_port()} for table in plans.as_table(lock.plan)["box"]]
            })  # fmt: skip
            own = certs.load(str(places / "certs"), "ams1")
            task = asyncio.ensure_future(serve(other, other.box("ams1"), own, BoxSide("ams1")))
            await until(lambda: engine._scheduler.aliases.get("ams1") not in (None, first))
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await until(lambda: engine._scheduler.aliases.get("ams1") == first)

    running(whole)


def test_certificates_of_others_are_refused_on_both_sides(lock: Lock, places: Path) -> None:
    async def whole() -> None:
        ours = certs.load(str(places / "certs"), certs.CONTROLLER)
        foreign = certs.load(str(places / "foreign"), certs.CONTROLLER)
        async with worker(lock, places, "ams1", "foreign"), worker(lock, places, "fra1"):
            async with Engine(lock, ours) as engine:
                await until(lambda: engine.here("fra1"))
                assert not engine.here("ams1")
            async with Engine(lock, foreign) as engine:
                await until(lambda: engine.here("ams1"))
                assert not engine.here("fra1")

    running(whole)


def test_who_speaks_no_tls_is_not_heard(lock: Lock, places: Path) -> None:
    async def whole() -> None:
        ours = certs.load(str(places / "certs"), certs.CONTROLLER)
        async with Engine(lock, ours) as engine, worker(lock, places, "ams1"):
            await until(lambda: engine.here("ams1"))
            host, _, port = lock.plan.controller.partition(":")
            for where in (int(port), lock.plan.box("ams1").port):
                with pytest.raises((OSError, asyncio.TimeoutError)):
                    await connect(f"tcp://{host}:{where}", timeout=1)
                nobody = ssl.create_default_context()
                nobody.check_hostname, nobody.verify_mode = False, ssl.CERT_NONE
                reader, writer = await asyncio.open_connection(host, where, ssl=nobody)
                writer.write(b"\0" * 64)
                with contextlib.suppress(OSError):
                    assert await asyncio.wait_for(reader.read(64), 10) == b""
                writer.close()
            assert (await engine.call("ams1", "take", {"lock": lock.to_json(), "ticket": "x"}, 10))[
                "begun"
            ] is False

    running(whole)


def test_a_box_has_no_say_over_others(lock: Lock, places: Path) -> None:
    """With a good certificate: a box is no client, cannot be another box, and is not heard by a box."""

    async def whole() -> None:
        ours = certs.load(str(places / "certs"), certs.CONTROLLER)
        async with Engine(lock, ours) as engine, worker(lock, places, "ams1"):
            await until(lambda: engine.here("ams1"))
            args = transport.security(certs.load(str(places / "certs"), "fra1")).get_connection_args("worker")
            scheduler = f"tls://{lock.plan.controller}"
            for words in (
                {"op": "broadcast", "msg": {"op": "lzr", "what": "state", "given": {}}},
                {"op": "run_function", "function": b""},
                {"op": "register-client", "client": "fra1"},
                {"op": "unregister", "address": engine._scheduler.aliases["ams1"], "stimulus_id": "x"},
                {"op": "register-worker", "name": "ams1", "address": "tls://127.0.0.1:1", "resources": {}},
                {"op": "register-worker", "name": "fra1", "resources": {"box-ams1": 1}},
                {"op": "heartbeat_worker", "address": engine._scheduler.aliases["ams1"], "metrics": {}},
            ):
                comm = await connect(scheduler, **args)
                await comm.write(words)
                with pytest.raises(OSError):  # noqa: PT011
                    await asyncio.wait_for(comm.read(), 10)
            box = f"tls://127.0.0.1:{lock.plan.box('ams1').port}"
            with pytest.raises(OSError):  # noqa: PT011
                async with rpc(box, connection_args=args) as other:
                    await other.lzr(what="state", given={})
            assert engine.here("ams1")

    running(whole)


def test_files_of_dask_lie_where_nobody_else_can_have_been_before(
    lock: Lock, places: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It imports modules from there. A worker that finds no room comes when there is some."""
    strangers = tmp_path / "dask-scratch-space"
    strangers.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    own = tmp_path / "own"
    monkeypatch.setattr(control, "directories", lambda: [own])

    async def whole() -> None:
        identity = certs.load(str(places / "certs"), certs.CONTROLLER)
        async with Engine(lock, identity) as engine:
            scratch = own / "dask-scratch-space"
            assert Path(engine._scheduler.local_directory).parent == scratch
            scratch.rename(own / "kept")
            scratch.touch()  # now a directory cannot be made there
            async with worker(lock, places, "ams1") as task:
                await until(lambda: "dask-scratch-space" in said())
                assert not task.done()
                scratch.unlink()
                await until(lambda: engine.here("ams1"))
        assert list(strangers.iterdir()) == []

    lines: list[str] = []
    monkeypatch.setattr(serving.running, "say", lambda _, sentence: lines.append(sentence))

    def said() -> str:
        return "\n".join(lines)

    running(whole)


def test_a_client_that_was_cut_off_for_too_long_is_replaced(lock: Lock, places: Path) -> None:
    """As where the controller's address was away for a while: the scheduler is there, its client gave up."""

    async def whole() -> None:
        ours = certs.load(str(places / "certs"), certs.CONTROLLER)
        async with Engine(lock, ours) as engine, worker(lock, places, "ams1"):
            await until(lambda: engine.here("ams1"))
            first = engine._client
            await first.close()
            with pytest.raises(BoxError, match="gets no task"):
                engine.attend("ams1", "x")
            await until(lambda: engine._client is not first and engine._client.status == "running")
            await asyncio.wait_for(engine.attend("ams1", "x"), 10)  # of no ticket that counts: over at once

    running(whole)
