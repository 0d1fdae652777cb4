"""`coordinator.monitor.findings` on a real system: as root, in namespaces, in whole scans."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import termios
import time
from pathlib import Path

import pytest

from tests.faults import read
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.scan import LZR
from tests.system.test_e2e_responder import address, services

QUICK = ("-sendSYNs", "-rt", "0.3", "-t", "6", "-c", "5")


class Terminal:
    """`lzr` on a pseudo-terminal; everything it writes there."""

    def __init__(self, arena: Range, directory: Path, *words: str | Path, count: int) -> None:
        self.directory = directory
        (directory / "targets").write_text("".join(services(count)))
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 120, 0, 0))
        with (directory / "targets").open() as stdin:
            self.process = arena.scanner.popen(
                LZR, *QUICK, *words, stdin=stdin, stdout=slave, stderr=slave, cwd=directory,
                env={**arena.lab.environment, "TERM": "xterm", "LANG": "C.UTF-8"},
            )  # fmt: skip
        os.close(slave)
        self.text = b""

    def read(self, until: bytes = b"", seconds: float = 60) -> str:
        """To the end, or until this has come."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not (until and until in self.text):
            if select.select([self.master], [], [], 0.2)[0]:
                try:
                    piece = os.read(self.master, 1 << 16)
                except OSError:
                    break
                if not piece:
                    break
                self.text += piece
        if not until:
            self.process.wait(120)
            os.close(self.master)
        return self.text.decode("utf-8", "replace")


LINE = re.compile(r"^(10\.64\.0\.\d+):9002  http\b.*$", re.MULTILINE)


@pytest.mark.root
def test_found_services_are_shown_as_they_come(arena: Range, tmp_path: Path) -> None:
    count = 24
    arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER, classes="hg")
    terminal = Terminal(arena, tmp_path, "--no-dashboard", "-rate", "2", count=count)
    early = terminal.read(until=b"10.64.0.4:9002")
    assert terminal.process.poll() is None
    assert len(LINE.findall(early)) < count // 2
    text = terminal.read().replace("\r\n", "\n")
    assert terminal.process.returncode == 0
    (path,) = tmp_path.glob("default_*.json")
    records = [record for record in read(path) if "data" in record]
    live, _, table = text.partition("address")
    assert set(LINE.findall(live)) == {address(index) for index in range(0, count, 2)}
    assert f"in {path.name}" in live
    rows = table.strip().splitlines()
    assert len(rows) == 1 + len(records)
    assert [row.split(":")[0] for row in rows[1:]] == [address(index) for index in range(count)]
    assert "\x1b" not in text


@pytest.mark.root
@pytest.mark.parametrize("words", [("-q",), ("-f", "named")], ids=str)
def test_nobody_is_told_who_did_not_want_it(arena: Range, tmp_path: Path, words: tuple[str, ...]) -> None:
    arena.respond(first=FIRST, count=8, port=PORT, source=SCANNER, classes="h")
    terminal = Terminal(arena, tmp_path, "--no-dashboard", *words, count=8)
    text = terminal.read()
    assert terminal.process.returncode == 0
    assert not LINE.findall(text.replace("\r\n", "\n"))
    assert "address  " not in text


@pytest.mark.root
def test_the_table_comes_after_the_dashboard(arena: Range, tmp_path: Path) -> None:
    arena.respond(first=FIRST, count=8, port=PORT, source=SCANNER, classes="h")
    terminal = Terminal(arena, tmp_path, count=8)
    text = terminal.read().replace("\r\n", "\n")
    assert terminal.process.returncode == 0
    _, left, after = text.rpartition("\x1b[?1049l")
    assert left
    summary, _, table = after.partition("address  ")
    assert "inputs: 8 read = 8 recorded (agree)" in summary
    assert len(table.strip().splitlines()) == 9
