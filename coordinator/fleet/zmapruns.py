"""A run with ZMap in front: ZMap's own shards one after the other, each piped into a scan.

Connections that ZMap has half opened are lost with the process that was to take them over, so a shard of ZMap
cannot be resumed: one that was interrupted is begun anew, and what was found in it stays. An order to block
also ends the current shard, because a running ZMap cannot be given further networks to leave out.

It is a program of its own (``python -m coordinator.fleet.zmapruns LOCK BOX GENERATION``), which holds the
lock of the run as a scan would.
"""

from __future__ import annotations

import contextlib
import ctypes
import ipaddress
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coordinator.checkpoint.checkpoint import HANDED, load
from coordinator.fleet import blockorderfile, boxscan, leasefile, lockfile, rundirectory, zmapstate
from coordinator.fleet.rundirectory import RunDirectory
from coordinator.guard.firewall import GuardError
from coordinator.guard.guard import put_up
from coordinator.input import networklists
from coordinator.network.discover import discover
from coordinator.network.neighbours import NetworkError
from lzr import safetext
from lzr.addresstext import entries, ranges_of
from lzr.errors import UsageError, printable
from lzr.exitstatus import LOST, MISTAKE
from lzr.fleet import distribution, lease
from lzr.fleet.lock import Lock, Run
from lzr.options import parse
from lzr.options.table import Options
from lzr.ranges import Range
from lzr.rows import V4_MAPPED
from lzr.sourceports import DEFAULT_PORTS

FIELDS = "saddr,daddr,sport,dport,seqnum,acknum,window"
FILTER = "success = 1 && repeat = 0"
_LOOK = 0.1
"""Seconds between two looks at what runs, and at the orders to block."""
_PR_SET_PDEATHSIG = 1
_SUMMED = ("inputs", "counters", "fingerprints", "handshakes", "reasons", "packets")
_MISSED, _RESULTS_LOST = "shards_missed", "shards_lost"
"""Among the counts of a run: of how many shards something was lost, and of how many results."""
_SEEDS = 1 << 31


@dataclass(frozen=True)
class ShardEnding:
    """How a shard has ended, or all of a run. again: it is to be begun anew. missed: the scan has told with
    its status that something is lost, results or what is beside them.
    """

    status: int = 0
    failure: str = ""
    unfinished: bool = False
    again: bool = False
    missed: bool = False

    @property
    def whole(self) -> bool:
        """Whether the next shard may begin."""
        return not (self.status or self.failure or self.unfinished or self.again)


def main(argv: list[str]) -> int:
    """Scan the shards of a run that are not over. Returns the exit status."""
    path, box, generation = argv
    lock = lockfile.read(path)
    run = lock.run_named(box, int(generation))
    held = os.environ.pop(HANDED, "")
    if run is None or not held.isdigit():
        return MISTAKE
    try:
        return Runs(lock, run, int(held)).work()
    except (UsageError, GuardError, OSError) as error:
        print(safetext.line(f"lzr: {error}"), file=sys.stderr)
        return 2 if isinstance(error, UsageError | GuardError) else 1


