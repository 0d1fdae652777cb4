"""Reads the facts of this host that `checks` needs. Takes a millisecond, never raises.

Every reader takes the place it reads from as an argument, so that tests can show it another host.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import resource
import site
import socket
import struct
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from coordinator.doctor.checks import HostFacts
from coordinator.doctor.threads import room_for_threads
from coordinator.endpoints import control
from coordinator.network import netlink
from coordinator.network.netlink import Netlink
from coordinator.processes import cgroups, ownuser, rights, rundir, ulimits, users
from coordinator.processes.users import User
from lzr import kernels, syscalls
from lzr.options.table import Options

_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_TIMEX = 208  # bytes of struct timex where long has eight
_MEMORY_V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes")
NO_LIMIT = 1 << 60
"""Bytes: a limit above this is none. Control groups of version 1 say 2^63 less a page for no limit."""


def gather(options: Options, user: User, interface: str | None = None) -> HostFacts:
    """user: whom workers run as. interface: that of the scan."""
    began = time.monotonic()
    try:
        held = rights.capabilities()
        trouble_with_rights = rights.why_not_root_enough(held, guarded=options.guard != "none")
    except OSError:
        held, trouble_with_rights = 0, rights.why_not_root_enough(guarded=options.guard != "none")
    memory, memory_of = room_in_memory()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    place = Path(kernels.__file__).parent
    ulimits.raise_threads()  # as a scan does
    threads, threads_of = room_for_threads(user.uid, shared=not ownuser.is_own(user.uid))
    place_of_sockets, trouble = room_for_sockets(rundir.where())
    return HostFacts(
        kernels=kernels.sentence(),
        why_python=kernels.WHY_PYTHON,
        directory=str(place.parent),
        examples=examples(place.parent),
        user=user.name,
        shared=not ownuser.is_own(user.uid),
        closed=closed_to(user, (place, Path(sys.executable), Path(socket.__file__))),
        not_root_enough=trouble_with_rights,
        not_giving_up=rights.why_not_give_up_root(user, held),
        alone=user.uid == 0,
        may_renice=rights.may_renice(held),
        addresses=addresses(interface),
        forwards=forwards(),
        memory=memory,
        memory_of=memory_of,
        synchronised=synchronised(),
        wall=time.time(),
        ticks=time.monotonic() >= began,
        descriptors=_number(soft),
        most_descriptors=_number(hard),
        threads=threads,
        threads_of=threads_of,
        temporary=str(place_of_sockets),
        temporary_trouble=trouble,
        outputs=tuple(rooms(options)),
        scans=tuple(other_scans()),
        landlock=landlock(),
        no_filter=no_filter(),
    )


def whom(wanted: str | None, own: ownuser.OwnUser | None) -> users.User:
    """The user that workers run as: `own`, a uid of the run's own, if there is one. Raises
    users.UserError.
    """
    if own is not None:
        return own.user
    if wanted is None:
        try:
            held = rights.capabilities()
        except OSError:
            held = 0
        myself = rights.stay(held, confined=bool(landlock()) and not no_filter())
        if myself is not None:
            return myself
    return users.choose_user(wanted if os.geteuid() == 0 else None)


def landlock() -> int:
    """The version of the kernel's Landlock, 0 if it has none."""
    call = ctypes.CDLL(None).syscall
    number, ask = 444, 1  # landlock_create_ruleset, LANDLOCK_CREATE_RULESET_VERSION
    return max(0, int(call(ctypes.c_long(number), None, ctypes.c_size_t(0), ctypes.c_uint32(ask))))


def no_filter(machine: str | None = None) -> str:
    """Why workers' system calls cannot be filtered; empty if they can. machine: as uname(2) names it."""
    machine = os.uname().machine if machine is None else machine
    if machine not in syscalls.ARCHITECTURES:
        return f"there is no filter of system calls for {machine}, whose numbers are not known here"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(22, ctypes.c_ulong(2), None, None, None) and ctypes.get_errno() == errno.EINVAL:
        return "this kernel knows no filter of system calls"  # else it says that there is no program
    return ""


def examples(checkout: Path) -> str:
    """Where etc/ is: in the environment, or in the checkout that this runs from; nothing if it is nowhere."""
    places = (
        Path(sys.prefix) / "share/lzr/etc",
        Path(site.USER_BASE or "/") / "share/lzr/etc",
        checkout / "etc",
    )
    return next((str(place) for place in places if os.path.isfile(place / "all.ini")), "")


