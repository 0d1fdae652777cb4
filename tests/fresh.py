"""`make fresh`: what the README promises, done on a bare Debian: clone, `make demo`, `make test`.

The host is not touched. A run works on a copy of a bare root, in mount, process, host-name and IPC
namespaces of its own, and everything ends with it: processes and mounts with their namespaces, the copy by
this program, or, where this program was killed, by the next run. Kept between runs, outside the checkout, are
the bare roots (a week) and what apt and pip have downloaded.

The root is pivoted into, not only chrooted: `ip netns exec` wants the root to be a mount point. Only the
standard library: this runs with the system's Python.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import IO

from tests.lab.net import LabError, owner_lives, run, start_time
from tests.lab.roots import FORMAT, bootstrap, cache_directory, source_lines

REPOSITORY = Path(__file__).resolve().parents[1]
CACHE = cache_directory("lzr-fresh")
SUITES = ("bookworm", "trixie")
BEFORE = "apt-get update && apt-get install -y make git ca-certificates"
"""The README's line for what a bare Debian lacks; tests hold the two together."""
QUICK = (
    *("tests/system/test_e2e_daemons.py", "tests/system/test_installed_private.py"),
    *("tests/system/test_fleet_rights.py", "tests/system/test_fleet_ssh.py"),
)
"""What the quick form runs of the tests, beside the demo."""
TOOK = "fresh: what it took"
"""The line before the report."""
LATER = {"trixie": "forky"}
"""A release -> a later one whose ZMap 4 installs on it as it is."""
WEEK = 7 * 86400
DAEMONS_SECONDS = 1800
TESTS_SECONDS = 5400

# Run as `sh -c … sh ROOT COMMAND BIND …` in namespaces of its own; a BIND is HOST:INSIDE[:ro].
_ENTER = r"""
set -eu
root=$1 command=$2
shift 2
mount --make-rprivate /
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
mount --rbind /sys sys
mount -t tmpfs -o mode=755 tmpfs dev
for node in null zero full random urandom tty net/tun; do
    [ -e "/dev/$node" ] || continue
    mkdir -p "$(dirname "dev/$node")"
    : > "dev/$node"
    mount --bind "/dev/$node" "dev/$node"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for number in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${number%:*}" "dev/${number#*:}"; done
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs dev/shm
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs run
mkdir -m 1777 run/lock
# As Debian has it: in memory since 13.
. etc/os-release
[ "${VERSION_ID:-99}" -lt 13 ] || mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs tmp
for bind; do
    from=${bind%%:*} to=${bind#*:}
    only=${to##*:}
    to=${to%:ro}
    if [ -d "$from" ]; then mkdir -p ".$to"; else mkdir -p "$(dirname ".$to")"; : >> ".$to"; fi
    mount --bind "$from" ".$to"
    [ "$only" != ro ] || mount -o remount,bind,ro ".$to"
done
echo fresh > /proc/sys/kernel/hostname
mkdir .host
pivot_root . .host
cd /
umount -l /.host
rmdir /.host
# The shell stays as process 1, and reaps what has lost its parent.
status=0
sh -c "$command" || status=$?
for process in /proc/[0-9]*; do
    [ "$process" != /proc/1 ] || continue
    words=$(tr '\0' ' ' 2> /dev/null < "$process/cmdline" | head -c 200) || continue
    [ -z "$words" ] || { echo "fresh: left running: $words" >&2; [ $status != 0 ] || status=1; }
done
exit $status
"""


def bare(suite: str) -> Path:
    """The bare root of a release; built when there is none, or it is a week old, or sources changed."""
    digest = hashlib.sha256("\n".join([FORMAT, *source_lines(suite)]).encode()).hexdigest()[:12]
    root = CACHE / f"{suite}-{digest}"
    if not root.is_dir() or time.time() - root.stat().st_mtime > WEEK:
        say(f"{suite}: building a bare root")
        for old in (*CACHE.glob(f"{suite}-*.new"), *CACHE.glob(f"{suite}-*")):
            remove(old)
        bootstrap(root.with_name(f"{root.name}.new"), suite)
        root.with_name(f"{root.name}.new").rename(root)
        os.utime(root)
    return root


def remove(directory: Path) -> None:
    run("rm", "-rf", "--one-file-system", directory, check=False, timeout=600)


