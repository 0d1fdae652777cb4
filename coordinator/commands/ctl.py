"""Steering a running scan from outside: the control socket, and `lzr ctl`, its client.

The law: only the user who runs the scan, and root, can reach it: the socket is mode 0600 in a directory of
mode 0700, and the kernel's word on who connects (SO_PEERCRED) is checked besides. A request is a line, the
reply one line that begins with `ok` or `error:` (more lines only after `status` and `help`); a command is
checked here and carried out by the coordinator, which gets it from `handle`.

The socket lies where `lzr ctl` finds it by itself: `/run/lzr/PID.sock` for root, else
`$XDG_RUNTIME_DIR/lzr/PID.sock`, else `/tmp/lzr-UID/PID.sock`.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
import time
from pathlib import Path

from coordinator.endpoints import requests
from coordinator.endpoints.listener import Answer, Listener
from coordinator.endpoints.requests import Command, CommandError
from coordinator.endpoints.sweep import private, sweep
from coordinator.monitor.snapshot import Snapshot
from lzr.errors import printable, suggest
from lzr.safetext import lines

LONGEST_PATH = 107  # bytes: sun_path of unix(7), less its closing NUL
PATIENCE = 5.0
SETTLING = 30.0
MOST_REPLY = 4 << 20
"""Bytes; the status of a scan with 1,024 workers has less than one million."""


class ControlError(OSError):
    """The socket cannot be made or reached; the text says why."""


def directories() -> list[Path]:
    """Where sockets may lie, best first."""
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


def default_path(pid: int) -> Path:
    """The path of a scan's socket, in a directory that is made if need be and is ours alone."""
    for directory in directories():
        with contextlib.suppress(OSError):
            directory.mkdir(mode=0o700, exist_ok=True)
            if private(directory.lstat()):
                sweep(directory)
                return directory / f"{pid}.sock"
    raise ControlError("no private directory for the control socket (tried /run/lzr, $XDG_RUNTIME_DIR, /tmp)")


class ControlServer:
    """The scan's side. Wait on `fileno`, call `handle`, carry out what it returns."""

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = Path(path) if path else default_path(os.getpid())
        self._snapshot = Snapshot()
        self._commands: list[Command] = []
        self._listener = Listener(
            _bind(self.path),
            self._respond,
            too_long=b"error: the line is too long\n",
            most_clients=8,
            most_request=1024,
            patience=60.0,
            admit=_ours,
        )
        self._inode = self.path.stat().st_ino

    def fileno(self) -> int:
        return self._listener.fileno()

    def publish(self, snapshot: Snapshot) -> None:
        """What `status` answers from now on, and what commands are checked against."""
        self._snapshot = snapshot

    def handle(self, now: float) -> list[Command]:
        """Serve the clients that are ready; the commands that came, in order."""
        self._listener.handle(now)
        ready, self._commands = self._commands, []
        return ready

    def close(self) -> None:
        self._listener.close()
        with contextlib.suppress(OSError):
            if self.path.stat().st_ino == self._inode:  # not one that a later scan put in its place
                self.path.unlink()

    def _respond(self, request: bytes) -> Answer:
        line, newline, rest = request.partition(b"\n")
        if not newline:
            return request, b"", False
        try:
            command = requests.parse(line.decode("ascii", "replace"))
            return rest, self._accept(command).encode(), False
        except CommandError as error:
            return rest, f"error: {error}\n".encode(), False

    def _accept(self, command: Command) -> str:
        snapshot = self._snapshot
        if command.kind == "help":
            return requests.HELP + "ok\n"
        if command.kind == "status":
            from coordinator.monitor import status

            text = status.as_json(snapshot) if command.json else status.report(snapshot)
            return text.rstrip("\n") + "\nok\n"
        if command.kind == "workers":
            reply = self._check_workers(command)
        elif command.kind == "rate":
            wanted = command.wanted_rate(snapshot.rate_limit)
            reply = "ok no rate limit" if wanted is None else f"ok rate {wanted:g}/s"
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
        return f"ok workers flow={wanted_flow} collect={wanted_collect} (were flow={flow} collect={collect})"


def _bind(path: Path) -> socket.socket:
    if len(os.fsencode(path)) > LONGEST_PATH:
        sentence = (
            f"the path of the control socket is longer than {LONGEST_PATH} bytes: {printable(str(path))}"
        )
        raise ControlError(sentence)
    if os.path.exists(path):
        if not path.is_socket():
            raise ControlError(f"{printable(str(path))} is there and is no socket")
        if _alive(path):
            raise ControlError(
                f"{printable(str(path))} is the control socket of another scan that is running"
            )
        path.unlink()  # a killed run left it behind
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    before = os.umask(0o177)
    try:
        sock.bind(os.fspath(path))
        sock.listen(8)
    except OSError as error:
        sock.close()
        raise ControlError(
            f"cannot make the control socket {printable(str(path))}: {error.strerror}"
        ) from error
    finally:
        os.umask(before)
    return sock


def _ours(sock: socket.socket) -> bool:
    """Is the other end root, or this user? For who connected: whoever was listening, when it began to."""
    size = struct.calcsize("3i")
    _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return uid in (0, os.geteuid())


def _alive(path: Path) -> bool:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(1.0)
            sock.connect(os.fspath(path))
    except OSError:
        return False
    return True


