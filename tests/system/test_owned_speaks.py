"""A worker that was taken over speaks: false results, orders that are not its own, floods.

One is played by a process in the place of a worker, with its user and its way to the sockets and none of its
limits; another is a worker that really sends what cannot be. The scan ends as if neither had been there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lzr.ipc import messages
from lzr.ipc.credentials import Sender, mark
from lzr.ipc.packing import pack
from lzr.rows import OUTCOME
from tests.faults import Victim, lines_in, once_each, read
from tests.lab.net import wait_for
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.messagesamples import SAMPLES
from tests.private import Installation
from tests.system.test_e2e_responder import services
from tests.system.test_faults_processes import LIVELY, PATIENT, right, wanted
from tests.system.test_installed_private import use
from tests.unit.lzr.ipc.test_inbox_zmtp import BEGUN, frame

pytestmark = [pytest.mark.root, pytest.mark.attack]

# Reads what to send from files, since it has nothing else: a line of JSON with sockets and messages.
INTRUDER = """
import json, os, socket, sys, time
import zmq
told = json.load(sys.stdin)
os.chroot(told["root"])
os.chdir("/")
os.setgroups([])
os.setresgid(told["gid"], told["gid"], told["gid"])
os.setresuid(told["uid"], told["uid"], told["uid"])
context = zmq.Context()
stolen = {}
pulls = {}
for name in told["listen"]:
    pulls[name] = context.socket(zmq.PULL)
    pulls[name].connect(f"ipc:///{name}")
swallowed = []
for name in told["speak"]:
    with socket.socket(socket.AF_UNIX) as flood:
        flood.connect("/" + name)
        flood.settimeout(60)
        swallowed.append(0)
        try:
            flood.sendall(told["begun"].encode("latin-1"))
            while swallowed[-1] < 1 << 30:
                swallowed[-1] += flood.send(told["endless"].encode("latin-1"))
        except OSError:
            pass
pushes = []
for name in told["speak"]:
    sock = context.socket(zmq.PUSH)
    sock.setsockopt(zmq.SNDTIMEO, 2000)
    sock.connect(f"ipc:///{name}")
    pushes.append(sock)
for sock in pushes:
    for parts in told["messages"]:
        try:
            sock.send_multipart([part.encode("latin-1") for part in parts])
        except zmq.Again:
            break
until = time.monotonic() + 2
while time.monotonic() < until:
    for name, sock in pulls.items():
        if sock.poll(20):
            sock.recv_multipart()
            stolen[name] = stolen.get(name, 0) + 1
print(json.dumps([stolen, swallowed]), flush=True)
context.destroy(linger=1000)
"""


def forged() -> list[list[bytes]]:
    """Results and reports in others' names, and what is none."""
    rows = np.zeros(1, OUTCOME)
    rows["peer_lo"], rows["peer_port"] = 0xFFFF08080808, 53
    outcomes = [messages.Outcomes(2, seq, rows, b"") for seq in (1, 2, 1000)]
    found = []
    for name, token in (
        ("flow-0.1#2", b""),
        ("flow-0.1#2", mark(bytes(16), Sender("flow-0.1", 2))),
        ("", b""),
    ):
        found += [pack(message, name, token) for message in outcomes]
    found += [pack(sample, "flow-0.1", bytes(16)) for sample in SAMPLES]
    found += [[b"\xc1"], [b""] * 39, [b"\x1b]0;owned\x07"]]
    found += [pack(messages.Ready(), "collect-0.1", b"")] * 3000
    return [[bytes(part) for part in parts] for parts in found]


