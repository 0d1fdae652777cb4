"""`lzr diff` of two real sweeps: gone is what was asked again, and the list of it goes back into lzr."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.lab.responder import PORT, SCANNER, Range, letter_of
from tests.lab.scan import LZR, parse
from tests.system.test_advice_running import lzr

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

QUICK = ("-handshakes", "http", "-rt", "1", "-t", "4", "-c", "4", "-w", "flow=1,collect=1")
BEFORE, AFTER = "hshshshn", "hnsanshs"
"""What each host does, by its address: HTTP, SSH, silence after the SYN-ACK (a), nothing at all (n)."""


def test_two_sweeps_compared_and_what_is_gone_asked_again(arena: Range) -> None:
    folder = arena.lab.directory

    def swept(name: str, classes: str, network: str) -> str:
        responder = arena.respond(first="10.64.0.0", count=64, port=PORT, source=SCANNER, classes=classes)
        out = folder / f"{name}.json"
        meta = ("-m", str(folder / f"{name}.metadata.json"))
        done = lzr(arena, "-p", str(PORT), network, *QUICK, "-r", "4000", "-f", str(out), *meta)
        assert done.returncode == 0, done.stderr
        responder.stop()
        return str(out)

    old, new = swept("old", BEFORE, "10.64.0.0/26"), swept("new", AFTER, "10.64.0.0/27")

    def diff(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([LZR, "diff", *words, old, new], capture_output=True, text=True, check=False)

    done = diff("--json", "--not-asked")
    assert (done.returncode, done.stderr) == (1, "")
    objects = [json.loads(line) for line in done.stdout.splitlines()]
    found = {one["saddr"]: one["change"] for one in objects[:-1]}
    expected = {}
    for last in range(64):
        host = f"10.64.0.{last}"
        was, now = letter_of(host, BEFORE), letter_of(host, AFTER)
        if last >= 32:
            if was in "hs":
                expected[host] = "not_asked"
        elif was in "hs" and now not in "hs":
            expected[host] = "gone"
        elif was not in "hs" and now in "hs":
            expected[host] = "appeared"
        elif was != now:
            expected[host] = "changed"
    assert found == expected
    assert set(expected.values()) == {"gone", "not_asked", "appeared", "changed"}

    # What is gone, asked again while it is there: nothing of it is gone any more.
    gone = diff("--confirm")
    assert gone.returncode == 1
    assert gone.stdout.count("\n") == list(expected.values()).count("gone")
    responder = arena.respond(first="10.64.0.0", count=64, port=PORT, source=SCANNER, classes=BEFORE)
    again = lzr(arena, "-sendSYNs", *QUICK, "-f", "-", data=gone.stdout.encode())
    assert again.returncode == 0, again.stderr
    responder.stop()
    records, _ = parse(again.stdout)
    assert {record["saddr"] for record in records if "data" in record} == {
        host for host, change in expected.items() if change == "gone"
    }
