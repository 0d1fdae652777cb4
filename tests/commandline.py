"""Subcommands as they are typed, without the tenth of a second that a process takes to start."""

from __future__ import annotations

import contextlib
import io
import os
import signal
from subprocess import CompletedProcess
from unittest import mock

from coordinator.commands import main
from lzr.options.subcommands import PROGRAMS


def in_process(*words: str) -> CompletedProcess[str]:
    """What `lzr WORDS` does, for a subcommand or its help: its status, and what it says. For a sentence and
    a status; closed descriptors, signals and pipes need a process of its own."""
    assert words[0] in (*PROGRAMS, "help"), "a scan may put a guard up"
    out, said = io.StringIO(), io.StringIO()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with mock.patch.dict(os.environ), contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
        try:
            status = main.main(list(words))
        finally:  # the program holds signals back where it is about to end
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return CompletedProcess(words, status, out.getvalue(), said.getvalue())
