"""The RST guard of scans that run: what others do to the firewall meanwhile, and what comes of it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.faults import lines_in, read
from tests.lab.net import wait_for
from tests.lab.responder import Range
from tests.system.test_faults_processes import right
from tests.system.test_faults_sending import Running

pytestmark = pytest.mark.root


def about(running: Running) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(running.about.read_text())
    return found


def test_what_is_taken_away_is_put_back_and_said(arena: Range) -> None:
    running = Running(arena, count=8000, rate="2000")
    before = arena.scanner.rules()
    name = before.partition("table inet lzr_")[2].split()[0]
    for words in (("flush", "ruleset"), ("flush", "chain", "inet", f"lzr_{name}", "resets")):
        arena.scanner.run("nft", *words)
        wait_for(lambda: _rules(arena) == _plain(before), "the guard to be back", 10)
    at = lines_in(running.target)
    assert running.victim.wait(90) == 3, running.victim.said()[-3000:]
    said = running.victim.said()
    assert said.count("[ERROR] lzr: the RST guard was taken away") == 2, said[-3000:]
    assert "warning: the RST guard was taken away" in said
    assert "2 times by now" in said
    assert "(agree)" in said
    found = about(running)
    assert found["results_lost"]
    assert found["ending"] == {"status": 3, "how": "done, results lost", "failure": ""}
    assert any("leave the firewall alone" in warning for warning in found["warnings"])
    records = read(running.target)
    assert len(records) == running.count
    right(records[at + 500 :])
    assert arena.scanner.rules() == ""


def _rules(arena: Range) -> str:
    return _plain(arena.scanner.rules())


def _plain(rules: str) -> str:
    """Without what is counted."""
    return re.sub(r"packets \d+ bytes \d+", "", rules)
