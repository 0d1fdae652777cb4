"""Orders to block somebody: what a file of them says, whatever it holds."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzr.fleet.blockorders import Confirmed, Kept, Order, line, order_of, read

ONE = Order("0123456789abcdef", ("192.0.2.0/24", "2001:db8::/32"), "ticket 42", "alice", 1.5)
TWO = Order("00000000000000ff", ("198.51.100.7",), "", "", 2.0)


def test_round_trip_and_who_lacks_what() -> None:
    lines = b"".join(map(line, (ONE, TWO, Confirmed(ONE.id, "fra1", 3.0), ONE))).splitlines()
    kept, wrong = read(lines)
    assert (kept, wrong) == (Kept((ONE, TWO), (Confirmed(ONE.id, "fra1", 3.0),)), 0)
    assert kept.missing("fra1") == (TWO,)
    assert kept.missing("ams1") == (ONE, TWO)
    assert kept.by(ONE.id) == ("fra1",)


def test_a_line_that_was_cut_off() -> None:
    whole = line(ONE)
    for length in range(1, len(whole) - 2):
        kept, wrong = read([line(TWO), whole[:length]])
        assert kept.orders == (TWO,)
        assert wrong == 1


@pytest.mark.parametrize(
    "change",
    [
        {"networks": []},
        {"networks": ["example.org"]},
        {"networks": "192.0.2.0/24"},
        {"networks": [["192.0.2.0/24"]]},
        {"networks": ["192.0.2.0/24"] * 1001},
        {"id": "../../../etc/pa"},
        {"at": float("nan")},
        {"at": "now"},
        {"reason": 5},
        {"by": None},
    ],
)
def test_what_is_no_order(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        order_of(ONE.plain() | change)


def test_a_range_of_ipv6_is_a_network() -> None:
    ends = [":".join(["2001", "0db8", *["ffff"] * 5, last]) for last in ("0000", "ffff")]
    order = order_of(ONE.plain() | {"networks": ["-".join(ends)]})
    assert read([line(order)]) == (Kept((order,)), 0)


@pytest.mark.parametrize("at", ["1" + "0" * 400, "Infinity", "-1", '"now"'])
def test_a_confirmation_at_no_time(at: str) -> None:
    confirmed = f'{{"order": "{ONE.id}", "box": "fra1", "at": {at}}}'.encode()
    assert read([line(ONE), confirmed]) == (Kept((ONE,)), 1)


def test_a_reason_is_harmless_on_one_line() -> None:
    order = order_of(ONE.plain() | {"reason": "a\n\x1b[2Jblock 0.0.0.0/0", "by": "x\ny"})
    assert "\n" not in order.words()
    assert "\x1b" not in order.words()


@pytest.mark.parametrize("at", ["1" + "0" * 400, "NaN", "-1", "null"])
def test_a_confirmation_at_no_moment_is_none(at: str) -> None:
    said = json.dumps({"order": ONE.id, "box": "fra1", "at": 0}).replace("0}", at + "}")
    assert read([line(ONE), said.encode()]) == (Kept((ONE,)), 1)


@given(st.lists(st.binary(max_size=80) | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(
    lambda value: json.dumps(value).encode())))  # fmt: skip
def test_any_lines(lines: list[bytes]) -> None:
    read(lines)
