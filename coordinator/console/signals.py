"""SIGINT, SIGTERM, SIGHUP and SIGTSTP as values that the loop reads; handlers do nothing else."""

from __future__ import annotations

import os
import signal
from types import FrameType

from coordinator.files import readiness

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """count: how many signals have asked to end (SIGINT, SIGTERM, SIGHUP); a pipe wakes the loop. to_stop:
    SIGTSTP (Ctrl-Z) has come.
    """

    def __init__(self) -> None:
        self.count = 0
        self.number = 0
        self.to_stop = False
        self.fileno, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in ENDINGS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup, and what a script starts with &
                signal.signal(number, self._take)
        if signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL:  # a shell without job control ignores it
            signal.signal(signal.SIGTSTP, self._take_stop)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)  # held back since we began; taken from now on

    def ignore(self) -> None:
        """Ignore further signals: what was set up on the host is being taken away."""
        for number in ENDINGS:
            signal.signal(number, signal.SIG_IGN)

    def pause(self, seconds: float) -> bool:
        """Wait for so many seconds, or until a signal asks to end; whether one has."""
        if not self.count:
            readiness.readable([self.fileno], seconds)
        return self.count > 0

    def _take_stop(self, number: int, _: FrameType | None) -> None:
        self.to_stop = True

    def stop(self) -> None:
        """Stop this process as SIGTSTP does by default. Returns when it is continued, or at once where it is
        in an orphaned process group, which nobody could continue."""
        self.to_stop = False
        self.drain()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._take_stop)

    def _take(self, number: int, _: FrameType | None) -> None:
        self.count += 1
        self.number = number

    def drain(self) -> None:
        """Empty the pipe that wakes the loop."""
        try:
            while os.read(self.fileno, 64):
                pass
        except BlockingIOError:
            pass
