"""Watches the guard while the scan runs, and puts it up again if somebody removes it.

The kernel tells listeners of every change of nftables at once (netlink, group NFNLGRP_NFTABLES,
linux/netfilter/nfnetlink.h), be it by ``nft flush ruleset`` or a firewall's reload. The guard itself is
examined only if such a message contains the name of its table, so changes of other rules cost next to
nothing. Legacy iptables sends no messages: there, and where we may not listen, the guard is examined every
two seconds.
"""

from __future__ import annotations

import contextlib
import errno
import socket

from coordinator.guard.firewall import GuardError
from coordinator.guard.guard import Guard

_NFNLGRP_NFTABLES = 7
_NETLINK_NETFILTER = 12
_LARGEST = 1 << 17  # bytes of one netlink message: larger than any batch of changes
LOOK_EVERY = 2.0
"""Seconds between two looks where the kernel sends no messages. A judgement: a look runs iptables, which
takes 3 ms of processor; and the kernel resets connections unseen for so long at most."""
AGAIN = 1.0
"""Seconds until the next attempt where the guard could not be put up again. A judgement."""

LOST = (
    "the RST guard was taken away (nft flush ruleset, iptables -F, a firewall's reload?) and put back at once"
)
_REMEDY = "answers in between were reset and may be missing: leave the firewall alone during a scan"


class GuardWatch:
    """One for a scan. Close it, or use ``with``."""

    def __init__(self, guard: Guard | None) -> None:
        self._guard = guard if guard is not None and guard.stands else None
        self._socket = None
        self._buffer = bytearray(_LARGEST)
        if self._guard is not None and self._guard.tells:
            with contextlib.suppress(OSError):
                self._socket = _listen()
        self._due: float | None = 0.0 if self._guard is not None else None
        self.missing = False
        """It is gone, and could not be put back."""
        self.losses = 0
        """How often it was gone."""

    def __enter__(self) -> GuardWatch:
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def filenos(self) -> list[int]:
        """Descriptors that become readable when `look` has something to do at once."""
        return [] if self._socket is None else [self._socket.fileno()]

    def look(self, now: float) -> str:
        """Put the guard back if it is gone; returns what to tell the user, or an empty text.

        Takes microseconds where nothing has happened. now: monotonic seconds.
        """
        guard = self._guard
        if guard is None:
            return ""
        changed = self._changed()
        if not changed and (self._due is None or now < self._due):
            return ""
        self._due = now + LOOK_EVERY if self._socket is None else None
        try:
            gone = guard.restore()
        except GuardError as error:
            self._due = now + AGAIN
            if self.missing:
                return ""
            self.missing = True
            self.losses += 1
            return f"the RST guard was taken away and cannot be put back: {error}"
        if not gone and not self.missing:
            return ""
        if not self.missing:
            self.losses += 1
        self.missing = False
        times = f", {self.losses} times by now" if self.losses > 1 else ""
        return f"{LOST}{times}; {_REMEDY}"

    def _changed(self) -> bool:
        """Whether there was a message about our table, or some were lost."""
        found = False
        while self._socket is not None and self._guard is not None:
            try:
                size = self._socket.recv_into(self._buffer)
            except BlockingIOError:
                break
            except OSError as error:
                found = True
                if error.errno != errno.ENOBUFS:  # that is: more happened than there was room for
                    self.__exit__()
                continue
            found = found or self._buffer.find(self._guard.name.encode(), 0, size) >= 0
        return found


def _listen() -> socket.socket:
    """Raises OSError."""
    kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    heard = socket.socket(socket.AF_NETLINK, kind, _NETLINK_NETFILTER)
    try:
        heard.bind((0, 1 << _NFNLGRP_NFTABLES - 1))
    except OSError:
        heard.close()
        raise
    return heard
