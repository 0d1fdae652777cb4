"""The scan of one run, as a process of its own: its command line, how it is started, and how it has ended.

It outlives its starter: it has a session of its own, no descriptor but the lock of its checkpoint, and prints
everything into the run's log. The lock is handed down, so that nobody can come in between the decision and
the scan.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, NamedTuple

from coordinator.checkpoint.checkpoint import HANDED, load
from coordinator.checkpoint.saved import Saved
from coordinator.doctor import facts
from coordinator.files.opening import open_written
from coordinator.fleet import leasefile, lockfile, zmapstate
from coordinator.fleet.rundirectory import RunDirectory
from lzr import __version__
from lzr.analysis.metadata import section
from lzr.errors import UsageError, printable
from lzr.exitstatus import FAILED, LOST, MISTAKE, OK
from lzr.fleet import distribution, lease, rates
from lzr.fleet.lock import Lock, Run
from lzr.fleet.plan import Plan

_MOST_METADATA = 64 << 20
_TAIL = 4096
LEAST_ROOM = 32 << 20
"""Bytes that must be free where a scan is begun or resumed; preflight asks for more."""
_FOREIGN = ("SUDO_", "DOAS_", "PKEXEC_", "LZR_GUARD", HANDED)
"""Environment variables that would make files belong to who called sudo or its like; a fleet's files belong
to the user that scans."""


@dataclass(frozen=True)
class Outcome:
    """How a run stands.

    state: done, interrupted, failed or running. status: for the shell, 0 or 3 where it is done. records: in
    its results. inputs: those that have their fate, other boxes' included.
    """

    state: str
    status: int
    sentence: str
    records: int
    inputs: int


class _Ended(NamedTuple):
    """How a run's last scan has ended. unfinished: something is left to do. lost: results are. blocked: how
    many targets lists of networks have kept out, where nothing was recorded.
    """

    status: int
    unfinished: bool
    failure: str
    lost: bool
    blocked: int


def rate_of(lock: Lock, box: str) -> int:
    """This box's share of the plan's rate, in targets a second."""
    at_work = {run.box for run in lock.current} | {box}
    shares = [
        rates.RateShare(one.name, one.weight, one.rate_cap) for one in lock.plan.boxes if one.name in at_work
    ]
    return rates.distribute(lock.plan.rate, shares)[box]


def common_words(lock: Lock, run: Run, found: RunDirectory) -> list[str]:
    """The flags of lzr that each scan of a run has."""
    plan, box = lock.plan, lock.plan.box(run.box)
    return [
        *plan.options,
        "--quiet",
        "--no-dashboard",
        f"--plan-id={lock.id}",
        f"--generation={run.generation}",
        f"--source-ip={','.join(run.source)}",
        *([f"--interface={box.interface}"] if box.interface is not None else []),
        *(f"--blocklist-file={path}" for path in plan.blocklist),
        f"--block-orders={found.orders}",
        f"--output-file={found.results}",
        f"--control-socket={found.control}",
        *leasefile.words(lock),
    ]


def words(lock: Lock, run: Run, found: RunDirectory, *, resumed: bool) -> list[str]:
    """The flags of lzr for a run."""
    plan = lock.plan
    kept = [f"--checkpoint={found.checkpoint}", "--overwrite"]
    if resumed:
        kept = [f"--resume={found.checkpoint}"]
    return [
        *common_words(lock, run, found),
        f"--shards={plan.shards}",
        f"--shard={distribution.ranges(run.shards)}",
        f"--seed={plan.seed}",
        f"--rate={rate_of(lock, run.box)}",
        f"--metadata-file={found.metadata}",
        *kept,
        *_scanned(plan),
    ]


def _scanned(plan: Plan) -> list[str]:
    if plan.input is not None:
        return ["--send-syns", f"--input-file={plan.input}"]
    return [f"--target-ports={plan.target_ports}", *(f"--targets={target}" for target in plan.targets)]


def check(lock: Lock, run: Run) -> None:
    """Check that this machine is the run's box and has what the lock has settled. Raises UsageError."""
    interface = lock.plan.box(run.box).interface
    there = facts.addresses(interface)
    for source in run.source:
        network = ip_network(source)
        on = {where for text, where in there.items() if ip_address(text) in network}
        if not on:
            raise UsageError(
                f"{source} is not an address of this machine, and {run.name} scans from nowhere else: this "
                f"is not {run.box}"
            )
        if interface is not None and not on & {interface, "lo"}:
            raise UsageError(f"{source} is an address of {min(on)}, not of {interface} as the plan has it")
    if lock.version != __version__:
        raise UsageError(f"the plan was settled by lzr {lock.version}, and this box has {__version__}")
    if lockfile.digest_of_lists(lock.plan) != lock.blocklist_sha256:
        raise UsageError("the blocklist on this box, or another list, is not the one that was settled")
    if lock.plan.input is not None and lockfile.digest_of_input(lock.plan.input)[0] != lock.input_sha256:
        raise UsageError(f"{printable(lock.plan.input)} on this box is not the input that was settled")


