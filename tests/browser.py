"""A headless Chromium, driven over a pipe (Chrome DevTools Protocol): what a page does, says and asks for.

https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.conftest import cannot_run

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_TIMEOUT = 90.0  # seconds for an answer, on a machine that does much else


class Browser:
    """One page. said: what came onto its console, exceptions and what the browser complains of; asked: each
    URL that it wanted to load."""

    def __init__(self, send: int, receive: int) -> None:
        self._send, self._receive = send, receive
        self._number = 0
        self._rest = b""
        self._session: str | None = None
        self.said: list[str] = []
        self.asked: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        """What the browser answers to a command."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._send, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + _TIMEOUT
        while time.monotonic() < until:
            answer = self._next(until)
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            self._event(answer)
        raise AssertionError(f"the browser does not answer to {method}")

    def _next(self, until: float) -> Any:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._receive], [], [], max(0.0, until - time.monotonic()))
            assert ready, "the browser says nothing"
            part = os.read(self._receive, 1 << 16)
            assert part, "the browser has ended"
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def _event(self, event: Any) -> None:
        told = event.get("params", {})
        match event.get("method"):
            case "Runtime.consoleAPICalled":
                self.said.append(
                    " ".join(str(one.get("value", one.get("description"))) for one in told["args"])
                )
            case "Runtime.exceptionThrown":
                self.said.append(json.dumps(told["exceptionDetails"])[:500])
            case "Log.entryAdded":
                self.said.append(told["entry"]["text"])
            case "Network.requestWillBeSent":
                self.asked.append(told["request"]["url"])

    def open(self, page: Path, ready: str = "document.readyState === 'complete'") -> None:
        """Load a file, and wait until an expression holds."""
        self.said.clear()
        self.asked.clear()
        place = page.resolve().as_uri()
        self.call("Page.navigate", url=place)
        self.wait(f"location.href === {place!r} && {ready}")

    def value(self, expression: str) -> Any:
        """Of an expression in the page, as JSON has it."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait(self, expression: str) -> None:
        until = time.monotonic() + _TIMEOUT
        while not self.value(f"Boolean({expression})"):
            assert time.monotonic() < until, f"it never comes to {expression}; said: {self.said}"
            time.sleep(0.05)

    def look(self, *, width: int = 1280, height: int = 900, dark: bool = False) -> bytes:
        """A screenshot (PNG) of a window of that size."""
        scheme = "dark" if dark else "light"
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])


def _away(descriptor: int) -> int:
    """The same file under a number that the shell gives to nothing else: not 3, nor 4."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return moved


@contextmanager
def browser(directory: Path) -> Iterator[Browser]:
    """A browser with a profile of its own in `directory`; no name has an address for it."""
    program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if program is None:
        cannot_run("chromium is not installed; `make test` installs it")
        raise AssertionError
    theirs_in, send = map(_away, os.pipe())
    receive, theirs_out = map(_away, os.pipe())
    flags = (
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-extensions",
        "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={directory}", "--remote-debugging-pipe",
    )  # fmt: skip
    # Descriptors 3 and 4 are what it reads commands from and writes answers to.
    shell = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out} {theirs_in}<&- {theirs_out}>&-'
    with (directory / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            ["bash", "-c", shell, "bash", program, *flags],
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=stderr,
            stderr=stderr,
            env={**os.environ, "HOME": str(directory)},
        )
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        page = Browser(send, receive)
        yield page
        page._session = None
        page.call("Browser.close")
        process.wait(_TIMEOUT)
    finally:
        os.close(send)
        os.close(receive)
        process.kill()
        process.wait()
