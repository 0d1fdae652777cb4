"""The RST guard of scans that run: what others do to the firewall meanwhile, and what comes of it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.faults import lines_in, once_each, read
from tests.lab.net import wait_for
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.scan import LZR, scan
from tests.system.test_e2e_responder import services
from tests.system.test_faults_processes import LIVELY, PATIENT, right, wanted
from tests.system.test_faults_sending import Running

pytestmark = pytest.mark.root


def about(running: Running) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(running.about.read_text())
    return found


def test_what_is_taken_away_is_put_back_and_said(arena: Range) -> None:
    running = Running(arena, *PATIENT, count=30_000, rate="2000")
    before = arena.scanner.rules()
    name = before.partition("table inet lzr_")[2].split()[0]
    for words in (("flush", "ruleset"), ("flush", "chain", "inet", f"lzr_{name}", "resets")):
        arena.scanner.run("nft", *words)
        wait_for(lambda: _rules(arena) == _plain(before), "the guard to be back")
    at = lines_in(running.target)
    running.ctl("rate", "none")
    assert running.victim.wait(90) == 3, running.victim.said()[-3000:]
    said = running.victim.said()
    assert said.count("[ERROR] lzr: the RST guard was taken away") == 2, said[-3000:]
    assert "warning: the RST guard was taken away" in said
    assert "2 times by now" in said
    assert "(agree)" in said
    found = about(running)
    assert found["results_lost"]
    assert found["ending"] == {"status": 3, "how": "done, results lost", "failure": "", "unfinished": False}
    assert any("leave the firewall alone" in warning for warning in found["warnings"])
    records = read(running.target)
    assert len(records) == running.count
    right(records[at + 500 :])
    assert arena.scanner.rules() == ""


def test_a_destination_that_our_own_firewall_drops_costs_its_own_flows_only(arena: Range) -> None:
    """One address in the middle and, with a handshake of its own for each, the last ones of the list."""
    count = 600
    forbidden = ["10.64.0.77", *(f"10.64.2.{last}" for last in range(83, 88))]
    arena.scanner.nft(
        "table netdev out { chain out { type filter hook egress device eth0 priority 0; "
        f"ip daddr {{ {', '.join(forbidden)} }} drop; }}; }}"
    )
    arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER, classes=LIVELY)
    about = arena.lab.directory / "about"
    options = ("-sendSYNs", "-w", "2", "-gatewayMac", arena.gateway_mac, *PATIENT, "--metadata-file", about)
    done = scan(arena.scanner, *options, lines=services(count))
    assert done.returncode == 3, done.stderr
    once_each(done.records, wanted(count))
    refused = {record["saddr"] for record in done.records if record.get("reason") == "send_refused"}
    found = json.loads(about.read_text())
    assert found["reasons"]["send_refused"] == len(forbidden)
    right([record for record in done.records if record["saddr"] not in forbidden])
    assert not refused - set(forbidden)
    assert done.stderr.count("[ERROR] lzr:") == 1
    assert "warning: 6 targets were not scanned: this host's own firewall" in done.stderr
    assert found["results_lost"]


def test_without_a_guard_no_right_to_set_the_firewall_is_needed(arena: Range) -> None:
    """CAP_NET_RAW is enough; here a rule of the test's own keeps the kernel quiet."""
    arena.scanner.nft(
        "table inet quiet { chain out { type filter hook output priority 0; tcp flags & rst == rst drop; }; }"
    )
    arena.respond(first=FIRST, count=64, port=PORT, source=SCANNER, classes=LIVELY)
    target = arena.lab.directory / "raw"
    words = (
        LZR,
        "-sendSYNs",
        "--guard",
        "none",
        "-G",
        arena.gateway_mac,
        *PATIENT,
        "--no-dashboard",
        "-f",
        target,
    )
    done = arena.scanner.run(
        "setpriv", "--bounding-set=-net_admin", *words, input="".join(services(64)), check=False
    )
    assert done.returncode == 0, done.stderr
    found = read(target)
    once_each(found, wanted(64))
    right(found)


def _rules(arena: Range) -> str:
    return _plain(arena.scanner.rules())


def _plain(rules: str) -> str:
    """Without what is counted."""
    return re.sub(r"packets \d+ bytes \d+", "", rules)
