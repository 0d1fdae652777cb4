"""The stateless responder of benchmarks/responder.c on one end of a veth pair, and the truth about it.

What a host does is a letter, `letter_of(address)`, and what a record must say about it follows from
the letter and the handshakes alone (`expected`), so a test knows every answer before it asks.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.net import Lab, LabError, Namespace, run

SOURCES = Path(__file__).resolve().parents[2] / "benchmarks"
BUILD = SOURCES / "build"
CLASSES = "hsaqrfzh"
"""The classes by last byte mod 8, as the demo has them."""
HALF_CLASSES = "hshahqhrhfhzhshq"
"""Exactly half of the peers answer with HTTP."""

SCANNER = "10.1.0.2"
GATEWAY = "10.1.0.1"
SCANNER6 = "fd00:1::2"
GATEWAY6 = "fd00:1::1"
FIRST = "10.64.0.0"
PORT = 9002


def build(name: str) -> Path:
    """The compiled program `benchmarks/NAME.c`, made again when a source is newer."""
    target = BUILD / name
    sources = [SOURCES / f"{name}.c", SOURCES / "wire.h"]
    if not target.exists() or target.stat().st_mtime < max(s.stat().st_mtime for s in sources):
        BUILD.mkdir(exist_ok=True)
        fresh = BUILD / f"{name}.{os.getpid()}"
        run("gcc", "-O2", "-Wall", "-Wextra", "-o", fresh, sources[0])
        fresh.replace(target)
    return target


def letter_of(address: str, classes: str = CLASSES) -> str:
    """The class of a host: its address's last byte into the table."""
    return classes[(int(ipaddress.ip_address(address)) & 255) % len(classes)]


@dataclass(frozen=True)
class Truth:
    """What a record must say; `expected` None: not laid down (data came)."""

    fingerprint: str
    expected: str | None
    rst: bool = False
    fin: bool = False
    acked: bool | None = False  # None: not laid down (the closing segment acknowledges the data too)
    window: int | None = None
    data: str | None = None

    def wrong(self, record: dict[str, Any]) -> str:
        """What is wrong with a record, in words; empty when nothing is."""
        said = {
            "fingerprint": (record.get("fingerprint"), self.fingerprint),
            "RST": (bool(record.get("RST")), self.rst),
            "FIN": (bool(record.get("FIN")), self.fin),
            "data": (record.get("data") or None, self.data),
        }
        if self.expected is not None:
            said["expectedRToLZR"] = (record.get("expectedRToLZR", ""), self.expected)
        if self.acked is not None:
            said["ACKed"] = (bool(record.get("ACKed")), self.acked)
        if self.window is not None:
            said["window"] = (record.get("window"), self.window)
        return ", ".join(
            f"{name} is {is_!r}, not {should!r}" for name, (is_, should) in said.items() if is_ != should
        )


def expected(letter: str, handshakes: Sequence[str] = ("http",)) -> Truth:
    """What the record of a host of this class must say when all the handshakes it needs are done."""
    talks = any(name != "wait" for name in handshakes)
    last_talks = handshakes[-1] != "wait"
    if letter == "h" and talks:
        return Truth("http", None, acked=True, data=HTTP_REPLY)
    if letter in "sd":
        # The banner comes with the acknowledgement of what the first handshake sent.
        return Truth("ssh", None, acked=handshakes[0] != "wait", data=SSH_BANNER)
    if letter == "g":
        return Truth("ftp", None, acked=handshakes[0] != "wait", data=NASTY_BANNER)
    if letter == "e" and talks:
        return Truth("echo", None, acked=True)
    if letter in "hea":
        return Truth("unknown", "data", acked=talks)
    if letter == "q":
        return Truth("unknown", "ack" if last_talks else "data")
    if letter == "r":
        return Truth("unknown", "", rst=True, acked=None)
    if letter == "f":
        return Truth("unknown", "", fin=True, acked=None)
    if letter == "z":
        return Truth("unknown", "", window=0)
    if letter == "c":
        return Truth("unknown", "", rst=True)
    if letter == "n":
        return Truth("unknown", "sa")
    raise ValueError(letter)


HTTP_REPLY = (
    "HTTP/1.1 200 OK\r\nServer: responder\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
    "Content-Type: text/html\r\nContent-Length: 33\r\n\r\n<html><body>It works</body></html>"
)
SSH_BANNER = "SSH-2.0-responder_1.0\r\n"
NASTY_BANNER = '220 \x1b[2J\x1b]0;owned\x07[red]x[/red],"=1+1"\x00\xff\xfe,<b>ftp</b>\r\n'


class Responder:
    """The running responder. `stop` ends it and returns its counters."""

    def __init__(
        self,
        namespace: Namespace,
        *,
        interface: str = "eth0",
        classes: str = CLASSES,
        first: str = "",
        count: int = 0,
        port: int = 0,
        source: str = "",
        more: Sequence[str] = (),
    ) -> None:
        self.classes = classes
        words: list[str | Path] = [build("responder"), "--interface", interface, "--classes", classes]
        if count:
            words += ["--first", first, "--count", str(count)]
        if port:
            words += ["--port", str(port)]
        if source:
            words += ["--source", source]
        self.process: subprocess.Popen[str] = namespace.popen(
            *words, *more, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        if self.process.stdout.readline() != "ready\n":
            raise LabError(f"responder: {self.process.communicate()[1]}")

    def stop(self) -> dict[str, int]:
        self.process.send_signal(signal.SIGTERM)
        out, trouble = self.process.communicate(timeout=120)
        if self.process.returncode:
            raise LabError(f"responder: {trouble}")
        counters: dict[str, int] = json.loads(out)
        return counters


def quiet_end(namespace: Namespace, interface: str = "eth0") -> None:
    """Keeps the kernel of the responder's namespace out of it: no stack behind the packet socket."""
    namespace.nft(
        "table netdev deaf { chain ingress { "
        f"type filter hook ingress device {interface} priority 0; drop; }}; }}"
    )


class Range:
    """A scanner namespace wired to a responder's: what most end-to-end tests run in.

    The scanner has 10.1.0.2/30 and fd00:1::2/64 and its default route through the responder, which
    answers for the gateway and for everything behind it.
    """

    def __init__(self, lab: Lab, *, bridged: bool = False) -> None:
        self.lab = lab
        self.scanner = lab.namespace("scan")
        self.far = lab.namespace("far")
        self.bridge: Namespace | None = None
        if bridged:
            self.bridge = lab.bridge("wire", self.scanner, self.far)
            self.scanner.ip("addr", "add", f"{SCANNER}/30", "dev", "eth0")
            self.scanner.ip("addr", "add", f"{SCANNER6}/64", "dev", "eth0")
            self.scanner.ip("link", "set", "eth0", "up")
            self.far.ip("link", "set", "eth0", "up")
        else:
            addresses = (f"{SCANNER}/30", f"{SCANNER6}/64")
            lab.link(self.scanner, self.far, a_addresses=addresses)
        self.scanner.ip("route", "add", "default", "via", GATEWAY)
        self.scanner.ip("-6", "route", "add", "default", "via", GATEWAY6)
        quiet_end(self.far)
        self.gateway_mac = self.far.mac("eth0")
        self._running: Responder | None = None

    def respond(self, **options: Any) -> Responder:
        """Starts a responder (ending the one before)."""
        if self._running is not None:
            with contextlib.suppress(LabError, subprocess.TimeoutExpired):
                if self._running.process.poll() is None:
                    self._running.stop()
        self._running = Responder(self.far, **options)
        return self._running
