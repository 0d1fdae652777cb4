"""``lzr fleet worker PLAN --box NAME``: this box, for a controller that comes and goes.

A Dask worker ends when its scheduler is lost, so here one follows another in the same process, for as long as
needed: within a second or two of the controller's return this box is connected again. Scans are processes of
their own and not affected. Calls of the controller come by name with plain values
(`coordinator.fleet.serving.boxside`); runs come as tasks that wait for a scan to end.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Coroutine
from ipaddress import ip_address
from typing import Any

from distributed import Worker
from distributed.comm import connect
from distributed.comm.core import FatalCommClosedError

from coordinator.commandline import running
from coordinator.files.opening import open_written
from coordinator.fleet import certs, lockfile, rundirectory
from coordinator.fleet.certs import TlsIdentity
from coordinator.fleet.serving import examining, transport
from coordinator.fleet.serving.boxside import BoxSide, in_thread
from coordinator.fleet.serving.single import Single
from lzr import safetext
from lzr.errors import UsageError, printable, two_dashes
from lzr.exitstatus import OK
from lzr.fleet.plan import Box, Plan
from lzr.safetext import plain

NAME = "fleet worker"
UNHEARD = 3.0
"""Seconds for an answer to a heartbeat; a link that is cut says nothing, and TCP takes long to give up."""
AGAIN = 0.2
"""Seconds between two attempts to reach the controller."""
BEGINNING = 15.0
"""Seconds for a worker that is started apart to hold its lock."""
LATER = 2.0
"""Seconds between two looks at a certificate that is out of date."""
CLOSING = 1.0
"""Seconds for what Dask has to put away before this box connects again."""


class BoxWorker(Worker):  # type: ignore[misc]
    """One connection of this box with one scheduler. It serves no HTTP, waits for nobody when it closes."""

    def __init__(self, scheduler: str, side: BoxSide, **more: Any) -> None:
        super().__init__(scheduler, name=side.box, nthreads=1, dashboard=False, **more)
        self.side = side
        self.metrics["lzr"] = _report
        self.handlers["lzr"] = self.asked

    def start_http_server(self, *_: Any, **__: Any) -> None:
        pass

    async def asked(self, what: str, given: dict[str, Any]) -> dict[str, Any]:
        """A call of the controller's: {"answer": …}, or {"refused": sentence}."""
        try:
            return {"status": "OK", "answer": await self.side.answer(what, given)}
        except UsageError as error:
            return {"status": "OK", "refused": str(error)}

    async def heartbeat(self) -> None:
        try:
            async with asyncio.timeout(UNHEARD):
                await super().heartbeat()
        except TimeoutError:
            await self.close(reason="the controller does not answer")

    async def close(self, timeout: float = CLOSING, *_: Any, reason: str = "", **__: Any) -> str | None:
        closed: str | None = await super().close(
            timeout=min(timeout, CLOSING), executor_wait=False, nanny=False, reason=reason
        )
        return closed


async def _report(worker: BoxWorker) -> dict[str, Any]:
    return worker.side.report()


