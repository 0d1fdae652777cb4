"""The guess at the guard, against the options that are read properly a moment later."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.guard import early
from coordinator.guard.early import put_up_early
from coordinator.guard.firewall import GuardError, make_cover
from coordinator.guard.guard import Guard
from lzr.options.parse import FLAGS
from lzr.options.subcommands import NAMES
from lzr.options.table import ACTIONS
from lzr.sourceports import DEFAULT_PORTS
from tests.host_net import BOX

Asked = list[tuple[object, ...]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What the guess came to; nothing is put up."""
    seen: Asked = []

    def fake(addresses: list[str], *rest: object) -> Guard:
        make_cover(addresses, (1, 2))
        seen.append((addresses, *rest))
        return Guard(None, "", make_cover([], (1, 2)), ())

    monkeypatch.setattr(early, "put_up", fake)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return seen


WIDE: tuple[object, ...] = ([], DEFAULT_PORTS, "auto", None)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", WIDE),
        ("--handshakes http,tls -f -", WIDE),
        (
            "-handshakes http -sendSYNs -sourceIP 10.0.0.1 -rate 5",
            (["10.0.0.1"], DEFAULT_PORTS, "auto", None),
        ),
        ("--source-ip=10.0.0.1,::1 --source-port 5-9", (["10.0.0.1", "::1"], (5, 9), "auto", None)),
        ("-S 10.0.0.0/24 -s 7 -i eth9", (["10.0.0.0/24"], (7, 7), "auto", "eth9")),
        ("-sendInterface=eth9 --guard ingress", ([], DEFAULT_PORTS, "ingress", "eth9")),
        ("--guard sideways --source-port x --source-ip", WIDE),
        ("--source-ip nonsense --guard output", WIDE),
    ],
)
def test_a_glance(asked: Asked, line: str, expected: tuple[object, ...]) -> None:
    assert put_up_early(line.split()) is not None
    assert asked == [expected]


@pytest.mark.parametrize("name", [name for row in ACTIONS for name in row.names if row.long != "config"])
def test_no_scan_no_guard(asked: Asked, name: str) -> None:
    assert put_up_early(["-handshakes", "http", f"--{name}"]) is None
    assert put_up_early([f"-{name}"]) is None
    assert asked == []


@pytest.mark.parametrize("name", NAMES)
def test_no_guard_for_a_subcommand(asked: Asked, name: str) -> None:
    assert put_up_early([name, "--source-ip", BOX]) is None
    assert asked == []


def test_nor_for_one_who_is_not_root(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert put_up_early([]) is None


@pytest.mark.parametrize("names", [early.SOURCE_IP, early.SOURCE_PORT, early.INTERFACE, early.GUARD])
def test_the_flags_are_those_of_the_command_line(names: tuple[str, ...]) -> None:
    assert set(names) == set(FLAGS[names[0]].names)


@given(
    st.lists(st.text() | st.sampled_from(["--source-ip", "-s", "--guard=", "-i", "9-", "--source-port=9-5"]))
)
def test_no_command_line_is_too_odd(argv: list[str]) -> None:
    def refuse(*_: object) -> Guard:
        raise GuardError("not here")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(early, "put_up", refuse)
        assert put_up_early(argv) is None


def test_what_the_environment_says_may_be_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who starts lzr-run itself may have set it; bin/lzr has a number there."""
    monkeypatch.setattr(early, "_stands", lambda name: False)
    for pid in ("9" * 30, "-" + "9" * 30, "x", "\u0663", "1" * 5000):
        monkeypatch.setenv("LZR_GUARD", "lzr_x")
        monkeypatch.setenv("LZR_GUARD_PID", pid)
        assert early.take_over() is None