def running() -> list[Path]:
    """The sockets of the scans that are running and that this user may steer."""
    found: list[Path] = []
    for directory in directories():
        with contextlib.suppress(OSError):
            if not private(directory.lstat()):
                continue
            sweep(directory)
            found += [path for path in sorted(directory.glob("*.sock")) if path.is_socket() and _alive(path)]
    return found


def ask(path: str | Path, line: str, patience: float = PATIENCE) -> tuple[bool, str]:
    """Send a line, return whether it was accepted and the reply without its closing `ok`.

    Who answers has to be root or this user. The reply comes within `patience` seconds, has at most MOST_REPLY
    bytes, and is returned as text that is harmless on a terminal. Raises ControlError.
    """
    shown = printable(os.fspath(path))
    until = time.monotonic() + patience
    reply = b""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(patience)
            sock.connect(os.fspath(path))
            if not _ours(sock):
                raise ControlError(
                    f"{shown} is a socket of another user's, who is not root: nothing was sent"
                )
            sock.sendall(line.encode("utf-8", "replace") + b"\n")
            while not _is_whole(reply):
                left = until - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                sock.settimeout(left)
                data = sock.recv(65536)
                if not data:
                    raise ControlError(f"{shown}: the scan closed the connection")
                reply += data
                if len(reply) > MOST_REPLY:
                    raise ControlError(
                        f"{shown}: the reply is longer than {MOST_REPLY} bytes, that is no scan"
                    )
    except TimeoutError:
        raise ControlError(f"{shown}: the scan does not answer") from None
    except ControlError:
        raise
    except OSError as error:
        raise ControlError(f"{shown}: {error.strerror}") from error
    text = lines(reply.decode("utf-8", "replace"))
    if text.startswith("error:"):
        return False, text.removeprefix("error:").strip()
    return True, text.removesuffix("ok\n") if text.endswith("\nok\n") else text


def _is_whole(reply: bytes) -> bool:
    if not reply.endswith(b"\n"):
        return False
    return reply[reply.rfind(b"\n", 0, -1) + 1 :].startswith((b"ok", b"error:"))


USAGE = """\
usage: lzr ctl [--socket PATH] [--wait] COMMAND

Steers a scan that is running. Without --socket, the one running scan is found by itself. --wait returns
when the workers that were asked for are there.

"""


def main(argv: list[str]) -> int:
    """`lzr ctl …`: 0 done, 1 refused or no scan to be found, 2 wrong usage."""
    if not argv:
        print(USAGE + requests.HELP, end="", file=sys.stderr)
        return 2
    socket_path: str | None = None
    wait = False
    words: list[str] = []
    left = list(argv)
    while left:
        word = left.pop(0)
        name, equals, value = word.partition("=")
        name = name.removeprefix("-").removeprefix("-") if word.startswith("-") else ""
        if name in ("h", "help"):
            words = ["help"]
            break
        if name == "wait" and not equals:
            wait = True
        elif name in ("socket", "control-socket"):
            if not equals and not left:
                return _fail(f"{word} needs a value (PATH)", 2)
            socket_path = value if equals else left.pop(0)
        elif name and name != "json" and not name.isdigit():
            guess = suggest(f"--{name}", ("--socket", "--wait", "--json", "--help"))
            return _fail(f"unknown option {printable(word)}{guess or '; see lzr ctl --help'}", 2)
        else:
            words.append(word)
    # --json may stand before its command, too.
    words.sort(key=lambda word: word in ("-json", "--json"))
    line = " ".join(words)
    try:
        command = requests.parse(line)
    except CommandError as error:
        return _fail(str(error), 2)
    if command.kind == "help":
        print(USAGE + requests.HELP, end="")
        return 0
    if socket_path is None:
        scans = running()
        if not scans:
            return _fail("no scan is running (as this user)", 1)
        if len(scans) > 1:
            return _fail(
                "several scans are running, choose one: "
                + ", ".join(f"--socket {printable(str(path))}" for path in scans),
                2,
            )
        socket_path = os.fspath(scans[0])
    try:
        good, text = ask(socket_path, line)
        if good and wait and command.kind == "workers":
            good, text = _settled(socket_path, text)
    except ControlError as error:
        return _fail(str(error), 1)
    if not good:
        return _fail(text, 1)
    print(text.rstrip("\n").removeprefix("ok ") or "ok")
    return 0


def _settled(path: str, text: str) -> tuple[bool, str]:
    """Wait until the workers that are wanted are there, and have a fair share of the shards each."""
    import json

    until = time.monotonic() + SETTLING
    while time.monotonic() < until:
        _, reply = ask(path, "status --json")
        try:
            scan = json.loads(reply)
            there = (len(scan["workers"]), len(scan["collectors"]))
            shards = [worker["shards"] for worker in scan["workers"]]
            share = scan["shards"] // max(1, len(shards))
            fair = sum(shards) == scan["shards"] and min(shards, default=-1) == share
            wanted = (scan["wanted_flow"], scan["wanted_collect"])
        except (ValueError, KeyError, TypeError) as error:
            raise ControlError(
                f"{printable(path)}: that is no status of a scan ({type(error).__name__})"
            ) from error
        if fair and there == wanted:
            return True, text
        time.sleep(0.05)
    return False, f"the workers are not there after {SETTLING:.0f} s"


def _fail(sentence: str, code: int) -> int:
    print(f"lzr ctl: {sentence}", file=sys.stderr)
    return code
