"""What a worker that was taken over holds and can do, in the middle of a scan; docs/faults.md has the table.

A debugger drives the process (see `test_privilege_running`), or the test takes a descriptor out of it.
"""

from __future__ import annotations

import ctypes
import os
import pty
import select
import socket
import tty
from pathlib import Path

import pytest

from coordinator.network.raw_sockets import PACKET_FANOUT_DATA, SO_ATTACH_FILTER
from lzr.layout import SOL_PACKET
from lzr.packet import sharding
from tests.faults import Victim, lines_in, once_each, read
from tests.lab.net import wait_for
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.system.test_e2e_responder import services
from tests.system.test_faults_processes import LIVELY, QUICK, right, wanted
from tests.system.test_privilege_running import (
    _debugger,  # noqa: F401  (a fixture of every test here)
    asked,
    call,
)

pytestmark = pytest.mark.root

_PIDFD_GETFD = 438
_SO_DETACH_FILTER = 27


def links(pid: int) -> dict[int, str]:
    """The descriptors of a process, and what they are."""
    return {int(link.name): os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()}


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
    for number, link in links(pid).items():
        if link.startswith("socket:"):
            sock = socket.socket(fileno=taken(pid, number))
            if sock.family == socket.AF_PACKET:
                found.append(sock)
            else:
                sock.close()
    return found


def attach(sock: socket.socket, level: int, option: int, program: bytes) -> None:
    code = ctypes.create_string_buffer(program, len(program))
    given = (len(program) // 8).to_bytes(8, "little") + ctypes.addressof(code).to_bytes(8, "little")
    sock.setsockopt(level, option, given)


def test_terminal_and_filters(arena: Range) -> None:
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
            *("-sendSYNs", "-rate", "1000", "-w", "flow=1,collect=2", *QUICK, "-f", "-"),
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
    for pid in (victim.nursery(), flow, *collectors):
        held = links(pid)
        assert held[0] == "/dev/null"
        assert held[1] == held[2]
        assert held[1].startswith("pipe:")
        assert not [link for link in held.values() if "/pts/" in link or "/tty" in link], held
    assert not any(packet_sockets(pid) for pid in collectors), "packets are not the collectors' business"
    assert not any("pidfd" in link for pid in (flow, *collectors) for link in links(pid).values())

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
        attach(free, socket.SOL_SOCKET, SO_ATTACH_FILTER, sharding.fanout_program(1))
        attach(free, socket.SOL_SOCKET, SO_ATTACH_FILTER, everything)
        free.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)

    prepare = (
        "set $text = (char *)malloc(64)",
        'call (void *)memcpy($text, "\\033]0;owned\\007\\n", 11)',
    )
    for pid in (flow, collectors[0]):
        assert asked(pid, {"escapes": call("write", 2, "$text", 11)}, prepare)["escapes"][0] == 11
    wait_for(lambda: records(count), "all records", seconds=60)
    os.close(theirs)
    assert victim.wait(60) == 0, victim.said()[-2000:]
    os.close(ours)
    seen.close()
    found = read(target)
    once_each(found, wanted(count))
    right(found)
    assert victim.said().count("\\x1b]0;owned\\x07") == 2
    assert "\x1b" not in victim.said()
