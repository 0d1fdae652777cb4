"""Handles Ctrl-C while DuckDB asks for records: an exception cannot pass through C, so the signal is kept for
a moment.

Within `held`, SIGINT (and SIGTERM and SIGHUP, where the program has handlers of its own) stops the statement
and whatever reads the file; KeyboardInterrupt is raised when both have returned.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

_state = {"held": False, "came": False}


@contextlib.contextmanager
def deferred(then: Callable[[], object]) -> Iterator[None]:
    """`then` is called when a signal comes, and nothing is raised; `held` within does nothing."""
    if _state["held"] or threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[int, Any] = {}
    _state.update(held=True, came=False)
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if callable(signal.getsignal(number)):
                before[int(number)] = signal.signal(number, lambda *_: then())
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
        _state["held"] = False


@contextlib.contextmanager
def held(connection: Any) -> Iterator[None]:
    """connection: of DuckDB; its statement is stopped. Raises KeyboardInterrupt if a signal came."""

    def keep() -> None:
        _state["came"] = True
        connection.interrupt()

    try:
        with deferred(keep):
            yield
    finally:
        if not _state["held"] and _state["came"]:
            _state["came"] = False
            raise KeyboardInterrupt


def check() -> None:
    """Raise KeyboardInterrupt if a signal has come."""
    if _state["came"]:
        raise KeyboardInterrupt
