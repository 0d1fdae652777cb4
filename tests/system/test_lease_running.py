"""A scan whose lease runs out ends by itself: seen from the wire, no packet more, and it can be resumed."""

from __future__ import annotations

import json
import os
import time
from collections import Counter

import pytest

from coordinator.commands.ctl import ask
from lzr.fleet import lease
from tests.faults import Victim, lines_in, read
from tests.lab.net import wait_for
from tests.lab.responder import FIRST, PORT, SCANNER, Range

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

COUNT = 2048
SWEEP = (
    *("-p", str(PORT), "10.64.0.0/21", "-handshakes", "http", "-rt", "0.5", "-t", "2", "-c", "3"),
    *("-w", "2", "--no-dashboard"),
)


def packets(arena: Range) -> int:
    text = arena.far.run("nft", "-j", "list", "table", "netdev", "seen").stdout
    rule = next(one["rule"] for one in json.loads(text)["nftables"] if "rule" in one)
    return int(next(part["counter"]["packets"] for part in rule["expr"] if "counter" in part))


def test_it_ends_when_nobody_says_it_again_and_goes_on_when_resumed(arena: Range) -> None:
    directory = arena.lab.directory
    target, socket, metadata, kept = (directory / name for name in ("out", "ctl", "metadata", "kept"))
    arena.far.nft(
        "table netdev seen {\n chain in {\n type filter hook ingress device eth0 priority 0; policy accept;\n"
        f" ip saddr {SCANNER} ip protocol tcp counter\n }}\n}}\n"
    )
    responder = arena.respond(first=FIRST, count=COUNT, port=PORT, source=SCANNER, classes="hqah")
    common = ("-f", target, "--control-socket", socket, "-m", metadata)

    def scan(*words: object) -> Victim:
        with open(os.devnull) as stdin:
            return Victim(arena.scanner, *SWEEP, *common, *map(str, words), stdin=stdin)

    first = scan("--checkpoint", kept, "-r", "100")
    wait_for(lambda: lines_in(target) > 50, "the first records", 60)
    began = time.monotonic()
    assert ask(socket, f"lease {lease.RESERVE + 2:g}") == (True, "ok lease\n")
    assert ask(socket, f"lease {lease.RESERVE + 3:g}")[0]
    assert first.wait(120) == lease.INTERRUPTED, first.said()[-3000:]
    assert time.monotonic() - began >= 3, "it was renewed once"
    had, lines = packets(arena), lines_in(target)
    assert lease.OVER in first.said()
    assert "--lease" not in first.said()
    ending = json.loads(metadata.read_text())["ending"]
    assert (ending["how"], ending["failure"], ending["unfinished"]) == ("interrupted", lease.OVER, True)

    late = scan("--resume", kept, "--lease-until", "1")
    assert late.wait(120) == lease.INTERRUPTED, late.said()[-3000:]
    assert (packets(arena), lines_in(target)) == (had, lines)

    rest = scan("--resume", kept, "-r", "2000")
    assert rest.wait(120) == 0, rest.said()[-3000:]
    found = Counter(record["saddr"] for record in read(target))
    assert set(found.values()) == {1}
    assert len(found) == COUNT
    responder.stop()
