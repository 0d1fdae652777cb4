"""Root directories made of Debian packages, so that nothing has to be installed on this host.

A root is built beside its final name and renamed when it is whole; after that nobody writes into it.
What runs inside a root runs in mount, process and host-name namespaces of its own, so whatever a package
starts or mounts ends with the command. Packages come from where this host's own apt gets its own.

Only the standard library, and Python 3.11: `make fresh` runs this before there is a virtual environment.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.net import LabError, run

FORMAT = "1"
"""Part of every root's name: changed when roots have to be built otherwise."""

MIRROR = "http://deb.debian.org/debian"
UNUSED_DAYS = 30
_INSTALL = ("apt-get", "install", "-y", "-qq", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0")
_SECONDS = 1800


def cache_directory(name: str) -> Path:
    """Where roots are kept between runs; outside every checkout."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "/var/cache") / name


def host_suite() -> str:
    """The Debian release of this host, as apt calls it ("bookworm")."""
    with contextlib.suppress(OSError):
        for line in Path("/etc/os-release").read_text().splitlines():
            name, _, value = line.partition("=")
            if name == "VERSION_CODENAME":
                return value.strip("\"'")
    raise LabError("the lab's daemons are Debian's, and /etc/os-release names no Debian release")


def lab_suite() -> str:
    """The Debian release that the lab's daemons come from: this host's, or what LZR_LAB_SUITE says."""
    return os.environ.get("LZR_LAB_SUITE") or host_suite()


def source_lines(suite: str) -> list[str]:
    """sources.list of a release, from the mirrors of this host's own."""
    asked = ("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT) $(LABEL)")
    rows = [line.split() for line in run(*asked, "Created-By: Packages").stdout.splitlines()]
    return sources_from(rows, host_suite(), suite)


def sources_from(rows: Sequence[Sequence[str]], own: str, suite: str) -> list[str]:
    """sources.list lines of `suite`, from a host's (mirror, release, component, label)s.

    own: the host's release. Other people's repositories are left out: by the label where apt knows it, else
    because the first that has the release is taken. Without any, Debian's own mirror.
    """
    mirrors: dict[str, str] = {}
    for mirror, release, component, *label in rows:
        for kind in ("", "-updates", "-security"):
            ours = release in {name + kind for name in (own, "stable", "oldstable", "testing")}
            debian = not label or label[0].startswith(("Debian", "$"))
            if ours and debian and component == "main" and mirror.startswith("http"):
                mirrors.setdefault(kind, mirror.rstrip("/"))
    mirrors.setdefault("", MIRROR)
    return [f"deb {mirror} {suite}{kind} main" for kind, mirror in sorted(mirrors.items())]


def apt_settings() -> str:
    """What this host's apt says about reaching its mirrors (proxies, clocks), as an apt.conf."""
    wanted = ("http::", "https::", "Check-", "Retries", "ForceIPv")
    dump = run("apt-config", "dump", "Acquire").stdout.splitlines()
    kept = [line for line in dump if line.removeprefix("Acquire::").startswith(wanted)]
    return "\n".join([*kept, 'Acquire::Languages "none";', 'Acquire::Retries "3";', ""])


# Run as `sh -c … sh ROOT ARCHIVES COMMAND …`, in namespaces of its own.
_INSIDE = """
set -eu
root=$1 archives=$2
shift 2
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mkdir -p "$root/run/lock"
# Some packages want to know the full name of the machine.
echo lab.example.org > /proc/sys/kernel/hostname
printf '127.0.0.1 localhost\n127.0.1.1 lab.example.org lab\n' > "$root/etc/hosts"
[ -z "$archives" ] || mount --bind "$archives" "$root/var/cache/apt/archives"
cd "$root"
exec chroot . "$@"
"""
_ALONE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc")
_CLEAN = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}


def archives() -> str:
    """Where what apt downloads is kept, the empty string where it is not kept."""
    return os.environ.get("LZR_LAB_ARCHIVES", "")


def _environment() -> dict[str, str]:
    return {**_CLEAN, **{key: value for key, value in os.environ.items() if "proxy" in key.lower()}}


