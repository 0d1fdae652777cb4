"""What is wanted of all boxes: kept, dealt, and told until a scan does it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzr.fleet.plan import Box
from lzr.fleet.steering import Wanted, lines

BOXES = (
    Box("ams1", None, ("198.51.100.1",), 1.0),
    Box("fra1", None, ("198.51.100.2",), 2.0),
    Box("lon1", None, ("198.51.100.3",), 1.0, rate_cap=500),
)


def test_the_plans_own_deal_holds_until_somebody_wants_another() -> None:
    assert Wanted().dealt(6000, BOXES, ()) is None


def test_a_rate_for_all() -> None:
    wanted = Wanted().with_rate(9500, None)
    assert wanted.dealt(6000, BOXES, ()) == {"ams1": 3000, "fra1": 6000, "lon1": 500}


def test_a_box_that_is_drained_leaves_its_rate_to_the_others() -> None:
    wanted = Wanted().with_line("drain", ["fra1"])
    assert wanted.dealt(6000, BOXES, ()) == {"ams1": 5500, "lon1": 500}
    assert Wanted().dealt(6000, BOXES, ("fra1", "lon1")) == {"ams1": 6000}


def test_a_rate_of_ones_own_until_there_is_another_for_all() -> None:
    wanted = Wanted().with_rate(100, "fra1")
    assert wanted.dealt(2100, BOXES, ()) == {"ams1": 1500, "fra1": 100, "lon1": 500}
    assert wanted.with_rate(800, None).own == ()


def test_told_until_it_does_so() -> None:
    wanted = Wanted().with_line("pause", ["ams1"])
    assert lines("ams1", wanted, None, {"paused": False}) == ["pause"]
    assert lines("ams1", wanted, None, {"paused": True}) == []
    assert lines("fra1", wanted, None, {"paused": False}) == []
    assert lines("ams1", wanted.with_line("resume", ["ams1"]), None, {"paused": False}) == []
    assert lines("ams1", Wanted(), {"ams1": 10}, {"rate_limit": 20.0}) == ["rate 10"]
    assert lines("ams1", Wanted(), {"ams1": 10}, {"rate_limit": 10.0}) == []
    ending = wanted.with_line("quit", ["ams1"])
    assert lines("ams1", ending, {"ams1": 10}, {"draining": False, "paused": False}) == ["quit"]
    assert lines("ams1", ending, {"ams1": 10}, {"draining": True}) == []


def test_who_has_ended_or_is_to_resume_is_not_to_end_any_more() -> None:
    wanted = Wanted().with_line("drain", ["ams1", "fra1"]).with_line("pause", ["ams1"])
    assert wanted.after(["fra1"]).ending == (("ams1", "drain"),)
    resumed = wanted.with_line("resume", ["ams1"])
    assert (resumed.ending, resumed.paused) == ((("fra1", "drain"),), frozenset())


def test_a_box_that_was_away_when_it_was_to_go_on_is_told_when_it_is_back() -> None:
    wanted = Wanted().with_line("pause", ["ams1"]).with_line("resume", ["ams1"])
    assert lines("ams1", wanted, None, {"paused": True}) == ["resume"]
    assert lines("ams1", wanted, None, {"paused": False}) == []
    assert lines("ams1", wanted.gone_on(["ams1"]), None, {"paused": True}) == [], "by somebody there"
    assert lines("ams1", wanted.with_line("pause", ["ams1"]), None, {"paused": True}) == []
    assert lines("fra1", wanted, None, {"paused": True}) == []


def test_no_box_keeps_more_than_its_share_once_all_scan_again() -> None:
    """ams1 was dealt the share of fra1, which was drained and goes on now."""
    wanted = Wanted().with_line("drain", ["fra1"]).with_line("resume", ["fra1"]).gone_on(["fra1"])
    share = {"ams1": 1500, "fra1": 3000}
    assert wanted.dealt(6000, BOXES, ()) is None
    assert lines("ams1", wanted, None, {"rate_limit": 5500.0}, share) == ["rate 1500"]
    assert lines("ams1", wanted, None, {"rate_limit": 1500.0}, share) == []
    assert lines("ams1", wanted, None, {"rate_limit": 100.0}, share) == [], "somebody there wants it slower"
    for other in (None, "many", True):
        assert lines("ams1", wanted, None, {"rate_limit": other}, share) == []


def test_no_box_is_given_more_than_its_cap() -> None:
    wanted = Wanted().with_rate(5000, "lon1")
    assert wanted.dealt(6000, BOXES, ()) == {"ams1": 1833, "fra1": 3667, "lon1": 500}


names = st.sampled_from([box.name for box in BOXES])


@given(
    st.builds(
        Wanted,
        st.none() | st.integers(1, 10**9),
        st.dictionaries(names, st.integers(1, 10**9)).map(lambda found: tuple(sorted(found.items()))),
        st.frozensets(names),
        st.dictionaries(names, st.sampled_from(["drain", "quit"])).map(
            lambda found: tuple(sorted(found.items()))
        ),
        st.frozensets(names),
    )
)
def test_round_trip(wanted: Wanted) -> None:
    assert Wanted.of_json(wanted.to_json("a" * 16), "a" * 16) == wanted
    assert Wanted.of_json(wanted.to_json("a" * 16), "b" * 16) == Wanted()


@pytest.mark.parametrize(
    "change",
    [
        {"rate": 0},
        {"rate": True},
        {"rate": "many"},
        {"own": {"ams1": -1}},
        {"own": {"../x": 1}},
        {"own": []},
        {"paused": [1]},
        {"paused": "ams1"},
        {"resuming": "ams1"},
        {"ending": {"ams1": "explode"}},
    ],
)
def test_what_is_none(change: dict[str, object]) -> None:
    found = json.loads(replace(Wanted(), rate=5).to_json("a")) | change
    with pytest.raises(ValueError, match="is none"):
        Wanted.of_json(json.dumps(found).encode(), "a")
