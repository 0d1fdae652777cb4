"""Whether we have the rights that a scan needs, and children can give them up: capabilities, user namespaces.

Root only sets up; nobody else's bytes are read as root. How a child drops its privileges is in
``workers/privilege.py``, which user it becomes in `coordinator.processes.users`. Here is only looked at what
we may do, before anything is started.
"""

from __future__ import annotations

import os
from pathlib import Path

from coordinator.processes.users import User

_NAMES = {12: "CAP_NET_ADMIN", 13: "CAP_NET_RAW"}
_TO_GIVE_UP_ROOT = {0: "CAP_CHOWN", 1: "CAP_DAC_OVERRIDE", 6: "CAP_SETGID", 7: "CAP_SETUID", 8: "CAP_SETPCAP"}
_SYS_NICE = 23
_ALONE = {8: "CAP_SETPCAP", 18: "CAP_SYS_CHROOT"}
_NET_RAW = 13


def why_not_root_enough(held: int | None = None, *, guarded: bool = True) -> str | None:
    """None when raw sockets and firewall rules are allowed to us, or a sentence that says what is missing.

    held: the capabilities, those of this process unless given. guarded: firewall rules are wanted.
    """
    try:
        held = capabilities() if held is None else held
    except OSError:
        return "/proc is not mounted, and a scan needs it (its processes reach their sockets by it): mount it"
    wanted = [number for number in _NAMES if guarded or number == _NET_RAW]
    missing = [_NAMES[number] for number in wanted if not held >> number & 1]
    if not missing:
        return None
    what = "raw packets and firewall rules need" if guarded else "raw packets need"
    return f"{what} {how_to_get(*missing)}"


def how_to_get(*missing: str) -> str:
    """How a sentence that says "needs" goes on where capabilities are missing, and how to get them: root
    lacks them in a container, or where a service manager has taken them away, and sudo is no help there.
    """
    named = f"({' and '.join(missing)} missing)"
    if os.geteuid() != 0:
        return f"root {named}: run with sudo"
    short = ",".join(name.removeprefix("CAP_") for name in missing)
    return (
        f"more than root may do here {named}: --cap-add {short} in a container, "
        "CapabilityBoundingSet= under systemd"
    )


def why_not_give_up_root(user: User, held: int | None = None) -> str | None:
    """None when children can become `user`, else a sentence: containers take some of root's capabilities
    away.

    held: the capabilities, those of this process unless given.
    """
    if os.geteuid() != 0 or (user.uid, user.gid) == (0, 0):  # see `stay`
        return None
    held = capabilities() if held is None else held
    for what, number, table in (("user", user.uid, "uid_map"), ("group", user.gid, "gid_map")):
        if not mapped(number, table):
            return (
                f"this user namespace has no {what} {number} for workers to become ({user.name}): map more "
                "than one (--map-users), or name one that there is with --user"
            )
    missing = [name for number, name in _TO_GIVE_UP_ROOT.items() if not held >> number & 1]
    if not missing:
        return None
    return f"workers cannot give up root and become {user.name}: {' and '.join(missing)} missing"


def alone(directory: str = "/proc/self") -> bool:
    """Whether we are user 0 of a user namespace that has no other user or group to become."""
    if os.geteuid() != 0:
        return False
    try:
        texts = [Path(directory, table).read_text().split() for table in ("uid_map", "gid_map")]
    except OSError:
        return False
    return all(words[0::2] == ["0", "1"] for words in texts)


def stay(held: int, *, confined: bool) -> User | None:
    """Ourselves, if we are `alone` and children can be confined without another user; else None.

    held: the capabilities. confined: the kernel has Landlock and system call filters.
    """
    if not alone() or not confined or any(not held >> number & 1 for number in _ALONE):
        return None
    return User("0, as there is no other here", 0, 0)


def mapped(number: int, table: str, directory: str = "/proc/self") -> bool:
    """Whether a user or group exists in our user namespace. table: uid_map, gid_map (user_namespaces(7))."""
    try:
        with open(f"{directory}/{table}") as lines:
            ranges = [[int(word) for word in line.split()] for line in lines]
    except (OSError, ValueError):
        return True
    return not ranges or any(first <= number < first + count for first, _, count in ranges)


def may_renice(held: int | None = None, directory: str = "/proc/self") -> bool:
    """Whether a lowered priority can be raised again: a right that only the initial user namespace has."""
    if not (capabilities() if held is None else held) >> _SYS_NICE & 1:
        return False
    try:
        return Path(directory, "uid_map").read_text().split() == ["0", "0", str(2**32 - 1)]
    except OSError:
        return True  # a kernel without user namespaces


def capabilities() -> int:
    """The effective set of this process, one bit each (capabilities(7))."""
    with open("/proc/self/status", errors="replace") as status:  # the name of a process may be any bytes
        for line in status:
            if line.startswith("CapEff:"):
                return int(line.split()[1], 16)
    return 0
