"""What a running flow worker and a running collector can do: they try it themselves, as if taken over.

A child that a test forks would say what such a process can do; these are the ones that look at what strangers
send, in the middle of a scan, which afterwards has to end as if nothing had been.
"""

from __future__ import annotations

import errno
import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import Victim, alive, lines_in, once_each, open_files, read
from tests.lab.inside import Call, asked, call
from tests.lab.net import wait_for
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.system.test_e2e_responder import services
from tests.system.test_faults_processes import LIVELY, PATIENT, right, wanted
from workers import confinement

pytestmark = [pytest.mark.root, pytest.mark.attack]

REFUSED = {errno.EPERM, errno.EACCES}
_NETWORK = 0x40000000  # CLONE_NEWNET


def opened(path: str | Path, flags: int) -> Call:
    return call("open", path, flags, 0o644)


def attempts(victim: Victim, target: Path) -> dict[str, Call]:
    """What only root, or somebody else, may do. Results: -1, or what they would let a process have."""
    create = os.O_CREAT | os.O_WRONLY
    return {
        "a raw packet socket": call("socket", 17, 3, 768),
        "a raw TCP socket": call("socket", 2, 3, 6),
        "a raw IPv6 socket": call("socket", 10, 3, 58),
        "a new file in /etc": opened("/etc/lzr-proof", create),
        "a new file in /root": opened("/root/lzr-proof", create),
        "a new file beside the results": opened(target.parent / "lzr-proof", create),
        "the results by their name": opened(target, os.O_WRONLY),
        "the system's passwords": opened("/etc/shadow", os.O_RDONLY),
        "the coordinator's memory": opened(f"/proc/{victim.pid}/mem", os.O_RDWR),
        "a signal to the coordinator": call("kill", victim.pid, 0),
        "to be root": call("setuid", 0),
        "to be of root's group": call("setgid", 0),
        "another root directory": call("chroot", "/"),
        "another network": call("setns", "$network", _NETWORK),
        "a privileged port": call("bind", "$listener", "$address", 16),
        "a network of its own": call("unshare", _NETWORK),
    }


def among_the_sockets(pid: int) -> dict[str, Call]:
    """What a process might try in the directory of the sockets, all that it has of the file system."""
    assert Path(os.readlink(f"/proc/{pid}/root")).name.startswith("run-")
    assert Path(f"/proc/{pid}/root/reports").is_socket()
    return {
        "a link among the sockets": call("symlink", "/etc/shadow", "/orders-flow-0.2"),
        "a socket of another name": call("rename", "/reports", "/other"),
        "a socket gone": call("unlink", "/reports"),
        "a socket in reach of others": call("chmod", "/", 0o777),
        "the names of the sockets": opened("/", os.O_RDONLY | os.O_DIRECTORY),
        "a name of its own": call("bind", "$unix", "$path", 110),
    }


