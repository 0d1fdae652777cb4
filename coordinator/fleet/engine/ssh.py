"""``lzr fleet up|down PLAN``: starts and ends the workers on all boxes through ssh, all boxes at once.

What a box needs is sent with the command: the lock, its certificate, and that of the controllers' authority.
Only lzr has to be installed there before, and no password is asked for.
"""

from __future__ import annotations

import argparse
import io
import shlex
import subprocess
import tarfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from coordinator.commandline import running
from coordinator.fleet import certs, lockfile
from coordinator.fleet.engine import remote
from lzr import safetext
from lzr.errors import UsageError, printable, two_dashes
from lzr.exitstatus import FAILED, OK
from lzr.fleet.lock import Lock
from lzr.fleet.plan import Box

TIMEOUT = 60.0
AT_ONCE = 32
SSH = "ssh -o BatchMode=yes -o ConnectTimeout=10"
_FLAGS = ("box", "certs", "ssh", "remote-lzr", "allow-root", "help")


def up(argv: list[str]) -> int:
    """0 a worker runs on every box, 1 not on each, 2 a mistake."""
    return running.ended("fleet up", partial(_run, "fleet up", argv, _up))


def down(argv: list[str]) -> int:
    """0 no worker runs on any, 1 not so on each, 2 a mistake."""
    return running.ended("fleet down", partial(_run, "fleet down", argv, _down))


def _run(name: str, argv: list[str], do: Callable[[Lock, Box, argparse.Namespace], str]) -> int:
    asked = _parser(name).parse_args(two_dashes(argv, _FLAGS))
    lock = lockfile.read(asked.plan)
    boxes = [lock.plan.box(one) for one in asked.box] if asked.box else list(lock.plan.boxes)
    asked.ssh, asked.remote_lzr = _words("--ssh", asked.ssh), _words("--remote-lzr", asked.remote_lzr)
    asked.certs = asked.certs or certs.beside(asked.plan)
    if do is _up:
        certs.load(asked.certs, certs.CONTROLLER)

    def one(box: Box) -> tuple[bool, str]:
        try:
            return True, do(lock, box, asked)
        except UsageError as error:
            return False, str(error)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(one, boxes))
    for box, (good, sentence) in zip(boxes, found, strict=True):
        if good:
            print(safetext.line(f"{box.name}: {sentence}"))
        else:
            running.say(name, f"{box.name}: {sentence}")
    return OK if all(good for good, _ in found) else FAILED


def _words(flag: str, text: str) -> list[str]:
    """A command line as a shell splits it. Raises UsageError."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"{flag}: {printable(text)} is no command: {str(error).lower()}") from None
    if not words:
        raise UsageError(f"{flag} needs a command")
    return words


def _up(lock: Lock, box: Box, asked: argparse.Namespace) -> str:
    words = ["--detach", *(["--allow-root"] if asked.allow_root else [])]
    return _there(box, asked, _with_luggage(lock, box, asked, words), _luggage(lock, box, asked.certs))


def _down(lock: Lock, box: Box, asked: argparse.Namespace) -> str:
    """The lock goes with it: a worker that was started by the plan as it was before ends too."""
    return _there(box, asked, _with_luggage(lock, box, asked, ["--stop"]), _luggage(lock, box, None))


def _with_luggage(lock: Lock, box: Box, asked: argparse.Namespace, words: Sequence[str]) -> str:
    """The command line on a box that unpacks what comes with it, and does that beside it."""
    directory = _directory(lock, box)
    here = f"umask 077 && mkdir -p {directory} && cd {directory} && tar -xf -"
    return f"{here} && {_worker(asked, box, words)}"


def _directory(lock: Lock, box: Box) -> str:
    """A worker's directory, in the home of the ssh user; it has no character that a shell interprets."""
    return f".local/state/lzr/worker/{lock.id}/{box.name}"


def _worker(asked: argparse.Namespace, box: Box, words: Sequence[str]) -> str:
    command = [*asked.remote_lzr, "fleet", "worker", "plan.lock.json", "--box", box.name, *words]
    return f"exec {shlex.join(command)}"


def _luggage(lock: Lock, box: Box, directory: str | None) -> bytes:
    """A tar archive of what a worker needs. directory: of certificates; None: no such. Raises UsageError."""
    files = {"plan.lock.json": lock.to_json()}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        if directory is not None:
            for name in (certs.CONTROLLERS, box.name):
                files[f"certs/{name}.pem"] = certs.pem(directory, name)
            folder = tarfile.TarInfo("certs")
            folder.type, folder.mode = tarfile.DIRTYPE, 0o700
            archive.addfile(folder)
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o600
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def _there(box: Box, asked: argparse.Namespace, command: str, stdin: bytes) -> str:
    """The last line that a command on a box prints. Raises UsageError with its last complaint."""
    words = [*asked.ssh, "--", box.address, command]
    try:
        status, out, wrong = remote.run(words, stdin, TIMEOUT)
    except subprocess.TimeoutExpired:
        raise UsageError(f"ssh to {box.address} has not ended within {TIMEOUT:.0f} s") from None
    except OSError as error:
        raise UsageError(f"{words[0]} cannot be run: {error.strerror}") from error
    lines = (wrong if status else out).decode("utf-8", "replace").splitlines()
    last = next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")
    if status:
        raise UsageError(last or f"the command on it ended with status {status}")
    return last


def _parser(name: str) -> running.Parser:
    starts = name.endswith("up")
    parser = running.Parser(
        prog=f"lzr {name}",
        description="Start a worker on every box of a plan, through ssh to its address, with what it needs; "
        "one that runs already is left alone."
        if starts
        else "End the workers that lzr fleet up has started. Scans go on.",
        allow_abbrev=False,
    )
    parser.add_argument("plan", metavar="PLAN", help="the plan, settled by lzr fleet check")
    parser.add_argument("--box", action="append", metavar="NAME", help="this box, not all; may be repeated")
    parser.add_argument(
        "--certs", metavar="DIR", help="where the certificates are (default: certs beside the plan)"
    )
    parser.add_argument("--ssh", default=SSH, metavar="COMMAND", help=f"how to reach them (default: {SSH})")
    parser.add_argument(
        "--remote-lzr",
        default="lzr",
        metavar="COMMAND",
        help="lzr on a box, as in 'sudo -n lzr' (default: lzr)",
    )
    if starts:
        parser.add_argument("--allow-root", action="store_true", help="the workers may run as root")
    else:
        parser.set_defaults(allow_root=False)
    return parser
