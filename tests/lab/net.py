"""Network namespaces, made and removed reliably.

What a Lab makes bears the Lab's prefix (process id, its start time, a counter) and is gone when the
Lab is closed, whatever happened inside; what a killed process left is removed by `sweep`, which every new
Lab runs first. Links are made inside the namespaces, so the host never sees an interface of ours.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from ctypes import CDLL, get_errno
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

MARK = "lzrlab"
_CLONE_NEWNET = 0x40000000
_libc = CDLL(None, use_errno=True)
_numbers = itertools.count()


class LabError(Exception):
    """The lab could not be built; says which command failed and what it printed."""


def run(
    *argv: str | Path, timeout: float = 120, check: bool = True, **more: Any
) -> subprocess.CompletedProcess[str]:
    """A command to its end; its output is text; a failure raises with what it printed."""
    words = [str(word) for word in argv]
    if "stdin" not in more and "input" not in more:
        more["stdin"] = subprocess.DEVNULL
    done = subprocess.run(words, capture_output=True, text=True, timeout=timeout, check=False, **more)
    if check and done.returncode:
        raise LabError(f"{' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def start_time(pid: int) -> str | None:
    """The start time of a process in clock ticks, None where there is none: tells a reused pid apart."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def owner_lives(name: str) -> bool:
    """Is the process that made this `lzrlab-PID-START-…` name still the one running?"""
    parts = name.split("-")
    return len(parts) > 2 and parts[1].isdigit() and start_time(int(parts[1])) == parts[2]


def namespaces() -> list[str]:
    """Names of all network namespaces of this host."""
    with contextlib.suppress(FileNotFoundError):
        return sorted(os.listdir("/run/netns"))
    return []


def _remove_namespace(name: str) -> None:
    """Ends every process inside, then deletes the namespace (and with it its links and rules)."""
    for _ in range(1000):
        pids = run("ip", "netns", "pids", name, check=False).stdout.split()
        if not pids:
            break
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        time.sleep(0.02)
    run("ip", "netns", "del", name, check=False)