def closed_to(user: User, paths: Iterable[Path]) -> str:
    """The first directory or file on these paths that `user` may not enter or read; empty if there is none.

    It goes by the mode bits for owner, group and others; root, and the user we are, may read everything.
    """
    if user.uid in (0, os.geteuid()):
        return ""
    steps: dict[str, int] = {}
    for path in paths:
        real = os.path.realpath(path)
        steps |= dict.fromkeys((str(parent) for parent in reversed(Path(real).parents)), 0o1)
        steps[real] = 0o5 if os.path.isdir(real) else 0o4
    for step, wanted in steps.items():
        try:
            status = os.stat(step)
        except OSError:
            return step
        shift = 6 if status.st_uid == user.uid else 3 if status.st_gid == user.gid else 0
        if status.st_mode >> shift & wanted != wanted:
            return step
    return ""


def addresses(interface: str | None = None) -> dict[str, str]:
    """Every address of this host, and the interface that has it; of several that do (unnumbered links), this
    one if it is among them.
    """
    found: dict[str, str] = {}
    with contextlib.suppress(OSError), Netlink() as kernel:
        fixed = netlink.ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        for message in kernel.ask(netlink.GETADDR, fixed, flags=netlink.F_DUMP):
            packed = message.attributes.get(netlink.IFA_LOCAL) or message.attributes.get(netlink.IFA_ADDRESS)
            if packed:
                family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6
                address = socket.inet_ntop(family, packed)
                if interface is None or found.get(address) != interface:
                    with contextlib.suppress(OSError):
                        found[address] = socket.if_indextoname(message.fields[4])
    return found


def forwards(root: Path = Path("/proc/sys/net")) -> bool:
    """Whether this host forwards packets that are not for it."""
    for name in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        with contextlib.suppress(OSError):
            if (root / name).read_text().strip() not in ("", "0"):
                return True
    return False


def room_in_memory(root: Path = Path("/")) -> tuple[int | None, str]:
    """Bytes that can still be allocated, and what limits them: the host, or the tightest of its control
    groups.
    """
    found: list[tuple[int, str]] = []
    with contextlib.suppress(OSError, ValueError):
        for line in (root / "proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                found.append((int(line.split()[1]) * 1024, "this host has"))
    for version, folder in cgroups.folders("memory", root):
        names = ("memory.max", "memory.current") if version == 2 else _MEMORY_V1
        with contextlib.suppress(OSError, ValueError):  # "max" is no number
            most, now = (int((folder / name).read_text()) for name in names)
            if most < NO_LIMIT:
                found.append((max(0, most - now + _reclaimable(folder)), "the control group has"))
    return min(found, default=(None, ""))


def _reclaimable(folder: Path) -> int:
    """Bytes of cached files that count as the group's memory and are freed when it needs memory."""
    for line in (folder / "memory.stat").read_text().splitlines():
        name, _, number = line.partition(" ")
        if name in ("inactive_file", "total_inactive_file"):
            return int(number)
    return 0


def synchronised() -> bool | None:
    """Whether something keeps the clock of this host synchronised (adjtimex(2)); None if that is unknown."""
    if struct.calcsize("l") != 8:
        return None
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX))  # modes 0: only asks
    return None if state < 0 else state != _TIME_ERROR


def room_for_sockets(places: Iterable[Path]) -> tuple[Path, str]:
    """The first of the places where the sockets of a run can be made, or one where they cannot, and why."""
    found = Path(rundir.temporary()), "others may rename what is in it"
    for place in places:
        found = place, trouble_writing(place)
        if not found[1]:
            break
    return found


def trouble_writing(directory: Path) -> str:
    """Why no file can be made in this directory; empty if one can."""
    try:
        status = os.statvfs(directory)
    except OSError as error:
        return error.strerror or str(error)
    if status.f_flag & os.ST_RDONLY:
        return "it is read-only"
    if not os.access(directory, os.W_OK | os.X_OK):
        return "it is closed to us"
    if status.f_bavail == 0:
        return "it is full"
    return "no inodes are left" if status.f_files and status.f_favail == 0 else ""


def rooms(options: Options) -> Iterator[tuple[str, int]]:
    """Each file that the scan is going to write, and the bytes that are free where it lies."""
    for path in (options.output_file, options.log_file, options.checkpoint):
        if path is None or path == "-":
            continue
        with contextlib.suppress(OSError):
            place = Path(path).absolute().parent
            if os.path.isdir(place) and not Path(path).is_char_device():
                status = os.statvfs(place)
                yield path, status.f_bavail * status.f_frsize


def other_scans() -> Iterator[str]:
    """What to call each scan that runs here already."""
    for path in control.running():
        if path.stem != str(os.getpid()):
            yield f"pid {path.stem}" if path.stem.isdigit() else str(path)


def _number(limit: int) -> int:
    return NO_LIMIT if limit == resource.RLIM_INFINITY else limit
