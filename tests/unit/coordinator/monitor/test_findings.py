"""Findings on a terminal: as they come, and as a table at the end, whatever strangers call themselves."""

from __future__ import annotations

import os
import re
import select
import time
from collections.abc import Iterator

import pytest

from coordinator.monitor.findings import Finding, Findings
from tests.effort import examples


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe2(os.O_NONBLOCK)
    yield reader, writer
    os.close(reader)
    os.close(writer)


def found(number: int) -> Finding:
    return f"192.0.2.{number}", 80, "http", "nginx", "1.22.1"


def test_lines_and_a_table(pipe: tuple[int, int]) -> None:
    shown = Findings(live=True, descriptor=pipe[1], size=(80, 24))
    shown.add([found(10), ("2001:db8::1", 22, "ssh", "OpenSSH", "9.2p1")], 0)
    assert os.read(pipe[0], 4096).decode().splitlines() == [
        "192.0.2.10:80  http  nginx  1.22.1",
        "[2001:db8::1]:22  ssh  OpenSSH  9.2p1",
    ]
    shown.add([found(9)], 0)
    os.read(pipe[0], 4096)
    shown.close("x")
    assert os.read(pipe[0], 4096).decode().splitlines() == [
        "address           fingerprint  product  version",
        "192.0.2.9:80      http         nginx    1.22.1",
        "192.0.2.10:80     http         nginx    1.22.1",
        "[2001:db8::1]:22  ssh          OpenSSH  9.2p1",
    ]


def test_what_a_narrow_screen_leaves_out_is_marked(pipe: tuple[int, int]) -> None:
    shown = Findings(live=True, descriptor=pipe[1], size=(33, 24))
    shown.add([found(10)], 0)
    shown.close("x")
    assert os.read(pipe[0], 4096).decode().splitlines() == [
        "192.0.2.10:80  http  nginx  1.22~",
        "address        fingerprint  prod~",
        "192.0.2.10:80  http         ngin~",
    ]


def test_a_table_that_does_not_fit_is_none(pipe: tuple[int, int]) -> None:
    shown = Findings(live=False, descriptor=pipe[1], size=(80, 24))
    shown.add([found(number) for number in range(21)], 0)
    shown.close("x")
    with pytest.raises(BlockingIOError):
        os.read(pipe[0], 4096)


def test_a_terminal_that_takes_nothing_holds_nobody_up(pipe: tuple[int, int]) -> None:
    shown = Findings(live=True, descriptor=pipe[1], size=(80, 24))
    begun = time.monotonic()
    rounds = examples(2000)
    for _ in range(rounds):
        shown.add([found(number) for number in range(100)], 3)
    assert time.monotonic() - begun < 30
    assert shown.count == rounds * 103
    assert rounds * 3 < shown.skipped < rounds * 103
    text = b""
    while select.select([pipe[0]], [], [], 0)[0]:
        text += os.read(pipe[0], 1 << 20)
        shown.flush()
    assert text.count(b"\n") == rounds * 103 - shown.skipped
    shown.close("out\x1b.json")
    assert os.read(pipe[0], 4096) == (
        f"{shown.skipped:,} more were found than are shown here; all are in out\\x1b.json\n".encode()
    )


def test_hostile_words(pipe: tuple[int, int]) -> None:
    shown = Findings(live=True, descriptor=pipe[1], size=(60, 24))
    shown.add([("192.0.2.1", 1, "http", "\x1b]0;owned\x07\x9b31m\r\n", "\u202eevil" * 40)], 0)
    shown.close("x")
    for line in os.read(pipe[0], 1 << 16).splitlines():
        assert re.fullmatch(rb"[ -~]{1,60}", line)
