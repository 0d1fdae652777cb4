"""Real daemons, each in a root of its own.

Law: a daemon is one `Daemon` value; it runs by its process id, never through systemd, in a mount namespace
whose root is an overlay of this host's. Whatever it writes goes to memory and is gone with it, so default
paths are as good as private ones, and packages that exclude each other (mail and FTP servers) are unpacked
into the overlay instead of being installed.

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

HERE = Path(__file__).resolve().parent
CACHE = Path("/var/cache/lzr-lab")
"""Packages that are unpacked rather than installed are kept here."""

DOMAIN = "lab.example.org"


@dataclass(frozen=True)
class Daemon:
    """One real server.

    name: unique; the test's id.
    label: the fingerprint it must get with its own handshake.
    script: shell that prepares and then becomes the daemon (`exec …`), in the foreground.
    handshake: its own handshake, what `lzr` is asked with; the label where empty.
    packages: Debian packages that bring it.
    unpack: packages unpacked for this daemon alone, since they conflict with others'.
    pip: PyPI packages its script imports, installed into a directory of their own.
    files: path -> text, put into its root before it starts.
    also: labels that are right as well (two protocols in one port).
    others: handshakes that aren't its own but name it too -> label.
    port: fixed where the daemon gives no choice; else the lab chooses.
    seconds: how long it may take until it listens.
    application: what its HTTP gives away about it.
    """

    name: str
    label: str
    script: str
    handshake: str = ""
    packages: tuple[str, ...] = ()
    unpack: tuple[str, ...] = ()
    pip: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    also: tuple[str, ...] = ()
    others: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    seconds: float = 30
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
    process: subprocess.Popen[bytes]
    log: Path
    trouble: str = ""

    @property
    def service(self) -> tuple[str, int]:
        return self.address, self.port


def install(daemons: Iterable[Daemon]) -> None:
    """Installs what is missing; in one go, or one by one where that fails so that the rest can run."""
    packages = sorted({package for daemon in daemons for package in daemon.packages})
    run(HERE / "apt-install", *packages, check=False, timeout=1200)


def unpacked(package: str) -> Path:
    """The files of a package, without installing it."""
    directory = CACHE / package
    if not directory.exists():
        fresh = CACHE / f"{package}.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        fetch = ("apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", package)
        if run(*fetch, cwd=fresh, check=False, timeout=300).returncode:
            run("apt-get", "-qq", "update", timeout=300)
            run(*fetch, cwd=fresh, timeout=300)
        for archive in fresh.glob("*.deb"):
            run("dpkg-deb", "-x", archive, fresh)
            archive.unlink()
        fresh.rename(directory)
    return directory


def pip_directory(packages: Sequence[str]) -> Path:
    """A directory with PyPI packages for one daemon's script."""
    directory = CACHE / "-".join(("pip", sys.implementation.cache_tag, *packages))
    if not directory.exists():
        fresh = directory.with_name(f"{directory.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        pip = (sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check")
        run(*pip, "--target", fresh, *packages, timeout=600)
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


# Run as `sh -c … sh DIRECTORY SCRIPT LAYER …`, in a mount namespace of its own. The layers are copied in
# rather than stacked: overlayfs refuses layers that lie within each other, and / holds them all.
_ENTER = """
set -eu
mount --make-rprivate /
over=$1/over root=$1/root start=$2
shift 2
mount -t tmpfs -o mode=755 tmpfs "$over"
mkdir "$over/upper" "$over/work"
mount -t overlay -o "lowerdir=/,upperdir=$over/upper,workdir=$over/work" overlay "$root"
for layer; do tar -C "$layer" -c . | tar -C "$root" -x --keep-directory-symlink; done
cd "$root"
mount --rbind /proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mkdir -p run/lock run/sshd
hostname lab.example.org
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
    DEBIAN_FRONTEND=noninteractive chroot . /bin/sh -eu "$start"
"""

_HOSTS = f"127.0.0.1 localhost\n::1 localhost\n@ADDRESS@ {DOMAIN} lab\n10.1.0.2 scanner.example.org scanner\n"


class Fleet:
    """Daemons running together in one namespace."""

    def __init__(self, lab: Lab, namespace: Namespace, address: str, *, seed: int = 0) -> None:
        self.lab = lab
        self.namespace = namespace
        self.address = address
        self.running: list[Running] = []
        rng = random.Random(seed)
        # Unexpected ports, neither customary ones nor the ephemeral range nor those printers use.
        self._ports = iter(rng.sample(range(10_000, 32_000), 2000))

    def start(self, daemon: Daemon, port: int = 0) -> Running:
        port = port or daemon.port or next(self._ports)
        directory = self.lab.directory / f"{daemon.name}-{self.namespace.short}-{port}"
        for part in ("layer", "over", "root"):
            (directory / part).mkdir(parents=True)
        layer = directory / "layer"
        credentials = layer / "lab"
        shutil.copytree(certificate(self.lab), credentials)
        words = {
            "@PORT@": str(port),
            "@ADDRESS@": self.address,
            "@CERT@": "/lab/cert.pem",
            "@KEY@": "/lab/key.pem",
            "@PEM@": "/lab/both.pem",
            "@DOMAIN@": DOMAIN,
            "@PYTHON@": "/usr/bin/python3" if not daemon.pip else str(Path(sys.executable).resolve()),
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
        layers = [*(unpacked(package) for package in daemon.unpack), layer]
        if daemon.pip:
            library = layer / "lab" / "pip"
            shutil.copytree(pip_directory(daemon.pip), library)
        log = directory / "log"
        with log.open("wb") as out:
            process = self.namespace.popen(
                *("unshare", "--mount", "--uts", "sh", "-c", _ENTER, "sh"),
                directory,
                "/lab/start",
                *layers,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        running = Running(daemon, self.address, port, process, log)
        self.running.append(running)
        return running

    def listening(self) -> set[int]:
        """The TCP ports that are listened on in the namespace."""
        found = set()
        for line in self.namespace.run("ss", "-Hltn").stdout.splitlines():
            found.add(int(line.split()[3].rpartition(":")[2]))
        return found

    def await_all(self) -> list[Running]:
        """Waits until each listens, or has had its time; returns those that never did, with why."""
        begun = time.monotonic()
        waiting = list(self.running)
        while waiting:
            open_ports = self.listening()
            left = []
            for one in waiting:
                if one.port in open_ports:
                    continue
                ended = one.process.poll()
                late = time.monotonic() - begun > one.daemon.seconds
                if ended is not None or late:
                    why = f"ended with {ended}" if ended is not None else "does not listen"
                    one.trouble = f"{one.daemon.name}: {why}\n{self.tail(one)}"
                else:
                    left.append(one)
            waiting = left
            if waiting:
                time.sleep(0.1)
        return [one for one in self.running if one.trouble]

    @staticmethod
    def tail(running: Running) -> str:
        return running.log.read_text(errors="replace")[-1500:]


def start_all(lab: Lab, namespace: Namespace, address: str, daemons: Sequence[Daemon]) -> Fleet:
    """Installs, starts and awaits daemons; those that fail carry their `trouble`."""
    install(daemons)
    fleet = Fleet(lab, namespace, address)
    for daemon in daemons:
        try:
            fleet.start(daemon)
        except LabError as error:
            raise LabError(f"{daemon.name}: {error}") from error
    fleet.await_all()
    return fleet


def describe(fleet: Fleet) -> str:
    """The fleet as JSON, for a person who wants to look."""
    return json.dumps(
        [{"name": one.daemon.name, "port": one.port, "trouble": one.trouble} for one in fleet.running],
        indent=1,
    )
