"""The program in a process of its own, without the third of a second that loading it takes.

A server has loaded what subcommands load, and forks for each command line; a small client stands where a
shell, a test or a terminal wants to have a process. tests/unit/test_forking.py compares what is forked with
the program itself.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests import ROOT

MODULE = (sys.executable, "-m", "coordinator.commands.main")
CLIENT = Path(__file__).with_name("forking_client.py")


@functools.cache
def program(before: Callable[[], None] | None = None) -> tuple[str, ...]:
    """The words that start the program, up to its first argument, which comes after them.

    What runs has the client's descriptors 0 to 2, working directory and environment, and its end is the
    client's; its process id is not. For statuses and what is written. What a signal does, what is loaded,
    limits (ulimit), closed descriptors, another namespace and the interpreter's own variables, but
    PYTHONUNBUFFERED and PYTHONIOENCODING, need `MODULE`. `before` is called in the
    server, as subprocess's `preexec_fn`.
    """
    if sys.platform != "linux":
        return MODULE
    place = tempfile.mkdtemp(prefix="lzr-forking-")
    path = os.path.join(place, "socket")
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.forking_server", path],
        stdin=subprocess.PIPE,  # it ends where this does
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # a thread would not be in what is forked
        preexec_fn=before,  # noqa: PLW1509 # as its callers do
    )
    assert server.stdout is not None
    with server.stdout:
        assert server.stdout.readline() == b"ready\n", f"no server: {server.wait(60)}"
    _servers.append(server)
    return (sys.executable, "-I", "-S", str(CLIENT), path)


_servers: list[subprocess.Popen[bytes]] = []


def end() -> None:
    """Ends the servers, and waits for them."""
    program.cache_clear()
    while _servers:
        with _servers.pop() as server:
            assert server.stdin is not None
            server.stdin.close()
