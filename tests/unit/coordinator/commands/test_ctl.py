"""Commands are understood or refused with a sentence; the socket is ours alone; `lzr ctl` finds it."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.commands import ctl
from coordinator.commands.ctl import ControlError, ControlServer, ask
from coordinator.endpoints.requests import Change, Command, CommandError, parse, rate, workers
from coordinator.monitor.snapshot import Phase, Snapshot


def test_words_become_commands() -> None:
    assert parse("workers flow=4 collect=2").workers == {"flow": Change(4), "collect": Change(2)}
    assert parse("workers 4").workers == {"flow": Change(4)}
    assert parse("workers flow=4,collect=2") == parse("workers flow=4 collect=2")
    assert parse("workers flow=4, collect=2") == parse("workers flow=4 collect=2")
    assert parse("rate 5k/s") == parse("rate 5000")
    assert parse("workers flow=+1").workers == {"flow": Change(1, "+")}
    assert parse("workers collect=-2").workers == {"collect": Change(-2, "+")}
    assert parse("rate 5000").rate == Change(5000)
    assert parse("rate 5k").rate == Change(5000)
    assert parse("rate x1.25").rate == Change(1.25, "x")
    assert parse("rate none") == Command("rate")
    assert parse("status --json") == Command("status", json=True)
    assert [parse(word).kind for word in ("pause", "RESUME", " drain ", "quit", "help")] == [
        "pause",
        "resume",
        "drain",
        "quit",
        "help",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "dance",
        "workers",
        "workers flow=0",
        "workers flow=-",
        "workers flow=1e3",
        "workers flow=99999",
        "workers threads=2",
        "workers flow=1 flow=2",
        "workers flow=²",
        "rate",
        "rate 0",
        "rate -5",
        "rate nan",
        "rate inf",
        "rate 1 2",
        "rate x0",
        "rate k",
        "rate 1e400",
        "pause now",
        "status fully",
    ],
)
def test_what_is_not_understood_is_a_sentence(line: str) -> None:
    with pytest.raises(CommandError) as caught:
        parse(line)
    assert str(caught.value)
    assert "\n" not in str(caught.value)


@given(
    st.one_of(st.text(max_size=80), st.from_regex(r"(workers|rate) [a-z0-9=+x.\- ]{0,20}", fullmatch=True))
)
def test_any_line(line: str) -> None:
    try:
        command = parse(line)
    except CommandError:
        return
    flow, collect = command.wanted(3, 2, most_flow=8)
    assert 1 <= flow <= 8
    assert collect >= 1
    wanted = command.wanted_rate(100.0)
    assert wanted is None or 1 <= wanted <= 1e9


def test_changes_are_relative_to_what_is_wanted_now() -> None:
    assert workers(flow=1).wanted(2, 1) == (3, 1)
    assert workers(flow=-1).wanted(1, 1) == (1, 1)
    assert workers(flow=1).wanted(4, 1, most_flow=4) == (4, 1)
    assert workers(collect=1).wanted(4, 1) == (4, 2)
    assert rate(1.25).wanted_rate(1000) == 1250
    assert rate(1.25).wanted_rate(None) is None
    assert parse("rate none").wanted_rate(1000) is None


class Running:
    """A server in a thread of its own, as in a scan's loop."""

    def __init__(self, path: Path) -> None:
        self.server = ControlServer(path)
        self.server.publish(
            Snapshot(phase=Phase.RUNNING, shards=8, wanted_flow=2, rate_limit=1000.0, read=77)
        )
        self.commands: list[Command] = []
        self._wake, self._stop = socket.socketpair()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        import select

        now = 0.0
        while True:
            ready, _, _ = select.select([self.server, self._wake], [], [])
            if self._wake in ready:
                return
            self.commands += self.server.handle(now)

    def close(self) -> None:
        self._stop.send(b"x")
        self._thread.join()
        self.server.close()
        self._wake.close()
        self._stop.close()


@pytest.fixture
def scan(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path / "scan.sock")
    yield running
    running.close()


