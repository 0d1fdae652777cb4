"""The fork server: forks workers and collectors when the coordinator asks, and tells it when one has died.

It is started once, as a fresh interpreter, and loads all that its children may ever need. It is given the
shards' sockets, the outputs and the way to the coordinator's sockets; it gives up root and the file system,
and forks children. So a successor is at work within milliseconds, has every descriptor already, and shares
the memory of what is loaded. When the coordinator is gone, the fork server and all its children end.

It speaks over one SEQPACKET socket, in msgpack. To it: a Setup with the descriptors, then Spawn values, each
with a pipe that holds the child's credentials, and for a collector its listening socket (see `lzr.ipc.job`).
These come from the coordinator, which is root: nothing unprivileged can write there. From it: Event values.
"""

from __future__ import annotations

import contextlib
import gc
import mmap
import os
import select
import signal
import socket
import sys
import time

import numpy as np
from msgspec.structs import replace
from setproctitle import setproctitle, setthreadtitle

from lzr import syscalls
from lzr.errors import ROOM_FOR_PROCESSES
from lzr.ipc.credentials import Credentials
from lzr.ipc.job import Event, Setup, Spawn, unpack_setup, unpack_spawn
from lzr.pinning import core_of
from lzr.profiles import NOT_WHOLE, Profiling
from workers import bounded, childlimits, confinement, preload, privilege
from workers.collect.collector import Collector
from workers.collect.sink import UNKNOWN, Sink
from workers.flow.worker import FlowWorker

_MAX_MESSAGE = 1 << 18  # bytes of a Setup or Spawn: far more than the options of any scan have
_YOUNG = 50_000
"""Objects made and not yet gone, at which the children look for garbage among them: more than a collector's
batch has, which all go with it. With Python's 700, 800,000 flows made 281 searches: 4 % of a collector."""
_MAX_DESCRIPTORS = 250  # with one message; the kernel takes 253 (SCM_MAX_FD, unix(7))


