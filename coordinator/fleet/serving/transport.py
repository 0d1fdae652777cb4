"""How controller and boxes talk: Dask's connections, always under TLS, and who may say what over them.

A worker accepts connections of the controller only (`coordinator.fleet.certs`: it trusts no other authority).
The scheduler accepts from a box what a worker has to say, in the name of the box's certificate, and nothing
else: a box cannot give orders to another, take its name, or speak for it. Nobody serves HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import dask
from distributed import Scheduler
from distributed.comm import CommClosedError
from distributed.core import send_recv
from distributed.security import Security

from coordinator.endpoints import control
from coordinator.fleet.certs import CONTROLLER, TlsIdentity
from coordinator.fleet.serving import tlshandshakes
from lzr.errors import UsageError

CONNECT, LOST = 3, 12
"""Seconds within which a connection has to stand, and after which a silent one is given up; Dask takes no
less than eleven. `coordinator.fleet.serving.worker` gives up sooner, as its heartbeats are not answered."""

_SETTINGS: dict[str, Any] = {
    "distributed.comm.timeouts.connect": f"{CONNECT}s",
    "distributed.comm.timeouts.tcp": f"{LOST}s",
    "distributed.comm.require-encryption": True,
    "distributed.comm.tls.min-version": 1.3,
    "distributed.comm.compression": False,
    # A task runs where it was put, once: what a box was doing is known to its checkpoint, not to a scheduler.
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.worker-ttl": f"{LOST}s",
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.scheduler.events-cleanup-delay": "1m",
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.worker.lifetime.duration": None,
    "distributed.client.scheduler-info-interval": "1h",
    "distributed.admin.system-monitor.interval": "10s",
    # What a user's own configuration of Dask would load or run stays out of this.
    **{f"distributed.{who}.preload": [] for who in ("scheduler", "worker", "nanny", "client")},
    **{f"distributed.{who}.preload-argv": [] for who in ("scheduler", "worker", "nanny", "client")},
    "distributed.client.security-loader": None,
    "scheduler-address": None,
}

_OF_A_BOX = frozenset(("register-worker", "heartbeat_worker", "close", "ping"))
"""Operations that the scheduler accepts from a box."""

_OF_ITS_TASKS = frozenset(
    (
        *("task-finished", "task-erred", "release-worker-data", "add-keys", "long-running", "keep-alive"),
        "worker-status-change",
    )
)
"""What it hears of a box's tasks after that. Its events would be unpickled and printed by the client; the
rest is of use only where tasks move."""
_PASSED_ON = frozenset(("op", "key", "keys", "stimulus_id", "run_id", "startstops", "thread", "status"))
"""What of such a message is handed on, if it is plain. Why a task failed, and what it gave, is not."""
_NOT_PASSED_ON = frozenset(("executing", "extensions", "host_info"))
_FIGURES: dict[str, Any] = {
    "bandwidth": {"total": 100_000_000, "workers": {}, "types": {}},
    "digests_total_since_heartbeat": {},
    "memory": 0,
    "managed_bytes": 0,
    "spilled_bytes": {"memory": 0, "disk": 0},
}
"""What the scheduler looks up in a worker's figures, as of one that has nothing to say."""


def settle() -> None:
    """Configure Dask for a fleet, in this process."""
    tlshandshakes.bound()
    directory = control.own_directory()
    if directory is None:
        raise UsageError(
            "there is no private directory for temporary files (tried /run/lzr, $XDG_RUNTIME_DIR, /tmp)"
        )
    dask.config.set({**_SETTINGS, "temporary-directory": str(directory)})


