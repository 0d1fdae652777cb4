"""Nobody is contacted whom a list forbids, and nobody more often than asked for: seen from the wire."""

from __future__ import annotations

import json
import random
import resource
from pathlib import Path

import pytest

from tests.faults import once_each
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.scan import Scan, scan
from tests.lab.zmaplines import lines
from tests.system.test_e2e_responder import address, services

pytestmark = pytest.mark.root
QUICK = ("-rt", "0.4", "-t", "2", "-c", "1.5")
ONCE = ("-rt", "30", "-t", "60", "-c", "1.5")
"""Where SYNs are counted: no host is asked again because it, or a worker, was held up for a while."""
COUNT = 2048


def listed(arena: Range, name: str, text: str) -> Path:
    path = arena.lab.directory / name
    path.write_text(text)
    return path


def spent() -> float:
    """Seconds of a processor that programs which have ended have used: the same on a busy machine."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def ledger(found: Scan) -> str:
    return next(line for line in found.stderr.splitlines() if "inputs:" in line)


@pytest.mark.parametrize("mode", ["list", "zmap"])
def test_blocklist(arena: Range, mode: str) -> None:
    """10.64.1.0/24 and one host more are forbidden; the responder hears of any segment to them."""
    text = "# no scanning\n10.64.1.0/24   # a customer\n\n10.64.2.7\n2001:db8::/32\n"
    path = listed(arena, "blocklist", text)
    responder = arena.respond(first=FIRST, count=COUNT, port=PORT, source=SCANNER, classes="h")
    inputs = services(COUNT) if mode == "list" else list(lines(COUNT, classes="h"))
    how = ("-sendSYNs",) if mode == "list" else ()
    found = scan(arena.scanner, *how, *QUICK, "-w", "2", "--blocklist-file", path, lines=inputs)
    counters = responder.stop()
    forbidden = {f"10.64.1.{last}" for last in range(256)} | {"10.64.2.7"}
    assert found.returncode == 0, found.stderr
    once_each(
        found.records, {(address(at), PORT) for at in range(COUNT)} - {(host, PORT) for host in forbidden}
    )
    assert counters["addresses"] == COUNT - len(forbidden)
    assert "257 blocklisted" in ledger(found)
    assert "(agree)" in ledger(found)


def test_allowlist_and_blocklist_together(arena: Range) -> None:
    allow = listed(arena, "allow", "10.64.0.0/22\n")
    block = listed(arena, "block", "10.64.0.0/24\n")
    responder = arena.respond(first=FIRST, count=COUNT, port=PORT, source=SCANNER, classes="h")
    words = ("--allowlist-file", allow, "--blocklist-file", block)
    found = scan(arena.scanner, "-sendSYNs", *QUICK, *words, lines=services(COUNT))
    counters = responder.stop()
    assert found.returncode == 0, found.stderr
    once_each(found.records, {(address(at), PORT) for at in range(256, 1024)})
    assert counters["addresses"] == 768


def test_ipv6(arena: Range) -> None:
    block = listed(arena, "block", "fd00:64::40/122\n")
    arena.respond(classes="h")
    hosts = [f"fd00:64::{at:x}" for at in range(256)]
    found = scan(
        *(arena.scanner, "-sendSYNs", *QUICK, "--blocklist-file", block),
        lines=[f"[{host}]:{PORT}\n" for host in hosts],
    )
    assert found.returncode == 0, found.stderr
    once_each(
        found.records,
        {(f"fd00:64::{at:x}", PORT) for at in (*range(1, 0x40), *range(0x80, 256))} | {("fd00:64::", PORT)},
    )


def test_random_ephemeral_probes_stay_off_the_list_too(arena: Range) -> None:
    """-haf and follow-ups go to hosts of the input only."""
    block = listed(arena, "block", "10.64.1.0/24\n")
    responder = arena.respond(first=FIRST, count=512, source=SCANNER, classes="aq")
    words = ("-haf", "5", "-handshakes", "http,tls", "--blocklist-file", block)
    found = scan(arena.scanner, "-sendSYNs", *QUICK, *words, lines=services(512))
    counters = responder.stop()
    assert found.returncode == 0, found.stderr
    assert len(found.records) == 256
    assert counters["addresses"] == 256
    assert counters["wrong_address"] == 0


def test_a_hundred_thousand_prefixes(arena: Range) -> None:
    """They cost a moment to load, and nothing for each target."""
    rng = random.Random(5)
    prefixes = "".join(
        f"{rng.randrange(11, 200)}.{rng.randrange(256)}.{rng.randrange(256)}.0/{rng.randrange(24, 31)}\n"
        for _ in range(100_000)
    )
    path = listed(arena, "block", prefixes + "10.64.1.0/24\n")
    arena.respond(first=FIRST, count=20_000, port=PORT, source=SCANNER, classes="h")
    begun = spent()
    words = ("-sendSYNs", "-rate", "none", *QUICK)
    plain = scan(arena.scanner, *words, lines=services(20_000))
    middle = spent()
    found = scan(arena.scanner, *words, "--blocklist-file", path, lines=services(20_000))
    ended = spent()
    assert plain.returncode == found.returncode == 0
    assert len(found.records) == 20_000 - 256
    assert ended - middle < 3 * (middle - begun) + 3  # to load them takes a second or two


@pytest.mark.parametrize("text", ["10.0.0.0/33\n", "rubbish\n", "10.0.0.1 10.0.0.2\n"])
def test_a_list_that_cannot_be_understood_stops_everything(arena: Range, text: str) -> None:
    responder = arena.respond(first=FIRST, count=16, port=PORT, source=SCANNER, classes="h")
    path = listed(arena, "block", "10.1.0.0/16\n" + text)
    found = scan(arena.scanner, "-sendSYNs", "--blocklist-file", path, lines=services(16))
    assert found.returncode == 2
    assert "block" in found.stderr
    assert ":2" in found.stderr or "line 2" in found.stderr
    assert responder.stop()["syn"] == 0


def test_duplicates_are_scanned_once(arena: Range) -> None:
    responder = arena.respond(first=FIRST, count=100, port=PORT, source=SCANNER, classes="h")
    inputs = services(100) * 3
    random.Random(1).shuffle(inputs)
    found = scan(arena.scanner, "-sendSYNs", *ONCE, "-w", "2", lines=inputs)
    counters = responder.stop()
    assert found.returncode == 0, found.stderr
    once_each(found.records, {(address(at), PORT) for at in range(100)})
    assert counters["syn"] == 100
    assert "200 duplicate" in ledger(found)


def test_max_targets(arena: Range) -> None:
    responder = arena.respond(first=FIRST, count=COUNT, port=PORT, source=SCANNER, classes="h")
    found = scan(arena.scanner, "-sendSYNs", *QUICK, "--max-targets", "100", lines=services(COUNT))
    assert found.returncode == 0, found.stderr
    once_each(found.records, {(address(at), PORT) for at in range(100)})
    assert responder.stop()["addresses"] == 100
    assert "(agree)" in ledger(found)


def test_max_results(arena: Range) -> None:
    """Stops soon after so many services have answered; what is in flight is finished."""
    arena.respond(first=FIRST, count=65536, port=PORT, source=SCANNER, classes="hq")
    words = ("-rate", "2000", "--max-results", "300")
    found = scan(arena.scanner, "-sendSYNs", *QUICK, *words, lines=services(65536))
    assert found.returncode == 0, found.stderr
    data = sum(record["fingerprint"] == "http" for record in found.records)
    assert 300 <= data < 3000
    assert "(agree)" in ledger(found)


def test_max_runtime(arena: Range) -> None:
    arena.respond(first=FIRST, count=65536, port=PORT, source=SCANNER, classes="h")
    words = ("-rate", "1000", "--max-runtime", "5")
    found = scan(arena.scanner, "-sendSYNs", *QUICK, *words, lines=services(65536))
    assert found.returncode == 0, found.stderr
    assert 500 < len(found.records) < 20_000
    assert "(agree)" in ledger(found)
    assert found.seconds < 60  # all of them would take 65


def test_shards_divide_the_input(arena: Range) -> None:
    """--shards 3: three boxes together scan everything once."""
    responder = arena.respond(first=FIRST, count=COUNT, port=PORT, source=SCANNER, classes="h")
    records = []
    for number in range(3):
        words = ("--shards", "3", "--shard", str(number))
        found = scan(arena.scanner, "-sendSYNs", *ONCE, *words, lines=services(COUNT), name=f"s{number}")
        assert found.returncode == 0, found.stderr
        assert COUNT // 4 < len(found.records) < COUNT // 2
        assert "(agree)" in ledger(found)
        records += found.records
    once_each(records, {(address(at), PORT) for at in range(COUNT)})
    assert responder.stop()["syn"] == COUNT
    assert json.dumps(records[0])