class ForkServer:
    """Forks children on request. control: the socket to the coordinator."""

    def __init__(self, control: socket.socket) -> None:
        parent = os.getppid()
        self._control = control
        preload.load()
        setup, (directory, *descriptors) = self._receive_setup()
        self._job = setup.job
        preload.load_asked(self._job.options)
        shards = self._job.shards
        self._sockets = [socket.socket(fileno=fd) for fd in descriptors[: shards + setup.routed]]
        self._outputs = descriptors[shards + setup.routed :][: setup.results]
        self._others = descriptors[shards + setup.routed :][setup.results :]
        # Ring positions outlive the worker that wrote them: two numbers a shard, shared by all flow workers.
        self._places = mmap.mmap(-1, max(mmap.PAGESIZE, 16 * self._job.shards))
        self._positions = np.frombuffer(self._places, np.int64)
        # How long each output is when its last line is whole: what is left to do if all of us are ended.
        self._lengths = mmap.mmap(-1, mmap.PAGESIZE)
        self._whole = np.frombuffer(self._lengths, np.int64)[: len(self._outputs)]
        self._whole[:] = UNKNOWN
        self._children: dict[int, tuple[int, Spawn]] = {}  # pidfd -> (pid, what it is)
        self._memory = childlimits.memory()
        enclosed = False
        if self._job.uid is not None and self._job.gid is not None:
            enclosed = privilege.drop(self._job.uid, self._job.gid, directory)
            if not confinement.confine() and not self._job.uid:
                raise privilege.PrivilegeError("a worker that stays user 0 needs Landlock")
        # Somebody of our user may have stopped us: then we go on, see that it is gone, and end our children.
        privilege.die_with_parent(parent, signal.SIGCONT)
        if enclosed:
            os.close(directory)
        here = "" if enclosed else f"/proc/self/fd/{directory}"
        self._job = replace(self._job, directory=here)
        preload.close()
        gc.freeze()  # the children share these pages as long as nobody touches them
        gc.set_threshold(_YOUNG)
        gc.enable()

    def _receive_setup(self) -> tuple[Setup, list[int]]:
        data, descriptors, _, _ = socket.recv_fds(self._control, _MAX_MESSAGE, _MAX_DESCRIPTORS)
        if not data:
            os._exit(0)  # the coordinator found a mistake before it needed us
        setup = unpack_setup(data)
        while len(descriptors) < 1 + setup.job.shards + setup.routed + setup.results + setup.others:
            _, more, _, _ = socket.recv_fds(self._control, 1, _MAX_DESCRIPTORS)
            descriptors += more
        return setup, list(descriptors)

    def run(self) -> None:
        """Take requests and report deaths, until the coordinator is gone."""
        poller = select.poll()
        poller.register(self._control, select.POLLIN)
        while True:
            for fd, _ in poller.poll():
                if fd == self._control.fileno():
                    data, given, _, _ = socket.recv_fds(self._control, _MAX_MESSAGE, 2)
                    if not data:
                        self._end()
                        return
                    pidfd = self._fork(unpack_spawn(data), given)
                    if pidfd is not None:
                        poller.register(pidfd, select.POLLIN)
                    for descriptor in given:
                        os.close(descriptor)
                else:
                    poller.unregister(fd)
                    self._reap(fd)

    def _fork(self, spawn: Spawn, given: list[int]) -> int | None:
        """Fork a child. Returns its pidfd; None if there can be no more processes, which is reported as a
        death.
        """
        sys.stderr.flush()
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            print(
                f"lzr: {spawn.name} cannot be started: {error.strerror}; {ROOM_FOR_PROCESSES}",
                file=sys.stderr,
                flush=True,
            )
            self._tell(Event("died", spawn.name, parent, 1))
            return None
        if pid == 0:
            self._become(spawn, parent, given)
        pidfd = os.pidfd_open(pid)
        self._children[pidfd] = (pid, spawn)
        self._tell(Event("spawned", spawn.name, pid))
        return pidfd

    def _reap(self, pidfd: int) -> None:
        pid, spawn = self._children.pop(pidfd)
        os.close(pidfd)
        _, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        self._tell(Event("died", spawn.name, pid, code))

    def _tell(self, event: Event) -> None:
        try:
            self._control.send(event.pack())
        except OSError:
            self._end()

    def _end(self) -> None:
        """The coordinator is gone: end all children, cut a broken last line off the outputs, and end."""
        for pid, _ in self._children.values():
            os.kill(pid, signal.SIGKILL)
        for pid, _ in self._children.values():
            os.waitpid(pid, 0)
        for descriptor, whole in zip(self._outputs, self._whole.tolist(), strict=True):
            if whole != UNKNOWN:
                with contextlib.suppress(OSError):
                    Sink(descriptor, whole).cut_back()
        os._exit(0)

    def _become(self, spawn: Spawn, parent: int, given: list[int]) -> None:
        """In the child: never returns. given: a pipe with credentials, and a collector's listening socket."""
        code = 1
        profiling: Profiling | None = None
        try:
            privilege.die_with_parent(parent)
            self._control.close()
            pipe, *listening = given
            known = Credentials.unpack(os.read(pipe, 64))  # which the fork server has never seen
            os.close(pipe)
            spawn = replace(spawn, token=known.token, results=known.results)
            highest = self._highest(given)
            self._keep_only_what_it_needs(spawn)
            if self._job.cores:
                os.sched_setaffinity(0, {core_of(spawn.role, spawn.index, self._job.cores)})
            if self._job.uid is not None:
                childlimits.bound(self._memory, highest, self._job.shards, own_user=self._job.own_user)
                others = self._sockets[self._job.shards :]
                routed = [sock.fileno() for sock in others if sock.family != socket.AF_PACKET]
                more = syscalls.sending(routed) if spawn.role == "flow" else None
                filtered = confinement.filter_calls(more)  # before the first thread
                if not filtered and not self._job.uid:
                    raise privilege.PrivilegeError(
                        "a worker that stays user 0 needs a filter of system calls"
                    )
            options = self._job.options
            if options.cpuprofile or options.memprofile:
                files = self._others[-sum(map(bool, (options.cpuprofile, options.memprofile))) :]
                profiling = Profiling(
                    f"lzr: {spawn.role} {spawn.index}",
                    files,
                    cpu=options.cpuprofile is not None,
                    memory=options.memprofile is not None,
                    clock=time,
                    write=bounded.write,
                )
                profiling.start()
            if spawn.role == "flow":
                setproctitle(f"lzr: flow worker {spawn.index}")
                setthreadtitle(f"lzr: flow {spawn.index}")  # what top shows: 15 characters
                FlowWorker(self._job, spawn, self._sockets, self._positions).run()
            else:
                setproctitle(f"lzr: collector {spawn.index}")
                setthreadtitle(f"lzr: collect {spawn.index}")
                (listener,) = listening
                Collector(self._job, spawn, self._outputs, self._whole, listener).run()
            code = 0
        except BaseException:  # the process ends here whatever it was
            story = f"lzr: {spawn.role} {spawn.index} failed; its story:\n{preload.format_exception()}"
            with contextlib.suppress(OSError):
                os.write(2, story.encode("utf-8", "backslashreplace"))  # in one write: others write there too
        finally:
            try:
                if profiling is not None:
                    profiling.finish()
            except OSError:
                code = code or NOT_WHOLE
            sys.stderr.flush()
            os._exit(code)

    def _highest(self, given: list[int]) -> int:
        """No open descriptor is higher than this."""
        sockets = [sock.fileno() for sock in self._sockets]
        return max(*given, *sockets, *self._outputs, *self._others, 2) + len(self._children)

    def _keep_only_what_it_needs(self, spawn: Spawn) -> None:
        """In the child: close what is not its own. Packets are for flow workers only, results for the writing
        collector only, and no child keeps a descriptor of another child.
        """
        for pidfd in self._children:
            os.close(pidfd)
        self._children.clear()
        if spawn.role == "flow":
            del self._whole
            self._lengths.close()
        else:
            for sock in self._sockets:
                sock.close()
            del self._positions
            self._places.close()
        if spawn.role == "flow" or spawn.index != 0:
            for descriptor in self._outputs:
                os.close(descriptor)


def main() -> None:
    """Entry point: the fork server, on the socket whose descriptor is the first argument."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)  # the coordinator decides when to end, and the descriptors tell
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # it was started while the coordinator held them back
    control = socket.socket(fileno=int(sys.argv[1]))
    setproctitle("lzr: fork server")
    # One word: before a fork, Python 3.12 and later look for the number of threads in /proc/self/stat;
    # if the name has two words they find the nice value there, and warn when it is 2 or more.
    setthreadtitle("lzr:forkserver")
    ForkServer(control).run()


if __name__ == "__main__":
    main()