def quiet() -> None:
    """Keep Dask's log off the terminal: what a person should know is said in sentences of ours."""
    for name in [*logging.root.manager.loggerDict, "distributed", "tornado"]:
        if name.partition(".")[0] in ("distributed", "tornado", "bokeh"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


class _Refused(logging.Handler):
    """Takes out of Dask's log whose TLS handshake has failed, as nothing else tells it."""

    def __init__(self, refused: Callable[[str, str], None]) -> None:
        super().__init__()
        self._refused = refused

    def emit(self, record: logging.LogRecord) -> None:
        words = record.args
        if isinstance(words, tuple) and len(words) == 3 and "handshake failed" in str(record.msg):
            host = str(words[1]).removeprefix("tls://").rpartition(":")[0].strip("[]")
            self._refused(host, str(words[2]))


@contextlib.contextmanager
def hearing_refusals(refused: Callable[[str, str], None]) -> Iterator[None]:
    """Meanwhile `refused` gets the address of whoever fails to show a certificate that is good, and why."""
    logger, handler = logging.getLogger("distributed.comm.tcp"), _Refused(refused)
    before = logger.level, logger.propagate
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.level, logger.propagate = before


def security(identity: TlsIdentity) -> Security:
    """The TLS settings of Dask's connections in this process: its own certificate, and the authorities it
    trusts.
    """
    own: dict[str, str] = {}
    for role in ("client", "scheduler", "worker"):
        own[f"tls_{role}_cert"] = own[f"tls_{role}_key"] = identity.own
    return Security(require_encryption=True, tls_ca_file=identity.trusted, **own)


def resource(box: str) -> str:
    """The resource that a task requires so that it runs on this box and on no other."""
    return f"box-{box}"


def task_key(box: str) -> str:
    """The prefix of the keys of this box's tasks; no name of a box contains a slash."""
    return f"attend/{box}/"


def peer(comm: Any) -> str:
    """The name in the certificate of the other end; empty where that is not known."""
    with contextlib.suppress(AttributeError, ValueError):
        shown = comm.stream.socket.getpeercert() or {}
        names = [value for part in shown["subject"] for key, value in part if key == "commonName"]
        return names[0] if len(names) == 1 else ""
    return ""


class FleetScheduler(Scheduler):  # type: ignore[misc]
    """A scheduler that serves no HTTP, hears boxes as themselves, and takes one that is back at once."""

    def start_http_server(self, *_: Any, **__: Any) -> None:
        pass

    async def _handle_comm(self, comm: Any) -> None:
        name = peer(comm)
        if not name:
            comm.abort()
            return
        if name != CONTROLLER:
            comm.read = _Heard(self, comm, name).read
        await super()._handle_comm(comm)

    async def ask(self, box: str, address: str, **words: Any) -> Any:
        """The answer of a box to a call. Raises CommClosedError where another's certificate is shown there:
        a box may say that it is where another is.
        """
        comm = await self.rpc.connect(address)
        try:
            if peer(comm) != box:
                raise CommClosedError("another box is there")
            return await send_recv(comm, op="lzr", **words)
        finally:
            self.rpc.reuse(address, comm)

    async def _is_there(self, box: str, address: str) -> bool:
        """Whether this box is at an address, by the certificate that is shown there."""
        try:
            async with asyncio.timeout(CONNECT):
                comm = await self.rpc.connect(address)
        except (OSError, TimeoutError):
            return False
        try:
            return peer(comm) == box
        finally:
            self.rpc.reuse(address, comm)

    async def add_worker(self, comm: Any, **what: Any) -> None:
        """A box is back before its old connection was given up: that one is over. So is that of another box
        which has said that it is where this one is.
        """
        old = self.aliases.get(what["name"])
        address = self.coerce_address(what["address"], what.get("resolve_address", True))
        if old is None and address in self.workers and await self._is_there(what["name"], address):
            old = address
        if old is not None:
            self.stream_comms[old].abort()
            await self.remove_worker(old, close=False, stimulus_id=f"lzr-fleet-back-{time.time()}")
        await super().add_worker(comm, **what)

    async def handle_worker(self, comm: Any, worker: str) -> None:
        """As Dask's, but the end of an old connection does not take away the same worker's new one."""
        comm.name = "Scheduler connection to worker"
        stream = self.stream_comms[worker]
        stream.start(comm)
        try:
            await self.handle_stream(comm=comm, extra={"worker": worker})
        finally:
            if self.stream_comms.get(worker) is stream:
                stream.abort()
                await self.remove_worker(worker, stimulus_id=f"lzr-fleet-lost-{time.time()}")


def _without_figures(message: dict[str, Any]) -> dict[str, Any]:
    """A registration or a heartbeat with our report and none of Dask's figures: the scheduler would keep each
    name in them for ever, and hand what is for an extension of it to that.
    """
    if "metrics" not in message:
        return message
    metrics = message["metrics"]
    report = metrics.get("lzr") if isinstance(metrics, dict) else None
    passed = {name: value for name, value in message.items() if name not in _NOT_PASSED_ON}
    return {**passed, "metrics": {**_FIGURES, "lzr": report}}


class _Heard:
    """What is read from a box, while it is what a box may say; else the connection ends."""

    def __init__(self, scheduler: Scheduler, comm: Any, name: str) -> None:
        self._scheduler, self._comm, self._name = scheduler, comm, name
        self._read = comm.read
        self._registered = False

    async def read(self, *words: Any, **more: Any) -> Any:
        message = await self._read(*words, **more)
        if not self._may(message):
            self._comm.abort()
            raise CommClosedError(f"box {self._name} said what a box has no right to say")
        if isinstance(message, (list, tuple)):
            return [self._of_task(one) for one in message if self._is_of_task(one)]
        return _without_figures(message)

    def _is_of_task(self, message: Any) -> bool:
        """Whether this is of a task of this box; keep-alive is of none."""
        if not isinstance(message, dict) or message.get("op") not in _OF_ITS_TASKS:
            return False
        keys = message.get("keys", (message["key"],) if "key" in message else ())
        mine = task_key(self._name)
        return isinstance(keys, (list, tuple, set)) and all(
            isinstance(key, str) and key.startswith(mine) for key in keys
        )

    def _of_task(self, message: dict[str, Any]) -> dict[str, Any]:
        """What is said of it, without what would have to be opened."""
        passed = {name: value for name, value in message.items() if name in _PASSED_ON}
        if passed["op"] == "task-finished":
            passed |= {"nbytes": 0, "type": b"", "typename": "NoneType", "metadata": {}}
        if passed["op"] == "task-erred":
            passed |= {"exception": None, "traceback": None, "exception_text": "", "traceback_text": ""}
        return passed

    def _may(self, message: Any) -> bool:
        if isinstance(message, (list, tuple)):  # after its registration, of its tasks
            return self._registered
        if not isinstance(message, dict) or message.get("op") not in _OF_A_BOX:
            return False
        if message["op"] == "register-worker":
            self._registered = True
            return message.get("name") == self._name and set(message.get("resources", ())) <= {
                resource(self._name)
            }
        if message["op"] == "heartbeat_worker":
            known = self._scheduler.workers.get(message.get("address"))
            return known is None or known.name == self._name
        return True
