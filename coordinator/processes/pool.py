"""The pool: the fork server and the children it forked, as the coordinator sees them.

Every child has a name that is used once ("flow-0.2" is the second incarnation of flow worker 0): its sockets
are called after it, so nothing that was meant for a dead process reaches its successor.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import zmq

from coordinator.files import readiness
from coordinator.processes import rights
from coordinator.processes.child import Child
from coordinator.processes.inbox import ReportInbox
from coordinator.processes.launch import Launched
from coordinator.processes.priority import Priority
from coordinator.processes.rundir import RunDir
from lzr.ipc import credentials, messages, packing
from lzr.ipc.credentials import Credentials, Sender
from lzr.ipc.inbox import InvalidMessage
from lzr.ipc.job import CollectorOutput, Event, Job, Setup, Spawn, pack
from lzr.ipc.schema import FEED_MARK, MOST_OCTETS, Message, SchemaError
from lzr.safetext import plain

_MAX_EVENT = 1 << 16  # bytes of an Event
_DESCRIPTORS_AT_ONCE = 200  # in one message to the fork server; the kernel takes 253 (SCM_MAX_FD, unix(7))
_REMEMBERED = 64  # children that have ended, whose last reports are still believed
_MOST = 1 << 23
"""Bytes that a report may have; one with the flows of a shard may have `MOST_OCTETS` more."""
_DIED = "the fork server, which starts the workers, has died"
_DEAF = "the fork server, which starts the workers, takes no orders"
_LOOK = 0.02  # seconds between two looks at what it tells, while it takes nothing
_SOCKETS = 4096  # of ZeroMQ's at once, where it has 1,023 otherwise


def hand(
    forkserver: socket.socket,
    order: bytes,
    given: Sequence[int],
    seconds: float = 20.0,
    read: Callable[[], None] = lambda: None,
) -> None:
    """Send the fork server an order with descriptors; it may be slow, as many children are started at once.

    read: reads what it tells meanwhile: it takes nothing while it has no room for that. Raises
    ChildProcessError if it takes nothing for so many seconds, or has died.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            socket.send_fds(forkserver, [order], given)
            return
        except BlockingIOError:
            read()
            if not readiness.writable(forkserver.fileno(), _LOOK) and time.monotonic() > until:
                raise ChildProcessError(_DEAF) from None
        except (BrokenPipeError, ConnectionResetError):
            raise ChildProcessError(_DIED) from None