@contextlib.contextmanager
def copy_of(suite: str, *, keep: bool) -> Iterator[Path]:
    """A copy of the bare root to work in, removed afterwards; one run of a release at a time."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{suite}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in CACHE.glob(f"run-*-{suite}"):
            if not owner_lives(left.name):
                remove(left)
        root = bare(suite)
        copy = CACHE / f"run-{os.getpid()}-{start_time(os.getpid())}-{suite}"
        try:
            run("cp", "-a", "--reflink=auto", root, copy, timeout=600)
            yield copy
        finally:
            if keep:
                kept = CACHE / f"kept-{suite}"
                remove(kept)
                copy.rename(kept)
                say(f"{suite}: left in {kept}")
            else:
                remove(copy)


def clone(copy: Path) -> None:
    """A clone of HEAD in root's home, which only root may enter."""
    home = copy / "root"
    home.chmod(0o700)
    run("git", "clone", "--quiet", "--no-hardlinks", REPOSITORY, home / "lzr", timeout=300)


def settings(copy: Path) -> tuple[dict[str, str], list[str]]:
    """How this host reaches PyPI, for a root: environment, and what has to be bound into it.

    pip's own files and certificates of this host's administrator are copied.
    """
    words = ("PIP_", "SSL_CERT", "REQUESTS_CA")
    env = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(words) or name.lower().endswith("_proxy")
    }
    texts = [*env.values()]
    home = Path.home()
    for path in (Path("/etc/pip.conf"), home / ".pip/pip.conf", home / ".config/pip/pip.conf"):
        if path.is_file():
            inside = (
                Path("root") / path.relative_to(home) if path.is_relative_to(home) else Path("etc/pip.conf")
            )
            (copy / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy / inside)
            texts.append(path.read_text())
    own = Path("/usr/local/share/ca-certificates")
    if own.is_dir():
        shutil.copytree(own, copy / own.relative_to("/"), dirs_exist_ok=True)
    # Directories with wheels; an index in a directory names files beside itself. Certificates come with
    # Debian's package, and the ones above.
    named = {found for text in texts for found in re.findall(r"(?:^|[\s,=])(/[^\s,:]+)", text)}
    named |= {
        os.path.dirname(found)
        for text in texts
        for found in re.findall(r"file://(/[^\s,]+?)/?(?:[\s,]|$)", text)
    }
    kept = [
        path for path in sorted(named) if os.path.isdir(path) and not f"{path}/".startswith(("/etc/", "//"))
    ]
    binds = [f"{path}:{path}:ro" for path in kept]
    return env, binds


