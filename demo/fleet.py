"""Three boxes scan the demo's Internet together; one loses its power on the way, and goes on when it is back.

Each box is a namespace with an address of its own before the router, and a link to the controller's. What
runs there is what would run on machines: `lzr fleet worker` on each, `lzr fleet start` beside the plan.
The one result that `lzr fleet merge` makes is printed beside the truth.

Exit status 0 when everything agrees, 1 when something differs, 2 when the demo could not run.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType

from rich.console import Console

from demo.__main__ import HANDSHAKES, compare
from demo.internet import NETWORKS, PORTS, Internet, build, known, truth
from tests.lab.net import Lab, LabError, Namespace, namespaces, run
from tests.lab.scan import LZR, Scan, parse

CONTROLLER = "10.9.0.1"
NAMES = ("fra1", "ams1", "nyc1")
KILLED = "ams1"
RATE = 600
SEEN = 4.0
"""Seconds for which the box that is gone is shown as such."""
LONGEST = 180.0


class Box:
    """A box: its namespace, its source address, and what it has on its disk."""

    def __init__(self, name: str, number: int, internet: Internet, controller: Namespace) -> None:
        lab, router = controller.lab, internet.router
        self.name, self.source = name, f"10.6.{number}.2"
        self.address = f"10.9.0.{10 + number}"
        self.namespace = lab.namespace(name)
        lab.link(
            self.namespace, router, names=("eth0", name),
            a_addresses=[f"{self.source}/24"], b_addresses=[f"10.6.{number}.1/24"],
        )  # fmt: skip
        self.namespace.ip("route", "add", "default", "via", f"10.6.{number}.1")
        known(self.namespace, "eth0", f"10.6.{number}.1", router, name)
        known(router, name, self.source, self.namespace)
        lab.link(self.namespace, controller, names=("ctl0", name), a_addresses=[f"{self.address}/24"])
        controller.ip("link", "set", name, "master", "br0")
        self.directory = lab.directory / name
        self.disk = self.directory / "disk"
        self.disk.mkdir(parents=True)

    @property
    def toml(self) -> str:
        return (
            f'\n[[box]]\nname = "{self.name}"\ninterface = "eth0"\nsource = "{self.source}"\n'
            f'address = "{self.address}"\n'
        )

    def work(self, directory: Path) -> None:
        """Start its worker, to which `directory` (that of the plan) is its own disk."""
        own = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
        with (self.directory / "worker.log").open("a") as log:
            self.namespace.popen(
                "unshare", "--mount", "sh", "-c", own, "sh", self.disk, directory,
                LZR, "fleet", "worker", self.directory / "plan.toml", "--box", self.name, "--allow-root",
                stdout=log, stderr=log,
            )  # fmt: skip

    def lose_power(self) -> int:
        """Kill everything that runs there, at once; how many processes that were."""
        pids = self.namespace.pids()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(pids)


class Fleet:
    """The boxes, the controller's namespace, and the files of the plan."""

    def __init__(self, internet: Internet) -> None:
        lab = internet.scanner.lab
        self.lab = lab
        self.controller = lab.namespace("control")
        self.controller.ip("link", "add", "br0", "type", "bridge")
        self.controller.ip("addr", "add", f"{CONTROLLER}/24", "dev", "br0")
        self.controller.ip("link", "set", "br0", "up")
        self.boxes = [Box(name, n, internet, self.controller) for n, name in enumerate(NAMES, 1)]
        self.directory = lab.directory / "controller"
        self.directory.mkdir()
        self.disks = lab.directory / "fleet"
        self.disks.mkdir()
        self.plan = self.directory / "plan.toml"
        ports = ",".join(map(str, PORTS))
        options = ["--handshakes", HANDSHAKES, "-haf", "3", "-rt", "1", "-t", "1", "-c", "2"]
        self.plan.write_text(
            f'name = "demo"\nresponsible = "whoever runs the demo"\nseed = 2021\nrate = {RATE}\nshards = 12\n'
            f"targets = {json.dumps([f'{network}.0/24' for network in NETWORKS])}\n"
            f'target-ports = "{ports}"\ndirectory = "{self.disks}"\ncontroller = "{CONTROLLER}:8786"\n'
            f"options = {json.dumps(options)}\n" + "".join(box.toml for box in self.boxes)
        )
        self.log = self.directory / "start.log"
        self.story: list[str] = []

    def lzr(self, *words: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.controller.run(LZR, "fleet", *words, check=check, timeout=60)

    def settle(self) -> None:
        """The plan is settled, and each box gets what is its."""
        self.lzr("check", self.plan)
        self.lzr("certs", self.plan)
        for box in self.boxes:
            certs = box.directory / "certs"
            certs.mkdir(mode=0o700)
            for name in ("controller-ca.pem", f"{box.name}.pem"):
                (certs / name).write_bytes((self.directory / "certs" / name).read_bytes())
                (certs / name).chmod(0o600)
            (box.directory / "plan.toml").write_bytes(self.plan.read_bytes())

    def state_of(self, name: str) -> dict[str, object]:
        done = self.lzr("status", self.plan, "--json", check=False)
        boxes = json.loads(done.stdout or '{"boxes": []}')["boxes"]
        found: dict[str, object] = next((box for box in boxes if box["name"] == name), {})
        return found

    def scan(self, *, live: bool) -> int:
        """Begin, kill a box, bring it back; the controller's exit status. live: on a terminal."""
        for box in self.boxes:
            box.work(self.disks)
        with self.log.open("w") as log:
            started = self.controller.popen(LZR, "fleet", "start", self.plan, stdout=log, stderr=log)
        until = time.monotonic() + LONGEST
        while not self.state_of(KILLED) and started.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
        words = self.controller.command(LZR, "fleet", "watch", self.plan, "--until-done")
        watch = subprocess.Popen(words, env=self.lab.environment, stdin=None if live else subprocess.DEVNULL)
        power = threading.Thread(target=self._power_cut, args=(started, until), daemon=True)
        power.start()
        try:
            status: int = started.wait(max(1.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            started.kill()
            raise LabError(f"the boxes are not done after {LONGEST:.0f} s\n{self.log.read_text()}") from None
        finally:
            watch.terminate()
            watch.wait(20)
        power.join(10)
        return status

    def _power_cut(self, started: subprocess.Popen[bytes], until: float) -> None:
        box = next(box for box in self.boxes if box.name == KILLED)

        def wait(fact: object) -> bool:
            """Whether it came about."""
            assert callable(fact)
            while started.poll() is None and time.monotonic() < until:
                if fact():
                    return True
                time.sleep(0.1)
            return False

        def share() -> float:
            status = self.state_of(KILLED).get("status")
            found = status.get("share") if isinstance(status, dict) else None
            return found if isinstance(found, float) else 0.0

        if not wait(lambda: share() > 0.3):
            return
        count = box.lose_power()
        self.story.append(
            f"{KILLED} lost its power at {share():.0%} of its shards: {count} processes, kill -9"
        )
        if wait(lambda: self.state_of(KILLED).get("silent")):
            self.story.append("the others went on, and it was shown as not heard of")
        time.sleep(SEEN)
        box.work(self.disks)
        self.story.append(f"{KILLED} came back, and went on with its own shards from its own address")

    def results(self) -> tuple[Scan, Counter[str]]:
        """What was found, as one scan, and how many records each box has of it."""
        merged = self.directory / "found.json"
        done = self.lzr("merge", self.plan, "-o", merged, check=False)
        records, torn = parse(merged.read_text() if merged.exists() else "")
        by_source = {box.source: box.name for box in self.boxes}
        counts = Counter(by_source.get(str(record["daddr"]), "nobody") for record in records)
        return Scan(done.returncode, records, done.stderr, torn=torn), counts


def main() -> int:
    console = Console()
    live = console.is_terminal
    if not live:
        console = Console(width=120)
    begun = time.monotonic()

    def interrupted(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupted)
    try:
        with Lab() as lab:
            console.print("building an Internet, three boxes before it, and their controller")
            internet = build(lab)
            for one in internet.failed:
                place = f"{one.address}:{one.port}"
                console.print(f"demo: at {place}: {one.trouble}", style="red", markup=False, highlight=False)
            fleet = Fleet(internet)
            fleet.settle()
            status = fleet.scan(live=live)
            found, counts = fleet.results()
            log, prefix = fleet.log.read_text(), lab.prefix
    except (LabError, OSError, subprocess.SubprocessError) as error:
        console.print(f"demo: {error}", style="red", markup=False, highlight=False)
        return 2
    except KeyboardInterrupt:
        console.print("demo: interrupted; everything has been removed")
        return 130

    table, differences = compare(found, [one.service for one in internet.failed])
    console.print(table)
    console.print(log.strip(), markup=False, highlight=False)
    for sentence in fleet.story:
        console.print(sentence, markup=False, highlight=False)
    console.print(found.stderr.strip(), markup=False, highlight=False)
    shares = ", ".join(f"{counts[name]} of {name}" for name in NAMES)
    twice = [
        key for key, records in found.by_service().items() if len({str(r["daddr"]) for r in records}) > 1
    ]
    left = [name for name in namespaces() if name.startswith(prefix)]
    left += run("pgrep", "-f", prefix, check=False).stdout.split()
    seconds, rows = time.monotonic() - begun, len(truth())
    bad = status or found.returncode or found.torn or twice or left or len(fleet.story) != 3
    if bad:
        console.print(
            f"lzr fleet start ended with {status}, merge with {found.returncode}; asked from two boxes: "
            f"{twice or 'nobody'}; left behind: {left or 'nothing'}",
            style="bold red",
        )
    if differences or internet.failed:
        console.print(f"{differences} of {rows} differ ({seconds:.0f} s)", style="bold red")
    if bad or differences or internet.failed:
        return 1
    console.print(
        f"all {rows} right, records: {shares} ({seconds:.0f} s); everything has been removed",
        style="bold green",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
