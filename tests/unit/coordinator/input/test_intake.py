"""Every input gets a ticket or a counted fate at the intake, whatever the options and however it comes."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict

from coordinator.input.intake import Admission, Intake
from lzr import addresses
from lzr.ownership.ledger import Ledger
from lzr.rows import TARGET
from lzr.targets.blocklist import Blocklist
from lzr.targets.inputshards import input_shards
from lzr.targets.lists import ListReader
from lzr.targets.zmap import ZmapReader
from tests.effort import examples

BLOCKED = "10.0.0.8/29\n2001:db8:bad::/48\n"


def intake(**more: Any) -> Intake:
    return Intake(ListReader(), Ledger(), Admission(**more))


def run(made: Intake, text: bytes, cuts: list[int] | None = None) -> Any:
    """All admitted rows, in order."""
    edges = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts or [])})
    for start, end in itertools.pairwise(edges):
        made.feed(text[start:end])
        drain(made)
    made.finish()
    drain(made)
    taken = []
    while (rows := made.take(3)) is not None:
        assert 0 < len(rows) <= 3
        taken.append(rows)
    assert made.waiting == 0
    return np.concatenate(taken) if taken else np.zeros(0, TARGET)


def drain(made: Intake) -> None:
    while made.pending or made.parked:
        made.look_up()
        if made.pending:
            made.more()


def fates(made: Intake) -> dict[str, int]:
    return {name: count for name, count in asdict(made.fates).items() if count}


def sum_agrees(made: Intake, admitted: int) -> None:
    counted = {name: count for name, count in asdict(made.fates).items() if not isinstance(count, dict)}
    assert counted.pop("read") == admitted + sum(counted.values())
    assert made.ledger.admitted == admitted


def test_one_of_each_fate() -> None:
    made = intake(blocklist=Blocklist.parse(BLOCKED), max_targets=3)
    rows = run(
        made,
        b"10.0.0.1:80\nnonsense\n10.0.0.9:80\n10.0.0.1:9100\n10.0.0.1:80\n[2001:db8:bad::1]:80\n"
        b"10.0.0.1:81\n# a comment\n10.0.0.2:80\n10.0.0.3:80\n10.0.0.4:80\n",
    )
    assert [addresses.text(int(r["peer_hi"]), int(r["peer_lo"])) for r in rows] == [
        "10.0.0.1",
        "10.0.0.1",
        "10.0.0.2",
    ]
    assert rows["line"].tolist() == [0, 6, 7]
    assert fates(made) == {
        "read": 10,
        "rejected": 1,
        "blocklisted": 2,
        "printers": 1,
        "duplicates": 1,
        "surplus": 2,
    }
    assert made.full
    assert made.refused == ["line 2: " + made.refused[0].split(": ", 1)[1]]
    # What was more than asked for has no fate that a resumed scan would have to respect.
    assert sorted(np.concatenate(made.ended).tolist()) == [1, 2, 3, 4, 5]


lines = st.one_of(
    st.builds(
        "10.0.0.{}:{}".format, st.integers(0, 20), st.sampled_from([80, 81, 9100, 9107, 9108, 0, 70000])
    ),
    st.builds("[2001:db8:{:x}::1]:{}".format, st.sampled_from([1, 0xBAD]), st.integers(1, 3)),
    st.sampled_from(["", "# note", "junk", "10.0.0.1", "10.0.0.1;80", "999.1.1.1:80", "\x00\xff"]),
)


@settings(max_examples=examples(60), deadline=None)
@given(
    text=st.lists(lines, max_size=40).map(lambda found: "\n".join(found).encode("latin-1")),
    cuts=st.lists(st.integers(0, 2000), max_size=6),
    blocked=st.booleans(),
    shards=st.integers(1, 3),
    most=st.none() | st.integers(0, 10),
    printers=st.booleans(),
)
def test_every_input_has_one_fate(
    text: bytes, cuts: list[int], blocked: bool, shards: int, most: int | None, printers: bool
) -> None:
    options: dict[str, Any] = {
        "blocklist": Blocklist.parse(BLOCKED) if blocked else None,
        "max_targets": most,
        "allow_printers": printers,
        "shards": shards,
    }
    made = intake(**options, shard=(shards - 1,))
    rows = run(made, text, cuts)
    sum_agrees(made, len(rows))
    ended = np.concatenate([*made.ended, np.empty(0, np.uint64)]).tolist()
    fated = {*rows["line"].tolist(), *ended}
    assert len(fated) == len(rows) + len(ended) == made.fates.read - made.fates.surplus
    assert fated <= set(range(made.fates.read))
    if most is not None:
        assert len(rows) <= most
    again = intake(**options, shard=(shards - 1,))
    assert (run(again, text) == rows).all(), "how it was cut made a difference"


def test_shards_of_a_scan_share_the_input_out() -> None:
    text = b"".join(b"10.%d.%d.7:%d\n" % (at % 200, at // 200, 80 + at % 3) for at in range(6000))
    seen: list[int] = []
    for shard in range(3):
        made = intake(shards=3, shard=(shard,))
        rows = run_fast(made, text)
        assert 1800 < len(rows) < 2200
        assert made.fates.elsewhere == 6000 - len(rows)
        seen += rows["line"].tolist()
    assert sorted(seen) == list(range(6000))


def test_a_box_may_have_several_shards() -> None:
    text = b"".join(b"10.%d.%d.7:%d\n" % (at % 200, at // 200, 80 + at % 3) for at in range(6000))
    seen: list[int] = []
    for mine in ((0, 1, 2, 9), (3,), (4, 5, 6, 7, 8)):
        made = intake(shards=10, shard=mine)
        rows = run_fast(made, text)
        assert 500 < len(rows) / len(mine) < 700
        assert set(input_shards(rows, 10).tolist()) == set(mine)
        seen += rows["line"].tolist()
    assert sorted(seen) == list(range(6000))


def run_fast(made: Intake, text: bytes) -> Any:
    made.feed(text)
    made.finish()
    rows = made.take(1 << 20)
    assert rows is not None
    return rows


def test_tickets_are_the_ledgers() -> None:
    made = intake()
    rows = run_fast(made, b"10.0.0.1:80\n10.0.0.2:80\n")
    assert len(set(rows["ticket"].tolist())) == 2
    assert made.ledger.open == 2


def test_what_is_given_up_goes_back_to_the_ledger() -> None:
    made = intake()
    made.feed(b"10.0.0.1:80\n10.0.0.2:80\n10.0.0.3:80\n")
    first = made.take(1)
    assert first is not None
    tickets = made.abandon()
    assert len(tickets) == 2
    assert made.take(1) is None
    assert made.ledger.withdraw(tickets).tolist() == [1, 2]
    assert made.ledger.open == 1
    assert not len(made.abandon())


def test_zmap_lines_are_kept_apart_by_both_ends() -> None:
    made = Intake(ZmapReader(), Ledger())
    line = (
        b'{"saddr":"10.4.0.1","daddr":"10.99.0.2","sport":80,"dport":%d,"seqnum":1,"acknum":2,"window":3}\n'
    )
    rows = run(made, line % 40000 + line % 40001 + line % 40000)
    assert rows["own_port"].tolist() == [40000, 40001]
    assert fates(made) == {"read": 3, "duplicates": 1}