def beyond_the_loop(victim: Victim, role: str, pid: int) -> dict[str, Call]:
    """Calls that no worker makes, and arguments that it does not make them with."""
    brother = victim.worker("collector" if role == "flow worker" else "flow worker")
    numbers = {
        "x86_64": (321, 298, 323, 322, 222, 234, 248),
        "aarch64": (280, 241, 282, 281, 107, 131, 217),
    }[os.uname().machine]
    calls = {
        "a TCP socket": call("socket", 2, 1, 0),
        "a UDP socket": call("socket", 2, 2, 0),
        "the kernel's ear": call("socket", 16, 3, 0),
        "datagrams to anybody here": call("socket", 1, 2, 0),
        "a pair of sockets": call("socketpair", 1, 1, 0, "$path"),
        "a process": call("fork"),
        "to outlive the scan": call("prctl", 1, 0),
        "a session of its own": call("setsid"),
        "tracing a brother": call("ptrace", 16, brother, 0, 0),
        "a brother's memory": call("process_vm_readv", brother, 0, 0, 0, 0, 0),
        "a signal to a brother": call("kill", brother, 0),
        "a signal to the fork server": call("kill", victim.forkserver(), 0),
        "a file in memory": call("memfd_create", "code", 0),
        "memory that can be run": call("mmap", 0, 4096, 7, 0x22, -1, 0),
        "a mount": call("mount", "none", "/", "tmpfs", 0, 0),
        "another's turn": call("setpriority", 0, brother, 19),
        "somebody else's descriptors": call("recvmsg", 1, "$path", 0),
        "its descriptors to somebody else": call("sendmsg", 1, "$path", 0),
        "the lock of the results": call("flock", 1, 8),
        "signals by a descriptor": call("fcntl", 1, 8, brother),
        "a program in the kernel": call("syscall", numbers[0], 0, 0, 0),
        "performance counters": call("syscall", numbers[1], 0, 0, 0),
        "faults of its own": call("syscall", numbers[2], 0),
        "a ring of calls": call("syscall", 425, 8, 0),
        "a program by a descriptor": call("syscall", numbers[3], 1, "$path", 0, 0, 0x1000),
        "memory that is not counted": call("mmap", 0, 4096, 3, 0x21, -1, 0),
        "huge pages": call("mmap", 0, 1 << 21, 3, 0x40022, -1, 0),
        "pages that stay in memory": call("mlock", "$frame", 60),
        "another signal of a descriptor": call("fcntl", 1, 10, 9),
        "to hear of a file": call("fcntl", 1, 1024, 0),
        "a brother's limits": call("prlimit", brother, 7, 0, 0),
        "more than its own limits": call("setrlimit", 7, "$path"),
        "a brother's processors": call("sched_setaffinity", brother, 8, "$path"),
        "words typed for others": call("ioctl", 0, 0x5412, "$path"),
        "a timer": call("syscall", numbers[4], 0, 0, "$path"),
        "an alarm": call("setitimer", 0, "$frame", 0),
        "a signal to a thread": call("syscall", numbers[5], brother, brother, 0),
        "a brother by a descriptor": call("syscall", 434, brother, 0),
        "a signal by it": call("syscall", 424, 1, 9, 0, 0),
        "descriptors by it": call("syscall", 438, 1, 0, 0),
        "advice for a brother's memory": call("syscall", 440, 1, 0, 0, 0, 0),
        "a personality with code everywhere": call("personality", 0x400000),
        "a key": call("syscall", numbers[6], "$path", "$path", 0, 0, -3),
        "memory of System V": call("shmget", 0, 4096, 0o1600),
        "a queue of System V": call("msgget", 0, 0o1600),
        "to watch files": call("inotify_init1", 0),
        "a pipe": call("pipe2", "$path", 0),
    }
    if role == "flow worker":
        (packets, *_), (routed, *_) = packet_descriptors(pid), descriptors(pid, "raw", "raw6")
        calls |= {
            "a raw socket's number for another": call("close", routed),
            "packets to a name": call("sendto", packets, "$frame", 60, 0, "$path", 110),
            "packets of others": call("setsockopt", packets, 1, 27, 0, 0),
            "another fan-out": call("setsockopt", packets, 263, 22, "$frame", 16),
            "another interface": call("bind", packets, "$link", 20),
        }
    return calls


