"""Completion in real shells: an interactive zsh and bash on a terminal, keys in, the line out."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lzr import cli, completion
from lzr.options import TABLE
from lzr.protocols.aliases import ALIASES

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 60.0
PROMPT = "READY> "
ZSHRC = f"""
PS1='{PROMPT}'
fpath=({ROOT}/etc/completion $fpath)
autoload -Uz compinit
compinit -u -D
unsetopt BEEP
LISTMAX=0
PROMPT_SP=
unsetopt PROMPT_SP
told() {{ print -r -- "$BUFFER" > "$LINE.part" && mv "$LINE.part" "$LINE" }}
zle -N told
bindkey '^Xd' told
"""
BASHRC = f"""
PS1='{PROMPT}'
bind 'set bell-style none'
bind 'set show-all-if-ambiguous on'
bind 'set completion-query-items 0'
bind 'set page-completions off'
bind 'set enable-bracketed-paste off'
told() {{ printf '%s\\n' "$READLINE_LINE" > "$LINE.part" && mv "$LINE.part" "$LINE"; }}
bind -x '"\\C-xd": told'
source {ROOT}/etc/completion/lzr.bash
"""


class Shell:
    """An interactive shell. `complete` types words and Tab, and gives the line and what was shown."""

    def __init__(self, words: list[str], home: Path) -> None:
        self._line = home / "line"
        environ = {
            "PATH": f"{home}:{os.environ['PATH']}",
            "HOME": str(home),
            "ZDOTDIR": str(home),
            "TERM": "xterm",
            "LANG": "C.UTF-8",
            "LINE": str(self._line),
        }
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.chdir(home)
            os.execvpe(words[0], words, environ)
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 600, 200, 0, 0))
        self._shown = b""
        self._await(lambda: PROMPT.encode() in self._shown)

    def _await(self, holds: object) -> None:
        assert callable(holds)
        until = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < until, self._shown.decode("utf-8", "replace")[-2000:]
            if select.select([self._terminal], [], [], 0.02)[0]:
                self._shown += os.read(self._terminal, 65536)

    def complete(self, typed: str) -> tuple[str, str]:
        self._line.unlink(missing_ok=True)
        self._shown = b""
        os.write(self._terminal, b"\x15" + typed.encode() + b"\t\x18d")
        self._await(self._line.exists)
        os.write(self._terminal, b"\x15")
        text = re.sub(rb"\x1b(\[[0-9;?]*[A-Za-z]|[=>])", b"", self._shown).decode("utf-8", "replace")
        return self._line.read_text().rstrip("\n"), text

    def close(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._terminal)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("home")
    (directory / ".zshrc").write_text(ZSHRC)
    (directory / "bashrc").write_text(BASHRC)
    program = directory / "lzr"
    program.write_text(f'#!/bin/sh\ncd {ROOT} && exec {sys.executable} -m coordinator.main "$@"\n')
    program.chmod(0o755)
    (directory / "answers.pcap").touch()
    return directory


@pytest.fixture(scope="module")
def zsh(home: Path) -> Iterator[Shell]:
    shell = Shell(["zsh", "-i"], home)
    yield shell
    shell.close()


@pytest.fixture(scope="module")
def bash(home: Path) -> Iterator[Shell]:
    shell = Shell(["bash", "--noprofile", "--rcfile", str(home / "bashrc"), "-i"], home)
    yield shell
    shell.close()


needs_zsh = pytest.mark.skipif(not shutil.which("zsh"), reason="no zsh")
ZSH_COMPLAINS = re.compile(r"\b_?\w+:(?:\w+:)?\d+: \w")

ALIKE = [
    ("lzr gu", "lzr guard"),
    ("lzr vers", "lzr version"),
    ("lzr doctor --user-a", "lzr doctor --user-agent"),
    ("lzr guard st", "lzr guard status"),
    ("lzr ctl wor", "lzr ctl workers"),
    ("lzr ctl workers fl", "lzr ctl workers flow="),
    ("lzr help hands", "lzr help handshakes"),
    ("lzr identify --form", "lzr identify --format"),
    ("lzr identify --format js", "lzr identify --format jsonl"),
    ("lzr identify ans", "lzr identify answers.pcap"),
    ("lzr identify --handshakes htt", "lzr identify --handshakes http"),
    ("lzr -sendS", "lzr -sendSYNs"),
    ("lzr --user-a", "lzr --user-agent"),
    ("lzr --handshakes au", "lzr --handshakes auto"),
    ("lzr --handshakes http,redi", "lzr --handshakes http,redis"),
    ("lzr --handshakes=http,redi", "lzr --handshakes=http,redis"),
    ("lzr --handshakes rabb", "lzr --handshakes rabbit"),
    ("lzr --handshakes wait,postgresq", "lzr --handshakes wait,postgresql"),
    ("lzr --priority-fingerprint managesie", "lzr --priority-fingerprint managesieve"),
    ("lzr --output-fields saddr,finger", "lzr --output-fields saddr,fingerprint"),
    ("lzr -O zg", "lzr -O zgrab"),
    ("lzr --guard in", "lzr --guard ingress"),
    ("lzr -I ans", "lzr -I answers.pcap"),
    ("lzr -q -rate 5 --blockl", "lzr -q -rate 5 --blocklist-file"),
]


@needs_zsh
@pytest.mark.parametrize(("typed", "line"), ALIKE)
def test_zsh(zsh: Shell, typed: str, line: str) -> None:
    got, shown = zsh.complete(typed)
    assert got.rstrip(" ,=") == line.rstrip(" ,=")
    assert not ZSH_COMPLAINS.search(shown), shown


@pytest.mark.parametrize(("typed", "line"), ALIKE)
def test_bash(bash: Shell, typed: str, line: str) -> None:
    got, shown = bash.complete(typed)
    assert got.rstrip(" ,=") == line.rstrip(" ,=")
    assert "bash:" not in shown


@needs_zsh
def test_zsh_shows_all_that_may_stand_there(zsh: Shell) -> None:
    for typed, wanted in OFFERED.items():
        _, shown = zsh.complete(typed)
        assert wanted <= offered(shown), typed


def test_bash_shows_all_that_may_stand_there(bash: Shell) -> None:
    for typed, wanted in OFFERED.items():
        _, shown = bash.complete(typed)
        assert wanted <= offered(shown), typed


def offered(shown: str) -> set[str]:
    """The words of a list; a name stands there with what goes before or after it in the line."""
    return {word.strip(",").rpartition(",")[2] for word in shown.split()}


OFFERED = {
    "lzr ": {"guard", "ctl", "identify", "help", "version"},
    "lzr --handshakes ": {"auto", "all", "http", "memcached_ascii", "zookeeper"},
    "lzr --handshakes http,rabbit": {"rabbit", "rabbitmq", "rabbitmq-stream"},
    "lzr guard ": {"on", "off", "status"},
    "lzr ctl --": {"--socket", "--wait"},
}


@needs_zsh
def test_no_option_of_zsh_ends_with_an_error(zsh: Shell) -> None:
    """The value of every option that takes one, in both ways of writing it."""
    for row in TABLE:
        if row.kind.bare is None:
            for typed in (f"lzr {row.shown_names[0]} ", f"lzr {row.flag}="):
                _, shown = zsh.complete(typed)
                assert not ZSH_COMPLAINS.search(shown), (typed, shown)


def test_they_know_every_command_and_name() -> None:
    assert set(completion.SUBCOMMANDS) == {*cli.SUBCOMMANDS, *cli.ANSWERS}
    assert set(completion.SUBFLAGS) == set(completion.SUBCOMMANDS) - {"doctor"}
    listed = completion.names()
    assert {"auto", "all", "http"} <= set(listed["handshakes"])
    assert {"https", "mariadb", "docker"} <= set(listed["aliases"])
    assert len(listed["aliases"]) > 0.9 * len(ALIASES)
