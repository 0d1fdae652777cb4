"""A small server where no descriptor is left for a client."""

from __future__ import annotations

import errno
import os
import select
import socket
from typing import Any

import pytest

from coordinator.endpoints.listener import Answer, Listener


def echoed(request: bytes) -> Answer:
    return b"", request, True


class Door(socket.socket):
    """A listening socket that cannot give out a descriptor for a while."""

    lacks = 0

    def accept(self) -> Any:
        if self.lacks:
            raise OSError(self.lacks, os.strerror(self.lacks))
        return super().accept()


@pytest.mark.parametrize("lacks", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_a_client_for_whom_no_descriptor_is_left_waits_and_keeps_nobody_busy(lacks: int) -> None:
    door = Door()
    door.bind(("127.0.0.1", 0))
    door.listen()
    listener = Listener(door, echoed, too_long=b"")
    client = socket.create_connection(door.getsockname())
    with client:
        client.sendall(b"hello")
        door.lacks = lacks
        listener.handle(100.0)
        assert not select.select([listener], [], [], 0)[0]
        listener.handle(101.5)  # still none is left: looked at once a second
        assert not select.select([listener], [], [], 0)[0]
        door.lacks = 0
        listener.handle(103.0)
        client.settimeout(10)
        assert client.recv(100) == b"hello"
    listener.close()
