"""Resuming real scans: with the command that the interrupted one ends with, and with what has changed."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.faults import Victim, lines_in, once_each, read
from tests.lab.net import wait_for
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.scan import LZR
from tests.system.test_e2e_responder import address, services

pytestmark = pytest.mark.root

COUNT = 12_000
QUICK = ("-sendSYNs", "-rt", "0.3", "-t", "6", "-c", "5", "-rate", "1500")


class Kept:
    """A scan of COUNT services that was interrupted."""

    def __init__(self, arena: Range, directory: Path, *words: str | Path, input_is: str = "stdin") -> None:
        arena.respond(first=FIRST, count=COUNT, port=PORT, source=SCANNER, classes="h")
        self.arena, self.directory = arena, directory
        self.text = "".join(services(COUNT))
        self.source = directory / "a list"
        self.source.write_text(self.text)
        self.target, self.kept = directory / "out", directory / "kept's"
        named = ("-I", self.source) if input_is == "file" else ()
        with self.source.open() if input_is == "stdin" else open(os.devnull) as stdin:
            victim = Victim(
                arena.scanner,
                *QUICK,
                *words,
                *named,
                "-f",
                self.target,
                "--checkpoint",
                self.kept,
                stdin=stdin,
            )
        wait_for(lambda: lines_in(self.target) > 1000, "records")
        victim.signal(signal.SIGINT)
        assert victim.wait(120) == 130
        self.command = victim.said().splitlines()[-1]
        assert lines_in(self.target) < COUNT

    def resume(self, *words: str | Path, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """text: what comes through a pipe; the file, if None."""
        more: dict[str, Any] = {"input": text}
        if text is None:
            more = {"stdin": os.open(self.source, os.O_RDONLY)}
        try:
            return subprocess.run(
                self.arena.scanner.command(LZR, "--no-dashboard", "--resume", self.kept, *words),
                capture_output=True, text=True, timeout=90, check=False, **more,
            )  # fmt: skip
        finally:
            if text is None:
                os.close(more["stdin"])

    def sent(self) -> int:
        return int(self.arena.scanner.run("cat", "/sys/class/net/eth0/statistics/tx_packets").stdout)

    def whole(self) -> None:
        once_each(read(self.target), {(address(index), PORT) for index in range(COUNT)})


@pytest.mark.parametrize("input_is", ["stdin", "file"])
def test_the_last_line_is_the_command_that_goes_on(arena: Range, tmp_path: Path, input_is: str) -> None:
    before = Kept(arena, tmp_path, "-m", tmp_path / "about it", input_is=input_is)
    about = json.loads((tmp_path / "about it").read_text())
    assert (
        about["input"]["sha256"]
        == hashlib.sha256(before.text.encode()[: about["input"]["bytes"]]).hexdigest()
    )
    words = shlex.split(before.command)
    assert ("<" in words) == (input_is == "stdin")
    assert f"--metadata-file={tmp_path / 'about it'}" in words
    # As it stands, in another directory.
    done = arena.scanner.run("sh", "-c", before.command, cwd="/", check=False, timeout=90)
    assert done.returncode == 0, done.stderr
    before.whole()
    about = json.loads((tmp_path / "about it").read_text())
    assert about["input"] == {
        "bytes": len(before.text), "sha256": hashlib.sha256(before.text.encode()).hexdigest()
    }  # fmt: skip


def test_another_input_is_refused_before_a_packet(arena: Range, tmp_path: Path) -> None:
    """A file, however late it differs; what was added at its end is scanned."""
    before = Kept(arena, tmp_path)
    results, sent = before.target.read_bytes(), before.sent()
    late = before.text.replace(f"{address(900)}:", "10.64.255.77:")
    for text in (late, before.text[:5000], "10.64.255.77:9002\n" + before.text):
        before.source.write_text(text)
        done = before.resume()
        assert (done.returncode, "the input is not that of the scan" in done.stderr) == (2, True), done.stderr
        assert done.stderr.count("\n") == 1
    assert (before.target.read_bytes(), before.sent()) == (results, sent)
    before.source.write_text(before.text + f"{address(5)}:{PORT + 1}\n")
    done = before.resume()
    assert done.returncode == 0, done.stderr
    assert len(read(before.target)) == COUNT + 1


def test_another_input_through_a_pipe(arena: Range, tmp_path: Path) -> None:
    before = Kept(arena, tmp_path)
    late = before.text.replace(f"{address(900)}:", "10.64.255.77:")
    done = before.resume(text=late)
    assert (done.returncode, "the input is not that of the scan" in done.stderr) == (2, True), done.stderr
    done = before.resume(text=before.text[:5000])
    assert (done.returncode, "and had more" in done.stderr) == (2, True), done.stderr
    done = before.resume(text=before.text)
    assert done.returncode == 0, done.stderr
    assert "(agree)" in done.stderr
    before.whole()


def test_what_decides_what_a_record_means_is_kept(arena: Range, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("198.51.100.0/24\n")
    before = Kept(arena, tmp_path, "-b", blocked)
    results, sent = before.target.read_bytes(), before.sent()
    for words in (
        ("-haf", "3"), ("-priorityFingerprint", "ssh"), ("-pushDataOnly",), ("--allow-printers",),
        ("-S", "10.1.0.77"), ("--settle", "1"),
        ("-handshakes", "tls"), ("--output-fields", "saddr"), ("-t", "9"),
    ):  # fmt: skip
        done = before.resume(*words)
        assert done.returncode == 2, (words, done.stderr)
        assert "--resume-changed" in done.stderr
        assert done.stderr.count("\n") == 1
    done = before.resume("-n", "5%")  # of what?
    assert (done.returncode, "-n 5%: how many a list has" in done.stderr) == (2, True)
    blocked.write_text("198.51.100.0/24\n10.64.0.0/16\n")
    done = before.resume()
    assert (done.returncode, "--blocklist-file has changed" in done.stderr) == (2, True)
    arena.scanner.ip("addr", "add", "10.1.0.5/29", "dev", "eth0")
    arena.scanner.ip("addr", "del", f"{SCANNER}/30", "dev", "eth0")
    arena.scanner.ip("route", "replace", "default", "via", "10.1.0.1")
    arena.scanner.run("sysctl", "-qw", "net.ipv6.conf.eth0.disable_ipv6=1")
    blocked.write_text("198.51.100.0/24\n")
    done = before.resume()
    assert (done.returncode, f"begun from {SCANNER}, and our address is now 10.1.0.5" in done.stderr) == (
        2,
        True,
    )
    assert (before.target.read_bytes(), before.sent() - sent < 20) == (results, True)
    blocked.write_text("198.51.100.0/24\n10.64.0.0/16\n")
    done = before.resume("--resume-changed", "blocklist-file,source-ip")
    assert done.returncode == 0, done.stderr
    assert "blocklisted" in done.stderr


def test_what_another_scan_has_added_is_not_cut_off(arena: Range, tmp_path: Path) -> None:
    before = Kept(arena, tmp_path)
    size = before.target.stat().st_size
    extra = f"{address(1)}:{PORT}\n"
    words = (LZR, *QUICK, "--no-dashboard", "-f", before.target)
    arena.scanner.run(*words, input=extra, timeout=120)
    grown = before.target.read_bytes()
    done = before.resume()
    assert (done.returncode, f"what follows its first {size} bytes" in done.stderr) == (2, True), done.stderr
    assert before.target.read_bytes() == grown