def test_a_command_and_its_reply(scan: Running) -> None:
    path = scan.server.path
    assert ask(path, "workers flow=4 collect=2") == (
        True,
        "ok workers flow=4 collect=2 (were flow=2 collect=1)\n",
    )
    assert ask(path, "rate x2") == (True, "ok rate 2000/s\n")
    assert ask(path, "pause") == (True, "ok pause\n")
    assert ask(path, "workers flow=9") == (False, "this run has 8 shards, so at most 8 flow workers")
    assert ask(path, "dance") == (False, "unknown command 'dance'; try: help")
    good, text = ask(path, "status --json")
    assert good
    assert json.loads(text)["read"] == 77
    good, text = ask(path, "status")
    assert good
    assert "read: 77" in text
    assert "workers flow=N" in ask(path, "help")[1]
    assert [command.kind for command in scan.commands] == ["workers", "rate", "pause"]


def test_several_lines_in_one_connection(scan: Running) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(str(scan.server.path))
        sock.sendall(b"pause\nresume\ndra")
        sock.sendall(b"in\n\n")
        reply = b""
        while reply.count(b"\n") < 4:
            reply += sock.recv(1000)
    assert reply == b"ok pause\nok resume\nok drain\nerror: empty line; try: help\n"


def test_a_line_without_end_is_cut_off(scan: Running) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(str(scan.server.path))
        reply = b""
        try:
            sock.sendall(b"x" * 100_000)
            while data := sock.recv(1000):
                reply += data
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert reply in (b"", b"error: the line is too long\n")
    assert ask(scan.server.path, "pause")[0]


def test_only_the_owner_may_touch_it(scan: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stat.S_IMODE(scan.server.path.stat().st_mode) == 0o600
    monkeypatch.setattr(ctl, "_ours", lambda _: False)  # the check itself: below
    refused = ControlServer(scan.server.path.with_name("other.sock"))
    refused._listener._admit = ctl._ours
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(refused.path))
        refused.handle(0)
        sock.settimeout(10)
        assert sock.recv(10) == b""
    refused.close()


def test_the_kernels_word_on_who_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert ctl._ours(ours)
        monkeypatch.setattr(os, "geteuid", lambda: 4242)
        assert ctl._ours(ours) == (os.getuid() == 0)


def test_a_socket_left_behind_is_replaced_one_in_use_is_not(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    server = ControlServer(path)
    with pytest.raises(ControlError, match="another scan"):
        ControlServer(path)
    server.close()
    assert not path.exists()
    path.write_text("not a socket")
    with pytest.raises(ControlError, match="is no socket"):
        ControlServer(path)
    with pytest.raises(ControlError, match="longer than"):
        ControlServer(tmp_path / ("x" * 120))
    with pytest.raises(ControlError, match="cannot make"):
        ControlServer(tmp_path / "nowhere" / "s.sock")


def test_who_finds_no_scan_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ctl, "directories", lambda: [tmp_path])
    assert ctl.main(["status"]) == 1
    assert "no scan is running" in capsys.readouterr().err
    assert ctl.main(["--socket", str(tmp_path / "x.sock"), "status"]) == 1
    assert "No such file" in capsys.readouterr().err


def test_ctl_finds_the_one_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ctl, "directories", lambda: [tmp_path])
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "1.sock"))
    first = Running(ctl.default_path(os.getpid()))
    try:
        assert ctl.main(["workers", "flow=4"]) == 0
        assert capsys.readouterr().out == "workers flow=4 collect=1 (were flow=2 collect=1)\n"
        assert ctl.main(["workers", "flow=100"]) == 1
        assert "8 shards" in capsys.readouterr().err
        assert ctl.main(["status", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["read"] == 77
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
    assert [command.kind for command in first.commands] == ["workers"]


def test_wait_until_the_workers_are_there(scan: Running, capsys: pytest.CaptureFixture[str]) -> None:
    from coordinator.monitor.snapshot import ProcessView, WorkerView

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