def start(lock: Lock, run: Run, found: RunDirectory, held: int) -> subprocess.Popen[bytes]:
    """Start the scan of a run, or go on with it. held: the lock of its checkpoint. Raises UsageError."""
    check(lock, run)
    room = os.statvfs(found.here)
    if room.f_bavail * room.f_frsize < LEAST_ROOM:
        raise UsageError(
            f"less than {LEAST_ROOM >> 20} MB are left for its results in {printable(found.here)}"
        )
    saved = load(Path(found.checkpoint))
    resumed = saved is not None
    if saved is not None and saved.outputs and lock.plan.zmap is None:
        _cut(found, saved.outputs[0].length)
    if not os.path.lexists(found.orders):
        with contextlib.suppress(FileExistsError):
            os.close(os.open(found.orders, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with contextlib.suppress(FileNotFoundError):
        os.unlink(found.metadata)  # it tells of the run before
    python = [sys.executable, "-P", "-m"]
    if lock.plan.zmap is not None:
        program = "coordinator.fleet.zmapruns"
        return _spawn([*python, program, found.lock, run.box, str(run.generation)], found, held)
    program = "coordinator.commands.main"
    return _spawn([*python, program, *words(lock, run, found, resumed=resumed)], found, held)


def _cut(found: RunDirectory, length: int) -> None:
    """Cut off the results that the checkpoint does not confirm; their targets are scanned again.

    A resumed scan does this itself with what was written just before it was killed. It refuses a file that
    looks changed much later, because of a full disk or a clock that was set, as that could be somebody
    else's. This file is ours alone, and nobody writes to it while we hold the lock.
    """
    flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(found.results, flags)
        try:
            if os.fstat(descriptor).st_size > length:
                os.ftruncate(descriptor, length)
        finally:
            os.close(descriptor)


def _spawn(command: list[str], found: RunDirectory, held: int) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    log = open_written(found.log, None, append=True)
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=found.here,
            env={**environment, HANDED: str(held)},
            pass_fds=(held,),
            start_new_session=True,
        )
    except OSError as error:
        raise UsageError(f"the scan cannot be started: {error.strerror}") from error
    finally:
        os.close(log)


def outcome(lock: Lock, run: Run, found: RunDirectory, status: int | None = None) -> Outcome:
    """How a run stands that no process is working on. status: of the process that has just ended, if it was
    ours.

    Raises UsageError where its checkpoint cannot be read.
    """
    saved = load(Path(found.checkpoint))
    records, inputs = counts(saved)
    begun = saved is not None
    if lock.plan.zmap is not None:
        state = zmapstate.read(found)
        records, inputs, begun = state.records, state.inputs, begun or bool(state.done)
    ending = _ending(lock, run, found)
    if ending is not None and ending.status in (OK, LOST) and not ending.unfinished:
        what = "done" if ending.status == OK else "done, and results were lost"
        if ending.status == LOST and not ending.lost:
            what = "done, but a file beside its results is not whole"
        sentence = f"{run.name} is {what}: {records:,} records"
        if ending.blocked and not records:
            sentence += f"; {ending.blocked:,} targets of its shards are blocked, and nothing else was there"
        return Outcome("done", ending.status, sentence, records, inputs)
    why = (ending.failure if ending is not None else "") or _last_line(found.log)
    reason = f": {why}" if why else ""
    left = ending.status if ending is not None else status
    code = left if left is not None and 0 < left < 256 else FAILED
    if not begun:
        return Outcome("failed", code, f"{run.name} has not begun{reason}", records, inputs)
    refused = status == MISTAKE
    if ending is not None:
        refused = ending.status not in (OK, LOST) and ending.status <= 128
    if refused:
        return Outcome(
            "failed", code, f"{run.name} has failed after {records:,} records{reason}", records, inputs
        )
    because = f" ({ending.failure})" if ending is not None and ending.failure else ""
    sentence = (
        f"{run.name} was interrupted after {records:,} records{because}; lzr fleet shard goes on with it"
    )
    return Outcome("interrupted", code, sentence, records, inputs)


def counts(saved: Saved | None) -> tuple[int, int]:
    """Records and inputs that a checkpoint confirms."""
    if saved is None:
        return 0, 0
    return sum(output.lines for output in saved.outputs[:1]), saved.progress.count


def load_quietly(found: RunDirectory) -> Saved | None:
    """The checkpoint of a scan that is at work, if it can be read."""
    with contextlib.suppress(UsageError):
        return load(Path(found.checkpoint))
    return None


def has_ended(lock: Lock, run: Run, found: RunDirectory) -> bool:
    """Whether the last scan has cleaned up everything itself; one that was killed has not."""
    return _ending(lock, run, found) is not None


def has_lost_its_lease(lock: Lock, run: Run, found: RunDirectory) -> bool:
    """Whether the last scan has ended because its lease had run out."""
    ending = _ending(lock, run, found)
    return ending is not None and ending.failure == lease.OVER


def _ending(lock: Lock, run: Run, found: RunDirectory) -> _Ended | None:
    """What the metadata of this very run say of its ending."""
    try:
        with open(found.metadata, "rb") as file:
            table = json.loads(file.read(_MOST_METADATA))
        options, ending = table["options"], table["ending"]
        status, unfinished, failure = ending["status"], ending["unfinished"], ending["failure"]
        lost, blocked = table.get("results_lost") is not False, _blocked(table)
        same = (options["plan_id"], options["generation"]) == (lock.id, run.generation)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    if not same or type(status) is not int or type(unfinished) is not bool or not isinstance(failure, str):
        return None
    return _Ended(status, unfinished, failure, lost, blocked)


def _blocked(table: dict[str, Any]) -> int:
    """How many targets lists of networks have kept out, by a run's metadata; 0 where that is not said."""
    fates = section(section(table, "inputs"), "fates")
    count = fates.get("blocklisted")
    return count if type(count) is int and count > 0 and not fates.get("recorded") else 0


def _last_line(path: str) -> str:
    """The last sentence of a log."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")