async def serve(plan: Plan, box: Box, identity: TlsIdentity, side: BoxSide) -> None:
    """Be with the controller whenever it is there, until this is cancelled."""
    transport.settle()
    security = transport.security(identity)
    scheduler = f"tls://{plan.controller}"
    host, contact = await in_thread(
        listening, box, plan.controller
    )  # which may ask name servers, that may be away
    said = ""
    async with side:
        while True:
            trouble = await _reach(scheduler, security)
            if trouble:
                trouble = await asyncio.to_thread(certs.out_of_date, identity) or trouble
            if trouble:
                if trouble != said:
                    running.say(NAME, trouble)
                    said = trouble
                await asyncio.sleep(AGAIN)
                continue
            side.connecting()
            worker: BoxWorker | None = None
            try:
                worker = BoxWorker(  # which writes a file or two: not where a disk is full
                    scheduler, side, security=security, protocol="tls", port=box.port,
                    host=f"[{host}]" if ":" in host else host,
                    contact_address=contact, resources={transport.resource(box.name): 1},
                )  # fmt: skip
                # Not wait_for: until Python 3.12 it forgets that we were cancelled if it was just over.
                async with asyncio.timeout(transport.CONNECT + UNHEARD):
                    await worker
                said = ""
                running.say(NAME, f"{box.name} is with the controller at {plan.controller}")
                await worker.finished()
                running.say(NAME, f"the controller at {plan.controller} is gone; its scans go on")
            except Exception as error:  # of Dask and tornado, which have many for a connection that broke
                if (text := plain(f"{type(error).__name__}: {error}", 200)) != said:
                    running.say(NAME, f"cannot be a worker of {plan.controller}: {text}")
                    said = text
                await asyncio.sleep(AGAIN)
            finally:
                if worker is not None:
                    with contextlib.suppress(Exception):
                        await worker.close()


async def _reach(scheduler: str, security: Any) -> str:
    """Why the controller cannot be connected to, or nothing.

    Whatever Dask and tornado raise is a reason to try again: where the controller went away between the
    handshakes of TCP and TLS, for one, it is a ValueError about a stream that is not idle.
    """
    shown = scheduler.removeprefix("tls://")
    try:
        comm = await connect(scheduler, **security.get_connection_args("worker"))
    except FatalCommClosedError as error:
        why = certs.refusal(f"{error} {error.__cause__} {error.__context__}")
        return f"{shown} shows no certificate of this fleet's controller ({why}): nothing was said to it"
    except OSError:
        return f"waiting for the controller at {shown}"
    except Exception as error:
        return plain(f"cannot connect to the controller at {shown} ({type(error).__name__}: {error})", 300)
    comm.abort()
    return ""