class Runs:
    """held: the lock of the run's checkpoint."""

    def __init__(self, lock: Lock, run: Run, held: int) -> None:
        self._lock, self._run, self._held = lock, run, held
        self._found = rundirectory.of_run(lock, run)
        self._options = parse.parse(lock.plan.options)
        self._signal = 0

    def work(self) -> int:
        """Returns the exit status."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
        options, box = self._options, self._lock.plan.box(self._run.box)
        ports = options.source_port or DEFAULT_PORTS
        guard = put_up(self._run.source, ports, options.guard, box.interface)  # ZMap's SYNs are out at once
        try:
            ending = self._shards()
        finally:
            guard.remove()
        write_metadata(self._lock, self._run, self._found, ending)
        return ending.status

    def _note(self, number: int, _: object) -> None:
        self._signal = number

    def _shards(self) -> ShardEnding:
        for shard in self._run.shards:
            while shard not in zmapstate.read(self._found).done:
                ending = self._shard(shard)
                if ending.whole:
                    saved = load(Path(self._found.checkpoint))
                    counts = _summed(_metadata(self._found), missed=ending.missed)
                    zmapstate.add(self._found, shard, boxscan.counts(saved)[0], counts)
                elif not ending.again:
                    return ending
        missed = bool(zmapstate.read(self._found).counts.get(_MISSED))
        return ShardEnding(LOST if missed else 0, missed=missed)

    def _shard(self, shard: int) -> ShardEnding:
        found = self._found
        if leasefile.withheld(self._lock):
            return ShardEnding(lease.INTERRUPTED, lease.OVER, unfinished=True)
        orders = _stamp(found.orders)
        write_blocklist(self._lock, found)
        for path in (f"{found.checkpoint}/checkpoint", _metadata_path(found)):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        ours, zmaps = os.pipe()
        environment = {**os.environ, HANDED: str(self._held)}
        program = [sys.executable, "-P", "-m", "coordinator.commands.main"]
        words = [*program, *scan_words(self._lock, self._run, found)]
        scan = subprocess.Popen(words, stdin=ours, env=environment, pass_fds=(self._held,))
        os.close(ours)
        try:
            zmap = subprocess.Popen(
                [*zmap_words(self._lock, self._run, found, shard), *gateway_words(self._lock, self._run)],
                stdin=subprocess.DEVNULL,
                stdout=zmaps,
                preexec_fn=_end_with_us,  # noqa: PLW1509  # this program has no threads
            )
        except OSError as error:
            os.close(zmaps)
            scan.wait()
            raise UsageError(f"zmap cannot be started: {error.strerror}") from error
        os.close(zmaps)
        again = signalled = False
        while scan.poll() is None:
            again |= _stamp(found.orders) != orders
            if again or self._signal:
                zmap.kill()
            if self._signal and not signalled:
                signalled = True
                scan.send_signal(signal.SIGINT)
            time.sleep(_LOOK)
        ended = zmap.poll()
        if ended is None:
            zmap.kill()
            ended = zmap.wait()
        return self._ending(scan.returncode, ended, again=again)

    def _ending(self, status: int, zmap: int, *, again: bool) -> ShardEnding:
        ending = _metadata(self._found).get("ending", {})
        failure, unfinished = str(ending.get("failure", "")), ending.get("unfinished") is not False
        if self._signal:
            return ShardEnding(128 + self._signal, failure, unfinished=True)
        if status not in (0, LOST):
            return ShardEnding(
                status if 0 < status < 256 else 1, failure or "the scan was killed", unfinished=True
            )
        if unfinished:
            return ShardEnding(status, failure, unfinished=True)
        if again:
            return ShardEnding(again=True)
        if zmap:
            how = f"with status {zmap}" if zmap > 0 else f"by signal {-zmap}"
            return ShardEnding(1, f"zmap has ended {how}", unfinished=True)
        return ShardEnding(0, failure, missed=status == LOST)


def scan_words(lock: Lock, run: Run, found: RunDirectory) -> list[str]:
    """The flags of lzr behind ZMap."""
    return [
        *boxscan.common_words(lock, run, found),
        f"--metadata-file={_metadata_path(found)}",
        f"--checkpoint={found.checkpoint}",
    ]


def zmap_words(lock: Lock, run: Run, found: RunDirectory, shard: int) -> list[str]:
    """The command line of ZMap for one of its shards."""
    plan, box = lock.plan, lock.plan.box(run.box)
    low, high = (ipaddress.ip_network(run.source[0])[at] for at in (0, -1))
    ports = parse.parse(plan.options).source_port
    return [
        "zmap",
        *(plan.zmap or ()),
        "--config=/dev/null",  # what a box has set for itself is no part of a plan
        *("-O", "json", "-f", FIELDS, "--output-filter", FILTER, "-o", "-", "-q"),
        *("-S", str(low) if low == high else f"{low}-{high}"),
        *(("-s", f"{ports[0]}-{ports[1]}") if ports is not None else ()),
        *(("-i", box.interface) if box.interface is not None else ()),
        *("-b", _blocklist_path(found), "-r", str(boxscan.rate_of(lock, run.box))),
        *("--seed", str(plan.seed % _SEEDS), "--shards", str(plan.shards), "--shard", str(shard)),
    ]


def gateway_words(lock: Lock, run: Run) -> list[str]:
    """The gateway's hardware address for ZMap, which may hang where it looks for it (`zmapstuck`).

    None where the plan says it, where ZMap needs none, and where it is not found: then ZMap tells why.
    """
    plan, box = lock.plan, lock.plan.box(run.box)
    if any(word.startswith(("-G", "--gateway-mac", "-X", "--vpn", "--iplayer")) for word in plan.zmap or ()):
        return []
    try:
        mac = discover(interface=box.interface, source_ips=run.source).gateway_mac
    except NetworkError:
        return []
    return ["-G", mac.hex(":")] if any(mac) else []


def write_blocklist(lock: Lock, found: RunDirectory) -> None:
    """The plan's blocklists and what was ordered to be blocked, as one file. Raises UsageError.

    In networks and names, one a line, and IPv4 alone: at anything else ZMap ends.
    """
    lines: list[str] = []
    for path in lock.plan.blocklist:
        try:
            ranges, names = entries(networklists.text(Path(path).read_bytes()).decode("utf-8", "replace"))
        except OSError as error:
            raise UsageError(f"cannot read {printable(path)}: {error.strerror}") from error
        except ValueError as error:
            raise UsageError(f"{printable(path)}: {error}") from error
        lines += [*_networks(ranges), *names]
    for order in blockorderfile.read(found.orders).orders:
        for network in order.networks:
            lines += _networks(ranges_of(network))
    path = _blocklist_path(found)
    Path(f"{path}.new").write_text("".join(f"{line}\n" for line in lines))
    os.replace(f"{path}.new", path)


def _networks(ranges: Iterable[Range]) -> Iterator[str]:
    """What of these is IPv4, as networks."""
    for first, last in ranges:
        if first >= V4_MAPPED and last <= V4_MAPPED | 0xFFFFFFFF:
            low, high = (ipaddress.IPv4Address(one & 0xFFFFFFFF) for one in (first, last))
            yield from map(str, ipaddress.summarize_address_range(low, high))


def write_metadata(lock: Lock, run: Run, found: RunDirectory, ending: ShardEnding) -> None:
    """The metadata of a run: those of its last shard, with the figures of all. Raises OSError."""
    state, last = zmapstate.read(found), _metadata(found)
    lost = state.counts.pop(_RESULTS_LOST, 0)
    if missed := state.counts.pop(_MISSED, 0):
        shards = "1 shard" if missed == 1 else f"{missed} shards"
        last["warnings"] = [f"of {shards} something was lost: {printable(found.log)} tells what"]
    options: Options = parse.parse(boxscan.common_words(lock, run, found))
    table = {
        **last,
        "program": "lzr",
        "format": last.get("format", 1),
        "options": {**options.as_dict(), "shards": lock.plan.shards, "shard": _shown(run)},
        "ending": {
            "status": ending.status,
            "how": _how(ending),
            "failure": ending.failure,
            "unfinished": ending.unfinished,
        },
        **state.counts,
        "results_lost": bool(lost),
    }
    Path(f"{found.metadata}.new").write_text(json.dumps(table, indent=2) + "\n")
    os.replace(f"{found.metadata}.new", found.metadata)


def _shown(run: Run) -> int | str:
    return run.shards[0] if len(run.shards) == 1 else distribution.ranges(run.shards)


def _how(ending: ShardEnding) -> str:
    if ending.unfinished or ending.status not in (0, LOST):
        return "interrupted"
    return "done, something was lost" if ending.missed else "done"


def _summed(metadata: dict[str, Any], *, missed: bool) -> dict[str, Any]:
    """Of a shard, what is summed up over all of a run."""
    counts = {name: metadata[name] for name in _SUMMED if name in metadata}
    if missed:
        counts[_MISSED], counts[_RESULTS_LOST] = 1, int(metadata.get("results_lost") is not False)
    return counts


def _metadata(found: RunDirectory) -> dict[str, Any]:
    """The metadata of the shard that was scanned last."""
    try:
        table = json.loads(Path(_metadata_path(found)).read_bytes())
    except (OSError, ValueError):
        return {}
    return table if isinstance(table, dict) else {}


def _metadata_path(found: RunDirectory) -> str:
    return f"{found.here}/zmap-shard.json"


def _blocklist_path(found: RunDirectory) -> str:
    return f"{found.here}/zmap-blocklist.conf"


def _stamp(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _end_with_us() -> None:
    """In a child: have the kernel kill it when its parent dies."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
