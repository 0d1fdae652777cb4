"""What each process loads at its start: nothing that it does not need, since two interpreters load it each
time."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.unit

OWN = ("coordinator", "lzr", "workers")
LIBRARIES = {"msgpack", "msgspec", "numpy", "orjson", "setproctitle", "typing_extensions", "zmq"}
SHARED = {f"lzr.{name}" for name in ("flow", "ipc", "options", "pacing", "packet", "protocols", "records")}
SHARED |= {"lzr.sweep", "lzr.targets"}
PROCESSES = {
    "coordinator": (
        "import coordinator.commands.main, lzr.options.parse, coordinator.scan.run",
        SHARED
        | {
            "lzr.fleet",
            "lzr.ownership",
            "coordinator.checkpoint",
            "coordinator.commandline",
            "coordinator.commands",
        }
        | {
            f"coordinator.{name}"
            for name in ("console", "dashboard", "doctor", "endpoints", "files", "guard")
        }
        | {f"coordinator.{name}" for name in ("input", "monitor", "network", "processes", "results")}
        | {"coordinator.scan", "coordinator.setup"},
        {"coordinator.commandline.running", "coordinator.dashboard.panels", "lzr.fingerprint.classifier"},
    ),
    "fork server": (
        "from workers import forkserver, preload; preload.load()",
        SHARED | {"lzr.fingerprint", "workers.collect", "workers.flow", "workers.ipc"},
        {"lzr.fingerprint.enrichment", "lzr.fingerprint.recog.data"},
    ),
}
SLOW = {"asyncio", "concurrent", "email", "html", "http", "multiprocessing", "pydoc", "sqlite3", "ssl", "xml"}
"""Of the standard library: each takes as long as many modules of ours."""


def loaded(code: str) -> set[str]:
    """The names of all modules that this code loads."""
    shown = subprocess.run(
        [sys.executable, "-P", "-c", f"{code}; import sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(shown.stdout.split())


@pytest.mark.parametrize("process", PROCESSES)
def test_a_process_loads_what_it_needs(process: str) -> None:
    code, packages, absent = PROCESSES[process]
    names = loaded(code)
    first = {name.partition(".")[0] for name in names - loaded("pass")}
    libraries = {name for name in first - set(OWN) - set(sys.stdlib_module_names) if not name.startswith("_")}
    assert libraries - {"cython_runtime"} <= LIBRARIES
    assert not first & SLOW
    assert not names & absent
    own = {".".join(name.split(".")[:2]) for name in names if name.count(".") > 1 and name.startswith(OWN)}
    assert own <= packages


def test_a_sweep_starts_no_threads_for_matrices() -> None:
    # numpy is loaded as the targets are read; its linear algebra would start a thread for each core.
    code = (
        "import os, sys; os.environ.pop('OPENBLAS_NUM_THREADS', None); "
        "from coordinator.commands import main; "
        "main.main(['-p', '80', '192.0.2.0/24', '-n', '1', '--dryrun']); "
        "threads = len(os.listdir('/proc/self/task')); "
        "print(os.environ['OPENBLAS_NUM_THREADS'], threads, 'numpy' in sys.modules)"
    )
    shown = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert shown.stdout.splitlines()[-1] == "1 1 True"