def listening(box: Box, controller: str) -> tuple[str, str | None]:
    """Where to listen, and what others are to call it: on the plan's address, if that is this host's own.

    A name may be the loopback's here and an address of the network's elsewhere: Debian's own /etc/hosts has
    "127.0.1.1 NAME" for this host. Nobody else would reach us there, so we listen on all addresses then, and
    the controller looks the name up. controller: HOST:PORT. Raises UsageError where the port is taken.
    """
    try:
        found = socket.getaddrinfo(box.address, box.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        found = []
    ours = examining.own_address(controller)  # that by which we reach it
    near = bool(ours) and ip_address(ours).is_loopback
    elsewhere = [one for one in found if near or not _only_here(box.address, str(one[4][0]))]
    for family, _, _, _, where in elsewhere:
        if _free(box, family, where):
            return str(where[0]), None
    family = elsewhere[0][0] if elsewhere else socket.AF_INET6 if ":" in ours else socket.AF_INET
    anywhere = "::" if family == socket.AF_INET6 else "0.0.0.0"
    _free(box, family, (anywhere, box.port))
    shown = f"[{box.address}]" if ":" in box.address else box.address
    return anywhere, f"tls://{shown}:{box.port}"


def _only_here(name: str, address: str) -> bool:
    """Whether an address is this host's loopback, and the plan has not asked for just that."""
    return name not in (address, "localhost") and ip_address(address.partition("%")[0]).is_loopback


def _free(box: Box, family: int, where: Any) -> bool:
    """Whether it can be listened on there; False where it is not this host's. Raises UsageError."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return False
        raise UsageError(
            f"port {box.port} of {printable(box.address)} is taken: another worker runs there, or "
            "the plan gives this box another port"
        ) from error
    return True


def main(argv: list[str]) -> int:
    """The exit status: 0 after SIGTERM or Ctrl-C, 2 for a mistake."""
    return running.ended(NAME, lambda: _run(argv))


def _run(argv: list[str]) -> int:
    flags = ("box", "certs", "allow-root", "detach", "stop", "help")
    asked = _parser().parse_args(two_dashes(argv, flags))
    plan = lockfile.plan(asked.plan)
    box = plan.box(asked.box)
    place = f"{rundirectory.make_root(plan)}/{box.name}"
    single = Single(f"{place}.worker.lock")
    if asked.stop:
        pid = single.end()
        print(safetext.line("no worker runs" if pid is None else f"the worker (pid {pid}) has ended"))
        return OK
    if os.geteuid() == 0 and not asked.allow_root:
        raise UsageError(
            "this takes orders over the network and does not run as root: give another user the rights to "
            "scan (etc/lzr-fleet@.service), or --allow-root"
        )
    identity = _identity(asked.certs or certs.beside(asked.plan), box.name, wait=not asked.detach)
    if asked.detach:
        return _detached(
            single,
            [word for word in argv if word.lstrip("-") != "detach"],
            f"{place}.worker.log",
            box,
            plan.controller,
        )
    if not single.take():
        raise UsageError(f"a worker of {printable(box.name)} runs already (pid {single.holder()})")
    transport.quiet()
    asyncio.run(_until_ended(serve(plan, box, identity, BoxSide(box.name))))
    return OK


def _identity(directory: str, name: str, *, wait: bool) -> TlsIdentity:
    """That of this box. wait: for its certificate to be valid, as after a boot with a clock that is not set
    yet, or when it has expired, for another one. Raises UsageError."""
    said = ""
    while True:
        try:
            return certs.load(directory, name)
        except certs.OutOfDateError as error:
            if not wait:
                raise
            if str(error) != said:
                said = str(error)
                running.say(NAME, f"{said}: it waits until that is otherwise")
            time.sleep(LATER)


def _detached(single: Single, argv: list[str], path: str, box: Box, controller: str) -> int:
    """Start the same as a process of its own; returns once it runs. path: of its log. Raises UsageError."""
    pid = single.holder()
    if pid is None:
        listening(box, controller)
        log = open_written(path, None, append=True)
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "coordinator.commands.main", "fleet", "worker", *argv],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(log)
        until = time.monotonic() + BEGINNING
        while single.holder() != process.pid:
            if process.poll() is not None or time.monotonic() > until:
                raise UsageError(f"the worker has not begun; {printable(path)} on that box says why")
            time.sleep(0.02)
        print(safetext.line(f"its worker runs (pid {process.pid})"))
    else:
        print(safetext.line(f"its worker runs already (pid {pid})"))
    return OK


async def _until_ended(serving: Coroutine[Any, Any, None]) -> None:
    """Runs until SIGTERM or SIGINT, and then the process is gone.

    There is nothing to put away: the kernel closes the connections, scans are processes of their own, and
    whoever waits for one here in a thread would be waited for.
    """
    to_end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, to_end.set)
    serves, ends = asyncio.ensure_future(serving), asyncio.ensure_future(to_end.wait())
    await asyncio.wait((serves, ends), return_when=asyncio.FIRST_COMPLETED)
    if to_end.is_set():
        with contextlib.suppress(OSError):
            sys.stderr.flush()
        os._exit(OK)
    ends.cancel()
    await serves


def _parser() -> running.Parser:
    parser = running.Parser(
        prog="lzr fleet worker",
        description="Be a box of a plan: connect to its controller, again whenever it comes back, and do "
        "what it asks. Scans go on when this ends.",
        allow_abbrev=False,
    )
    parser.add_argument("plan", metavar="PLAN", help="plan.toml or plan.lock.json")
    parser.add_argument("--box", required=True, metavar="NAME", help="which box of the plan this is")
    parser.add_argument(
        "--certs", metavar="DIR", help="where its certificate is (default: certs beside the plan)"
    )
    parser.add_argument("--detach", action="store_true", help="return when it runs, as a process of its own")
    parser.add_argument("--stop", action="store_true", help="end the worker that runs")
    parser.add_argument("--allow-root", action="store_true", help="run as root all the same")
    return parser
