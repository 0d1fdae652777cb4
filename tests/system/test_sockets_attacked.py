"""Processes of the workers' user against the sockets of running scans: they get at nothing by a name.

What an owned worker itself can do there, one is made to try in `test_privilege_running.py`.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.faults import Victim, lines_in, once_each, read
from tests.lab.net import wait_for
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.scan import scan
from tests.private import PYTHON
from tests.system.test_e2e_responder import assert_right, services
from tests.system.test_faults_processes import LIVELY, right, wanted

pytestmark = [pytest.mark.root, pytest.mark.attack]

PATIENT = ("-rt", "1.5", "-t", "6", "-c", "2")  # an attacker takes a whole core, and answers are judged
NOBODY = 65534
AS_NOBODY = {"user": NOBODY, "group": NOBODY, "extra_groups": []}

# Puts links to a file for a moment in the place of sockets, in every directory that looks like a run's, until
# its input ends; then tells how often it could.
SWAPS = """
import glob, os, select, sys, time
prize, *places = sys.argv[1:]
kinds = [f"{kind}-{role}-0.1" for kind in ("orders", "feed", "results") for role in ("flow", "collect")]
print("ready", flush=True)
turns = swapped = 0
while not select.select([0], [], [], 0)[0]:
    turns += 1
    for directory in (found for place in places for found in glob.glob(place)):
        for name in ("reports", *kinds):
            path = directory + "/" + name
            try:
                os.rename(path, path + "-")
                swapped += 1
                os.symlink(prize, path)
                until = time.monotonic() + 0.002
                while time.monotonic() < until and os.stat(prize).st_uid == 0:
                    pass
                os.rename(path + "-", path)
            except OSError:
                pass
print(turns, swapped)
"""


def test_sockets_swapped_for_links_while_scans_start(arena: Range) -> None:
    prize = arena.lab.directory / "prize"
    prize.write_text("root's")
    prize.chmod(0o600)
    before = prize.stat()
    arena.respond(first=FIRST, count=8, port=PORT, source=SCANNER, classes=LIVELY)
    places = [f"{arena.lab.runtime}/run-*", f"{arena.lab.temporary}/lzr-run-*", "/run/lzr/run-*"]
    attacker = subprocess.Popen(
        [PYTHON, "-c", SWAPS, prize, *places],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **AS_NOBODY,
    )
    with attacker:
        assert attacker.stdout is not None
        assert attacker.stdout.readline() == "ready\n"
        for number in range(3):
            found = scan(arena.scanner, "-sendSYNs", *PATIENT, lines=services(8), name=f"scan{number}")
            assert prize.stat().st_uid == 0, "the file was given away"
            assert_right(found, 8, classes=LIVELY)
        turns, swapped = map(int, attacker.communicate("", timeout=120)[0].split())
    assert turns > 100
    assert swapped == 0
    assert (prize.stat().st_mode, prize.stat().st_uid) == (before.st_mode, 0)
    assert arena.lab.left() == []


def test_sockets_cannot_be_reached_by_others_of_the_user(arena: Range) -> None:
    """Neither by their names nor by way of a worker's descriptors."""
    count = 4000
    arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER, classes=LIVELY)
    source, target = (arena.lab.directory / name for name in ("in", "out"))
    source.write_text("".join(services(count)))
    environment = {**os.environ, "RUNTIME_DIRECTORY": ""}  # where a scan puts them by itself
    with source.open() as stdin:
        words = ("-sendSYNs", "-rate", "300", "-w", "1", *PATIENT, "-f", target)
        victim = Victim(arena.scanner, *words, stdin=stdin, env=environment)
    wait_for(lambda: lines_in(target) > 100, "records")
    (directory,) = Path("/run/lzr").glob(f"run-{victim.pid}-*")
    ways = [directory]
    for pid in (victim.worker(), victim.worker("collector"), victim.forkserver()):
        ways.append(Path(f"/proc/{pid}/root"))
        assert os.readlink(ways[-1]) == str(directory)
    assert all((way / "reports").is_socket() for way in ways), "root can"
    code = (
        "import socket, sys\n"
        "for way in sys.argv[1:]:\n"
        "    try:\n        socket.socket(socket.AF_UNIX).connect(way + '/reports')\n"
        "    except OSError as error:\n        print(type(error).__name__)\n"
        "    else:\n        print('connected')\n"
    )
    told = subprocess.run(
        [PYTHON, "-c", code, *ways], capture_output=True, text=True, check=True, **AS_NOBODY
    )
    assert told.stdout.split() == ["PermissionError"] * len(ways)
    assert victim.wait(120) == 0, victim.said()[-2000:]
    records = read(target)
    once_each(records, wanted(count))
    right(records)
    assert not directory.exists()
