"""Real daemons, each in a root of its own.

A daemon is one `Daemon` value; it runs by its process id, never through systemd, in a mount namespace
whose root is an overlay of one that its packages were installed into (`tests.lab.roots`), with the users and
the files that these bring; nothing is installed on this host. Whatever a daemon writes goes to memory and is
gone with it, so default paths are as good as private ones. Packages that exclude each other (mail and FTP
servers) are installed into a layer of their own.

In scripts and files these words are replaced: @PORT@, @ADDRESS@ (where to listen), @CERT@ and @KEY@ (a
self-signed certificate, both in @PEM@).
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.net import Lab, LabError, Namespace, run
from tests.lab.roots import Root, cache_directory, lab_suite, root_with

HERE = Path(__file__).resolve().parent
DOMAIN = "lab.example.org"
BASE = ("python3", "procps", "iproute2")
"""What scripts of the lab use, whatever daemon they start."""
LISTENS_WITHIN = 120.0
"""Seconds: on a machine that has much else to do a database is long in the making."""


@dataclass(frozen=True)
class Daemon:
    """One real server.

    name: unique; the test's id.
    label: the fingerprint it must get with its own handshake.
    script: shell that prepares and then becomes the daemon (`exec …`), in the foreground.
    handshake: its own handshake, what `lzr` is asked with; the label where empty.
    packages: Debian packages that bring it; `a|b` is the first of both that the release has.
    apart: packages installed for this daemon alone, since they conflict with others'.
    releases: the Debian releases that have it; all where empty.
    pip: PyPI packages its script imports, installed into a directory of their own.
    files: path -> text, put into its root before it starts.
    also: labels that are right as well (two protocols in one port).
    others: handshakes that aren't its own but name it too -> label.
    port: fixed where the daemon gives no choice; else the lab chooses.
    seconds: how long it may take until it listens, on a machine that has much else to do.
    application: what its HTTP gives away about it.
    """

    name: str
    label: str
    script: str
    handshake: str = ""
    packages: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()
    pip: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    also: tuple[str, ...] = ()
    others: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    application: str = ""

    @property
    def own(self) -> str:
        return self.handshake or self.label

    @property
    def labels(self) -> frozenset[str]:
        return frozenset((self.label, *self.also))


@dataclass
class Running:
    """A daemon that has been started, and where."""

    daemon: Daemon
    address: str
    port: int
    process: subprocess.Popen[bytes] | None
    log: Path
    trouble: str = ""
    """Why it does not serve, with what it wrote."""

    @property
    def service(self) -> tuple[str, int]:
        return self.address, self.port


def offered(daemons: Iterable[Daemon]) -> tuple[Daemon, ...]:
    """Those that the lab's Debian release has."""
    try:
        suite = lab_suite()
    except LabError:
        suite = ""
    return tuple(daemon for daemon in daemons if not daemon.releases or suite in daemon.releases)


def install(daemons: Iterable[Daemon]) -> Root:
    """A root with what these daemons need; `trouble` names those whose packages could not be had."""
    groups: dict[str, tuple[str, ...]] = {daemon.name: daemon.packages for daemon in daemons}
    return root_with({"the lab itself": BASE, **groups})


def pip_directory(packages: Sequence[str], python: str) -> Path:
    """A directory with PyPI packages for one daemon's script, for that version of Python."""
    directory = cache_directory("lzr-lab") / "-".join(("pip", python, *packages))
    if not directory.exists():
        fresh = directory.with_name(f"{directory.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        pip = (sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check")
        wheels = ("--only-binary", ":all:", "--python-version", python, "--target", fresh)
        run(*pip, *wheels, *packages, timeout=600)
        fresh.rename(directory)
    return directory


def certificate(lab: Lab) -> Path:
    """A directory with a self-signed cert.pem and key.pem, and both in both.pem; made once for a lab."""
    directory = lab.directory / "certificate"
    if not directory.exists():
        directory.mkdir()
        key, cert = directory / "key.pem", directory / "cert.pem"
        request = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30")
        run(*request, "-subj", f"/CN={DOMAIN}", "-keyout", key, "-out", cert)
        (directory / "both.pem").write_text(key.read_text() + cert.read_text())
        for path in directory.iterdir():
            path.chmod(0o644)
    return directory


# Run as `sh -c … sh DIRECTORY SCRIPT LOWER`, in a mount namespace of its own.
_ENTER = """
set -eu
mount --make-rprivate /
over=$1/over root=$1/root layer=$1/layer start=$2 lower=$3
mount -t tmpfs -o mode=755 tmpfs "$over"
mkdir "$over/upper" "$over/work"
mount -t overlay -o "lowerdir=$lower,upperdir=$over/upper,workdir=$over/work" overlay "$root"
tar -C "$layer" -c . | tar -C "$root" -x --keep-directory-symlink
cd "$root"
mount --rbind /proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mkdir -p run/lock run/sshd
echo lab.example.org > /proc/sys/kernel/hostname
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
    DEBIAN_FRONTEND=noninteractive chroot . /bin/sh -eu "$start"
"""

