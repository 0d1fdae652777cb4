"""Which user workers and collectors run as, and who called us as root: to whom files made here belong.

How a child becomes that user is in ``workers/privilege.py``. A number that is a run's own, which workers have
unless ``--user`` names another, is in `coordinator.processes.ownuser`.
"""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Mapping

from msgspec import Struct

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
    called sudo or its like, or nobody. Without root it is our own. Raises UserError.
    """
    if wanted is not None:
        user = _by_text(wanted)
        if os.geteuid() != 0 and user.uid != os.geteuid():
            raise UserError(f"--user {wanted}: only root can run workers as another user")
        return user
    if os.geteuid() != 0:
        return _by_uid(os.geteuid(), os.getegid())
    return invoking_user(environment) or _nobody()


def invoking_user(environment: Mapping[str, str] = os.environ) -> User | None:
    """The user who called sudo, doas or pkexec, to whom files made here belong. None if there is none, or
    what the environment says is invalid.
    """
    if os.geteuid() != 0:
        return None
    numbers = [environment.get(name, "") for name in ("SUDO_UID", "SUDO_GID")]
    if any(numbers):
        uid, gid = map(_number, numbers)
        return _by_uid(uid, gid) if uid and gid else None
    try:
        if name := environment.get("DOAS_USER"):
            entry = pwd.getpwnam(name)
        elif number := _number(environment.get("PKEXEC_UID", "")):
            entry = pwd.getpwuid(number)
        else:
            return None
    except (KeyError, ValueError, OverflowError):
        return None
    return User(entry.pw_name, entry.pw_uid, entry.pw_gid) if entry.pw_uid and entry.pw_gid else None


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
    if not (text.isascii() and text.isdigit() and len(text) <= 10):  # of thousands int() makes nothing
        return None
    return number if (number := int(text)) < 2**32 - 1 else None