class Pool:
    """Starts children by way of the fork server, and takes their reports."""

    def __init__(self, rundir: RunDir, launched: Launched | None = None, *, gives_way: bool = True) -> None:
        """launched: the fork server, where it was started already: it loads its modules while we find the
        network. gives_way: whether somebody writes our input who loses something while we have the processor
        (`Priority`).
        """
        self._rundir = rundir
        launched = Launched() if launched is None else launched
        launched.taken = True
        self.printed, self.forkserver, self._process = launched.printed, launched.control, launched.process
        self.priority = Priority(self._process.pid, may_raise=gives_way and rights.may_renice())
        self._context: zmq.Context[Any] = zmq.Context(io_threads=1)
        self._context.set(zmq.MAX_SOCKETS, _SOCKETS)
        self.reports = ReportInbox(rundir.listen("reports"), self._most)
        self._key = secrets.token_bytes(credentials.SIZE)  # of what is shown to collectors
        self.children: dict[str, Child] = {}
        self._events: list[Event] = []  # that were read while an order waited for room
        self._ended: dict[str, Child] = {}  # the latest: their last reports may still be on their way
        self.closed = False

    def set_up(
        self, job: Job, sockets: Sequence[socket.socket], results: Sequence[int], others: Sequence[int] = ()
    ) -> None:
        """Hand the fork server what children need.

        sockets: the shards' and, behind them, the raw IP sockets. results: outputs, which only the collector
        that writes keeps open. others: files that all children keep. Raises ChildProcessError where it has
        died.
        """
        descriptors = [self._rundir.descriptor, *(sock.fileno() for sock in sockets), *results, *others]
        data = pack(Setup(job, len(results), len(others), len(sockets) - job.shards))
        self.forkserver.setblocking(True)
        try:
            for at in range(0, len(descriptors), _DESCRIPTORS_AT_ONCE):
                part = descriptors[at : at + _DESCRIPTORS_AT_ONCE]
                socket.send_fds(self.forkserver, [data if at == 0 else b"+"], part)
        except (BrokenPipeError, ConnectionResetError):
            raise ChildProcessError(_DIED) from None
        self.forkserver.setblocking(False)

    def spawn(
        self,
        role: str,
        index: int,
        name: str,
        number: int,
        outputs: Sequence[CollectorOutput] = (),
        *,
        fenced: Sequence[int] = (),
        replaces: bool = False,
    ) -> Child:
        """Have a child forked. name, number: used for this child only. fenced: for a collector, the numbers
        of flow workers that have died.

        Raises ChildProcessError where it cannot be started.
        """
        try:
            return self._spawn(role, index, name, number, outputs, fenced, replaces=replaces)
        except ChildProcessError:
            raise
        except (OSError, zmq.ZMQError) as error:  # a directory that was removed, no descriptors left
            why = os.strerror(error.errno or 0)
            if isinstance(error, FileNotFoundError):
                why = f"{self._rundir.path}, where its sockets were to be, is gone"
            raise ChildProcessError(f"{name} cannot be started: {why}") from error

    def _spawn(
        self,
        role: str,
        index: int,
        name: str,
        number: int,
        outputs: Sequence[CollectorOutput],
        fenced: Sequence[int],
        *,
        replaces: bool,
    ) -> Child:
        orders = self._socket(zmq.PUSH, 0)
        feed = self._socket(zmq.PUSH, FEED_MARK) if role == "flow" else None
        child = self.children[name] = Child(role, index, name, number, orders, feed, replaces=replaces)
        for kind, sock in (("orders", orders), ("feed", feed)):
            if sock is not None:  # it listens now, and lets nobody in before we know who it is for
                address = f"{kind}-{name}"
                child.unbound.append((sock, self._address(address), self._rundir.listen(address)))
        written = tuple((child.number, child.written) for child in self.of_role("flow"))
        spawn = Spawn(role, index, name, number, tuple(outputs), written, tuple(fenced))
        shown = self._key if role == "collect" else credentials.mark(self._key, Sender(name, number))
        given = [_pipe_with(Credentials(child.token, shown).pack())]
        if role == "collect":
            given.append(self._rundir.listen(f"results-{name}"))
        try:
            hand(self.forkserver, pack(spawn), given, read=self._read_events)
        finally:
            for descriptor in given:
                os.close(descriptor)
        return child

    def of_role(self, role: str) -> list[Child]:
        """The children of this role that have not ended."""
        return [child for child in self.children.values() if child.role == role]

    @property
    def told(self) -> bool:
        """Whether `events` has some that the fork server's socket does not show."""
        return bool(self._events)

    def events(self) -> list[Event]:
        """The fork server's messages. Raises ChildProcessError when it is gone, or sends something
        invalid.
        """
        self._read_events()
        found, self._events = self._events, []
        return found

    def _read_events(self) -> None:
        while True:
            try:
                data = self.forkserver.recv(_MAX_EVENT)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                raise ChildProcessError(_DIED)
            try:
                event = Event.unpack(data)
            except SchemaError as error:
                raise ChildProcessError(plain(str(error), 200)) from error
            if event.event == "spawned" and event.name in self.children:
                self.children[event.name].open_to(event.pid)  # from here on it is heard, and can be told
                self.priority.begun(event.pid)
            self._events.append(event)

    def forget(self, name: str) -> Child | None:
        """Remove a child that has ended from the list; its last reports are still accepted."""
        child = self.children.pop(name, None)
        if child is not None:
            child.close()
            for kind in ("orders", "feed", "results"):
                self._rundir.forget(f"{kind}-{name}")
            self._ended[name] = child
            while len(self._ended) > _REMEMBERED:
                del self._ended[next(iter(self._ended))]
        return child

    def receive(self) -> tuple[Child, Message] | None:
        """The next report and the child that sent it, which may have ended meanwhile.

        Raises SchemaError for a message that no child has sent, or that is invalid.
        """
        try:
            received = self.reports.receive()
        except InvalidMessage as error:
            child = self._of_pid(error.pid)
            raise SchemaError(str(error), "" if child is None else child.name) from error
        if received is None:
            return None
        _, parts = received
        try:
            message, name, token = packing.unpack(parts)
        except SchemaError as error:
            if self._known(error.sender, error.token) is None:
                error.sender = ""  # anybody may have sent it
            raise
        child = self._known(name, token)
        if child is None:
            raise SchemaError(f"{type(message).__name__} in the name of {name[:40]!r}, by somebody else")
        if type(message) not in messages.REPORTS[child.role]:
            raise SchemaError(f"{type(message).__name__} is not for it to say", name)
        return child, message

    def _most(self, pid: int) -> int:
        child = self._of_pid(pid)
        return _MOST + MOST_OCTETS if child is not None and child.releasing else _MOST

    def _of_pid(self, pid: int) -> Child | None:
        return next((child for child in self.children.values() if pid and child.pid == pid), None)

    def name_of(self, pid: int) -> str:
        """The name of the child with this pid; empty if there is none."""
        child = self._of_pid(pid)
        return "" if child is None else child.name

    def _known(self, name: str, token: bytes) -> Child | None:
        """The child of this name, which may have ended; None unless the token is its own."""
        child = self.children.get(name) or self._ended.get(name)
        return child if child is not None and hmac.compare_digest(token, child.token) else None

    def restore_priority(self) -> None:
        """Return to the normal priority: no ZMap loses answers because of us any more."""
        self.priority.restore([child.pid for child in self.children.values() if child.pid])

    def kill(self, child: Child) -> None:
        """Kill a process that is no longer trusted; its death is reported like any other."""
        with contextlib.suppress(OSError, ValueError):
            stat = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
            if int(stat[1]) == self._process.pid:  # or the number is somebody else's by now
                os.kill(child.pid, signal.SIGKILL)

    @property
    def wakeup(self) -> int:
        """A descriptor that becomes readable when a report comes after `receive` found none."""
        return self.reports.fileno()

    def wait(self, seconds: float) -> None:
        """Wait until the fork server has a message, at most so many seconds."""
        readiness.readable([self.forkserver], seconds)

    def end(self) -> None:
        """Kill all children that still run. Their reports can still be read."""
        self.forkserver.close()  # the fork server ends its children when this is gone
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            os.kill(self._process.pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):  # its memory is given back, or will be
                self._process.wait(20)
        for child in self.children.values():
            _await_end(child.pid)
        self.printed.read()

    def close(self) -> None:
        """Close all sockets, and remove the directory of the run."""
        self.closed = True
        self.end()
        for child in self.children.values():
            child.close()
        self.printed.close()
        self.reports.close()
        self._context.destroy(linger=0)  # those too that were made for a child that could not be started
        self._rundir.remove()

    def _address(self, name: str) -> str:
        return f"ipc://{self._rundir.here}/{name}"

    def _socket(self, kind: int, mark: int) -> zmq.Socket[bytes]:
        sock: zmq.Socket[bytes] = self._context.socket(kind)
        sock.setsockopt(zmq.RCVHWM if kind == zmq.PULL else zmq.SNDHWM, mark)
        sock.setsockopt(zmq.LINGER, 0)
        sock.setsockopt(zmq.MAXMSGSIZE, MOST_OCTETS)
        return sock


def _pipe_with(data: bytes) -> int:
    """The reading end of a pipe that holds `data` and then ends."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    os.write(writer, data)
    os.close(writer)
    return reader


def _await_end(pid: int) -> None:
    """Wait until this process, which is no child of ours, is gone: it may outlive a killed fork server."""
    with contextlib.suppress(OSError):
        handle = os.pidfd_open(pid)
        try:
            readiness.readable([handle], 2)
        finally:
            os.close(handle)