def bounded(pid: int) -> list[str]:
    """Of what a process may have no more, hard limits, than a share of this machine."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    most = {
        "data size": max(memory // 2, 1 << 30),
        "processes": 8192,
        "open files": 8192,
        "core file size": 0,
        "locked memory": 0,
    }
    text = Path(f"/proc/{pid}/limits").read_text()
    hard = {name: re.search(rf"^Max {name} +\S+ +(\S+)", text, re.M) for name in most}
    limits = {name: found[1] for name, found in hard.items() if found}
    return [name for name, limit in limits.items() if limit.isdigit() and int(limit) <= most[name]]


def packet_descriptors(pid: int) -> list[int]:
    """Those of a process that are packet sockets."""
    return descriptors(pid, "packet")


def descriptors(pid: int, *tables: str) -> list[int]:
    """Those of a process that are such sockets: told by the inodes in its /proc/PID/net/TABLE."""
    inodes = set()
    for table in tables:
        lines = Path(f"/proc/{pid}/net/{table}").read_text().splitlines()
        inodes |= {line.split()[8 if table == "packet" else 9] for line in lines[1:]}
    return [number for number, link in open_files(pid).items() if link.strip("socket:[]") in inodes]


def where_all_may() -> dict[str, Call]:
    """What anybody may do with files."""
    create = os.O_CREAT | os.O_WRONLY
    return {
        "a new file in /tmp": opened("/tmp/lzr-proof", create),
        "a new file in /dev/shm": opened("/dev/shm/lzr-proof", create),
        "a program": call("execve", "/bin/true", 0, 0),
        "a file that all may read": opened("/etc/passwd", os.O_RDONLY),
        "the names in a directory": opened("/", os.O_RDONLY | os.O_DIRECTORY),
        "its own memory as a file": opened("/proc/self/mem", os.O_RDWR),
        "the program itself": opened(confinement.__file__, os.O_RDONLY),
    }


# A Unix socket, which ZeroMQ needs; addresses: /own, and lo (with a frame for it); what would be descriptors
# of a socket and a namespace, if they could be had.
PREPARE: dict[str, Call | int | bytes | str] = {
    "$unix": call("socket", 1, 1, 0),
    "$path": (b"\1\0/own").ljust(110, b"\0"),
    "$link": struct.pack("<HHi12x", 17, 0, 1),
    "$frame": bytes(60),
    "$listener": 1,
    "$address": "$path",
    "$network": opened("/proc/self/ns/net", os.O_RDONLY),
}


@pytest.fixture
def proof() -> Iterator[list[Path]]:
    """Files that must not come to be."""
    places = [Path(place, "lzr-proof") for place in ("/etc", "/root", "/tmp", "/dev/shm")]
    yield places
    made = [place for place in places if place.exists()]
    for place in made:
        place.unlink()
    assert not made


def test_what_running_processes_are_refused(arena: Range, proof: list[Path]) -> None:
    count = 16_000
    arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER, classes=LIVELY)
    arena.scanner.sysctl("net.ipv4.ip_unprivileged_port_start", 1024)  # as on any host; the lab allows all
    source, target = (arena.lab.directory / name for name in ("targets", "out"))
    source.write_text("".join(services(count)))
    with source.open() as stdin:
        victim = Victim(
            arena.scanner,
            *("-sendSYNs", "-rate", "1000", "-w", "1", "-rn", "3", *PATIENT, "-f", target),
            stdin=stdin,
        )
    proof.append(target.parent / "lzr-proof")
    wait_for(lambda: lines_in(target) > 1000, "records")
    pids = {role: victim.worker(role) for role in ("flow worker", "collector")}
    for role, pid in pids.items():
        calls = attempts(victim, target) | among_the_sockets(pid) | where_all_may()
        calls |= beyond_the_loop(victim, role, pid)
        found = asked(pid, calls, PREPARE)
        assert bounded(pid) == ["data size", "processes", "open files", "core file size", "locked memory"]
        allowed = {name: result for name, (result, _) in found.items() if result != -1}
        assert not allowed, (role, allowed)
        errors = {name: errno.errorcode[error] for name, (_, error) in found.items() if error not in REFUSED}
        assert not errors, (role, errors)
        seen = lines_in(target)
        assert alive(pid)
        wait_for(lambda seen=seen: lines_in(target) > seen + 1000, "more records")  # type: ignore[misc]
    assert pids == {role: victim.worker(role) for role in pids}, "they are still the same processes"
    assert victim.wait(120) == 0, victim.said()[-2000:]
    records = read(target)
    once_each(records, wanted(count))
    right(records)
    assert "restarted" not in victim.said()


def test_what_they_are_made_to_do_is_done(arena: Range) -> None:
    """The same calls in a process that is root, and outside the lab's refusals, do succeed."""
    sleeper = arena.scanner.popen("sleep", "600")
    wait_for(lambda: Path(f"/proc/{sleeper.pid}/comm").read_text() == "sleep\n", "it to sleep")
    place = arena.lab.directory / "lzr-proof"
    calls = {
        "a raw packet socket": call("socket", 17, 3, 768),
        "a new file": opened(place, os.O_CREAT | os.O_WRONLY),
        "nothing there": opened(arena.lab.directory / "nowhere" / "file", os.O_RDONLY),
    }
    found = asked(sleeper.pid, calls)
    assert found["a raw packet socket"][0] >= 0
    assert found["a new file"][0] >= 0
    assert place.exists()
    assert found["nothing there"] == (-1, errno.ENOENT)
    assert alive(sleeper.pid)
