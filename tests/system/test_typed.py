"""Targets typed on a terminal: it is said what is awaited, and the dashboard leaves them their line."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.scan import LZR, parse
from tests.system.test_screen import Window, window

__all__ = ["window"]

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]


def start(here: Window, *options: str) -> None:
    here.type(f"{LZR} --control-socket {here.socket} {' '.join(options)}; echo end=$?")


def test_typed_targets_are_scanned_beside_the_dashboard(arena: Range, window: Callable[..., Window]) -> None:
    first = FIRST.rpartition(".")[0]
    arena.respond(first=FIRST, count=4, port=PORT, source=SCANNER, classes="h")
    here = window(100, 30)
    start(
        here, "-sendSYNs", "-handshakes", "http", "-f", str(here.output), "-rt", "15", "-t", "4", "-rn", "0"
    )
    here.tmux.until(lambda screen: "type one target a line" in screen and "Ctrl-D" in screen)
    here.type(f"{FIRST}:{PORT}")
    here.tmux.until(lambda screen: screen.startswith(" lzr"))
    here.tmux.until(lambda screen: "Ctrl-D ends them" in screen and "done 1 " in screen)
    here.tmux._do("send-keys", "-l", f"{FIRST[:-1]}")  # half a line stays while the picture is redrawn
    here.tmux.until(lambda screen: screen.splitlines()[-1].startswith(FIRST[:-1]))
    here.type(f"{FIRST[-1]}:{PORT + 0}x")  # a mistake: counted
    for key in ("q", "q", "p"):  # no keys, but lines that name nothing
        here.type(key)
    here.type(f"http://{first}.{int(FIRST.rpartition('.')[2]) + 1}:{PORT}/")
    screen = here.tmux.until(lambda screen: "done 2 " in screen)
    assert "PAUSED" not in screen
    here.tmux.resize(110, 50)
    here.tmux.until(lambda screen: len(screen.splitlines()) in (49, 50) and "no port: p" in screen)
    here.type(f"{first}.250:{PORT}")  # nobody is there: the scan goes on for a while
    here.tmux.keys("C-d")
    here.tmux.until(lambda screen: "? help" in screen.splitlines()[-1])
    here.tmux.keys("?")
    here.tmux.until(lambda screen: "this page" in screen)
    screen = here.tmux.until(lambda screen: "end=0" in screen)
    assert "7 read = 3 recorded + 4 unparsable (agree)" in screen
    records = parse(here.output.read_text())[0]
    assert sum("data" in record for record in records) == 2
    here.type("echo typed$((1 + 1))")  # the terminal is as it was
    here.tmux.until(lambda screen: "\ntyped2" in screen)


def test_nothing_typed_is_nothing_scanned(arena: Range, window: Callable[..., Window]) -> None:
    here = window(100, 30)
    start(here, "-f", str(here.output))
    screen = here.tmux.until(lambda screen: "waiting for ZMap's records" in screen)
    assert "| lzr" in screen.replace("\n", "")
    here.tmux.keys("C-d")
    assert "the input is empty" in here.tmux.until(lambda screen: "end=0" in screen)
    here.type("clear")
    here.tmux.until(lambda screen: "end=" not in screen)
    start(here, "-f", str(here.output))
    here.tmux.until(lambda screen: "waiting for ZMap's records" in screen)
    here.tmux.keys("C-c")
    here.tmux.until(lambda screen: "end=130" in screen)


def test_a_pipe_has_its_keys_and_no_invitation(arena: Range, window: Callable[..., Window]) -> None:
    here = window(100, 30)
    here.source.write_text(f"{FIRST}:{PORT}\n")
    here.run("-sendSYNs", "-gatewayMac", arena.gateway_mac, "-rt", "5", "-t", "5")
    screen = here.tmux.until(lambda screen: screen.startswith(" lzr"))
    assert "Ctrl-D" not in screen
    here.tmux.keys("q", "q")
    assert "Ctrl-D" not in here.ended()