def inside(
    root: Path, *argv: str | Path, check: bool = True, timeout: float = _SECONDS
) -> subprocess.CompletedProcess[str]:
    """A command in a root, with this host's network and nothing else of it but /dev."""
    shutil.copyfile("/etc/resolv.conf", root / "etc/resolv.conf")
    words = (*_ALONE, "sh", "-c", _INSIDE, "sh", root, archives(), *argv)
    done = run(*words, check=False, timeout=timeout, env=_environment())
    if check and done.returncode:
        raise LabError(_said(argv, done))
    return done


def _said(argv: Sequence[str | Path], done: subprocess.CompletedProcess[str]) -> str:
    return f"{' '.join(map(str, argv))}: exit {done.returncode}\n{done.stdout}{done.stderr}".strip()


def bootstrap(target: Path, suite: str) -> None:
    """A bare Debian at `target`, which does not exist: what is essential, and apt.

    Raises LabError with what mmdebstrap said.
    """
    settings = target.with_name(f"{target.name}.conf")
    settings.write_text(apt_settings())
    lines = source_lines(suite)
    more = ["--include=ca-certificates"] if any("https:" in line for line in lines) else []
    try:
        run(
            *(*_ALONE, "--mount-proc", "mmdebstrap", "--quiet", "--mode=root", "--variant=minbase"),
            *("--dpkgopt=force-unsafe-io", f"--aptopt={settings}", *more, suite, target, "-"),
            input="\n".join(lines) + "\n",
            timeout=_SECONDS,
            env=_environment(),
        )
    except (LabError, subprocess.TimeoutExpired, FileNotFoundError) as error:
        with contextlib.suppress(OSError):
            shutil.rmtree(target)
        raise LabError(f"a bare {suite} could not be made: {error}") from error
    finally:
        settings.unlink(missing_ok=True)


def add(root: Path, groups: Mapping[str, Collection[str]]) -> dict[str, str]:
    """Installs packages; all at once, or group by group where that fails.

    groups: a name -> packages that only make sense together; `a|b` is the first that the release has.
    Returns name -> why, for the groups that could not be installed.
    """
    inside(root, "apt-get", "update", "-qq")
    known = set(inside(root, "apt-cache", "pkgnames").stdout.split())
    named = {
        name: [next((word for word in package.split("|") if word in known), package) for package in packages]
        for name, packages in groups.items()
    }
    wanted = sorted({package for packages in named.values() for package in packages})
    if not wanted or inside(root, *_INSTALL, "--no-remove", *wanted, check=False).returncode == 0:
        return {}
    trouble = {}
    for name, packages in named.items():
        command = (*_INSTALL, "--no-remove", *packages)
        done = inside(root, *command, check=False)
        if done.returncode:
            trouble[name] = _said(command, done)
    return trouble


# Run as `sh -c … sh ROOT ARCHIVES SCRATCH TARGET COMMAND …`. The upper layer is in memory, since one that
# lies on an overlay itself (a container, a live system) is refused. What was removed is left out: it is there
# as devices 0:0.
_DIFFERENCE = """
set -eu
root=$1 archives=$2 scratch=$3 target=$4
shift 4
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$scratch"
mkdir "$scratch/upper" "$scratch/work" "$scratch/root"
mount -t overlay -o "lowerdir=$root,upperdir=$scratch/upper,workdir=$scratch/work" overlay "$scratch/root"
unshare --mount sh -c "$INSIDE" sh "$scratch/root" "$archives" "$@"
umount -l "$scratch/root"
cd "$scratch/upper"
find . -type c -delete
rm -rf ./var/cache/apt ./var/lib/apt/lists
cp -a . "$target"
"""


