"""Which of several records is kept: the same whatever their order, and when they are merged once more."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lzr import addresses
from lzr.fleet.keptrecords import ANY, FOREIGN, RECORD, Generations, Hashed, anywhere, chosen
from tests.effort import examples
from tests.madefleet import SOURCES, lock

Rows = Any


def rows(*made: dict[str, Any]) -> Rows:
    found = np.zeros(len(made), RECORD)
    for row, values in zip(found, made, strict=True):
        for name, value in values.items():
            row[name] = value
    found["at"] = np.arange(len(made))
    return found


def said(found: Rows) -> list[tuple[int, ...]]:
    """What the kept rows say, without where they were."""
    names = [name for name in RECORD.names or () if name not in ("at", "file")]
    return [tuple(int(row[name]) for name in names) for row in found]


few = st.integers(0, 2)
one = st.fixed_dictionaries(
    {
        "peer_lo": few,
        "peer_port": few,
        "handshake": few,
        "time": few,
        "digest": few,
        "generation": few,
        "silent": st.booleans(),
        "length": st.just(9),
    }
)


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(one, max_size=40), st.randoms(use_true_random=False), st.integers(0, 40))
def test_any_order_and_any_grouping_keeps_the_same(made: list[dict[str, int]], draw: Any, cut: int) -> None:
    first = rows(*made)
    kept = chosen(first)
    whole = said(first[kept.rows])
    assert len(whole) + kept.same + kept.other == len(made)
    shuffled = made[:]
    draw.shuffle(shuffled)
    other = rows(*shuffled)
    assert said(other[chosen(other).rows]) == whole
    # A merge of one part, merged with all parts.
    part = other[:cut]
    both = np.concatenate([part[chosen(part).rows], other, first[kept.rows]])
    assert said(both[chosen(both).rows]) == whole


def test_data_goes_before_none_then_the_lower_generation_then_the_earlier() -> None:
    late, early, second, silent = (
        {"generation": 1, "time": 5, "digest": 1},
        {"generation": 1, "time": 4, "digest": 9},
        {"generation": 2, "time": 1, "digest": 0},
        {"generation": 1, "time": 0, "digest": 0, "silent": True},
    )
    made = rows(late, second, silent, early)
    assert chosen(made).rows.tolist() == [3]
    assert chosen(rows(second, silent)).rows.tolist() == [0]
    assert chosen(rows(late, second)).rows.tolist() == [0]
    kept = chosen(rows(late, late, early))
    assert (kept.rows.tolist(), kept.same, kept.other) == ([2], 0, 2)
    kept = chosen(rows(late, late))
    assert (len(kept.rows), kept.same, kept.other) == (1, 1, 0)


def test_handshakes_of_a_service_are_kept_apart_and_written_in_order() -> None:
    made = rows({"peer_port": 80, "handshake": 1}, {"peer_port": 80}, {"peer_port": 22}, {"peer_hi": 1})
    assert chosen(made).rows.tolist() == [2, 1, 0, 3]


def of_pairs(*pairs: tuple[str, int, str]) -> Rows:
    found = np.zeros(len(pairs), RECORD)
    for row, (peer, port, own) in zip(found, pairs, strict=True):
        row["peer_hi"], row["peer_lo"] = addresses.parse(peer)
        row["own_hi"], row["own_lo"] = addresses.parse(own)
        row["peer_port"] = port
    return found


def test_a_record_belongs_to_the_generation_in_which_its_box_had_its_shard() -> None:
    plan = lock()
    pairs = [(f"10.0.{n >> 8}.{n & 255}", 80 + n % 3) for n in range(500)]
    shards = Hashed(12)(of_pairs(*((peer, port, "192.0.2.1") for peer, port in pairs)))
    again = plan.assigned("ams1", ["fra1"], "it has burnt down")
    for box, source in SOURCES.items():
        found = of_pairs(*((peer, port, source) for peer, port in pairs))
        Generations(plan.runs, 12, Hashed(12)).enter(found)
        right = [1 if plan.owner[shard] == box else FOREIGN for shard in shards.tolist()]
        assert found["generation"].tolist() == right
        Generations(again.runs, 12, Hashed(12)).enter(found)
        lost = [2 if box == "fra1" and plan.owner[shard] == "ams1" else None for shard in shards.tolist()]
        assert found["generation"].tolist() == [now or was for now, was in zip(lost, right, strict=True)]


def test_a_source_that_no_box_has_is_foreign_and_networks_hold_their_addresses() -> None:
    plan = lock()
    found = of_pairs(
        *(("10.0.0.1", 80, own) for own in ("192.0.2.2", "198.51.100.4", "2001:db8::8", "::2", "0.0.0.0"))
    )
    generations = Generations(plan.runs, 12, anywhere)
    generations.enter(found)
    assert set(found["generation"].tolist()) == {FOREIGN}
    found = of_pairs(
        *(("10.0.0.1", 80, own) for own in ("192.0.2.1", "198.51.100.0", "198.51.100.3", "2001:db8::9"))
    )
    generations.enter(found)
    assert set(found["generation"].tolist()) == {1}
    assert set(anywhere(found).tolist()) == {ANY}
