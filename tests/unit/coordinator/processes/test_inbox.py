"""Reports by real ZeroMQ sockets, and floods of them: all in order, and held only in part."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from coordinator.processes.inbox import ReportInbox
from lzr.ipc.inbox import InvalidMessage
from lzr.ipc.schema import MOST_PARTS
from tests.unit.lzr.ipc.test_inbox_zmtp import BEGUN, frame

pytestmark = pytest.mark.attack
MOST = 1 << 20


class Post:
    def __init__(self, directory: Path) -> None:
        self.path = str(directory / "reports")
        self.most = MOST
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.path)
            listener.listen()
            self.inbox = ReportInbox(
                os.dup(listener.fileno()), lambda pid: self.most if pid == os.getpid() else 0
            )
        self.context: zmq.Context[Any] = zmq.Context()
        self.senders: list[Any] = []

    def push(self) -> Any:
        sock = self.context.socket(zmq.PUSH)
        sock.setsockopt(zmq.SNDHWM, 0)
        sock.connect(f"ipc://{self.path}")
        self.senders.append(sock)
        return sock

    def attacker(self) -> socket.socket:
        """A connection that has said what ZeroMQ says first."""
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(self.path)
        sock.send(BEGUN)
        return sock

    def next(self) -> list[bytes]:
        assert self.inbox.poll(20_000)
        received = self.inbox.receive()
        assert received is not None
        assert received[0] == os.getpid()
        return received[1]


def refusal(post: Post) -> str:
    """Why the inbox believes somebody nothing, if it just does not."""
    try:
        assert post.inbox.receive() is None
    except InvalidMessage as error:
        return str(error) if error.pid == os.getpid() else "of another"
    return ""


@pytest.fixture
def post(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Post]:
    found = Post(tmp_path_factory.mktemp("p"))
    yield found
    for sender in found.senders:
        sender.close(linger=0)
    found.context.destroy(linger=0)
    found.inbox.close()


def test_messages_of_all_sizes_in_order(post: Post) -> None:
    senders = [post.push() for _ in range(3)]
    sizes = (0, 1, 255, 256, 70_000, 900_000)
    for size in sizes:
        for number, sender in enumerate(senders):
            sender.send_multipart([bytes([number]), bytes(size), b"end"])
    seen: dict[int, list[int]] = {}
    for _ in range(len(sizes) * len(senders)):
        first, body, last = post.next()
        assert last == b"end"
        seen.setdefault(first[0], []).append(len(body))
    assert seen == {number: list(sizes) for number in range(3)}
    assert post.inbox.receive() is None


def test_what_has_been_sent_is_read_though_its_sender_is_gone(post: Post) -> None:
    attacker = post.attacker()
    attacker.send(frame(b"last words", more=False) + frame(b"half", more=True))
    attacker.close()
    assert post.next() == [b"last words"]
    for _ in range(3):
        assert post.inbox.receive() is None


def test_a_flood_that_nobody_reads_stays_with_its_sender(post: Post) -> None:
    attacker = post.attacker()
    post.inbox.poll(0)
    attacker.setblocking(False)
    piece, sent = frame(bytes(50_000), more=False) * 4, 0
    with contextlib.suppress(BlockingIOError):
        while sent < 1 << 24:
            sent += attacker.send(piece)
    assert sent < 1 << 24
    assert len(post.next()[0]) == 50_000
    attacker.close()


@pytest.mark.parametrize(
    "endless",
    [
        frame(bytes(200_000), more=True),  # large parts
        frame(b"", more=True) * 1000,  # parts without anything in them
        struct.pack(">BQ", 2, 1 << 40) + bytes(1000),  # one part
    ],
)
def test_a_message_without_end(post: Post, endless: bytes) -> None:
    """Its connection is closed before more than one message may have is held; others are heard."""
    honest, attacker = post.push(), post.attacker()
    attacker.settimeout(0.01)
    sent, told = 0, ""
    while not told:
        with contextlib.suppress(TimeoutError, BrokenPipeError):
            sent += attacker.send(endless)
        assert sent < 1 << 24
        told = refusal(post)
    assert re.search(f"more than (1,048,576 bytes|{MOST_PARTS} parts)", told)
    with contextlib.suppress(BrokenPipeError):
        while sent < 1 << 25:
            sent += attacker.send(b"x")
    assert sent < 1 << 25
    honest.send(b"still heard")
    assert post.next() == [b"still heard"]
    attacker.close()


def test_who_may_have_more_is_allowed_more(post: Post) -> None:
    post.most = 1 << 24
    sender = post.push()
    sender.send(bytes(1 << 23))
    assert len(post.next()[0]) == 1 << 23


def test_connections_of_one_process_are_few(post: Post) -> None:
    attackers = [post.attacker() for _ in range(12)]
    told = [refusal(post) for _ in range(100)]
    assert [text for text in told if text] == ["more than 4 connections"] * 8
    attackers[0].send(frame(b"heard", more=False))
    assert post.next() == [b"heard"]
    for sock in attackers:
        sock.close()
    post.inbox.receive()
    sender = post.push()
    sender.send(b"room again")
    assert post.next() == [b"room again"]
