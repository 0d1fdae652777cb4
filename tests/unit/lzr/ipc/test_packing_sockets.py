"""Messages through real ZeroMQ sockets: all parts or none, of any size, from any buffer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import zmq

from lzr.ipc import packing

Pair = tuple[Any, Any]


@pytest.fixture
def pair() -> Iterator[Pair]:
    context = zmq.Context()
    sender, receiver = context.socket(zmq.PUSH), context.socket(zmq.PULL)
    for sock in (sender, receiver):
        sock.setsockopt(zmq.LINGER, 0)
        sock.setsockopt(zmq.RCVTIMEO, 10_000)
        sock.setsockopt(zmq.SNDHWM if sock is sender else zmq.RCVHWM, 1)
    receiver.bind("inproc://here")
    sender.connect("inproc://here")
    yield sender, receiver
    context.destroy(linger=0)


@pytest.mark.parametrize("copy", [True, False])
def test_the_parts_arrive_as_one_message(pair: Pair, copy: bool) -> None:
    sender, receiver = pair
    parts = [b"head", memoryview(bytearray(b"x") * 100_000), b"", bytearray(b"end")]
    packing.send(sender, parts, copy=copy)
    assert packing.receive(receiver) == [bytes(part) for part in parts]
    packing.send(sender, [b"alone"], copy=copy)
    assert packing.receive(receiver) == [b"alone"]


def test_without_room_nothing_of_a_message_is_sent(pair: Pair) -> None:
    sender, receiver = pair
    sent = 0
    for _ in range(100):
        try:
            packing.send(sender, [b"%d" % sent, b"rest"], zmq.NOBLOCK)
        except zmq.Again:
            break
        sent += 1
    assert 0 < sent < 100
    for number in range(sent):
        assert packing.receive(receiver) == [b"%d" % number, b"rest"]
    with pytest.raises(zmq.Again):
        packing.receive(receiver, zmq.NOBLOCK)
