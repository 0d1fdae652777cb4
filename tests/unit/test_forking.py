"""What tests/forking.py forks does what a process of the program does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT, forking

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is the program itself")

LINE = b'{"saddr":"192.0.2.1","daddr":"192.0.2.9","sport":80,"dport":4000,"data":"SSH-2.0-x\\r\\n"}\n'


@pytest.mark.parametrize(
    ("line", "variables"),
    [
        ("diff - /dev/null", {}),
        ("identify --json -", {"PYTHONUNBUFFERED": "1"}),
        ("export - --format csv", {}),
        ("--list-handshakes", {"PYTHONIOENCODING": "ascii"}),
        ("identify \udcff", {"TERM": "", "LZR_ODD": "two\nlines"}),
        ("guard --help", {"COLUMNS": "60"}),
        ("-p 80 192.0.2.0/30 --dryrun -e 1", {}),
    ],
)
def test_the_same_comes_out(line: str, variables: dict[str, str], tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    forked, fresh = (
        subprocess.run(
            [*words, *line.split()], input=LINE, capture_output=True, env=env, cwd=tmp_path, timeout=60,
            check=False,
        )
        for words in (forking.program(), forking.MODULE)
    )  # fmt: skip
    assert (forked.returncode, forked.stdout, forked.stderr) == (fresh.returncode, fresh.stdout, fresh.stderr)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_the_same_is_said_of_a_full_disk_where_the_interpreter_ends(unbuffered: str) -> None:
    """By the interpreter, whose status is 120, of what is left in its buffers: of a traceback's, too."""
    said = []
    for words in (forking.program(), forking.MODULE):
        with open("/dev/full", "wb") as full:
            done = subprocess.run(
                [*words, "--version"], stdout=full, stderr=subprocess.PIPE, cwd=ROOT, timeout=60, check=False,
                env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            )  # fmt: skip
        said.append((done.returncode, done.stderr))
    assert said[0] == said[1]
    assert said[0][0]


def test_each_is_a_process_of_its_own_and_ends_with_its_client() -> None:
    """Two at once, of which one is ended."""
    pipe = subprocess.PIPE
    words = [*forking.program(), "identify", "--format", "hex", "-"]
    with (
        subprocess.Popen(words, stdin=pipe, stdout=pipe) as first,
        subprocess.Popen(words, stdin=pipe, stdout=pipe) as second,
    ):
        second.kill()
        assert second.wait(60) == -signal.SIGKILL
        assert second.stdout is not None
        assert second.stdout.read() == b""  # which ends when all that could write there have ended
        out, _ = first.communicate(b"5353482d322e302d780d0a\n", timeout=60)
    assert (first.returncode, out[:3]) == (0, b"ssh")


def test_a_variable_that_only_a_new_interpreter_obeys_is_refused() -> None:
    done = subprocess.run(
        [*forking.program(), "--version"], env={**os.environ, "PYTHONUTF8": "0"}, capture_output=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert b"PYTHONUTF8 is for a new interpreter" in done.stderr