_HOSTS = f"127.0.0.1 localhost\n::1 localhost\n@ADDRESS@ {DOMAIN} lab\n10.1.0.2 scanner.example.org scanner\n"


class Fleet:
    """Daemons running together in one namespace, in a root that has their packages."""

    def __init__(self, lab: Lab, namespace: Namespace, address: str, root: Root, *, seed: int = 0) -> None:
        self.lab = lab
        self.namespace = namespace
        self.address = address
        self.root = root
        self.running: list[Running] = []
        rng = random.Random(seed)
        # Unexpected ports, neither customary ones nor the ephemeral range nor those printers use.
        self._ports = iter(rng.sample(range(10_000, 32_000), 2000))

    def start(self, daemon: Daemon, port: int = 0) -> Running:
        """Starts a daemon; what keeps it from starting is in its `trouble`, and nobody else's."""
        port = port or daemon.port or next(self._ports)
        directory = self.lab.directory / f"{daemon.name}-{self.namespace.short}-{port}"
        running = Running(daemon, self.address, port, None, directory / "log")
        self.running.append(running)
        try:
            if daemon.name in self.root.trouble:
                raise LabError(self.root.trouble[daemon.name])
            self._launch(running, directory)
        except (LabError, OSError, subprocess.SubprocessError) as error:
            running.trouble = f"{daemon.name}: {error}"
        return running

    def _launch(self, running: Running, directory: Path) -> None:
        daemon = running.daemon
        lower = [self.root.path]
        if daemon.apart:
            lower.insert(0, self.root.apart(daemon.apart))
        for part in ("layer", "over", "root"):
            (directory / part).mkdir(parents=True)
        layer = directory / "layer"
        shutil.copytree(certificate(self.lab), layer / "lab")
        words = {
            "@PORT@": str(running.port),
            "@ADDRESS@": self.address,
            "@CERT@": "/lab/cert.pem",
            "@KEY@": "/lab/key.pem",
            "@PEM@": "/lab/both.pem",
            "@DOMAIN@": DOMAIN,
        }

        def filled(text: str) -> str:
            for word, value in words.items():
                text = text.replace(word, value)
            return text

        files = {
            "/etc/hosts": _HOSTS,
            "/etc/resolv.conf": "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
            "/etc/hostname": f"{DOMAIN}\n",
            "/etc/mailname": f"{DOMAIN}\n",
            "/lab/inetd.py": (HERE / "inetd.py").read_text(),
            "/lab/start": daemon.script,
            **daemon.files,
        }
        for path, text in files.items():
            target = layer / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(filled(text))
        if daemon.pip:
            shutil.copytree(pip_directory(daemon.pip, self.root.python), layer / "lab" / "pip")
        with running.log.open("wb") as out:
            running.process = self.namespace.popen(
                *("unshare", "--mount", "--uts", "sh", "-c", _ENTER, "sh"),
                directory,
                "/lab/start",
                ":".join(map(str, lower)),
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def listening(self) -> set[int]:
        """The TCP ports that are listened on in the namespace."""
        found = set()
        for line in self.namespace.run("ss", "-Hltn").stdout.splitlines():
            found.add(int(line.split()[3].rpartition(":")[2]))
        return found

    def await_all(self) -> list[Running]:
        """Waits until each listens, or has had its time; returns those that never did, with why."""
        begun = time.monotonic()
        waiting = [one for one in self.running if one.process and not one.trouble]
        while waiting:
            open_ports = self.listening()
            left = []
            for one in waiting:
                if one.port in open_ports or one.process is None:
                    continue
                ended = one.process.poll()
                late = time.monotonic() - begun > LISTENS_WITHIN
                if ended is not None or late:
                    why = f"ended with status {ended}" if ended is not None else "does not listen"
                    one.trouble = f"{one.daemon.name}: {why}; it wrote:\n{self.wrote(one)}"
                else:
                    left.append(one)
            waiting = left
            if waiting:
                time.sleep(0.1)
        return [one for one in self.running if one.trouble]

    @staticmethod
    def wrote(running: Running, most: int = 20_000) -> str:
        """What a daemon wrote, whole; of a very long log the beginning and the end."""
        text = running.log.read_text(errors="replace") if running.log.exists() else ""
        half = most // 2
        return text if len(text) <= most else f"{text[:half]}\n[…]\n{text[-half:]}"


def start_all(lab: Lab, namespace: Namespace, address: str, daemons: Sequence[Daemon]) -> Fleet:
    """Installs, starts and awaits daemons; those that fail carry their `trouble`."""
    fleet = Fleet(lab, namespace, address, install(daemons))
    for daemon in daemons:
        fleet.start(daemon)
    fleet.await_all()
    return fleet


def describe(fleet: Fleet) -> str:
    """The fleet as JSON, for a person who wants to look."""
    return json.dumps(
        [{"name": one.daemon.name, "port": one.port, "trouble": one.trouble} for one in fleet.running],
        indent=1,
    )