def test_a_process_in_a_workers_place(arena: Range) -> None:
    count = 9000
    arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER, classes=LIVELY)
    source, target, record = (arena.lab.directory / name for name in ("targets", "out", "meta"))
    source.write_text("".join(services(count)))
    with source.open() as stdin:
        words = ("-sendSYNs", "-rate", "600", "-w", "flow=2,collect=2", *PATIENT, "-f", target, "-m", record)
        victim = Victim(arena.scanner, *words, stdin=stdin)
    wait_for(lambda: lines_in(target) > 500, "records")
    root = os.readlink(f"/proc/{victim.worker()}/root")
    status = Path(f"/proc/{victim.worker()}/status").read_text()
    uid, gid = (int(status.split(f"\n{word}:")[1].split()[0]) for word in ("Uid", "Gid"))
    there = sorted(os.listdir(root))
    results = [name for name in there if name.startswith("results-")]
    private = [name for name in there if name.startswith(("orders-", "feed-"))]
    assert len(results) == 2
    assert len(private) == 6
    told = {
        "root": root,
        "uid": uid,
        "gid": gid,
        "speak": ["reports", *results],
        "listen": private,
        "begun": BEGUN.decode("latin-1"),
        "endless": frame(bytes(1_000_000), more=True).decode("latin-1"),
        "messages": [[part.decode("latin-1") for part in parts] for parts in forged()],
    }
    stolen = subprocess.run(
        [sys.executable, "-c", INTRUDER],
        input=json.dumps(told),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    taken, swallowed = json.loads(stolen.stdout)
    assert taken == {}, "targets and orders are for one process alone"
    assert len(swallowed) == 3
    assert max(swallowed) < 1 << 26, "a message without end is not taken, by no process"
    assert victim.wait(120) == 0, victim.said()[-2000:]
    records = read(target)
    once_each(records, wanted(count))
    right(records)
    said = victim.said()
    assert "(agree)" in said
    assert "were not believed" in said
    assert "\x1b" not in said
    assert said.count("is not believed") <= 20, "it is told of, not repeated without end"
    kept = json.loads(record.read_text())
    assert "replaced" not in said
    assert kept["processes"]["restarts"] == 0
    assert kept["processes"]["messages_refused"] > 3000


@pytest.fixture
def place() -> Iterator[Path]:
    found = Path(tempfile.mkdtemp(prefix="lzr-private-"))
    yield found
    shutil.rmtree(found)


LIES = {
    "a reason": ('rows["reason"] = 250', "says collect-", "a reason that is none"),
    "inputs of others": ('rows["ticket"] += 1', "(results of inputs that it was not given)", "is replaced"),
    "nothing": (
        "rows, payloads = rows[:0], b''",
        "says collect-",
        "results of nothing",
    ),
}
"""What a worker does with its results from the second time on, and what is said of that."""


@pytest.mark.parametrize("lie", LIES)
def test_a_worker_that_sends_what_cannot_be(
    arena: Range, place: Path, monkeypatch: pytest.MonkeyPatch, lie: str
) -> None:
    """It is ended and replaced, its flows are begun again, and the scan has every record."""
    does, *telling = LIES[lie]
    owned = Installation(place / "owned")
    owned.change(
        "workers/flow/outbox.py",
        "        self.sequence += 1\n",
        "        self.sequence += 1\n"
        '        if self._shown[0].startswith("flow-0.1#") and self.sequence > 1:\n'
        f"            {does}\n",
    )
    use(owned, monkeypatch)
    count = 6000
    arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER, classes=LIVELY)
    source, target = (arena.lab.directory / name for name in ("targets", "out"))
    source.write_text("".join(services(count)))
    with source.open() as stdin:
        words = ("-sendSYNs", "-rate", "2000", "-w", "flow=2,collect=2", *PATIENT, "-f", target)
        victim = Victim(arena.scanner, *words, stdin=stdin)
    assert victim.wait(90) == 0, victim.said()[-2000:]
    records = read(target)
    once_each(records, wanted(count))
    right(records)
    said = victim.said()
    assert "flow-0.1 sent what cannot be (" in said
    for words in telling:
        assert words in said
    assert f"ended unasked and were replaced: {1 + ('others' in lie)}" in said
    assert "not believed" in said
