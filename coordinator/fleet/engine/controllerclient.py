"""Asks the controller of a plan, which runs on this machine: one request, one reply (`controllersocket`)."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

from coordinator.endpoints import control
from lzr.errors import UsageError, printable
from lzr.fleet.lock import Lock

TIMEOUT = 30.0
_WORD = 3.0
MOST_REPLY = 256 << 20
"""Bytes: statuses of a thousand boxes."""


class NoController(UsageError):
    """No controller of this plan runs here."""


def where(lock: Lock) -> Path:
    """The socket of this plan's controller, whether there is one or not. Raises UsageError."""
    directory = control.own_directory()
    if directory is None:
        raise UsageError("there is no private directory for the controller's socket")
    return directory / f"{lock.id}.fleet"


def runs(lock: Lock) -> bool:
    """Whether a controller of this plan runs here, as far as can be told."""
    try:
        ask(lock, _WORD, do="status")
    except NoController:
        return False
    except UsageError:
        pass
    return True


def ask(lock: Lock, timeout: float = TIMEOUT, **request: Any) -> dict[str, Any]:
    """The reply to a request (`do` and what goes with it). Raises NoController, and UsageError."""
    path = where(lock)
    until = time.monotonic() + timeout
    reply = bytearray()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(timeout)
            try:
                sock.connect(str(path))
            except (FileNotFoundError, ConnectionRefusedError):
                raise NoController(
                    f"no controller of plan {lock.plan.name} ({lock.id}) runs here: lzr fleet start is one"
                ) from None
            if not control.is_ours(sock):
                raise UsageError(f"{printable(str(path))} is somebody else's: nothing was sent")
            sock.sendall(json.dumps(request).encode() + b"\n")
            while not reply.endswith(b"\n"):
                sock.settimeout(max(0.001, until - time.monotonic()))
                data = sock.recv(1 << 18)
                if not data or len(reply) > MOST_REPLY:
                    raise UsageError("the controller ended before it answered")
                reply += data
    except TimeoutError:
        raise UsageError(f"the controller did not answer within {timeout:g} s") from None
    except OSError as error:
        raise UsageError(f"cannot ask the controller: {error.strerror or error}") from error
    try:
        found = json.loads(reply)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UsageError("the controller answered what is no answer")
    if found.get("ok") is not True:
        raise UsageError(str(found.get("error"))[:1000])
    return found
