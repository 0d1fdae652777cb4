"""Commands are understood or refused with a sentence; the socket is ours alone."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.commands.ctl import ask
from coordinator.endpoints import control
from coordinator.endpoints.control import ControlServer
from coordinator.endpoints.ctlcommands import Change, Command, CommandError, parse, rate, workers
from coordinator.endpoints.named import ControlError
from coordinator.monitor.snapshot import Snapshot
from tests.controlled import Running
from tests.rows import every_row


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
    assert parse("rate +500").rate == Change(500.0, "+")
    assert parse("rate -5k/s").rate == Change(-5000.0, "+")
    assert parse("rate -500").wanted_rate(2000.0) == 1500.0
    assert parse("rate -500").wanted_rate(100.0) == 1.0
    assert parse("rate 0.5").wanted_rate(100.0) == parse("rate x0.8").wanted_rate(0.5) == 0.5
    assert parse("rate x0.8").wanted_rate(1.0) == 1.0
    assert parse("rate 1e-30").wanted_rate(1.0) == 1e-6
    assert parse("rate +500").wanted_rate(None) is None
    assert parse("rate none") == Command("rate")
    assert parse("status --json") == Command("status", json=True)
    assert [parse(word).kind for word in ("pause", "RESUME", " drain ", "quit", "help")] == [
        "pause",
        "resume",
        "drain",
        "quit",
        "help",
    ]


@every_row(
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
        "rate -",
        "rate +-5",
        "rate x-2",
        "rate -0",
        "rate nan",
        "rate inf",
        "rate 1 2",
        "rate x0",
        "rate k",
        "rate 1e400",
        "pause now",
        "status fully",
    ]
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


def test_more_workers_than_descriptors_allow_are_refused(scan: Running) -> None:
    scan.server.publish(Snapshot(shards=8, wanted_flow=4, wanted_collect=2, most_processes=10))
    refused = (False, "the limit of open files (ulimit -n) allows 10 workers and collectors together")
    assert ask(scan.server.path, "workers collect=7") == refused
    assert ask(scan.server.path, "workers collect=6")[0]
    scan.server.publish(Snapshot(shards=8, wanted_flow=8, wanted_collect=8, most_processes=10))
    assert ask(scan.server.path, "workers collect=7")[0], "fewer than there are, which may be as many"


def test_several_lines_in_one_connection(scan: Running) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(60)
        sock.connect(str(scan.server.path))
        sock.sendall(b"pause\nresume\ndra")
        sock.sendall(b"in\n\n")
        reply = b""
        while reply.count(b"\n") < 4:
            reply += sock.recv(1000)
    assert reply == b"ok pause\nok resume\nok drain\nerror: empty line; try: help\n"


def test_a_line_without_end_is_cut_off(scan: Running) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(60)
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
    monkeypatch.setattr(control, "is_ours", lambda _: False)  # the check itself: below
    refused = ControlServer(scan.server.path.with_name("other.sock"))
    refused._listener._admit = control.is_ours
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(refused.path))
        refused.handle(0)
        sock.settimeout(60)
        assert sock.recv(10) == b""
    refused.close()


def test_the_kernels_word_on_who_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert control.is_ours(ours)
        monkeypatch.setattr(os, "geteuid", lambda: 4242)
        assert control.is_ours(ours) == (os.getuid() == 0)


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


def test_whom_to_block_and_why() -> None:
    asked = parse("block 192.0.2.0/24, 198.51.100.7 2001:db8::/32 --by alice --reason ticket 42, again")
    assert asked.kind == "block"
    assert asked.networks == ("192.0.2.0/24", "198.51.100.7", "2001:db8::/32")
    assert (asked.by, asked.reason) == ("alice", "ticket 42, again")
    assert parse("block 192.0.2.1-9 --reason=x").reason == "x"
    for line, sentence in (
        ("block", "needs a network"),
        ("block --reason x", "needs a network"),
        ("block 192.0.2.0/24 --reason", "--reason needs a text"),
        ("block 192.0.2.0/33", "neither an address nor a network"),
        ("block example.com", "neither an address nor a network"),
        ("block 192.0.0.0/7", "more than a /8"),
        ("block 0.0.0.0-255.255.255.255", "more than a /8"),
        ("block 2001::/16", "more than a /32"),
        ("exclude 192.0.2.0/24", "that is block NET"),
    ):
        with pytest.raises(CommandError, match=sentence):
            parse(line)
    assert parse("block 192.0.2.1 --reason \x1b[2J").reason == "\\x1b[2J"


def test_an_order_may_name_a_thousand_networks(scan: Running) -> None:
    networks = [f"2001:db8:{at:x}::/48" for at in range(1000)]
    good, text = ask(scan.server.path, f"block {' '.join(networks)} --by alice")
    assert good, text
    with pytest.raises(CommandError, match="at most 32,767 bytes, not "):
        parse(f"block {' '.join(networks * 2)}")


def test_a_lease_in_seconds_from_a_moment() -> None:
    assert (parse("lease 60").seconds, parse("lease 60").since) == (60, None)
    assert parse("lease 60.5 --from 86412.25").since == 86412.25
    assert parse("lease 60 --from=0").since == 0
    for line, sentence in (
        ("lease", "takes one number"),
        ("lease 1 2", "takes one number"),
        ("lease 0", "more than 0"),
        ("lease nan", "is not a lease"),
        ("lease 1e9", "at most"),
        ("lease 60 --from", "--from needs a text"),
        ("lease 60 --from -1", "is not a moment"),
        ("lease 60 --from inf", "is not a moment"),
    ):
        with pytest.raises(CommandError, match=sentence):
            parse(line)
