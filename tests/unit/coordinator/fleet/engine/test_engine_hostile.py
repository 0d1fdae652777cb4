"""A box with a good certificate that attacks its controller: nothing that it sends is opened or run."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
from pathlib import Path
from typing import Any

import pytest
from distributed import Worker
from distributed.comm import connect
from distributed.protocol.serialize import Pickled, Serialized

from coordinator.fleet import certs, lockfile
from coordinator.fleet.engine.controller import Controller
from coordinator.fleet.engine.controllerfiles import ControllerFiles
from coordinator.fleet.engine.engine import BoxError, Engine
from coordinator.fleet.engine.fitness import NotFit
from coordinator.fleet.serving import transport
from coordinator.fleet.serving.boxside import BoxSide
from coordinator.fleet.serving.worker import BoxWorker, serve
from lzr.fleet.lock import Lock
from tests.unit.coordinator.fleet.engine.test_engine import lock, places, running, until, worker  # noqa: F401


class Evil:
    """What makes a directory where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.mkdir, (self.path,)


def bomb(path: Path) -> bytes:
    return pickle.dumps(Evil(path))


class Liar(BoxSide):
    """Answers whatever it is asked with `lie`, and tells it in every heartbeat."""

    lie: Any = None

    async def answer(self, what: str, given: dict[str, Any]) -> Any:
        return self.lie

    async def attend(self, lock: bytes) -> None:  # noqa: F811
        await asyncio.sleep(1)
        raise ValueError("no")

    def report(self) -> dict[str, Any]:
        return {**super().report(), "status": self.lie}


class Told(BoxSide):
    """Takes down what it is told."""

    def __init__(self, box: str) -> None:
        super().__init__(box)
        self.told: list[str] = []

    async def answer(self, what: str, given: dict[str, Any]) -> Any:
        self.told.append(given["line"])
        return "told"


@contextlib.asynccontextmanager
async def liar(lock: Lock, places: Path, name: str) -> Any:  # noqa: F811
    side = Liar(name)
    identity = certs.load(str(places / "certs"), name)
    task = asyncio.ensure_future(serve(lock.plan, lock.plan.box(name), identity, side))
    try:
        yield side
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def test_what_is_pickled_elsewhere_stays_closed(lock: Lock, places: Path, tmp_path: Path) -> None:  # noqa: F811
    """In a first word, in an answer, in a heartbeat, of a task that failed, in an event."""
    marks = [tmp_path / f"opened-{n}" for n in range(6)]

    def pickled(n: int) -> Pickled:
        return Pickled({"pickled-obj": bomb(marks[n])}, [])

    def serialized(n: int) -> Serialized:
        return Serialized({"serializer": "pickle", "writeable": ()}, [bomb(marks[n])])

    async def whole() -> None:
        ours = certs.load(str(places / "certs"), certs.CONTROLLER)
        args = transport.security(certs.load(str(places / "certs"), "fra1")).get_connection_args("worker")
        async with Engine(lock, ours) as engine, worker(lock, places, "ams1"):
            await until(lambda: engine.here("ams1"))
            for words in (
                {"op": "ping", "stray": pickled(0)},
                {"op": "heartbeat_worker", "address": "tls://127.0.0.1:1", "metrics": {"lzr": pickled(1)}},
            ):
                with contextlib.suppress(OSError):
                    comm = await connect(f"tls://{lock.plan.controller}", **args)
                    await comm.write(words)
                    await asyncio.wait_for(comm.read(), 10)
            async with liar(lock, places, "fra1") as side:
                await until(lambda: engine.here("fra1"))
                for lie in (pickled(2), serialized(3)):
                    side.lie = lie
                    with contextlib.suppress(BoxError):
                        await engine.call("fra1", "state", {}, 5)
                await until(lambda: engine.here("fra1"))
                attending = engine.attend("fra1", "x")
                key = next(iter(engine._client.futures))
                said = [
                    {"op": "log-event", "topic": "warn", "msg": {"message": bomb(marks[5])}},
                    {"op": "task-erred", "key": key, "stimulus_id": "x", "run_id": 0,
                     "exception": serialized(4), "traceback": None, "exception_text": "", "thread": 1,
                     "traceback_text": "", "startstops": ()},
                ]  # fmt: skip
                box = next(
                    one
                    for one in Worker._instances
                    if one.name == "fra1" and one.status.name == "running" and not one.batched_stream.closed()
                )
                for message in said:
                    box.batched_stream.send(message)
                await asyncio.wait_for(attending, 10)
            assert (await engine.call("ams1", "take", {"lock": lock.to_json()}, 10))["id"] == lock.id
        assert [mark.name for mark in marks if mark.exists()] == []

    running(whole)


