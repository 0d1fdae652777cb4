"""Streams of ZeroMQ's, cut anywhere, made into messages; and what is none, or too much."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzr.ipc.inbox import ZmtpDecoder
from lzr.ipc.schema import MOST_PARTS, SchemaError

MOST = 1 << 16
GREETING = b"\xff" + bytes(7) + b"\x01\x7f\x03\x01" + b"NULL".ljust(20, b"\0") + bytes(32)
READY = b"\x04\x1a\x05READY\x0bSocket-Type" + struct.pack(">I", 4) + b"PUSH"
BEGUN = GREETING + READY.replace(b"\x04\x1a", bytes([4, len(READY) - 2]))


def frame(body: bytes, *, more: bool) -> bytes:
    if len(body) > 255:
        return struct.pack(">BQ", 2 + more, len(body)) + body
    return bytes([more, len(body)]) + body


def stream(messages: list[list[bytes]]) -> bytes:
    return BEGUN + b"".join(
        frame(part, more=number < len(parts)) for parts in messages for number, part in enumerate(parts, 1)
    )


@given(
    st.lists(st.lists(st.binary(max_size=300), min_size=1, max_size=5), max_size=5),
    st.lists(st.integers(1, 400), max_size=20),
)
def test_cut_anywhere_it_is_the_same(messages: list[list[bytes]], cuts: list[int]) -> None:
    decoder, data = ZmtpDecoder(), stream(messages)
    found: list[list[bytes]] = []
    for cut in [*cuts, len(data)]:
        found += decoder.feed(data[:cut], MOST)
        data = data[cut:]
    assert found == messages


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5), st.data())
def test_a_message_that_is_read_in_part_is_begun(parts: list[bytes], data: st.DataObject) -> None:
    decoder, whole = ZmtpDecoder(), stream([parts])
    cut = data.draw(st.integers(len(BEGUN), len(whole)))
    decoder.feed(whole[:cut], MOST)
    assert decoder.begun == (len(BEGUN) < cut < len(whole))
    assert decoder.feed(whole[cut:], MOST) == ([parts] if cut < len(whole) else [])
    assert not decoder.begun


@given(st.binary(max_size=200), st.integers(0, len(BEGUN)))
def test_any_bytes_are_messages_or_a_refusal(data: bytes, start: int) -> None:
    try:
        found = ZmtpDecoder().feed(BEGUN[:start] + data, MOST)
    except SchemaError:
        return
    assert all(isinstance(part, bytes) for parts in found for part in parts)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"GET / HTTP/1.1\r\n", "no greeting"),
        (b"\xff" + bytes(63), "another version"),
        (GREETING.replace(b"NULL", b"CURVE"), "mechanism"),
        (GREETING + frame(b"x", more=False), "before the handshake"),
        (BEGUN + b"\x04\x05\x04PING", "not expected"),
        (BEGUN + b"\x08\x00", "flags"),
        (BEGUN + struct.pack(">BQ", 2, 1 << 63), "more than 65,536 bytes"),
        (BEGUN + frame(bytes(40_000), more=True) + struct.pack(">BQ", 2, 30_000), "more than 65,536 bytes"),
        (BEGUN + frame(b"", more=True) * (MOST_PARTS + 1), "parts"),
        (GREETING + struct.pack(">BQ", 6, 1 << 20), "bytes"),
    ],
)
def test_what_cannot_be_is_said_before_it_is_awaited(data: bytes, says: str) -> None:
    with pytest.raises(SchemaError, match=says):
        ZmtpDecoder().feed(data, MOST)
