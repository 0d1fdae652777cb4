"""The control socket of a running scan; `lzr ctl` (`coordinator.commands.ctl`) is its client.

Only the user who runs the scan, and root, can reach it: the socket is mode 0600 in a directory of mode 0700,
and the kernel's word on who connects (SO_PEERCRED) is checked besides. A request is a line, the reply one
line that begins with `ok` or `error:` (more lines only after `status` and `help`); a command is checked
by `coordinator.endpoints.ctlcommands` and carried out by the coordinator, which gets it from `handle`.

The socket lies where `lzr ctl` finds it by itself: `/run/lzr/PID.sock` for root, else
`$XDG_RUNTIME_DIR/lzr/PID.sock`, else `/tmp/lzr-UID/PID.sock`.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from pathlib import Path

from coordinator.endpoints import ctlcommands
from coordinator.endpoints.ctlcommands import MOST_LINE, Command, CommandError
from coordinator.endpoints.deadsockets import private, remove_dead
from coordinator.endpoints.listener import Answer, Listener
from coordinator.endpoints.named import ControlError, Named, alive
from coordinator.monitor.snapshot import Snapshot

MOST_BLOCKS = 4096
"""Most orders to block in one scan."""


def directories() -> list[Path]:
    """The directories where a scan's control socket may lie, best first."""
    found = [Path("/run/lzr")] if os.geteuid() == 0 else []
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and _is_own(runtime):  # sudo may hand on that of the user who called it
        found.append(Path(runtime) / "lzr")
    found.append(Path(f"/tmp/lzr-{os.geteuid()}"))
    return found


def _is_own(directory: str) -> bool:
    try:
        return os.stat(directory).st_uid == os.geteuid()
    except OSError:
        return False


def own_directory() -> Path | None:
    """The first of them that is ours alone, made if need be; None where there is none."""
    for directory in directories():
        with contextlib.suppress(OSError):
            directory.mkdir(mode=0o700, exist_ok=True)
            if private(directory.lstat()):
                return directory
    return None


def default_path(pid: int) -> Path:
    """The path of a scan's socket, in a directory that is ours alone and is made if needed."""
    directory = own_directory()
    if directory is None:
        raise ControlError(
            "no private directory for the control socket (tried /run/lzr, $XDG_RUNTIME_DIR, /tmp)"
        )
    remove_dead(directory)
    return directory / f"{pid}.sock"


class ControlServer:
    """The scan's side. Wait on `fileno`, call `handle`, carry out the commands it returns."""

    def __init__(self, path: str | Path | None = None, invoker: tuple[int, int] | None = None) -> None:
        """path: of the socket; None for the default. invoker: user and group of who called sudo."""
        self.path = Path(path) if path else default_path(os.getpid())
        self._snapshot = Snapshot()
        self._commands: list[Command] = []
        self._named = Named(self.path, invoker)
        self._listener = Listener(
            self._named.sock,
            self._respond,
            too_long=b"error: the line is too long\n",
            most_clients=8,
            most_request=MOST_LINE,
            timeout=60.0,
            admit=is_ours,
        )

    def fileno(self) -> int:
        return self._listener.fileno()

    def publish(self, snapshot: Snapshot) -> None:
        """Set the snapshot that `status` answers with and that commands are checked against."""
        self._snapshot = snapshot

    def handle(self, now: float) -> list[Command]:
        """Serve the clients that are ready; the commands that came, in order."""
        self._listener.handle(now)
        ready, self._commands = self._commands, []
        return ready

    def close(self) -> None:
        self._named.remove()
        self._listener.close()

    def _respond(self, request: bytes) -> Answer:
        line, newline, rest = request.partition(b"\n")
        if not newline:
            return request, b"", False
        try:
            command = ctlcommands.parse(line.decode("ascii", "replace"))
            return rest, self._accept(command).encode(), False
        except CommandError as error:
            return rest, f"error: {error}\n".encode(), False

    def _accept(self, command: Command) -> str:
        snapshot = self._snapshot
        if command.kind == "help":
            return ctlcommands.HELP + "ok\n"
        if command.kind == "status":
            from coordinator.monitor import status

            text = status.as_json(snapshot) if command.json else status.report(snapshot)
            return text.rstrip("\n") + "\nok\n"
        if command.kind == "workers":
            reply = self._check_workers(command)
        elif command.kind == "rate":
            wanted = command.wanted_rate(snapshot.rate_limit)
            reply = "ok no rate limit" if wanted is None else f"ok rate {wanted:g}/s"
        elif command.kind == "block":
            if len(snapshot.blocks) >= MOST_BLOCKS:
                raise CommandError(f"{MOST_BLOCKS} orders are the most: put the rest into one")
            reply = f"ok blocked {' '.join(command.networks)}"
        elif command.kind in ("pause", "resume") and snapshot.draining:
            raise CommandError("the scan is ending")
        else:
            reply = f"ok {command.kind}"
        self._commands.append(command)
        return reply + "\n"

    def _check_workers(self, command: Command) -> str:
        snapshot = self._snapshot
        flow, collect = snapshot.wanted_flow, snapshot.wanted_collect
        asked, _ = command.wanted(flow, collect)
        if asked > snapshot.shards:
            raise CommandError(
                f"this run has {snapshot.shards} shards, so at most {snapshot.shards} flow workers"
            )
        wanted_flow, wanted_collect = command.wanted(flow, collect, snapshot.shards)
        most = snapshot.most_processes
        if wanted_flow + wanted_collect > max(flow + collect, most):
            raise CommandError(ctlcommands.too_many(most))
        return f"ok workers flow={wanted_flow} collect={wanted_collect} (were flow={flow} collect={collect})"


def is_ours(sock: socket.socket) -> bool:
    """Whether the other end is root or this user (SO_PEERCRED); for a client, that is who made the socket
    listen.
    """
    size = struct.calcsize("3i")
    _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return uid in (0, os.geteuid())


def running() -> list[Path]:
    """The sockets of running scans that this user may steer."""
    found: list[Path] = []
    for directory in directories():
        with contextlib.suppress(OSError):
            if not private(directory.lstat()):
                continue
            remove_dead(directory)
            found += [path for path in sorted(directory.glob("*.sock")) if path.is_socket() and alive(path)]
    return found
