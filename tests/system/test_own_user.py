"""Each run has a user of its own: whoever else is on the box, a process of nobody or of the caller too, gets
at none of its processes, and those of two runs not at one another."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from coordinator.processes import ownuser
from tests.faults import Victim, family, lines_in, once_each, read
from tests.lab.net import wait_for
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.private import PYTHON
from tests.system.test_e2e_responder import services
from tests.system.test_faults_processes import LIVELY, QUICK, right, wanted

pytestmark = [pytest.mark.root, pytest.mark.attack]

CALLER, NOBODY = 12345, 65534

# As another user: what it can do to each of the processes, and to one of its own.
ATTACK = """
import ctypes, json, os, signal, socket, sys
ptrace = ctypes.CDLL(None, use_errno=True).ptrace
def traced(pid):
    if ptrace(ctypes.c_long(16), ctypes.c_long(pid), None, None):
        raise OSError(ctypes.get_errno(), "")
    os.waitpid(pid, 0)
    ptrace(ctypes.c_long(17), ctypes.c_long(pid), None, None)
def connected(pid):
    socket.socket(socket.AF_UNIX).connect(f"/proc/{pid}/root/reports")
tries = {
    "signal": lambda pid: os.kill(pid, 0), "trace": traced, "connect": connected,
    "memory": lambda pid: open(f"/proc/{pid}/mem", "rb"),
    "descriptors": lambda pid: os.listdir(f"/proc/{pid}/fd"),
    "priority": lambda pid: os.setpriority(os.PRIO_PROCESS, pid, 19),
}
def could(pid):
    found = []
    for name, act in tries.items():
        try:
            act(pid)
        except OSError:
            continue
        found.append(name)
    return found
own = os.fork()
if own == 0:
    signal.pause()
print(json.dumps({pid: could(pid) for pid in (own, *map(int, sys.argv[1:]))}))
os.kill(own, signal.SIGKILL)
"""


def user_of(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    (uid,) = {
        *text.split("\nUid:")[1].split("\n")[0].split(),
        *text.split("\nGid:")[1].split("\n")[0].split(),
    }
    return int(uid)


def test_nobody_else_gets_at_the_processes_of_a_run(arena: Range) -> None:
    count = 3000
    arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER, classes=LIVELY)
    source = arena.lab.directory / "targets"
    source.write_text("".join(services(count)))
    victims = []
    for name, ports, more in (
        ("a", "40000-44999", {}),
        ("b", "50000-54999", {"SUDO_UID": str(CALLER), "SUDO_GID": str(CALLER)}),
    ):
        words = ("-sendSYNs", "-rate", "600", "-w", "1", "-s", ports, *QUICK)
        with source.open() as stdin:
            victims.append(
                Victim(
                    arena.scanner,
                    *(*words, "-f", arena.lab.directory / name),
                    stdin=stdin,
                    name=f"log-{name}",
                    env={**arena.lab.environment, **more},
                )
            )
    wait_for(lambda: all(lines_in(arena.lab.directory / name) > 50 for name in "ab"), "records")
    pids = [family(victim.pid) for victim in victims]
    users = [{user_of(pid) for pid in each} for each in pids]
    assert all(len(each) >= 3 for each in pids)
    ((one,), (other,)) = users
    assert one != other
    assert ownuser.is_own(one)
    assert ownuser.is_own(other)
    for who, against in ((NOBODY, pids[0] + pids[1]), (CALLER, pids[1]), (one, pids[1]), (other, pids[0])):
        told = subprocess.run(
            [PYTHON, "-c", ATTACK, *map(str, against)],
            user=who,
            group=who,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
            env=os.environ,
        )
        own, *theirs = json.loads(told.stdout).values()
        assert {"signal", "trace", "memory", "priority"} <= set(own), "the attack is one"
        assert theirs == [[]] * len(against), who
    for victim, name in zip(victims, "ab", strict=True):
        assert victim.wait(120) == 0, victim.said()[-2000:]
        found = read(arena.lab.directory / name)
        once_each(found, wanted(count))
        right(found)