@pytest.mark.parametrize(
    "lie",
    [None, 5, [], {"state": [], "begun": True}, {"findings": [[]], "ephemeral": {}}, [[], {}], {"begun": 1}],
)
def test_answers_that_are_none_end_no_controller(
    lock: Lock,  # noqa: F811
    places: Path,  # noqa: F811
    tmp_path: Path,
    lie: Any,
) -> None:
    plan = str(tmp_path / "plan.lock.json")
    lockfile.write(plan, lock)

    async def whole() -> None:
        ours = certs.load(str(places / "certs"), certs.CONTROLLER)
        async with Engine(lock, ours) as engine, liar(lock, places, "fra1") as side:
            side.lie = lie
            await until(lambda: engine.here("fra1"))
            controller = Controller(lock, engine, ControllerFiles(plan), lambda *_: None)
            await controller.block(["192.0.2.0/24"], "", "")
            task = asyncio.ensure_future(controller.run(0.5))
            done, _ = await asyncio.wait([task], timeout=3)
            assert not done or isinstance(task.exception(), NotFit), task
            assert controller.orders.by(controller.orders.orders[0].id) == ()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, NotFit):
                await task

    running(whole)


def test_the_lie_is_in_every_heartbeat(lock: Lock, places: Path) -> None:  # noqa: F811
    """Else the tests above would prove less than they say."""

    async def whole() -> None:
        ours = certs.load(str(places / "certs"), certs.CONTROLLER)
        async with Engine(lock, ours) as engine, liar(lock, places, "fra1") as side:
            side.lie = "a lie"
            await until(lambda: (heard := engine.heard("fra1")) and heard.report.get("status") == side.lie)

    running(whole)


def test_figures_of_a_heartbeat_are_not_kept(lock: Lock, places: Path) -> None:  # noqa: F811
    """Names without end, and words to the scheduler's extensions; what we report comes through."""

    async def whole() -> None:
        ours = certs.load(str(places / "certs"), certs.CONTROLLER)
        args = transport.security(certs.load(str(places / "certs"), "fra1")).get_connection_args("worker")
        async with Engine(lock, ours) as engine, worker(lock, places, "fra1"):
            await until(lambda: engine.here("fra1"))
            scheduler: Any = engine._scheduler
            heard: list[Any] = []
            scheduler.extensions["ours"] = type(
                "Extension", (), {"heartbeat": lambda *said: heard.append(said)}
            )
            many = {f"name{number}": (1.0, 1) for number in range(1000)}
            figures = {
                "bandwidth": {"total": 1, "workers": many, "types": many}, "memory": 1, "managed_bytes": 0,
                "digests_total_since_heartbeat": dict.fromkeys(many, 1), "lzr": {"state": "mine"},
                "spilled_bytes": {"memory": 0, "disk": 0},
            }  # fmt: skip
            comm = await connect(f"tls://{lock.plan.controller}", **args)
            words = {
                "op": "heartbeat_worker", "address": scheduler.aliases["fra1"], "metrics": figures,
                "extensions": {"ours": {}}, "executing": {}, "host_info": many, "reply": True,
            }  # fmt: skip
            await comm.write(words)
            assert (await asyncio.wait_for(comm.read(), 10))["status"] == "OK"
            comm.abort()
            kept = (
                scheduler.bandwidth_workers,
                scheduler.bandwidth_types,
                scheduler.cumulative_worker_metrics,
            )
            assert [name for names in kept for name in names if "name" in str(name)] == []
            assert [host for host in scheduler.host_info.values() if "name1" in host] == []
            assert heard == []
            said = engine.heard("fra1")
            assert said is not None
            assert said.report["state"] in ("mine", "")  # its own worker reports too

    running(whole)


def test_a_box_that_says_it_is_where_another_is_keeps_nobody_out(lock: Lock, places: Path) -> None:  # noqa: F811
    """Nor does the other get what is meant for it, as to end its scan."""

    async def whole() -> None:
        ours = certs.load(str(places / "certs"), certs.CONTROLLER)
        own = transport.security(certs.load(str(places / "certs"), "fra1"))
        theirs = f"tls://127.0.0.1:{lock.plan.box('ams1').port}"
        async with Engine(lock, ours) as engine:
            evil = BoxWorker(
                f"tls://{lock.plan.controller}", BoxSide("fra1"), security=own, protocol="tls",
                host="127.0.0.1", port=lock.plan.box("fra1").port, contact_address=theirs,
                resources={transport.resource("fra1"): 1},
            )  # fmt: skip
            async with evil:
                await until(lambda: engine.here("fra1"))
                assert engine._scheduler.aliases["fra1"] == theirs
                with pytest.raises(BoxError):
                    await engine.call("fra1", "clock", {}, 10)
                honest = Told("ams1")
                identity = certs.load(str(places / "certs"), "ams1")
                task = asyncio.ensure_future(serve(lock.plan, lock.plan.box("ams1"), identity, honest))
                try:
                    for _ in range(20):
                        with pytest.raises(BoxError):
                            await engine.call("fra1", "tell", {"line": "quit"}, 10)
                        await asyncio.sleep(0.05)
                    await until(lambda: engine.here("ams1"))
                    assert await engine.call("ams1", "tell", {"line": "rate 5"}, 10) == "told"
                    assert honest.told == ["rate 5"]
                finally:
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task

    running(whole)
