"""A scan in plain text: figures agree with the snapshot they come from."""

from __future__ import annotations

import csv
import json
import re

import pytest
from msgspec.structs import replace

from coordinator.monitor import numbers, status
from coordinator.monitor.bottleneck import bottleneck
from coordinator.monitor.snapshot import Identified, Phase, Snapshot
from lzr.packet.icmp import KINDS
from lzr.rows import Reason
from tests.dashboard_driver import HOSTILE, Scan


def seen(seconds: int = 20, **changes: object) -> Snapshot:
    scan = Scan(workers=3, total=500_000, hostile=True)
    for second in range(seconds + 1):
        snapshot = scan.at(second)
    return replace(snapshot, **changes)  # type: ignore[arg-type]


def test_every_reason_that_makes_a_record_has_a_word() -> None:
    words = {*status.OUTCOME_WORDS, *status.RARE_OUTCOMES}
    swept = {"refused", "not_asked", *(f"unreachable_{kind}" for kind in KINDS)}  # a sweep's: no record
    assert set(Reason.NAMES) - {"duplicate", "blocked"} == words - swept


def test_status_line_says_what_the_snapshot_says() -> None:
    snapshot = seen()
    line = status.line(snapshot)
    assert line.startswith(f"0:20 {numbers.percent(snapshot.fates / 500_000)} (")
    assert f"read: {snapshot.read} " in line
    assert f"done: {snapshot.done} " in line
    assert f"in flight: {snapshot.in_flight};" in line
    assert "drops: 0" in line
    assert line.isascii()
    assert "\n" not in line
    assert "(paused)" in status.line(replace(snapshot, paused=True))
    assert "(cooling down, 5 s left)" in status.line(
        replace(snapshot, phase=Phase.COOLDOWN, cooldown_left=5.0)
    )


def test_status_updates_row_fits_its_header() -> None:
    snapshot = seen()
    header, row = next(csv.reader([status.CSV_HEADER])), next(csv.reader([status.csv_row(snapshot)]))
    assert len(header) == len(set(header)) == len(row)
    cells = dict(zip(header, row, strict=True))
    assert cells["real-time"] == "2023-11-14 22:13:40"
    assert int(cells["read-total"]) == snapshot.read
    assert int(cells["done-total"]) == snapshot.done
    assert float(cells["hit-rate"]) == pytest.approx(snapshot.hit_rate, abs=1e-4)
    assert int(cells["outcome-zero-window"]) == snapshot.outcomes["zero_window"]
    assert status.csv_row(Snapshot()).count(",") == status.CSV_HEADER.count(",")


def test_json_is_one_line_of_ascii_with_all_figures() -> None:
    snapshot = seen()
    text = status.as_json(snapshot)
    assert text.isascii()
    assert "\n" not in text
    found = json.loads(text)
    assert found["done"] == snapshot.done
    assert found["outcomes"] == snapshot.outcomes
    assert found["by_handshake"] == snapshot.by_handshake
    assert [worker["name"] for worker in found["workers"]] == ["flow 0", "flow 1", "flow 2"]
    assert found["latest"][0]["banner"].encode("latin-1") == snapshot.latest[0].banner
    assert found["bottleneck"] == bottleneck(snapshot)


def test_report_and_summary_are_harmless_whatever_was_found() -> None:
    snapshot = seen()
    prints = {banner.decode("latin-1")[:40]: 5 for banner in HOSTILE}
    hostile = replace(
        snapshot,
        fingerprints=prints,
        by_handshake={"http": prints},
        warnings=tuple(prints),
        title="\x1b[31m",
        latest=(Identified("192.0.2.1", 80, "\x1b", "\x9b", b"\x1b"),),
    )
    for text in (
        status.report(hostile),
        status.summary(hostile),
        status.line(hostile),
        status.csv_row(hostile),
    ):
        assert all(" " <= character <= "~" or character == "\n" for character in text)


