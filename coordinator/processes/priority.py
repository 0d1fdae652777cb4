"""Gives ZMap precedence on the processor, since it loses the answers for which it has no time.

While ZMap's lines come by a pipe, our processes run at a lower priority (the fork server from its start),
except the thread that reads ahead. Work of ours that is late is only late: hosts repeat a SYN-ACK for a
minute.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

LOWER = 10
"""Added to the nice value. `python -m benchmarks.paced --rates --zmap zmap`, ZMap 4.3 at 50,000/s over a /14
on two cores: its capture dropped 5,984 and 12,464 of 262,142 answers without, none in two runs with it."""
_MOST = 19


class Priority:
    """The priority of our own threads, of the fork server, and of its children, which inherit the fork
    server's.

    Children are a session of their own, to which a kernel with autogroups (sched(7)) gives as much time as to
    the whole session of ZMap and us, whatever their nice values; therefore the group's value is set like
    ours.
    """

    def __init__(self, forkserver: int, *, may_raise: bool) -> None:
        """forkserver: its pid. may_raise: a lowered priority can be raised again (CAP_SYS_NICE).

        The fork server's priority is lowered at once, until `lower` or `restore` is called.
        """
        self._forkserver = forkserver
        self._may_raise = may_raise
        self._usual = os.getpriority(os.PRIO_PROCESS, 0)
        self.lowered = may_raise
        if may_raise:
            self._set(forkserver, LOWER)

    def lower(self, spared: Iterable[int] = ()) -> None:
        """Lower all our threads except these, by number, before there are children."""
        if self._may_raise:
            self._set(os.getpid(), LOWER, spared)

    def restore(self, children: Iterable[int]) -> None:
        """Return to the priorities at the start. Where the kernel does not allow so large a change yet,
        `lowered` stays set.
        """
        if self.lowered:
            self.lowered = not self._set(self._forkserver, 0)
            for process in (os.getpid(), *children):
                self._set(process, 0)

    def begun(self, child: int) -> None:
        """Adjust a child that was just forked, perhaps before the fork server's priority was restored."""
        if self._may_raise and not self.lowered:
            self._set(child, 0)

    def _set(self, process: int, added: int, spared: Iterable[int] = ()) -> bool:
        value, done = min(self._usual + added, _MOST), True
        for thread in _threads(process):
            if thread not in spared:
                with contextlib.suppress(OSError):  # it has ended
                    os.setpriority(os.PRIO_PROCESS, thread, value)
        if process == self._forkserver and _leads(process):  # else the group is that of who started us
            try:
                Path(f"/proc/{process}/autogroup").write_text(str(value))
            except BlockingIOError:
                done = False  # less than 0.1 s after another change, by whomever, without CAP_SYS_ADMIN
            except OSError:
                pass  # a kernel without them, no /proc, or it has ended
        return done


def _leads(process: int) -> bool:
    """Whether this process is the leader of a session."""
    try:
        return os.getsid(process) == process
    except OSError:
        return False  # it has ended


def _threads(process: int) -> list[int]:
    try:
        return [int(name) for name in os.listdir(f"/proc/{process}/task")]
    except OSError:
        return [process]  # no /proc, or it has ended
