"""Which system calls a worker or collector may make, and the filter program by which the kernel enforces it.

What is not listed is refused. The list is what the loops of the children, Python, numpy and ZeroMQ need once
everything is loaded; arguments are limited where a call could do more: threads but no processes, `AF_UNIX`
sockets (for ZeroMQ's ipc) but no others, frames by the ring, memory but none that can be executed.

A refused call fails with EPERM, as for lack of a right. Killing the process would stop an attack no better,
and a call that only a later C library makes would kill every worker again and again.

The program is classic BPF over struct seccomp_data (seccomp(2), linux/seccomp.h). Nothing is called here.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Sequence

from msgspec import Struct

# linux/bpf_common.h
LOAD, AND, JUMP, JUMP_EQUAL, RETURN = 0x20, 0x54, 0x05, 0x15, 0x06
KILL, REFUSE, ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
"""Offsets in struct seccomp_data."""
_INT = 0xFFFFFFFF
_ALL = 0xFFFFFFFFFFFFFFFF


class Only(Struct, frozen=True):
    """A call is allowed if this argument, masked with `mask`, is one of these values."""

    argument: int
    values: tuple[int, ...]
    mask: int = _INT


class NoneOf(Struct, frozen=True):
    """A call is allowed if this argument, an int, is none of these values."""

    argument: int
    values: tuple[int, ...]


_NO_CODE = Only(2, (0,), 0x4)  # PROT_EXEC
# MAP_SHARED, MAP_ANONYMOUS, MAP_HUGETLB: no memory that RLIMIT_DATA does not count, and no huge pages that
# the host keeps for others. A file's may be shared: the rings.
_OWN_MEMORY = Only(3, (0x00, 0x01, 0x20), 0x40021)

Limits = tuple[Only | NoneOf, ...]

ALLOWED: dict[str, Limits] = {
    # descriptors that are open
    **dict.fromkeys(("read", "write", "readv", "writev", "close", "lseek", "ftruncate", "fstat"), ()),
    "newfstatat": (Only(3, (0x1000,)),),  # AT_EMPTY_PATH: of a descriptor
    "fcntl": (Only(1, (0, 1, 2, 3, 4, 1030)),),  # F_DUPFD, flags, F_DUPFD_CLOEXEC: no locks, no owner
    **dict.fromkeys(("poll", "ppoll", "select", "pselect6", "epoll_create1", "epoll_ctl"), ()),
    **dict.fromkeys(("epoll_wait", "epoll_pwait", "eventfd2"), ()),
    # ZeroMQ's connections
    "socket": (Only(0, (1,)), Only(1, (1,), 0xF), Only(2, (0,))),  # AF_UNIX, SOCK_STREAM
    **dict.fromkeys(("connect", "accept4", "accept", "getsockname", "getpeername", "getsockopt"), ()),
    **dict.fromkeys(("recvfrom", "shutdown"), ()),
    "sendto": (Only(4, (0,), _ALL),),  # to where the socket is bound or connected: no address
    # memory
    **dict.fromkeys(("brk", "munmap", "mremap", "madvise"), ()),
    "mmap": (_NO_CODE, _OWN_MEMORY),
    "mprotect": (_NO_CODE,),
    # threads
    "clone": (Only(0, (0x10000,), 0x10000),),  # CLONE_THREAD: no process
    **dict.fromkeys(("futex", "set_robust_list", "rseq", "gettid", "sched_yield", "membarrier"), ()),
    **dict.fromkeys(("sched_getparam", "sched_getscheduler", "sched_getaffinity"), ()),
    "sched_setscheduler": (Only(1, (0,)),),  # SCHED_OTHER; `scheduling` for who has another
    "prctl": (Only(0, (15,)),),  # PR_SET_NAME; not PR_SET_PDEATHSIG, nor PR_SET_DUMPABLE
    # signals to itself, time, and who it is
    **dict.fromkeys(("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall"), ()),
    **dict.fromkeys(("clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday"), ()),
    **dict.fromkeys(("getrandom", "getrusage", "times", "uname", "getpid", "getppid"), ()),
    **dict.fromkeys(("getuid", "geteuid", "getgid", "getegid"), ()),
    **dict.fromkeys(("exit", "exit_group"), ()),
}

_X86_64 = {
    "read": 0, "write": 1, "close": 3, "fstat": 5, "poll": 7, "lseek": 8, "mmap": 9, "mprotect": 10,
    "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "readv": 19,
    "writev": 20, "select": 23, "sched_yield": 24, "mremap": 25, "madvise": 28, "nanosleep": 35, "getpid": 39,
    "socket": 41, "connect": 42, "accept": 43, "sendto": 44, "recvfrom": 45, "sendmsg": 46, "shutdown": 48,
    "getsockname": 51, "getpeername": 52, "getsockopt": 55, "clone": 56, "exit": 60, "uname": 63, "fcntl": 72,
    "ftruncate": 77, "gettimeofday": 96, "getrusage": 98, "times": 100, "getuid": 102, "getgid": 104,
    "geteuid": 107, "getegid": 108, "getppid": 110, "sigaltstack": 131, "sched_getparam": 143,
    "sched_setscheduler": 144, "sched_getscheduler": 145, "prctl": 157, "gettid": 186, "futex": 202,
    "sched_getaffinity": 204, "restart_syscall": 219, "clock_gettime": 228, "clock_getres": 229,
    "clock_nanosleep": 230, "exit_group": 231, "epoll_wait": 232, "epoll_ctl": 233, "newfstatat": 262,
    "pselect6": 270, "ppoll": 271, "set_robust_list": 273, "epoll_pwait": 281, "accept4": 288,
    "eventfd2": 290, "epoll_create1": 291, "getrandom": 318, "membarrier": 324, "rseq": 334, "clone3": 435,
}  # fmt: skip
_AARCH64 = {
    "eventfd2": 19, "epoll_create1": 20, "epoll_ctl": 21, "epoll_pwait": 22, "fcntl": 25, "ftruncate": 46,
    "close": 57, "lseek": 62, "read": 63, "write": 64, "readv": 65, "writev": 66, "pselect6": 72, "ppoll": 73,
    "newfstatat": 79, "fstat": 80, "exit": 93, "exit_group": 94, "futex": 98, "set_robust_list": 99,
    "nanosleep": 101, "clock_gettime": 113, "clock_getres": 114, "clock_nanosleep": 115,
    "sched_setscheduler": 119, "sched_getscheduler": 120, "sched_getparam": 121, "sched_getaffinity": 123,
    "sched_yield": 124, "restart_syscall": 128, "sigaltstack": 132, "rt_sigaction": 134,
    "rt_sigprocmask": 135, "rt_sigreturn": 139, "times": 153, "uname": 160, "getrusage": 165, "prctl": 167,
    "gettimeofday": 169, "getpid": 172, "getppid": 173, "getuid": 174, "geteuid": 175, "getgid": 176,
    "getegid": 177, "gettid": 178, "socket": 198, "accept": 202, "connect": 203, "getsockname": 204,
    "getpeername": 205, "sendto": 206, "recvfrom": 207, "getsockopt": 209, "shutdown": 210, "sendmsg": 211,
    "brk": 214,
    "munmap": 215, "mremap": 216, "clone": 220, "mmap": 222, "mprotect": 226, "madvise": 233, "accept4": 242,
    "getrandom": 278, "membarrier": 283, "rseq": 293, "clone3": 435,
}  # fmt: skip

ARCHITECTURES: dict[str, tuple[int, dict[str, int]]] = {
    "x86_64": (0xC000003E, _X86_64),
    "aarch64": (0xC00000B7, _AARCH64),
}
"""By the machine's name (uname(2)): its AUDIT_ARCH and its system call numbers. Other machines have no
filter."""


def sending(routed: Sequence[int]) -> dict[str, Limits]:
    """What a flow worker may do as well: send frames by a link (struct sockaddr_ll), and packets by the raw
    IP sockets `routed`, by number.

    It may not close these: another socket would get the number, and on a Unix socket sendmsg hands over
    descriptors.
    """
    found: dict[str, Limits] = {"sendto": (Only(5, (0, 20)),)}
    if routed:
        found["sendmsg"] = (Only(0, tuple(routed)),)
        found["close"] = (NoneOf(0, tuple(routed)),)
    return found


def scheduling(policy: int) -> dict[str, Limits]:
    """That a process may ask for the scheduling policy that it has (sched(7)): ZeroMQ does so in each of its
    threads, also where lzr was started by `chrt` or by a unit with CPUSchedulingPolicy.
    """
    return {"sched_setscheduler": (Only(1, (policy,)),)}


def program(machine: str, more: dict[str, Limits] | None = None) -> bytes | None:
    """struct sock_filter[] for seccomp(2), None for a machine whose system call numbers are not known here.

    more: calls that are allowed as well, or under other limits.
    """
    if machine not in ARCHITECTURES:
        return None
    architecture, numbers = ARCHITECTURES[machine]
    code = [_load(_ARCHITECTURE), _jump(architecture, 1, 0), _return(KILL), _load(_NUMBER)]
    for name, only in (ALLOWED | (more or {})).items():
        if name in numbers:
            body = [each for one in only for each in _check(one)] + [_return(ALLOW)]
            code += [_jump(numbers[name], 0, len(body)), *body]
    # Its flags lie in memory, where they cannot be looked at: the C library then makes threads by clone.
    code += [_jump(numbers["clone3"], 0, 1), _return(REFUSE | errno.ENOSYS), _return(REFUSE | errno.EPERM)]
    return b"".join(code)


def _check(only: Only | NoneOf) -> list[bytes]:
    """Go on behind these instructions if the argument fits, else refuse."""
    code: list[bytes] = []
    at = _ARGUMENTS + 8 * only.argument
    if isinstance(only, NoneOf):
        count = len(only.values)
        jumps = [_jump(value, count - index, 0) for index, value in enumerate(only.values)]
        skip = struct.pack("=HBBI", JUMP, 0, 0, 1)
        return [_load(at), *jumps, skip, _return(REFUSE | errno.EPERM)]
    halves = [(at, 0)] if only.mask <= _INT else [(at, 0), (at + 4, 32)]  # little endian, both machines
    for place, shift in halves:
        mask = only.mask >> shift & _INT
        values = [value >> shift & _INT for value in only.values]
        assert len(halves) == 1 or len(values) == 1  # halves of several values would be mixed
        code.append(_load(place))
        if mask != _INT:
            code.append(struct.pack("=HBBI", AND, 0, 0, mask))
        code += [_jump(value, len(values) - index, 0) for index, value in enumerate(values)]
        code.append(_return(REFUSE | errno.EPERM))
    return code


def _load(place: int) -> bytes:
    return struct.pack("=HBBI", LOAD, 0, 0, place)


def _jump(value: int, then: int, otherwise: int) -> bytes:
    return struct.pack("=HBBI", JUMP_EQUAL, then, otherwise, value)


def _return(what: int) -> bytes:
    return struct.pack("=HBBI", RETURN, 0, 0, what)