def test_summary_shows_both_sides_of_the_ledger() -> None:
    snapshot = seen()
    agreed = replace(snapshot, read=snapshot.done + 7, rejected=4, duplicates=3, phase=Phase.DONE)
    text = status.summary(agreed, ['{"TotalResponses":1}'])
    assert f"{agreed.read} read = {agreed.done} recorded + 4 unparsable + 3 duplicate" in text
    assert text.endswith('{"TotalResponses":1}\n')
    assert "refused by this host" not in text
    for name, word in status.OUTCOME_WORDS.items():
        (line,) = [line for line in text.splitlines() if line.startswith(word + " ")]
        assert numbers.count(agreed.outcomes[name]) in line
    text = status.summary(replace(agreed, outcomes={**agreed.outcomes, "send_refused": 5}))
    (line,) = [line for line in text.splitlines() if line.startswith("refused by this host ")]
    assert line.split()[4] == "5"
    found = {"unreachable_host": 4, "unreachable_ttl": 2}
    text = status.summary(replace(agreed, outcomes={**agreed.outcomes, **found}))
    lines = [" ".join(line.split()) for line in text.splitlines() if line.startswith("unreachable")]
    assert [line.partition(" <0.1%")[0] for line in lines] == [
        "unreachable: host 4",
        "unreachable: TTL exceeded 2",
    ]
    assert replace(agreed, outcomes=found).unreachable == 6
    assert "http 97%, tls 3%" in text
    assert status.summary(Snapshot())


def test_summary_fits_a_narrow_terminal() -> None:
    """Its tables follow each other, its text breaks between words; no figure of the wide one is missing."""
    snapshot = seen()
    snapshot = replace(snapshot, read=snapshot.done + 7, rejected=4, duplicates=3, phase=Phase.DONE)
    wide = status.summary(snapshot)
    assert wide == status.summary(snapshot, width=200)
    for width in (40, 60, 77):
        narrow = status.summary(snapshot, width=width)
        assert max(map(len, narrow.splitlines())) <= width
        assert narrow.splitlines()[-1] == "-" * width
        said = " ".join(narrow.split())
        assert "4 unparsable + 3 duplicate" in said
        for word in status.OUTCOME_WORDS.values():
            assert f"{word} " in said
        assert all(f" {name} " in said for name in list(snapshot.fingerprints)[:5])


def test_report_says_where_a_sweep_is_answered() -> None:
    hit_rates = {f"10.{net}.0.0/16": (100 - net, 2000) for net in range(30)}
    found = status.report(seen(hit_rates=hit_rates, hit_rates_by="network"))
    assert re.search(r"network +answered +asked +share\n10\.0\.0\.0/16 +100 +~2\.00K +5\.00%\n", found)
    rest = sum(100 - net for net in range(9, 30))
    assert re.search(rf"\nothers +{rest:,} +~42\.0K +4\.\d+%\n", found)
    assert "answered" not in status.report(seen())
    assert json.loads(status.as_json(seen(hit_rates=hit_rates)))["hit_rates"]["10.3.0.0/16"] == [97, 2000]


def test_report_has_a_line_for_each_process() -> None:
    text = status.report(seen())
    for name in ("flow 0", "flow 1", "flow 2", "collect 0", "coordinator"):
        assert sum(line.startswith(name + " ") for line in text.splitlines()) == 1


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (999, "999"),
        (999.6, "1.00K"),
        (12_345, "12.3K"),
        (999_600, "1.00M"),
        (5e12, "5.00T"),
        (2e15, "2000T"),
        (0.5, "0.5"),
        (2.49, "2.5"),
        (0.0333, "0.03"),
        (0.00001, "1e-05"),
    ],
)
def test_short_numbers(number: float, text: str) -> None:
    assert numbers.short(number) == text


def test_figures() -> None:
    assert numbers.count(1234567.0) == "1,234,567"
    assert [numbers.count(rate) for rate in (0.5, 3.0, 9.4, 12.3)] == ["0.5", "3", "9.4", "12"]
    assert numbers.fit(0.5, 7) == "0.5"
    assert numbers.fit(1_234_567, 9) == "1,234,567"
    assert numbers.fit(1_234_567, 8) == "1.23M"
    assert numbers.bits(1_500_000) == "1.50 Mb/s"
    assert numbers.bits(15) == "15 b/s"
    assert numbers.percent(0.5) == "50%"
    assert numbers.percent(0.0001) == "<1%"
    assert numbers.percent(0.9999) == ">99%"
    assert numbers.percent(0.00001, 1) == "<0.1%"
    assert numbers.percent(0.99999, 1) == ">99.9%"
    assert numbers.percent(1, 1) == "100.0%"
    assert [numbers.clock(t) for t in (5, 65, 3723, 100_000, None)] == [
        "0:05",
        "1:05",
        "1:02:03",
        "1d 03:46",
        "-",
    ]
    assert [numbers.left(t) for t in (8, 720, 12_000, 400_000)] == ["8 s", "12 min", "3.3 h", "4.6 days"]