def execute(copy: Path, suite: str, command: str, seconds: float) -> int:
    """Runs a command line in the copy, its output to ours; the exit status, 124 after `seconds`."""
    env, binds = settings(copy)
    for name, inside in ((f"archives-{suite}", "/var/cache/apt/archives"), ("pip", "/root/.cache/pip")):
        (CACHE / name).mkdir(exist_ok=True)
        binds.append(f"{CACHE / name}:{inside}")
    env |= {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "TERM": os.environ.get("TERM", "dumb"),
        "DEBIAN_FRONTEND": "noninteractive",
        "CI": "true",  # a test that cannot run there has failed
        "LZR_LAB_ARCHIVES": "/var/cache/apt/archives",
    }
    # It ends with us, and all that it started with it.
    alone = ("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child")
    words = (*alone, "--uts", "--ipc", "sh", "-c", _ENTER, "sh", str(copy), command, *binds)
    process = subprocess.Popen(words, env=env, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        say(f"{suite}: not within {seconds:.0f} s: {command}")
        return 124
    finally:
        process.kill()
        process.wait()


def newer_zmap(suite: str) -> str:
    """A command line that installs ZMap 4 from a later Debian, where this release can take it; else empty.

    Debian 12 and 13 both have 2.1.1, and people have either.
    """
    later = LATER.get(suite)
    if not later:
        return ""
    mirror = source_lines(suite)[0].split()[1]
    pin = f"Package: *\\nPin: release n={later}\\nPin-Priority: 1\\n"
    return (
        f"echo deb {mirror} {later} main > /etc/apt/sources.list.d/later.list && "
        f"printf '{pin}' > /etc/apt/preferences.d/later && apt-get update && "
        "newest=$(apt-cache madison zmap | cut -d '|' -f 2 | tr -d ' ' | sort -V | tail -n 1) && "
        "apt-get install -y zmap=$newest && "
        "zmap --version 2>&1 | grep 'zmap v4'"
    )


def steps(suite: str, quick: bool, command: str) -> list[tuple[str, str, float]]:
    """(name, command line, seconds): what the README says, with both ZMaps where there are two."""
    found = [("before", BEFORE, 900.0)]
    if command:
        return [*found, ("command", f"cd /root/lzr && {command}", TESTS_SECONDS)]
    demo = "cd /root/lzr && make demo"
    found.append(("demo", demo, DAEMONS_SECONDS))
    zmap = newer_zmap(suite)
    if zmap:
        found += [("ZMap 4", zmap, 900), ("demo", demo, DAEMONS_SECONDS)]
    if quick:
        words = shlex.quote(f"ARGS={' '.join(QUICK)}")
        return [*found, ("test, quick", f"cd /root/lzr && make test {words}", DAEMONS_SECONDS)]
    return [*found, ("test", "cd /root/lzr && make test", TESTS_SECONDS)]


def say(text: str) -> None:
    print(f"fresh: {text}", flush=True)


def one_suite(suite: str, quick: bool, command: str, keep: bool) -> tuple[list[str], int]:
    """Does the steps of one release: a line of report for each, and the first status that is not 0."""
    report: list[str] = []
    worst = 0
    with copy_of(suite, keep=keep) as copy:
        clone(copy)
        for name, line, seconds in steps(suite, quick, command):
            say(f"{suite}: {line}")
            begun = time.monotonic()
            status = execute(copy, suite, line, seconds)
            worst = worst or status
            took = f"{time.monotonic() - begun:.0f} s"
            report.append(f"{suite:<10} {name:<12} {took:>7}  {f'FAILED ({status})' if status else 'ok'}")
            if status and name == "before":
                break
    return report, worst


def side_by_side(suites: Sequence[str], program: Sequence[str]) -> tuple[list[str], int]:
    """Each release in a process of its own, at the same time; every line they print bears its release.

    program: what does one release, named as its last word, and prints TOOK and a report at its end. Returns
    the reports, release by release, and the first status that is not 0. Whatever ends this, they end with it,
    and remove their copies.
    """
    reports: dict[str, list[str]] = {suite: [] for suite in suites}

    def pass_on(suite: str, lines: IO[str]) -> None:
        seen = False
        with lines:
            for line in lines:
                seen = seen or line == f"{TOOK}\n"
                if not seen:
                    print(f"{suite}: {line}", end="", flush=True)
                elif line != f"{TOOK}\n":
                    reports[suite].append(line.rstrip("\n"))

    running: list[tuple[subprocess.Popen[str], threading.Thread]] = []
    try:
        for suite in suites:
            process = subprocess.Popen(
                ("setpriv", "--pdeathsig", "TERM", *program, suite),
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,  # ^C is for this process, which tells the others
            )
            assert process.stdout
            reader = threading.Thread(target=pass_on, args=(suite, process.stdout))
            reader.start()
            running.append((process, reader))
        statuses = [process.wait() for process, _ in running]
    finally:
        for process, _ in running:
            process.terminate()
        for process, reader in running:
            process.wait()
            reader.join()
    for suite, status in zip(suites, statuses, strict=True):
        if not reports[suite]:
            reports[suite].append(f"{suite:<10} FAILED ({status})")
    return [line for suite in suites for line in reports[suite]], next(filter(None, statuses), 0)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.fresh", description=__doc__.splitlines()[0])
    parser.add_argument("suites", nargs="*", default=SUITES, help="Debian releases (bookworm trixie)")
    parser.add_argument(
        "--quick", action="store_true", help="few of the tests, and the releases side by side"
    )
    parser.add_argument("--run", default="", metavar="COMMAND", help="this instead of demo and tests")
    parser.add_argument("--keep", action="store_true", help="leave the root as it is at the end")
    words = parser.parse_args()
    if os.geteuid():
        say("needs root (namespaces, chroot)")
        return 2

    def interrupted(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    suites = list(dict.fromkeys(words.suites or SUITES))
    report: list[str] = []
    worst = 0
    try:
        # The whole of the tests runs two at a time already.
        if words.quick and len(suites) > 1:
            more = (*(("--run", words.run) if words.run else ()), *(("--keep",) if words.keep else ()))
            report, worst = side_by_side(suites, (sys.executable, "-m", "tests.fresh", "--quick", *more))
        else:
            if run("git", "-C", REPOSITORY, "status", "--porcelain", check=False).stdout:
                say("what is not committed is not in the clone")
            for suite in suites:
                lines, status = one_suite(suite, words.quick, words.run, words.keep)
                report += lines
                worst = worst or status
    except (LabError, OSError, subprocess.SubprocessError) as error:
        say(str(error))
        return 2
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    print("\n".join([TOOK, *report]), flush=True)
    return 1 if worst else 0


if __name__ == "__main__":
    sys.exit(main())
