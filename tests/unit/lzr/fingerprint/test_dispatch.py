"""Dispatch brings every reply to the matchers whose keys it has, however many different heads were met."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from lzr.fingerprint import dispatch
from lzr.fingerprint.dispatch import Dispatcher
from lzr.protocols import PROTOCOLS, Protocol

MATCHED = [p for p in PROTOCOLS if p.match is not None]
EXAMPLES = [e for p in MATCHED for e in (*p.examples, *p.rejects)]


def asked_one_by_one(data: bytes) -> list[str]:
    """What the documented order gives, without tables: beginnings, then offsets, then the last resort."""
    at_start = [
        p.name for p in MATCHED if not p.last_resort and data.startswith(p.starts) and p.matches(data)
    ]
    if at_start:
        return at_start
    if data[:20].translate(None, bytes([*range(32, 127), 10, 13])):
        by_offset = [
            p.name for p in MATCHED if any(data.startswith(key, at) for at, key in p.at) and p.matches(data)
        ]
        if by_offset:
            return by_offset
    return [p.name for p in MATCHED if p.last_resort and data.startswith(p.starts) and p.matches(data)]


@settings(deadline=None)
@given(st.sampled_from(EXAMPLES), st.integers(0, 30), st.binary(max_size=8))
def test_tables_say_what_asking_everybody_says(example: bytes, cut: int, tail: bytes) -> None:
    for data in (example, example[:cut] + tail, example + tail, example):
        assert SHARED.matching(data) == asked_one_by_one(data)


SHARED = Dispatcher(PROTOCOLS)


def test_what_is_kept_has_a_bound_and_changes_nothing() -> None:
    beep = Protocol(
        name="beep",
        spec="",
        match=lambda data: data[4:5] == b"x",
        starts=(b"RPY 0 and more than twelve", b"Q"),
    )
    found = Dispatcher((beep,))
    for i in range(dispatch._KEPT + 100):
        assert found.matching(b"%05d is a head of its own" % i) == []
    assert len(found._kept) == dispatch._KEPT
    assert found.matching(b"Q234x") == ["beep"]
    assert found.matching(b"RPY 0 and more than twelve") == []
    fresh = Dispatcher((beep,))
    for data in (b"Q234x", b"Q234x", b"Q234y", b"Q", b"", b"RPYxx"):
        assert fresh.matching(data) == (["beep"] if data == b"Q234x" else [])
