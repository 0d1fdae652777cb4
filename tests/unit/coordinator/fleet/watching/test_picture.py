"""The picture of a fleet: at every size it is exactly that size, and says what matters."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.dashboard.canvas import Line, width_of
from coordinator.fleet.watching import picture, summing
from coordinator.fleet.watching.screen import Looked
from lzr.fleet.view import view
from tests.effort import examples
from tests.fleet_driver import WALL, Fleet


@cache
def seen(boxes: int = 3, seconds: int = 30, silent: float = 1e9, hostile: bool = False) -> Looked:
    """What is seen of a fleet; nobody changes it."""
    fleet = Fleet(boxes, silent=silent, hostile=hostile)
    for second in range(seconds - 1):
        fleet.heard(second)
    return fleet.look(seconds - 1)


def drawn(look: Looked, width: int, height: int, **more: bool) -> list[Line]:
    return picture.compose(look.view, summing.added(look.view, look.scans), width, height, **more)


def text(lines: list[Line]) -> list[str]:
    return ["".join(part for part, _ in line) for line in lines]


@pytest.mark.parametrize(("width", "height"), [(60, 16), (80, 24), (120, 40), (200, 50)])
@pytest.mark.parametrize("unicode", [True, False])
def test_what_matters_is_there_at_every_size(width: int, height: int, unicode: bool) -> None:
    look = seen(silent=20)
    lines = text(drawn(look, width, height, unicode=unicode))
    whole = "\n".join(lines)
    assert "census-443" in lines[0]
    assert "1 not heard of" in lines[0]
    for name in ("fra1", "ams1", "nyc1", " all "):
        assert name in whole
    assert "! ams1: not heard of for" in whole
    if width >= 80:
        assert "not heard of since 11:06:59Z" in whole, whole
    if not unicode:
        assert whole.isascii()


def test_a_box_that_is_not_heard_of_is_red() -> None:
    lines = drawn(seen(silent=20), 120, 40)
    ((_, style),) = [(part, style) for line in lines for part, style in line if part.strip() == "ams1"]
    assert style == "bad"
    assert ("not heard of since 11:06:59Z", "bad") in [
        (part.strip(), style) for line in lines for part, style in line
    ]


def test_where_there_is_no_room_those_that_are_not_well_are_shown() -> None:
    look = seen(20, silent=20)
    lines = text(drawn(look, 80, 24))
    assert any(line.startswith(" ams1 ") for line in lines)
    assert any("more boxes" in line for line in lines)


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(1, 220), st.integers(1, 60), st.integers(1, 12), st.booleans())
def test_every_size_is_filled_exactly(width: int, height: int, boxes: int, hostile: bool) -> None:
    look = seen(boxes, 6, silent=2, hostile=hostile)
    lines = drawn(look, width, height)
    assert len(lines) == height
    assert {width_of(line) for line in lines} == {width}
    assert all(letter.isprintable() for line in text(lines) for letter in line)


def test_before_anything_was_heard() -> None:
    fleet = Fleet(3)
    look = Looked(view("census", fleet.runs, {}, WALL), {})
    whole = "\n".join(text(drawn(look, 100, 30)))
    assert whole.count("never heard of") >= 3


def test_the_totals_are_those_of_the_boxes() -> None:
    look = seen()
    total = summing.added(look.view, look.scans)
    scans = list(look.scans.values())
    assert total.done == sum(one.done for one in scans) == look.view.totals.done
    assert total.fingerprints["http"] == sum(one.fingerprints["http"] for one in scans)
    assert total.history[-1].tx == sum(one.history[-1].tx for one in scans)
    assert total.tx_rate == pytest.approx(sum(one.tx_rate for one in scans))
    assert list(total.fingerprints.values()) == sorted(total.fingerprints.values(), reverse=True)
    lost = seen(silent=26)
    total = summing.added(lost.view, lost.scans)
    assert total.tx_bits == pytest.approx(lost.scans["fra1"].tx_bits + lost.scans["nyc1"].tx_bits)


def test_the_line_for_a_log() -> None:
    line = picture.line(seen(silent=20).view)
    assert line.startswith("census-443 ")
    assert "ams1: not heard of since 11:06:59Z" in line


def test_a_lease_is_shown_where_boxes_have_one() -> None:
    look = seen()
    assert "lease" not in " ".join(text(drawn(look, 120, 40))) + picture.line(look.view)
    rows = tuple(replace(row, lease=27.4) for row in look.view.rows)
    leased = Looked(replace(look.view, rows=rows), look.scans)
    lines = text(drawn(leased, 80, 24))
    assert any("box" in line and "lease" in line for line in lines)
    assert sum("27 s" in line for line in lines) == len(rows)
    assert picture.line(leased.view).count("(lease 27 s)") == len(rows)
