"""Results come to a collector from real ZeroMQ sockets, and from one who fills its memory."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import zmq

from lzr.ipc import messages, packing
from lzr.ipc.inbox import Inbox, InvalidMessage
from lzr.ipc.schema import FEED_MARK, MOST_OCTETS, SchemaError
from lzr.rows import TARGET
from tests.unit.lzr.ipc.test_inbox_zmtp import BEGUN, frame
from workers.ipc import channels

pytestmark = pytest.mark.attack


@pytest.fixture
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Inbox]]:
    path = str(tmp_path_factory.mktemp("c") / "results")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        inbox = channels.inbox(os.dup(listener.fileno()))
    yield path, inbox
    inbox.close()


def awaited(inbox: Inbox, wanted: Callable[[Any], bool]) -> Any:
    for _ in range(2000):
        try:
            found = inbox.receive()
        except InvalidMessage as error:
            found = error
        if wanted(found):
            return found
        inbox.wait(0.01)
    raise AssertionError("it does not come")


def test_a_message_without_end_costs_its_connection_and_nobody_else_is_held_up(
    door: tuple[str, Inbox],
) -> None:
    path, inbox = door
    context: zmq.Context[Any] = zmq.Context()
    honest = channels.push(context, f"ipc://{path}", mark=channels.RESULT_MARK)
    with socket.socket(socket.AF_UNIX) as attacker:
        attacker.connect(path)
        attacker.setblocking(False)
        attacker.send(BEGUN)
        part = frame(bytes(60_000), more=True)
        sent, told = 0, None
        while told is None:
            with contextlib.suppress(BlockingIOError, BrokenPipeError):
                sent += attacker.send(part)
            with contextlib.suppress(BlockingIOError):
                told = awaited(inbox, lambda _: True)
            assert sent < 2 * MOST_OCTETS
        assert isinstance(told, InvalidMessage)
        assert told.pid == os.getpid()
    honest.send_multipart([b"a", b"result"])
    assert awaited(inbox, bool) == (os.getpid(), [b"a", b"result"])
    context.destroy(linger=0)


def test_one_process_has_few_connections(door: tuple[str, Inbox]) -> None:
    path, inbox = door
    attackers = [socket.socket(socket.AF_UNIX) for _ in range(5)]
    for sock in attackers:
        sock.connect(path)
    refused = [awaited(inbox, lambda found: isinstance(found, InvalidMessage)) for _ in range(3)]
    assert {str(error) for error in refused} == {"more than 2 connections"}
    for sock in attackers:
        sock.close()


def test_processes_report_at_the_same_moments() -> None:
    every = 500
    moments = {channels.next_report(now, every) for now in (10_000, 10_001, 10_499)}
    assert moments == {10_500}
    assert channels.next_report(10_500, every) == 11_000


def test_what_is_likely_to_be_there_is_received_or_nothing_is(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    endpoint = f"ipc://{tmp_path_factory.mktemp('c')}/feed"
    context: zmq.Context[Any] = zmq.Context()
    sender = context.socket(zmq.PUSH)
    sender.bind(endpoint)
    feed = channels.pull(context, endpoint, mark=FEED_MARK)
    assert channels.try_receive(feed, messages.FEED, likely=True) is None
    packing.send(sender, packing.pack(messages.Targets(np.zeros(3, TARGET))))
    assert feed.poll(20_000)
    found = channels.try_receive(feed, messages.FEED, likely=True)
    assert isinstance(found, messages.Targets)
    assert len(found.rows) == 3
    packing.send(sender, packing.pack(messages.Stop()))
    assert feed.poll(20_000)
    with pytest.raises(SchemaError):
        channels.try_receive(feed, messages.FEED, likely=True)
    context.destroy(linger=0)
