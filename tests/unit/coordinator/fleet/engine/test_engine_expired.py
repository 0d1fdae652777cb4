"""Certificates that have expired while somebody runs: one clear sentence on both sides, nobody ends."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
from pathlib import Path

import pytest

from coordinator.fleet import certs
from coordinator.fleet.certs import CONTROLLER, TlsIdentity
from coordinator.fleet.engine.engine import Engine
from coordinator.fleet.engine.startcommand import Refusals
from coordinator.fleet.serving import transport
from coordinator.fleet.serving import worker as serving
from coordinator.fleet.serving.boxside import BoxSide
from coordinator.fleet.serving.worker import serve
from lzr.fleet.lock import Lock
from tests.unit.coordinator.fleet.engine.test_engine import lock, places, running, until, worker

__all__ = ["lock", "places"]


def expired(places: Path, to: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> TlsIdentity:
    """The identity of `name` with a certificate that was good until a minute ago."""
    good = certs.load(str(places / "certs"), name)
    to.mkdir(mode=0o700)
    for path in (places / "certs").iterdir():
        if path.name != f"{name}.pem":
            (to / path.name).write_bytes(path.read_bytes())
            (to / path.name).chmod(0o600)
    with monkeypatch.context() as patched:
        patched.setattr(certs, "LASTS", -datetime.timedelta(minutes=1))
        certs.make(str(to), ["ams1", "fra1"], None)
    with pytest.raises(certs.OutOfDateError, match=rf"{name}\.pem in .* once it is removed, lzr fleet certs"):
        certs.load(str(to), name)
    return TlsIdentity(name, good.trusted, str(to / f"{name}.pem"))


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the worker says."""
    lines: list[str] = []
    monkeypatch.setattr(serving.running, "say", lambda _, sentence: lines.append(sentence))
    return lines


def test_that_of_a_box(
    lock: Lock, places: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    old = expired(places, tmp_path / "old", "ams1", monkeypatch)
    told: list[tuple[str, str]] = []

    async def whole() -> None:
        ours = certs.load(str(places / "certs"), CONTROLLER)
        async with Engine(lock, ours) as engine, worker(lock, places, "fra1"):
            with transport.hearing_refusals(Refusals(lock, lambda *one: told.append(one))):
                task = asyncio.ensure_future(serve(lock.plan, lock.plan.box("ams1"), old, BoxSide("ams1")))
                await until(lambda: engine.here("fra1") and told and any("valid from" in one for one in said))
                await asyncio.sleep(1)  # it tries five times a second
                assert (len(told), task.done()) == (1, False)
                assert len([one for one in said if "fra1 is with" not in one]) == 1, said
                assert not engine.here("ams1")
                Path(old.own).unlink()  # and gets another one
                Path(old.own).write_bytes((places / "certs/ams1.pem").read_bytes())
                Path(old.own).chmod(0o600)
                await until(lambda: engine.here("ams1"))
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    running(whole)
    assert told == [("", "127.0.0.1 is not let in: its certificate has expired")]


def test_that_of_the_controller(
    lock: Lock, places: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    old = expired(places, tmp_path / "old", CONTROLLER, monkeypatch)

    sentence = "shows no certificate of this fleet's controller (its certificate has expired)"

    async def whole() -> None:
        async with worker(lock, places, "ams1") as task:
            # Its own client does not believe it either, and may end it before the worker has come by.
            for _ in range(50):
                with contextlib.suppress(Exception):
                    async with Engine(lock, old):
                        await until(lambda: sentence in "".join(said))
                if sentence in "".join(said):
                    break
                await asyncio.sleep(0.1)
            assert not task.done()
            async with Engine(lock, certs.load(str(places / "certs"), CONTROLLER)) as engine:
                await until(lambda: engine.here("ams1"))

    running(whole)
    assert sentence in "".join(said)


def test_who_cannot_be_let_in_is_told_of_once_and_not_for_ever() -> None:
    told: list[tuple[str, str]] = []
    refusals = Refusals.__new__(Refusals)
    refusals._names, refusals._said = {"192.0.2.7": "fra1"}, set()
    refusals._say = lambda *one: told.append(one)
    for _ in range(2):
        refusals("192.0.2.7", "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get")
    assert told == [("fra1", "is not let in: its certificate is of another authority")]
    for number in range(1000):
        refusals(f"198.51.100.{number}", "[SSL: WRONG_VERSION_NUMBER] wrong version number")
    assert len(told) == Refusals.MOST
    assert told[1] == ("", "198.51.100.0 is not let in: it speaks no TLS of a fleet")
