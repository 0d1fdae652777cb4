"""Namespaces as boxes of a fleet, a controller's beside them, and a responder behind each box.

Every box has two links: `eth0` to a responder of its own, which is its Internet, and `ctl0` to the bridge of
the controller's namespace. Traffic to its Internet is counted there, by source.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab.net import Lab, LabError, Namespace, wait_for
from tests.lab.responder import Responder, quiet_end
from tests.lab.scan import LZR, Record, parse

CONTROLLER = "10.9.0.1"
PORT = 9002
NAMES = ("ams1", "fra1", "lon1", "par1", "mad1", "nyc1", "osl1", "waw1")


@dataclass
class Box:
    """A box: its namespace, the one behind it, and its worker when that runs."""

    name: str
    number: int
    namespace: Namespace
    far: Namespace
    directory: Path
    worker: subprocess.Popen[str] | None = None
    responder: Responder | None = None
    log: Path = field(default=Path())

    @property
    def state(self) -> Path:
        """What the plan's `directory` is on this box."""
        return self.directory / "state"

    @property
    def source(self) -> str:
        return f"10.1.{self.number}.2"

    @property
    def address(self) -> str:
        return f"10.9.0.{10 + self.number}"


class Boxes:
    """`count` boxes and a controller's namespace. plan: more keys of plan.toml, as TOML."""

    def __init__(
        self, lab: Lab, count: int, plan: str, classes: str = "h", weights: Sequence[float] = ()
    ) -> None:
        self.lab = lab
        self.directory = lab.directory / "controller"
        self.directory.mkdir()
        self.controller = lab.namespace("control")
        self.controller.ip("link", "add", "br0", "type", "bridge")
        self.controller.ip("addr", "add", f"{CONTROLLER}/24", "dev", "br0")
        self.controller.ip("link", "set", "br0", "up")
        self.classes = classes
        self.boxes = [self._box(name, number) for number, name in enumerate(NAMES[:count], 1)]
        self.plan = self.directory / "plan.toml"
        self.lock = self.directory / "plan.lock.json"
        self.certs = self.directory / "certs"
        self.state = lab.directory / "fleet"
        self.state.mkdir()
        text = f'name = "test"\nresponsible = "tests"\ndirectory = "{self.state}"\n'
        text += f'controller = "{CONTROLLER}:8786"\n{plan}\n'
        for at, box in enumerate(self.boxes):
            text += (
                f'\n[[box]]\nname = "{box.name}"\ninterface = "eth0"\nsource = ["{box.source}"]\n'
                f'address = "{box.address}"\nport = 8790\nweight = {weights[at] if weights else 1}\n'
            )
        self.plan.write_text(text)

    def _box(self, name: str, number: int) -> Box:
        directory = self.lab.directory / name
        directory.mkdir()
        box = Box(name, number, self.lab.namespace(name), self.lab.namespace(f"{name}-net"), directory)
        self.lab.link(box.namespace, box.far, a_addresses=(f"{box.source}/30",))
        box.namespace.ip("route", "add", "default", "via", f"10.1.{number}.1")
        quiet_end(box.far)
        seen = f"ip saddr {box.source} tcp flags syn counter"
        foreign = f"ip saddr != {box.source} meta l4proto tcp counter"
        hook = "type filter hook ingress device eth0 priority -10; policy accept;"
        box.far.nft(f"table netdev seen {{\n chain in {{\n {hook}\n {seen}\n {foreign}\n }}\n}}\n")
        self.lab.link(
            box.namespace, self.controller, names=("ctl0", name), a_addresses=(f"{box.address}/24",)
        )
        self.controller.ip("link", "set", name, "master", "br0")
        box.log = directory / "worker.log"
        box.state.mkdir()
        return box

    def __getitem__(self, name: str) -> Box:
        return next(box for box in self.boxes if box.name == name)

    def settle(self) -> None:
        """lzr fleet check, and the certificates; each box gets what is its."""
        self.lzr("fleet", "check", self.plan)
        self.lzr("fleet", "certs", self.plan)
        for box in self.boxes:
            certs = box.directory / "certs"
            certs.mkdir(mode=0o700)
            for name in ("controller-ca.pem", f"{box.name}.pem"):
                (certs / name).write_bytes((self.certs / name).read_bytes())
                (certs / name).chmod(0o600)
            (box.directory / "plan.toml").write_bytes(self.plan.read_bytes())

    def respond(self, first: str, count: int) -> None:
        for box in self.boxes:
            box.responder = Responder(
                box.far, classes=self.classes, first=first, count=count, port=PORT, source=box.source
            )

    def lzr(
        self, *words: str | Path, check: bool = True, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """`lzr` in the controller's namespace."""
        return self.controller.run(LZR, *words, check=check, timeout=timeout)

    def work(self, box: Box, **environment: str | Path) -> None:
        """Start the worker of a box. environment: variables of its own."""
        with box.log.open("a") as log:
            box.worker = self.inside(
                box, LZR, "fleet", "worker", box.directory / "plan.toml", "--box", box.name, "--allow-root",
                stdout=log, stderr=log, text=True,
                env={**self.lab.environment, **{name: str(value) for name, value in environment.items()}},
            )  # fmt: skip

    def inside(self, box: Box, *words: str | Path, **more: Any) -> subprocess.Popen[str]:
        """Start a command on a box, where the plan's `directory` is one of its own."""
        bind = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
        own = ("unshare", "--mount", "sh", "-c", bind, "sh", box.state, self.state)
        process: subprocess.Popen[str] = box.namespace.popen(*own, *words, **more)
        return process

    def cut(self, box: Box) -> None:
        """Take the box from its controller: nothing passes, nobody is told."""
        self.controller.ip("link", "set", box.name, "down")

    def mend(self, box: Box) -> None:
        self.controller.ip("link", "set", box.name, "up")

    def start(self, *words: str, log: str = "start.log") -> subprocess.Popen[str]:
        """Start the controller."""
        with (self.directory / log).open("a") as out:
            process: subprocess.Popen[str] = self.controller.popen(
                LZR, "fleet", "start", self.plan, *words, stdout=out, stderr=out, text=True
            )
        return process

    def hurry(self) -> None:
        """Let the rest be quick; a box that is away is told when it is back, one that is done need not be."""
        self.lzr("fleet", "rate", self.plan, "20k", check=False)

    def said(self) -> str:
        """Everything that was said so far, for a message."""
        files = [self.directory / "start.log", *(box.log for box in self.boxes)]
        files += (path for box in self.boxes for path in sorted(box.state.glob("*/*-g*/log.txt")))
        return "\n".join(f"--- {path}\n{path.read_text()[-2500:]}" for path in files if path.exists())

    def status(self) -> dict[str, Any]:
        """What lzr fleet status tells; no boxes where there is no controller."""
        done = self.lzr("fleet", "status", self.plan, "--json", check=False)
        found: dict[str, Any] = json.loads(done.stdout or '{"boxes": [], "orders": []}')
        return found

    def state_of(self, name: str) -> Mapping[str, Any]:
        """That of one box; empty where there is no controller."""
        found: Mapping[str, Any] = next((box for box in self.status()["boxes"] if box["name"] == name), {})
        return found

    def until(self, fact: Any, what: str, seconds: float = 120) -> Any:
        try:
            return wait_for(fact, what, seconds, 0.05)
        except LabError as error:
            raise LabError(f"{error}\n{self.said()}") from None

    def results(self, name: str) -> list[Record]:
        """The records of a box so far."""
        found: list[Record] = []
        for path in sorted(self[name].state.glob("*/*-g*/results.json")):
            found += parse(path.read_text())[0]
        return found


def packets(box: Box) -> tuple[int, int]:
    """(SYNs from the box's own address, TCP packets from any other) that have come to its Internet."""
    listing = json.loads(box.far.run("nft", "-j", "list", "table", "netdev", "seen").stdout)
    rules = [one["rule"] for one in listing["nftables"] if "rule" in one]
    counts = [int(part["counter"]["packets"]) for rule in rules for part in rule["expr"] if "counter" in part]
    return counts[0], counts[1]
