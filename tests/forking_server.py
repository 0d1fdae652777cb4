"""Has loaded the program, and forks for each client of tests/forking.py; ends when its stdin does."""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import io
import os
import pkgutil
import selectors
import signal
import socket
import sys
import threading
from dataclasses import dataclass
from typing import TextIO

from coordinator import commands
from coordinator.commands import main as program

_LOADED = ("coordinator.doctor.doctor", "coordinator.scan.targetlist", "lzr.options.hints", "duckdb")
_OWN = {"PYTHONUNBUFFERED", "PYTHONIOENCODING", "PYTHONPATH"}
"""Variables of the interpreter's that a child can obey; of PYTHONPATH all is loaded already."""


@dataclass(frozen=True)
class Request:
    """What a client wants: its arguments and environment, its descriptors 0 to 2, and its directory."""

    arguments: list[str]
    environment: dict[bytes, bytes]
    descriptors: list[int]


def received(client: socket.socket) -> Request | None:
    """None of a client that went away."""
    text, descriptors, _, _ = socket.recv_fds(client, 1 << 16, 4)
    while text and not text.endswith(b"\0\0"):
        more = client.recv(1 << 16)
        text = text + more if more else b""
    if not text:
        return None
    words = text[:-2].split(b"\0")
    pairs = (word[1:].partition(b"=") for word in words if word[:1] == b"e")
    return Request(
        [os.fsdecode(word[1:]) for word in words if word[:1] == b"a"],
        {name: value for name, _, value in pairs},
        descriptors,
    )


def serve(path: str) -> Request | None:
    """Returns in each child, with what it is to do, and None at the end of stdin."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen(64)
    print("ready", flush=True)
    waiting = selectors.DefaultSelector()
    waiting.register(0, selectors.EVENT_READ)
    waiting.register(listening, selectors.EVENT_READ)
    children: dict[int, tuple[int, socket.socket]] = {}  # by descriptor: process, client
    while True:
        for key, _ in waiting.select():
            if key.fd == 0:
                return None
            if key.fd == listening.fileno():
                client, _ = listening.accept()
                if (request := received(client)) is None:
                    client.close()
                    continue
                if not (pid := os.fork()):
                    for end, (_, other) in children.items():
                        os.close(end)
                        other.close()
                    for owner in (client, listening, waiting):
                        owner.close()
                    return request
                for descriptor in request.descriptors:
                    os.close(descriptor)
                end = os.pidfd_open(pid)
                children[end] = pid, client
                waiting.register(end, selectors.EVENT_READ)
                waiting.register(client, selectors.EVENT_READ, end)
            elif key.fd in children:
                pid, client = children.pop(key.fd)
                status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                waiting.unregister(key.fd)
                os.close(key.fd)
                with contextlib.suppress(KeyError):
                    waiting.unregister(client)
                with contextlib.suppress(OSError):
                    client.sendall(b"%d" % status)
                client.close()
            elif key.data in children:  # its client was ended
                os.kill(children[key.data][0], signal.SIGKILL)
                waiting.unregister(key.fileobj)


def become(request: Request) -> None:
    """Make of this child what the interpreter makes of a new process."""
    os.fchdir(request.descriptors[3])
    for number in range(3):  # those that were received lie beyond: the server's own are open
        os.dup2(request.descriptors[number], number)
    for descriptor in request.descriptors:
        os.close(descriptor)
    kept = dict(os.environb)
    os.environb.clear()
    os.environb.update(request.environment)
    for name in os.environ:
        if name.startswith(("PYTHON", "LC_", "LANG")) and name not in _OWN:
            asked = os.environb[os.fsencode(name)]
            assert kept.get(os.fsencode(name)) == asked, f"{name} is for a new interpreter"
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdin = sys.__stdin__ = stream(0, "<stdin>")  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = stream(1, "<stdout>")  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = stream(2, "<stderr>")  # type: ignore[misc]
    sys.argv = [program.__file__, *request.arguments]
    gc.enable()


def stream(number: int, name: str) -> TextIO:
    """As the interpreter makes its three."""
    unbuffered = number > 0 and bool(os.environ.get("PYTHONUNBUFFERED"))
    raw = io.FileIO(number, "rb" if number == 0 else "wb", closefd=False)
    raw.name = name
    below = raw if unbuffered else io.BufferedReader(raw) if number == 0 else io.BufferedWriter(raw)
    encoding, _, errors = os.environ.get("PYTHONIOENCODING", "").partition(":")
    if number == 2:
        errors = "backslashreplace"
    made = io.TextIOWrapper(
        below,  # type: ignore[arg-type]
        encoding or _ENCODING,
        errors or ("strict" if encoding else _ERRORS),
        newline=None if number == 0 else "\n",
        line_buffering=number == 2 or raw.isatty(),
        write_through=unbuffered,
    )
    made.mode = "r" if number == 0 else "w"
    return made


_ENCODING, _ERRORS = sys.stdout.encoding, sys.stdout.errors or "strict"


def main(path: str) -> None:
    for _, name, _ in pkgutil.iter_modules(commands.__path__, "coordinator.commands."):
        importlib.import_module(name)
    for name in _LOADED:
        importlib.import_module(name)
    assert len(os.listdir("/proc/self/task")) == 1, "a thread would not be in the children"
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ^C at the terminal is for pytest, which ends our stdin
    gc.collect()
    gc.freeze()
    request = serve(path)
    if request is None:
        os.unlink(path)
        os.rmdir(os.path.dirname(path))
        return
    become(request)
    try:
        program.program()
    except SystemExit as ended:
        _end(ended)
        raise


def _end(ended: SystemExit) -> None:
    """What the interpreter does at an end at which nothing is wrong, but for freeing what it has, which takes
    longer than most commands. Returns where there is something that it would say."""
    if not isinstance(ended.code, int) or sys.stdout is None or sys.stderr is None:
        return
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        return
    os._exit(ended.code & 0xFF)


if __name__ == "__main__":
    main(sys.argv[1])
