"""The metadata of a scan: one JSON object that states what was asked for, where, with what, and the outcome.

With this file alone the scan can be repeated (options, command line, seed, versions) and judged (inputs with
their fates and whether they agree, packets, drops, restarts, how it ended). The file is opened before
anything is sent, and written as a whole at the end, however the scan ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import resource
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any

from msgspec import Struct, field, structs

from coordinator.commandline import troubles
from coordinator.files import patient
from coordinator.files.opening import SILENTLY, WhileWaiting, is_deleted, is_regular, open_written
from coordinator.monitor import figures
from lzr import __version__, kernels, safetext
from lzr.errors import UsageError, printable
from lzr.options.kinds.addressing import show_port_list
from lzr.options.table import Options

if TYPE_CHECKING:
    from coordinator.checkpoint.hashes import InputHash
    from coordinator.input.fates import Fates
    from coordinator.monitor.snapshot import Snapshot
    from coordinator.network.discover import Network
    from lzr.ipc.job import Job
    from lzr.options.byport import PortOrders
    from lzr.records.summary import Summary

FORMAT = 1
"""Version of this file; it grows when a key changes its meaning."""

_LIBRARIES = ("numpy", "pyzmq", "msgpack", "orjson", "rich", "scapy", "setproctitle")


class Metadata(Struct):
    """Collects the values as they become known; `write` writes the file."""

    options: Options
    argv: Sequence[str]
    started: float  # seconds since the epoch
    begun: float | None = None  # the same moment by a clock that nobody sets (CLOCK_BOOTTIME)
    file: IO[str] | None = None
    network: Network | None = None
    job: Job | None = None
    snapshot: Snapshot | None = None
    summary: Summary | None = None
    fates: Fates | None = None
    input_hash: InputHash | None = None
    lists: dict[str, str] = field(default_factory=dict)
    port_orders: PortOrders | None = None
    status: int | None = None
    failure: str = ""
    unfinished: bool = False
    """--resume could do the rest."""

    def as_dict(self, ended: float, now: float | None = None) -> dict[str, Any]:
        """Everything, in types that JSON has. ended: seconds since the epoch. now: the same by the clock of
        `begun`; without both, the seconds that the scan took are those between start and end, which are wrong
        if the time was set meanwhile."""
        took = ended - self.started if self.begun is None or now is None else now - self.begun
        found: dict[str, Any] = {
            "program": "lzr",
            "version": __version__,
            "format": FORMAT,
            "notes": self.options.notes,
            "command_line": list(self.argv),
            "options": self.options.as_dict(),
            "times": {
                "start": _moment(self.started),
                "end": _moment(ended),
                "seconds": round(took, 3),
            },
            "ending": {
                "status": self.status,
                "how": _how(self.status, lost=self.snapshot is not None and self.snapshot.results_lost),
                "failure": self.failure,
                "unfinished": self.unfinished,
            },
            "host": host(),
            "versions": versions(),
            "kernels": kernels.sentence().removeprefix("kernels in "),
        }
        if self.input_hash is not None:
            found["input"] = self.input_hash.as_dict()
        found["lists"] = {
            attr: {"file": ", ".join(getattr(self.options, attr)), "sha256": digest}
            for attr, digest in self.lists.items()
        }
        if self.network is not None:
            found["network"] = _network(self.network)
        if self.job is not None:
            found["scan"] = {
                "seed": self.job.seed,
                "shards": self.job.shards,
                "source_ports": list(self.job.ports),
                "handshakes": list(self.options.handshakes),
            }
            if self.port_orders is not None:
                found["scan"]["orders"] = [
                    {
                        "ports": show_port_list(self.port_orders.ports(at)),
                        "handshakes": self.port_orders.named(at),
                    }
                    for at in range(len(self.port_orders.orders))
                ]
        if self.snapshot is not None:
            found |= _counts(self.snapshot, self.fates)
        if self.summary is not None:
            found["counters"] = dict(self.summary.counters)
            for name in ("fingerprints", "handshakes", "reasons"):
                found[name] = dict(getattr(self.summary, name).most_common())
        return found

    def write(self, ended: float, now: float | None = None) -> str:
        """Write the file, if one was asked for. ended, now: as for `as_dict`. Returns a sentence on why it is
        not whole; empty if it is.
        """
        if self.file is None:
            return ""
        path = self.options.metadata_file or ""
        name = "the metadata to stdout" if path == "-" else safetext.line(path)
        try:
            self._write(self.file, ended, now)
            if self.file is not sys.stdout:
                if is_deleted(self.file.fileno(), path):
                    return f"{name} was deleted before the metadata was in it"
                self.file.close()
        except OSError as error:
            if self.file is sys.stdout:
                troubles.unwritten()
            return f"cannot write {name}: {error.strerror}"
        return ""

    def _write(self, file: IO[str], ended: float, now: float | None) -> None:
        """Raises OSError."""
        text = json.dumps(self.as_dict(ended, now), indent=2, default=str)
        if is_regular(file.fileno()):
            file.write(text + "\n")
            file.flush()
            if file is not sys.stdout:
                file.truncate()
            return
        file.flush()
        patient.write_whole(file.fileno(), f"{text}\n".encode())


@contextmanager
def open_metadata(
    options: Options,
    argv: Sequence[str],
    started: float,
    invoker: tuple[int, int] | None = None,
    *,
    begun: float | None = None,
    waiting: WhileWaiting = SILENTLY,
) -> Iterator[Metadata]:
    """The metadata of a scan that begins. invoker: whom a new file is to belong to. begun: see `Metadata`.

    waiting: see `opening.open_output`. Raises UsageError.
    """
    made = Metadata(options, argv, started, begun, _open(options.metadata_file, invoker, waiting))
    try:
        yield made
    finally:
        if made.file is not None and made.file is not sys.stdout:
            with contextlib.suppress(OSError):
                made.file.close()


def _open(
    path: str | None,
    invoker: tuple[int, int] | None,
    waiting: WhileWaiting,
) -> IO[str] | None:
    if path is None:
        return None
    if path == "-":
        return sys.stdout
    try:
        # An older file is kept until there is something to put in its place.
        descriptor = open_written(path, invoker, append=False, alone=True, waiting=waiting)
    except OSError as error:
        raise UsageError(f"cannot write {printable(path)}: {error.strerror}") from error
    return os.fdopen(descriptor, "w", encoding="utf-8")


def _moment(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _how(status: int | None, *, lost: bool) -> str:
    if status is None:
        return "unknown"
    named = {0: "done", 3: "done, results lost" if lost else "done, a file beside the results not whole"}
    return named.get(status, "interrupted" if status > 128 else "failed")


def _network(net: Network) -> dict[str, Any]:
    def mac(raw: bytes | None) -> str | None:
        return None if raw is None else raw.hex(":")

    return {
        "interface": net.interface,
        "mtu": net.mtu,
        "mac": mac(net.own_mac),
        "sources": list(net.sources),
        "gateway_v4": net.gateway_v4,
        "gateway_v6": net.gateway_v6,
        "gateway_mac_v4": mac(net.gateway_mac_v4),
        "gateway_mac_v6": mac(net.gateway_mac_v6),
    }


def _counts(snapshot: Snapshot, fates: Fates | None) -> dict[str, Any]:
    found: dict[str, Any] = figures.placed(snapshot)
    found["inputs"]["agree"] = snapshot.read == snapshot.fates
    found["inputs"]["intake"] = structs.asdict(fates) if fates is not None else {}
    found["guard"] = not snapshot.guard_missing
    found["results_lost"] = snapshot.results_lost
    found["warnings"] = list(snapshot.warnings)
    found["blocks"] = [structs.asdict(block) for block in snapshot.blocks]
    return found


def host() -> dict[str, Any]:
    """The machine."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "name": platform.node(),
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "cores_allowed": len(os.sched_getaffinity(0)),
        "memory": pages * size,
        "peak_memory": {
            "coordinator": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "largest_child": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024,
        },
    }


def versions() -> dict[str, str]:
    """Of the interpreter and of the libraries that are installed."""
    from importlib import metadata as installed  # two megabytes, for those who want the file

    found = {"lzr": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        with contextlib.suppress(installed.PackageNotFoundError):
            found[name] = installed.version(name)
    return found
