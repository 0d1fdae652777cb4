"""Drops privileges: what a child process gives up before it reads a byte from outside.

User and groups, all five capability sets (capabilities(7)), and the right to gain any by running a program
(``PR_SET_NO_NEW_PRIVS``, prctl(2)). None of them can be regained; each is read back to check that it is gone.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from typing import TextIO

PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 1, 24, 38, 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
PR_SET_SECUREBITS = 28
_NO_ROOT = 0b11101111
"""Secure bits: all but KEEP_CAPS, each locked, so that user 0 has no special rights, capabilities(7)."""
_CAPABILITY_VERSION_3 = 0x20080522  # linux/capability.h
_SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


class PrivilegeError(Exception):
    """Privilege could not be dropped; the process must not go on."""


def drop(uid: int, gid: int, root: int | None = None) -> bool:
    """Become an ordinary user for good. Raises PrivilegeError, after which the caller must end.

    root: descriptor of a directory that becomes the root directory, if we may do that (CAP_SYS_CHROOT);
    returns whether we could. uid and gid may be 0 where the user namespace has no other; then changing the
    root directory must be possible. Open descriptors stay usable. The kernel forgets a death signal when the
    user changes, so call ``die_with_parent`` after this.
    """
    alone = uid == 0 and gid == 0 and only_user()
    if (uid == 0 or gid == 0) and not alone:
        raise PrivilegeError("a worker does not run as root")
    libc = _libc()
    # Which we may be unable to find afterwards; the name of a process may be any bytes.
    with open("/proc/self/status", errors="replace") as status:
        moved = root is not None and _enclose(root)
        if alone and root is not None and not moved:
            raise PrivilegeError("a worker that stays user 0 has to be moved out of the file system")
        _become(libc, uid, gid, status, alone=alone)
    return moved


def only_user() -> bool:
    """Whether our user namespace has no user but 0, as in containers without root."""
    try:
        with open("/proc/self/uid_map") as users, open("/proc/self/gid_map") as groups:
            return all(lines.read().split()[0::2] == ["0", "1"] for lines in (users, groups))
    except OSError:
        return False


def _enclose(root: int) -> bool:
    """Make `root` the root directory; whether that was allowed to us. Unix sockets are connected to by name,
    which Landlock does not forbid: below this root there are none but the scan's own."""
    try:
        os.fchdir(root)
        os.chroot(".")
        os.chdir("/")
    except OSError:
        return False
    return True


def _become(libc: ctypes.CDLL, uid: int, gid: int, status: TextIO, *, alone: bool) -> None:
    """alone: the namespace has no other user, so user 0 is made one without special rights."""
    try:
        was_root = os.geteuid() == 0
        if was_root:
            _drop_bounding_set(libc)
        if alone:
            _call(libc, "securebits", PR_SET_SECUREBITS, _NO_ROOT)
            with contextlib.suppress(
                PermissionError
            ):  # such a namespace mostly forbids it, user_namespaces(7)
                os.setgroups([])
        elif was_root:
            os.setgroups([])
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
        _call(libc, "no new privileges", PR_SET_NO_NEW_PRIVS, 1)
        _call(libc, "ambient capabilities", PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
        header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
        if libc.capset(header, (ctypes.c_uint32 * 6)()):
            raise OSError(ctypes.get_errno(), "capset")
    except OSError as error:
        raise PrivilegeError(f"privilege cannot be dropped: {error.strerror}") from error
    who = (uid, gid) if was_root else (os.getuid(), os.getgid())
    if alone:
        os.setuid(0)  # which gives nothing back, as is looked at now
    _verify(*who, status, was_root=was_root, alone=alone)


def die_with_parent(parent: int, number: int = signal.SIGKILL) -> None:
    """Be killed when the parent dies. Ends the process at once if the parent has died already.

    ``parent`` is the pid that the parent had when it forked us. The kernel means the parent's *thread*, which
    must live as long as the parent itself. number: the signal to be sent.
    """
    _call(_libc(), "death signal", PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(1)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(libc: ctypes.CDLL, what: str, option: int, *arguments: int) -> None:
    padded = [ctypes.c_ulong(number) for number in (*arguments, 0, 0, 0, 0)[:4]]
    if libc.prctl(option, *padded):
        raise OSError(ctypes.get_errno(), what)


def _drop_bounding_set(libc: ctypes.CDLL) -> None:
    """Drop every capability from the bounding set, by number, until the kernel knows no further one."""
    for capability in range(64):
        try:
            _call(libc, "bounding set", PR_CAPBSET_DROP, capability)
        except OSError:
            if capability <= 37:  # CAP_AUDIT_READ: older than any kernel that this runs on
                raise
            return


def _verify(uid: int, gid: int, file: TextIO, *, was_root: bool, alone: bool) -> None:
    status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    left = [name for name in _SETS if int(status.get(name, "0"), 16)]
    if not was_root:
        left = [name for name in left if name != "CapBnd"]  # a bound on what can no longer be gained
    if left or status.get("NoNewPrivs") != "1":
        raise PrivilegeError(f"privilege is left: {', '.join(left) or 'new privileges'}")
    if os.getresuid() != (uid, uid, uid) or os.getresgid() != (gid, gid, gid):
        raise PrivilegeError("privilege is left: another user or group can be had again")
    if alone:
        return
    if was_root and os.getgroups():
        raise PrivilegeError("privilege is left: supplementary groups")
    try:
        os.setuid(0)
    except PermissionError:
        return
    raise PrivilegeError("root can be had again")
