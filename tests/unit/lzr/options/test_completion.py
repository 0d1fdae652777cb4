"""Tab in bash and zsh, pressed on a terminal: words, flags, choices, lists and files, also of subcommands."""

from __future__ import annotations

import contextlib
import os
import pty
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT, forking

SHELLS = {
    "bash": (
        ("bash", "--norc", "--noprofile", "-i"),
        'source {etc}/lzr.bash; bind -x \'"\\C-g": printf "%s\\n" "$READLINE_LINE" > {told}\'',
    ),
    "zsh": (
        ("zsh", "-f", "-i"),
        "fpath=({etc} $fpath); autoload -U compinit; compinit -u -D; "
        "tell() {{ print -r -- \"$BUFFER\" > {told} }}; zle -N tell; bindkey '^G' tell",
    ),
}
"""How each is called, and what it is told first: to complete, and to write the line into a FIFO on Ctrl-G."""

LINES = {
    "lzr fl": "lzr fleet",
    "lzr fleet che": "lzr fleet check",
    "lzr fleet check oth": "lzr fleet check other.toml",
    "lzr fleet check --overw": "lzr fleet check --overwrite",
    "lzr guard st": "lzr guard status",
    "lzr guard --guard ou": "lzr guard --guard output",
    "lzr ctl --so": "lzr ctl --socket",
    "lzr help fi": "lzr help fields",
    "lzr diff two": "lzr diff two\\ words.json",
    "lzr -f two": "lzr -f two\\ words.json",
    "lzr --checkpoint fol": "lzr --checkpoint folder/",
    "lzr export a.json --form": "lzr export a.json --format",
    "lzr export a.json --format par": "lzr export a.json --format parquet",
    "lzr export a.json --format=par": "lzr export a.json --format=parquet",
    "lzr --send-s": "lzr --send-syns",
    "lzr --guard=in": "lzr --guard=ingress",
    "lzr -O zg": "lzr -O zgrab",
    "lzr --handshakes http,memcached_a": "lzr --handshakes http,memcached_ascii",
    "lzr --output-fields saddr,spo": "lzr --output-fields saddr,sport",
    "lzr identify --handshakes ssh,memcached_a": "lzr identify --handshakes ssh,memcached_ascii",
}
"""What is typed -> what stands there after Tab."""


@contextlib.contextmanager
def typed(shell: str, folder: Path) -> Iterator[tuple[int, Path]]:
    """A shell on a terminal, in `folder`, which completes; the terminal's other end, and the FIFO."""
    bin_ = folder / "bin"
    bin_.mkdir()
    (bin_ / "lzr").write_text(
        f'#!/bin/sh\ncd {shlex.quote(str(ROOT))}; exec {shlex.join(forking.program())} "$@"\n'
    )
    (bin_ / "lzr").chmod(0o755)
    told = folder / "told"
    os.mkfifo(told)
    command, first = SHELLS[shell]
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PATH": f"{bin_}:{os.environ['PATH']}", "TERM": "dumb", "HOME": str(folder)}
    process = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env=environment,
        start_new_session=True,
    )
    os.close(theirs)

    def drain() -> None:
        with contextlib.suppress(OSError):
            while os.read(ours, 4096):
                pass

    reader = threading.Thread(target=drain, daemon=True)
    reader.start()
    try:
        os.write(ours, f"{first.format(etc=ROOT / 'etc/completion', told=told)}\n".encode())
        yield ours, told
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)
        reader.join(30)
        os.close(ours)


@pytest.mark.skipif(sys.platform != "linux", reason="shells and terminals as Linux has them")
@pytest.mark.parametrize("shell", SHELLS)
def test_what_tab_makes_of_a_line(shell: str, tmp_path: Path) -> None:
    if not shutil.which(shell):
        pytest.skip(f"no {shell}")
    for name in ("other.toml", "two words.json"):
        (tmp_path / name).touch()
    (tmp_path / "folder").mkdir()
    with typed(shell, tmp_path) as (terminal, told):
        made = {}
        for line in LINES:
            os.write(terminal, f"\x15{line}\t\x07".encode())  # what is there is killed; Tab; Ctrl-G
            made[line] = told.read_text().strip()
    # A list may go on, which zsh shows by its comma.
    assert {line: text.rstrip(" ,") for line, text in made.items()} == LINES
