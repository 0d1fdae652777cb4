"""The screen of a fleet on a real terminal, and as lines where there is none."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import termios
import time

from tests import ROOT

COMMAND = [sys.executable, "-m", "tests.fleet_driver", "--silent", "60"]
ENVIRON = {**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8"}


def test_on_a_terminal_until_q() -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, 120))
    before = termios.tcgetattr(theirs)
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", *COMMAND, "--seconds", "60"],
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        env=ENVIRON,
    )
    seen, asked = b"", False
    until = time.monotonic() + 60
    try:
        while process.poll() is None and time.monotonic() < until:
            if select.select([ours], [], [], 0.1)[0]:
                seen += os.read(ours, 65536)
            if not asked and b"not heard of since" in seen:
                os.write(ours, b"q")
                asked = True
        assert process.wait(60) == 0
        while select.select([ours], [], [], 0.1)[0]:
            seen += os.read(ours, 65536)
        assert asked
        assert b"\x1b[?1049h" in seen
        assert b"\x1b[?1049l" in seen
        assert b"census-443" in seen.partition(b"\x1b[?1049l")[2], "its last line stays"
        assert termios.tcgetattr(theirs) == before
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)


def test_into_a_pipe_lines_and_an_end_when_nobody_reads() -> None:
    with subprocess.Popen(
        [*COMMAND, "--seconds", "60"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        env=ENVIRON,
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first.startswith(b"census-443 ")
        assert b"\x1b" not in first
        process.stdout.close()
        assert process.wait(30) == 0
