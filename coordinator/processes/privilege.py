"""Chooses the user that workers run as, and checks whether we have the rights to begin.

Root only sets up; nobody else's bytes are read as root. How a child drops its privileges is in
``workers/privilege.py``; here is only the choice of user, made before anything is started.
"""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

_NAMES = {12: "CAP_NET_ADMIN", 13: "CAP_NET_RAW"}
_TO_GIVE_UP_ROOT = {0: "CAP_CHOWN", 1: "CAP_DAC_OVERRIDE", 6: "CAP_SETGID", 7: "CAP_SETUID", 8: "CAP_SETPCAP"}
_SYS_NICE = 23
_ALONE = {8: "CAP_SETPCAP", 18: "CAP_SYS_CHROOT"}
_NET_RAW = 13
_NOBODY = 65534


class UserError(Exception):
    """The user to run as cannot be used; the text is one sentence."""


class User(Struct, frozen=True):
    """A user and group to run as."""

    name: str
    uid: int
    gid: int


def choose_user(wanted: str | None = None, environment: Mapping[str, str] = os.environ) -> User:
    """The user of workers and collectors: ``wanted`` (name or uid, perhaps with ``:group``), or whoever
    called sudo, or nobody. Without root it is our own. Raises UserError.
    """
    if wanted is not None:
        user = _by_text(wanted)
        if os.geteuid() != 0 and user.uid != os.geteuid():
            raise UserError(f"--user {wanted}: only root can run workers as another user")
        return user
    if os.geteuid() != 0:
        return _by_uid(os.geteuid(), os.getegid())
    return invoking_user(environment) or _nobody()


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
    return f"{what} {rights(*missing)}"


def rights(*missing: str) -> str:
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
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("CapEff:"):
                return int(line.split()[1], 16)
    return 0


def invoking_user(environment: Mapping[str, str] = os.environ) -> User | None:
    """The user who called sudo, to whom files made here belong. None if there is none, or what sudo set is
    invalid.
    """
    if os.geteuid() != 0:
        return None
    numbers = [environment.get(name, "") for name in ("SUDO_UID", "SUDO_GID")]
    if not all(number.isascii() and number.isdigit() and 0 < int(number) < 2**32 - 1 for number in numbers):
        return None
    return _by_uid(int(numbers[0]), int(numbers[1]))


def _nobody() -> User:
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return User("nobody", _NOBODY, _NOBODY)
    return User("nobody", entry.pw_uid, entry.pw_gid)


def _by_uid(uid: int, gid: int) -> User:
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    return User(name, uid, gid)


def _by_text(text: str) -> User:
    name, colon, group = text.partition(":")
    number = _number(name)
    try:
        entry = pwd.getpwuid(number) if number is not None else pwd.getpwnam(name)
    except (KeyError, ValueError, OverflowError):
        if number is None or not group:
            raise UserError(f"--user {text!r}: there is no such user") from None
        user = User(name, number, 0)
    else:
        user = User(entry.pw_name, entry.pw_uid, entry.pw_gid)
    if colon:
        user = User(user.name, user.uid, _group(text, group))
    if user.uid == 0 or user.gid == 0:
        raise UserError(f"--user {text!r}: workers do not run as root or in its group")
    return user


def _group(text: str, group: str) -> int:
    number = _number(group)
    if number is not None:
        return number
    try:
        return grp.getgrnam(group).gr_gid
    except (KeyError, ValueError):
        raise UserError(f"--user {text!r}: there is no group {group!r}") from None


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and int(text) < 2**32 - 1 else None