@dataclass
class Root:
    """A root with packages installed, and layers of packages that would exclude each other in it."""

    path: Path
    trouble: dict[str, str] = field(default_factory=dict)
    """Group -> why its packages are not in here."""

    def apart(self, packages: Sequence[str]) -> Path:
        """What installing these packages adds to the root, as a directory to be laid over it.

        Raises LabError with what apt said.
        """
        layer = self.path.with_name(f"{self.path.name}+{'+'.join(packages)}")
        if layer.is_dir():
            return layer
        with _building(self.path.parent):
            if not layer.is_dir():
                fresh, scratch = layer.with_name(f"{layer.name}.new"), layer.with_name(f"{layer.name}.tmp")
                for directory in (fresh, scratch):
                    shutil.rmtree(directory, ignore_errors=True)
                    directory.mkdir()
                shutil.copyfile("/etc/resolv.conf", self.path / "etc/resolv.conf")
                words = (*_ALONE, "sh", "-c", _DIFFERENCE, "sh", self.path, archives(), scratch, fresh)
                command = (*_INSTALL, *packages)
                environment = {**_environment(), "INSIDE": _INSIDE}
                try:
                    done = run(*words, *command, check=False, timeout=_SECONDS, env=environment)
                    if done.returncode:
                        raise LabError(_said(command, done))
                    fresh.rename(layer)
                finally:
                    shutil.rmtree(fresh, ignore_errors=True)
                    scratch.rmdir()
        return layer

    @property
    def python(self) -> str:
        """The version of its python3 ("3.13")."""
        return os.readlink(self.path / "usr/bin/python3").removeprefix("python")


@contextlib.contextmanager
def _building(cache: Path) -> Iterator[None]:
    """One builder at a time."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "building").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


_held: dict[Path, int] = {}


def _hold(path: Path) -> None:
    """Keeps a root from being removed for as long as this process lives."""
    if path not in _held:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(handle, fcntl.LOCK_SH)
        os.utime(f"{path}.lock")
        _held[path] = handle


def remove_unused(cache: Path, days: float = UNUSED_DAYS) -> list[Path]:
    """Removes roots that nobody has used for so long, and that nobody uses now; their locks stay."""
    gone = []
    for lock in cache.glob("*.lock"):
        root = lock.with_suffix("")
        if root in _held or time.time() - lock.stat().st_mtime < days * 86400:
            continue
        with lock.open("r+") as handle, contextlib.suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for path in (*cache.glob(f"{root.name}+*"), *cache.glob(f"{root.name}.new"), root):
                if path.is_dir():
                    shutil.rmtree(path)
                    gone.append(path)
            root.with_name(f"{root.name}.json").unlink(missing_ok=True)
    return gone


def root_with(groups: Mapping[str, Collection[str]], cache: Path | None = None) -> Root:
    """A root of the lab's release with all these packages: one that has been made, or a new one.

    Building one takes a minute and more. Raises LabError when not even a bare one can be made; groups of
    packages that cannot be installed are in its `trouble`, and are tried again the next time.
    """
    cache = cache or cache_directory("lzr-lab")
    suite = lab_suite()
    wanted = {package for packages in groups.values() for package in packages}
    for note in sorted(cache.glob(f"{suite}-{FORMAT}-*.json")):
        path = note.with_suffix("")
        known = json.loads(note.read_text())
        if wanted <= set(known["packages"]) and not known["trouble"]:
            _hold(path)
            if path.is_dir():  # and not removed just now
                return Root(path)
    digest = hashlib.sha256(" ".join(sorted(wanted)).encode()).hexdigest()[:12]
    path = cache / f"{suite}-{FORMAT}-{digest}"
    note = path.with_name(f"{path.name}.json")
    _hold(path)
    with _building(cache):
        if note.exists() and not json.loads(note.read_text())["trouble"]:
            return Root(path)  # somebody else has made it meanwhile
        if path.is_dir():
            trouble = add(path, groups)
        else:
            remove_unused(cache)
            fresh = path.with_name(f"{path.name}.new")
            shutil.rmtree(fresh, ignore_errors=True)
            bootstrap(fresh, suite)
            # A package's service is never started, whatever its scripts think runs here.
            policy = fresh / "usr/sbin/policy-rc.d"
            policy.write_text("#!/bin/sh\nexit 101\n")
            policy.chmod(0o755)
            trouble = add(fresh, groups)
            if not archives():
                inside(fresh, "apt-get", "clean")
            fresh.rename(path)
        note.write_text(json.dumps({"packages": sorted(wanted), "trouble": trouble}))
    return Root(path, trouble)
