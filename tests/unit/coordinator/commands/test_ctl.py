"""`lzr ctl` finds the scan that is running, asks it, and says what is wrong."""

from __future__ import annotations

import json
import os
import pwd
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from coordinator.commands import ctl
from coordinator.commands.ctl import ask
from coordinator.endpoints import control
from coordinator.endpoints.ctlcommands import Change
from coordinator.endpoints.named import ControlError
from coordinator.monitor.snapshot import BlockOrder, ProcessView, Snapshot, WorkerView
from tests.controlled import Running


@pytest.fixture
def scan(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path / "scan.sock")
    yield running
    running.close()


def test_who_finds_no_scan_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(control, "directories", lambda: [tmp_path])
    assert ctl.main(["status"]) == 1
    assert "no scan is running" in capsys.readouterr().err
    assert ctl.main(["--socket", str(tmp_path / "x.sock"), "status"]) == 1
    assert "No such file" in capsys.readouterr().err
    assert ctl.main(["--socket", f"/tmp/{'x' * 120}", "status"]) == 1
    assert "path too long" in capsys.readouterr().err


@pytest.mark.parametrize("reads", [True, False])
def test_a_scan_that_ends_meanwhile(tmp_path: Path, reads: bool) -> None:
    """What it has not read makes the kernel reset the connection instead of ending it."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as sock, ThreadPoolExecutor(1) as threads:
        sock.bind(str(path))
        sock.listen()
        asked = threads.submit(ask, path, "status", 20)
        there, _ = sock.accept()
        there.recv(100, 0 if reads else socket.MSG_PEEK)
        there.close()
        with pytest.raises(ControlError, match="the scan ended before it answered"):
            asked.result(30)


def test_ctl_finds_the_one_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(control, "directories", lambda: [tmp_path])
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "1.sock"))
    first = Running(control.default_path(os.getpid()))
    try:
        assert ctl.main(["workers", "flow=4"]) == 0
        assert capsys.readouterr().out == "workers flow=4 collect=1 (were flow=2 collect=1)\n"
        assert ctl.main(["workers", "flow=100"]) == 1
        assert "8 shards" in capsys.readouterr().err
        assert ctl.main(["status", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["read"] == 77
        assert ctl.main(["rate", "-1.5k"]) == 0
        assert ctl.main(["rate", "+500"]) == 0
        capsys.readouterr()
        assert ctl.main(["dance"]) == 2
        assert ctl.main(["--loud", "pause"]) == 2
        assert ctl.main([]) == 2
        assert ctl.main(["--help"]) == 0
        assert "usage: lzr ctl" in capsys.readouterr().out
        second = Running(tmp_path / "2.sock")
        try:
            assert ctl.main(["pause"]) == 2
            assert "several scans" in capsys.readouterr().err
            assert ctl.main(["--socket", str(tmp_path / "2.sock"), "pause"]) == 0
        finally:
            second.close()
        assert [command.kind for command in second.commands] == ["pause"]
    finally:
        first.close()
    assert [command.kind for command in first.commands] == ["workers", "rate", "rate"]
    assert [command.rate for command in first.commands[1:]] == [Change(-1500.0, "+"), Change(500.0, "+")]


def test_wait_until_the_workers_are_there(scan: Running, capsys: pytest.CaptureFixture[str]) -> None:
    there = Snapshot(workers=(WorkerView("flow 0"),), collectors=(ProcessView("collect 0"),), wanted_flow=1)
    scan.server.publish(there)
    assert ctl.main(["--wait", "--socket", str(scan.server.path), "workers", "flow=1"]) == 0
    assert capsys.readouterr().out.startswith("workers flow=1")


class Planted:
    """A socket on which somebody listens who is no scan; flood: answers all the time."""

    def __init__(self, path: Path, answer: bytes, user: int = os.geteuid(), *, flood: bool = False) -> None:
        code = (
            "import os, socket, sys\n"
            f"s = socket.socket(socket.AF_UNIX)\ns.bind({str(path)!r})\nos.chmod({str(path)!r}, 0o666)\n"
            f"if os.geteuid() != {user}: os.setuid({user})\n"
            "s.listen()\nprint('ready', flush=True)\n"
            "while True:\n"
            "    c, _ = s.accept()\n"
            f"    try:\n        c.sendall({answer!r})\n        while {flood}: c.sendall({answer!r})\n"
            "        while c.recv(99): pass\n"
            "    except OSError: pass\n"
        )
        self._process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)

    def __enter__(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.mark.attack
def test_a_reply_without_end_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctl, "MOST_REPLY", 1 << 20)
    with (
        Planted(tmp_path / "s", b"x" * 16384, flood=True),
        pytest.raises(ControlError, match="the reply is longer"),
    ):
        ask(tmp_path / "s", "status", 60)
    with Planted(tmp_path / "t", b""), pytest.raises(ControlError, match="does not answer"):
        ask(tmp_path / "t", "status", 0.2)


@pytest.mark.attack
def test_a_reply_is_harmless_on_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, head in enumerate(("", "error: ")):
        path = tmp_path / str(number)
        with Planted(path, head.encode() + "\x1b]0;owned\x07\x9b31m\u202e\r\nok\n".encode()):
            assert ctl.main(["--socket", str(path), "status"]) == (1 if head else 0)
    assert capsys.readouterr() == (
        "\\x1b]0;owned\\x07\\x9b31m\\u202e\\r\n",
        "lzr ctl: \\x1b]0;owned\\x07\\x9b31m\\u202e\\r\nok\n",
    )


@pytest.mark.attack
def test_what_is_no_status_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Planted(tmp_path / "s", b"[1]\nok\n"):
        assert ctl.main(["--socket", str(tmp_path / "s"), "--wait", "workers", "flow=2"]) == 1
    assert "that is no status of a scan" in capsys.readouterr().err


def test_block_waits_until_it_is_in_force(
    scan: Running, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    where = ("--socket", str(scan.server.path))
    monkeypatch.setenv("SUDO_USER", "ali\x1b ce")
    done = BlockOrder(("192.0.2.0/24", "198.51.100.7"), in_force=True)
    scan.server.publish(Snapshot(blocks=(BlockOrder(("203.0.113.9",)), done)))
    assert ctl.main([*where, "block", *done.networks, "--reason", "ticket", "42"]) == 0
    assert capsys.readouterr().out == "blocked 192.0.2.0/24 198.51.100.7\n"
    (command,) = scan.commands
    assert (command.networks, command.by, command.reason) == (done.networks, "alice", "ticket 42")
    monkeypatch.setattr(ctl, "TIMEOUT", 0.3)
    monkeypatch.delenv("SUDO_USER")
    assert ctl.main([*where, "block", "203.0.113.9"]) == 1
    assert scan.commands[-1].by == pwd.getpwuid(os.getuid()).pw_name
    assert "not every process has confirmed it" in capsys.readouterr().err
    assert ctl.main([*where, "block", "here"]) == 2
    assert "neither an address nor a network" in capsys.readouterr().err
    scan.server.publish(Snapshot(blocks=(done,) * control.MOST_BLOCKS))
    assert ctl.main([*where, "block", "203.0.113.9"]) == 1
    assert "are the most" in capsys.readouterr().err


def test_all_scans_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(control, "directories", lambda: [tmp_path])
    tmp_path.chmod(0o700)
    here = Path(control.default_path(os.getpid()))
    scans = [Running(here), Running(tmp_path / "1.sock")]
    try:
        assert ctl.main(["--all", "pause"]) == 0
        assert capsys.readouterr().out == f"1: pause\n{os.getpid()}: pause\n"
        assert ctl.main(["--all", "--socket", str(here), "pause"]) == 2
        assert "every one" in capsys.readouterr().err
    finally:
        for each in scans:
            each.close()
    assert [[command.kind for command in each.commands] for each in scans] == [["pause"], ["pause"]]
