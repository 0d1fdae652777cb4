"""What metadata show to have been asked, and what they do not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lzr import addresses
from lzr.analysis.addressranges import AddressRanges, Collected
from lzr.analysis.asked import Coverage, known, listed, names, number, shown, swept
from lzr.analysis.metadata import NoMetadata, check


def at(text: str) -> int:
    high, low = addresses.parse(text)
    return high << 64 | low


def metadata(**changes: Any) -> dict[str, Any]:
    """Of a scan of a list that went well; a key with __ is one of a section."""
    found: dict[str, Any] = {
        "program": "lzr",
        "format": 1,
        "options": {"shards": 1, "output_filter": None, "only_data_record": False, "max_targets": None},
        "ending": {"status": 0, "how": "done"},
        "inputs": {"read": 10, "agree": True, "fates": {"recorded": 10, "unparsable": 0, "interrupted": 0}},
        "input": {"bytes": 100, "sha256": "aa"},
        "lists": {},
        "scan": {"handshakes": ["http", "tls"]},
        "counters": {"TotalResponses": 10},
        "reasons": {},
        "results_lost": 0,
    }
    for name, value in changes.items():
        section, _, key = name.partition("__")
        if key:
            found[section] = {**found[section], key: value}
        else:
            found[section] = value
    return found


SWEEP = {
    "options": {
        "target_ports": [[80, 81], [443, 443]],
        "targets": ["10.0.0.0/24", "2001:db8::/64", "host.example"],
        "shards": 1,
    }
}


def test_the_same_input_to_the_end_asks_everything_again() -> None:
    asked = known(metadata(), metadata(), records=10)
    assert asked.everything
    assert asked.covers(at("192.0.2.1"), 1)
    assert not asked.why
    assert asked.handshakes == ("http", "tls")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"ending__status": 130, "ending__how": "interrupted"}, "interrupted"),
        ({"inputs__agree": False}, "ledger"),
        ({"results_lost": 3}, "lost results"),
        ({"options__shards": 2}, "--shards"),
        ({"options__max_targets": 5}, "--max-targets"),
        ({"options__output_filter": "sport = 80"}, "filtered"),
        ({"inputs__fates": {"recorded": 9, "interrupted": 1}}, "interrupted"),
        ({"inputs__fates": {}}, "what became"),
        ({"lists": {"blocklist_file": {"file": "x", "sha256": "b"}}}, "lists"),
        ({"input__sha256": "bb"}, "another input"),
        ({"inputs__fates": {"recorded": 9, "unroutable (no way)": 1}}, "another input"),
    ],
)  # fmt: skip
def test_a_scan_that_is_not_whole_shows_no_more_than_its_records(changes: dict[str, Any], why: str) -> None:
    asked = known(metadata(**changes), metadata(), records=10)
    assert not asked.covers(at("192.0.2.1"), 80)
    assert why in asked.why


def test_a_log_that_is_not_whole_takes_nothing_from_the_results() -> None:
    """The status is 3 then, too (README.md)."""
    ending = {"status": 3, "how": "done, a file beside the results not whole"}
    assert known(metadata(ending=ending, results_lost=False), metadata(), records=10).everything
    for lost in (True, None):
        asked = known(metadata(ending=ending, results_lost=lost), metadata(), records=10)
        assert not asked.everything
        assert "it ended as done" in asked.why


def test_the_old_file_may_hold_no_more_records_than_the_old_scan_made() -> None:
    assert not known(metadata(), metadata(), records=11).everything
    assert not known(metadata(), None, records=1).everything
    assert "no metadata" in known(None, metadata()).why


def test_the_same_lists_hold_back_the_same() -> None:
    lists = {"blocklist_file": {"file": "x", "sha256": "b"}}
    assert known(metadata(lists=lists), metadata(lists=lists), records=1).everything
    assert known(metadata(), metadata(lists=lists), records=1).everything


def test_a_sweep_asks_its_networks_on_its_ports() -> None:
    asked = known(metadata(**SWEEP), None)
    assert asked.covers(at("10.0.0.255"), 81)
    assert asked.covers(at("::ffff:10.0.0.0"), 443)
    assert asked.covers(at("2001:db8::ffff"), 80)
    for address, port in (("10.0.1.0", 80), ("10.0.0.1", 82), ("2001:db8:0:1::", 80), ("9.255.255.255", 80)):
        assert not asked.covers(at(address), port)


def test_printer_ports_are_asked_only_where_they_are_allowed() -> None:
    options = {"target_ports": [[9000, 9200]], "targets": ["10.0.0.1"], "shards": 1}
    assert not known(metadata(options=options), None).covers(at("10.0.0.1"), 9100)
    assert known(metadata(options={**options, "allow_printers": True}), None).covers(at("10.0.0.1"), 9100)


@pytest.mark.parametrize("junk", [None, [], "x", {}, {"program": "zmap"}, {"program": "lzr", "format": 2}])
def test_other_json_is_no_metadata(junk: object) -> None:
    with pytest.raises(NoMetadata):
        check(junk)


def test_metadata_with_anything_in_the_place_of_sections_shows_nothing() -> None:
    for junk in (None, 1, "x", [], [[]], {"a": 1}):
        made = dict.fromkeys(metadata(), junk) | {"program": "lzr", "format": 1}
        assert not known(check(made), check(made), records=1).covers(at("10.0.0.1"), 80)
        assert names(made) == ()
    for ports in (["x", None], [1, float("inf")]):
        odd = metadata(options={"target_ports": [ports], "targets": [None, {}, "10.0.0.0/8"]})
        assert not known(odd, None).covers(at("10.0.0.1"), 80)


@pytest.mark.parametrize("port", [float("inf"), float("nan"), 10**400, "x", None])
def test_a_sweep_of_ports_that_are_none_shows_nothing(port: object) -> None:
    assert not swept({"options": {"targets": ["10.0.0.0/8"], "target_ports": [[port, port]]}})


def test_a_list_says_what_was_asked() -> None:
    parts = listed(["10.0.0.0/24:80,443\r\n2001:db8::/32\n\n", "# x\n192.0.2.1-9"])
    assert {part.ports for part in parts} == {((80, 80), (443, 443)), ((0, 65535),)}
    asked = known(None)
    assert not asked.covers(at("10.0.0.1"), 80)
    covered = type(asked)(parts=parts)
    assert covered.covers(at("10.0.0.1"), 443)
    assert not covered.covers(at("10.0.0.1"), 8080)
    assert covered.covers(at("192.0.2.5"), 8080)
    (part,) = listed(["[2001:db8::1]:22\n"])
    assert (list(part.ranges), part.ports) == ([(at("2001:db8::1"),) * 2], ((22, 22),))
    (part,) = listed(["[2001:db8::]/127:22\n[2001:db8::2]/127:22\n"])
    assert (list(part.ranges), part.ports) == ([(at("2001:db8::"), at("2001:db8::3"))], ((22, 22),))


def test_a_line_that_is_wrong_is_counted_with_those_before_it_in_other_chunks() -> None:
    chunks = ["10.0.0.1\n10.0.0.2 # x\n", "\n10.0.0.3\n10.0.0.256\n"]
    with pytest.raises(ValueError, match=r"line 5: '10\.0\.0\.256' is no"):
        listed(chunks)
    (part,) = listed(["10.0.0.1\n10.0.0.2 # x\n", "\n10.0.0.3"])
    assert list(part.ranges) == [(at("10.0.0.1"), at("10.0.0.3"))]


def test_a_list_that_says_the_same_again_is_held_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lzr.analysis.asked._UNITE", 100)
    longest = 0
    unite = Collected.unite

    def chunks() -> Iterator[str]:
        for start in range(0, 4_000, 100):
            yield "".join(f"10.0.{at % 3}.{at % 7}:80\n" for at in range(start, start + 100))

    def counted(self: Collected) -> None:
        nonlocal longest
        longest = max(longest, len(self))
        unite(self)

    monkeypatch.setattr(Collected, "unite", counted)
    (part,) = listed(chunks())
    assert list(part.ranges) == [(at(f"10.0.{net}.0"), at(f"10.0.{net}.6")) for net in range(3)]
    assert 100 <= longest <= 210


@pytest.mark.parametrize(
    "line",
    [
        *("x", "10.0.0.1:", "10.0.0.1:70000", "[::1", "10.0.0.1:x", "10.0.0.0/33", "1-2-3"),
        *("10.0.0.1:8_0", "10.0.0.1:1-", "10.0.0.1:\u0668", "[::1]x:80"),
    ],
)
def test_a_line_that_says_nothing_is_named(line: str) -> None:
    if line == "10.0.0.1:":
        assert listed([line])
        return
    with pytest.raises(ValueError, match="line 2"):
        listed([f"10.0.0.1\n{line}\n"])


def test_addresses_are_shown_as_lists_have_them() -> None:
    assert shown(at("10.0.0.1"), 80) == "10.0.0.1:80"
    assert shown(at("2001:DB8:0::1"), 80) == "[2001:db8::1]:80"
    assert number(bytes(10) + b"\xff\xff\x0a\0\0\1") == at("10.0.0.1")


def test_of_a_list_of_pairs_only_those_of_the_port_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each service that is missing is looked up: thousands, in a list of as many ports."""
    looked: list[int] = []
    inside = AddressRanges.__contains__

    def counted(ranges: AddressRanges, address: int) -> bool:
        looked.append(address)
        return inside(ranges, address)

    lines = "".join(f"192.0.2.{port % 250}:{port}\n" for port in range(1, 1_000))
    parts = listed([lines, "198.51.100.0/24:1-500,700\n"])
    monkeypatch.setattr(AddressRanges, "__contains__", counted)
    covered, four = Coverage(parts=parts), 0xFFFF << 32
    assert all(covered.covers(four | 0xC0000200 | port % 250, port) for port in range(1, 1_000))
    assert not covered.covers(four | 0xC0000201, 2)
    assert covered.covers(four | 0xC6336407, 500)
    assert covered.covers(four | 0xC6336407, 700)
    assert not covered.covers(four | 0xC6336407, 600)
    assert len(looked) < 2_500
