"""What a worker that was taken over holds and can do, in the middle of a scan; docs/faults.md has the table.

The process is made to try it (`tests.lab.inside`), or the test takes a descriptor out of it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import pty
import select
import signal
import socket
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.network.raw_sockets import PACKET_FANOUT_DATA, SO_ATTACH_FILTER
from lzr.layout import SOL_PACKET
from lzr.packet import bpfprograms
from tests.faults import Victim, alive, family, lines_in, once_each, open_files, read
from tests.lab.inside import Call, asked, call
from tests.lab.net import wait_for
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.private import PYTHON
from tests.system.test_e2e_responder import services
from tests.system.test_faults_processes import LIVELY, PATIENT, right, wanted
from workers import confinement

pytestmark = [pytest.mark.root, pytest.mark.attack]

_PIDFD_GETFD = 438
_SO_DETACH_FILTER = 27


def taken(pid: int, descriptor: int) -> int:
    """The same open file as a process has, for us."""
    handle = os.pidfd_open(pid)
    libc = ctypes.CDLL(None, use_errno=True)
    found = int(libc.syscall(_PIDFD_GETFD, handle, descriptor, 0))
    assert found >= 0, os.strerror(ctypes.get_errno())
    os.close(handle)
    return found


def packet_sockets(pid: int) -> list[socket.socket]:
    found = []
    for number, link in open_files(pid).items():
        if link.startswith("socket:"):
            sock = socket.socket(fileno=taken(pid, number))
            if sock.family == socket.AF_PACKET:
                found.append(sock)
            else:
                sock.close()
    return found


ACCOMPLICE = """
import os, socket, sys
kept = []
for name in sys.argv[1:]:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(name.replace("@", chr(0)))
    sock.listen()
    kept.append(sock)
os.chmod(sys.argv[1], 0o777)
print("listening", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def accomplice(arena: Range) -> Iterator[tuple[str, str]]:
    """Somebody who listens where everybody may connect: his socket's path, and one without a path."""
    names = f"/tmp/lzr-proof-{os.getpid()}", f"@lzr-proof-{os.getpid()}"
    process = arena.scanner.popen(PYTHON, "-c", ACCOMPLICE, *names, stdin=-1, stdout=-1)
    try:
        assert process.stdout.readline() == b"listening\n"
        with socket.socket(socket.AF_UNIX) as sock:  # whoever has names may
            sock.connect(names[0])
        yield names
    finally:
        process.kill()
        process.wait()
        Path(names[0]).unlink(missing_ok=True)


def connecting(names: tuple[str, str]) -> tuple[dict[str, Call | int | bytes | str], dict[str, Call]]:
    """What prepares the calls, and the calls that connect to an accomplice."""
    path, abstract = names
    prepare: dict[str, Call | int | bytes | str] = {
        "$named": b"\1\0" + path.encode().ljust(108, b"\0"),
        "$nameless": b"\1\0\0" + abstract[1:].encode().ljust(107, b"\0"),
        "$unix": call("socket", 1, 1, 0),
    }
    return prepare, {
        "a socket with a path": call("connect", "$unix", "$named", 110),
        "a socket without": call("connect", "$unix", "$nameless", 2 + len(abstract)),
    }


def attach(sock: socket.socket, level: int, option: int, program: bytes) -> None:
    code = ctypes.create_string_buffer(program, len(program))
    given = (len(program) // 8).to_bytes(8, "little") + ctypes.addressof(code).to_bytes(8, "little")
    sock.setsockopt(level, option, given)


def test_terminal_filters_and_sockets(arena: Range, accomplice: tuple[str, str]) -> None:
    """On a terminal, with the results on it too: nobody who parses holds it, or reads others' packets."""
    count = 6000
    arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER, classes=LIVELY)
    source, target = (arena.lab.directory / name for name in ("targets", "seen"))
    source.write_text("".join(services(count)))
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    with source.open() as stdin:
        victim = Victim(
            arena.scanner,
            *("-sendSYNs", "-rate", "1000", "-w", "flow=1,collect=2", *PATIENT, "-f", "-"),
            stdin=stdin,
            stdout=theirs,
        )
    seen = target.open("ab", buffering=0)

    def records(least: int) -> bool:
        while select.select([ours], [], [], 0.05)[0]:
            seen.write(os.read(ours, 65536))
        return lines_in(target) >= least

    wait_for(lambda: records(200), "records")
    flow = victim.worker()
    collectors = wait_for(lambda: len(victim.of_role("collector")) == 2 and victim.of_role("collector"), "2")
    for pid in (victim.forkserver(), flow, *collectors):
        held = open_files(pid)
        assert held[0] == "/dev/null"
        assert held[1] == held[2]
        assert held[1].startswith("pipe:")
        assert not [link for link in held.values() if "/pts/" in link or "/tty" in link], held
    assert not any(packet_sockets(pid) for pid in collectors), "packets are not the collectors' business"
    assert not any("pidfd" in link for pid in (flow, *collectors) for link in open_files(pid).values())

    sockets = packet_sockets(flow)
    assert sockets
    everything = b"\x06\x00\x00\x00\xff\xff\xff\xff"  # BPF: return all of it
    for sock in sockets:  # we are root, and even so:
        for level, option in ((socket.SOL_SOCKET, SO_ATTACH_FILTER), (SOL_PACKET, PACKET_FANOUT_DATA)):
            with pytest.raises(PermissionError):
                attach(sock, level, option, everything)
        with pytest.raises(PermissionError):
            sock.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
        sock.close()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as free:  # the attack is one
        attach(free, socket.SOL_SOCKET, SO_ATTACH_FILTER, bpfprograms.fanout_program(1))
        attach(free, socket.SOL_SOCKET, SO_ATTACH_FILTER, everything)
        free.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)

    prepare, connections = connecting(accomplice)
    for pid in (flow, collectors[0]):
        told = asked(pid, {"escapes": call("write", 2, b"\x1b]0;owned\x07\n", 11), **connections}, prepare)
        assert told["escapes"][0] == 11
        assert told["a socket with a path"] == (-1, errno.ENOENT)
        if confinement.version() >= 6:
            assert told["a socket without"] == (-1, errno.EPERM)
    wait_for(lambda: records(count), "all records", seconds=60)
    os.close(theirs)
    assert victim.wait(120) == 0, victim.said()[-2000:]
    os.close(ours)
    seen.close()
    found = read(target)
    once_each(found, wanted(count))
    right(found)
    assert victim.said().count("\\x1b]0;owned\\x07") == 2
    assert "\x1b" not in victim.said()


def test_no_process_outlives_the_scan(arena: Range) -> None:
    """Not even if all of them have been stopped when the coordinator is killed."""
    count = 20_000
    arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER, classes=LIVELY)
    source, target = (arena.lab.directory / name for name in ("targets", "out"))
    source.write_text("".join(services(count)))
    with source.open() as stdin:
        words = ("-sendSYNs", "-rate", "1000", "-w", "1", *PATIENT, "-f", target)
        victim = Victim(arena.scanner, *words, stdin=stdin)
    wait_for(lambda: lines_in(target) > 100, "records")
    pids = family(victim.pid)
    assert len(pids) == 3
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    assert victim.kill("coordinator")
    wait_for(lambda: not any(map(alive, pids)), "the end of all")
    assert target.read_bytes().endswith(b"\n")