def _remove_directory(directory: Path) -> None:
    """Mounts under it first (a daemon's own root), then the tree."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((m for m in mounts if m.startswith(f"{directory}/")), reverse=True):
        run("umount", "-l", mount, check=False)
    shutil.rmtree(directory, ignore_errors=True)


def sweep() -> list[str]:
    """Removes what dead processes left behind; returns the names."""
    gone = [name for name in namespaces() if name.startswith(f"{MARK}-") and not owner_lives(name)]
    for name in gone:
        _remove_namespace(name)
    for directory in Path(tempfile.gettempdir()).glob(f"{MARK}-*"):
        if not owner_lives(directory.name):
            _remove_directory(directory)
            gone.append(str(directory))
    return gone


class Namespace:
    """One network namespace, with its loopback up."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.lab = lab
        self.short = name
        self.name = f"{lab.prefix}-{name}"
        run("ip", "netns", "add", self.name)
        # Any user may listen on any port here: daemons that drop root take port 80 too.
        # A lab has no router advertisements and no duplicate addresses: don't wait for either. Its namespaces
        # take what this host has set for new interfaces, as systemd does rp_filter: the lab's own counts.
        self.run(
            "sh",
            "-c",
            "for w in all default; do for v in accept_dad accept_ra router_solicitations; do "
            "echo 0 > /proc/sys/net/ipv6/conf/$w/$v; done; done; "
            "echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start; "
            "for w in all default lo; do echo 0 > /proc/sys/net/ipv4/conf/$w/rp_filter; done; "
            "ip link set lo up",
        )

    def command(self, *argv: str | Path) -> list[str]:
        """The argument list that runs `argv` in here."""
        return ["ip", "netns", "exec", self.name, *map(str, argv)]

    def run(self, *argv: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
        more.setdefault("env", self.lab.environment)
        return run(*self.command(*argv), **more)

    def popen(self, *argv: str | Path, **more: Any) -> subprocess.Popen[Any]:
        """Starts a process in a session of its own; it is killed with its group when the lab closes."""
        more.setdefault("stdin", subprocess.DEVNULL)
        more.setdefault("env", self.lab.environment)
        more.setdefault("start_new_session", True)
        process: subprocess.Popen[Any] = subprocess.Popen(self.command(*argv), **more)
        self.lab.track(process)
        return process

    def ip(self, *words: str) -> str:
        return run("ip", "-n", self.name, *words).stdout

    def nft(self, rules: str) -> None:
        self.run("nft", "-f", "-", input=rules)

    def rules(self) -> str:
        """All packet-filter rules, nftables and what iptables leaves there."""
        return self.run("nft", "list", "ruleset").stdout

    def sysctl(self, key: str, value: int | str) -> None:
        self.run("sysctl", "-qw", f"{key}={value}")

    def mac(self, interface: str) -> str:
        return str(json.loads(self.ip("-j", "link", "show", interface))[0]["address"])

    def pids(self) -> list[int]:
        return [int(pid) for pid in run("ip", "netns", "pids", self.name).stdout.split()]

    def offloads(self, interface: str, *, on: bool) -> None:
        """Checksum and segmentation offload: off where frames are read or rewritten on the way."""
        word = "on" if on else "off"
        features = ("rx", "tx", "gro", "tso", "gso", "sg")
        flat = [word_ for feature in features for word_ in (feature, word)]
        self.run("ethtool", "-K", interface, *flat, check=False)

    def call(self, function: Callable[[], T]) -> T:
        """Runs `function` in a thread that is inside the namespace: for sockets of the test's own."""
        box: list[T] = []
        trouble: list[BaseException] = []

        def inside() -> None:
            try:
                handle = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
                try:
                    if _libc.setns(handle, _CLONE_NEWNET):
                        raise OSError(get_errno(), "setns")
                finally:
                    os.close(handle)
                box.append(function())
            except BaseException as error:
                trouble.append(error)

        thread = threading.Thread(target=inside, daemon=True)
        thread.start()
        thread.join(120)
        if trouble:
            raise trouble[0]
        if not box:
            raise LabError(f"{self.name}: the call did not return")
        return box[0]

    def state(self) -> dict[str, Any]:
        """What a scan must leave as it found it: rules, links, addresses, routes, processes."""
        links = json.loads(self.ip("-j", "addr"))
        return {
            "rules": self.rules(),
            "links": [
                (link["ifname"], sorted(link["flags"]), [a["local"] for a in link["addr_info"]])
                for link in links
            ],
            "routes": self.ip("route", "show", "table", "all"),
            "processes": sorted(process_name(pid) for pid in self.pids()),
            "sockets": self.run("ss", "-Hnltup", check=False).stdout,
        }


def process_name(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return "?"


class Lab:
    """A set of namespaces, links and processes that ends together."""

    def __init__(self) -> None:
        if os.geteuid():
            raise LabError("the lab needs root (network namespaces)")
        sweep()
        pid = os.getpid()
        self.prefix = f"{MARK}-{pid}-{start_time(pid)}-{next(_numbers)}"
        self.directory = Path(tempfile.mkdtemp(prefix=f"{self.prefix}-"))
        self.directory.chmod(0o755)
        self.temporary = self.directory / "tmp"
        self.temporary.mkdir()
        self.temporary.chmod(0o1777)
        self.runtime = self.directory / "run"
        self.runtime.mkdir(0o755)
        self.environment = {
            **os.environ,
            "TMPDIR": str(self.temporary),
            "RUNTIME_DIRECTORY": str(self.runtime),
        }
        """Of every process in the lab: what a program leaves in these directories can be seen."""
        self._namespaces: list[Namespace] = []
        self._processes: list[subprocess.Popen[Any]] = []
        self._at_close = contextlib.ExitStack()

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def left(self) -> list[Path]:
        """What programs have left where temporary things are to be."""
        return [*self.temporary.iterdir(), *self.runtime.iterdir()]

    def track(self, process: subprocess.Popen[Any]) -> None:
        self._processes.append(process)

    def on_close(self, function: Callable[[], object]) -> None:
        self._at_close.callback(function)

    def namespace(self, name: str) -> Namespace:
        made = Namespace(self, name)
        self._namespaces.append(made)
        return made

    def link(
        self,
        a: Namespace,
        b: Namespace,
        *,
        names: tuple[str, str] = ("eth0", "eth0"),
        a_addresses: Sequence[str] = (),
        b_addresses: Sequence[str] = (),
    ) -> None:
        """A veth pair between two namespaces, up, with addresses (`10.0.0.1/24`, `fd00::1/64`)."""
        peer = ("peer", "name", names[1], "netns", b.name)
        run("ip", "-n", a.name, "link", "add", names[0], "type", "veth", *peer)
        for side, name, addresses in ((a, names[0], a_addresses), (b, names[1], b_addresses)):
            for address in addresses:
                side.ip("addr", "add", address, "dev", name)
            side.ip("link", "set", name, "up")

    def bridge(self, name: str, left: Namespace, right: Namespace) -> Namespace:
        """A namespace that joins `left`'s and `right`'s eth0 with a bridge neither end can see."""
        middle = self.namespace(name)
        self.link(left, middle, names=("eth0", "left"))
        self.link(right, middle, names=("eth0", "right"))
        middle.ip("link", "add", "br0", "type", "bridge")
        for port in ("left", "right"):
            middle.ip("link", "set", port, "master", "br0")
        middle.ip("link", "set", "br0", "up")
        return middle

    def close(self) -> None:
        self._at_close.close()
        for process in self._processes:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
        for namespace in self._namespaces:
            _remove_namespace(namespace.name)
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    with contextlib.suppress(OSError):
                        stream.close()
        self._processes.clear()
        self._namespaces.clear()
        _remove_directory(self.directory)


def lose(bridge: Namespace, percent: int) -> None:
    """Loses `percent` of the TCP segments in each direction; ARP and neighbour discovery pass."""
    bridge.nft(
        "table bridge lossy { chain forward { type filter hook forward priority 0; "
        f"meta l4proto tcp numgen random mod 100 < {percent} counter drop; }}; }}"
    )


def lost(bridge: Namespace) -> int:
    """How many segments `lose` has dropped."""
    listing = json.loads(bridge.run("nft", "-j", "list", "table", "bridge", "lossy").stdout)
    for item in listing["nftables"]:
        for expression in item.get("rule", {}).get("expr", []):
            if "counter" in expression:
                return int(expression["counter"]["packets"])
    return 0


@contextlib.contextmanager
def lab() -> Iterator[Lab]:
    made = Lab()
    try:
        yield made
    finally:
        made.close()


def wait_for(fact: Callable[[], T], what: str, seconds: float = 120, pause: float = 0.02) -> T:
    """Polls `fact` until it is truthy; raises LabError, naming `what`, when it never is."""
    deadline = time.monotonic() + seconds
    while True:
        value = fact()
        if value:
            return value
        if time.monotonic() > deadline:
            raise LabError(f"not within {seconds} s: {what}")
        time.sleep(pause)
